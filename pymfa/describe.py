# SPDX-License-Identifier: MIT
"""`python -m pymfa info`: what the library and its devices say of themselves."""

from __future__ import annotations

from . import native
from .hardware import devices


def info() -> int:
    """Prints the version, where the library is, and each device with its limits."""
    print(f"pymfa {native.version()}, {native.library_path()}")
    for found in devices():
        print(f"\n{found.name}: {found.description}")
        for name, value in found.limits().items():
            if name not in ("name", "description"):
                print(f"  {name.replace('_', ' '):28} {value}")
    return 0
