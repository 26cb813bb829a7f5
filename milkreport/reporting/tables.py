"""Tables that more than one section needs."""

from __future__ import annotations

from milkreport.evaluation.compare import find, is_shown
from milkreport.evaluation.metrics.definitions import HEADLINE
from milkreport.evaluation.metrics.named import define
from milkreport.evaluation.records.parts import Estimate, PartResult
from milkreport.evaluation.records.results import ArmResult, Results
from milkreport.reporting.blocks import Cell, Column, Footnote, Group, Row, Table, table
from milkreport.reporting.wording.intervals import LOPSIDED, interval_notes, is_lopsided
from milkreport.reporting.wording.order import is_many, page_one_pairs, reference_name
from milkreport.reporting.wording.text import (
    MISSING,
    decimal,
    interval,
    numeral,
    p_cell,
    shorten,
    signed,
    signed_interval,
    whole,
    without_paths,
)
from milkreport.reporting.wording.titles import arm_title, metric_title, primary_pairs
from milkreport.tables import plural

_PARTS = ("test", "validation", "train")


def headline_metrics(results: Results) -> list[str]:
    """The four headline metrics that were computed, the primary one in any case."""
    found = {m for arm in results.arms for part in arm.parts for m in part.metrics}
    wanted = [m for m in HEADLINE if m in found or m == results.primary_metric]
    return wanted if results.primary_metric in wanted else [results.primary_metric, *wanted]


def comparison_table(results: Results) -> Table:
    """Arms by metrics, one group of rows a part; intervals stand under the values."""
    metrics = headline_metrics(results)
    columns = [Column("Arm", text=True)]
    for metric in metrics:
        note = _primary_note(metric) if metric == results.primary_metric else ""
        columns.append(Column(metric_title(results, metric), note))
    groups = []
    for part in _PARTS:
        found = [(arm, r) for arm in results.arms if (r := arm.part(part)) is not None]
        if not found:
            continue
        n = found[0][1].n_cases
        title = f"{part.capitalize()}, {plural(n, results.data.unit, results.data.units)}"
        rows = [_arm_row(results, arm, result, metrics) for arm, result in found]
        groups.append(Group(title, tuple(rows)))
    lost = [arm for arm in results.arms if not arm.parts]
    if lost:
        rows = [Row(failed_cells(results, arm, len(metrics)), "failed") for arm in lost]
        groups.append(Group("Without a result", tuple(rows)))
    rows = [row for group in groups for row in group.rows]
    notes = (*_marks(results), *interval_notes(rows, ()))
    dense = is_many(results)
    return Table("headline", _caption(results), tuple(columns), tuple(groups), notes, dense=dense)


def pair_table(results: Results) -> Table | None:
    """Differences on the primary metric, as the summary shows them."""
    pairs = page_one_pairs(results)
    if not pairs:
        return None
    rows = [
        Row(
            (
                Cell(f"{arm_title(results, d.arm)} minus {arm_title(results, d.against)}"),
                Cell(signed(d.value)),
                Cell(signed_interval(d.low, d.high)),
                Cell(p_cell(d.p_holm)),
                Cell(decimal(d.detectable)),
                Cell(find(d), kind="word"),
            )
        )
        for d in pairs
    ]
    heads = ("Difference", "95% interval", "p\u00a0(Holm)", "Detectable")
    metric = metric_title(results, results.primary_metric)
    n, of = len(pairs), len(primary_pairs(results))
    caption = f"{metric}, differences between the arms"
    caption += f", {numeral(n)} of {whole(of)}" if n < of else ""
    caption += "; detectable: found with 80% power."
    columns = (Column("Pair", text=True), *map(Column, heads), Column("Finding", text=True))
    return table("pairs", caption, columns, rows, dense=True)


def _primary_note(metric: str) -> str:
    return "primary, lower is better" if define(metric).better == "lower" else "primary"


def failed_cells(results: Results, arm: ArmResult, n: int) -> tuple[Cell, ...]:
    """An arm that has no result, with the reason in its first column of numbers."""
    message = next((c.message for c in arm.cells if c.status == "failed"), None)
    name = Cell(arm_title(results, arm.name))
    text = "not trained" if message is None else failure(shorten(without_paths(message), 90))
    reason = Cell(text, kind="span")
    return (name, reason, *[Cell("", kind="spanned")] * (n - 1))


def failure(message: str) -> str:
    """``failed: ...``, once."""
    if message.lower().startswith("failed"):
        return message
    return f"failed: {message or 'no reason was recorded'}"


def estimate_cell(estimate: Estimate | None, mark: str = "") -> Cell:
    """A value, its interval below, and the spread over seeds where there is one."""
    if estimate is None:
        return Cell(MISSING)
    note = interval(estimate.low, estimate.high)
    if estimate.seed_sd is not None:
        note = f"{note}, SD {decimal(estimate.seed_sd)}".removeprefix(", ")
    return Cell(decimal(estimate.value), note, mark + LOPSIDED * is_lopsided(estimate))


def _arm_row(results: Results, arm: ArmResult, result: PartResult, metrics: list[str]) -> Row:
    cells = [Cell(arm_title(results, arm.name))]
    for metric in metrics:
        mark = ""
        if metric == results.primary_metric and result.part == "test":
            mark = "*" if _differs_from_reference(results, arm) else ""
        cells.append(estimate_cell(result.estimate(metric), mark))
    return Row(tuple(cells))


def _differs_from_reference(results: Results, arm: ArmResult) -> bool:
    if results.data.synthetic or not results.arms or arm.name == reference_name(results):
        return False
    pair = {arm.name, reference_name(results)}
    return any(is_shown(d) for d in primary_pairs(results) if {d.arm, d.against} == pair)


def _caption(results: Results) -> str:
    parts = [p for arm in results.arms for p in arm.parts]
    text = "Results of the arms; 95% intervals below the values"
    if any(e.seed_sd is not None for p in parts for e in p.metrics.values()):
        text += ", with the standard deviation over seeds (SD)"
    return text + "."


def _marks(results: Results) -> tuple[Footnote, ...]:
    if not any(_differs_from_reference(results, arm) for arm in results.arms):
        return ()
    first = arm_title(results, reference_name(results))
    text = (
        f"Differs from {first} on the primary metric: Holm-adjusted p below 0.05 and an interval of "
        "the difference without 0."
    )
    return (Footnote("*", text),)
