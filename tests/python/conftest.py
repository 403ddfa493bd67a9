# SPDX-License-Identifier: MIT
"""The devices that tests run on, and how much hypothesis may try."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

import pymfa

sys.path.insert(0, str(Path(__file__).resolve().parent))

settings.register_profile(
    "suite",
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=int(os.environ.get("MFA_TEST_EXAMPLES", "30")),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.load_profile("suite")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """`device` is every device; `fast` all but the one that runs a lane at a time."""
    names = [device.name for device in pymfa.devices()]
    if "device" in metafunc.fixturenames:
        metafunc.parametrize("device", names, indirect=True, scope="session")
    if "fast" in metafunc.fixturenames:
        fast = [name for name in names if name != "reference"]
        metafunc.parametrize("fast", fast, indirect=True, scope="session")


@pytest.fixture(scope="session")
def device(request: pytest.FixtureRequest) -> pymfa.Device:
    return pymfa.device(request.param)


@pytest.fixture(scope="session")
def fast(request: pytest.FixtureRequest) -> pymfa.Device:
    return pymfa.device(request.param)
