# SPDX-License-Identifier: MIT
"""Arrays -> copies that end, or begin, where memory does; to touch what lies beyond is fatal."""

from __future__ import annotations

import ctypes
import mmap
from typing import Any

import numpy as np

PAGE = mmap.PAGESIZE
_NONE = 0  # PROT_NONE
_libc = ctypes.CDLL(None, use_errno=True)
_libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]


def guarded(array: Any, *, alignment: int = 16, front: bool = False) -> Any:
    """A C-contiguous copy between two pages that cannot be touched.

    Its last byte is the last one before such a page, but for what `alignment` of the first byte
    needs; with `front` its first byte is the first one behind such a page.
    """
    bytes_ = array.nbytes
    inside = -(-bytes_ // PAGE) * PAGE
    memory = mmap.mmap(-1, inside + 2 * PAGE)
    whole = np.frombuffer(memory, np.uint8)
    for page in (0, inside + PAGE):
        if _libc.mprotect(whole.ctypes.data + page, PAGE, _NONE):
            raise OSError(ctypes.get_errno(), "mprotect")
    start = PAGE if front else PAGE + (inside - bytes_) // alignment * alignment
    copy = whole[start : start + bytes_].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy
