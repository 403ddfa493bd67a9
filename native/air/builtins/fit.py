# SPDX-License-Identifier: MIT
"""Functions and intervals -> the polynomial coefficients in builtins/*.c.

Near-minimax fits (Lawson's reweighted least squares on Chebyshev nodes), printed for C in rising
order with the largest error relative to the function that each leaves before rounding.
"""

import numpy as np


def fit(name, function, low, high, degree, weight=None, double=False):
    """function(t) ~ sum c[k] t^k on [low, high], error weighted by `weight` (1/|function|)."""
    n = 4000
    t = (low + high) / 2 + (high - low) / 2 * np.cos(np.pi * (np.arange(n) + 0.5) / n)
    t = t.astype(np.longdouble)
    f = function(t)
    w = (1 / np.abs(f) if weight is None else weight(t)).astype(np.float64)
    scale = float(max(abs(low), abs(high)))
    basis = np.vander((t / scale).astype(np.float64), degree + 1, increasing=True)
    lawson = np.ones(n)
    best = None
    for _ in range(60):
        sw = np.sqrt(lawson) * w
        c, *_ = np.linalg.lstsq(basis * sw[:, None], f.astype(np.float64) * sw, rcond=None)
        error = np.abs((basis @ c - f.astype(np.float64)) * w)
        if best is None or error.max() < best[0]:
            best = (error.max(), c)
        lawson *= error / error.mean()
        lawson /= lawson.sum()
    c = best[1] / scale ** np.arange(degree + 1)
    text = [literal(v, "") if double else literal(np.float32(v), "f") for v in c]
    print(f"{name}: error {best[0]:.2g}\n  {', '.join(text)}")


def literal(value, suffix):
    mantissa, exponent = float(value).hex().split("p")
    return f"{mantissa.rstrip('0')}p{exponent}{suffix}"


def over(function, at_zero):
    """function(t) with its limit where t is 0."""
    return lambda t: np.where(t == 0, at_zero, function(np.where(t == 0, 1, t)))


def main():
    ln2 = np.log(np.longdouble(2))
    pi = np.longdouble("3.14159265358979323846264338327950288")
    fit("exp2, 2^f", lambda t: np.exp2(t), -0.5, 0.5, 6)
    fit(
        "fast exp2, (2^f - 1) / f",
        over(lambda t: np.expm1(t * ln2) / t, ln2),
        -0.5,
        0.5,
        4,
        weight=lambda t: np.abs(t) / np.exp2(t),
    )
    fit(
        "exp, (e^r - 1 - r) / r^2",
        over(lambda t: (np.expm1(t) - t) / t**2, 0.5),
        -ln2 / 2,
        ln2 / 2,
        4,
    )
    fit(
        "exp10, (10^r - 1) / r",
        over(lambda t: np.expm1(t * np.log(np.longdouble(10))) / t, np.log(np.longdouble(10))),
        -0.151,
        0.151,
        6,
    )
    low, high = np.sqrt(np.longdouble(0.5)) - 1, np.sqrt(np.longdouble(2)) - 1
    fit(
        "log, (log(1+f) - f) / f^2",
        over(lambda t: (np.log1p(t) - t) / t**2, -0.5),
        low,
        high,
        8,
        weight=lambda t: np.abs(t) / np.abs(np.log1p(t) / np.where(t == 0, 1, t)),
    )
    fit("log2, log2(1+f) / f", over(lambda t: np.log1p(t) / ln2 / t, 1 / ln2), low, high, 9)
    fit("fast log2, log2(1+f) / f", over(lambda t: np.log1p(t) / ln2 / t, 1 / ln2), low, high, 7)
    q = (pi / 4) ** 2
    fit(
        "sin, (sin r - r) / r^3 in r^2",
        over(lambda t: (np.sin(np.sqrt(t)) - np.sqrt(t)) / np.sqrt(t) ** 3, -1 / 6),
        0,
        q,
        2,
        weight=lambda t: t / (np.sin(np.sqrt(t)) / np.sqrt(t)),
    )
    fit(
        "cos, (cos r - 1 + r^2/2) / r^4 in r^2",
        over(lambda t: (np.cos(np.sqrt(t)) - 1 + t / 2) / t**2, 1 / 24),
        0,
        q,
        2,
        weight=lambda t: t**2 / np.cos(np.sqrt(t)),
    )
    p = 1 / np.longdouble(16)
    fit(
        "sinpi, (sin pi r - pi r) / r^3 in r^2",
        over(lambda t: (np.sin(pi * np.sqrt(t)) - pi * np.sqrt(t)) / np.sqrt(t) ** 3, -(pi**3) / 6),
        0,
        p,
        2,
        weight=lambda t: t / (np.sin(pi * np.sqrt(t)) / np.sqrt(t)),
    )
    fit(
        "cospi, (cos pi r - 1) / r^2 in r^2",
        over(lambda t: (np.cos(pi * np.sqrt(t)) - 1) / t, -(pi**2) / 2),
        0,
        p,
        3,
        weight=lambda t: t / np.cos(pi * np.sqrt(t)),
    )
    fit(
        "asin, (asin x - x) / x^3 in x^2",
        over(lambda t: (np.arcsin(np.sqrt(t)) - np.sqrt(t)) / np.sqrt(t) ** 3, 1 / 6),
        0,
        0.25,
        4,
        weight=lambda t: t / (np.arcsin(np.sqrt(t)) / np.sqrt(t)),
    )
    fit(
        "atan, (atan x - x) / x^3 in x^2",
        over(lambda t: (np.arctan(np.sqrt(t)) - np.sqrt(t)) / np.sqrt(t) ** 3, -1 / 3),
        0,
        1,
        7,
        weight=lambda t: t / (np.arctan(np.sqrt(t)) / np.sqrt(t)),
    )
    fit(
        "sinh, (sinh x - x) / x^3 in x^2",
        over(lambda t: (np.sinh(np.sqrt(t)) - np.sqrt(t)) / np.sqrt(t) ** 3, 1 / 6),
        0,
        1,
        2,
        weight=lambda t: t / (np.sinh(np.sqrt(t)) / np.sqrt(t)),
    )
    fit(
        "tanh, (tanh x - x) / x^3 in x^2",
        over(lambda t: (np.tanh(np.sqrt(t)) - np.sqrt(t)) / np.sqrt(t) ** 3, -1 / 3),
        0,
        0.36,
        4,
        weight=lambda t: t / (np.tanh(np.sqrt(t)) / np.sqrt(t)),
    )
    fit(
        "pow, log2((1+s)/(1-s)) / s in s^2",
        over(lambda t: 2 * np.arctanh(np.sqrt(t)) / ln2 / np.sqrt(t), 2 / ln2),
        0,
        0.02944,
        4,
        double=True,
    )


if __name__ == "__main__":
    main()
