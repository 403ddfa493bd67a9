# SPDX-License-Identifier: MIT
"""What gradients of batches and of packed sequences share: results, their checks, and the call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import native
from ..arrays import Array, expect_dtype, expect_output, expect_shape, operand
from ..errors import InvalidValue
from ..problem import TYPES
from . import heads, scores

if TYPE_CHECKING:
    from ..commands import Commands

ALL = ("dq", "dk", "dv")
Found = tuple[Array | None, Array | None, Array | None]


@dataclass(frozen=True)
class Problem:
    """Checked input: q, k, v, o and do with four axes, the log-sum-exp, and what masks are."""

    call: str
    inputs: Mapping[str, Array]
    sums: Array
    options: scores.Scores
    shape: scores.Shape
    dbias: Array | None
    others: Mapping[str, Array]  # that are read as well


def expect_wanted(call: str, wanted: Sequence[str], dbias: Array | None) -> None:
    if any(name not in ALL for name in wanted) or (not wanted and dbias is None):
        raise InvalidValue(f"{call}: wanted is {tuple(wanted)!r}; expected some of {ALL}")


def expect_types(call: str, given: Mapping[str, Array]) -> None:
    """q, k and v have one type; o and do have one too, that or float32."""
    dtype = given["q"].dtype
    for name in ("k", "v"):
        expect_dtype(f"{call}: {name}", given[name], dtype)
    expect_dtype(f"{call}: o", given["o"], dtype, np.float32)
    expect_dtype(f"{call}: do", given["do"], given["o"].dtype)


def results(
    call: str, wanted: Sequence[str], outs: Sequence[Any], given: Mapping[str, Array]
) -> dict[str, Array]:
    """Arrays for those that are wanted: the caller's `outs`, else new ones."""
    found = {}
    for name, out in zip(ALL, outs, strict=True):
        if name not in wanted:
            if out is not None:
                raise InvalidValue(f"{call}: {name} is given but wanted is {tuple(wanted)!r}")
            continue
        like = given[name[1:]]
        result = (
            np.empty(like.shape, like.dtype) if out is None else operand(f"{call}: {name}", out)
        )
        expect_shape(f"{call}: {name}", result, like.shape)
        expect_dtype(f"{call}: {name}", result, like.dtype)
        found[name] = result
    return found


def encode(
    commands: Commands, problem: Problem, found: Mapping[str, Array], targets: Mapping[str, Array],
    desc: Any, operands: Any,
) -> Found:  # fmt: skip
    """`targets` are `found` with four axes; `desc` and `operands` those of the forward call."""
    call, inputs, sums = problem.call, problem.inputs, problem.sums
    for name, x in targets.items():
        heads.readable(call, name, x, copy=False)
        others = {other: y for other, y in found.items() if other != name}
        read = {**inputs, "lse": sums, **problem.options.arrays, **problem.others, **others}
        expect_output(f"{call}: {name}", found[name], **read)
    answer = found.get("dq"), found.get("dk"), found.get("dv")
    if 0 in problem.shape:  # nothing depends on anything
        for array in (*found.values(), problem.dbias):
            if array is not None:
                array[...] = 0
        return answer

    own = native.struct("mfa_attention_backward_desc", attention=desc)
    own_operands = native.struct("mfa_attention_backward_operands", attention=operands)
    problem.options.set(commands, desc, operands)
    heads.put(commands, desc, operands, {name: inputs[name] for name in ("q", "k", "v", "o")})
    heads.put_sums(commands, desc, operands, "lse", sums, output=False)
    heads.put(commands, own, own_operands, {"d_o": inputs["do"], **targets}, outputs=ALL)
    if problem.dbias is not None:
        heads.set_strides(own.dbias, np.broadcast_to(problem.dbias, problem.shape))
        commands.memory.put(own_operands.dbias, problem.dbias, output=True)
        own.dbias_type = native.number(TYPES[problem.dbias.dtype.name])
    native.operation("mfa_attention_backward", commands.handle, own, own_operands)
    return answer


class BiasGradient:
    """The gradient of the bias, or else of the additive mask.

    A kernel fills `four`: four axes, in float32 with all columns where the last one is repeated.
    """

    def __init__(self, call: str, bias: Any, mask: Any, columns: int) -> None:
        given = mask if bias is None else bias
        if given is None:
            raise InvalidValue(f"{call}: return_dbias needs a bias or an additive mask")
        array = operand(f"{call}: bias", given)
        if array.dtype == np.bool_:
            raise InvalidValue(f"{call}: return_dbias needs a bias; the mask is boolean")
        self._result = np.zeros(array.shape, array.dtype)
        self.four = self._result[(None,) * (4 - array.ndim)]
        if self.four.shape[3] != columns:
            self.four = np.zeros((*self.four.shape[:3], columns), np.float32)

    def result(self) -> Array:
        """In the shape of the bias, once the kernel has run."""
        if self.four.size != self._result.size:  # one value for all keys
            self._result[...] = self.four.sum(axis=-1).reshape(self._result.shape)
        return self._result
