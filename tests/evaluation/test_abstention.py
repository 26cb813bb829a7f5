"""Abstention against brute force, identities and resampling."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score

from milkreport.evaluation.beyond.abstention import (
    COVERAGES,
    answer,
    aurc_moves,
    bound_aurc,
    describe_abstention,
    find_aurc,
    find_risks,
    least_aurc,
)
from milkreport.evaluation.reading.predictions import Predictions


def make(n: int = 60, k: int = 3, digits: int = 1, seed: int = 0) -> Predictions:
    """Predictions with many ties."""
    rng = np.random.default_rng(seed)
    values = rng.multinomial(10**digits, np.ones(k) / k, n) / 10**digits
    truth = np.array([rng.choice(k, p=row) for row in values])
    ids = np.array([f"{i:04d}" for i in range(n)])
    return Predictions(ids, truth, values, tuple("abcdefghijk"[:k]))


def test_the_area_is_the_mean_over_orders_of_equal_cases() -> None:
    p, rng = make(), np.random.default_rng(1)
    sure, wrong = p.probabilities.max(axis=1), p.predicted != p.truth
    areas = []
    for _ in range(4000):
        order = np.lexsort((rng.random(len(sure)), -sure))
        areas.append((np.cumsum(wrong[order]) / np.arange(1, len(sure) + 1)).mean())
    error = np.std(areas) / len(areas) ** 0.5
    assert find_aurc(sure, wrong) == pytest.approx(np.mean(areas), abs=5 * error)


def test_the_area_does_not_depend_on_the_order_of_cases() -> None:
    p = make()
    sure, wrong = p.probabilities.max(axis=1), p.predicted != p.truth
    back = np.arange(len(sure))[::-1]
    assert find_aurc(sure, wrong) == pytest.approx(find_aurc(sure[back], wrong[back]), abs=1e-15)


def test_a_constant_confidence_has_the_error_share_as_its_area() -> None:
    wrong = np.array([True, False, False, True, False])
    assert find_risks(np.full(5, 0.7), wrong) == pytest.approx(np.full(5, 0.4))
    assert find_aurc(np.full(5, 0.7), wrong) == pytest.approx(0.4)


def test_the_least_area_is_that_of_errors_put_last() -> None:
    wrong = np.array([False] * 7 + [True] * 3)
    assert least_aurc(10, 3) == pytest.approx(find_aurc(np.linspace(1, 0.4, 10), wrong))
    assert least_aurc(10, 0) == 0


def test_accuracy_and_macro_f1_are_scikit_learns_on_the_answered_cases() -> None:
    p = make(200, 4, digits=2)
    found = answer(p)
    sure = p.probabilities.max(axis=1)
    for i, coverage in enumerate(COVERAGES):
        kept = found.kept[i]
        assert kept.mean() >= coverage
        # One confidence higher, and too few would be answered.
        assert (sure > found.thresholds[i]).mean() < coverage
        assert found.accuracy[i] == pytest.approx(accuracy_score(p.truth[kept], p.predicted[kept]))
        labels = np.unique(p.truth[kept])
        macro = f1_score(p.truth[kept], p.predicted[kept], labels=labels, average="macro")
        assert found.macro_f1[i] == pytest.approx(macro)


def test_influences_give_the_spread_of_resamples() -> None:
    p = make(400, 3, digits=2)
    sure, wrong = p.probabilities.max(axis=1), p.predicted != p.truth
    rng = np.random.default_rng(2)
    drawn = [find_aurc(sure[i], wrong[i]) for i in rng.integers(0, 400, (600, 400))]
    moves = aurc_moves(sure, wrong)
    assert moves.mean() == pytest.approx(0, abs=1e-12)
    assert np.sqrt((moves**2).sum()) / 400 == pytest.approx(np.std(drawn), rel=0.1)


def test_cases_of_one_group_widen_the_interval() -> None:
    p = make(300, 3, digits=2)
    order = np.argsort(p.predicted != p.truth, kind="stable")
    groups = np.empty(300, np.int64)
    groups[order] = np.arange(300) // 5  # right with right, wrong with wrong
    alone, together = bound_aurc(p, None), bound_aurc(p, groups)
    assert together[1] - together[0] > 1.3 * (alone[1] - alone[0])


def test_few_wrong_answers_leave_the_area_without_an_interval() -> None:
    p = make(300, 3, digits=2)
    right = np.where(np.arange(300) < 9, (p.predicted + 1) % 3, p.predicted)
    few = Predictions(p.case_ids, right, p.probabilities, p.classes)
    found = describe_abstention([few], None, bounded=True)
    assert found.aurc.value is not None
    assert found.aurc.low is None
    assert found.at[0].accuracy.low is not None


def test_a_better_order_of_confidence_lowers_the_area_and_no_other_metric() -> None:
    p = make(500, 2, digits=2)
    wrong = p.predicted != p.truth
    sure = np.where(wrong, 0.55, 0.95)
    flat = np.full((500, 2), 0.0)
    flat[np.arange(500), p.predicted] = sure
    flat[np.arange(500), 1 - p.predicted] = 1 - sure
    knowing = Predictions(p.case_ids, p.truth, flat, p.classes)
    first, second = (describe_abstention([q], None, bounded=False) for q in (p, knowing))
    assert first.curve[-1] == pytest.approx(second.curve[-1])
    assert second.excess == pytest.approx(0, abs=1e-12)
    assert first.excess > 0.05
