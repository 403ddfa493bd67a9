# SPDX-License-Identifier: MIT
"""Any kernel: turns arrays, buffers, bytes and numbers into bindings, and sizes into a grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import native
from ..arrays import view
from ..buffer import Buffer
from ..errors import InvalidType, InvalidValue
from ..library import Pipeline
from ..scalars import to_bytes

if TYPE_CHECKING:
    from ..commands import Commands

_INLINE = 4096  # bytes that a binding may carry by itself
Size = int | Sequence[int]


def encode(
    commands: Commands,
    pipeline: Pipeline,
    *,
    buffers: Mapping[int, Any],
    threadgroup_memory: Mapping[int, int],
    threadgroups: Size | None,
    threads: Size | None,
    threads_per_threadgroup: Size | None,
) -> None:
    commands.encoding("dispatch")
    if not isinstance(pipeline, Pipeline):
        raise InvalidType(
            f"dispatch: pipeline is a {type(pipeline).__name__}; expected a pymfa.Pipeline"
        )
    if pipeline.device != commands.device:
        raise InvalidValue(
            f"dispatch: {pipeline!r} cannot run in commands of {commands.device.name}"
        )
    given = threads if threads is not None else threadgroups
    if given is None or (threads is not None and threadgroups is not None):
        raise InvalidValue("dispatch: expected either threadgroups or threads")
    declared = {a.slot: a.metal_type for a in pipeline.arguments if a.kind == "buffer"}
    bindings = [
        _Binding(commands, slot, value, declared.get(slot)) for slot, value in buffers.items()
    ]
    fields = [binding.fields for binding in bindings]
    kind = native.number("MFA_BINDING_THREADGROUP")
    fields += [
        {"kind": kind, "slot": _slot(slot), "length": _count("threadgroup_memory", length)}
        for slot, length in threadgroup_memory.items()
    ]
    table = native.array("mfa_binding", fields)
    desc = native.struct(
        "mfa_dispatch_desc", pipeline=pipeline.handle, bindings=table, binding_count=len(fields),
        grid=_size("threads" if threads is not None else "threadgroups", given),
        grid_in_threads=threads is not None,
    )  # fmt: skip
    if threads_per_threadgroup is not None:
        desc.threads_per_threadgroup = _size("threads_per_threadgroup", threads_per_threadgroup)
    native.call("mfa_dispatch", commands.handle, desc)


class _Binding:
    """The fields of one mfa_binding, and the C memory they point to."""

    def __init__(self, commands: Commands, slot: Any, value: Any, metal_type: int | None) -> None:
        what = f"dispatch: buffer {slot}"
        self.fields: dict[str, Any] = {"slot": _slot(slot)}
        offset = 0
        if isinstance(value, tuple):
            value, offset = _pair(what, value)
        if isinstance(value, (bool, int, float)):
            if metal_type is None:
                raise InvalidType(f"{what} is {value!r}, but the kernel has no buffer there")
            value = to_bytes(what, value, metal_type)
        elif isinstance(value, np.generic):
            value = value.tobytes()
        if isinstance(value, bytes) and not offset and len(value) <= _INLINE:
            self.data = native.array("char", value)
            kind = native.number("MFA_BINDING_BYTES")
            self.fields |= {"kind": kind, "bytes": self.data, "length": len(value)}
            return
        if isinstance(value, Buffer):
            commands.memory.keep(value)
            buffer, start, length = value, 0, value.length
        else:
            array = view(what, value)
            if not array.flags.c_contiguous:
                raise InvalidValue(
                    f"{what} has shape {array.shape} and strides of {array.strides} bytes; "
                    "expected a contiguous array, or the array it is a view of with a byte offset"
                )
            buffer, start = commands.memory.place(array, output=array.flags.writeable)
            length = array.nbytes
        if offset > length:
            raise InvalidValue(f"{what}: byte offset {offset} is behind its end at {length}")
        kind = native.number("MFA_BINDING_BUFFER")
        self.fields |= {"kind": kind, "buffer": buffer.handle, "offset": start + offset}


def _pair(what: str, value: tuple[Any, ...]) -> tuple[Any, int]:
    if len(value) != 2:
        raise InvalidValue(f"{what} is a tuple of {len(value)}; expected (array, byte_offset)")
    return value[0], _count(f"{what}: byte_offset", value[1])


def _slot(slot: Any) -> int:
    return _count("a slot", slot)


def _count(name: str, value: Any) -> int:
    try:
        number = value.__index__()
    except AttributeError:
        kind = type(value).__name__
        raise InvalidType(f"dispatch: {name} is a {kind}; expected an integer") from None
    if not 0 <= number < 2**32:
        raise InvalidValue(f"dispatch: {name} is {number}; out of range")
    return int(number)


def _size(name: str, value: Size) -> list[int]:
    sizes = list(value) if isinstance(value, Sequence) else [value]
    if not 1 <= len(sizes) <= 3:
        raise InvalidValue(f"dispatch: {name} has {len(sizes)} dimensions; expected 1 to 3")
    counts = [_count(name, n) for n in sizes]
    return counts + [1] * (3 - len(counts))
