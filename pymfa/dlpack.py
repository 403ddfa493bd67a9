# SPDX-License-Identifier: MIT
"""Turns a host DLPack tensor into a NumPy array over the same memory, bfloat16 included."""

from __future__ import annotations

import ctypes
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from .errors import InvalidType

_CPU = 1
_BFLOAT, _BITS = 4, 16


class _Tensor(ctypes.Structure):
    """struct DLTensor of dlpack.h, followed by the owner's fields this module leaves alone."""

    _fields_ = [
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    ]


class _BFloat16:
    """Publishes the tensor as 16-bit integers; the capsule stays its owner."""

    def __init__(self, capsule: object, tensor: _Tensor) -> None:
        self.capsule = capsule
        shape = tuple(tensor.shape[i] for i in range(tensor.ndim))
        strides = None
        if tensor.strides:
            strides = tuple(2 * tensor.strides[i] for i in range(tensor.ndim))
        self.__array_interface__ = {
            "version": 3,
            "typestr": "<u2",
            "shape": shape,
            "strides": strides,
            "data": ((tensor.data or 0) + tensor.byte_offset, False),
        }


def from_dlpack(name: str, value: Any) -> NDArray[Any]:
    """`value` has `__dlpack__`. NumPy imports every dtype but bfloat16, which is read here."""
    device_type = int(value.__dlpack_device__()[0])
    if device_type != _CPU:
        raise InvalidType(f"{name} is on DLPack device type {device_type}; expected host memory")
    try:
        return np.from_dlpack(value)
    except (BufferError, RuntimeError, TypeError) as error:
        try:
            capsule = value.__dlpack__()
        except Exception:
            raise InvalidType(f"{name} cannot be shared through DLPack: {error}") from None
        pointer = ctypes.pythonapi.PyCapsule_GetPointer
        pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
        tensor = ctypes.cast(pointer(capsule, b"dltensor"), ctypes.POINTER(_Tensor)).contents
        if (tensor.code, tensor.bits, tensor.lanes) != (_BFLOAT, _BITS, 1):
            raise InvalidType(f"{name} cannot be shared through DLPack: {error}") from None
        return np.asarray(_BFloat16(capsule, tensor)).view(ml_dtypes.bfloat16)
