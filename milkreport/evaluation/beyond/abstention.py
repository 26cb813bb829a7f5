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
from milkreport.evaluation.intervals.clusters import count_units
from milkreport.evaluation.intervals.closed_form import Z
from milkreport.evaluation.intervals.estimates import estimate
from milkreport.evaluation.intervals.label_bounds import bound_labels
from milkreport.evaluation.intervals.resampling import bootstrap_weights, resampled_confusion
from milkreport.evaluation.metrics.confusion import (
    confusion_counts,
    score_classes,
    score_confusion,
)
from milkreport.evaluation.metrics.measures import Plan
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
FEWEST_WRONG = 20
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


@dataclass(frozen=True)
class Drawn:
    """The same in each resample: the area (n_resamples,), and confusion counts at each coverage."""

    aurc: Floats
    tables: list[Floats]


def resample(
    seeds: Sequence[Predictions], answered: Sequence[Answered], groups: Ints | None, plan: Plan
) -> list[Drawn]:
    """Every training in the shared resamples, answered from its own thresholds on."""
    n, k = len(seeds[0].truth), len(seeds[0].classes)
    moves = np.stack(
        [aurc_moves(p.probabilities.max(axis=1), p.predicted != p.truth) for p in seeds], axis=1
    )
    areas: list[Floats] = []
    tables: list[list[list[Floats]]] = [[[] for _ in COVERAGES] for _ in seeds]
    for weights in bootstrap_weights(n, plan.resamples(n), groups):
        areas.append(weights @ moves.astype(np.float32) / n)
        for mine, p, a in zip(tables, seeds, answered, strict=True):
            # From the smallest coverage on: each adds the cases that only it answers.
            total, before = np.zeros((len(weights), k, k)), np.zeros(n, bool)
            for place in reversed(range(len(COVERAGES))):
                more = np.flatnonzero(a.kept[place] & ~before)
                found = p.truth[more], p.predicted[more]
                total = total + resampled_confusion(*found, k, weights[:, more])
                mine[place].append(total)
                before = a.kept[place]
    points = [find_aurc(p.probabilities.max(axis=1), p.predicted != p.truth) for p in seeds]
    moved = np.concatenate(areas).astype(np.float64)
    return [
        Drawn(point + moved[:, i], [np.concatenate(pieces) for pieces in tables[i]])
        for i, point in enumerate(points)
    ]


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


def bound_answered(
    p: Predictions, kept: Bools, tables: Floats, groups: Ints | None
) -> tuple[Pair, Pair]:
    """The 95% intervals of accuracy and macro F1 of the answered cases, as of any cases.

    Args:
        kept: bool (n,). tables: their confusion counts in each resample.
    """
    low, high = map(float, bound_share((p.predicted == p.truth) & kept, kept, groups))
    own = None if groups is None else np.unique(groups[kept], return_inverse=True)[1]
    k = len(p.classes)
    present = np.bincount(p.truth[kept], minlength=k) > 0
    drawn = score_confusion(tables, present, "macro_f1")
    found = bound_labels(
        p.truth[kept],
        p.predicted[kept],
        k,
        drawn,
        {"f1": score_classes(tables)["f1"]},
        own,
        ("macro_f1",),
    )
    return (low, high), found.overall.get("macro_f1", _NONE)


def describe_abstention(
    seeds: Sequence[Predictions], groups: Ints | None, plan: Plan, *, resampled: bool
) -> Abstention:
    """The record, means over seeds; predictions are scores or probabilities.

    Args:
        groups: int64 (n,), cases that are drawn together.
    """
    n, k = len(seeds[0].truth), len(seeds[0].classes)
    answered = [answer(p) for p in seeds]
    drawn = resample(seeds, answered, groups, plan) if resampled else []
    wrong = [p.predicted != p.truth for p in seeds]
    sure = [p.probabilities.max(axis=1) for p in seeds]
    risks = [find_risks(*of_seed) for of_seed in zip(sure, wrong, strict=True)]
    areas = [float(r.mean()) for r in risks]
    at = []
    for i, coverage in enumerate(COVERAGES):
        bounds = [
            bound_answered(p, a.kept[i], d.tables[i], groups)
            for p, a, d in zip(seeds, answered, drawn, strict=False)
        ]
        tables = [d.tables[i] for d in drawn]
        macro = [
            score_confusion(t, np.bincount(p.truth[a.kept[i]], minlength=k) > 0, "macro_f1")
            for t, p, a in zip(tables, seeds, answered, strict=False)
        ]
        right = [np.trace(t, axis1=1, axis2=2) / t.sum(axis=(1, 2)) for t in tables]
        kept = [np.bincount(p.truth[a.kept[i]], minlength=k) for p, a in zip(seeds, answered, strict=True)]
        at.append(
            AtCoverage(
                coverage=coverage,
                threshold=statistics.fmean(a.thresholds[i] for a in answered),
                accuracy=estimate(
                    [float(a.accuracy[i]) for a in answered], [b[0] for b in bounds], right
                ),
                macro_f1=estimate(
                    [float(a.macro_f1[i]) for a in answered],
                    [b[1] for b in bounds],
                    [m["macro_f1"] for m in macro],
                ),
                kept=dict(zip(seeds[0].classes, np.mean(kept, axis=0).tolist(), strict=True)),
            )
        )
    places = np.ceil(STEPS * n - 1e-9).astype(np.int64) - 1
    return Abstention(
        aurc=estimate(areas, [bound_aurc(p, groups) for p in seeds] if drawn else [], [d.aurc for d in drawn]),
        excess=statistics.fmean(
            a - least_aurc(n, int(w.sum())) for a, w in zip(areas, wrong, strict=True)
        ),
        curve=np.mean([r[np.maximum(places, 0)] for r in risks], axis=0).tolist(),
        at=at,
    )
