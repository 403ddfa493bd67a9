# SPDX-License-Identifier: MIT
"""The exceptions of pymfa: each is a pymfa.Error and also the built-in that fits."""

from __future__ import annotations


class Error(Exception):
    """Base of everything pymfa raises on purpose."""


class InvalidValue(Error, ValueError):  # noqa: N818 - reads as what it says
    """An argument has the right type and an unusable value: shape, stride, overlap, state."""


class InvalidType(Error, TypeError):  # noqa: N818
    """An argument is of a type or dtype that the operation does not take."""


class OutOfMemory(Error, MemoryError):  # noqa: N818
    """The device could not allocate."""


class Unsupported(Error, NotImplementedError):  # noqa: N818
    """Valid, but not available: the message names the construct or the variant."""


class Failure(Error, RuntimeError):  # noqa: N818
    """The work failed while it ran, or an object was used after its life ended."""


class Cancelled(Failure):
    """Not everything was done, as asked for."""
