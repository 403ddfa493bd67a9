# SPDX-License-Identifier: MIT
"""Apple-compiled FFTs: mixed radix, Rader's for a prime factor, Bluestein's for any length."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tolerance import assert_within

RADICES = [13, 11, 8, 7, 6, 5, 4, 3, 2]
LENGTHS = [8, 60, 128, 256, 1001, 1024]


def steps(n: int) -> list[int]:
    """How often each radix divides n, the largest first; powers of two below 512 take 4 and 2."""
    counts = []
    small = n < 512 and n & (n - 1) == 0
    for radix in RADICES:
        counts.append(0)
        while n % radix == 0 and not (small and radix > 4):
            n //= radix
            counts[-1] += 1
    assert n == 1
    return counts


def each_thread(counts: list[int]) -> int:
    """Elements of one thread: a radix that occurs, not the smallest if there are others."""
    used = sorted(r for r, count in zip(RADICES * 2, counts, strict=False) if count)
    distinct = sorted(set(used))
    if 7 in distinct and (11 in distinct or 13 in distinct):
        return 7
    return distinct[0] if len(distinct) == 1 else distinct[1]


def together(fft: int) -> int:
    """Transforms that share a threadgroup. Its threads load and store as many whether they are
    there or not, so a buffer has room for a multiple of them."""
    return max(256 // fft, 1)


def launch(fft: int, each: int, groups: int) -> tuple[int, dict[str, Any]]:
    """Elements in threadgroup memory, and the grid."""
    share = together(fft)
    threads = -(-fft // each)
    memory = 1 << (share * fft - 1).bit_length()
    return memory, {"threads": (groups, share, threads), "group": (1, share, threads)}


def constants(fft: int, counts: list[int], each: int, inverse: bool) -> dict[int, Any]:
    values: dict[int, Any] = {0: inverse, 1: fft & (fft - 1) == 0, 2: each}
    return values | {4 + i: count for i, count in enumerate(counts)}


def signal(n: int, batch: int) -> Any:
    rng = np.random.default_rng(n)
    return (rng.standard_normal((batch, n)) + 1j * rng.standard_normal((batch, n))).astype(
        np.complex64
    )


def check(y: Any, expected: Any, n: int, factor: float = 1.0) -> None:
    """The error of an FFT in float32 grows with log2 n, beside the twiddles by fast::sin and cos
    (2^-13 absolute for the fast forms; MLX's kernels take them for all but the precomputed ones).
    """
    size = np.sqrt((np.abs(expected) ** 2).mean())
    tolerance = factor * (2.0**-13 + 2.0**-24 * 4) * np.log2(n) * size * 4
    for part in ("real", "imag"):
        assert_within(getattr(y, part), getattr(expected, part), np.asarray(tolerance))


@pytest.mark.parametrize("inverse", [False, True], ids=["forward", "inverse"])
@pytest.mark.parametrize("n", LENGTHS)
def test_mixed_radix(run: Any, n: int, inverse: bool) -> None:
    batch = 2 * together(n)
    x = signal(n, batch)
    y = np.zeros_like(x)
    counts = steps(n)
    each = each_thread(counts)
    memory, grid = launch(n, each, 2)
    run(f"fft_mem_{memory}_float2_float2", {0: x, 1: y, 2: np.int32(n), 3: np.int32(batch)}, **grid,
        constants=constants(n, counts, each, inverse))  # fmt: skip
    x64 = x.astype(np.complex128)
    check(y, np.fft.ifft(x64) if inverse else np.fft.fft(x64), n)


@pytest.mark.parametrize("n", [60, 256])
@pytest.mark.parametrize("inverse", [False, True], ids=["rfft", "irfft"])
def test_real(run: Any, n: int, inverse: bool) -> None:
    """Two real transforms at once."""
    rng = np.random.default_rng(n)
    batch = 4 * together(n)
    real = rng.standard_normal((batch, n)).astype(np.float32)
    counts = steps(n)
    each = each_thread(counts)
    memory, grid = launch(n, each, 2)
    if inverse:
        x = np.fft.rfft(real).astype(np.complex64)
        y: Any = np.zeros_like(real)
        name = f"fft_mem_{memory}_float2_float"
        expected = np.fft.irfft(x.astype(np.complex128), n)
    else:
        x, y = real, np.zeros((batch, n // 2 + 1), np.complex64)
        name = f"fft_mem_{memory}_float_float2"
        expected = np.fft.rfft(real.astype(np.float64))
    given = constants(n, counts, each, inverse)
    del given[0]  # the direction follows from the types
    run(name, {0: x, 1: y, 2: np.int32(n), 3: np.int32(batch)}, **grid,
        constants=given)  # fmt: skip
    check(y, expected, n)


def generator(p: int) -> int:
    """The smallest primitive root of a prime."""
    return next(g for g in range(2, p) if len({pow(g, i, p) for i in range(p - 1)}) == p - 1)


@pytest.mark.parametrize(("prime", "rest"), [(17, 1), (17, 8), (31, 4), (101, 2)])
def test_rader(run: Any, prime: int, rest: int) -> None:
    """The prime factor becomes a convolution of length prime - 1."""
    n = prime * rest
    batch = 2 * together(n)
    x = signal(n, batch)
    y = np.zeros_like(x)
    outer = steps(rest) if rest > 1 else [0] * 9
    inner = steps(prime - 1)
    each = each_thread(outer + inner)
    memory, grid = launch(n, each, 2)
    root = generator(prime)
    inverse = pow(root, prime - 2, prime)
    forth = np.array([pow(root, i, prime) for i in range(prime - 1)], np.int16)
    back = np.array([pow(inverse, i, prime) for i in range(prime - 1)], np.int16)
    kernel = np.fft.fft(np.exp(-2j * np.pi * back / prime)).astype(np.complex64)
    values = constants(n, outer, each, False) | {3: rest}
    values |= {13 + i: count for i, count in enumerate(inner)}
    buffers = dict(enumerate((x, y, kernel, forth, back, *map(np.int32, (n, batch, prime)))))
    run(f"rader_fft_mem_{memory}_float2_float2", buffers, **grid, constants=values)
    check(y, np.fft.fft(x.astype(np.complex128)), n, 4.0)


@pytest.mark.parametrize("n", [47, 263])
def test_bluestein(run: Any, n: int) -> None:
    """A convolution with a chirp, in a power of two that holds it."""
    fft = 1 << (2 * n - 2).bit_length()
    batch = 2 * together(fft)
    x = signal(n, batch)
    y = np.zeros_like(x)
    counts = steps(fft)
    each = each_thread(counts)
    memory, grid = launch(fft, each, 2)
    i = np.arange(-n + 1, n)
    chirp = np.exp(1j * np.pi * i**2 / n)
    w_q = np.zeros(fft, np.complex128)
    w_q[: 2 * n - 1] = chirp
    w_q = np.fft.fft(w_q.astype(np.complex64)).astype(np.complex64)
    w_k = np.exp(-1j * np.pi * np.arange(n) ** 2 / n).astype(np.complex64)
    buffers = dict(enumerate((x, y, w_q, w_k, *map(np.int32, (n, fft, batch)))))
    run(f"bluestein_fft_mem_{memory}_float2_float2", buffers, **grid,
        constants=constants(fft, counts, each, False))  # fmt: skip
    check(y, np.fft.fft(x.astype(np.complex128)), n, 8.0)
