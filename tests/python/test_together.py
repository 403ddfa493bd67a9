# SPDX-License-Identifier: MIT
"""pymfa beside libraries that bring their own LLVM or Metal, imported in either order."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest

PYMFA = """
import numpy as np, pymfa
def with_pymfa():
    x = np.arange(16, dtype=np.float32).reshape(4, 4)
    lib = pymfa.device().library(source="kernel void f(device float *x, "
        "uint i [[thread_position_in_grid]]) { x[i] += 1; }")
    y = x.copy()
    with pymfa.device().commands() as commands:
        commands.dispatch(lib.pipeline("f"), buffers={0: y}, threads=16)
    assert (y == x + 1).all() and (pymfa.sgemm(x, x) == x @ x).all()
with_pymfa()
"""
OTHERS = {
    "torch": """
import torch
def other():
    x = torch.arange(9.0, requires_grad=True).reshape(3, 3)
    assert (x @ x).sum().item() == 486
""",
    "numba": """
import numba
@numba.njit(parallel=False)
def sum_(n):
    total = 0
    for i in range(n):
        total += i * i
    return total
def other():
    assert sum_(1000) == 332833500
""",
    "mlx.core": """
import mlx.core as mx
def other():
    x = mx.arange(9).reshape(3, 3).astype(mx.float32)
    assert (x @ x).sum().item() == 486
""",
    "jax": """
import jax.numpy as jnp
def other():
    x = jnp.arange(9.0).reshape(3, 3)
    assert (x @ x).sum().item() == 486
""",
}


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.parametrize("first", ["pymfa", "other"])
def test_both_compute(name: str, first: str) -> None:
    if importlib.util.find_spec(name.split(".")[0]) is None:
        pytest.skip(f"needs {name}")
    parts = [PYMFA, OTHERS[name] + "other()\n"]
    code = "".join(parts if first == "pymfa" else parts[::-1])
    code += "with_pymfa(); other(); with_pymfa(); print('both')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=250)
    assert (done.returncode, done.stdout) == (0, "both\n"), done.stderr
