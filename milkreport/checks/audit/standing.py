"""Would "A is better than B" stand? From printed shares alone: how probable it is that the order is false.

Both models saw the same n cases. What is printed says how many each got right; how many both got right is
not printed. Each joint table that fits gives a posterior (Claims Reloaded, arXiv 2505.04720: a Dirichlet
distribution over right-right, right-wrong, wrong-right and wrong-wrong). Only the cases on which the models
differ decide: with a of them in favour of A and b of B, the probability that A is not better is that of a
Beta(a + 1, b + 1) variable below one half.
"""

from __future__ import annotations

from dataclasses import dataclass

from milkreport.checks.audit.rounding import find_counts
from milkreport.checks.statements import Figure
from milkreport.limits import MOST_PUBLISHED

#: Where the share that both models get right lies between the least and the most that their accuracies allow
#: (0 to 1): tenth, middle and nine tenths of 21 pairs of models on the same test cases (docs/auditing.md).
CONGRUENCE = (0.68, 0.77, 0.90)
#: A false order at most this probable is taken as standing.
TOLERATED = 0.05


@dataclass(frozen=True)
class Standing:
    """The probability that the order is false.

    ``usual``: at the three congruences of :data:`CONGRUENCE`. ``least``, ``most``: over all joint tables that
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
    low, middle, high = (_false(a, b, n, where) for where in CONGRUENCE)
    return Standing((low, middle, high), min(found), max(found), _enough(a / n, b / n))


def _false(a: float, b: float, n: float, where: float) -> float:
    """The probability for *a* and *b* right answers among *n*, *where* between least and most in common."""
    from scipy.special import betainc

    least, most = max(0.0, a + b - n), min(a, b)
    both = least + where * (most - least)
    return float(betainc(a - both + 1, b - both + 1, 0.5))


def _enough(a: float, b: float) -> int | None:
    """The smallest number of cases at which shares *a* and *b* would stand."""
    if a <= b:
        return None

    def stands(n: int) -> bool:
        return _false(a * n, b * n, n, CONGRUENCE[1]) <= TOLERATED

    if not stands(MOST_PUBLISHED):
        return None
    low, high = 0, MOST_PUBLISHED
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if stands(middle) else (middle, high)
    return high
