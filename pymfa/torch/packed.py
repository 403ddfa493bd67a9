# SPDX-License-Identifier: MIT
"""Attention of packed sequences for PyTorch: an operator of torch.library and its gradients."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..encode import varlen
from ..errors import InvalidValue
from ..ops import find
from . import tensors
from .tensors import array


def attention_varlen(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    cu_seqlens_q: Tensor,
    cu_seqlens_k: Tensor,
    *,
    causal: bool | str = False,
    scale: float | None = None,
    mask: Tensor | None = None,
    bias: Tensor | None = None,
    window: tuple[int | None, int | None] | None = None,
    soft_cap: float | None = None,
    alibi: Tensor | None = None,
    sinks: Tensor | None = None,
    dropout: float = 0.0,
    seed: int | None = None,
    offset: int = 0,
    return_lse: bool = False,
) -> Any:
    """pymfa.attention_varlen on tensors, with gradients of q, k, v, mask, bias and sinks.

    q, k and v are (rows of all sequences, heads, width), cu_seqlens_q and cu_seqlens_k tensors of
    integers. The options are those of pymfa.attention_varlen. Without a seed, dropout takes one
    from PyTorch's generator. The log-sum-exp, (heads, rows of all sequences), has no gradient.
    """
    tensors.expect_gradients(varlen.NAME, mask, bias, alibi)
    left, right = (None, None) if window is None else window
    o, lse = torch.ops.pymfa.attention_varlen(
        q, k, v, cu_seqlens_q, cu_seqlens_k, mask, bias, alibi, sinks, tensors.causal_name(causal),
        scale, left, right, soft_cap, dropout, tensors.seed(seed, dropout), offset,
    )  # fmt: skip
    return (o, lse) if return_lse else o


_STARTS = "Tensor cu_seqlens_q, Tensor cu_seqlens_k"


@torch.library.custom_op(
    "pymfa::attention_varlen", mutates_args=(), device_types="cpu",
    schema=f"(Tensor q, Tensor k, Tensor v, {_STARTS}, {tensors.OPTIONS}) -> (Tensor, Tensor)",
)  # fmt: skip
def _attention(
    q: Tensor, k: Tensor, v: Tensor, starts_q: Tensor, starts_k: Tensor, *options: Any
) -> tuple[Tensor, Tensor]:
    o, lse = _results(q, v)
    with find(None).commands() as commands:
        varlen.encode(commands, array(q), array(k), array(v), array(starts_q), array(starts_k),
                      out=array(o), lse=array(lse), copy=True,
                      **tensors.options(*options))  # fmt: skip
    return o, lse


@_attention.register_fake
def _(q: Tensor, _k: Tensor, v: Tensor, *_options: Any) -> tuple[Tensor, Tensor]:
    return _results(q, v)


@torch.library.custom_op(
    "pymfa::attention_varlen_backward", mutates_args=(), device_types="cpu",
    schema="(Tensor do, Tensor q, Tensor k, Tensor v, Tensor o, Tensor lse, "
    f"{_STARTS}, {tensors.OPTIONS}, bool[] wanted) -> (Tensor, Tensor, Tensor, Tensor)",
)  # fmt: skip
def _attention_backward(
    do: Tensor, q: Tensor, k: Tensor, v: Tensor, o: Tensor, lse: Tensor, starts_q: Tensor,
    starts_k: Tensor, *given: Any,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    """dq, dk, dv and the gradient of the bias or mask; empty tensors for those not wanted."""
    *plain, wanted = given
    found = tensors.gradients(q, k, v, plain[0], plain[1], wanted)
    options = tensors.options(*plain)
    columns = varlen.longest(varlen.BACKWARD, array(starts_k))
    filled = tensors.Filled(varlen.BACKWARD, found, wanted, columns, options)
    with filled, find(None).commands() as commands:
        varlen.encode_backward(commands, array(do), array(q), array(k), array(v), array(o),
                               array(lse), array(starts_q), array(starts_k), copy=True,
                               **filled.outputs, **options)  # fmt: skip
    return found


@_attention_backward.register_fake
def _(
    _do: Tensor, q: Tensor, k: Tensor, v: Tensor, _o: Tensor, _lse: Tensor, _starts_q: Tensor,
    _starts_k: Tensor, mask: Any, bias: Any, *given: Any,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    return tensors.gradients(q, k, v, mask, bias, given[-1])


def _setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    ctx.options = inputs[9:]
    ctx.mark_non_differentiable(output[1])
    ctx.save_for_backward(*inputs[:9], *output)


def _backward(ctx: Any, do: Tensor, _dlse: Tensor | None) -> tuple[Any, ...]:
    q, k, v, starts_q, starts_k, mask, bias, alibi, sinks, o, lse = ctx.saved_tensors
    needs = ctx.needs_input_grad
    wanted = [*needs[:3], needs[5] or needs[6]]
    dq = dk = dv = dbias = dsinks = None
    if any(wanted):
        found = torch.ops.pymfa.attention_varlen_backward(
            do, q, k, v, o, lse, starts_q, starts_k, mask, bias, alibi, sinks, *ctx.options, wanted
        )
        dq, dk, dv, dbias = (x if w else None for x, w in zip(found, wanted, strict=True))
    if needs[8]:
        dsinks = tensors.sink_gradient(do, o, lse, sinks, rows=0)
    dmask = dbias if needs[5] else None
    return dq, dk, dv, None, None, dmask, dbias if needs[6] else None, None, dsinks, *(None,) * 8


_attention.register_autograd(_backward, setup_context=_setup)


def _results(q: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    if q.ndim != 3 or v.ndim != 3:
        raise InvalidValue(
            f"{varlen.NAME}: q and v have {q.ndim} and {v.ndim} axes; expected 3: rows of all "
            "sequences, heads and width"
        )
    rows, heads, _ = q.shape
    o = q.new_empty((rows, heads, v.shape[2]))
    return o, q.new_empty((heads, rows), dtype=torch.float32).fill_(-torch.inf)
