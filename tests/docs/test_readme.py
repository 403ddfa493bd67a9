# SPDX-License-Identifier: MIT
"""The README's example -> run, and compared with the output printed below it."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pymfa

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


def test_names_in_documents_exist() -> None:
    """Of pymfa, of the C ABI, of the structs of generated code, of the environment, of files."""
    sources = [
        *(ROOT / "native/include").glob("*.h"),
        ROOT / "metal/shared.h",
        ROOT / "native/exec/abi.h",
    ]
    code = "".join(source.read_text() for source in sources)
    known = set(re.findall(r"\b(?:mfa|MFA)_\w+", code))
    for source in [*(ROOT / "native").rglob("*.[cm]*"), *(ROOT / "pymfa").rglob("*.py")]:
        known.update(re.findall(r'"(MFA_\w+)"', source.read_text()))
    wrong = []
    for document in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        text = document.read_text()
        for name in re.findall(r"\bpymfa\.([A-Za-z]\w*)", text):
            if not hasattr(pymfa, name) and not importlib.util.find_spec(f"pymfa.{name}"):
                wrong.append(f"{document.name}: pymfa.{name}")
        for name in re.findall(r"(?<![/\w])((?:mfa|MFA)_[A-Za-z]\w*\w)(?!…|\*|\w)", text):
            if name not in known and not any(other.startswith(name) for other in known):
                wrong.append(f"{document.name}: {name}")
        for file in re.findall(r"`((?:native|pymfa|metal|tests|docs|samples)/[^` ,*]*)`", text):
            if not (ROOT / file).exists():
                wrong.append(f"{document.name}: {file}")
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
