# SPDX-License-Identifier: MIT
"""A user's program that uses every public name passes `mypy --strict`."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

import pymfa

PROGRAM = Path(__file__).parent / "typed_program.py"


def test_strict() -> None:
    if importlib.util.find_spec("mypy") is None:
        pytest.skip("needs mypy")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file", "/dev/null",
         "--cache-dir", "/dev/null", str(PROGRAM)],
        capture_output=True, text=True, timeout=280,
    )  # fmt: skip
    wrong = [line for line in done.stdout.splitlines() if PROGRAM.name in line]
    assert not wrong, done.stdout


def test_every_public_name_is_in_the_program() -> None:
    text = PROGRAM.read_text()
    assert [name for name in pymfa.__all__ if f"pymfa.{name}" not in text] == []
