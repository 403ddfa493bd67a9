# SPDX-License-Identifier: MIT
"""Tiles of the user's own: which rows are read, which is taken, and what `tune` prints."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import pymfa
from pymfa.tune import cli, tables

GEMM = "gemm_tiles\n{{{gpu}, F32, {M}, any, any, any, 16, 24, 8, 1, 1, 0, 0, true, true, {why}}},\n"
ROW = GEMM.format(gpu="false", M="any", why='"mine"')


@pytest.fixture
def cpu() -> Iterator[pymfa.Device]:
    if "cpu" not in [device.name for device in pymfa.devices()]:
        pytest.skip("the rows are for a CPU device")
    device = pymfa.device("cpu")
    yield device
    device.set_tiles(None)


def reason(device: pymfa.Device, m: int = 100, dtype: str = "float32") -> str:
    return device.explain(pymfa.GemmDesc(m, 100, 100, dtype)).reason


def test_built_in_rows_say_where_they_stand(cpu: pymfa.Device) -> None:
    told = reason(cpu, 5)
    assert "built-in row" in told and "gemm_tiles" in told and "M <= " in told
    told = cpu.explain(pymfa.AttentionDesc(50, 100, 64)).reason
    assert "built-in row" in told and "attention_tiles" in told


def test_own_rows_come_first(cpu: pymfa.Device) -> None:
    cpu.set_tiles("// a comment\n\n" + ROW)
    told = cpu.explain(pymfa.GemmDesc(100, 100, 100, "float32"))
    assert told.reason.startswith("mine (own row of gemm_tiles")
    assert told.tile == (16, 24, 8) and told.threadgroups[:2] == (5, 7)
    a, b = (np.random.default_rng(i).random((100, 100), np.float32) for i in range(2))
    np.testing.assert_allclose(pymfa.sgemm(a, b, device=cpu), a @ b, rtol=1e-5)
    cpu.set_tiles(None)
    assert not reason(cpu).startswith("mine")


@pytest.mark.parametrize(
    ("row", "m", "dtype", "taken"),
    [
        (ROW, 100, "float16", False),
        (ROW.replace("F32", "0"), 100, "float16", True),
        (GEMM.format(gpu="true", M="any", why='"mine"'), 100, "float32", False),
        (GEMM.format(gpu="false", M="99", why='"mine"'), 100, "float32", False),
        (GEMM.format(gpu="false", M="99", why='"mine"'), 99, "float32", True),
        (GEMM.format(gpu="false", M="any", why='"mine", "CPU"'), 100, "float32", True),
        (GEMM.format(gpu="false", M="any", why='"mine", "Apple M7"'), 100, "float32", False),
        (ROW.replace("24, 8", "24, 60000"), 100, "float32", False),  # no such threadgroup memory
    ],
)
def test_preconditions(cpu: pymfa.Device, row: str, m: int, dtype: str, taken: bool) -> None:
    cpu.set_tiles(row)
    assert reason(cpu, m, dtype).startswith("mine") == taken


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("{false}", "expected gemm_tiles, attention_tiles or a row"),
        ("gemm_tiles\nfalse", 'line 2 is "false"'),
        ("gemm_tiles\n{false, F32}", "2 columns, expected 16"),
        (ROW.replace("false", "no"), "gpu is no, expected true or false"),
        (ROW.replace("F32", "F64"), "type is F64, expected F32, F16, BF16"),
        (ROW.replace("any", "-1"), "max_M is -1, expected a number or any"),
        (ROW.replace("24", "25"), "N_simd is 25, expected a multiple of 8"),
        (ROW.replace("24", "0"), "N_simd is 0, expected a multiple of 8"),
        (ROW.replace("24", "70000"), "N_simd is 70000, expected a number up to 65535"),
        (ROW.replace("8, 1", "8, 0"), "M_splits is 0, expected at least 1"),
        (ROW.replace("16, 24", "128, 136"), "too large"),
        (ROW.replace('"mine"', "mine"), "reason is mine, expected a quoted text"),
        (ROW.replace('"mine"', '"mine'), "expected gemm_tiles, attention_tiles or a row"),
    ],
)
def test_wrong_rows_are_refused_and_change_nothing(
    cpu: pymfa.Device, rows: str, message: str
) -> None:
    cpu.set_tiles(ROW)
    with pytest.raises(pymfa.InvalidValue, match="mfa_device_set_tiles: .*" + message):
        cpu.set_tiles(rows)
    assert reason(cpu).startswith("mine")


@pytest.mark.parametrize("rows", [ROW, "gemm_tiles\n{}\n", None])
def test_a_file_of_rows(cpu: pymfa.Device, tmp_path: Path, rows: str | None) -> None:
    path = tmp_path / "tiles.txt"
    if rows:
        path.write_text(rows)
    code = "import pymfa; print(pymfa.explain(pymfa.GemmDesc(9, 9, 9, 'float32')).reason)"
    ran = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {"MFA_TILES": str(path)}, text=True,
        capture_output=True, check=False,
    )  # fmt: skip
    if rows == ROW:
        assert ran.stdout.startswith("mine"), ran.stderr
    else:
        wrong = "line 2 has 1 columns" if rows else "cannot read"
        assert f"MFA_TILES: {path}: {wrong}" in ran.stderr or wrong in ran.stderr
        assert "MFA_TILES" in ran.stderr


def test_what_tune_prints_can_be_set(
    cpu: pymfa.Device, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    few = {column: values[:1] for column, values in tables.GEMM.steps.items()}
    few |= {"K_simd": (32, 64), "staged": (False, True)}
    of = tables.Class("small", {"max_M": 40}, ((40, 40, 40),))
    table = tables.Table("gemm_tiles", tables.GEMM.preconditions, tables.GEMM.columns, few, (of,))
    monkeypatch.setitem(tables.TABLES, "gemm", table)
    assert cli.main(["gemm", "--types", "float32", "--device", "cpu"]) == 0
    printed = capsys.readouterr().out
    cpu.set_tiles(printed)
    told = reason(cpu, 40)
    assert told.startswith("small: ") and "own row" in told
    assert tables.device_part(cpu) in cpu.description
