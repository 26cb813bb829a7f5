"""Which cases an arm calls positive at its operating point, and where the threshold comes from.

One threshold for all cases of a training: found on its validation part where there is one, else nested: each
of five inner folds of the scored cases is answered at the threshold of the other four.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from milkreport.evaluation.binary.rules import PLAIN, OperatingRule, choose_threshold
from milkreport.evaluation.intervals.inner_folds import inner_folds
from milkreport.evaluation.metrics.positive import split_positive
from milkreport.evaluation.reading.predictions import Predictions

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Key = tuple[int, int]
#: ``declared``: nothing was chosen. ``none``: hard labels, or nothing to choose on.
Source = Literal["declared", "validation", "nested", "none"]


@dataclass(frozen=True)
class Answers:
    """One training's answers at its operating point.

    ``called``: bool (n,), in the order of the cases. ``threshold``: what new cases are to be called at
    (found on all cases that it may be found on); ``None`` where argmax of several classes has none.
    ``used``: the thresholds at which these cases were answered, float64 (k,).
    """

    called: Bools
    threshold: float | None
    used: Floats
    source: Source


def answer_seed(
    p: Predictions,
    positive: tuple[str, ...],
    rule: OperatingRule,
    groups: Ints | None = None,
    validation: Predictions | None = None,
) -> Answers:
    """The answers of one training to the cases of *p*.

    Args:
        groups: int64 (n,), cases that inner folds keep together.
        validation: other labelled cases, which choose the threshold.
    """
    true, by_class, score = split_positive(p, positive)
    if rule.kind == "argmax" or p.kind == "labels":
        plain = len(p.classes) == 2 and p.kind != "labels"
        source: Source = "declared" if rule.kind == "argmax" else "none"
        return Answers(by_class, PLAIN if plain else None, np.array([]), source)
    if rule.kind == "fixed":
        return Answers(score >= rule.value, rule.value, np.array([rule.value]), "declared")
    if validation is not None and validation.kind != "labels":
        known, _, values = split_positive(validation, positive)
        if known.any() and not known.all():
            found = choose_threshold(rule, known, values)
            return Answers(score >= found, found, np.array([found]), "validation")
    return _answer_nested(true, by_class, score, rule, groups)


def _answer_nested(
    true: Bools, by_class: Bools, score: Floats, rule: OperatingRule, groups: Ints | None
) -> Answers:
    everyone = np.arange(len(true))
    folds = inner_folds(true.astype(np.int64), groups)
    rests = [np.setdiff1d(everyone, fold, assume_unique=True) for fold in folds]
    # Each threshold needs cases of both sides; with very few there may be none to find it on.
    if len(folds) < 2 or any(true[r].all() or not true[r].any() for r in rests):
        return Answers(by_class, None, np.array([]), "none")
    used = np.array([choose_threshold(rule, true[rest], score[rest]) for rest in rests])
    called = np.zeros(len(true), bool)
    for fold, found in zip(folds, used, strict=True):
        called[fold] = score[fold] >= found
    return Answers(called, choose_threshold(rule, true, score), used, "nested")


def answer_cells(
    cells: Mapping[Key, Predictions],
    pooled: Mapping[int, Predictions],
    positive: tuple[str, ...],
    rule: OperatingRule,
    groups: Ints | None,
    validation: Mapping[Key, Predictions],
) -> dict[int, Answers]:
    """The answers of every seed, folds joined in the order of *pooled*.

    Where every fold has a validation part, each is answered at its own threshold; else the joined folds are
    answered nested.
    """
    found = {}
    for seed, p in pooled.items():
        keys = [key for key in sorted(cells) if key[0] == seed]
        if not rule.is_chosen or not all(key in validation for key in keys):
            found[seed] = answer_seed(p, positive, rule, groups)
            continue
        mine = [answer_seed(cells[k], positive, rule, None, validation[k]) for k in keys]
        if any(a.source != "validation" for a in mine):
            found[seed] = answer_seed(p, positive, rule, groups)
            continue
        ids = np.concatenate([cells[key].case_ids for key in keys])
        called = np.concatenate([a.called for a in mine])[np.argsort(ids, kind="stable")]
        used = np.concatenate([a.used for a in mine])
        found[seed] = Answers(called, float(used.mean()), used, "validation")
    return found
