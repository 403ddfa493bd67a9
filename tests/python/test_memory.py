# SPDX-License-Identifier: MIT
"""Memory: what is shared without a copy, how long it lives, and what may be passed."""

from __future__ import annotations

import array as array_module
import gc
import threading
import weakref
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from arrangements import made

import pymfa


def test_empty_is_aligned_and_shared(device: pymfa.Device) -> None:
    x = device.empty((100, 30), np.float32)
    assert x.ctypes.data % device.page_size == 0
    assert x.flags.writeable and (x == 0).all()
    buffer = device.buffer(x)
    assert not buffer.is_copy and buffer.address == x.ctypes.data


def test_page_aligned_numpy_memory_is_not_copied(device: pymfa.Device) -> None:
    page = device.page_size
    raw = np.zeros(3 * page, np.uint8)
    start = -raw.ctypes.data % page
    aligned = raw[start : start + page]
    buffer = device.buffer(aligned)
    assert not buffer.is_copy
    aligned[5] = 7
    assert np.asarray(buffer)[5] == 7


def test_buffers_of_every_size(device: pymfa.Device) -> None:
    for size in (0, 1, 17, 10**6):
        assert len(device.buffer(size)) == size
    assert device.empty((0, 5)).shape == (0, 5)


class Interface:
    """Has nothing but __array_interface__."""

    def __init__(self, values: Any) -> None:
        self.values = values
        self.__array_interface__ = values.__array_interface__


class DLPack:
    """Has nothing but DLPack."""

    def __init__(self, values: Any) -> None:
        self.values = values

    def __dlpack__(self, **options: Any) -> Any:
        return self.values.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)


@pytest.mark.parametrize("wrapper", [Interface, DLPack, memoryview])
def test_foreign_arrays(device: pymfa.Device, wrapper: Any) -> None:
    a, b = made(1, (3, 4), np.float32), made(2, (4, 5), np.float32)
    out = np.zeros((3, 5), np.float32)
    pymfa.sgemm(wrapper(a), wrapper(b), out=wrapper(out), device=device)
    np.testing.assert_allclose(out, a @ b, rtol=1e-5, atol=1e-5)


def test_array_module(device: pymfa.Device) -> None:
    values = array_module.array("f", [1.5, -2.0])
    np.testing.assert_array_equal(pymfa.cast(values, np.float16, device=device), [1.5, -2.0])


def test_bfloat16_through_dlpack(device: pymfa.Device) -> None:
    torch = pytest.importorskip("torch")
    tensor = torch.arange(12, dtype=torch.bfloat16).reshape(3, 4)
    for given, expected in ((tensor, np.arange(12.0).reshape(3, 4)), (tensor.T, None)):
        expected = given.float().numpy() if expected is None else expected
        result = pymfa.cast(given, np.float32, device=device)
        np.testing.assert_array_equal(result, expected)
    assert pymfa.bgemm(tensor, tensor.T).dtype == ml_dtypes.bfloat16


def test_arrays_live_until_the_commands_have_run(device: pymfa.Device) -> None:
    x = np.ones((4, 4), np.float32)
    watched = weakref.ref(x)
    commands = device.commands()
    out = commands.sgemm(x, np.eye(4, dtype=np.float32))
    del x
    gc.collect()
    assert watched() is not None
    commands.commit()
    commands.wait()
    gc.collect()
    assert watched() is None
    assert (out == 1).all()


def test_buffer_memory_outlives_the_device_array(device: pymfa.Device) -> None:
    part = device.empty((50, 50), np.float32)[10:20]
    gc.collect()
    part[...] = 3
    assert part.sum() == 1500


def test_operations_see_earlier_results(device: pymfa.Device) -> None:
    n = 20
    x = made(1, (n, n), np.float32)
    y, z, out = (device.empty((n, n), np.float32) for _ in "yzo")
    small = device.empty((n, n), np.float16)
    with device.commands(label="chain") as commands:
        commands.sgemm(x, x, out=y)
        commands.sgemm(y, x, out=z)
        commands.cast(z, out=small)
        commands.cast(small, out=out)
        assert commands.operations == 4
        assert commands.state == "encoding"
    assert commands.state == "completed"
    assert commands.gpu_time >= 0
    expected = (x.astype(np.float64) @ x @ x).astype(np.float16)
    np.testing.assert_allclose(out, expected.astype(np.float32), rtol=2e-3, atol=2e-2)


def test_overlapping_views_in_one_command_buffer(device: pymfa.Device) -> None:
    """Results written through one view are read through another."""
    memory = np.zeros((4, 12), np.float32)
    a, b, c = memory[:, :4], memory[:, 4:8], memory[:, 8:]
    a[...] = made(1, (4, 4), np.float32)
    with device.commands() as commands:
        commands.sgemm(a, a, out=b)
        commands.sgemm(a, b, out=c)
    np.testing.assert_allclose(c, a @ a @ a, rtol=1e-4, atol=1e-4)


def test_without_waiting(device: pymfa.Device) -> None:
    out = np.zeros((8, 8), np.float32)
    with device.commands(wait=False) as commands:
        commands.sgemm(np.eye(8, dtype=np.float32), np.eye(8, dtype=np.float32), out=out)
    assert commands.wait(60)
    np.testing.assert_array_equal(out, np.eye(8))
    assert commands.wait()  # again is fine


def test_completion_callback(device: pymfa.Device) -> None:
    called, seen = threading.Event(), []

    def completed(error: Exception | None) -> None:
        seen.append(error)
        called.set()

    with device.commands() as commands:
        commands.on_completed(completed)
        commands.sgemm(np.eye(2, dtype=np.float32), np.eye(2, dtype=np.float32))
    assert called.wait(60)
    assert seen == [None]


def test_dropped_without_commit(device: pymfa.Device) -> None:
    out = np.zeros((2, 2), np.float32)
    commands = device.commands()
    commands.sgemm(np.eye(2, dtype=np.float32), np.eye(2, dtype=np.float32), out=out)
    del commands
    gc.collect()
    assert (out == 0).all()


def test_many_threads(fast: pymfa.Device) -> None:
    a = made(1, (33, 47), np.float32)
    expected = a @ a.T
    wrong: list[Any] = []

    def work() -> None:
        for _ in range(10):
            result = pymfa.sgemm(a, a, trans_b=True, device=fast)
            if not np.allclose(result, expected, rtol=1e-4, atol=1e-4):
                wrong.append(result)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_prepare_then_explain(device: pymfa.Device) -> None:
    problems: list[Any] = [
        pymfa.GemmDesc(64, 64, 64, trans_a=True, activation="silu", bias=True),
        pymfa.GemmDesc(10, 10, 10, dtype=pymfa.bfloat16, trans_a=True, alpha=2.0),
        pymfa.AttentionDesc(R=32, C=32, D=64, H=4, Hkv=2, causal=True, return_lse=True),
        pymfa.CastDesc(100, "float16", "float32"),
    ]
    device.prepare(problems)
    for problem, kernel in zip(problems, ("hgemm", "bgemm", "attention", ""), strict=True):
        assert device.supported(problem) == (True, "")
        explanation = device.explain(problem)
        assert explanation.cached, explanation
        assert kernel in explanation.kernel
        assert explanation.threads_per_threadgroup > 0


def test_devices() -> None:
    names = [device.name for device in pymfa.devices()]
    assert len(set(names)) == len(names) > 0
    assert pymfa.device().name == names[0]
    for device in pymfa.devices():
        assert pymfa.device(device.name) is device
        assert device.simd_width == 32 and device.max_threads_per_threadgroup >= 512
        assert device.max_threadgroup_memory >= 32768
        assert device.backend in ("metal", "cpu", "reference")
