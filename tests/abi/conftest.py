# SPDX-License-Identifier: MIT
"""libmfa through cffi's ABI mode: the real mfa.h and the dynamic library, nothing else."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cffi
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
HEADER = Path(os.environ.get("MFA_HEADER", ROOT / "native" / "include" / "mfa.h"))
LIBRARY = os.environ.get("MFA_LIBRARY", "")

TYPES = {"half": "HALF", "float": "FLOAT", "bfloat": "BFLOAT"}


class Abi:
    """The library with what makes tests short."""

    def __init__(self) -> None:
        self.header = HEADER.read_text()
        begin = self.header.index("/* ---- cdef begin")
        end = self.header.index("/* ---- cdef end")
        self.declarations = self.header[begin:end]
        self.ffi = cffi.FFI()
        self.ffi.cdef(self.declarations)
        self.lib: Any = self.ffi.dlopen(LIBRARY)
        self.null = self.ffi.NULL

    def functions(self) -> list[str]:
        """Every function the header declares."""
        plain = re.sub(r"/\*.*?\*/", "", self.declarations, flags=re.S)
        plain = re.sub(r"\{[^{}]*\}", "", plain)
        statements = [s for s in plain.split(";") if "typedef" not in s]
        found = [re.search(r"\b(mfa_\w+)\s*\(", s) for s in statements]
        return sorted(f.group(1) for f in found if f)

    def name(self, status: int) -> str:
        return self.string(self.lib.mfa_status_name(status))

    def string(self, text: Any) -> str:
        raw: bytes = self.ffi.string(text)
        return raw.decode()

    def error(self) -> str:
        return self.string(self.lib.mfa_last_error())

    def check(self, status: int) -> None:
        assert status == self.lib.MFA_OK, f"{self.name(status)}: {self.error()}"

    def struct(self, type_name: str, **fields: Any) -> Any:
        """A struct with its size set, and a dictionary or value per field."""
        made = self.ffi.new(type_name + " *")
        if "size" in dir(made):
            made.size = self.ffi.sizeof(type_name)
        for field, value in fields.items():
            if isinstance(value, dict):
                for inner, number in value.items():
                    setattr(getattr(made, field), inner, number)
            else:
                setattr(made, field, value)
        return made

    def out(self, type_name: str, function: str, *arguments: Any) -> Any:
        """Calls a function whose last parameter is written to; returns what was written."""
        slot = self.ffi.new(type_name + " *")
        self.check(getattr(self.lib, function)(*arguments, slot))
        return slot[0]

    def info(self, type_name: str, function: str, *arguments: Any) -> Any:
        filled = self.struct(type_name)
        self.check(getattr(self.lib, function)(*arguments, filled))
        return filled

    def pointer(self, array: np.ndarray[Any, Any]) -> Any:
        return self.ffi.cast("void *", array.ctypes.data)


class Device:
    """A device and the handles a test makes on it, released after the test."""

    def __init__(self, abi: Abi, name: str) -> None:
        self.abi, self.name = abi, name
        self.handle = abi.out("mfa_device", "mfa_device_open", name.encode())
        self.made: list[tuple[str, Any]] = []
        self.kept: list[Any] = []

    def keep(self, kind: str, handle: Any) -> Any:
        self.made.append((kind, handle))
        return handle

    def close(self) -> None:
        for kind, handle in reversed(self.made):
            getattr(self.abi.lib, f"mfa_{kind}_release")(handle)
        self.made.clear()
        self.kept.clear()

    def wrap(self, array: np.ndarray[Any, Any], read_only: bool = False) -> Any:
        self.kept.append(array)
        abi = self.abi
        return self.keep(
            "buffer",
            abi.out(
                "mfa_buffer",
                "mfa_buffer_wrap",
                self.handle,
                abi.pointer(array),
                array.nbytes,
                abi.lib.MFA_WRAP_READ_ONLY if read_only else 0,
                abi.null,
                abi.null,
            ),
        )

    def new(self, length: int) -> Any:
        return self.keep(
            "buffer",
            self.abi.out(
                "mfa_buffer",
                "mfa_buffer_new",
                self.handle,
                length,
                self.abi.lib.MFA_STORAGE_DEFAULT,
            ),
        )

    def commands(self) -> Any:
        return self.keep(
            "commands", self.abi.out("mfa_commands", "mfa_commands_begin", self.handle)
        )

    def source(self, text: str) -> Any:
        return self.keep(
            "library",
            self.abi.out(
                "mfa_library", "mfa_library_from_source", self.handle, text.encode(), self.abi.null
            ),
        )

    def pipeline(self, library: Any, function: str, constants: Any = (), count: int = 0) -> Any:
        return self.keep(
            "pipeline",
            self.abi.out(
                "mfa_pipeline",
                "mfa_pipeline_new",
                library,
                function.encode(),
                constants or self.abi.null,
                count,
            ),
        )


@pytest.fixture(scope="session")
def abi() -> Abi:
    if not LIBRARY:
        pytest.skip("MFA_LIBRARY does not name libmfa")
    return Abi()


def _names() -> list[str]:
    if not LIBRARY:
        return ["default"]
    abi = Abi()
    count = abi.out("size_t", "mfa_device_count")
    names = []
    for index in range(count):
        handle = abi.out("mfa_device", "mfa_device_at", index)
        names.append(abi.string(abi.info("mfa_device_info", "mfa_device_get_info", handle).name))
        abi.check(abi.lib.mfa_device_release(handle))
    return names


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """`device` is every device; `first` is the default one, for what no device changes."""
    if "device" in metafunc.fixturenames:
        metafunc.parametrize("device", _names(), indirect=True)


def _opened(abi: Abi, name: str) -> Iterator[Device]:
    device = Device(abi, name)
    yield device
    device.close()
    abi.check(abi.lib.mfa_device_release(device.handle))


@pytest.fixture
def device(abi: Abi, request: pytest.FixtureRequest) -> Iterator[Device]:
    yield from _opened(abi, request.param)


@pytest.fixture
def first(abi: Abi) -> Iterator[Device]:
    yield from _opened(abi, "default")
