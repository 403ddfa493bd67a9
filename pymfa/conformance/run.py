# SPDX-License-Identifier: MIT
"""Names of functions -> what became of each, by worker processes that may crash or hang."""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from ..errors import Failure
from .families import family_of
from .worker import serve

_START = 120.0  # seconds a worker may take to load the library


@dataclass(frozen=True)
class Result:
    name: str
    status: str  # compiled, refused, crashed, timed out
    reason: str = ""
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    code_bytes: int = 0

    @property
    def family(self) -> str:
        return family_of(self.name)


@dataclass(frozen=True)
class Settings:
    file: Path
    device: str | None = None
    table: Path | None = None
    cache: bool = False
    workers: int = 2
    timeout: float = 120.0


class _Worker:
    """A process and the name it is busy with; before its first answer it is loading."""

    def __init__(self, settings: Settings) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        table = str(settings.table) if settings.table else None
        arguments = (theirs, str(settings.file), settings.device, table, settings.cache)
        self.process = context.Process(target=serve, args=arguments, daemon=True)
        self.process.start()
        theirs.close()
        self.name: str | None = None
        self.deadline = time.monotonic() + _START

    def give(self, name: str, timeout: float) -> None:
        self.name = name
        self.deadline = time.monotonic() + timeout
        self.pipe.send(name)

    def read(self) -> dict[str, Any] | None:
        """The outcome of what it was busy with, or None if the process has ended."""
        try:
            _, outcome = self.pipe.recv()
        except (EOFError, OSError):
            return None
        return dict(outcome)

    def end(self) -> str:
        """Kills the process if it is still there; says how it ended."""
        self.pipe.close()
        self.process.join(1)
        if self.process.exitcode is None:
            self.process.kill()
            self.process.join()
            return "killed"
        code = self.process.exitcode
        return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"


def run(names: Iterable[str], settings: Settings, report: Callable[[Result], None]) -> list[Result]:
    """Calls `report` with every result as it comes; returns them in the order of the names."""
    wanted = list(names)
    waiting = deque(wanted)
    results: dict[str, Result] = {}
    workers = [_Worker(settings) for _ in range(max(1, min(settings.workers, len(wanted))))]

    def finish(result: Result) -> None:
        results[result.name] = result
        report(result)

    def replace(worker: _Worker, status: str, reason: str) -> None:
        how = worker.end()
        workers.remove(worker)
        if worker.name is None:
            raise Failure(f"conformance: a worker did not load {settings.file}: {reason or how}")
        finish(Result(worker.name, status, reason or how))
        if waiting:
            workers.append(_Worker(settings))

    try:
        while len(results) < len(wanted):
            now = time.monotonic()
            soonest = min(worker.deadline for worker in workers)
            pipes: list[Connection] = [worker.pipe for worker in workers]
            ready = wait(pipes, max(0.0, soonest - now))
            for worker in list(workers):
                if worker.pipe in ready:
                    outcome = worker.read()
                    if outcome is None:
                        replace(worker, "crashed", "")
                        continue
                    if worker.name is not None:
                        status = "refused" if "reason" in outcome else "compiled"
                        finish(Result(worker.name, status, **outcome))
                    if waiting:
                        worker.give(waiting.popleft(), settings.timeout)
                    else:
                        worker.deadline = float("inf")
                elif time.monotonic() > worker.deadline:
                    replace(worker, "timed out", f"no pipeline after {settings.timeout:g} s")
    finally:
        for worker in workers:
            if worker.process.is_alive():
                worker.process.kill()
            worker.process.join()
    return [results[name] for name in wanted]
