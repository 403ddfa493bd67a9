# SPDX-License-Identifier: MIT
"""The benchmark's own arithmetic, and that every kind of run works; never how fast anything is."""

from __future__ import annotations

import dataclasses
import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pymfa.bench import (
    alone,
    attention,
    gemm,
    ops,
    report,
    rounds,
    small,
    sweeps,
    targets,
    training,
)
from pymfa.bench.rounds import OURS, Case, Sample


def case(ours: float, theirs: float, **fields: Any) -> Case:
    contenders = {OURS: lambda: ours, "theirs": lambda: theirs}
    return Case("op", "case", 1, contenders, against="theirs", returned=True, **fields)


def requirement(unit: str, asked: float, made: Case) -> targets.Requirement:
    return targets.Requirement("name", "what", "sizes", "theirs", asked, unit, lambda: [made])


def measured(made: Case) -> list[report.Row]:
    return report.rows(made, rounds.alternate(made, 0, 3))


def test_ratio_is_the_median_of_pairs() -> None:
    samples = {OURS: Sample([1, 1, 10]), "theirs": Sample([2, 2, 2])}
    assert rounds.ratio(samples, OURS, "theirs") == 2


def test_rounds_alternate() -> None:
    called: list[str] = []
    contenders = {name: lambda name=name: called.append(name) or 1.0 for name in "ab"}  # type: ignore[misc]
    rounds.alternate(Case("op", "case", 1, contenders, returned=True), 0, 4)
    assert "".join(called) == "abbaabba"


@pytest.mark.parametrize(
    ("unit", "asked", "ours", "theirs", "value", "met"),
    [
        (targets.SPEED, 2, 1e-3, 3e-3, 3, True),
        (targets.SPEED, 4, 1e-3, 3e-3, 3, False),
        (targets.PART, 0.5, 1e-3, 4e-3, 0.25, True),
        (targets.PART, 0.2, 1e-3, 4e-3, 0.25, False),
        ("ms", 2, 1e-3, 4e-3, 1, True),
        ("ms", 0.5, 1e-3, 4e-3, 1, False),
    ],
)
def test_requirement(
    unit: str, asked: float, ours: float, theirs: float, value: float, met: bool
) -> None:
    made = case(ours, theirs, unit="ms")
    outcome = targets.Outcome(requirement(unit, asked, made), measured(made))
    assert outcome.measured == pytest.approx(value)
    assert ("| met |" in targets.table([outcome])) == met


def test_every_case_has_to_meet_a_requirement_that_says_so() -> None:
    made = [case(1e-3, 3e-3), case(1e-3, 1.5e-3)]
    made[1].label = "other"
    rows = [row for each in made for row in measured(each)]
    wanted = requirement(targets.SPEED, 2, made[0])
    assert targets.Outcome(wanted, rows).measured == pytest.approx(4.5**0.5)
    strict = targets.Outcome(dataclasses.replace(wanted, every=True), rows)
    assert strict.measured == pytest.approx(1.5)
    assert "**missed** | judged by it" in targets.table([strict])


def test_requirement_without_the_other_side_is_not_measured() -> None:
    made = Case("op", "case", 1, {OURS: lambda: 1.0}, returned=True)
    outcome = targets.Outcome(requirement(targets.SPEED, 1, made), measured(made))
    assert "not measured" in targets.table([outcome])


def test_csv_comes_back(tmp_path: Path) -> None:
    rows = measured(case(1e-3, 2e-3, unit="ms"))
    report.write_csv(tmp_path / "a.csv", rows)
    assert list(report.read_csv(tmp_path / "a.csv").values()) == rows


def test_a_ratio_that_fell_is_a_regression() -> None:
    then, now = measured(case(1e-3, 2e-3)), measured(case(1.5e-3, 2e-3))
    (change,) = report.changes(now, {row.key: row for row in then})
    assert change.regressed and change.factor == pytest.approx(2 / 3)
    assert "regressed" in report.comparison([change])
    (same,) = report.changes(then, {row.key: row for row in then})
    assert not same.regressed


@pytest.mark.parametrize("trans", gemm.TRANSPOSES)
@pytest.mark.parametrize("name", gemm.DTYPES)
def test_products_are_right(name: str, trans: str) -> None:
    made = gemm.product(name, (24, 40, 16), trans)
    for call in made.contenders.values():
        call()
    assert made.error is not None and made.error() < 0.01


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_attention_is_right(dtype: Any) -> None:
    made = attention.forward((1, 2, 70, 24), dtype)
    for call in made.contenders.values():
        call()
    assert made.error is not None and made.error() < 0.01


def test_gradients_are_right() -> None:
    made = training.both_directions((1, 2, 70, 24), np.float32)
    for call in made.contenders.values():
        call()
    assert made.error is not None and made.error() < 0.01


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="PyTorch is not installed")
def test_pytorch_is_measured_in_a_process_of_its_own() -> None:
    with alone.Alone((1, 2, 40, 16), threads=1) as other:
        assert [0 < other.seconds() < 1 for _ in range(3)] == [True] * 3
        made = case(1e-3, 2e-3)
        made.returned = False
        made.contenders["alone"] = other.seconds
        made.elsewhere = frozenset(["alone"])
        samples = rounds.alternate(made, 0, 2)
        assert all(0 < seconds < 1 for seconds in samples["alone"].seconds)


def test_a_process_with_pymfa_in_it_is_not_alone() -> None:
    with pytest.raises(SystemExit, match="has loaded pymfa"):
        alone.expect_alone()


def test_small_operations_run() -> None:
    (casts,) = small.casts()
    casts.contenders[OURS]()
    assert casts.error is not None and casts.error() == 0
    (dispatches,) = small.dispatches()
    assert dispatches.contenders[OURS]() > 0
    small.batch(3).contenders[OURS]()
    ops.pipeline(1).contenders[OURS]()


def test_sweeps_reach_every_even_size() -> None:
    made = sweeps.SWEEPS["sgemm-even"]()
    assert [next(made).size for _ in range(3)] == [2, 4, 6]
