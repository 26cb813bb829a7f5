"""All that is measured of one set of predictions: as points, and on many resamples with the same names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from milkreport.evaluation.beyond.shares import ClassShares
from milkreport.evaluation.binary.rules import ARGMAX, OperatingRule
from milkreport.evaluation.intervals.resampling import bootstrap_weights, resampled_confusion
from milkreport.evaluation.metrics.calibration import case_brier, case_log_loss, find_reliability
from milkreport.evaluation.metrics.confusion import score_classes, score_confusion, score_labels
from milkreport.evaluation.metrics.positive import resample_positive, score_positive
from milkreport.evaluation.metrics.ranking import (
    TOP,
    mean_defined,
    rank_moves,
    resample_ranking,
    score_ranking,
    truth_ranks,
)
from milkreport.evaluation.metrics.slices import Slice, resample_slices
from milkreport.evaluation.reading.predictions import Predictions
from milkreport.evaluation.records.parts import Needs

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Weights = npt.NDArray[np.float32]


#: Cases drawn in all resamples together, and the resamples that are made however many cases there are.
_MOST_DRAWS, _FEWEST_RESAMPLES = 50_000_000, 400


@dataclass(frozen=True)
class Plan:
    """What is measured, declared beforehand.

    ``primary``: what the comparison tests, by a name of :mod:`milkreport.evaluation.metrics.named`.
    ``margin``: the difference of it that does not matter, if one was declared. ``positive``: classes that
    count as disease.
    ``intervals``: whether anything is resampled; without, only points. ``rules``: decision rules beside
    argmax. ``operating``: how cases are called positive; ``prevalences``: shares of positive cases at which
    predictive values are wanted. ``positive_by_default``: nobody named the positive class. ``shares``: of
    classes, elsewhere, for which a forecast is wanted.
    """

    primary: str = "macro_f1"
    positive: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    intervals: bool = True
    n_resamples: int = 2000
    margin: float | None = None
    operating: OperatingRule = ARGMAX
    prevalences: tuple[float, ...] = ()
    positive_by_default: bool = False
    shares: ClassShares | None = None

    def resamples(self, n: int) -> int:
        """How often *n* cases are resampled: fewer where they are many, since percentiles of so smooth a
        distribution need no more, and time and memory grow with both.
        """
        return min(self.n_resamples, max(_FEWEST_RESAMPLES, _MOST_DRAWS // n))


@dataclass(frozen=True)
class Measured:
    """Values by name; a resampled value has the resamples on its first axis, the seeds on its second.

    ``overall``: one number each. ``classes``: one a class. ``positive``: of the positive grouping.
    ``slices``: see :mod:`milkreport.evaluation.metrics.slices`.
    """

    overall: dict[str, Floats] = field(default_factory=dict)
    classes: dict[str, Floats] = field(default_factory=dict)
    positive: dict[str, Floats] = field(default_factory=dict)
    slices: dict[str, Floats] = field(default_factory=dict)


def weakest(kinds: Sequence[Needs]) -> Needs:
    """What all of several predictions hold."""
    return next(kind for kind in ("labels", "scores", "probabilities") if kind in kinds)


def shared(found: Sequence[Mapping[str, Floats]]) -> list[str]:
    """Names that all of several seeds have: one may hold probabilities, another hard labels."""
    return [name for name in found[0] if all(name in other for other in found)]


def measure(p: Predictions, positive: tuple[str, ...] = ()) -> Measured:
    """Every metric that the predictions' kind allows; nan where undefined."""
    n_classes = len(p.classes)
    scores = score_labels(p.truth, p.predicted, n_classes)
    overall = score_confusion(scores.confusion)
    classes = dict(scores.classes)
    if p.kind != "labels":
        classes["auc"], classes["average_precision"] = score_ranking(p.truth, p.probabilities)
        ranks = truth_ranks(p.truth, p.probabilities)
        overall |= {f"top_{k}_accuracy": (ranks <= k).mean() for k in TOP if k < n_classes}
        overall["macro_auc"] = mean_defined(classes["auc"])
        overall["macro_average_precision"] = mean_defined(classes["average_precision"])
    if p.kind == "probabilities":
        overall["log_loss"] = case_log_loss(p.truth, p.probabilities).mean()
        overall["brier"] = case_brier(p.truth, p.probabilities).mean()
        reliability = find_reliability(p.truth, p.predicted, p.probabilities)
        overall["ece"] = np.asarray(reliability.error())
    grouped = score_positive(p, positive) if positive else {}
    return Measured(overall, classes, grouped)


@dataclass(frozen=True)
class ByCase:
    """What a model's resamples rest on, case by case.

    ``ranks``: of :func:`rank_moves`; ``None`` of hard labels. ``means``: names of the metrics that are means
    over cases. ``values``: theirs, float32 (n, their number).
    """

    ranks: tuple[Floats, Weights] | None
    means: tuple[str, ...]
    values: Weights


def measure_cases(p: Predictions) -> ByCase:
    """What each case adds to the metrics that are resampled by ranks or as means."""
    columns: dict[str, npt.NDArray[np.generic]] = {}
    if p.kind != "labels":
        places = truth_ranks(p.truth, p.probabilities)
        columns |= {f"top_{k}_accuracy": places <= k for k in TOP if k < len(p.classes)}
    if p.kind == "probabilities":
        columns["log_loss"] = case_log_loss(p.truth, p.probabilities)
        columns["brier"] = case_brier(p.truth, p.probabilities)
    values = np.zeros((len(p.truth), len(columns)), np.float32)
    for i, column in enumerate(columns.values()):
        values[:, i] = column
    ranks = None if p.kind == "labels" else rank_moves(p.truth, p.probabilities)
    return ByCase(ranks, tuple(columns), values)


def measure_resamples(
    p: Predictions,
    weights: Weights,
    positive: tuple[str, ...] = (),
    slices: Sequence[Slice] = (),
    by_case: ByCase | None = None,
) -> Measured:
    """The same in each resample: weights (n_resamples, n); first axis the resamples.

    Args:
        by_case: what :func:`measure_cases` finds, for many calls with the same predictions.
    """
    by_case = by_case or measure_cases(p)
    n_classes = len(p.classes)
    counts = resampled_confusion(p.truth, p.predicted, n_classes, weights)
    present = np.bincount(p.truth, minlength=n_classes) > 0
    overall, classes = score_confusion(counts, present), score_classes(counts)
    if by_case.ranks is not None:
        classes["auc"], classes["average_precision"] = resample_ranking(*by_case.ranks, weights)
        overall["macro_auc"] = mean_defined(classes["auc"])
        overall["macro_average_precision"] = mean_defined(classes["average_precision"])
        if by_case.means:
            means = weights @ by_case.values / weights.sum(axis=1, keepdims=True)
            found = means.astype(np.float64)
            overall |= {name: found[:, i] for i, name in enumerate(by_case.means)}
    grouped = resample_positive(p, positive, weights) if positive else {}
    return Measured(
        overall, classes, grouped, resample_slices(p, weights, counts, slices, positive)
    )


def draw(
    pools: Mapping[str, Mapping[int, Predictions]],
    plan: Plan,
    groups: Ints | None = None,
    slices: Sequence[Slice] = (),
) -> dict[str, dict[int, Measured]]:
    """Resamples of every arm and seed, all on the same draws of the same cases, so that they pair.

    Args:
        pools: arm to seed to predictions of the same cases in the same order.
        groups: int64 (n,), which cases are drawn together.
    """
    first = next(iter(next(iter(pools.values())).values()))
    pieces: dict[tuple[str, int], list[Measured]] = {}
    by_case = {
        (arm, seed): measure_cases(p) for arm, seeds in pools.items() for seed, p in seeds.items()
    }
    n = len(first.truth)
    for weights in bootstrap_weights(n, plan.resamples(n), groups):
        for arm, seeds in pools.items():
            for seed, p in seeds.items():
                found = measure_resamples(p, weights, plan.positive, slices, by_case[arm, seed])
                pieces.setdefault((arm, seed), []).append(found)
    return {
        arm: {seed: _join([*pieces[arm, seed]]) for seed in seeds} for arm, seeds in pools.items()
    }


def _join(pieces: list[Measured]) -> Measured:
    if len(pieces) == 1:
        return pieces[0]
    names = ("overall", "classes", "positive", "slices")
    return Measured(
        *(
            {
                key: np.concatenate([getattr(piece, name)[key] for piece in pieces])
                for key in getattr(pieces[0], name)
            }
            for name in names
        )
    )
