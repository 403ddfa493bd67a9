# SPDX-License-Identifier: MIT
"""Winograd's algorithm, palettized and kept weights, blocks, workspace and command buffers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from arrangements import made
from hypothesis import given, settings
from hypothesis import strategies as st
from tolerance import (
    Convolution,
    assert_within,
    bfloat16,
    output_rounding,
    winograd_bound,
)

import pymfa
from pymfa.bench import convolution

DTYPES = {"float32": np.float32, "float16": np.float16, "bfloat16": bfloat16}


def geometry(padding: Any = ((1, 1), (1, 1)), groups: int = 1) -> dict[str, Any]:
    return {"stride": (1, 1), "padding": padding, "dilation": (1, 1), "groups": groups}


@st.composite
def problems(draw: st.DrawFn) -> dict[str, Any]:
    padding = tuple((draw(st.integers(0, 2)), draw(st.integers(0, 2))) for _ in "yx")
    size = tuple(draw(st.integers(max(1, 3 - b - e), 17)) for b, e in padding)
    groups = draw(st.sampled_from([1, 1, 1, 2]))
    channels = st.sampled_from([1, 7, 8, 31, 32, 33, 40, 64, 70])
    C, K = groups * draw(channels), groups * draw(channels)
    return {
        "x": (draw(st.sampled_from([1, 1, 3])), *size, C),
        "w": (K, 3, 3, C // groups),
        "geometry": geometry(padding, groups),
        "bias": draw(st.booleans()),
        "activation": draw(st.sampled_from(["none", "relu"])),
    }


def check(device: pymfa.Device, dtype: Any, problem: dict[str, Any], weights: str) -> None:
    x, w = made(1, problem["x"], dtype), made(2, problem["w"], dtype)
    bias = made(3, (len(w),), dtype) if problem["bias"] else None
    options = {"bias": bias, "activation": problem["activation"], **problem["geometry"]}
    given: Any = w
    if weights == "palettized":
        given = pymfa.palettize(w, bits=6)
        w = pymfa.dequantize(given)
    elif weights == "kept":
        given = pymfa.WinogradWeights(w, groups=problem["geometry"]["groups"], device=device)
    reference = Convolution(x, w, **options)
    y = pymfa.convolution(x, given, algorithm="winograd", device=device, **options)
    where = problem["geometry"]
    bound = winograd_bound(x, w, where["padding"], where["groups"])
    tolerance = bound + reference.tolerance + output_rounding(reference.expected, x.dtype)
    assert_within(y, reference.expected, tolerance, str(problem))
    direct = pymfa.convolution(x, w, algorithm="direct", device=device, **options)
    assert_within(y, direct.astype(np.float64), tolerance + reference.tolerance, "direct")
    if weights != "dense":
        dense = pymfa.convolution(x, w, algorithm="winograd", device=device, **options)
        np.testing.assert_array_equal(y, dense)


@pytest.mark.parametrize("weights", ["dense", "palettized", "kept"])
@settings(max_examples=25)
@given(data=st.data())
def test_sweep(fast: pymfa.Device, weights: str, data: st.DataObject) -> None:
    dtype = DTYPES[data.draw(st.sampled_from(["float32", "float16", "bfloat16"]))]
    check(fast, dtype, data.draw(problems()), weights)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("weights", ["dense", "palettized", "kept"])
def test_on_every_device(device: pymfa.Device, dtype: str, weights: str) -> None:
    problem = {"x": (1, 7, 5, 9), "w": (11, 3, 3, 9), "geometry": geometry(), "bias": True,
               "activation": "none"}  # fmt: skip
    check(device, DTYPES[dtype], problem, weights)


def reason_of(device: pymfa.Device, problem: dict[str, Any], dtype: str) -> str:
    where = {name: problem["geometry"][name] for name in ("padding", "groups")}
    desc = pymfa.ConvolutionDesc(
        problem["x"], problem["w"], dtype, algorithm="winograd", **where
    )  # fmt: skip
    return device.explain(desc).reason


def channels_of_one_step(device: pymfa.Device) -> int:
    """So many that their transformed weights fill more than an eighth of the cache."""
    return int((device.cache_size / 8 / 100) ** 0.5) + 7


@pytest.mark.parametrize(
    ("dtype", "weights"),
    [("float32", "dense"), ("float32", "kept"), ("float16", "palettized"), ("bfloat16", "dense")],
)
@pytest.mark.parametrize(
    ("images", "size", "groups", "padding"),
    [(1, (1, 2), 1, ((1, 1), (1, 1))), (1, (10, 9), 2, ((0, 2), (1, 1))),
     (2, (17, 14), 1, ((1, 1), (2, 0)))],
)  # fmt: skip
def test_weights_transformed_where_they_are_multiplied(
    fast: pymfa.Device, images: int, size: Any, groups: int, padding: Any, dtype: str, weights: str
) -> None:
    """Few tiles: one, less than a block's rows, as many as ever. Channels fill no block."""
    C = channels_of_one_step(fast)
    K = C + 6
    problem = {"x": (images, *size, groups * C), "w": (groups * K, 3, 3, C), "bias": True,
               "geometry": geometry(padding, groups), "activation": "relu"}  # fmt: skip
    assert "weights in one step" in reason_of(fast, problem, dtype)
    check(fast, DTYPES[dtype], problem, weights)


@pytest.mark.parametrize("weights", ["dense", "palettized", "kept"])
@pytest.mark.parametrize(
    ("dtype", "images", "size", "C", "K", "groups", "padding"),
    [("float32", 1, (1, 2), 16, 1, 1, ((1, 1), (1, 1))),
     ("float16", 1, (10, 19), 40, 33, 2, ((0, 2), (1, 1))),
     ("bfloat16", 2, (7, 9), 96, 70, 1, ((1, 1), (2, 0))),
     ("float32", 3, (9, 8), 144, 128, 1, ((1, 1), (1, 1)))],
)  # fmt: skip
def test_tiles_multiplied_where_they_are_transformed(
    fast: pymfa.Device, dtype: str, images: int, size: Any, C: int, K: int, groups: int,
    padding: Any, weights: str,
) -> None:  # fmt: skip
    """Few weights: one tile, less than a block of them and more, filters that fill no block."""
    problem = {"x": (images, *size, groups * C), "w": (groups * K, 3, 3, C), "bias": True,
               "geometry": geometry(padding, groups), "activation": "relu"}  # fmt: skip
    assert "tiles in one step" in reason_of(fast, problem, dtype)
    check(fast, DTYPES[dtype], problem, weights)


def test_tiles_multiplied_where_they_are_transformed_on_every_device(
    device: pymfa.Device,
) -> None:
    problem = {"x": (1, 8, 7, 16), "w": (9, 3, 3, 16), "bias": True, "geometry": geometry(),
               "activation": "none"}  # fmt: skip
    check(device, np.float16, problem, "dense")


def test_weights_transformed_where_they_are_multiplied_on_every_device(
    device: pymfa.Device,
) -> None:
    C = channels_of_one_step(device)
    problem = {"x": (1, 3, 3, C), "w": (C, 3, 3, C), "bias": False, "geometry": geometry(),
               "activation": "none"}  # fmt: skip
    check(device, np.float32, problem, "dense")


@pytest.mark.parametrize(("bits", "ways"), [(3, 1), (6, 3), (8, 1)])
@pytest.mark.parametrize(
    ("window", "groups", "options"),
    [((3, 3), 1, {}), ((3, 3), 1, {"algorithm": "winograd"}), ((2, 2), 1, {"stride": 2}),
     ((1, 1), 1, {}), ((3, 3), 24, {}), ((2, 3), 3, {"transposed": True, "stride": 2})],
)  # fmt: skip
def test_palettes_are_the_weights_they_stand_for(
    fast: pymfa.Device, bits: int, ways: int, window: Any, groups: int, options: Any
) -> None:
    """Bit for bit, in every algorithm, whatever the bits, their order and the groups."""
    x = made(1, (1, 9, 8, 24), np.float16)
    w = made(2, (48, *window, 24 // groups), np.float16)
    for group_size, msb_first in [(None, False), (8, False), (5, True)][:ways]:
        p = pymfa.palettize(w, bits=bits, group_size=group_size, msb_first=msb_first)
        options = {"groups": groups, "device": fast, **options}
        y = pymfa.convolution(x, p, **options)
        dense = pymfa.dequantize(p)
        if window == (1, 1):  # dense weights go to hgemm, which adds in another order
            assert np.abs(y.astype(np.float64) - pymfa.convolution(x, dense, **options)).max() < 0.1
        else:
            np.testing.assert_array_equal(y, pymfa.convolution(x, dense, **options))


def test_chosen_where_it_applies_and_pays() -> None:
    def reason(**options: Any) -> str:
        shape = {"x": (1, 32, 32, 64), "w": (64, 3, 3, 64), "padding": 1, **options}
        return pymfa.explain(pymfa.ConvolutionDesc(**shape)).reason

    assert "Winograd" in reason()
    assert "Winograd" in reason(dtype="float32")
    many = channels_of_one_step(pymfa.device())
    one_step = {"x": (1, 16, 16, many), "w": (many, 3, 3, many)}  # few tiles
    assert "weights in one step" in reason(**one_step)
    assert "one step" not in reason(**one_step, transformed=True)
    for transformed in (False, True):
        assert "tiles in one step" in reason(transformed=transformed)
    assert "Winograd" not in reason(stride=2)
    assert "Winograd" not in reason(dilation=2)
    assert "Winograd" not in reason(w=(64, 5, 5, 64))
    assert "Winograd" not in reason(x=(1, 32, 32, 3), w=(64, 3, 3, 3))
    assert "Winograd" not in reason(algorithm="direct")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stride": 2}, "another stride"),
        ({"dilation": 2}, "another dilation"),
        ({"w": (8, 5, 3, 8)}, "another window"),
        ({"transposed": True}, "transposed"),
        ({"x": (1, 9, 8), "w": (8, 3, 8)}, "number of dimensions"),
    ],
)
def test_refused_where_it_does_not_apply(options: dict[str, Any], message: str) -> None:
    shapes = {"x": (1, 9, 9, 8), "w": (8, 3, 3, 8), **options}
    x, w = (np.ones(shapes.pop(name), np.float32) for name in "xw")
    with pytest.raises(NotImplementedError, match=message):
        pymfa.convolution(x, w, algorithm="winograd", **shapes)
    supported, why = pymfa.supported(
        pymfa.ConvolutionDesc(x.shape, w.shape, algorithm="winograd", **shapes)
    )
    assert not supported and message in why


def test_other_weights_are_refused() -> None:
    x, w = made(1, (1, 9, 9, 8), np.float32), made(2, (8, 3, 3, 8), np.float32)
    kept = pymfa.WinogradWeights(w)
    with pytest.raises(NotImplementedError, match="no other algorithm"):
        pymfa.convolution(x, kept, algorithm="direct")
    with pytest.raises(NotImplementedError, match="another stride"):
        pymfa.convolution(x, kept, stride=2)
    with pytest.raises(TypeError, match="float32"):
        pymfa.convolution(x.astype(np.float16), kept)
    with pytest.raises(ValueError, match="groups"):
        pymfa.convolution(x, kept, groups=2)
    with pytest.raises(TypeError, match="palettes"):
        pymfa.convolution(x, pymfa.palettize(w.astype(np.float16)))
    with pytest.raises(ValueError, match="axis 3"):
        pymfa.convolution(x, pymfa.palettize(w, axis=3, group_size=4))
    with pytest.raises(TypeError, match="affine"):
        pymfa.convolution(x, pymfa.quantize(w.reshape(8, -1)))
    with pytest.raises(ValueError, match="4 dimensions"):
        pymfa.WinogradWeights(w[0])
    with pytest.raises(NotImplementedError, match="another window"):
        pymfa.WinogradWeights(np.ones((8, 5, 5, 8), np.float32))


def test_blocks_fit_the_cache(fast: pymfa.Device) -> None:
    """Several blocks of tiles and of filters, and no more memory than the plan says."""
    x = made(1, (1, 100, 100, 320), np.float32)
    w = made(2, (320, 3, 3, 320), np.float32) * np.float32(0.02)
    with fast.commands() as commands:
        y = commands.convolution(x, w, padding=1, algorithm="winograd")
    plan = fast.explain(
        pymfa.ConvolutionDesc(x.shape, w.shape, "float32", padding=1, algorithm="winograd")
    )
    assert plan.workspace <= commands.workspace < 2 * fast.cache_size
    assert plan.workspace < fast.cache_size
    assert plan.dispatches >= 4 and plan.command_buffers >= 1
    bound = winograd_bound(x, w, ((1, 1), (1, 1)), 1)
    direct = pymfa.convolution(x, w, padding=1, algorithm="direct", device=fast)
    assert_within(y, direct.astype(np.float64), 2 * bound + 1e-5, "direct")


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="Linux tells the growth")
def test_a_large_image_takes_less_than_twice_the_cache() -> None:
    """320 channels of 256 x 256 pixels: what the commands tell and what the process grows by."""
    for case in convolution.workspace():
        ours, cache = (call() for call in case.contenders.values())
        assert 0 < ours < 2 * cache, case.label


def test_long_work_goes_into_several_command_buffers(fast: pymfa.Device) -> None:
    x = made(1, (1, 64, 64, 256), np.float16)
    w = made(2, (256, 3, 3, 256), np.float16)
    for algorithm in ("direct", "winograd"):
        with fast.commands() as commands:
            commands.convolution(x, w, padding=1, algorithm=algorithm)
        if fast.backend == "cpu":
            assert commands.command_buffers > 1
        assert commands.gpu_time > 0
    small = made(1, (1, 8, 8, 32), np.float16)
    with fast.commands() as commands:
        commands.convolution(small, w[:32, ..., :32].copy(), padding=1)
    assert commands.command_buffers == 1


def test_kept_weights_are_dropped_with_their_user(fast: pymfa.Device) -> None:
    w = made(2, (64, 3, 3, 32), np.float16)
    kept = pymfa.WinogradWeights(w, device=fast)
    assert kept.nbytes == 25 * 64 * 32 * 4
    assert pymfa.palettize(w).nbytes < w.nbytes / 2
    x = made(1, (1, 9, 9, 32), np.float16)
    with fast.commands() as commands:
        y = commands.convolution(x, kept)
        del kept
    np.testing.assert_array_equal(y, pymfa.convolution(x, w, algorithm="winograd", device=fast))
