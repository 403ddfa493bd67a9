# SPDX-License-Identifier: MIT
"""What a function computes -> descriptors, to be prepared when the program starts the next time."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

from . import native
from .errors import InvalidValue

_FORMAT = "pymfa descriptors"
_VERSION = 1

# Function of mfa.h -> its operation, the struct that describes it, and the problem's flags, each
# with the operand that it is about and whether that has to be there.
_GEMM = ("mfa_gemm_desc", {"has_bias": ("bias", True)})
_OPERATIONS: Mapping[str, tuple[str, str, Mapping[str, tuple[str, bool]]]] = {
    "mfa_hgemm": ("HGEMM", *_GEMM),
    "mfa_sgemm": ("SGEMM", *_GEMM),
    "mfa_bgemm": ("BGEMM", *_GEMM),
    "mfa_qgemm": ("QGEMM", "mfa_qgemm_desc", {"has_bias": ("bias", True)}),
    "mfa_attention": ("ATTENTION", "mfa_attention_desc", {"has_lse": ("lse", True)}),
    "mfa_attention_backward": (
        "ATTENTION_BACKWARD", "mfa_attention_backward_desc",
        {"has_bias": ("dbias", True), "without_dq": ("dq", False), "without_dk": ("dk", False),
         "without_dv": ("dv", False)},
    ),
    "mfa_attention_decode": ("DECODE", "mfa_decode_desc", {"has_lse": ("lse", True)}),
    "mfa_merge_attention": ("MERGE", "mfa_merge_desc", {"has_lse": ("lse", True)}),
    "mfa_convolution": ("CONVOLUTION", "mfa_convolution_desc", {"has_bias": ("bias", True)}),
    "mfa_convolution_weights": ("CONVOLUTION_WEIGHTS", "mfa_convolution_desc", {}),
    "mfa_cast": ("CAST", "mfa_cast_desc", {}),
}  # fmt: skip
_STRUCTS = {operation: (desc, flags) for operation, desc, flags in _OPERATIONS.values()}


@dataclass(frozen=True)
class Recorded:
    """A descriptor as libmfa was given it; Device.prepare, explain and supported take it."""

    text: str  # JSON

    @property
    def operation(self) -> str:
        """hgemm, attention, ..."""
        return str(json.loads(self.text)["operation"]).lower()

    def to_native(self) -> Any:
        given = json.loads(self.text)
        operation = given.pop("operation").upper()
        struct, flags = _STRUCTS[operation]
        desc = native.struct(struct)
        kept = native.fill(desc, given.pop("desc"))
        if not given.keys() <= flags.keys():
            raise InvalidValue(f"{operation.lower()} has no {sorted(given.keys() - flags.keys())}")
        problem = native.struct(
            "mfa_problem", desc=desc, operation=native.number("MFA_OPERATION_" + operation), **given
        )
        return native.keep(problem, desc, *kept)


class Recording(Sequence[Recorded]):
    """Different descriptors in the order of their first use. Device.prepare takes it."""

    def __init__(self, problems: Iterable[Recorded] = ()) -> None:
        self._problems = dict.fromkeys(problems)

    def save(self, path: str | os.PathLike[str]) -> None:
        """As JSON. Who reads the file meanwhile sees the old one or the new one."""
        problems = ",\n".join(problem.text for problem in self)
        text = f'{{"format": "{_FORMAT}", "version": {_VERSION}, "problems": [\n{problems}\n]}}\n'
        temporary = Path(f"{os.fspath(path)}.{os.getpid()}.tmp")
        temporary.write_text(text, "utf-8")
        temporary.replace(path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Recording:
        """What save() has written."""
        try:
            given = json.loads(Path(path).read_text("utf-8"))
            known = given["format"] == _FORMAT and given["version"] == _VERSION
            problems = given["problems"] if known else []
        except (ValueError, KeyError, TypeError):
            known = False
        if not known:
            raise InvalidValue(f"{os.fspath(path)} is no recording of pymfa, version {_VERSION}")
        result = cls(_read(os.fspath(path), problem) for problem in problems)
        for problem in result:
            problem.to_native()
        return result

    @overload
    def __getitem__(self, index: int) -> Recorded: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Recorded]: ...
    def __getitem__(self, index: int | slice) -> Recorded | Sequence[Recorded]:
        return list(self._problems)[index]

    def __len__(self) -> int:
        return len(self._problems)

    def __iter__(self) -> Iterator[Recorded]:
        return iter(self._problems)

    def __repr__(self) -> str:
        return f"<pymfa.Recording of {len(self)} descriptors>"


def record(function: Callable[..., object], *arguments: Any, **options: Any) -> Recording:
    """Calls the function once and returns the descriptors of all operations encoded meanwhile.

    Operations of other threads count too. Kernels that the program compiles itself are not among
    them: making their pipelines is what prepares them.
    """
    found: dict[Recorded, None] = {}
    lock = threading.Lock()

    def listen(name: str, desc: Any, operands: Any) -> None:
        problem = _recorded(name, desc, operands)
        with lock:
            found[problem] = None

    native.listeners.append(listen)
    try:
        function(*arguments, **options)
    finally:
        native.listeners.remove(listen)
    return Recording(found)


def _recorded(name: str, desc: Any, operands: Any) -> Recorded:
    operation, _, flags = _OPERATIONS[name]
    value: dict[str, Any] = {"operation": operation.lower(), "desc": native.fields(desc)}
    for flag, (operand, present) in flags.items():
        if (getattr(operands, operand).buffer != native.null) is present:
            value[flag] = True
    return Recorded(json.dumps(value))


def _read(path: str, problem: Any) -> Recorded:
    operation = problem.get("operation") if isinstance(problem, dict) else None
    if not isinstance(operation, str) or operation.upper() not in _STRUCTS or "desc" not in problem:
        raise InvalidValue(f"{path}: {problem!r} is no descriptor; expected operation and desc")
    return Recorded(json.dumps(problem))
