# SPDX-License-Identifier: MIT
"""The operations as functions: each makes commands, runs them and returns the result."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .arrays import FLOATS, Array, expect_dtype, operand
from .buffer import Buffer, owner
from .encode import attention as attention_
from .encode import attention_backward as backward_
from .encode import cast as cast_
from .encode import gemm as gemm_
from .encode import gradients, heads
from .encode import qgemm as qgemm_
from .errors import InvalidValue
from .hardware import Device
from .hardware import device as find_device

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

    from .quantized import Palettized, Quantized


def hgemm(
    a: Any,
    b: Any,
    *,
    trans_a: bool = False,
    trans_b: bool = False,
    alpha: float = 1.0,
    beta: float | None = None,
    c: Any = None,
    bias: Any = None,
    activation: str | None = None,
    out: Any = None,
    device: Device | str | None = None,
) -> Array:
    """activation(alpha * op(a) @ op(b) + beta * c + bias) of float16 arrays, summed in float32.

    Leading axes broadcast as in numpy.matmul. beta is 1 where c is given, else 0; without c it
    scales what out held. bias is (N,), (M, 1), or a batch of either. activation is "relu", "gelu",
    "gelu_tanh" or "silu". Matrices are read in place if their rows or columns are contiguous, else
    copied first.
    """
    return _gemm("hgemm", a, b, device, trans_a=trans_a, trans_b=trans_b, alpha=alpha, beta=beta,
                 c=c, bias=bias, activation=activation, out=out)  # fmt: skip


def sgemm(
    a: Any,
    b: Any,
    *,
    trans_a: bool = False,
    trans_b: bool = False,
    alpha: float = 1.0,
    beta: float | None = None,
    c: Any = None,
    bias: Any = None,
    activation: str | None = None,
    out: Any = None,
    device: Device | str | None = None,
) -> Array:
    """The product of float32 arrays: see hgemm."""
    return _gemm("sgemm", a, b, device, trans_a=trans_a, trans_b=trans_b, alpha=alpha, beta=beta,
                 c=c, bias=bias, activation=activation, out=out)  # fmt: skip


def bgemm(
    a: Any,
    b: Any,
    *,
    trans_a: bool = False,
    trans_b: bool = False,
    alpha: float = 1.0,
    beta: float | None = None,
    c: Any = None,
    bias: Any = None,
    activation: str | None = None,
    out: Any = None,
    device: Device | str | None = None,
) -> Array:
    """The product of ml_dtypes.bfloat16 arrays: see hgemm."""
    return _gemm("bgemm", a, b, device, trans_a=trans_a, trans_b=trans_b, alpha=alpha, beta=beta,
                 c=c, bias=bias, activation=activation, out=out)  # fmt: skip


def qgemm(
    a: Any,
    b: Quantized | Palettized,
    *,
    trans_a: bool = False,
    trans_b: bool = True,
    alpha: float = 1.0,
    beta: float | None = None,
    c: Any = None,
    bias: Any = None,
    activation: str | None = None,
    dtype: DTypeLike | None = None,
    out: Any = None,
    device: Device | str | None = None,
) -> Array:
    """activation(alpha * op(a) @ op(b) + beta * c + bias) with b from quantize or palettize.

    b is N x K as linear layers keep their weights and taken transposed, or K x N with
    trans_b=False; its weights are decoded inside the kernel. a is float16, bfloat16 or float32, and
    so is, independently, the output: of `dtype` or that of out, else a's. c and bias have the
    output's type. Sums are float32. All else is as for hgemm.
    """
    return qgemm_.encode.run(
        find(device, a, out), a, b, trans_a=trans_a, trans_b=trans_b, alpha=alpha, beta=beta, c=c,
        bias=bias, activation=activation, dtype=dtype, out=out,
    )  # fmt: skip


def attention(
    q: Any,
    k: Any,
    v: Any,
    *,
    causal: bool | str = False,
    scale: float | None = None,
    mask: Any = None,
    bias: Any = None,
    window: tuple[int | None, int | None] | None = None,
    soft_cap: float | None = None,
    alibi: Any = None,
    sinks: Any = None,
    dropout: float = 0.0,
    seed: int = 0,
    offset: int = 0,
    sparsity: str = "auto",
    layout: str = "BHND",
    return_lse: bool = False,
    out: Any = None,
    out_dtype: DTypeLike | None = None,
    device: Device | str | None = None,
) -> Any:
    """softmax(scale * q @ k.T + mask) @ v; with return_lse also the log-sum-exp of each row.

    layout orders batch, head, row (N) and width (D); k and v may have fewer heads, a divisor of
    q's. scale is by default 1 / sqrt(D). Any strides will do: where neither row nor width is
    contiguous, inputs are copied. Sums are in float32; out is of q's type, or float32 where
    out_dtype or out say so.

    Scores, in this order, with d = row + (number of keys) - (number of queries) - column:
      soft_cap   s becomes soft_cap * tanh(s / soft_cap)
      alibi      float32 (heads,) or (batch, heads): s - slope * abs(d)
      mask       bool (True: attend) or a float to add; broadcasts to (batch, head, query, key)
      bias       a float to add as well, broadcast in the same way
      causal     True or "lower_right": only d >= 0. "upper_left": d is row - column
      window     (left, right): only -right <= d <= left; None is unlimited
      sinks      float32 (heads,): a logit more in each row's sum, without a value
    A row that sees nothing gives 0 and a log-sum-exp of -inf, or its sink.

    dropout is the probability that a weight becomes 0; the others grow by 1 / (1 - dropout). Which
    ones is decided by Philox 4x32-10 with seed and offset, by batch, head, row and column.
    sparsity says whether blocks that mask and bias exclude as a whole are looked for first: "auto",
    "on" or "off". The result is the same.
    """
    lse = None
    if return_lse:
        shape = heads.lse_shape(heads.floats("attention", "q", q), layout)
        lse = np.full(shape, -np.inf, np.float32)
    result = attention_.encode.run(
        find(device, q, k, v, out), q, k, v, causal=causal, scale=scale, mask=mask, bias=bias,
        window=window, soft_cap=soft_cap, alibi=alibi, sinks=sinks, dropout=dropout, seed=seed,
        offset=offset, sparsity=sparsity, layout=layout, out=out, out_dtype=out_dtype, lse=lse,
    )  # fmt: skip
    return (result, lse) if return_lse else result


def attention_backward(
    do: Any,
    q: Any,
    k: Any,
    v: Any,
    o: Any,
    lse: Any,
    *,
    causal: bool | str = False,
    scale: float | None = None,
    mask: Any = None,
    bias: Any = None,
    window: tuple[int | None, int | None] | None = None,
    soft_cap: float | None = None,
    alibi: Any = None,
    sinks: Any = None,
    dropout: float = 0.0,
    seed: int = 0,
    offset: int = 0,
    sparsity: str = "auto",
    layout: str = "BHND",
    dq: Any = None,
    dk: Any = None,
    dv: Any = None,
    wanted: Sequence[str] = ("dq", "dk", "dv"),
    return_dbias: bool = False,
    device: Device | str | None = None,
) -> Any:
    """dq, dk, dv: gradients of q, k and v, from do, the gradient of o = pymfa.attention(...).

    lse is what return_lse gave; the options are those of the forward call. Gradients have q's type,
    do has o's; sums are in float32. Heads of k and v that several query heads share get the sum
    over them. With return_dbias a fourth result is the gradient of bias, or else of an additive
    mask, in its shape and type. dq, dk and dv may be arrays to fill; what is not in `wanted` is not
    computed and None.

    Nothing as large as (query, key) is stored: the weights are computed again, block by block
    (Dao, "FlashAttention-2", 2023), in a pass over rows for dq and one over columns for dk and dv,
    or in one over both where every worker has heads of its own. Results are the same every time.
    """
    filled = None
    if return_dbias:
        key = heads.floats(backward_.NAME, "k", k)
        columns = heads.ordered(backward_.NAME, "k", key, key.ndim, layout).shape[2]
        filled = gradients.BiasGradient(backward_.NAME, bias, mask, columns)
    with find(device, do, q, k, v, o, dq, dk, dv).commands() as commands:
        results = backward_.encode(
            commands, do, q, k, v, o, lse, causal=causal, scale=scale, mask=mask, bias=bias,
            window=window, soft_cap=soft_cap, alibi=alibi, sinks=sinks, dropout=dropout, seed=seed,
            offset=offset, sparsity=sparsity, layout=layout, dq=dq, dk=dk, dv=dv, wanted=wanted,
            dbias=None if filled is None else filled.four, copy=True,
        )  # fmt: skip
    return results if filled is None else (*results, filled.result())


def scaled_dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Array:
    """As torch.nn.functional.scaled_dot_product_attention, on NumPy arrays.

    Shapes are (..., L, E), (..., S, E) and (..., S, Ev); leading axes broadcast. float32, float16
    and bfloat16. attn_mask is bool, float32 or of the query's type. The seed of dropout comes from
    numpy.random, so that numpy.random.seed repeats it. With gradients:
    pymfa.torch.scaled_dot_product_attention.
    """
    from . import sdpa

    named = {"query": query, "key": key, "value": value}
    q, k, v = (operand(f"{sdpa.NAME}: {name}", x) for name, x in named.items())
    expect_dtype(f"{sdpa.NAME}: query", q, *FLOATS)
    expect_dtype(f"{sdpa.NAME}: key", k, q.dtype)
    expect_dtype(f"{sdpa.NAME}: value", v, q.dtype)
    mask = None
    if attn_mask is not None:
        mask = operand(f"{sdpa.NAME}: attn_mask", attn_mask)
        expect_dtype(f"{sdpa.NAME}: attn_mask", mask, np.bool_, np.float32, q.dtype)
    plan = sdpa.arrange(
        q, k, v, mask, dropout_p=dropout_p, is_causal=is_causal, scale=scale,
        enable_gqa=enable_gqa, broadcast_to=np.broadcast_to,
    )  # fmt: skip
    if dropout_p == 1 or 0 in plan.shape:
        return np.zeros(plan.shape, q.dtype)
    seed = int(np.random.randint(1 << 62)) if dropout_p else 0
    result: Array = attention(
        plan.q, plan.k, plan.v, mask=plan.mask, scale=plan.scale, dropout=dropout_p, seed=seed,
        causal="upper_left" if is_causal else False,
    )  # fmt: skip
    return result.reshape(plan.shape)


def cast(
    x: Any, dtype: DTypeLike | None = None, *, out: Any = None, device: Device | str | None = None
) -> Array:
    """x as float16, bfloat16 or float32, rounded to nearest even."""
    return cast_.encode.run(find(device, x, out), x, dtype, out=out)


def _gemm(name: str, a: Any, b: Any, device: Device | str | None, **options: Any) -> Array:
    return gemm_.encode.run(find(device, a, b, options["out"]), name, a, b, **options)


def find(given: Device | str | None, *operands: Any) -> Device:
    """The one given, else that of the buffers the operands lie in, else the default."""
    if given is not None:
        return find_device(given)
    found: list[Device] = []
    for value in operands:
        if type(value) is np.ndarray and value.base is None:
            continue  # an owner of its memory
        whole = owner(value) if isinstance(value, np.ndarray) else value
        if isinstance(whole, Buffer) and whole.device not in found:
            found.append(whole.device)
    if len(found) > 1:
        raise InvalidValue(f"operands lie in buffers of {found[0].name} and {found[1].name}")
    return found[0] if found else find_device()
