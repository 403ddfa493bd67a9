# SPDX-License-Identifier: MIT
"""The metallib itself: sizes, offsets, hashes, constants, and bitcode that llvm-dis reads."""

import hashlib
import shutil
import struct
import subprocess

import pytest

SOURCE = """#include <metal_stdlib>
using namespace metal;
constant ushort n [[function_constant(40)]];
constant bool b [[function_constant(3)]];
kernel void first(device float* x) { x[0] = n; if (is_function_constant_defined(b) && b) x[1] = 2; }
kernel void second(device float* x) { x[0] = 1; }
"""


def tags(data, at):
    found = {}
    while data[at : at + 4] != b"ENDT":
        size = struct.unpack_from("<H", data, at + 4)[0]
        found[data[at : at + 4].decode()] = data[at + 6 : at + 6 + size]
        at += 6 + size
    return found


@pytest.fixture
def library(compile_msl):
    result = compile_msl(SOURCE)
    assert result.status == 0, result.errors
    data = result.output
    assert data[:4] == b"MTLB"
    assert struct.unpack_from("<Q", data, 16)[0] == len(data)
    functions, public, _, bitcode = (struct.unpack_from("<QQ", data, at) for at in (24, 40, 56, 72))
    entries = {}
    at = functions[0] + 4
    for _ in range(struct.unpack_from("<I", data, functions[0])[0]):
        entry = tags(data, at + 4)
        offsets = struct.unpack("<3Q", entry["OFFT"])
        size = struct.unpack("<Q", entry["MDSZ"])[0]
        start = bitcode[0] + offsets[2]
        entry["blob"] = data[start : start + size]
        entry["public"] = tags(data, public[0] + offsets[0] + 4)
        entries[entry["NAME"].rstrip(b"\0").decode()] = entry
        at += struct.unpack_from("<I", data, at)[0]
    assert bitcode[0] + bitcode[1] == len(data)
    return entries


def test_records(library):
    assert set(library) == {"first", "second"}
    for entry in library.values():
        assert entry["TYPE"] == b"\2"
        assert struct.unpack("<4H", entry["VERS"]) == (2, 6, 3, 1)
        assert entry["HASH"] == hashlib.sha256(entry["blob"]).digest()
        assert len(entry["blob"]) % 16 == 0
        assert struct.unpack_from("<III", entry["blob"]) == (0x0B17C0DE, 0, 20)


def test_constants(library):
    assert "CNST" not in library["second"]["public"]
    payload = library["first"]["public"]["CNST"]
    assert struct.unpack_from("<H", payload)[0] == 2
    rest = payload[2:]
    seen = {}
    while rest:
        name, rest = rest.split(b"\0", 1)
        seen[name.decode()] = struct.unpack_from("<BHB", rest)
        rest = rest[4:]
    assert seen == {"n": (41, 40, 1), "b": (53, 3, 0)}


def test_bitcode_is_read_by_llvm(library):
    tool = shutil.which("llvm-dis-19") or shutil.which("llvm-dis")
    if not tool:
        pytest.skip("llvm-dis is not installed")
    for name, entry in library.items():
        done = subprocess.run([tool, "-o", "-", "-"], input=entry["blob"], capture_output=True)
        assert done.returncode == 0, done.stderr
        assert f"define void @{name}(".encode() in done.stdout
