# SPDX-License-Identifier: MIT
"""What libmfa embeds where no metallib is made, its kernels' sources: the same kernels."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import pymfa

METAL = Path(__file__).parents[2] / "metal"
OTHER = os.environ.get("MFA_SOURCES_LIBRARY", "")
DIGEST = """
import hashlib, itertools
import numpy as np
from every_operation import OPERATIONS
import pymfa

types = ("float16", "float32", pymfa.bfloat16)
for (name, operation), dtype in itertools.product(OPERATIONS.items(), types):
    arrays = []
    def place(array):
        arrays.append(array.copy())
        return arrays[-1]
    operation(np.dtype(dtype), place, "cpu")
    print(name, np.dtype(dtype), hashlib.sha256(b"".join(x.tobytes() for x in arrays)).hexdigest())
"""

needs_compiler = pytest.mark.skipif(
    not os.environ.get("MFA_METALC"), reason="set MFA_METALC to the compiler"
)


@needs_compiler
def test_each_source_has_the_functions_of_the_metallib(tmp_path: Path) -> None:
    whole = tmp_path / "kernels.metal"
    sources = sorted(METAL.glob("*.metal"))
    subprocess.run([sys.executable, METAL / "flatten.py", whole, *sources], check=True)
    device, seen = pymfa.device(), []
    embedded = device.library()
    for part in whole.read_text("utf-8").split("\0")[:-1]:
        first, _, source = part.partition("\n")
        library = device.library(source=source, precise_math=True)
        assert sorted(library.functions) == sorted(first.removeprefix("//kernels ").split())
        for name in library.functions:
            ours, theirs = library.function(name), embedded.function(name)
            assert ours.arguments == theirs.arguments
            assert ours.constants == theirs.constants
        seen += library.functions
    assert sorted(seen) == sorted(embedded.functions)


@needs_compiler
@pytest.mark.skipif(not OTHER, reason="./dev test --sources sets MFA_SOURCES_LIBRARY")
def test_every_operation_gives_the_same_bits() -> None:
    def digests(library: str) -> list[str]:
        done = subprocess.run(
            [sys.executable, "-c", DIGEST], capture_output=True, text=True, check=False,
            cwd=Path(__file__).parent, env=os.environ | {"MFA_LIBRARY": library},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    of_sources = digests(OTHER)
    assert len(of_sources) >= 15
    assert of_sources == digests(os.environ["MFA_LIBRARY"])
