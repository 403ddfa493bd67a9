# SPDX-License-Identifier: MIT
"""Attention to a cache: checks the arrays and encodes one call."""

from __future__ import annotations

import operator
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
from ..cache import QuantizedKV, expect_form
from ..errors import InvalidType, InvalidValue, Unsupported
from ..problem import LAYOUTS, TYPES, choice
from ..replay import Remembered
from . import heads, scores

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

    from ..commands import Commands
    from ..hardware import Device

_NAME = "attention_decode"


def encode(
    commands: Commands, q: Any, k: Any, v: Any, *, lengths: Any = None, block_table: Any = None,
    **options: Any,
) -> Array:  # fmt: skip
    """`copy`: q may be copied where no kernel reads it. Caches never are."""
    if lengths is None and block_table is None:
        return _all_keys(commands, q, k, v, **options)
    return _encode(commands, q, k, v, lengths=lengths, block_table=block_table, **options)


def run(
    device: Device, q: Any, k: Any, v: Any, *, lengths: Any = None, block_table: Any = None,
    **options: Any,
) -> Array:  # fmt: skip
    """The same for a single call, which is waited for."""
    if lengths is None and block_table is None:
        return _all_keys.run(device, q, k, v, **options)
    with device.commands() as commands:
        return _encode(
            commands, q, k, v, lengths=lengths, block_table=block_table, copy=True, **options
        )


def _encode(
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
    commands.encoding(_NAME)
    choice(f"{_NAME}: layout", layout, LAYOUTS)
    q = _four("q", q, layout)
    expect_dtype(f"{_NAME}: q", q, *FLOATS)
    batch, count, rows, width = q.shape
    caches = {"k": _Cache("k", k, layout), "v": _Cache("v", v, layout)}
    k, v = caches["k"], caches["v"]
    if not k.same_form(v):
        raise InvalidValue(
            f"{_NAME}: k and v are not stored in the same way: k is {k.form}, v is {v.form}; "
            "expected the same but for the width"
        )
    if k.width != width:
        raise InvalidValue(f"{_NAME}: k has {k.width} elements to a key; expected {width} as q has")
    heads.expect_width(_NAME, width, v.width)
    heads.expect_heads(_NAME, count, k.heads)

    if block_table is None:
        table = None
        columns = k.rows
        for name, cache in caches.items():
            if cache.batches != batch:
                raise InvalidValue(
                    f"{_NAME}: {name} has {cache.batches} batches; expected {batch} as q has"
                )
    else:
        table = _integers("block_table", block_table, (batch, None))
        columns = table.shape[1] * k.rows
    counts = None
    if lengths is not None:
        counts = _integers("lengths", lengths, (batch,))
        _expect_range("lengths has", counts, columns, "the keys that there is room for")
        counts = np.ascontiguousarray(counts, np.uint32)
    if table is not None:
        table = _pages(table, counts, k)

    shape = heads.unordered((batch, count, rows, v.width), 4, layout)
    result = heads.output(_NAME, out, out_dtype, shape, q.dtype)
    target = _four("out", result, layout)
    checked = scores.check(
        scores.Options(**options), (batch, count, rows, columns), copy=copy, name=_NAME
    )
    sums = None
    if lse is not None:
        sums = heads.sums(_NAME, "lse", lse, (batch, count, rows), copy=False)
    q = heads.readable(_NAME, "q", q, copy=copy)
    heads.readable(_NAME, "out", target, copy=False)
    stored = {**k.arrays, **v.arrays}
    inputs = {"q": q, **stored, **checked.arrays, "lengths": counts, "block_table": table}
    expect_output(f"{_NAME}: out", result, lse=sums, **inputs)
    if sums is not None:
        expect_output(f"{_NAME}: lse", sums, **inputs)
    if min(target.shape) == 0:
        return result

    options_desc = heads.describe(
        count, k.heads, width, v.width, q.dtype, target.dtype, B=batch, R=rows, C=columns
    )
    desc = native.struct(
        "mfa_decode_desc", attention=options_desc, bits=k.bits, group_size=k.group_size,
        kv_type=native.number(TYPES[k.dtype.name]), splits=_splits(splits),
        has_lengths=counts is not None,
    )  # fmt: skip
    native.keep(desc, options_desc)
    operands = native.struct("mfa_decode_operands")
    checked.set(commands, options_desc, operands)
    heads.put(commands, options_desc, operands, {"q": q, "o": target}, outputs=["o"])
    for name, cache in caches.items():
        heads.set_strides(getattr(options_desc, name), cache.values)
        if cache.scales is not None:
            heads.set_strides(getattr(desc, name + "_scales"), cache.scales)
    for name, array in stored.items():
        commands.memory.put(getattr(operands, name), array)
    if table is not None:
        desc.page_size, desc.pages = k.rows, k.batches
        commands.memory.put(operands.table, table)
    if counts is not None:
        commands.memory.put(operands.lengths, counts)
    if sums is not None:
        heads.put_sums(commands, options_desc, operands, "lse", sums, output=True)
    native.operation("mfa_attention_decode", commands.handle, desc, operands)
    return result


# What is in lengths and tables is looked at in every call.
_all_keys = Remembered(_encode)


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
            expect_form(f"{_NAME}: {name}", self.bits, self.group_size)
            self.values = _four(f"{name}.values", given.values, layout)
            expect_dtype(f"{_NAME}: {name}.values", self.values, np.uint8)
            self.scales = _four(f"{name}.scales", given.scales, layout)
            self.biases = _four(f"{name}.biases", given.biases, layout)
            self.dtype = self.scales.dtype
            expect_dtype(f"{_NAME}: {name}.scales", self.scales, *FLOATS)
            self.width = self.values.shape[3] * 8 // self.bits
            if self.width % self.group_size:
                raise InvalidValue(
                    f"{_NAME}: {name}.values has {self.width} numbers to a row; expected a "
                    f"multiple of group_size = {self.group_size}"
                )
            shape = (*self.values.shape[:3], self.width // self.group_size)
            for label, array in (("scales", self.scales), ("biases", self.biases)):
                expect_shape(f"{_NAME}: {name}.{label}", array, shape)
                expect_dtype(f"{_NAME}: {name}.{label}", array, self.dtype)
            if element_strides(self.scales) != element_strides(self.biases):
                raise InvalidValue(
                    f"{_NAME}: {name}.biases has strides of {self.biases.strides} bytes; expected "
                    f"{self.scales.strides} as {name}.scales has"
                )
        else:
            self.values = _four(name, given, layout)
            self.dtype = self.values.dtype
            self.width = self.values.shape[3]
            expect_dtype(f"{_NAME}: {name}", self.values, *FLOATS)
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

    @property
    def form(self) -> str:
        how = f" in {self.bits} bits, groups of {self.group_size}" if self.bits else ""
        return f"{self.batches} x {self.heads} x {self.rows} {self.dtype.name}{how}"


def _four(name: str, value: Any, layout: str) -> Array:
    """A view as [batch, head, row, column]."""
    array = operand(f"{_NAME}: {name}", value)
    if array.ndim != 4:
        raise InvalidValue(f"{_NAME}: {name} has shape {array.shape}; expected 4 dimensions")
    return np.swapaxes(array, 1, 2) if layout == "BNHD" else array


def _integers(name: str, value: Any, shape: tuple[int | None, ...]) -> Array:
    array = operand(f"{_NAME}: {name}", value)
    if array.dtype.kind not in "iu":
        raise InvalidType(f"{_NAME}: {name} has dtype {array.dtype.name}; expected integers")
    fits = array.ndim == len(shape) and all(
        wanted in (None, n) for n, wanted in zip(array.shape, shape, strict=True)
    )
    if not fits:
        wanted = str(shape).replace("None", "pages")
        raise InvalidValue(f"{_NAME}: {name} has shape {array.shape}; expected {wanted}")
    return array


def _expect_range(what: str, array: Array, most: int, why: str) -> None:
    if array.size and int(array.min()) < 0:
        raise InvalidValue(f"{_NAME}: {what} {int(array.min())}; expected nothing below 0")
    if array.size and int(array.max()) > most:
        raise InvalidValue(f"{_NAME}: {what} {int(array.max())}; expected at most {most}, {why}")


def _pages(table: Array, counts: Array | None, cache: _Cache) -> Array:
    """The table, with 0 where a batch has no keys: what is there is not read."""
    if counts is not None and cache.rows:
        used = -(-counts.astype(np.int64) // cache.rows)
        table = np.where(np.arange(table.shape[1]) < used[:, None], table, 0)
    most = cache.batches - 1
    _expect_range("block_table has page", table, most, f"k having {cache.batches} pages")
    return np.ascontiguousarray(table, np.uint32)


def _splits(value: int | None) -> int:
    if value is None:
        return 0
    try:
        splits = operator.index(value)
    except TypeError:
        kind = type(value).__name__
        raise InvalidType(f"{_NAME}: splits is a {kind}; expected an integer or None") from None
    if not 1 <= splits < 1 << 32:
        raise InvalidValue(f"{_NAME}: splits is {value}; expected 1 to 2**32 - 1")
    return splits
