# SPDX-License-Identifier: MIT
"""Sentence embeddings with a real transformer: `python -m pymfa demo`."""

from .cli import main

__all__ = ["main"]
