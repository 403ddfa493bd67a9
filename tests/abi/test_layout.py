# SPDX-License-Identifier: MIT
"""The structs and numbers of mfa.h -> a recorded table that old programs rely on.

`python tests/abi/test_layout.py` records what was added; nothing that is there may change.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import cffi
import pytest

ROOT = Path(__file__).resolve().parents[2]
TABLE = ROOT / "native" / "api" / "layout.txt"
HEADER = ROOT / "native" / "include" / "mfa.h"


def parse(header: str) -> Any:
    ffi = cffi.FFI()
    ffi.cdef(header[header.index("/* ---- cdef begin") : header.index("/* ---- cdef end")])
    return ffi


def layout(ffi: Any) -> str:
    """A line per struct and, below it, per field: offset and size. A line per enumerator."""
    lines = []
    typedefs, _structs, _unions = ffi.list_types()
    for name in sorted(typedefs):
        kind = ffi.typeof(name)
        if kind.kind == "struct":
            lines.append(f"{name} {ffi.sizeof(kind)}")
            for field, what in kind.fields:
                lines.append(f"  {field} {what.offset} {ffi.sizeof(what.type)}")
        elif kind.kind == "enum":
            lines.append(f"{name} {ffi.sizeof(kind)}")
            lines += [f"  {label} = {value}" for value, label in sorted(kind.elements.items())]
    return "\n".join(lines) + "\n"


def blocks(table: str) -> dict[str, list[str]]:
    """Name of a type -> its size, then its fields."""
    found: dict[str, list[str]] = {}
    name = ""
    for line in table.splitlines():
        if line.startswith("  "):
            found[name].append(line.strip())
        else:
            name, size = line.split()
            found[name] = [size]
    return found


def broken(old: str, new: str) -> list[str]:
    """What is no longer as a program compiled against the old table expects it."""
    now, wrong = blocks(new), []
    for name, (_size, *fields) in blocks(old).items():
        if name not in now:
            wrong.append(f"{name} is gone")
            continue
        there = now[name][1:]
        # Enumerators are sorted by value and may come in between.
        same = (
            set(fields) <= set(there) if "=" in "".join(fields) else there[: len(fields)] == fields
        )
        if not same:
            wrong.append(f"{name} was {fields}, is {there}")
    return wrong


def test_the_header_is_as_recorded() -> None:
    recorded, now = TABLE.read_text(), layout(parse(HEADER.read_text()))
    assert not broken(recorded, now), "fields may only be added at the end of a struct"
    assert recorded == now, "run `python tests/abi/test_layout.py` to record what was added"


def test_what_would_break_a_program_is_found() -> None:
    table = layout(parse(HEADER.read_text()))
    moved = table.replace("  M 8 8\n  N 16 8\n", "  N 8 8\n  M 16 8\n")
    assert moved != table
    assert broken(table, moved)
    assert broken(table, table.replace("  MFA_TIMEOUT = 13", "  MFA_TIMEOUT = 14"))
    assert broken(table, table.replace("mfa_operand 16", "mfa_other 16"))
    longer = re.sub(r"mfa_operand 16\n.*\n.*\n", r"\g<0>  more 16 8\n", table)
    assert longer != table
    assert not broken(table, longer)


def git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip("no git repository with a version before this one")
    return done.stdout


def test_the_previous_version_is_a_part_of_this_one() -> None:
    tag = git("describe", "--tags", "--abbrev=0").strip()
    old = git("show", f"{tag}:{TABLE.relative_to(ROOT)}")
    assert not broken(old, TABLE.read_text())


if __name__ == "__main__":
    table = layout(parse(HEADER.read_text()))
    wrong = broken(TABLE.read_text(), table) if TABLE.exists() else []
    if wrong:
        raise SystemExit("\n".join(wrong))
    TABLE.write_text(table)
