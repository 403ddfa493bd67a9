# SPDX-License-Identifier: MIT
"""Which buffer and offset an array is, for one set of commands; results of copies brought back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import native
from .arrays import Array, bounds
from .arrays import address as address_of
from .buffer import Buffer, owner, wrap
from .errors import InvalidValue

if TYPE_CHECKING:
    from .hardware import Device


class Memory:
    """Keeps what commands use alive. Arrays over the same memory share one buffer."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._wrapped: dict[tuple[int, bool], tuple[Buffer, int]] = {}
        self._buffers: dict[int, Buffer] = {}
        self._copies: list[tuple[Buffer, int]] = []

    def place(
        self, array: Array, *, output: bool = False, address: int | None = None
    ) -> tuple[Buffer, int]:
        """The buffer and the byte offset of the array's first element, which is at `address`."""
        whole = owner(array)
        if address is None:
            address = address_of(array)
        if isinstance(whole, Buffer):
            self.keep(whole)
            return whole, address - whole.address
        key = (id(whole), bool(array.flags.writeable))
        if key not in self._wrapped:
            buffer = wrap(self._device, whole, read_only=not array.flags.writeable)
            self._wrapped[key] = (buffer, bounds(whole)[0])
        buffer, start = self._wrapped[key]
        if output and buffer.is_copy and (buffer, start) not in self._copies:
            self._copies.append((buffer, start))
        return buffer, address - start

    def put(self, operand: Any, array: Array, *, output: bool = False, offset: int = 0) -> None:
        """Sets an mfa_operand: the array's first element, or so many bytes behind it."""
        buffer, start = self.place(array, output=output)
        operand.buffer, operand.offset = buffer.handle, start + offset

    def starts(self) -> dict[int, int]:
        """Address of each buffer's handle -> that of its first byte in the caller's memory."""
        found = [(b, b.address) for b in self._buffers.values()]
        found += [(b, start) for b, start in self._wrapped.values() if not b.is_copy]
        return {native.address(buffer.handle): start for buffer, start in found}

    def keep(self, buffer: Buffer) -> None:
        if buffer.device != self._device:
            raise InvalidValue(
                f"{buffer!r} belongs to another device; expected one of {self._device.name}"
            )
        self._buffers[id(buffer)] = buffer

    def finish(self) -> None:
        """The work is done: bring results of copies to the caller's memory and let go."""
        for buffer, start in self._copies:
            native.copy_bytes(start, buffer.address, buffer.length)
        self.drop()

    def drop(self) -> None:
        self._wrapped.clear()
        self._buffers.clear()
        self._copies.clear()
