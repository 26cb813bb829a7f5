"""Thresholds that are found on labelled predictions and folded into other predictions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from milkreport.errors import ConfigError, DataError
from milkreport.evaluation.intervals.inner_folds import inner_folds
from milkreport.evaluation.metrics.confusion import defined
from milkreport.evaluation.metrics.rules import count_answers, f1_of_answers
from milkreport.evaluation.metrics.thresholds import (
    find_thresholds,
    fold_thresholds,
    nested_answers,
)
from milkreport.evaluation.pooled_predictions import notice_groups, pool_folds
from milkreport.evaluation.reading.any_table import Source
from milkreport.evaluation.reading.inputs import load_facts
from milkreport.evaluation.reading.join import join_predictions, load_values
from milkreport.evaluation.reading.options import NOTHING_SAID, TableOptions
from milkreport.evaluation.records.data import Part, Record


class ClassThreshold(Record):
    """One class's threshold. F1 at 0.5, at the threshold in-sample, and nested: never of the same worth."""

    name: str
    support: int
    threshold: float
    f1_at_half: float | None
    f1_in_sample: float | None
    f1_nested: float | None


class Thresholds(Record):
    """Thresholds a class, and what they are worth. ``macro_f1_nested`` is the figure to quote.

    ``fitted_on``: "validation" where the file has such a part, else "test": then in-sample for its cases.
    ``n_groups``: groups that inner folds keep whole. ``notices``: cases that were dropped or have no group.
    ``notes``: what was taken for what in the tables.
    """

    fitted_on: Part
    n_cases: int
    n_groups: int | None = None
    classes: list[ClassThreshold]
    macro_f1_at_half: float
    macro_f1_in_sample: float
    macro_f1_nested: float
    notices: list[str] = []
    notes: list[str] = []

    @property
    def values(self) -> list[float]:
        """The thresholds in the order of the classes."""
        return [c.threshold for c in self.classes]


def fit_thresholds(
    predictions: Source,
    truth: Source,
    *,
    metadata: Source | None = None,
    group: str = "",
    options: TableOptions = NOTHING_SAID,
) -> Thresholds:
    """Find a threshold for every class, on the validation rows where the predictions have any.

    Args:
        group: column of *metadata*; cases with one value of it stay in one inner fold, so that no
            threshold is scored on a patient that it was found on.
        options: what the tables' columns are, where their names leave it open.

    Raises:
        DataError: see :func:`milkreport.evaluation.reading.join.join_predictions`. ConfigError: hard labels,
            no such column.
    """
    facts = load_facts(metadata, group, options=options)
    joined = join_predictions({"": [predictions]}, truth, options)
    if len(joined.arms) > 1:
        what = f"predictions of {len(joined.arms)} models"
        raise DataError(what, "give those of one", _name(predictions))
    (parts,) = joined.arms.values()
    part: Part = "validation" if "validation" in parts else "test"
    if len(seeds := pool_folds(parts[part])) > 1:
        what = f"predictions of {len(seeds)} training seeds"
        raise DataError(what, "give those of one", _name(predictions))
    (p,) = seeds.values()
    if p.kind == "labels":
        what = "hard labels have no thresholds"
        raise ConfigError(what, "give probabilities", _name(predictions))
    found = find_thresholds(p.truth, p.probabilities)
    groups = facts.group_positions(p.case_ids)
    folds = inner_folds(p.truth, groups)
    if groups is not None and len(folds) < 2:
        what = (
            f"all {len(p.truth):,} cases are of one {group}: no threshold can be found without it"
        )
        raise DataError(what, "leave out --group, or name another column")
    nested = nested_answers(p.truth, p.probabilities, folds)
    half, sample, apart = (
        f1_of_answers(count_answers(p.truth, answers), np.nan)
        for answers in (p.probabilities > 0.5, p.probabilities > found, nested)
    )
    support = np.bincount(p.truth, minlength=len(p.classes))
    present = support > 0
    return Thresholds(
        fitted_on=part,
        n_cases=len(p.truth),
        n_groups=None if groups is None else int(groups.max()) + 1,
        classes=[
            ClassThreshold(
                name=name,
                support=int(support[c]),
                threshold=float(found[c]),
                f1_at_half=defined(float(half[c])),
                f1_in_sample=defined(float(sample[c])),
                f1_nested=defined(float(apart[c])),
            )
            for c, name in enumerate(p.classes)
        ],
        macro_f1_at_half=float(half[present].mean()),
        macro_f1_in_sample=float(sample[present].mean()),
        macro_f1_nested=float(apart[present].mean()),
        notices=[
            *(f"{e.n:,} cases were dropped: {e.reason}" for e in joined.exclusions),
            *notice_groups(facts, p.case_ids),
        ],
        notes=list(joined.notes),
    )


def apply_thresholds(
    thresholds: Thresholds, predictions: Source, options: TableOptions = NOTHING_SAID
) -> pd.DataFrame:
    """Predictions of any cases, without truth, as a submission: id column first, values folded around 0.5.

    Raises:
        DataError: other classes, values that are no probabilities, an id twice.
    """
    names = [c.name for c in thresholds.classes]
    id_column, ids, values = load_values(predictions, names, options)
    folded = fold_thresholds(values, np.array(thresholds.values))
    frame = pd.DataFrame(folded, columns=names)
    frame.insert(0, id_column, ids)
    return frame


def _name(source: Source) -> str:
    return str(source) if isinstance(source, Path) else ""
