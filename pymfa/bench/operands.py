# SPDX-License-Identifier: MIT
"""Shapes and types -> random operands for us, NumPy and PyTorch, and errors of results."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import ml_dtypes
import numpy as np

import pymfa

float32 = np.dtype(np.float32)
float16 = np.dtype(np.float16)
bfloat16 = np.dtype(ml_dtypes.bfloat16)


def optional_torch() -> Any:
    try:
        import torch
    except ImportError:
        return None
    torch.set_num_threads(pymfa.device().workers or torch.get_num_threads())
    return torch


def random(shape: tuple[int, ...], dtype: Any, seed: int) -> Any:
    """Page-aligned, so that no side copies it."""
    array = pymfa.device().empty(shape, dtype)
    array[...] = np.random.default_rng(seed).standard_normal(shape, np.float32).astype(dtype)
    return array


def torch_tensor(torch: Any, array: Any) -> Any:
    wide = torch.from_numpy(np.ascontiguousarray(array.astype(np.float32)))
    names = {"float16": torch.float16, "bfloat16": torch.bfloat16}
    return wide.to(names.get(array.dtype.name, torch.float32))


def distance(ours: Any, exact: Any) -> float:
    """The error relative to the exact result, both as vectors."""
    exact = np.asarray(exact, np.float64)
    return float(
        np.linalg.norm(np.asarray(ours).astype(np.float64) - exact) / np.linalg.norm(exact)
    )


def geometric_mean(values: Iterable[float]) -> float:
    logarithms = [math.log(value) for value in values]
    return math.exp(sum(logarithms) / len(logarithms))
