# SPDX-License-Identifier: MIT
"""`python -m pymfa inspect FILE [FUNCTION]`: what a library declares, what became of a kernel."""

from __future__ import annotations

import argparse
import fnmatch
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .conformance.constants import read_table, values_for
from .errors import Error, InvalidValue
from .hardware import Device, device
from .library import Constant, Function, Library, Pipeline

# Option -> the file that the compiler leaves of the stage, on the vector and the width-1 path.
_STAGES = {
    "air": ("specialized.ll", "specialized.ll"),
    "vector": ("vector.ll", "reference.ll"),
    "asm": ("vector.s", "reference.s"),
}


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="pymfa inspect",
        description="Lists the functions of a metallib or of MSL source: arguments with their "
        "slots and types, function constants, the AIR version. One function is also compiled, "
        "which tells its threadgroup memory, and shows the stages asked for.",
    )
    made.add_argument("file", help="a .metallib, or a .metal file to compile first")
    made.add_argument("function", nargs="?", default="*", help='a name, or a pattern: "*gemm*"')
    made.add_argument("--names", action="store_true", help="only names")
    made.add_argument("--constant", action="append", default=[], metavar="INDEX=VALUE",
                      help="a function constant, by index or name; vectors as 1,2,3. Others get "
                      "the value that `pymfa conformance` gives them")  # fmt: skip
    made.add_argument("--air", action="store_true",
                      help="the AIR of one lane, constants bound and simplified")  # fmt: skip
    made.add_argument("--vector", action="store_true", help="the program of 32 lanes, as LLVM IR")
    made.add_argument("--asm", action="store_true", help="the machine code")
    made.add_argument("--device", help="the device that reads and compiles it")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    try:
        return _inspect(options)
    except (Error, OSError) as error:
        print(f"inspect: {error}", file=sys.stderr)
        return 1


def _inspect(options: argparse.Namespace) -> int:
    opener = device(options.device)
    library = _open(opener, options.file)
    names = [n for n in library.functions if fnmatch.fnmatchcase(n, options.function)]
    if options.function in library.functions:
        names = [options.function]
    if not names:
        known = library.functions
        listed = ", ".join(known[:20]) + (", ..." if len(known) > 20 else "")
        raise InvalidValue(f"{options.file} has no function {options.function!r}; it has: {listed}")
    stages = [stage for stage in _STAGES if getattr(options, stage)]
    alone = len(names) == 1 and options.function != "*"
    if (stages or options.constant) and not alone:
        raise InvalidValue(
            f"{options.function!r} matches {len(names)} functions; expected one for its stages"
        )
    if options.names:
        print("\n".join(names))
    elif alone:
        _show(library, names[0], options.constant, stages)
    else:
        for name in names:
            print(describe(library.function(name)))
    print(f"{len(names)} of {len(library.functions)} functions", file=sys.stderr)
    return 0


def _open(opener: Device, file: str) -> Library:
    if file.endswith(".metal"):
        return opener.library(source=Path(file).read_text("utf-8"))
    return opener.library(file)


def describe(function: Function) -> str:
    """The function with a line for each argument and each constant."""
    notes = [] if function.is_kernel else ["not a kernel"]
    if any(function.air_version):
        notes.append("AIR {}.{}".format(*function.air_version))
        notes.append("MSL {}.{}".format(*function.language_version))
    lines = [function.name + (f"  ({', '.join(notes)})" if notes else "")]
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


def _show(library: Library, name: str, given: Sequence[str], stages: Sequence[str]) -> None:
    """One function: what it declares, what its pipeline needs, the stages of its compilation."""
    function = library.function(name)
    if not stages:
        print(describe(function))
    if not function.is_kernel:
        return
    constants = values_for(function, read_table()) | parse_constants(function, given)
    named = {c.index: c.name for c in function.constants}
    if constants:
        values = ", ".join(f"{named[int(i)]} = {v}" for i, v in constants.items())
        print(f"with {values}", file=sys.stderr)
    pipeline, texts = compile_stages(library, name, constants)
    if not stages:
        active = {(a.kind, a.slot) for a in pipeline.arguments if a.used}
        idle = [a for a in function.arguments if a.used and (a.kind, a.slot) not in active]
        for argument in idle:
            print(f"  {argument.kind}({argument.slot}) is not needed with these constants")
        print(f"  threadgroup memory  {pipeline.static_threadgroup_memory} bytes of its own")
        print(f"  at most {pipeline.max_threads_per_threadgroup} threads per threadgroup")
        if pipeline.code_bytes:
            print(f"  {pipeline.code_bytes} bytes of machine code")
    for stage in stages:
        found = [texts[file] for file in _STAGES[stage] if file in texts]
        if not found:
            raise InvalidValue(f"{library.device.name} does not tell the stage --{stage}")
        print(found[0], end="")


def compile_stages(
    library: Library, name: str, constants: Mapping[int | str, Any]
) -> tuple[Pipeline, dict[str, str]]:
    """The pipeline, and what the compiler writes to MFA_DUMP meanwhile, by the end of the name."""
    before = os.environ.get("MFA_DUMP")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MFA_DUMP"] = folder
        try:
            pipeline = library.pipeline(name, constants)
        finally:
            if before is None:
                del os.environ["MFA_DUMP"]
            else:
                os.environ["MFA_DUMP"] = before
        texts = {}
        for file in Path(folder).iterdir():
            stage = ".".join(file.name.split(".")[-2:])
            texts[stage] = file.read_text("utf-8", "replace")
    return pipeline, texts


def parse_constants(function: Function, given: Sequence[str]) -> dict[int | str, Any]:
    """["3=true", "size=1,2"] -> {3: True, 5: [1, 2]}, by the types the function declares."""
    values: dict[int | str, Any] = {}
    for text in given:
        key, equals, value = text.partition("=")
        constant = _declared(function, key)
        if not equals or constant is None:
            known = ", ".join(f"{c.index} ({c.name}, {c.type})" for c in function.constants)
            raise InvalidValue(
                f"--constant {text!r}: expected INDEX=VALUE for a constant of {function.name}: "
                f"{known or 'it has none'}"
            )
        parts = [_number(text, part, constant) for part in value.split(",")]
        values[constant.index] = parts if len(parts) > 1 else parts[0]
    return values


def _declared(function: Function, key: str) -> Constant | None:
    return next((c for c in function.constants if key in (str(c.index), c.name)), None)


def _number(text: str, part: str, constant: Constant) -> bool | int | float:
    scalar = constant.type.rstrip("234")
    try:
        if scalar == "bool":
            return {"true": True, "1": True, "false": False, "0": False}[part.lower()]
        return float(part) if scalar in ("float", "half", "bfloat") else int(part, 0)
    except (KeyError, ValueError):
        raise InvalidValue(f"--constant {text!r}: {part!r} is no {scalar}") from None
