# SPDX-License-Identifier: MIT
"""Tensors -> arrays over the same memory, and what the operators of both kinds share.

Options are plain arguments of an operator, in the order of OPTIONS, because schemas know no
**options.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Any

import ml_dtypes
import torch
from torch import Tensor

from ..arrays import Array
from ..encode.gradients import ALL, BiasGradient
from ..errors import InvalidType, Unsupported

FLOATS = (torch.float32, torch.float16, torch.bfloat16)
# Of a schema; its functions take them as *options.
OPTIONS = (
    "Tensor? mask, Tensor? bias, Tensor? alibi, Tensor? sinks, str causal, float? scale, "
    "int? window_left, int? window_right, float? soft_cap, float dropout, int seed, int offset"
)
Gradients = tuple[Tensor, Tensor, Tensor, Tensor]


def array(tensor: Tensor) -> Array:
    """The same memory."""
    tensor = tensor.detach()
    if tensor.dtype == torch.bfloat16:
        return tensor.view(torch.int16).numpy().view(ml_dtypes.bfloat16)
    found: Array = tensor.numpy()
    return found


def expect(name: str, tensor: Tensor, dtypes: tuple[torch.dtype, ...]) -> None:
    if not isinstance(tensor, Tensor):
        raise InvalidType(f"{name} is a {type(tensor).__name__}; expected a tensor")
    if tensor.device.type not in ("cpu", "meta"):
        raise InvalidType(f"{name} is on {tensor.device}; expected the CPU")
    if tensor.dtype not in dtypes:
        expected = ", ".join(str(d).removeprefix("torch.") for d in dict.fromkeys(dtypes))
        raise InvalidType(f"{name} has dtype {tensor.dtype}; expected {expected}")
    if tensor.layout != torch.strided:
        raise InvalidType(f"{name} has layout {tensor.layout}; expected strided")


def expect_gradients(
    name: str, mask: Tensor | None, bias: Tensor | None, alibi: Tensor | None
) -> None:
    if alibi is not None and alibi.requires_grad:
        raise Unsupported(f"{name}: alibi requires a gradient; expected constant slopes")
    if mask is not None and bias is not None and mask.requires_grad:
        raise Unsupported(f"{name}: mask requires a gradient beside a bias; expected one of both")


def causal_name(causal: bool | str) -> str:
    if isinstance(causal, str):
        return causal
    return "lower_right" if causal else "none"


def seed(given: int | None, dropout: float) -> int:
    """Without one, from PyTorch's generator, so that torch.manual_seed repeats it."""
    if given is not None:
        return given
    return int(torch.randint(1 << 62, ())) if dropout else 0


def options(
    mask: Tensor | None, bias: Tensor | None, alibi: Tensor | None, sinks: Tensor | None,
    causal: str, scale: float | None, left: int | None, right: int | None, soft_cap: float | None,
    dropout: float, seed: int, offset: int,
) -> dict[str, Any]:  # fmt: skip
    """Arguments of an operator as pymfa.attention takes them."""
    named = {"mask": mask, "bias": bias, "alibi": alibi, "sinks": sinks}
    arrays = {name: None if x is None else array(x) for name, x in named.items()}
    window = None if left is None and right is None else (left, right)
    return {
        **arrays, "causal": False if causal == "none" else causal, "scale": scale,
        "window": window, "soft_cap": soft_cap, "dropout": dropout, "seed": seed, "offset": offset,
    }  # fmt: skip


def gradients(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, bias: Tensor | None,
    wanted: Sequence[bool],
) -> Gradients:  # fmt: skip
    """dq, dk, dv and the gradient of the bias or mask; empty tensors for those not wanted."""
    added = mask if bias is None else bias
    like = (q, k, v, q if added is None else added)
    dq, dk, dv, dadded = (
        x.new_empty(x.shape if want else (0,)) for x, want in zip(like, wanted, strict=True)
    )
    return dq, dk, dv, dadded


class Filled:
    """Arguments of an encoder that let it fill gradients; at exit that of a bias is copied."""

    def __init__(
        self, call: str, found: Gradients, wanted: Sequence[bool], columns: int,
        options: dict[str, Any],
    ) -> None:  # fmt: skip
        arrays = {n: array(x) for n, x, w in zip(ALL, found, wanted, strict=False) if w}
        self._target = found[3]
        self._bias = None
        if wanted[3]:
            self._bias = BiasGradient(call, options["bias"], options["mask"], columns)
        four = None if self._bias is None else self._bias.four
        self.outputs: dict[str, Any] = {**arrays, "wanted": tuple(arrays), "dbias": four}

    def __enter__(self) -> Filled:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        _value: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        if kind is None and self._bias is not None:
            array(self._target)[...] = self._bias.result()


def sink_gradient(do: Tensor, o: Tensor, lse: Tensor, sinks: Tensor, *, rows: int) -> Tensor:
    """A sink has no value, so its gradient is its weight times -rowsum(dO O).

    `rows` is the axis of o that lse has last.
    """
    sums = (do.float() * o.float()).sum(-1).movedim(rows, -1)
    weighted = torch.exp(sinks[:, None] - lse) * sums
    return -weighted.reshape(-1, *lse.shape[-2:]).sum((0, 2))
