# SPDX-License-Identifier: MIT
"""The programs in samples/ -> built against an installed libmfa as their readers would, and run."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ["MFA_LIBRARY"]).parents[2]


def run(*command: str | Path, env: Mapping[str, str] | None = None) -> str:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where `meson install` put header, library and libmfa.pc."""
    root = tmp_path_factory.mktemp("install")
    run("meson", "install", "-C", BUILD, "--no-rebuild", "--quiet", "--destdir", root)
    [found] = root.rglob("include/mfa.h")
    return found.parents[1]


@pytest.fixture(scope="module")
def flags(prefix: Path) -> list[str]:
    """What pkg-config says, with the prefix the file was really installed to."""
    [file] = prefix.rglob("libmfa.pc")
    environment = os.environ | {"PKG_CONFIG_PATH": str(file.parent)}
    asked = ("--define-variable=prefix=" + str(prefix), "--cflags", "--libs", "libmfa")
    return run("pkg-config", *asked, env=environment).split()


def library_path(prefix: Path) -> dict[str, str]:
    [library] = {
        file.parent for file in prefix.rglob("libmfa.*") if file.suffix in (".so", ".dylib")
    }
    return dict(os.environ) | {"LD_LIBRARY_PATH": str(library), "DYLD_LIBRARY_PATH": str(library)}


def test_c_sample(prefix: Path, flags: list[str], tmp_path: Path) -> None:
    program = tmp_path / "two_products"
    source = ROOT / "samples/c/two_products.c"
    compiler = os.environ.get("CC", "cc")
    run(compiler, "-std=c11", "-Wall", "-Wextra", "-Werror", source, *flags, "-o", program)
    output = run(program, env=library_path(prefix))
    assert "0 of 4096 elements wrong" in output
    assert "refused: MFA_ERROR_INVALID_ARGUMENT: mfa_sgemm" in output


def test_swift_sample(prefix: Path, tmp_path: Path) -> None:
    swiftc = shutil.which("swiftc")
    if swiftc is None:
        pytest.skip("no Swift compiler here")
    environment = library_path(prefix)
    folders = ("-I", prefix / "include", "-L", environment["LD_LIBRARY_PATH"])
    program = tmp_path / "product"
    run(swiftc, ROOT / "samples/swift/main.swift", *folders, "-o", program)
    assert "0 of 4096 elements wrong" in run(program, env=environment)
