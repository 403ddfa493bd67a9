# SPDX-License-Identifier: MIT
"""Options that turn products into attention's scores -> fields and operands of the ABI's structs.

Forward and backward take the same ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import native
from ..arrays import FLOATS, Array, element_strides, expect_dtype, operand
from ..errors import InvalidType, InvalidValue
from ..problem import CAUSAL, SPARSITY, TYPES, choice
from .heads import set_strides
from .strides import in_place

if TYPE_CHECKING:
    from ..commands import Commands

Shape = tuple[int, int, int, int]  # batch, query heads, queries, keys


@dataclass(frozen=True)
class Options:
    """As pymfa.attention takes them."""

    causal: bool | str = False
    scale: float | None = None
    mask: Any = None
    bias: Any = None
    window: Any = None
    soft_cap: float | None = None
    alibi: Any = None
    sinks: Any = None
    dropout: float = 0.0
    seed: int = 0
    offset: int = 0
    sparsity: str = "auto"


@dataclass(frozen=True)
class Scores:
    """Checked options: fields of the descriptor, and the arrays beside q, k and v."""

    fields: Mapping[str, Any]
    masks: Mapping[str, Array] = field(default_factory=dict)  # with four axes and strides
    vectors: Mapping[str, Array] = field(default_factory=dict)

    @property
    def arrays(self) -> dict[str, Array]:
        return {**self.masks, **self.vectors}

    def set(self, commands: Commands, desc: Any, operands: Any) -> None:
        """Fills in what concerns scores."""
        for name, value in self.fields.items():
            setattr(desc, name, value)
        for name, array in self.masks.items():
            set_strides(getattr(desc, name), array)
        for name, array in self.arrays.items():
            commands.memory.put(getattr(operands, name), array)


def check(options: Options, shape: Shape, *, copy: bool, name: str = "attention") -> Scores:
    """`shape` is what masks broadcast to; with `copy` those that no kernel reads are copied."""
    fields: dict[str, Any] = {
        "causal": choice(f"{name}: causal", options.causal, CAUSAL),
        "sparsity": choice(f"{name}: sparsity", options.sparsity, SPARSITY),
    }
    if options.scale is not None:
        fields |= {"scale": number(f"{name}: scale", options.scale), "has_scale": True}
    if options.soft_cap is not None:
        fields["soft_cap"] = number(f"{name}: soft_cap", options.soft_cap)
    if options.window is not None:
        left, right = _window(f"{name}: window", options.window)
        fields |= {"window_left": left, "window_right": right, "has_window": True}
    if options.dropout:
        fields["dropout"] = number(f"{name}: dropout", options.dropout)
        fields |= {
            key: _counter(f"{name}: {key}", getattr(options, key)) for key in ("seed", "offset")
        }
    masks, vectors = {}, {}
    mask = _mask(f"{name}: mask", options.mask, shape, copy=copy, boolean=True)
    if mask is not None:
        masks["mask"] = mask
        kind = "BOOLEAN" if mask.dtype == np.bool_ else "ADDITIVE"
        fields["mask_kind"] = native.number("MFA_MASK_" + kind)
        if kind == "ADDITIVE":
            fields["mask_type"] = native.number(TYPES[mask.dtype.name])
    bias = _mask(f"{name}: bias", options.bias, shape, copy=copy, boolean=False)
    if bias is not None:
        masks["bias"] = bias
        fields |= {"bias_type": native.number(TYPES[bias.dtype.name]), "has_bias": True}
    batch, heads = shape[:2]
    if options.alibi is not None:
        slopes = _per_head(f"{name}: alibi", options.alibi, [(heads,), (batch, heads)])
        vectors["slopes"] = slopes
        fields["has_slopes"] = True
        fields["slopes_batch"] = heads if slopes.ndim == 2 and batch > 1 else 0
    if options.sinks is not None:
        vectors["sinks"] = _per_head(f"{name}: sinks", options.sinks, [(heads,)])
        fields["has_sinks"] = True
    return Scores(fields, masks, vectors)


def number(name: str, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise InvalidType(f"{name} is a {type(value).__name__}; expected a number") from None


def _counter(name: str, value: Any) -> int:
    try:
        result = int(value)
    except (TypeError, ValueError):
        raise InvalidType(f"{name} is a {type(value).__name__}; expected an integer") from None
    if not 0 <= result < 1 << 64:
        raise InvalidValue(f"{name} is {result}; expected 64 bits")
    return result


def _window(name: str, value: Any) -> tuple[int, int]:
    """(left, right) in keys; None and -1 are unlimited."""
    unlimited = native.number("MFA_UNLIMITED")
    try:
        left, right = (unlimited if side is None else int(side) for side in value)
    except (TypeError, ValueError):
        raise InvalidValue(
            f"{name} is {value!r}; expected (left, right) in keys, None where it is not limited"
        ) from None
    if min(left, right) < unlimited:
        raise InvalidValue(f"{name} is {value!r}; expected nothing below 0")
    return left, right


def _per_head(name: str, value: Any, shapes: list[tuple[int, ...]]) -> Array:
    array = operand(name, value)
    expect_dtype(name, array, np.float32)
    if array.shape not in shapes:
        expected = " or ".join(str(shape) for shape in shapes)
        raise InvalidValue(f"{name} has shape {array.shape}; expected {expected}")
    return np.ascontiguousarray(array)


def _mask(name: str, value: Any, shape: Shape, *, copy: bool, boolean: bool) -> Array | None:
    """A view of [batch, head, row, column] with repeated axes, its columns contiguous."""
    if value is None:
        return None
    mask = operand(name, value)
    if mask.dtype not in FLOATS and not (boolean and mask.dtype == np.bool_):
        expected = "bool (True: attend), " if boolean else ""
        raise InvalidType(
            f"{name} has dtype {mask.dtype.name}; expected {expected}float16, float32 or bfloat16 "
            "(added to the scaled scores)"
        )
    try:
        full = np.broadcast_to(mask, shape)
    except ValueError:
        raise InvalidValue(
            f"{name} has shape {mask.shape}, which does not broadcast to {shape} (batch, head, "
            "query, key)"
        ) from None
    steps = element_strides(full)
    usable = (steps[3] == 1 or shape[3] <= 1) and min(steps) >= 0
    if usable:
        return full
    if mask.ndim and mask.shape[-1] != shape[3]:  # one value for all keys, written out
        mask = np.broadcast_to(mask, (*mask.shape[:-1], shape[3]))
    elif mask.ndim == 0:
        mask = np.broadcast_to(mask, (shape[3],))
    return np.broadcast_to(in_place(name, mask, usable=False, copy=copy), shape)
