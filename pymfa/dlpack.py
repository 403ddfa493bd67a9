# SPDX-License-Identifier: MIT
"""Host memory through DLPack, bfloat16 included: tensors as NumPy arrays, and arrays as tensors."""

from __future__ import annotations

import ctypes
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from .errors import InvalidType

_CPU = 1
_HOST = (_CPU, 3, 11, 13)  # also pinned for CUDA or ROCm, and CUDA's managed memory
_VERSION = (1, 0)  # the first that can say "read-only"
_READ_ONLY = 1
_BFLOAT, _BITS = 4, 16


class _Tensor(ctypes.Structure):
    """struct DLTensor of dlpack.h."""

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


class _Versioned(ctypes.Structure):
    """DLManagedTensorVersioned. Before version 1 the tensor came first, without flags."""

    _fields_ = [
        ("major", ctypes.c_uint32),
        ("minor", ctypes.c_uint32),
        ("context", ctypes.c_void_p),
        ("deleter", ctypes.c_void_p),
        ("flags", ctypes.c_uint64),
        ("tensor", _Tensor),
    ]


def _content(capsule: object) -> tuple[_Tensor, bool]:
    """The tensor in a capsule that nobody has taken over, and whether it may be written.

    A capsule without a version does not tell: like NumPy, this takes it as read-only.
    """
    valid, pointer = ctypes.pythonapi.PyCapsule_IsValid, ctypes.pythonapi.PyCapsule_GetPointer
    valid.argtypes = pointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
    pointer.restype = ctypes.c_void_p
    if valid(capsule, b"dltensor_versioned"):
        memory = pointer(capsule, b"dltensor_versioned")
        versioned = ctypes.cast(memory, ctypes.POINTER(_Versioned)).contents
        return versioned.tensor, not versioned.flags & _READ_ONLY
    memory = pointer(capsule, b"dltensor")
    return ctypes.cast(memory, ctypes.POINTER(_Tensor)).contents, False


class _BFloat16:
    """Publishes the tensor as 16-bit integers; the capsule stays its owner."""

    def __init__(self, capsule: object, tensor: _Tensor, writable: bool) -> None:
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
            "data": ((tensor.data or 0) + tensor.byte_offset, not writable),
        }


def from_dlpack(name: str, value: Any) -> NDArray[Any]:
    """`value` has `__dlpack__`. NumPy imports every dtype but bfloat16, which is read here."""
    try:
        device_type = int(value.__dlpack_device__()[0])
    except (BufferError, RuntimeError, ValueError) as error:
        raise InvalidType(f"{name} cannot be shared through DLPack: {error}") from None
    if device_type not in _HOST:
        return _from_buffer(name, value, device_type)
    try:
        return np.from_dlpack(value)
    except (BufferError, RuntimeError, TypeError) as error:
        try:
            capsule = _capsule(value)
        except Exception:
            raise InvalidType(f"{name} cannot be shared through DLPack: {error}") from None
        tensor, writable = _content(capsule)
        if (tensor.code, tensor.bits, tensor.lanes) != (_BFLOAT, _BITS, 1):
            raise InvalidType(f"{name} cannot be shared through DLPack: {error}") from None
        return np.asarray(_BFloat16(capsule, tensor, writable)).view(ml_dtypes.bfloat16)


def _capsule(value: Any) -> object:
    try:
        return value.__dlpack__(max_version=_VERSION)
    except TypeError:  # made before there were versions
        return value.__dlpack__()


def _from_buffer(name: str, value: Any, device_type: int) -> NDArray[Any]:
    """On Apple systems MLX calls its memory the GPU's, and shares it as a buffer all the same."""
    try:
        return np.asarray(memoryview(value))
    except (TypeError, ValueError, BufferError):
        raise InvalidType(
            f"{name} is on DLPack device type {device_type}; expected host memory"
        ) from None


class Exported:
    """An array that other libraries can import through DLPack. Made by as_dlpack."""

    def __init__(self, array: NDArray[Any]) -> None:
        self.array = array

    def __dlpack_device__(self) -> tuple[int, int]:
        return (_CPU, 0)

    def __dlpack__(self, **options: Any) -> object:
        given = {name: option for name, option in options.items() if option is not None}
        if self.array.dtype != ml_dtypes.bfloat16:
            return self.array.__dlpack__(**given)
        # NumPy knows no bfloat16: it exports integers of that size, and they get their true name.
        capsule: object = self.array.view(np.uint16).__dlpack__(**given)
        tensor, _ = _content(capsule)
        tensor.code = _BFLOAT
        return capsule

    def __repr__(self) -> str:
        return f"<pymfa DLPack tensor {self.array.shape} of {self.array.dtype.name}>"


def as_dlpack(array: Any) -> Exported:
    """The array for torch.from_dlpack, jax.dlpack.from_dlpack and mlx.core.from_dlpack.

    The memory is shared. NumPy's arrays can be given to these functions as they are, unless they
    are bfloat16, which NumPy does not export. A read-only array is exported only to libraries that
    ask for DLPack 1.0 or later, where it stays read-only; else BufferError is raised.
    """
    from .arrays import view

    return Exported(view("as_dlpack: array", array))
