# SPDX-License-Identifier: MIT
"""pymfa.torch.attention_varlen: gradients of packed sequences against each sequence in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scoring import explained, of_sequence
from tolerance import AttentionGradients, assert_within, bfloat16, summed_gradient

import pymfa

torch = pytest.importorskip("torch")
from pymfa import torch as ours  # noqa: E402

ROWS, COLUMNS = (5, 0, 33, 1, 40), (7, 4, 33, 0, 70)
H, HKV, D = 4, 2, 16
TYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
OPTIONS = [
    "none", "causal", "window", "soft cap", "alibi", "sinks", "mask", "bias", "bias of keys",
    "bias of rows", "additive mask", "dropout", "many",
]  # fmt: skip


def tensor(seed: int, shape: tuple[int, ...], dtype: Any = None) -> Any:
    values = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    return values if dtype is None else values.to(dtype)


def starts_of(lengths: tuple[int, ...]) -> Any:
    return torch.tensor([0, *np.cumsum(lengths)], dtype=torch.int32)


STARTS = starts_of(ROWS), starts_of(COLUMNS)


def chosen(kind: str) -> dict[str, Any]:
    full = len(ROWS), H, max(ROWS), max(COLUMNS)
    attend = torch.rand(full[2:], generator=torch.Generator().manual_seed(3)) < 0.8
    slopes = torch.linspace(0.05, 0.5, H)
    return {
        "none": {},
        "causal": {"causal": True},
        "window": {"window": (9, 3), "causal": "upper_left"},
        "soft cap": {"soft_cap": 1.5},
        "alibi": {"alibi": slopes},
        "sinks": {"sinks": torch.linspace(-1, 1, H)},
        "mask": {"mask": attend},
        "bias": {"bias": tensor(5, full)},
        "bias of keys": {"bias": tensor(5, (len(ROWS), 1, 1, full[3])), "mask": attend},
        "bias of rows": {"bias": tensor(5, (H, full[2], 1)), "causal": True},
        "additive mask": {"mask": tensor(6, full[1:])},
        "dropout": {"dropout": 0.3, "seed": 5, "offset": 2},
        "many": {
            "soft_cap": 2.0, "alibi": slopes, "sinks": torch.linspace(-1, 1, H),
            "bias": tensor(5, full), "mask": attend, "window": (30, None), "causal": True,
        },
    }[kind]  # fmt: skip


def numpy_of(x: Any) -> Any:
    if not isinstance(x, torch.Tensor):
        return x
    x = x.detach()
    return x.float().numpy().astype(bfloat16) if x.dtype == torch.bfloat16 else x.numpy()


def inputs_of(dtype: Any = torch.float32) -> list[Any]:
    shapes = (sum(ROWS), H, D), (sum(COLUMNS), HKV, D), (sum(COLUMNS), HKV, D), (sum(ROWS), H, D)
    return [tensor(i, shape, dtype) for i, shape in enumerate(shapes)]


@pytest.mark.parametrize("name", TYPES)
@pytest.mark.parametrize("kind", OPTIONS)
def test_gradients(kind: str, name: str) -> None:
    q, k, v, do = inputs_of(TYPES[name])
    options = chosen(kind)
    leaves = {"q": q, "k": k, "v": v}
    for label in ("bias", "mask", "sinks"):
        if label in options and options[label].is_floating_point():
            leaves[label] = options[label]
    for x in leaves.values():
        x.requires_grad_()
    out = ours.attention_varlen(q, k, v, *STARTS, **options)
    assert out.dtype == q.dtype and out.shape == do.shape
    gradients = dict(zip(leaves, torch.autograd.grad(out, tuple(leaves.values()), do), strict=True))

    plain = {label: numpy_of(x) for label, x in options.items()}
    dbias = [np.zeros((len(ROWS), H, max(ROWS), max(COLUMNS))) for _ in range(3)]
    dsinks = [np.zeros(H) for _ in range(3)]
    row = column = 0
    for i, (r, c) in enumerate(zip(ROWS, COLUMNS, strict=True)):
        own, keys = slice(row, row + r), slice(column, column + c)
        row, column = row + r, column + c
        if r == 0 or c == 0:
            continue
        explanation = explained((1, H, r, c), **of_sequence(plain, i, r, c))
        if "dropout" in plain:
            explanation["keep"] = explained((i + 1, H, r, c), **plain)["keep"][i:]
        one = [
            np.swapaxes(numpy_of(x)[part], 0, 1)[None]
            for x, part in ((do, own), (q, own), (k, keys), (v, keys))
        ]
        reference = AttentionGradients(*one, scale=D**-0.5, **explanation)
        for label, part in (("q", own), ("k", keys), ("v", keys)):
            actual = np.swapaxes(numpy_of(gradients[label])[part], 0, 1)[None]
            bounds = reference.expected["d" + label], reference.tolerance["d" + label]
            assert_within(actual, *bounds, f"{kind} d{label}[{i}]")
        for j in range(3):
            dbias[j][i, :, :r, :c] = reference.dbias[j][0]
            dsinks[j] += reference.dsinks[j]
    for label in leaves.keys() - {"q", "k", "v"}:
        actual = numpy_of(gradients[label])
        parts = dsinks if label == "sinks" else dbias
        bounds = summed_gradient(parts, actual.shape, actual.dtype)
        assert_within(actual, *bounds, f"{kind} gradient of {label}")


def formula(q: Any, k: Any, v: Any, bias: Any, sinks: Any) -> Any:
    """Each sequence in float64, by PyTorch's own differentiable functions, causal."""
    parts = []
    for i, (r, c) in enumerate(zip((3, 2), (4, 2), strict=True)):
        own, keys = slice(3 * i, 3 * i + r), slice(4 * i, 4 * i + c)
        s = torch.einsum("rhd,chd->hrc", q[own], k[keys]) * 0.5 + bias[i, :, :r, :c]
        s = s.masked_fill(torch.ones(r, c, dtype=torch.bool).triu(c - r + 1), -torch.inf)
        s = torch.cat((s, sinks[:, None, None].expand(-1, r, 1)), -1)
        parts.append(torch.einsum("hrc,chd->rhd", s.softmax(-1)[..., :-1], v[keys]))
    return torch.cat(parts)


SMALL = starts_of((3, 2)), starts_of((4, 2))


class Checked(torch.autograd.Function):  # type: ignore[misc, name-defined]
    """Forward in float64 by the formula, backward in float32 by our kernels."""

    @staticmethod
    def forward(ctx: Any, *inputs: Any) -> Any:
        ctx.save_for_backward(*inputs)
        return formula(*inputs)

    @staticmethod
    def backward(ctx: Any, do: Any) -> Any:
        leaves = [x.float().detach().requires_grad_() for x in ctx.saved_tensors]
        with torch.enable_grad():
            q, k, v, bias, sinks = leaves
            out = ours.attention_varlen(q, k, v, *SMALL, bias=bias, sinks=sinks, scale=0.5,
                                        causal=True)  # fmt: skip
        return tuple(g.double() for g in torch.autograd.grad(out, leaves, do.float()))


def test_gradcheck() -> None:
    """Our float32 gradients against finite differences of the float64 formula.

    A Jacobian's element is a gradient for a dO of one 1 and has its bound.
    """
    shapes = (5, 2, 4), (6, 2, 4), (6, 2, 4), (2, 2, 3, 4), (2,)
    inputs = [tensor(i, s, torch.float64).requires_grad_() for i, s in enumerate(shapes)]
    q, k, v, bias, sinks = (x.detach().float().numpy() for x in inputs)
    worst = 0.0
    for i, (r, c) in enumerate(zip((3, 2), (4, 2), strict=True)):
        one = [np.swapaxes(x[at : at + n], 0, 1)[None]
               for x, at, n in ((q, 3 * i, r), (k, 4 * i, c), (v, 4 * i, c))]  # fmt: skip
        options = explained((1, 2, r, c), causal=True, bias=bias[i : i + 1, :, :r, :c], sinks=sinks)
        for index in np.ndindex(1, 2, r, 4):
            do = np.zeros((1, 2, r, 4), np.float32)
            do[index] = 1
            reference = AttentionGradients(do, *one, scale=0.5, **options)
            bounds = [*reference.tolerance.values(),
                      summed_gradient(reference.dsinks, (2,), sinks.dtype)[1]]  # fmt: skip
            worst = max(worst, *(float(x.max()) for x in bounds))
    # Differences of float64 values of order 1, a step of eps apart.
    differences = 2.0**-52 / 1e-6 + 1e-12
    assert torch.autograd.gradcheck(
        Checked.apply, inputs, eps=1e-6, atol=worst + differences, rtol=0, nondet_tol=0.0
    )


def test_operators_keep_their_contract() -> None:
    """Schemas, fake tensors and the registration of autograd, by PyTorch's own checker."""
    q, k, v, do = inputs_of()
    full = len(ROWS), H, max(ROWS), max(COLUMNS)
    bias, sinks = tensor(5, full).requires_grad_(), torch.linspace(-1, 1, H).requires_grad_()
    options = ("lower_right", None, 9, None, 1.5, 0.2, 3, 4)
    leaves = [x.clone().requires_grad_() for x in (q, k, v)]
    torch.library.opcheck(
        torch.ops.pymfa.attention_varlen, (*leaves, *STARTS, None, bias, None, sinks, *options)
    )
    extra = (None, bias.detach(), None, sinks.detach())
    o, lse = torch.ops.pymfa.attention_varlen(q, k, v, *STARTS, *extra, *options)
    torch.library.opcheck(
        torch.ops.pymfa.attention_varlen_backward,
        (do, q, k, v, o, lse, *STARTS, *extra, *options, [True, True, False, True]),
    )


def test_a_padded_batch_gives_the_same() -> None:
    """Sequences of one length are a batch: packing changes no bit of the output."""
    q, do = (tensor(i, (3, H, 20, D)) for i in (0, 3))
    k, v = (tensor(i, (3, HKV, 20, D)) for i in (1, 2))
    starts = starts_of((20, 20, 20))
    packed = [x.transpose(1, 2).reshape(60, -1, D).requires_grad_() for x in (q, k, v)]
    leaves = [x.clone().requires_grad_() for x in (q, k, v)]
    out = ours.attention_varlen(*packed, starts, starts, causal=True, dropout=0.1, seed=4)
    full = ours.attention(*leaves, causal=True, dropout=0.1, seed=4)
    torch.testing.assert_close(out, full.transpose(1, 2).reshape(60, H, D), rtol=1e-5, atol=1e-6)
    found = torch.autograd.grad(out, packed, do.transpose(1, 2).reshape(60, H, D))
    for a, b in zip(found, torch.autograd.grad(full, leaves, do), strict=True):
        torch.testing.assert_close(a, b.transpose(1, 2).reshape(a.shape), rtol=1e-4, atol=1e-5)


def test_only_what_is_needed_is_computed() -> None:
    q, k, v, _ = inputs_of()
    all_ = [x.clone().requires_grad_() for x in (q, k, v)]
    full = torch.autograd.grad(ours.attention_varlen(*all_, *STARTS).sum(), all_)
    for i in range(3):
        inputs = [q, k, v]
        inputs[i] = inputs[i].clone().requires_grad_()
        (only,) = torch.autograd.grad(ours.attention_varlen(*inputs, *STARTS).sum(), inputs[i])
        torch.testing.assert_close(only, full[i], rtol=0, atol=0)


def test_dropout_takes_its_seed_from_pytorch() -> None:
    q, k, v, _ = inputs_of()
    torch.manual_seed(3)
    first = ours.attention_varlen(q, k, v, *STARTS, dropout=0.5)
    other = ours.attention_varlen(q, k, v, *STARTS, dropout=0.5)
    torch.manual_seed(3)
    again = ours.attention_varlen(q, k, v, *STARTS, dropout=0.5)
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_lse_has_no_gradient() -> None:
    q, k, v, _ = inputs_of()
    q.requires_grad_()
    out, lse = ours.attention_varlen(q, k, v, *STARTS, return_lse=True)
    assert lse.shape == (H, sum(ROWS)) and not lse.requires_grad and out.requires_grad
    expected = pymfa.attention_varlen(
        *(x.detach().numpy() for x in (q, k, v, *STARTS)), return_lse=True
    )
    np.testing.assert_array_equal(lse.numpy(), expected[1])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"alibi": torch.ones(H, requires_grad=True)}, "alibi requires a gradient"),
        ({"cu_seqlens_q": torch.tensor([0, 9])}, "cu_seqlens_q"),
        ({"cu_seqlens_k": torch.tensor([0.0, 1.0])}, "cu_seqlens_k has dtype float32"),
        ({"k": torch.zeros(114, HKV, D + 1)}, "k has shape"),
        ({"k": torch.zeros(114, HKV, D).double()}, "k has dtype float64"),
        ({"q": torch.zeros(2, 3, H, D)}, "q and v have 4 and 3 axes"),
        ({"bias": torch.zeros(3, 3)}, "bias has shape"),
    ],
)  # fmt: skip
def test_bad_input_is_named(change: dict[str, Any], words: str) -> None:
    q, k, v, _ = inputs_of()
    given = {"q": q, "k": k, "v": v, "cu_seqlens_q": STARTS[0], "cu_seqlens_k": STARTS[1]}
    with pytest.raises(pymfa.Error, match=words):
        ours.attention_varlen(**(given | change))


def test_mask_and_bias_with_gradients_are_refused() -> None:
    q, k, v, _ = inputs_of()
    full = len(ROWS), H, max(ROWS), max(COLUMNS)
    with pytest.raises(NotImplementedError, match="mask requires a gradient beside a bias"):
        ours.attention_varlen(
            q, k, v, *STARTS, mask=tensor(1, full).requires_grad_(), bias=tensor(2, full)
        )
