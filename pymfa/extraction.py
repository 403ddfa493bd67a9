# SPDX-License-Identifier: MIT
"""`python -m pymfa extract FILE`: the metallib inside libmfa -> a file."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from . import native


def embedded() -> bytes:
    """The library of pymfa's kernels, as Metal reads it."""
    data, length = native.out("const void*"), native.out("size_t")
    native.call("mfa_library_embedded", data, length)
    return native.read_bytes(data[0], int(length[0]))


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="pymfa extract",
        description="Writes the metallib with hgemm, sgemm, bgemm and attention, which keep the "
        "buffer slots and function constants of Metal FlashAttention 1.0, and with all other "
        "kernels. docs/API.md has the slots and constants.",
    )
    made.add_argument(
        "file", type=Path, help="the file to write, e.g. libMetalFlashAttention.metallib"
    )
    made.add_argument("--force", action="store_true", help="replace a file that exists")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    data = embedded()
    try:
        with options.file.open("wb" if options.force else "xb") as file:
            file.write(data)
    except FileExistsError:
        print(f"extract: {options.file} exists; --force replaces it", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"extract: {error}", file=sys.stderr)
        return 1
    print(f"{options.file}: {len(data)} bytes")
    return 0
