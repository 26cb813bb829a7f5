"""The scripts behind docs/study.md: nested choice by inner scores alone; what is kept holds no case."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

pytest.importorskip("torch")

ROOT = Path(__file__).resolve().parents[1]
SUITE = """
name = "nested"
title = "Two classifiers"
question = "Which?"
primary_metric = "macro_f1"
[data]
image_size = 16
[split]
kind = "kfold"
folds = 2
[[arms]]
name = "plain"
model = { name = "logistic_regression", choose_c = [0.01, 1], inner_folds = 2 }
[[arms]]
name = "weighted"
correction = "weighted_loss"
model = { name = "logistic_regression", choose_c = [0.01, 0.1, 1], inner_folds = 2 }
"""


@pytest.fixture
def nested(synthetic: Path, milkreport, tmp_path: Path) -> Path:
    (tmp_path / "nested.toml").write_text(SUITE)
    command = ("run-all", "nested.toml", "--data", synthetic, "--out", "nested", "--no-pdf")
    done = milkreport(*command, "--no-images")
    assert done.returncode == 0, done.stderr
    return tmp_path / "nested"


def script(name: str, *arguments: object) -> str:
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / name), *map(str, arguments)],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_nested_choice_takes_the_best_inner_score_of_each_fold(nested: Path, tmp_path) -> None:
    # Inner scores that no test score would give: plain in fold 0, weighted in fold 1.
    scores = {("plain", 0): 0.9, ("weighted", 0): 0.1, ("plain", 1): 0.1, ("weighted", 1): 0.9}
    for (arm, fold), score in scores.items():
        path = nested / f"cells/{arm}/seed-0/fold-{fold}/cell.json"
        record = json.loads(path.read_text())
        record["scalars"]["inner macro F1"] = score
        path.write_text(json.dumps(record))
    said = script("choose_nested.py", nested, "--out", tmp_path / "chosen")
    assert "fold 0: plain" in said
    assert "fold 1: weighted" in said
    assert "5 recipes were tried" in said  # 2 + 3
    chosen = pd.read_csv(tmp_path / "chosen/chosen.csv").set_index("case_id")
    truth = pd.read_csv(tmp_path / "chosen/truth.csv").set_index("case_id")
    parts = []
    for arm, fold in (("plain", 0), ("weighted", 1)):
        table = pd.read_csv(nested / f"cells/{arm}/seed-0/fold-{fold}/predictions.csv")
        parts.append(table[table["split"] == "test"].set_index("case_id"))
    expected = pd.concat(parts)
    assert chosen.index.is_unique
    assert sorted(chosen.index) == sorted(expected.index)
    classes = list(chosen.columns)
    pd.testing.assert_frame_equal(chosen, expected.loc[chosen.index, classes], rtol=1e-6)
    assert (truth["label"] == expected.loc[truth.index, "label"]).all()


@pytest.mark.slow
def test_what_is_kept_of_a_run_holds_no_case(nested: Path, tmp_path: Path) -> None:
    script("study_results.py", nested, "--out", tmp_path / "kept")
    names = {path.name for path in (tmp_path / "kept").iterdir()}
    assert names == {
        f"nested.{rest}"
        for rest in ("metrics.csv", "differences.csv", "suite.toml", "manifest.json")
    }
    text = "".join(path.read_text() for path in (tmp_path / "kept").iterdir())
    ids = pd.read_csv(nested / "splits.csv", dtype=str)["case_id"]
    assert not [case for case in ids if case in text]
    metrics = pd.read_csv(tmp_path / "kept/nested.metrics.csv")
    results = json.loads((nested / "results.json").read_text())
    plain = next(p for p in results["arms"][0]["parts"] if p["part"] == "test")
    row = metrics[(metrics["arm"] == "plain") & (metrics["metric"] == "macro_f1")]
    row = row[row["decision"] == "argmax"]
    assert row["value"].item() == pytest.approx(plain["metrics"]["macro_f1"]["value"])
