# SPDX-License-Identifier: MIT
"""Bad input to every function: the status, and a message that names what was wrong."""

from __future__ import annotations

import mmap
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

KERNEL = """
#include <metal_stdlib>
using namespace metal;
constant uint factor [[function_constant(3)]];
kernel void twice(device const float *x [[buffer(0)]], device float *y [[buffer(1)]],
                  uint i [[thread_position_in_grid]]) { y[i] = 2 * x[i]; }
kernel void scaled(device float *y [[buffer(1)]], uint i [[thread_position_in_grid]]) {
  y[i] *= factor;
}
kernel void shares(device float *y [[buffer(0)]], threadgroup float *memory [[threadgroup(1)]],
                   uint i [[thread_position_in_threadgroup]]) {
  memory[i] = y[i];
  threadgroup_barrier(mem_flags::mem_threadgroup);
  y[i] = memory[i ^ 1];
}
float helper(float x) { return x; }
"""


class Bench:
    """A device with a few buffers of 64 floats, and right calls until a field is changed."""

    def __init__(self, abi: Any, device: Any) -> None:
        self.abi, self.lib, self.ffi, self.device = abi, abi.lib, abi.ffi, device
        self.null = abi.null
        self.arrays = [np.ones(64, np.float32) for _ in range(4)]
        self.a, self.b, self.c, self.d = (device.wrap(array) for array in self.arrays)
        self.frozen = device.wrap(np.ones(64, np.float32), read_only=True)
        self.handle = device.handle
        self.kept: list[Any] = []

    def released(self, kind: str) -> Any:
        """A handle that was given up."""
        made = {
            "device": lambda: self.abi.out("mfa_device", "mfa_device_open", self.null),
            "buffer": lambda: self.abi.out("mfa_buffer", "mfa_buffer_new", self.handle, 64, 0),
            "commands": lambda: self.abi.out("mfa_commands", "mfa_commands_begin", self.handle),
            "library": lambda: self.abi.out("mfa_library", "mfa_library_default", self.handle),
        }[kind]()
        self.abi.check(getattr(self.lib, f"mfa_{kind}_release")(made))
        return made

    def as_kind(self, kind: str, handle: Any) -> Any:
        return self.ffi.cast(f"mfa_{kind}", handle)

    def gemm(self, kind: str = "s", desc: Any = None, operands: Any = None, **fields: Any) -> int:
        given = {"M": 4, "N": 4, "K": 8, **fields}
        spots = {
            "a": {"buffer": self.a},
            "b": {"buffer": self.b},
            "c": {"buffer": self.c},
            **(operands or {}),
        }
        desc = self.abi.struct("mfa_gemm_desc", **{**given, **(desc or {})})
        made = self.abi.struct("mfa_gemm_operands", **spots)
        return getattr(self.lib, f"mfa_{kind}gemm")(self.null, desc, made)

    def attention(self, operands: Any = None, **fields: Any) -> int:
        given = {"R": 4, "C": 4, "D": 8, "type": self.lib.MFA_TYPE_FLOAT, **fields}
        spots = {
            "q": {"buffer": self.a},
            "k": {"buffer": self.b},
            "v": {"buffer": self.c},
            "o": {"buffer": self.d},
            **(operands or {}),
        }
        desc = self.abi.struct("mfa_attention_desc", **given)
        made = self.abi.struct("mfa_attention_operands", **spots)
        return self.lib.mfa_attention(self.null, desc, made)

    def cast(self, operands: Any = None, **fields: Any) -> int:
        given = {"count": 64, "source_type": self.lib.MFA_TYPE_FLOAT, **fields}
        spots = {"source": {"buffer": self.a}, "destination": {"buffer": self.b}}
        desc = self.abi.struct("mfa_cast_desc", **given)
        made = self.abi.struct("mfa_cast_operands", **{**spots, **(operands or {})})
        return self.lib.mfa_cast(self.null, desc, made)

    def wrap(self, *arguments: Any) -> int:
        return self.lib.mfa_buffer_wrap(
            self.handle, *arguments, self.null, self.null, self.ffi.new("mfa_buffer *")
        )

    def problem(self, **fields: Any) -> Any:
        desc = self.abi.struct("mfa_gemm_desc", M=4, N=4, K=4)
        self.kept.append(desc)
        given = {"desc": self.ffi.cast("void *", desc), "operation": 2, **fields}
        return self.abi.struct("mfa_problem", **given)

    def supported(self, problem: Any) -> int:
        return self.lib.mfa_supported(self.handle, problem, self.ffi.new("bool *"), self.null)

    def open(self, data: bytes) -> int:
        return self.lib.mfa_library_open(
            self.handle, data, len(data), self.ffi.new("mfa_library *")
        )

    def source(self, text: str) -> int:
        return self.lib.mfa_library_from_source(
            self.handle, text.encode(), self.null, self.ffi.new("mfa_library *")
        )

    def pipeline(self, function: str, *values: Any) -> int:
        """values: (name or index, type, bytes)."""
        library = self.device.source(KERNEL)
        made = self.ffi.new("mfa_constant_value[]", max(1, len(values)))
        for constant, (key, number, data) in zip(made, values, strict=False):
            if isinstance(key, str):
                self.kept.append(self.ffi.new("char[]", key.encode()))
                constant.name = self.kept[-1]
            else:
                constant.index = key
            constant.type = number
            if data is not None:
                self.kept.append(self.ffi.new("char[]", data))
                constant.value = self.kept[-1]
        return self.lib.mfa_pipeline_new(
            library, function.encode(), made, len(values), self.ffi.new("mfa_pipeline *")
        )

    def dispatch(self, function: str, entries: Any, **fields: Any) -> int:
        pipeline = self.device.pipeline(self.device.source(KERNEL), function)
        made = self.ffi.new("mfa_binding[]", max(1, len(entries)))
        for binding, entry in zip(made, entries, strict=False):
            for field, value in entry.items():
                setattr(binding, field, value)
        given = {
            "pipeline": pipeline,
            "bindings": made,
            "binding_count": len(entries),
            "grid": (64, 1, 1),
            "grid_in_threads": True,
            **fields,
        }
        return self.lib.mfa_dispatch(self.null, self.abi.struct("mfa_dispatch_desc", **given))

    def arrays_pointer(self) -> Any:
        return self.abi.pointer(self.arrays[0])

    def both(self) -> list[dict[str, Any]]:
        return [{"slot": 0, "buffer": self.a}, {"slot": 1, "buffer": self.b}]


Case = tuple[str, Callable[[Bench], int], str, str]
ARGUMENT, TYPE, BOUNDS = "INVALID_ARGUMENT", "INVALID_TYPE", "OUT_OF_BOUNDS"

DEVICES: list[Case] = [
    ("count NULL", lambda t: t.lib.mfa_device_count(t.null), ARGUMENT, "count is NULL"),
    ("at NULL", lambda t: t.lib.mfa_device_at(0, t.null), ARGUMENT, "device is NULL"),
    (
        "at index",
        lambda t: t.lib.mfa_device_at(99, t.ffi.new("mfa_device *")),
        "NOT_FOUND",
        "index is 99",
    ),
    ("open NULL", lambda t: t.lib.mfa_device_open(b"cpu", t.null), ARGUMENT, "device is NULL"),
    (
        "open name",
        lambda t: t.lib.mfa_device_open(b"abacus", t.ffi.new("mfa_device *")),
        "NOT_FOUND",
        'no device "abacus"',
    ),
    ("info NULL", lambda t: t.lib.mfa_device_get_info(t.handle, t.null), ARGUMENT, "info is NULL"),
    (
        "info size",
        lambda t: t.lib.mfa_device_get_info(t.handle, t.ffi.new("mfa_device_info *")),
        ARGUMENT,
        "info->size is 0, expected sizeof(mfa_device_info)",
    ),
    (
        "info device",
        lambda t: t.lib.mfa_device_get_info(t.null, t.abi.struct("mfa_device_info")),
        ARGUMENT,
        "device is NULL",
    ),
    ("metal NULL", lambda t: t.lib.mfa_device_metal(t.handle, t.null), ARGUMENT, "metal is NULL"),
    (
        "tiles device",
        lambda t: t.lib.mfa_device_set_tiles(t.released("device"), t.null),
        ARGUMENT,
        "device was released",
    ),
    (
        "tiles text",
        lambda t: t.lib.mfa_device_set_tiles(t.handle, b"tiles"),
        ARGUMENT,
        'line 1 is "tiles", expected gemm_tiles',
    ),
    ("retain NULL", lambda t: t.lib.mfa_device_retain(t.null), ARGUMENT, "device is NULL"),
    (
        "retain released",
        lambda t: t.lib.mfa_device_retain(t.released("device")),
        ARGUMENT,
        "device was released",
    ),
    (
        "release released",
        lambda t: t.lib.mfa_device_release(t.released("device")),
        ARGUMENT,
        "device was released",
    ),
]

BUFFERS: list[Case] = [
    (
        "new NULL",
        lambda t: t.lib.mfa_buffer_new(t.handle, 16, 0, t.null),
        ARGUMENT,
        "buffer is NULL",
    ),
    (
        "new storage",
        lambda t: t.lib.mfa_buffer_new(t.handle, 16, 9, t.ffi.new("mfa_buffer *")),
        ARGUMENT,
        "storage is 9",
    ),
    (
        "new too long",
        lambda t: t.lib.mfa_buffer_new(t.handle, 1 << 60, 0, t.ffi.new("mfa_buffer *")),
        "OUT_OF_MEMORY",
        "1152921504606846976 bytes",
    ),
    ("wrap NULL", lambda t: t.wrap(t.null, 16, 0), ARGUMENT, "memory is NULL"),
    (
        "wrap flags",
        lambda t: t.wrap(t.abi.pointer(t.arrays[0]), 16, 8),
        ARGUMENT,
        "flags is 0x8",
    ),
    (
        "wrap too long",
        lambda t: t.wrap(t.abi.pointer(t.arrays[0]), 1 << 60, 0),
        "OUT_OF_MEMORY",
        "length is 1152921504606846976",
    ),
    (
        "wrap_metal NULL",
        lambda t: t.lib.mfa_buffer_wrap_metal(t.handle, t.null, t.ffi.new("mfa_buffer *")),
        ARGUMENT,
        "metal is NULL",
    ),
    ("contents NULL", lambda t: t.lib.mfa_buffer_contents(t.a, t.null), ARGUMENT, "contents is"),
    ("length NULL", lambda t: t.lib.mfa_buffer_length(t.a, t.null), ARGUMENT, "length is NULL"),
    ("metal NULL", lambda t: t.lib.mfa_buffer_metal(t.a, t.null), ARGUMENT, "metal is NULL"),
    ("info NULL", lambda t: t.lib.mfa_buffer_get_info(t.a, t.null), ARGUMENT, "info is NULL"),
    (
        "info released",
        lambda t: t.lib.mfa_buffer_get_info(t.released("buffer"), t.abi.struct("mfa_buffer_info")),
        ARGUMENT,
        "buffer was released",
    ),
    (
        "contents of a device",
        lambda t: t.lib.mfa_buffer_contents(t.as_kind("buffer", t.handle), t.ffi.new("void **")),
        ARGUMENT,
        "buffer is a handle of mfa_device, expected mfa_buffer",
    ),
    (
        "length of a pointer",
        lambda t: t.lib.mfa_buffer_length(
            t.as_kind("buffer", t.abi.pointer(t.arrays[0])), t.ffi.new("uint64_t *")
        ),
        ARGUMENT,
        "buffer is no handle",
    ),
    (
        "retain released",
        lambda t: t.lib.mfa_buffer_retain(t.released("buffer")),
        ARGUMENT,
        "buffer was released",
    ),
    (
        "release released",
        lambda t: t.lib.mfa_buffer_release(t.released("buffer")),
        ARGUMENT,
        "buffer was released",
    ),
]

COMMANDS: list[Case] = [
    (
        "begin NULL",
        lambda t: t.lib.mfa_commands_begin(t.handle, t.null),
        ARGUMENT,
        "commands is NULL",
    ),
    (
        "begin released",
        lambda t: t.lib.mfa_commands_begin(t.released("device"), t.ffi.new("mfa_commands *")),
        ARGUMENT,
        "device was released",
    ),
    (
        "wrap NULL",
        lambda t: t.lib.mfa_commands_wrap(t.handle, t.null, t.ffi.new("mfa_commands *")),
        ARGUMENT,
        "encoder is NULL",
    ),
    (
        "label NULL",
        lambda t: t.lib.mfa_commands_set_label(t.device.commands(), t.null),
        ARGUMENT,
        "label is NULL",
    ),
    (
        "on_completed NULL",
        lambda t: t.lib.mfa_commands_on_completed(t.device.commands(), t.null, t.null),
        ARGUMENT,
        "callback is NULL",
    ),
    (
        "commit released",
        lambda t: t.lib.mfa_commands_commit(t.released("commands")),
        ARGUMENT,
        "commands was released",
    ),
    (
        "run released",
        lambda t: t.lib.mfa_commands_run(t.released("commands")),
        ARGUMENT,
        "commands was released",
    ),
    (
        "wait released",
        lambda t: t.lib.mfa_commands_wait(t.released("commands"), 0),
        ARGUMENT,
        "commands was released",
    ),
    (
        "wait NaN",
        lambda t: t.lib.mfa_commands_wait(t.device.commands(), float("nan")),
        ARGUMENT,
        "seconds is not a number",
    ),
    (
        "info NULL",
        lambda t: t.lib.mfa_commands_get_info(t.device.commands(), t.null),
        ARGUMENT,
        "info is NULL",
    ),
    (
        "metal NULL",
        lambda t: t.lib.mfa_commands_metal(t.device.commands(), t.null),
        ARGUMENT,
        "encoder is NULL",
    ),
    (
        "encode into released",
        lambda t: t.lib.mfa_sgemm(
            t.released("commands"),
            t.abi.struct("mfa_gemm_desc"),
            t.abi.struct("mfa_gemm_operands"),
        ),
        ARGUMENT,
        "commands was released",
    ),
    ("retain", lambda t: t.lib.mfa_commands_retain(t.null), ARGUMENT, "commands is NULL"),
    (
        "release released",
        lambda t: t.lib.mfa_commands_release(t.released("commands")),
        ARGUMENT,
        "commands was released",
    ),
]

GEMM: list[Case] = [
    (
        "desc NULL",
        lambda t: t.lib.mfa_hgemm(t.null, t.null, t.abi.struct("mfa_gemm_operands")),
        ARGUMENT,
        "mfa_hgemm: desc is NULL",
    ),
    (
        "operands NULL",
        lambda t: t.lib.mfa_bgemm(t.null, t.abi.struct("mfa_gemm_desc"), t.null),
        ARGUMENT,
        "mfa_bgemm: operands is NULL",
    ),
    ("size", lambda t: t.gemm(size=8), ARGUMENT, "desc->size is 8, expected sizeof(mfa_gemm_desc)"),
    (
        "operands size",
        lambda t: t.gemm(operands={"size": 1 << 40}),
        ARGUMENT,
        "operands->size is 1099511627776",
    ),
    ("a NULL", lambda t: t.gemm(operands={"a": {}}), ARGUMENT, "a.buffer is NULL, 128 bytes"),
    (
        "b released",
        lambda t: t.gemm(operands={"b": {"buffer": t.released("buffer")}}),
        ARGUMENT,
        "b.buffer was released",
    ),
    ("lda", lambda t: t.gemm(lda=3), ARGUMENT, "mfa_sgemm: lda is 3, expected at least K = 8"),
    ("lda, A^T", lambda t: t.gemm(lda=3, trans_a=True), ARGUMENT, "at least M = 4"),
    ("ldb", lambda t: t.gemm(ldb=2), ARGUMENT, "ldb is 2, expected at least N = 4"),
    ("ldb, B^T", lambda t: t.gemm(ldb=2, trans_b=True), ARGUMENT, "at least K = 8"),
    ("ldc", lambda t: t.gemm(ldc=1), ARGUMENT, "ldc is 1, expected at least N = 4"),
    ("K too large", lambda t: t.gemm(K=100), BOUNDS, "a needs 1600 bytes"),
    ("N too large", lambda t: t.gemm(N=9), BOUNDS, "b needs 288 bytes from offset 0, its buffer"),
    ("M, c", lambda t: t.gemm(M=8, N=8, ldc=16), BOUNDS, "c needs 480 bytes"),
    ("batch", lambda t: t.gemm(batch=3), BOUNDS, "a needs 384 bytes"),
    (
        "offset",
        lambda t: t.gemm(operands={"a": {"buffer": t.a, "offset": 132}}),
        BOUNDS,
        "a needs 128 bytes from offset 132, its buffer has 256 bytes",
    ),
    (
        "offset beyond",
        lambda t: t.gemm(operands={"a": {"buffer": t.a, "offset": 1 << 63}}),
        BOUNDS,
        "from offset 9223372036854775808",
    ),
    (
        "alignment",
        lambda t: t.gemm(operands={"a": {"buffer": t.a, "offset": 2}}),
        ARGUMENT,
        "a begins at offset 2, which is not aligned",
    ),
    ("overflow", lambda t: t.gemm(M=1 << 40, lda=1 << 40), ARGUMENT, "does not fit 63 bits"),
    ("overflow, N", lambda t: t.gemm(N=1 << 62), ARGUMENT, "does not fit 63 bits"),
    (
        "overflow, stride",
        lambda t: t.gemm(batch=1 << 40, stride_a=1 << 40),
        ARGUMENT,
        "a is larger than any memory",
    ),
    ("stride", lambda t: t.gemm(batch=2, stride_a=-5), ARGUMENT, "stride_a is -5"),
    (
        "stride_c broadcast",
        lambda t: t.gemm(batch=2, stride_c=-1),
        ARGUMENT,
        "stride_c is MFA_BROADCAST",
    ),
    (
        "stride_c overlaps",
        lambda t: t.gemm(M=2, K=2, batch=2, stride_c=3),
        "OVERLAP",
        "make its own elements overlap",
    ),
    ("c is a", lambda t: t.gemm(operands={"c": {"buffer": t.a}}), "OVERLAP", "c overlaps a"),
    (
        "c within b",
        lambda t: t.gemm(operands={"c": {"buffer": t.b, "offset": 64}}),
        "OVERLAP",
        "c overlaps b",
    ),
    (
        "c is the bias",
        lambda t: t.gemm(operands={"bias": {"buffer": t.c}}),
        "OVERLAP",
        "c overlaps bias",
    ),
    (
        "read-only c",
        lambda t: t.gemm(operands={"c": {"buffer": t.frozen}}),
        "READ_ONLY",
        "c lies in a buffer that was wrapped as read-only",
    ),
    ("activation", lambda t: t.gemm(activation=77), ARGUMENT, "desc->activation is 77"),
    ("bias", lambda t: t.gemm(bias=2), ARGUMENT, "desc->bias is 2"),
    ("alpha", lambda t: t.gemm(alpha=2.0), ARGUMENT, "has_alpha is false"),
    ("alpha NaN", lambda t: t.gemm(alpha=float("nan"), has_alpha=True), ARGUMENT, "finite"),
    ("beta", lambda t: t.gemm(beta=float("inf")), ARGUMENT, "desc->beta is inf"),
    (
        "beyond 32 bits",
        lambda t: t.gemm(M=1, N=1, K=1 << 33, lda=1, ldb=1, operands={"a": {"buffer": t.a}}),
        BOUNDS,
        "a needs",
    ),
    (
        "other device",
        lambda t: t.gemm(operands={"b": {"buffer": other_buffer(t)}}),
        ARGUMENT,
        "b.buffer belongs to device",
    ),
]


def other_buffer(t: Bench) -> Any:
    if t.abi.out("size_t", "mfa_device_count") < 2:
        pytest.skip("one device only")
    other = t.device.keep("device", t.abi.out("mfa_device", "mfa_device_at", 1))
    return t.device.keep("buffer", t.abi.out("mfa_buffer", "mfa_buffer_new", other, 256, 0))


ATTENTION: list[Case] = [
    (
        "desc NULL",
        lambda t: t.lib.mfa_attention(t.null, t.null, t.abi.struct("mfa_attention_operands")),
        ARGUMENT,
        "desc is NULL",
    ),
    ("size", lambda t: t.attention(size=1), ARGUMENT, "desc->size is 1"),
    ("type", lambda t: t.attention(type=33), TYPE, "desc->type is uint, expected half, bfloat"),
    (
        "mask type",
        lambda t: t.attention(mask_kind=2, mask_type=29),
        TYPE,
        "desc->mask_type is int",
    ),
    ("mask kind", lambda t: t.attention(mask_kind=5), ARGUMENT, "desc->mask_kind is 5"),
    ("causal", lambda t: t.attention(causal=3), ARGUMENT, "desc->causal is 3"),
    ("layout", lambda t: t.attention(layout=2), ARGUMENT, "desc->layout is 2"),
    ("D", lambda t: t.attention(D=0), ARGUMENT, "D is 0"),
    ("heads", lambda t: t.attention(H=3, Hkv=2), ARGUMENT, "Hkv is 2, expected a divisor of H = 3"),
    ("scale", lambda t: t.attention(scale=1.0), ARGUMENT, "has_scale is false"),
    (
        "scale NaN",
        lambda t: t.attention(scale=float("nan"), has_scale=True),
        ARGUMENT,
        "desc->scale is nan",
    ),
    ("q NULL", lambda t: t.attention(operands={"q": {}}), ARGUMENT, "q.buffer is NULL"),
    ("k small", lambda t: t.attention(C=9), BOUNDS, "k needs 288 bytes"),
    ("v small", lambda t: t.attention(Dv=17), BOUNDS, "v needs 272 bytes"),
    ("o small", lambda t: t.attention(o={"row": 60}), BOUNDS, "o needs 752 bytes"),
    (
        "strides",
        lambda t: t.attention(q={"row": 2, "column": 2}),
        ARGUMENT,
        "q has row stride 2 and column stride 2",
    ),
    ("negative", lambda t: t.attention(k={"head": -7}), ARGUMENT, "desc->k.head is -7"),
    (
        "o broadcast",
        lambda t: t.attention(B=2, C=2, R=2, o={"batch": -1}),
        ARGUMENT,
        "desc->o.batch is MFA_BROADCAST",
    ),
    (
        "o overlaps itself",
        lambda t: t.attention(o={"row": 4}),
        "OVERLAP",
        "the strides of o make its own elements overlap",
    ),
    ("o is q", lambda t: t.attention(operands={"o": {"buffer": t.a}}), "OVERLAP", "o overlaps q"),
    (
        "lse is v",
        lambda t: t.attention(operands={"lse": {"buffer": t.c}}),
        "OVERLAP",
        "lse overlaps v",
    ),
    (
        "read-only o",
        lambda t: t.attention(operands={"o": {"buffer": t.frozen}}),
        "READ_ONLY",
        "o lies in a buffer",
    ),
    ("mask missing", lambda t: t.attention(mask_kind=1), ARGUMENT, "mask.buffer is NULL"),
    (
        "mask unasked",
        lambda t: t.attention(operands={"mask": {"buffer": t.frozen}}),
        ARGUMENT,
        "mask is given but desc->mask_kind is MFA_MASK_NONE",
    ),
    (
        "mask column",
        lambda t: t.attention(mask_kind=1, mask={"column": 2}),
        "UNSUPPORTED",
        "desc->mask.column is 2",
    ),
    ("overflow", lambda t: t.attention(R=1 << 62, H=8), ARGUMENT, "does not fit 63 bits"),
    (
        "large heads",
        lambda t: t.attention(D=60000, R=1, C=1, **spread(t)),
        "UNSUPPORTED",
        "threadgroup memory",
    ),
]


def spread(t: Bench) -> dict[str, Any]:
    """Operands that are large enough for D = 60000."""
    pool = [t.device.wrap(np.ones(60000, np.float32)) for _ in range(4)]
    return {"operands": {n: {"buffer": b} for n, b in zip("qkvo", pool, strict=True)}}


CASTS: list[Case] = [
    (
        "desc NULL",
        lambda t: t.lib.mfa_cast(t.null, t.null, t.abi.struct("mfa_cast_operands")),
        ARGUMENT,
        "desc is NULL",
    ),
    ("size", lambda t: t.cast(size=3), ARGUMENT, "desc->size is 3"),
    ("type", lambda t: t.cast(source_type=45), TYPE, "desc->source_type is char"),
    ("to type", lambda t: t.cast(destination_type=99), TYPE, "desc->destination_type is type 99"),
    ("small", lambda t: t.cast(count=65), BOUNDS, "source needs 260 bytes"),
    (
        "stride",
        lambda t: t.cast(rows=2, count=8, source_stride=4),
        ARGUMENT,
        "source_stride is 4, expected at least count = 8",
    ),
    (
        "overlap",
        lambda t: t.cast(operands={"destination": {"buffer": t.a}}),
        "OVERLAP",
        "destination overlaps source",
    ),
    (
        "read-only",
        lambda t: t.cast(operands={"destination": {"buffer": t.frozen}}),
        "READ_ONLY",
        "destination lies in",
    ),
]

QUESTIONS: list[Case] = [
    ("problem NULL", lambda t: t.supported(t.null), ARGUMENT, "problem is NULL"),
    ("problem size", lambda t: t.supported(t.problem(size=2)), ARGUMENT, "problem->size is 2"),
    ("operation", lambda t: t.supported(t.problem(operation=0)), ARGUMENT, "operation is 0"),
    ("desc NULL", lambda t: t.supported(t.problem(desc=t.null)), ARGUMENT, "desc is NULL"),
    (
        "supported NULL",
        lambda t: t.lib.mfa_supported(t.handle, t.problem(), t.null, t.null),
        ARGUMENT,
        "supported is NULL",
    ),
    (
        "explanation NULL",
        lambda t: t.lib.mfa_explain(t.handle, t.problem(), t.null),
        ARGUMENT,
        "explanation is NULL",
    ),
    (
        "explanation size",
        lambda t: t.lib.mfa_explain(t.handle, t.problem(), t.ffi.new("mfa_explanation *")),
        ARGUMENT,
        "explanation->size is 0",
    ),
    (
        "prepare NULL",
        lambda t: t.lib.mfa_prepare(t.handle, t.null, 1, t.null),
        ARGUMENT,
        "problems is NULL",
    ),
    (
        "prepare released",
        lambda t: t.lib.mfa_prepare(t.released("device"), t.problem(), 1, t.null),
        ARGUMENT,
        "device was released",
    ),
]

LIBRARIES: list[Case] = [
    ("open NULL", lambda t: t.lib.mfa_library_open(t.handle, t.null, 4, t.null), ARGUMENT, "bytes"),
    ("open nothing", lambda t: t.open(b""), "CORRUPT", "mfa_library_open: "),
    ("open text", lambda t: t.open(b"kernel void f() {}" * 20), "CORRUPT", "mfa_library_open: "),
    ("open cut", lambda t: t.open(b"MTLB" + bytes(200)), "CORRUPT", "mfa_library_open: "),
    (
        "file missing",
        lambda t: t.lib.mfa_library_open_file(
            t.handle, b"no/such/file.metallib", t.ffi.new("mfa_library *")
        ),
        "NOT_FOUND",
        'no readable file "no/such/file.metallib"',
    ),
    (
        "file corrupt",
        lambda t: t.lib.mfa_library_open_file(
            t.handle, __file__.encode(), t.ffi.new("mfa_library *")
        ),
        "CORRUPT",
        "mfa_library_open_file: ",
    ),
    (
        "file NULL",
        lambda t: t.lib.mfa_library_open_file(t.handle, t.null, t.null),
        ARGUMENT,
        "path is NULL",
    ),
    (
        "source NULL",
        lambda t: t.lib.mfa_library_from_source(t.handle, t.null, t.null, t.null),
        ARGUMENT,
        "source is NULL",
    ),
    ("source", lambda t: t.source("kernel void f( {"), "COMPILE", "error:"),
    (
        "default NULL",
        lambda t: t.lib.mfa_library_default(t.handle, t.null),
        ARGUMENT,
        "library is NULL",
    ),
    (
        "count NULL",
        lambda t: t.lib.mfa_library_function_count(t.device.source(KERNEL), t.null),
        ARGUMENT,
        "count is NULL",
    ),
    (
        "name index",
        lambda t: t.lib.mfa_library_function_name(
            t.device.source(KERNEL), 77, t.ffi.new("const char **")
        ),
        "NOT_FOUND",
        "index is 77, the library has 3 functions",
    ),
    (
        "info unknown",
        lambda t: t.lib.mfa_library_function_info(
            t.device.source(KERNEL), b"thrice", t.abi.struct("mfa_function_info")
        ),
        "NOT_FOUND",
        'no function "thrice"',
    ),
    (
        "info released",
        lambda t: t.lib.mfa_library_function_info(
            t.released("library"), b"hgemm", t.abi.struct("mfa_function_info")
        ),
        ARGUMENT,
        "library was released",
    ),
    ("retain", lambda t: t.lib.mfa_library_retain(t.null), ARGUMENT, "library is NULL"),
    (
        "release released",
        lambda t: t.lib.mfa_library_release(t.released("library")),
        ARGUMENT,
        "library was released",
    ),
]

PIPELINES: list[Case] = [
    ("unknown function", lambda t: t.pipeline("thrice"), "NOT_FOUND", 'no function "thrice"'),
    ("not exported", lambda t: t.pipeline("helper"), "NOT_FOUND", 'no function "helper"'),
    (
        "missing constant",
        lambda t: t.pipeline("scaled"),
        ARGUMENT,
        "needs a value for its function",
    ),
    (
        "mistyped constant",
        lambda t: t.pipeline("scaled", (3, t.lib.MFA_TYPE_FLOAT, bytes(8))),
        TYPE,
        'function constant factor (3) of "scaled" is uint, given float',
    ),
    (
        "unknown constant",
        lambda t: t.pipeline(
            "scaled", (3, t.lib.MFA_TYPE_UINT, bytes(8)), (4, t.lib.MFA_TYPE_UINT, bytes(8))
        ),
        "NOT_FOUND",
        "no function constant 4",
    ),
    (
        "unknown name",
        lambda t: t.pipeline("scaled", ("faktor", t.lib.MFA_TYPE_UINT, bytes(8))),
        "NOT_FOUND",
        'no function constant "faktor"',
    ),
    (
        "no type",
        lambda t: t.pipeline("scaled", (3, 0, bytes(8))),
        TYPE,
        "constants[0].type is 0",
    ),
    (
        "no value",
        lambda t: t.pipeline("scaled", (3, t.lib.MFA_TYPE_UINT, None)),
        ARGUMENT,
        "constants[0].value is NULL",
    ),
    (
        "function NULL",
        lambda t: t.lib.mfa_pipeline_new(t.device.source(KERNEL), t.null, t.null, 0, t.null),
        ARGUMENT,
        "function is NULL",
    ),
    ("info NULL", lambda t: t.lib.mfa_pipeline_get_info(t.null, t.null), ARGUMENT, "pipeline is"),
    ("retain NULL", lambda t: t.lib.mfa_pipeline_retain(t.null), ARGUMENT, "pipeline is NULL"),
    (
        "release of a buffer",
        lambda t: t.lib.mfa_pipeline_release(t.as_kind("pipeline", t.a)),
        ARGUMENT,
        "pipeline is a handle of mfa_buffer",
    ),
]

DISPATCHES: list[Case] = [
    ("desc NULL", lambda t: t.lib.mfa_dispatch(t.null, t.null), ARGUMENT, "desc is NULL"),
    ("size", lambda t: t.dispatch("twice", t.both(), size=1), ARGUMENT, "desc->size is 1"),
    (
        "pipeline NULL",
        lambda t: t.dispatch("twice", t.both(), pipeline=t.null),
        ARGUMENT,
        "desc->pipeline is NULL",
    ),
    (
        "missing buffer",
        lambda t: t.dispatch("twice", t.both()[:1]),
        ARGUMENT,
        'argument y of "twice" ([[buffer(1)]]) is not bound',
    ),
    (
        "bindings NULL",
        lambda t: t.dispatch("twice", t.both(), bindings=t.null),
        ARGUMENT,
        "desc->bindings is NULL",
    ),
    (
        "buffer NULL",
        lambda t: t.dispatch("twice", [t.both()[0], {"slot": 1}]),
        ARGUMENT,
        "bindings[1].buffer is NULL",
    ),
    (
        "slot",
        lambda t: t.dispatch("twice", [{"slot": 40, "buffer": t.a}]),
        ARGUMENT,
        "bindings[0].slot is 40",
    ),
    (
        "kind",
        lambda t: t.dispatch("twice", [{"kind": 9}]),
        ARGUMENT,
        "bindings[0].kind is 9",
    ),
    (
        "offset",
        lambda t: t.dispatch("twice", [{"slot": 0, "buffer": t.a, "offset": 300}]),
        BOUNDS,
        "bindings[0].offset is 300",
    ),
    (
        "bytes too long",
        lambda t: t.dispatch("twice", [{"kind": 1, "bytes": t.arrays_pointer(), "length": 5000}]),
        ARGUMENT,
        "bindings[0].length is 5000, expected 1 to 4096",
    ),
    (
        "bytes NULL",
        lambda t: t.dispatch("twice", [{"kind": 1, "length": 5}]),
        ARGUMENT,
        "bindings[0].bytes is NULL",
    ),
    (
        "read-only output",
        lambda t: t.dispatch("twice", [t.both()[0], {"slot": 1, "buffer": t.frozen}]),
        "READ_ONLY",
        "bound to argument y",
    ),
    (
        "threadgroup memory missing",
        lambda t: t.dispatch("shares", [{"slot": 0, "buffer": t.a}]),
        ARGUMENT,
        'argument memory of "shares" ([[threadgroup(1)]]) is not bound',
    ),
    (
        "threadgroup memory of 0",
        lambda t: t.dispatch("shares", [{"kind": 2, "slot": 1}]),
        ARGUMENT,
        "bindings[0].length is 0",
    ),
    (
        "too much threadgroup memory",
        lambda t: t.dispatch(
            "shares",
            [{"slot": 0, "buffer": t.a}, {"kind": 2, "slot": 1, "length": 1 << 30}],
        ),
        ARGUMENT,
        "1073741824 bytes of threadgroup memory",
    ),
    (
        "too many threads",
        lambda t: t.dispatch("twice", t.both(), threads_per_threadgroup=(64, 64, 1)),
        ARGUMENT,
        "threads_per_threadgroup is 64 x 64 x 1",
    ),
    (
        "threads missing",
        lambda t: t.dispatch("twice", t.both(), grid_in_threads=False),
        ARGUMENT,
        "threads_per_threadgroup is 0",
    ),
    (
        "grid",
        lambda t: t.dispatch("twice", t.both(), grid=(1 << 40, 1, 1)),
        ARGUMENT,
        "grid[0] is 1099511627776",
    ),
]

TABLE = [
    pytest.param(*case[1:], id=f"{group}: {case[0]}")
    for group, cases in {
        "device": DEVICES,
        "buffer": BUFFERS,
        "commands": COMMANDS,
        "gemm": GEMM,
        "attention": ATTENTION,
        "cast": CASTS,
        "questions": QUESTIONS,
        "library": LIBRARIES,
        "pipeline": PIPELINES,
        "dispatch": DISPATCHES,
    }.items()
    for case in cases
]


@pytest.mark.parametrize(("run", "status", "message"), TABLE)
def test_bad_input(abi, first, run, status, message):
    bench = Bench(abi, first)
    got = run(bench)
    assert abi.name(got) == "MFA_ERROR_" + status, abi.error()
    assert message in abi.error()
    assert abi.error().startswith("mfa_")
    for array in bench.arrays:
        assert np.all(array == 1), "a call that fails leaves memory as it was"


def test_release_of_null_is_fine(abi):
    for kind in ("device", "buffer", "library", "pipeline", "commands"):
        abi.check(getattr(abi.lib, f"mfa_{kind}_release")(abi.null))


def test_a_newer_caller_is_understood_as_long_as_it_asks_for_nothing_new(abi, first):
    size = abi.ffi.sizeof("mfa_cast_desc")
    memory = abi.ffi.new("char[]", size + 64)
    desc = abi.ffi.cast("mfa_cast_desc *", memory)
    desc.size, desc.count = size + 64, 0
    operands = abi.struct("mfa_cast_operands")
    abi.check(abi.lib.mfa_cast(abi.null, desc, operands))
    memory[size + 3] = b"\x01"
    assert abi.lib.mfa_cast(abi.null, desc, operands) == abi.lib.MFA_ERROR_UNSUPPORTED
    assert "desc has fields that this version" in abi.error()


def test_an_error_is_its_threads_own(abi, first):
    import threading

    assert abi.lib.mfa_device_at(99, abi.ffi.new("mfa_device *")) != 0
    seen = []

    def other() -> None:
        abi.lib.mfa_buffer_retain(abi.null)
        seen.append(abi.error())

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert seen == ["mfa_buffer_retain: buffer is NULL"]
    assert abi.error().startswith("mfa_device_at: index is 99")


def test_memory_that_cannot_be_written_is_read(abi, first):
    """Wrapping does not touch the pages: a read-only mapping works as an input."""
    page = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ)
    zeros = np.frombuffer(page, np.float32)[:64]
    halves = np.ones(64, np.float16)
    desc = abi.struct("mfa_cast_desc", count=64, source_type=abi.lib.MFA_TYPE_FLOAT)
    operands = abi.struct(
        "mfa_cast_operands",
        source={"buffer": first.wrap(zeros, read_only=True)},
        destination={"buffer": first.wrap(halves)},
    )
    abi.check(abi.lib.mfa_cast(abi.null, desc, operands))
    assert not halves.any()


def test_every_function_is_called_with_bad_input(abi):
    """The tables of the files test_bad_*.py name each function that can fail."""
    from pathlib import Path

    text = "".join(file.read_text() for file in Path(__file__).parent.glob("test_bad_*.py"))
    harmless = {"mfa_last_error", "mfa_status_name", "mfa_version"}
    through_bench = {"mfa_hgemm", "mfa_sgemm", "mfa_bgemm"}
    missing = [
        name
        for name in abi.functions()
        if name not in harmless | through_bench and f"lib.{name}(" not in text
    ]
    assert [m for m in missing if not m.endswith("_release")] == []
