# SPDX-License-Identifier: MIT
"""Generates the swizzles of vec<T, 2>, vec<T, 3> and vec<T, 4>."""
def swizzles() -> str:
    return ""
