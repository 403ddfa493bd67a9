# SPDX-License-Identifier: MIT
"""A fixed sample of all families in mlx-metal becomes pipelines, or is refused with a reason."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from apple_kernels import metallib_path

import pymfa
from pymfa.conformance.constants import default, read_table, values_for
from pymfa.conformance.families import by_family, family_of, sample
from pymfa.conformance.report import markdown, percentile, summary
from pymfa.conformance.run import Result, Settings, run

COUNT = 400
SHARE = 0.995  # of the sample that has to compile


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("vn_copyfloat32bfloat16", "copy"),
        ("gn4large_Addbool_", "Add"),
        ("sv2_ArcTan2float32", "ArcTan2"),
        ("v_Log1pfloat16float16", "Log1p"),
        ("steel_gemm_fused_nt_float16_float16_bm64_bn64_bk16_wm2_wn2", "steel_gemm_fused_nt"),
        ("affine_qmv_fast_float_gs_32_b_4_batch_0_pr_0_hgs_0_r_4", "affine_qmv_fast"),
        ("sdpa_vector_2pass_1_float_64_64", "sdpa_vector_2pass"),
        ("row_reduce_small_1_reduce_sumfloat32", "row_reduce_small"),
        ("hgemm", "hgemm"),
    ],
)
def test_family(name: str, family: str) -> None:
    assert family_of(name) == family


def test_sample_is_stratified_and_fixed(library: pymfa.Library) -> None:
    names = library.functions
    families = by_family(names)
    picked = sample(names, COUNT)
    assert picked == sample(reversed(names), COUNT)
    assert len(set(picked)) == COUNT
    assert {family_of(n) for n in picked} == set(families)
    assert set(sample(names, 50)) < set(sample(names, 100)) < set(picked)


def test_constants_come_from_the_table_or_the_type(library: pymfa.Library, tmp_path: Path) -> None:
    function = library.function("fft_mem_1024_float2_float2")
    extra = tmp_path / "more.toml"
    extra.write_text('["fft_mem_1.*"]\ninv_ = true\n')
    named = {c.index: c.name for c in function.constants}
    values = {named[i]: v for i, v in values_for(function, read_table(extra)).items()}
    assert values["inv_"] is True and values["is_power_of_2_"] is True
    assert values["radix_8_steps_"] == 3 and values["radix_3_steps_"] == 0
    assert default("bool") is False and default("uint") == 1 and default("half3") == [1.0] * 3


def test_percentile() -> None:
    assert [percentile([3, 1, 2], share) for share in (0.0, 0.5, 0.95)] == [1, 2, 3]
    assert percentile(list(range(1, 101)), 0.95) == 95


def test_every_family_is_described(library: pymfa.Library) -> None:
    for group in list(by_family(library.functions).values())[::4]:
        function = library.function(group[0])
        assert function.is_kernel and function.arguments, group[0]


def test_pipelines_of_a_sample(library: pymfa.Library) -> None:
    path = metallib_path()
    assert path is not None
    results: list[Any] = []
    run(sample(library.functions, COUNT), Settings(path, timeout=60), results.append)
    assert len(results) == COUNT
    counts = Counter(r.status for r in results)
    assert counts["crashed"] == counts["timed out"] == 0, markdown(results)
    assert counts["compiled"] >= SHARE * COUNT, markdown(results)
    assert all(r.reason for r in results if r.status == "refused")


def test_a_worker_that_dies_is_a_finding(library: pymfa.Library, monkeypatch: Any) -> None:
    """The process compiling the second function ends; the third is compiled by its successor."""
    path = metallib_path()
    assert path is not None
    monkeypatch.setattr("pymfa.conformance.run.serve", _dies_at_copy)
    names = ["vv_Addint32", "v_copyint32int32", "vv_Subtractint32"]
    results = run(names, Settings(path, workers=1), lambda result: None)
    assert [r.status for r in results] == ["compiled", "crashed", "compiled"]
    assert "SIGKILL" in results[1].reason
    assert "2 of 3 functions compiled" in summary(results)


def test_a_worker_that_hangs_is_a_finding(library: pymfa.Library, monkeypatch: Any) -> None:
    path = metallib_path()
    assert path is not None
    monkeypatch.setattr("pymfa.conformance.run.serve", _hangs)
    results: list[Result] = []
    run(["vv_Addint32"], Settings(path, workers=1, timeout=0.5), results.append)
    assert [r.status for r in results] == ["timed out"]


def _dies_at_copy(pipe: Any, *settings: Any) -> None:
    import signal

    from pymfa.conformance.worker import serve

    class Deadly:
        send = pipe.send

        def recv(self) -> Any:
            name = pipe.recv()
            if name == "v_copyint32int32":
                os.kill(os.getpid(), signal.SIGKILL)
            return name

    serve(Deadly(), *settings)  # type: ignore[arg-type]


def _hangs(pipe: Any, *_settings: Any) -> None:
    import time

    pipe.send((None, {}))
    pipe.recv()
    time.sleep(60)
