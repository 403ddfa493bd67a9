# SPDX-License-Identifier: MIT
# Made by cdef.py from mfa.h when the package is built.
from typing import Any

ffi: Any
