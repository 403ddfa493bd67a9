# SPDX-License-Identifier: MIT
"""Commands: one life from begin to completion, and what is refused on the way."""

import threading

import numpy as np
import pytest


def cast_desc(abi, count):
    return abi.struct(
        "mfa_cast_desc",
        count=count,
        source_type=abi.lib.MFA_TYPE_FLOAT,
        destination_type=abi.lib.MFA_TYPE_HALF,
    )


def encode_cast(abi, device, commands, source, destination):
    operands = abi.struct(
        "mfa_cast_operands",
        source={"buffer": device.wrap(source)},
        destination={"buffer": device.wrap(destination)},
    )
    return abi.lib.mfa_cast(commands, cast_desc(abi, source.size), operands)


def test_a_life(abi, device):
    lib = abi.lib
    commands = device.commands()
    abi.check(lib.mfa_commands_set_label(commands, b"one"))
    source, halves = np.arange(100, dtype=np.float32), np.zeros(100, np.float16)
    back = np.zeros(100, np.float32)
    abi.check(encode_cast(abi, device, commands, source, halves))
    desc = abi.struct(
        "mfa_cast_desc",
        count=100,
        source_type=lib.MFA_TYPE_HALF,
        destination_type=lib.MFA_TYPE_FLOAT,
    )
    operands = abi.struct(
        "mfa_cast_operands",
        source={"buffer": device.wrap(halves)},
        destination={"buffer": device.wrap(back)},
    )
    abi.check(lib.mfa_cast(commands, desc, operands))
    info = abi.info("mfa_commands_info", "mfa_commands_get_info", commands)
    assert (info.state, info.operations) == (lib.MFA_COMMANDS_ENCODING, 2)
    assert not halves.any()

    abi.check(lib.mfa_commands_commit(commands))
    abi.check(lib.mfa_commands_wait(commands, -1))
    assert np.array_equal(back, source)
    info = abi.info("mfa_commands_info", "mfa_commands_get_info", commands)
    assert info.state == lib.MFA_COMMANDS_COMPLETED
    assert 0 < info.gpu_start_time <= info.gpu_end_time
    assert abi.string(info.error) == ""


def test_completion_is_called_once_and_before_wait_returns(abi, device):
    calls = []

    @abi.ffi.callback("mfa_completion")
    def ended(context, status, message):
        calls.append((int(abi.ffi.cast("intptr_t", context)), status, abi.string(message)))

    commands = device.commands()
    for number in (1, 2):
        abi.check(
            abi.lib.mfa_commands_on_completed(commands, ended, abi.ffi.cast("void *", number))
        )
    abi.check(abi.lib.mfa_commands_commit(commands))
    abi.check(abi.lib.mfa_commands_wait(commands, 60))
    assert calls == [(1, abi.lib.MFA_OK, ""), (2, abi.lib.MFA_OK, "")]


def test_run_commits_and_waits(abi, device):
    source, halves = np.arange(64, dtype=np.float32), np.zeros(64, np.float16)
    calls = []

    @abi.ffi.callback("mfa_completion")
    def ended(context, status, message):
        calls.append((status, bool(halves.any())))

    commands = device.commands()
    abi.check(encode_cast(abi, device, commands, source, halves))
    abi.check(abi.lib.mfa_commands_on_completed(commands, ended, abi.null))
    abi.check(abi.lib.mfa_commands_run(commands))
    assert calls == [(abi.lib.MFA_OK, True)]
    assert np.array_equal(halves, source.astype(np.float16))
    abi.check(abi.lib.mfa_commands_wait(commands, -1))


def test_wait_gives_up_after_its_time(abi, first):
    entered, proceed = threading.Event(), threading.Event()

    @abi.ffi.callback("mfa_completion")
    def slow(context, status, message):
        entered.set()
        proceed.wait(60)

    commands = first.commands()
    abi.check(abi.lib.mfa_commands_on_completed(commands, slow, abi.null))
    abi.check(abi.lib.mfa_commands_commit(commands))
    assert entered.wait(60)
    assert abi.lib.mfa_commands_wait(commands, 0) == abi.lib.MFA_TIMEOUT
    assert abi.lib.mfa_commands_wait(commands, 0.01) == abi.lib.MFA_TIMEOUT
    assert "have not completed after 0.01 s" in abi.error()
    proceed.set()
    abi.check(abi.lib.mfa_commands_wait(commands, 60))


def test_released_after_the_commit_they_still_run(abi, device):
    source, halves = np.arange(64, dtype=np.float32), np.zeros(64, np.float16)
    done = threading.Event()

    @abi.ffi.callback("mfa_completion")
    def ended(context, status, message):
        done.set()

    commands = abi.out("mfa_commands", "mfa_commands_begin", device.handle)
    abi.check(encode_cast(abi, device, commands, source, halves))
    abi.check(abi.lib.mfa_commands_on_completed(commands, ended, abi.null))
    abi.check(abi.lib.mfa_commands_commit(commands))
    abi.check(abi.lib.mfa_commands_release(commands))
    assert done.wait(60)
    assert np.array_equal(halves, source.astype(np.float16))


def test_buffers_released_before_the_commit_are_kept(abi, device):
    source, halves = np.arange(64, dtype=np.float32), np.zeros(64, np.float16)
    commands = device.commands()
    abi.check(encode_cast(abi, device, commands, source, halves))
    for kind, handle in list(device.made):
        if kind == "buffer":
            abi.check(abi.lib.mfa_buffer_release(handle))
            device.made.remove((kind, handle))
    abi.check(abi.lib.mfa_commands_commit(commands))
    abi.check(abi.lib.mfa_commands_wait(commands, -1))
    assert np.array_equal(halves, source.astype(np.float16))


def test_dropped_without_a_commit_nothing_runs(abi, device):
    source, halves = np.ones(64, np.float32), np.zeros(64, np.float16)
    commands = abi.out("mfa_commands", "mfa_commands_begin", device.handle)
    abi.check(encode_cast(abi, device, commands, source, halves))
    abi.check(abi.lib.mfa_commands_release(commands))
    assert not halves.any()


AFTER_COMMIT = {
    "commit": lambda abi, c: abi.lib.mfa_commands_commit(c),
    "run": lambda abi, c: abi.lib.mfa_commands_run(c),
    "set_label": lambda abi, c: abi.lib.mfa_commands_set_label(c, b"late"),
    "metal": lambda abi, c: abi.lib.mfa_commands_metal(c, abi.ffi.new("void **")),
    "on_completed": lambda abi, c: abi.lib.mfa_commands_on_completed(
        c, abi.ffi.cast("mfa_completion", 1), abi.null
    ),
    "cast": lambda abi, c: abi.lib.mfa_cast(c, abi.null, abi.null),
    "hgemm": lambda abi, c: abi.lib.mfa_hgemm(c, abi.null, abi.null),
    "sgemm": lambda abi, c: abi.lib.mfa_sgemm(c, abi.null, abi.null),
    "bgemm": lambda abi, c: abi.lib.mfa_bgemm(c, abi.null, abi.null),
    "attention": lambda abi, c: abi.lib.mfa_attention(c, abi.null, abi.null),
    "dispatch": lambda abi, c: abi.lib.mfa_dispatch(c, abi.null),
}


@pytest.mark.parametrize("what", AFTER_COMMIT)
def test_use_after_commit(abi, first, what):
    commands = first.commands()
    abi.check(abi.lib.mfa_commands_commit(commands))
    assert AFTER_COMMIT[what](abi, commands) == abi.lib.MFA_ERROR_WRONG_STATE
    assert "were committed already" in abi.error()
    abi.check(abi.lib.mfa_commands_wait(commands, -1))
    assert AFTER_COMMIT[what](abi, commands) == abi.lib.MFA_ERROR_WRONG_STATE


def test_wait_before_commit(abi, first):
    commands = first.commands()
    assert abi.lib.mfa_commands_wait(commands, -1) == abi.lib.MFA_ERROR_WRONG_STATE
    assert "not committed yet" in abi.error()


def test_wrapped_encoder_belongs_to_its_owner(abi, device):
    lib = abi.lib
    commands = device.commands()
    encoder = abi.out("void *", "mfa_commands_metal", commands)
    wrapped = device.keep(
        "commands", abi.out("mfa_commands", "mfa_commands_wrap", device.handle, encoder)
    )
    source, halves = np.arange(64, dtype=np.float32), np.zeros(64, np.float16)
    abi.check(encode_cast(abi, device, wrapped, source, halves))
    assert lib.mfa_commands_commit(wrapped) == lib.MFA_ERROR_WRONG_STATE
    assert lib.mfa_commands_run(wrapped) == lib.MFA_ERROR_WRONG_STATE
    assert lib.mfa_commands_wait(wrapped, 0) == lib.MFA_ERROR_WRONG_STATE
    assert "wrap an encoder" in abi.error()
    abi.check(lib.mfa_commands_commit(commands))
    abi.check(lib.mfa_commands_wait(commands, -1))
    assert np.array_equal(halves, source.astype(np.float16))
