# SPDX-License-Identifier: MIT
"""One process that makes pipelines: names in through a pipe, outcomes back."""

from __future__ import annotations

import os
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any


def serve(pipe: Connection, file: str, device: str | None, table: str | None, cache: bool) -> None:
    """Answers every name with (name, outcome) until it gets None.

    The outcome is a dictionary: `reason` where the function is refused, else `seconds` (elapsed),
    `cpu_seconds` (of this process) and `code_bytes`.
    """
    if not cache:
        os.environ["MFA_CACHE"] = "off"
    import pymfa

    from .constants import read_table, values_for

    library = pymfa.device(device).library(file)
    values = read_table(Path(table) if table else None)
    pipe.send((None, {}))
    while (name := pipe.recv()) is not None:
        outcome: dict[str, Any] = {}
        try:
            constants = values_for(library.function(name), values)
            start, start_cpu = time.perf_counter(), time.process_time()
            pipeline = library.pipeline(name, constants)
            outcome["seconds"] = time.perf_counter() - start
            outcome["cpu_seconds"] = time.process_time() - start_cpu
            outcome["code_bytes"] = pipeline.code_bytes
        except pymfa.Error as error:
            outcome = {"reason": str(error)}
        pipe.send((name, outcome))
