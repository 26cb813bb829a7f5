"""Class-conditional prediction sets: split conformal, calibrated class by class (Mondrian; Vovk, 2012).

The set of a case holds every class whose probability is not among the lowest of that class's own calibration
cases. It holds the true class with at least the stated level in each class, on average over calibration
cases, if those and the new case are exchangeable within the class: whatever the model and the class shares.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from milkreport.evaluation.intervals.bounds import bound_share
from milkreport.evaluation.intervals.estimates import of_one
from milkreport.evaluation.intervals.inner_folds import inner_folds
from milkreport.evaluation.reading.predictions import Predictions
from milkreport.evaluation.records.beyond import ClassSets, PredictionSets
from milkreport.streams import stream

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Key = tuple[int, int]

LEVEL = 0.9


@dataclass(frozen=True)
class Sets:
    """One training's prediction sets.

    ``members``: bool (n, n_classes). ``calibration``: int64 (n_classes,), calibration cases of each class,
    the fewest over folds. ``thresholds``: float64 (n_classes,), from which probability on a new case's set
    holds a class; 0: always.
    """

    members: Bools
    calibration: Ints
    thresholds: Floats
    calibrated_on: str


def needed(level: float) -> int:
    """The fewest calibration cases with which a set can leave out a class: n + 1 >= 1 / (1 - level)."""
    return math.ceil(1 / (1 - level) - 1 - 1e-9)


def calibrate(
    truth: Ints, probabilities: Floats, level: float, groups: Ints | None = None
) -> tuple[Floats, Ints]:
    """Each class's threshold, float64 (k,), and its number of calibration cases, int64 (k,).

    A class is in the set from the threshold on: the floor((1 - level) (n + 1))-th lowest probability that the
    n cases of the class give to it; with n below :func:`needed` in every set (threshold 0). Of the cases of a
    class in one group a random one counts, so that calibration cases are independent (Dunn, Wasserman and
    Ramdas, 2022).

    Args:
        truth: int64 (n,). probabilities: float64 (n, k). groups: int64 (n,).
    """
    k = probabilities.shape[1]
    thresholds, counts = np.zeros(k), np.zeros(k, np.int64)
    order = np.arange(len(truth))
    if groups is not None:
        order = stream(0, "one case per group").permutation(len(truth))
    for c in range(k):
        mine = order[truth[order] == c]
        if groups is not None:
            mine = mine[np.unique(groups[mine], return_index=True)[1]]
        counts[c] = len(mine)
        rank = math.floor((1 - level) * (len(mine) + 1) + 1e-9)
        if rank >= 1:
            thresholds[c] = np.partition(probabilities[mine, c], rank - 1)[rank - 1]
    return thresholds, counts


def find_sets(
    cells: Mapping[Key, Predictions],
    pooled: Mapping[int, Predictions],
    validation: Mapping[Key, Predictions],
    groups: Ints | None,
    level: float = LEVEL,
) -> dict[int, Sets]:
    """The sets of every seed, folds joined in the order of *pooled*; none of hard labels.

    Calibrated on each cell's own validation part where every cell has one; else each of five inner folds of
    the scored cases on the other four, groups kept whole.

    Args:
        groups: int64 (n,), of the joined cases.
    """
    if any(p.kind == "labels" for p in (*pooled.values(), *validation.values())):
        return {}
    found = {}
    for seed, p in pooled.items():
        keys = [key for key in sorted(cells) if key[0] == seed]
        if all(key in validation for key in keys):
            found[seed] = _on_validation(
                [cells[key] for key in keys], [validation[key] for key in keys], level
            )
        elif len(inner_folds(p.truth, groups)) > 1:
            found[seed] = _on_folds(p, groups, level)
    return found if len(found) == len(pooled) else {}


def _on_validation(
    folds: Sequence[Predictions], validation: Sequence[Predictions], level: float
) -> Sets:
    calibrated = [calibrate(v.truth, v.probabilities, level) for v in validation]
    members = np.concatenate(
        [fold.probabilities >= t for fold, (t, _) in zip(folds, calibrated, strict=True)]
    )
    order = np.argsort(np.concatenate([fold.case_ids for fold in folds]), kind="stable")
    counts = np.min([n for _, n in calibrated], axis=0)
    thresholds = np.mean([t for t, _ in calibrated], axis=0)
    return Sets(members[order], counts, thresholds, "the validation part")


def _on_folds(p: Predictions, groups: Ints | None, level: float) -> Sets:
    everyone, folds = np.arange(len(p.truth)), inner_folds(p.truth, groups)
    members = np.zeros(p.probabilities.shape, bool)
    fewest = np.full(len(p.classes), len(p.truth))
    for fold in folds:
        rest = np.setdiff1d(everyone, fold, assume_unique=True)
        own = None if groups is None else groups[rest]
        thresholds, counts = calibrate(p.truth[rest], p.probabilities[rest], level, own)
        members[fold] = p.probabilities[fold] >= thresholds
        fewest = np.minimum(fewest, counts)
    thresholds, _ = calibrate(p.truth, p.probabilities, level, groups)
    where = f"the other {len(folds) - 1} of {len(folds)} inner folds"
    return Sets(members, fewest, thresholds, where)


def describe_sets(
    seeds: Sequence[Predictions],
    sets: Sequence[Sets],
    groups: Ints | None,
    *,
    bounded: bool,
    level: float = LEVEL,
) -> PredictionSets:
    """The record, means over seeds.

    Args:
        sets: of each seed. groups: int64 (n,), cases that are drawn together. bounded: whether intervals
            are wanted; over several trainings there are none.
    """
    truth = seeds[0].truth
    sizes = np.stack([s.members.sum(axis=1) for s in sets])
    covered = np.stack([s.members[np.arange(len(truth)), truth] for s in sets])
    rows, least = [], needed(level)
    for c, name in enumerate(seeds[0].classes):
        mine = truth == c
        n_calibration = int(min(s.calibration[c] for s in sets))
        thresholds = [float(s.thresholds[c]) for s in sets]
        pair = (float("nan"), float("nan"))
        if bounded and mine.any() and n_calibration >= least:
            low, high = bound_share(covered[0] & mine, mine, groups)
            pair = float(low), float(high)
        shares = [float(row[mine].mean()) for row in covered] if mine.any() else []
        rows.append(
            ClassSets(
                name=name,
                n=int(mine.sum()),
                calibration=n_calibration,
                needed=least,
                promised=n_calibration >= least,
                covered=of_one(shares, pair),
                size=float(sizes[:, mine].mean()) if mine.any() else None,
                threshold=statistics.fmean(thresholds) if all(thresholds) else None,
            )
        )
    return PredictionSets(
        level=level,
        calibrated_on=sets[0].calibrated_on,
        covered=float(covered.mean()),
        size=float(sizes.mean()),
        single=float((sizes == 1).mean()),
        empty=float((sizes == 0).mean()),
        classes=rows,
    )
