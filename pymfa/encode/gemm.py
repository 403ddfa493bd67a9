# SPDX-License-Identifier: MIT
"""Matrix products: checks the arrays and encodes as few GEMMs as their batches allow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import native
from ..arrays import (
    Array,
    bfloat16,
    expect_dtype,
    expect_output,
    expect_shape,
    operand,
)
from ..errors import InvalidValue
from ..problem import ACTIVATIONS, choice
from ..replay import Remembered
from . import cast
from .strides import batches, in_place, lead_steps, matrix, matrix_bias, per_row, stride

if TYPE_CHECKING:
    from ..commands import Commands

DTYPES = {"hgemm": np.dtype(np.float16), "sgemm": np.dtype(np.float32), "bgemm": bfloat16}


@Remembered
def encode(
    commands: Commands,
    name: str,
    a: Any,
    b: Any,
    *,
    trans_a: bool = False,
    trans_b: bool = False,
    alpha: float = 1.0,
    beta: float | None = None,
    c: Any = None,
    bias: Any = None,
    activation: str | None = None,
    out: Any = None,
    copy: bool = False,
) -> Array:
    """`copy`: inputs that no kernel reads in place may be copied now."""
    commands.encoding(name)
    problem = _Problem(name, trans_a, trans_b)
    a, b = problem.input("a", a, trans_a), problem.input("b", b, trans_b)
    squeeze = _squeeze(a, b)
    a = a[None, :] if a.ndim == 1 else a
    b = b[:, None] if b.ndim == 1 else b
    if a.shape[-1] != b.shape[-2]:
        raise InvalidValue(
            f"{name}: a is {_spell(a, trans_a)} and b is {_spell(b, trans_b)}; expected as many "
            "columns of a as rows of b"
        )
    try:
        batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    except ValueError:
        raise InvalidValue(
            f"{name}: the leading axes of a {a.shape} and b {b.shape} do not broadcast"
        ) from None
    shape = (*batch, a.shape[-2], b.shape[-1])
    visible = tuple(n for i, n in enumerate(shape, -len(shape)) if i not in squeeze)
    result = np.empty(visible, DTYPES[name]) if out is None else problem.input("out", out)
    expect_shape(f"{name}: out", result, visible)
    target = np.expand_dims(result, squeeze) if squeeze else result

    beta = problem.old_values(commands, c, beta, result, given=out is not None, copy=copy)
    if bias is not None:
        bias = matrix_bias(name, problem.input("bias", bias), shape)
    a = in_place(f"{name}: a", a, usable=matrix(a) is not None, copy=copy)
    b = in_place(f"{name}: b", b, usable=matrix(b) is not None, copy=copy)
    expect_output(f"{name}: out", result, a=a, b=b, bias=bias)
    layout = matrix(target)
    if layout is None or layout.transposed:
        raise InvalidValue(
            f"{name}: out has shape {result.shape} and strides of {result.strides} bytes; "
            "expected a contiguous last axis"
        )
    options = {
        "alpha": alpha,
        "has_alpha": True,
        "beta": beta,
        "activation": choice(f"{name}: activation", activation, ACTIVATIONS),
    }
    _encode(commands, name, a, b, target, bias, options)
    return result


@dataclass(frozen=True)
class _Problem:
    name: str
    trans_a: bool
    trans_b: bool

    def input(self, which: str, value: Any, transposed: bool = False) -> Array:
        array = operand(f"{self.name}: {which}", value)
        expect_dtype(f"{self.name}: {which}", array, DTYPES[self.name])
        if which in "ab" and array.ndim == 0:
            raise InvalidValue(f"{self.name}: {which} is a scalar; expected a matrix")
        return np.swapaxes(array, -1, -2) if transposed and array.ndim > 1 else array

    def old_values(
        self,
        commands: Commands,
        c: Any,
        beta: float | None,
        out: Array,
        *,
        given: bool,
        copy: bool,
    ) -> float:
        """Brings c into the output, which the kernel then scales by beta."""
        if c is None:
            if beta and not given:
                raise InvalidValue(f"{self.name}: beta is {beta} without c or out to scale")
            return float(beta or 0.0)
        old = self.input("c", c)
        expect_shape(f"{self.name}: c", old, out.shape)
        if beta == 0:
            return 0.0
        same = old.ctypes.data == out.ctypes.data and old.strides == out.strides
        if not same:
            expect_output(f"{self.name}: out", out, c=old)
            cast.encode(commands, old, None, out=out, copy=copy)
        return 1.0 if beta is None else float(beta)


def _encode(
    commands: Commands, name: str, a: Array, b: Array, out: Array, bias: Array | None,
    options: dict[str, Any],
) -> None:  # fmt: skip
    if min(out.shape, default=1) == 0:
        return
    arrays = (
        {"a": a, "b": b, "c": out} if bias is None else {"a": a, "b": b, "bias": bias, "c": out}
    )
    (ma, mb, mc) = (matrix(a), matrix(b), matrix(out))
    assert ma and mb and mc
    lead = out.shape[:-2]
    batch = batches(lead, [lead_steps(x, lead) for x in arrays.values()])
    desc = native.struct(
        "mfa_gemm_desc", M=out.shape[-2], N=out.shape[-1], K=a.shape[-1], lda=ma.ld, ldb=mb.ld,
        ldc=mc.ld, trans_a=ma.transposed, trans_b=mb.transposed, batch=batch.count, **options,
    )  # fmt: skip
    for field, step in zip(arrays, batch.steps, strict=True):
        setattr(desc, "stride_" + field, stride(step, batch.count))
    if bias is not None and per_row(bias, out.shape):
        desc.bias = native.number("MFA_BIAS_PER_ROW")
    for offsets in batch.offsets:
        operands = native.struct("mfa_gemm_operands")
        for (field, x), offset in zip(arrays.items(), offsets, strict=True):
            commands.memory.put(
                getattr(operands, field), x, output=x is out, offset=offset * x.itemsize
            )
        native.operation("mfa_" + name, commands.handle, desc, operands)


def _squeeze(a: Array, b: Array) -> tuple[int, ...]:
    """The axes of the product that vectors do not have, as numpy.matmul drops them."""
    return tuple(axis for axis, x in ((-2, a), (-1, b)) if x.ndim == 1)


def _spell(array: Array, transposed: bool) -> str:
    return f"{array.shape[-2]} x {array.shape[-1]}" + (" (transposed)" if transposed else "")
