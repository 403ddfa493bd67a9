# SPDX-License-Identifier: MIT
"""Pipelines that are being compiled ahead of time: how far that is, waiting, calling it off."""

from __future__ import annotations

import atexit
import threading
from collections.abc import Callable, Iterable
from typing import Any

from . import native
from .errors import Cancelled, Error
from .problem import Problem

# Those that go on; their callbacks have to live as long.
_running: set[Preparation] = set()


class Preparation:
    """What Device.prepare has begun."""

    def __init__(
        self,
        device: Any,
        problems: Iterable[Problem],
        progress: Callable[[int, int], object] | None,
    ) -> None:
        self.done = 0  # pipelines that are ready
        self.count = 0  # of so many, known with the first one
        self.cancelled = False  # some were left out
        self._progress = progress
        self._stop = False
        self._ended = threading.Event()
        self._error: BaseException | None = None
        prepared = [problem.to_native() for problem in problems]
        table = native.array("mfa_problem", [p[0] for p in prepared])
        self._callbacks = (native.progress(self._told), native.completion(self._end))
        options = native.struct(
            "mfa_prepare_options", progress=self._callbacks[0], completed=self._callbacks[1]
        )
        _running.add(self)
        try:
            native.call("mfa_prepare", device, table, len(prepared), options)
        except Error:
            _running.discard(self)
            self._ended.set()
            raise

    def cancel(self) -> None:
        """Leaves out what has not begun; what is being compiled is finished."""
        self._stop = True

    def wait(self, seconds: float | None = None) -> bool:
        """True when it has ended, False when it has not after so many seconds."""
        try:
            if not self._ended.wait(seconds):
                return False
        except KeyboardInterrupt:
            self.cancel()
            raise
        if self._error is not None:
            raise self._error
        return True

    @property
    def ended(self) -> bool:
        return self._ended.is_set()

    def _told(self, done: int, count: int) -> bool:
        self.done, self.count = done, count
        try:
            if self._progress is not None and self._progress(done, count) is False:
                self._stop = True
        except BaseException as error:  # it is wait() that raises it
            self._error = error
            self._stop = True
        return not self._stop

    def _end(self, error: Exception | None) -> None:
        self.cancelled = isinstance(error, Cancelled)
        if self._error is None and not self.cancelled:
            self._error = error
        _running.discard(self)
        self._ended.set()


@atexit.register
def _finish() -> None:
    """Nobody may call Python when it is gone."""
    for preparation in list(_running):
        preparation.cancel()
    for preparation in list(_running):
        preparation._ended.wait()
