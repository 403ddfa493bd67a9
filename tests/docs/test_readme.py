# SPDX-License-Identifier: MIT
"""The README's example -> run, and compared with the output printed below it."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_example_prints_what_the_readme_says() -> None:
    readme = (ROOT / "README.md").read_text()
    code, output = re.search(r"```python\n(.*?)```\s+```text\n(.*?)```", readme, re.S).groups()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == (output, "")


def test_documents_link_to_what_exists() -> None:
    wrong = []
    for document in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", document.read_text()):
            if not (document.parent / target).exists():
                wrong.append(f"{document.relative_to(ROOT)}: {target}")
    assert not wrong, wrong
