# SPDX-License-Identifier: MIT
"""docs/API.md -> its tables compared with the metallib, its programs with those in samples/."""

import re
from pathlib import Path

import pytest

import pymfa

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs/API.md").read_text()
SHARED = (ROOT / "metal/shared.h").read_text()
KERNELS = pymfa.device().library().functions


def section(kernel: str) -> str:
    """From the heading that names the kernel to the next of its rank."""
    found = re.search(rf"^## [^\n]*`{kernel}`[^\n]*\n(.*?)(?=^## |\Z)", TEXT, re.M | re.S)
    assert found, f"docs/API.md has no section for {kernel}"
    return found[1]


def rows(kernel: str, first: str) -> list[list[str]]:
    """Of the section's tables whose first column has that heading."""
    made, inside = [], False
    for line in section(kernel).splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not line.startswith("|"):
            inside = False
        elif cells[0] == first:
            inside = True
        elif inside and not cells[0].startswith("---"):
            made.append(cells)
    return made


def constants(kernel: str) -> dict[int, str]:
    """Index -> type, as documented."""
    found: dict[int, str] = {}
    for indices, names, types, *_ in rows(kernel, "index"):
        numbers = [int(index) for index in indices.split(",")]
        named = re.findall(r"`(\w+)`", names)
        assert len(named) == len(numbers), (kernel, indices, names)
        for name, number in zip(named, numbers, strict=True):
            value = re.search(rf"^#define MFA_CONSTANT_{name} (\d+)\b", SHARED, re.M)
            assert value, f"{kernel}: metal/shared.h has no MFA_CONSTANT_{name}"
            assert int(value[1]) == number, f"{kernel}: {name} is not {number}"
        other = re.fullmatch(r"as `(\w+)`", types)
        if other:
            known = constants(other[1])
            listed = [known[number] for number in numbers]
        else:
            listed = [kind.strip() for kind in types.split(",")]
            listed *= len(numbers) if len(listed) == 1 else 1
        for number, kind in zip(numbers, listed, strict=True):
            assert number not in found, f"{kernel}: {number} is listed twice"
            found[number] = kind
    return found


def slots(kernel: str) -> set[tuple[str, int]]:
    found = set()
    for first, *_ in rows(kernel, "slot"):
        for word in first.split(","):
            kind, _, number = word.strip().rpartition(" ")
            found.add((kind or "buffer", int(number)))
    return found


@pytest.mark.parametrize("kernel", KERNELS)
def test_constants_are_those_of_the_metallib(kernel: str) -> None:
    function = pymfa.device().library().function(kernel)
    assert constants(kernel) == {c.index: c.type for c in function.constants}
    assert not [c.name for c in function.constants if c.required]


@pytest.mark.parametrize("kernel", KERNELS)
def test_buffers_are_those_of_the_metallib(kernel: str) -> None:
    function = pymfa.device().library().function(kernel)
    assert slots(kernel) == {(a.kind, a.slot) for a in function.arguments}


PROBLEMS = [
    pymfa.GemmDesc(M, N, K, dtype, trans_a=trans, trans_b=not trans)
    for M, N, K in ((8, 8, 8), (100, 200, 300), (1024, 1024, 1024), (1, 4096, 64))
    for dtype in ("float16", "float32", "bfloat16")
    for trans in (False, True)
]


@pytest.mark.parametrize("problem", PROBLEMS, ids=str)
def test_threadgroup_memory_and_grid_of_products(problem: pymfa.GemmDesc) -> None:
    """The formulas of the section, evaluated for what the host sets."""
    explanation = pymfa.explain(problem)
    known = {
        name.upper(): int(value)
        for name, value in (part.split("=") for part in explanation.variant.split())
    }
    for side in "MN":
        known[f"{side}_group"] = known[f"{side}_SIMD"] * known[f"{side}_SPLITS"]
    memory = 0
    if "VECTOR" not in known:
        known["element"] = 4 if known["TILE_FLOAT"] or problem.dtype == "float32" else 2
        for name in ("tiles", "staged"):
            [formula] = re.findall(rf"^{name} += (.*)$", section("hgemm"), re.M)
            known[name] = eval(formula, {"max": max}, known)
        memory = max(known["tiles"], known["staged"] if known["STAGED"] else 0)
    assert explanation.threadgroup_memory == memory
    columns, rows = -(-problem.N // known["N_group"]), -(-problem.M // known["M_group"])
    assert explanation.threadgroups == (columns, rows, 1)
    threads = 32 * known["M_SPLITS"] * known["N_SPLITS"]
    assert explanation.threads_per_threadgroup == threads


def test_every_section_is_of_a_kernel() -> None:
    kernels = TEXT[TEXT.index("\n# Kernels\n") :]
    named = re.findall(r"^## (.*)$", kernels, re.M)
    assert sorted(re.findall(r"`(\w+)`", " ".join(named))) == sorted(KERNELS)


def test_programs_are_parts_of_the_samples() -> None:
    parts = re.findall(r"\]\((\.\./samples/[^)]+)\):?\n\n?```\w+\n(.*?)```", TEXT, re.S)
    assert len(parts) == 9
    for file, part in parts:
        whole = [line.strip() for line in (ROOT / "docs" / file).read_text().splitlines()]
        lines = [line.strip() for line in part.splitlines()]
        starts = [i for i, line in enumerate(whole) if line == lines[0]]
        assert any(whole[i : i + len(lines)] == lines for i in starts), (file, part)
