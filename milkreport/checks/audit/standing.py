"""Would "A is better than B" stand? From printed shares alone: how probable it is that the order is false.

Both models saw the same n cases. What is printed says how many each got right; how many both got right is
not printed. Each joint table that fits gives a posterior (Claims Reloaded, arXiv 2505.04720: a Dirichlet
distribution over right-right, right-wrong, wrong-right and wrong-wrong), of which the mean and the variance
of the difference are taken. A balanced accuracy is a mean of such shares, one of each class.

That posterior takes any difference to be equally probable beforehand, and models that are compared are mostly
close: then it is overconfident. So it is multiplied by a normal prior of the true difference around 0. The
spread of the prior is not known either: the largest probability has the smallest spread of a range.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from milkreport.checks.audit.rounding import find_counts
from milkreport.checks.statements import Figure
from milkreport.limits import MOST_PUBLISHED

#: Where the share that both models get right lies between the least and the most that their accuracies allow
#: (0 to 1): below the least (0.64), middle and nine tenths of 21 pairs of models on the same test cases
#: (docs/auditing.md). The first is lower than measured because other data may differ.
CONGRUENCE = (0.50, 0.77, 0.90)
#: Standard deviations of the true difference beforehand, one with each congruence.
SPREADS = (0.02, 0.05, 0.10)
#: A false order at most this probable is taken as standing.
TOLERATED = 0.05
#: Smaller probabilities are not said: too few simulated pairs to check them (docs/auditing.md).
LEAST_SAID = 0.01
#: A class: right answers of both models, and its cases.
Class = tuple[float, float, float]


@dataclass(frozen=True)
class Standing:
    """The probability that the order is false.

    ``usual``: at the three congruences of :data:`CONGRUENCE` with the prior spreads of :data:`SPREADS`, so
    the first is the largest; with the closest counts that print so, the middle ones, the farthest.
    ``least``, ``most``: over all joint tables that fit the printed shares, with the widest prior and with the
    narrowest. ``enough``: cases from which on the first would be tolerated, with the same shares; ``None``
    beyond a million.
    """

    usual: tuple[float, float, float]
    least: float
    most: float
    enough: int | None


def weigh_order(
    better: Sequence[Figure], other: Sequence[Figure], support: Sequence[int]
) -> Standing | None:
    """How probable it is that the mean share of *better* is not above that of *other*.

    Args:
        better, other: printed shares of the same cases: one accuracy, or the recalls of all classes, in the
            order of *support*, the cases of each. Coarse digits leave several numbers of right answers: of
            one share the ends are taken, of several the middle.

    Returns:
        ``None`` where no number of cases prints one of them.
    """
    closest: list[Class] = []
    middle: list[Class] = []
    farthest: list[Class] = []
    for one, two, n in zip(better, other, support, strict=True):
        a, b = (find_counts(figure.printed, n)[0] for figure in (one, two))
        if not a or not b:
            return None
        middle.append((a[len(a) // 2], b[len(b) // 2], n))
        closest.append((a[0], b[-1], n))
        farthest.append((a[-1], b[0], n))
    if len(support) > 1:
        closest = farthest = middle
    narrow, between, wide = SPREADS
    usual = (
        _false(closest, CONGRUENCE[0], narrow),
        _false(middle, CONGRUENCE[1], between),
        _false(farthest, CONGRUENCE[2], wide),
    )
    ends = [
        _false(classes, where, spread)
        for classes in (closest, farthest)
        for where in (0.0, 1.0)
        for spread in (narrow, wide)
    ]
    n_all = sum(support)

    def grown(cases: int) -> float:
        bigger = [(a * cases / n_all, b * cases / n_all, n * cases / n_all) for a, b, n in middle]
        return _false(bigger, CONGRUENCE[0], narrow)

    above = sum((a - b) / n for a, b, n in middle) > 0
    return Standing(usual, min(*ends, *usual), max(*ends, *usual), _enough(grown, above))


def _false(classes: Sequence[Class], where: float, spread: float) -> float:
    """The probability that the true difference is not above 0.

    Args:
        where: how many cases both get right, between the least (0) and the most (1) that is possible.
        spread: standard deviation of the true difference beforehand.
    """
    mean = variance = 0.0
    for a, b, n in classes:
        least, most = max(0.0, a + b - n), min(a, b)
        both = least + where * (most - least)
        # A Dirichlet distribution with one case added to each of the four joint outcomes.
        total = n + 4
        gap, apart = (a - b) / total, (a + b - 2 * both + 2) / total
        mean += gap / len(classes)
        variance += (apart - gap**2) / (total + 1) / len(classes) ** 2
    # Normal prior around 0 times normal likelihood: the mean shrinks by r, the variance too.
    r = spread**2 / (spread**2 + variance)
    z = mean * math.sqrt(r / variance)
    return math.erfc(z / math.sqrt(2)) / 2


def _enough(false: Callable[[int], float], above: bool) -> int | None:
    """The smallest number of cases at which the order would stand; *false*: its probability by cases."""
    if not above or false(MOST_PUBLISHED) > TOLERATED:
        return None
    low, high = 0, MOST_PUBLISHED
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if false(middle) <= TOLERATED else (middle, high)
    return high
