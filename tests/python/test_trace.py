# SPDX-License-Identifier: MIT
"""MFA_TRACE: what a program did, in Chrome's trace format."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import os, sys, threading
import numpy as np, pymfa

x = np.ones((256, 256), np.float16)
for name in ("cpu", "reference"):
    device = pymfa.device(name)
    small = x[:32, :32].copy()
    with device.commands(label="two on " + name) as commands:
        y = commands.hgemm(small, small, label='first "quoted" \\\\ gr\\u00f6\\u00dfer')
        commands.cast(y, np.float32, label="second")
with pymfa.device("cpu").commands(concurrent=True) as commands:
    for number in range(4):
        commands.hgemm(x, x, label=f"beside {number}")

def work():
    pymfa.hgemm(x, x)

threads = [threading.Thread(target=work) for _ in range(3)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""


def run(folder: Path, program: str, path: str = "trace.json", **more: str) -> str:
    environment = os.environ | {"MFA_TRACE": str(folder / path), "MFA_CACHE": "off"} | more
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def events(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trace")
    run(folder, PROGRAM)
    assert [file.name for file in folder.iterdir()] == ["trace.json"], "no temporary file is left"
    trace = json.loads((folder / "trace.json").read_text("utf-8"))
    assert trace["otherData"] == {"dropped": "0"}
    return trace["traceEvents"]


def named(events, category, name):
    return [e for e in events if e["cat"] == category and e["name"] == name]


def test_every_event_has_what_viewers_need(events):
    process = {event["pid"] for event in events}
    assert len(process) == 1
    rows = {event["tid"] for event in events if event["ph"] == "M"}
    for event in events:
        assert event["ph"] in "XbeM"
        assert event["tid"] in rows, "every row has a name"
        if event["ph"] == "X":
            assert event["dur"] >= 0 <= event["ts"]


def test_operations_are_found_by_their_label(events):
    label = 'first "quoted" \\ größer'
    for category in ("encode", "command"):
        found = named(events, category, label)
        assert len(found) == 2, "one for each device"
        assert all(event["dur"] > 0 for event in found)
    encoded, ran = named(events, "encode", label), named(events, "command", label)
    assert {event["args"]["function"] for event in encoded} == {"mfa_hgemm"}
    assert {event["args"]["kernel"] for event in ran} == {"hgemm"}
    assert "threadgroups" in ran[0]["args"]
    for e, r in zip(encoded, ran, strict=True):
        assert e["ts"] + e["dur"] <= r["ts"]
    for first, second in zip(ran, named(events, "command", "second"), strict=True):
        assert first["ts"] + first["dur"] <= second["ts"], "they run one after the other"


def test_command_buffers_have_a_beginning_an_end_and_a_row_of_their_device(events):
    rows = {event["tid"]: event["args"]["name"] for event in events if event["ph"] == "M"}
    for device in ("cpu", "reference"):
        name = "two on " + device
        begin, end = named(events, "commands", name)
        assert (begin["ph"], end["ph"]) == ("b", "e")
        assert begin["id"] == end["id"]
        assert begin["args"] == {"operations": 2, "device": device}
        [ran] = named(events, "command buffer", name)
        assert rows[ran["tid"]] == device + " queue"
        assert begin["ts"] <= ran["ts"] <= ran["ts"] + ran["dur"] <= end["ts"]
        inside = [
            event for event in events
            if event["cat"] == "command" and ran["ts"] <= event["ts"] < ran["ts"] + ran["dur"]
        ]  # fmt: skip
        assert [event["name"] for event in inside][-1] == "second"


def test_compilations_are_there_with_their_constants(events):
    made = [event for event in events if event["cat"] == "compile"]
    assert {"hgemm", "cast"} <= {event["name"] for event in made}
    asked = [event for event in events if event["cat"] == "pipeline" and event["ph"] == "b"]
    assert any("A_trans" in event["args"].get("variant", "") for event in asked)
    ends = [event for event in events if event["cat"] == "pipeline" and event["ph"] == "e"]
    assert sorted(e["id"] for e in ends) == sorted(e["id"] for e in asked)


def test_commands_at_the_same_time(events):
    for number in range(4):
        assert named(events, "encode", f"beside {number}")
        assert named(events, "command", f"beside {number}")


def test_threads_have_rows(events):
    assert len({e["tid"] for e in events if e["cat"] == "encode"}) >= 4


def test_processes_may_write_files_of_their_own(tmp_path):
    run(tmp_path, "import pymfa, numpy as np; pymfa.cast(np.ones(9, np.float32), 'float16')",
        "trace-%p.json")  # fmt: skip
    [file] = tmp_path.iterdir()
    process = file.name.removeprefix("trace-").removesuffix(".json")
    [event] = [
        e for e in json.loads(file.read_text("utf-8"))["traceEvents"] if e["cat"] == "command"
    ]
    assert str(event["pid"]) == process


FORK = """
import os, sys, numpy as np, pymfa
x = np.ones(9, np.float32)
pymfa.cast(x, 'float16')
child = os.fork()
pymfa.cast(x, 'float16')
if child == 0: sys.exit(0)
os.waitpid(child, 0)
print(child)
"""


def test_a_forked_child_leaves_its_parents_file_alone(tmp_path):
    child = int(run(tmp_path, FORK))
    files = {file.name: json.loads(file.read_text("utf-8")) for file in tmp_path.iterdir()}
    assert files.keys() == {"trace.json", f"trace.json.{child}"}
    ran = {
        name: len([e for e in trace["traceEvents"] if e["cat"] == "command"])
        for name, trace in files.items()
    }
    assert ran == {"trace.json": 2, f"trace.json.{child}": 1}


def test_a_file_that_cannot_be_written_is_an_error_at_once(tmp_path):
    program = """
import numpy as np, pymfa
try:
    pymfa.cast(np.ones(9, np.float32), 'float16')
except pymfa.InvalidValue as error:
    print(error)
"""
    said = run(tmp_path, program, "none/trace.json")
    path = tmp_path / "none" / "trace.json"
    assert (
        said == f'mfa_commands_begin: MFA_TRACE: cannot write "{path}": No such file or directory\n'
    )


def test_a_failure_is_in_the_trace(tmp_path):
    program = '''
import numpy as np, pymfa
device = pymfa.device("validate")
pipe = device.library(source="""
#include <metal_stdlib>
using namespace metal;
kernel void outside(device float *x [[buffer(0)]], uint i [[thread_position_in_grid]]) {
  x[i + 100000] = 1;
}""").pipeline("outside")
try:
    with device.commands() as commands:
        commands.dispatch(pipe, buffers={0: np.ones(64, np.float32)}, threads=64, label="mine")
except pymfa.Failure as error:
    assert '"mine": kernel' in str(error), error
'''
    run(tmp_path, program)
    events = json.loads((tmp_path / "trace.json").read_text("utf-8"))["traceEvents"]
    [event] = named(events, "command", "mine")
    assert "outside" in event["args"]["error"]
