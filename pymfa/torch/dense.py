# SPDX-License-Identifier: MIT
"""Attention of batches for PyTorch: an operator of torch.library, its gradients, and functions."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from .. import sdpa
from ..encode import attention as forward_
from ..encode import attention_backward as backward_
from ..errors import InvalidValue
from ..ops import find
from . import tensors
from .tensors import array


def attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
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
    layout: str = "BHND",
    return_lse: bool = False,
) -> Any:
    """pymfa.attention on tensors of four axes, with gradients of q, k, v, mask, bias and sinks.

    The options are those of pymfa.attention. Without a seed, dropout takes one from PyTorch's
    generator, so that torch.manual_seed repeats it. The log-sum-exp has no gradient.
    """
    tensors.expect_gradients(forward_.NAME, mask, bias, alibi)
    left, right = (None, None) if window is None else window
    o, lse = torch.ops.pymfa.attention(
        q, k, v, mask, bias, alibi, sinks, tensors.causal_name(causal), scale, left, right,
        soft_cap, dropout, tensors.seed(seed, dropout), offset, layout,
    )  # fmt: skip
    return (o, lse) if return_lse else o


def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """torch.nn.functional.scaled_dot_product_attention with its semantics and gradients.

    CPU tensors in float32, float16 or bfloat16. Differences: float64 is refused, and so is a value
    with another number of rows than the key.
    """
    for name, x in (("query", query), ("key", key), ("value", value)):
        tensors.expect(
            f"{sdpa.NAME}: {name}",
            x,
            (query.dtype,) if query.dtype in tensors.FLOATS else tensors.FLOATS,
        )
    if attn_mask is not None:
        tensors.expect(
            f"{sdpa.NAME}: attn_mask", attn_mask, (torch.bool, torch.float32, query.dtype)
        )
    plan = sdpa.arrange(
        query, key, value, attn_mask, dropout_p=dropout_p, is_causal=is_causal, scale=scale,
        enable_gqa=enable_gqa, broadcast_to=torch.broadcast_to,
    )  # fmt: skip
    if dropout_p == 1 or 0 in plan.shape or 0 in plan.k.shape:
        nothing = query.sum() * 0 + key.sum() * 0 + value.sum() * 0  # keeps the graph
        return query.new_zeros(plan.shape) + torch.nan_to_num(nothing, 0.0, 0.0, 0.0)
    result: Tensor = attention(
        plan.q, plan.k, plan.v, mask=plan.mask, scale=plan.scale, dropout=dropout_p,
        causal="upper_left" if is_causal else False,
    )  # fmt: skip
    return result.reshape(plan.shape)


# ---- The operators.


@torch.library.custom_op(
    "pymfa::attention", mutates_args=(), device_types="cpu",
    schema=f"(Tensor q, Tensor k, Tensor v, {tensors.OPTIONS}, str layout) -> (Tensor, Tensor)",
)  # fmt: skip
def _attention(q: Tensor, k: Tensor, v: Tensor, *given: Any) -> tuple[Tensor, Tensor]:
    *options, layout = given
    o, lse = _results(q, v, layout)
    with find(None).commands() as commands:
        forward_.encode(commands, array(q), array(k), array(v), layout=layout, out=array(o),
                        lse=array(lse), copy=True, **tensors.options(*options))  # fmt: skip
    return o, lse


@_attention.register_fake
def _(q: Tensor, _k: Tensor, v: Tensor, *given: Any) -> tuple[Tensor, Tensor]:
    return _results(q, v, given[-1])


@torch.library.custom_op(
    "pymfa::attention_backward", mutates_args=(), device_types="cpu",
    schema="(Tensor do, Tensor q, Tensor k, Tensor v, Tensor o, Tensor lse, "
    f"{tensors.OPTIONS}, str layout, bool[] wanted) -> (Tensor, Tensor, Tensor, Tensor)",
)  # fmt: skip
def _attention_backward(
    do: Tensor, q: Tensor, k: Tensor, v: Tensor, o: Tensor, lse: Tensor, *given: Any
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """dq, dk, dv and the gradient of the bias or mask; empty tensors for those not wanted."""
    *plain, layout, wanted = given
    found = tensors.gradients(q, k, v, plain[0], plain[1], wanted)
    options = tensors.options(*plain)
    columns = k.shape[2 if layout == "BHND" else 1]
    filled = tensors.Filled(backward_.NAME, found, wanted, columns, options)
    with filled, find(None).commands() as commands:
        backward_.encode(commands, array(do), array(q), array(k), array(v), array(o), array(lse),
                         layout=layout, copy=True, **filled.outputs, **options)  # fmt: skip
    return found


@_attention_backward.register_fake
def _(
    _do: Tensor, q: Tensor, k: Tensor, v: Tensor, _o: Tensor, _lse: Tensor, mask: Any, bias: Any,
    *given: Any,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:  # fmt: skip
    return tensors.gradients(q, k, v, mask, bias, given[-1])


def _setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    ctx.options = inputs[7:]
    ctx.mark_non_differentiable(output[1])
    ctx.save_for_backward(*inputs[:7], *output)


def _backward(ctx: Any, do: Tensor, _dlse: Tensor | None) -> tuple[Any, ...]:
    q, k, v, mask, bias, alibi, sinks, o, lse = ctx.saved_tensors
    needs = ctx.needs_input_grad
    wanted = [*needs[:3], needs[3] or needs[4]]
    dq = dk = dv = dbias = dsinks = None
    if any(wanted):
        found = torch.ops.pymfa.attention_backward(
            do, q, k, v, o, lse, mask, bias, alibi, sinks, *ctx.options, wanted
        )
        dq, dk, dv, dbias = (x if w else None for x, w in zip(found, wanted, strict=True))
    if needs[6]:
        rows = 1 if ctx.options[-1] == "BNHD" else 2
        dsinks = tensors.sink_gradient(do, o, lse, sinks, rows=rows)
    dmask = dbias if needs[3] else None
    return dq, dk, dv, dmask, dbias if needs[4] else None, None, dsinks, *(None,) * 9


_attention.register_autograd(_backward, setup_context=_setup)


def _results(q: Tensor, v: Tensor, layout: str) -> tuple[Tensor, Tensor]:
    if q.ndim != 4 or v.ndim != 4:
        raise InvalidValue(
            f"attention: q and v have {q.ndim} and {v.ndim} axes; expected 4, as {layout} says"
        )
    batch, first, second, _ = q.shape
    rows = (first, second) if layout == "BHND" else (second, first)
    o = q.new_empty((batch, first, second, v.shape[-1]))
    return o, q.new_empty((batch, *rows), dtype=torch.float32).fill_(-torch.inf)
