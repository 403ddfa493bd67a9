# SPDX-License-Identifier: MIT
"""Products with quantized weights: checks the arrays, encodes as few as their batches allow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import native
from ..arrays import FLOATS, Array, expect_dtype, expect_output, expect_shape, operand
from ..errors import InvalidType, InvalidValue
from ..problem import ACTIVATIONS, TYPES, choice, float_type
from ..quantized import Palettized, Quantized
from ..replay import Remembered
from . import cast
from .strides import batches, in_place, lead_steps, matrix, matrix_bias, per_row, stride

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

    from ..commands import Commands

_NAMES = {d.name: d for d in FLOATS}


@Remembered
def encode(
    commands: Commands,
    a: Any,
    b: Quantized | Palettized,
    *,
    trans_a: bool = False,
    trans_b: bool = True,
    alpha: float = 1.0,
    beta: float | None = None,
    c: Any = None,
    bias: Any = None,
    activation: str | None = None,
    dtype: DTypeLike | None = None,
    out: Any = None,
    copy: bool = False,
) -> Array:
    """`copy`: inputs that no kernel reads in place may be copied now."""
    commands.encoding("qgemm")
    weights = _Weights.of(b, trans_b)
    a = _float("a", a)
    if a.ndim == 0:
        raise InvalidValue("qgemm: a is a scalar; expected a matrix")
    a = np.swapaxes(a, -1, -2) if trans_a and a.ndim > 1 else a
    squeeze = (-2,) if a.ndim == 1 else ()
    a = a[None, :] if a.ndim == 1 else a
    if a.shape[-1] != weights.K:
        raise InvalidValue(
            f"qgemm: a is {a.shape[-2]} x {a.shape[-1]} and b is {weights.K} x {weights.N}"
            f"{' (transposed)' if trans_b else ''}; expected as many columns of a as rows of b"
        )
    try:
        lead = np.broadcast_shapes(a.shape[:-2], weights.lead)
    except ValueError:
        raise InvalidValue(
            f"qgemm: the leading axes of a {a.shape} and b {b.shape} do not broadcast"
        ) from None
    shape = (*lead, a.shape[-2], weights.N)
    visible = tuple(n for i, n in enumerate(shape, -len(shape)) if i not in squeeze)
    result = _output(out, dtype, a.dtype, visible)
    target = np.expand_dims(result, squeeze) if squeeze else result
    beta = _old_values(commands, c, beta, result, given=out is not None, copy=copy)
    if bias is not None:
        bias = _float("bias", bias)
        expect_dtype("qgemm: bias", bias, result.dtype)
        bias = matrix_bias("qgemm", bias, shape)
    a = in_place("qgemm: a", a, usable=matrix(a) is not None, copy=copy)
    expect_output(
        "qgemm: out", result, a=a, bias=bias, b=weights.packed, scales=weights.scales,
        biases=weights.zero_points,
    )  # fmt: skip
    layout = matrix(target)
    if layout is None or layout.transposed:
        raise InvalidValue(
            f"qgemm: out has shape {result.shape} and strides of {result.strides} bytes; "
            "expected a contiguous last axis"
        )
    options = {
        **weights.options,
        "alpha": alpha,
        "has_alpha": True,
        "beta": beta,
        "activation": choice("qgemm: activation", activation, ACTIVATIONS),
    }
    _encode(commands, a, weights, target, bias, options)
    return result


@dataclass(frozen=True)
class _Weights:
    """Quantized weights in the terms of the C ABI. Strides of leading axes are 0 where repeated."""

    packed: Array
    scales: Array
    zero_points: Array | None
    lead: tuple[int, ...]
    N: int
    K: int
    steps: tuple[int, ...]  # in numbers
    scale_steps: tuple[int, ...]
    options: dict[str, Any]

    @classmethod
    def of(cls, b: Any, trans_b: bool) -> _Weights:
        if not isinstance(b, (Quantized, Palettized)):
            raise InvalidType(
                f"qgemm: b is a {type(b).__name__}; expected what quantize or palettize returned"
            )
        if len(b.shape) < 2:
            raise InvalidValue(f"qgemm: b has shape {b.shape}; expected a matrix")
        *lead, rows, columns = b.shape
        options: dict[str, Any] = {
            "bits": b.bits,
            "trans_b": trans_b,
            "weight_type": native.number(TYPES[b.dtype.name]),
        }
        zero_points = None
        if isinstance(b, Quantized):
            ld, scales, zero_points = b.row_numbers, b.scales, b.biases
            options |= {"group_size": b.group_size, "ldb": ld}
            scale_steps = _packed_steps(lead, scales.shape[-2] * scales.shape[-1])
        else:
            ld, scales = columns, b.palettes
            scale_steps = _palette_options(b, options)
        N, K = (rows, columns) if trans_b else (columns, rows)
        return cls(b.packed, scales, zero_points, tuple(lead), N, K, _packed_steps(lead, rows * ld),
                   scale_steps, options)  # fmt: skip


def _packed_steps(lead: list[int], step: int) -> tuple[int, ...]:
    """Strides of leading axes of an array without gaps whose last of them steps by `step`."""
    steps = []
    for size in reversed(lead):
        steps.append(0 if size == 1 else step)
        step *= size
    return tuple(reversed(steps))


def _palette_options(b: Palettized, options: dict[str, Any]) -> tuple[int, ...]:
    lead = list(b.shape[:-2])
    options["quantization"] = native.number("MFA_QUANTIZATION_PALETTE")
    if b.msb_first:
        options["bit_order"] = native.number("MFA_BITS_MSB_FIRST")
    if b.group_size is None or len(b.palettes) == 1:
        return (0,) * len(lead)
    if b.axis >= len(lead):
        options["group_size"] = b.group_size
        options["palette_columns"] = b.axis == len(b.shape) - 1
        return (0,) * len(lead)
    if b.group_size != 1:
        raise InvalidValue(
            f"qgemm: b has palettes for groups of {b.group_size} along axis {b.axis}, which is not "
            "one of a matrix; expected groups of 1 there"
        )
    return tuple(b.palettes.shape[1] if i == b.axis else 0 for i in range(len(lead)))


def _float(which: str, value: Any) -> Array:
    array = operand(f"qgemm: {which}", value)
    expect_dtype(f"qgemm: {which}", array, *FLOATS)
    return array


def _output(
    out: Any, dtype: DTypeLike | None, default: np.dtype[Any], shape: tuple[int, ...]
) -> Array:
    wanted = _NAMES[float_type("qgemm: dtype", default if dtype is None else dtype)]
    if out is None:
        return np.empty(shape, wanted)
    result = _float("out", out)
    if dtype is not None:
        expect_dtype("qgemm: out", result, wanted)
    expect_shape("qgemm: out", result, shape)
    return result


def _old_values(
    commands: Commands, c: Any, beta: float | None, out: Array, *, given: bool, copy: bool
) -> float:
    """Brings c into the output, which the kernel then scales by beta."""
    if c is None:
        if beta and not given:
            raise InvalidValue(f"qgemm: beta is {beta} without c or out to scale")
        return float(beta or 0.0)
    old = _float("c", c)
    expect_dtype("qgemm: c", old, out.dtype)
    expect_shape("qgemm: c", old, out.shape)
    if beta == 0:
        return 0.0
    if old.ctypes.data != out.ctypes.data or old.strides != out.strides:
        expect_output("qgemm: out", out, c=old)
        cast.encode(commands, old, None, out=out, copy=copy)
    return 1.0 if beta is None else float(beta)


def _encode(
    commands: Commands, a: Array, weights: _Weights, out: Array, bias: Array | None,
    options: dict[str, Any],
) -> None:  # fmt: skip
    lead = out.shape[:-2]
    if min(out.shape) == 0:
        return
    (ma, mc) = (matrix(a), matrix(out))
    assert ma and mc
    missing = (0,) * (len(lead) - len(weights.lead))
    # Operand, array, steps along the leading axes (of b in numbers), field of the descriptor.
    scale_steps = (*missing, *weights.scale_steps)
    table: list[tuple[str, Array, Any, str]] = [
        ("a", a, lead_steps(a, lead), "stride_a"),
        ("b", weights.packed, (*missing, *weights.steps), "stride_b"),
        ("c", out, lead_steps(out, lead), "stride_c"),
        ("scales", weights.scales, scale_steps, "stride_scales"),
    ]
    if weights.zero_points is not None:
        table.append(("zero_points", weights.zero_points, scale_steps, "stride_scales"))
    if bias is not None:
        table.append(("bias", bias, lead_steps(bias, lead), "stride_bias"))
    batch = batches(lead, [steps for _, _, steps, _ in table])
    desc = native.struct(
        "mfa_qgemm_desc", M=out.shape[-2], N=weights.N, K=weights.K, lda=ma.ld, ldc=mc.ld,
        trans_a=ma.transposed, batch=batch.count, input_type=native.number(TYPES[a.dtype.name]),
        output_type=native.number(TYPES[out.dtype.name]), **options,
    )  # fmt: skip
    for (_, _, _, field), step in zip(table, batch.steps, strict=True):
        setattr(desc, field, stride(step, batch.count))
    if bias is not None and per_row(bias, out.shape):
        desc.bias = native.number("MFA_BIAS_PER_ROW")
    operands = native.struct("mfa_qgemm_operands")
    for offsets in batch.offsets:
        for (name, x, _, _), offset in zip(table, offsets, strict=True):
            if name == "b":  # numbers need not begin with a byte
                desc.first_b, offset = offset, 0
            commands.memory.put(
                getattr(operands, name), x, output=x is out, offset=offset * x.itemsize
            )
        native.operation("mfa_qgemm", commands.handle, desc, operands)
