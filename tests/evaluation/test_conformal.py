"""Prediction sets: against conformal p values, and what they promise."""

from __future__ import annotations

import numpy as np
import pytest

from milkreport.evaluation.beyond.conformal import (
    LEVEL,
    calibrate,
    describe_sets,
    find_sets,
    needed,
)
from milkreport.evaluation.intervals.inner_folds import inner_folds
from milkreport.evaluation.reading.predictions import Predictions


def make(n: int, seed: int = 0, k: int = 3, first: str = "c") -> Predictions:
    """Predictions that know something, with ties."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(k, n, p=[0.7, 0.25, 0.05])
    logits = 1.5 * np.eye(k)[truth] + rng.normal(size=(n, k))
    values = np.exp(logits)
    values = np.round(values / values.sum(axis=1, keepdims=True), 3)
    values[:, 0] = 1 - values[:, 1:].sum(axis=1)
    ids = np.array([f"{first}{i:05d}" for i in range(n)])
    return Predictions(ids, truth, np.clip(values, 0, 1), ("a", "b", "c"))


def against_rare(p: Predictions) -> Predictions:
    """The same by a model that holds the rare class for rarer still."""
    values = p.probabilities * [1, 1, 0.1]
    return Predictions(p.case_ids, p.truth, values / values.sum(axis=1, keepdims=True), p.classes)


def in_set(calibration: np.ndarray, value: float, level: float) -> bool:
    """By the conformal p value of the score 1 - p: the definition."""
    p_value = (1 + (1 - calibration >= 1 - value).sum()) / (len(calibration) + 1)
    return bool(p_value > 1 - level + 1e-12)


@pytest.mark.parametrize("level", [0.8, 0.9, 0.95])
def test_thresholds_are_those_of_conformal_p_values(level: float) -> None:
    known, new = make(180), make(200, 1)
    thresholds, counts = calibrate(known.truth, known.probabilities, level)
    assert counts.tolist() == np.bincount(known.truth, minlength=3).tolist()
    for c in range(3):
        own = known.probabilities[known.truth == c, c]
        for value in new.probabilities[:, c]:
            assert (value >= thresholds[c]) == in_set(own, value, level)


def test_nine_cases_are_the_fewest_at_90_percent() -> None:
    assert needed(0.9) == 9
    assert needed(0.95) == 19
    values = np.linspace(0.1, 0.9, 9)[:, None] * [1, 0] + [0, 0.5]
    nine = calibrate(np.zeros(9, np.int64), values, 0.9)[0]
    eight = calibrate(np.zeros(8, np.int64), values[:8], 0.9)[0]
    assert nine[0] == pytest.approx(0.1)
    assert eight[0] == 0


def test_a_class_of_nine_test_cases_is_promised_nothing() -> None:
    p = make(400)
    few = p.take(np.concatenate([np.flatnonzero(p.truth == 2)[:9], np.flatnonzero(p.truth < 2)]))
    (sets,) = find_sets({(0, 0): few}, {0: few}, {}, None).values()
    row = describe_sets([few], [sets], None, bounded=True).classes[2]
    assert (row.n, row.promised, row.needed) == (9, False, 9)
    assert row.calibration < 9
    assert row.covered.low is None
    assert sets.members[:, 2].all()  # in every set


def test_each_fold_is_calibrated_by_the_others_and_groups_stay_whole() -> None:
    p = make(300)
    groups = np.arange(300) // 2
    (sets,) = find_sets({(0, 0): p}, {0: p}, {}, groups).values()
    folds = inner_folds(p.truth, groups)
    for fold in folds:
        rest = np.setdiff1d(np.arange(300), fold)
        assert not set(groups[fold]) & set(groups[rest])
        thresholds, counts = calibrate(p.truth[rest], p.probabilities[rest], LEVEL, groups[rest])
        assert (sets.members[fold] == (p.probabilities[fold] >= thresholds)).all()
        own = [len(set(groups[rest][p.truth[rest] == c])) for c in range(3)]
        assert counts.tolist() == own  # one case per group


def test_validation_parts_calibrate_where_every_cell_has_one() -> None:
    cells = {(0, 0): make(100, 1, first="x"), (0, 1): make(100, 2, first="a")}
    validation = {(0, 0): make(80, 3), (0, 1): make(90, 4)}
    ids = np.concatenate([p.case_ids for p in cells.values()])
    order = np.argsort(ids)
    pooled = Predictions(
        ids[order],
        np.concatenate([p.truth for p in cells.values()])[order],
        np.concatenate([p.probabilities for p in cells.values()])[order],
        ("a", "b", "c"),
    )
    (sets,) = find_sets(cells, {0: pooled}, validation, None).values()
    assert sets.calibrated_on == "the validation part"
    first = calibrate(validation[0, 1].truth, validation[0, 1].probabilities, LEVEL)[0]
    assert (sets.members[:100] == (cells[0, 1].probabilities >= first)).all()
    (other,) = find_sets(cells, {0: pooled}, {(0, 0): validation[0, 0]}, None).values()
    assert "inner folds" in other.calibrated_on


def test_every_class_is_covered_as_promised_however_bad_the_model() -> None:
    """And sets that are not calibrated per class do not cover the rare class: the control."""
    mine, others = [], []
    for seed in range(60):
        known, new = (against_rare(make(400, 2 * seed + i)) for i in range(2))
        thresholds, _ = calibrate(known.truth, known.probabilities, LEVEL)
        rare = new.truth == 2
        mine.append((new.probabilities[rare, 2] >= thresholds[2]).mean())
        own = known.probabilities[np.arange(400), known.truth]
        others.append((new.probabilities[rare, 2] >= np.quantile(own, 0.1)).mean())
    error = np.std(mine) / 60**0.5
    assert np.mean(mine) > LEVEL - 3 * error
    assert np.mean(others) < LEVEL - 0.1


def test_hard_labels_have_no_sets() -> None:
    p = make(50)
    hard = Predictions(p.case_ids, p.truth, np.eye(3)[p.predicted], p.classes)
    assert find_sets({(0, 0): hard}, {0: hard}, {}, None) == {}
