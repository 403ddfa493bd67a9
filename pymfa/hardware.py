# SPDX-License-Identifier: MIT
"""Devices: what they are, and what is made on them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from . import buffer as buffers
from . import native
from .arrays import Array, view
from .buffer import Buffer
from .commands import Commands
from .errors import InvalidType, InvalidValue
from .handles import SharedHere
from .library import Library, open_bytes, open_default, open_file, open_source
from .preparation import Preparation
from .problem import Explanation, Problem

if TYPE_CHECKING:
    from numpy.typing import DTypeLike


class Device(SharedHere):
    """An Apple GPU, or this machine's CPU. Get one from pymfa.device() or pymfa.devices()."""

    _instead = "its name, for pymfa.device(name)"

    def __init__(self, handle: Any) -> None:
        info = native.struct("mfa_device_info")
        native.call("mfa_device_get_info", handle, info)
        self.handle = handle
        self.name = native.text(info.name)
        self.description = native.text(info.description)
        prefix = "MFA_BACKEND_"
        names = native.enumerators("mfa_backend")
        self.backend = names[int(info.backend)].removeprefix(prefix).lower()
        self.simd_width = int(info.simd_width)
        self.max_threads_per_threadgroup = int(info.max_threads_per_threadgroup)
        self.workers = int(info.workers)
        self.max_threadgroup_memory = int(info.max_threadgroup_memory)
        self.max_buffer_length = int(info.max_buffer_length)
        self.page_size = int(info.page_size)
        self.unified_memory = bool(info.unified_memory)
        self.cache_size = int(info.cache_size)

    def empty(self, shape: int | tuple[int, ...], dtype: DTypeLike = "float16") -> Array:
        """An array of zeros in a buffer of its own: page aligned and never copied."""
        import numpy as np

        dims = (shape,) if isinstance(shape, int) else tuple(shape)
        if any(n < 0 for n in dims):
            raise InvalidValue(f"Device.empty: shape {dims} has a negative size")
        length = int(np.prod(dims, dtype=np.int64)) * np.dtype(dtype).itemsize
        return buffers.allocate(self, length).array(dims, dtype)

    def buffer(self, source: Any) -> Buffer:
        """A new buffer of so many bytes, or one over the memory of an array."""
        if isinstance(source, int) and not isinstance(source, bool):
            if source < 0:
                raise InvalidValue(f"Device.buffer: {source} bytes; expected a size")
            return buffers.allocate(self, source)
        array = view("Device.buffer: source", source)
        return buffers.wrap(self, array, read_only=not array.flags.writeable)

    def commands(
        self, *, label: str | None = None, wait: bool = True, concurrent: bool = False
    ) -> Commands:
        """One command buffer. As a context it commits at the end, and with `wait` also waits.

        `concurrent`: operations that need nothing of each other may run at the same time.
        """
        return Commands(self, label=label, wait=wait, concurrent=concurrent)

    def library(
        self, path: str | os.PathLike[str] | None = None, *, source: str | None = None,
        data: Any = None, precise_math: bool = False,
    ) -> Library:  # fmt: skip
        """Kernels: from a metallib file or its bytes, from MSL source, or pymfa's own."""
        if sum(given is not None for given in (path, source, data)) > 1:
            raise InvalidValue("Device.library: expected only one of path, source and data")
        if source is not None:
            if not isinstance(source, str):
                raise InvalidType(f"Device.library: source is a {type(source).__name__}, not text")
            return open_source(self, source, precise_math=precise_math)
        if data is not None:
            return open_bytes(self, data)
        return open_default(self) if path is None else open_file(self, os.fspath(path))

    def prepare(
        self,
        problems: Iterable[Problem],
        *,
        progress: Callable[[int, int], object] | None = None,
        wait: bool = True,
    ) -> Preparation:
        """Compiles what these problems need, in parallel, so that they start at once later.

        progress(done, count) is called when one more pipeline is ready, on a thread of the library;
        returning False, cancel() and, while this waits, Ctrl-C leave out what has not begun.
        Without `wait` it goes on while the caller does other things.
        """
        started = Preparation(self.handle, problems, progress)
        if wait:
            started.wait()
        return started

    def supported(self, problem: Problem) -> tuple[bool, str]:
        """Whether the device can do it, and why not."""
        answer, reason = native.out("bool"), native.out("const char*")
        native.call("mfa_supported", self.handle, problem.to_native(), answer, reason)
        return bool(answer[0]), native.text(reason[0])

    def explain(self, problem: Problem) -> Explanation:
        """How it would be done. Compiles nothing."""
        explanation = native.struct("mfa_explanation")
        native.call("mfa_explain", self.handle, problem.to_native(), explanation)
        return Explanation.from_native(explanation)

    def set_tiles(self, rows: str | None) -> None:
        """Tiles to try before the built-in ones, as `python -m pymfa tune` prints them; or none."""
        if rows is not None and not isinstance(rows, str):
            raise InvalidType(f"Device.set_tiles: rows is a {type(rows).__name__}; expected text")
        encoded = native.null if rows is None else native.array("char", rows.encode() + b"\0")
        native.call("mfa_device_set_tiles", self.handle, encoded)

    def limits(self) -> Mapping[str, object]:
        """Everything the device says about itself."""
        return {name: value for name, value in vars(self).items() if name != "handle"}

    def __repr__(self) -> str:
        return f"<pymfa.Device {self.name}: {self.description}>"


@cache
def devices() -> tuple[Device, ...]:
    """Every device of this machine, the best first."""
    count = native.out("size_t")
    native.call("mfa_device_count", count)
    handles = (native.handle("mfa_device", "mfa_device_at", i) for i in range(int(count[0])))
    return tuple(Device(handle) for handle in handles)


def device(name: str | Device | None = None) -> Device:
    """A device by its name, such as "cpu", "reference" or "metal:0"; without one the default."""
    if isinstance(name, Device):
        return name
    if name is not None and not isinstance(name, str):
        raise InvalidType(f"device: name is a {type(name).__name__}; expected text")
    return _by_name(name)


@cache
def _by_name(name: str | None) -> Device:
    given = native.null if name is None else name.encode()
    opened = Device(native.handle("mfa_device", "mfa_device_open", given))
    return next((known for known in devices() if known.name == opened.name), opened)
