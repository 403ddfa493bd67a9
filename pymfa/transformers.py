# SPDX-License-Identifier: MIT
"""Attention for Hugging Face transformers: attn_implementation="pymfa", in place on CPU tensors.

    import pymfa.transformers
    model = AutoModel.from_config(config, attn_implementation="pymfa")

Importing registers the name. A model made before that, or for something else, takes it over with
model.set_attn_implementation("pymfa"). transformers and PyTorch are not dependencies of pymfa.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import AttentionInterface
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

from .errors import InvalidType, InvalidValue, Unsupported
from .torch import attention

NAME = "pymfa"
_FLOATS = (torch.float32, torch.float16, torch.bfloat16)
# What some models hand over that changes the result, and that is not done here.
_REFUSED = ("cache", "block_mask", "head_mask", "layer_head_mask")


def attention_forward(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    is_causal: bool | None = None,
    position_bias: Tensor | None = None,
    softcap: float | None = None,
    s_aux: Tensor | None = None,
    **options: Any,
) -> tuple[Tensor, None]:
    """What transformers calls. Heads are axis 1 of the tensors and axis 2 of the result.

    Keys and values with fewer heads are read in place. The causal rule is that of "sdpa": without
    a mask, rows see the columns up to their own number, and a single row sees all. Beside what
    "sdpa" does there are soft caps (Gemma 2) and sinks (gpt-oss), with their gradients.
    """
    for name, tensor in (("query", query), ("key", key), ("value", value)):
        _expect(name, tensor, query.dtype)
    for name in _REFUSED:
        if options.get(name) is not None:
            raise Unsupported(f"{NAME} attention: a model gave {name}; expected none")
    if options.get("output_attentions"):
        raise Unsupported(
            f'{NAME} attention: output_attentions is True, but weights are never stored; "eager" '
            "returns them"
        )
    rows, columns = query.shape[2], key.shape[2]
    if is_causal is None:
        is_causal = bool(getattr(module, "is_causal", True))
    causal = is_causal and attention_mask is None and rows > 1
    if position_bias is not None and causal:
        position_bias = position_bias[..., :columns]
    sinks = None if s_aux is None else s_aux.reshape(-1).float()
    batch = max(query.shape[0], key.shape[0])
    # A model's tensors are transposed views, so that heads lie beside each other: BNHD.
    q, k, v = (x.expand(batch, -1, -1, -1).transpose(1, 2) for x in (query, key, value))
    result: Tensor = attention(
        q, k, v, mask=attention_mask, bias=position_bias, scale=scaling, soft_cap=softcap,
        sinks=sinks, dropout=dropout, causal="upper_left" if causal else False, layout="BNHD",
    )  # fmt: skip
    return result, None


def _expect(name: str, tensor: Tensor, dtype: torch.dtype) -> None:
    what = f"{NAME} attention: {name}"
    if tensor.device.type not in ("cpu", "meta"):
        raise InvalidType(f"{what} is on {tensor.device}; expected the CPU")
    if tensor.dtype not in _FLOATS:
        raise InvalidType(f"{what} is {tensor.dtype}; expected float32, float16 or bfloat16")
    if tensor.dtype != dtype:
        raise InvalidType(f"{what} is {tensor.dtype}; expected {dtype}, as the query is")
    if tensor.ndim != 4:
        raise InvalidValue(f"{what} has shape {tuple(tensor.shape)}; expected 4 axes")


AttentionInterface.register(NAME, attention_forward)
AttentionMaskInterface.register(NAME, sdpa_mask)
