# SPDX-License-Identifier: MIT
"""Buffers: new, wrapped, what they tell, when they go."""

import gc
import mmap

import numpy as np
import pytest


def test_new_is_zero_and_aligned(abi, device):
    buffer = device.new(10000)
    info = abi.info("mfa_buffer_info", "mfa_buffer_get_info", buffer)
    assert info.length == 10000 == abi.out("uint64_t", "mfa_buffer_length", buffer)
    assert info.storage == abi.lib.MFA_STORAGE_SHARED
    assert not info.is_copy
    assert not info.read_only
    contents = abi.out("void *", "mfa_buffer_contents", buffer)
    assert contents == info.contents
    assert int(abi.ffi.cast("uintptr_t", contents)) % mmap.PAGESIZE == 0
    assert bytes(abi.ffi.buffer(contents, 10000)) == bytes(10000)


def test_private_has_no_contents(abi, device):
    buffer = device.keep(
        "buffer",
        abi.out("mfa_buffer", "mfa_buffer_new", device.handle, 64, abi.lib.MFA_STORAGE_PRIVATE),
    )
    info = abi.info("mfa_buffer_info", "mfa_buffer_get_info", buffer)
    assert info.contents == abi.null
    assert info.storage == abi.lib.MFA_STORAGE_PRIVATE


def test_empty(abi, device):
    buffer = device.new(0)
    assert abi.out("uint64_t", "mfa_buffer_length", buffer) == 0
    wrapped = device.wrap(np.zeros(0, np.float32))
    assert abi.out("uint64_t", "mfa_buffer_length", wrapped) == 0


@pytest.mark.parametrize("shift", [0, 1, 2, 4, 8, 16, 100])
def test_wrapped_memory_is_not_copied(abi, device, shift):
    memory = np.frombuffer(mmap.mmap(-1, 3 * mmap.PAGESIZE), np.uint8)
    array = memory[shift : shift + mmap.PAGESIZE]
    info = abi.info("mfa_buffer_info", "mfa_buffer_get_info", device.wrap(array))
    assert not info.is_copy
    assert int(abi.ffi.cast("uintptr_t", info.contents)) == array.ctypes.data
    assert info.length == mmap.PAGESIZE


def test_read_only_is_remembered(abi, device):
    buffer = device.wrap(np.zeros(16, np.float32), read_only=True)
    assert abi.info("mfa_buffer_info", "mfa_buffer_get_info", buffer).read_only


def test_deallocator_is_called_once_when_the_last_reference_goes(abi, device):
    calls = []

    @abi.ffi.callback("mfa_deallocator")
    def gone(context, memory, length):
        calls.append((int(abi.ffi.cast("intptr_t", context)), memory, length))

    array = np.zeros(1024, np.float32)
    context = abi.ffi.cast("void *", 7)
    buffer = abi.out(
        "mfa_buffer",
        "mfa_buffer_wrap",
        device.handle,
        abi.pointer(array),
        array.nbytes,
        0,
        gone,
        context,
    )
    abi.check(abi.lib.mfa_buffer_retain(buffer))
    abi.check(abi.lib.mfa_buffer_release(buffer))
    assert calls == []
    abi.check(abi.lib.mfa_buffer_release(buffer))
    gc.collect()
    assert calls == [(7, abi.pointer(array), array.nbytes)]


def test_around_a_metal_buffer(abi, device):
    buffer = device.new(256)
    metal = abi.out("void *", "mfa_buffer_metal", buffer)
    again = device.keep(
        "buffer", abi.out("mfa_buffer", "mfa_buffer_wrap_metal", device.handle, metal)
    )
    assert abi.out("uint64_t", "mfa_buffer_length", again) == 256
    assert abi.out("void *", "mfa_buffer_contents", again) == abi.out(
        "void *", "mfa_buffer_contents", buffer
    )
