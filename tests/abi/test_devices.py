# SPDX-License-Identifier: MIT
"""Devices: list, names, limits."""


def test_first_is_the_default(abi):
    first = abi.out("mfa_device", "mfa_device_at", 0)
    name = abi.string(abi.info("mfa_device_info", "mfa_device_get_info", first).name)
    for given in (b"default", abi.null, name.encode()):
        opened = abi.out("mfa_device", "mfa_device_open", given)
        info = abi.info("mfa_device_info", "mfa_device_get_info", opened)
        assert abi.string(info.name) == name
        abi.check(abi.lib.mfa_device_release(opened))
    abi.check(abi.lib.mfa_device_release(first))


def test_limits(abi, device):
    info = abi.info("mfa_device_info", "mfa_device_get_info", device.handle)
    lib = abi.lib
    assert info.backend == {
        "cpu": lib.MFA_BACKEND_CPU,
        "reference": lib.MFA_BACKEND_REFERENCE,
    }.get(device.name, lib.MFA_BACKEND_METAL)
    assert info.simd_width == 32
    assert info.max_threads_per_threadgroup >= 512
    assert info.max_threadgroup_memory >= 32768
    assert info.max_buffer_length >= 1 << 28
    assert info.page_size >= 4096
    assert (info.workers > 0) == (info.backend != lib.MFA_BACKEND_METAL)
    assert abi.string(info.description)


def test_metal_object(abi, device):
    assert abi.out("void *", "mfa_device_metal", device.handle) != abi.null


def test_retain_keeps_the_handle(abi):
    handle = abi.out("mfa_device", "mfa_device_open", abi.null)
    abi.check(abi.lib.mfa_device_retain(handle))
    abi.check(abi.lib.mfa_device_release(handle))
    abi.info("mfa_device_info", "mfa_device_get_info", handle)
    abi.check(abi.lib.mfa_device_release(handle))
    assert abi.lib.mfa_device_release(handle) == abi.lib.MFA_ERROR_INVALID_ARGUMENT
    assert abi.error() == "mfa_device_release: device was released"


def test_an_older_caller_gets_as_much_as_it_has_room_for(abi, first):
    info = abi.struct("mfa_device_info")
    info.size = 4096 + 1
    assert abi.lib.mfa_device_get_info(first.handle, info) == abi.lib.MFA_ERROR_INVALID_ARGUMENT
    assert "info->size is 4097" in abi.error()
