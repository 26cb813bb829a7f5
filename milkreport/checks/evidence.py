"""How many cases a PASS needs: the loss that cases on which nothing changed are still compatible with.

If none of n independent cases shows a loss, the true share of lost cases can be as large as 1 - 0.025^(1/n)
at 2.5%. A macro average can lose more: a share of a rare class weighs as much as one of a frequent class.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

#: Chance that all cases hide a loss of the margin.
ALPHA = 0.025
NO_MARGIN = "no number of cases can show a loss of 0 at most: declare a margin above 0"
#: Metrics in which a case of a rare class weighs more than one of a frequent class.
_BY_CLASS = ("balanced_accuracy", "mcc", "kappa")


def lacking(
    metric: str,
    margin: float,
    n: int,
    supports: Mapping[str, int],
    class_name: str = "",
    word: str = "cases",
) -> str:
    """Why cases cannot carry a PASS, or nothing.

    Args:
        n: independent cases, or groups of cases. supports: the same of each class. word: what is counted.
    """
    if margin <= 0:
        return NO_MARGIN
    of, mix = "", ""
    if metric.startswith("macro_") or metric in _BY_CLASS:
        enough = needed_by_class(np.array([s for s in supports.values() if s]), margin)
        mix = " of the same class mix"
    else:
        enough = needed_cases(margin)
    if class_name:
        own = supports[class_name]
        n, of = (
            (n - own, " of other classes") if metric == "specificity" else (own, " of the class")
        )
    if n >= enough:
        return ""
    return f"too few {word} to pass: {n:,}{of}, {enough:,}{mix} would do"


def needed_cases(margin: float) -> int:
    """Cases of which none must be lost to show, at 2.5%, that less than *margin* (above 0) of all are."""
    return math.ceil(math.log(ALPHA) / math.log1p(-margin) - 1e-9) if margin < 1 else 1


def needed_by_class(supports: Ints, margin: float) -> int:
    """Cases with the class mix of *supports* at which :func:`hidden_loss` is *margin* (above 0) at most."""
    n = float(supports.sum())
    low, high = 0.0, 1.0
    while hidden_loss(supports.astype(np.float64) * high) > margin:
        low, high = high, 2 * high
    for _ in range(50):
        middle = (low + high) / 2
        enough = hidden_loss(supports.astype(np.float64) * middle) <= margin
        low, high = (low, middle) if enough else (middle, high)
    return math.ceil(high * n - 1e-6)


def hidden_loss(supports: Floats | Ints) -> float:
    """The largest loss of a macro average that is compatible, at 2.5%, with no lost case.

    Shares x_c of each class are lost: the mean of x_c is largest, among all with the product of
    (1 - x_c)^n_c at least 0.025, at x_c = max(0, 1 - lambda n_c).
    """
    n = np.sort(np.asarray(supports, np.float64))
    budget = math.log(ALPHA)
    # With the m rarest classes losing: sum n_c ln(lambda n_c) = budget.
    for m in range(len(n), 0, -1):
        own = n[:m]
        log_lambda = (budget - float(own @ np.log(own))) / float(own.sum())
        if log_lambda + math.log(own[-1]) < 0 or m == 1:
            return float((1 - np.exp(log_lambda) * own).sum()) / len(n)
    return 1.0
