# SPDX-License-Identifier: MIT
"""Attention of packed batches and to caches, and merging results, as functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .arrays import view
from .cache import QuantizedKV
from .encode import decode, gradients, merge, varlen
from .hardware import Device
from .ops import find

if TYPE_CHECKING:
    from numpy.typing import DTypeLike


def attention_varlen(
    q: Any,
    k: Any,
    v: Any,
    cu_seqlens_q: Any,
    cu_seqlens_k: Any,
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
    return_lse: bool = False,
    out: Any = None,
    out_dtype: DTypeLike | None = None,
    device: Device | str | None = None,
) -> Any:
    """Attention within each of several sequences that lie one after the other.

    q is (rows of all sequences, heads, width), k and v likewise. Sequence b has the rows
    cu_seqlens_q[b] to cu_seqlens_q[b + 1] of q, and so on; both lists begin with 0 and end with the
    number of rows. Nothing is padded and nothing attends to another sequence. Everything else is as
    in attention; masks broadcast to (sequences, heads, longest q, longest k) and lse is (heads,
    rows of all sequences).
    """
    with find(device, q, k, v, out).commands() as commands:
        lse = None
        if return_lse:
            rows, heads = view("q", q).shape[:2]
            lse = np.full((heads, rows), -np.inf, np.float32)
        result = varlen.encode(
            commands, q, k, v, cu_seqlens_q, cu_seqlens_k, causal=causal, scale=scale, mask=mask,
            bias=bias, window=window, soft_cap=soft_cap, alibi=alibi, sinks=sinks, dropout=dropout,
            seed=seed, offset=offset, sparsity=sparsity, out=out, out_dtype=out_dtype, lse=lse,
            copy=True,
        )  # fmt: skip
    return (result, lse) if return_lse else result


def attention_varlen_backward(
    do: Any,
    q: Any,
    k: Any,
    v: Any,
    o: Any,
    lse: Any,
    cu_seqlens_q: Any,
    cu_seqlens_k: Any,
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
    dq: Any = None,
    dk: Any = None,
    dv: Any = None,
    wanted: Sequence[str] = ("dq", "dk", "dv"),
    return_dbias: bool = False,
    device: Device | str | None = None,
) -> Any:
    """dq, dk and dv of attention_varlen, each in the shape of q, k and v.

    o and lse, float32 (heads, rows of all sequences), are what attention_varlen gave, do is the
    gradient of o. Options are those of the forward call; the rest is as in attention_backward.
    With return_dbias a fourth result is the gradient of bias, or else of an additive mask, in its
    shape: 0 where a sequence is shorter than the longest.
    """
    filled = None
    if return_dbias:
        columns = varlen.longest(varlen.BACKWARD, cu_seqlens_k)
        filled = gradients.BiasGradient(varlen.BACKWARD, bias, mask, columns)
    with find(device, do, q, k, v, o, dq, dk, dv).commands() as commands:
        results = varlen.encode_backward(
            commands, do, q, k, v, o, lse, cu_seqlens_q, cu_seqlens_k, causal=causal, scale=scale,
            mask=mask, bias=bias, window=window, soft_cap=soft_cap, alibi=alibi, sinks=sinks,
            dropout=dropout, seed=seed, offset=offset, sparsity=sparsity, dq=dq, dk=dk, dv=dv,
            wanted=wanted, dbias=None if filled is None else filled.four, copy=True,
        )  # fmt: skip
    return results if filled is None else (*results, filled.result())


def attention_decode(
    q: Any,
    k: Any,
    v: Any,
    *,
    lengths: Any = None,
    block_table: Any = None,
    causal: bool | str = True,
    scale: float | None = None,
    mask: Any = None,
    bias: Any = None,
    window: tuple[int | None, int | None] | None = None,
    soft_cap: float | None = None,
    alibi: Any = None,
    sinks: Any = None,
    splits: int | None = None,
    layout: str = "BHND",
    return_lse: bool = False,
    out: Any = None,
    out_dtype: DTypeLike | None = None,
    device: Device | str | None = None,
) -> Any:
    """Attention of 1 to 16 queries to a long cache, which is read once for all heads that share it.

    k and v are arrays in q's layout, of any float type, or pymfa.QuantizedKV. lengths says how many
    keys of each batch there are (integers; default: all). With block_table, (batches, pages)
    integers, k and v hold pages instead of batches: key c of batch b is row c % page_size of page
    block_table[b, c // page_size]. splits is in how many parts keys are worked on at the same time;
    by default it is chosen for the device. Caches are never copied: their columns must be
    contiguous. D is at most 512.

    Everything else is as in attention, but causal, so that the last query sees every key, is the
    default.
    """
    lse = None
    if return_lse:
        shape = view("q", q).shape
        rows = (shape[0], shape[2], shape[1]) if layout == "BNHD" else shape[:3]
        lse = np.full(rows, -np.inf, np.float32)
    result = decode.run(
        find(device, q, *_arrays(k), *_arrays(v), out), q, k, v, lengths=lengths,
        block_table=block_table, causal=causal, scale=scale, mask=mask, bias=bias, window=window,
        soft_cap=soft_cap, alibi=alibi, sinks=sinks, splits=splits, layout=layout, out=out,
        out_dtype=out_dtype, lse=lse,
    )  # fmt: skip
    return (result, lse) if return_lse else result


def merge_attention(
    o1: Any,
    lse1: Any,
    o2: Any,
    lse2: Any,
    *,
    layout: str = "BHND",
    return_lse: bool = True,
    out: Any = None,
    out_dtype: DTypeLike | None = None,
    device: Device | str | None = None,
) -> Any:
    """Attention over the keys of both, from the outputs and log-sum-exps over the keys of each.

    o1 and o2 have 2 to 4 dimensions in `layout`, lse1 and lse2 are float32 (batch, head, row). A
    row whose log-sum-exp is -inf has seen nothing and does not count. Returns o and lse, or o alone
    without return_lse.
    """
    with find(device, o1, o2, out).commands() as commands:
        lse = np.full(view("lse1", lse1).shape, -np.inf, np.float32) if return_lse else None
        result = merge.encode(
            commands, o1, lse1, o2, lse2, layout=layout, out=out, out_dtype=out_dtype, lse=lse,
            copy=True,
        )  # fmt: skip
    return (result, lse) if return_lse else result


def _arrays(value: Any) -> tuple[Any, ...]:
    if isinstance(value, QuantizedKV):
        return value.values, value.scales, value.biases
    return (value,)
