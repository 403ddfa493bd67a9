# SPDX-License-Identifier: MIT
"""The header, the export list and the library's symbols name the same functions."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXPORTS = ROOT / "native" / "api" / "exports.txt"


def test_header_and_export_list_agree(abi):
    assert EXPORTS.read_text().split() == abi.functions()


def test_every_declared_function_is_there(abi):
    assert [name for name in abi.functions() if not hasattr(abi.lib, name)] == []


@pytest.mark.skipif(sys.platform != "linux", reason="reads an ELF symbol table")
def test_nothing_else_is_exported(abi):
    reader = shutil.which("nm") or shutil.which("llvm-nm-19")
    if not reader:
        pytest.skip("no nm")
    listed = subprocess.run(
        [reader, "-D", "--defined-only", os.environ["MFA_LIBRARY"]],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    names = {line.split()[-1].split("@")[0] for line in listed.splitlines()}
    assert names - {"MFA_0"} == set(abi.functions())


def test_every_struct_with_a_size_has_an_initialiser(abi):
    structs = set(re.findall(r"typedef struct (\w+) \{\s*size_t size;", abi.declarations))
    macros = set(re.findall(r"#define MFA_\w+_INIT \{\.size = sizeof\((\w+)\)\}", abi.header))
    assert structs == macros


@pytest.mark.parametrize("language", ["c", "c++"])
def test_header_compiles_without_warnings(abi, language, tmp_path):
    compiler = shutil.which(os.environ.get("CC", "clang-19")) or shutil.which("cc")
    if not compiler:
        pytest.skip("no C compiler")
    source = tmp_path / "header.c"
    source.write_text("#include <mfa.h>\nint main(void) { return mfa_version() == 0; }\n")
    header = Path(os.environ.get("MFA_HEADER", ROOT / "native/include/mfa.h"))
    flags = ["-std=c99"] if language == "c" else ["-std=c++11"]
    command = [compiler, "-x", language, *flags, "-Wall", "-Wextra", "-pedantic", "-Werror"]
    command += ["-fsyntax-only", "-I", str(header.parent), str(source)]
    subprocess.run(command, check=True)


def test_status_names(abi):
    lib = abi.lib
    for value in range(lib.MFA_CANCELLED + 1):
        assert getattr(lib, abi.name(value)) == value
    assert abi.name(999) == "unknown status"
    assert abi.name(-1 & 0xFFFFFFFF) == "unknown status"


def test_version(abi):
    text = abi.string(abi.lib.mfa_version())
    assert re.fullmatch(r"\d+\.\d+\.\d+", text)
    assert f"version: '{text}'" in (ROOT / "meson.build").read_text()


def test_no_error_at_first(abi):
    import threading

    seen = []
    thread = threading.Thread(target=lambda: seen.append(abi.error()))
    thread.start()
    thread.join()
    assert seen == [""]
