"""What variance of a difference its cases may hide, because they are few or all of them agree.

Twelve cases that two models answer alike, or rank without a fault, have no variance to resample. One more
discordant case on each side is what they can't exclude, as Bonett and Price (2012) add it to counts.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from milkreport.evaluation.metrics.named import define
from milkreport.evaluation.records.parts import POSITIVE

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


def hidden_variance(metric: str, support: Ints | Floats) -> float:
    """Variance of a difference that the discordant cases may hide: one more on each side.

    For accuracy Bonett and Price's (2012) adjustment; for an average over classes each case counts as
    much as its class's size lets it. 0 for a metric of one class; see :func:`reveal`.
    """
    n, sizes = int(support.sum()), support[support > 0]
    if metric in ("macro_f1", "balanced_accuracy", "macro_recall", "macro_precision"):
        return float(2 * (1 / sizes).sum() / (n * len(sizes) ** 2))
    if ":" in metric or metric in POSITIVE:
        return 0.0
    return 2 / n**2 if define(metric).needs == "labels" else 0.0


def reveal(
    metric: str, cases: float, support: Ints, classes: Sequence[str], positive: Sequence[str]
) -> float:
    """The variance over cases with what they hide: added to that of counts, and the least of the others.

    Ranks and probabilities vary from case to case, so that their own variance is enough unless it vanishes.

    Args:
        cases: variance of the difference over the cases, as resampled.
        support: cases, or groups, of each class, int64 (n_classes,).
    """
    own, others = count_sides(metric, support, classes, positive)
    name = metric.partition(":")[0].removeprefix("positive_")
    if define(metric).needs == "labels":
        if own is None or others is None:
            return cases + hidden_variance(metric, support)
        among = others if name == "specificity" else own
        return cases + 2 / max(among, 1) ** 2
    if name.removeprefix("macro_") not in ("auc", "average_precision"):
        return max(cases, 2 / max(int(support.sum()), 1) ** 2)
    # A case is drawn on either side, and counts there by the size of that side.
    sizes = support[(support > 0) & (support < support.sum())] if own is None else np.array([own])
    rest = support.sum() - sizes
    return max(cases, float((2 / np.maximum(sizes * rest, 1)).sum() / max(len(sizes), 1) ** 2))


def count_sides(
    metric: str, support: Ints, classes: Sequence[str], positive: Sequence[str]
) -> tuple[int, int] | tuple[None, None]:
    """Cases of the class or positive classes that the metric is of, and the others; of no class: ``None``."""
    class_name = metric.partition(":")[2]
    names = [class_name] if class_name else list(positive) if metric in POSITIVE else []
    if not names:
        return None, None
    own = int(sum(support[list(classes).index(name)] for name in names))
    return own, int(support.sum()) - own
