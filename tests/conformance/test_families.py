# SPDX-License-Identifier: MIT
"""One function of each family in the metallib becomes a pipeline, or is refused with a reason."""

from __future__ import annotations

import re
from typing import Any

import pymfa

# Families whose pipelines must be made; everything else may also be refused.
RUNNABLE = ("copy", "Add", "softmax", "rms", "layer_norm", "steel_gemm_fused", "sdpa_vector")
_TYPES = re.compile(r"(bfloat16|float16|float32|complex64|bool_|u?int(8|16|32|64))(_t)?|\d+")
_SAMPLE = 40


def families(names: tuple[str, ...]) -> dict[str, str]:
    """Name without types and numbers -> the first function that is called so."""
    found: dict[str, str] = {}
    for name in sorted(names):
        found.setdefault(_TYPES.sub("", name), name)
    return found


def constants(function: pymfa.Function) -> dict[int | str, Any]:
    values: dict[int | str, Any] = {}
    for constant in function.constants:
        values[constant.index] = False if constant.type == "bool" else 1
    return values


def test_every_function_is_described(library: pymfa.Library) -> None:
    names = library.functions
    assert len(names) > 10_000
    for name in list(families(names).values())[::10]:
        function = library.function(name)
        assert function.is_kernel and function.arguments, name


def test_pipelines_of_a_sample(library: pymfa.Library) -> None:
    found = families(library.functions)
    step = max(1, len(found) // _SAMPLE)
    refused = {}
    for name in list(found.values())[::step]:
        try:
            library.pipeline(name, constants=constants(library.function(name)))
        except pymfa.Error as error:
            refused[name] = str(error)
    for name, reason in refused.items():
        assert reason, f"{name} is refused without a reason"
        assert not any(word in name for word in RUNNABLE), f"{name}: {reason}"
