# SPDX-License-Identifier: MIT
"""The only module that touches libmfa: finds and loads it, calls it, turns statuses into errors."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from . import errors

_NAMES = {"darwin": "libmfa.dylib", "win32": "mfa.dll"}
_NAME = _NAMES.get(sys.platform, "libmfa.so")

# The fields of mfa_status and what each becomes; a name that is missing here is a Failure.
_ERRORS: dict[str, type[errors.Error]] = {
    "MFA_ERROR_INVALID_ARGUMENT": errors.InvalidValue,
    "MFA_ERROR_INVALID_TYPE": errors.InvalidType,
    "MFA_ERROR_OUT_OF_BOUNDS": errors.InvalidValue,
    "MFA_ERROR_OVERLAP": errors.InvalidValue,
    "MFA_ERROR_READ_ONLY": errors.InvalidValue,
    "MFA_ERROR_NOT_FOUND": errors.InvalidValue,
    "MFA_ERROR_UNSUPPORTED": errors.Unsupported,
    "MFA_ERROR_OUT_OF_MEMORY": errors.OutOfMemory,
    "MFA_ERROR_CORRUPT": errors.InvalidValue,
    "MFA_ERROR_COMPILE": errors.InvalidValue,
    "MFA_CANCELLED": errors.Cancelled,
}


def _load_ffi() -> Any:
    """Made from the header when the package was built.

    In a source tree MFA_ABI names the module that the build made, or MFA_HEADER the header, which
    takes a third of the time of `import pymfa` to read.
    """
    built, header = (os.environ.get(name) for name in ("MFA_ABI", "MFA_HEADER"))
    if built:
        spec = spec_from_file_location("pymfa._abi", built)
        assert spec and spec.loader
        module = module_from_spec(spec)
        try:
            spec.loader.exec_module(module)
        except OSError as error:
            raise errors.Failure(f"MFA_ABI names {built}: {error.strerror}") from None
        return module.ffi
    if header:
        from . import cdef

        try:
            return cdef.load(Path(header))
        except OSError as error:
            raise errors.Failure(f"MFA_HEADER names {header}: {error.strerror}") from None
    from ._abi import ffi

    return ffi


ffi = _load_ffi()


def library_path() -> Path:
    """MFA_LIBRARY, or the file beside this module."""
    given = os.environ.get("MFA_LIBRARY")
    return Path(given) if given else Path(__file__).with_name(_NAME)


@cache
def _library() -> Any:
    path = library_path()
    try:
        # Never unloaded: at exit Python may let go of the library before the last handle.
        return ffi.dlopen(str(path), ffi.RTLD_NOW | ffi.RTLD_NODELETE)
    except OSError as error:
        if path.exists():
            raise errors.Failure(f"cannot load {path}: {error}") from None
        raise errors.Failure(
            f"there is no {path}: install pymfa's wheel, or in its sources build with ./dev build "
            "and start Python with ./dev python; MFA_LIBRARY names the file elsewhere"
        ) from None


def number(name: str) -> int:
    """A constant of mfa.h."""
    return int(ffi.integer_const(name))


def enumerators(typename: str) -> dict[int, str]:
    return dict(ffi.typeof(typename).elements)


_functions: dict[str, Any] = {}  # of the library, which finds them more slowly


def function(name: str) -> Any:
    """The C function itself, which returns a status."""
    found = _functions.get(name)
    if found is None:
        found = _functions[name] = getattr(_library(), name)
    return found


def call(name: str, *arguments: Any) -> None:
    """Calls the function and raises what its status means."""
    status = (_functions.get(name) or function(name))(*arguments)
    if status != 0:
        raise error_of(int(status), last_error())


# Each is told of every operation: its function, descriptor and operands.
listeners: list[Callable[[str, Any, Any], None]] = []
_capturing = threading.local()


def operation(name: str, commands: Any, desc: Any, operands: Any) -> None:
    """Encodes an operation; without commands, runs it."""
    call(name, commands, desc, operands)
    captured = getattr(_capturing, "operations", None)
    if captured is not None:
        captured.append((name, _copy(desc), _copy(operands)))
    for listener in listeners:
        listener(name, desc, operands)


@contextmanager
def captured() -> Iterator[list[tuple[str, Any, Any]]]:
    """What this thread encodes meanwhile."""
    before = getattr(_capturing, "operations", None)
    operations: list[tuple[str, Any, Any]] = []
    _capturing.operations = operations
    try:
        yield operations
    finally:
        _capturing.operations = before
        if before is not None:
            before += operations


def error_of(status: int, message: str) -> errors.Error:
    name = enumerators("mfa_status").get(status, "")
    return _ERRORS.get(name, errors.Failure)(message or name)


def last_error() -> str:
    return text(_library().mfa_last_error())


def version() -> str:
    return text(_library().mfa_version())


def wait(commands: Any, seconds: float) -> bool:
    """False where the commands have not finished in time."""
    status = int(_library().mfa_commands_wait(commands, seconds))
    if status == number("MFA_TIMEOUT"):
        return False
    if status != 0:
        raise error_of(status, last_error())
    return True


def struct(typename: str, **fields: Any) -> Any:
    """A struct of zeros with its `size` set, and these fields."""
    value = ffi.new(typename + "*")
    value.size = ffi.sizeof(typename)
    for name, field in fields.items():
        try:
            setattr(value, name, field)
        except OverflowError:
            raise errors.InvalidValue(f"{typename}: {name} is {field!r}; out of range") from None
        except TypeError:
            kind = type(field).__name__
            raise errors.InvalidType(f"{typename}: {name} cannot be a {kind}") from None
    return value


def out(typename: str) -> Any:
    """Room for one result; read it with [0]."""
    return ffi.new(typename + "*")


def handle(kind: str, maker: str, *arguments: Any) -> Any:
    """Calls a function whose last argument receives a handle; the handle releases itself."""
    result = ffi.new(kind + "*")
    call(maker, *arguments, result)
    return ffi.gc(result[0], getattr(_library(), kind + "_release"))


def _copy(value: Any) -> Any:
    """A struct with the same fields, which keeps the first one alive for its pointers."""
    copied = ffi.new(ffi.typeof(value))
    copied[0] = value[0]
    return keep(copied, value)


def places(operands: Any) -> list[tuple[str, int, int]]:
    """Field, handle and offset of each buffer; nothing where there are other fields, too."""
    found = []
    for name, field in ffi.typeof(operands[0]).fields:
        if name == "size":
            continue
        if field.type.kind != "struct":
            return []
        operand = getattr(operands, name)
        if operand.buffer != ffi.NULL:
            found.append((name, address(operand.buffer), int(operand.offset)))
    return found


def name_of(value: Any) -> str:
    """The struct's."""
    return str(ffi.typeof(value[0]).cname)


def text(pointer: Any) -> str:
    if pointer == ffi.NULL:
        return ""
    data: bytes = ffi.string(pointer)
    return data.decode("utf-8", "replace")


def address(pointer: Any) -> int:
    return int(ffi.cast("uintptr_t", pointer))


_cast, _from_buffer, _uintptr = ffi.cast, ffi.from_buffer, ffi.typeof("uintptr_t")


def address_of(array: Any) -> int:
    """Of the bytes of something with the buffer protocol, without gaps."""
    return int(_cast(_uintptr, _from_buffer(array)))


def pointer(memory: int) -> Any:
    return ffi.cast("void*", memory)


def array(typename: str, values: Any) -> Any:
    return ffi.new(typename + "[]", values)


def copy_bytes(target: int, source: int, length: int) -> None:
    ffi.memmove(pointer(target), pointer(source), length)


def read_bytes(memory: Any, length: int) -> bytes:
    return bytes(ffi.buffer(memory, length))


def completion(function: Any) -> Any:
    """A C callback; whoever passes it on keeps it alive."""

    def call_back(_context: Any, status: int, message: Any) -> None:
        function(None if status == 0 else error_of(int(status), text(message)))

    return ffi.callback("mfa_completion", call_back)


def progress(function: Callable[[int, int], bool]) -> Any:
    """The same for mfa_progress."""

    def call_back(_context: Any, done: int, count: int) -> bool:
        return function(done, count)

    return ffi.callback("mfa_progress", call_back)


def fields(value: Any) -> dict[str, Any]:
    """What is not zero in a struct, in the structs it holds and in those it points to.

    Enumerators are given by name.
    """
    result = {}
    for name, field in ffi.typeof(value[0]).fields:
        found = _plain(getattr(value, name), field.type)
        if name != "size" and found not in (0, None, {}):
            result[name] = found
    return result


def _plain(value: Any, kind: Any) -> Any:
    if kind.kind == "enum":
        return kind.elements.get(int(value), int(value)) if value else 0
    if kind.kind == "struct":
        return fields(ffi.addressof(value))
    if kind.kind == "pointer":
        return None if value == ffi.NULL else fields(value)
    if kind.kind == "array":
        found = [_plain(item, kind.item) for item in value]
        return found if any(found) else 0
    return value


def fill(value: Any, given: Any) -> list[Any]:
    """The opposite of fields(). Returns what the struct now points to."""
    kept: list[Any] = []
    known = dict(ffi.typeof(value[0]).fields)
    if not isinstance(given, dict) or not given.keys() <= known.keys():
        strange = given if not isinstance(given, dict) else sorted(given.keys() - known.keys())
        raise errors.InvalidValue(f"{ffi.typeof(value[0]).cname} has no fields {strange!r}")
    for name, content in given.items():
        kind = known[name].type
        try:
            if kind.kind == "struct":
                kept += fill(ffi.addressof(value, name), content)
            elif kind.kind == "pointer":
                inner = struct(kind.item.cname.removeprefix("const ").removesuffix(" const"))
                kept += [inner, *fill(inner, content)]
                setattr(value, name, inner)
            elif kind.kind == "enum" and isinstance(content, str):
                setattr(value, name, kind.relements[content])
            else:
                setattr(value, name, content)
        except (TypeError, OverflowError, KeyError, IndexError) as error:
            raise errors.InvalidValue(
                f"{ffi.typeof(value[0]).cname}: {name} is {content!r}: {error}"
            ) from None
    return kept


# A struct that points to other C memory does not keep it alive; here it does.
_kept: WeakKeyDictionary[Any, tuple[Any, ...]] = WeakKeyDictionary()


def keep(value: Any, *needed: Any) -> Any:
    _kept[value] = needed
    return value


null = ffi.NULL
