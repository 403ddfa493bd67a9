# SPDX-License-Identifier: MIT
"""The demo's network against float64 NumPy, and the commands of python -m pymfa."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import pymfa
from pymfa.__main__ import main
from pymfa.demo.config import read_config
from pymfa.demo.minilm import MiniLM
from pymfa.demo.reference import Reference
from pymfa.demo.tokens import tokenize
from pymfa.demo.weights import DemoError, load_safetensors, model_folder

SENTENCES = ["A cat sits.", "The quick brown fox jumps over the lazy dog, twice.", "cats"]


@pytest.fixture(scope="module")
def folder() -> Path:
    pytest.importorskip("tokenizers")
    try:
        return model_folder()
    except DemoError as error:
        pytest.skip(str(error))


def test_tokens_are_padded_and_masked(folder: Path) -> None:
    batch = tokenize(folder, SENTENCES)
    assert batch.ids.shape == batch.mask.shape
    assert batch.mask.sum(axis=1).max() == batch.ids.shape[1]
    assert (batch.ids[:, 0] == 101).all()  # [CLS]
    assert (batch.ids[~batch.mask] == 0).all()


def test_network(fast: pymfa.Device, folder: Path) -> None:
    config, weights = read_config(folder), load_safetensors(folder / "model.safetensors")
    batch = tokenize(folder, SENTENCES)
    actual = MiniLM(fast, config, weights).embed(batch)
    expected = Reference(config, weights).embed(batch)
    np.testing.assert_allclose(np.linalg.norm(actual, axis=1), 1, rtol=1e-5)
    assert ((actual * expected).sum(axis=1) >= 0.9999).all()
    assert np.abs(actual - expected).max() < 2e-3


def test_meanings(folder: Path) -> None:
    config, weights = read_config(folder), load_safetensors(folder / "model.safetensors")
    rows = Reference(config, weights).embed(tokenize(folder, SENTENCES))
    assert rows[0] @ rows[2] > rows[0] @ rows[1]


def test_demo_prints_its_table(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "sentences.txt"
    file.write_text("one sentence\n\nanother sentence\n")
    assert main(["demo", "--file", str(file)]) == 0
    printed = capsys.readouterr().out
    for words in ("another sentence", "tokens/s", "cosine", "difference", "device"):
        assert words in printed


def test_info(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info"]) == 0
    assert pymfa.device().name in capsys.readouterr().out


def test_inspect(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "x.metal"
    source.write_text(
        "constant bool flag [[function_constant(2)]];\n"
        "kernel void f(device float *x [[buffer(1)]]) { x[0] = flag; }\n"
    )
    assert main(["inspect", str(source)]) == 0
    printed = capsys.readouterr().out
    assert "buffer(1)  float x" in printed and "constant(2)  bool flag" in printed
    assert main(["inspect", str(tmp_path / "none.metallib")]) == 1


def test_selftest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["selftest", "--device", pymfa.device().name]) == 0, capsys.readouterr().out


def test_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2 and "python -m pymfa" in capsys.readouterr().err
    assert main(["--help"]) == 0 and "demo" in capsys.readouterr().out
