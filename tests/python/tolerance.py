# SPDX-License-Identifier: MIT
"""How far a result may be from float64. Nothing here is chosen to make a test pass.

The rule: an operation in precision P may be at most twice as far from the float64 result as a naive
implementation in precision P is, plus one rounding of the output to P.

"As far as a naive implementation is" is the larger of two numbers. One is measured: the naive
implementation below, run on the same data. On small data it can be exact by luck, so the other is
the model of it. A sum of n products, added one after another in unit roundoff u, is off by a random
walk of n roundings, each at most u times the sum of the magnitudes: sqrt(n) * u * (|A| @ |B|).

GEMM: naive means float32 products and sums over storage in P. Alpha, beta, bias and activation are
applied in float32; an activation multiplies an error by at most its largest slope. The output may
have a type of its own. Quantized weights come as the exact float64 values that their numbers stand
for; the naive implementation decodes them to float32 first.

Attention: naive means the textbook formula with its two intermediate matrices, S and P, stored in
the precision of the data, as an implementation without fusion does. An error of d in a score
changes its probability by a factor of exp(d), so the output by at most d * (P @ |V|) * 2 (once
through the numerator and once through the denominator). A soft cap has slopes of at most 1 and adds
the error of its tanh; what ALiBi, masks and biases add counts with its magnitude. Dropout
multiplies what is left, and its error, by 1 / (1 - p).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

bfloat16 = np.dtype(ml_dtypes.bfloat16)

_F32 = 2.0**-24
# Unit roundoff and the smallest positive number of each storage type.
_ROUND = {"float16": 2.0**-11, "bfloat16": 2.0**-8, "float32": _F32}
_TINY = {"float16": 2.0**-24, "bfloat16": 2.0**-133, "float32": 2.0**-149}
# Largest slope of each activation.
SLOPE = {"none": 1.0, "relu": 1.0, "gelu": 1.13, "gelu_tanh": 1.13, "silu": 1.10}
_erf = np.vectorize(math.erf, otypes=[np.float64])
# An exponential or hyperbolic tangent of MSL may be this many units in the last place off.
_FUNCTION_ULPS = 8


def output_rounding(expected: Array, dtype: np.dtype[Any]) -> Array:
    return 2 * _ROUND[dtype.name] * np.abs(expected) + _TINY[dtype.name]


def random(rng: np.random.Generator, shape: tuple[int, ...], dtype: Any) -> Array:
    return rng.standard_normal(shape).astype(np.float32).astype(dtype)


def activate(name: str, x: Array) -> Array:
    """In the type of x."""
    t = x.dtype.type
    if name == "relu":
        return np.maximum(x, t(0))
    if name == "gelu":
        return x * (t(0.5) * (t(1) + _erf(x * t(0.5**0.5)).astype(t)))
    if name == "gelu_tanh":
        inner = t(0.7978845608028654) * (x + t(0.044715) * x * x * x)
        return t(0.5) * x * (t(1) + np.tanh(inner))
    if name == "silu":
        with np.errstate(over="ignore"):
            return x / (t(1) + np.exp(-x))
    return x


def naive_product(a: Array, b: Array) -> Array:
    """Batched a @ b in float32, one product after another."""
    a, b = a.astype(np.float32), b.astype(np.float32)
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    out = np.zeros((*batch, a.shape[-2], b.shape[-1]), np.float32)
    for k in range(a.shape[-1]):
        out += a[..., :, k, None] * b[..., None, k, :]
    return out


class Gemm:
    """The float64 result of a GEMM and the error it may have."""

    def __init__(
        self,
        a: Array,
        b: Array,
        *,
        alpha: float = 1.0,
        beta: float = 0.0,
        c: Array | None = None,
        bias: Array | None = None,
        activation: str = "none",
        output: np.dtype[Any] | None = None,
    ) -> None:
        dtype = a.dtype if output is None else output

        def rest(product: Array) -> Array:
            t = product.dtype.type
            out = product * t(alpha)
            if c is not None:
                out = out + t(beta) * c.astype(t)
            if bias is not None:
                out = out + bias.astype(t)
            return activate(activation, out)

        a64, b64 = a.astype(np.float64), b.astype(np.float64)
        self.expected = rest(a64 @ b64)
        naive = rest(naive_product(a, b)).astype(dtype).astype(np.float64)
        measured = np.abs(naive - self.expected).max(initial=0.0)
        terms = abs(alpha) * (np.abs(a64) @ np.abs(b64))
        extra = np.zeros(())
        if c is not None:
            extra = extra + abs(beta) * np.abs(c.astype(np.float64))
        if bias is not None:
            extra = extra + np.abs(bias.astype(np.float64))
        model = SLOPE[activation] * _F32 * (np.sqrt(a.shape[-1]) * terms + 3 * (terms + extra))
        if activation not in ("none", "relu"):
            model = model + _FUNCTION_ULPS * _F32 * (terms + extra)
        self.tolerance = 2 * np.maximum(measured, model) + output_rounding(self.expected, dtype)


class Attention:
    """The float64 result of attention on [batch, heads, rows, width] and the error it may have.

    `attend` is True where a row may look at a column; `bias` is added after scaling and soft cap.
    `sinks` are logits per head, `keep` is what dropout with probability `dropout` leaves.
    """

    def __init__(
        self,
        q: Array,
        k: Array,
        v: Array,
        *,
        scale: float,
        attend: Array | None = None,
        bias: Array | None = None,
        soft_cap: float | None = None,
        sinks: Array | None = None,
        keep: Array | None = None,
        dropout: float = 0.0,
    ) -> None:
        dtype = q.dtype
        groups = q.shape[1] // k.shape[1]
        k, v = np.repeat(k, groups, axis=1), np.repeat(v, groups, axis=1)

        def scores(product: Array) -> Array:
            t = product.dtype.type
            s = product * t(scale)
            if soft_cap is not None:
                s = t(soft_cap) * np.tanh(s / t(soft_cap))
            if bias is not None:
                s = s + bias.astype(t)
            return s if attend is None else np.where(attend, s, t(-np.inf))

        kt = np.swapaxes(k, -1, -2)
        q64, kt64, v64 = (x.astype(np.float64) for x in (q, kt, v))
        s64 = scores(q64 @ kt64)
        p64, self.lse = softmax(s64, sinks)
        if keep is not None:
            p64 = np.where(keep, p64 / (1 - dropout), 0)
        self.expected = p64 @ v64

        s32 = scores(naive_product(q, kt))
        p_naive, _ = softmax(s32.astype(dtype).astype(np.float32), sinks)
        if keep is not None:
            p_naive = np.where(keep, p_naive / np.float32(1 - dropout), np.float32(0))
        naive = naive_product(p_naive.astype(dtype), v).astype(dtype).astype(np.float64)
        measured = np.abs(naive - self.expected).max(initial=0.0)

        seen = np.isfinite(s64)
        magnitude = np.where(seen, scale * (np.abs(q64) @ np.abs(kt64)), 0.0)
        if bias is not None:
            magnitude = magnitude + np.where(seen, np.abs(bias.astype(np.float64)), 0.0)
        if soft_cap is not None:
            magnitude = magnitude + _FUNCTION_ULPS * np.where(seen, soft_cap, 0.0)
        size = magnitude.max(axis=-1, initial=0.0, keepdims=True)
        score_error = (np.sqrt(q.shape[-1]) + 3) * _F32 * size
        stored = _ROUND[dtype.name] * np.abs(np.where(seen, s64, 0)).max(
            axis=-1, initial=0.0, keepdims=True
        )
        sums = (np.sqrt(k.shape[-2]) + _FUNCTION_ULPS) * _F32 + _ROUND[dtype.name]
        model = (2 * (score_error + stored) + sums) * (p64 @ np.abs(v64))
        self.tolerance = 2 * np.maximum(measured, model) + output_rounding(self.expected, dtype)

        _, lse_naive = softmax(s32, sinks)
        finite = np.isfinite(self.lse)
        lse = np.where(finite, self.lse, 0)
        off = np.abs(np.where(finite, lse_naive.astype(np.float64) - lse, 0))
        lse_model = score_error[..., 0] + sums_of_lse(k.shape[-2])
        self.lse_tolerance = 2 * np.maximum(off.max(initial=0.0), lse_model) + 2 * _F32 * np.abs(
            lse
        )


class AttentionGradients:
    """float64 gradients of attention on [batch, heads, rows, width] and the errors they may have.

    Naive means the textbook formulas with S, P, dP, dB and dS stored in the precision of the data
    and products in float32. The model of it: a score that is off by d makes its weight off by a
    factor of exp(2 d); dP is off by its rounding and that of its sum over Dv products,
    D = rowsum(P * dP) by as much on average; each gradient adds up such errors times the other
    factor, and is itself a sum with roundings. A soft cap multiplies dS by 1 - tanh^2, whose error
    is that of its tanh, of its rounding, and 2 |tanh| (1 - tanh^2) / cap times that of the score.
    Dropout multiplies dP, and P in dV, by Z = 0 or 1 / (1 - p). A sink's gradient is a sum of
    its weight times -D over rows. The options are those of Attention; `dbias` has the shape of
    scores, `summed` gives it in the shape of a bias.
    """

    def __init__(
        self,
        do: Array,
        q: Array,
        k: Array,
        v: Array,
        *,
        scale: float,
        attend: Array | None = None,
        bias: Array | None = None,
        soft_cap: float | None = None,
        sinks: Array | None = None,
        keep: Array | None = None,
        dropout: float = 0.0,
    ) -> None:
        dtype, u = q.dtype, _ROUND[q.dtype.name]
        groups = q.shape[1] // k.shape[1]
        z = np.ones((1, 1, 1, 1)) if keep is None else np.where(keep, 1 / (1 - dropout), 0.0)

        def gradients(cast: Any, product: Any) -> dict[str, Array]:
            """`cast` stores, `product` multiplies."""
            qs, ks, vs, g = (cast(x) for x in (q, k, v, do))
            t = qs.dtype.type
            ks, vs = (np.repeat(x, groups, axis=1) for x in (ks, vs))
            s = product(qs, np.swapaxes(ks, -1, -2)) * t(scale)
            slope, tanh = np.ones_like(s), np.zeros_like(s)
            if soft_cap is not None:
                tanh = cast(np.tanh(s / t(soft_cap)))
                s, slope = t(soft_cap) * tanh, cast(1 - tanh * tanh)
            if bias is not None:
                s = s + bias.astype(s.dtype)
            if attend is not None:
                s = np.where(attend, s, t(-np.inf))
            p, lse = softmax(cast(s), sinks)
            p = cast(p)
            kept = z.astype(s.dtype)
            dp = cast(product(g, np.swapaxes(vs, -1, -2))) * kept
            d = (p * dp).sum(axis=-1, keepdims=True, dtype=dp.dtype)
            db = cast(p * (dp - d))
            ds = cast(db * slope)
            return {
                "s": s, "p": p, "dp": dp, "dbias": db, "ds": ds, "slope": slope, "tanh": tanh,
                "sink": to_sinks(lse, d),
                "dq": product(ds, ks) * t(scale),
                "dk": shared(product(np.swapaxes(ds, -1, -2), qs) * t(scale)),
                "dv": shared(product(np.swapaxes(p * kept, -1, -2), g)),
            }  # fmt: skip

        def to_sinks(lse: Array, d: Array) -> Array:
            """Sums over rows of a sink's weight times d."""
            if sinks is None:
                return np.zeros(q.shape[1], lse.dtype)
            weight = np.exp(sinks.astype(lse.dtype)[None, :, None] - lse)
            return -(weight * d[..., 0]).sum(axis=(0, 2))

        def shared(x: Array) -> Array:
            b, h, c, d = x.shape
            return x.reshape(b, h // groups, groups, c, d).sum(axis=2)

        exact = gradients(lambda x: x.astype(np.float64), np.matmul)
        naive = gradients(lambda x: x.astype(dtype).astype(np.float32), naive_product)

        q_, k_, v_, g_ = (np.abs(x.astype(np.float64)) for x in (q, k, v, do))
        k_, v_ = (np.repeat(x, groups, axis=1) for x in (k_, v_))
        s, p, dp, db, ds = (exact[name] for name in ("s", "p", "dp", "dbias", "ds"))
        slope, tanh = exact["slope"], np.abs(exact["tanh"])
        seen = np.isfinite(s)
        raw = (np.sqrt(q.shape[-1]) + 3) * _F32 * scale * (q_ @ np.swapaxes(k_, -1, -2))
        off = raw
        if soft_cap is not None:
            off = off + _FUNCTION_ULPS * _F32 * soft_cap
        if bias is not None:
            off = off + 3 * _F32 * np.abs(bias.astype(np.float64))
        off = np.where(seen, off, 0) + u * np.abs(np.where(seen, s, 0))
        off = off.max(axis=-1, keepdims=True, initial=0.0)
        relative = 2 * off + (np.sqrt(k.shape[-2]) + _FUNCTION_ULPS) * _F32 + u
        dp_size = z * (g_ @ np.swapaxes(v_, -1, -2))
        dp_off = (np.sqrt(v.shape[-1]) + 1) * _F32 * dp_size + u * np.abs(dp)
        d_off = (p * (dp_off + (relative + u) * dp_size)).sum(axis=-1, keepdims=True)
        db_off = p * (dp_off + d_off) + (relative + u) * np.abs(db)
        ds_off = db_off
        if soft_cap is not None:
            bent = 2 * tanh * (slope * raw / soft_cap + _FUNCTION_ULPS * _F32 + u) + u
            ds_off = slope * db_off + (bent + u) * np.abs(db)
        rows, columns = np.sqrt(q.shape[-2] * groups) * _F32, np.sqrt(k.shape[-2]) * _F32
        ds_ = np.abs(ds)
        models = {
            "dq": scale * ((ds_off + columns * ds_) @ k_),
            "dk": scale * shared(np.swapaxes(ds_off + rows * ds_, -1, -2) @ q_),
            "dv": shared(np.swapaxes((relative + u + rows) * p * z, -1, -2) @ g_),
            "dbias": db_off,
        }
        self.expected, self.tolerance = {}, {}
        # Exact, naive, and as the model has it off; of a sink, a weight times D per row.
        d_size = (p * dp_size).sum(axis=-1, keepdims=True)
        sink_off = d_off + (relative + u + rows) * d_size
        lse = softmax(s, sinks)[1]
        self.dsinks = exact["sink"], naive["sink"].astype(np.float64), -to_sinks(lse, sink_off)
        self.dbias = exact["dbias"], naive["dbias"].astype(np.float64), db_off
        for name, model in models.items():
            self.expected[name] = exact[name]
            self.tolerance[name] = gradient_bound(exact[name], naive[name], model, dtype)

    def summed(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> tuple[Array, Array]:
        """dB in the shape of a bias, and how far it may be off."""
        return summed_gradient(self.dbias, shape, dtype)


def gradient_bound(exact: Array, naive: Array, model: Array, dtype: np.dtype[Any]) -> Array:
    measured = np.abs(naive.astype(dtype).astype(np.float64) - exact).max(initial=0.0)
    bound: Array = 2 * np.maximum(measured, model) + output_rounding(exact, dtype)
    return bound


def summed_gradient(
    dbias: Sequence[Array], shape: tuple[int, ...], dtype: np.dtype[Any]
) -> tuple[Array, Array]:
    """dB in a shape that broadcasts to that of scores, or what sinks get; and its bound.

    `dbias`: exact, naive, and how far the model has it off. The errors of those that share an
    element add up, and so do the roundings of their sum.
    """
    exact, naive, model = dbias
    model = model + np.sqrt(exact.size / max(np.prod(shape), 1)) * _F32 * np.abs(exact)
    full = (1,) * (exact.ndim - len(shape)) + shape
    axes = tuple(i for i, n in enumerate(full) if n == 1)
    exact, naive, model = (x.sum(axis=axes).reshape(shape) for x in (exact, naive, model))
    return exact, gradient_bound(exact, naive, model, dtype)


def sums_of_lse(columns: int) -> float:
    """The error of the logarithm of a sum of `columns` exponentials."""
    return float((np.sqrt(columns) + _FUNCTION_ULPS) * _F32)


def softmax(scores: Array, sinks: Array | None = None) -> tuple[Array, Array]:
    """Over the last axis, with its log-sum-exp. A row of -inf gives zeros and -inf.

    `sinks` has a logit per head (axis 1) that counts in the sum.
    """
    top = scores.max(axis=-1, keepdims=True, initial=-np.inf)
    if sinks is not None:
        sink = sinks.astype(scores.dtype)[None, :, None, None]
        top = np.maximum(top, sink)
    empty = np.isneginf(top)
    e = np.exp(scores - np.where(empty, 0, top))
    total = e.sum(axis=-1, keepdims=True, dtype=scores.dtype)
    if sinks is not None:
        total = total + np.exp(sink - np.where(empty, 0, top))
    with np.errstate(divide="ignore"):
        lse = np.where(empty, -np.inf, np.log(total) + np.where(empty, 0, top))
    return e / np.where(empty, 1, total), lse[..., 0]


def assert_within(actual: Array, expected: Array, tolerance: Array, what: str = "") -> None:
    """Infinities must be equal, finite numbers within the tolerance, and nothing may be NaN."""
    actual = np.asarray(actual).astype(np.float64)
    assert actual.shape == expected.shape, f"{what}: shape {actual.shape}, not {expected.shape}"
    infinite = np.isinf(expected)
    assert np.array_equal(actual[infinite], expected[infinite]), f"{what}: infinities differ"
    error = np.abs(np.where(infinite, 0.0, actual) - np.where(infinite, 0.0, expected))
    excess = error - tolerance
    if not (excess <= 0).all():
        worst = np.unravel_index(np.argmax(np.where(np.isnan(excess), np.inf, excess)), error.shape)
        raise AssertionError(
            f"{what}: at {tuple(int(i) for i in worst)} got {actual[worst]!r}, expected "
            f"{expected[worst]!r} within {np.broadcast_to(tolerance, error.shape)[worst]:.3g}; "
            f"{int((~(excess <= 0)).sum())} of {error.size} are too far off"
        )


class Convolution:
    """The float64 result of a convolution with channels last and the error it may have.

    Naive means: one product after another, added up in float32, as for a GEMM with as many terms
    as the window has elements.
    """

    def __init__(
        self,
        x: Array,
        w: Array,
        *,
        bias: Array | None = None,
        activation: str = "none",
        **geometry: Any,
    ) -> None:
        def rest(total: Array) -> Array:
            t = total.dtype.type
            return activate(activation, total if bias is None else total + bias.astype(t))

        x64, w64 = x.astype(np.float64), w.astype(np.float64)
        self.expected = rest(naive_convolution(x64, w64, **geometry))
        x32, w32 = x.astype(np.float32), w.astype(np.float32)
        naive = rest(naive_convolution(x32, w32, **geometry))
        measured = np.abs(naive.astype(x.dtype).astype(np.float64) - self.expected).max(initial=0.0)
        terms = naive_convolution(np.abs(x64), np.abs(w64), **geometry)
        extra = 0.0 if bias is None else np.abs(bias.astype(np.float64))
        count = w[0].size
        model = SLOPE[activation] * _F32 * (np.sqrt(count) * terms + 3 * (terms + extra))
        if activation not in ("none", "relu"):
            model = model + _FUNCTION_ULPS * _F32 * (terms + extra)
        self.terms = terms
        self.tolerance = 2 * np.maximum(measured, model) + output_rounding(self.expected, x.dtype)


def naive_convolution(
    x: Array,
    w: Array,
    *,
    stride: tuple[int, ...],
    padding: tuple[tuple[int, int], ...],
    dilation: tuple[int, ...],
    groups: int = 1,
    transposed: bool = False,
    output_padding: tuple[int, ...] = (),
) -> Array:
    """One position of the window after another, in the type of x."""
    dims = x.ndim - 2
    window = w.shape[1:-1]
    if transposed:
        # The same as a convolution with the mirrored window over the data spread by the stride.
        spread = [
            x.shape[0],
            *((n - 1) * s + 1 for n, s in zip(x.shape[1:-1], stride, strict=True)),
            x.shape[-1],
        ]
        wide = np.zeros(spread, x.dtype)
        wide[(slice(None), *(slice(None, None, s) for s in stride))] = x
        reach = [d * (n - 1) for d, n in zip(dilation, window, strict=True)]
        more = output_padding or (0,) * dims
        around = [(r - p[0], r - p[1] + o) for r, p, o in zip(reach, padding, more, strict=True)]
        x, w = wide, w[(slice(None), *(slice(None, None, -1),) * dims)]
        stride, padding = (1,) * dims, tuple(around)
    cut = tuple(
        slice(max(-b, 0), n - max(-e, 0)) for (b, e), n in zip(padding, x.shape[1:-1], strict=True)
    )
    x = x[(slice(None), *cut)]
    x = np.pad(x, [(0, 0), *((max(b, 0), max(e, 0)) for b, e in padding), (0, 0)])
    size = tuple(
        (n - d * (k - 1) - 1) // s + 1
        for n, d, k, s in zip(x.shape[1:-1], dilation, window, stride, strict=True)
    )
    out = np.zeros((x.shape[0], *size, w.shape[0]), x.dtype)
    per_in, per_out = x.shape[-1] // groups, w.shape[0] // groups
    for tap in np.ndindex(*window):
        at = tuple(
            slice(t * d, t * d + (n - 1) * s + 1, s)
            for t, d, n, s in zip(tap, dilation, size, stride, strict=True)
        )
        part = x[(slice(None), *at)]
        for g in range(groups):
            data = part[..., g * per_in : (g + 1) * per_in]
            weights = w[(slice(g * per_out, (g + 1) * per_out), *tap)]
            out[..., g * per_out : (g + 1) * per_out] += data @ weights.T
    return out


# F(3x3, 3x3) with the points 0, 1, -1, 1/2 and infinity: y = A^T ((G g G^T) * (B^T d B)) A.
WINOGRAD_A = np.array([[4, 4, 2, 8, 0], [0, 4, -2, 4, 0], [0, 4, 2, 2, 2]], np.float64)
WINOGRAD_B = (
    np.array(
        [[1, -2, -1, 2, 0], [0, -1, 1, 2, 0], [0, 1, -3, 2, 0], [0, -2, 0, 2, 0], [0, 1, -2, -1, 2]]
    )
    / 4
)
WINOGRAD_G = np.array([[6, 0, 0], [3, 3, 3], [-2, 2, -2], [-4, -2, -1], [0, 0, 6]]) / 6


def winograd_terms(x: Array, w: Array, padding: tuple[tuple[int, int], ...], groups: int) -> Array:
    """What convolving gives if each sum of the three transforms adds magnitudes: the numbers that
    are rounded on the way are that large. x is N, H, W, C; w is K, 3, 3, C / groups."""
    x = np.pad(np.abs(x.astype(np.float64)), [(0, 0), *padding, (0, 0)])
    height, width = x.shape[1] - 2, x.shape[2] - 2
    ty, tx = -(-height // 3), -(-width // 3)
    x = np.pad(x, [(0, 0), (0, ty * 3 + 2 - x.shape[1]), (0, tx * 3 + 2 - x.shape[2]), (0, 0)])
    a, b, g = (np.abs(m) for m in (WINOGRAD_A, WINOGRAD_B, WINOGRAD_G))
    u = np.einsum("ij,kjlc,ml->kimc", g, np.abs(w.astype(np.float64)), g)
    tiles = np.lib.stride_tricks.sliding_window_view(x, (5, 5), axis=(1, 2))[:, ::3, ::3]
    v = np.einsum("ij,nyxcjl,ml->nyximc", b, tiles, b)
    per_in, per_out = w.shape[-1], w.shape[0] // groups
    m = np.concatenate(
        [
            np.einsum(
                "nyximc,kimc->nyximk",
                v[..., i * per_in : (i + 1) * per_in],
                u[i * per_out : (i + 1) * per_out],
                optimize=True,
            )
            for i in range(groups)
        ],
        axis=-1,
    )
    y = np.einsum("ij,nyxjlk,ml->nyixmk", a, m, a)
    return y.reshape(len(x), ty * 3, tx * 3, -1)[:, :height, :width]


def winograd_bound(x: Array, w: Array, padding: tuple[tuple[int, int], ...], groups: int) -> Array:
    """How far Winograd may be from the exact result, before that is rounded.

    V, U and M are rounded once each to float32, whatever the data. Each transform adds up at most
    2 x 5 numbers and the GEMM C, in float32.
    """
    return (np.sqrt(w.shape[-1]) + 33) * 2.0**-24 * winograd_terms(x, w, padding, groups)
