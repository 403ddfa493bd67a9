# SPDX-License-Identifier: MIT
"""Calls of Python seen before -> the calls of libmfa that they became, on arrays of now.

To check and describe arrays takes Python longer than a small operation takes. What comes of it
depends only on options and layouts: it is kept, and done again with the addresses of other arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np

from . import native
from .arrays import Array, address, bounds, reach

if TYPE_CHECKING:
    from .commands import Commands
    from .hardware import Device

_LIMIT = 1024  # of each kind of thing that is kept; then all of it is forgotten

# Arguments that hold arrays -> the attributes that say all about them.
HOLDERS: dict[type, tuple[str, ...]] = {}
_PLAIN = frozenset({type(None), bool, int, float, str, type})
_WRITTEN = ("out", "lse")  # options that are outputs

_Key = tuple[Hashable, ...]
_Operation = tuple[str, Any, Any]  # function, descriptor, operands


class Remembered:
    """An encoder, called as before; `run` is for single calls, which need no Commands."""

    def __init__(self, encode: Callable[..., Array]) -> None:
        self._encode = encode
        self.__doc__ = encode.__doc__

    def __call__(
        self, commands: Commands, *arguments: Any, copy: bool = False, **options: Any
    ) -> Array:
        seen = _look(self, arguments, options)
        return self._encoded(seen, commands, arguments, options, copy=copy)

    def run(self, device: Device, *arguments: Any, **options: Any) -> Array:
        """Encodes, runs and waits."""
        seen = _look(self, arguments, options)
        if seen is not None:
            call = _known.get(seen[0])
            if call is not None and device.backend != "metal":
                result = call.at_once(device, seen[1])
                if result is not None:
                    return result
        with device.commands() as commands:
            return self._encoded(seen, commands, arguments, options, copy=True)

    def _encoded(
        self, seen: tuple[_Key, list[Array]] | None, commands: Commands, arguments: Any,
        options: dict[str, Any], *, copy: bool,
    ) -> Array:  # fmt: skip
        if seen is None or options.get("dropout"):  # a seed is for one call
            return self._encode(commands, *arguments, copy=copy, **options)
        key, arrays = seen
        known = _known.get(key)
        if known is not None and commands.encodes:
            done = known.encode(commands, arrays)
            if done is not None:
                return done
        with native.captured() as operations:
            result = self._encode(commands, *arguments, copy=copy, **options)
        written = [options[name] for name in _WRITTEN if options.get(name) is not None]
        call = _learn(commands, operations, arrays, written, result)
        if call is not None:
            _keep(_known, key, call)
        return result


@dataclass(frozen=True)
class _Step:
    function: str
    desc: Any
    operands: str  # its struct
    places: tuple[tuple[str, int, int], ...]  # field, array, bytes behind its first element

    def filled(self, found: Mapping[int, tuple[Any, int]]) -> Any:
        """`found`: a buffer's handle for each array, and where in it its first element is."""
        operands = native.struct(self.operands)
        for field, array, offset in self.places:
            operand = getattr(operands, field)
            operand.buffer, start = found[array]
            operand.offset = start + offset
        return operands


@dataclass(frozen=True, eq=False)
class _Call:
    """The last array is the result where it is made anew."""

    steps: tuple[_Step, ...]
    written: tuple[int, ...]
    result: int
    made: tuple[tuple[int, ...], Any] | None  # shape and type
    used: tuple[int, ...]
    reach: tuple[tuple[int, int], ...]

    def encode(self, commands: Commands, given: list[Array]) -> Array | None:
        """None where the arrays' places need a closer look."""
        arrays = self._all(given)
        addresses = [address(x) for x in arrays]
        if not self._apart(addresses):
            return None
        found = {}
        for i in self.used:
            buffer, start = commands.memory.place(
                arrays[i], output=i in self.written, address=addresses[i]
            )
            found[i] = buffer.handle, start
        for step in self.steps:
            native.operation(step.function, commands.handle, step.desc, step.filled(found))
        return arrays[self.result]

    def at_once(self, device: Device, given: list[Array]) -> Array | None:
        """The same, run and waited for.

        The buffers are over addresses, whoever has them: that is enough while the caller holds the
        arrays, and on devices that have the memory of the process, which an Apple GPU has not.
        """
        arrays = self._all(given)
        addresses = [address(x) for x in arrays]
        place = (self, device, *addresses)
        placed = _placed.get(place)
        if placed is None:
            if not self._apart(addresses):
                return None
            found = {}
            for i in self.used:
                low, high = (addresses[i] + end for end in self.reach[i])
                found[i] = (
                    _wrapped(device, low, high, arrays[i].flags.writeable),
                    addresses[i] - low,
                )
            placed = [(s.function, s.desc, s.filled(found)) for s in self.steps], found
            _keep(_placed, place, placed)
        operations = placed[0]
        if len(operations) == 1:
            function, desc, operands = operations[0]
            native.operation(function, native.null, desc, operands)
        else:
            commands = native.handle("mfa_commands", "mfa_commands_begin", device.handle)
            for function, desc, operands in operations:
                native.operation(function, commands, desc, operands)
            native.call("mfa_commands_run", commands)
        return arrays[self.result]

    def _all(self, given: list[Array]) -> list[Array]:
        """With the result."""
        return given if self.made is None else [*given, np.empty(*self.made)]

    def _apart(self, addresses: list[int]) -> bool:
        """What is written lies clear of everything else. False: perhaps not."""
        for i in self.written:
            low, high = (addresses[i] + end for end in self.reach[i])
            for j, (place, (first, last)) in enumerate(zip(addresses, self.reach, strict=True)):
                if i != j and low < place + last and place + first < high:
                    return False
        return True


_forms: dict[_Key, _Form] = {}
_known: dict[_Key, _Call] = {}
_placed: dict[_Key, tuple[list[_Operation], Any]] = {}  # and the buffers they are on
_buffers: dict[_Key, Any] = {}


def _look(
    encode: Remembered, arguments: tuple[Any, ...], options: dict[str, Any]
) -> tuple[_Key, list[Array]] | None:
    """All that decides what a call becomes, and its arrays. None: something else may."""
    values = (*arguments, *options.values())
    kinds = tuple(map(type, values))
    form = _forms.get(kinds)
    if form is None:
        form = _Form(kinds)
        _keep(_forms, kinds, form)
    if form.plain is not None:
        arrays = [values[i] for i in form.arrays]
        if len(set(map(id, arrays))) == len(arrays):
            layouts = [(x.shape, x.strides, x.dtype, x.flags.writeable) for x in arrays]
            return (encode, kinds, form.plain(values), *layouts), arrays
    key: list[Any] = [encode]
    arrays = []
    return (tuple(key), arrays) if _add(key, arrays, values) else None


class _Form:
    """Which of a call's values are arrays; how to get the others, if they are all plain."""

    def __init__(self, kinds: tuple[type, ...]) -> None:
        self.arrays = [i for i, kind in enumerate(kinds) if kind is np.ndarray]
        others = [i for i, kind in enumerate(kinds) if kind is not np.ndarray]
        plain = bool(others) and all(kinds[i] in _PLAIN for i in others)
        self.plain = itemgetter(*others) if plain else None


def _add(key: list[Any], arrays: list[Array], values: tuple[Any, ...]) -> bool:
    kinds = tuple(map(type, values))
    key.append(kinds)  # 1, 1.0 and True are equal
    for value, kind in zip(values, kinds, strict=True):
        if kind in _PLAIN:
            key.append(value)
        elif kind is np.ndarray:
            for i, array in enumerate(arrays):
                if array is value:
                    key.append(i)
                    break
            else:
                arrays.append(value)
                key.append((value.shape, value.strides, value.dtype, value.flags.writeable))
        elif kind in (tuple, list):
            key.append(repr(value))
        elif kind in HOLDERS:
            if not _add(key, arrays, tuple(getattr(value, name) for name in HOLDERS[kind])):
                return False
        elif isinstance(value, np.dtype):
            key.append(value)
        else:
            return False
    return True


def _learn(
    commands: Commands, operations: list[_Operation], arrays: list[Array], written: list[Any],
    result: Any,
) -> _Call | None:  # fmt: skip
    """None where an operation used other memory than the arrays', or they share some."""
    made = None
    if all(result is not x for x in arrays):
        if type(result) is not np.ndarray or result.base is not None:
            return None
        made = (result.shape, result.dtype)
        arrays, written = [*arrays, result], [*written, result]
    ends = [bounds(x) for x in arrays]
    apart = sorted(end for end in ends if end[0] < end[1])
    if not operations or any(b[0] < a[1] for a, b in pairwise(apart)):
        return None
    starts = commands.memory.starts()
    steps = []
    for function, desc, operands in operations:
        places = []
        used_buffers = native.places(operands)
        if not used_buffers:
            return None
        for field, handle, offset in used_buffers:
            if handle not in starts:
                return None
            place = starts[handle] + offset
            at = [i for i, (low, high) in enumerate(ends) if low <= place < high]
            if not at:
                return None
            places.append((field, at[0], place - address(arrays[at[0]])))
        steps.append(_Step(function, desc, native.name_of(operands), tuple(places)))
    index = next(i for i, x in enumerate(arrays) if x is result)
    outputs = tuple(i for i, x in enumerate(arrays) if any(x is y for y in written))
    used = tuple({array for step in steps for _, array, _ in step.places})
    return _Call(tuple(steps), outputs, index, made, used, tuple(map(reach, arrays)))


def _wrapped(device: Device, low: int, high: int, writeable: bool) -> Any:
    """A buffer over these bytes."""
    key = (device, low, high, writeable)
    handle = _buffers.get(key)
    if handle is None:
        handle = native.handle(
            "mfa_buffer", "mfa_buffer_wrap", device.handle, native.pointer(low), high - low,
            0 if writeable else native.number("MFA_WRAP_READ_ONLY"), native.null, native.null,
        )  # fmt: skip
        _keep(_buffers, key, handle)
    return handle


def _keep(kept: dict[_Key, Any], key: _Key, value: Any) -> None:
    if len(kept) >= _LIMIT:
        kept.clear()
    kept[key] = value
