# SPDX-License-Identifier: MIT
"""Code for CPUs with less than this one has: the shaders and every operation once more."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(
    platform.machine() != "x86_64", reason="code of these CPUs runs on x86-64 only"
)

# CPUs in LLVM's names, and what of Linux's names they need beyond the first x86-64.
CPUS = {
    "x86-64": set[str](),
    "haswell": {"avx2", "fma", "f16c", "bmi2"},
    "skylake": {"avx2", "fma", "f16c", "bmi2", "adx", "clflushopt"},  # gathers where Haswell loads
    "skylake-avx512": {"avx512f", "avx512bw", "avx512dq", "avx512vl", "clwb"},
}


def run(cpu: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    flags = Path("/proc/cpuinfo").read_text().split("flags", 1)[1].split("\n", 1)[0].split()
    if missing := CPUS[cpu] - set(flags):
        pytest.skip(f"this CPU has no {', '.join(sorted(missing))}")
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        capture_output=True, text=True, timeout=500, env=os.environ | {"MFA_CPU": cpu},
    )  # fmt: skip


@pytest.mark.parametrize("cpu", CPUS)
def test_shaders(cpu: str) -> None:
    file = Path(__file__).with_name("test_shaders.py")
    done = run(cpu, "pytest", "-q", "-p", "no:cacheprovider", "-k", "cpu-", str(file))
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("cpu", ["x86-64", "haswell"])
def test_operations(cpu: str) -> None:
    done = run(cpu, "pymfa", "selftest", "--device", "cpu")
    assert (done.returncode, done.stderr) == (0, "all good\n"), done.stdout


def test_accumulators_of_large_tiles_are_moved_by_calls(tmp_path: Path) -> None:
    """Written out, 256 tiles took seconds to compile: for AVX2 programs have many blocks, and what
    lies where in them has to be found nevertheless."""
    code = (
        "import numpy as np, pymfa; "
        "pymfa.device().prepare([pymfa.GemmDesc(2048, 2048, 2048, np.float16, bias=True)])"
    )
    environment = os.environ | {"MFA_CPU": "haswell", "MFA_DUMP": str(tmp_path), "MFA_CACHE": "off"}
    subprocess.run([sys.executable, "-c", code], check=True, timeout=500, env=environment)
    (program,) = tmp_path.glob("hgemm.vector*.ll")
    main = program.read_text().split("define internal", 1)[0]
    assert main.count("mfa_tile") > 100
    assert main.count("store <8 x float>") < 200
