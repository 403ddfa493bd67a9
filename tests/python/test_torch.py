# SPDX-License-Identifier: MIT
"""pymfa.torch beside PyTorch's own attention: results, gradients, refusals, and its operators."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from scoring import explained
from tolerance import Attention, AttentionGradients, assert_within, bfloat16, summed_gradient

import pymfa

torch = pytest.importorskip("torch")
from pymfa import torch as ours  # noqa: E402
from pymfa.torch import tensors  # noqa: E402

theirs = torch.nn.functional.scaled_dot_product_attention
TYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
MASKS = ["none", "bool", "padding", "empty row", "rows", "same type", "float32", "heads"]
WAYS = ["packed", "swapped", "every second"]
B, H, R, C, D = 2, 4, 13, 21, 16


def tensor(seed: int, shape: tuple[int, ...], dtype: Any, way: str = "packed") -> Any:
    values = torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(dtype)
    if way == "swapped":  # (batch, row, head, width), as a projection leaves it
        return values.transpose(1, 2).contiguous().transpose(1, 2)
    if way == "every second":
        return torch.stack((values, values), -1).flatten(-2)[..., ::2]
    return values


def make_mask(kind: str, dtype: Any) -> Any:
    generator = torch.Generator().manual_seed(7)
    if kind == "none":
        return None
    if kind in ("same type", "float32"):
        return tensor(5, (R, C), dtype if kind == "same type" else torch.float32)
    if kind == "heads":
        return tensor(5, (B, H, R, C), dtype)
    shape = {"padding": (B, 1, 1, C), "rows": (R, 1)}.get(kind, (R, C))
    mask = torch.rand(shape, generator=generator) < 0.7
    if kind == "empty row":
        mask[3] = False
    elif kind != "rows":
        mask[..., 0] = True
    return mask


def numpy_of(x: Any) -> Any:
    x = x.detach()
    return x.float().numpy().astype(bfloat16) if x.dtype == torch.bfloat16 else x.numpy()


CASES = list(itertools.product(TYPES, MASKS, [False, True], [None, 0.3], [1, 2], WAYS))


def accepted(kind: str, causal: bool) -> bool:
    return not causal or kind == "none"  # a mask and is_causal exclude each other


def test_there_are_enough_cases() -> None:
    """At least 300 with results to compare; the others are refused by both."""
    assert len(set(CASES)) == len(CASES) == 576
    assert sum(accepted(kind, causal) for _, kind, causal, *_ in CASES) == 324


@pytest.mark.parametrize("name", TYPES)
@pytest.mark.parametrize("kind", MASKS)
@pytest.mark.parametrize("causal", [False, True])
def test_equals_pytorch(name: str, kind: str, causal: bool) -> None:
    """Every combination of type, mask, causal, scale, grouped heads and strides; both directions.

    Ours and PyTorch's are both compared with float64. Where a 16-bit PyTorch kernel is itself
    further away than the bound for ours allows, that is not our concern.
    """
    chosen = [c for c in CASES if c[:3] == (name, kind, causal)]
    assert len(chosen) == 12
    for _, _, _, scale, groups, way in chosen:
        compare(TYPES[name], kind, causal, scale, groups, way)


def compare(dtype: Any, kind: str, causal: bool, scale: Any, groups: int, way: str) -> None:
    shapes = (B, H, R, D), (B, H // groups, C, D), (B, H // groups, C, D)
    inputs = [tensor(i, s, dtype, way) for i, s in enumerate(shapes)]
    options = {
        "attn_mask": make_mask(kind, dtype), "is_causal": causal, "scale": scale,
        "enable_gqa": groups > 1,
    }  # fmt: skip

    def run(function: Any) -> Any:
        leaves = [x.detach().requires_grad_() for x in inputs]
        try:
            out = function(*leaves, **options)
        except (RuntimeError, ValueError, TypeError):
            return None
        do = tensor(9, tuple(out.shape), dtype)
        return [out, *torch.autograd.grad(out, leaves, do)], do

    mine, other = run(ours.scaled_dot_product_attention), run(theirs)
    what = f"{kind} scale={scale} groups={groups} {way}"
    for who, found in (("pymfa", mine), ("PyTorch", other)):
        assert (found is not None) == accepted(kind, causal), f"{what}: {who}"
    if mine is None or other is None:
        return
    (results, do), (expected, _) = mine, other
    q, k, v = (np.ascontiguousarray(numpy_of(x)) for x in inputs)
    attend, bias, mask = np.ones((B, H, R, C), bool), None, options["attn_mask"]
    if causal:
        attend &= np.tri(R, C, dtype=bool)
    if mask is not None and mask.dtype == torch.bool:
        attend = attend & mask.numpy()
    elif mask is not None:
        bias = numpy_of(mask)
    arguments: dict[str, Any] = {"scale": scale or D**-0.5, "attend": attend, "bias": bias}
    forward = Attention(q, k, v, **arguments)
    backward = AttentionGradients(numpy_of(do), q, k, v, **arguments)
    bounds = [(forward.expected, forward.tolerance)]
    bounds += [(backward.expected[n], backward.tolerance[n]) for n in ("dq", "dk", "dv")]
    for name, x, y, (exact, bound) in zip(
        ("o", "dq", "dk", "dv"), results, expected, bounds, strict=True
    ):
        assert x.shape == y.shape and x.dtype == y.dtype
        assert_within(numpy_of(x), exact, bound, f"{what} {name}")
        if dtype == torch.float32:
            assert_within(numpy_of(x), numpy_of(y).astype(np.float64), 2 * bound, f"{what} {name}")


REFUSED: dict[str, Any] = {
    "mask and causal": lambda f, q, k: f(q, k, k, attn_mask=torch.ones(13, 21), is_causal=True),
    "mask of integers": lambda f, q, k: f(q, k, k, attn_mask=torch.ones(13, 21, dtype=torch.int)),
    "mask of float64": lambda f, q, k: f(q, k, k, attn_mask=torch.ones(13, 21).double()),
    "mask of float16": lambda f, q, k: f(q, k, k, attn_mask=torch.ones(13, 21).half()),
    "mask of another size": lambda f, q, k: f(q, k, k, attn_mask=torch.ones(13, 20)),
    "mask of one axis": lambda f, q, k: f(q, k, k, attn_mask=torch.ones(21)),
    "mask of five axes": lambda f, q, k: f(q, k, k, attn_mask=torch.ones(1, 2, 4, 13, 21)),
    "one axis": lambda f, q, k: f(q[0, 0, 0], k[0, 0, 0], k[0, 0, 0]),
    "types differ": lambda f, q, k: f(q, k.half(), k),
    "integers": lambda f, q, k: f(q.int(), k.int(), k.int()),
    "width of the key": lambda f, q, k: f(q, k[..., :9], k),
    "heads without gqa": lambda f, q, k: f(q, k[:, :2], k[:, :2]),
    "heads that do not divide": lambda f, q, k: f(q, k[:, :3], k[:, :3], enable_gqa=True),
    "more key heads": lambda f, q, k: f(q[:, :2], k, k, enable_gqa=True),
    "gqa without heads": lambda f, q, k: f(q[0, 0], k[0, 0], k[0, 0], enable_gqa=True),
    "dropout above 1": lambda f, q, k: f(q, k, k, dropout_p=1.5),
    "dropout below 0": lambda f, q, k: f(q, k, k, dropout_p=-0.1),
}
ACCEPTED: dict[str, Any] = {
    "two axes": lambda f, q, k: f(q[0, 0], k[0, 0], k[0, 0]),
    "three axes": lambda f, q, k: f(q[0], k[0], k[0]),
    "five axes": lambda f, q, k: f(q[None], k[None], k[None]),
    "axes that broadcast": lambda f, q, k: f(q, k[:1], k[:1, :1]),
    "batches of the query broadcast": lambda f, q, k: f(q[:1], k, k),
    "fewer axes of the key": lambda f, q, k: f(q, k[0], k[0]),
    "one key head without gqa": lambda f, q, k: f(q, k[:, :1], k[:, :1]),
    "gqa of three axes": lambda f, q, k: f(q[0], k[0, :2], k[0, :2], enable_gqa=True),
    "gqa with a mask": lambda f, q, k: f(
        q, k[:, :2], k[:, :2], attn_mask=torch.ones(4, 13, 21), enable_gqa=True
    ),
    "width of the value": lambda f, q, k: f(q, k, k[..., :3]),
    "no queries": lambda f, q, k: f(q[:, :, :0], k, k),
    "no keys": lambda f, q, k: f(q, k[:, :, :0], k[:, :, :0]),
    "no batches": lambda f, q, k: f(q[:0], k[:0], k[:0]),
    "no width": lambda f, q, k: f(q[..., :0], k[..., :0], k),
    "no width of the value": lambda f, q, k: f(q, k, k[..., :0]),
    "a scale of 0": lambda f, q, k: f(q, k, k, scale=0.0),
    "a negative scale": lambda f, q, k: f(q, k, k, scale=-0.5),
    "everything dropped": lambda f, q, k: f(q, k, k, dropout_p=1.0),
    "more queries, causal": lambda f, q, k: f(k, q, q, is_causal=True),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refuses_what_pytorch_refuses(name: str) -> None:
    q, k = tensor(1, (B, H, R, D), torch.float32), tensor(2, (B, H, C, D), torch.float32)
    with pytest.raises((RuntimeError, IndexError)):
        REFUSED[name](theirs, q, k)
    with pytest.raises((ValueError, TypeError), match="scaled_dot_product_attention"):
        REFUSED[name](ours.scaled_dot_product_attention, q, k)
    with pytest.raises((ValueError, TypeError), match="scaled_dot_product_attention"):
        REFUSED[name](pymfa.scaled_dot_product_attention, q, k)


@pytest.mark.parametrize("name", ACCEPTED)
def test_accepts_what_pytorch_accepts(name: str) -> None:
    q, k = tensor(1, (B, H, R, D), torch.float32), tensor(2, (B, H, C, D), torch.float32)
    expected = ACCEPTED[name](theirs, q, k).numpy()
    for function in (ours.scaled_dot_product_attention, pymfa.scaled_dot_product_attention):
        actual = np.asarray(ACCEPTED[name](function, q, k))
        assert actual.shape == expected.shape
        np.testing.assert_allclose(actual, expected, rtol=2e-5, atol=2e-6)


def reference(q: Any, k: Any, v: Any, bias: Any, *, scale: float, causal: bool) -> Any:
    """The formula in float64, by PyTorch's own differentiable functions."""
    s = q @ k.transpose(-1, -2) * scale + bias
    if causal:
        rows, columns = s.shape[-2:]
        seen = torch.ones(rows, columns, dtype=torch.bool).tril(columns - rows)
        s = s.masked_fill(~seen, -torch.inf)
    return s.softmax(-1) @ v


class Checked(torch.autograd.Function):  # type: ignore[misc, name-defined]
    """Forward in float64 by the formula, backward in float32 by our kernels."""

    @staticmethod
    def forward(ctx: Any, q: Any, k: Any, v: Any, bias: Any, scale: float, causal: bool) -> Any:
        ctx.save_for_backward(q, k, v, bias)
        ctx.options = scale, causal
        return reference(q, k, v, bias, scale=scale, causal=causal)

    @staticmethod
    def backward(ctx: Any, do: Any) -> Any:
        scale, causal = ctx.options
        leaves = [x.float().detach().requires_grad_() for x in ctx.saved_tensors]
        with torch.enable_grad():
            q, k, v, bias = leaves
            out = ours.attention(q, k, v, bias=bias, scale=scale, causal=causal)
        return *(g.double() for g in torch.autograd.grad(out, leaves, do.float())), None, None


@pytest.mark.parametrize("causal", [False, True])
def test_gradcheck(causal: bool) -> None:
    """Our float32 gradients against finite differences of the float64 formula.

    A Jacobian's element is a gradient for a dO of one 1 and has its bound.
    """
    shapes = (1, 2, 3, 4), (1, 2, 5, 4), (1, 2, 5, 4), (2, 3, 5)
    inputs = [tensor(i, s, torch.float64).requires_grad_() for i, s in enumerate(shapes)]
    q, k, v, bias = (x.detach().float().numpy() for x in inputs)
    options = explained((1, 2, 3, 5), causal=causal, bias=bias)
    worst = 0.0
    for index in np.ndindex(*shapes[0]):
        do = np.zeros(shapes[0], np.float32)
        do[index] = 1
        allowed = AttentionGradients(do, q, k, v, scale=0.5, **options).tolerance
        worst = max(worst, *(float(x.max()) for x in allowed.values()))
    # Differences of float64 values of order 1, a step of eps apart.
    differences = 2.0**-52 / 1e-6 + 1e-12
    assert torch.autograd.gradcheck(
        lambda *x: Checked.apply(*x, 0.5, causal), inputs, eps=1e-6, atol=worst + differences,
        rtol=0, nondet_tol=0.0,
    )  # fmt: skip


def test_operators_keep_their_contract() -> None:
    """Schemas, fake tensors and the registration of autograd, by PyTorch's own checker."""
    shapes = (1, 2, 5, 8), (1, 1, 6, 8), (1, 1, 6, 4)
    q, k, v = (tensor(i, s, torch.float32).requires_grad_() for i, s in enumerate(shapes))
    options = (None, None, None, "lower_right", None, None, None, None, 0.0, 0, 0, "BHND")
    torch.library.opcheck(torch.ops.pymfa.attention, (q, k, v, None, *options[:3], *options[3:]))
    q, k, v = (x.detach() for x in (q, k, v))
    o, lse = torch.ops.pymfa.attention(q, k, v, None, *options)
    torch.library.opcheck(
        torch.ops.pymfa.attention_backward,
        (torch.ones_like(o), q, k, v, o, lse, None, *options, [True, True, True, False]),
    )


def test_cpu_tensors_are_read_in_place() -> None:
    q = tensor(1, (1, 2, 64, 32), torch.float32)
    array = tensors.array(q)
    assert array.ctypes.data == q.data_ptr()
    half = tensor(1, (1, 2, 64, 32), torch.bfloat16)
    assert (
        tensors.array(half).ctypes.data == half.data_ptr() and tensors.array(half).dtype == bfloat16
    )


@pytest.mark.parametrize("layout", ["BHND", "BNHD"])
@pytest.mark.parametrize("name", TYPES)
def test_sinks_get_their_gradient(name: str, layout: str) -> None:
    q, k, v, do = (tensor(i, (2, 2, 5, 8), TYPES[name]) for i in range(4))
    sinks = torch.tensor([0.3, -1.0], requires_grad=True)
    given = [x.transpose(1, 2) if layout == "BNHD" else x for x in (q, k, v, do)]
    out = ours.attention(*given[:3], sinks=sinks, layout=layout)
    (actual,) = torch.autograd.grad(out, sinks, given[3])
    reference = AttentionGradients(
        *(numpy_of(x) for x in (do, q, k, v)), scale=8**-0.5, sinks=numpy_of(sinks)
    )
    assert_within(numpy_of(actual), *summed_gradient(reference.dsinks, (2,), np.dtype(np.float32)))


def test_dropout_is_the_same_in_both_directions() -> None:
    """With V = identity the output shows the weights that were kept."""
    torch.manual_seed(3)
    n = 64
    q, k = (tensor(i, (1, 1, n, 16), torch.float32).requires_grad_() for i in range(2))
    v = torch.eye(n)[None, None].clone().requires_grad_()
    weights = ours.scaled_dot_product_attention(q, k, v, dropout_p=0.3)
    kept = (weights.detach() != 0).float() / 0.7
    full = (q @ k.mT * 0.25).softmax(-1)
    torch.testing.assert_close(weights, full * kept @ v, rtol=1e-4, atol=1e-5)
    do = tensor(5, (1, 1, n, n), torch.float32)
    actual = torch.autograd.grad(weights, (q, k, v), do)
    expected = torch.autograd.grad(full * kept @ v, (q, k, v), do)
    for a, b in zip(actual, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4)
    assert abs((kept == 0).float().mean().item() - 0.3) < 3 * (0.3 * 0.7 / n**2) ** 0.5


def test_only_what_is_needed_is_computed() -> None:
    q, k, v = (tensor(i, (1, 2, 9, 8), torch.float32) for i in range(3))
    all_ = [x.clone().requires_grad_() for x in (q, k, v)]
    full = torch.autograd.grad(ours.attention(*all_).sum(), all_)
    for i in range(3):
        inputs = [q, k, v]
        inputs[i] = inputs[i].clone().requires_grad_()
        (only,) = torch.autograd.grad(ours.attention(*inputs).sum(), inputs[i])
        torch.testing.assert_close(only, full[i])


def test_slopes_that_require_a_gradient_are_refused() -> None:
    q = tensor(1, (1, 2, 4, 8), torch.float32)
    with pytest.raises(NotImplementedError, match="alibi"):
        ours.attention(q, q, q, alibi=torch.ones(2, requires_grad=True))
