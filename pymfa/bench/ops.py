# SPDX-License-Identifier: MIT
"""Names on the command line -> the cases that measure them."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Any

import ml_dtypes
import numpy as np

import pymfa
from pymfa.bench.rounds import Call, Case

OURS = "pymfa"


def optional_torch() -> Any:
    try:
        import torch
    except ImportError:
        return None
    return torch


def random(shape: tuple[int, ...], dtype: Any, seed: int) -> Any:
    """Page-aligned, so that neither side copies it."""
    array = pymfa.device().empty(shape, dtype)
    array[...] = np.random.default_rng(seed).standard_normal(shape, np.float32).astype(dtype)
    return array


def distance(ours: Any, exact: Any) -> float:
    exact = np.asarray(exact, np.float64)
    return float(
        np.linalg.norm(np.asarray(ours).astype(np.float64) - exact) / np.linalg.norm(exact)
    )


def torch_tensor(torch: Any, array: Any) -> Any:
    wide = torch.from_numpy(array.astype(np.float32))
    names = {"float16": torch.float16, "bfloat16": torch.bfloat16}
    return wide.to(names.get(array.dtype.name, torch.float32))


def gemm(name: str, dtype: Any, n: int) -> Case:
    a, b, out = (random((n, n), dtype, seed) for seed in (1, 2, 3))
    wide_a, wide_b = a.astype(np.float32), b.astype(np.float32)
    wide_out = np.empty((n, n), np.float32)
    multiply = getattr(pymfa, name)
    contenders: dict[str, Call] = {
        OURS: lambda: multiply(a, b, out=out),
        "numpy float32": lambda: np.matmul(wide_a, wide_b, out=wide_out),
    }
    if (torch := optional_torch()) is not None:
        ta, tb = torch_tensor(torch, a), torch_tensor(torch, b)
        tout = torch.empty_like(ta)
        contenders[f"torch {np.dtype(dtype).name}"] = lambda: torch.mm(ta, tb, out=tout)
    return Case(
        op=name,
        label=f"{n}³",
        size=n,
        contenders=contenders,
        work=2.0 * n**3,
        error=lambda: distance(out, wide_a.astype(np.float64) @ wide_b),
    )


def numpy_attention(q: Any, k: Any, v: Any) -> Any:
    scores = q @ np.swapaxes(k, -1, -2)
    scores *= q.shape[-1] ** -0.5
    scores -= scores.max(axis=-1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=-1, keepdims=True)
    return scores @ v


def attention(dtype: Any, n: int) -> Case:
    heads, depth = 8, 64
    q, k, v, out = (random((1, heads, n, depth), dtype, seed) for seed in (1, 2, 3, 4))
    wide = [x.astype(np.float32) for x in (q, k, v)]
    contenders: dict[str, Call] = {
        OURS: lambda: pymfa.attention(q, k, v, out=out),
        "numpy float32": lambda: numpy_attention(*wide),
    }
    if (torch := optional_torch()) is not None:
        tensors = [torch_tensor(torch, x) for x in (q, k, v)]
        sdpa = torch.nn.functional.scaled_dot_product_attention
        contenders[f"torch {np.dtype(dtype).name}"] = lambda: sdpa(*tensors)
    return Case(
        op="attention",
        label=f"{heads}×{n}×{depth} {np.dtype(dtype).name}",
        size=n,
        contenders=contenders,
        work=4.0 * heads * n * n * depth,
        error=lambda: distance(out, numpy_attention(*(x.astype(np.float64) for x in wide))),
    )


NOTHING = """
#include <metal_stdlib>
using namespace metal;
constant uint increment [[function_constant(0)]];
kernel void nothing(device uint *data [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  data[i] += increment;
}
"""


def dispatch(many: int) -> Case:
    """Time per dispatch of one threadgroup, `many` of them to a command buffer."""
    device = pymfa.device()
    pipeline = device.library(source=NOTHING).pipeline("nothing", constants={0: np.uint32(1)})
    data = device.empty((32,), np.uint32)

    def encode() -> None:
        with device.commands() as commands:
            for _ in range(many):
                commands.dispatch(
                    pipeline,
                    buffers={0: data},
                    threadgroups=(1, 1, 1),
                    threads_per_threadgroup=(32, 1, 1),
                )

    return Case(
        op="dispatch",
        label=f"{many} per command buffer",
        size=many,
        contenders={OURS: encode},
        divisor=many,
        unit="µs each",
    )


def pipeline(functions: int) -> Case:
    """Time to make pipelines nobody made before: a new constant each time defeats every cache."""
    library = pymfa.device().library(source=NOTHING)
    fresh = count(int(np.random.default_rng().integers(1 << 20, 1 << 30)))

    def make() -> None:
        for _ in range(functions):
            library.pipeline("nothing", constants={0: np.uint32(next(fresh))})

    return Case(
        op="pipeline",
        label="a small kernel",
        size=functions,
        contenders={OURS: make},
        divisor=functions,
        unit="ms",
    )


@dataclass(frozen=True)
class Op:
    sizes: tuple[int, ...]  # unless the command line names others
    cases: tuple[Callable[[int], Case], ...]  # each makes the case of one size


GEMM_SIZES = (256, 512, 1024, 2048)

OPS = {
    "sgemm": Op(GEMM_SIZES, (partial(gemm, "sgemm", np.float32),)),
    "hgemm": Op(GEMM_SIZES, (partial(gemm, "hgemm", np.float16),)),
    "bgemm": Op(GEMM_SIZES, (partial(gemm, "bgemm", ml_dtypes.bfloat16),)),
    "attention": Op(
        (128, 512, 1024, 2048), (partial(attention, np.float16), partial(attention, np.float32))
    ),
    "dispatch": Op((1, 8, 64), (dispatch,)),
    "pipeline": Op((1,), (pipeline,)),
}
