# SPDX-License-Identifier: MIT
"""`python -m pymfa tune`: measures tiles on this device and prints tuning tables."""

from .cli import main

__all__ = ["main"]
