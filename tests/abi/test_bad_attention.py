# SPDX-License-Identifier: MIT
"""Bad input to the calls around attention: gradients, decoding, merging."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

# The call, its descriptor and its operands.
CALLS = {
    "backward": (
        lambda lib, *given: lib.mfa_attention_backward(*given),
        "mfa_attention_backward_desc",
        "mfa_attention_backward_operands",
    ),
    "decode": (
        lambda lib, *given: lib.mfa_attention_decode(*given),
        "mfa_decode_desc",
        "mfa_decode_operands",
    ),
    "merge": (
        lambda lib, *given: lib.mfa_merge_attention(*given),
        "mfa_merge_desc",
        "mfa_merge_operands",
    ),
}


@pytest.mark.parametrize("what", CALLS)
def test_null_and_sizes(abi: Any, first: Any, what: str) -> None:
    call, desc_type, operands_type = CALLS[what]
    lib, desc, operands = abi.lib, abi.struct(desc_type), abi.struct(operands_type)
    assert call(lib, abi.null, abi.null, operands) == lib.MFA_ERROR_INVALID_ARGUMENT
    assert "NULL" in abi.error()
    assert call(lib, abi.null, desc, abi.null) == lib.MFA_ERROR_INVALID_ARGUMENT
    assert "NULL" in abi.error()
    desc.size = 4
    assert call(lib, abi.null, desc, operands) == lib.MFA_ERROR_INVALID_ARGUMENT
    if what != "backward":  # it reads the forward call's operands first, which are absent here
        assert "expected sizeof(mfa_" in abi.error()


@pytest.mark.parametrize("what", CALLS)
def test_after_commit(abi: Any, first: Any, what: str) -> None:
    call, desc_type, operands_type = CALLS[what]
    commands = first.commands()
    abi.check(abi.lib.mfa_commands_run(commands))
    given = abi.struct(desc_type), abi.struct(operands_type)
    assert call(abi.lib, commands, *given) == abi.lib.MFA_ERROR_WRONG_STATE
    assert "were committed already" in abi.error()


def test_merge_of_absent_operands(abi: Any, first: Any) -> None:
    desc = abi.struct("mfa_merge_desc", R=4, Dv=8)
    operands = abi.struct("mfa_merge_operands")
    found = abi.lib.mfa_merge_attention(abi.null, desc, operands)
    assert found == abi.lib.MFA_ERROR_INVALID_ARGUMENT
    assert "first" in abi.error()


class Right:
    """Calls that are right until a field or an operand is changed: floats, 9 keys of 2 heads."""

    def __init__(self, abi: Any, device: Any) -> None:
        self.abi, self.lib, self.float = abi, abi.lib, abi.lib.MFA_TYPE_FLOAT
        self.arrays = [np.zeros(4096, np.float32) for _ in range(8)]
        self.buffers = [device.wrap(x) for x in self.arrays]
        self.frozen = device.wrap(np.zeros(2048, np.float32), read_only=True)
        self.small = device.wrap(np.zeros(4, np.float32))

    def spots(self, *names: str) -> dict[str, Any]:
        return {n: {"buffer": b} for n, b in zip(names, self.buffers, strict=False)}

    def decode(self, operands: Any = None, attention: Any = None, **fields: Any) -> int:
        sizes = {"H": 4, "Hkv": 2, "R": 1, "C": 9, "D": 32, "type": self.float}
        inner = self.abi.struct("mfa_attention_desc", **{**sizes, **(attention or {})})
        desc = self.abi.struct("mfa_decode_desc", attention=inner, **fields)
        given = {**self.spots("q", "k", "v", "o"), **(operands or {})}
        made = self.abi.struct("mfa_decode_operands", **given)
        return self.lib.mfa_attention_decode(self.abi.null, desc, made)

    def merge(self, operands: Any = None, **fields: Any) -> int:
        desc = self.abi.struct("mfa_merge_desc", **{"R": 4, "Dv": 8, "type": self.float, **fields})
        given = self.spots("first", "second", "first_lse", "second_lse", "o") | (operands or {})
        made = self.abi.struct("mfa_merge_operands", **given)
        return self.lib.mfa_merge_attention(self.abi.null, desc, made)

    def packed(self, operands: Any = None, **fields: Any) -> int:
        sizes = {"B": 2, "R": 4, "C": 4, "D": 8, "type": self.float, "packed": True,
                 "total_R": 6, "total_C": 6}  # fmt: skip
        desc = self.abi.struct("mfa_attention_desc", **{**sizes, **fields})
        given = self.spots("q", "k", "v", "o", "row_starts", "column_starts") | (operands or {})
        made = self.abi.struct("mfa_attention_operands", **given)
        return self.lib.mfa_attention(self.abi.null, desc, made)


@pytest.fixture
def right(abi: Any, first: Any) -> Right:
    made = Right(abi, first)
    for call in (made.decode, made.merge, made.packed):
        abi.check(call())
    return made


PAGED = {"page_size": 4, "pages": 3}
QUANTIZED = {"bits": 8, "group_size": 32}
CASES: dict[str, tuple[Any, str, str]] = {
    "decode: type": (lambda r: r.decode(attention={"type": 33}), "INVALID_TYPE", "type is uint"),
    "decode: type of the cache": (lambda r: r.decode(kv_type=29), "INVALID_TYPE", "kv_type is int"),
    "decode: queries": (
        lambda r: r.decode(attention={"R": 17}),
        "UNSUPPORTED",
        "R is 17, at most 16",
    ),
    "decode: heads": (
        lambda r: r.decode(attention={"Hkv": 3}),
        "INVALID_ARGUMENT",
        "Hkv is 3, expected a divisor of H = 4",
    ),
    "decode: no width": (lambda r: r.decode(attention={"D": 0}), "INVALID_ARGUMENT", "D is 0"),
    "decode: packed": (
        lambda r: r.decode(attention={"packed": True}),
        "UNSUPPORTED",
        "packed is set",
    ),
    "decode: dropout": (
        lambda r: r.decode(attention={"dropout": 0.5}),
        "UNSUPPORTED",
        "dropout is set",
    ),
    "decode: bits": (lambda r: r.decode(bits=3), "UNSUPPORTED", "bits is 3, expected 0, 4 or 8"),
    "decode: groups": (
        lambda r: r.decode(bits=8, group_size=16),
        "UNSUPPORTED",
        "group_size is 16, expected 32 or 64",
    ),
    "decode: groups of floats": (
        lambda r: r.decode(group_size=32),
        "INVALID_ARGUMENT",
        "group_size is 32 but desc->bits is 0",
    ),
    "decode: width of groups": (
        lambda r: r.decode(bits=8, group_size=64),
        "UNSUPPORTED",
        "heads of 32 are quantized, expected a multiple of group_size = 64",
    ),
    "decode: no scales": (
        lambda r: r.decode(**QUANTIZED),
        "INVALID_ARGUMENT",
        "k_scales.buffer is NULL",
    ),
    "decode: scales of floats": (
        lambda r: r.decode({"k_scales": {"buffer": r.small}}),
        "INVALID_ARGUMENT",
        "k_scales is given but desc->bits is 0",
    ),
    "decode: columns": (
        lambda r: r.decode(attention={"k": {"column": 9, "row": 1}}),
        "UNSUPPORTED",
        "k.column is 9, expected 1",
    ),
    "decode: pages": (
        lambda r: r.decode(page_size=4),
        "INVALID_ARGUMENT",
        "pages is 0, expected at",
    ),
    "decode: pages without a size": (
        lambda r: r.decode(pages=3),
        "INVALID_ARGUMENT",
        "pages is 3 .*page_size is 0",
    ),
    "decode: no table": (lambda r: r.decode(**PAGED), "INVALID_ARGUMENT", "table.buffer is NULL"),
    "decode: small table": (
        lambda r: r.decode({"table": {"buffer": r.small}}, attention={"B": 2}, **PAGED),
        "OUT_OF_BOUNDS",
        "table needs 24 bytes",
    ),
    "decode: table without pages": (
        lambda r: r.decode({"table": {"buffer": r.small}}),
        "INVALID_ARGUMENT",
        "table is given but desc->page_size is 0",
    ),
    "decode: more pages than there are": (
        lambda r: r.decode({"table": {"buffer": r.buffers[4]}}, page_size=4, pages=40),
        "OUT_OF_BOUNDS",
        "k needs 40960 bytes",
    ),
    "decode: lengths": (
        lambda r: r.decode({"lengths": {"buffer": r.small}}),
        "INVALID_ARGUMENT",
        "lengths is given but desc->has_lengths is false",
    ),
    "decode: no lengths": (
        lambda r: r.decode(has_lengths=True),
        "INVALID_ARGUMENT",
        "lengths.buffer is NULL, 4 bytes are needed",
    ),
    "decode: short cache": (
        lambda r: r.decode({"v": {"buffer": r.small}}),
        "OUT_OF_BOUNDS",
        "v needs 2304 bytes .* its buffer has 16",
    ),
    "decode: misaligned": (
        lambda r: r.decode({"k": {"buffer": r.buffers[1], "offset": 2}}),
        "INVALID_ARGUMENT",
        "k begins at offset 2, .* elements of 4 bytes",
    ),
    "decode: read-only": (
        lambda r: r.decode({"o": {"buffer": r.frozen}}),
        "READ_ONLY",
        "o lies in",
    ),
    "decode: overlap": (
        lambda r: r.decode({"o": {"buffer": r.buffers[1]}}),
        "OVERLAP",
        "o overlaps k",
    ),
    "merge: type": (lambda r: r.merge(type=29), "INVALID_TYPE", "type is int"),
    "merge: type of o": (lambda r: r.merge(o_type=16), "INVALID_TYPE", "o_type is half, expected"),
    "merge: layout": (lambda r: r.merge(layout=7), "INVALID_ARGUMENT", "layout is 7, expected at"),
    "merge: no width": (
        lambda r: r.merge(Dv=0),
        "INVALID_ARGUMENT",
        "Dv is 0, expected at least 1",
    ),
    "merge: overflow": (lambda r: r.merge(R=1 << 62, H=8), "INVALID_ARGUMENT", "does not fit"),
    "merge: small": (
        lambda r: r.merge({"second": {"buffer": r.small}}),
        "OUT_OF_BOUNDS",
        "second needs 128 bytes",
    ),
    "merge: small sums": (
        lambda r: r.merge({"first_lse": {"buffer": r.small}}, R=5),
        "OUT_OF_BOUNDS",
        "first_lse needs 20 bytes",
    ),
    "merge: misaligned": (
        lambda r: r.merge({"first": {"buffer": r.buffers[0], "offset": 1}}),
        "INVALID_ARGUMENT",
        "first begins at offset 1",
    ),
    "merge: read-only": (lambda r: r.merge({"o": {"buffer": r.frozen}}), "READ_ONLY", "o lies in"),
    "merge: overlap": (
        lambda r: r.merge({"o": {"buffer": r.buffers[2]}}),
        "OVERLAP",
        "o overlaps first_lse",
    ),
    "merge: negative stride": (
        lambda r: r.merge(first={"row": -8}),
        "INVALID_ARGUMENT",
        "first.row is -8",
    ),
    "packed: no starts": (
        lambda r: r.packed({"row_starts": {}}),
        "INVALID_ARGUMENT",
        "row_starts.buffer is NULL, 12 bytes are needed",
    ),
    "packed: short starts": (
        lambda r: r.packed({"column_starts": {"buffer": r.small}}, B=4),
        "OUT_OF_BOUNDS",
        "column_starts needs 20 bytes",
    ),
    "packed: starts of a batch": (
        lambda r: r.packed(packed=False, total_R=0, total_C=0),
        "INVALID_ARGUMENT",
        "row_starts is given but desc->packed is false",
    ),
    "packed: totals of a batch": (
        lambda r: r.packed(packed=False),
        "INVALID_ARGUMENT",
        "total_R is 6 .*packed is false",
    ),
    "packed: small": (
        lambda r: r.packed({"q": {"buffer": r.small}}),
        "OUT_OF_BOUNDS",
        "q needs 192 bytes",
    ),
    "packed: overlap": (
        lambda r: r.packed({"o": {"buffer": r.buffers[4]}}),
        "OVERLAP",
        "o overlaps row_starts|row_starts overlaps o",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_bad_input(right: Right, name: str) -> None:
    call, status, message = CASES[name]
    found = call(right)
    assert right.abi.name(found).endswith(status), right.abi.error()
    assert re.search(message, right.abi.error()), right.abi.error()
