# SPDX-License-Identifier: MIT
"""Forked and spawned processes, and threads: they compute, or say why not. Nothing may hang."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import pymfa

pytestmark = pytest.mark.skipif(
    "cpu" not in [device.name for device in pymfa.devices()], reason="needs the CPU device"
)

START = """
import multiprocessing, os, signal, sys, threading, time
import numpy as np
import pymfa

x = np.ones((100, 100), np.float32)

def product(_=0):
    return int(pymfa.sgemm(x, x).sum())

def child(work):
    # What became of a forked child: its word, or "hang".
    read, write = os.pipe()
    process = os.fork()
    if process == 0:
        signal.alarm(20)
        try:
            said = str(work())
        except Exception as error:
            said = f"{type(error).__name__}: {error}"
        os.write(write, said.encode())
        os._exit(0)
    os.close(write)
    said = os.read(read, 1000).decode()
    os.close(read)
    os.waitpid(process, 0)
    return said or "hang"
"""


def run(code: str, folder: Path | None = None) -> list[str]:
    """In a file, because spawn imports the main module again."""
    arguments = ["-c", START + code]
    if folder is not None:
        (folder / "main.py").write_text(START + code)
        arguments = [str(folder / "main.py")]
    done = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, timeout=200,
        env=os.environ | {"MFA_THREADS": "2"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_child_computes_where_the_parent_has_computed() -> None:
    lines = run("""
print(product())
with pymfa.device().commands(wait=False) as commands:
    commands.sgemm(x, x)
commands.wait()
def asynchronous():
    commands = pymfa.device().commands()
    out = commands.sgemm(x, x)
    commands.commit()
    return commands.wait(20) and int(out.sum())
print(child(product), child(asynchronous), child(lambda: child(product)), product())
""")
    assert lines == ["1000000", "1000000 1000000 1000000 1000000"]


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing(method: str, tmp_path: Path) -> None:
    lines = run(
        f"""
if __name__ == "__main__":
    product()
    with multiprocessing.get_context("{method}").Pool(2) as pool:
        print(pool.map(product, range(4)))
""",
        tmp_path,
    )
    assert lines == [str([1000000] * 4)]


def test_a_fork_while_a_thread_computes_is_refused_in_the_child() -> None:
    """Whether the thread is inside the library at that moment is chance: both ends are right."""
    lines = run("""
product()
big, stop = np.ones((900, 900), np.float32), threading.Event()
def spin():
    while not stop.is_set():
        pymfa.sgemm(big, big)
threads = [threading.Thread(target=spin) for _ in range(3)]
for thread in threads:
    thread.start()
for _ in range(12):
    time.sleep(0.01)
    print(child(product))
stop.set()
for thread in threads:
    thread.join()
print(product(), child(product))
""")
    assert lines[-1] == "1000000 1000000"
    refused = [line for line in lines[:-1] if line != "1000000"]
    assert refused and all(line.startswith("Failure: mfa_") for line in refused), lines
    assert all("this process was forked while the library worked" in line for line in refused)


LONG = """
#include <metal_stdlib>
using namespace metal;
kernel void spin(device uint *x [[buffer(0)]], constant uint &n [[buffer(1)]]) {
  uint v = x[0];
  for (uint i = 0; i < n; ++i) v = v * 1664525u + 1013904223u + (v >> 7);
  x[0] = v;
}
"""


def test_a_fork_while_commands_run_is_refused_in_the_child() -> None:
    lines = run(f"""
pipeline = pymfa.device("cpu").library(source={LONG!r}).pipeline("spin")
commands = pymfa.device("cpu").commands()
commands.dispatch(pipeline, buffers={{0: np.ones(1, np.uint32), 1: np.uint32(400_000_000)}},
                  threads=1)
commands.commit()
print(child(product))
commands.wait()
print(child(product))
""")
    assert "mfa_" in lines[0] and "was forked while the library worked" in lines[0]
    assert lines[1] == "1000000"


def test_other_threads_run_while_one_waits() -> None:
    """The waiting thread holds no GIL: counting goes on, at a pace that holding it would end."""
    lines = run(f"""
pipeline = pymfa.device("cpu").library(source={LONG!r}).pipeline("spin")
sys.setswitchinterval(1000)  # nobody is made to give the GIL away
commands = pymfa.device("cpu").commands()
commands.dispatch(pipeline, buffers={{0: np.ones(1, np.uint32), 1: np.uint32(400_000_000)}},
                  threads=1)
ready, done, counted = threading.Event(), [], []
def wait():
    ready.set()
    commands.run()
    done.append(True)
thread = threading.Thread(target=wait)
thread.start()
ready.wait()
while not done:
    time.sleep(0.001)
    counted.append(1)
thread.join()
print(len(counted), commands.gpu_time)
""")
    counted, seconds = lines[0].split()
    assert float(seconds) > 0.1
    assert int(counted) > 20


def test_waiting_with_a_limit() -> None:
    lines = run(f"""
pipeline = pymfa.device("cpu").library(source={LONG!r}).pipeline("spin")
commands = pymfa.device("cpu").commands()
commands.dispatch(pipeline, buffers={{0: np.ones(1, np.uint32), 1: np.uint32(400_000_000)}},
                  threads=1)
commands.commit()
print(commands.wait(0.01), commands.wait())
""")
    assert lines == ["False True"]
