"""What overall metrics need of each other, whatever the class sizes.

With shares of all cases s (true), p (predicted) and t (right) of k classes, accuracy A = sum t and chance
agreement E = sum s·p:

- weighted F1, sum 2st/(s + p): from 2A²/(1 + A) (each term is least at s = t, and the sum is jointly convex
  then) to 2A/(1 + A) (each term is greatest at p = t, and the sum is jointly concave then);
- weighted precision, sum st/p: at least A² (s ≥ t, convex);
- kappa, (A - E)/(1 - E), falls with E. E is at least sum t² ≥ A²/k. It is at most sum ((s + p)/2)², of which
  no term's root passes (1 + A)/2: kappa is at least -(1 - A)/(1 + A);
- the Matthews correlation is (A - E)/sqrt((1 - sum s²)(1 - sum p²)). Its denominator is at most 1 - E, so
  that kappa has its sign and is never further from 0.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from milkreport.checks.statements import Figure


def accuracy_limits(metric: str, low: float, high: float, n_classes: int) -> tuple[float, float]:
    """Accuracies with which a metric can lie from *low* to *high*; 0 to 1 where it says nothing."""
    low, high = max(low, -1.0), min(high, 1.0)
    if metric == "weighted_f1":
        low = max(low, 0.0)
        return low / (2 - low), min(1.0, (high + math.sqrt(high * (high + 8))) / 4)
    if metric == "weighted_precision":
        return 0.0, math.sqrt(max(high, 0.0))
    if metric == "kappa":
        least = 0.0
        if 0 < low < 1:
            # The root of A - (1 - low) A²/k = low.
            share = (1 - low) / n_classes
            least = (1 - math.sqrt(1 - 4 * low * share)) / (2 * share)
        elif low == 1:
            least = 1.0
        return least, (1 + high) / (1 - high) if high < 0 else 1.0
    return 0.0, 1.0


def room_beside_mcc(kappa: tuple[float, float], mcc: tuple[float, float]) -> float:
    """How far the limits of kappa and of the Matthews correlation are from excluding each other.

    Returns:
        negative where they do.
    """
    room = math.inf
    if kappa[0] > 0:
        room = mcc[1] - kappa[0]
    if kappa[1] < 0:
        room = min(room, kappa[1] - mcc[0])
    return room


def relation_lines(figures: Sequence[Figure], n_classes: int) -> Iterator[str]:
    """Which accuracy each number needs, and how kappa lies beside the Matthews correlation."""
    for figure in figures:
        half, digits = figure.unit / 2, figure.digits + 2
        limits = (figure.value - half, figure.value + half)
        low, high = accuracy_limits(figure.metric, *limits, n_classes)
        if (low, high) != (0.0, 1.0) and not figure.class_name:
            named = figure.metric.replace("_", " ").replace("f1", "F1")
            lead = f"{named} {figure.printed} needs an accuracy"
            yield f"{lead} from {low:.{digits}f} to {high:.{digits}f}, whatever the class sizes"
    of = {f.metric: f.printed for f in figures if not f.class_name}
    if {"kappa", "mcc"} <= of.keys():
        yield (
            "kappa has the sign of the Matthews correlation and is never further from 0: "
            f"printed {of['kappa']} beside {of['mcc']}"
        )
