# SPDX-License-Identifier: MIT
"""all-MiniLM-L6-v2 on a device: matrix products and attention of pymfa, the rest custom kernels."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import pymfa

from .config import Config
from .tokens import Batch

Array = NDArray[Any]
_SIMD = 32


def compile_steps(device: pymfa.Device) -> list[pymfa.Pipeline]:
    """The steps between the matrix products."""
    library = device.library(source=(Path(__file__).parent / "kernels.metal").read_text())
    return [library.pipeline(name) for name in ("embed", "add_norm", "gelu", "pool")]


def problems(config: Config, sentences: int, tokens: int) -> list[pymfa.Problem]:
    """What a batch of this size needs of pymfa."""
    rows, width, inner = sentences * tokens, config.width, config.inner
    sizes = [(3 * width, width), (width, width), (inner, width), (width, inner)]
    return [
        *(pymfa.GemmDesc(rows, n, k, trans_b=True, bias=True) for n, k in sizes),
        pymfa.AttentionDesc(tokens, tokens, config.head_width, config.heads, sentences,
                            mask="bool", layout="BNHD"),
    ]  # fmt: skip


class MiniLM:
    """Weights in float16 on the device. One command buffer for each forward pass."""

    def __init__(
        self, device: pymfa.Device, config: Config, weights: Mapping[str, NDArray[np.generic]]
    ) -> None:
        self.device = device
        self.config = config
        self._weights = weights
        self._embed, self._add_norm, self._gelu, self._pool = compile_steps(device)
        self._words, self._places, self._kinds = (
            self._load(f"embeddings.{name}_embeddings.weight")
            for name in ("word", "position", "token_type")
        )
        self._first_norm = self._norm_weights("embeddings.LayerNorm")
        self._layers = [_Layer(self, f"encoder.layer.{i}.") for i in range(config.layers)]

    def embed(self, batch: Batch) -> NDArray[np.float32]:
        """One row of length 1 for each sentence."""
        sentences, tokens = batch.ids.shape
        rows, width = sentences * tokens, self.config.width
        ids, mask = self._upload(batch.ids), self._upload(batch.mask)
        x, y = (self.device.empty((rows, width), np.float16) for _ in "xy")
        room = _Room(self, sentences, tokens)
        result = self.device.empty((sentences, width), np.float32)
        with self.device.commands(label="MiniLM") as commands:
            commands.dispatch(
                self._embed,
                buffers={0: ids, 1: self._words, 2: self._places, 3: self._kinds, 4: x,
                         5: np.uint32(tokens)},
                threads=(width, rows), threads_per_threadgroup=(128, 1),
            )  # fmt: skip
            self._normalize(commands, x, None, self._first_norm, y)
            for layer in self._layers:
                layer.encode(commands, y, x, mask[:, None, None, :], room)
            commands.dispatch(
                self._pool,
                buffers={0: y, 1: mask, 2: result, 3: np.uint32(tokens), 4: np.uint32(width)},
                threadgroups=sentences, threads_per_threadgroup=_SIMD,
            )  # fmt: skip
        return result

    def prepare(self, batch: Batch) -> None:
        """Compiles what a batch of this size needs, so that the first pass is as fast as others."""
        self.device.prepare(problems(self.config, *batch.ids.shape))

    def _normalize(
        self, commands: pymfa.Commands, x: Array, add: Array | None, weights: Any, out: Array
    ) -> None:
        gain, offset = weights
        norm = np.uint32(self.config.width).tobytes() + np.float32(self.config.epsilon).tobytes()
        commands.dispatch(
            self._add_norm,
            buffers={0: x, 1: x if add is None else add, 2: gain, 3: offset, 4: out, 5: norm,
                     6: np.bool_(add is not None)},
            threadgroups=len(x), threads_per_threadgroup=_SIMD,
        )  # fmt: skip

    def _load(self, *names: str) -> Array:
        """Weights in float16; several are stacked along the first axis."""
        return self._upload(np.concatenate([self._weights[n] for n in names]).astype(np.float16))

    def _norm_weights(self, name: str) -> tuple[Array, Array]:
        return self._load(name + ".weight"), self._load(name + ".bias")

    def _upload(self, values: NDArray[Any]) -> Array:
        array = self.device.empty(values.shape, values.dtype)
        array[...] = values
        return array


class _Room:
    """Memory for what the layers compute on the way; each layer uses it anew."""

    def __init__(self, model: MiniLM, sentences: int, tokens: int) -> None:
        config, rows = model.config, sentences * tokens
        heads = (sentences, tokens, config.heads, config.head_width)
        self.qkv = model.device.empty((rows, 3 * config.width), np.float16)
        self.q, self.k, self.v = (
            np.moveaxis(self.qkv.reshape(*heads[:2], 3, *heads[2:]), 2, 0)[i] for i in range(3)
        )
        self.attended = model.device.empty(heads, np.float16)
        self.inner = model.device.empty((rows, config.inner), np.float16)


class _Layer:
    def __init__(self, model: MiniLM, prefix: str) -> None:
        self._model = model
        names = [f"{prefix}attention.self.{name}" for name in ("query", "key", "value")]
        self._qkv = self._linear(*names)
        self._project = self._linear(prefix + "attention.output.dense")
        self._widen = self._linear(prefix + "intermediate.dense")
        self._narrow = self._linear(prefix + "output.dense")
        self._attention_norm = model._norm_weights(prefix + "attention.output.LayerNorm")
        self._output_norm = model._norm_weights(prefix + "output.LayerNorm")

    def encode(
        self, commands: pymfa.Commands, x: Array, spare: Array, mask: Array, room: _Room
    ) -> None:
        """From x to x; `spare` is as large."""
        model = self._model
        _apply(commands, self._qkv, x, room.qkv)
        commands.attention(room.q, room.k, room.v, mask=mask, layout="BNHD", out=room.attended)
        _apply(commands, self._project, room.attended.reshape(x.shape), spare)
        model._normalize(commands, spare, x, self._attention_norm, x)
        _apply(commands, self._widen, x, room.inner)
        commands.dispatch(
            model._gelu, buffers={0: room.inner}, threads=room.inner.size,
            threads_per_threadgroup=256,
        )  # fmt: skip
        _apply(commands, self._narrow, room.inner, spare)
        model._normalize(commands, spare, x, self._output_norm, x)

    def _linear(self, *names: str) -> tuple[Array, Array]:
        weights = self._model._load(*(name + ".weight" for name in names))
        return weights, self._model._load(*(name + ".bias" for name in names))


def _apply(commands: pymfa.Commands, layer: tuple[Array, Array], x: Array, out: Array) -> None:
    weights, bias = layer
    commands.hgemm(x, weights, trans_b=True, bias=bias, out=out)
