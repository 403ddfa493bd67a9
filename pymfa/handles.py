# SPDX-License-Identifier: MIT
"""What copy and pickle make of objects that stand for something of this process."""

from __future__ import annotations

from typing import Any, ClassVar, NoReturn

from .errors import InvalidType


class OfThisProcess:
    """Cannot be copied or pickled; `_instead` says what can."""

    _instead: ClassVar[str] = ""

    def __reduce_ex__(self, _protocol: Any) -> NoReturn:
        raise InvalidType(
            f"a pymfa.{type(self).__name__} belongs to its process and cannot be copied or "
            f"pickled; expected {self._instead}"
        )


class SharedHere(OfThisProcess):
    """Never changes, so that a copy within the process is the object itself."""

    def __copy__(self) -> Any:
        return self

    def __deepcopy__(self, _memo: Any) -> Any:
        return self
