"""Whether a run's cases have the class mix of a reference: without it most metrics cannot be compared."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from milkreport.checks.reference import Reference
from milkreport.checks.statements import Figure
from milkreport.evaluation.records.parts import PartResult

#: Metrics that look at one true class at a time, or at pairs: another class mix leaves them as they are.
FREE_OF_MIX = frozenset(
    (
        "recall",
        "macro_recall",
        "balanced_accuracy",
        "specificity",
        "macro_specificity",
        "auc",
        "macro_auc",
    )
)
#: Level of the chi-square test of two class mixes.
LEVEL = 0.001
#: Cases that a class must have on each side, expected, to be tested by itself.
_FEWEST = 5


def other_mix(
    reference: Reference, figure: Figure, part: PartResult, matrix: PartResult | None
) -> str:
    """How the class mix of a run differs from that of a figure, or nothing.

    Where both follow the same split rule, class counts that the reference states must be equal. Otherwise
    stated counts, or those of the published matrix, are compared by a chi-square test at 0.001. If only n is
    known, n must be equal under the same split rule.

    Args:
        matrix: the arm's published matrix, scored.
    """
    same_rule = (figure.comparable or reference.comparable) == "same split rule"
    ours = {row.name: row.support for row in part.classes}
    stated = reference.support.get(figure.part, {})
    if stated and same_rule:
        unlike = [
            f"{name} {ours.get(name, 0):,}, not {stated.get(name, 0):,}"
            for name in reference.classes
            if ours.get(name, 0) != stated.get(name, 0)
        ]
        return f"another class mix: {'; '.join(unlike[:3])}" if unlike else ""
    theirs = stated or ({row.name: row.support for row in matrix.classes} if matrix else {})
    if theirs:
        p = mix_p(ours, theirs)
        return f"another class mix: chi-square test, p = {p:.2g}" if p < LEVEL else ""
    n = reference.n.get(figure.part, part.n_cases)
    if same_rule and n != part.n_cases:
        return f"{part.n_cases:,} cases, not {n:,}, and no class counts are stated"
    return ""


def mix_p(one: Mapping[str, int], other: Mapping[str, int]) -> float:
    """p of the chi-square test that two samples have one class mix; rare classes are joined."""
    from scipy.special import chdtrc  # here: slow to load, and points need none of it

    names = [*one, *(name for name in other if name not in one)]
    counts = np.array([[side.get(name, 0) for name in names] for side in (one, other)], np.float64)
    totals, sizes = counts.sum(axis=0), counts.sum(axis=1)
    if min(sizes) == 0:
        return 1.0
    rare = totals * sizes.min() / sizes.sum() < _FEWEST
    joined = [counts[:, ~rare], counts[:, rare].sum(axis=1, keepdims=True)]
    counts = np.concatenate(joined if rare.any() else joined[:1], axis=1)
    expected = np.outer(sizes, counts.sum(axis=0)) / sizes.sum()
    known = expected[0] > 0
    statistic = float(((counts - expected)[:, known] ** 2 / expected[:, known]).sum())
    df = int(known.sum()) - 1
    return float(chdtrc(df, statistic)) if df > 0 else 1.0
