# SPDX-License-Identifier: MIT
"""Bad input, as a table: what is called, which error it gives, and what the message names."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tolerance import bfloat16

import pymfa

SOURCE = """
#include <metal_stdlib>
using namespace metal;
constant uint size [[function_constant(7)]];
kernel void k(device float *out [[buffer(0)]], device const float *in [[buffer(2)]],
              threadgroup float *shared [[threadgroup(0)]], uint i [[thread_position_in_grid]]) {
  shared[i] = in[i] * float(size);
  threadgroup_barrier(mem_flags::mem_threadgroup);
  out[i] = shared[i];
}
"""


def h(*shape: int, dtype: Any = np.float16) -> Any:
    return np.ones(shape, dtype)


def frozen(*shape: int) -> Any:
    array = h(*shape)
    array.flags.writeable = False
    return array


SQUARE = h(8, 8)
MEMORY = np.zeros(200, np.float16)

# name: (call, error, words of the message)
OPERATIONS: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "not an array": (lambda: pymfa.hgemm([[1.0]], h(1, 1)), TypeError, "hgemm: a is a list"),
    "wrong dtype": (lambda: pymfa.hgemm(h(2, 3), h(3, 2, dtype="f4")), TypeError, "b has dtype"),
    "wrong dtype of out": (
        lambda: pymfa.hgemm(h(2, 3), h(3, 2), out=h(2, 2, dtype="f4")), TypeError, "out has dtype"
    ),
    "other byte order": (lambda: pymfa.sgemm(h(2, 2, dtype=">f4"), h(2, 2, dtype="f4")),
                         TypeError, "byte order"),
    "a scalar": (lambda: pymfa.hgemm(np.float16(1), h(1, 1)), ValueError, "a is a scalar"),
    "inner sizes differ": (lambda: pymfa.hgemm(h(2, 3), h(4, 2)), ValueError, "2 x 3.*4 x 2"),
    "batches differ": (lambda: pymfa.hgemm(h(2, 2, 3), h(3, 3, 2)), ValueError, "broadcast"),
    "shape of out": (lambda: pymfa.hgemm(h(2, 3), h(3, 2), out=h(2, 3)), ValueError,
                     r"out has shape \(2, 3\); expected \(2, 2\)"),
    "shape of bias": (lambda: pymfa.hgemm(h(2, 3), h(3, 2), bias=h(3)), ValueError, "bias"),
    "shape of c": (lambda: pymfa.hgemm(h(2, 3), h(3, 2), c=h(2, 3)), ValueError, "c has shape"),
    "beta without c": (lambda: pymfa.hgemm(h(2, 3), h(3, 2), beta=1.0), ValueError, "beta"),
    "activation": (lambda: pymfa.hgemm(h(2, 3), h(3, 2), activation="tanh"), ValueError,
                   "activation is 'tanh'"),
    "read-only out": (lambda: pymfa.hgemm(h(2, 3), h(3, 2), out=frozen(2, 2)), ValueError,
                      "out is read-only"),
    "out is a": (lambda: pymfa.hgemm(SQUARE, h(8, 8), out=SQUARE), ValueError, "out overlaps a"),
    "out reaches into b": (
        lambda: pymfa.hgemm(h(8, 8), MEMORY[:64].reshape(8, 8), out=MEMORY[60:124].reshape(8, 8)),
        ValueError, "out overlaps b",
    ),
    "out overlaps itself": (
        lambda: pymfa.hgemm(h(4, 4), h(4, 4), out=np.lib.stride_tricks.as_strided(
            MEMORY, (4, 4), (4, 2))), ValueError, "elements overlap",
    ),
    "out in columns": (lambda: pymfa.hgemm(h(4, 4), h(4, 4), out=h(4, 4).T), ValueError,
                       "contiguous last axis"),
    "out backwards": (lambda: pymfa.hgemm(h(4, 4), h(4, 4), out=h(4, 4)[::-1]), ValueError, "out"),
    "heads do not divide": (lambda: pymfa.attention(h(1, 3, 4, 8), h(1, 2, 4, 8), h(1, 2, 4, 8)),
                            ValueError, "3 heads.*2"),
    "k as wide as q": (lambda: pymfa.attention(h(1, 1, 4, 8), h(1, 1, 4, 9), h(1, 1, 4, 8)),
                       ValueError, "k has shape"),
    "v as long as k": (lambda: pymfa.attention(h(1, 1, 4, 8), h(1, 1, 4, 8), h(1, 1, 5, 8)),
                       ValueError, "v has shape"),
    "one dimension": (lambda: pymfa.attention(h(4), h(4), h(4)), ValueError, "q has shape"),
    "types of q and v": (
        lambda: pymfa.attention(h(1, 1, 4, 8), h(1, 1, 4, 8), h(1, 1, 4, 8, dtype="f4")),
        TypeError, "v has dtype",
    ),
    "layout": (lambda: pymfa.attention(*[h(1, 1, 4, 8)] * 3, layout="NCHW"), ValueError, "layout"),
    "causal": (lambda: pymfa.attention(*[h(1, 1, 4, 8)] * 3, causal="both"), ValueError, "causal"),
    "scale": (lambda: pymfa.attention(*[h(1, 1, 4, 8)] * 3, scale="big"), TypeError, "scale"),
    "dtype of mask": (lambda: pymfa.attention(*[h(1, 1, 4, 8)] * 3, mask=np.ones((4, 4), "i4")),
                      TypeError, "mask has dtype int32"),
    "shape of mask": (lambda: pymfa.attention(*[h(1, 1, 4, 8)] * 3, mask=np.ones((4, 5), bool)),
                      ValueError, "mask has shape"),
    "no width": (lambda: pymfa.attention(*[h(1, 1, 4, 0)] * 3), ValueError, "no elements"),
    "attention into q": (
        lambda: (lambda q: pymfa.attention(q, q.copy(), q.copy(), out=q))(h(1, 1, 4, 8)),
        ValueError, "out overlaps q",
    ),
    "cast of integers": (lambda: pymfa.cast(np.arange(3), np.float16), TypeError, "x has dtype"),
    "cast to integers": (lambda: pymfa.cast(h(3), np.int8), TypeError, "int8"),
    "cast to nothing": (lambda: pymfa.cast(h(3)), TypeError, "dtype"),
    "cast in place": (lambda: pymfa.cast(SQUARE, out=SQUARE), ValueError, "out overlaps x"),
    "mask and is_causal": (
        lambda: pymfa.scaled_dot_product_attention(
            *[h(1, 1, 4, 8)] * 3, attn_mask=np.ones((4, 4), bool), is_causal=True),
        ValueError, "exclude",
    ),
    "unknown device": (lambda: pymfa.device("cray:1"), ValueError, "cray:1"),
    "device by number": (lambda: pymfa.device(3), TypeError, "int"),  # type: ignore[arg-type]
    "negative size": (lambda: pymfa.device().empty((2, -1)), ValueError, "-1"),
    "negative descriptor": (lambda: pymfa.explain(pymfa.GemmDesc(-1, 2, 3)), ValueError, "M is -1"),
    "type of descriptor": (lambda: pymfa.explain(pymfa.GemmDesc(1, 2, 3, dtype="int8")), TypeError,
                           "int8"),
}  # fmt: skip


@pytest.mark.parametrize("name", OPERATIONS)
def test_operation(name: str) -> None:
    call, error, words = OPERATIONS[name]
    with pytest.raises(error, match=f"(?s){words}") as caught:
        call()
    assert isinstance(caught.value, pymfa.Error)


@pytest.fixture(scope="module")
def library(device: pymfa.Device) -> pymfa.Library:
    return device.library(source=SOURCE)


def dispatch(library: pymfa.Library, **changes: Any) -> None:
    pipeline = library.pipeline("k", constants={7: 2})
    buffers: dict[Any, Any] = {0: h(4, dtype="f4"), 2: h(4, dtype="f4")}
    options = {"buffers": buffers, "threadgroup_memory": {0: 16}, "threads": 4,
               "threads_per_threadgroup": 4}  # fmt: skip
    with library.device.commands() as commands:
        commands.dispatch(pipeline, **(options | changes))


FLOATS4 = np.ones(4, np.float32)
RAW: dict[str, tuple[Callable[[pymfa.Library], Any], type[Exception], str]] = {
    "corrupt metallib": (lambda lib: lib.device.library(data=b"MTLB" + b"\xff" * 500), ValueError,
                         "metallib"),
    "not a metallib": (lambda lib: lib.device.library(data=b"hello"), ValueError, "metallib"),
    "two sources": (lambda lib: lib.device.library("a", source="b"), ValueError, "only one"),
    "unknown function": (lambda lib: lib.pipeline("nothing"), ValueError, "nothing"),
    "function by number": (lambda lib: lib.pipeline(3), TypeError, "int"),  # type: ignore[arg-type]
    "missing constant": (lambda lib: lib.pipeline("k"), ValueError, "size|7"),
    "unknown constant": (lambda lib: lib.pipeline("k", {8: 1}), ValueError, r"8.*7 \(size\)"),
    "constant of another type": (lambda lib: lib.pipeline("k", {7: 1.5}), TypeError, "uint"),
    "constant of another dtype": (lambda lib: lib.pipeline("k", {7: np.int32(1)}), TypeError,
                                  "int32"),
    "constant out of range": (lambda lib: lib.pipeline("k", {7: -1}), ValueError, "range"),
    "missing buffer": (lambda lib: dispatch(lib, buffers={0: FLOATS4}), ValueError, "in|2"),
    "missing threadgroup memory": (lambda lib: dispatch(lib, threadgroup_memory={}), ValueError,
                                   "threadgroup"),
    "too much threadgroup memory": (lambda lib: dispatch(lib, threadgroup_memory={0: 1 << 30}),
                                    Exception, "threadgroup"),
    "too many threads": (lambda lib: dispatch(lib, threads_per_threadgroup=4096), ValueError,
                         "thread"),
    "no grid": (lambda lib: dispatch(lib, threads=None), ValueError, "either"),
    "two grids": (lambda lib: dispatch(lib, threadgroups=1), ValueError, "either"),
    "four dimensions": (lambda lib: dispatch(lib, threads=(1, 1, 1, 1)), ValueError, "4"),
    "negative grid": (lambda lib: dispatch(lib, threads=-4), ValueError, "-4"),
    "fractional grid": (lambda lib: dispatch(lib, threads=1.5), TypeError, "float"),
    "slot out of range": (lambda lib: dispatch(lib, buffers={0: FLOATS4, 2: FLOATS4, 99: FLOATS4}),
                          ValueError, "99"),
    "strided buffer": (lambda lib: dispatch(lib, buffers={0: FLOATS4, 2: np.ones(8, "f4")[::2]}),
                       ValueError, "buffer 2.*contiguous"),
    "offset behind the end": (lambda lib: dispatch(lib, buffers={0: FLOATS4, 2: (FLOATS4, 20)}),
                              ValueError, "offset 20"),
    "read-only result": (lambda lib: dispatch(lib, buffers={0: np.frombuffer(bytes(16), "f4"),
                                                            2: FLOATS4}), ValueError, "read-only"),
    "not a pipeline": (lambda lib: lib.device.commands().dispatch("k"), TypeError, "pipeline"),
    "array of a buffer": (lambda lib: lib.device.buffer(8).array(3, np.float32), ValueError, "12"),
}  # fmt: skip


@pytest.mark.parametrize("name", RAW)
def test_raw(library: pymfa.Library, name: str) -> None:
    call, error, words = RAW[name]
    with pytest.raises(error, match=f"(?s){words}") as caught:
        call(library)
    assert isinstance(caught.value, pymfa.Error)


def test_use_after_commit(device: pymfa.Device) -> None:
    commands = device.commands()
    commands.hgemm(h(2, 2), h(2, 2))
    commands.commit()
    for call in (lambda: commands.hgemm(h(2, 2), h(2, 2)), commands.commit,
                 lambda: commands.cast(h(2), np.float32)):  # fmt: skip
        with pytest.raises(RuntimeError, match="commit") as caught:
            call()
        assert isinstance(caught.value, pymfa.Error)
    commands.wait()


def test_wait_before_commit(device: pymfa.Device) -> None:
    with pytest.raises(RuntimeError, match="not committed"):
        device.commands().wait()


def test_commands_refuse_to_copy(device: pymfa.Device) -> None:
    with device.commands() as commands:
        with pytest.raises(ValueError, match="ascontiguousarray"):
            commands.hgemm(h(4, 8)[:, ::2], h(4, 4))
        commands.hgemm(h(4, 4), h(4, 4))


def test_an_error_drops_the_commands(device: pymfa.Device) -> None:
    out = np.zeros((2, 2), np.float16)
    with pytest.raises(ZeroDivisionError), device.commands() as commands:
        commands.hgemm(h(2, 2), h(2, 2), out=out)
        raise ZeroDivisionError
    assert (out == 0).all()
    with pytest.raises(RuntimeError, match="commit"):
        commands.hgemm(h(2, 2), h(2, 2))


def test_a_failed_call_leaves_outputs_alone(device: pymfa.Device) -> None:
    out = np.full((2, 2), 7, np.float16)
    with pytest.raises(ValueError):
        pymfa.hgemm(h(2, 3), h(2, 3), out=out, device=device)
    assert (out == 7).all()


def test_bfloat16_is_not_float16() -> None:
    with pytest.raises(TypeError, match="bfloat16"):
        pymfa.hgemm(h(2, 2, dtype=bfloat16), h(2, 2))


def python(*arguments: str, **variables: str) -> str:
    environment = os.environ | variables
    done = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, env=environment
    )
    assert done.returncode != 0
    return done.stderr


def test_without_the_library_the_message_says_how_to_get_it(tmp_path: Path) -> None:
    missing = str(tmp_path / "libmfa.so")
    call = ("-c", "import pymfa; pymfa.devices()")
    assert f"there is no {missing}: install pymfa's wheel" in python(*call, MFA_LIBRARY=missing)
    Path(missing).write_text("not a library")
    assert f"cannot load {missing}: " in python(*call, MFA_LIBRARY=missing)


@pytest.mark.parametrize("name", ["MFA_ABI", "MFA_HEADER"])
def test_a_description_of_the_library_that_is_not_there_is_named(tmp_path: Path, name: str) -> None:
    missing = str(tmp_path / "nothing.py")
    said = python("-c", "import pymfa", **{"MFA_ABI": "", name: missing})
    assert f"{name} names {missing}: No such file" in said


def test_a_job_that_does_not_exist_is_named() -> None:
    said = python("-m", "pymfa", "benhc")
    assert "no job is called 'benhc'" in said
