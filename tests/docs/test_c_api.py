# SPDX-License-Identifier: MIT
"""docs/c-api/ -> its C compiled against mfa.h, its messages compared with the library's."""

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from pymfa import InvalidValue, native

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "docs/c-api").glob("*.md"))

BEFORE = """
#include <mfa.h>
#include <stdio.h>
#include <stdlib.h>
extern mfa_device device;
extern mfa_buffer buffer;
extern mfa_commands commands;
void check(mfa_status status);
void page(void);
void page(void) {
"""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_code_compiles(page: Path) -> None:
    for block in re.findall(r"```c\n(.*?)```", page.read_text(), re.S):
        command = [*shlex.split(os.environ.get("CC", "cc")), "-std=c11", "-fsyntax-only", "-Wall",
                   "-Wextra", "-Werror", "-Wno-unused", "-I", ROOT / "native/include",
                   "-x", "c", "-"]  # fmt: skip
        done = subprocess.run(command, input=BEFORE + block + "}", capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


def test_functions_and_constants_exist() -> None:
    known = set(re.findall(r"\b(?:mfa|MFA)_\w+", (ROOT / "native/include/mfa.h").read_text()))
    for name in re.findall(r"MFA_\w+", (ROOT / "native/include/mfa.h").read_text()):
        known.add(name.removeprefix("MFA_ERROR"))  # pages shorten rows of statuses
    variables = {"MFA_THREADS", "MFA_VALIDATE", "MFA_TILES"}
    for page in PAGES:
        named = set(re.findall(r"`((?:mfa|MFA|_[A-Z])\w+)", page.read_text()))
        unknown = named - known - variables
        assert not unknown, f"{page.name}: {sorted(unknown)}"


def test_the_message_is_the_library_s() -> None:
    [message] = re.findall(
        r"```text\n(.*?)\n```", (ROOT / "docs/c-api/errors.md").read_text(), re.S
    )
    desc = native.struct("mfa_gemm_desc", M=64, N=64, K=64, ldc=1)
    with pytest.raises(InvalidValue) as raised:
        native.call("mfa_sgemm", native.null, desc, native.struct("mfa_gemm_operands"))
    assert message == f"MFA_ERROR_INVALID_ARGUMENT: {raised.value}"


def test_errors_has_every_status() -> None:
    page = (ROOT / "docs/c-api/errors.md").read_text()
    named = {name.removeprefix("MFA_ERROR") for name in re.findall(r"`(MFA_\w+|_[A-Z_]+)`", page)}
    statuses = native.enumerators("mfa_status").values()
    missing = [name for name in statuses if name.removeprefix("MFA_ERROR") not in named]
    assert not missing
