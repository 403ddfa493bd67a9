# SPDX-License-Identifier: MIT
"""The raw layer: libraries, reflection, function constants, and every kind of binding."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pymfa

SOURCE = """
#include <metal_stdlib>
using namespace metal;

constant uint count [[function_constant(0)]];
constant bool negate [[function_constant(3)]];
constant float scale [[function_constant(4)]];
constant float given_scale = is_function_constant_defined(scale) ? scale : 10.0f;
constant bool has_offset [[function_constant(5)]];
constant short pair [[function_constant(6)]];

kernel void f(device float *out [[buffer(0)]],
              device const float *offset [[buffer(1), function_constant(has_offset)]],
              uint i [[thread_position_in_grid]]) {
  if (i >= count) return;
  float x = float(i) * given_scale;
  if (has_offset) x += offset[0];
  out[i] = (negate ? -x : x) + float(pair);
}

struct Parameters { uint a; float b; };

kernel void g(device float *out [[buffer(0)]], constant Parameters &p [[buffer(1)]],
              constant uint &n [[buffer(2)]], threadgroup float *shared [[threadgroup(1)]],
              uint i [[thread_position_in_threadgroup]]) {
  shared[i] = float(p.a + n) * p.b;
  threadgroup_barrier(mem_flags::mem_threadgroup);
  out[i] = shared[(i + 1) % 4] + float(i);
}
"""
CONSTANTS: dict[int | str, Any] = {0: np.uint32(6), 3: True, 5: False, 6: 4}


@pytest.fixture(scope="module")
def library(device: pymfa.Device) -> pymfa.Library:
    return device.library(source=SOURCE)


def run_f(library: pymfa.Library, constants: dict[int | str, Any], offset: Any = None) -> Any:
    out = np.zeros(8, np.float32)
    pipeline = library.pipeline("f", constants=constants)
    with library.device.commands() as commands:
        buffers = {0: out} if offset is None else {0: out, 1: offset}
        commands.dispatch(pipeline, buffers=buffers, threads=8, threads_per_threadgroup=8)
    return out


def test_functions_and_their_reflection(library: pymfa.Library) -> None:
    assert sorted(library.functions) == ["f", "g"]
    g = library.function("g")
    assert g.is_kernel
    found = {(a.kind, a.slot): a for a in g.arguments}
    assert set(found) == {("buffer", 0), ("buffer", 1), ("buffer", 2), ("threadgroup", 1)}
    assert found["buffer", 0].name == "out" and found["buffer", 0].access != "read"
    assert found["buffer", 1].type == "struct" and found["buffer", 1].type_size == 8
    assert found["buffer", 2].type == "uint" and found["buffer", 2].access == "read"
    constants = {c.index: c for c in library.function("f").constants}
    assert {i: c.type for i, c in constants.items()} == {
        0: "uint", 3: "bool", 4: "float", 5: "bool", 6: "short"
    }  # fmt: skip
    assert constants[0].name == "count"
    assert constants[0].required and not constants[4].required


def test_constants_by_index_and_by_name(library: pymfa.Library) -> None:
    expected = [4, -6, -16, -26, -36, -46, 0, 0]
    np.testing.assert_array_equal(run_f(library, CONSTANTS), expected)
    named = {"count": 6, "negate": True, "has_offset": False, "pair": 4, "scale": 10.0}
    np.testing.assert_array_equal(run_f(library, named), expected)


def test_optional_constant(library: pymfa.Library) -> None:
    out = run_f(library, {**CONSTANTS, 4: np.float32(2), 3: False})
    np.testing.assert_array_equal(out, [4, 6, 8, 10, 12, 14, 0, 0])


def test_argument_that_a_constant_switches_on(library: pymfa.Library) -> None:
    out = run_f(library, {**CONSTANTS, 3: False, 5: True}, offset=np.float32([100]))
    np.testing.assert_array_equal(out[:6], [104, 114, 124, 134, 144, 154])
    pipeline = library.pipeline("f", constants={**CONSTANTS, 5: True})
    assert 1 in [a.slot for a in pipeline.arguments]
    pipeline = library.pipeline("f", constants=CONSTANTS)
    assert 1 not in [a.slot for a in pipeline.arguments if a.used]


@pytest.mark.parametrize("n", [5, np.uint32(5), np.uint32([5]), struct.pack("<I", 5)])
@pytest.mark.parametrize("shape", ["plain", "buffer", "pair"])
def test_bindings(library: pymfa.Library, n: Any, shape: str) -> None:
    device = library.device
    memory = device.empty((8,), np.float32)
    buffer = device.buffer(64)
    target = {"plain": memory[4:], "buffer": (buffer, 16), "pair": (memory, 16)}[shape]
    with device.commands() as commands:
        commands.dispatch(
            library.pipeline("g"),
            buffers={0: target, 1: struct.pack("<If", 3, 0.5), 2: n},
            threadgroup_memory={1: 16}, threadgroups=(1, 1, 1), threads_per_threadgroup=(4, 1, 1),
        )  # fmt: skip
    result = buffer.array(4, np.float32, 16) if shape == "buffer" else memory[4:]
    np.testing.assert_array_equal(result, [4, 5, 6, 7])
    assert (memory[:4] == 0).all()


def test_metallib_from_a_file_and_from_bytes(device: pymfa.Device, tmp_path: Path) -> None:
    with pytest.raises(pymfa.Error) as missing:
        device.library(tmp_path / "missing.metallib")
    assert "missing.metallib" in str(missing.value)
    names = device.library().functions
    assert {"hgemm", "sgemm", "bgemm", "attention"} <= set(names)


def test_grid_of_nothing(library: pymfa.Library) -> None:
    out = np.ones(4, np.float32)
    with library.device.commands() as commands:
        commands.dispatch(library.pipeline("f", constants=CONSTANTS), buffers={0: out}, threads=0)
    assert (out == 1).all()


def test_group_size_chosen_by_the_library(library: pymfa.Library) -> None:
    out = np.zeros(6, np.float32)
    with library.device.commands() as commands:
        commands.dispatch(library.pipeline("f", constants=CONSTANTS), buffers={0: out}, threads=6)
    np.testing.assert_array_equal(out, [4, -6, -16, -26, -36, -46])


def test_large_bytes_become_a_buffer(device: pymfa.Device) -> None:
    source = """
    #include <metal_stdlib>
    kernel void sum(device uint *out [[buffer(0)]], constant uchar *in [[buffer(1)]],
                    uint i [[thread_position_in_grid]]) {
      uint total = 0;
      for (uint k = 0; k < 10000; ++k) total += in[k];
      out[i] = total;
    }"""
    out = np.zeros(1, np.uint32)
    with device.commands() as commands:
        commands.dispatch(device.library(source=source).pipeline("sum"),
                          buffers={0: out, 1: b"\1\2" * 5000}, threads=1)  # fmt: skip
    assert out[0] == 15000


def test_compiler_errors_point_into_the_source(device: pymfa.Device) -> None:
    with pytest.raises(ValueError, match=r"3:\d+.*nonsense") as error:
        device.library(source="#include <metal_stdlib>\nkernel void f() {\n  nonsense();\n}\n")
    assert isinstance(error.value, pymfa.Error)


WIDE = """
#include <metal_stdlib>
using namespace metal;

struct Pair { ulong4 a; ulong4 b; };

kernel void k(device ulong4 *out [[buffer(0)]], constant ulong4 &one [[buffer(1)]],
              device const Pair *pairs [[buffer(2)]], device Pair *copies [[buffer(3)]],
              uint i [[thread_position_in_grid]]) {
  const Pair pair = pairs[i];
  copies[i] = pair;
  out[i] = pair.a * 3ul + pair.b + one;
}
"""


@pytest.mark.parametrize("where", [16, 48, 32, 0])
@pytest.mark.parametrize("name", ["cpu", "reference"])
def test_arrays_need_16_bytes_of_alignment_where_msl_says_32(name: str, where: int) -> None:
    """NumPy aligns its arrays to 16 bytes, so whether ulong4 lies at 32 would be luck."""

    def at(count: int) -> Any:
        memory = np.zeros(8 * count + 128, np.uint8)
        start = (where - memory.ctypes.data) % 64
        return memory[start : start + 8 * count].view(np.uint64)

    device = pymfa.device(name)
    pipeline = device.library(source=WIDE).pipeline("k")
    count = 37
    out, one, pairs, copies = (at(n * count) for n in (4, 4, 8, 8))
    one[:4] = 1, 2, 3, 4
    pairs[:] = np.arange(8 * count)
    with device.commands() as commands:
        commands.dispatch(pipeline, buffers={0: out, 1: one, 2: pairs, 3: copies}, threads=count,
                          threads_per_threadgroup=count)  # fmt: skip
    halves = pairs.reshape(count, 2, 4)
    assert np.array_equal(out.reshape(count, 4), halves[:, 0] * 3 + halves[:, 1] + one[:4])
    assert np.array_equal(copies, pairs)
