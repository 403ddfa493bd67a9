# SPDX-License-Identifier: MIT
"""Python and NumPy values as the bytes of a Metal data type, and the names of those types."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from . import native
from .arrays import bfloat16
from .errors import InvalidType, InvalidValue

# MSL's name of each scalar type, with the dtype it has in NumPy.
_SCALARS: dict[str, np.dtype[Any]] = {
    "float": np.dtype(np.float32),
    "half": np.dtype(np.float16),
    "bfloat": bfloat16,
    "int": np.dtype(np.int32),
    "uint": np.dtype(np.uint32),
    "short": np.dtype(np.int16),
    "ushort": np.dtype(np.uint16),
    "char": np.dtype(np.int8),
    "uchar": np.dtype(np.uint8),
    "bool": np.dtype(np.bool_),
    "long": np.dtype(np.int64),
    "ulong": np.dtype(np.uint64),
}


@cache
def _types() -> dict[int, tuple[str, int]]:
    """mfa_type -> scalar name and number of components: 1, or 2 to 4 for the vectors."""
    return {
        native.number("MFA_TYPE_" + name.upper()) + width - 1: (name, width)
        for name in _SCALARS
        for width in (1, 2, 3, 4)
    }


def type_name(metal_type: int) -> str:
    """As MSL spells it: uint, float4, struct."""
    if metal_type in _types():
        name, width = _types()[metal_type]
        return name if width == 1 else f"{name}{width}"
    full = native.enumerators("mfa_type").get(metal_type, f"type {metal_type}")
    return full.removeprefix("MFA_TYPE_").lower()


def to_bytes(what: str, value: Any, metal_type: int) -> bytes:
    """The value in that type. A NumPy scalar must be of the type; a Python number must fit it."""
    if metal_type not in _types():
        raise InvalidType(f"{what} is of {type_name(metal_type)}, which has no Python value")
    name, width = _types()[metal_type]
    if width == 1:
        return _scalar(what, value, name)
    try:
        parts = list(value)
    except TypeError:
        parts = []
    if len(parts) != width:
        raise InvalidType(f"{what} is {value!r}; expected {width} values for {name}{width}")
    stored = 4 if width == 3 else width  # a vector of three fills the room of four
    data = b"".join(_scalar(what, part, name) for part in parts)
    return data.ljust(stored * _SCALARS[name].itemsize, b"\0")


def _scalar(what: str, value: Any, name: str) -> bytes:
    dtype = _SCALARS[name]
    if isinstance(value, (np.generic, np.ndarray)):
        if value.dtype != dtype or value.ndim:
            raise InvalidType(f"{what} is a {value.dtype.name}; expected {name} ({dtype.name})")
        return value.tobytes()
    kinds: dict[str, Any] = {"b": bool, "i": int, "u": int}
    expected = kinds.get(dtype.kind, (int, float))
    if not isinstance(value, expected) or (isinstance(value, bool) and dtype.kind != "b"):
        raise InvalidType(f"{what} is {value!r}; expected a value for {name}")
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        if not limits.min <= int(value) <= limits.max:
            raise InvalidValue(f"{what} is {value!r}, out of range for {name}")
    return np.array(value, dtype).tobytes()
