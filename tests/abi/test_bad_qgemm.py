# SPDX-License-Identifier: MIT
"""Bad input to mfa_qgemm, and to the questions about it: the status, and what the message names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

ARGUMENT, TYPE, BOUNDS = "INVALID_ARGUMENT", "INVALID_TYPE", "OUT_OF_BOUNDS"
OVERLAP, READ_ONLY, UNSUPPORTED = "OVERLAP", "READ_ONLY", "UNSUPPORTED"


class Bench:
    """2 x 64 times 64 x 8, with 4-bit weights; a right call until a field is changed."""

    def __init__(self, abi: Any, device: Any) -> None:
        self.abi, self.lib, self.null, self.device = abi, abi.lib, abi.null, device
        floats = [np.ones(128, np.float32) for _ in range(4)]
        self.a, self.c, self.scales, self.zero_points = (device.wrap(x) for x in floats)
        self.packed = np.full(8 * 32, 0x11, np.uint8)
        self.b = device.wrap(self.packed)
        self.frozen = device.wrap(np.ones(128, np.float32), read_only=True)

    def desc(self, fields: dict[str, Any]) -> Any:
        given = {
            "M": 2, "N": 8, "K": 64, "trans_b": True, "bits": 4, "group_size": 64,
            "input_type": self.lib.MFA_TYPE_FLOAT, **fields,
        }  # fmt: skip
        return self.abi.struct("mfa_qgemm_desc", **given)

    def call(self, operands: dict[str, Any] | None = None, **fields: Any) -> int:
        names = ("a", "b", "c", "scales", "zero_points")
        spots = {name: {"buffer": getattr(self, name)} for name in names}
        made = self.abi.struct("mfa_qgemm_operands", **{**spots, **(operands or {})})
        return self.lib.mfa_qgemm(self.null, self.desc(fields), made)

    def palette(self, operands: dict[str, Any] | None = None, **fields: Any) -> int:
        given = {"quantization": 1, "group_size": 0, **fields}
        return self.call({"zero_points": {}, **(operands or {})}, **given)

    def without(self, name: str) -> int:
        return self.call({name: {"buffer": self.null}})

    def supported(self, **fields: Any) -> int:
        desc = self.desc(fields)
        problem = self.abi.struct(
            "mfa_problem",
            desc=self.abi.ffi.cast("void *", desc),
            operation=self.lib.MFA_OPERATION_QGEMM,
        )
        answer = self.abi.ffi.new("bool *")
        return self.lib.mfa_supported(self.device.handle, problem, answer, self.null)


Case = tuple[str, Callable[[Bench], int], str, str]

CASES: list[Case] = [
    (
        "desc NULL",
        lambda t: t.lib.mfa_qgemm(t.null, t.null, t.abi.struct("mfa_qgemm_operands")),
        ARGUMENT,
        "mfa_qgemm: desc is NULL",
    ),
    (
        "operands NULL",
        lambda t: t.lib.mfa_qgemm(t.null, t.desc({}), t.null),
        ARGUMENT,
        "operands is NULL",
    ),
    ("size", lambda t: t.call(size=8), ARGUMENT, "expected sizeof(mfa_qgemm_desc)"),
    ("bits", lambda t: t.call(bits=7), ARGUMENT, "desc->bits is 7, expected 2, 3, 4, 5, 6 or 8"),
    ("bits, none", lambda t: t.call(bits=0), ARGUMENT, "desc->bits is 0"),
    ("palette bits", lambda t: t.palette(bits=9), ARGUMENT, "bits is 9, expected 1 to 8"),
    ("group", lambda t: t.call(group_size=48), ARGUMENT, "group_size is 48, expected 32, 64 or"),
    ("quantization", lambda t: t.call(quantization=2), ARGUMENT, "desc->quantization is 2"),
    ("bit order", lambda t: t.call(bit_order=2), ARGUMENT, "desc->bit_order is 2"),
    ("columns", lambda t: t.call(palette_columns=True), ARGUMENT, "the quantization is affine"),
    ("input type", lambda t: t.call(input_type=33), TYPE, "desc->input_type is uint"),
    ("weight type", lambda t: t.call(weight_type=29), TYPE, "desc->weight_type is int"),
    ("output type", lambda t: t.call(output_type=1), TYPE, "desc->output_type is type 1"),
    ("activation", lambda t: t.call(activation=9), ARGUMENT, "desc->activation is 9"),
    ("alpha", lambda t: t.call(alpha=2.0), ARGUMENT, "has_alpha is false"),
    ("ldb", lambda t: t.call(ldb=63), ARGUMENT, "ldb is 63, expected at least K = 64"),
    ("lda", lambda t: t.call(lda=3), ARGUMENT, "lda is 3, expected at least K = 64"),
    ("stride", lambda t: t.call(batch=2, stride_scales=-4), ARGUMENT, "stride_scales is -4"),
    ("output stride", lambda t: t.call(batch=2, stride_c=-1), ARGUMENT, "stride_c is MFA_BROAD"),
    ("overflow", lambda t: t.call(N=1 << 60), ARGUMENT, "does not fit 63 bits"),
    ("overflow, b", lambda t: t.call(first_b=1 << 62), ARGUMENT, "b is larger than any memory"),
    ("a NULL", lambda t: t.without("a"), ARGUMENT, "a.buffer is NULL, 512 bytes are needed"),
    ("b NULL", lambda t: t.without("b"), ARGUMENT, "b.buffer is NULL, 256 bytes are needed"),
    ("scales NULL", lambda t: t.without("scales"), ARGUMENT, "scales.buffer is NULL, 32 bytes"),
    ("zero points NULL", lambda t: t.without("zero_points"), ARGUMENT, "zero_points.buffer is"),
    (
        "zero points with palettes",
        lambda t: t.palette({"zero_points": {"buffer": t.zero_points}}),
        ARGUMENT,
        "zero_points are given, which palettes do not have",
    ),
    ("b too small", lambda t: t.call(N=9), BOUNDS, "b needs 288 bytes from offset 0"),
    ("one number", lambda t: t.call(first_b=1), BOUNDS, "b needs 257 bytes"),
    ("scales too small", lambda t: t.palette(bits=8), BOUNDS, "b needs 512 bytes"),
    ("palettes", lambda t: t.palette(M=1, N=1, K=4, bits=8), BOUNDS, "scales needs 1024 bytes"),
    (
        "a palette each",
        lambda t: t.palette(N=16, K=8, group_size=1),
        BOUNDS,
        "scales needs 1024 bytes",
    ),
    ("misaligned", lambda t: t.call({"scales": {"buffer": t.scales, "offset": 2}}), ARGUMENT,
     "scales begins at offset 2, which is not aligned"),
    ("c is a", lambda t: t.call({"c": {"buffer": t.a}}), OVERLAP, "c overlaps a"),
    ("c is b", lambda t: t.call({"c": {"buffer": t.b}}), OVERLAP, "c overlaps b"),
    ("c is scales", lambda t: t.call({"c": {"buffer": t.scales}}), OVERLAP, "c overlaps scales"),
    ("read-only", lambda t: t.call({"c": {"buffer": t.frozen}}), READ_ONLY, "c lies in a buffer"),
    ("question", lambda t: t.supported(bits=1), ARGUMENT, "mfa_supported: desc->bits is 1"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "status", "message"), [
    pytest.param(*case[1:], id=case[0]) for case in CASES
])  # fmt: skip
def test_refused(
    abi: Any, first: Any, call: Callable[[Bench], int], status: str, message: str
) -> None:
    bench = Bench(abi, first)
    found = call(bench)
    assert abi.name(found) == f"MFA_ERROR_{status}", abi.error()
    assert message in abi.error()


def test_right_calls(abi: Any, first: Any) -> None:
    """What the cases above start from: 64 products of 1 with a weight of 1 * 1 + 1, or 1."""
    bench = Bench(abi, first)
    out = np.zeros(128, np.float32)
    bench.c = first.wrap(out)
    abi.check(bench.call())
    np.testing.assert_array_equal(out[:16], 128)
    abi.check(bench.palette())
    np.testing.assert_array_equal(out[:16], 64)
    assert not out[16:].any()


def test_nothing_to_do(abi: Any, first: Any) -> None:
    bench = Bench(abi, first)
    empty = {name: {"buffer": abi.null} for name in ("a", "b", "c", "scales", "zero_points")}
    abi.check(bench.call(empty, M=0))
    abi.check(bench.call(empty, N=0))


def test_too_large_is_unsupported(abi: Any, first: Any) -> None:
    bench = Bench(abi, first)
    desc = bench.desc({"M": 1, "N": 1, "K": 1 << 32})
    problem = abi.struct(
        "mfa_problem", desc=abi.ffi.cast("void *", desc), operation=abi.lib.MFA_OPERATION_QGEMM
    )
    answer, reason = abi.ffi.new("bool *"), abi.ffi.new("const char **")
    abi.check(abi.lib.mfa_supported(first.handle, problem, answer, reason))
    assert not answer[0]
    assert "4294967296" in abi.string(reason[0])
