# SPDX-License-Identifier: MIT
"""A function's declared constants -> values to make its pipeline with."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from ..library import Function

Table = list[tuple[re.Pattern[str], dict[str, Any]]]


def read_table(extra: Path | None = None) -> Table:
    """The package's own table, and the entries of a file of the same form behind it."""
    texts = [files(__package__).joinpath("constants.toml").read_text("utf-8")]
    if extra is not None:
        texts.append(extra.read_text("utf-8"))
    return [
        (re.compile(pattern), values)
        for text in texts
        for pattern, values in tomllib.loads(text).items()
    ]


def values_for(function: Function, table: Table) -> dict[int | str, Any]:
    """Every constant: what the table says of its name, else false, 1 or 1.0 by its type."""
    named: dict[str, Any] = {}
    for pattern, values in table:
        if pattern.fullmatch(function.name):
            named.update(values)
    return {c.index: named.get(c.name, default(c.type)) for c in function.constants}


def default(metal_type: str) -> bool | int | float | Sequence[Any]:
    scalar = metal_type.rstrip("234")
    value: Any = False if scalar == "bool" else 1.0 if scalar in ("float", "half", "bfloat") else 1
    width = metal_type[len(scalar) :]
    return [value] * int(width) if width else value
