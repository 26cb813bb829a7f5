"""What numbers that are means over folds or runs allow: bounds alone, no grid of k/n.

A mean over runs lies in the convex hull of what single runs print. F1 is the harmonic mean of precision and
recall, which is concave: a mean of F1s is at most the harmonic mean of the mean precision and recall, and at
least P + R - 1. The same holds of macro and weighted averages within one run (Jensen).
"""

from __future__ import annotations

from collections.abc import Sequence

from milkreport.checks.audit.enclosure import Statement
from milkreport.checks.audit.margins import AVERAGED, SAME
from milkreport.checks.audit.possible import Decision
from milkreport.checks.audit.program import Expression, Program, total

#: Directions of the tangent planes that enclose the harmonic mean.
_TANGENTS = 48


class _Means:
    def __init__(self, n_classes: int) -> None:
        self.k, self.program = n_classes, Program()
        self._values: dict[tuple[str, int | None], Expression] = {}

    def value(self, metric: str, c: int | None = None) -> Expression:
        """The mean of a metric, with what its definition implies."""
        metric = SAME.get(metric, metric) if c is None else metric
        key = metric, c
        if key not in self._values:
            least = -1.0 if metric in ("mcc", "kappa") else 0.0
            self._values[key] = self.program.add_variable(least, 1.0)
        return self._values[key]

    def harmonic(self, average: str, c: int | None = None) -> None:
        """F1 below the harmonic mean of precision and recall, above their sum less 1."""
        f, p, r = (self.value(f"{average}{name}", c) for name in ("f1", "precision", "recall"))
        self.program.require(f - p - r, low=-1)
        for i in range(_TANGENTS + 1):
            x = i / _TANGENTS
            tangent = p * (2 * (1 - x) ** 2) + r * (2 * x**2)
            self.program.require(f - tangent, high=0)


def decide_means(
    n_classes: int, statements: Sequence[Statement], *, complete: bool = True
) -> Decision:
    """Whether means over folds or runs can be printed so; feasible says that nothing excludes it.

    Args:
        complete: every fold has cases of every class, so that a macro average is the mean of its classes.
    """
    means = _Means(n_classes)
    for s in statements:
        if s.known:
            means.program.require(means.value(s.metric, s.position), s.low, s.high)
    for average in ("macro_", "weighted_"):
        means.harmonic(average)
    for c in range(n_classes):
        means.harmonic("", c)
    if complete:
        for name, (average, of) in AVERAGED.items():
            if average == "macro":
                classes = total([means.value(of, c) for c in range(n_classes)])
                means.program.require(means.value(name) * n_classes - classes, 0, 0)
    return Decision(means.program.solve().status)
