# SPDX-License-Identifier: MIT
"""`python -m pymfa selftest`: alone, without a compiler, and eight threads on one device."""

from __future__ import annotations

import os
import re
import subprocess
import sys

from pymfa.checks import all_checks


def selftest(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pymfa", "selftest", *arguments],
        capture_output=True, text=True, timeout=250, env=os.environ | environment,
    )  # fmt: skip


def test_every_operation_is_checked_on_every_device() -> None:
    done = selftest()
    assert (done.returncode, done.stderr) == (0, "all good\n"), done.stdout
    for check in all_checks():
        assert re.search(rf"^  ok      {re.escape(check.name)} +off by", done.stdout, re.M)


def test_an_absent_compiler_is_said_and_is_no_failure() -> None:
    done = selftest("--device", "cpu", MFA_METALC="/nonexistent")
    assert done.returncode == 0
    assert re.search("absent  kernel from source .*MFA_METALC", done.stdout)


def test_eight_threads() -> None:
    done = selftest("--device", "cpu", "--threads", "8", "--seconds", "12")
    assert done.returncode == 0, done.stdout
    assert re.fullmatch(r"\d+ results, 0 wrong\n", done.stderr)
    assert int(done.stderr.split()[0]) > len(all_checks())
