# SPDX-License-Identifier: MIT
"""Bad input to commands that run at once, labels, preparation with options, and Metal's objects."""

import pytest

ARGUMENT = "MFA_ERROR_INVALID_ARGUMENT"


def released(abi, device):
    commands = abi.out("mfa_commands", "mfa_commands_begin", device.handle)
    abi.check(abi.lib.mfa_commands_release(commands))
    return commands


def committed(abi, device):
    commands = device.commands()
    abi.check(abi.lib.mfa_commands_run(commands))
    return commands


def metal(abi, kind, handle):
    return abi.out("void *", f"mfa_{kind}_metal", handle)


CASES = {
    "concurrent NULL": (
        lambda a, d: a.lib.mfa_commands_begin_concurrent(d.handle, a.null),
        ARGUMENT,
        "mfa_commands_begin_concurrent: commands is NULL",
    ),
    "concurrent without device": (
        lambda a, d: a.lib.mfa_commands_begin_concurrent(a.null, a.ffi.new("mfa_commands *")),
        ARGUMENT,
        "device is NULL",
    ),
    "label of released commands": (
        lambda a, d: a.lib.mfa_commands_set_operation_label(released(a, d), b"x"),
        ARGUMENT,
        "commands was released",
    ),
    "label after the commit": (
        lambda a, d: a.lib.mfa_commands_set_operation_label(committed(a, d), b"x"),
        "MFA_ERROR_WRONG_STATE",
        "commands were committed already",
    ),
    "label that is no text": (
        lambda a, d: a.lib.mfa_commands_set_operation_label(d.commands(), b"\xff\xfe"),
        ARGUMENT,
        "label is not UTF-8",
    ),
    "commands' label that is no text": (
        lambda a, d: a.lib.mfa_commands_set_label(d.commands(), b"\xff\xfe"),
        ARGUMENT,
        "label is not UTF-8",
    ),
    "options without size": (
        lambda a, d: a.lib.mfa_prepare(d.handle, a.null, 0, a.ffi.new("mfa_prepare_options *")),
        ARGUMENT,
        "options->size is 0, expected sizeof(mfa_prepare_options)",
    ),
    "no Metal device": (
        lambda a, d: a.lib.mfa_device_of_metal(a.null, a.ffi.new("mfa_device *")),
        ARGUMENT,
        "metal is NULL",
    ),
    "room for no device": (
        lambda a, d: a.lib.mfa_device_of_metal(metal(a, "device", d.handle), a.null),
        ARGUMENT,
        "device is NULL",
    ),
    "a buffer as device": (
        lambda a, d: a.lib.mfa_device_of_metal(
            metal(a, "buffer", d.new(64)), a.ffi.new("mfa_device *")
        ),
        ARGUMENT,
        "metal is no id<MTLDevice>",
    ),
    "a device as encoder": (
        lambda a, d: a.lib.mfa_commands_wrap(
            d.handle, metal(a, "device", d.handle), a.ffi.new("mfa_commands *")
        ),
        ARGUMENT,
        "encoder is no id<MTLComputeCommandEncoder>",
    ),
    "a device as buffer": (
        lambda a, d: a.lib.mfa_buffer_wrap_metal(
            d.handle, metal(a, "device", d.handle), a.ffi.new("mfa_buffer *")
        ),
        ARGUMENT,
        "metal is no id<MTLBuffer>",
    ),
    "embedded NULL": (
        lambda a, d: a.lib.mfa_library_embedded(a.null, a.ffi.new("size_t *")),
        ARGUMENT,
        "bytes is NULL",
    ),
    "embedded without length": (
        lambda a, d: a.lib.mfa_library_embedded(a.ffi.new("const void **"), a.null),
        ARGUMENT,
        "length is NULL",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_bad_input(abi, first, case):
    call, status, message = CASES[case]
    assert abi.name(call(abi, first)) == status, abi.error()
    assert message in abi.error()


def test_refused_operations_name_their_label(abi, first):
    commands = first.commands()
    abi.check(abi.lib.mfa_commands_set_operation_label(commands, b"the first product"))
    operands = abi.struct("mfa_gemm_operands")
    desc = abi.struct("mfa_gemm_desc", M=4, N=4, K=4, lda=3)
    assert abi.lib.mfa_sgemm(commands, desc, operands) != 0
    assert abi.error() == 'mfa_sgemm "the first product": lda is 3, expected at least K = 4'
    abi.check(abi.lib.mfa_commands_set_operation_label(commands, abi.null))
    assert abi.lib.mfa_sgemm(commands, desc, operands) != 0
    assert abi.error() == "mfa_sgemm: lda is 3, expected at least K = 4"
    assert abi.lib.mfa_device_of_metal(abi.null, abi.null) != 0
    assert abi.error() == "mfa_device_of_metal: metal is NULL"
