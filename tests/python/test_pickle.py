# SPDX-License-Identifier: MIT
"""pickle and copy: arrays as NumPy's, weights whole, and no handles of this process."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pymfa


def pickled(value: Any) -> Any:
    return pickle.loads(pickle.dumps(value))


COPIES: list[Callable[[Any], Any]] = [copy.copy, copy.deepcopy, pickled]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, pymfa.bfloat16])
@pytest.mark.parametrize("make", COPIES)
def test_arrays(device: pymfa.Device, make: Callable[[Any], Any], dtype: Any) -> None:
    x = device.empty((5, 6), dtype)
    x[...] = np.arange(30).reshape(5, 6)
    for array in (x, x[1:, ::2], pymfa.cast(x, dtype, device=device)):
        other = make(array)
        assert type(other) is np.ndarray and other.dtype == dtype and other.flags.writeable
        np.testing.assert_array_equal(other, array)
        assert not np.shares_memory(other, array)
    assert pickled([x, x])[0] is not x


@pytest.mark.parametrize("make", COPIES)
def test_weights_and_descriptors(make: Callable[[Any], Any]) -> None:
    rng = np.random.default_rng(0)
    w, x = (rng.standard_normal((64, 64), np.float32) for _ in "wx")
    for weights in (pymfa.quantize(w, bits=4), pymfa.palettize(w, bits=3)):
        expected = pymfa.qgemm(x, weights)
        np.testing.assert_array_equal(pymfa.qgemm(x, make(weights)), expected)
    window = rng.standard_normal((4, 3, 3, 2), np.float32)
    image = rng.standard_normal((1, 7, 8, 2), np.float32)
    transformed = pymfa.WinogradWeights(window)
    np.testing.assert_array_equal(
        pymfa.convolution(image, make(transformed)), pymfa.convolution(image, transformed)
    )
    cache = pymfa.quantize_kv(x[None, None])
    np.testing.assert_array_equal(make(cache).dequantize(), cache.dequantize())
    for desc in (pymfa.GemmDesc(3, 4, 5), pymfa.AttentionDesc(3, 4, 5)):
        assert make(desc) == desc
    error = make(pymfa.InvalidValue("text"))
    assert type(error) is pymfa.InvalidValue and str(error) == "text"


def test_handles(device: pymfa.Device) -> None:
    library = device.library()
    for value, instead in ((device, "its name"), (library, "its path or source")):
        assert copy.copy(value) is value and copy.deepcopy({"a": value})["a"] is value
        with pytest.raises(pymfa.InvalidType, match=f"cannot be copied or pickled.*{instead}"):
            pickle.dumps(value)
    for value, instead in ((device.buffer(4), "an array"), (device.commands(), "the arrays")):
        for make in COPIES:
            with pytest.raises(pymfa.InvalidType, match=f"belongs to its process.*{instead}"):
                make(value)
