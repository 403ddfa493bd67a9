# SPDX-License-Identifier: MIT
"""A function's name -> its family, and a metallib's names -> a fixed, stratified sample."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

_TYPE = r"(?:bfloat16|float16|float32|complex64|complex32|bfloat|float|half|bool_|bool|u?int\d+)"
# Where the part begins that tells the instances of one template apart: a type, a number, or one
# or two letters with a number behind them, such as bm64.
_INSTANCE = re.compile(rf"{_TYPE}|(?:^|(?<=_))(?:[a-z]{{0,2}}\d+)(?:_|$)")
# "vn_copyint32", "gn4large_Addfloat16": how the operands lie, the operation, its types.
_ELEMENTWISE = re.compile(
    rf"[a-z]{{1,3}}\d?(?:large)?(?:_dynamic)?_(copy|[A-Z][A-Za-z0-9]*?)(?=_?{_TYPE})"
)


def family_of(name: str) -> str:
    elementwise = _ELEMENTWISE.match(name)
    if elementwise:
        return elementwise.group(1)
    found = _INSTANCE.search(name)
    stem = name[: found.start()] if found and found.start() else name
    return stem.strip("_") or name


def by_family(names: Iterable[str]) -> dict[str, list[str]]:
    """Families in alphabetical order, each with its functions in the library's order."""
    families: dict[str, list[str]] = {}
    for name in names:
        families.setdefault(family_of(name), []).append(name)
    return dict(sorted(families.items()))


def sample(names: Iterable[str], count: int) -> list[str]:
    """The same `count` names every time: one of each family, then in proportion to its size.

    With fewer places than families, as many families as there are places.
    """

    def order(text: str) -> bytes:
        return hashlib.sha256(text.encode()).digest()

    families = {key: sorted(group, key=order) for key, group in by_family(names).items()}
    total = sum(len(group) for group in families.values())
    # The n-th function of a family comes when its share of the sample has grown to n.
    ranked = [
        ((place * total / len(group)) if place else 0.0, order(group[place]), group[place])
        for group in families.values()
        for place in range(len(group))
    ]
    return [name for _, _, name in sorted(ranked)[:count]]
