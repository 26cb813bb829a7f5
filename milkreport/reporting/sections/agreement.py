"""How the arms' answers go together, where the spread of a difference comes from, and their ranks."""

from __future__ import annotations

from milkreport.evaluation.records.results import Results
from milkreport.reporting.blocks import Cell, Column, Row, Table, table
from milkreport.reporting.wording.order import is_many, reported_names, shown_pairs
from milkreport.reporting.wording.text import decimal, listing, p_cell, percent, whole
from milkreport.reporting.wording.titles import arm_title, metric_title, metric_words


def rank_sentence(results: Results) -> str:
    """Ranks with ties, where enough seeds allow to rank."""
    comparison = results.comparison
    if comparison is None or not comparison.ranks or results.data.synthetic:
        return ""
    by_rank: dict[int, list[str]] = {}
    for name, rank in comparison.ranks.items():
        by_rank.setdefault(rank, []).append(arm_title(results, name))
    metric = metric_words(results, results.primary_metric)
    if len(by_rank) == 1:
        return f"Ranks by {metric}: all arms share the first place; none was shown to be better."
    parts = [f"{rank}: {listing(names)}" for rank, names in sorted(by_rank.items())]
    return (
        f"Ranks by {metric} (1 + the number of arms shown to be better; arms of "
        f"equal rank were not shown to differ): {'; '.join(parts)}."
    )


def spread_table(results: Results) -> Table | None:
    """Sampling of cases and chance of training, apart."""
    pairs = [d for d in shown_pairs(results) if d.seed_sd is not None]
    if not pairs:
        return None
    rows = [
        Row(
            (
                Cell(arm_title(results, d.arm)),
                Cell(arm_title(results, d.against), kind="text"),
                Cell(decimal(d.sampling_error)),
                Cell(decimal(d.seed_sd)),
            )
        )
        for d in pairs
    ]
    columns = (
        Column("Arm", text=True),
        Column("against", text=True),
        Column("Standard error over cases"),
        Column("SD over seeds"),
    )
    metric = metric_title(results, results.primary_metric)
    caption = f"{metric}: where the spread of the differences comes from, cases and training apart."
    return table("spread", caption, columns, rows, dense=True)


def mcnemar_table(results: Results) -> Table | None:
    """Exact tests of the accuracy, where one seed and single cases allow them."""
    comparison = results.comparison
    if comparison is None:
        return None
    rows = [
        Row(
            (
                Cell(arm_title(results, d.arm)),
                Cell(arm_title(results, d.against), kind="text"),
                Cell(p_cell(d.mcnemar)),
                Cell(p_cell(d.mcnemar_holm)),
            )
        )
        for d in comparison.differences
        if d.mcnemar is not None and (d.arm, d.against) in _shown(results)
    ]
    if not rows:
        return None
    columns = (
        Column("Arm", text=True),
        Column("against", text=True),
        Column("p"),
        Column("p\u00a0(Holm)"),
    )
    caption = (
        "Accuracy: exact McNemar test of the pairs, by the cases that only one of both got right."
    ) + _left_out(results)
    return table("mcnemar", caption, columns, rows, dense=True)


def agreement_table(results: Results) -> Table | None:
    """How often two arms answer alike, and which of them is right where they do not."""
    comparison = results.comparison
    if comparison is None:
        return None
    n = comparison.n_cases
    rows = [
        Row(
            (
                Cell(arm_title(results, a.arm)),
                Cell(arm_title(results, a.against), kind="text"),
                Cell(percent(a.same / n, 1)),
                Cell(decimal(a.kappa)),
                Cell(whole(a.both_right)),
                Cell(whole(a.only_arm)),
                Cell(whole(a.only_against)),
                Cell(whole(a.both_wrong)),
            )
        )
        for a in comparison.agreement
        if (a.arm, a.against) in _shown(results)
    ]
    if not rows:
        return None
    columns = (
        Column("Arm", text=True),
        Column("against", text=True),
        Column("Same answer"),
        Column("Kappa"),
        Column("Both right"),
        Column("First alone"),
        Column("Second alone"),
        Column("Both wrong"),
    )
    caption = f"Agreement of the arms, {results.data.units} by who is right"
    caption += ", means over seeds." if comparison.n_seeds > 1 else "."
    caption += _left_out(results)
    return table("agreement", caption, columns, rows, dense=True)


def _shown(results: Results) -> set[tuple[str, str]]:
    names = reported_names(results)
    pairs = [(d.arm, d.against) for d in shown_pairs(results)]
    return {(a, b) for a, b in pairs if a in names and b in names}


def _left_out(results: Results) -> str:
    if not is_many(results):
        return ""
    return " The pairs of the arms that are reported class by class; all are in results.json."
