"""What a printed number can stand for: digits lost, counts behind it, means over batches.

In the tradition of GRIM (Brown and Heathers, 2017): a share of n whole cases is a multiple of 1/n, and most
numbers are not.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

import numpy as np

#: Below the last digit of any print; covers the error of a float.
_TINY = 1e-12


def is_rounded(printed: str, value: float) -> bool:
    """Whether *value* rounded to the nearest is printed so; a value in the middle may go either way."""
    unit = _unit(printed)
    return abs(value - float(printed)) <= unit / 2 + _TINY


def is_cut(printed: str, value: float) -> bool:
    """Whether *value* with its later digits left out is printed so."""
    sign = -1 if printed.startswith("-") else 1
    excess = sign * value - abs(float(printed))
    return -_TINY <= excess < _unit(printed) - _TINY


def is_about(printed: str, value: float) -> bool:
    """Whether *value* is within one unit of the last printed digit."""
    return abs(value - float(printed)) <= _unit(printed) + _TINY


def find_near(printed: str, n: int) -> range:
    """Whole numbers of *n* cases whose share is within a unit of the print, and their neighbours."""
    unit = Decimal(str(_unit(printed)))
    least = int(((Decimal(printed) - unit) * n).to_integral_value(ROUND_FLOOR))
    most = int(((Decimal(printed) + unit) * n).to_integral_value(ROUND_CEILING))
    return range(max(0, least), min(n, most) + 1)


def find_counts(printed: str, n: int) -> tuple[list[int], list[int]]:
    """Whole numbers of *n* cases whose share is printed so: rounded, and cut."""
    near = find_near(printed, n)
    rounded = [k for k in near if is_rounded(printed, k / n)]
    return rounded, [k for k in near if is_cut(printed, k / n)]


@dataclass(frozen=True)
class Batches:
    """Cases scored in batches, the last one smaller, and their accuracies averaged without weights."""

    n: int
    size: int

    @property
    def last(self) -> int:
        """Cases in the last batch."""
        return self.n % self.size

    @property
    def whole(self) -> int:
        """Number of full batches."""
        return self.n // self.size

    def means(self, hits: int) -> tuple[np.ndarray, np.ndarray]:
        """Right answers in the last batch that are possible, and the mean over batches for each.

        Args:
            hits: right answers in all.
        """
        least = max(0, hits - self.whole * self.size)
        right = np.arange(least, min(self.last, hits) + 1)
        full = (hits - right) / self.size
        return right, (full + right / self.last) / (self.whole + 1)

    def most(self, hits: int) -> float:
        """The largest distance of such a mean from the share of right answers."""
        return float(np.abs(self.means(hits)[1] - hits / self.n).max())


def _unit(printed: str) -> float:
    return 10.0 ** int(Decimal(printed).as_tuple().exponent)
