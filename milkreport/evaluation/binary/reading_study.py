"""Human readers of the scored cases: each with intervals over cases, their mean over readers and cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from milkreport.evaluation.binary.answers import answer_seed
from milkreport.evaluation.binary.measures import SHARES, bound_at, count_cells, score_counts
from milkreport.evaluation.binary.rules import ARGMAX
from milkreport.evaluation.intervals.closed_form import logit_bounds, t_quantile
from milkreport.evaluation.intervals.estimates import estimate
from milkreport.evaluation.intervals.readers import arm_spread
from milkreport.evaluation.intervals.resampling import bootstrap_weights
from milkreport.evaluation.metrics.measures import Plan
from milkreport.evaluation.metrics.positive import split_positive
from milkreport.evaluation.reading.predictions import Predictions
from milkreport.evaluation.records.binary import ReaderResult, ReadingStudy
from milkreport.evaluation.records.estimate import Estimate

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Pair = tuple[float, float]

#: Of fewer, the mean has no interval: of two readers who happen to agree it held in as little as 0.88.
FEWEST_READERS = 3


def describe_readers(
    readers: Mapping[str, Predictions], groups: Ints | None, plan: Plan
) -> ReadingStudy | None:
    """What every reader and all of them together reach; ``None`` without readers or positive classes.

    The mean over three and more readers has an interval over new cases and new readers (Obuchowski and
    Rockette, 1995, with Hillis' degrees of freedom; ``intervals.readers``).
    """
    if not readers or not plan.positive:
        return None
    true = split_positive(next(iter(readers.values())), plan.positive)[0]
    called = {name: split_positive(p, plan.positive)[1] for name, p in readers.items()}
    n = len(true)
    drawn: list[dict[str, Floats]] = []
    bounds: list[dict[str, Pair]] = []
    if plan.intervals:
        drawn = resample_readers(true, [*called.values()], groups, plan.resamples(n))
        for p in readers.values():
            answers = answer_seed(p, plan.positive, ARGMAX)
            bounds.append(bound_at(true, np.zeros(n), answers, groups))
    points = [score_counts(count_cells(true, c).sum(axis=0)) for c in called.values()]

    def over(name: str, places: Sequence[int]) -> Estimate:
        return estimate(
            [float(points[i][name]) for i in places],
            [bounds[i][name] for i in places if bounds and name in bounds[i]],
            [drawn[i][name] for i in places if drawn],
        )

    found = [
        ReaderResult(name=name, values={m: over(m, [i]) for m in SHARES})
        for i, name in enumerate(called)
    ]
    everyone = range(len(found))
    mean: dict[str, Estimate] = {}
    for m in ("sensitivity", "specificity") if len(found) > 1 else ():
        mean[m] = over(m, everyone)
        if len(found) < FEWEST_READERS:
            mean[m] = mean[m].model_copy(update={"low": None, "high": None})
        elif drawn:
            values = np.array([float(p[m]) for p in points])
            mean[m] = widen_mean(mean[m], values, np.stack([d[m] for d in drawn], axis=1))
    return ReadingStudy(
        n_positive=int(true.sum()), n_negative=int((~true).sum()), readers=found, mean=mean
    )


def widen_mean(found: Estimate, values: Floats, draws: Floats) -> Estimate:
    """The mean over readers with an interval that also holds the one on the logit scale.

    Readers' shares near 1 are lopsided: a new reader may be far worse, and hardly better. On the plain scale
    as little as 0.84 were covered.

    Args:
        values: of each reader, float64 (n_readers,). draws: in each resample, (n_resamples, n_readers).
    """
    if found.value in (None, 0.0, 1.0) or found.low is None or found.high is None:
        return found
    spread = arm_spread(values, draws)
    low, high = map(float, logit_bounds(found.value, spread.error, t_quantile(spread.df)))
    return found.model_copy(update={"low": min(found.low, low), "high": max(found.high, high)})


def resample_readers(
    true: Bools, called: Sequence[Bools], groups: Ints | None, n_resamples: int
) -> list[dict[str, Floats]]:
    """Each reader's measures in the same resamples: name to float64 (n_resamples,)."""
    cells = [count_cells(true, c).astype(np.float32) for c in called]
    counts: list[list[Floats]] = [[] for _ in called]
    for weights in bootstrap_weights(len(true), n_resamples, groups):
        for mine, cell in zip(counts, cells, strict=True):
            mine.append((weights @ cell).astype(np.float64))
    return [score_counts(np.concatenate(mine)) for mine in counts]
