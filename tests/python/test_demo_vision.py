# SPDX-License-Identifier: MIT
"""`python -m pymfa demo vision`: faces found, in FP16 and with palettes, as float64 finds them."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from pymfa.__main__ import main

# How far a box may be from float64's, in pixels of a face 89 wide: four times (twice, for palettes)
# what was measured, which is 0.01 for FP16 and 2.57 for 6-bit palettes. Other CPUs add in another
# order.
FARTHEST = {"FP16": 0.04, "6-bit palettized": 5.2}


def test_finds_the_face_that_float64_finds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("mtcnn", "joblib", "lz4", "PIL", "skimage"):
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"{name} is not installed")
    picture = tmp_path / "faces.png"
    assert main(["demo", "vision", "--output", str(picture)]) == 0
    printed = capsys.readouterr().out
    for name in ("float64, NumPy", "FP16", "6-bit palettized"):
        assert f"{name}: 1 face in" in printed
    off = [float(n) for n in re.findall(r"off by ([\d.]+) pixels", printed)]
    assert len(off) == len(FARTHEST)
    assert all(n <= most for n, most in zip(off, FARTHEST.values(), strict=True)), printed
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_missing_packages_are_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert main(["demo", "vision"]) == 1
    printed = capsys.readouterr().err
    assert "mtcnn" in printed and "scikit-image" in printed
