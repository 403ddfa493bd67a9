# SPDX-License-Identifier: MIT
"""The tests of the ABI under LeakSanitizer -> what libmfa allocated and nobody can reach any more.

    python tests/leaks.py BUILD [PYTEST ARGUMENTS]

BUILD is a build with the address sanitizer: ./dev test --sanitize makes one and runs this. Python
and its modules leave memory behind as well: only what libmfa allocated, itself or through GNUstep,
is reported. Exit status 1 if there is any, or a test fails.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LEAK = re.compile(r"^(?:Direct|Indirect) leak of (\d+) byte\(s\) in (\d+) object", re.M)


def is_ours(block: str) -> bool:
    """Whether libmfa asked for it. The Objective-C run time on the way is a class being set up."""
    for frame in block.splitlines():
        if "libobjc.so" in frame:
            return False
        if "libmfa.so" in frame or "/native/" in frame:
            return True
    return False


def runtime() -> str:
    """The sanitizer's run time as a library, for a program that was built without it."""
    found = subprocess.run(
        ["clang-19", "-print-file-name=libclang_rt.asan-x86_64.so"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    path = found.stdout.strip()
    if not Path(path).is_file():
        machine = os.uname().machine
        path = str(Path(path).parent / f"libclang_rt.asan-{machine}.so")
    return path


def main(build: Path, arguments: list[str]) -> int:
    with tempfile.TemporaryDirectory() as folder:
        # The compiler is a program with a sanitizer of its own, which will not have the one loaded.
        metalc = Path(folder) / "mfa-metalc"
        compiler = shlex.quote(str(build / "native/metalc/mfa-metalc"))
        metalc.write_text(f'#!/bin/sh\nunset LD_PRELOAD\nexec {compiler} "$@"\n')
        metalc.chmod(0o755)
        # GNUstep keeps no frame pointers: only the slow way to read a stack sees who called it.
        environment = os.environ | {
            "LD_PRELOAD": runtime(),
            # Memory that is handed out again hides what was done to it; so Python's is malloc's.
            "PYTHONMALLOC": "malloc",
            "ASAN_OPTIONS": "detect_leaks=1:detect_container_overflow=0:allow_user_poisoning=0"
            f":exitcode=0:log_path={folder}/report:malloc_context_size=16:fast_unwind_on_malloc=0",
            "LSAN_OPTIONS": "report_objects=0:max_leaks=0",
            "MFA_LIBRARY": str(build / "native/api/libmfa.so"),
            "MFA_METALC": str(metalc),
            "MFA_CACHE": "off",
        }
        tests = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/abi"]
        status = subprocess.run([*tests, *arguments], cwd=ROOT, env=environment).returncode
        reports = [path.read_text(errors="replace") for path in Path(folder).glob("report*")]
    blocks = [block for report in reports for block in report.split("\n\n")]
    leaks = [block for block in blocks if LEAK.search(block)]
    ours = [block for block in leaks if is_ours(block)]
    faults = [report for report in reports if "ERROR: AddressSanitizer" in report]
    for text in [*faults, *ours]:
        print(text, end="\n\n")
    size = sum(int(LEAK.search(block)[1]) for block in ours)  # type: ignore[index]
    print(f"{len(ours)} leaks of libmfa with {size} bytes, {len(leaks) - len(ours)} of others")
    return 1 if status or ours or faults or not reports else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve(), sys.argv[2:]))
