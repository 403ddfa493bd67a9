# SPDX-License-Identifier: MIT
"""Several commands on their way, operations that run at the same time, failures among them."""

import threading
import time
from itertools import pairwise

import numpy as np
import pytest

CHAIN = """
#include <metal_stdlib>
using namespace metal;
kernel void add(device const float *x [[buffer(0)]], device float *y [[buffer(1)]],
                uint i [[thread_position_in_grid]]) { y[i] = x[i] + 1; }
kernel void slow(device float *x [[buffer(0)]], constant uint &rounds [[buffer(1)]],
                 uint i [[thread_position_in_grid]]) {
  float v = x[i];
  for (uint k = 0; k < rounds; ++k) v = fma(v, 0.9999f, 0.5f);
  x[i] = v;
}
kernel void outside(device float *x [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  x[i + 1000000] = 1;
}
"""
N = 256


class Kernels:
    def __init__(self, abi, device):
        self.abi, self.device = abi, device
        library = device.source(CHAIN)
        self.pipelines = {
            name: device.pipeline(library, name) for name in ("add", "slow", "outside")
        }

    def encode(self, commands, name, *buffers, threads=N, rounds=None):
        abi = self.abi
        bindings = abi.ffi.new("mfa_binding[]", len(buffers) + (rounds is not None))
        for slot, buffer in enumerate(buffers):
            bindings[slot].slot, bindings[slot].buffer = slot, buffer
        if rounds is not None:
            value = abi.ffi.new("uint32_t *", rounds)
            last = bindings[len(buffers)]
            last.kind, last.slot = abi.lib.MFA_BINDING_BYTES, len(buffers)
            last.bytes, last.length = value, 4
        desc = abi.struct(
            "mfa_dispatch_desc", pipeline=self.pipelines[name], bindings=bindings,
            binding_count=len(bindings), grid_in_threads=True,
        )  # fmt: skip
        desc.grid[0], desc.threads_per_threadgroup[0] = threads, 64
        abi.check(abi.lib.mfa_dispatch(commands, desc))


def label(abi, commands, text):
    abi.check(abi.lib.mfa_commands_set_operation_label(commands, text))


def concurrent(abi, device):
    return device.keep(
        "commands", abi.out("mfa_commands", "mfa_commands_begin_concurrent", device.handle)
    )


def test_many_command_buffers_in_flight_run_in_order(abi, device):
    kernels = Kernels(abi, device)
    values = np.zeros(N, np.float32)
    buffer = device.wrap(values)
    ended = []

    @abi.ffi.callback("mfa_completion")
    def note(context, status, message):
        ended.append((int(abi.ffi.cast("intptr_t", context)), status))

    many = 100  # more than the queue holds at a time
    all_commands = []
    for number in range(many):
        commands = device.commands()
        kernels.encode(commands, "add", buffer, buffer)
        context = abi.ffi.cast("void *", number)
        abi.check(abi.lib.mfa_commands_on_completed(commands, note, context))
        abi.check(abi.lib.mfa_commands_commit(commands))
        all_commands.append(commands)
    abi.check(abi.lib.mfa_commands_wait(all_commands[-1], -1))
    assert np.all(values == many)
    assert ended == [(number, abi.lib.MFA_OK) for number in range(many)]
    times = [
        abi.info("mfa_commands_info", "mfa_commands_get_info", commands)
        for commands in all_commands
    ]
    for before, after in pairwise(times):
        assert before.gpu_start_time <= before.gpu_end_time <= after.gpu_start_time


def test_gpu_times_are_those_of_the_work(abi, first):
    kernels = Kernels(abi, first)
    buffer = first.wrap(np.ones(N, np.float32))
    taken = []
    for rounds in (1, 300_000):
        commands = first.commands()
        kernels.encode(commands, "slow", buffer, rounds=rounds)
        start = time.clock_gettime(time.CLOCK_MONOTONIC)
        abi.check(abi.lib.mfa_commands_commit(commands))
        info = abi.info("mfa_commands_info", "mfa_commands_get_info", commands)
        if info.state == abi.lib.MFA_COMMANDS_COMMITTED:
            assert info.gpu_end_time == 0
        abi.check(abi.lib.mfa_commands_wait(commands, -1))
        end = time.clock_gettime(time.CLOCK_MONOTONIC)
        info = abi.info("mfa_commands_info", "mfa_commands_get_info", commands)
        assert start <= info.gpu_start_time <= info.gpu_end_time <= end
        taken.append(info.gpu_end_time - info.gpu_start_time)
    assert taken[1] > 3e-4 > taken[1] / 1000, "a chain of 300,000 multiply-adds takes its time"


def test_a_completion_may_do_anything(abi, device):
    """It encodes, runs, commits and waits, also for the commands that it is about."""
    lib, kernels = abi.lib, Kernels(abi, device)
    values = np.zeros(N, np.float32)
    buffer = device.wrap(values)
    commands, later = device.commands(), device.commands()
    inner, both, done, said = [], threading.Event(), threading.Event(), []

    @abi.ffi.callback("mfa_completion")
    def inner_ended(context, status, message):
        said.append("inner completion")
        done.set()

    @abi.ffi.callback("mfa_completion")
    def ended(context, status, message):
        assert both.wait(60)
        said.append(abi.name(lib.mfa_commands_wait(commands, -1)))  # its own
        said.append(abi.name(lib.mfa_commands_wait(later, -1)))  # committed before this call
        new = device.commands()
        inner.append(new)
        kernels.encode(new, "add", buffer, buffer)
        said.append(abi.name(lib.mfa_commands_on_completed(new, inner_ended, abi.null)))
        said.append(abi.name(lib.mfa_commands_commit(new)))
        said.append(abi.name(lib.mfa_commands_wait(new, -1)))
        said.append(float(values[0]))
        kernels.encode(abi.null, "add", buffer, buffer)  # commands of its own
        said.append(float(values[0]))

    kernels.encode(commands, "add", buffer, buffer)
    kernels.encode(later, "add", buffer, buffer)
    abi.check(lib.mfa_commands_on_completed(commands, ended, abi.null))
    abi.check(lib.mfa_commands_commit(commands))
    abi.check(lib.mfa_commands_commit(later))
    both.set()
    abi.check(lib.mfa_commands_wait(commands, 60))
    assert done.wait(60)
    assert said == ["MFA_OK"] * 5 + [3.0, 4.0, "inner completion"]


def test_a_slow_completion_does_not_hold_up_other_commands(abi, first):
    kernels = Kernels(abi, first)
    values = np.zeros(N, np.float32)
    buffer = first.wrap(values)
    entered, proceed = threading.Event(), threading.Event()

    @abi.ffi.callback("mfa_completion")
    def slow(context, status, message):
        entered.set()
        proceed.wait(60)

    commands = first.commands()
    abi.check(abi.lib.mfa_commands_on_completed(commands, slow, abi.null))
    abi.check(abi.lib.mfa_commands_commit(commands))
    assert entered.wait(60)
    for _ in range(70):
        kernels.encode(abi.null, "add", buffer, buffer)
    assert np.all(values == 70)
    proceed.set()
    abi.check(abi.lib.mfa_commands_wait(commands, 60))


@pytest.mark.parametrize("at_once", [False, True])
def test_a_failure_names_its_operation(abi, first, at_once):
    """Those before have their results, those after have not run; other commands are not touched."""
    device = type(first)(abi, "validate")
    lib, kernels = abi.lib, Kernels(abi, device)
    arrays = [np.zeros(N, np.float32) for _ in range(5)]
    before, broken, beside, after, other = (device.wrap(array) for array in arrays)
    commands = concurrent(abi, device) if at_once else device.commands()
    abi.check(lib.mfa_commands_set_label(commands, b"step 7"))
    label(abi, commands, b"before")
    kernels.encode(commands, "add", before, before)
    label(abi, commands, b"the broken one")
    kernels.encode(commands, "outside", broken)
    label(abi, commands, abi.null)
    kernels.encode(commands, "add", beside, beside)
    kernels.encode(commands, "add", beside, after)
    abi.check(lib.mfa_commands_commit(commands))
    next_commands = device.commands()
    kernels.encode(next_commands, "add", other, other)
    abi.check(lib.mfa_commands_commit(next_commands))
    abi.check(lib.mfa_commands_wait(next_commands, -1))

    assert lib.mfa_commands_wait(commands, -1) == lib.MFA_ERROR_EXECUTION
    message = abi.error()
    start = 'mfa_commands_wait: commands "step 7": "the broken one": kernel \'outside\': '
    assert message.startswith(start)
    info = abi.info("mfa_commands_info", "mfa_commands_get_info", commands)
    assert info.state == lib.MFA_COMMANDS_FAILED
    assert f"mfa_commands_wait: {abi.string(info.error)}" == message
    assert [float(array[0]) for array in arrays] == [1, 0, float(at_once), 0, 1]
    device.close()
    abi.check(lib.mfa_device_release(device.handle))


def test_labels_last_until_the_next_one(abi, device):
    """The same one again, and none, are fine."""
    commands = device.commands()
    label(abi, commands, "größer".encode())
    label(abi, commands, "größer".encode())
    label(abi, commands, b"")
    abi.check(abi.lib.mfa_commands_run(commands))


def products(abi, device, commands, matrices, steps):
    """c = a * b for (a, b, c) in steps."""
    desc = abi.struct("mfa_gemm_desc", M=32, N=32, K=32)
    buffers = {name: device.wrap(matrix) for name, matrix in matrices.items()}
    for a, b, c in steps:
        operands = abi.struct(
            "mfa_gemm_operands", a={"buffer": buffers[a]}, b={"buffer": buffers[b]},
            c={"buffer": buffers[c]},
        )  # fmt: skip
        abi.check(abi.lib.mfa_sgemm(commands, desc, operands))


@pytest.mark.parametrize("seed", range(6))
def test_concurrent_commands_respect_what_depends(abi, device, seed):
    """Random products: each step must see what was written before and nothing that comes after."""
    random = np.random.default_rng(seed)
    names = "abcdef"
    steps = [tuple(names[i] for i in random.permutation(6)[:3]) for _ in range(40)]
    results = []
    for make in (lambda: device.commands(), lambda: concurrent(abi, device)):
        random = np.random.default_rng(seed)
        matrices = {
            name: (random.integers(-1, 2, (32, 32)) / 8).astype(np.float32) for name in names
        }
        commands = make()
        products(abi, device, commands, matrices, steps)
        abi.check(abi.lib.mfa_commands_run(commands))
        results.append(matrices)
    for name in names:
        assert np.array_equal(results[0][name], results[1][name]), name


def test_concurrent_dispatches_of_one_buffer_at_different_places(abi, device):
    """A dispatch is taken to use its buffers from the offset to the end."""
    kernels = Kernels(abi, device)
    values = np.zeros(N, np.float32)
    buffer = device.wrap(values)
    commands = concurrent(abi, device)
    for _ in range(20):
        kernels.encode(commands, "add", buffer, buffer)
    abi.check(abi.lib.mfa_commands_run(commands))
    assert np.all(values == 20)


def test_many_independent_operations_at_once(abi, device):
    kernels = Kernels(abi, device)
    arrays = [np.full(N, number, np.float32) for number in range(300)]
    buffers = [device.wrap(array) for array in arrays]
    commands = concurrent(abi, device)
    for buffer in buffers:
        kernels.encode(commands, "add", buffer, buffer)
    for buffer in buffers:
        kernels.encode(commands, "add", buffer, buffer)
    info = abi.info("mfa_commands_info", "mfa_commands_get_info", commands)
    assert info.operations == 600
    abi.check(abi.lib.mfa_commands_run(commands))
    assert [float(array[-1]) for array in arrays] == [number + 2 for number in range(300)]


def test_steps_of_one_operation_wait_for_each_other(abi, device):
    """Attention whose mask is summarised first, twice at once, beside itself on other memory."""
    random = np.random.default_rng(3)
    shape = (1, 2, 64, 32)
    q, k, v = (random.standard_normal(shape).astype(np.float32) for _ in range(3))
    mask = np.zeros((64, 64), bool)
    mask[:, :20] = True
    desc = abi.struct(
        "mfa_attention_desc", H=2, R=64, C=64, D=32, type=abi.lib.MFA_TYPE_FLOAT,
        mask_kind=abi.lib.MFA_MASK_BOOLEAN, sparsity=abi.lib.MFA_SPARSITY_ON,
    )  # fmt: skip
    inputs = {
        name: {"buffer": device.wrap(array)}
        for name, array in {"q": q, "k": k, "v": v, "mask": mask}.items()
    }
    outputs = [np.zeros(shape, np.float32) for _ in range(5)]
    serial, together = device.commands(), concurrent(abi, device)
    for number, output in enumerate(outputs):
        operands = abi.struct("mfa_attention_operands", **inputs, o={"buffer": device.wrap(output)})
        commands = together if number else serial
        abi.check(abi.lib.mfa_attention(commands, desc, operands))
    abi.check(abi.lib.mfa_commands_run(serial))
    abi.check(abi.lib.mfa_commands_run(together))
    for output in outputs[1:]:
        assert np.array_equal(output, outputs[0])
