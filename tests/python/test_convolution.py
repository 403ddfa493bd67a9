# SPDX-License-Identifier: MIT
"""convolution against float64 and against PyTorch, over shapes, geometry, groups and epilogues."""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np
import pytest
from arrangements import made
from hypothesis import given, settings
from hypothesis import strategies as st
from tolerance import SLOPE, Convolution, assert_within, bfloat16

import pymfa

DTYPES = {"float32": np.float32, "float16": np.float16, "bfloat16": bfloat16}
# Few windows: each is a pipeline of its own.
WINDOWS: dict[int, list[tuple[int, ...]]] = {
    1: [(1,), (3,), (4,)],
    2: [(1, 1), (3, 3), (2, 3), (5, 1)],
    3: [(1, 1, 1), (3, 3, 3), (1, 2, 3)],
}
MOST = {1: 70, 2: 14, 3: 7}  # pixels along a dimension


def per_dimension(dims: int, numbers: st.SearchStrategy[int]) -> st.SearchStrategy[Any]:
    return st.tuples(*[numbers] * dims)


@st.composite
def problems(draw: st.DrawFn, dims: int, scale: int = 1) -> dict[str, Any]:
    window = draw(st.sampled_from(WINDOWS[dims]))
    dilation = draw(per_dimension(dims, st.sampled_from([1, 1, 1, 2, 3])))
    reach = [d * (k - 1) + 1 for d, k in zip(dilation, window, strict=True)]
    transposed = draw(st.sampled_from([False, False, True]))
    padding = tuple(
        (draw(st.integers(0, (r - 1) // 2 + (not transposed))), draw(st.integers(0, (r - 1) // 2)))
        for r in reach
    )
    least = [
        1 if transposed else max(1, r - b - e) for r, (b, e) in zip(reach, padding, strict=True)
    ]
    size = tuple(draw(st.integers(n, n + MOST[dims] // scale)) for n in least)
    groups = draw(st.sampled_from([1, 1, 1, 2, 3, "depthwise", "small"]))
    if groups == "depthwise":
        groups = C = draw(st.sampled_from([2, 5, 32, 40]))
        K = C * draw(st.sampled_from([1, 1, 2]))
    elif groups == "small":  # as depthwise: from the lanes beside
        groups = draw(st.sampled_from([2, 3, 16, 17]))
        C = K = groups * draw(st.sampled_from([2, 4, 8, 16]))
    else:
        C = groups * draw(st.sampled_from([1, 3, 8, 17, 32, 70]))
        K = groups * draw(st.sampled_from([1, 5, 8, 16, 33, 72]))
    stride = draw(per_dimension(dims, st.sampled_from([1, 1, 2, 3])))
    extra = tuple(draw(st.integers(0, max(s, d) - 1)) if transposed else 0
                  for s, d in zip(stride, dilation, strict=True))  # fmt: skip
    return {
        "x": (draw(st.sampled_from([1, 1, 2, 3])), *size, C),
        "w": (K, *window, C // groups),
        "geometry": {
            "stride": stride, "padding": padding, "dilation": dilation, "groups": groups,
            "transposed": transposed, "output_padding": extra,
        },
        "activation": draw(st.sampled_from(["none", "none", "relu", "gelu"])),
        "bias": draw(st.booleans()),
    }  # fmt: skip


def check(device: pymfa.Device, dtype: Any, problem: dict[str, Any], **options: Any) -> bool:
    """Whether the result was compared with PyTorch too."""
    x, w = made(1, problem["x"], dtype), made(2, problem["w"], dtype)
    bias = made(3, (w.shape[0],), dtype) if problem["bias"] else None
    geometry = problem["geometry"]
    reference = Convolution(x, w, bias=bias, activation=problem["activation"], **geometry)
    compared = against_torch(x, w, geometry, reference, bias, problem["activation"])
    y = pymfa.convolution(
        x, w, bias=bias, activation=problem["activation"], device=device, **geometry, **options
    )
    assert y.dtype == dtype
    assert_within(y, reference.expected, reference.tolerance, str(problem))
    return compared


def against_torch(
    x: Any, w: Any, geometry: dict[str, Any], reference: Convolution, bias: Any, activation: str
) -> bool:
    """PyTorch's float64 result is what we test against; where it is installed, that is shown."""
    try:
        import torch
    except ImportError:
        return False
    dims, groups = x.ndim - 2, geometry["groups"]
    tx = torch.from_numpy(np.moveaxis(x.astype(np.float64), -1, 1).copy())
    tw = np.moveaxis(w.astype(np.float64), -1, 1)
    if geometry["transposed"]:
        tw = tw.reshape(groups, -1, *tw.shape[1:]).swapaxes(1, 2)
        tw = tw.reshape(-1, *tw.shape[2:])
        function = getattr(torch.nn.functional, f"conv_transpose{dims}d")
        options = {"output_padding": geometry["output_padding"]}
    else:
        function = getattr(torch.nn.functional, f"conv{dims}d")
        sides = [n for pair in reversed(geometry["padding"]) for n in pair]
        tx, options = torch.nn.functional.pad(tx, sides), {}
    found = function(
        tx, torch.from_numpy(tw.copy()), stride=geometry["stride"], dilation=geometry["dilation"],
        groups=groups, **options,
    )  # fmt: skip
    if geometry["transposed"]:  # PyTorch cuts off as much at both ends, we need not
        cut = [slice(a, n - b) for n, (a, b) in zip(found.shape[2:], geometry["padding"],
                                                     strict=True)]  # fmt: skip
        found = found[(..., *cut)]
    if bias is not None:
        found = found + torch.from_numpy(bias.astype(np.float64)).reshape(-1, *[1] * dims)
    if activation == "gelu_tanh":
        found = torch.nn.functional.gelu(found, approximate="tanh")
    elif activation != "none":
        found = getattr(torch.nn.functional, activation)(found)
    found = np.moveaxis(found.numpy(), 1, -1)
    assert found.shape == reference.expected.shape
    np.testing.assert_allclose(found, reference.expected, rtol=1e-9, atol=1e-9)
    return True


EXAMPLES = 140  # of each number of dimensions, so that more than 400 meet PyTorch


@pytest.mark.parametrize("dims", WINDOWS)
def test_sweep(fast: pymfa.Device, dims: int) -> None:
    compared = 0

    @settings(max_examples=EXAMPLES)
    @given(data=st.data())
    def every(data: st.DataObject) -> None:
        nonlocal compared
        dtype = DTYPES[data.draw(st.sampled_from(["float32", "float32", "float16", "bfloat16"]))]
        compared += check(fast, dtype, data.draw(problems(dims)))

    every()
    print(f"{compared} convolutions in {dims} dimensions compared with PyTorch")
    if importlib.util.find_spec("torch"):
        assert compared >= EXAMPLES


@pytest.mark.parametrize("dims", WINDOWS)
@settings(max_examples=10)
@given(data=st.data())
def test_sweep_small(device: pymfa.Device, dims: int, data: st.DataObject) -> None:
    dtype = DTYPES[data.draw(st.sampled_from(["float32", "float16"]))]
    check(device, dtype, data.draw(problems(dims, 4)))


def geometry(dims: int, **given: Any) -> dict[str, Any]:
    plain = {"stride": (1,) * dims, "padding": ((0, 0),) * dims, "dilation": (1,) * dims}
    return {**plain, "groups": 1, "transposed": False, "output_padding": (0,) * dims, **given}


@pytest.mark.parametrize("dtype", DTYPES)
def test_larger_than_every_tile(fast: pymfa.Device, dtype: str) -> None:
    problem = {
        "x": (2, 29, 31, 72), "w": (80, 3, 3, 72), "bias": True, "activation": "silu",
        "geometry": geometry(2, stride=(2, 1), padding=((1, 1), (1, 1))),
    }  # fmt: skip
    check(fast, DTYPES[dtype], problem)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("channels", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("stride", [1, 3])
def test_strips_of_groups_of_few_channels(
    fast: pymfa.Device, dtype: str, channels: int, stride: int
) -> None:
    """Rows of several whole strips and a part of one; the last 32 channels are not all there."""
    problem = {
        "x": (2, 9, 61, 80), "w": (80, 3, 5, channels), "bias": True, "activation": "relu",
        "geometry": geometry(2, stride=(1, stride), padding=((1, 1), (3, 2)), dilation=(1, 2),
                             groups=80 // channels),
    }  # fmt: skip
    check(fast, DTYPES[dtype], problem)


@pytest.mark.parametrize("channels", [1, 4])
def test_palettized_groups_are_their_dense_weights(device: pymfa.Device, channels: int) -> None:
    x, w = made(1, (1, 7, 21, 48), np.float16), made(2, (48, 3, 3, channels), np.float16)
    packed = pymfa.palettize(w, bits=6)
    options: dict[str, Any] = {"padding": 1, "groups": 48 // channels, "device": device}
    np.testing.assert_array_equal(
        pymfa.convolution(x, packed, **options),
        pymfa.convolution(x, pymfa.dequantize(packed), **options),
    )


def test_a_group_too_large_for_threadgroup_memory(fast: pymfa.Device) -> None:
    """16 channels of 5 x 5 weights are 50 KiB: an implicit GEMM."""
    problem = {
        "x": (1, 9, 9, 32), "w": (32, 5, 5, 16), "bias": False, "activation": "none",
        "geometry": geometry(2, groups=2),
    }  # fmt: skip
    check(fast, np.float32, problem)


def test_same_and_valid(device: pymfa.Device) -> None:
    x, w = made(1, (1, 11, 12, 3), np.float32), made(2, (5, 3, 4, 3), np.float32)
    same = pymfa.convolution(x, w, padding="same", stride=2, device=device)
    assert same.shape == (1, 6, 6, 5)
    explicit = pymfa.convolution(x, w, padding=((1, 1), (1, 1)), stride=2, device=device)
    np.testing.assert_array_equal(same, explicit)
    valid = pymfa.convolution(x, w, padding="valid", device=device)
    np.testing.assert_array_equal(valid, pymfa.convolution(x, w, device=device))
    odd = pymfa.convolution(x, w, padding="same", device=device)
    np.testing.assert_array_equal(odd, pymfa.convolution(x, w, padding=(1, (1, 2)), device=device))


@pytest.mark.parametrize(
    ("x", "w", "shape"),
    [((0, 5, 5, 3), (4, 3, 3, 3), (0, 3, 3, 4)), ((2, 5, 5, 3), (0, 3, 3, 3), (2, 3, 3, 0))],
)
def test_empty(device: pymfa.Device, x: Any, w: Any, shape: Any) -> None:
    y = pymfa.convolution(np.ones(x, np.float32), np.ones(w, np.float32), device=device)
    assert y.shape == shape


def test_no_channels_leave_the_bias(device: pymfa.Device) -> None:
    bias = np.arange(4, dtype=np.float32)
    for window in [(3, 3), (1, 1)]:
        y = pymfa.convolution(
            np.ones((1, 5, 5, 0), np.float32), np.ones((4, *window, 0), np.float32), bias=bias,
            device=device,
        )  # fmt: skip
        np.testing.assert_array_equal(y, np.broadcast_to(bias, y.shape))


def test_outputs_that_no_input_reaches_are_the_bias(device: pymfa.Device) -> None:
    """Transposed with a stride larger than the window."""
    x, w = made(1, (1, 3, 3, 8), np.float32), made(2, (8, 2, 2, 8), np.float32)
    y = pymfa.convolution(
        x, w, stride=4, transposed=True, bias=np.full(8, 7, np.float32), device=device
    )
    assert y.shape == (1, 10, 10, 8)
    np.testing.assert_array_equal(y[:, 2:4], 7)
    np.testing.assert_array_equal(y[:, :, 6:8], 7)


def test_nan_and_infinity_stay_where_they_are(device: pymfa.Device) -> None:
    x = np.ones((1, 6, 6, 3), np.float32)
    x[0, 0, 0, 0], x[0, 5, 5, 1] = np.nan, np.inf
    y = pymfa.convolution(x, np.ones((2, 3, 3, 3), np.float32), padding=1, device=device)
    assert np.isnan(y[0, :2, :2]).all() and np.isposinf(y[0, 4:, 4:]).all()
    assert np.isfinite(y[0, 2:4]).all() and np.isfinite(y[0, :2, 2:]).all()


def test_arrays_of_any_strides_are_copied_by_the_function(device: pymfa.Device) -> None:
    x, w = made(1, (2, 9, 8, 6), np.float32), made(2, (4, 3, 3, 3), np.float32)
    part = x[:, ::2, ::-1, 1:4]
    expected = pymfa.convolution(np.ascontiguousarray(part), w, device=device)
    np.testing.assert_array_equal(pymfa.convolution(part, w, device=device), expected)
    part.flags.writeable = False
    with pytest.raises(pymfa.InvalidValue, match="commands do not copy"):  # noqa: SIM117
        with device.commands() as commands:
            commands.convolution(part, w)


def test_in_commands_and_into_out(device: pymfa.Device) -> None:
    x, w = made(1, (1, 7, 7, 8), np.float16), made(2, (8, 3, 3, 8), np.float16)
    out = np.empty((1, 7, 7, 8), np.float16)
    with device.commands() as commands:
        once = commands.convolution(x, w, padding=1)
        assert commands.convolution(once, w, padding=1, out=out) is out
    twice = pymfa.convolution(
        pymfa.convolution(x, w, padding=1, device=device), w, padding=1, device=device
    )
    np.testing.assert_array_equal(out, twice)


X, W = (1, 8, 8, 4), (6, 3, 3, 4)


@pytest.mark.parametrize(
    ("x", "w", "options", "error", "message"),
    [
        (X, (6, 9, 3, 4), {}, ValueError, r"window\[0\] reaches over 9 .* padded input has 8"),
        (X, (6, 3, 3, 4), {"dilation": 4}, ValueError, r"reaches over 9"),
        (X, (6, 3, 3, 3), {}, ValueError, "input channels"),
        (X, (6, 3, 3, 2), {"groups": 3}, ValueError, "input channels"),
        (X, (7, 3, 3, 2), {"groups": 2}, ValueError, "groups is 2, expected a divisor"),
        (X, (6, 3, 4), {}, ValueError, "expected 4 dimensions as x"),
        ((8, 4), (6, 3, 4), {}, ValueError, "spatial sizes"),
        (X, (6, 0, 3, 4), {}, ValueError, r"window\[0\] is 0"),
        (X, W, {"stride": 0}, ValueError, "stride is 0"),
        (X, W, {"stride": (1, 2, 3)}, ValueError, "one number or 2"),
        (X, W, {"stride": 1.5}, TypeError, "expected an integer"),
        (X, W, {"padding": -1}, ValueError, "padding is -1"),
        (X, W, {"padding": "full"}, ValueError, "'same', 'valid'"),
        (X, W, {"padding": (1, (1, 2, 3))}, ValueError, "pairs"),
        (X, W, {"activation": "tanh"}, ValueError, "activation"),
        (X, W, {"algorithm": "fft"}, ValueError, "algorithm"),
        (X, W, {"output_padding": 1}, ValueError, "transposed is false"),
        (X, W, {"transposed": True, "output_padding": 1}, ValueError, "less than the stride"),
        (X, W, {"transposed": True, "padding": "same"}, NotImplementedError, "SAME"),
        (X, W, {"transposed": True, "padding": 6}, ValueError, "cuts off 12 elements of 10"),
        (X, W, {"bias": np.ones(5, np.float32)}, ValueError, r"bias has shape \(5,\)"),
        (X, W, {"bias": np.ones(6, np.float16)}, TypeError, "float16"),
        (X, W, {"out": np.ones((1, 6, 6, 5), np.float32)}, ValueError, "out has shape"),
    ],
)
def test_refused(x: Any, w: Any, options: dict[str, Any], error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        pymfa.convolution(np.ones(x, np.float32), np.ones(w, np.float32), **options)


def test_wrong_types_and_overlap_are_refused() -> None:
    x, w = np.ones(X, np.float32), np.ones(W, np.float32)
    with pytest.raises(TypeError, match="float64"):
        pymfa.convolution(x.astype(np.float64), w)
    with pytest.raises(TypeError, match="float16"):
        pymfa.convolution(x, w.astype(np.float16))
    with pytest.raises(ValueError, match="overlaps x"):
        pymfa.convolution(x, np.ones((4, 1, 1, 4), np.float32), out=x)
    y = np.ones((1, 6, 6, 6), np.float32)
    y.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        pymfa.convolution(x, w, out=y)


def test_activations_are_those_of_gemm() -> None:
    assert set(SLOPE) == {"none", "relu", "gelu", "gelu_tanh", "silu"}
    x, w = made(1, (1, 4, 4, 8), np.float32), made(2, (8, 3, 3, 8), np.float32)
    for activation in SLOPE:
        problem = {"x": x.shape, "w": w.shape, "bias": True, "activation": activation,
                   "geometry": geometry(2)}  # fmt: skip
        check(pymfa.device(), np.float32, problem)
