# SPDX-License-Identifier: MIT
"""`python -m pymfa bench`: operations timed beside what a user would pick instead."""

from pymfa.bench.cli import main

__all__ = ["main"]
