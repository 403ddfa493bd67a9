# SPDX-License-Identifier: MIT
"""Opens the metallib of the mlx-metal package: 17,248 functions compiled by Apple's tools."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from apple_kernels import metallib_path

import pymfa

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "python"))

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


@pytest.fixture(scope="session")
def run(library: pymfa.Library, reference: pymfa.Library | None) -> Run:
    """run(name, {slot: array}, threads=... or groups=..., group=..., constants={index: value})

    The width-1 path then runs the same on copies. Every array must end the same to the bit; or, if
    there is a `check` because the order of a float sum is open, the check must hold for both.
    """

    def call(
        name: str,
        buffers: Mapping[int, Any],
        *,
        group: tuple[int, ...],
        threads: tuple[int, ...] | None = None,
        groups: tuple[int, ...] | None = None,
        constants: Mapping[int, Any] | None = None,
        check: Callable[[], None] | None = None,
        compare: bool = True,
    ) -> None:
        twins = {slot: _copy(value) for slot, value in buffers.items()}
        for on, bound in ((library, buffers), (reference, twins)):
            if on is None or (on is reference and not compare):
                continue
            pipeline = on.pipeline(name, constants=constants or {})
            with on.device.commands() as commands:
                commands.dispatch(
                    pipeline,
                    buffers=bound,
                    threads=threads,
                    threadgroups=groups,
                    threads_per_threadgroup=group,
                )
            if on is library:
                if check is not None:
                    check()
            elif not _same(name, buffers, twins, exact=check is None) and check is not None:
                check()

    return call


def _array(value: Any) -> Any:
    value = value[0] if isinstance(value, tuple) else value
    return value if isinstance(value, np.ndarray) and value.ndim else None


def _copy(value: Any) -> Any:
    array = _array(value)
    if array is None:
        return value
    return (array.copy(), value[1]) if isinstance(value, tuple) else array.copy()


def _same(name: str, buffers: Mapping[int, Any], twins: Mapping[int, Any], exact: bool) -> bool:
    """Whether all bits are. If not and not `exact`, the arrays get the width-1 path's values."""
    same = True
    for slot, value in buffers.items():
        ours, theirs = _array(value), _array(twins[slot])
        if ours is None or ours.tobytes() == theirs.tobytes():
            continue
        same = False
        if exact:
            ours, theirs = ours.ravel(), theirs.ravel()
            differ = [i for i in range(ours.size) if ours[i].tobytes() != theirs[i].tobytes()]
            raise AssertionError(
                f"{name}: buffer {slot}: {len(differ)} of {ours.size} values differ between the "
                f"vector and the width-1 path; the first at {differ[0]}: {ours[differ[0]]!r} and "
                f"{theirs[differ[0]]!r}"
            )
        ours[...] = theirs
    return same
