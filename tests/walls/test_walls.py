# SPDX-License-Identifier: MIT
"""The layers' walls: who may include whom, and what may not stand in any file."""

import json
import os
import re
import shlex
import subprocess
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NATIVE = ROOT / "native"

# What a folder below native/ may include beside itself. Calls go down, so includes do.
BELOW = {
    "base": set(),
    "objc": set(),
    "exec": {"base"},
    "air": {"base", "exec"},
    "simd": {"base", "exec", "air"},
    "jit": {"base", "exec", "air", "simd"},
    "metalc": {"base", "air"},
    "metal": {"base", "exec", "air", "jit", "metalc"},
    "host": {"base", "kernels"},
    "api": {"base", "host", "kernels", "include"},
    "include": set(),
}
LLVM = {"air", "simd", "jit", "metalc"}
OBJECTIVE_C = {"api", "host", "metal", "objc"}
METAL_HEADER = NATIVE / "include" / "mfa_metal.h"  # for programs that use Metal themselves
C_SUFFIXES = {".c", ".h", ".cpp", ".m", ".mm", ".metal"}
LONGEST = 1000  # lines of a file; the median is about 150


def tracked() -> list[Path]:
    names = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    return [ROOT / name for name in names if (ROOT / name).is_file()]


FILES = tracked()
NATIVE_FILES = [f for f in FILES if f.is_relative_to(NATIVE) and f.suffix in C_SUFFIXES]


def layer(file: Path) -> str:
    return file.relative_to(NATIVE).parts[0]


def includes(file: Path) -> list[str]:
    return re.findall(r'^\s*#\s*(?:include|import)\s+[<"]([^>"]+)[>"]', file.read_text(), re.M)


def target_layer(file: Path, name: str) -> str | None:
    """The layer a quoted name lies in; None for a system header."""
    if (file.parent / name).exists():
        found = (file.parent / name).resolve()
        return layer(found) if found.is_relative_to(NATIVE) else "kernels"
    if (NATIVE / name).exists():
        return layer(NATIVE / name)
    if (NATIVE / "include" / name).exists():
        return "include"
    if (ROOT / "metal" / name).exists() or (ROOT / name).exists():
        return "kernels"
    return None


@pytest.mark.parametrize("folder", sorted(BELOW))
def test_includes_point_downwards_only(folder: str) -> None:
    wrong = []
    for file in NATIVE_FILES:
        if layer(file) != folder:
            continue
        for name in includes(file):
            found = target_layer(file, name)
            if found not in (None, folder) and found not in BELOW[folder]:
                wrong.append(f"{file.relative_to(ROOT)} includes {name} of {found}")
    assert not wrong, "\n".join(wrong)


def test_every_native_folder_has_its_place() -> None:
    assert {layer(f) for f in NATIVE_FILES} <= set(BELOW)


def test_llvm_headers_only_where_compiling_happens() -> None:
    wrong = [
        f"{f.relative_to(ROOT)}: {name}"
        for f in NATIVE_FILES
        if layer(f) not in LLVM
        for name in includes(f)
        if name.startswith(("llvm/", "llvm-c/", "clang/", "lld/"))
    ]
    assert not wrong, "\n".join(wrong)


def test_objective_c_only_above_the_device() -> None:
    mark = re.compile(
        r"^\s*(#import\b|@(interface|implementation|protocol|autoreleasepool)\b)", re.M
    )
    wrong = [
        str(f.relative_to(ROOT))
        for f in NATIVE_FILES
        if layer(f) not in OBJECTIVE_C
        and f != METAL_HEADER
        and (f.suffix in (".m", ".mm") or mark.search(f.read_text()))
    ]
    assert not wrong, wrong


def test_host_knows_no_platform() -> None:
    wrong = [f.name for f in NATIVE_FILES if layer(f) == "host" and "__APPLE__" in f.read_text()]
    assert not wrong, wrong


def test_native_knows_no_python() -> None:
    wrong = [f.name for f in NATIVE_FILES if "Python.h" in includes(f)]
    assert not wrong, wrong


def test_sources_begin_with_their_licence_and_purpose() -> None:
    kinds = C_SUFFIXES | {".py"}
    wrong = []
    for file in FILES:
        if file.suffix not in kinds or file.stat().st_size == 0:
            continue
        lines = file.read_text().splitlines()
        if "SPDX-License-Identifier: MIT" not in lines[0] or len(lines) < 2 or len(lines[1]) < 10:
            wrong.append(str(file.relative_to(ROOT)))
    assert not wrong, wrong


def test_files_stay_small() -> None:
    kinds = C_SUFFIXES | {".py"}
    long = {
        str(f.relative_to(ROOT)): n
        for f in FILES
        if f.suffix in kinds and (n := len(f.read_text().splitlines())) > LONGEST
    }
    assert not long, long


def test_no_paths_of_one_machine() -> None:
    # Assembled so that this file does not find itself.
    mark = re.compile("|".join(["/wo" + "rk/", "/ro" + "ot/", "/Us" + "ers/"]))
    wrong = []
    for file in FILES:
        try:
            text = file.read_text()
        except UnicodeDecodeError:
            continue
        wrong += [
            f"{file.relative_to(ROOT)}:{text.count(chr(10), 0, hit.start()) + 1}: {hit.group()}"
            for hit in mark.finditer(text)
        ]
    assert not wrong, "\n".join(wrong)


def test_text_is_clean() -> None:
    """No tabs, carriage returns, trailing blanks or invisible characters."""
    mark = re.compile("[\t\r\u00a0\u00ad\u200b-\u200f\u202a-\u202e\u2060\ufeff]| +$", re.M)
    wrong = []
    for file in FILES:
        try:
            text = file.read_bytes().decode()
        except UnicodeDecodeError:
            continue
        wrong += [
            f"{file.relative_to(ROOT)}:{text.count(chr(10), 0, hit.start()) + 1}"
            for hit in mark.finditer(text)
        ]
    assert not wrong, "\n".join(wrong)


def test_the_wheel_holds_every_python_file() -> None:
    listed = (ROOT / "pymfa/meson.build").read_text()
    package = [f for f in FILES if f.is_relative_to(ROOT / "pymfa") and f.name != "meson.build"]
    missing = [str(f.relative_to(ROOT)) for f in package if f"'{f.name}'" not in listed]
    assert not missing, missing


@cache
def header_flags() -> dict[str, list[str]]:
    """The compiler's include paths and defines per layer, from the build's own record."""
    record = Path(os.environ["MFA_LIBRARY"]).parents[2] / "compile_commands.json"
    flags: dict[str, list[str]] = {}
    for entry in json.loads(record.read_text()):
        source = (Path(entry["directory"]) / entry["file"]).resolve()
        if not source.is_relative_to(NATIVE):
            continue
        words, kept, index = shlex.split(entry["command"]), [], 0
        while index < len(words):
            word = words[index]
            if word in ("-isystem", "-idirafter", "-include"):
                kept += [word, words[index + 1]]
                index += 1
            elif word.startswith(("-I", "-D", "-isystem", "-fobjc", "-fblocks", "-fconstant")):
                kept.append(word)
            index += 1
        known = flags.setdefault(layer(source), [entry["directory"]])
        if len(kept) + 1 > len(known):
            flags[layer(source)] = [entry["directory"], *kept]
    return flags


def proven() -> set[Path]:
    """Headers that a source file includes before anything else: compiling it has shown them."""
    found = set()
    for file in NATIVE_FILES:
        names = includes(file) if file.suffix != ".h" else []
        if names and (NATIVE / names[0]).exists():
            found.add(NATIVE / names[0])
    return found


HEADERS = sorted({f for f in NATIVE_FILES if f.suffix == ".h"} - proven())


@pytest.mark.parametrize("header", HEADERS, ids=lambda f: str(f.relative_to(NATIVE)))
def test_header_stands_alone(header: Path) -> None:
    if header == METAL_HEADER:
        compiler, language = os.environ.get("CXX", "clang++-19"), "objective-c++"
        directory, *flags = header_flags()["metal"]
    elif layer(header) == "include":
        compiler, language = os.environ.get("CC", "clang-19"), "c"
        directory, flags = str(ROOT), ["-std=c11"]
    else:
        compiler = os.environ.get("CXX", "clang++-19")
        language = "objective-c++" if layer(header) in OBJECTIVE_C else "c++"
        known = header_flags()
        # A folder without sources of its own is seen through the flags of whoever includes it.
        directory, *flags = (
            known.get(layer(header)) or known["metal" if language[0] == "o" else "exec"]
        )
        flags.append("-std=c++17")
    command = [*shlex.split(compiler), "-x", language, "-fsyntax-only", *flags]
    command.append("-Wno-pragma-once-outside-header")
    done = subprocess.run([*command, str(header)], cwd=directory, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
