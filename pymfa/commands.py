# SPDX-License-Identifier: MIT
"""One command buffer with one encoder: operations in the order they are to run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from . import native
from .arrays import Array
from .encode import (
    attention,
    attention_backward,
    cast,
    convolution,
    decode,
    dispatch,
    gemm,
    merge,
    qgemm,
    varlen,
)
from .errors import Error, Failure, InvalidType
from .handles import OfThisProcess
from .memory import Memory

if TYPE_CHECKING:
    from typing import Self

    from numpy.typing import DTypeLike

    from .hardware import Device
    from .library import Pipeline
    from .quantized import Palettized, Quantized

Result = TypeVar("Result")

# C callbacks that have not been called yet.
_waiting_callbacks: set[Any] = set()


class Commands(OfThisProcess):
    """Arrays and buffers that are used stay alive until the commands have run."""

    _instead = "the arrays that operations return"

    def __init__(
        self, device: Device, *, label: str | None = None, wait: bool = True,
        concurrent: bool = False,
    ) -> None:  # fmt: skip
        self.device = device
        self.memory = Memory(device)
        begin = "mfa_commands_begin_concurrent" if concurrent else "mfa_commands_begin"
        self.handle = native.handle("mfa_commands", begin, device.handle)
        self._wait_at_exit = wait
        self._committed = False
        self._done = False
        if label is not None:
            native.call("mfa_commands_set_label", self.handle, label.encode())

    # Operations. Each returns its result, which holds its values once the commands have run. Each
    # takes `label`, a name for messages of failures and for traces.

    def hgemm(self, a: Any, b: Any, *, label: str | None = None, **options: Any) -> Array:
        """float16: see pymfa.hgemm."""
        return self._named(label, gemm.encode, "hgemm", a, b, **options)

    def sgemm(self, a: Any, b: Any, *, label: str | None = None, **options: Any) -> Array:
        """float32: see pymfa.sgemm."""
        return self._named(label, gemm.encode, "sgemm", a, b, **options)

    def bgemm(self, a: Any, b: Any, *, label: str | None = None, **options: Any) -> Array:
        """bfloat16: see pymfa.bgemm."""
        return self._named(label, gemm.encode, "bgemm", a, b, **options)

    def qgemm(
        self, a: Any, b: Quantized | Palettized, *, label: str | None = None, **options: Any
    ) -> Array:
        """Quantized weights: see pymfa.qgemm."""
        return self._named(label, qgemm.encode, a, b, **options)

    def attention(
        self, q: Any, k: Any, v: Any, *, out: Any = None, lse: Any = None,
        label: str | None = None, **options: Any,
    ) -> Array:  # fmt: skip
        """See pymfa.attention. `lse` is a float32 array to fill, instead of return_lse."""
        return self._named(label, attention.encode, q, k, v, out=out, lse=lse, **options)

    def attention_backward(
        self, do: Any, q: Any, k: Any, v: Any, o: Any, lse: Any, *, label: str | None = None,
        **options: Any,
    ) -> tuple[Array | None, Array | None, Array | None]:  # fmt: skip
        """See pymfa.attention_backward."""
        return self._named(label, attention_backward.encode, do, q, k, v, o, lse, **options)

    def convolution(self, x: Any, w: Any, *, label: str | None = None, **options: Any) -> Array:
        """See pymfa.convolution."""
        return self._named(label, convolution.encode, x, w, **options)

    def attention_varlen(
        self, q: Any, k: Any, v: Any, cu_seqlens_q: Any, cu_seqlens_k: Any, *,
        label: str | None = None, **options: Any,
    ) -> Array:  # fmt: skip
        """See pymfa.attention_varlen. `lse` is a float32 array to fill, instead of return_lse."""
        return self._named(label, varlen.encode, q, k, v, cu_seqlens_q, cu_seqlens_k, **options)

    def attention_varlen_backward(
        self, do: Any, q: Any, k: Any, v: Any, o: Any, lse: Any, cu_seqlens_q: Any,
        cu_seqlens_k: Any, *, label: str | None = None, **options: Any,
    ) -> tuple[Array | None, Array | None, Array | None]:  # fmt: skip
        """See pymfa.attention_varlen_backward."""
        return self._named(
            label, varlen.encode_backward, do, q, k, v, o, lse, cu_seqlens_q, cu_seqlens_k,
            **options,
        )  # fmt: skip

    def attention_decode(
        self, q: Any, k: Any, v: Any, *, label: str | None = None, **options: Any
    ) -> Array:
        """See pymfa.attention_decode. `lse` is a float32 array to fill, instead of return_lse."""
        options.setdefault("causal", True)
        return self._named(label, decode.encode, q, k, v, **options)

    def merge_attention(
        self, o1: Any, lse1: Any, o2: Any, lse2: Any, *, label: str | None = None, **options: Any
    ) -> Array:
        """See pymfa.merge_attention. `lse` is a float32 array to fill, instead of return_lse."""
        return self._named(label, merge.encode, o1, lse1, o2, lse2, **options)

    def cast(
        self, x: Any, dtype: DTypeLike | None = None, *, out: Any = None, label: str | None = None
    ) -> Array:
        """See pymfa.cast."""
        return self._named(label, cast.encode, x, dtype, out=out)

    def dispatch(
        self,
        pipeline: Pipeline,
        *,
        buffers: Mapping[int, Any] | None = None,
        threadgroup_memory: Mapping[int, int] | None = None,
        threadgroups: int | Sequence[int] | None = None,
        threads: int | Sequence[int] | None = None,
        threads_per_threadgroup: int | Sequence[int] | None = None,
        label: str | None = None,
    ) -> None:
        """Runs any kernel over so many threadgroups, or so many threads.

        A buffer is an array, a pymfa.Buffer, a pair of one of these with a byte offset, or a value
        to pass by copy: bytes, or a NumPy scalar.
        """
        self._named(
            label, dispatch.encode, pipeline,
            buffers=buffers or {}, threadgroup_memory=threadgroup_memory or {},
            threadgroups=threadgroups, threads=threads,
            threads_per_threadgroup=threads_per_threadgroup,
        )  # fmt: skip

    def _named(
        self, label: str | None, encode: Callable[..., Result], *arguments: Any, **options: Any
    ) -> Result:
        """Encodes; what goes wrong is reported with the label."""
        if label is None:
            return encode(self, *arguments, **options)
        if not isinstance(label, str):
            raise InvalidType(f"label is a {type(label).__name__}; expected text")
        native.call("mfa_commands_set_operation_label", self.handle, label.encode())
        try:
            return encode(self, *arguments, **options)
        except Error as error:
            if f'"{label}"' in str(error):
                raise
            raise type(error)(f'"{label}": {error}') from error
        finally:
            if not self._committed:
                native.call("mfa_commands_set_operation_label", self.handle, native.null)

    # Life: encoding, committed, done.

    @property
    def encodes(self) -> bool:
        """Operations may still be added."""
        return not self._committed

    def encoding(self, operation: str) -> None:
        """Raises unless operations may still be added."""
        if self._committed:
            raise Failure(f"{operation}: these commands are committed; begin new ones")

    def on_completed(self, function: Callable[[Exception | None], None]) -> None:
        """Calls the function with the error or None, on a thread of the library's own.

        It may do whatever it likes, wait for other commands too; only not for another such call.
        """
        self.encoding("Commands.on_completed")

        def once(error: Exception | None) -> None:
            _waiting_callbacks.discard(callback)
            function(error)

        callback = native.completion(once)
        native.call("mfa_commands_on_completed", self.handle, callback, native.null)
        _waiting_callbacks.add(callback)

    def commit(self) -> None:
        """Hands the commands to the device and returns at once."""
        self.encoding("Commands.commit")
        native.call("mfa_commands_commit", self.handle)
        self._committed = True

    def run(self) -> None:
        """Commits and waits: quicker than one after the other."""
        self.encoding("Commands.run")
        self._committed = True
        try:
            native.call("mfa_commands_run", self.handle)
        except Exception:
            self._done = True
            self.memory.drop()
            raise
        self._done = True
        self.memory.finish()

    def wait(self, seconds: float | None = None) -> bool:
        """True when the commands have run, False when they have not after so many seconds."""
        if not self._committed:
            raise Failure("Commands.wait: these commands are not committed")
        if self._done:
            return True
        try:
            finished = native.wait(self.handle, -1.0 if seconds is None else seconds)
        except Exception:
            self._done = True
            self.memory.drop()
            raise
        if finished:
            self._done = True
            self.memory.finish()
        return finished

    @property
    def state(self) -> str:
        """encoding, committed, completed or failed."""
        states = native.enumerators("mfa_commands_state")
        return states[int(self._info().state)].removeprefix("MFA_COMMANDS_").lower()

    @property
    def operations(self) -> int:
        return int(self._info().operations)

    @property
    def command_buffers(self) -> int:
        """How many hold the operations: one, or more after a long convolution."""
        return int(self._info().command_buffers)

    @property
    def workspace(self) -> int:
        """Bytes of device memory that operations took for themselves."""
        return int(self._info().workspace)

    @property
    def gpu_time(self) -> float:
        """Seconds that the device worked, once the commands have run."""
        info = self._info()
        return float(info.gpu_end_time - info.gpu_start_time)

    def _info(self) -> Any:
        info = native.struct("mfa_commands_info")
        native.call("mfa_commands_get_info", self.handle, info)
        return info

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        _value: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        if kind is None:
            if self._wait_at_exit and not self._committed:
                self.run()
            elif self._wait_at_exit:
                self.wait()
            elif not self._committed:
                self.commit()
        elif not self._committed:
            self._committed = self._done = True  # dropped: what was encoded never runs
            self.memory.drop()

    def __del__(self) -> None:
        # The device may still read and write the arrays that this object keeps alive.
        if getattr(self, "_committed", False) and not self._done:
            native.wait(self.handle, -1.0)
