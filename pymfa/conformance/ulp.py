# SPDX-License-Identifier: MIT
"""`python -m pymfa ulp`: how far elementary functions are from the truth, as the device runs them.

Every half, a million floats of all magnitudes; the reference is NumPy's double precision. Bounds
are those of the Metal Shading Language specification; functions of half are computed in float and
rounded once here, which its bound of one unit leaves room for.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from ..hardware import Device, device

Function = Callable[..., Any]
_HALF_BOUND = 1.0


@dataclass(frozen=True)
class Entry:
    reference: Function
    precise: float  # ulp of float
    fast: float | Callable[[Any], Any] | None = None  # ulp of fast::, if that has a form of its own
    floor: float = 0.0  # an absolute error that fast:: may have whatever the ulp
    limit: float = np.inf  # of the argument's magnitude for fast::
    arguments: int = 1


def _turns(x: Any) -> Any:
    """x modulo 2 in double precision, exact: the argument of sinpi and its kin in half turns."""
    return np.fmod(x, 2.0)


def _sinpi(x: Any) -> Any:
    r = _turns(x)
    r = np.where(r > 1, r - 2, np.where(r < -1, r + 2, r))  # within half a turn of zero
    r = np.where(r > 0.5, 1 - r, np.where(r < -0.5, -1 - r, r))
    return np.sin(np.pi * r)


def _cospi(x: Any) -> Any:
    r = np.abs(_turns(x))
    r = np.where(r > 1, 2 - r, r)
    return np.sin(np.pi * (0.5 - r))


def _rsqrt(x: Any) -> Any:
    return 1 / np.sqrt(x)


def _powr(x: Any, y: Any) -> Any:
    """exp(y log x): no power of a negative number or NaN, nor where that is 0 times infinity."""
    undefined = (x < 0) | np.isnan(x) | np.isnan(y) | ((x == 1) & np.isinf(y))
    undefined |= (y == 0) & ((x == 0) | np.isinf(x))
    return np.where(undefined, np.nan, np.power(np.abs(x), y))


def _pow(x: Any, y: Any) -> Any:
    """As C has it: 1 where y is 0, whatever x. Some NumPy give NaN for a signaling NaN."""
    return np.where(y == 0, 1.0, np.power(x, y))


def _exponential(x: Any) -> Any:
    return 3 + np.floor(np.abs(2 * x))


FUNCTIONS: dict[str, Entry] = {
    "acos": Entry(np.arccos, 4),
    "acosh": Entry(np.arccosh, 4),
    "asin": Entry(np.arcsin, 4),
    "asinh": Entry(np.arcsinh, 4),
    "atan": Entry(np.arctan, 5),
    "atan2": Entry(np.arctan2, 6, arguments=2),
    "atanh": Entry(np.arctanh, 5),
    "ceil": Entry(np.ceil, 0),
    "cos": Entry(np.cos, 4, np.inf, 2.0**-13, np.pi),
    "cosh": Entry(np.cosh, 4),
    "cospi": Entry(_cospi, 4),
    "exp": Entry(np.exp, 4, _exponential),
    "exp10": Entry(lambda x: np.power(10.0, x), 4, _exponential),
    "exp2": Entry(np.exp2, 4, 4.0),
    "floor": Entry(np.floor, 0),
    "fmod": Entry(np.fmod, 0, arguments=2),
    "log": Entry(np.log, 4, 4.0, 2.0**-21),
    "log10": Entry(np.log10, 4, 4.0, 2.0**-21),
    "log2": Entry(np.log2, 4, 4.0, 2.0**-21),
    "pow": Entry(_pow, 16, arguments=2),
    "powr": Entry(_powr, 16, arguments=2),
    "rint": Entry(np.rint, 0),
    "rsqrt": Entry(_rsqrt, 0.51),
    "sin": Entry(np.sin, 4, np.inf, 2.0**-13, np.pi),
    "sinh": Entry(np.sinh, 4),
    "sinpi": Entry(_sinpi, 4),
    "sqrt": Entry(np.sqrt, 0.51),
    "tan": Entry(np.tan, 6, np.inf, 2.0**-13, np.pi / 3),
    "tanh": Entry(np.tanh, 5, 6.0),
    "tanpi": Entry(lambda x: _sinpi(x) / _cospi(x), 6),
    "trunc": Entry(np.trunc, 0),
}


def source(dtype: str) -> str:
    """One kernel per function and variant: `f_precise`, and `f_fast` for float."""
    lines = ["#include <metal_stdlib>", "using namespace metal;"]
    for name, entry in FUNCTIONS.items():
        operands = ", ".join(["x[i]", "y[i]"][: entry.arguments])
        variants = {"precise": "precise::" if dtype == "float" else ""}
        if dtype == "float" and entry.fast is not None:
            variants["fast"] = "fast::"
        for variant, space in variants.items():
            lines.append(
                f"kernel void {name}_{variant}(device {dtype}* out [[buffer(0)]], "
                f"device const {dtype}* x [[buffer(1)]], device const {dtype}* y [[buffer(2)]], "
                f"uint i [[thread_position_in_grid]]) {{ out[i] = {space}{name}({operands}); }}"
            )
    return "\n".join(lines)


def arguments(dtype: Any, count: int, step: int) -> list[Any]:
    """All halves, or every step-th float; a second argument is taken from the first, shuffled."""
    if dtype == np.float16:
        x = np.arange(2**16, dtype=np.uint32).astype(np.uint16).view(np.float16)
        if count == 1:
            return [x]
        rng = np.random.default_rng(1)
        return [np.tile(x, 16), np.concatenate([rng.permutation(x) for _ in range(16)])]
    x = np.arange(0, 2**32, step, dtype=np.uint64).astype(np.uint32).view(np.float32)
    if count == 1:
        return [x]
    # Half of the pairs are of like size, where powers neither overflow nor vanish.
    rng = np.random.default_rng(2)
    small = (rng.standard_normal(x.size) * 8).astype(np.float32)
    return [np.concatenate([x, np.exp(small)]), np.concatenate([rng.permutation(x), small])]


def errors(got: Any, want: Any) -> Any:
    """Distance in units of the last place near the true value; NaN must meet NaN."""
    dtype = got.dtype
    info = np.finfo(dtype)
    with np.errstate(all="ignore"):
        exponent = np.floor(np.log2(np.abs(want)))
        exponent = np.clip(np.where(np.isfinite(exponent), exponent, info.minexp),
                           info.minexp, info.maxexp - 1)  # fmt: skip
        edge = 2.0**info.maxexp  # one step over the largest number
        bounded = [np.clip(v.astype(np.float64), -edge, edge) for v in (got, want)]
        distance = np.abs(bounded[0] - bounded[1]) / 2.0 ** (exponent - info.nmant)
        exact = (got == want.astype(dtype)) | (np.isnan(got) & np.isnan(want))
    # Of a half all errors are shown, the half unit of correct rounding too.
    nothing = exact if dtype != np.float16 else np.isnan(got) & np.isnan(want)
    return np.where(nothing, 0.0, np.where(np.isnan(distance), np.inf, distance))


@dataclass(frozen=True)
class Measured:
    ulp: float
    within: bool


def measure(on: Device, step: int) -> dict[tuple[str, str], Measured]:
    """(function, "float", "half" or "fast") -> the largest error."""
    results: dict[tuple[str, str], Measured] = {}
    for dtype, spelled in ((np.float32, "float"), (np.float16, "half")):
        library = on.library(source=source(spelled), precise_math=True)
        for name, entry in FUNCTIONS.items():
            operands = arguments(dtype, entry.arguments, step)
            for variant in ("precise", "fast"):
                if f"{name}_{variant}" not in library.functions:
                    continue
                out = np.zeros_like(operands[0])
                pipeline = library.pipeline(f"{name}_{variant}")
                with on.commands() as commands:
                    commands.dispatch(pipeline, buffers={0: out, 1: operands[0], 2: operands[-1]},
                                      threads=out.size, threads_per_threadgroup=256)  # fmt: skip
                key = spelled if variant == "precise" else "fast"
                results[name, key] = _judge(entry, key, operands, out)
    return results


def _flushed(x: Any) -> Any:
    """Subnormal floats as zeros."""
    return np.where(np.abs(x) < np.finfo(np.float32).tiny, np.copysign(0.0, x), x)


def _judge(entry: Entry, key: str, operands: list[Any], out: Any) -> Measured:
    with np.errstate(all="ignore"):
        wide = [x.astype(np.float64) for x in operands]
        want = np.asarray(entry.reference(*wide), np.float64)
        error = errors(out, want)
        if out.dtype == np.float32:
            # A device may take subnormal operands and results for zero.
            least = np.abs(want)
            for chosen in product(*((x, _flushed(x)) for x in wide)):
                other = np.asarray(entry.reference(*chosen), np.float64)
                error = np.minimum(error, errors(out, other))
                least = np.fmin(least, np.abs(other))
            error = np.where((out == 0) & (least < np.finfo(np.float32).tiny), 0.0, error)
        bound: Any = entry.precise if key == "float" else _HALF_BOUND
        if key == "half" and entry.precise == 0:
            bound = 0.0
        if key == "fast":
            assert entry.fast is not None
            normal = np.finfo(np.float32).tiny
            # The specification says nothing of the rest: NaN, infinities, flushed subnormals.
            inside = np.isfinite(want) & (np.abs(want) >= normal) & (np.abs(want) < 2.0**127)
            inside &= (np.abs(wide[0]) <= entry.limit) & (np.abs(wide[0]) >= normal)
            inside &= np.abs(out.astype(np.float64) - want) > entry.floor
            error = np.where(inside, error, 0.0)
            bound = entry.fast(wide[0]) if callable(entry.fast) else (
                0.0 if np.isinf(entry.fast) else entry.fast)  # fmt: skip
            bound = np.where(inside, bound, np.inf)
        return Measured(float(error.max()), bool((error <= bound).all()))


def markdown(results: dict[tuple[str, str], Measured]) -> str:
    lines = ["| function | float | bound | half | bound | `fast::` | bound |",
             "|---|--:|--:|--:|--:|--:|--:|"]  # fmt: skip
    for name, entry in FUNCTIONS.items():
        cells = [f"| `{name}`"]
        half_bound = min(entry.precise, _HALF_BOUND)
        for key, bound in (("float", f"{entry.precise:g}"), ("half", f"{half_bound:g}"),
                           ("fast", _described(entry))):  # fmt: skip
            found = results.get((name, key))
            cells += [f"{found.ulp:.2f}{'' if found.within else ' too far'}", bound] if found else [
                "", ""]  # fmt: skip
        lines.append(" | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _described(entry: Entry) -> str:
    if callable(entry.fast):
        return "3 + floor(2 abs(x))"
    if entry.fast is not None and np.isinf(entry.fast):
        return f"2^{int(np.log2(entry.floor))} absolute, abs(x) ≤ {entry.limit:.3g}"
    beyond = f" beyond 2^{int(np.log2(entry.floor))} absolute" if entry.floor else ""
    return f"{entry.fast:g}{beyond}" if entry.fast is not None else ""


def main(given: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="pymfa ulp", description=__doc__)
    parser.add_argument("--device", help="the device that computes")
    parser.add_argument("--step", type=int, default=4099, help="every so many floats (4099)")
    options = parser.parse_args(given)
    results = measure(device(options.device), options.step)
    print(markdown(results), end="")
    return int(not all(found.within for found in results.values()))
