# SPDX-License-Identifier: MIT
"""Cuts the plain C part out of mfa.h and turns it into cffi's module: cdef.py HEADER OUTPUT."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import cffi
from cffi import recompiler

BEGIN, END = "cdef begin", "cdef end"


def cut(header: str) -> str:
    """The lines between the two markers."""
    lines = header.splitlines()
    begin = next(i for i, line in enumerate(lines) if BEGIN in line)
    end = next(i for i, line in enumerate(lines) if END in line and i > begin)
    return "\n".join(lines[begin + 1 : end])


def module(header: Path) -> str:
    """The source of a Python module whose `ffi` knows everything that the header declares."""
    ffi = cffi.FFI()
    ffi.cdef(cut(header.read_text()))
    ffi.set_source("pymfa._abi", None)
    source = io.StringIO()
    recompiler.make_py_source(ffi, "pymfa._abi", source)
    return source.getvalue()


def load(header: Path) -> Any:
    """The same `ffi` without a file."""
    namespace: dict[str, Any] = {}
    exec(module(header), namespace)
    return namespace["ffi"]


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(module(Path(sys.argv[1])))
