# SPDX-License-Identifier: MIT
"""Opens the metallib of the mlx-metal package: 17,248 functions compiled by Apple's tools."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from apple_kernels import metallib_path

import pymfa
from pymfa.conformance.families import family_of

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "python"))
from guarded import guarded

Run = Callable[..., None]


@pytest.fixture(scope="session")
def device() -> pymfa.Device:
    return pymfa.device("cpu") if "cpu" in [d.name for d in pymfa.devices()] else pymfa.device()


@pytest.fixture(scope="session")
def library(device: pymfa.Device) -> pymfa.Library:
    path = metallib_path()
    if path is None or not path.is_file():
        pytest.skip("no mlx.metallib: set MFA_MLX_METALLIB or run ./dev conformance")
    return device.library(path)


@pytest.fixture(scope="session")
def reference(device: pymfa.Device) -> pymfa.Library | None:
    """The library on the device that runs one lane at a time, where there is one."""
    if "reference" not in [d.name for d in pymfa.devices()]:
        return None
    path = metallib_path()
    return pymfa.device("reference").library(path) if path and path.is_file() else None


@pytest.fixture
def run(
    library: pymfa.Library, reference: pymfa.Library | None, request: pytest.FixtureRequest
) -> Iterator[Run]:
    """run(name, {slot: array}, threads=... or groups=..., group=..., constants={index: value})

    The vector path runs on copies of the arrays behind which lies memory that nobody may touch,
    then on such with that memory before them: a kernel that does touch it ends the process. Only
    one that itself reads beyond its operands goes without that `fence`. The width-1 path runs on
    other copies. Every array must end the same to the bit; or, if there is a `check` because the
    order of a float sum is open, the check must hold for each.
    """
    verified: dict[str, bool] = {}  # family: all bits were the same

    def call(
        name: str,
        buffers: Mapping[int, Any],
        *,
        group: tuple[int, ...],
        threads: tuple[int, ...] | None = None,
        groups: tuple[int, ...] | None = None,
        constants: Mapping[int, Any] | None = None,
        check: Callable[[], None] | None = None,
        fence: bool = True,
    ) -> None:
        places = [guarded, partial(guarded, front=True)] if fence else [np.copy]
        runs = [(library, _copies(buffers, place)) for place in places]
        if reference is not None:
            runs.append((reference, _copies(buffers, np.copy)))
        same = True
        for i, (on, bound) in enumerate(runs):
            pipeline = on.pipeline(name, constants=constants or {})
            with on.device.commands() as commands:
                commands.dispatch(
                    pipeline,
                    buffers=bound,
                    threads=threads,
                    threadgroups=groups,
                    threads_per_threadgroup=group,
                )
            if i > 0 and _same(f"{name} on {on.device.name}", buffers, bound, check is None):
                continue
            same = same and i == 0
            for slot, value in bound.items():
                if (array := _array(buffers[slot])) is not None:
                    array[...] = _array(value)
            if check is not None:
                check()
        family = family_of(name)
        verified[family] = verified.get(family, True) and same

    yield call
    for family, same in verified.items():
        request.node.user_properties.append(("same bits" if same else "within tolerance", family))


_verified: dict[str, set[str]] = {"same bits": set(), "within tolerance": set()}
_failed: set[str] = set()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Properties are complete after the teardown; what a failed test verified does not count."""
    if report.failed:
        _failed.add(report.nodeid)
    if report.when == "teardown" and report.nodeid not in _failed:
        for name, value in report.user_properties:
            if name in _verified:
                _verified[name].add(str(value))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    tolerated = _verified["within tolerance"]
    exact = _verified["same bits"] - tolerated
    if exact or tolerated:
        terminalreporter.write_line(
            f"{len(exact) + len(tolerated)} families of Apple's kernels give what NumPy gives; the "
            f"vector and the width-1 path agree to the bit in {len(exact)}, in {len(tolerated)} "
            "within the tolerance of a float sum"
        )
        if terminalreporter.config.get_verbosity() > 0:
            terminalreporter.write_line("to the bit: " + ", ".join(sorted(exact)))
            terminalreporter.write_line("within tolerance: " + ", ".join(sorted(tolerated)))


def _array(value: Any) -> Any:
    value = value[0] if isinstance(value, tuple) else value
    return value if isinstance(value, np.ndarray) and value.ndim else None


def _copies(buffers: Mapping[int, Any], copy: Callable[[Any], Any]) -> dict[int, Any]:
    """An array at two slots is one array among the copies, too."""
    made: dict[int, Any] = {}
    copies = {}
    for slot, value in buffers.items():
        array = _array(value)
        if array is None:
            copies[slot] = value
            continue
        if id(array) not in made:
            made[id(array)] = copy(array)
        twin = made[id(array)]
        copies[slot] = (twin, value[1]) if isinstance(value, tuple) else twin
    return copies


def _same(name: str, buffers: Mapping[int, Any], others: Mapping[int, Any], exact: bool) -> bool:
    """Whether another run came to the same bits; an error if not, where they must be `exact`."""
    same = True
    for slot, value in buffers.items():
        ours, theirs = _array(value), _array(others[slot])
        if ours is None or ours.tobytes() == theirs.tobytes():
            continue
        same = False
        if exact:
            ours, theirs = ours.ravel(), theirs.ravel()
            differ = [i for i in range(ours.size) if ours[i].tobytes() != theirs[i].tobytes()]
            raise AssertionError(
                f"{name}: buffer {slot}: {len(differ)} of {ours.size} values are not those of the "
                f"first run of the vector path; the first at {differ[0]}: {theirs[differ[0]]!r} "
                f"instead of {ours[differ[0]]!r}"
            )
    return same
