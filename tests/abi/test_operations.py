# SPDX-License-Identifier: MIT
"""Matrix products, attention and casts: results on every device, and sizes of zero."""

import itertools

import ml_dtypes
import numpy as np
import pytest

DTYPES = {"h": np.float16, "s": np.float32, "b": ml_dtypes.bfloat16}
ROUND = {"h": 2.0**-11, "s": 2.0**-24, "b": 2.0**-8}
TYPE = {"h": "MFA_TYPE_HALF", "s": "MFA_TYPE_FLOAT", "b": "MFA_TYPE_BFLOAT"}


def small(rng, shape, dtype):
    """Multiples of 1/4 up to 2: products and sums of a few hundred of them are exact in float."""
    return (rng.integers(-8, 9, shape) / 4).astype(dtype)


def gemm(abi, device, kind, a, b, c, added=None, commands=None, **fields):
    desc = abi.struct("mfa_gemm_desc", **fields)
    operands = abi.struct(
        "mfa_gemm_operands",
        a={"buffer": device.wrap(a, read_only=True)},
        b={"buffer": device.wrap(b, read_only=True)},
        c={"buffer": device.wrap(c)},
    )
    if added is not None:
        operands.bias.buffer = device.wrap(added, read_only=True)
    run = getattr(abi.lib, f"mfa_{kind}gemm")
    abi.check(run(commands or abi.null, desc, operands))


@pytest.mark.parametrize("kind", DTYPES)
@pytest.mark.parametrize(("trans_a", "trans_b"), [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_gemm(abi, device, kind, trans_a, trans_b):
    rng = np.random.default_rng(1)
    M, N, K = 37, 50, 70
    dtype = DTYPES[kind]
    a = small(rng, (K, M) if trans_a else (M, K), dtype)
    b = small(rng, (N, K) if trans_b else (K, N), dtype)
    c = small(rng, (M, N), dtype)
    bias = small(rng, M, dtype)
    wide = [x.astype(np.float64) for x in (a.T if trans_a else a, b.T if trans_b else b, c)]
    expected = 0.5 * wide[0] @ wide[1] + 2 * wide[2] + bias.astype(np.float64)[:, None]
    gemm(
        abi,
        device,
        kind,
        a,
        b,
        c,
        bias,
        M=M,
        N=N,
        K=K,
        trans_a=bool(trans_a),
        trans_b=bool(trans_b),
        alpha=0.5,
        has_alpha=True,
        beta=2.0,
        bias=abi.lib.MFA_BIAS_PER_ROW,
    )
    # The arithmetic is exact, so what is left is one rounding to the storage type.
    assert np.all(np.abs(c.astype(np.float64) - expected) <= ROUND[kind] * np.abs(expected))


def test_gemm_with_leading_dimensions_and_batches(abi, device):
    rng = np.random.default_rng(2)
    a = small(rng, (3, 20, 48), np.float32)
    b = small(rng, (40, 33), np.float32)
    c = np.full((3, 20, 64), 7, np.float32)
    gemm(
        abi,
        device,
        "s",
        a,
        b,
        c,
        M=20,
        N=33,
        K=40,
        lda=48,
        ldc=64,
        batch=3,
        stride_a=20 * 48,
        stride_b=abi.lib.MFA_BROADCAST,
        stride_c=20 * 64,
    )
    assert np.array_equal(c[:, :, :33], a[:, :, :40] @ b)
    assert np.all(c[:, :, 33:] == 7)


def test_interleaved_outputs_do_not_overlap(abi, first):
    """Two products write the two halves of each row of one matrix."""
    rng = np.random.default_rng(3)
    a, b = small(rng, (2, 8, 8), np.float32), small(rng, (2, 8, 16), np.float32)
    c = np.zeros((8, 32), np.float32)
    gemm(abi, first, "s", a, b, c, M=8, N=16, K=8, batch=2, stride_c=16, ldc=32)
    assert np.array_equal(c, np.concatenate([a[0] @ b[0], a[1] @ b[1]], axis=1))


@pytest.mark.parametrize("activation", ["RELU", "GELU", "GELU_TANH", "SILU"])
def test_activation(abi, device, activation):
    x = np.linspace(-4, 4, 64, dtype=np.float32).reshape(8, 8)
    c = np.zeros((8, 8), np.float32)
    gemm(
        abi,
        device,
        "s",
        x,
        np.eye(8, dtype=np.float32),
        c,
        M=8,
        N=8,
        K=8,
        activation=getattr(abi.lib, "MFA_ACTIVATION_" + activation),
    )
    from math import erf

    wide = x.astype(np.float64)
    expected = {
        "RELU": np.maximum(wide, 0),
        "GELU": wide * (1 + np.vectorize(erf)(wide / np.sqrt(2))) / 2,
        "GELU_TANH": wide * (1 + np.tanh(np.sqrt(2 / np.pi) * (wide + 0.044715 * wide**3))) / 2,
        "SILU": wide / (1 + np.exp(-wide)),
    }[activation]
    # Metal allows its exp and tanh a few units in the last place of numbers around 1.
    assert np.max(np.abs(c - expected)) <= 32 * 2.0**-24 * 4


def test_sizes_of_zero(abi, device):
    c = np.full((4, 4), 3, np.float32)
    a = np.ones((4, 4), np.float32)
    for sizes in ({"M": 0, "N": 4, "K": 4}, {"M": 4, "N": 0, "K": 4}):
        gemm(abi, device, "s", a, a, c, **sizes)
    assert np.all(c == 3)
    # Without a single product to add, C is beta * C.
    desc = abi.struct("mfa_gemm_desc", M=4, N=4, K=0, beta=2.0)
    operands = abi.struct("mfa_gemm_operands", c={"buffer": device.wrap(c)})
    abi.check(abi.lib.mfa_sgemm(abi.null, desc, operands))
    assert np.all(c == 6)
    desc.beta = 0
    c[:] = np.nan
    abi.check(abi.lib.mfa_sgemm(abi.null, desc, operands))
    assert np.all(c == 0)


def test_eight_products_in_one_command_buffer(abi, device):
    rng = np.random.default_rng(4)
    x = small(rng, (16, 16), np.float32)
    shift = np.roll(np.eye(16, dtype=np.float32), 1, axis=1)
    chain = [x, *(np.zeros((16, 16), np.float32) for _ in range(8))]
    commands = device.commands()
    for source, target in itertools.pairwise(chain):
        gemm(abi, device, "s", source, shift, target, commands=commands, M=16, N=16, K=16)
    assert not chain[-1].any()
    abi.check(abi.lib.mfa_commands_commit(commands))
    abi.check(abi.lib.mfa_commands_wait(commands, -1))
    assert np.array_equal(chain[-1], np.roll(x, 8, axis=1))


def reference(q, k, v, scale, allowed=None, extra=None):
    """Softmax attention in float64: output and log-sum-exp; [B, H, rows, columns]."""
    q, k, v = (x.astype(np.float64) for x in (q, k, v))
    repeat = q.shape[1] // k.shape[1]
    k, v = np.repeat(k, repeat, 1), np.repeat(v, repeat, 1)
    s = scale * q @ k.swapaxes(-1, -2)
    if extra is not None:
        s = s + extra
    if allowed is not None:
        s = np.where(allowed, s, -np.inf)
    m = s.max(-1, keepdims=True, initial=-np.inf)
    p = np.exp(s - np.where(np.isinf(m), 0, m))
    total = p.sum(-1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        lse = (np.log(total) + np.where(np.isinf(m), 0, m))[..., 0]
        return np.where(total > 0, p @ v / total, 0), lse


def attend(abi, device, kind, q, k, v, mask=None, lse=None, strides=None, **fields):
    B, H, R, D = q.shape
    desc = abi.struct(
        "mfa_attention_desc",
        B=B,
        H=H,
        Hkv=k.shape[1],
        R=R,
        C=k.shape[2],
        D=D,
        Dv=v.shape[3],
        type=getattr(abi.lib, TYPE[kind]),
        **fields,
        **(strides or {}),
    )
    o = np.full((B, H, R, v.shape[3]), 9, q.dtype)
    operands = abi.struct("mfa_attention_operands", o={"buffer": device.wrap(o)})
    for name, array in (("q", q), ("k", k), ("v", v), ("mask", mask)):
        if array is not None and array.size:
            getattr(operands, name).buffer = device.wrap(array, read_only=True)
    if lse is not None:
        operands.lse.buffer = device.wrap(lse)
    abi.check(abi.lib.mfa_attention(abi.null, desc, operands))
    return o


def near(kind, got, expected, q, k, v):
    """A score that is off by d changes the average by at most 2 * d * max |v|. Scores are exact but
    for the roundings of their scale and base, two each, and of exp2; the average and its storage
    add a few more of values."""
    score = np.max(np.abs(q.astype(np.float64)) @ np.ones(q.shape[-1]), initial=0)
    score *= np.max(np.abs(k.astype(np.float64)), initial=0) / np.sqrt(q.shape[-1])
    bound = 2 * (4 * score + 8) * 2.0**-24 + 2 * ROUND[kind]
    error = np.max(np.abs(got.astype(np.float64) - expected), initial=0)
    return error <= bound * np.max(np.abs(v.astype(np.float64)), initial=1)


@pytest.mark.parametrize("kind", DTYPES)
@pytest.mark.parametrize("causal", ["NONE", "LOWER_RIGHT", "UPPER_LEFT"])
def test_attention(abi, device, kind, causal):
    rng = np.random.default_rng(5)
    dtype = DTYPES[kind]
    q, k = small(rng, (2, 4, 21, 24), dtype), small(rng, (2, 2, 35, 24), dtype)
    v = small(rng, (2, 2, 35, 16), dtype)
    lse = np.zeros((2, 4, 21), np.float32)
    rows, columns = np.arange(21)[:, None], np.arange(35)
    allowed = {
        "NONE": None,
        "LOWER_RIGHT": columns <= rows + 14,
        "UPPER_LEFT": columns <= rows,
    }[causal]
    o = attend(abi, device, kind, q, k, v, lse=lse, causal=getattr(abi.lib, "MFA_CAUSAL_" + causal))
    expected, expected_lse = reference(q, k, v, 1 / np.sqrt(24), allowed)
    assert near(kind, o, expected, q, k, v)
    assert np.max(np.abs(lse - expected_lse)) < 64 * 2.0**-24 * np.max(np.abs(expected_lse))


@pytest.mark.parametrize("mask_kind", ["BOOLEAN", "ADDITIVE"])
@pytest.mark.parametrize("columns", [35, 300])
def test_attention_with_a_mask(abi, device, mask_kind, columns):
    rng = np.random.default_rng(6)
    q = small(rng, (2, 2, 21, 16), np.float32)
    k, v = (small(rng, (2, 2, columns, 16), np.float32) for _ in range(2))
    allowed = rng.random((2, 1, 21, columns)) < 0.5
    allowed[:, :, 3] = False  # a row with nothing to attend to
    allowed[:, :, :, 64:128] = False
    mask = allowed.view(np.uint8)
    extra = None
    if mask_kind == "ADDITIVE":
        extra = small(rng, allowed.shape, np.float32).astype(np.float64)
        mask = np.where(allowed, extra, -np.inf).astype(np.float32)
    lse = np.zeros((2, 2, 21), np.float32)
    o = attend(
        abi,
        device,
        "s",
        q,
        k,
        v,
        mask,
        lse,
        has_scale=True,
        scale=0.5,
        mask_kind=getattr(abi.lib, "MFA_MASK_" + mask_kind),
        strides={"mask": {"batch": 21 * columns}},
    )
    expected, expected_lse = reference(q, k, v, 0.5, allowed, extra)
    assert near("s", o, expected, q, k, v)
    assert np.all(o[:, :, 3] == 0)
    assert np.all(lse[:, :, 3] == -np.inf)
    finite = np.isfinite(expected_lse)
    assert np.max(np.abs(lse[finite] - expected_lse[finite])) < 1e-5


def test_attention_without_keys(abi, device):
    q, none = np.ones((1, 2, 5, 8), np.float16), np.zeros((1, 2, 0, 8), np.float16)
    lse = np.zeros((1, 2, 5), np.float32)
    assert np.all(attend(abi, device, "h", q, none, none, lse=lse) == 0)
    assert np.all(lse == -np.inf)


def test_attention_without_queries(abi, device):
    none, k = np.zeros((1, 2, 0, 8), np.float16), np.ones((1, 2, 5, 8), np.float16)
    assert attend(abi, device, "h", none, k, k).size == 0


@pytest.mark.parametrize("source", DTYPES)
@pytest.mark.parametrize("target", DTYPES)
def test_cast(abi, device, source, target):
    rng = np.random.default_rng(7)
    x = (rng.standard_normal((3, 1000)) * 100).astype(DTYPES[source])
    y = np.zeros((3, 1200), DTYPES[target])
    desc = abi.struct(
        "mfa_cast_desc",
        count=1000,
        rows=3,
        destination_stride=1200,
        source_type=getattr(abi.lib, TYPE[source]),
        destination_type=getattr(abi.lib, TYPE[target]),
    )
    operands = abi.struct(
        "mfa_cast_operands",
        source={"buffer": device.wrap(x, read_only=True)},
        destination={"buffer": device.wrap(y)},
    )
    abi.check(abi.lib.mfa_cast(abi.null, desc, operands))
    assert np.array_equal(y[:, :1000], x.astype(DTYPES[target]))
    assert not y[:, 1000:].astype(np.float32).any()
