# SPDX-License-Identifier: MIT
"""A small character-level GPT as plain functions of its weights; attention is a parameter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

Attend = Callable[[Tensor, Tensor, Tensor], Tensor]  # q, k, v of (batch, head, row, width), causal
Weights = dict[str, Tensor]


@dataclass(frozen=True)
class Config:
    symbols: int
    context: int = 128
    layers: int = 3
    heads: int = 4
    kv_heads: int = 2  # two query heads share keys and values
    head_width: int = 32

    @property
    def width(self) -> int:
        return self.heads * self.head_width


def make(config: Config, seed: int) -> Weights:
    generator = torch.Generator().manual_seed(seed)
    d, kv = config.width, config.kv_heads * config.head_width

    def normal(*shape: int, scale: float = 0.02) -> Tensor:
        return torch.randn(shape, generator=generator) * scale

    weights = {"symbols": normal(config.symbols, d), "places": normal(config.context, d)}
    for i in range(config.layers):
        last = 0.02 / (2 * config.layers) ** 0.5
        weights |= {
            f"{i}.qkv": normal(d + 2 * kv, d),
            f"{i}.out": normal(d, d, scale=last),
            f"{i}.up": normal(4 * d, d),
            f"{i}.down": normal(d, 4 * d, scale=last),
            f"{i}.norm1": torch.ones(d),
            f"{i}.norm2": torch.ones(d),
        }
    weights["norm"] = torch.ones(d)
    return {name: tensor.requires_grad_() for name, tensor in weights.items()}


def forward(config: Config, weights: Weights, ids: Tensor, attend: Attend) -> Tensor:
    """Logits of the next symbol at each of (batch, row)."""
    x = weights["symbols"][ids] + weights["places"][: ids.shape[1]]
    for i in range(config.layers):
        q, k, v = heads(config, weights, i, x)
        x = mix(config, weights, i, x, attend(q, k, v))
    return logits(config, weights, x)


def heads(config: Config, weights: Weights, i: int, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """q, k and v of layer i as views (batch, head, row, width) of one product."""
    y = F.layer_norm(x, x.shape[-1:], weights[f"{i}.norm1"])
    y = F.linear(y, weights[f"{i}.qkv"])
    y = y.view(*y.shape[:2], -1, config.head_width).transpose(1, 2)
    h, kv = config.heads, config.kv_heads
    return y[:, :h], y[:, h : h + kv], y[:, h + kv :]


def mix(config: Config, weights: Weights, i: int, x: Tensor, o: Tensor) -> Tensor:
    """The rest of layer i, given what attention returned."""
    x = x + F.linear(o.transpose(1, 2).flatten(2), weights[f"{i}.out"])
    y = F.layer_norm(x, x.shape[-1:], weights[f"{i}.norm2"])
    return x + F.linear(F.gelu(F.linear(y, weights[f"{i}.up"])), weights[f"{i}.down"])


def logits(config: Config, weights: Weights, x: Tensor) -> Tensor:
    return F.linear(F.layer_norm(x, x.shape[-1:], weights["norm"]), weights["symbols"])


def loss(config: Config, weights: Weights, ids: Tensor, attend: Attend) -> Tensor:
    """Mean of the negative log-likelihood of each symbol but the first, in nats."""
    found = forward(config, weights, ids[:, :-1], attend)
    result: Tensor = F.cross_entropy(found.flatten(0, 1), ids[:, 1:].flatten())
    return result
