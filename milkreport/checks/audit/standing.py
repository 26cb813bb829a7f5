"""Would "A is better than B" stand? From printed shares alone: how probable it is that the order is false.

Both models saw the same n cases. What is printed says how many each got right; how many both got right is
not printed. Each joint table that fits gives a posterior (Claims Reloaded, arXiv 2505.04720: a Dirichlet
distribution over right-right, right-wrong, wrong-right and wrong-wrong). Only the cases on which the models
differ decide: with a of them in favour of A and b of B, the probability that A is not better is that of a
Beta(a + 1, b + 1) variable below one half. A balanced accuracy is a mean of such shares, one of each class:
draws from the classes' posteriors say how often the mean difference is not above 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from milkreport.checks.audit.rounding import find_counts
from milkreport.checks.statements import Figure
from milkreport.limits import MOST_PUBLISHED

#: Where the share that both models get right lies between the least and the most that their accuracies allow
#: (0 to 1): tenth, middle and nine tenths of 21 pairs of models on the same test cases (docs/auditing.md).
CONGRUENCE = (0.68, 0.77, 0.90)
#: A false order at most this probable is taken as standing.
TOLERATED = 0.05
#: Draws from the posterior of a balanced accuracy, always the same.
DRAWS = 20_000
#: A class: right answers of both models, and its cases.
Class = tuple[float, float, float]


@dataclass(frozen=True)
class Standing:
    """The probability that the order is false.

    ``usual``: at the three congruences of :data:`CONGRUENCE`, the first with the closest counts that print
    so, the last with the farthest. ``least``, ``most``: over all joint tables that
    fit the printed shares. ``enough``: cases at which it would stand, with the same shares and the middle
    congruence; ``None`` beyond a million.
    """

    usual: tuple[float, float, float]
    least: float
    most: float
    enough: int | None


def weigh_order(better: Figure, other: Figure, n: int) -> Standing | None:
    """How probable it is that *better* is not above *other*: two shares of the same *n* cases.

    Returns:
        ``None`` where no number of cases prints one of them.
    """
    sides = [find_counts(figure.printed, n)[0] for figure in (better, other)]
    if not sides[0] or not sides[1]:
        return None
    found = [
        _false(a, b, n, where)
        for a in {sides[0][0], sides[0][-1]}
        for b in {sides[1][0], sides[1][-1]}
        for where in (0.0, 1.0)
    ]
    a, b = (side[len(side) // 2] for side in sides)
    # Coarse digits leave more than one number of right answers: the ends of the range take the ends of both.
    low = _false(sides[0][0], sides[1][-1], n, CONGRUENCE[0])
    middle = _false(a, b, n, CONGRUENCE[1])
    high = _false(sides[0][-1], sides[1][0], n, CONGRUENCE[2])
    enough = _enough(lambda m: _false(a / n * m, b / n * m, m, CONGRUENCE[1]), a > b)
    return Standing((low, middle, high), min(found), max(found), enough)


def weigh_mean_order(
    better: Sequence[Figure], other: Sequence[Figure], support: Sequence[int]
) -> Standing | None:
    """The same of two balanced accuracies, from the printed recalls of all classes.

    Args:
        better, other: recalls by class, in the order of *support*, cases per class. Of several numbers of
            right answers that print so the middle one is taken.

    Returns:
        ``None`` where no number of cases prints one of them.
    """
    classes: list[Class] = []
    for one, two, n in zip(better, other, support, strict=True):
        sides = [find_counts(figure.printed, n)[0] for figure in (one, two)]
        if not sides[0] or not sides[1]:
            return None
        a, b = (side[len(side) // 2] for side in sides)
        classes.append((a, b, n))
    found = [_false_mean(classes, where) for where in (0.0, *CONGRUENCE, 1.0)]
    n = sum(support)

    def grown(cases: int) -> float:
        bigger = [(a * cases / n, b * cases / n, s * cases / n) for a, b, s in classes]
        return _false_mean(bigger, CONGRUENCE[1])

    enough = _enough(grown, sum(a / s - b / s for a, b, s in classes) > 0)
    return Standing((found[1], found[2], found[3]), min(found), max(found), enough)


def _false_mean(classes: Sequence[Class], where: float) -> float:
    """How often the mean over classes of the differences is not above 0, in draws from the posterior."""
    rng = np.random.default_rng(0)
    mean = np.zeros(DRAWS)
    for a, b, n in classes:
        both = _both(a, b, n, where)
        drawn = rng.standard_gamma(
            [a - both + 1, b - both + 1, n - a - b + 2 * both + 2], (DRAWS, 3)
        )
        mean += (drawn[:, 0] - drawn[:, 1]) / drawn.sum(axis=1)
    return float((mean <= 0).mean())


def _both(a: float, b: float, n: float, where: float) -> float:
    """Cases that both get right, *where* between the least and the most that is possible."""
    least, most = max(0.0, a + b - n), min(a, b)
    return least + where * (most - least)


def _false(a: float, b: float, n: float, where: float) -> float:
    """The probability for *a* and *b* right answers among *n*, *where* between least and most in common."""
    from scipy.special import betainc

    both = _both(a, b, n, where)
    return float(betainc(a - both + 1, b - both + 1, 0.5))


def _enough(false: Callable[[int], float], above: bool) -> int | None:
    """The smallest number of cases at which the order would stand; *false*: its probability by cases."""
    if not above or false(MOST_PUBLISHED) > TOLERATED:
        return None
    low, high = 0, MOST_PUBLISHED
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if false(middle) <= TOLERATED else (middle, high)
    return high
