# SPDX-License-Identifier: MIT
"""mfa_prepare, mfa_supported, mfa_explain."""

import threading

import pytest


def gemm_problem(abi, **fields):
    desc = abi.struct("mfa_gemm_desc", M=100, N=100, K=100, **fields)
    problem = abi.struct(
        "mfa_problem",
        desc=abi.ffi.cast("void *", desc),
        operation=abi.lib.MFA_OPERATION_SGEMM,
    )
    return problem, desc


def attention_problem(abi, D):
    desc = abi.struct("mfa_attention_desc", H=2, R=64, C=64, D=D)
    problem = abi.struct(
        "mfa_problem",
        desc=abi.ffi.cast("void *", desc),
        operation=abi.lib.MFA_OPERATION_ATTENTION,
        has_lse=True,
    )
    return problem, desc


def test_explain(abi, device):
    problem, _desc = gemm_problem(abi, trans_b=True)
    told = abi.info("mfa_explanation", "mfa_explain", device.handle, problem)
    assert abi.string(told.kernel) == "sgemm"
    assert "B_trans=1" in abi.string(told.variant).split()
    assert abi.string(told.reason)
    assert all(size > 0 for size in told.tile)
    for count, size, tile in zip((100, 100), told.threadgroups, (1, 0), strict=False):
        assert size == -(-count // told.tile[tile]) or size > 0
    assert told.threads_per_threadgroup % 32 == 0
    assert told.threadgroup_memory > 0
    assert told.workspace == 0


def test_explain_without_work(abi, device):
    problem, desc = gemm_problem(abi)
    desc.M = 0
    told = abi.info("mfa_explanation", "mfa_explain", device.handle, problem)
    assert (abi.string(told.kernel), told.cached) == ("", True)


def test_a_mask_takes_workspace(abi, device):
    problem, desc = attention_problem(abi, 32)
    desc.R = desc.C = 4096
    desc.mask_kind = abi.lib.MFA_MASK_BOOLEAN
    told = abi.info("mfa_explanation", "mfa_explain", device.handle, problem)
    assert told.workspace > 0


def test_supported(abi, device):
    problem, desc = attention_problem(abi, 64)
    reason = abi.ffi.new("const char **")
    answer = abi.ffi.new("bool *")
    abi.check(abi.lib.mfa_supported(device.handle, problem, answer, reason))
    assert (answer[0], abi.string(reason[0])) == (True, "")
    desc.D = 60000
    abi.check(abi.lib.mfa_supported(device.handle, problem, answer, reason))
    assert answer[0] is False
    assert "threadgroup memory" in abi.string(reason[0])
    abi.check(abi.lib.mfa_supported(device.handle, problem, answer, abi.null))
    refused = abi.struct("mfa_explanation")
    status = abi.lib.mfa_explain(device.handle, problem, refused)
    assert status == abi.lib.MFA_ERROR_UNSUPPORTED


@pytest.mark.parametrize("blocking", [True, False])
def test_prepare(abi, device, blocking):
    kept = [
        gemm_problem(abi, trans_a=a, trans_b=b) for a in (False, True) for b in (False, True)
    ] + [attention_problem(abi, 40), attention_problem(abi, 40)]
    problems = abi.ffi.new("mfa_problem[]", [problem[0] for problem, _desc in kept])
    calls, done = [], threading.Event()

    @abi.ffi.callback("mfa_completion")
    def ended(context, status, message):
        calls.append((status, abi.string(message)))
        done.set()

    options = abi.null if blocking else abi.struct("mfa_prepare_options", completed=ended)
    abi.check(abi.lib.mfa_prepare(device.handle, problems, len(problems), options))
    if not blocking:
        assert done.wait(300)
        assert calls == [(abi.lib.MFA_OK, "")]
    for problem, _desc in kept:
        told = abi.info("mfa_explanation", "mfa_explain", device.handle, problem)
        assert told.cached


def test_prepare_nothing(abi, first):
    calls, done = [], threading.Event()

    @abi.ffi.callback("mfa_completion")
    def ended(context, status, message):
        calls.append(status)
        done.set()

    abi.check(abi.lib.mfa_prepare(first.handle, abi.null, 0, abi.null))
    options = abi.struct("mfa_prepare_options", completed=ended)
    abi.check(abi.lib.mfa_prepare(first.handle, abi.null, 0, options))
    assert done.wait(60)
    assert calls == [abi.lib.MFA_OK]


# Attention in variants that no other test needs: they are compiled here for the first time.
def unused_problems(abi, bits):
    kept = [attention_problem(abi, 104) for _ in range(8)]
    for number, (_problem, desc) in enumerate(kept):
        desc.sparsity, desc.soft_cap = 2, 1 + bits
        desc.causal, desc.has_window = number & 1, bool(number & 2)
        if desc.has_window:
            desc.window_left = desc.window_right = 5
        desc.has_sinks = bool(number & 4)
        desc.type = abi.lib.MFA_TYPE_BFLOAT
    return abi.ffi.new("mfa_problem[]", [problem[0] for problem, _desc in kept]), kept


def cached(abi, device, kept):
    return [
        bool(abi.info("mfa_explanation", "mfa_explain", device.handle, problem).cached)
        for problem, _desc in kept
    ]


def test_progress_counts_each_pipeline_once(abi, first):
    problems, kept = unused_problems(abi, 0)
    told = []

    @abi.ffi.callback("mfa_progress")
    def progress(context, done, count):
        told.append((int(abi.ffi.cast("intptr_t", context)), done, count))
        return True

    options = abi.struct(
        "mfa_prepare_options", progress=progress, context=abi.ffi.cast("void *", 7)
    )
    abi.check(abi.lib.mfa_prepare(first.handle, problems, len(problems), options))
    count = len(told)
    assert 1 < count <= len(kept)
    assert told == [(7, done + 1, count) for done in range(count)]
    assert all(cached(abi, first, kept))
    told.clear()
    abi.check(abi.lib.mfa_prepare(first.handle, problems, len(problems), options))
    assert len(told) == count, "what is ready already is reported as well"


def test_cancelling_leaves_out_what_has_not_begun(abi):
    # The device that nothing else in this file compiles for.
    device = abi.out("mfa_device", "mfa_device_open", b"validate")
    kept = [
        gemm_problem(abi, trans_a=a, trans_b=b, activation=activation)
        for a in (False, True)
        for b in (False, True)
        for activation in range(5)
    ]
    problems = abi.ffi.new("mfa_problem[]", [problem[0] for problem, _desc in kept])
    told = []

    @abi.ffi.callback("mfa_progress")
    def progress(context, done, count):
        told.append((done, count))
        return False

    options = abi.struct("mfa_prepare_options", progress=progress)
    status = abi.lib.mfa_prepare(device, problems, len(problems), options)
    assert abi.name(status) == "MFA_CANCELLED"
    done, count = told[-1]
    assert done < count == len(kept)
    assert abi.error() == f"mfa_prepare: cancelled after {done} of {count} pipelines"
    ready = [
        abi.info("mfa_explanation", "mfa_explain", device, problem).cached
        for problem, _desc in kept
    ]
    assert 0 < sum(ready) == done
    abi.check(abi.lib.mfa_device_release(device))


def test_the_end_may_call_back_into_the_library(abi, first):
    problem, _desc = gemm_problem(abi)
    statuses, done = [], threading.Event()

    @abi.ffi.callback("mfa_completion")
    def ended(context, status, message):
        statuses.append(status)
        statuses.append(abi.lib.mfa_prepare(first.handle, problem, 1, abi.null))
        done.set()

    options = abi.struct("mfa_prepare_options", completed=ended)
    abi.check(abi.lib.mfa_prepare(first.handle, problem, 1, options))
    assert done.wait(60)
    assert statuses == [abi.lib.MFA_OK] * 2


def test_a_broken_descriptor_is_an_error_not_an_answer(abi, first):
    problem, desc = gemm_problem(abi)
    desc.lda = 3
    answer = abi.ffi.new("bool *")
    status = abi.lib.mfa_supported(first.handle, problem, answer, abi.null)
    assert status == abi.lib.MFA_ERROR_INVALID_ARGUMENT
    assert abi.error() == "mfa_supported: lda is 3, expected at least K = 100"
    status = abi.lib.mfa_prepare(first.handle, problem, 1, abi.null)
    assert status == abi.lib.MFA_ERROR_INVALID_ARGUMENT
    assert abi.error() == "mfa_prepare: problems[0]: lda is 3, expected at least K = 100"
