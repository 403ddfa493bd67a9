# SPDX-License-Identifier: MIT
"""Descriptors of operations without their data: what Device.prepare and Device.explain take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from . import native
from .arrays import bfloat16
from .errors import InvalidType, InvalidValue

TYPES = {"float16": "MFA_TYPE_HALF", "float32": "MFA_TYPE_FLOAT", "bfloat16": "MFA_TYPE_BFLOAT"}
GEMMS = {"float16": "hgemm", "float32": "sgemm", "bfloat16": "bgemm"}
ACTIVATIONS = {
    None: "MFA_ACTIVATION_NONE",
    "none": "MFA_ACTIVATION_NONE",
    "relu": "MFA_ACTIVATION_RELU",
    "gelu": "MFA_ACTIVATION_GELU",
    "gelu_tanh": "MFA_ACTIVATION_GELU_TANH",
    "silu": "MFA_ACTIVATION_SILU",
}
CAUSAL = {
    False: "MFA_CAUSAL_NONE",
    True: "MFA_CAUSAL_LOWER_RIGHT",
    "lower_right": "MFA_CAUSAL_LOWER_RIGHT",
    "upper_left": "MFA_CAUSAL_UPPER_LEFT",
}
SPARSITY = {
    "auto": "MFA_SPARSITY_AUTO",
    "on": "MFA_SPARSITY_ON",
    "off": "MFA_SPARSITY_OFF",
}
ALGORITHMS = {
    "auto": "MFA_ALGORITHM_AUTO",
    "direct": "MFA_ALGORITHM_DIRECT",
    "winograd": "MFA_ALGORITHM_WINOGRAD",
}
LAYOUTS = {"BHND": "MFA_LAYOUT_BHND", "BNHD": "MFA_LAYOUT_BNHD"}


def choice(name: str, value: Any, choices: dict[Any, str]) -> int:
    """The constant of mfa.h that a named option stands for."""
    try:
        return native.number(choices[value])
    except (KeyError, TypeError):
        expected = ", ".join(repr(key) for key in choices)
        raise InvalidValue(f"{name} is {value!r}; expected one of {expected}") from None


def float_type(name: str, dtype: Any) -> str:
    """float16, float32 or bfloat16, as a name."""
    import numpy as np

    try:
        found: str = np.dtype(bfloat16 if dtype == "bfloat16" else dtype).name
    except TypeError:
        found = str(dtype)
    if found not in TYPES:
        raise InvalidType(f"{name} is {found}; expected float16, float32 or bfloat16")
    return found


class Problem(Protocol):
    def to_native(self) -> Any:
        """An mfa_problem, with the descriptor it points to kept alive by it."""


@dataclass(frozen=True)
class GemmDesc:
    """A product of an M x K and a K x N matrix, or a batch of them."""

    M: int
    N: int
    K: int
    dtype: Any = "float16"
    batch: int = 1
    trans_a: bool = False
    trans_b: bool = False
    alpha: float = 1.0
    beta: float = 0.0
    bias: bool = False
    activation: str | None = None

    def to_native(self) -> Any:
        desc = native.struct(
            "mfa_gemm_desc", M=self.M, N=self.N, K=self.K, batch=self.batch,
            trans_a=self.trans_a, trans_b=self.trans_b, alpha=self.alpha, has_alpha=True,
            beta=self.beta, activation=choice("activation", self.activation, ACTIVATIONS),
        )  # fmt: skip
        operation = GEMMS[float_type("dtype", self.dtype)].upper()
        return _problem(desc, "MFA_OPERATION_" + operation, has_bias=self.bias)


@dataclass(frozen=True)
class QgemmDesc:
    """A product of an M x K matrix with K x N quantized weights, or a batch of them.

    `group_size` is that of pymfa.quantize or, with palettes, of pymfa.palettize: 0 for one palette.
    `columns`: palettes are for stored columns.
    """

    M: int
    N: int
    K: int
    bits: int = 4
    group_size: int = 64
    palette: bool = False
    dtype: Any = "float16"
    weight_dtype: Any = None  # of scales and biases, or of palettes; as dtype
    output_dtype: Any = None  # as dtype
    batch: int = 1
    trans_a: bool = False
    trans_b: bool = True
    alpha: float = 1.0
    beta: float = 0.0
    bias: bool = False
    activation: str | None = None
    columns: bool = False
    msb_first: bool = False

    def to_native(self) -> Any:
        def type_of(name: str) -> int:
            given = getattr(self, name)
            return native.number(TYPES[float_type(name, self.dtype if given is None else given)])

        kind = "PALETTE" if self.palette else "AFFINE"
        order = "MSB" if self.msb_first else "LSB"
        width = self.K if self.trans_b else self.N
        desc = native.struct(
            "mfa_qgemm_desc", M=self.M, N=self.N, K=self.K, batch=self.batch, bits=self.bits,
            ldb=width if self.palette else -(-width // 32) * 32,
            trans_a=self.trans_a, trans_b=self.trans_b, alpha=self.alpha, has_alpha=True,
            beta=self.beta, activation=choice("activation", self.activation, ACTIVATIONS),
            quantization=native.number("MFA_QUANTIZATION_" + kind), group_size=self.group_size,
            bit_order=native.number(f"MFA_BITS_{order}_FIRST"), palette_columns=self.columns,
            input_type=type_of("dtype"), weight_type=type_of("weight_dtype"),
            output_type=type_of("output_dtype"),
        )  # fmt: skip
        return _problem(desc, "MFA_OPERATION_QGEMM", has_bias=self.bias)


@dataclass(frozen=True)
class AttentionDesc:
    """Attention of R queries to C keys, in H heads of width D, for B batches."""

    R: int
    C: int
    D: int
    H: int = 1
    B: int = 1
    Hkv: int | None = None  # as many as H
    Dv: int | None = None  # as wide as D
    dtype: Any = "float16"
    causal: bool | str = False
    mask: Any = None  # None, "bool", or the dtype of an additive mask
    scale: float | None = None
    layout: str = "BHND"
    return_lse: bool = False
    out_dtype: Any = None  # as dtype, or float32
    window: tuple[int | None, int | None] | None = None
    soft_cap: float | None = None
    dropout: float = 0.0
    bias: Any = None  # None, or its dtype
    alibi: bool = False
    sinks: bool = False
    sparsity: str = "auto"

    def to_native(self) -> Any:
        return _problem(self.descriptor(), "MFA_OPERATION_ATTENTION", has_lse=self.return_lse)

    def descriptor(self) -> Any:
        name = float_type("dtype", self.dtype)
        desc = native.struct(
            "mfa_attention_desc", B=self.B, H=self.H, Hkv=self.Hkv or self.H, R=self.R, C=self.C,
            D=self.D, Dv=self.Dv or self.D, type=native.number(TYPES[name]),
            causal=choice("causal", self.causal, CAUSAL),
            layout=choice("layout", self.layout, LAYOUTS),
        )  # fmt: skip
        if self.scale is not None:
            desc.scale, desc.has_scale = self.scale, True
        if self.mask in ("bool", bool):
            desc.mask_kind = native.number("MFA_MASK_BOOLEAN")
        elif self.mask is not None:
            desc.mask_kind = native.number("MFA_MASK_ADDITIVE")
            desc.mask_type = native.number(TYPES[float_type("mask", self.mask)])
        if self.out_dtype is not None:
            desc.o_type = native.number(TYPES[float_type("out_dtype", self.out_dtype)])
        if self.window is not None:
            left, right = (-1 if side is None else side for side in self.window)
            desc.window_left, desc.window_right, desc.has_window = left, right, True
        if self.bias is not None:
            desc.bias_type = native.number(TYPES[float_type("bias", self.bias)])
            desc.has_bias = True
        desc.soft_cap, desc.dropout = self.soft_cap or 0.0, self.dropout
        desc.has_slopes, desc.has_sinks = self.alibi, self.sinks
        desc.sparsity = choice("sparsity", self.sparsity, SPARSITY)
        return desc


@dataclass(frozen=True)
class DecodeDesc:
    """Attention of a few queries to a cache: `attention` with C, the most keys of any batch."""

    attention: AttentionDesc
    bits: int = 0  # 0: not quantized
    group_size: int = 64
    page_size: int = 0  # 0: not paged
    pages: int = 0
    lengths: bool = False
    splits: int | None = None  # chosen for the device

    def to_native(self) -> Any:
        options = self.attention.descriptor()
        desc = native.struct(
            "mfa_decode_desc", attention=options, bits=self.bits,
            group_size=self.group_size if self.bits else 0, page_size=self.page_size,
            pages=self.pages, has_lengths=self.lengths, splits=self.splits or 0,
        )  # fmt: skip
        native.keep(desc, options)
        return _problem(desc, "MFA_OPERATION_DECODE", has_lse=self.attention.return_lse)


@dataclass(frozen=True)
class AttentionBackwardDesc:
    """All three gradients of attention, and that of its bias where `dbias` says so."""

    attention: AttentionDesc
    dbias: bool = False

    def to_native(self) -> Any:
        options = self.attention.descriptor()
        desc = native.struct("mfa_attention_backward_desc", attention=options)
        native.keep(desc, options)
        return _problem(desc, "MFA_OPERATION_ATTENTION_BACKWARD", has_bias=self.dbias)


@dataclass(frozen=True)
class CastDesc:
    """Numbers of one type turned into another."""

    count: int
    source: Any
    destination: Any

    def to_native(self) -> Any:
        source, destination = (
            native.number(TYPES[float_type(name, getattr(self, name))])
            for name in ("source", "destination")
        )
        desc = native.struct(
            "mfa_cast_desc", count=self.count, source_type=source, destination_type=destination
        )
        return _problem(desc, "MFA_OPERATION_CAST")


@dataclass(frozen=True)
class Explanation:
    """The kernel, its variant and its tiles for a problem."""

    kernel: str
    variant: str
    reason: str
    tile: tuple[int, int, int]
    threads_per_threadgroup: int
    threadgroups: tuple[int, int, int]
    threadgroup_memory: int
    workspace: int
    cached: bool
    dispatches: int
    command_buffers: int
    blocks: tuple[int, int]  # by Winograd: of image tiles and of filters
    block_sizes: tuple[int, int]  # tiles and filters in the largest of them

    @classmethod
    def from_native(cls, value: Any) -> Explanation:
        x, y, z = (int(n) for n in value.tile)
        gx, gy, gz = (int(n) for n in value.threadgroups)
        return cls(
            kernel=native.text(value.kernel),
            variant=native.text(value.variant),
            reason=native.text(value.reason),
            tile=(x, y, z),
            threads_per_threadgroup=int(value.threads_per_threadgroup),
            threadgroups=(gx, gy, gz),
            threadgroup_memory=int(value.threadgroup_memory),
            workspace=int(value.workspace),
            cached=bool(value.cached),
            dispatches=int(value.dispatches),
            command_buffers=int(value.command_buffers),
            blocks=(int(value.blocks[0]), int(value.blocks[1])),
            block_sizes=(int(value.block_sizes[0]), int(value.block_sizes[1])),
        )


def _problem(desc: Any, operation: str, **flags: bool) -> Any:
    problem = native.struct("mfa_problem", desc=desc, operation=native.number(operation), **flags)
    return native.keep(problem, desc)
