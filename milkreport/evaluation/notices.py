"""What a reader of an evaluation should know before its values: a line each, in the order of weight."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from milkreport.evaluation.metrics.measures import Plan
from milkreport.evaluation.metrics.slices import MOST_VALUES, skipped_columns
from milkreport.evaluation.pooled_predictions import CaseFacts, Cells, notice_groups, pool_folds
from milkreport.evaluation.reading.inputs import EvaluationInputs
from milkreport.evaluation.records.data import Part
from milkreport.evaluation.records.parts import PartResult
from milkreport.tables import first_few, plural

#: Fewer groups than this, and no simulation has shown what their intervals are worth.
FEWEST_GROUPS = 20


def list_notices(
    inputs: EvaluationInputs, found: Mapping[str, Sequence[PartResult]], plan: Plan
) -> list[str]:
    """Every notice of an evaluation.

    Args:
        found: arm to its results by part.
    """
    return [
        *_notice_dropped(inputs),
        *_notice_kinds(found),
        *_notice_positive(plan),
        *_notice_operating(found, plan),
        *_notice_ties(inputs),
        *_notice_order(found, plan),
        *_notice_seeds(inputs.arms),
        *_notice_same_seeds(inputs.arms),
        *notice_groups(inputs.facts, inputs.first.case_ids),
        *_notice_few_groups(inputs),
        *_notice_skipped(inputs.facts),
    ]


def _notice_operating(found: Mapping[str, Sequence[PartResult]], plan: Plan) -> list[str]:
    """A notice of arms for which the operating point that was asked for could not be set."""
    notices: dict[str, str] = {}
    for name, parts in found.items():
        point = next((p.binary.operating for p in parts if p.binary is not None), None)
        if point is not None and point.source == "none":
            hard = any(part.kind == "labels" for part in parts)
            why = "hard labels have no threshold" if hard else "too few cases or groups of a side"
            notices[name] = (
                f"the operating point {plan.operating.text} could not be set ({why}): its values are "
                "those of the predicted class"
            )
    return _together(notices)


def _notice_ties(inputs: EvaluationInputs) -> list[str]:
    """A notice of cases that stand between two classes where the predicted class decides."""
    if len(inputs.classes) != 2:
        return []
    notices = []
    for name, parts in inputs.arms.items():
        pooled = pool_folds(parts["test"])
        even = [
            (p.probabilities == 0.5).all(axis=1).sum()
            for p in pooled.values()
            if p.kind != "labels"
        ]
        if any(even):
            n = plural(int(max(even)), "case has", "cases have")
            notices.append(
                f"{name}: {n} a probability of exactly 0.5 of both classes; the predicted class is then "
                f"{inputs.classes[0]}, the first one"
            )
    return notices


def _notice_order(found: Mapping[str, Sequence[PartResult]], plan: Plan) -> list[str]:
    """A notice of an AUC that is surely below chance: columns or classes are mostly exchanged then."""
    notices = []
    for name, parts in found.items():
        binary = next((p.binary for p in parts if p.binary is not None), None)
        auc = binary.auc if binary is not None else None
        if auc is not None and auc.value is not None and auc.high is not None and auc.high < 0.5:
            notices.append(
                f"{name}: its AUC for {', '.join(plan.positive)} is {auc.value:.3f}, below 0.5, that of "
                "chance: check whether two classes or two columns of probabilities are exchanged"
            )
    return notices


def _notice_same_seeds(arms: Mapping[str, Mapping[Part, Cells]]) -> list[str]:
    """A notice of seeds of one arm with the same predictions: one training, given twice."""
    notices: dict[str, str] = {}
    for name, parts in arms.items():
        rows = [p.probabilities.tobytes() for p in pool_folds(parts["test"]).values()]
        if (n := len(rows) - len(set(rows))) > 0:
            more = plural(n, "training seed has", "training seeds have")
            notices[name] = (
                f"{more} the same predictions as another one of the arm: counted as a training of its own, "
                "it makes the noise of training look smaller than it is"
            )
    return _together(notices)


def _notice_few_groups(inputs: EvaluationInputs) -> list[str]:
    """A notice of so few groups that nothing is known of their intervals."""
    groups = inputs.facts.group_positions(inputs.first.case_ids)
    if groups is None or (n := len(np.unique(groups))) >= FEWEST_GROUPS:
        return []
    return [
        f"the cases are of {plural(n, 'group', 'groups')} only: intervals of fewer than {FEWEST_GROUPS} "
        "were not simulated; take them as rough"
    ]


def _notice_dropped(inputs: EvaluationInputs) -> list[str]:
    """A notice of cases that are not scored since the truth or some predictions do not have them."""
    if not inputs.exclusions:
        return []
    dropped, kept = sum(e.n for e in inputs.exclusions), len(inputs.first.truth)
    reasons = "; ".join(f"{e.n:,} {e.reason}" for e in inputs.exclusions)
    return [
        f"{dropped:,} of {dropped + kept:,} cases were dropped ({reasons}): values are of the other {kept:,}"
    ]


def _notice_kinds(found: Mapping[str, Sequence[PartResult]]) -> list[str]:
    """What is not computed of an arm, and why."""
    notices: dict[str, str] = {}
    for name, parts in found.items():
        kinds = {part.kind for part in parts}
        if "labels" in kinds:
            notices[name] = (
                "hard labels: ranks, probabilities, calibration and thresholds are NOT COMPUTED"
            )
        elif "scores" in kinds:
            notices[name] = (
                "values do not sum to 1: argmax, ranks and thresholds only; log loss, Brier "
                "score and calibration are NOT COMPUTED, and nothing was renormalised"
            )
    return _together(notices)


def _together(notices: Mapping[str, str]) -> list[str]:
    """What is said of arms by name, once for all arms of which the same is said."""
    names: dict[str, list[str]] = {}
    for name, said in notices.items():
        names.setdefault(said, []).append(name)
    return [f"{first_few(found)}: {said}" for said, found in names.items()]


def _notice_positive(plan: Plan) -> list[str]:
    """A notice of a positive class that nobody named: which one it is decides all that is said of it."""
    if not plan.positive_by_default:
        return []
    name = plan.positive[0]
    return [f"{name} counts as positive, the second of two classes; name another by --positive"]


def _notice_skipped(facts: CaseFacts) -> list[str]:
    """A notice of columns that have too many values for subgroups of each."""
    if facts.subgroups is None:
        return []
    skipped = skipped_columns(facts.subgroups, facts.columns)
    if not skipped:
        return []
    named = first_few([f"{name} ({n:,} values)" for name, n in skipped.items()])
    options = " ".join(f"--slice {name}" for name in [*skipped][:1])
    return [
        f"no subgroups by {named}: more than {MOST_VALUES} values; name the columns to include them, as in "
        f"{options}"
    ]


def _notice_seeds(arms: Mapping[str, Mapping[Part, Cells]]) -> list[str]:
    """A notice of seeds that some arms lack: the comparison leaves them out."""
    seeds = {name: {seed for seed, _ in parts["test"]} for name, parts in arms.items()}
    shared = set.intersection(*seeds.values())
    if all(found == shared for found in seeds.values()):
        return []
    counts = first_few([f"{name} has {len(found)}" for name, found in seeds.items()])
    return [
        f"unequal numbers of training seeds ({counts}): the comparison takes the first {len(shared)} of each "
        "arm; an arm's own values and intervals take all of its seeds"
    ]
