# SPDX-License-Identifier: MIT
"""Commands remember the buffers of their latest operations, but no longer than handles do."""

import gc

import numpy as np

N = 100


def cast(abi, commands, source, destination, count=N):
    desc = abi.struct(
        "mfa_cast_desc",
        count=count,
        source_type=abi.lib.MFA_TYPE_FLOAT,
        destination_type=abi.lib.MFA_TYPE_HALF,
    )
    operands = abi.struct(
        "mfa_cast_operands", source={"buffer": source}, destination={"buffer": destination}
    )
    return abi.lib.mfa_cast(commands, desc, operands)


def run(abi, commands):
    abi.check(abi.lib.mfa_commands_commit(commands))
    abi.check(abi.lib.mfa_commands_wait(commands, -1))


def test_more_buffers_than_are_remembered(abi, device):
    sources = [np.full(N, i, np.float32) for i in range(25)]
    targets = [np.zeros(N, np.float16) for _ in sources]
    pairs = [(device.wrap(s), device.wrap(t)) for s, t in zip(sources, targets, strict=True)]
    commands = device.commands()
    for source, target in (*pairs, *reversed(pairs), *pairs[::3]):
        abi.check(cast(abi, commands, source, target))
    run(abi, commands)
    for source, target in zip(sources, targets, strict=True):
        assert np.array_equal(target, source)


def test_a_released_buffer_is_recognised(abi, device):
    source, halves = np.arange(N, dtype=np.float32), np.zeros(N, np.float16)
    given, target = device.wrap(source), device.wrap(halves)
    commands = device.commands()
    abi.check(cast(abi, commands, given, target))
    abi.check(abi.lib.mfa_buffer_release(given))
    assert cast(abi, commands, given, target) == abi.lib.MFA_ERROR_INVALID_ARGUMENT
    assert "source.buffer was released" in abi.error()
    run(abi, commands)
    assert np.array_equal(halves, source)


def test_a_new_buffer_is_not_taken_for_one_that_was_released(abi, device):
    first, second = np.full(N, 1, np.float32), np.full(N, 2, np.float32)
    halves, others = np.zeros(N, np.float16), np.zeros(N, np.float16)
    targets = [device.wrap(halves), device.wrap(others)]
    commands = device.commands()
    given = device.wrap(first)
    abi.check(cast(abi, commands, given, targets[0]))
    abi.check(abi.lib.mfa_buffer_release(given))
    abi.check(cast(abi, commands, device.wrap(second), targets[1]))
    run(abi, commands)
    assert (halves == 1).all() and (others == 2).all()


def test_what_a_refused_operation_named_is_let_go(abi, device):
    calls = []

    @abi.ffi.callback("mfa_deallocator")
    def gone(context, memory, length):
        calls.append(length)

    array = np.zeros(N, np.float32)
    commands, target = device.commands(), device.new(2 * N)
    source = abi.out(
        "mfa_buffer",
        "mfa_buffer_wrap",
        device.handle,
        abi.pointer(array),
        array.nbytes,
        0,
        gone,
        abi.null,
    )
    assert cast(abi, commands, source, target, N + 1) == abi.lib.MFA_ERROR_OUT_OF_BOUNDS
    abi.check(abi.lib.mfa_buffer_release(source))
    gc.collect()
    assert calls == [array.nbytes]
