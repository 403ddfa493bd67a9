# SPDX-License-Identifier: MIT
"""`python -m pymfa demo vision`: finds faces with MTCNN, all convolutions on our own kernels."""

from __future__ import annotations

import argparse
import importlib.util
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

import pymfa
from pymfa.demo.mtcnn import F64, detect, networks

_NEEDED = {"mtcnn": "its weights", "joblib": "", "lz4": "", "PIL": "the package pillow"}


def main(argv: list[str]) -> int:
    made = argparse.ArgumentParser(prog="pymfa demo vision", description=__doc__)
    made.add_argument("image", nargs="?", type=Path, help="default: scikit-image's astronaut")
    made.add_argument("--output", type=Path, metavar="PNG", help="the picture with boxes drawn")
    arguments = made.parse_args(argv)
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    path = arguments.image or _astronaut()
    if path is None:
        missing.append("skimage (the package scikit-image: its picture)")
    if missing or path is None:
        print(f"demo vision: not installed: {', '.join(missing)}", file=sys.stderr)
        return 1

    from PIL import Image

    picture = np.asarray(Image.open(path).convert("RGB"))
    stored = _weights()
    image = picture.astype(np.float64)
    exact, seconds = _timed(stored, image, _numpy, lambda w: w.astype(np.float64), np.float64)
    print(f"{path.name}: {picture.shape[1]} x {picture.shape[0]} pixels")
    _report("float64, NumPy", exact, exact, seconds)
    half, seconds = _timed(stored, image, _ours, lambda w: w.astype(np.float16), np.float16)
    _report("FP16", half, exact, seconds)
    found, seconds = _timed(
        stored, image, _ours, lambda w: pymfa.palettize(w.astype(np.float16), bits=6), np.float16
    )
    _report("6-bit palettized", found, exact, seconds)
    if arguments.output:
        _draw(picture, half, arguments.output)
        print(f"wrote {arguments.output}")
    return 0 if len(half) == len(exact) else 1


def _astronaut() -> Path | None:
    found = importlib.util.find_spec("skimage")
    if found is None or found.origin is None:
        return None
    path = Path(found.origin).parent / "data" / "astronaut.png"
    return path if path.exists() else None


def _weights() -> dict[str, list[Any]]:
    import joblib

    found = importlib.util.find_spec("mtcnn")
    assert found is not None and found.origin is not None
    folder = Path(found.origin).parent / "assets" / "weights"
    return {name: joblib.load(folder / f"{name}.lz4") for name in ("pnet", "rnet", "onet")}


def _ours(x: Any, w: Any, bias: Any) -> Any:
    return pymfa.convolution(x, w, bias=bias)


def _numpy(x: Any, w: Any, bias: Any) -> Any:
    height, width = w.shape[1:3]
    rows, columns = x.shape[1] - height + 1, x.shape[2] - width + 1
    out = np.zeros((len(x), rows, columns, len(w))) + bias
    for i in range(height):
        for j in range(width):
            out += x[:, i : i + rows, j : j + columns] @ w[:, i, j].T
    return out


def _timed(stored: Any, image: F64, convolve: Any, prepare: Any, dtype: Any) -> tuple[F64, float]:
    """The second of two runs: the first one compiles."""
    nets = networks(stored, prepare, dtype)
    detect(nets, convolve, image, dtype)
    start = time.perf_counter()
    found = detect(nets, convolve, image, dtype)
    return found, time.perf_counter() - start


def _report(name: str, found: F64, exact: F64, seconds: float) -> None:
    print(f"{name}: {len(found)} face{'s' * (len(found) != 1)} in {seconds * 1e3:.0f} ms")
    for box in found:
        x1, y1, x2, y2, score = (float(v) for v in box)
        line = f"  x {x1:.1f} to {x2:.1f}, y {y1:.1f} to {y2:.1f}, score {score:.4f}"
        if found is not exact and len(exact):
            near = exact[np.abs(exact[:, :4] - box[:4]).sum(axis=1).argmin()]
            off, less = np.abs(near[:4] - box[:4]).max(), abs(near[4] - score)
            line += f"; off by {off:.2f} pixels, {less:.1e} in score"
        print(line)


def _draw(picture: Any, boxes: F64, path: Path) -> None:
    from PIL import Image, ImageDraw

    image = Image.fromarray(picture)
    pen = ImageDraw.Draw(image)
    for box in boxes:
        pen.rectangle([float(v) for v in box[:4]], outline=(0, 255, 0), width=3)
    image.save(path)
