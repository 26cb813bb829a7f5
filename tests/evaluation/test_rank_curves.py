"""Curves on a grid, beside scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import precision_recall_curve, roc_curve

from milkreport.evaluation.metrics.rank_curves import (
    GRID,
    TOLERANCE,
    class_curves,
    read_curve,
    roc_points,
)
from milkreport.evaluation.reading.predictions import Predictions


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


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(4, 600), levels=st.sampled_from([3, 10, 10**6]))
def test_the_roc_curve_passes_all_points_within_the_width_of_a_line(seed, n, levels) -> None:
    rng = np.random.default_rng(seed)
    positive = rng.random(n) < 0.3
    positive[:2] = [True, False]
    score = np.floor((rng.random(n) + 0.9 * positive) * levels) / levels
    kept = roc_points([(positive, score)])
    fpr, tpr, _ = roc_curve(positive, score, drop_intermediate=False)
    every = np.stack([fpr, tpr], axis=1)
    assert kept[0].tolist() == [0, 0]
    assert kept[-1].tolist() == [1, 1]
    assert all((np.abs(every - point).max(axis=1) < 1e-12).any() for point in kept)
    starts, steps = kept[:-1], np.diff(kept, axis=0)
    length = np.maximum((steps**2).sum(axis=1), 1e-30)
    for point in every:
        share = np.clip(((point - starts) * steps).sum(axis=1) / length, 0, 1)[:, None]
        assert np.hypot(*(starts + share * steps - point).T).min() <= TOLERANCE + 1e-12


def test_the_start_of_a_curve_is_no_straight_line_and_stays_small() -> None:
    """Half of the cases found before one in two hundred others: below the first step of the grid."""
    rng = np.random.default_rng(0)
    positive = np.arange(20_000) < 2_000
    score = np.where(positive, rng.normal(2.5, 1, 20_000), rng.normal(0, 1, 20_000))
    kept = roc_points([(positive, score)])
    early = kept[(kept[:, 0] > 0) & (kept[:, 0] < 0.02)]
    assert len(early) >= 4
    grid, _ = read_curve(positive, score)
    assert (early[:, 1] - early[:, 0] / 0.02 * grid[1] > 0.05).any()
    assert len(kept) < 150


def test_two_seeds_with_one_curve_have_that_curve() -> None:
    rng = np.random.default_rng(1)
    positive = rng.random(200) < 0.4
    score = rng.random(200) + 0.3 * positive
    one = roc_points([(positive, score)])
    both = roc_points([(positive, score)] * 2)
    mine = np.interp(GRID, *(one + np.arange(len(one))[:, None] * 1e-9).T)
    assert np.interp(GRID, *(both + np.arange(len(both))[:, None] * 1e-9).T) == pytest.approx(
        mine, abs=0.02
    )
    assert len(both) <= 2 * len(one)


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
