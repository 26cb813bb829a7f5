"""Unlabelled predictions of an arm: whether class shares alone explain them, the shares, and the forecast."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from milkreport.errors import DataError
from milkreport.evaluation.beyond.estimate_shares import (
    N_DRAWS,
    bound_shares,
    draw_shares,
    estimate_shares,
    match_means,
)
from milkreport.evaluation.beyond.forecast import describe_forecast
from milkreport.evaluation.beyond.label_shift import THIRDS, ShiftTest, check_label_shift
from milkreport.evaluation.binary.answers import answer_cells
from milkreport.evaluation.metrics.measures import Plan
from milkreport.evaluation.pooled_predictions import CaseFacts, Cells, pool_folds
from milkreport.evaluation.reading.predictions import SUM_TOLERANCE
from milkreport.evaluation.records.beyond import UnlabelledForecast
from milkreport.evaluation.records.estimate import Estimate

Floats = npt.NDArray[np.float64]

ALPHA = 0.05
#: Fewer unlabelled cases tell neither a shift nor shares.
FEWEST_CASES = 100
#: A class of fewer labelled cases has a share that no interval was shown to hold.
FEWEST_OF_CLASS = 20
#: Such classes together with a larger share, and nothing is forecast: they would carry it.
MOST_OF_FEW = 0.05
_THIRDS = ("lowest", "middle", "highest")


def describe_unlabelled(
    arm: str, source: str, values: Floats, cells: Cells, plan: Plan, facts: CaseFacts
) -> UnlabelledForecast:
    """The record of one arm's unlabelled predictions.

    Args:
        values: their probabilities, float64 (m, k). cells: the arm's labelled test predictions.

    Raises:
        DataError: predictions that are not probabilities, or of several training seeds.
    """
    pooled = pool_folds(cells)
    if len(pooled) > 1:
        what = (
            f"{arm} has {len(pooled)} training seeds, and unlabelled predictions are of one model"
        )
        raise DataError(what, "evaluate one seed's predictions", source)
    ((seed, p),) = pooled.items()
    if p.kind != "probabilities" or (np.abs(values.sum(axis=1) - 1) > SUM_TOLERANCE).any():
        what = "shares of classes are estimated from probabilities that sum to 1"
        raise DataError(what, "give probabilities, labelled and unlabelled", source)
    if len(values) < FEWEST_CASES:
        what = f"{len(values)} unlabelled cases"
        raise DataError(what, f"give {FEWEST_CASES} or more: fewer tell no shares", source)
    groups = facts.group_positions(p.case_ids)
    tested = check_label_shift(p.truth, p.probabilities, values, groups)
    record = UnlabelledForecast(arm=arm, source=source, n=len(values), p=tested.p)
    shares, correction = estimate_shares(p.truth, p.probabilities, values)
    few = np.bincount(p.truth, minlength=len(p.classes)) < FEWEST_OF_CLASS
    if (carried := float(shares[few].sum())) > MOST_OF_FEW:
        what = (
            f"by the predictions {carried:.0%} of the cases are of classes with fewer than {FEWEST_OF_CLASS} "
            "labelled cases, which say too little of how such cases look"
        )
        return record.model_copy(update={"refused": what})
    if tested.p < ALPHA:
        return record.model_copy(update={"refused": _reason(tested, p.classes)})
    by_means = match_means(p.truth, correction.apply(p.probabilities), correction.apply(values))
    drawn = draw_shares(p.truth, p.probabilities, values, correction, shares, groups)
    low, high = bound_shares(shares, drawn)
    found = {
        name: Estimate(value=float(shares[c]), low=float(low[c]), high=float(high[c]))
        if not few[c] and plan.intervals
        else Estimate(value=float(shares[c]))
        for c, name in enumerate(p.classes)
    }
    called = {}
    if plan.positive:
        answers = answer_cells(cells, pooled, plan.positive, plan.operating, groups, {})
        called = {seed: answers[seed].called}
    forecast = describe_forecast(
        pooled,
        called,
        shares,
        groups,
        replace(plan, n_resamples=N_DRAWS),
        drawn,
        bounded=plan.intervals,
        paired=True,
    )
    update = {
        "shares": found,
        "by_means": dict(zip(p.classes, by_means.tolist(), strict=True)),
        "forecast": forecast,
    }
    return record.model_copy(update=update)


def _reason(tested: ShiftTest, classes: tuple[str, ...]) -> str:
    """Why nothing is forecast, with the cell of predictions that is furthest off."""
    c, third = tested.place
    more = "more" if tested.found > tested.expected else "fewer"
    where = f"predicted as {classes[c]} with {_THIRDS[third] if len(_THIRDS) == THIRDS else third} confidence"
    return (
        f"other class shares alone do not explain the predictions (p = {tested.p:.3g}): furthest off are "
        f"cases {where}, {more} ({tested.found:.0f}) than the nearest mix of the classes has "
        f"({tested.expected:.0f})"
    )


def describe_all(
    unlabelled: Sequence[tuple[str, str, Floats]],
    arms: Mapping[str, Cells],
    plan: Plan,
    facts: CaseFacts,
) -> list[UnlabelledForecast]:
    """The records of all arms that have unlabelled predictions: (arm, source, probabilities)."""
    return [
        describe_unlabelled(arm, source, values, arms[arm], plan, facts)
        for arm, source, values in unlabelled
    ]
