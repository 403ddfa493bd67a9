# SPDX-License-Identifier: MIT
"""Calls that are remembered for arrays seen before still see what may have changed since."""

import gc

import numpy as np
import pytest

import pymfa
from pymfa.encode import ready
from pymfa.errors import InvalidValue


def matrices(device):
    rng = np.random.default_rng(5)
    a, b = (device.empty((24, 24), np.float32) for _ in range(2))
    a[...], b[...] = rng.standard_normal((2, 24, 24), np.float32)
    return a, b, device.empty((24, 24), np.float32)


@pytest.fixture
def device():
    return pymfa.device("cpu")


def product(a, b, out):
    out[...] = np.nan
    for _ in range(3):
        assert pymfa.sgemm(a, b, out=out) is out
    np.testing.assert_allclose(out, a @ b, rtol=1e-4, atol=1e-4)


def test_new_values(device):
    a, b, out = matrices(device)
    product(a, b, out)
    a += 1
    product(a, b, out)


def test_same_layout_elsewhere(device):
    a, b, out = matrices(device)
    product(a, b, out)
    product(b, a, out)
    other = device.empty((48, 24), np.float32)
    product(a, b, other[24:])
    product(a, b, other[:24])


def test_arrays_that_come_and_go(device):
    for _ in range(50):  # ids of arrays are used again
        product(*matrices(device))
        gc.collect(0)


def test_layout_changed_in_place(device):
    a, b, out = matrices(device)
    product(a, b, out)
    assert pymfa.sgemm(a.T, b, out=out) is out
    np.testing.assert_allclose(out, a.T @ b, rtol=1e-4, atol=1e-4)


def test_output_that_became_read_only(device):
    a, b, out = matrices(device)
    product(a, b, out)
    out.flags.writeable = False
    with pytest.raises(InvalidValue, match="read-only"):
        pymfa.sgemm(a, b, out=out)


def test_output_that_is_an_input(device):
    a, b, out = matrices(device)
    product(a, b, out)
    with pytest.raises(InvalidValue):
        pymfa.sgemm(a, out, out=out)


def test_buffers_of_two_devices(device):
    a, b, out = matrices(device)
    product(a, b, out)
    other = pymfa.device("reference").empty((24, 24), np.float32)
    with pytest.raises(InvalidValue, match="lie in buffers of"):
        pymfa.sgemm(a, other, out=out)


def test_memory_is_bounded(device, monkeypatch):
    monkeypatch.setattr(ready, "_LIMIT", 8)
    for _ in range(40):
        a, b, out = matrices(device)
        product(a, b, out)
    assert len(ready._singles) <= 8


def test_cast(device):
    x, out = device.empty(100, np.float32), device.empty(100, np.float16)
    for value in range(4):
        x[...] = value
        assert pymfa.cast(x, out=out) is out
        assert (out == value).all()
