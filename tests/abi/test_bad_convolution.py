# SPDX-License-Identifier: MIT
"""Bad input to mfa_convolution and the calls around it: the status, and what the message names."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

# One 8 x 8 image of 4 channels, a 3 x 3 window, 4 channels out; right until a field is changed.
RIGHT = {"dimensions": 2, "N": 1, "C": 4, "K": 4, "input": (8, 8, 0), "window": (3, 3, 0)}


def desc_of(abi: Any, **fields: Any) -> Any:
    return abi.struct("mfa_convolution_desc", type=abi.lib.MFA_TYPE_FLOAT, **{**RIGHT, **fields})


def operands_of(abi: Any, first: Any, result: Any) -> Any:
    data, weights = np.ones(8 * 8 * 4, np.float32), np.ones(4 * 3 * 3 * 4, np.float32)
    places = {"data": data, "weights": weights, "result": result}
    return abi.struct(
        "mfa_convolution_operands",
        **{name: {"buffer": first.wrap(array)} for name, array in places.items()},
    )


def test_the_right_call(abi: Any, first: Any) -> None:
    out = np.zeros(6 * 6 * 4, np.float32)
    abi.check(abi.lib.mfa_convolution(abi.null, desc_of(abi), operands_of(abi, first, out)))
    assert (out == 36).all()
    sizes = abi.ffi.new("uint64_t[3]")
    abi.check(abi.lib.mfa_convolution_output_size(desc_of(abi), sizes))
    assert list(sizes)[:2] == [6, 6]


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"dimensions": 4}, "dimensions"),
        ({"window": (9, 3, 0)}, "window"),
        ({"groups": 3}, "groups"),
        ({"size": 8}, "expected sizeof(mfa_convolution_desc)"),
    ],
)
def test_refused(abi: Any, first: Any, fields: dict[str, Any], word: str) -> None:
    out = np.zeros(6 * 6 * 4, np.float32)
    lib, desc = abi.lib, desc_of(abi, **fields)
    assert lib.mfa_convolution(abi.null, desc, operands_of(abi, first, out)) != lib.MFA_OK
    assert word in abi.error()
    assert not out.any()


def test_small_result(abi: Any, first: Any) -> None:
    operands = operands_of(abi, first, np.zeros(6 * 6 * 4 - 1, np.float32))
    found = abi.lib.mfa_convolution(abi.null, desc_of(abi), operands)
    assert found == abi.lib.MFA_ERROR_OUT_OF_BOUNDS
    assert "result" in abi.error()


def test_null(abi: Any, first: Any) -> None:
    lib, null = abi.lib, abi.null
    operands = abi.struct("mfa_convolution_operands")
    for call in (
        lambda: lib.mfa_convolution(null, null, operands),
        lambda: lib.mfa_convolution(null, desc_of(abi), null),
        lambda: lib.mfa_convolution_weights(null, null, operands),
        lambda: lib.mfa_convolution_weights(null, desc_of(abi), null),
        lambda: lib.mfa_convolution_weights_size(null, abi.ffi.new("uint64_t *")),
        lambda: lib.mfa_convolution_weights_size(desc_of(abi), null),
        lambda: lib.mfa_convolution_output_size(null, abi.ffi.new("uint64_t[3]")),
        lambda: lib.mfa_convolution_output_size(desc_of(abi), null),
    ):
        assert call() == lib.MFA_ERROR_INVALID_ARGUMENT
        assert "NULL" in abi.error()
