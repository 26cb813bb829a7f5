"""How sure a figure is that only a published matrix tells of: as sure as a run with this matrix would be."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from milkreport.checks.statements import Figure
from milkreport.evaluation.reading.predictions import Predictions
from milkreport.evaluation.records.parts import Estimate, PartResult
from milkreport.evaluation.summarise import summarise_part


def summarise_counts(counts: npt.NDArray[np.int64], classes: list[str]) -> PartResult:
    """A matrix as if its cases had been scored here, by hard labels.

    Args:
        counts: int64 (k, k), rows true, at least one case.
    """
    k = len(classes)
    truth, answers = (np.repeat(axis.ravel(), counts.ravel()) for axis in np.indices((k, k)))
    ids = np.array([f"{i:09d}" for i in range(len(truth))])
    given = Predictions(ids, truth, np.eye(k)[answers], tuple(classes))
    return summarise_part("test", {(0, 0): given})


def read_estimate(part: PartResult, figure: Figure) -> Estimate:
    """A figure of a part with its interval; undefined where the part has none."""
    if not figure.class_name:
        return part.metrics.get(figure.metric, Estimate(value=None))
    row = next((row for row in part.classes if row.name == figure.class_name), None)
    known = row is not None and figure.metric in type(row).model_fields
    return row.estimate(figure.metric) if row and known else Estimate(value=None)


def difference_bounds(one: Estimate, other: Estimate) -> tuple[float, float]:
    """95% interval of one - other for independent cases, each side's distances added as squares.

    (MOVER; Zou and Donner, 2008: an interval of its own on each side, lopsided where that is.)

    Returns:
        nan where either has no interval.
    """
    bounds = (one.value, one.low, one.high, other.value, other.low, other.high)
    if any(bound is None for bound in bounds):
        return math.nan, math.nan
    a, a_low, a_high, b, b_low, b_high = (float(bound or 0) for bound in bounds)
    low = a - b - math.hypot(a - a_low, b_high - b)
    return low, a - b + math.hypot(a_high - a, b - b_low)
