# SPDX-License-Identifier: MIT
"""Arrays of PyTorch, JAX and MLX in and out: the same memory, or the error that says why not."""

from __future__ import annotations

import gc
from typing import Any

import numpy as np
import pytest

import pymfa
from pymfa import as_dlpack
from pymfa.arrays import view


def address(array: Any) -> int:
    return int(array.__array_interface__["data"][0])


TYPES = ["float32", "float16", "bfloat16"]


@pytest.mark.parametrize("dtype", TYPES)
def test_torch_in(dtype: str) -> None:
    torch = pytest.importorskip("torch")
    tensor = torch.arange(12).reshape(3, 4).to(getattr(torch, dtype))
    for given in (tensor, tensor.T, tensor[:, 1::2]):
        array = view("x", given)
        assert address(array) == given.data_ptr() and array.dtype.name == dtype
        np.testing.assert_array_equal(array.astype(np.float32), given.float().numpy())
    product = {"float32": pymfa.sgemm, "float16": pymfa.hgemm, "bfloat16": pymfa.bgemm}[dtype]
    out = torch.zeros(3, 3, dtype=tensor.dtype)
    product(tensor, tensor, trans_b=True, out=out)  # in place: the tensor can be written
    assert torch.equal(out.float(), tensor.float() @ tensor.float().T)


@pytest.mark.parametrize("dtype", TYPES)
def test_jax_in_is_read_only(dtype: str) -> None:
    jnp = pytest.importorskip("jax.numpy")
    x = jnp.arange(12).reshape(3, 4).astype(dtype)
    array = view("x", x)
    assert address(array) == x.unsafe_buffer_pointer() and array.dtype.name == dtype
    assert not array.flags.writeable
    with pytest.raises(pymfa.InvalidValue, match="out is read-only"):
        pymfa.cast(np.zeros((3, 4), np.float32), dtype, out=x)
    expected = np.arange(12.0).reshape(3, 4)
    np.testing.assert_array_equal(pymfa.cast(x, "float32").astype(float), expected)


@pytest.mark.parametrize("dtype", TYPES)
def test_mlx_in_is_read_only(dtype: str) -> None:
    mx = pytest.importorskip("mlx.core")
    x = mx.arange(12).reshape(3, 4).astype(getattr(mx, dtype))
    array, again = view("x", x), view("x", x)
    assert address(array) == address(again) and array.dtype.name == dtype
    if dtype != "bfloat16":
        assert address(array) == address(np.asarray(memoryview(x)))
    assert not array.flags.writeable
    expected = np.arange(12.0).reshape(3, 4)
    np.testing.assert_array_equal(pymfa.cast(x, "float32").astype(float), expected)


@pytest.mark.parametrize("dtype", TYPES)
def test_results_out(dtype: str) -> None:
    result = pymfa.device().empty((3, 64), pymfa.bfloat16 if dtype == "bfloat16" else dtype)
    result[...] = np.arange(192).reshape(3, 64)
    expected = result.astype(np.float32)
    if torch := _module("torch"):
        tensor = torch.from_dlpack(as_dlpack(result))
        assert tensor.data_ptr() == address(result) and str(tensor.dtype) == f"torch.{dtype}"
        np.testing.assert_array_equal(tensor.float().numpy(), expected)
        part = torch.from_dlpack(as_dlpack(result[:, ::2]))
        assert part.stride() == (64, 2)
        np.testing.assert_array_equal(part.float().numpy(), expected[:, ::2])
    if jax := _module("jax"):
        array = jax.dlpack.from_dlpack(as_dlpack(result))
        assert array.unsafe_buffer_pointer() == address(result) and array.dtype.name == dtype
    if mx := _module("mlx.core"):  # on CPUs MLX copies what it imports
        np.testing.assert_array_equal(
            np.asarray(mx.from_dlpack(as_dlpack(result)).astype(mx.float32)), expected
        )


def test_exported_memory_outlives_the_array() -> None:
    torch = pytest.importorskip("torch")
    tensor = torch.from_dlpack(as_dlpack(np.full(1000, 3, pymfa.bfloat16)))
    gc.collect()
    assert (tensor == 3).all()


def test_read_only_stays_so() -> None:
    x = np.ones((2, 3), pymfa.bfloat16)
    x.flags.writeable = False
    with pytest.raises(BufferError, match="readonly"):
        as_dlpack(x).__dlpack__()
    if tuple(int(n) for n in np.__version__.split(".")[:2]) >= (2, 1):
        back = view("x", as_dlpack(x))
        assert address(back) == address(x) and not back.flags.writeable
        x.flags.writeable = True
        assert view("x", as_dlpack(x)).flags.writeable


def test_what_cannot_be_shared() -> None:
    torch = pytest.importorskip("torch")
    x = torch.ones(2, 2)
    with pytest.raises(pymfa.InvalidType, match=r"a cannot be shared through DLPack.*detach"):
        view("a", torch.ones(2, 2, requires_grad=True))
    with pytest.raises(pymfa.InvalidType, match="meta"):
        view("a", x.to("meta"))


class ElsewhereWithBuffer(bytearray):
    """As MLX on a Mac: its device is not the CPU, its buffer is host memory all the same."""

    def __dlpack__(self, **_options: Any) -> Any:
        raise BufferError

    def __dlpack_device__(self) -> tuple[int, int]:
        return (8, 0)


class Elsewhere:
    def __dlpack__(self, **_options: Any) -> Any:
        raise BufferError

    def __dlpack_device__(self) -> tuple[int, int]:
        return (2, 0)


class Pinned:
    def __init__(self, values: Any) -> None:
        self.values = values

    def __dlpack__(self, **options: Any) -> Any:
        return self.values.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return (3, 0)


def test_other_devices() -> None:
    pinned = np.arange(3)
    assert address(view("x", Pinned(pinned))) == address(pinned)
    assert view("x", ElsewhereWithBuffer(b"abc")).tolist() == [97, 98, 99]
    with pytest.raises(pymfa.InvalidType, match="x is on DLPack device type 2; expected host"):
        view("x", Elsewhere())


def test_misaligned_elements_are_refused() -> None:
    x = np.zeros(4 * 12 + 1, np.uint8)[1:].view(np.float32).reshape(3, 4)
    with pytest.raises(pymfa.InvalidValue, match="not aligned"):
        pymfa.sgemm(x, x, trans_b=True)


def _module(name: str) -> Any:
    try:
        return __import__(name, fromlist=["x"])
    except ImportError:
        return None
