"""Uncertainty: against known values, against theory, and with negative controls."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, logit
from scipy.stats import binomtest, kstest, permutation_test
from sklearn.metrics import matthews_corrcoef, precision_score

from milkreport.errors import DataError
from milkreport.evaluation.compare import compare_arms, is_shown
from milkreport.evaluation.intervals import resampling
from milkreport.evaluation.intervals.closed_form import (
    auc_bounds,
    average_precision_bounds,
    f1_bounds,
    logit_bounds,
    mean_bounds,
    share_bounds,
    t_quantile,
    wilson_bounds,
)
from milkreport.evaluation.intervals.resampling import (
    bootstrap_weights,
    holm,
    permutation_p,
    resampled_confusion,
)
from milkreport.evaluation.metrics.confusion import score_confusion
from milkreport.evaluation.reading.predictions import Predictions
from milkreport.evaluation.summarise import summarise_part

CLASSES = ("a", "b", "c")


def predictions(truth: np.ndarray, predicted: np.ndarray) -> Predictions:
    probabilities = np.full((len(truth), 3), 0.1)
    probabilities[np.arange(len(truth)), predicted] = 0.8
    ids = np.array([f"case{i:05d}" for i in range(len(truth))])
    return Predictions(ids, truth, probabilities, CLASSES)


def guess(truth: np.ndarray, accuracy: float, rng: np.random.Generator) -> np.ndarray:
    """Predictions that are right with a given probability, else another class."""
    wrong = (truth + rng.integers(1, 3, len(truth))) % 3
    return np.where(rng.random(len(truth)) < accuracy, truth, wrong)


@pytest.fixture
def truth() -> np.ndarray:
    return np.random.default_rng(0).choice(3, 600, p=[0.7, 0.2, 0.1])


def test_wilson_bounds_have_the_published_values() -> None:
    # Newcombe (1998), table I, method 3: 81 of 263 and 0 of 20.
    low, high = wilson_bounds([81, 0, 15, 0], [263, 20, 15, 0])
    assert low == pytest.approx([0.2553, 0.0, 0.7961, 0], abs=5e-5)
    assert high == pytest.approx([0.3662, 0.1611, 1.0, 1], abs=5e-5)
    for hits, n in ((3, 7), (50, 51), (1, 1000)):
        expected = binomtest(hits, n).proportion_ci(0.95, method="wilson")
        found = [float(side) for side in wilson_bounds(hits, n)]
        assert found == pytest.approx([expected.low, expected.high])


def test_few_hits_or_misses_have_the_exact_interval() -> None:
    for hits, n in ((0, 20), (3, 7), (50, 51), (1, 1000), (20, 20)):
        exact = binomtest(hits, n).proportion_ci(0.95, method="exact")
        wilson = binomtest(hits, n).proportion_ci(0.95, method="wilson")
        low, high = (float(side) for side in share_bounds(hits, n))
        assert low == pytest.approx(min(exact.low, wilson.low))
        assert high == pytest.approx(max(exact.high, wilson.high))
    assert [float(side) for side in share_bounds(40, 90)] == pytest.approx(
        [float(side) for side in wilson_bounds(40, 90)]
    )


def test_f1_bounds_hold_f1_and_do_not_collapse() -> None:
    # TP 30, FP 10, FN 20: F1 0.667 = 2 F* / (1 + F*) with F* = 30 of 60.
    low, high = f1_bounds(30, 60)
    star = binomtest(30, 60).proportion_ci(0.95, method="wilson")
    assert low == pytest.approx(2 * star.low / (1 + star.low))
    assert low < 2 * 30 / (50 + 40) < high
    low, high = f1_bounds(0, 12)  # not a hit
    assert low == 0
    assert high > 0.3


def test_auc_bounds_are_where_the_error_says() -> None:
    """Each bound is 1.96 errors at itself away from the value (Newcombe, 2006, equation of method 5)."""
    auc, m, n = 0.8, 40, 60
    for value in (float(side) for side in auc_bounds(auc, m, n)):
        factor = 1 + ((m + n) / 2 - 1) * ((1 - value) / (2 - value) + value / (1 + value))
        error = np.sqrt(value * (1 - value) * factor / (m * n))
        assert abs(value - auc) == pytest.approx(1.959964 * error, rel=1e-6)
    low, high = auc_bounds([1.0, 0.0, 0.9], [2, 2, 2000], [1000, 1000, 3000])
    assert high[0] == 1
    assert low[0] < 0.9  # two cases, both on top: no interval of no width
    assert low[1] == 0
    assert high[2] - low[2] < 0.03


def test_the_interval_of_a_mean_adds_errors_by_their_correlation() -> None:
    values, spread = np.array([0.5, 0.7, 0.2, 0.6]), 0.1
    low, high = mean_bounds(values, values - spread, values + spread, np.eye(4))
    assert (low, high) == pytest.approx((0.5 - 0.05, 0.5 + 0.05))  # 0.1 / sqrt(4)
    # The AUCs of two classes are one number: so is the interval of their mean.
    one = mean_bounds(
        np.array([0.8, 0.8]), np.array([0.7, 0.7]), np.array([0.85] * 2), np.ones((2, 2))
    )
    assert one == pytest.approx((0.7, 0.85))


def test_logit_bounds_are_the_delta_methods() -> None:
    low, high = logit_bounds(0.8, 0.05)
    expected = expit(logit(0.8) + np.array([-1, 1]) * 1.959964 * 0.05 / 0.16)
    assert [float(low), float(high)] == pytest.approx(expected, rel=1e-6)
    assert t_quantile([4, np.inf]) == pytest.approx([2.776445, 1.959964])
    # Boyd, Eng and Page (2013): eta +- 1.96 / sqrt(n theta (1 - theta)), wider than no influence at all.
    low, high = average_precision_bounds(0.3, 0.0, 25)
    expected = expit(logit(0.3) + np.array([-1, 1]) * 1.959964 / np.sqrt(25 * 0.21))
    assert [float(low), float(high)] == pytest.approx(expected, rel=1e-6)


def test_holm_steps_down() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.6, 0.9]) == pytest.approx([1.0, 1.0])
    assert holm([]) == []


def test_resamples_bring_their_own_class_mix(truth: np.ndarray) -> None:
    weights = np.concatenate([*bootstrap_weights(len(truth), 4000)])
    assert (weights.sum(axis=1) == len(truth)).all()
    for c in range(3):
        drawn, share = weights[:, truth == c].sum(axis=1), (truth == c).mean()
        assert drawn.var() == pytest.approx(len(truth) * share * (1 - share), rel=0.08)


def test_groups_are_drawn_whole() -> None:
    groups = np.array([0, 0, 0, 1, 2, 2])
    (weights,) = bootstrap_weights(6, 500, groups)
    assert (weights[:, 0] == weights[:, 2]).all()
    assert (weights[:, 4] == weights[:, 5]).all()
    assert (weights[:, [0, 3, 4]].sum(axis=1) == 3).all()  # three groups each time
    assert weights[:, 0].var() == pytest.approx(2 / 3, rel=0.2)


def test_a_piece_is_small_and_draws_do_not_depend_on_its_size(monkeypatch) -> None:
    pieces = [weights.copy() for weights in bootstrap_weights(5_240, 2_000)]
    assert max(piece.nbytes for piece in pieces) <= 8_000_000
    monkeypatch.setattr(resampling, "_PIECE", 8_000_000)
    resampling._keep_draws.cache_clear()
    larger = [weights.copy() for weights in bootstrap_weights(5_240, 2_000)]
    resampling._keep_draws.cache_clear()
    assert len(larger) < len(pieces)
    assert np.array_equal(np.concatenate(pieces), np.concatenate(larger))


def test_many_cases_come_in_pieces() -> None:
    pieces = list(bootstrap_weights(100_000, 200))
    assert [len(piece) for piece in pieces] == [20] * 10
    assert all((piece.sum(axis=1) == 100_000).all() for piece in pieces)


def test_bootstrap_spread_equals_the_binomials(truth: np.ndarray) -> None:
    predicted = guess(truth, 0.7, np.random.default_rng(2))
    weights = np.concatenate([*bootstrap_weights(len(truth), 4000)])
    draws = score_confusion(resampled_confusion(truth, predicted, 3, weights))["accuracy"]
    share = (predicted == truth).mean()
    assert draws.std() == pytest.approx(np.sqrt(share * (1 - share) / len(truth)), rel=0.05)
    assert draws.mean() == pytest.approx(share, abs=0.002)


def test_permutation_p_of_equal_arms_is_one_and_of_unlike_arms_least(truth: np.ndarray) -> None:
    rng = np.random.default_rng(4)
    good, bad = guess(truth, 0.8, rng), guess(truth, 0.4, rng)
    assert permutation_p(truth, [good], [good], 3, "macro_f1", 99, rng) == 1
    assert permutation_p(truth, [good], [bad], 3, "macro_f1", 99, rng) == 0.01


def test_permutation_p_is_uniform_when_arms_are_exchangeable() -> None:
    rng = np.random.default_rng(5)
    truth = rng.choice(3, 120, p=[0.6, 0.3, 0.1])
    p_values = [
        permutation_p(truth, [guess(truth, 0.6, rng)], [guess(truth, 0.6, rng)], 3, "macro_f1", 99,
                      rng)
        for _ in range(200)
    ]  # fmt: skip
    assert kstest(p_values, "uniform").pvalue > 0.001
    assert np.mean(np.array(p_values) <= 0.05) < 0.11


def test_differences_are_paired_signed_and_complete(truth: np.ndarray) -> None:
    rng = np.random.default_rng(6)
    base = guess(truth, 0.6, rng)
    better = np.where(rng.random(len(truth)) < 0.3, truth, base)  # never worse than base
    arms = {
        "base": {(0, 0): predictions(truth, base)},
        "same": {(0, 0): predictions(truth, base)},
        "better": {(0, 0): predictions(truth, better)},
    }
    comparison = compare_arms(arms, "accuracy")
    pairs = {(d.arm, d.against): d for d in comparison.differences if d.metric == "accuracy"}
    assert set(pairs) == {("same", "base"), ("better", "base"), ("better", "same")}
    gain = (better == truth).mean() - (base == truth).mean()
    found = pairs["better", "base"]
    assert found.value == pytest.approx(gain)
    assert 0 < found.low < gain < found.high
    assert found.p_holm < 0.01
    same = pairs["same", "base"]
    # Nothing differs, yet a discordant case on each side may have been missed (Bonett and Price, 2012).
    hidden = 1.959964 * np.sqrt(2) / len(truth)
    assert (same.value, same.p) == (0, 1)
    assert (same.low, same.high) == pytest.approx((-hidden, hidden))
    # Paired: the interval is narrower than two independent ones would allow.
    one = summarise_part("test", arms["base"]).metrics["accuracy"]
    assert found.high - found.low < one.high - one.low
    described = [d for d in comparison.differences if d.metric == "macro_f1"]
    assert [d.p for d in described] == [None, None]


def test_arms_scored_on_other_cases_are_not_compared(truth: np.ndarray) -> None:
    arms = {
        "one": {(0, 0): predictions(truth, truth)},
        "two": {(0, 0): predictions(truth[:-1], truth[:-1])},
    }
    with pytest.raises(DataError, match="other cases"):
        compare_arms(arms, "accuracy")


def test_folds_are_pooled_and_seeds_averaged(truth: np.ndarray) -> None:
    rng = np.random.default_rng(7)
    whole = {s: predictions(truth, guess(truth, 0.6, rng)) for s in (0, 1)}
    cells = {}
    for seed, p in whole.items():
        for fold, rows in enumerate(np.array_split(rng.permutation(len(truth)), 3)):
            cells[seed, fold] = Predictions(
                p.case_ids[rows], p.truth[rows], p.probabilities[rows], CLASSES
            )
    pooled = summarise_part("test", cells)
    apart = [(p.predicted == truth).mean() for p in whole.values()]
    assert (pooled.n_cases, pooled.n_seeds, pooled.n_folds) == (600, 2, 3)
    assert pooled.metrics["accuracy"].value == pytest.approx(np.mean(apart))
    assert pooled.metrics["accuracy"].seed_sd == pytest.approx(np.std(apart, ddof=1))
    assert np.sum(pooled.confusion) == 1200


def test_the_training_part_gets_no_interval(truth: np.ndarray) -> None:
    cells = {(0, 0): predictions(truth, truth)}
    assert summarise_part("train", cells).metrics["accuracy"].low is None
    least = binomtest(600, 600).proportion_ci(0.95, method="wilson").low
    assert summarise_part("test", cells).metrics["accuracy"].low == pytest.approx(least)


@pytest.mark.slow
def test_many_arms_can_still_be_told_apart() -> None:
    """Sixteen arms make 120 pairs: 120 times the least p of 2,000 permutations is above 0.05."""
    rng = np.random.default_rng(2)
    truth = np.repeat(np.arange(3), 60)
    ids = np.array([f"c{i:03d}" for i in range(len(truth))])

    def arm(skill: float) -> dict[tuple[int, int], Predictions]:
        logits = rng.normal(size=(len(truth), 3)) + skill * np.eye(3)[truth]
        p = np.exp(logits)
        return {(0, 0): Predictions(ids, truth, p / p.sum(axis=1, keepdims=True), ("a", "b", "c"))}

    arms = {f"weak-{i}": arm(0.3) for i in range(15)} | {"strong": arm(4.0)}
    comparison = compare_arms(arms, "macro_f1")
    tested = {(d.arm, d.against): d for d in comparison.differences if d.p_holm is not None}
    assert len(tested) == 120
    assert 120 / 2001 > 0.05  # what would have been the least
    assert all(is_shown(tested["strong", f"weak-{i}"]) for i in range(15))
    others = [d for (a, _), d in tested.items() if a != "strong"]
    assert not any(is_shown(d) for d in others)


def test_permutations_that_leave_a_metric_undefined_count_as_extreme() -> None:
    """MCC is undefined once all answers are of one class, which is no evidence of a difference."""
    truth = np.array([0, 0, 0, 0, 0, 1, 1, 1])
    one, other = np.zeros(8, int), np.zeros(8, int)
    one[5], other[[0, 1]] = 1, 1

    def gap(a: np.ndarray, b: np.ndarray) -> float:
        if len(set(a)) < 2 or len(set(b)) < 2:
            return np.inf
        return abs(matthews_corrcoef(truth, a) - matthews_corrcoef(truth, b))

    exact = permutation_test((one, other), gap, permutation_type="samples", alternative="greater",
                             n_resamples=np.inf).pvalue  # fmt: skip
    rng = np.random.default_rng(8)
    assert permutation_p(truth, [one], [other], 2, "mcc", 4999, rng) == pytest.approx(
        exact, abs=0.03
    )


def test_macro_precision_lies_in_its_interval_where_some_seeds_never_answer_a_class() -> None:
    truth = np.repeat(np.arange(3), [200, 100, 20])
    finds = truth.copy()
    silent = np.where(
        truth == 2, 0, truth
    )  # as a training that collapsed onto the frequent classes
    cells = {(s, 0): predictions(truth, finds if s < 2 else silent) for s in range(4)}
    part = summarise_part("test", cells)
    macro = [
        precision_score(truth, p.predicted, average="macro", zero_division=0)
        for p in cells.values()
    ]
    found = part.metrics["macro_precision"]
    assert found.value == pytest.approx(np.mean(macro))
    assert found.low < found.value < found.high
    assert part.classes[2].precision == 1  # by itself: the mean over the seeds that answer it
