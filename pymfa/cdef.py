# SPDX-License-Identifier: MIT
"""Cuts the plain C part out of mfa.h and writes the cffi module from it: cdef.py HEADER OUTPUT."""

from __future__ import annotations

import sys
from pathlib import Path

import cffi

BEGIN, END = "cdef begin", "cdef end"


def cut(header: str) -> str:
    """The lines between the two markers."""
    lines = header.splitlines()
    begin = next(i for i, line in enumerate(lines) if BEGIN in line)
    end = next(i for i, line in enumerate(lines) if END in line and i > begin)
    return "\n".join(lines[begin + 1 : end])


def write(header: Path, output: Path) -> None:
    ffi = cffi.FFI()
    ffi.cdef(cut(header.read_text()))
    ffi.set_source("pymfa." + output.stem, None)
    ffi.emit_python_code(str(output))


if __name__ == "__main__":
    write(Path(sys.argv[1]), Path(sys.argv[2]))
