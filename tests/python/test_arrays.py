# SPDX-License-Identifier: MIT
"""The pure Python parts: views, overlap, strides, batches, the cut header, statuses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.lib.stride_tricks import as_strided

from pymfa import arrays, cdef, native
from pymfa.encode.strides import Matrix, batches, matrix

X = np.zeros((6, 8), np.float32)


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (X, Matrix(False, 8)),
        (X.T, Matrix(True, 8)),
        (X[:, :3], Matrix(False, 8)),
        (X[:1], Matrix(False, 8)),
        (X[:, :1], Matrix(False, 8)),
        (X[:, :1].T, Matrix(True, 8)),
        (X[::2], Matrix(False, 16)),
        (X[:, ::2], None),
        (X[::-1], None),
        (np.broadcast_to(X[0], (6, 8)), None),
        (np.broadcast_to(X[:, :1], (6, 8)), None),
        (X[:0], Matrix(False, 8)),
    ],
)
def test_matrix(array: object, expected: Matrix | None) -> None:
    assert matrix(array) == expected  # type: ignore[arg-type]


def test_batches_join_where_they_can() -> None:
    assert batches((2, 3), [(12, 4), (3, 1)]).count == 6
    assert batches((2, 3), [(12, 4), (0, 0)]).count == 6
    split = batches((2, 3), [(12, 4), (0, 1)])
    assert (split.count, split.steps) == (3, (4, 1))
    assert split.offsets == [(0, 0), (12, 0)]
    assert batches((), [(), ()]).offsets == [(0, 0)]
    backwards = batches((3,), [(-4,)])
    assert (backwards.count, backwards.offsets) == (1, [(0,), (-4,), (-8,)])
    repeated = batches((3,), [(0,), (5,)], repeats=False)
    assert (repeated.count, repeated.offsets) == (1, [(0, 0), (0, 5), (0, 10)])


def test_overlap() -> None:
    assert arrays.overlap(X[:3], X[2:])
    assert not arrays.overlap(X[:3], X[3:])
    assert not arrays.overlap(X[:, ::2], X[:, 1::2])


@pytest.mark.parametrize(
    ("array", "itself"),
    [
        (X, False),
        (X.T, False),
        (X[::-1, ::2], False),
        (np.broadcast_to(X[0], (2, 8)), True),
        (as_strided(X, (4, 4), (4, 4)), True),
        (as_strided(X, (2, 3), (4, 8)), False),
    ],
)
def test_overlap_with_itself(array: object, itself: bool) -> None:
    assert arrays._overlaps_itself(array) is itself  # type: ignore[arg-type]


def test_bounds() -> None:
    base = X.ctypes.data
    assert arrays.bounds(X[1:3]) == (base + 32, base + 96)
    assert arrays.bounds(X[::-1]) == (base, base + 192)
    assert arrays.bounds(X[:0]) == (base, base)


def test_cut_header() -> None:
    text = "#ifdef A\n/* x cdef begin */\nint f(void);\n/* cdef end */\n#endif\n"
    assert cdef.cut(text) == "int f(void);"


def test_every_status_becomes_an_error() -> None:
    for status, name in native.enumerators("mfa_status").items():
        if name.startswith("MFA_ERROR"):
            error = native.error_of(status, "text")
            assert isinstance(error, (ValueError, TypeError, MemoryError, RuntimeError)), name


def test_only_one_module_touches_the_library() -> None:
    folder = Path(native.__file__).parent
    users = [p.name for p in folder.rglob("*.py") if "dlopen" in p.read_text()]
    assert users == ["native.py"]
