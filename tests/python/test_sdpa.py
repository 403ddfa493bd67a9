# SPDX-License-Identifier: MIT
"""scaled_dot_product_attention: PyTorch's argument rules, against the formula of its documentation.

Where PyTorch is installed, its own function is asked as well.
"""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np
import pytest
from arrangements import made

import pymfa

CASES: dict[str, dict[str, Any]] = {
    "plain": {"shapes": ((2, 3, 5, 8), (2, 3, 7, 8), (2, 3, 7, 4))},
    "no batch": {"shapes": ((5, 8), (7, 8), (7, 8))},
    "one leading axis": {"shapes": ((3, 5, 8), (3, 7, 8), (3, 7, 8))},
    "three leading axes": {"shapes": ((2, 2, 3, 5, 8), (2, 2, 3, 7, 8), (2, 2, 3, 7, 8))},
    "keys broadcast": {"shapes": ((2, 3, 5, 8), (1, 1, 7, 8), (2, 1, 7, 8))},
    "causal": {"shapes": ((1, 2, 6, 8),) * 3, "is_causal": True},
    "causal, more keys": {"shapes": ((1, 2, 4, 8), (1, 2, 9, 8), (1, 2, 9, 8)), "is_causal": True},
    "causal, fewer keys": {"shapes": ((1, 2, 9, 8), (1, 2, 4, 8), (1, 2, 4, 8)), "is_causal": True},
    "boolean mask": {"shapes": ((2, 3, 5, 8), (2, 3, 7, 8), (2, 3, 7, 8)), "mask": (5, 7)},
    "padding mask": {"shapes": ((2, 3, 5, 8), (2, 3, 7, 8), (2, 3, 7, 8)), "mask": (2, 1, 1, 7)},
    "mask of rows": {"shapes": ((2, 3, 5, 8), (2, 3, 7, 8), (2, 3, 7, 8)), "mask": (3, 5, 1)},
    "additive mask": {"shapes": ((2, 3, 5, 8), (2, 3, 7, 8), (2, 3, 7, 8)), "bias": (1, 3, 5, 7)},
    "scale": {"shapes": ((1, 1, 5, 8), (1, 1, 7, 8), (1, 1, 7, 8)), "scale": 0.7},
    "grouped heads": {"shapes": ((2, 6, 5, 8), (2, 2, 7, 8), (2, 2, 7, 8)), "enable_gqa": True},
    "grouped heads without batch": {
        "shapes": ((6, 5, 8), (3, 7, 8), (3, 7, 8)), "enable_gqa": True, "mask": (6, 5, 7),
    },
}  # fmt: skip


def arguments(case: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    qkv = [made(i, shape, np.float32) for i, shape in enumerate(case["shapes"])]
    options = {k: v for k, v in case.items() if k in ("is_causal", "scale", "enable_gqa")}
    if "mask" in case:
        options["attn_mask"] = np.random.default_rng(5).random(case["mask"]) < 0.7
        options["attn_mask"][..., 0] = True
    if "bias" in case:
        options["attn_mask"] = made(6, case["bias"], np.float32)
    return qkv, options


def documented(
    q: Any, k: Any, v: Any, attn_mask: Any = None, is_causal: bool = False, scale: Any = None,
    enable_gqa: bool = False,
) -> Any:  # fmt: skip
    """The formula of PyTorch's documentation, in float64."""
    q, k, v = (x.astype(np.float64) for x in (q, k, v))
    if enable_gqa:
        k, v = (np.repeat(x, q.shape[-3] // x.shape[-3], axis=-3) for x in (k, v))
    bias = np.zeros((q.shape[-2], k.shape[-2]))
    if is_causal:
        bias = np.where(np.tri(*bias.shape, dtype=bool), 0.0, -np.inf)
    if attn_mask is not None:
        masked = np.where(attn_mask, 0.0, -np.inf) if attn_mask.dtype == bool else attn_mask
        bias = bias + masked
    s = q @ np.swapaxes(k, -1, -2) * (scale or q.shape[-1] ** -0.5) + bias
    p = np.exp(s - s.max(axis=-1, keepdims=True))
    return p / p.sum(axis=-1, keepdims=True) @ v


@pytest.mark.parametrize("name", CASES)
def test_documented_semantics(name: str) -> None:
    qkv, options = arguments(CASES[name])
    expected = documented(*qkv, **options)
    actual = pymfa.scaled_dot_product_attention(*qkv, **options)
    assert actual.shape == expected.shape
    np.testing.assert_allclose(actual, expected, rtol=2e-5, atol=2e-6)


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="PyTorch is not installed")
@pytest.mark.parametrize("name", CASES)
def test_equals_pytorch(name: str) -> None:
    import torch

    qkv, options = arguments(CASES[name])
    tensors = [torch.from_numpy(x) for x in qkv]
    given = {k: torch.from_numpy(v) if k == "attn_mask" else v for k, v in options.items()}
    expected = torch.nn.functional.scaled_dot_product_attention(*tensors, **given).numpy()
    actual = pymfa.scaled_dot_product_attention(*tensors, **given)  # host tensors go in as they are
    assert actual.shape == expected.shape
    np.testing.assert_allclose(actual, expected, rtol=2e-5, atol=2e-6)


def test_row_without_keys_is_zero() -> None:
    q, k, v = (made(i, (1, 1, 3, 8), np.float32) for i in range(3))
    mask = np.array([[1, 1, 1], [0, 0, 0], [1, 0, 0]], bool)
    out = pymfa.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    assert (out[0, 0, 1] == 0).all() and np.isfinite(out).all()


def test_mask_with_more_axes_than_scores() -> None:
    q, mask = made(1, (5, 8), np.float32), np.ones((2, 5, 5), bool)
    with pytest.raises(ValueError, match="attn_mask"):
        pymfa.scaled_dot_product_attention(q, q, q, attn_mask=mask)


@pytest.mark.parametrize("axis", [-3, -1])
def test_shapes_that_do_not_fit(axis: int) -> None:
    shape = [2, 3, 5, 8]
    shape[axis] += 1
    q, k = made(1, (2, 3, 5, 8), np.float32), made(2, tuple(shape), np.float32)
    with pytest.raises(ValueError, match="scaled_dot_product_attention"):
        pymfa.scaled_dot_product_attention(q, k, k)
