# SPDX-License-Identifier: MIT
"""The Python programs of pages -> run, and compared with the output printed below them."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGES = [Path(__file__).resolve().parents[2] / "docs" / name for name in ("commands.md",)]


def programs() -> list[tuple[str, str, str]]:
    found = []
    for page in PAGES:
        pairs = re.findall(r"```python\n(.*?)```\s+```text\n(.*?)```", page.read_text(), re.S)
        found += [(f"{page.name}-{number}", *pair) for number, pair in enumerate(pairs)]
    return found


@pytest.mark.parametrize(("name", "code", "output"), programs())
def test_program_prints_what_the_page_says(name: str, code: str, output: str) -> None:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == (output, ""), name
