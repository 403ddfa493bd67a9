# SPDX-License-Identifier: MIT
"""Runs mfa-metalc on a piece of MSL and hands back what it said and wrote."""

import dataclasses
import os
import pathlib
import re
import shutil
import subprocess

import pytest


@dataclasses.dataclass
class Compilation:
    status: int
    errors: str
    output: bytes

    @property
    def text(self) -> str:
        return self.output.decode()

    def module(self, kernel: str) -> str:
        """The assembly of one kernel's module (with --emit-llvm)."""
        parts = re.split(r"^; ModuleID = '(.*)'$", self.text, flags=re.M)
        return dict(zip(parts[1::2], parts[2::2], strict=True))[kernel]


@pytest.fixture(scope="session")
def metalc() -> str:
    path = os.environ.get("MFA_METALC") or shutil.which("mfa-metalc")
    if not path:
        pytest.skip("set MFA_METALC to the compiler")
    return path


@pytest.fixture
def compile_msl(metalc, tmp_path):
    """compile_msl(source, *flags): source text through standard input, or a path."""

    def run(source, *flags) -> Compilation:
        out = tmp_path / "out"
        out.unlink(missing_ok=True)
        is_file = isinstance(source, pathlib.Path)
        command = [
            metalc,
            *flags,
            "--name",
            "test.metal",
            "-o",
            str(out),
            str(source) if is_file else "-",
        ]
        done = subprocess.run(
            command, input=None if is_file else source, capture_output=True, text=True
        )
        return Compilation(done.returncode, done.stderr, out.read_bytes() if out.exists() else b"")

    return run


@pytest.fixture
def air(compile_msl):
    """The assembly that a source becomes; fails the test if it does not compile."""

    def run(source, *flags) -> Compilation:
        result = compile_msl(source, "--emit-llvm", *flags)
        assert result.status == 0, result.errors
        return result

    return run
