"""The benchmarks run, on the least work, and end with one JSON line; their figures are not judged here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


def run(name: str, *arguments: str) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, BENCHMARKS / f"{name}.py", *arguments], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_bootstrap_gives_the_loops_values() -> None:
    said = run("bootstrap", "--resamples", "200", "--loop", "3")
    assert said["resamples"] == 200
    assert said["difference"] < 1e-9
    assert said["ratio_sklearn"] > 0


@pytest.mark.slow
def test_evaluate_measures_whole_calls() -> None:
    said = run("evaluate", "--rows", "2000", "--rounds", "1")
    assert said["rows"] == 2000
    assert said["peak_mb"] > 10
    assert said["ratio_isic"] is None  # no environment of the scorer was named


@pytest.mark.slow
def test_train_step_makes_the_same_steps_three_ways() -> None:
    pytest.importorskip("torch")
    pytest.importorskip("pytorch_lightning")
    said = run("train_step", "--size", "16", "--rounds", "2", "--batches", "2")
    assert said["cases"] == 64
    for way in ("plain", "plain_fast", "lightning"):
        assert said[f"loss_difference_{way}"] < 1e-4
        assert said[f"ratio_{way}"] > 0


@pytest.mark.slow
def test_gpu_goes_through_on_the_cpu() -> None:
    pytest.importorskip("pytorch_lightning")
    said = run("gpu", "--device", "cpu", "--train", "40", "--test", "8", "--size", "32",
               "--epochs", "1")  # fmt: skip
    assert said["device"].startswith("CPU")
    names = {"epoch_s", "epoch_streamed_s", "ratio_plain", "ratio_backbone", "ratio_strict"}
    assert names <= said.keys()


@pytest.mark.slow
def test_growth_measures_each_size() -> None:
    pytest.importorskip("torch")
    said = run("growth", "--size", "16", "--cases", "60", "120")
    assert [row["cases"] for row in said["rows"]] == [60, 120]
    assert said["ratio_time"] > 0


@pytest.mark.slow
def test_fanout_measures_both_ways_and_the_bits_agree() -> None:
    pytest.importorskip("torch")
    said = run("fanout", "--epochs", "1", "--cases", "66", "--tiny", "3", "--no-ray")
    assert (said["cells"], said["workers"], said["tiny_cells"]) == (6, 2, 3)
    wanted = said["one_worker_s"] / (2 * said["two_workers_s"])
    assert said["efficiency"] == pytest.approx(wanted)
    assert said["overhead_ray"] is None
    assert said["overhead_local"] > said["overhead_in_process"] > 0
