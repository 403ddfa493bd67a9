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


def links(document: Path) -> list[str]:
    return re.findall(r"\]\((?!https?:)([^)]+)\)", document.read_text())


def anchors(document: Path) -> set[str]:
    """As hosts of Markdown make them from headings."""
    headings = re.findall(r"^#+ (.*)$", document.read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in headings}


def test_documents_link_to_what_exists() -> None:
    wrong = []
    for document in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        for link in links(document):
            path, _, anchor = link.partition("#")
            target = document.parent / path if path else document
            if not target.exists() or (anchor and anchor not in anchors(target)):
                wrong.append(f"{document.relative_to(ROOT)}: {link}")
    assert not wrong, wrong


def test_every_document_is_found_from_the_readme() -> None:
    found, open_ = set(), [ROOT / "README.md"]
    while open_:
        document = open_.pop()
        if document in found:
            continue
        found.add(document)
        for link in links(document):
            target = (document.parent / link.partition("#")[0]).resolve()
            if target.suffix == ".md" and target.exists():
                open_.append(target)
    missing = set((ROOT / "docs").rglob("*.md")) - found
    assert not missing, sorted(str(page.relative_to(ROOT)) for page in missing)
