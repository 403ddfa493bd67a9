# SPDX-License-Identifier: MIT
"""Memory that a device works on, and NumPy arrays over it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import DTypeLike

from . import native
from .arrays import Array, bounds
from .errors import InvalidValue
from .handles import OfThisProcess

if TYPE_CHECKING:
    from .hardware import Device


class Buffer(OfThisProcess):
    """Shared storage: made by Device.empty and Device.buffer, kept alive by arrays over it."""

    _instead = "an array over it, as numpy.asarray gives"

    def __init__(self, device: Device, handle: Any, owner: object = None) -> None:
        info = native.struct("mfa_buffer_info")
        native.call("mfa_buffer_get_info", handle, info)
        self.device = device
        self.handle = handle
        self.address = native.address(info.contents)
        self.length = int(info.length)
        self.is_copy = bool(info.is_copy)
        self.read_only = bool(info.read_only)
        self._owner = owner  # the memory's, where it was wrapped

    @property
    def __array_interface__(self) -> dict[str, Any]:
        return {
            "version": 3,
            "typestr": "|u1",
            "shape": (self.length,),
            "data": (self.address, self.read_only),
        }

    def array(self, shape: int | tuple[int, ...], dtype: DTypeLike, byte_offset: int = 0) -> Array:
        """An array over a part of the buffer, without a copy."""
        dtype = np.dtype(dtype)
        shape = (shape,) if isinstance(shape, int) else tuple(shape)
        needed = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        if byte_offset < 0 or byte_offset + needed > self.length:
            raise InvalidValue(
                f"Buffer.array: {needed} bytes at {byte_offset} of a buffer of {self.length}"
            )
        return np.asarray(self)[byte_offset : byte_offset + needed].view(dtype).reshape(shape)

    def __len__(self) -> int:
        return self.length

    def __repr__(self) -> str:
        kind = ", copy" if self.is_copy else ""
        return f"<pymfa.Buffer of {self.length} bytes on {self.device.name}{kind}>"


def allocate(device: Device, length: int) -> Buffer:
    storage = native.number("MFA_STORAGE_SHARED")
    return Buffer(
        device, native.handle("mfa_buffer", "mfa_buffer_new", device.handle, length, storage)
    )


def wrap(device: Device, array: Array, *, read_only: bool) -> Buffer:
    """A buffer over all bytes that the array reaches; the buffer keeps the array alive."""
    low, high = bounds(array)
    flags = native.number("MFA_WRAP_READ_ONLY") if read_only else 0
    handle = native.handle(
        "mfa_buffer", "mfa_buffer_wrap", device.handle, native.pointer(low), high - low, flags,
        native.null, native.null,
    )  # fmt: skip
    return Buffer(device, handle, array)


def owner(array: Array) -> Buffer | Array:
    """The Buffer that an array is a view of, else the outermost array over the same memory."""
    outermost = array
    base: Any = array
    while base is not None:
        if isinstance(base, Buffer):
            return base
        if isinstance(base, np.ndarray):
            outermost = base
        base = getattr(base, "base", None)
    return outermost
