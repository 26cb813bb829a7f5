"""What a tracker is, and the watcher that tells trackers without ever waiting for one, or failing by one."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol

from milkreport.evaluation.records.results import CellRecord, Results
from milkreport.execution.runner import Watcher
from milkreport.execution.tasks import Study, Task
from milkreport.runs.manifest import Manifest

Row = dict[str, float]

#: Seconds that a run waits at its end for what its trackers have not sent yet.
PATIENCE = 30.0
#: News that wait for a tracker; one that is so far behind is given up.
_MOST_WAITING = 100_000


class Tracker(Protocol):
    """Logs runs somewhere. May raise anything: it is then left alone. ``name``: for the user."""

    name: str

    def study(self, study: Study, manifest: Manifest) -> None:
        """The trainings of *study* are about to start, or to go on."""

    def epoch(self, task: Task, epoch: int, row: Row) -> None:
        """An epoch is over; *row* is its line of history."""

    def end(self, task: Task, record: CellRecord, skipped: bool) -> None:
        """A training is done or failed, or was *skipped* as done before."""

    def finish(self, study: str, results: Results, files: Sequence[Path]) -> None:
        """A study is scored; *files* are worth keeping."""

    def close(self) -> None:
        """Nothing more will come."""


class _Sender:
    """Tells one tracker, in a thread of its own; its first failure is its last."""

    def __init__(self, tracker: Tracker, notice: Callable[[str], None]) -> None:
        self.tracker, self.notice = tracker, notice
        self.failed = False
        self._waiting: queue.Queue[Callable[[], None] | None] = queue.Queue(_MOST_WAITING)
        self._thread = threading.Thread(target=self._send, daemon=True)
        self._thread.start()

    def tell(self, what: Callable[[], None]) -> None:
        """Have *what* done, in its turn."""
        try:
            self._waiting.put_nowait(what)
        except queue.Full:
            self._give_up("it is too far behind")

    def close(self) -> None:
        """Wait a while for the rest."""
        try:
            self._waiting.put(None, timeout=PATIENCE)
        except queue.Full:
            return
        self._thread.join(PATIENCE)
        if self._thread.is_alive():
            self._give_up(f"it did not take everything within {PATIENCE:.0f} s")

    def _send(self) -> None:
        while (what := self._waiting.get()) is not None:
            if self.failed:
                continue
            try:
                what()
            except Exception as error:
                reason = " ".join(str(error).split())[:200] or type(error).__name__
                self._give_up(reason)

    def _give_up(self, reason: str) -> None:
        if not self.failed:
            self.failed = True
            self.notice(f"{self.tracker.name} gets no more of this run, which goes on: {reason}")


class Trackers:
    """All trackers of a run; without one, nothing happens.

    Args:
        notice: called with a line when one is given up.
    """

    def __init__(self, trackers: Sequence[Tracker], notice: Callable[[str], None]) -> None:
        self._senders = [_Sender(tracker, notice) for tracker in trackers]

    def tell(self, what: Callable[[Tracker], None]) -> None:
        """Have *what* called with each, each in its own time."""
        for sender in self._senders:
            sender.tell(partial(what, sender.tracker))

    def close(self) -> None:
        """Let them end; waits for each at most :data:`PATIENCE` seconds."""
        for sender in self._senders:
            sender.tell(sender.tracker.close)
            sender.close()


class Tracked:
    """A watcher that passes everything on to another, and to trackers; see :class:`Watcher`."""

    def __init__(self, watcher: Watcher, trackers: Trackers) -> None:
        self.watcher, self.trackers = watcher, trackers
        self.images, self.notice, self.plan = watcher.images, watcher.notice, watcher.plan
        self.begin, self.damaged = watcher.begin, watcher.damaged

    def study(self, study: Study, manifest: Manifest) -> None:
        """The trainings of *study* are about to start."""
        self.watcher.study(study, manifest)
        self.trackers.tell(lambda tracker: tracker.study(study, manifest))

    def epoch(self, task: Task, epoch: int, epochs: int, row: Row) -> None:
        """An epoch is done."""
        self.watcher.epoch(task, epoch, epochs, row)
        self.trackers.tell(lambda tracker: tracker.epoch(task, epoch, row))

    def end(self, task: Task, record: CellRecord, skipped: bool) -> None:
        """A training is over."""
        self.watcher.end(task, record, skipped)
        self.trackers.tell(lambda tracker: tracker.end(task, record, skipped))
