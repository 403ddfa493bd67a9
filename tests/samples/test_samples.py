# SPDX-License-Identifier: MIT
"""The programs in samples/ -> built against an installed libmfa as their readers would, and run."""

import os
import re
import shlex
import shutil
import subprocess
import sys
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


def build_c(name: str, flags: list[str], folder: Path) -> Path:
    program = folder / name
    source = ROOT / f"samples/c/{name}.c"
    compiler = shlex.split(os.environ.get("CC", "cc"))
    run(*compiler, "-std=c11", "-Wall", "-Wextra", "-Werror", source, *flags, "-o", program)
    return program


def test_c_sample(prefix: Path, flags: list[str], tmp_path: Path) -> None:
    output = run(build_c("two_products", flags, tmp_path), env=library_path(prefix))
    assert "0 of 4096 elements wrong" in output
    assert "refused: MFA_ERROR_INVALID_ARGUMENT: mfa_sgemm" in output


# Which operations, and the Swift program's name.
PIPELINES = {
    "mixed_gemm": (8, "MixedGEMM"),
    "attention_layer": (7, "AttentionLayer"),
    "winograd": (6, "Winograd"),
}


def result_of(output: str, operations: int) -> str:
    """The sum of the result's bits, of a pipeline that gave the same batched and unbatched."""
    assert f"{operations} operations in 1 command buffer\n" in output
    assert re.search(r"^batched .* unbatched .* times as fast$", output, re.M), output
    [found] = re.findall(r"^result (\w{8}), unbatched the same$", output, re.M)
    return found


@pytest.fixture(scope="module")
def python_results() -> dict[str, str]:
    return {
        name: result_of(run(sys.executable, ROOT / f"samples/python/{name}.py"), operations)
        for name, (operations, _) in PIPELINES.items()
    }


@pytest.mark.parametrize("name", PIPELINES)
def test_c_pipelines_give_what_python_gives(
    name: str, python_results: dict[str, str], prefix: Path, flags: list[str], tmp_path: Path
) -> None:
    output = run(build_c(name, flags, tmp_path), env=library_path(prefix))
    assert result_of(output, PIPELINES[name][0]) == python_results[name]


def test_a_kernel_of_ones_own(prefix: Path, flags: list[str], tmp_path: Path) -> None:
    output = run(sys.executable, ROOT / "samples/python/custom_kernel.py")
    assert "mean squares of the rows: 1.000 to 1.000\n" in output
    program = build_c("custom_kernel", flags, tmp_path)
    # The compiler is found from the library, wherever the tree that was installed now stands.
    environment = {k: v for k, v in library_path(prefix).items() if k != "MFA_METALC"}
    ours = run(program, ROOT / "samples/metal/rms_norm.metal", env=environment)
    assert ours == output.splitlines(keepends=True)[1]


@pytest.mark.parametrize("name", PIPELINES)
def test_swift_pipelines_give_what_python_gives(
    name: str, python_results: dict[str, str], prefix: Path, tmp_path: Path
) -> None:
    folder, (operations, source) = ROOT / "samples/swift/pipelines", PIPELINES[name]
    program = build_swift(prefix, tmp_path, folder / f"{source}.swift", folder / "Sample.swift")
    assert result_of(run(program, env=library_path(prefix)), operations) == python_results[name]


def build_swift(prefix: Path, folder: Path, *sources: Path) -> Path:
    swiftc = shutil.which("swiftc")
    if swiftc is None:
        pytest.skip("no Swift compiler here")
    program = folder / "program"
    library = library_path(prefix)["LD_LIBRARY_PATH"]
    run(swiftc, *sources, "-I", prefix / "include", "-L", library, "-o", program)
    return program


def test_swift_sample(prefix: Path, tmp_path: Path) -> None:
    program = build_swift(prefix, tmp_path, ROOT / "samples/swift/main.swift")
    assert "0 of 4096 elements wrong" in run(program, env=library_path(prefix))
