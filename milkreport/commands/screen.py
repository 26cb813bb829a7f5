"""What people see on the terminal. Everything goes to stderr; stdout is for JSON alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from milkreport.checks.verdict import Verdict
from milkreport.commands.check_data import Finding, count_kinds
from milkreport.commands.console import bounds, console, duration, number, warn
from milkreport.commands.verdicts import show_status
from milkreport.data.store import StoreInfo
from milkreport.errors import DataError
from milkreport.evaluation.data_record import DataSummary
from milkreport.evaluation.definitions import DEFINITIONS, HEADLINE
from milkreport.evaluation.part_record import Estimate
from milkreport.evaluation.results import CellRecord, Results
from milkreport.runs.collect import plan_cells
from milkreport.runs.folder import Cell
from milkreport.suite import Suite

if TYPE_CHECKING:
    from milkreport.runs.exact import Repeats
    from milkreport.runs.forecast import Forecast
    from milkreport.runs.manifest import Manifest
    from milkreport.runs.tasks import Study, Task

#: Letters of a store's key that tell it from any other.
SHOWN_KEY = 8

#: Problems that the screen shows; the file holds all.
MOST_SHOWN = 20
#: Trainings of a plan that the screen shows.
MOST_CELLS = 60


def say(line: str) -> None:
    """Say one plain line."""
    console.print(escape(line), soft_wrap=True)


def note(line: str) -> None:
    """Say something that the user should know."""
    console.print(f"[yellow]note:[/yellow] {escape(line)}", soft_wrap=True)


def show_start(
    suite: Suite, data: Path, out: Path, synthetic: bool, points: int = 1, place: str = ""
) -> None:
    """Say what is about to be done."""
    console.print(f"[bold]{escape(suite.title)}[/bold]")
    if synthetic:
        console.print(
            "[yellow]SYNTHETIC DATA - NOT A RESULT[/yellow] (name real data by --data DIR)"
        )
    else:
        console.print(f"data: {escape(str(data))}", soft_wrap=True)
    cells = points * len(plan_cells(suite))
    grid = f" x {points} points of the grid" if points > 1 else ""
    console.print(
        f"{cells} trainings: {len(suite.arms)} arms x {len(suite.seeds)} seeds x "
        f"{suite.split.n_folds} folds{grid}, into {escape(str(out))}"
        + (f", {place}" if place else ""),
        soft_wrap=True,
    )


def show_cells(tasks: Sequence[tuple[str, Cell, str, str]]) -> None:
    """The trainings of a plan: point of the grid, cell, state, key."""
    grid = any(point for point, *_ in tasks)
    columns = (["point"] if grid else []) + ["arm", "seed", "fold", "state", "key"]
    table = Table(*columns, box=None, pad_edge=False)
    for point, cell, state, key in tasks[:MOST_CELLS]:
        row = [escape(cell.arm), str(cell.seed), str(cell.fold), state, key[:12]]
        table.add_row(*([escape(point)] if grid else []), *row)
    console.print(table)
    if len(tasks) > MOST_CELLS:
        console.print(f"... and {len(tasks) - MOST_CELLS:,} more")


def show_forecast(forecasts: Sequence[Forecast]) -> None:
    """Time and space of what is still to be done."""
    cells, workers = sum(e.cells for e in forecasts), forecasts[0].workers
    seconds = duration(sum(e.total for e in forecasts))
    size = sum(e.total_bytes for e in forecasts) / 1e6
    at_a_time = f", {workers} at a time" if workers > 1 else ""
    console.print(f"{cells:,} to do: about {seconds}{at_a_time}, {size:,.0f} MB on disk")
    for e in forecasts[:MOST_CELLS]:
        parts = [f"{duration(e.training)} a training", f"{e.cell_bytes / 1e6:.1f} MB each"]
        if e.store_bytes:
            parts.append(
                f"decoding once {duration(e.decoding)} and {e.store_bytes / 1e6:,.0f} MB of cache"
            )
        console.print(f"[dim]  {', '.join(parts)}[/dim]", soft_wrap=True)
    console.print("[dim]  measured on a few batches; the report comes on top[/dim]")


class ScreenWatcher:
    """Shows a run: a bar for all trainings, one for the epochs of the current one."""

    def __init__(self, bars: Progress) -> None:
        self.bars = bars
        self.tasks: dict[str, TaskID] = {}

    def images(self, done: int, total: int) -> None:
        """Images decoded so far."""
        self._update("Decoding images", done, total)

    def notice(self, line: str) -> None:
        """Something about the data that the user should know."""
        note(line)

    def study(self, study: Study, manifest: Manifest) -> None:
        """Nothing to show."""

    def plan(self, total: int) -> None:
        """The bar of all trainings."""
        self._update("Trainings", 0, total)

    def begin(self, task: Task) -> None:
        """A training starts: its bar comes with its first epoch."""

    def epoch(self, task: Task, epoch: int, epochs: int, row: dict[str, float]) -> None:
        """An epoch is done."""
        self._update(f"  {task}", epoch, epochs)

    def damaged(self, task: Task) -> None:
        """A finished cell was changed on disk."""
        self.bars.console.print(
            f"[yellow]warning:[/yellow] {task}: its files changed since it was trained; training again",
            soft_wrap=True,
        )

    def end(self, task: Task, record: CellRecord, skipped: bool) -> None:
        """A training is over."""
        bar = self.tasks.pop(f"  {task}", None)
        if bar is not None:
            self.bars.remove_task(bar)
        if "Trainings" in self.tasks:
            self.bars.advance(self.tasks["Trainings"])
        if skipped:
            line = f"{task}: done before"
        elif record.status == "failed":
            line = f"[red]{escape(str(task))}: failed: {escape(record.message)}[/red]"
        else:
            line = f"{task}: done in {record.seconds:.0f} s"
            if record.weights_file != "model.skops":  # a classifier is fitted in one go
                line += f", epoch {record.epoch_used} used"
        self.bars.console.print(line, soft_wrap=True)

    def _update(self, name: str, done: int, total: int) -> None:
        if name not in self.tasks:
            self.tasks[name] = self.bars.add_task(name, total=total)
        self.bars.update(self.tasks[name], completed=done, total=total)


@contextmanager
def progress() -> Iterator[ScreenWatcher]:
    """Bars for a run."""
    with _bars() as bars:
        yield ScreenWatcher(bars)


@contextmanager
def bar(name: str, total: int) -> Iterator[Callable[[int], None]]:
    """One bar; call what it yields with the number done."""
    with _bars() as bars:
        task = bars.add_task(name, total=total)
        yield lambda done: bars.update(task, completed=done)


def _bars() -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )


def show_repeats(repeats: Repeats) -> None:
    """Whether a run came out the same again, and what was not as before."""
    equal = sum(repeat.equal for repeat in repeats.cells)
    style, word = ("green", "EQUAL") if repeats.equal else ("red", "DIFFERENT")
    console.print(
        f"[{style}]{word}[/{style}]: {equal} of {len(repeats.cells)} trainings gave the same weights again"
    )
    for line in repeats.environment:
        warn(f"not as it was: {line}; the same bits are promised for the same environment only")


#: Heads that leave the table 80 columns wide.
_SHORT = {"balanced_accuracy": "Balanced", "weighted_f1": "Weighted"}


def show_results(results: Results, verdict: Verdict | None) -> None:
    """The comparison as a table, and the verdict's line."""
    table = Table(title="Test part", title_justify="left", box=None, pad_edge=False)
    table.add_column("arm", overflow="fold", min_width=18)
    for name in HEADLINE:
        mark = " *" if name == results.primary_metric else ""
        table.add_column(_SHORT.get(name, DEFINITIONS[name].title) + mark, justify="right")
        if mark:
            table.add_column("95%", justify="right", no_wrap=True)
    for arm in results.arms:
        part = arm.part("test")
        cells = []
        for name in HEADLINE:
            estimate = part.metrics[name] if part else Estimate(value=None)
            cells.append(number(estimate.value, 3))
            if name == results.primary_metric:
                cells.append(bounds(estimate))
        table.add_row(escape(arm.title), *cells)
    console.print(table)
    console.print("[dim]* primary metric[/dim]")
    for notice in results.notices:
        warn(notice)
    for arm in results.arms:
        for cell in arm.cells:
            if cell.status == "failed":
                warn(f"{arm.name}, seed {cell.seed}, fold {cell.fold} failed: {cell.message}")
    if results.data.synthetic:
        console.print("[yellow]SYNTHETIC DATA - NOT A RESULT[/yellow]")
    if verdict is not None:
        show_status(verdict)


def show_finding(finding: Finding, source: Path) -> None:
    """What a data folder holds, and what is wrong with it, on one page."""
    if finding.summary is not None:
        _show_summary(finding.summary)
    problems = [("[red]error:[/red]", p) for p in finding.errors]
    problems += [("[yellow]warning:[/yellow]", p) for p in finding.warnings]
    for mark, problem in problems[:MOST_SHOWN]:
        line = str(DataError(problem.what, problem.do, problem.where))
        console.print(f"{mark} {escape(line)}", soft_wrap=True)
    if len(problems) > MOST_SHOWN:
        console.print(f"... and {len(problems) - MOST_SHOWN:,} more")
    if finding.errors:
        kinds = ", ".join(f"{n:,} × {kind}" for kind, n in count_kinds(finding.errors)[:8])
        console.print(f"[red]NOT SOUND[/red]: {escape(kinds)}", soft_wrap=True)
    else:
        n = len(finding.warnings)
        more = f" ({n:,} {'warning' if n == 1 else 'warnings'})" if n else ""
        console.print(f"[green]SOUND[/green]: {escape(str(source))}{more}", soft_wrap=True)


def _show_summary(data: DataSummary) -> None:
    console.print(f"[bold]{escape(data.name)}[/bold], {escape(data.licence)}")
    console.print(f"found: {escape(data.layout)}", soft_wrap=True)
    whole = data.n_found - sum(exclusion.n for exclusion in data.exclusions)
    labelled = " and a label" if any(data.class_counts.values()) else ", no labels"
    console.print(
        f"{data.n_found:,} {escape(data.units)}, {whole:,} with all images{labelled}; views: "
        f"{escape(', '.join(data.views))}"
    )
    for exclusion in data.exclusions:
        console.print(f"  without: {exclusion.n:,} {escape(exclusion.reason)}")
    if any(data.class_counts.values()):
        table = Table("class", data.units, "share", box=None)
        for name, n in data.class_counts.items():
            table.add_row(escape(name[:40]), f"{n:,}", f"{n / data.n_used:.1%}")
        console.print(table)
    for image in data.images:
        kinds = [*_most(image.sizes), *_most(image.modes), *_most(image.formats)]
        console.print(f"{escape(image.view)}: {image.n:,} images, {escape(', '.join(kinds))}")
    gaps = {f.column: f.missing for f in data.numeric if f.missing}
    gaps |= {f.column: f.missing for f in data.categorical if f.missing}
    if gaps:
        text = ", ".join(f"{column} {n:,}" for column, n in gaps.items())
        console.print(f"missing values: {escape(text)}", soft_wrap=True)
    if data.duplicates is not None:
        d = data.duplicates
        console.print(f"images under several cases: {d.identical} identical, {d.near} alike")
    for note in data.notes:
        console.print(f"[dim]{escape(note)}[/dim]", soft_wrap=True)
    console.print(f"data sha256 {data.fingerprint}")


def _most(counts: Mapping[str, int], n: int = 3) -> list[str]:
    shown = [f"{name} ({count:,})" for name, count in list(counts.items())[:n]]
    return [*shown, f"{len(counts) - n} others"] if len(counts) > n else shown


def show_stores(stores: Sequence[StoreInfo], folder: Path) -> None:
    """What the cache holds."""
    table = Table("store", "data", "images", "size", "rule", "MB", "state", box=None)
    for store in stores:
        table.add_row(
            store.key[:SHOWN_KEY],
            escape(store.name[:30]),
            f"{store.n_images:,}",
            f"{store.size} px",
            store.rule,
            f"{store.n_bytes / 1e6:,.1f}",
            "whole" if store.complete else "partial",
        )
    console.print(table)
    total = sum(store.n_bytes for store in stores) / 1e6
    n = f"{len(stores)} {'store' if len(stores) == 1 else 'stores'}"
    console.print(f"{n}, {total:,.1f} MB in {escape(str(folder))}", soft_wrap=True)


def show_files(paths: Sequence[Path], seconds: float | None) -> None:
    """Paths of what was written."""
    for path in paths:
        console.print(f"[green]wrote[/green] {escape(str(path))}", soft_wrap=True)
    if seconds is not None:
        console.print(f"[dim]in {seconds:.0f} s[/dim]")
