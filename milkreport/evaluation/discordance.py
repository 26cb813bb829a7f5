"""95% interval of the difference of two models' accuracies, from the cases that only one of them gets right.

On each side the wider of two intervals: Bonett and Price's (2012) adjusted Wald interval, and Tango's (1998)
score interval, which is exact here if no case is discordant. The first alone is too short where all discordant
cases favour one model.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from milkreport.evaluation.closed_form import Z
from milkreport.evaluation.clusters import effective_sizes

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


def accuracy_difference_bounds(
    right: Bools, rival: Bools, groups: Ints | None = None
) -> tuple[float, float]:
    """Interval of the share of cases that the first model gets right minus that of the second.

    Args:
        right, rival: bool (n,), which cases each model gets right.
        groups: int64 (n,), cases that were drawn together: counts are divided by the design effect of the
            case-wise differences.
    """
    gaps = right.astype(np.float64) - rival
    size = float(effective_sizes(np.ones((len(gaps), 1), bool), gaps[:, None], groups)[0])
    gained = float((right & ~rival).mean()) * size
    lost = float((rival & ~right).mean()) * size
    adjusted, score = _bonett_price(gained, lost, size), _tango(gained, lost, size)
    return min(adjusted[0], score[0]), max(adjusted[1], score[1])


def _bonett_price(gained: float, lost: float, n: float) -> tuple[float, float]:
    """Wald's interval with one more discordant case on each side."""
    up, down = (gained + 1) / (n + 2), (lost + 1) / (n + 2)
    half = Z * math.sqrt(max(up + down - (up - down) ** 2, 0) / (n + 2))
    return max(up - down - half, -1.0), min(up - down + half, 1.0)


def _tango(gained: float, lost: float, n: float) -> tuple[float, float]:
    """All differences from which the observed one is 1.96 standard errors or less, by bisection."""
    if gained + lost == 0:
        half = 1 - 0.025 ** (1 / n)
        return -half, half

    def is_near(d: float) -> bool:
        # The share lost that is likeliest if the true difference is d.
        b = -gained - lost + (2 * n - gained + lost) * d
        share = (math.sqrt(max(b * b + 8 * n * lost * d * (1 - d), 0)) - b) / (4 * n)
        variance = n * (2 * share + d * (1 - d))
        return abs(gained - lost - n * d) <= Z * math.sqrt(max(variance, 0))

    def edge(near: float, far: float) -> float:
        for _ in range(50):
            middle = (near + far) / 2
            near, far = (middle, far) if is_near(middle) else (near, middle)
        return near

    value = (gained - lost) / n
    return edge(value, -1.0), edge(value, 1.0)
