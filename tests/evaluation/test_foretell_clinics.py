"""Clinics cut out of a run's own cases: forecasts hold where class shares alone differ, and else need not."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

from milkreport.evaluation.metrics.measures import Plan
from milkreport.evaluation.reading.predictions import Predictions

ROOT = Path(__file__).resolve().parents[2]
CLASSES = ("BCC", "NV", "MEL")
PLAN = Plan(positive=("BCC", "MEL"), n_resamples=200)


@pytest.fixture
def clinics(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    import foretell_clinics

    mixes = {"few ill": {"BCC": 0.05, "MEL": 0.05}, "many ill": {"BCC": 0.3, "MEL": 0.6}}
    monkeypatch.setattr(foretell_clinics, "MIXES", mixes)
    return foretell_clinics


def predictions(n: int, rng: np.random.Generator, skill: float = 1.5) -> Predictions:
    truth = rng.choice(3, n, p=[0.5, 0.3, 0.2])
    scores = np.exp(rng.normal(size=(n, 3)) + skill * np.eye(3)[truth])
    ids = np.array([f"case {i:05d}" for i in range(n)])
    return Predictions(ids, truth, scores / scores.sum(1, keepdims=True), CLASSES)


def test_forecasts_hold_where_shares_alone_differ(clinics: ModuleType) -> None:
    p = predictions(1600, np.random.default_rng(1))
    cut = [*clinics.draw_mixes(p, 4, np.random.default_rng(2))]
    assert {clinic.name for clinic in cut} == set(clinics.MIXES)
    for clinic in cut:
        assert not np.intersect1d(clinic.labelled, clinic.cases).size
    rows = pd.DataFrame([row for clinic in cut for row in clinics.judge(p, clinic, PLAN)])
    counted = rows[rows["way"] == "counted"]
    assert counted["held"].mean() > 0.85
    # The clinics' predictive values are elsewhere, and the forecast is nearer to them than the value inside.
    ppv = counted[counted["metric"] == "ppv"]
    near = (ppv["foretold"] - ppv["found"]).abs().mean()
    assert near < 0.5 * (ppv["inside"] - ppv["found"]).abs().mean()


def test_a_clinic_where_the_model_sees_less_is_not_foretold(clinics: ModuleType) -> None:
    rng = np.random.default_rng(3)
    here, there = predictions(800, rng, 2.5), predictions(600, rng, 0.3)
    joined = Predictions(
        np.array([f"case {i:05d}" for i in range(1400)]),
        np.concatenate([here.truth, there.truth]),
        np.concatenate([here.probabilities, there.probabilities]),
        CLASSES,
    )
    clinic = clinics.Clinic("site", "elsewhere", np.arange(800), np.arange(800, 1400))
    rows = pd.DataFrame(clinics.judge(joined, clinic, PLAN))
    assert not rows.loc[rows["way"] == "counted", "held"].any()
    assert (rows.loc[rows["way"] == "unlabelled", "refused"] == "shift").all()
