# SPDX-License-Identifier: MIT
"""Layouts seen before -> the descriptor made then: a second call checks only what can differ."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import native
from ..arrays import Array

if TYPE_CHECKING:
    from ..commands import Commands

_LIMIT = 4096  # descriptors kept; then all are forgotten


@dataclass(frozen=True)
class Ready:
    """One call of the C ABI, or several with other offsets, for arrays of known layouts."""

    function: str
    desc: Any
    operands: str  # its struct
    fields: tuple[str, ...]  # of the operands, one for each array; the last array is the output
    offsets: Sequence[tuple[int, ...]]  # bytes from each array's first element, one tuple a call
    reach: tuple[tuple[int, int], ...]  # bytes before and behind each array's first element

    def apart(self, places: Sequence[int]) -> bool:
        """The output lies clear of every input. False: perhaps not."""
        low, high = (places[-1] + end for end in self.reach[-1])
        return all(
            high <= place + first or place + last <= low
            for place, (first, last) in zip(places[:-1], self.reach, strict=False)
        )

    def encode(self, commands: Commands, arrays: Sequence[Array], places: Sequence[int]) -> None:
        """`places`: addresses of the arrays' first elements."""
        operands = native.struct(self.operands)
        last = len(arrays) - 1
        found = [
            commands.memory.place(array, output=i == last, address=place)
            for i, (array, place) in enumerate(zip(arrays, places, strict=True))
        ]
        for offsets in self.offsets:
            for field, (buffer, start), offset in zip(self.fields, found, offsets, strict=True):
                operand = getattr(operands, field)
                operand.buffer, operand.offset = buffer.handle, start + offset
            native.call(self.function, commands.handle, self.desc, operands)


_known: dict[Hashable, Ready] = {}


def key(*parts: Any) -> Hashable | None:
    """What a descriptor depends on; arrays count as their layouts. None: cannot be looked up."""
    result = tuple(
        (part.shape, part.strides, part.dtype) if type(part) is np.ndarray else part
        for part in parts
    )
    try:
        hash(result)
    except TypeError:
        return None
    return result


def find(key: Hashable | None) -> Ready | None:
    return None if key is None else _known.get(key)


def remember(key: Hashable | None, ready: Ready) -> None:
    if key is None:
        return
    if len(_known) >= _LIMIT:
        _known.clear()
    _known[key] = ready
