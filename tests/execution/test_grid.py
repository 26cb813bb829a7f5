"""A grid over settings, several runs in one report, and what a run will take."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("torch")

from milkreport.data.prepare import prepare
from milkreport.errors import ConfigError
from milkreport.evaluation.evaluate import EvaluationInputs, evaluate_inputs
from milkreport.evaluation.metrics.measures import Plan
from milkreport.evaluation.summarise import CaseFacts
from milkreport.execution import forecast as forecast_module
from milkreport.execution.executors import InProcess
from milkreport.execution.forecast import forecast
from milkreport.execution.grid import Point, parse_grid
from milkreport.gate.self_test import load_fixture
from milkreport.runs.combined import _tell_apart, best_on_validation, combine
from milkreport.runs.evaluated import write_evaluation
from milkreport.runs.folder import RunFolder
from milkreport.suite.suite import Split, build_suite, load_suite
from tests import report_samples as samples
from tests.fanout_tools import Memory, bits, carry_out, small_suite

OPTIONS = [
    "--set", "data.image_size=16", "--set", "training.threads=1", "--set", "training.epochs=2",
    "--set", "model.metadata_hidden_layers=1", "--device", "cpu", "--no-pdf", "--no-images",
]  # fmt: skip


# --- points ---------------------------------------------------------------------------------------


def test_points_are_the_product_of_the_axes() -> None:
    assert parse_grid([]) == [Point("", ())]
    points = parse_grid(["training.learning_rate=0.001,3e-4", "model.output=logits, softmax"])
    assert [point.name for point in points] == [
        "learning_rate-0.001_output-logits", "learning_rate-0.001_output-softmax",
        "learning_rate-3e-4_output-logits", "learning_rate-3e-4_output-softmax",
    ]  # fmt: skip
    assert points[2].overrides == ("training.learning_rate=3e-4", "model.output=logits")
    (only,) = parse_grid(["a.b=[1, 2]"])
    assert only.overrides == ("a.b=[1, 2]",)


@pytest.mark.parametrize(
    "axes",
    [["training.epochs"], ["training.epochs="], ["a.b=1,,2"], ["a.b=1", "a.b=2"], ["a.b=1,1"],
     ["seeds=1,2"], ["arms=x"], ["a.b=" + ",".join(map(str, range(1001)))]],
)  # fmt: skip
def test_bad_axes_are_refused(axes: list[str]) -> None:
    with pytest.raises(ConfigError, match="--grid"):
        parse_grid(axes)


# --- on the command line --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def grid(small: Path, cache: Path, tmp_path_factory) -> tuple[Path, str]:
    """Two points of three arms, with a validation part."""
    import os
    import subprocess
    import sys

    folder = tmp_path_factory.mktemp("grid")
    done = subprocess.run(
        [sys.executable, "-m", "milkreport", "run-all", "quick", "--data", small, "--out", "grid",
         *OPTIONS, "--set", "split.validation=0.2", "--grid", "training.learning_rate=0.001,0.01"],
        cwd=folder, capture_output=True, text=True, timeout=300,
        env=os.environ | {"MILKREPORT_CACHE": str(cache), "MILKREPORT_WORKERS": "1", "COLUMNS": "200"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder / "grid", done.stderr


@pytest.mark.slow
def test_each_point_is_a_run_and_all_are_one_report(grid, small, milkreport, tmp_path) -> None:
    out, said = grid
    assert "6 trainings: 3 arms x 1 seed x 1 fold x 2 points of the grid" in said
    runs = {name: RunFolder(out / name) for name in ("learning_rate-0.001", "learning_rate-0.01")}
    for name, folder in runs.items():
        suite = folder.load_suite()
        assert suite.training.learning_rate == float(name.rpartition("-")[2])
        assert suite.title.endswith(f"(training.learning_rate={suite.training.learning_rate})")
        assert (folder.path / "report.html").is_file()
    alone = milkreport(
        "run-all", "quick", "--data", small, "--out", "alone", *OPTIONS,
        "--set", "split.validation=0.2", "--set", "training.learning_rate=0.01",
    )  # fmt: skip
    assert alone.returncode == 0
    assert bits(tmp_path / "alone") == bits(runs["learning_rate-0.01"].path)
    combined = RunFolder(out / "combined").load_results()
    assert len(combined.arms) == 6
    assert combined.title.endswith(": learning_rate, 2 runs together")
    assert combined.arms[0].title.endswith(" (0.001)")
    for name, folder in runs.items():
        for arm in folder.load_results().arms:
            mine = combined.arm(f"{name}-{arm.name}")
            assert mine is not None
            assert mine.curves == arm.curves
            assert mine.cells[0].weights_sha256 == arm.cells[0].weights_sha256
            for part in ("train", "validation", "test"):
                theirs = arm.part(part)
                assert mine.part(part).metrics["macro_f1"].value == theirs.metrics["macro_f1"].value
    assert len({(d.arm, d.against) for d in combined.comparison.differences}) == 15
    assert any("chosen on the validation part" in notice for notice in combined.notices)


def test_what_is_best_is_said_of_the_validation_part(grid) -> None:
    out, said = grid
    for arm in ("baseline", "weighted_loss", "sampler"):
        reached = {}
        for name in ("learning_rate-0.001", "learning_rate-0.01"):
            table = pd.read_csv(out / name / f"cells/{arm}/seed-0/fold-0/history.csv")
            reached[name] = table["validation_macro_f1"].iloc[-1]
        best = max(reached, key=lambda name: reached[name])
        line = f"{arm}: {best} is best on the validation part (Macro F1 {reached[best]:.4f})"
        assert line in said


@pytest.mark.slow
@pytest.mark.parametrize(
    ("axis", "reason"),
    [("split.seed=0,1", "were split otherwise"),
     ("data.cleaning=paper,impute", "have different test cases")],
)  # fmt: skip
def test_points_that_cannot_be_paired_are_reported_apart(
    small, cache, in_process, monkeypatch, axis, reason
) -> None:
    monkeypatch.setenv("MILKREPORT_CACHE", str(cache))
    done = in_process("run-all", "quick", "--data", small, "--out", "grid", *OPTIONS, "--no-images",
                      "--set", "training.epochs=1", "--grid", axis)  # fmt: skip
    assert done.code == 0, done.stderr
    said = done.stderr + done.stdout
    assert reason in said
    assert not (done.folder / "grid/combined").exists()
    names = [point.name for point in parse_grid([axis])]
    for name in names:
        assert name in said
        assert (done.folder / "grid" / name / "report.html").is_file()
    assert said.count("Test part") == len(names)
    assert ("reported by itself" in said) == axis.startswith("split")


def test_the_test_part_chooses_nothing() -> None:
    results = samples.sample_results(seeds=2)
    assert not any(arm.part("validation") for arm in results.arms)
    assert best_on_validation([("a", results), ("b", results)], "macro_f1") == []


# --- several runs in one report -------------------------------------------------------------------


@pytest.mark.slow
def test_runs_are_paired_case_by_case(grid, in_process) -> None:
    out, _ = grid
    one, other = out / "learning_rate-0.001", out / "learning_rate-0.01"
    outcome = in_process(
        "report",
        one,
        other,
        "--arm",
        "sampler",
        "--primary",
        "accuracy",
        "--out",
        "both",
        "--no-pdf",
    )
    assert outcome.code == 0, outcome.stderr
    results = RunFolder(outcome.folder / "both").load_results()
    assert [arm.name for arm in results.arms] == [
        "learning_rate-0.001-sampler", "learning_rate-0.01-sampler",
    ]  # fmt: skip
    assert results.primary_metric == "accuracy"
    right = []
    for run in (one, other):
        table = pd.read_csv(run / "cells/sampler/seed-0/fold-0/predictions.csv")
        table = table[table["split"] == "test"]
        classes = table.columns[3:]
        right.append(classes[table[classes].to_numpy().argmax(axis=1)] == table["label"])
    (difference,) = [d for d in results.comparison.differences if d.metric == "accuracy"]
    sign = 1 if difference.arm == "learning_rate-0.01-sampler" else -1
    assert difference.value == pytest.approx(sign * (right[1].mean() - right[0].mean()))
    # Drawn again from its own folder alone.
    assert in_process("report", "both", "--no-pdf").code == 0


@pytest.mark.slow
def test_arms_whose_names_would_be_one_are_both_in_the_report(tmp_path: Path) -> None:
    """Run a with arm b-c, and run a-b with arm c; and two whose names are cut at the same place."""
    base = load_fixture()
    places = {"a": "b-c", "a-b": "c", "x" * 40: "y" * 30 + "1", "x" * 40 + "-" + "y" * 8: "y" * 25}
    for place, arm in places.items():
        cells = {arm: {"test": {(0, 0): base}}}
        inputs = EvaluationInputs(cells, {arm: arm}, ("made up", ""), CaseFacts())
        write_evaluation(tmp_path / place, inputs, evaluate_inputs(inputs, Plan()), "")
    paths = [tmp_path / place for place in places]
    results = combine(paths, tmp_path / "all", [], "", "")
    names = [arm.name for arm in results.arms]
    assert names[:2] == ["a-b-c", "a-b-c-2"]
    assert len(set(names)) == len(places)
    assert max(map(len, names)) == 64
    assert [arm.title for arm in results.arms] == [
        f"{arm} ({place})" for place, arm in places.items()
    ]


@pytest.mark.slow
def test_runs_of_other_data_or_splits_are_refused(grid, synthetic, cache, in_process) -> None:
    out, _ = grid
    one = out / "learning_rate-0.001"

    def refused(*arguments: object) -> str:
        outcome = in_process("report", one, *arguments, "--out", "x", "--no-pdf")
        assert outcome.code in (2, 3), outcome.stderr
        assert not (outcome.folder / "x").exists()
        return outcome.stderr

    other = Path.cwd() / "other"
    carry_out(small_suite(epochs=1), synthetic, other, cache, InProcess("cpu"), Memory())
    assert "learning_rate-0.001 is of synthetic data, which gives no result" in refused(other)
    assert "one run is named twice" in refused(one)
    assert "no such run" in refused("nowhere")
    assert "no scored arm of that name" in refused(out / "learning_rate-0.01", "--arm", "x")
    values = json.loads((one / "results.json").read_text())
    values["split_rule"] = "something else"
    split = Path.cwd() / "split"
    split.mkdir()
    (split / "manifest.json").write_bytes((one / "manifest.json").read_bytes())
    (split / "results.json").write_text(json.dumps(values))
    assert "were split otherwise" in refused(split)
    assert in_process("report", one, split).code == 2  # no place
    assert in_process("report", one, "--arm", "x").code == 2  # of one run


# --- forecast -------------------------------------------------------------------------------------


@pytest.mark.slow
def test_sizes_of_the_forecast_are_those_of_the_run(small, cache, tmp_path) -> None:
    suite = small_suite(epochs=2)
    fresh = forecast(suite, small, tmp_path / "cache", "cpu", open_cells={"baseline": 3}, workers=2)
    out = tmp_path / "run"
    carry_out(suite, small, out, cache, InProcess("cpu"), Memory(), checkpoint_every=1e9)
    cell = out / "cells/baseline/seed-0/fold-0"
    left = sum((cell / name).stat().st_size for name in ("model.safetensors", "predictions.csv"))
    assert fresh.cell_bytes == pytest.approx(left, rel=0.03)
    assert fresh.store_bytes == 66 * 2 * 16 * 16 * 3
    assert fresh.store_bytes in {path.stat().st_size for path in cache.glob("*.u8")}
    assert fresh.total_bytes == fresh.store_bytes + 3 * fresh.cell_bytes
    assert fresh.total == pytest.approx(
        fresh.decoding + 2 * fresh.training
    )  # three cells, two rounds
    assert fresh.decoding > 0
    again = forecast(suite, small, cache, "cpu", open_cells={}, workers=2)
    assert (again.store_bytes, again.decoding, again.total_bytes, again.total) == (0, 0, 0, 0)


def test_time_is_extrapolated_by_batches_and_by_cases_that_are_only_scored(
    small, tmp_path, monkeypatch
) -> None:
    """With an epoch of b batches and n cases taken to last 3 b + n / 8 seconds, the sum is known."""
    suite = load_suite(
        "quick", ["training.epochs=7", "training.batch_size=10", "data.image_size=16"]
    )

    def measured(suite, prepared, device, rows, place):
        return 3.0 * rows / 10 + len(prepared.cases.table) / 8, (1000, 10)

    monkeypatch.setattr(forecast_module, "_measure", measured)
    found = forecast(suite, small, tmp_path, "cpu", open_cells={"baseline": 2}, workers=1)
    n = len(prepare(small, suite.data, tmp_path).cases.table)
    n_train = round(n * 0.75)
    assert found.training == pytest.approx(7 * (3 * np.ceil(n_train / 10) + (n - n_train) / 8))
    assert found.cell_bytes == 1000 + n * 10


@pytest.mark.slow
def test_a_forecast_measures_each_kind_of_arm(small, tmp_path) -> None:
    """A classifier's training has no epochs; corrections cost nothing; open cells are counted by arm."""
    values = small_suite(epochs=3).model_dump(mode="json", exclude_none=True)
    values["arms"] = [
        {"name": "a"},
        {"name": "b", "correction": "sampler"},
        {"name": "c", "model": "naive_bayes"},
        {"name": "d", "training": {"epochs": 300}},
    ]
    suite = build_suite(values)
    assert forecast_module._kinds(suite) == [["a", "b"], ["c"], ["d"]]

    def of(**cells: int):
        return forecast(suite, small, tmp_path, "cpu", cells, workers=1)

    assert 0 < of(c=1).training < of(d=1).training
    mixed = of(c=1, d=1)
    assert np.isfinite(mixed.total)
    assert mixed.total == pytest.approx(mixed.decoding + 2 * mixed.training)
    assert of(c=1).cell_bytes != of(d=1).cell_bytes


@pytest.mark.parametrize(
    ("split", "n"),
    [(Split(), 800), (Split(validation=0.25), 600), (Split(kind="kfold", folds=5), 800),
     (Split(kind="support", test_support={"a": 100, "b": 60}), 840)],
)  # fmt: skip
def test_the_training_part_is_as_large_as_the_split_makes_it(split: Split, n: int) -> None:
    assert forecast_module._n_train(split, 1000) == n


@pytest.mark.parametrize(
    ("labels", "shared", "rest"),
    [
        (["learning_rate-0.1", "learning_rate-0.01"], "learning_rate", ["0.1", "0.01"]),
        (["rate-1e-3", "rate-1e-4"], "rate", ["1e-3", "1e-4"]),
        (["shift--1", "shift--2"], "shift", ["-1", "-2"]),
        (["a-1_b-2", "a-1_b-3"], "a-1_b", ["2", "3"]),
        (["paper", "paper-2"], "", ["paper", "paper-2"]),
        (["runs-a", "runs-"], "", ["runs-a", "runs-"]),
        (["one"], "", ["one"]),
        (["north", "south"], "", ["north", "south"]),
    ],
)
def test_labels_are_told_apart_without_breaking_a_value(
    labels: list[str], shared: str, rest: list[str]
) -> None:
    assert _tell_apart(labels) == (shared, dict(zip(labels, rest, strict=True)))


@pytest.mark.slow
def test_a_dry_run_shows_the_plan_and_trains_nothing(grid, small, milkreport, tmp_path) -> None:
    out, _ = grid
    shown = milkreport(
        "run-all", "quick", "--data", small, "--out", out, *OPTIONS, "--set", "split.validation=0.2",
        "--grid", "training.learning_rate=0.001,0.01,0.1", "--seeds", "2", "--dry-run",
    )  # fmt: skip
    assert shown.returncode == 0, shown.stderr
    assert shown.stderr.count("complete") == 6
    assert "12 to do: about" in shown.stderr
    assert not (out / "learning_rate-0.1").exists()
    key = RunFolder(out / "learning_rate-0.01").load_results().arms[0].cells[0].key
    assert len(key) == 64
    assert key[:12] in shown.stderr
    refused = milkreport("run-all", "quick", "--data", "nowhere", "--dry-run")
    assert refused.returncode == 3
