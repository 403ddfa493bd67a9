# SPDX-License-Identifier: MIT
"""`python -m pymfa info` and `inspect FILE`: what devices and libraries say of themselves."""

from __future__ import annotations

import argparse
import fnmatch
import sys
from collections.abc import Sequence

from . import native
from .errors import Error
from .hardware import device, devices
from .library import Function


def info() -> int:
    """Prints the version, where the library is, and each device with its limits."""
    print(f"pymfa {native.version()}, {native.library_path()}")
    for found in devices():
        print(f"\n{found.name}: {found.description}")
        for name, value in found.limits().items():
            if name not in ("name", "description"):
                print(f"  {name.replace('_', ' '):28} {value}")
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="pymfa inspect", description="Lists the functions of a metallib or of MSL source."
    )
    parser.add_argument("file", help="a .metallib, or a .metal file to compile first")
    parser.add_argument("pattern", nargs="?", default="*", help='names to show, such as "*gemm*"')
    parser.add_argument("--names", action="store_true", help="only names")
    parser.add_argument("--device", help="the device that reads it")
    options = parser.parse_args(arguments)
    try:
        return _inspect(options)
    except (Error, OSError) as error:
        print(f"inspect: {error}", file=sys.stderr)
        return 1


def _inspect(options: argparse.Namespace) -> int:
    opener = device(options.device)
    if options.file.endswith(".metal"):
        with open(options.file, encoding="utf-8") as file:  # noqa: PTH123
            library = opener.library(source=file.read())
    else:
        library = opener.library(options.file)
    names = [n for n in library.functions if fnmatch.fnmatchcase(n, options.pattern)]
    for name in names:
        print(name if options.names else describe(library.function(name)))
    print(f"{len(names)} of {len(library.functions)} functions", file=sys.stderr)
    return 0


def describe(function: Function) -> str:
    """The function with a line for each argument and each constant."""
    lines = [function.name if function.is_kernel else f"{function.name} (not a kernel)"]
    for argument in function.arguments:
        size = f", {argument.type_size} bytes" if argument.type_size else ""
        unused = "" if argument.used else ", unused"
        lines.append(
            f"  {argument.kind}({argument.slot})  {argument.type} {argument.name}  "
            f"{argument.access}{size}{unused}"
        )
    for constant in function.constants:
        optional = "" if constant.required else "  optional"
        lines.append(f"  constant({constant.index})  {constant.type} {constant.name}{optional}")
    return "\n".join(lines)
