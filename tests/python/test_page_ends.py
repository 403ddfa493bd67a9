# SPDX-License-Identifier: MIT
"""No kernel touches memory beside its buffers: behind each lies a page that nobody may touch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from every_operation import OPERATIONS
from guarded import PAGE, guarded

import pymfa

pytestmark = pytest.mark.skipif(
    "cpu" not in [device.name for device in pymfa.devices()], reason="needs the CPU device"
)
DTYPES = [np.float32, np.float16, pymfa.bfloat16]
HEAD = "#include <metal_stdlib>\nusing namespace metal;\n"
INTEGERS = {"uchar": np.uint8, "ushort": np.uint16, "uint": np.uint32, "ulong": np.uint64}


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: np.dtype(dtype).name)
@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("front", [False, True], ids=["behind", "before"])
def test_operations(operation: str, dtype: Any, front: bool) -> None:
    """Behind: the last byte of each array is the last of its page, as far as its type allows."""

    def place(array: Any) -> Any:
        return guarded(array, alignment=array.itemsize, front=front)

    OPERATIONS[operation](dtype, place, pymfa.device("cpu"))


# What each of `count` threads reads of its own: neighbours are read together, small elements as
# parts of a larger word, consecutive ones as whole vectors.
READS = {
    "one": (1, "x[i]"),
    "two": (2, "x[2 * i] + x[2 * i + 1]"),
    "three": (3, "x[3 * i] + x[3 * i + 1] + x[3 * i + 2]"),
    "the last of five": (5, "x[5 * i + 4]"),
    "eight": (8, "x[8*i] + x[8*i+1] + x[8*i+2] + x[8*i+3] + x[8*i+4] + x[8*i+5] + x[8*i+6]"
              " + x[8*i+7]"),
    "in reverse": (1, "x[count - 1 - i]"),
    "through an index": (1, "x[(i * 7) % count]"),
}  # fmt: skip


@pytest.mark.parametrize("kind", INTEGERS)
@pytest.mark.parametrize("reads", READS)
@pytest.mark.parametrize("count", [1, 29, 32, 61, 250])
def test_reads(kind: str, reads: str, count: int) -> None:
    each, expression = READS[reads]
    source = HEAD + (
        f"kernel void f(device const {kind} *x [[buffer(0)]], device {kind} *y [[buffer(1)]],"
        " constant uint &count [[buffer(2)]], uint i [[thread_position_in_grid]]) {"
        f" if (i < count) y[i] = {expression}; }}"
    )
    dtype = INTEGERS[kind]
    x = np.random.default_rng(each).integers(0, 100, each * count).astype(dtype)
    rows = x.reshape(count, each)
    others = {
        "in reverse": x[::-1],
        "through an index": x[(np.arange(count) * 7) % count],
        "the last of five": rows[:, -1],
    }
    expected = others.get(reads, rows.sum(axis=1, dtype=dtype))
    device = pymfa.device("cpu")
    pipeline = device.library(source=source).pipeline("f")
    for front in (False, True):
        near = guarded(x, alignment=x.itemsize, front=front)
        y = guarded(np.zeros(count, dtype), alignment=x.itemsize, front=front)
        with device.commands() as commands:
            commands.dispatch(
                pipeline,
                buffers={0: near, 1: y, 2: np.uint32(count)},
                threadgroups=-(-count // 64),
                threads_per_threadgroup=64,
            )
        np.testing.assert_array_equal(y, expected)


WRITES = {
    "one": (1, "y[i] = x[i];"),
    "three": (3, "y[3 * i] = x[i]; y[3 * i + 1] = x[i]; y[3 * i + 2] = x[i];"),
    "structures": (4, "y[4*i] = x[i]; y[4*i+1] = x[i]; y[4*i+2] = x[i]; y[4*i+3] = x[i];"),
    "the first of five": (5, "y[5 * i] = x[i];"),
}


@pytest.mark.parametrize("kind", INTEGERS)
@pytest.mark.parametrize("writes", WRITES)
def test_writes(kind: str, writes: str) -> None:
    """What lies between the elements of different threads stays as it is."""
    each, body = WRITES[writes]
    source = HEAD + (
        f"kernel void f(device const {kind} *x [[buffer(0)]], device {kind} *y [[buffer(1)]],"
        " constant uint &count [[buffer(2)]], uint i [[thread_position_in_grid]]) {"
        f" if (i < count) {{ {body} }} }}"
    )
    dtype = INTEGERS[kind]
    device = pymfa.device("cpu")
    pipeline = device.library(source=source).pipeline("f")
    for count in (1, 29, 61):
        x = guarded(np.arange(1, count + 1, dtype=dtype), alignment=dtype().itemsize)
        size = each * count if writes != "the first of five" else each * (count - 1) + 1
        y = guarded(np.full(size, 255, dtype), alignment=dtype().itemsize)
        with device.commands() as commands:
            commands.dispatch(
                pipeline, buffers={0: x, 1: y, 2: np.uint32(count)}, threadgroups=1,
                threads_per_threadgroup=64,
            )  # fmt: skip
        expected = np.full((count, each), 255, dtype)
        expected[:, : 1 if writes == "the first of five" else each] = x[:, None]
        np.testing.assert_array_equal(y, expected.reshape(-1)[:size])


def test_pages_are_guarded() -> None:
    """The copies lie where the tests need them."""
    copy = guarded(np.arange(5, dtype=np.uint8), alignment=1)
    assert (copy.ctypes.data + 5) % PAGE == 0
    assert guarded(np.arange(5, dtype=np.uint8), front=True).ctypes.data % PAGE == 0
