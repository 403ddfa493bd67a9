# SPDX-License-Identifier: MIT
"""The results of two pipelines -> compared with float64, and with NumPy rounding as they do."""

import importlib.util
import math
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

FOLDER = Path(__file__).resolve().parents[2] / "samples/python"
Array = np.ndarray[Any, np.dtype[Any]]
Round = Callable[[Array], Array]


def load(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(FOLDER))
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.modules.pop("sample", None)
    return module


def exactly(values: Array) -> Array:
    return values.astype(np.float64)


def as_half(values: Array) -> Array:
    return values.astype(np.float16).astype(np.float32)


def gelu(x: Array) -> Array:
    return (x * (1 + np.vectorize(math.erf)(x / math.sqrt(2))) / 2).astype(x.dtype)


def mixed_gemm(module: ModuleType, stored: Round) -> Array:
    x, w = stored(module.x), [stored(given) for given in module.w]
    for weights in w[:-1]:
        x = stored(gelu(x @ weights.T))
    return stored(x @ w[-1].T)


def attention_layer(module: ModuleType, stored: Round) -> Array:
    x = stored(module.x)
    w = {name: stored(values) for name, values in module.w.items()}
    b = {name: stored(values) for name, values in module.b.items()}
    q, k, v = (module.heads(stored(x @ w[n].T + b[n])).swapaxes(1, 2) for n in "qkv")
    groups = q.shape[1] // k.shape[1]
    k, v = (np.repeat(heads, groups, axis=1) for heads in (k, v))
    scores = q @ k.swapaxes(2, 3) / math.sqrt(module.D)
    scores = np.where(np.tri(module.TOKENS, dtype=bool), scores, -np.inf)
    p = np.exp(scores - scores.max(axis=-1, keepdims=True))
    o = stored((p / p.sum(axis=-1, keepdims=True)) @ v).swapaxes(1, 2)
    return stored(o.reshape(x.shape) @ w["o"].T + b["o"])


@pytest.mark.parametrize("pipeline", [mixed_gemm, attention_layer])
def test_at_most_twice_as_far_as_numpy(
    pipeline: Callable[[ModuleType, Round], Array], monkeypatch: pytest.MonkeyPatch
) -> None:
    module = load(pipeline.__name__, monkeypatch)
    with module.device.commands() as commands:
        getattr(module, pipeline.__name__)(commands)
    truth = pipeline(module, exactly)
    error = float(np.abs(module.y - truth).max())
    naive = float(np.abs(pipeline(module, as_half) - truth).max())
    assert 0 < error <= 2 * naive, (error, naive)
