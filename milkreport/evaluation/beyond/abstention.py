"""Abstention: what the answers are worth if the least confident cases are left to a person.

Confidence is the largest probability (El-Yaniv and Wiener, 2010; Geifman and El-Yaniv, 2017). The curve and
its area are expectations over the order of equally confident cases. Who is answered at a coverage follows
from confidences alone, never from labels, so the answered cases are scored as any cases are.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from milkreport.evaluation.intervals.bounds import bound_share
from milkreport.evaluation.intervals.closed_form import Z
from milkreport.evaluation.intervals.clusters import count_units
from milkreport.evaluation.intervals.estimates import of_one
from milkreport.evaluation.metrics.confusion import confusion_counts, score_confusion
from milkreport.evaluation.reading.predictions import Predictions
from milkreport.evaluation.records.beyond import Abstention, AtCoverage

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Pair = tuple[float, float]

COVERAGES = (0.95, 0.9, 0.8)
#: Coverages of the curve: 5, 10, ..., 100%.
STEPS = np.arange(1, 21) / 20
#: With fewer wrong answers (or groups that have one) the area has no interval.
FEWEST_WRONG = 10
_NONE = (float("nan"), float("nan"))


def find_risks(confidence: Floats, wrong: Bools) -> Floats:
    """Expected error share of the k most confident cases, k from 1 to n: float64 (n,).

    Args:
        confidence: float64 (n,). wrong: bool (n,).
    """
    order = np.argsort(-confidence, kind="stable")
    _, block, sizes = np.unique(-confidence, return_inverse=True, return_counts=True)
    # A case stands for its block: each of equally confident ones is wrong with their mean error share.
    share = np.bincount(block, wrong) / sizes
    return np.asarray(np.cumsum(share[block[order]]) / np.arange(1, len(order) + 1))


def find_aurc(confidence: Floats, wrong: Bools) -> float:
    """Area under the risk-coverage curve: the mean of :func:`find_risks` over k."""
    return float(find_risks(confidence, wrong).mean())


def least_aurc(n: int, n_wrong: int) -> float:
    """The area if all wrong answers were the least confident ones."""
    right = n - n_wrong
    return (n_wrong - right * float((1 / np.arange(right + 1, n + 1)).sum())) / n


def aurc_moves(confidence: Floats, wrong: Bools) -> Floats:
    """How far each case moves the area, to first order: float64 (n,), of mean 0.

    The area is the integral of E(u) / u over the coverage u, E(u) the share of all cases that are answered
    wrongly. A case at coverage u adds its own risk E(u) / u, an error that counts from u on (-log u, if it is
    wrong), and takes away the dilution of all later risks.
    """
    n = len(wrong)
    order = np.argsort(-confidence, kind="stable")
    risks, u = find_risks(confidence, wrong), np.arange(1, n + 1) / n
    later = np.cumsum((risks / u)[::-1])[::-1] / n
    moves = np.empty(n)
    moves[order] = risks - wrong[order] * np.log(u) - later
    _, block, sizes = np.unique(confidence, return_inverse=True, return_counts=True)
    for is_wrong in (False, True):  # equally confident cases move it equally
        mine = wrong == is_wrong
        counts = np.maximum(np.bincount(block[mine], minlength=len(sizes)), 1)
        means = np.bincount(block[mine], moves[mine], minlength=len(sizes)) / counts
        moves[mine] = means[block[mine]]
    return np.asarray(moves - moves.mean())


@dataclass(frozen=True)
class Answered:
    """One training's answered cases at each of ``COVERAGES``.

    ``thresholds``: confidence from which on cases are answered. ``kept``: bool (n_coverages, n).
    ``macro_f1``: over the classes that still have a case, float64 (n_coverages,).
    """

    thresholds: list[float]
    kept: Bools
    accuracy: Floats
    macro_f1: Floats


def answer(p: Predictions) -> Answered:
    """Who is answered: the most confident cases, all those that are as confident as the last of them."""
    confidence = p.probabilities.max(axis=1)
    ranked = np.sort(confidence)[::-1]
    last = [max(int(np.ceil(c * len(ranked) - 1e-9)), 1) - 1 for c in COVERAGES]
    kept = confidence >= ranked[last][:, None]
    right = p.predicted == p.truth
    tables = [confusion_counts(p.truth[k], p.predicted[k], len(p.classes)) for k in kept]
    return Answered(
        ranked[last].tolist(),
        kept,
        np.array([right[k].mean() for k in kept]),
        np.array([score_confusion(t, only="macro_f1")["macro_f1"] for t in tables]),
    )


def bound_aurc(p: Predictions, groups: Ints | None) -> Pair:
    """The 95% interval of the area: its standard error on the log scale; nan with few wrong answers."""
    wrong = p.predicted != p.truth
    confidence = p.probabilities.max(axis=1)
    if count_units(wrong[:, None], groups)[0] < FEWEST_WRONG:
        return _NONE
    moves = aurc_moves(confidence, wrong)
    totals = moves if groups is None else np.bincount(groups, moves)
    area = find_aurc(confidence, wrong)
    stretch = float(np.exp(Z * np.sqrt((totals**2).sum()) / len(moves) / area))
    return area / stretch, area * stretch


def describe_abstention(
    seeds: Sequence[Predictions], groups: Ints | None, *, bounded: bool
) -> Abstention:
    """The record, means over seeds; predictions are scores or probabilities.

    One training's accuracy has the interval of a share, for the answered cases are any cases above a
    confidence. Macro F1 has none, and nothing has one over several trainings: none held (docs/beyond.md).

    Args:
        groups: int64 (n,), cases that are drawn together. bounded: whether intervals are wanted.
    """
    n, k = len(seeds[0].truth), len(seeds[0].classes)
    bounded = bounded and len(seeds) == 1
    answered = [answer(p) for p in seeds]
    wrong = [p.predicted != p.truth for p in seeds]
    risks = [find_risks(p.probabilities.max(axis=1), w) for p, w in zip(seeds, wrong, strict=True)]
    areas = [float(r.mean()) for r in risks]
    at = []
    for i, coverage in enumerate(COVERAGES):
        among = [a.kept[i] for a in answered]
        pair = _NONE
        if bounded:
            low, high = bound_share(~wrong[0] & among[0], among[0], groups)
            pair = float(low), float(high)
        kept = [np.bincount(seeds[0].truth[rows], minlength=k) for rows in among]
        at.append(
            AtCoverage(
                coverage=coverage,
                threshold=statistics.fmean(a.thresholds[i] for a in answered),
                accuracy=of_one([float(a.accuracy[i]) for a in answered], pair),
                macro_f1=statistics.fmean(float(a.macro_f1[i]) for a in answered),
                kept=dict(zip(seeds[0].classes, np.mean(kept, axis=0).tolist(), strict=True)),
            )
        )
    places = np.ceil(STEPS * n - 1e-9).astype(np.int64) - 1
    return Abstention(
        aurc=of_one(areas, bound_aurc(seeds[0], groups) if bounded else _NONE),
        excess=statistics.fmean(
            a - least_aurc(n, int(w.sum())) for a, w in zip(areas, wrong, strict=True)
        ),
        curve=np.mean([r[np.maximum(places, 0)] for r in risks], axis=0).tolist(),
        at=at,
    )
