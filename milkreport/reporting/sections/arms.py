"""Arm by arm: what each was, and what it reached class by class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from milkreport.evaluation.intervals.coverage import simulated_classes
from milkreport.evaluation.records.parts import Estimate, PartResult
from milkreport.evaluation.records.results import ArmResult, CellRecord, Results
from milkreport.reporting.blocks import Cell, Column, Fact, Figure, Footnote, Row, Table, table
from milkreport.reporting.cases import opens
from milkreport.reporting.figures.confusion import (
    MOST_CLASSES,
    NUMBERS_UP_TO,
    WIDE_FROM,
    confusion_matrix,
    is_wide,
)
from milkreport.reporting.sections.measures import calibration_sentence
from milkreport.reporting.sections.provenance import trainings
from milkreport.reporting.wording.intervals import interval_notes
from milkreport.reporting.wording.order import (
    MOST_COLUMNS,
    column_words,
    most_reported,
    reported_names,
)
from milkreport.reporting.wording.sentences import coverage_words
from milkreport.reporting.wording.text import (
    MISSING,
    decimal,
    duration,
    interval,
    listing,
    numeral,
    percent,
    several,
    shorten,
    shorten_apart,
    signed,
    whole,
    without_paths,
)
from milkreport.reporting.wording.titles import arm_title, headline_part, metric_title, metric_words
from milkreport.tables import plural

TOO_FEW = 10
#: Columns of the classification report.
_REPORTED = {"precision": "Precision", "recall": "Recall", "f1": "F1", "auc": "AUC"}
MOST_CONFUSIONS = 4
CLASSICAL_FILE = "model.skops"


@dataclass(frozen=True)
class ArmView:
    """Everything about one arm."""

    key: str
    title: str
    in_tables: str  # what tables call it
    lead: str
    facts: tuple[Fact, ...]
    report: Table | None
    matrix: Figure | None
    remarks: tuple[str, ...]
    failures: Table | None
    errors: str  # what lists its errors on the page

    @property
    def is_brief(self) -> bool:
        """Whether only a line stands under its title, as of the arms that are not drawn."""
        return self.report is None and self.failures is None and not self.facts


def is_classical(arm: ArmResult) -> bool:
    """Whether its models are classical classifiers, which are fitted in one go."""
    done = [cell for cell in arm.cells if cell.status == "complete"]
    return not arm.curves and bool(done) and all(c.weights_file == CLASSICAL_FILE for c in done)


def build_arm(results: Results, arm: ArmResult, index: int) -> ArmView:
    """The view of the arm at *index*."""
    key = f"arm-{index + 1}"
    title = arm_title(results, arm.name, 60)
    part = arm.part(headline_part(results))
    failed = [cell for cell in arm.cells if cell.status == "failed"]
    lead = shorten(without_paths(arm.description), 400)
    detailed = arm.name in reported_names(results)
    if part is not None and not detailed:
        lead = _value_sentence(results, part)  # what it is, the table of arms says
    if part is None:
        lead = "This arm has no result."
    elif failed:
        lead += f" {plural(len(failed), 'training', 'trainings')} of {len(arm.cells)} failed."
    return ArmView(
        key=key,
        title=title,
        in_tables=arm_title(results, arm.name),
        lead=lead.strip(),
        facts=_facts(results, arm) if detailed else (),
        report=_report(results, part, key, title, arm.name) if part and detailed else None,
        matrix=_matrix(part, key, title, arm.name) if part and detailed else None,
        remarks=_remarks(results, part) if part and detailed else (),
        failures=trainings(f"{key}-failures", "Trainings that failed.", [("", failed)]),
        errors=opens(arm=arm.name, answer="wrong", sort="top") if part else "",
    )


def detail_note(results: Results) -> str:
    """Which arms are reported class by class; empty if all are."""
    n = len(results.arms) - len(reported_names(results))
    if n < 1:
        return ""
    first = most_reported(results)
    best = "arm" if first == 1 else f"{numeral(first)} arms"
    return (
        f"Reported class by class: the first {best} and the reference arm. The summary has the values of "
        f"the {plural(n, 'other arm', 'other arms')}, metrics.csv those per class, and results.json their "
        "confusion matrices."
    )


def _value_sentence(results: Results, part: PartResult) -> str:
    """The primary metric of an arm that is not reported class by class."""
    found = part.estimate(results.primary_metric)
    if found is None or found.value is None:
        return ""
    within = interval(found.low, found.high)
    bounds = f" (95% interval {within})" if within else ""
    return f"{metric_title(results, results.primary_metric)}: {decimal(found.value)}{bounds}."


def _facts(results: Results, arm: ArmResult) -> tuple[Fact, ...]:
    facts = []
    train, test = arm.part("train"), arm.part("test")
    metric = results.primary_metric
    if train and test:
        a, b = train.estimate(metric), test.estimate(metric)
        if a and b and a.value is not None and b.value is not None:
            gap = f"{signed(a.value - b.value)} ({decimal(a.value)} − {decimal(b.value)})"
            facts.append(Fact(f"Train − test, {metric_words(results, metric)}", gap))
    done = [cell for cell in arm.cells if cell.status == "complete"]
    names = list(dict.fromkeys(name for cell in done for name in cell.scalars))
    if names:
        what = (
            "Learned metadata scalars"
            if set(names) <= set(results.data.views)
            else "Learned numbers"
        )
        what = "Chosen in inner folds" if is_classical(arm) else what
        facts.append(Fact(what, listing(_scalar(done, n) for n in names)))
    sizes = {cell.parameters for cell in done if cell.parameters is not None}
    if sizes:
        facts.append(Fact("Parameters", several(sizes)))
    seconds = [cell.seconds for cell in done if cell.seconds is not None]
    if seconds:
        text = duration(sum(seconds))
        if len(seconds) > 1:
            text += f" over {plural(len(seconds), 'training', 'trainings')}"
        facts.append(Fact("Training time", text))
        facts.append(Fact("Trainings complete", f"{whole(len(done))} of {whole(len(arm.cells))}"))
    epochs = [cell.epoch_used for cell in done if cell.epoch_used is not None]
    if epochs and not is_classical(arm):
        least, most = whole(min(epochs)), whole(max(epochs))
        facts.append(Fact("Epoch evaluated", least if least == most else f"{least} to {most}"))
    if len(done) == 1 and done[0].weights_sha256:
        facts.append(Fact("Weights (SHA-256)", f"{done[0].weights_sha256[:16]}…"))
    return tuple(facts)


def _scalar(cells: Sequence[CellRecord], name: str) -> str:
    values = [cell.scalars[name] for cell in cells if name in cell.scalars]
    text = f"{shorten(name.replace('_', ' '), 40)} {_number(fmean(values))}"
    if len(values) > 1:
        text += f" ({_number(min(values))} to {_number(max(values))})"
    return text


def _number(value: float) -> str:
    return decimal(value) if 0.001 <= abs(value) < 100 else f"{value:.3g}"


def _report(results: Results, part: PartResult, key: str, title: str, name: str) -> Table:
    metrics = [m for m in _REPORTED if any(getattr(row, m) is not None for row in part.classes)]
    bounded = [m for m in metrics[1:] if any(m in row.intervals for row in part.classes)]
    columns = [Column("Class", text=True), Column("Support"), Column("Predicted")]
    for metric in metrics:
        columns.append(Column(_REPORTED[metric]))
        columns += [Column("95%")] if metric in bounded else []
    rows, few = [], False
    names = shorten_apart([row.name for row in part.classes], 40)
    for position, (shown, row) in enumerate(zip(names, part.classes, strict=True)):
        mark = "†" if row.support < TOO_FEW else ""
        few = few or bool(mark)
        cells = [Cell(shown, mark=mark), Cell(whole(row.support))]
        cells.append(Cell(whole(row.predicted)))
        for metric in metrics:
            cells += _value(row.estimate(metric), metric in bounded)
        listed = opens(arm=name, truth=position) if part.part == "test" and row.support else ""
        rows.append(Row(tuple(cells), "few" if mark else "", listed))
    supported = plural(sum(row.support > 0 for row in part.classes), "class", "classes")
    averages = {f"macro, {supported}": "macro", "weighted": "weighted"}
    for name, kind in averages.items():
        cells = [Cell(name), Cell(whole(part.n_cases)), Cell("")]
        for metric in metrics:
            found = part.metrics.get(f"{kind}_{metric}")
            empty = [Cell("")] * (1 + (metric in bounded))
            cells += _value(found, metric in bounded) if found else empty
        rows.append(Row(tuple(cells), "total"))
    footnotes = []
    if few:
        text = f"Fewer than {TOO_FEW} {results.data.units}: too few to judge."
        footnotes.append(Footnote("†", text + _rare_coverage(part, bounded)))
    if any(row.precision is None or row.recall is None for row in part.classes):
        footnotes.append(
            Footnote(MISSING, "Undefined: no prediction of the class, or no case of it.")
        )
    footnotes += interval_notes(rows, bounded)
    caption = f"{title}: classification report, {part.part}"
    caption += f", means over {plural(part.n_seeds, 'seed', 'seeds')}" if part.n_seeds > 1 else ""
    caption += ", with 95% intervals." if bounded else "."
    return table(
        f"{key}-report", caption, tuple(columns), rows, tuple(footnotes), sortable=True, dense=True
    )


def _rare_coverage(part: PartResult, bounded: Sequence[str]) -> str:
    """What simulations said of the intervals of such classes, where they held like ones."""
    found = simulated_classes(part, bounded, TOO_FEW) if bounded else None
    if found is None:
        return ""
    return f" {coverage_words('95% intervals of such classes', found)}."


def _value(estimate: Estimate, bounded: bool) -> list[Cell]:
    """A value, and its interval in a column of its own where there is one."""
    bounds = Cell(interval(estimate.low, estimate.high) or MISSING, kind="soft")
    return [Cell(decimal(estimate.value)), *([bounds] if bounded else [])]


def _matrix(part: PartResult, key: str, title: str, name: str) -> Figure:
    names = [row.name for row in part.classes]
    n = len(names)
    what = "count and share of the true class"
    if n >= WIDE_FROM:
        what = "counts, tinted by their share of the true class"
    if n > NUMBERS_UP_TO:
        what = "cells tinted by their share of the true class; too many classes to print counts"
    summed = f", summed over {plural(part.n_seeds, 'seed', 'seeds')}" if part.n_seeds > 1 else ""
    caption = f"{title}: confusion matrix, {part.part}{summed}; {what}. Empty cells are zero."
    if n > MOST_CLASSES:
        kept, others = whole(MOST_CLASSES - 1), whole(n - MOST_CLASSES + 1)
        caption += (
            f" The {kept} most frequent classes; the {others} others share a row and a column."
        )
    svg = confusion_matrix(
        f"{key}-matrix",
        part.confusion,
        names,
        f"Confusion matrix of {title}, {part.part}",
        name if part.part == "test" else "",
    )
    return Figure(f"{key}-matrix", caption, svg, wide=is_wide(n))


def _remarks(results: Results, part: PartResult) -> tuple[str, ...]:
    """What a reader would look for in the matrix."""
    names = shorten_apart([row.name for row in part.classes], 24)
    remarks = []
    never = [n for n, row in zip(names, part.classes, strict=True) if row.predicted == 0]
    if never:
        more = f" and {whole(len(never) - 15)} more" if len(never) > 15 else ""
        remarks.append(f"Never predicted: {', '.join(never[:15])}{more}.")
    errors = sorted(
        (
            (-count, i, j)
            for i, row in enumerate(part.confusion)
            for j, count in enumerate(row)
            if i != j and count
        ),
    )[:MOST_CONFUSIONS]
    if errors:
        told = [
            f"{percent(-n / sum(part.confusion[i]))} of {names[i]} taken for {names[j]} "
            f"({whole(-n)} of {whole(sum(part.confusion[i]))})"
            for n, i, j in errors
        ]
        seeds = f", over {plural(part.n_seeds, 'seed', 'seeds')}" if part.n_seeds > 1 else ""
        remarks.append(f"Most frequent confusions{seeds}: {'; '.join(told)}.")
    found = (" ".join(remarks), calibration_sentence(part))
    return tuple(text for text in found if text)


def build_exposure(results: Results) -> Table | None:
    """How often training saw each class: the share of all draws, beside the share of the cases."""
    known = [arm for arm in results.arms if any(cell.exposure for cell in arm.cells)]
    arms = known[:MOST_COLUMNS]
    if not arms:
        return None
    trained = _shares([s.class_counts for s in results.splits if s.part == "train"])
    drawn = [_shares([c.exposure for c in arm.cells if c.exposure]) for arm in arms]
    rows = []
    short = shorten_apart(results.classes, 40)
    for title, name in zip(short, results.classes, strict=True):
        cells = [Cell(title), Cell(percent(trained.get(name), 1))]
        cells += [Cell(percent(shares.get(name, 0.0), 1)) for shares in drawn]
        rows.append(Row(tuple(cells)))
    columns = [Column("Class", text=True), Column(f"Training {results.data.units}")]
    columns += [Column(arm_title(results, arm.name)) for arm in arms]
    caption = (
        f"Share of each class among the training {results.data.units}, and among those that the "
        f"training of each arm saw.{column_words(results, MOST_COLUMNS, len(known))}"
    )
    return table("exposure", caption, tuple(columns), rows, dense=True)


def _shares(counts: Sequence[dict[str, int]]) -> dict[str, float]:
    total = sum(n for one in counts for n in one.values())
    names = {name for one in counts for name in one}
    return (
        {name: sum(one.get(name, 0) for one in counts) / total for name in names} if total else {}
    )
