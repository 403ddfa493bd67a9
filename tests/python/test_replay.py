# SPDX-License-Identifier: MIT
"""Calls that are remembered for arrays seen before still see what may have changed since."""

import gc
import weakref
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest

import pymfa
from pymfa import replay
from pymfa.errors import InvalidType, InvalidValue


def matrices(device):
    rng = np.random.default_rng(5)
    a, b = (device.empty((24, 24), np.float32) for _ in range(2))
    a[...], b[...] = rng.standard_normal((2, 24, 24), np.float32)
    return a, b, device.empty((24, 24), np.float32)


@pytest.fixture
def device():
    return pymfa.device("cpu")


def product(a, b, out):
    out[...] = np.nan
    for _ in range(3):
        assert pymfa.sgemm(a, b, out=out) is out
    np.testing.assert_allclose(out, a @ b, rtol=1e-4, atol=1e-4)


def test_new_values(device):
    a, b, out = matrices(device)
    product(a, b, out)
    a += 1
    product(a, b, out)


def test_same_layout_elsewhere(device):
    a, b, out = matrices(device)
    product(a, b, out)
    product(b, a, out)
    other = device.empty((48, 24), np.float32)
    product(a, b, other[24:])
    product(a, b, other[:24])


def test_arrays_that_come_and_go(device):
    for _ in range(50):  # ids of arrays are used again
        product(*matrices(device))
        gc.collect(0)


def test_layout_changed_in_place(device):
    a, b, out = matrices(device)
    product(a, b, out)
    assert pymfa.sgemm(a.T, b, out=out) is out
    np.testing.assert_allclose(out, a.T @ b, rtol=1e-4, atol=1e-4)


def test_output_that_became_read_only(device):
    a, b, out = matrices(device)
    product(a, b, out)
    out.flags.writeable = False
    with pytest.raises(InvalidValue, match="read-only"):
        pymfa.sgemm(a, b, out=out)


def test_output_that_is_an_input(device):
    a, b, out = matrices(device)
    product(a, b, out)
    with pytest.raises(InvalidValue):
        pymfa.sgemm(a, out, out=out)


def test_buffers_of_two_devices(device):
    a, b, out = matrices(device)
    product(a, b, out)
    other = pymfa.device("reference").empty((24, 24), np.float32)
    with pytest.raises(InvalidValue, match="lie in buffers of"):
        pymfa.sgemm(a, other, out=out)


def test_memory_is_bounded(device, monkeypatch):
    monkeypatch.setattr(replay, "_LIMIT", 8)
    for kept in (replay._known, replay._placed, replay._buffers):
        kept.clear()
    for n in range(1, 30):
        a, b, out = (np.ones((n, n), np.float32) for _ in range(3))
        product(a, b, out)
    assert all(len(kept) <= 8 for kept in (replay._known, replay._placed, replay._buffers))


def test_nothing_keeps_arrays_alive(device):
    a, b = (np.ones((30, 30), np.float32) for _ in range(2))
    for _ in range(3):
        out = pymfa.sgemm(a, b)
    gone = [weakref.ref(x) for x in (a, b, out)]
    del a, b, out
    gc.collect()
    assert all(x() is None for x in gone)


def values(*shape, dtype=np.float32):
    return np.random.default_rng(len(shape)).standard_normal(shape).astype(dtype)


def attention(device, **options):
    q, k, v = (values(2, 3, 9, 16) for _ in "qkv")
    return lambda: pymfa.attention(q, k, v, device=device, **options)


def decoding(device, store=lambda x: x):
    q = values(2, 4, 1, 64)
    k, v = (store(values(2, 2, 70, 64)) for _ in "kv")
    return lambda: pymfa.attention_decode(q, k, v, device=device)


def quantized(device):
    a, b = values(3, 64), pymfa.quantize(values(40, 64))
    return lambda: pymfa.qgemm(a, b, device=device)


def palettized(device):
    x, w = values(1, 9, 9, 32), pymfa.palettize(values(8, 3, 3, 32), bits=3)
    return lambda: pymfa.convolution(x, w, padding=((1, 0), (0, 1)), device=device)


def kept(device):
    x, w = values(1, 9, 9, 32), pymfa.WinogradWeights(values(8, 3, 3, 32), device=device)
    return lambda: pymfa.convolution(x, w, padding=[1, 1], device=device)


def two_operations(device):
    a, b, c = values(8, 8), values(8, 9), values(8, 9)
    return lambda: pymfa.sgemm(a, b, c=c, beta=0.5, device=device)


def many_operations(device):
    a, b = values(3, 2, 8, 8)[:, ::-1], values(2, 8, 8)
    return lambda: pymfa.sgemm(a, b, device=device)


CALLS = {
    "attention": attention,
    "mask and bias": partial(attention, mask=np.tri(9) > 0, bias=values(3, 9, 9)),
    "slopes and sinks": partial(attention, alibi=values(3), sinks=values(3)),
    "a scale of NumPy's": partial(attention, scale=np.float32(0.1)),  # is not remembered
    "decoding": decoding,
    "decoding from 8 bits": partial(decoding, store=pymfa.quantize_kv),
    "quantized": quantized,
    "palettized": palettized,
    "kept": kept,
    "two operations": two_operations,
    "many operations": many_operations,
}


@pytest.mark.parametrize("name", CALLS)
def test_what_is_done_again_is_the_same(name):
    device = pymfa.device("cpu")
    call = CALLS[name](device)
    first = call()
    learned = len(replay._known)
    for _ in range(3):
        again = call()
        assert again is not first
        np.testing.assert_array_equal(again, first)
    assert len(replay._known) == learned
    elsewhere = CALLS[name](device)  # the same layouts, in other memory
    np.testing.assert_array_equal(elsewhere(), first)
    recording = pymfa.record(call)
    assert len(recording) >= 1


def test_a_batch_does_again_what_single_calls_did(device):
    a, b, x = values(8, 8), values(8, 8), values(5, 7)
    single = [pymfa.sgemm(a, b), pymfa.cast(x, "float16")]
    for _ in range(2):
        with device.commands() as commands:
            batch = [commands.sgemm(a, b), commands.cast(x, "float16")]
        for one, other in zip(single, batch, strict=True):
            np.testing.assert_array_equal(one, other)
    with pytest.raises(pymfa.errors.Failure, match="committed"):
        commands.sgemm(a, b)


def test_log_sum_exps_are_written(device):
    q, k, v = (values(1, 2, 6, 8) for _ in "qkv")
    first = pymfa.attention(q, k, v, return_lse=True)
    for _ in range(2):
        for one, other in zip(first, pymfa.attention(q, k, v, return_lse=True), strict=True):
            np.testing.assert_array_equal(one, other)


def test_lengths_and_tables_are_looked_at_each_time(device):
    q, k, v = values(2, 2, 1, 32), values(2, 2, 9, 32), values(2, 2, 9, 32)
    lengths, table = np.array([9, 4], np.uint32), np.array([[0], [1]], np.uint32)
    given = partial(pymfa.attention_decode, q, k, v, lengths=lengths, block_table=table)
    first = given()
    lengths[:] = 4, 9
    second = given()
    assert (first != second).any()
    lengths[0] = 10
    with pytest.raises(InvalidValue, match="lengths has 10"):
        given()
    lengths[0], table[0] = 4, 2
    with pytest.raises(InvalidValue, match="page 2"):
        given()
    table[0] = 0
    np.testing.assert_array_equal(given(), second)


def test_dropout_is_drawn_anew(device):
    q, k, v = (values(1, 2, 32, 8) for _ in "qkv")
    known = len(replay._known)
    one, other, again = (
        pymfa.attention(q, k, v, dropout=0.5, seed=seed) for seed in (1, 2, 1)
    )  # fmt: skip
    assert (one != other).any() and (one == again).all()
    assert len(replay._known) == known  # seeds would fill it


def test_the_same_array_twice_is_another_call(device):
    a, b = values(12, 12), values(12, 12) + 1
    for _ in range(2):
        np.testing.assert_allclose(pymfa.sgemm(a, a), a @ a, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(pymfa.sgemm(a, b), a @ b, rtol=1e-4, atol=1e-4)


def test_arrays_that_share_memory(device):
    both = values(24, 12)
    for a, b in ((both[:12], both[6:18]), (both[:12], both[12:])) * 2:
        np.testing.assert_allclose(pymfa.sgemm(a, b), a @ b, rtol=1e-4, atol=1e-4)
        with pytest.raises(InvalidValue, match="overlap"):
            pymfa.sgemm(a, both[12:], out=both[6:18])


def test_an_output_between_the_rows_of_an_input(device):
    b = values(12, 12)
    for together in (False, True, False, True):
        one, other = values(24, 12), np.zeros((24, 12), np.float32)
        a, out = one[::2], (one if together else other)[1::2]
        expected = a @ b
        assert pymfa.sgemm(a, b, out=out) is out
        np.testing.assert_allclose(out, expected, rtol=1e-4, atol=1e-4)
        np.testing.assert_array_equal(pymfa.sgemm(a, b), out)


def test_equal_options_of_another_type_are_checked(device):
    x, w = values(1, 5, 5, 4), values(4, 3, 3, 4)
    for _ in range(2):
        pymfa.convolution(x, w, stride=1, padding=(1, 1))
    for options in ({"stride": True}, {"stride": 1.0}, {"padding": (1.0, 1)}):
        with pytest.raises(InvalidType, match="expected an integer"):
            pymfa.convolution(x, w, **options)


def test_inputs_that_are_copied_are_copied_each_time(device):
    a, b = values(12, 12, 2)[..., 0], values(12, 12)
    for _ in range(3):
        a += 1
        np.testing.assert_allclose(pymfa.sgemm(a, b), a @ b, rtol=1e-4, atol=1e-3)


def test_an_array_that_moves(device):
    b = np.ones((4, 4), np.float32)
    a = np.ones((4, 4), np.float32)
    for size in (4, 4000, 4):
        a.resize((size, 4), refcheck=False)
        a[...] = 2
        for _ in range(2):
            assert (pymfa.sgemm(a, b) == 8).all()


def test_threads_that_do_the_same(device):
    a, b = values(40, 40), values(40, 40)
    expected = pymfa.sgemm(a, b)
    with ThreadPoolExecutor(8) as threads:
        for result in threads.map(lambda _: pymfa.sgemm(a, b), range(400)):
            np.testing.assert_array_equal(result, expected)


def test_cast(device):
    x, out = device.empty(100, np.float32), device.empty(100, np.float16)
    for value in range(4):
        x[...] = value
        assert pymfa.cast(x, out=out) is out
        assert (out == value).all()
