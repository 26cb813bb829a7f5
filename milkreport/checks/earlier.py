"""A run against an earlier one: the same to the bit where that can be asked, else paired over the cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from milkreport.checks.evidence import lacking
from milkreport.checks.lookup import FigureMatch, find_value
from milkreport.checks.reference import Reference
from milkreport.checks.statements import Figure
from milkreport.checks.verdict import (
    PREDICTIONS,
    CheckRow,
    Status,
    Verdict,
    decide,
    overall_status,
    primary_of,
    warn_of_gains,
)
from milkreport.errors import DataError
from milkreport.evaluation.paired_runs import PairedRuns, describe_runs
from milkreport.evaluation.pooled_predictions import CaseFacts, Cells
from milkreport.evaluation.records.results import Results
from milkreport.tables import first_few

KIND = "earlier run"


def check_earlier(
    ours: Results,
    reference: Reference,
    our_cells: Mapping[str, Cells],
    their_cells: Mapping[str, Cells],
    unlike: Sequence[str],
    facts: CaseFacts,
) -> Verdict:
    """Compare the test predictions of two runs, arm by arm, metric by metric.

    Args:
        reference: frozen from the earlier run.
        our_cells, their_cells: arm to its test predictions by (seed, fold).
        unlike: what of settings, data, program and environment differs. Nothing: then the predictions must
            be the same to the bit, and that they are not is a failure.
        facts: which cases belong together.
    """
    rows: list[CheckRow] = []
    warnings: list[str] = []
    for arm in dict.fromkeys(figure.arm for figure in reference.figures):
        figures = [f for f in reference.figures if f.arm == arm]
        here, there = our_cells.get(arm, {}), their_cells.get(arm, {})
        common = here.keys() & there.keys()
        all_there = len(common) == len(there)
        here = {key: p for key, p in here.items() if key in common}
        there = {key: p for key, p in there.items() if key in common}
        if sorted(ours.classes) == sorted(reference.classes):
            # A truth with its rows or columns in another order names its classes in another order.
            there = {key: p.ordered(ours.classes) for key, p in there.items()}
        if reason := _unlike(ours, reference, arm, here, there):
            rows += [_row(reference, f).model_copy(update={"reason": reason}) for f in figures]
            continue
        if not unlike:
            rows.append(_same(arm, here, there))
        compared, said = _compare(ours, reference, figures, (here, there), facts)
        rows += compared
        warnings += said
        if all_there:
            warnings += _altered(figures, compared)
    remarks = [f"compared case by case, not to the bit: {'; '.join(unlike)}"] if unlike else []
    primary = primary_of(rows, reference.primary)
    return Verdict(
        reference=reference.name,
        title=reference.title,
        source=reference.source,
        kind=KIND,
        status=overall_status(rows, primary),
        arms={arm.name: arm.title for arm in reference.arms},
        primary=primary,
        rows=rows,
        warnings=[*warnings, *warn_of_gains(rows)],
        remarks=remarks,
    )


def _compare(
    ours: Results,
    reference: Reference,
    figures: Sequence[Figure],
    sides: tuple[Cells, Cells],
    facts: CaseFacts,
) -> tuple[list[CheckRow], list[str]]:
    """The rows of one arm, and warnings."""
    here, there = sides
    seeds = len({seed for seed, _ in here})
    wanted = [(f.metric, f.class_name) for f in figures]
    try:
        pair = describe_runs(here, there, wanted, facts)
    except DataError as error:
        rows = [_row(reference, f).model_copy(update={"reason": error.what}) for f in figures]
        return rows, []
    rows = []
    for i, figure in enumerate(figures):
        looked = find_value(ours, reference, figure)
        if looked.ruled:
            # Its value is of another rule than the difference, which is by argmax.
            reason = f"{figure.metric} by another decision rule is not compared case by case"
            refused = {"reason": reason, "refused": True}
            rows.append(_row(reference, figure).model_copy(update=refused))
        else:
            rows.append(_judge(reference, figure, looked, pair, i, seeds))
    if not pair.n_copies:
        return rows, []
    copies = (
        f"{figures[0].arm}: {pair.n_copies:,} cases have the same label and the same probabilities as "
        "another case, in both runs: copies are counted once; remove them"
    )
    return rows, [copies]


def _judge(
    reference: Reference,
    figure: Figure,
    looked: FigureMatch,
    pair: PairedRuns,
    position: int,
    seeds: int,
) -> CheckRow:
    """One figure's row: the pair's value at *position*, decided."""
    found, row = pair.values[position], _row(reference, figure)
    mine, theirs = found.ours, found.theirs
    gap = None if mine is None or theirs is None else mine - theirs
    row = row.model_copy(update={"ours": mine, "reference": theirs, "difference": gap})
    if looked.reason or found.bounds is None:
        reason = looked.reason or "undefined in one of the runs"
        return row.model_copy(update={"reason": reason, "refused": looked.refused})
    margin = row.margin or 0.0
    bounds = (0.0, 0.0) if pair.identical else found.bounds
    status, reason = decide_pair(pair, bounds, figure.metric, figure.class_name, margin, row.better)
    if seeds < reference.min_seeds:
        status = Status.INCONCLUSIVE
        reason = f"{seeds} of {reference.min_seeds} seeds that the reference asks for"
    elif not pair.identical:
        reason = f"{reason} ({seeds} shared {'seed' if seeds == 1 else 'seeds'})"
    low, high = bounds
    return row.model_copy(update={"low": low, "high": high, "status": status, "reason": reason})


def decide_pair(
    pair: PairedRuns,
    bounds: tuple[float, float],
    metric: str,
    class_name: str = "",
    margin: float = 0.03,
    better: str = "higher",
) -> tuple[Status, str]:
    """Outcome for a metric of two runs with its 95% interval of ours - theirs.

    No PASS on fewer cases than could carry it, see :mod:`milkreport.checks.evidence`; but probabilities that
    are the same to the bit on every case come from the same model: nothing changed.
    """
    if pair.identical:
        return Status.PASS, "identical predictions"
    status, reason = decide(*bounds, margin, better)
    word = "groups" if pair.grouped else "cases"
    lack = lacking(metric, margin, pair.n_units, pair.supports, class_name, word)
    if lack and status is Status.PASS:
        return Status.INCONCLUSIVE, lack
    if lack and status is Status.INCONCLUSIVE:
        reason = f"{reason}; {lack}"
    return status, reason


def _altered(figures: Sequence[Figure], rows: Sequence[CheckRow]) -> list[str]:
    """Figures of the reference that its own predictions do not give: one of them was changed since."""
    return [
        f"{row.arm}, {row.name}: the reference says {figure.value:.6g}, its predictions give "
        f"{row.reference:.6g}; its predictions were compared"
        for figure, row in zip(figures, rows, strict=True)
        if row.reference is not None and abs(row.reference - figure.value) > 1e-9
    ]


def _row(reference: Reference, figure: Figure) -> CheckRow:
    margin, why = reference.margin_of(figure)
    return CheckRow(
        arm=figure.arm,
        part=figure.part,
        metric=figure.metric,
        class_name=figure.class_name,
        printed=f"{figure.value:.4f}",
        reference=figure.value,
        ours=None,
        margin=margin,
        margin_reason=why,
        better=reference.rule(figure.metric).better,
        status=Status.NOT_CHECKED,
        reason="",
    )


def _same(arm: str, here: Cells, there: Cells) -> CheckRow:
    """Whether settings, data, program and environment alike gave the same bits."""
    n = _differing(here, there)
    if n == 0:
        status, reason = Status.PASS, "the same to the bit"
    else:
        total = sum(len(p.truth) for p in here.values())
        status = Status.FAIL
        reason = (
            f"settings, data, program and environment are those of the earlier run, yet {n:,} of {total:,} "
            "predictions differ"
        )
    return CheckRow(
        arm=arm,
        part="test",
        metric=PREDICTIONS,
        printed="identical",
        reference=None,
        ours=None,
        status=status,
        reason=reason,
    )


def _differing(here: Cells, there: Cells) -> int:
    """Cases of which any probability differs; both sides have the same cells and cases."""
    n = 0
    for key, mine in here.items():
        theirs = there[key]
        n += int((mine.probabilities != theirs.probabilities).any(axis=1).sum())
    return n


def _unlike(ours: Results, reference: Reference, arm: str, here: Cells, there: Cells) -> str:
    """Why an arm can't be compared case by case, or nothing."""
    frozen = reference.frozen
    if frozen is not None and ours.data.synthetic != frozen.synthetic:
        return "one of the runs is on synthetic data"
    if sorted(ours.classes) != sorted(reference.classes):
        return "other classes"
    if ours.arm(arm) is None:
        names = first_few((one.name for one in ours.arms), 5)
        return f"this run has no such arm; it has {names}"
    if not here:
        return "the runs share no complete training of this arm with one seed"
    for key, mine in here.items():
        theirs = there[key]
        mine_ids, other_ids = set(mine.case_ids.tolist()), set(theirs.case_ids.tolist())
        if mine_ids != other_ids:
            alone = f"{len(mine_ids - other_ids):,} here alone, {len(other_ids - mine_ids):,} there"
            return f"other test cases: {alone}"
        if not np.array_equal(mine.truth, theirs.truth):
            return f"other labels of {int((mine.truth != theirs.truth).sum()):,} test cases"
    return ""
