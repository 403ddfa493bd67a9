# SPDX-License-Identifier: MIT
"""pymfa.record: descriptors of what a function used, saved, loaded and prepared."""

import json
import subprocess
import sys

import numpy as np
import pytest

import pymfa

RANDOM = np.random.default_rng(5)


def halves(*shape):
    return RANDOM.standard_normal(shape).astype(np.float16)


def everything():
    """Every operation, with a variety of options."""
    a, w = halves(64, 96), halves(48, 96)
    pymfa.hgemm(a, w, trans_b=True, bias=halves(48), activation="gelu")
    pymfa.hgemm(halves(3, 8, 16), halves(16, 8), alpha=0.5)
    pymfa.sgemm(a.astype(np.float32)[:, ::2], w.astype(np.float32)[:, ::2], trans_b=True)
    pymfa.bgemm(a.astype(pymfa.bfloat16), w.astype(pymfa.bfloat16), trans_b=True)
    pymfa.qgemm(a, pymfa.quantize(halves(64, 96), bits=4, group_size=32))
    pymfa.qgemm(a, pymfa.palettize(halves(64, 96), bits=6))
    q, k, v = (halves(1, 2, 40, 32) for _ in "qkv")
    mask = np.ones((40, 40), bool)
    o, lse = pymfa.attention(q, k, v, mask=mask, return_lse=True)
    pymfa.attention_backward(o, q, k, v, o, lse, mask=mask)
    pymfa.attention(q, k, v, causal=True, window=(8, 0), soft_cap=20.0)
    starts = np.array([0, 10, 40], np.uint32)
    pymfa.attention_varlen(halves(40, 2, 32), halves(40, 2, 32), halves(40, 2, 32), starts, starts)
    o1, lse1 = pymfa.attention_decode(q[:, :, :1], k, v, return_lse=True)
    pymfa.merge_attention(o1, lse1, o1, lse1)
    pymfa.convolution(halves(1, 12, 12, 8), halves(16, 3, 3, 8), padding=1)
    weights = pymfa.WinogradWeights(halves(16, 3, 3, 16))
    pymfa.convolution(halves(1, 12, 12, 16), weights, padding=1)
    pymfa.cast(a, np.float32)


OPERATIONS = {
    "hgemm", "sgemm", "bgemm", "qgemm", "attention", "attention_backward", "decode", "merge",
    "convolution", "convolution_weights", "cast",
}  # fmt: skip


@pytest.fixture(scope="module")
def recording():
    return pymfa.record(everything)


def test_every_operation_is_recorded(recording):
    assert {problem.operation for problem in recording} == OPERATIONS
    assert "descriptors" in repr(recording)
    packed = [p for p in recording if json.loads(p.text)["desc"].get("packed")]
    assert [problem.operation for problem in packed] == ["attention"], "of attention_varlen"


def test_a_file_says_the_same(recording, tmp_path):
    path = tmp_path / "problems.json"
    recording.save(path)
    assert [file.name for file in tmp_path.iterdir()] == ["problems.json"]
    assert list(pymfa.Recording.load(path)) == list(recording)
    text = json.loads(path.read_text())
    assert text["problems"][0]["operation"] == "hgemm"
    assert text["problems"][0]["desc"]["activation"] == "MFA_ACTIVATION_GELU"
    assert text["problems"][0]["has_bias"] is True


def test_it_is_what_ran(recording):
    device = pymfa.device()
    for problem in recording:
        assert device.explain(problem).cached, problem


def test_descriptors_come_once():
    a, b = halves(8, 8), halves(8, 8)

    def twice():
        for _ in range(2):
            pymfa.hgemm(a, b)

    assert len(pymfa.record(twice)) == 1


def test_arguments_are_passed_on():
    recording = pymfa.record(pymfa.hgemm, halves(8, 24), halves(24, 8), alpha=2.0)
    [problem] = recording
    fields = json.loads(problem.text)["desc"]
    assert (fields["M"], fields["N"], fields["K"], fields["alpha"]) == (8, 8, 24, 2.0)
    assert recording[0] is problem
    assert list(recording[:1]) == [problem]


def test_a_function_that_fails_records_nothing_more():
    def broken():
        raise KeyError("mine")

    with pytest.raises(KeyError):
        pymfa.record(broken)
    assert not pymfa.native.listeners


PREPARE = """
import sys, numpy as np, pymfa
recording = pymfa.Recording.load(sys.argv[1])
device = pymfa.device()
told = []
done = device.prepare(recording, progress=lambda done, count: told.append((done, count)))
assert done.ended and not done.cancelled and done.done == done.count == len(told), told
assert all(device.explain(problem).cached for problem in recording)
sys.path.insert(0, sys.argv[2])
import test_recording
before = [device.explain(problem) for problem in recording]
import os
os.environ["MFA_DUMP"] = sys.argv[3]
test_recording.everything()
"""


def test_the_next_process_compiles_nothing_more(recording, tmp_path):
    """Every compilation would leave files in the folder that MFA_DUMP names."""
    path, dump = tmp_path / "problems.json", tmp_path / "dump"
    dump.mkdir()
    recording.save(path)
    done = subprocess.run(
        [sys.executable, "-c", PREPARE, path, __file__.rpartition("/")[0], dump],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert [file.name for file in dump.iterdir()] == []


BAD = {
    "nothing": "",
    "no JSON": "{",
    "another format": '{"format": "x", "version": 1, "problems": []}',
    "a newer version": '{"format": "pymfa descriptors", "version": 2, "problems": []}',
    "a list": "[]",
    "no operation": '{"format": "pymfa descriptors", "version": 1, "problems": [{"desc": {}}]}',
    "an unknown operation": """{"format": "pymfa descriptors", "version": 1,
        "problems": [{"operation": "fft", "desc": {}}]}""",
    "an unknown field": """{"format": "pymfa descriptors", "version": 1,
        "problems": [{"operation": "hgemm", "desc": {"Q": 1}}]}""",
    "a field of another type": """{"format": "pymfa descriptors", "version": 1,
        "problems": [{"operation": "hgemm", "desc": {"M": "many"}}]}""",
    "an unknown flag": """{"format": "pymfa descriptors", "version": 1,
        "problems": [{"operation": "hgemm", "desc": {"M": 1}, "has_lse": true}]}""",
    "an unknown enumerator": """{"format": "pymfa descriptors", "version": 1,
        "problems": [{"operation": "hgemm", "desc": {"activation": "MFA_X"}}]}""",
}


@pytest.mark.parametrize("what", BAD)
def test_bad_files(tmp_path, what):
    path = tmp_path / "bad.json"
    path.write_text(BAD[what])
    with pytest.raises(pymfa.InvalidValue):
        pymfa.Recording.load(path)


def test_progress_that_raises_ends_the_preparation():
    def stop(done, count):
        raise KeyError("mine")

    with pytest.raises(KeyError):
        pymfa.device().prepare([pymfa.GemmDesc(64, 64, 64)], progress=stop)


def test_preparing_may_be_called_off():
    device = pymfa.device("reference")
    problems = [
        pymfa.GemmDesc(64, 64, 64, dtype, trans_a=a, trans_b=b, activation=activation)
        for dtype in ("float16", "float32")
        for a in (False, True)
        for b in (False, True)
        for activation in (None, "relu", "silu")
    ]
    done = device.prepare(problems, progress=lambda done, count: False)
    assert done.cancelled
    assert 0 < done.done < done.count == len(problems)
    assert sum(device.explain(problem).cached for problem in problems) >= done.done
    later = device.prepare(problems, wait=False)
    assert later.wait()
    assert later.wait(0)
    assert not later.cancelled
    assert all(device.explain(problem).cached for problem in problems)
