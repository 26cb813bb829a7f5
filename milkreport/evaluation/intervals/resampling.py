"""Resampling of cases: bootstrap, paired permutation; and McNemar's test and Holm's correction.

Cases are drawn as new ones would come: unstratified, and where they come in groups (images of one patient)
groups whole. All arms see the same resamples, so differences are paired.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from milkreport.evaluation.intervals.clusters import count_all
from milkreport.evaluation.metrics.confusion import confusion_counts, score_confusion
from milkreport.streams import stream

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Weights = npt.NDArray[np.float32]

#: Numbers that one piece of the resamples may hold, 4 bytes each; measuring it holds several of its size.
#: A few rows at least: what every piece costs must not outweigh its rows.
_PIECE, _FEWEST_ROWS = 2_000_000, 8
#: The same of permutations. Its swaps depend on it: another value gives other, equally good p.
_SWAPS = 8_000_000
#: Draws that are kept for the next use of the same: a byte each.
_MOST_KEPT = 100_000_000


def bootstrap_weights(n: int, n_resamples: int, groups: Ints | None = None) -> Iterator[Weights]:
    """How often each of *n* cases is drawn: float32 (some resamples, n), piece by piece.

    Unstratified: new cases bring a new class mix, so a resample has one as well. The pieces together are
    *n_resamples* rows, and the same for the same arguments, so that all that is measured on the same cases
    pairs.

    Args:
        groups: int64 (n,), positions of the groups that are drawn whole; ``None``: each case by itself.
    """
    n_units = count_all(n, groups)
    rows = min(n_resamples, max(_FEWEST_ROWS, _PIECE // n))
    make = _keep_draws if n_units * n_resamples <= _MOST_KEPT else _draw_units
    for drawn in make(n_units, n_resamples, rows):
        yield (drawn if groups is None else drawn[:, groups]).astype(np.float32)


def _draw_units(n_units: int, n_resamples: int, rows: int) -> Iterator[npt.NDArray[np.uint8]]:
    """How often each unit is drawn, piece by piece: uint8, since no unit is drawn 256 times."""
    rng = stream(0, "bootstrap")
    for start in range(0, n_resamples, rows):
        n_rows = min(rows, n_resamples - start)
        picks = rng.integers(0, n_units, (n_rows, n_units), dtype=np.int32)
        picks += np.arange(n_rows, dtype=np.int32)[:, None] * n_units
        counts = np.bincount(picks.ravel(), minlength=n_rows * n_units)
        yield counts.reshape(n_rows, n_units).astype(np.uint8)


@lru_cache(maxsize=1)
def _keep_draws(n_units: int, n_resamples: int, rows: int) -> list[npt.NDArray[np.uint8]]:
    """The same pieces, kept for the next that is measured on the same cases."""
    return list(_draw_units(n_units, n_resamples, rows))


def resampled_confusion(truth: Ints, predicted: Ints, n_classes: int, weights: Weights) -> Floats:
    """Confusion counts of each resample: float64 (n_resamples, n_classes, n_classes), rows true."""
    counts = np.zeros((len(weights), n_classes, n_classes))
    for c in np.unique(truth):
        mine = np.flatnonzero(truth == c)
        answered = (predicted[mine][:, None] == np.arange(n_classes)).astype(np.float32)
        counts[:, c] = weights[:, mine] @ answered
    return counts


def permutation_p(
    truth: Ints,
    one: Sequence[Ints],
    other: Sequence[Ints],
    n_classes: int,
    metric: str | Callable[[Floats], Floats],
    n_permutations: int,
    rng: np.random.Generator,
    groups: Ints | None = None,
) -> float:
    """Two-sided p that two arms' answers are exchangeable case by case (or group by group).

    In each permutation a case's answers (of all seeds together) change sides with probability 1/2;
    the statistic is the difference of the metric's means over seeds. p = (1 + hits) / (1 + n): never 0
    (Phipson and Smyth, 2010). A permutation that leaves the metric undefined counts as a hit.

    Args:
        truth, one, other: class positions, int64 (n,); *one* and *other* hold one array a seed.
        metric: one of :func:`milkreport.evaluation.metrics.confusion.score_confusion`, or what makes
            float64 (...) of confusion counts (..., n_classes, n_classes).
    """

    def score(counts: Floats) -> Floats:
        return metric(counts) if callable(metric) else score_confusion(counts)[metric]

    both = list(zip(one, other, strict=True))
    unlike = np.flatnonzero(np.any([a != b for a, b in both], axis=0))
    units = np.arange(len(truth)) if groups is None else groups
    kinds, position = np.unique(units[unlike], return_inverse=True)
    # Changing a case's sides moves a count from one answer's cell to the other's, in both arms' tables.
    moves, tables = [], []
    for a, b in both:
        move = np.zeros((len(kinds), n_classes**2), np.float32)
        cells = truth[unlike] * n_classes
        np.add.at(move, (position, cells + b[unlike]), 1)
        np.add.at(move, (position, cells + a[unlike]), -1)
        moves.append(move)
        tables.append([confusion_counts(truth, p, n_classes).ravel() for p in (a, b)])

    def mean_gap(swaps: Weights) -> Floats:
        gaps = np.zeros(len(swaps))
        for move, (first, second) in zip(moves, tables, strict=True):
            moved = swaps @ move
            for table, sign in ((first + moved, 1), (second - moved, -1)):
                shaped = table.reshape(-1, n_classes, n_classes)
                gaps += sign * score(shaped)
        return gaps / len(moves)

    observed = abs(float(mean_gap(np.zeros((1, len(kinds)), np.float32))[0]))
    hits, rows = 0, max(1, _SWAPS // max(len(kinds), n_classes**2, 1))
    for start in range(0, n_permutations, rows):
        n_rows = min(rows, n_permutations - start)
        swaps = rng.integers(0, 2, (n_rows, len(kinds)), dtype=np.int8).astype(np.float32)
        # The tolerance counts permutations that equal the observed one up to rounding. One that
        # leaves the metric undefined counts as well, or p would come out too small.
        hits += int((~(np.abs(mean_gap(swaps)) < observed - 1e-12)).sum())
    return (1 + hits) / (1 + n_permutations)


def mcnemar_p(truth: Ints, one: Ints, other: Ints) -> float:
    """Exact two-sided p that both answers are right equally often (McNemar, 1947; binomial form).

    All are class positions, int64 (n,). 1 where no case is right for one alone.
    """
    from scipy.special import bdtr  # here: slow to load, and points need none of it

    right, rival = one == truth, other == truth
    only = int((right & ~rival).sum()), int((rival & ~right).sum())
    return min(1.0, 2 * float(bdtr(min(only), sum(only), 0.5)))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjusted p values, in the given order (Holm, 1979)."""
    order = np.argsort(p_values, kind="stable")
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, position in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[position]))
        adjusted[position] = largest
    return adjusted
