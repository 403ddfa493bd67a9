# SPDX-License-Identifier: MIT
"""Computes the sentence embeddings in float64 NumPy: what the device is measured against."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from .config import Config
from .tokens import Batch

F64 = NDArray[np.float64]
_erf = np.frompyfunc(math.erf, 1, 1)


class Reference:
    """One sentence at a time, without padding: a wrong mask on the device shows as a difference."""

    def __init__(self, config: Config, weights: Mapping[str, NDArray[np.generic]]) -> None:
        self.config = config
        self.weights = weights

    def embed(self, batch: Batch) -> F64:
        rows = [self._sentence(ids[mask]) for ids, mask in zip(batch.ids, batch.mask, strict=True)]
        return np.stack(rows)

    def _sentence(self, ids: NDArray[np.uint32]) -> F64:
        x = self._embeddings(ids)
        for layer in range(self.config.layers):
            prefix = f"encoder.layer.{layer}."
            attended = self._linear(prefix + "attention.output.dense", self._attention(prefix, x))
            x = self._norm(prefix + "attention.output.LayerNorm", x + attended)
            inner = _gelu(self._linear(prefix + "intermediate.dense", x))
            x = self._norm(
                prefix + "output.LayerNorm", x + self._linear(prefix + "output.dense", inner)
            )
        mean: F64 = x.mean(axis=0)
        unit: F64 = mean / np.linalg.norm(mean)
        return unit

    def _embeddings(self, ids: NDArray[np.uint32]) -> F64:
        words = self._weight("embeddings.word_embeddings.weight", ids)
        places = self._weight("embeddings.position_embeddings.weight", np.arange(len(ids)))
        kind = self._weight("embeddings.token_type_embeddings.weight", np.array([0]))
        return self._norm("embeddings.LayerNorm", words + places + kind)

    def _attention(self, prefix: str, x: F64) -> F64:
        n, heads, width = len(x), self.config.heads, self.config.head_width
        q, k, v = (
            self._linear(f"{prefix}attention.self.{name}", x).reshape(n, heads, width)
            for name in ("query", "key", "value")
        )
        scores = np.einsum("rhd,chd->hrc", q, k) / math.sqrt(width)
        p = np.exp(scores - scores.max(axis=-1, keepdims=True))
        p /= p.sum(axis=-1, keepdims=True)
        out: F64 = np.einsum("hrc,chd->rhd", p, v).reshape(n, heads * width)
        return out

    def _linear(self, name: str, x: F64) -> F64:
        out: F64 = x @ self._weight(name + ".weight").T + self._weight(name + ".bias")
        return out

    def _norm(self, name: str, x: F64) -> F64:
        centred = x - x.mean(axis=-1, keepdims=True)
        variance = np.square(centred).mean(axis=-1, keepdims=True)
        scaled = centred / np.sqrt(variance + self.config.epsilon)
        out: F64 = scaled * self._weight(name + ".weight") + self._weight(name + ".bias")
        return out

    def _weight(self, name: str, rows: NDArray[np.generic] | None = None) -> F64:
        value = self.weights[name]
        return (value if rows is None else value[rows]).astype(np.float64)


def _gelu(x: F64) -> F64:
    erf = np.asarray(_erf(x / math.sqrt(2.0)), np.float64)
    out: F64 = x * 0.5 * (1.0 + erf)
    return out
