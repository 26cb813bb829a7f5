"""Bars while something lasts: a run's trainings, or one count."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
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

from milkreport.commands.console import console, note
from milkreport.evaluation.records.results import CellRecord

if TYPE_CHECKING:
    from milkreport.execution.tasks import Study, Task
    from milkreport.runs.manifest import Manifest


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
