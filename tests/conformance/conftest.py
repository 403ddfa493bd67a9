# SPDX-License-Identifier: MIT
"""Opens the metallib of the mlx-metal package: 17,248 functions compiled by Apple's tools."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

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
def run(device: pymfa.Device, library: pymfa.Library) -> Run:
    """run(name, {slot: array}, threads=... or groups=..., group=..., constants={index: value})"""

    def call(
        name: str,
        buffers: Mapping[int, Any],
        *,
        group: tuple[int, ...],
        threads: tuple[int, ...] | None = None,
        groups: tuple[int, ...] | None = None,
        constants: Mapping[int, Any] | None = None,
    ) -> None:
        pipeline = library.pipeline(name, constants=constants or {})
        with device.commands() as commands:
            commands.dispatch(
                pipeline,
                buffers=buffers,
                threads=threads,
                threadgroups=groups,
                threads_per_threadgroup=group,
            )

    return call
