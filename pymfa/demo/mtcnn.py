# SPDX-License-Identifier: MIT
"""The three networks of MTCNN (Zhang et al. 2016) over any convolution: an image -> faces."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
# (data, weights K, window..., C, bias, padding none, stride 1) -> result, all N, y, x, channels.
Convolve = Callable[[Any, Any, Any], Any]

_FACTOR = 0.709  # from one scale of the pyramid to the next
_SMALLEST = 20  # edge of the smallest face
_SCORES = (0.6, 0.7, 0.8)  # that a box needs to leave each stage


@dataclass(frozen=True)
class Layer:
    weights: Any  # what the convolution takes
    bias: Any
    slope: Any  # PReLU's, for negative numbers; None without
    pool: tuple[int, str] | None  # edge of the window and "same" or "valid", stride 2


@dataclass(frozen=True)
class Network:
    """Layers one after another, then several that all read the last one's result."""

    body: list[Layer]
    heads: list[Layer]

    def run(self, convolve: Convolve, x: Any) -> list[Any]:
        for layer in self.body:
            x = _apply(convolve, layer, x)
        return [_apply(convolve, head, x) for head in self.heads]


_POOLS: dict[str, list[tuple[int, str] | None]] = {
    "pnet": [(2, "same"), None, None],
    "rnet": [(3, "same"), (3, "valid"), None, None],
    "onet": [(3, "same"), (3, "valid"), (2, "same"), None, None],
}


def networks(
    arrays: dict[str, list[Any]], prepare: Callable[[Any], Any], dtype: Any
) -> dict[str, Network]:
    """The stored lists of weights as networks; `prepare` makes what the convolution takes."""
    return {
        name: _network(list(arrays[name]), pools, prepare, dtype) for name, pools in _POOLS.items()
    }


def _network(stored: list[Any], pools: Any, prepare: Any, dtype: Any) -> Network:
    body = []
    for pool in pools:
        w, b, slope = (stored.pop(0) for _ in range(3))
        body.append(Layer(prepare(_window(w)), b.astype(dtype), slope.reshape(-1), pool))
    heads = []
    while stored:
        w, b = stored.pop(0), stored.pop(0)
        heads.append(Layer(prepare(_window(w)), b.astype(dtype), None, None))
    return Network(body, heads)


def _window(w: Any) -> Any:
    """As our convolution has it: output channels first. A dense layer is a window over all of the
    3x3 pixels before it, which it numbers column by column, or over one."""
    if w.ndim == 4:
        return np.ascontiguousarray(np.moveaxis(w, -1, 0))
    edge = 3 if len(w) in (3 * 3 * 64, 3 * 3 * 128) else 1
    turned = w.T.reshape(w.shape[1], edge, edge, -1)
    return np.ascontiguousarray(turned.swapaxes(1, 2))


def _apply(convolve: Convolve, layer: Layer, x: Any) -> Any:
    x = convolve(x, layer.weights, layer.bias)
    if layer.slope is not None:
        x = np.where(x < 0, x * layer.slope.astype(x.dtype), x)
    return x if layer.pool is None else _pool(x, *layer.pool)


def _pool(x: Any, edge: int, padding: str) -> Any:
    """The largest of each window of edge x edge, every 2 pixels."""
    height, width = x.shape[1:3]
    if padding == "same":
        sizes = [-(-n // 2) for n in (height, width)]
        room = [max((s - 1) * 2 + edge - n, 0) for s, n in zip(sizes, (height, width), strict=True)]
        around = [(0, 0), *((r // 2, r - r // 2) for r in room), (0, 0)]
        x = np.pad(x, around, constant_values=-np.inf)
    else:
        sizes = [(n - edge) // 2 + 1 for n in (height, width)]
    parts = [
        x[:, i : i + 2 * sizes[0] - 1 : 2, j : j + 2 * sizes[1] - 1 : 2]
        for i in range(edge)
        for j in range(edge)
    ]
    return np.maximum.reduce(parts)


def detect(nets: dict[str, Network], convolve: Convolve, image: F64, dtype: Any) -> F64:
    """Rows of x1, y1, x2, y2, score. The image is y, x, 3 with values in 0..255."""
    image = (image - 127.5) / 128
    boxes = []
    scale = 12 / _SMALLEST
    while min(image.shape[:2]) * scale >= 12:
        size = tuple(round(n * scale) for n in image.shape[:2])
        x = resize(image, size)[None].astype(dtype)
        offsets, logits = (np.asarray(y, np.float64)[0] for y in nets["pnet"].run(convolve, x))
        score = _softmax(logits)
        y, x = np.nonzero(score > _SCORES[0])
        corner = np.stack([x * 2 + 1, y * 2 + 1, x * 2 + 12, y * 2 + 12], axis=-1)
        found = (corner + offsets[y, x] * 11) / scale
        boxes.append(_suppress(np.column_stack([found, score[y, x]]), 0.5))
        scale *= _FACTOR
    found = _square(_suppress(np.concatenate(boxes), 0.7))
    for name, edge, least in (("rnet", 24, _SCORES[1]), ("onet", 48, _SCORES[2])):
        if not len(found):
            break
        patches = np.stack([resize(_cut(image, box), (edge, edge)) for box in found])
        heads = [
            np.asarray(y, np.float64)[:, 0, 0]
            for y in nets[name].run(convolve, patches.astype(dtype))
        ]
        offsets, score = heads[0], _softmax(heads[-1])
        extent = found[:, 2:4] - found[:, :2] + 1
        moved = found[:, :4] + offsets * np.tile(extent, 2)
        found = np.column_stack([moved, score])[score > least]
        found = _suppress(found, 0.7, of_smaller=name == "onet")
        if name == "rnet":
            found = _square(found)
    return found


def resize(image: F64, size: tuple[int, ...]) -> F64:
    """Each new pixel is the mean of the area of the old ones that it covers."""
    rows, columns = (_areas(n, m) for n, m in zip(image.shape[:2], size, strict=True))
    out: F64 = np.einsum("yi,ijc,xj->yxc", rows, image, columns, optimize=True)
    return out


def _areas(old: int, new: int) -> F64:
    edges = np.arange(new + 1) * (old / new)
    low, high = edges[:-1, None], edges[1:, None]
    pixel = np.arange(old)
    covered = np.clip(np.minimum(high, pixel + 1) - np.maximum(low, pixel), 0, None)
    return np.asarray(covered / covered.sum(axis=1, keepdims=True), np.float64)


def _cut(image: F64, box: F64) -> F64:
    """The part of the image inside the box; black outside the image."""
    x1, y1, x2, y2 = (round(float(v)) for v in box[:4])
    part = np.zeros((max(y2 - y1, 1), max(x2 - x1, 1), 3))
    top, left = max(y1, 0), max(x1, 0)
    inside = image[top : max(y2, 0), left : max(x2, 0)][: len(part), : part.shape[1]]
    part[top - y1 : top - y1 + inside.shape[0], left - x1 : left - x1 + inside.shape[1]] = inside
    return part


def _softmax(logits: F64) -> F64:
    out: F64 = 1 / (1 + np.exp(logits[..., 0] - logits[..., 1]))
    return out


def _square(boxes: F64) -> F64:
    centre = (boxes[:, :2] + boxes[:, 2:4]) / 2
    half = (boxes[:, 2:4] - boxes[:, :2]).max(axis=1, initial=0, keepdims=True) / 2
    return np.column_stack([centre - half, centre + half, boxes[:, 4]])


def _suppress(boxes: F64, most: float, *, of_smaller: bool = False) -> F64:
    """The best boxes, without those that overlap a better one by more than `most`."""
    boxes = boxes[np.argsort(-boxes[:, 4], kind="stable")]
    area = np.prod(boxes[:, 2:4] - boxes[:, :2], axis=1)
    kept: list[int] = []
    for i in range(len(boxes)):
        low = np.maximum(boxes[kept, :2], boxes[i, :2])
        high = np.minimum(boxes[kept, 2:4], boxes[i, 2:4])
        common = np.prod(np.clip(high - low, 0, None), axis=1)
        whole = np.minimum(area[kept], area[i]) if of_smaller else area[kept] + area[i] - common
        if not (common > most * whole).any():
            kept.append(i)
    return boxes[kept]
