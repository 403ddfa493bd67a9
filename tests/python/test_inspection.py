# SPDX-License-Identifier: MIT
"""`python -m pymfa inspect`: declarations of a library, and the stages of one kernel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import pymfa
from pymfa import inspection

SOURCE = """
#include <metal_stdlib>
using namespace metal;
constant uint rounds [[function_constant(3)]];
constant bool doubled [[function_constant(4)]];
constant float2 pair [[function_constant(5)]];
kernel void first(device float* out [[buffer(0)]], constant float& scale [[buffer(1)]],
                  device const float* bias [[buffer(2), function_constant(doubled)]],
                  uint i [[thread_position_in_grid]]) {
  threadgroup float shared[64];
  shared[i % 64] = scale;
  threadgroup_barrier(mem_flags::mem_threadgroup);
  float x = shared[(i + 1) % 64] + pair.x;
  for (uint r = 0; r < rounds; ++r) x = x * scale + out[i + r];
  out[i] = doubled ? 2 * x + bias[i] : x;
}
kernel void second(device int* out [[buffer(0)]]) { out[0] = 1; }
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory: Any) -> str:
    path: Path = tmp_path_factory.mktemp("inspect") / "two.metal"
    path.write_text(SOURCE)
    return str(path)


def shown(capsys: Any, *arguments: str, status: int = 0) -> tuple[str, str]:
    assert inspection.main(arguments) == status
    done = capsys.readouterr()
    return done.out, done.err


def test_lists_what_functions_declare(capsys: Any, file: str) -> None:
    out, err = shown(capsys, file)
    assert "first  (AIR 2.6, MSL 3.1)" in out and "second" in out
    assert "buffer(1)  float scale  read, 4 bytes" in out
    assert "constant(4)  bool doubled" in out and "constant(5)  float2 pair" in out
    assert "2 of 2 functions" in err
    assert shown(capsys, file, "*con*", "--names")[0] == "second\n"


def test_one_function_is_compiled(capsys: Any, file: str) -> None:
    out, err = shown(capsys, file, "first")
    assert "threadgroup memory  256 bytes" in out and "bytes of machine code" in out
    assert "buffer(2) is not needed with these constants" in out
    assert "rounds = 1, doubled = False" in err
    assert "buffer(2)" not in shown(capsys, file, "second")[0]


def test_stages(capsys: Any, file: str) -> None:
    given = ("--constant", "rounds=7", "--constant", "4=true", "--constant", "5=1.5,2")
    out, err = shown(capsys, file, "first", "--air", *given)
    assert "define void @first" in out and "air.wg.barrier" in out
    assert "rounds = 7, doubled = True, pair = [1.5, 2.0]" in err
    assert "<32 x float>" in shown(capsys, file, "first", "--vector", *given)[0]
    assert "retq" in shown(capsys, file, "first", "--asm", *given)[0] or "ret" in out
    both = shown(capsys, file, "second", "--device", "reference", "--air", "--vector")[0]
    assert both.count("source_filename") == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["*", "--asm"], "matches 2 functions"),
        (["first", "--constant", "9=1"], "3 (rounds, uint), 4 (doubled, bool)"),
        (["first", "--constant", "4=maybe"], "'maybe' is no bool"),
        (["first", "--constant", "3"], "expected INDEX=VALUE"),
        (["first", "--constant", "5=1"], "float2"),
    ],
)
def test_bad_arguments(capsys: Any, file: str, arguments: list[str], message: str) -> None:
    assert message in shown(capsys, file, *arguments, status=1)[1]


def test_nothing_found(capsys: Any, file: str) -> None:
    assert (
        "has no function 'third'; it has: first, second"
        in (shown(capsys, file, "third", status=1)[1])
    )
    assert inspection.main([file + ".missing"]) == 1


def test_the_environment_stays(file: str, monkeypatch: Any) -> None:
    import os

    monkeypatch.delenv("MFA_DUMP", raising=False)
    library = pymfa.device().library(source=Path(file).read_text())
    inspection.compile_stages(library, "second", {})
    assert "MFA_DUMP" not in os.environ
