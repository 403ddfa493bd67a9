# SPDX-License-Identifier: MIT
"""The trained GPT symbol by symbol: keys and values in a cache, plain or quantized."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

import pymfa
from pymfa.cache import QuantizedKV, quantize_kv

from . import gpt
from .gpt import Attend, Config, Weights

GROUP = 32  # elements of a row that share a scale; what a head is wide


class Cache:
    """Keys or values of one layer, (batch, head, row, width), to which rows are added."""

    def __init__(self, config: Config, batch: int, bits: int | None) -> None:
        shape = (batch, config.kv_heads, config.context, config.head_width)
        self.bits = bits
        self.data: Any = np.zeros(shape, np.float32)
        if bits is not None:
            self.data = quantize_kv(self.data, bits=bits, group_size=GROUP)

    def add(self, row: int, tensor: Tensor) -> None:
        new = tensor.numpy()
        if self.bits is None:
            self.data[:, :, row : row + 1] = new
            return
        part = quantize_kv(np.ascontiguousarray(new), bits=self.bits, group_size=GROUP)
        whole: QuantizedKV = self.data
        for name in ("values", "scales", "biases"):
            getattr(whole, name)[:, :, row : row + 1] = getattr(part, name)


class Decoder:
    """One step takes one symbol per batch and gives the logits of the next."""

    def __init__(self, config: Config, weights: Weights, batch: int, bits: int | None = None):
        self.config, self.weights, self.row = config, weights, 0
        self.caches = [
            (Cache(config, batch, bits), Cache(config, batch, bits)) for _ in range(config.layers)
        ]

    @torch.no_grad()
    def step(self, ids: Tensor) -> Tensor:
        config, weights = self.config, self.weights
        x = weights["symbols"][ids][:, None] + weights["places"][self.row]
        lengths = np.full(len(ids), self.row + 1, np.uint32)
        for i, (keys, values) in enumerate(self.caches):
            q, k, v = gpt.heads(config, weights, i, x)
            keys.add(self.row, k)
            values.add(self.row, v)
            o = pymfa.attention_decode(
                np.ascontiguousarray(q.numpy()), keys.data, values.data, lengths=lengths
            )
            x = gpt.mix(config, weights, i, x, torch.from_numpy(o))
        self.row += 1
        return gpt.logits(config, weights, x)[:, 0]


def with_cache(config: Config, weights: Weights, start: Tensor, count: int) -> list[int]:
    """The most likely continuation of `start`, one step of the decoder per symbol."""
    decoder = Decoder(config, weights, 1)
    found = start.tolist()
    for symbol in found[:-1]:
        decoder.step(torch.tensor([symbol]))
    for _ in range(count):
        found.append(int(decoder.step(torch.tensor([found[-1]])).argmax()))
    return found


@torch.no_grad()
def by_recomputation(
    config: Config, weights: Weights, start: Tensor, count: int, attend: Attend
) -> list[int]:
    """The same by the whole network for every symbol."""
    found = start.tolist()
    for _ in range(count):
        out = gpt.forward(config, weights, torch.tensor([found]), attend)
        found.append(int(out[0, -1].argmax()))
    return found


def perplexity(config: Config, weights: Weights, ids: Tensor, bits: int | None) -> float:
    """exp of the mean negative log-likelihood of (batch, row), through the cache."""
    decoder = Decoder(config, weights, len(ids), bits)
    total = 0.0
    for row in range(ids.shape[1] - 1):
        out = decoder.step(ids[:, row])
        total += F.cross_entropy(out, ids[:, row + 1], reduction="sum").item()
    return float(np.exp(total / ids[:, 1:].numel()))
