# SPDX-License-Identifier: MIT
"""The commands that documents show -> run as they stand, as far as they end soon."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ["MFA_LIBRARY"]).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
SOON = re.compile(
    r"(?:[A-Z_]+=\S+ +)*python (?:-m pymfa (?:info|inspect|selftest)\b|-c |samples/).*"
)


def commands() -> list[tuple[str, str]]:
    found = []
    for document in DOCUMENTS:
        for block in re.findall(r"^```(?:sh)?\n(.*?)^```", document.read_text(), re.M | re.S):
            for line in block.splitlines():
                command = line.split("   #")[0].strip()
                if SOON.fullmatch(command):
                    found.append((document.name, command))
    return found


@pytest.mark.parametrize(("document", "command"), commands())
def test_commands_work(document: str, command: str, tmp_path: Path) -> None:
    stages = tmp_path / "stages"
    stages.mkdir()
    line = command.replace("build/metal/", f"{BUILD}/metal/").replace("/tmp/stages", str(stages))
    line = re.sub(r"(^| )python ", rf"\1{sys.executable} ", line, count=1)
    environment = os.environ | {"PYTHONPATH": f"{ROOT}:{os.environ.get('PYTHONPATH', '')}"}
    done = subprocess.run(
        line, shell=True, cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "MFA_DUMP" not in command or list(stages.iterdir())


def test_there_are_some() -> None:
    assert len(commands()) > 10
