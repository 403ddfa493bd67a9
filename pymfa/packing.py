# SPDX-License-Identifier: MIT
"""Numbers of 1 to 8 bits <-> bytes that hold them one after another, as qgemm reads them."""

from __future__ import annotations

import numpy as np

from .arrays import Array


def pack(numbers: Array, bits: int, *, msb_first: bool = False) -> Array:
    """The last axis as bytes; the last byte is filled up with zeros.

    Eight numbers are `bits` bytes: they meet in one 64-bit integer.
    """
    *lead, count = numbers.shape
    blocks = -(-count // 8)
    padded = np.zeros((*lead, blocks * 8), np.uint8)
    padded[..., :count] = numbers
    eight = padded.reshape(*lead, blocks, 8)
    joined = np.zeros((*lead, blocks), np.uint64)
    for i in range(8):
        shift = np.uint64(bits * (7 - i if msb_first else i))
        joined |= eight[..., i].astype(np.uint64) << shift
    whole = joined.astype(">u8" if msb_first else "<u8")[..., None].view(np.uint8)
    used = whole[..., 8 - bits :] if msb_first else whole[..., :bits]
    return np.ascontiguousarray(used.reshape(*lead, blocks * bits)[..., : -(-count * bits // 8)])


def unpack(data: Array, bits: int, count: int, *, msb_first: bool = False) -> Array:
    """The first `count` numbers of the last axis, as uint8."""
    *lead, length = data.shape
    blocks = -(-count // 8)
    padded = np.zeros((*lead, blocks * bits), np.uint8)
    padded[..., : min(length, blocks * bits)] = data[..., : blocks * bits]
    whole = np.zeros((*lead, blocks, 8), np.uint8)
    bytes_ = padded.reshape(*lead, blocks, bits)
    if msb_first:
        whole[..., 8 - bits :] = bytes_
    else:
        whole[..., :bits] = bytes_
    joined = whole.view(">u8" if msb_first else "<u8")[..., 0]
    numbers = np.empty((*lead, blocks, 8), np.uint8)
    for i in range(8):
        shift = np.uint64(bits * (7 - i if msb_first else i))
        numbers[..., i] = (joined >> shift) & np.uint64((1 << bits) - 1)
    return np.ascontiguousarray(numbers.reshape(*lead, blocks * 8)[..., :count])
