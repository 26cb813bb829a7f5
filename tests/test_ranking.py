"""Ranks and probabilities against scikit-learn; the positive grouping and calibration by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import (
    average_precision_score,
    log_loss,
    roc_auc_score,
    roc_curve,
    top_k_accuracy_score,
)

from milkreport.evaluation import ranking
from milkreport.evaluation.calibration import (
    apply_temperature,
    case_brier,
    case_log_loss,
    find_reliability,
    fit_temperature,
    nested_temperature,
)
from milkreport.evaluation.measures import measure, measure_resamples
from milkreport.evaluation.nesting import inner_folds
from milkreport.evaluation.positive import SPECIFICITIES, THRESHOLDS, score_positive
from milkreport.evaluation.predictions import Predictions
from milkreport.evaluation.resampling import bootstrap_weights

CLASSES = tuple("ABCDE")


def random_predictions(
    n: int, seed: int, decimals: int = 9, shares: tuple[float, ...] = (0.6, 0.2, 0.1, 0.07, 0.03)
) -> Predictions:
    """Predictions better than chance; few decimals make ties."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(5, n, p=shares)
    logits = rng.normal(size=(n, 5)) + np.eye(5)[truth]
    values = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    ids = np.array([f"c{i:05d}" for i in range(n)])
    return Predictions(ids, truth, values.round(decimals), CLASSES)


@given(st.integers(8, 120), st.integers(0, 10_000), st.sampled_from([1, 2, 9]))
@settings(max_examples=100, deadline=None)
def test_auc_and_average_precision_equal_scikit_learn(n: int, seed: int, decimals: int) -> None:
    p = random_predictions(n, seed, decimals)
    auc, precision = ranking.score_ranking(p.truth, p.probabilities)
    for c in range(5):
        positive = p.truth == c
        if 0 < positive.sum() < n:
            assert auc[c] == pytest.approx(roc_auc_score(positive, p.probabilities[:, c]))
            expected = average_precision_score(positive, p.probabilities[:, c])
            assert precision[c] == pytest.approx(expected)
        else:
            assert np.isnan(auc[c])


@pytest.mark.parametrize("decimals", [1, 9])
def test_every_resample_equals_scikit_learn_with_weights(decimals: int) -> None:
    p = random_predictions(150, 3, decimals)
    (weights,) = bootstrap_weights(p.truth, 6, np.random.default_rng(0))
    drawn = measure_resamples(p, weights, positive=("B", "D"))
    for row, w in enumerate(weights):
        for c in range(5):
            arguments = (p.truth == c, p.probabilities[:, c])
            assert drawn.classes["auc"][row, c] == pytest.approx(
                roc_auc_score(*arguments, sample_weight=w), abs=1e-6
            )
            assert drawn.classes["average_precision"][row, c] == pytest.approx(
                average_precision_score(*arguments, sample_weight=w), abs=1e-6
            )
        score = p.probabilities[:, [1, 3]].sum(axis=1)
        expected = roc_auc_score(np.isin(p.truth, [1, 3]), score, sample_weight=w)
        assert drawn.positive["auc"][row] == pytest.approx(expected, abs=1e-6)


def test_points_and_resamples_are_one_definition() -> None:
    """Every case drawn once is the point."""
    p = random_predictions(200, 5, 2)
    point = measure(p, positive=("B",))
    ones = np.ones((1, 200), np.float32)
    drawn = measure_resamples(p, ones, positive=("B",))
    for kind in ("overall", "classes", "positive"):
        for name, values in getattr(drawn, kind).items():
            assert values[0] == pytest.approx(getattr(point, kind)[name], abs=1e-6), name


def test_above_ten_thousand_cases_resamples_are_linearised(monkeypatch) -> None:
    p = random_predictions(600, 7)
    (weights,) = bootstrap_weights(p.truth, 400, np.random.default_rng(0))
    exact = ranking.resample_ranking(p.truth, p.probabilities, weights)
    monkeypatch.setattr(ranking, "MOST_PAIRED", 100)
    linear = ranking.resample_ranking(p.truth, p.probabilities, weights)
    assert linear.average_precision is None
    # The same spread, draw by draw, for classes that are not rare.
    assert np.abs(linear.auc - exact.auc)[:, :3].max() < 0.01
    ratio = linear.auc.std(axis=0) / exact.auc.std(axis=0)
    assert ratio == pytest.approx(np.ones(5), abs=0.05)


def test_linearised_spread_is_delongs() -> None:
    """Two classes: the influence function's variance is DeLong's (1988), computed here by its formula."""
    rng = np.random.default_rng(1)
    truth = np.repeat([0, 1], [60, 40])
    score = rng.normal(size=100) + truth
    scores = np.stack([-score, score], axis=1)
    beats = score[truth == 1][:, None] > score[truth == 0][None, :]
    v10, v01 = beats.mean(axis=1), beats.mean(axis=0)
    variance = v10.var() / 40 + v01.var() / 60
    (weights,) = bootstrap_weights(truth, 20_000, rng)
    drawn = ranking._linearised_auc(truth, scores, weights)[:, 1]
    assert drawn.mean() == pytest.approx(beats.mean(), abs=0.002)
    assert drawn.var() == pytest.approx(variance, rel=0.04)


def test_top_k_and_proper_scores_equal_scikit_learn() -> None:
    p = random_predictions(300, 9)
    found = measure(p).overall
    labels = range(5)
    for k in (2, 3):
        expected = top_k_accuracy_score(p.truth, p.probabilities, k=k, labels=labels)
        assert found[f"top_{k}_accuracy"] == pytest.approx(expected)
    values = p.probabilities / p.probabilities.sum(axis=1, keepdims=True)
    assert found["log_loss"] == pytest.approx(log_loss(p.truth, values, labels=labels), abs=1e-7)
    assert found["brier"] == pytest.approx(((values - np.eye(5)[p.truth]) ** 2).sum(axis=1).mean())
    sure = np.eye(5)[p.truth]
    assert case_brier(p.truth, sure).max() == 0
    assert case_brier(p.truth, np.roll(sure, 1, axis=1)).min() == 2
    assert case_log_loss(p.truth, np.roll(sure, 1, axis=1)) == pytest.approx(36.04, abs=0.01)


def test_calibration_error_by_hand() -> None:
    # Two bins: 0.9 three times, right twice; 0.6 twice, right once.
    values = np.array([[0.9, 0.1], [0.9, 0.1], [0.9, 0.1], [0.4, 0.6], [0.4, 0.6]])
    truth = np.array([0, 0, 1, 1, 0])
    found = find_reliability(truth, values.argmax(axis=1), values)
    expected = 3 / 5 * abs(0.9 - 2 / 3) + 2 / 5 * abs(0.6 - 1 / 2)
    assert found.error() == pytest.approx(expected)
    ones = np.ones((1, 5), np.float32)
    assert found.resampled_error(ones)[0] == pytest.approx(expected)
    assert found.bins.tolist() == [13, 13, 13, 8, 8]


def test_the_temperature_that_was_applied_is_found_again() -> None:
    p = random_predictions(6000, 2)
    calibrated = p.probabilities  # logits were drawn so that these are near to the true ones
    own = fit_temperature(p.truth, calibrated)
    hot = apply_temperature(calibrated, 1 / 3)
    assert fit_temperature(p.truth, hot) == pytest.approx(own * 3, rel=1e-3)
    assert hot.sum(axis=1) == pytest.approx(np.ones(6000))
    assert (hot.argmax(axis=1) == calibrated.argmax(axis=1)).all()


def test_nested_temperatures_never_see_their_own_fold() -> None:
    p = random_predictions(400, 4)
    folds = inner_folds(p.truth)
    assert sorted(np.concatenate(folds).tolist()) == list(range(400))
    _, before = nested_temperature(p.truth, p.probabilities, folds)
    spoilt = p.truth.copy()
    spoilt[folds[0]] = (spoilt[folds[0]] + 1) % 5
    _, after = nested_temperature(spoilt, p.probabilities, folds)
    assert (before[folds[0]] == after[folds[0]]).all()
    assert (before[folds[1]] != after[folds[1]]).any()


def test_inner_folds_spread_classes_and_keep_groups() -> None:
    truth = np.repeat([0, 1, 2], [50, 10, 5])
    folds = inner_folds(truth)
    assert [np.bincount(truth[f], minlength=3).tolist() for f in folds] == [[10, 2, 1]] * 5
    groups = np.arange(65) // 5
    whole = inner_folds(truth, groups)
    for fold in whole:
        assert not set(groups[fold]) & set(groups[np.setdiff1d(np.arange(65), fold)])


def test_positive_grouping_by_scikit_learn_and_by_formula() -> None:
    p = random_predictions(400, 6)
    found = score_positive(p, ("C", "D"))
    true = np.isin(p.truth, [2, 3])
    answered = np.isin(p.predicted, [2, 3])
    score = p.probabilities[:, [2, 3]].sum(axis=1)
    assert found["sensitivity"] == (true & answered).sum() / true.sum()
    assert found["specificity"] == (~true & ~answered).sum() / (~true).sum()
    assert found["auc"] == pytest.approx(roc_auc_score(true, score))
    fpr, tpr, _ = roc_curve(true, score, drop_intermediate=False)
    for value, specificity in zip(found["at_specificity"], SPECIFICITIES, strict=True):
        assert value == pytest.approx(tpr[1 - fpr >= specificity - 1e-9].max())
    threshold = 0.3
    place = int(np.flatnonzero(np.isclose(THRESHOLDS, threshold))[0])
    called = score >= threshold
    tp, fp = (called & true).mean(), (called & ~true).mean()
    assert found["net_benefit"][place] == pytest.approx(tp - fp * 0.3 / 0.7)
    assert found["treat_all"][place] == pytest.approx(true.mean() - (~true).mean() * 0.3 / 0.7)


def test_a_positive_grouping_without_a_positive_case_is_undefined() -> None:
    p = random_predictions(50, 1, shares=(0.5, 0.5, 0, 0, 0))
    found = score_positive(p, ("C",))
    assert np.isnan([found["sensitivity"], found["auc"], *found["at_specificity"]]).all()


def test_the_bootstrap_draws_every_case_of_a_class_alike() -> None:
    truth = np.repeat([0, 1], [20, 5])
    (weights,) = bootstrap_weights(truth, 8000, np.random.default_rng(0))
    assert weights.mean(axis=0) == pytest.approx(np.ones(25), abs=0.05)
    # A case of a class of n is drawn binomially, n times with 1 / n.
    assert weights[:, 0].var() == pytest.approx(19 / 20, rel=0.06)
    assert weights[:, -1].var() == pytest.approx(4 / 5, rel=0.06)
