# SPDX-License-Identifier: MIT
"""Metal source that was compiled before -> its metallib from the disk, unless anything differs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import pymfa

METALC = os.environ.get("MFA_METALC", "")
pytestmark = [
    pytest.mark.skipif(
        "cpu" not in [device.name for device in pymfa.devices()], reason="needs the CPU device"
    ),
    pytest.mark.skipif(not METALC, reason="set MFA_METALC to the compiler"),
]

KERNEL = "kernel void f(device float *x, uint i [[thread_position_in_grid]]) { x[i] *= %s; }\n"
RUN = """
import sys
import numpy as np, pymfa
device = pymfa.device("cpu")
source = sys.stdin.read()
x = np.ones(3, np.float32)
pipeline = device.library(source=source, precise_math="precise" in sys.argv).pipeline("f")
with device.commands() as commands:
    commands.dispatch(pipeline, buffers={0: x}, threads=3)
print(x[0])
"""


class Compiler:
    """mfa-metalc behind a script that counts how often it is asked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "log"
        self.path = folder / "metalc"
        self.path.write_text(f'#!/bin/sh\necho >>"{self.log}"\nexec "{METALC}" "$@"\n')
        self.path.chmod(0o755)
        self.environment = os.environ | {
            "MFA_METALC": str(self.path), "MFA_CACHE": str(folder / "cache")
        }  # fmt: skip

    def run(self, source: str, *arguments: str, **environment: str) -> tuple[float, int]:
        """The result, and how often the compiler ran meanwhile."""
        before = self.count()
        done = subprocess.run(
            [sys.executable, "-c", RUN, *arguments], input=source, text=True, capture_output=True,
            env=self.environment | environment, cwd=self.folder, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return float(done.stdout), self.count() - before

    def count(self) -> int:
        return len(self.log.read_text()) if self.log.exists() else 0


@pytest.fixture
def compiler(tmp_path: Path) -> Compiler:
    return Compiler(tmp_path)


def test_the_second_process_compiles_nothing(compiler: Compiler) -> None:
    assert compiler.run(KERNEL % 2) == (2, 1)
    assert compiler.run(KERNEL % 2) == (2, 0)
    assert compiler.run(KERNEL % 3) == (3, 1)
    assert compiler.run(KERNEL % 2, "precise") == (2, 1)
    assert compiler.run(KERNEL % 2, MFA_CACHE="off") == (2, 1)
    own = "#include <metal_stdlib>\n  #  include <metal_simdgroup> // included\n"
    assert compiler.run(own + KERNEL % 2) == (2, 1)
    assert compiler.run(own + KERNEL % 2) == (2, 0)


def test_another_compiler_is_asked(compiler: Compiler) -> None:
    assert compiler.run(KERNEL % 2) == (2, 1)
    compiler.path.write_text(compiler.path.read_text() + "\n")
    assert compiler.run(KERNEL % 2) == (2, 1)


@pytest.mark.parametrize(
    "line",
    [
        '#include "{path}"',
        "#include <{path}>",
        "  # \t include\t<{path}>",
        "#inc\\\nlude <{path}>",
        "#inc\\ \nlude <{path}>",
        '#/**/include "{path}"',
        '%:include "{path}"',
        '#import "{path}"',
        '#define HEADER "{path}"\n#include HEADER',
        '#if __has_include("{path}")\n#define NOW here\n#endif\n#include "{path}"',
    ],
)
def test_files_that_a_source_reads_are_read_again(compiler: Compiler, line: str) -> None:
    header = compiler.folder / "factor.h"
    source = line.format(path=header) + "\n" + KERNEL % "FACTOR"
    for factor in (5, 6):
        header.write_text(f"#define FACTOR {factor}\n")
        assert compiler.run(source) == (factor, 1)


def test_errors_are_found_again(compiler: Compiler) -> None:
    for _ in range(2):
        with pytest.raises(AssertionError, match="expected ';'"):
            compiler.run(KERNEL % "2 }")
    assert compiler.count() == 2


def test_damaged_entries_are_replaced(compiler: Compiler) -> None:
    assert compiler.run(KERNEL % 2) == (2, 1)
    for path in (compiler.folder / "cache").iterdir():
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    assert compiler.run(KERNEL % 2) == (2, 1)
    assert compiler.run(KERNEL % 2) == (2, 0)
