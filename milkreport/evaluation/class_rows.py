"""The classification report: each class against the others, and the macro averages' intervals that follow."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from milkreport.evaluation.closed_form import (
    FEW_COUNTS,
    auc_bounds,
    f1_bounds,
    mean_bounds,
    wilson_bounds,
    with_seeds,
)
from milkreport.evaluation.estimates import estimate
from milkreport.evaluation.measures import Measured, shared
from milkreport.evaluation.metrics import score_classes
from milkreport.evaluation.part_record import ClassRow, Estimate

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

#: A class's metrics whose interval follows from counts.
_BY_FORMULA = ("precision", "recall", "specificity", "f1", "auc")


def make_class_rows(
    classes: Sequence[str],
    points: Sequence[Measured],
    draws: Sequence[Measured],
    confusions: Sequence[Ints],
    grouped: bool,
) -> list[ClassRow]:
    """Each class's metrics, means over seeds, with their intervals.

    Args:
        points, draws, confusions: one a seed; *draws* is empty where nothing was resampled.
        grouped: whether groups of cases were drawn; then every interval is the bootstrap's.
    """
    bounds = _closed_bounds(points, confusions) if draws and not grouped else {}
    rows = []
    for c, name in enumerate(classes):
        values: dict[str, float | None] = {}
        intervals: dict[str, tuple[float, float]] = {}
        for metric in shared([m.classes for m in points]):
            known = [float(m.classes[metric][c]) for m in points]
            # Undefined for some seeds: the mean over the others.
            known = [v for v in known if np.isfinite(v)]
            values[metric] = value = statistics.fmean(known) if known else None
            if value is None:
                continue
            if metric in bounds and (by_formula := bounds[metric][c]) is not None:
                intervals[metric] = _around(value, known, *by_formula)
                continue
            drawn = [d.classes[metric][:, c] for d in draws if metric in d.classes]
            found = estimate(known, drawn)
            if found.low is not None and found.high is not None:
                intervals[metric] = (found.low, found.high)
        rows.append(
            ClassRow(
                name=name,
                support=int(confusions[0][c].sum()),
                predicted=statistics.fmean(float(m[:, c].sum()) for m in confusions),
                intervals=intervals,
                **values,  # type: ignore[arg-type]
            )
        )
    return rows


def _closed_bounds(
    points: Sequence[Measured], confusions: Sequence[Ints]
) -> dict[str, list[tuple[float, float, float] | None]]:
    """Class metrics by formula from the seeds' means: the pooled value, lower and upper bound.

    ``None`` where the bootstrap serves better: F1 and precision with at least ten hits and ten misses.
    """
    mean = np.mean(confusions, axis=0)
    hits, support, predicted = np.diag(mean), mean.sum(axis=1), mean.sum(axis=0)
    others, involved = mean.sum() - support, support + predicted - hits
    pooled = score_classes(mean)
    found: dict[str, list[tuple[float, float, float] | None]] = {}
    for name, above, below, bounds in (
        ("recall", hits, support, wilson_bounds),
        ("specificity", others - predicted + hits, others, wilson_bounds),
        ("precision", hits, predicted, wilson_bounds),
        ("f1", hits, involved, f1_bounds),
    ):
        low, high = bounds(above, below)
        few = np.minimum(above, below - above) < FEW_COUNTS
        always = name in ("recall", "specificity")
        found[name] = [
            (float(pooled[name][c]), float(low[c]), float(high[c])) if always or few[c] else None
            for c in range(len(mean))
        ]
    if all(
        "auc" in m.classes for m in points
    ):  # the same cases for all seeds: defined for all or for none
        auc = np.mean([m.classes["auc"] for m in points], axis=0)
        known = np.where(np.isfinite(auc), auc, 0.5)
        low, high = auc_bounds(known, np.maximum(support, 1), np.maximum(others, 1))
        found["auc"] = [*zip(known.tolist(), low.tolist(), high.tolist(), strict=True)]
    return found


def _around(
    value: float, known: list[float], pooled: float, low: float, high: float
) -> tuple[float, float]:
    """Bounds as far from the mean over seeds as the formula's are from the pooled value, within 0 to 1."""
    shifted = with_seeds(value, value - (pooled - low), value + (high - pooled), known)
    return max(0.0, shifted[0]), min(1.0, shifted[1])


def with_macro_bounds(
    metrics: Mapping[str, Estimate], rows: Sequence[ClassRow], points: Sequence[Measured]
) -> dict[str, Estimate]:
    """Macro averages with the interval that follows from their classes'."""
    of_macro = {"balanced_accuracy": "recall"} | {f"macro_{name}": name for name in _BY_FORMULA}
    found = dict(metrics)
    for name, metric in of_macro.items():
        if name not in metrics:
            continue
        classes = [row.estimate(metric) for row in rows]
        if metric == "precision":
            by_seed = np.stack([m.classes[metric] for m in points])
            classes = [_counted(e, by_seed[:, c]) for c, e in enumerate(classes)]
        classes = [e for e, row in zip(classes, rows, strict=True) if row.support > 0]
        if metric in ("auc", "specificity"):
            # A class that all cases are of has none, and no part in the average.
            classes = [e for e in classes if e.value is not None]
        if metrics[name].value is None or any(e.low is None or e.high is None for e in classes):
            continue
        triples = np.array([(e.value, e.low, e.high) for e in classes], np.float64)
        low, high = mean_bounds(*triples.T)
        bounds = {"low": max(0.0, low), "high": min(1.0, high)}
        found[name] = metrics[name].model_copy(update=bounds)
    return found


def _counted(precision: Estimate, by_seed: Floats) -> Estimate:
    """A class's precision as it counts in the average: 0 for seeds that never answer the class.

    There it might count anything up to 1.
    """
    known = np.isfinite(by_seed)
    if known.all():
        return precision
    return Estimate(value=float(np.where(known, by_seed, 0).mean()), low=0, high=1)
