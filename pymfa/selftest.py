# SPDX-License-Identifier: MIT
"""`python -m pymfa selftest`: evidence that every operation works on this machine, in seconds."""

from __future__ import annotations

import argparse
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence

from .checks import Check, all_checks, missing_compiler, source_check
from .errors import Error
from .hardware import Device, device, devices


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="pymfa selftest", description=__doc__)
    parser.add_argument("--device", help="only this one (default: all; with --threads the best)")
    parser.add_argument("--threads", type=int, help="this many at once on one device")
    parser.add_argument("--seconds", type=float, default=20, help="how long (default: 20)")
    options = parser.parse_args(arguments)
    if options.threads is not None:
        if options.threads < 1:
            parser.error(f"--threads {options.threads}: expected at least 1")
        return _together(device(options.device), options.threads, options.seconds)
    tested = [device(options.device)] if options.device else devices()
    failures = sum(_one_by_one(each) for each in tested)
    print("all good" if failures == 0 else f"{failures} failed", file=sys.stderr)
    return min(failures, 1)


def _one_by_one(tested: Device) -> int:
    """The number of failures."""
    print(f"{tested.name}: {tested.description}")
    failures = 0
    for check in (*all_checks(), source_check()):
        word = "ok"
        try:
            good, detail = check.verdict(tested)
            word = "ok" if good else "FAILED"
        except Error as error:
            detail = str(error)
            absent = check is source_check() and missing_compiler(error)
            word = "absent" if absent else "FAILED"
        failures += word == "FAILED"
        print(f"  {word:6}  {check.name:30} {detail}")
    return failures


def _together(tested: Device, count: int, seconds: float) -> int:
    """Each thread runs all checks over and over, in an order of its own, on the same device."""
    done: Counter[str] = Counter()
    wrong: list[str] = []
    lock = threading.Lock()
    checks = all_checks()
    end = time.monotonic() + seconds

    def work(seed: int) -> None:
        order: list[Check] = list(checks)
        shuffle = random.Random(seed).shuffle
        while time.monotonic() < end and not wrong:
            shuffle(order)
            for check in order:
                try:
                    good, detail = check.verdict(tested)
                except Exception as error:
                    good, detail = False, f"{type(error).__name__}: {error}"
                with lock:
                    done[check.name] += 1
                    if not good:
                        wrong.append(f"{check.name}: {detail}")
                if wrong or time.monotonic() >= end:
                    break

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(f"{tested.name}: {count} threads, {seconds:g} seconds")
    for check in checks:
        print(f"  {done[check.name]:8} x {check.name}")
    for line in wrong:
        print(f"  FAILED  {line}")
    print(f"{done.total()} results, {len(wrong)} wrong", file=sys.stderr)
    return min(len(wrong), 1)
