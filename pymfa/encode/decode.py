# SPDX-License-Identifier: MIT
"""Attention to a cache, and merging two results: checks the arrays and encodes one call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import native
from ..arrays import (
    FLOATS,
    Array,
    element_strides,
    expect_dtype,
    expect_output,
    expect_shape,
    operand,
)
from ..cache import QuantizedKV
from ..errors import InvalidType, InvalidValue, Unsupported
from ..problem import LAYOUTS, TYPES, choice
from . import attention, scores
from .strides import in_place, stride

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

    from ..commands import Commands

_NAME = "attention_decode"


def encode(
    commands: Commands,
    q: Any,
    k: Any,
    v: Any,
    *,
    lengths: Any = None,
    block_table: Any = None,
    splits: int | None = None,
    layout: str = "BHND",
    out: Any = None,
    out_dtype: DTypeLike | None = None,
    lse: Any = None,
    copy: bool = False,
    **options: Any,
) -> Array:
    """`copy`: q may be copied where no kernel reads it. Caches never are."""
    commands.encoding(_NAME)
    choice(f"{_NAME}: layout", layout, LAYOUTS)
    q = _four("q", q, layout)
    expect_dtype(f"{_NAME}: q", q, *FLOATS)
    batch, heads, rows, width = q.shape
    caches = {"k": _Cache("k", k, layout), "v": _Cache("v", v, layout)}
    k, v = caches["k"], caches["v"]
    if not k.same_form(v):
        raise InvalidValue(f"{_NAME}: k and v are not stored in the same way")
    if k.width != width:
        raise InvalidValue(f"{_NAME}: k has {k.width} elements to a key and q {width}")
    if v.width == 0 or width == 0:
        raise InvalidValue(f"{_NAME}: q, k or v have no elements per head; expected at least one")
    attention.expect_heads(heads, k.heads)

    table = None
    if block_table is None:
        for name, cache in caches.items():
            if cache.batches != batch:
                raise InvalidValue(
                    f"{_NAME}: {name} has {cache.batches} batches; expected {batch} as q has"
                )
        columns = k.rows
    else:
        table = _integers("block_table", block_table, (batch, None))
        if table.size and int(table.max()) >= k.batches:
            raise InvalidValue(
                f"{_NAME}: block_table has page {int(table.max())}, k has {k.batches} pages"
            )
        columns = table.shape[1] * k.rows
    counts = None
    if lengths is not None:
        counts = _integers("lengths", lengths, (batch,))
        if counts.size and int(counts.max()) > columns:
            raise InvalidValue(
                f"{_NAME}: lengths has {int(counts.max())}, there is room for {columns} keys"
            )

    shape = attention.unordered((batch, heads, rows, v.width), 4, layout)
    result = attention.output(_NAME, out, out_dtype, shape, q.dtype)
    target = _four("out", result, layout)
    checked = scores.check(
        scores.Options(**options), (batch, heads, rows, columns), copy=copy, name=_NAME
    )
    sums = _sums(f"{_NAME}: lse", lse, (batch, heads, rows))
    q = in_place(f"{_NAME}: q", q, usable=attention.usable(q), copy=copy)
    in_place(f"{_NAME}: out", target, usable=attention.usable(target), copy=False)
    stored = {**k.arrays, **v.arrays}
    inputs = {"q": q, **stored, **checked.arrays, "lengths": counts, "block_table": table}
    expect_output(f"{_NAME}: out", result, lse=sums, **inputs)
    if sums is not None:
        expect_output(f"{_NAME}: lse", sums, **inputs)
    if min(target.shape) == 0:
        return result

    options_desc = native.struct(
        "mfa_attention_desc", B=batch, H=heads, Hkv=k.heads, R=rows, C=columns, D=width,
        Dv=v.width, type=native.number(TYPES[q.dtype.name]),
        o_type=native.number(TYPES[target.dtype.name]),
    )  # fmt: skip
    desc = native.struct(
        "mfa_decode_desc", attention=options_desc, bits=k.bits, group_size=k.group_size,
        kv_type=native.number(TYPES[k.dtype.name]), splits=_splits(splits),
        has_lengths=counts is not None,
    )  # fmt: skip
    operands = native.struct("mfa_decode_operands")
    checked.set(commands, options_desc, operands)
    for name, array in {"q": q, "o": target}.items():
        scores.set_strides(getattr(options_desc, name), array)
        scores.set_place(commands, getattr(operands, name), array, output=array is target)
    for name, cache in caches.items():
        scores.set_strides(getattr(options_desc, name), cache.values)
        if cache.scales is not None:
            scores.set_strides(getattr(desc, name + "_scales"), cache.scales)
    for name, array in stored.items():
        scores.set_place(commands, getattr(operands, name), array, output=False)
    if table is not None:
        desc.page_size, desc.pages = k.rows, k.batches
        scores.set_place(commands, operands.table, table, output=False)
    if counts is not None:
        scores.set_place(commands, operands.lengths, counts, output=False)
    if sums is not None:
        options_desc.lse_batch, options_desc.lse_head = _lse_strides(sums)
        scores.set_place(commands, operands.lse, sums, output=True)
    native.operation("mfa_attention_decode", commands.handle, desc, operands)
    return result


class _Cache:
    """k or v: [batch or page, head, row, column] of floats, or of bytes with their scales."""

    scales: Array | None = None
    biases: Array | None = None
    bits = 0
    group_size = 0

    def __init__(self, name: str, given: Any, layout: str) -> None:
        self.name = name
        if isinstance(given, QuantizedKV):
            self.bits, self.group_size = given.bits, given.group_size
            self.values = _four(f"{name}.values", given.values, layout)
            expect_dtype(f"{_NAME}: {name}.values", self.values, np.uint8)
            self.scales = _four(f"{name}.scales", given.scales, layout)
            self.biases = _four(f"{name}.biases", given.biases, layout)
            self.dtype = self.scales.dtype
            self.width = self.values.shape[3] * 8 // self.bits
            shape = (*self.values.shape[:3], self.width // self.group_size)
            for label, array in (("scales", self.scales), ("biases", self.biases)):
                expect_shape(f"{_NAME}: {name}.{label}", array, shape)
                expect_dtype(f"{_NAME}: {name}.{label}", array, self.dtype)
            if element_strides(self.scales) != element_strides(self.biases):
                raise InvalidValue(f"{_NAME}: {name}.scales and {name}.biases have other strides")
        else:
            self.values = _four(name, given, layout)
            self.dtype = self.values.dtype
            self.width = self.values.shape[3]
        expect_dtype(f"{_NAME}: {name}", np.empty(0, self.dtype), *FLOATS)
        self.batches, self.heads, self.rows = self.values.shape[:3]
        for array in self.arrays.values():
            steps = element_strides(array)
            if array.size and (min(steps) < 0 or (array.shape[3] > 1 and steps[3] != 1)):
                raise Unsupported(
                    f"{_NAME}: {name} has strides of {array.strides} bytes; expected contiguous "
                    "columns (caches are not copied: see numpy.ascontiguousarray)"
                )

    @property
    def arrays(self) -> dict[str, Array]:
        if self.scales is None or self.biases is None:
            return {self.name: self.values}
        return {
            self.name: self.values,
            self.name + "_scales": self.scales,
            self.name + "_biases": self.biases,
        }

    def same_form(self, other: _Cache) -> bool:
        mine, others = (
            (x.bits, x.group_size, x.dtype, x.batches, x.heads, x.rows) for x in (self, other)
        )
        return mine == others


def merge(
    commands: Commands,
    o1: Any,
    lse1: Any,
    o2: Any,
    lse2: Any,
    *,
    layout: str = "BHND",
    out: Any = None,
    out_dtype: DTypeLike | None = None,
    lse: Any = None,
    copy: bool = False,
) -> Array:
    """Two outputs of attention -> that over the keys of both."""
    name = "merge_attention"
    commands.encoding(name)
    choice(f"{name}: layout", layout, LAYOUTS)
    given = {"o1": operand(f"{name}: o1", o1), "o2": operand(f"{name}: o2", o2)}
    first, second = given.values()
    dims = first.ndim
    if not 2 <= dims <= 4:
        raise InvalidValue(f"{name}: o1 has shape {first.shape}; expected 2 to 4 dimensions")
    expect_dtype(f"{name}: o1", first, *FLOATS)
    expect_dtype(f"{name}: o2", second, first.dtype)
    expect_shape(f"{name}: o2", second, first.shape)
    result = attention.output(name, out, out_dtype, first.shape, first.dtype)
    target = attention.ordered("out", result, dims, layout)
    parts = {}
    for key, array in given.items():
        part = attention.ordered(key, array, dims, layout)
        parts[key] = in_place(f"{name}: {key}", part, usable=attention.usable(part), copy=copy)
    batch, heads, rows, width = target.shape
    rows_shape = (batch, heads, rows)[4 - dims :]
    sums = {"lse1": lse1, "lse2": lse2}
    for key, value in sums.items():
        array = operand(f"{name}: {key}", value)
        expect_dtype(f"{name}: {key}", array, np.float32)
        expect_shape(f"{name}: {key}", array, rows_shape)
        sums[key] = in_place(
            f"{name}: {key}", array, usable=attention.contiguous_rows(array), copy=copy
        )
    total = _sums(f"{name}: lse", lse, rows_shape)
    in_place(f"{name}: out", target, usable=attention.usable(target), copy=False)
    expect_output(f"{name}: out", result, lse=total, **parts, **sums)
    if total is not None:
        expect_output(f"{name}: lse", total, **parts, **sums)
    if min(target.shape) == 0:
        return result
    desc = native.struct(
        "mfa_merge_desc", B=batch, H=heads, R=rows, Dv=width,
        type=native.number(TYPES[first.dtype.name]), o_type=native.number(TYPES[result.dtype.name]),
    )  # fmt: skip
    operands = native.struct("mfa_merge_operands")
    placed = {"first": parts["o1"], "second": parts["o2"], "o": target}
    for key, array in placed.items():
        scores.set_strides(getattr(desc, key), array)
        scores.set_place(commands, getattr(operands, key), array, output=array is target)
    lses = {"first_lse": sums["lse1"], "second_lse": sums["lse2"]}
    if total is not None:
        lses["lse"] = total
    for key, array in lses.items():
        steps = _lse_strides(array[(None,) * (4 - dims)])
        setattr(desc, key + "_batch", steps[0])
        setattr(desc, key + "_head", steps[1])
        scores.set_place(commands, getattr(operands, key), array, output=array is total)
    native.operation("mfa_merge_attention", commands.handle, desc, operands)
    return result


def _four(name: str, value: Any, layout: str) -> Array:
    """A view as [batch, head, row, column]."""
    array = operand(f"{_NAME}: {name}", value)
    if array.ndim != 4:
        raise InvalidValue(f"{_NAME}: {name} has shape {array.shape}; expected 4 dimensions")
    return np.swapaxes(array, 1, 2) if layout == "BNHD" else array


def _sums(name: str, lse: Any, shape: tuple[int, ...]) -> Array | None:
    if lse is None:
        return None
    array = operand(name, lse)
    expect_dtype(name, array, np.float32)
    expect_shape(name, array, shape)
    return in_place(name, array, usable=attention.contiguous_rows(array), copy=False)


def _lse_strides(sums: Array) -> tuple[int, int]:
    steps = element_strides(sums)
    batch, head = (stride(step, n) for step, n in zip(steps[:2], sums.shape[:2], strict=True))
    return batch, head


def _integers(name: str, value: Any, shape: tuple[int | None, ...]) -> Array:
    """As contiguous uint32."""
    array = operand(f"{_NAME}: {name}", value)
    if array.dtype.kind not in "iu":
        raise InvalidType(f"{_NAME}: {name} has dtype {array.dtype.name}; expected integers")
    fits = array.ndim == len(shape) and all(
        wanted in (None, n) for n, wanted in zip(array.shape, shape, strict=True)
    )
    if not fits:
        wanted = str(shape).replace("None", "pages")
        raise InvalidValue(f"{_NAME}: {name} has shape {array.shape}; expected {wanted}")
    if array.size and int(array.min()) < 0:
        raise InvalidValue(f"{_NAME}: {name} has {int(array.min())}; expected nothing below 0")
    return np.ascontiguousarray(array, np.uint32)


def _splits(value: int | None) -> int:
    if value is None:
        return 0
    if value < 1:
        raise InvalidValue(f"{_NAME}: splits is {value}; expected at least 1")
    return value
