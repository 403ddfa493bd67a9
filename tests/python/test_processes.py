# SPDX-License-Identifier: MIT
"""What only other processes show: any number of threads, and one folder of compiled kernels."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import pymfa

pytestmark = pytest.mark.skipif(
    "cpu" not in [device.name for device in pymfa.devices()], reason="needs the CPU device"
)

PRODUCTS = """
import hashlib
import numpy as np
import pymfa

def random(*shape):
    return np.random.default_rng(shape[0]).standard_normal(shape, np.float32)

digest = hashlib.sha256()
for dtype, multiply in ((np.float32, pymfa.sgemm), (np.float16, pymfa.hgemm)):
    for m, n, k in ((1, 300, 70), (37, 41, 129), (200, 264, 96)):
        a, b = random(m, k).astype(dtype), random(k, n).astype(dtype)
        digest.update(multiply(a, b).tobytes())
    q, k, v = (random(size, 3, 100 + size, 24).astype(dtype)[:1] for size in (1, 2, 2))
    for options in ({}, {"causal": True}, {"mask": random(101, 102) > 0}):
        digest.update(pymfa.attention(q, k, v, **options).tobytes())
    q, k = random(1, 2, 3, 64).astype(dtype), random(1, 2, 3000, 64).astype(dtype)
    digest.update(pymfa.attention(q, k, k, causal=True).tobytes())  # in parts
    digest.update(pymfa.cast(random(9, 1003).astype(dtype), pymfa.bfloat16).tobytes())
print(digest.hexdigest())
"""
PREPARE = """
import os, sys
import numpy as np
import pymfa

problems = [pymfa.GemmDesc(64, 64, 64, dtype, trans_b=t)
            for dtype in (np.float16, np.float32) for t in (False, True)]
problems.append(pymfa.AttentionDesc(64, 64, 32, dtype=np.float16))
device = pymfa.device("cpu")
if "prepare" in sys.argv[1:]:
    device.prepare(problems)
    assert all(device.explain(problem).cached for problem in problems)
    print(len(os.listdir(os.environ["MFA_CACHE"])))
x = np.ones((64, 64), np.float16)
for y in (x, x.astype(np.float32)):
    multiply = pymfa.hgemm if y.dtype == np.float16 else pymfa.sgemm
    for trans in (False, True):
        assert (multiply(y, y, trans_b=trans, device="cpu") == 64).all()
x = np.ones((1, 1, 64, 32), np.float16)
assert (pymfa.attention(x, x, x, device="cpu") == 1).all()
print(len(os.listdir(os.environ["MFA_CACHE"])))
"""


def start(code: str, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments], env=os.environ | environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def output(process: subprocess.Popen[str]) -> str:
    out, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    return out


def test_results_do_not_depend_on_the_number_of_threads(tmp_path: Path) -> None:
    results = {}
    for threads in ("1", "2", "3"):  # one after the other: only the first compiles
        process = start(PRODUCTS, MFA_THREADS=threads, MFA_CACHE=str(tmp_path / "cache"))
        results[threads] = output(process)
    assert len(set(results.values())) == 1, results


def test_prepare_compiles_what_the_operations_need(tmp_path: Path) -> None:
    prepared, used = output(start(PREPARE, "prepare", MFA_CACHE=str(tmp_path / "cache"))).split()
    assert prepared == used and int(used) >= 5


def test_processes_share_a_folder_of_compiled_kernels(tmp_path: Path) -> None:
    """All miss at once, all write, and what is left is whole: the next process only reads."""
    cache = tmp_path / "cache"
    processes = [start(PREPARE, MFA_CACHE=str(cache)) for _ in range(4)]
    for process in processes:
        output(process)
    entries = {path.name: path.read_bytes() for path in cache.iterdir()}
    (used,) = output(start(PREPARE, MFA_CACHE=str(cache))).split()
    assert int(used) == len(entries)
    assert {path.name: path.read_bytes() for path in cache.iterdir()} == entries


def test_damaged_kernels_are_compiled_again(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    output(start(PREPARE, MFA_CACHE=str(cache)))
    whole = {path: path.read_bytes() for path in sorted(cache.iterdir())}
    for damage, (path, data) in enumerate(whole.items()):
        middle = len(data) // 2
        path.write_bytes(
            [b"", data[:middle], data[:middle] + b"\0" * (len(data) - middle)][damage % 3]
        )
    output(start(PREPARE, MFA_CACHE=str(cache)))
    assert {path: len(path.read_bytes()) for path in whole} == {p: len(d) for p, d in whole.items()}


def test_processes_that_write_and_read_damaged_kernels(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    output(start(PREPARE, MFA_CACHE=str(cache)))
    processes = []
    for path in sorted(cache.iterdir()):
        path.write_bytes(path.read_bytes()[:-1])
        processes.append(start(PREPARE, MFA_CACHE=str(cache)))
    for process in processes:
        output(process)
