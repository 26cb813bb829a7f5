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

from milkreport.evaluation.intervals.bounds import bound_model
from milkreport.evaluation.intervals.inner_folds import inner_folds
from milkreport.evaluation.intervals.resampling import bootstrap_weights
from milkreport.evaluation.metrics import ranking
from milkreport.evaluation.metrics.calibration import (
    apply_temperature,
    case_brier,
    case_log_loss,
    find_reliability,
    fit_temperature,
    nested_temperature,
)
from milkreport.evaluation.metrics.measures import measure, measure_resamples
from milkreport.evaluation.metrics.positive import SPECIFICITIES, THRESHOLDS, score_positive
from milkreport.evaluation.reading.predictions import Predictions

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
def test_influences_are_the_derivatives_by_scikit_learns_weights(decimals: int) -> None:
    p = random_predictions(150, 3, decimals)
    step = 1e-6
    for c in (0, 2, 4):
        positive, score = p.truth == c, p.probabilities[:, c]
        moves = ranking.binary_influence(positive, score)
        for i in range(0, 150, 11):
            weights = np.ones(150)
            weights[i] += step
            for move, metric in zip(moves, (roc_auc_score, average_precision_score), strict=True):
                slope = metric(positive, score, sample_weight=weights) - metric(positive, score)
                assert move[i] == pytest.approx(slope / step, abs=1e-4)
        assert [float(move.sum()) for move in moves] == pytest.approx([0, 0], abs=1e-12)


def test_a_resample_moves_by_what_it_draws() -> None:
    """To first order: near scikit-learn's value of the resample where classes are not rare."""
    p = random_predictions(2000, 3)
    (weights,) = bootstrap_weights(2000, 20)
    drawn = measure_resamples(p, weights, positive=("B", "D"))
    exacts: list[float] = []
    for row, w in enumerate(weights):
        for c in range(3):
            arguments = (p.truth == c, p.probabilities[:, c])
            exact = roc_auc_score(*arguments, sample_weight=w)
            assert drawn.classes["auc"][row, c] == pytest.approx(exact, abs=0.01)
            exacts.append(exact)
            exact = average_precision_score(*arguments, sample_weight=w)
            assert drawn.classes["average_precision"][row, c] == pytest.approx(exact, abs=0.02)
        score = p.probabilities[:, [1, 3]].sum(axis=1)
        expected = roc_auc_score(np.isin(p.truth, [1, 3]), score, sample_weight=w)
        assert drawn.positive["auc"][row] == pytest.approx(expected, abs=0.003)
    gaps = drawn.classes["auc"][:, :3].ravel() - exacts
    assert np.sqrt((gaps**2).mean()) < 0.1 * np.std(drawn.classes["auc"][:, 0])


def test_points_and_resamples_are_one_definition() -> None:
    """Every case drawn once is the point."""
    p = random_predictions(200, 5, 2)
    point = measure(p, positive=("B",))
    ones = np.ones((1, 200), np.float32)
    drawn = measure_resamples(p, ones, positive=("B",))
    for kind in ("overall", "classes", "positive"):
        for name, values in getattr(drawn, kind).items():
            assert values[0] == pytest.approx(getattr(point, kind)[name], abs=1e-6), name


def test_the_spread_of_the_auc_is_delongs() -> None:
    """Two classes: the influences' variance is DeLong's (1988), computed here by its formula."""
    rng = np.random.default_rng(1)
    truth = np.repeat([0, 1], [60, 40])
    score = rng.normal(size=100) + truth
    beats = score[truth == 1][:, None] > score[truth == 0][None, :]
    variance = beats.mean(axis=1).var() / 40 + beats.mean(axis=0).var() / 60
    moves, _ = ranking.binary_influence(truth == 1, score)
    assert (moves**2).sum() == pytest.approx(variance)
    # The two classes' AUCs are one number, and move together.
    scores = np.stack([-score, score], axis=1)
    (weights,) = bootstrap_weights(100, 50)
    drawn, _ = ranking.resample_ranking(*ranking.rank_moves(truth, scores), weights)
    assert drawn[:, 0] == pytest.approx(drawn[:, 1], abs=1e-5)


def test_macro_auc_of_two_classes_has_the_aucs_own_interval() -> None:
    rng = np.random.default_rng(1)
    truth = np.repeat([0, 1], [160, 40])
    value = 1 / (1 + np.exp(-rng.normal(size=200) - 1.2 * truth))
    p = Predictions(
        np.array([f"c{i}" for i in range(200)]),
        truth,
        np.stack([1 - value, value], axis=1),
        ("a", "b"),
    )
    (weights,) = bootstrap_weights(200, 2000)
    bounds = bound_model(p, measure(p), measure_resamples(p, weights))
    low, high = (float(side) for side in bounds.overall["macro_auc"])
    assert (low, high) == pytest.approx(
        [float(side[1]) for side in bounds.classes["auc"]], abs=1e-6
    )
    moves, _ = ranking.binary_influence(truth == 1, value)
    delong = 2 * 1.96 * np.sqrt((moves**2).sum())
    assert high - low == pytest.approx(delong, rel=0.15)


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
