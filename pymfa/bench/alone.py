# SPDX-License-Identifier: MIT
"""PyTorch's attention in a process that never loads pymfa: is anybody held back by sharing one?

As a module it starts that process; run as a program, with arguments, it is the process. Each line
on stdin there is a request for one sample, measured as rounds.py measures everything.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

ROUNDS = Path(__file__).with_name("rounds.py")
LIBRARY = "libmfa"


class Alone:
    """Forward and backward of one shape in float32, in a process of its own."""

    def __init__(self, shape: tuple[int, ...], threads: int) -> None:
        arguments = [str(n) for n in (threads, *shape)]
        self._process = subprocess.Popen(
            [sys.executable, "-P", __file__, *arguments], text=True, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
        )  # fmt: skip
        self._read()  # it is warm

    def seconds(self) -> float:
        """One sample, while this process is idle."""
        from pymfa.bench.rounds import settle

        settle()
        assert self._process.stdin is not None
        print(flush=True, file=self._process.stdin)
        return self._read()

    def _read(self) -> float:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            import pymfa

            raise pymfa.Failure(f"bench: the process of PyTorch ended with {self._process.wait()}")
        return float(line)

    def __enter__(self) -> Alone:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _value: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._process.communicate()  # the end of its input ends it


# ---- the program ----------------------------------------------------------------------------


def both_directions(threads: int, shape: tuple[int, ...]) -> Any:
    """A call that computes attention and its gradients."""
    import torch

    torch.set_num_threads(threads)
    torch.manual_seed(1)
    gradient, q, k, v = (torch.randn(shape) for _ in range(4))
    leaves = [x.requires_grad_() for x in (q, k, v)]

    def call() -> None:
        out = torch.nn.functional.scaled_dot_product_attention(q, k, v)
        torch.autograd.grad(out, leaves, gradient)

    return call


def serve(threads: int, shape: tuple[int, ...]) -> None:
    spec = importlib.util.spec_from_file_location("rounds", ROUNDS)
    assert spec is not None and spec.loader is not None
    rounds = importlib.util.module_from_spec(spec)
    sys.modules["rounds"] = rounds
    spec.loader.exec_module(rounds)

    call = both_directions(threads, shape)
    count = rounds.calls_of(call)
    expect_alone()
    rounds.settle()
    print(0.0, flush=True)
    for _ in sys.stdin:
        took = rounds.sample(call, count)
        rounds.settle()  # before the other process goes on
        print(took, flush=True)


def expect_alone() -> None:
    """Exits if anything of ours is in this process."""
    maps = Path("/proc/self/maps")
    if "pymfa" in sys.modules or (maps.exists() and LIBRARY in maps.read_text()):
        sys.exit("this process has loaded pymfa")


if __name__ == "__main__":
    threads, *shape = map(int, sys.argv[1:])
    serve(threads, tuple(shape))
