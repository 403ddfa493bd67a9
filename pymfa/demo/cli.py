# SPDX-License-Identifier: MIT
"""`python -m pymfa demo`: sentences in, their similarities out, checked against float64 NumPy."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import pymfa

from .config import read_config
from .minilm import MiniLM
from .reference import Reference
from .tokens import Batch, tokenize
from .weights import DemoError, load_safetensors, model_folder

SENTENCES = [
    "A man is playing a guitar on stage.",
    "A musician performs a song in front of an audience.",
    "The recipe calls for two cups of flour and an egg.",
    "She baked a cake for her friend's birthday.",
    "The central bank raised interest rates by half a point.",
    "Inflation is expected to slow down later this year.",
    "How do I reset my password?",
    "I cannot log in to my account any more.",
]
# Half precision keeps eleven bits; the network's rounding errors add up to far less than this.
LOWEST_COSINE = 0.9999
_SECONDS = 2.0  # of timing, at most


def main(arguments: Sequence[str] | None = None) -> int:
    if arguments and arguments[0] == "vision":
        from . import vision

        return vision.main(list(arguments[1:]))
    options = _parser().parse_args(arguments)
    try:
        return _run(options)
    except (DemoError, OSError, pymfa.Error) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pymfa demo",
        description="Embeds sentences with all-MiniLM-L6-v2, a transformer whose every step runs "
        "on pymfa's kernels and on a few written for this demo, and compares their meanings.",
    )
    parser.add_argument("sentences", nargs="*", help="(default: a handful of examples)")
    parser.add_argument("--file", type=Path, help="read sentences from a file, one a line")
    parser.add_argument("--plot", type=Path, metavar="PNG", help="write a heat map")
    parser.add_argument("--device", help='such as "cpu" or "metal:0"; see python -m pymfa info')
    return parser


def _run(options: argparse.Namespace) -> int:
    sentences: list[str] = list(options.sentences)
    if options.file:
        lines = options.file.read_text(encoding="utf-8").splitlines()
        sentences += [line.strip() for line in lines if line.strip()]
    sentences = sentences or SENTENCES
    device = pymfa.device(options.device)
    folder = model_folder()
    config, weights = read_config(folder), load_safetensors(folder / "model.safetensors")
    batch = tokenize(folder, sentences)

    model = MiniLM(device, config, weights)
    model.prepare(batch)
    embeddings = model.embed(batch)
    seconds = _time(model, batch)
    exact = Reference(config, weights).embed(batch)

    similarity = embeddings.astype(np.float64) @ embeddings.astype(np.float64).T
    print(_table(sentences, similarity))
    difference = float(np.abs(embeddings - exact).max())
    lengths = np.linalg.norm(embeddings, axis=1) * np.linalg.norm(exact, axis=1)
    cosine = float(((embeddings * exact).sum(axis=1) / lengths).min())
    good = cosine >= LOWEST_COSINE
    print(f"device       {device.name}: {device.description}")
    print(f"speed        {batch.tokens / seconds:,.0f} tokens/s ({batch.tokens} tokens in "
          f"{seconds * 1e3:.1f} ms, one command buffer)")  # fmt: skip
    print(f"difference   {difference:.2e} at most from the same network in float64 NumPy")
    print(f"cosine       {cosine:.7f} at least ({'good' if good else 'TOO LOW'}: "
          f"{LOWEST_COSINE} is required)")  # fmt: skip
    if options.plot:
        from .plot import heat_map

        heat_map(options.plot, similarity, sentences)
        print(f"plot         {options.plot}")
    return 0 if good else 1


def _time(model: MiniLM, batch: Batch) -> float:
    """Median of a few passes."""
    rounds: list[float] = []
    while len(rounds) < 5 and sum(rounds) < _SECONDS:
        start = time.perf_counter()
        model.embed(batch)
        rounds.append(time.perf_counter() - start)
    return float(np.median(rounds))


def _table(sentences: Sequence[str], similarity: NDArray[Any]) -> str:
    width = min(60, max(len(s) for s in sentences))
    short = [s if len(s) <= width else s[: width - 1] + "…" for s in sentences]
    head = " " * (width + 5) + "".join(f"{i + 1:6}" for i in range(len(sentences)))
    rows = [
        f"{i + 1:3}  {text:{width}}" + "".join(f"{value:6.2f}" for value in row)
        for i, (text, row) in enumerate(zip(short, similarity, strict=True))
    ]
    return "\n".join([head, *rows, ""])
