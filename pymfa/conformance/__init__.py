# SPDX-License-Identifier: MIT
"""`python -m pymfa conformance FILE`: a pipeline for every function of a metallib, and a table."""

from .cli import main

__all__ = ["main"]
