"""The classification report: each class against the others."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from milkreport.evaluation.intervals.bounds import ModelBounds
from milkreport.evaluation.intervals.estimates import estimate
from milkreport.evaluation.metrics.measures import Measured, shared
from milkreport.evaluation.records.parts import ClassRow

Ints = npt.NDArray[np.int64]


def make_class_rows(
    classes: Sequence[str],
    points: Sequence[Measured],
    bounds: Sequence[ModelBounds],
    draws: Sequence[Measured],
    confusions: Sequence[Ints],
) -> list[ClassRow]:
    """Each class's metrics, means over seeds, with their intervals.

    Args:
        points, bounds, draws, confusions: one per seed; *bounds* and *draws* are empty where nothing was
            resampled.
    """
    rows = []
    for c, name in enumerate(classes):
        values: dict[str, float | None] = {}
        intervals: dict[str, tuple[float, float]] = {}
        for metric in shared([m.classes for m in points]):
            # Undefined for some seeds: the mean over the others.
            seeds = [s for s, m in enumerate(points) if np.isfinite(m.classes[metric][c])]
            known = [float(points[s].classes[metric][c]) for s in seeds]
            values[metric] = statistics.fmean(known) if known else None
            if known and bounds and all(metric in bounds[s].classes for s in seeds):
                ends = [(b[0][c], b[1][c]) for s in seeds for b in [bounds[s].classes[metric]]]
                found = estimate(known, ends, [draws[s].classes[metric][:, c] for s in seeds])
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
