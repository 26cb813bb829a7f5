"""Curves on a grid, beside scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import precision_recall_curve, roc_curve

from milkreport.evaluation.predictions import Predictions
from milkreport.evaluation.rank_curves import GRID, class_curves, read_curve


@settings(max_examples=80, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(4, 300), levels=st.sampled_from([3, 10, 10**6]))
def test_curves_are_scikit_learns_at_the_grid(seed: int, n: int, levels: int) -> None:
    rng = np.random.default_rng(seed)
    positive = rng.random(n) < 0.4
    positive[:2] = [True, False]
    score = np.floor((rng.random(n) + 0.4 * positive) * levels) / levels
    sensitivity, precision = read_curve(positive, score)
    fpr, tpr, _ = roc_curve(positive, score, drop_intermediate=False)
    for x, y in zip(GRID, sensitivity, strict=True):
        right = fpr <= x + 1e-12
        left = np.flatnonzero(right)[-1]
        expected = tpr[right][-1]
        if fpr[left] < x - 1e-12 and left + 1 < len(fpr):
            share = (x - fpr[left]) / (fpr[left + 1] - fpr[left])
            expected += share * (tpr[left + 1] - tpr[left])
        assert y == pytest.approx(expected)
    p, r, _ = precision_recall_curve(positive, score)
    for x, y in zip(GRID[1:], precision[1:], strict=True):
        # Thresholds rise with the position; the highest that reaches the recall is the last.
        reaches = np.flatnonzero(r >= x - 1e-12)
        assert y == pytest.approx(p[reaches[-1]])
    assert (np.diff(sensitivity) >= -1e-12).all()
    assert sensitivity[-1] == 1


def test_seeds_average_and_impossible_classes_have_no_curve() -> None:
    ids = np.array(list("abcd"))
    truth = np.array([0, 0, 1, 1])
    good = np.array([[0.9, 0.1, 0], [0.8, 0.2, 0], [0.1, 0.9, 0], [0.2, 0.8, 0]])
    seeds = [Predictions(ids, truth, p, ("a", "b", "c")) for p in (good, good[::-1])]
    curves = class_curves(seeds)
    assert curves[2] is None
    # One seed ranks perfectly, the other all wrong: half way.
    assert curves[0].sensitivity[:50] == [0.5] * 50
    assert curves[0].precision[-1] == pytest.approx((1 + 0.5) / 2)
