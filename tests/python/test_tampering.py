# SPDX-License-Identifier: MIT
"""Metallibs with changed bytes, hashes made to fit: refused or run, in a process that survives."""

from __future__ import annotations

import hashlib
import os
import random
import struct
import subprocess
import sys
from pathlib import Path

import pytest

import pymfa

SOURCE = """
#include <metal_stdlib>
using namespace metal;
constant uint n [[function_constant(0)]];
kernel void f(device float *x [[buffer(0)]], threadgroup float *t [[threadgroup(0)]],
              uint i [[thread_position_in_grid]]) {
  t[i % 32] = x[i];
  threadgroup_barrier(mem_flags::mem_threadgroup);
  for (uint k = 0; k < n; ++k) x[i] += simd_sum(t[(i + k) % 32]);
}
"""
TRIES = 40
SEED = 3  # LLVM 19 does not survive one of these in its own process

OPEN = """
import sys
import pymfa
refused = taken = 0
for path in sys.argv[1:]:
    try:
        pymfa.device("cpu").library(path).pipeline("f", {0: 3})
        taken += 1
    except pymfa.Error:
        refused += 1
print(refused, taken)
"""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    compiler = os.environ.get("MFA_METALC")
    if not compiler or "cpu" not in [device.name for device in pymfa.devices()]:
        pytest.skip("the loader and its compiler are only there off Apple")
    folder = tmp_path_factory.mktemp("tampering")
    (folder / "f.metal").write_text(SOURCE)
    command = [compiler, str(folder / "f.metal"), "-o", str(folder / "f.metallib")]
    subprocess.run(command, check=True)
    return (folder / "f.metallib").read_bytes()


def tampered(whole: bytes, chance: random.Random) -> bytes:
    """One to eight bytes of the bitcode changed, and its hash made to fit."""
    data = bytearray(whole)
    offset, size = struct.unpack_from("<2Q", data, 72)
    for _ in range(chance.choice((1, 1, 2, 4, 8))):
        at = offset + chance.randrange(size)
        data[at] = (
            data[at] ^ (1 << chance.randrange(8))
            if chance.random() < 0.5
            else chance.randrange(256)
        )
    at = data.index(b"HASH") + 6
    data[at : at + 32] = hashlib.sha256(data[offset : offset + size]).digest()
    return bytes(data)


def test_a_process_that_checks_bitcode_survives_what_is_none(whole: bytes, tmp_path: Path) -> None:
    chance = random.Random(SEED)
    paths = []
    for i in range(TRIES):
        paths.append(str(tmp_path / f"{i}.metallib"))
        Path(paths[-1]).write_bytes(tampered(whole, chance))
    ran = subprocess.run(
        [sys.executable, "-c", OPEN, *paths], text=True, capture_output=True, check=False,
        env=os.environ | {"MFA_CHECK_BITCODE": "1", "MFA_CACHE": "off"},
    )  # fmt: skip
    assert ran.returncode == 0, f"ended by {-ran.returncode}: {ran.stderr[-500:]}"
    refused, taken = (int(count) for count in ran.stdout.split())
    assert refused + taken == TRIES and refused > TRIES / 2


def test_a_whole_library_passes_the_check(whole: bytes, tmp_path: Path) -> None:
    path = tmp_path / "f.metallib"
    path.write_bytes(whole)
    ran = subprocess.run(
        [sys.executable, "-c", OPEN, str(path)], text=True, capture_output=True, check=False,
        env=os.environ | {"MFA_CHECK_BITCODE": "1", "MFA_CACHE": "off"},
    )  # fmt: skip
    assert ran.stdout.split() == ["0", "1"], ran.stderr


@pytest.mark.parametrize("where", ["in the container", "in the bitcode"])
def test_damage_without_a_new_hash_is_refused(whole: bytes, where: str) -> None:
    data = bytearray(whole)
    offset, size = struct.unpack_from("<2Q", data, 72)
    data[16 if where == "in the container" else offset + size // 2] ^= 4
    with pytest.raises(pymfa.InvalidValue, match="metallib: "):
        pymfa.device("cpu").library(data=bytes(data))
