"""A run against an earlier one: exact where predictions are identical, else paired over the cases."""

from __future__ import annotations

import statistics
from collections.abc import Mapping

import numpy as np

from milkreport.checks.published import decide
from milkreport.checks.verdict import CheckRow, Status, Verdict, overall_status
from milkreport.evaluation.compare import compare_arms
from milkreport.evaluation.definitions import HEADLINE
from milkreport.evaluation.metrics import score_labels
from milkreport.evaluation.results import Results
from milkreport.evaluation.summarise import Cells, pool_folds

OURS, THEIRS = "this run", "earlier run"


def check_earlier(
    ours: Results,
    theirs: Results,
    our_cells: Mapping[str, Cells],
    their_cells: Mapping[str, Cells],
    margin: float,
    title: str,
) -> Verdict:
    """Compare the test predictions of two runs, arm by arm, metric by metric.

    Args:
        our_cells, their_cells: arm to its test predictions by (seed, fold).
        margin: loss of a metric that is tolerable, 0 to 1, fixed beforehand.
    """
    rows = []
    for arm in [a.name for a in theirs.arms]:
        here, there = our_cells.get(arm, {}), their_cells.get(arm, {})
        seeds = {seed for seed, _ in here} & {seed for seed, _ in there}
        # Like with like: both sides of a row, and its difference, are over the shared seeds.
        here = {key: p for key, p in here.items() if key[0] in seeds}
        there = {key: p for key, p in there.items() if key[0] in seeds}
        reason = _unlike(ours, theirs, here, there)
        if reason:
            rows += [_row(arm, metric, {}, {}, margin, reason) for metric in HEADLINE]
        else:
            rows += _compare(arm, here, there, margin)
    return Verdict(
        reference=title,
        title=theirs.title,
        source="predictions of an earlier run",
        kind="earlier run",
        status=overall_status(rows),
        rows=rows,
    )


def _compare(arm: str, here: Cells, there: Cells, margin: float) -> list[CheckRow]:
    seeds = (
        f"over {len(pool_folds(here))} shared seeds" if len(pool_folds(here)) > 1 else "one seed"
    )
    if _identical(here, there):
        rows = [_row(arm, metric, here, there, margin, "") for metric in HEADLINE]
        update = {"status": Status.PASS, "reason": "identical predictions", "low": 0.0, "high": 0.0}
        return [row.model_copy(update=update) for row in rows]
    comparison = compare_arms({THEIRS: there, OURS: here}, HEADLINE[0])
    differences = {d.metric: d for d in comparison.differences} if comparison else {}
    rows = []
    for metric in HEADLINE:
        row = _row(arm, metric, here, there, margin, "undefined in one of the runs")
        found = differences.get(metric)
        if found is not None:
            status, reason = decide(found.low, found.high, margin)
            update = {
                "difference": found.value,
                "low": found.low,
                "high": found.high,
                "status": status,
                "reason": f"{reason} ({seeds})",
            }
            row = row.model_copy(update=update)
        rows.append(row)
    return rows


def _row(arm: str, metric: str, here: Cells, there: Cells, margin: float, reason: str) -> CheckRow:
    ours, theirs = _value(here, metric), _value(there, metric)
    return CheckRow(
        arm=arm,
        part="test",
        metric=metric,
        printed="—" if theirs is None else f"{theirs:.4f}",
        reference=theirs,
        ours=ours,
        difference=None if ours is None or theirs is None else ours - theirs,
        margin=margin,
        status=Status.NOT_CHECKED,
        reason=reason,
    )


def _value(cells: Cells, metric: str) -> float | None:
    """Mean over seeds, folds pooled."""
    values = [
        score_labels(p.truth, p.predicted, len(p.classes)).metrics[metric]
        for p in pool_folds(cells).values()
    ]
    defined = [v for v in values if v is not None]
    return statistics.fmean(defined) if defined and len(defined) == len(values) else None


def _identical(here: Cells, there: Cells) -> bool:
    return here.keys() == there.keys() and all(
        np.array_equal(here[key].probabilities, there[key].probabilities) for key in here
    )


def _unlike(ours: Results, theirs: Results, here: Cells, there: Cells) -> str | None:
    if ours.data.synthetic != theirs.data.synthetic:
        return "one of the runs is on synthetic data"
    if ours.classes != theirs.classes:
        return "other classes"
    if not here or not there:
        return "the runs share no complete training of this arm with one seed"
    mine, other = pool_folds(here), pool_folds(there)
    first, second = next(iter(mine.values())), next(iter(other.values()))
    if not np.array_equal(first.case_ids, second.case_ids):
        return "other test cases"
    if not np.array_equal(first.truth, second.truth):
        return "other labels of the test cases"
    return None
