"""How the arms' answers go together, where the spread of a difference comes from, and their ranks."""

from __future__ import annotations

from milkreport.evaluation.results import Comparison, Results
from milkreport.reporting.blocks import Cell, Column, Row, Table, table
from milkreport.reporting.sentences import arm_title, metric_title, metric_words, primary_pairs
from milkreport.reporting.text import decimal, listing, p_cell, percent, whole


def more_tables(results: Results) -> tuple[Table, ...]:
    """Spread, McNemar and agreement, those that there are."""
    comparison = results.comparison
    if comparison is None:
        return ()
    tables = (_spread(results), _mcnemar(results, comparison), _agreement(results, comparison))
    return tuple(t for t in tables if t is not None)


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
        f"Ranks by {metric} (1 + the number of arms shown to be better; equal ranks are not told "
        f"apart): {'; '.join(parts)}."
    )


def _spread(results: Results) -> Table | None:
    """Sampling of cases and chance of training, apart."""
    pairs = [d for d in primary_pairs(results) if d.seed_sd is not None]
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


def _mcnemar(results: Results, comparison: Comparison) -> Table | None:
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
        if d.mcnemar is not None
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
    )
    return table("mcnemar", caption, columns, rows, dense=True)


def _agreement(results: Results, comparison: Comparison) -> Table | None:
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
    return table("agreement", caption, columns, rows, dense=True)
