"""Tables that more than one section needs."""

from __future__ import annotations

from milkreport.evaluation.results import ArmResult, Estimate, PartResult, Results
from milkreport.reporting.blocks import Cell, Column, Footnote, Group, Row, Table
from milkreport.reporting.sentences import arm_title, is_shown, metric_title, primary_pairs
from milkreport.reporting.text import MISSING, decimal, interval, plural, shorten, without_paths

HEADLINE = ("accuracy", "balanced_accuracy", "macro_f1", "weighted_f1")
PARTS = ("test", "validation", "train")


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
        note = "primary" if metric == results.primary_metric else ""
        columns.append(Column(metric_title(results, metric), note))
    groups = []
    for part in PARTS:
        found = [(arm, r) for arm in results.arms if (r := arm.part(part)) is not None]
        if not found:
            continue
        n = found[0][1].n_cases
        title = f"{part.capitalize()}, {plural(n, results.data.unit, results.data.units)}"
        rows = [_arm_row(results, arm, result, metrics) for arm, result in found]
        groups.append(Group(title, tuple(rows)))
    lost = [arm for arm in results.arms if not arm.parts]
    if lost:
        rows = [Row(failed_cells(arm, len(metrics)), "failed") for arm in lost]
        groups.append(Group("Without a result", tuple(rows)))
    return Table("headline", _caption(results), tuple(columns), tuple(groups), _marks(results))


def failed_cells(arm: ArmResult, n: int) -> tuple[Cell, ...]:
    """An arm that has no result, with the reason in its first column of numbers."""
    message = next((c.message for c in arm.cells if c.status == "failed"), "not trained yet")
    name = Cell(shorten(arm.title or arm.name))
    reason = Cell(f"failed: {shorten(without_paths(message), 90)}", kind="span")
    return (name, reason, *[Cell("", kind="spanned")] * (n - 1))


def estimate_cell(estimate: Estimate | None, mark: str = "") -> Cell:
    """A value, its interval below, and the spread over seeds where there is one."""
    if estimate is None:
        return Cell(MISSING)
    note = interval(estimate.low, estimate.high)
    if estimate.seed_sd is not None:
        note = f"{note}, SD {decimal(estimate.seed_sd)}".removeprefix(", ")
    return Cell(decimal(estimate.value), note, mark)


def _arm_row(results: Results, arm: ArmResult, result: PartResult, metrics: list[str]) -> Row:
    cells = [Cell(shorten(arm.title or arm.name))]
    for metric in metrics:
        mark = ""
        if metric == results.primary_metric and result.part == "test":
            mark = "*" if _differs_from_first(results, arm) else ""
        cells.append(estimate_cell(result.metrics.get(metric), mark))
    return Row(tuple(cells))


def _differs_from_first(results: Results, arm: ArmResult) -> bool:
    if results.data.synthetic or not results.arms or arm.name == results.arms[0].name:
        return False
    pair = {arm.name, results.arms[0].name}
    return any(is_shown(d) for d in primary_pairs(results) if {d.arm, d.against} == pair)


def _caption(results: Results) -> str:
    parts = [p for arm in results.arms for p in arm.parts]
    text = "Results of the arms; 95% intervals below the values"
    if any(e.seed_sd is not None for p in parts for e in p.metrics.values()):
        text += ", with the standard deviation over seeds (SD)"
    return text + "."


def _marks(results: Results) -> tuple[Footnote, ...]:
    if not any(_differs_from_first(results, arm) for arm in results.arms):
        return ()
    first = arm_title(results, results.arms[0].name)
    text = f"Differs from {first} on the primary metric (Holm-adjusted p below 0.05)."
    return (Footnote("*", text),)
