# SPDX-License-Identifier: MIT
"""Commands in Python: labels, operations at the same time, callbacks that go on working."""

import threading

import numpy as np
import pytest

import pymfa

OUTSIDE = """
#include <metal_stdlib>
using namespace metal;
kernel void outside(device float *x [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  x[i + 100000] = 1;
}
"""


def ones(*shape, dtype=np.float16):
    return np.ones(shape, dtype)


def operations(commands, label):
    """Every operation of Commands with a label."""
    a = ones(32, 32)
    commands.hgemm(a, a, label=label)
    commands.sgemm(ones(8, 8, dtype=np.float32), ones(8, 8, dtype=np.float32), label=label)
    b = ones(8, 8, dtype=pymfa.bfloat16)
    commands.bgemm(b, b, label=label)
    commands.qgemm(a, pymfa.quantize(a, bits=4, group_size=32), label=label)
    q = ones(1, 1, 8, 8)
    lse, o = np.zeros((1, 1, 8), np.float32), np.zeros_like(q)
    commands.attention(q, q, q, out=o, lse=lse, label=label)
    commands.attention_backward(q, q, q, q, o, lse, label=label)
    commands.attention_decode(q[:, :, :1], q, q, label=label)
    starts = np.array([0, 8], np.uint32)
    rows = ones(8, 1, 8)
    commands.attention_varlen(rows, rows, rows, starts, starts, label=label)
    sums = np.zeros((1, 8), np.float32)
    commands.attention_varlen_backward(rows, rows, rows, rows, rows, sums, starts, starts,
                                       label=label)  # fmt: skip
    commands.merge_attention(o, lse, o, lse, label=label)
    commands.convolution(ones(1, 5, 5, 8), ones(8, 3, 3, 8), label=label)
    commands.cast(a, np.float32, label=label)


def test_every_operation_takes_a_label():
    with pymfa.device().commands() as commands:
        operations(commands, "same")


def test_wrong_arguments_are_reported_with_the_label():
    commands = pymfa.device().commands()
    with pytest.raises(pymfa.InvalidValue, match=r'^"scores": hgemm: a is 4 x 5 and b is 4 x 5'):
        commands.hgemm(ones(4, 5), ones(4, 5), label="scores")
    with pytest.raises(pymfa.InvalidType, match="label is a int; expected text"):
        commands.hgemm(ones(4, 4), ones(4, 4), label=3)
    with pytest.raises(pymfa.InvalidValue, match=r"^hgemm: a is 4 x 5"):
        commands.hgemm(ones(4, 5), ones(4, 5))


def test_a_failure_while_running_is_reported_with_the_label():
    device = pymfa.device("validate")
    kernel = device.library(source=OUTSIDE).pipeline("outside")
    commands = device.commands(label="step")
    first = commands.cast(ones(8), np.float32, label="first")
    commands.dispatch(
        kernel, buffers={0: np.zeros(64, np.float32)}, threads=64, label="the wrong one"
    )
    after = np.zeros(8, np.float32)
    commands.cast(ones(8), out=after, label="after")
    with pytest.raises(pymfa.Failure, match='commands "step": "the wrong one": kernel \'outside\''):
        commands.run()
    assert np.all(first == 1)
    assert not after.any()
    assert commands.state == "failed"
    assert device.commands().run() is None, "the device goes on"


@pytest.mark.parametrize("concurrent", [False, True])
def test_a_transformer_layer_is_the_same_at_once_and_one_by_one(concurrent):
    random = np.random.default_rng(2)
    device = pymfa.device()
    x = random.standard_normal((48, 64)).astype(np.float16)
    w = [random.standard_normal((64, 64)).astype(np.float16) / 8 for _ in range(4)]
    q, k, v = (pymfa.hgemm(x, each) for each in w[:3])
    heads = [each.reshape(1, 48, 4, 16) for each in (q, k, v)]
    expected = pymfa.hgemm(pymfa.attention(*heads, layout="BNHD").reshape(48, 64), w[3])
    with device.commands(concurrent=concurrent) as commands:
        heads = [
            commands.hgemm(x, each, label=name).reshape(1, 48, 4, 16)
            for each, name in zip(w[:3], "qkv", strict=True)
        ]
        o = commands.attention(*heads, layout="BNHD", label="attention")
        y = commands.hgemm(o.reshape(48, 64), w[3], label="out")
    assert np.array_equal(y, expected)


def test_a_callback_may_use_the_library_and_wait():
    device = pymfa.device()
    said, done = [], threading.Event()
    x = ones(16, 16)

    def ended(error):
        said.append(error)
        said.append(float(pymfa.hgemm(x, x)[0, 0]))
        with device.commands() as more:
            y = more.hgemm(x, x)
        said.append(float(y[0, 0]))
        done.set()

    commands = device.commands()
    commands.hgemm(x, x)
    commands.on_completed(ended)
    commands.run()
    assert done.is_set()
    assert said == [None, 16.0, 16.0]
