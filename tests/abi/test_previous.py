# SPDX-License-Identifier: MIT
"""A program compiled against the header of the previous version runs with this library."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = "samples/c/two_products.c"


def show(revision: str, path: str) -> str:
    done = subprocess.run(
        ["git", "show", f"{revision}:{path}"], cwd=ROOT, capture_output=True, text=True
    )
    if done.returncode != 0:
        pytest.skip(f"git knows no {revision}:{path}")
    return done.stdout


def previous_tag() -> str:
    done = subprocess.run(
        ["git", "describe", "--tags", "--abbrev=0"], cwd=ROOT, capture_output=True, text=True
    )
    if done.returncode != 0:
        pytest.skip("there is no version before this one")
    return done.stdout.strip()


@pytest.mark.parametrize("revision", ["the previous tag", "HEAD"])
def test_a_program_compiled_against_an_older_header(abi, tmp_path, revision):
    compiler = shutil.which(os.environ.get("CC", "clang-19")) or shutil.which("cc")
    if not compiler:
        pytest.skip("no C compiler")
    revision = previous_tag() if revision != "HEAD" else revision
    (tmp_path / "mfa.h").write_text(show(revision, "native/include/mfa.h"))
    source = tmp_path / "program.c"
    source.write_text(show(revision, PROGRAM))
    library, program = os.environ["MFA_LIBRARY"], tmp_path / "program"
    folder = str(Path(library).parent)
    command = [compiler, "-std=c11", "-I", str(tmp_path), str(source), library]
    subprocess.run([*command, f"-Wl,-rpath,{folder}", "-o", str(program)], check=True)
    done = subprocess.run([str(program)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 of 4096 elements wrong" in done.stdout
