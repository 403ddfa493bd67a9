# SPDX-License-Identifier: MIT
"""Elementary functions stay within the specification, as the devices run them on vectors."""

from __future__ import annotations

import numpy as np

import pymfa
from pymfa.conformance import ulp


def test_functions_are_within_their_bounds(device: pymfa.Device) -> None:
    """Every half; floats are fewer on the device that runs one lane at a time."""
    results = ulp.measure(device, 40099 if device.name != "reference" else 4000037)
    wrong = {key: found for key, found in results.items() if not found.within}
    assert not wrong, ulp.markdown(results)
    assert len(results) == 2 * len(ulp.FUNCTIONS) + sum(
        entry.fast is not None for entry in ulp.FUNCTIONS.values()
    )


def test_distance() -> None:
    got = np.float32([1, 1 + 2**-23, np.nan, np.inf, 2**-149, np.nan])
    want = np.array([1, 1, np.nan, np.inf, 0, 1])
    np.testing.assert_array_equal(ulp.errors(got, want), [0, 1, 0, 0, 1, np.inf])
