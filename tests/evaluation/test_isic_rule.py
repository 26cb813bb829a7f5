"""The archive's rules, against what the archive's own scorer said of stored predictions."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from milkreport.evaluation.metrics.rules import score_archive
from milkreport.evaluation.reading.predictions import Predictions
from tests.conftest import Command

FOLDER = Path(__file__).parent / "isic"
SCORES = json.loads((FOLDER / "scores.json").read_text(encoding="utf-8"))["scores"]
#: The archive's names of what we call by the field's terms.
NAMES = {"f1": "dice", "precision": "ppv", "average_precision": "ap"}
CURVES = ("auc", "auc_sens_80", "average_precision")


def load(name: str) -> Predictions:
    truth = pd.read_csv(FOLDER / "truth.csv", index_col="image")
    values = pd.read_csv(FOLDER / f"{name}.csv", index_col="image")
    return Predictions(
        truth.index.to_numpy(dtype=np.str_),
        truth.to_numpy().argmax(axis=1),
        values.to_numpy(np.float64),
        tuple(truth.columns),
    )


@pytest.mark.parametrize("name", SCORES)
def test_every_class_and_average_equals_the_archives(name: str) -> None:
    p, theirs = load(name), SCORES[name]
    overall, classes = score_archive(p)
    assert overall["balanced_accuracy"] == pytest.approx(theirs["aggregate"]["balanced_accuracy"])
    for metric, values in classes.items():
        if p.kind == "labels" and metric in CURVES:
            assert np.isnan(values).all()  # hard labels hold no ranks
            continue
        column = theirs["per_category"][NAMES.get(metric, metric)]
        assert dict(zip(p.classes, values, strict=True)) == pytest.approx(column)
        expected = theirs["macro_average"][NAMES.get(metric, metric)]
        assert overall[f"macro_{metric}"] == pytest.approx(expected)


def test_the_stored_predictions_tell_the_rules_apart() -> None:
    """Negative control: argmax, a threshold that includes 0.5, and empty as 0 give other numbers."""
    f1 = {name: scores["macro_average"]["dice"] for name, scores in SCORES.items()}
    assert len(set(f1.values())) > 8
    p = load("halves")
    inclusive = Predictions(p.case_ids, p.truth, np.minimum(p.probabilities + 1e-9, 1), p.classes)
    assert score_archive(inclusive)[0]["macro_f1"] != pytest.approx(f1["halves"])


def test_the_command_gives_them_beside_argmax(milkreport: Command) -> None:
    done = milkreport(
        "evaluate", FOLDER / "soft.csv", "--truth", FOLDER / "truth.csv", "--rules", "isic",
        "--no-intervals", "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    part = json.loads(done.stdout)["arms"][0]["parts"][0]
    (rule,) = part["rules"]
    theirs = SCORES["soft"]
    assert rule["decision"] == "p > 0.5, each class by itself"
    assert "empty denominator gives 1" in rule["zero_division"]
    assert rule["values"]["macro_f1"]["value"] == pytest.approx(theirs["macro_average"]["dice"])
    assert part["metrics"]["macro_f1"]["value"] != pytest.approx(theirs["macro_average"]["dice"])
    ours = {name: row["f1"] for name, row in rule["classes"].items()}
    assert ours == pytest.approx(theirs["per_category"]["dice"])
    p = load("soft")
    assert rule["n_without_class"] == (p.probabilities <= 0.5).all(axis=1).sum()
