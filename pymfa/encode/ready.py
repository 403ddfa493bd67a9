# SPDX-License-Identifier: MIT
"""Layouts seen before -> the descriptor made then: a second call checks only what can differ."""

from __future__ import annotations

import weakref
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import native
from ..arrays import Array
from ..buffer import Buffer, owner

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
        last = len(arrays) - 1
        found = [
            commands.memory.place(array, output=i == last, address=place)
            for i, (array, place) in enumerate(zip(arrays, places, strict=True))
        ]
        self.call(commands.handle, found)

    def call(self, commands: Any, found: Sequence[tuple[Buffer, int]]) -> None:
        """`found`: the buffer of each array and the byte where its first element lies."""
        for offsets in self.offsets:
            native.operation(self.function, commands, self.desc, self.filled(found, offsets))

    def filled(self, found: Sequence[tuple[Buffer, int]], offsets: Sequence[int]) -> Any:
        operands = native.struct(self.operands)
        for field, (buffer, start), offset in zip(self.fields, found, offsets, strict=True):
            operand = getattr(operands, field)
            operand.buffer, operand.offset = buffer.handle, start + offset
        return operands


@dataclass(frozen=True)
class _Single:
    """A call on these very arrays, which lie in buffers of one device."""

    arrays: tuple[weakref.ref[Array], ...]
    call: Ready
    operands: Any


_known: dict[Hashable, Ready] = {}
_singles: dict[tuple[Hashable, ...], _Single] = {}


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


def at_once(key: Hashable | None, arrays: Sequence[Array]) -> bool:
    """Runs one known call by itself, the output last: a third of the cost of making commands.

    False: it has to be done the long way.
    """
    ids = (key, *map(id, arrays))
    single = _singles.get(ids)
    if single is None or any(ref() is not x for ref, x in zip(single.arrays, arrays, strict=True)):
        single = _single(key, arrays)
        if single is None:
            return False
        if len(_singles) >= _LIMIT:
            _singles.clear()
        _singles[ids] = single
    if not arrays[-1].flags.writeable:
        return False
    native.operation(single.call.function, native.null, single.call.desc, single.operands)
    return True


def _single(key: Hashable | None, arrays: Sequence[Array]) -> _Single | None:
    call = find(key)
    if call is None or len(call.offsets) != 1:
        return None
    places = [x.ctypes.data for x in arrays]
    found: list[tuple[Buffer, int]] = []
    for array, place in zip(arrays, places, strict=True):
        buffer = owner(array)
        if not isinstance(buffer, Buffer) or (found and buffer.device is not found[0][0].device):
            return None
        found.append((buffer, place - buffer.address))
    if not call.apart(places):
        return None
    return _Single(tuple(map(weakref.ref, arrays)), call, call.filled(found, call.offsets[0]))


def remember(key: Hashable | None, ready: Ready) -> None:
    if key is None:
        return
    if len(_known) >= _LIMIT:
        _known.clear()
    _known[key] = ready
