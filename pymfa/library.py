# SPDX-License-Identifier: MIT
"""Libraries of kernels, what their functions take, and pipelines made from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import native
from .arrays import bounds, view
from .errors import InvalidType, InvalidValue
from .handles import SharedHere
from .scalars import to_bytes, type_name

if TYPE_CHECKING:
    from .hardware import Device


@dataclass(frozen=True)
class Argument:
    """What a caller binds: a buffer or threadgroup memory at a slot."""

    name: str
    kind: str  # buffer, threadgroup, texture, sampler, function_table
    slot: int
    access: str  # read, read_write, write
    type: str  # as MSL spells it
    type_size: int
    type_alignment: int
    used: bool
    metal_type: int


@dataclass(frozen=True)
class Constant:
    """A function constant."""

    name: str
    index: int
    type: str
    required: bool
    metal_type: int


@dataclass(frozen=True)
class Function:
    """What the metallib says about one function."""

    name: str
    is_kernel: bool
    arguments: tuple[Argument, ...]
    constants: tuple[Constant, ...]
    air_version: tuple[int, ...]  # (0, 0) where the device does not tell
    language_version: tuple[int, ...]


class Library(SharedHere):
    """The functions of a metallib. Made by Device.library."""

    _instead = "its path or source, for Device.library"

    def __init__(self, device: Device, handle: Any) -> None:
        self.device = device
        self.handle = handle

    @cached_property
    def functions(self) -> tuple[str, ...]:
        """Names, in the library's order."""
        count, name = native.out("size_t"), native.out("const char*")
        native.call("mfa_library_function_count", self.handle, count)
        names = []
        for i in range(int(count[0])):
            native.call("mfa_library_function_name", self.handle, i, name)
            names.append(native.text(name[0]))
        return tuple(names)

    def function(self, name: str) -> Function:
        info = native.struct("mfa_function_info")
        native.call("mfa_library_function_info", self.handle, _encoded(name), info)
        return Function(
            name=native.text(info.name),
            is_kernel=bool(info.is_kernel),
            arguments=_arguments(info.arguments, int(info.argument_count)),
            constants=tuple(_constant(info.constants[i]) for i in range(int(info.constant_count))),
            air_version=tuple(int(v) for v in info.air_version),
            language_version=tuple(int(v) for v in info.language_version),
        )

    def pipeline(self, name: str, constants: Mapping[int | str, Any] | None = None) -> Pipeline:
        """Compiles a kernel for these function constants, given by index or by name."""
        encoded = _encoded(name)
        values, kept = [], []
        for key, value in (constants or {}).items():
            declared = self._declared(name, key)
            data = native.array("char", to_bytes(_what(name, declared), value, declared.metal_type))
            kept.append(data)
            values.append((native.null, declared.index, declared.metal_type, data))
        table = native.array("mfa_constant_value", values)
        handle = native.handle(
            "mfa_pipeline", "mfa_pipeline_new", self.handle, encoded, table, len(values)
        )
        return Pipeline(self, handle)

    def _declared(self, function: str, key: int | str) -> Constant:
        constants = self.function(function).constants
        for constant in constants:
            if key in (constant.index, constant.name):
                return constant
        known = ", ".join(f"{c.index} ({c.name})" for c in constants) or "none"
        raise InvalidValue(
            f"Library.pipeline: {function} has no function constant {key!r}; expected {known}"
        )

    def __repr__(self) -> str:
        return f"<pymfa.Library of {len(self.functions)} functions on {self.device.name}>"


class Pipeline(SharedHere):
    """A kernel ready to run. Made by Library.pipeline."""

    _instead = "its library and function, for Library.pipeline"

    def __init__(self, library: Library, handle: Any) -> None:
        info = native.struct("mfa_pipeline_info")
        native.call("mfa_pipeline_get_info", handle, info)
        self.library = library
        self.device = library.device
        self.handle = handle
        self.function = native.text(info.function)
        self.max_threads_per_threadgroup = int(info.max_threads_per_threadgroup)
        self.simd_width = int(info.simd_width)
        self.static_threadgroup_memory = int(info.static_threadgroup_memory)
        self.code_bytes = int(info.code_bytes)
        self.arguments = _arguments(info.arguments, int(info.argument_count))

    def __repr__(self) -> str:
        return f"<pymfa.Pipeline {self.function} on {self.device.name}>"


def open_default(device: Device) -> Library:
    return Library(device, native.handle("mfa_library", "mfa_library_default", device.handle))


def open_file(device: Device, path: str) -> Library:
    handle = native.handle(
        "mfa_library", "mfa_library_open_file", device.handle, str(Path(path)).encode()
    )
    return Library(device, handle)


def open_bytes(device: Device, data: Any) -> Library:
    array = view("Device.library: data", data)
    if not array.flags.c_contiguous:
        raise InvalidValue("Device.library: data is not contiguous")
    low, high = bounds(array)
    handle = native.handle(
        "mfa_library", "mfa_library_open", device.handle, native.pointer(low), high - low
    )
    return Library(device, handle)


def open_source(device: Device, source: str, *, precise_math: bool) -> Library:
    options = native.struct("mfa_compile_options", precise_math=precise_math)
    handle = native.handle(
        "mfa_library", "mfa_library_from_source", device.handle, source.encode(), options
    )
    return Library(device, handle)


def _arguments(pointer: Any, count: int) -> tuple[Argument, ...]:
    return tuple(_argument(pointer[i]) for i in range(count))


def _argument(value: Any) -> Argument:
    return Argument(
        name=native.text(value.name),
        kind=_enumerator("mfa_argument_kind", "MFA_ARGUMENT_", value.kind),
        slot=int(value.slot),
        access=_enumerator("mfa_access", "MFA_ACCESS_", value.access),
        type=type_name(int(value.type)),
        type_size=int(value.type_size),
        type_alignment=int(value.type_alignment),
        used=bool(value.used),
        metal_type=int(value.type),
    )


def _constant(value: Any) -> Constant:
    return Constant(
        name=native.text(value.name),
        index=int(value.index),
        type=type_name(int(value.type)),
        required=bool(value.required),
        metal_type=int(value.type),
    )


def _enumerator(typename: str, prefix: str, value: Any) -> str:
    names = native.enumerators(typename)
    return names.get(int(value), str(value)).removeprefix(prefix).lower()


def _encoded(name: str) -> bytes:
    if not isinstance(name, str):
        raise InvalidType(f"Library: a function name is text, not a {type(name).__name__}")
    return name.encode()


def _what(function: str, constant: Constant) -> str:
    return f"Library.pipeline: {function}: constant {constant.index} ({constant.name})"
