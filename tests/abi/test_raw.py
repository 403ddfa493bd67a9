# SPDX-License-Identifier: MIT
"""The raw layer: any source or metallib, its functions, pipelines and dispatches."""

import numpy as np
import pytest

SOURCE = """
#include <metal_stdlib>
using namespace metal;
constant uint factor [[function_constant(3)]];
constant bool negate [[function_constant(5)]];
constant bool negates = is_function_constant_defined(negate) ? negate : false;

kernel void scale(device const float *x [[buffer(0)]], device float *y [[buffer(2)]],
                  constant uint &count [[buffer(5)]], uint i [[thread_position_in_grid]]) {
  if (i < count) y[i] = x[i] * float(factor) * (negates ? -1.0f : 1.0f);
}

kernel void reverse(device const float *x [[buffer(0)]], device float *y [[buffer(1)]],
                    threadgroup float *shared [[threadgroup(0)]],
                    uint i [[thread_position_in_threadgroup]],
                    uint n [[threads_per_threadgroup]], uint g [[threadgroup_position_in_grid]]) {
  shared[i] = x[g * n + i];
  threadgroup_barrier(mem_flags::mem_threadgroup);
  y[g * n + i] = shared[n - 1 - i];
}

kernel void place(device uint *out [[buffer(0)]], uint2 at [[thread_position_in_grid]],
                  uint2 size [[threads_per_grid]]) {
  out[at.y * size.x + at.x] = at.y * 1000 + at.x;
}
"""


def bindings(abi, entries):
    """[(slot, buffer | (buffer, offset) | bytes | length)] -> array and what it needs."""
    made = abi.ffi.new("mfa_binding[]", len(entries))
    kept = [made]
    for binding, (slot, value) in zip(made, entries, strict=True):
        binding.slot = slot
        if isinstance(value, bytes):
            data = abi.ffi.new("char[]", value)
            kept.append(data)
            binding.kind = abi.lib.MFA_BINDING_BYTES
            binding.bytes, binding.length = data, len(value)
        elif isinstance(value, int):
            binding.kind, binding.length = abi.lib.MFA_BINDING_THREADGROUP, value
        else:
            binding.buffer, binding.offset = value if isinstance(value, tuple) else (value, 0)
    return made, kept


def run(abi, pipeline, entries, grid, threads=(0, 0, 0), in_threads=False, commands=None):
    made, kept = bindings(abi, entries)
    desc = abi.struct(
        "mfa_dispatch_desc",
        pipeline=pipeline,
        bindings=made,
        binding_count=len(made),
        grid=grid,
        threads_per_threadgroup=threads,
        grid_in_threads=in_threads,
    )
    status = abi.lib.mfa_dispatch(commands or abi.null, desc)
    kept.clear()
    return status


def constants(abi, *values):
    """(index or name, type, C type, value) ..."""
    made = abi.ffi.new("mfa_constant_value[]", len(values))
    kept = []
    for constant, (key, type_number, c_type, value) in zip(made, values, strict=True):
        if isinstance(key, str):
            kept.append(abi.ffi.new("char[]", key.encode()))
            constant.name = kept[-1]
        else:
            constant.index = key
        kept.append(abi.ffi.new(c_type + " *", value))
        constant.type, constant.value = type_number, kept[-1]
    return made, kept


def scale_pipeline(abi, device, *values):
    made, _kept = constants(abi, *values)
    return device.pipeline(device.source(SOURCE), "scale", made, len(made))


def test_functions_of_a_library(abi, device):
    library = device.source(SOURCE)
    count = abi.out("size_t", "mfa_library_function_count", library)
    names = [
        abi.string(abi.out("const char *", "mfa_library_function_name", library, i))
        for i in range(count)
    ]
    assert sorted(names) == ["place", "reverse", "scale"]
    info = abi.info("mfa_function_info", "mfa_library_function_info", library, b"scale")
    assert abi.string(info.name) == "scale"
    assert info.is_kernel
    told = {
        abi.string(c.name): (c.index, c.type, c.required)
        for c in info.constants[0 : info.constant_count]
    }
    assert told == {
        "factor": (3, abi.lib.MFA_TYPE_UINT, True),
        "negate": (5, abi.lib.MFA_TYPE_BOOL, False),
    }


def test_arguments_of_a_pipeline(abi, device):
    pipeline = scale_pipeline(abi, device, (3, abi.lib.MFA_TYPE_UINT, "uint32_t", 2))
    info = abi.info("mfa_pipeline_info", "mfa_pipeline_get_info", pipeline)
    lib = abi.lib
    assert abi.string(info.function) == "scale"
    assert info.simd_width == 32
    assert info.max_threads_per_threadgroup >= 512
    told = {
        abi.string(a.name): (a.kind, a.slot, a.access, a.type, a.used)
        for a in info.arguments[0 : info.argument_count]
    }
    assert told["x"] == (lib.MFA_ARGUMENT_BUFFER, 0, lib.MFA_ACCESS_READ, lib.MFA_TYPE_FLOAT, True)
    assert told["count"][:4] == (
        lib.MFA_ARGUMENT_BUFFER,
        5,
        lib.MFA_ACCESS_READ,
        lib.MFA_TYPE_UINT,
    )
    assert told["y"][2] != lib.MFA_ACCESS_READ
    reverse = device.pipeline(device.source(SOURCE), "reverse")
    info = abi.info("mfa_pipeline_info", "mfa_pipeline_get_info", reverse)
    kinds = [a.kind for a in info.arguments[0 : info.argument_count]]
    assert kinds.count(lib.MFA_ARGUMENT_THREADGROUP) == 1


@pytest.mark.parametrize("by_name", [False, True])
@pytest.mark.parametrize("negate", [None, False, True])
def test_dispatch_with_constants(abi, device, by_name, negate):
    lib = abi.lib
    values = [("factor" if by_name else 3, lib.MFA_TYPE_UINT, "uint32_t", 3)]
    if negate is not None:
        values.append(("negate" if by_name else 5, lib.MFA_TYPE_BOOL, "bool", negate))
    pipeline = scale_pipeline(abi, device, *values)
    x, y = np.arange(1000, dtype=np.float32), np.zeros(1000, np.float32)
    entries = [
        (0, device.wrap(x, read_only=True)),
        (2, device.wrap(y)),
        (5, (990).to_bytes(4, "little")),
    ]
    abi.check(run(abi, pipeline, entries, (1000, 0, 0), in_threads=True))
    assert np.array_equal(y[:990], x[:990] * (-3 if negate else 3))
    assert not y[990:].any()


def test_offsets_and_threadgroup_memory(abi, device):
    pipeline = device.pipeline(device.source(SOURCE), "reverse")
    x, y = np.arange(512, dtype=np.float32), np.zeros(512, np.float32)
    entries = [(0, (device.wrap(x), 256 * 4)), (1, (device.wrap(y), 128 * 4)), (0, 64 * 4)]
    abi.check(run(abi, pipeline, entries, (4, 1, 1), (64, 1, 1)))
    assert np.array_equal(y[128:384], x[256:].reshape(4, 64)[:, ::-1].ravel())
    assert not y[:128].any()
    assert not y[384:].any()


@pytest.mark.parametrize("threads", [(0, 0, 0), (16, 3, 1), (5, 5, 0)])
def test_a_plane_of_threads(abi, device, threads):
    pipeline = device.pipeline(device.source(SOURCE), "place")
    out = np.zeros((13, 37), np.uint32)
    abi.check(run(abi, pipeline, [(0, device.wrap(out))], (37, 13, 1), threads, in_threads=True))
    assert np.array_equal(out, np.arange(13)[:, None] * 1000 + np.arange(37))


def test_an_empty_grid_runs_nothing(abi, device):
    pipeline = device.pipeline(device.source(SOURCE), "place")
    out = np.zeros(4, np.uint32)
    abi.check(run(abi, pipeline, [(0, device.wrap(out))], (0, 1, 1), (32, 1, 1)))
    assert not out.any()


def test_default_library_has_our_kernels(abi, device):
    library = device.keep("library", abi.out("mfa_library", "mfa_library_default", device.handle))
    for name in ("hgemm", "sgemm", "bgemm", "attention", "cast"):
        info = abi.info("mfa_function_info", "mfa_library_function_info", library, name.encode())
        assert info.is_kernel


def test_handles_keep_what_they_need(abi, device):
    """A pipeline outlives the library it was made from."""
    lib = abi.lib
    library = abi.out(
        "mfa_library", "mfa_library_from_source", device.handle, SOURCE.encode(), abi.null
    )
    pipeline = device.pipeline(library, "place")
    abi.check(lib.mfa_library_retain(library))
    abi.check(lib.mfa_library_release(library))
    abi.check(lib.mfa_library_release(library))
    abi.check(lib.mfa_pipeline_retain(pipeline))
    abi.check(lib.mfa_pipeline_release(pipeline))
    out = np.zeros((2, 40), np.uint32)
    abi.check(run(abi, pipeline, [(0, device.wrap(out))], (40, 2, 1), in_threads=True))
    assert out[1, 39] == 1039


def test_precise_math(abi, device):
    source = b"""
    #include <metal_stdlib>
    kernel void keeps_nan(device const float *x [[buffer(0)]], device uint *y [[buffer(1)]],
                          uint i [[thread_position_in_grid]]) { y[i] = metal::isnan(x[i]); }
    """
    options = abi.struct("mfa_compile_options", precise_math=True)
    library = device.keep(
        "library",
        abi.out("mfa_library", "mfa_library_from_source", device.handle, source, options),
    )
    pipeline = device.pipeline(library, "keeps_nan")
    x, y = np.array([1, np.nan, np.inf], np.float32), np.zeros(3, np.uint32)
    entries = [(0, device.wrap(x)), (1, device.wrap(y))]
    abi.check(run(abi, pipeline, entries, (3, 1, 1), in_threads=True))
    assert y.tolist() == [0, 1, 0]
