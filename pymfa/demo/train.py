# SPDX-License-Identifier: MIT
"""`python -m pymfa demo train`: a character-level GPT trained with our attention and PyTorch's own.

The text is the language reference that Python's help() shows (pydoc_data.topics). Both start from
the same weights and see the same batches. The trained network then writes, with a K/V cache and by
recomputation, and reads held-out text with quantized caches.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .weights import DemoError

if TYPE_CHECKING:
    from torch import Tensor

    from .gpt import Attend, Config, Weights

BATCH = 16
HELD_OUT = 20_000  # characters at the end of the text
# Both curves run through the same noise; what is left is rounding, which training amplifies.
LARGEST_DIFFERENCE = 0.02  # nats, of the loss after smoothing over 10 steps
# What quantized caches may cost, in percent of the perplexity.
LARGEST_LOSS = {8: 0.1, 4: 3.0}


@dataclass(frozen=True)
class Run:
    name: str
    losses: list[float]
    held_out: float
    seconds: float
    weights: Weights


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        return _run(options)
    except (DemoError, OSError) as error:
        print(f"demo train: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="pymfa demo train", description=__doc__)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", type=int, default=100, help="characters to write at the end")
    parser.add_argument("--plot", type=Path, metavar="PNG", help="draw both loss curves")
    return parser


def text() -> str:
    from pydoc_data.topics import topics

    return "\n\n".join(topics[name] for name in sorted(topics))


def encode(characters: str) -> tuple[np.ndarray[tuple[int], np.dtype[np.int64]], list[str]]:
    """Numbers of the characters, and which character each number is."""
    alphabet = sorted(set(characters))
    numbers = {c: i for i, c in enumerate(alphabet)}
    return np.array([numbers[c] for c in characters], np.int64), alphabet


def train(config: Config, ids: Tensor, attend: Attend, name: str, steps: int, seed: int) -> Run:
    import torch

    from . import gpt

    weights = gpt.make(config, seed)
    optimizer = torch.optim.AdamW(weights.values(), lr=1e-3, betas=(0.9, 0.95), weight_decay=0.01)
    warmup = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / 40))
    generator = torch.Generator().manual_seed(seed + 1)
    window = torch.arange(config.context + 1)
    losses: list[float] = []
    start = time.perf_counter()
    for _ in range(steps):
        first = torch.randint(len(ids) - HELD_OUT - config.context, (BATCH, 1), generator=generator)
        value = gpt.loss(config, weights, ids[first + window], attend)
        optimizer.zero_grad()
        torch.autograd.backward(value)
        torch.nn.utils.clip_grad_norm_(weights.values(), 1.0)
        optimizer.step()
        warmup.step()
        losses.append(value.item())
    seconds = time.perf_counter() - start
    with torch.no_grad():
        held_out = gpt.loss(config, weights, held_out_text(ids, config), attend).item()
    return Run(name, losses, held_out, seconds, {n: w.detach() for n, w in weights.items()})


def held_out_text(ids: Tensor, config: Config) -> Tensor:
    """A batch that training never sees."""
    return ids[-HELD_OUT:][: 16 * config.context].view(16, config.context)


def smooth(losses: Sequence[float], width: int = 10) -> list[float]:
    width = min(width, len(losses))
    return [float(x) for x in np.convolve(losses, np.ones(width) / width, "valid")]


def _run(options: argparse.Namespace) -> int:
    try:
        import torch
    except ImportError:
        raise DemoError("PyTorch is missing; python -m pip install torch") from None
    import pymfa.torch as ours

    from . import generate
    from .gpt import Config

    def attend_ours(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return ours.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)

    def attend_theirs(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        sdpa = torch.nn.functional.scaled_dot_product_attention
        result: Tensor = sdpa(q, k, v, is_causal=True, enable_gqa=True)
        return result

    numbers, alphabet = encode(text())
    ids, config = torch.from_numpy(numbers), Config(symbols=len(alphabet))
    pair = [("pymfa", attend_ours), ("PyTorch", attend_theirs)]
    runs = [train(config, ids, f, name, options.steps, options.seed) for name, f in pair]
    print(f"text         {len(ids):,} characters of Python's help, {len(alphabet)} different ones")
    print(f"network      {sum(w.numel() for w in runs[0].weights.values()):,} weights, "
          f"{config.layers} layers, {config.heads} heads on {config.kv_heads}")  # fmt: skip
    for run in runs:
        curve = smooth(run.losses)
        print(f"{run.name:12} loss {curve[0]:.4f} -> {curve[-1]:.4f} in {options.steps} steps, "
              f"held out {run.held_out:.4f}, {run.seconds:.1f} s")  # fmt: skip
    apart = max(abs(a - b) for a, b in zip(*(smooth(r.losses) for r in runs), strict=True))
    follows = apart <= LARGEST_DIFFERENCE
    print(f"difference   {apart:.2e} at most between the curves "
          f"({'good' if follows else f'TOO LARGE: {LARGEST_DIFFERENCE} is allowed'})")  # fmt: skip

    weights = runs[0].weights
    start = ids[-HELD_OUT:][:20]
    count = min(options.write, config.context - len(start))
    cached = generate.with_cache(config, weights, start, count)
    whole = generate.by_recomputation(config, weights, start, count, attend_ours)
    print(f"written      {''.join(alphabet[i] for i in cached)!r}")
    print(f"cache        {'the same' if cached == whole else 'ANOTHER'} text as by recomputation")
    good = follows and cached == whole
    read = held_out_text(ids, config)
    plain = generate.perplexity(config, weights, read, None)
    print(f"perplexity   {plain:.4f} with a float32 cache")
    for bits, allowed in LARGEST_LOSS.items():
        found = generate.perplexity(config, weights, read, bits)
        worse = 100 * (found / plain - 1)
        fine = worse <= allowed
        print(f"             {found:.4f} with {bits} bits, {worse:+.3f} % "
              f"({'good' if fine else 'TOO MUCH'}: {allowed} % is allowed)")  # fmt: skip
        good = good and fine
    if options.plot:
        from .plot import loss_curves

        loss_curves(options.plot, {r.name: r.losses for r in runs})
        print(f"plot         {options.plot}")
    return 0 if good else 1
