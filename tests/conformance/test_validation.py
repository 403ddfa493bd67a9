# SPDX-License-Identifier: MIT
"""Apple-compiled kernels on the device that checks accesses and barriers: nothing is reported."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from apple_kernels import metallib_path, type_name
from convolution_case import Case, implicit_gemm
from tolerance import random

import pymfa
from pymfa.bench import steel

FLOATS = [np.dtype(np.float32), np.dtype(np.float16)]


@pytest.fixture(scope="module")
def checked() -> pymfa.Library:
    path = metallib_path()
    if path is None or not path.is_file():
        pytest.skip("no mlx.metallib: set MFA_MLX_METALLIB or run ./dev conformance")
    try:
        return pymfa.device("validate").library(path)
    except pymfa.InvalidValue:
        pytest.skip("a GPU validates by MTL_SHADER_VALIDATION")


@pytest.mark.parametrize("dtype", FLOATS, ids=type_name)
@pytest.mark.parametrize("trans", ["nn", "nt", "tn", "tt"])
def test_gemm(checked: pymfa.Library, trans: str, dtype: np.dtype[Any]) -> None:
    rng = np.random.default_rng(1)
    trans_a, trans_b = (letter == "t" for letter in trans)
    a = random(rng, (45, 70) if trans_a else (70, 45), dtype)
    b = random(rng, (33, 45) if trans_b else (45, 33), dtype)
    d = np.zeros((70, 33), dtype)
    kernel = f"steel_gemm_fused_{trans}_{dtype}_{dtype}_bm32_bn32_bk16_wm2_wn2"
    steel.gemm(kernel, a, b, d, trans_a=trans_a, trans_b=trans_b).call(checked)()


@pytest.mark.parametrize("dtype", FLOATS, ids=type_name)
@pytest.mark.parametrize("causal", [False, True])
def test_attention(checked: pymfa.Library, causal: bool, dtype: np.dtype[Any]) -> None:
    rng = np.random.default_rng(2)
    q = random(rng, (1, 2, 40, 64), dtype)
    k, v = (random(rng, (1, 2, 50, 64), dtype) for _ in "kv")
    kernel = steel.attention_kernel(checked, dtype, 64, dtype.name)
    launch = steel.attention(checked, kernel, q, k, v, np.zeros_like(q), 0.125, causal=causal)
    launch.call(checked)()


def test_what_a_kernel_reads_beyond_its_operand_is_reported(checked: pymfa.Library) -> None:
    """One row less of B than it was told of."""
    a, b = np.ones((32, 32), np.float32), np.ones((31, 32), np.float32)
    kernel = "steel_gemm_fused_nn_float32_float32_bm32_bn32_bk16_wm2_wn2"
    call = steel.gemm(kernel, a, b, np.zeros((32, 32), np.float32)).call(checked)
    with pytest.raises(pymfa.Failure, match=r"out of bounds: thread .* argument 'B'"):
        call()


@pytest.mark.parametrize("channels", [1, 2, 32])
def test_filters_behind_the_last_are_read(checked: pymfa.Library, channels: int) -> None:
    """Tiles of 32 filters where there are 20: reported, and the result is right all the same."""
    case = Case(np.dtype(np.float32), (2, 11, 9, channels), 20, (3, 3), 1, 1)
    kernel, launch = implicit_gemm(case, 32, 1)
    with (
        pytest.raises(pymfa.Failure, match=r"out of bounds: thread .* reads .* of argument 'B'"),
        checked.device.commands() as commands,
    ):
        commands.dispatch(
            checked.pipeline(kernel),
            buffers=launch["buffers"],
            threadgroups=launch["groups"],
            threads_per_threadgroup=launch["group"],
        )
    case.check(kernel)
