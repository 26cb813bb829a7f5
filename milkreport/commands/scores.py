"""What ``evaluate`` and ``thresholds`` show on the terminal."""

from __future__ import annotations

from rich.markup import escape
from rich.table import Table

from milkreport.commands import binary, comparing, running
from milkreport.commands.console import bounds, console, number
from milkreport.commands.findings import show_findings
from milkreport.evaluation.apply_thresholds import Thresholds
from milkreport.evaluation.metrics.definitions import DEFINITIONS, REPEATED
from milkreport.evaluation.records.beyond import Forecast
from milkreport.evaluation.records.parts import POSITIVE, Estimate, PartResult
from milkreport.evaluation.records.results import Results
from milkreport.reporting.beyond import FORECAST_TITLES, PER_THOUSAND_TITLES
from milkreport.reporting.external import drawn, external_lines, overall, short_title
from milkreport.reporting.sections.measures import (
    BRIER_SUM,
    NO_INTERVAL,
    binary_brier,
    without_interval,
)
from milkreport.reporting.wording.titles import arm_title

#: More arms than these are shown as a row each.
MOST_IN_FULL = 2


def show(results: Results) -> None:
    """Metrics, classification report and confusion matrix of one or two arms; of more, a table.

    Then how the arms compare.
    """
    if len(results.arms) > MOST_IN_FULL:
        running.show_arms(results)
    for arm in results.arms if len(results.arms) <= MOST_IN_FULL else []:
        part = arm.part("test")
        if part is not None:
            console.print(
                f"[bold]{escape(arm.title)}[/bold]: {part.n_cases:,} cases, {len(results.classes)} classes"
            )
            _show_part(results, part)
    if results.readers is not None:
        binary.show_readers(results.readers)
    _show_forecasts(results)
    show_external(results)
    if results.comparison is not None:
        comparing.show(results)
        binary.show_comparison(results)
    comparing.show_remarks(results.data.notes, results.notices)
    show_findings(results)


def show_external(results: Results) -> None:
    """External test sets beside the test part: every arm's metrics in both, and the difference."""
    for found in results.external:
        for arm in drawn(results, found):
            title = f"{arm_title(results, arm.arm)}, {found.name}"
            table = Table(escape(title), box=None, pad_edge=False)
            for column in ("test part", "external", "difference", "95%"):
                table.add_column(column, justify="right")
            for value in overall(results, found, arm):
                table.add_row(
                    escape(short_title(results, value.metric)),
                    number(value.internal.value),
                    number(value.external.value),
                    number(value.difference.value),
                    bounds(value.difference, 4),
                )
            console.print(table)
        for line in external_lines(results, found):
            console.print(escape(line), soft_wrap=True)


def _show_forecasts(results: Results) -> None:
    """The forecasts of every arm that were asked for, or why there is none."""
    for arm in results.arms:
        part = arm.part("test")
        if part is not None and part.beyond is not None and part.beyond.forecast is not None:
            _show_forecast(f"{arm.title} at the given class shares", part.beyond.forecast)
    for found in results.unlabelled:
        title = f"{found.arm} at the class shares of {found.source}"
        if found.forecast is None:
            console.print(escape(f"{title}: no forecast, {found.refused}"), soft_wrap=True)
        else:
            _show_forecast(title, found.forecast)


def _show_forecast(title: str, forecast: Forecast) -> None:
    if forecast.refused:
        console.print(escape(f"{title}: no forecast, {forecast.refused}"), soft_wrap=True)
        return
    table = Table(escape(title), "expected", "95%", box=None, pad_edge=False)
    for name, estimate in forecast.metrics.items():
        table.add_row(FORECAST_TITLES[name], number(estimate.value), bounds(estimate, 4))
    for name, word in PER_THOUSAND_TITLES.items():
        count: Estimate | None = getattr(forecast, name)
        if count is not None:
            table.add_row(word, number(count.value, 1), bounds(count, 1))
    console.print(table)


def _show_part(results: Results, part: PartResult) -> None:
    metrics = Table("metric", "value", "95%", "how", box=None, pad_edge=False)
    for name, estimate in part.metrics.items():
        if name in REPEATED:
            continue
        definition = results.definitions[name]
        how = BRIER_SUM if name == "brier" else definition.decision
        title = definition.title + (" *" if name == results.primary_metric else "")
        metrics.add_row(title, number(estimate.value), bounds(estimate, 4), how)
        if name == "brier" and (half := binary_brier(part)) is not None:
            how = "of one class, 0 to 1"
            metrics.add_row("Brier score, binary", number(half.value), bounds(half, 4), how)
    for rule in part.rules:
        for name in ("macro_f1", "balanced_accuracy"):
            if name in rule.values:
                title = f"{DEFINITIONS[name].title}, {rule.rule}"
                estimate = rule.values[name]
                # The archive's balanced accuracy is by argmax, with ties counted wrong (docs/metrics.md).
                how = rule.decision if name == "macro_f1" else "argmax, a tie is wrong"
                metrics.add_row(title, number(estimate.value), bounds(estimate, 4), how)
        if (gap := rule.against_argmax) is not None and gap.value is not None:
            within = "—"
            if gap.low is not None and gap.high is not None:
                within = f"{gap.low:+.4f} to {gap.high:+.4f}"
            metrics.add_row("  minus argmax, paired", f"{gap.value:+.4f}", within, "")
    if part.positive is not None and part.binary is None:
        how = f"{'+'.join(part.positive.classes)} against the others"
        for name in ("sensitivity", "specificity", "auc"):
            found = getattr(part.positive, name)
            if found is not None:
                mark = " *" if f"positive_{name}" == results.primary_metric else ""
                metrics.add_row(
                    f"Positive {name}{mark}", number(found.value), bounds(found, 4), escape(how)
                )
    console.print(metrics)
    if part.binary is not None:
        binary.show(results, part.binary)
    primary = results.primary_metric
    if primary not in part.metrics and primary not in POSITIVE:
        found = part.estimate(primary) or Estimate(value=None)
        title = results.definitions[primary].title
        within = bounds(found, 4)
        console.print(escape(f"* {title} {number(found.value)} (95%: {within})"), soft_wrap=True)
    bare = [results.definitions[name].title for name in without_interval([part], [*part.metrics])]
    if bare:
        console.print(f"[dim]{', '.join(bare)}: {NO_INTERVAL}[/dim]", soft_wrap=True)
    if part.not_computed:
        names = ", ".join(DEFINITIONS[name].title for name in part.not_computed)
        console.print(f"[dim]NOT COMPUTED: {names}[/dim]", soft_wrap=True)
    classes = Table("class", "support", "predicted", "precision", "recall", "F1", "AUC", box=None)
    for row in part.classes:
        numbers = [number(v) for v in (row.precision, row.recall, row.f1, row.auc)]
        classes.add_row(escape(row.name), str(row.support), f"{row.predicted:.0f}", *numbers)
    console.print(classes)
    matrix = Table("true \\ predicted", *map(escape, results.classes), box=None)
    for name, counts in zip(results.classes, part.confusion, strict=True):
        matrix.add_row(escape(name), *(str(n) if n else "·" for n in counts))
    console.print(matrix)
    if part.slices:
        _show_slices(results, part)
    for kept in part.withheld:
        console.print(
            f"[dim]withheld: {escape(kept.column)} = {escape(kept.value)} ({kept.n} cases)[/dim]"
        )


def _show_slices(results: Results, part: PartResult) -> None:
    """The primary metric of each subgroup; beside it sensitivity and specificity, or accuracy."""
    primary = results.primary_metric
    metric = primary if primary in part.slices[0].metrics else "macro_f1"
    sides = {(s.column, s.value): s for s in part.binary.slices} if part.binary else {}
    heads = ["sensitivity", "specificity"] if sides else ["accuracy"]
    columns = [f"{name}, 95%" for name in (*heads, results.definitions[metric].title)]
    table = Table("subgroup", "cases", *columns, box=None, pad_edge=False)
    for piece in part.slices:
        side = sides.get((piece.column, piece.value))
        found = [side.sensitivity, side.specificity] if side else [piece.metrics["accuracy"]]
        found += [Estimate(value=None)] * (len(heads) - len(found)) + [piece.metrics[metric]]
        # Short, so that four fit on a line.
        cells = [f"{number(e.value, 3)} {bounds(e).replace(' to ', '–')}" for e in found]
        table.add_row(escape(f"{piece.column} = {piece.value}"), f"{piece.n:,}", *cells)
    console.print(table)


def show_thresholds(found: Thresholds) -> None:
    """Thresholds a class, with the F1 at 0.5, in-sample and nested."""
    table = Table("class", "cases", "threshold", "F1 at 0.5", "nested", "in-sample", box=None)
    for row in found.classes:
        values = [number(v, 3) for v in (row.f1_at_half, row.f1_nested, row.f1_in_sample)]
        table.add_row(escape(row.name), f"{row.support:,}", f"{row.threshold:.6f}", *values)
    table.add_section()
    macro = (found.macro_f1_at_half, found.macro_f1_nested, found.macro_f1_in_sample)
    table.add_row("macro", f"{found.n_cases:,}", "", *(f"{value:.3f}" for value in macro))
    console.print(table)
    groups = f"; inner folds keep {found.n_groups:,} groups whole" if found.n_groups else ""
    console.print(
        f"found on the {found.fitted_on} part; quote the nested figures: in-sample ones are too high{groups}",
        soft_wrap=True,
    )
    comparing.show_remarks(found.notes, found.notices)
