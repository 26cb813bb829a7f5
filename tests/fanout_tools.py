"""What the tests of executors share: a small suite, a watcher that remembers, runs compared to the bit."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from milkreport.evaluation.records.results import CellRecord, Results
from milkreport.execution.executors import Executor
from milkreport.execution.options import RunOptions
from milkreport.execution.runner import Job, run_suites
from milkreport.execution.tasks import Study, Task
from milkreport.runs.manifest import Manifest
from milkreport.suite.suite import Suite, build_suite
from tests import killing

ARMS = [
    {"name": "baseline", "correction": "none"},
    {"name": "weighted_loss", "correction": "weighted_loss"},
    {"name": "sampler", "correction": "sampler"},
]


def small_suite(**training: Any) -> Suite:
    """Three arms, one thread, some seconds."""
    values = killing.SUITE | {"name": "small", "arms": ARMS}
    values["training"] = {**killing.SUITE["training"], **training}  # type: ignore[dict-item]
    return build_suite(values)


class Memory:
    """A watcher that remembers what it was told. ``on_epoch``: called with (task, epoch) besides."""

    def __init__(self, on_epoch: Callable[[Task, int], None] = lambda task, epoch: None) -> None:
        self.on_epoch = on_epoch
        self.notices: list[str] = []
        self.begun: list[str] = []
        self.at_work, self.most_at_work = set[str](), 0
        self.epochs: list[tuple[str, int]] = []
        self.ended: dict[str, CellRecord] = {}
        self.skipped: set[str] = set()

    def images(self, done: int, total: int) -> None: ...
    def study(self, study: Study, manifest: Manifest) -> None: ...
    def plan(self, total: int) -> None: ...
    def damaged(self, task: Task) -> None: ...

    def notice(self, line: str) -> None:
        self.notices.append(line)

    def begin(self, task: Task) -> None:
        self.begun.append(str(task))
        self.at_work.add(str(task))
        self.most_at_work = max(self.most_at_work, len(self.at_work))

    def epoch(self, task: Task, epoch: int, epochs: int, row: dict[str, float]) -> None:
        self.epochs.append((str(task), epoch))
        self.on_epoch(task, epoch)
        if epoch == epochs:
            # Its CPU is free from here on: the next training may begin before the end of this is heard of.
            self.at_work.discard(str(task))

    def end(self, task: Task, record: CellRecord, skipped: bool) -> None:
        self.ended[str(task)] = record
        self.at_work.discard(str(task))
        if skipped:
            self.skipped.add(str(task))


def carry_out(
    suite: Suite,
    data: Path,
    out: Path,
    cache: Path,
    executor: Executor,
    watcher: Memory,
    **settings: Any,
) -> Results:
    """One run with an executor; checkpoints after every step."""
    job = Job(suite, data, out, "", cache)
    options = RunOptions(**{"images": False, "checkpoint_every": 0.0} | settings)
    (results,) = run_suites([job], executor, watcher, options)
    return results


def bits(out: Path) -> dict[str, tuple[str, str, str]]:
    """Each cell's weights and predictions by hash, and its curves as text."""
    found = {}
    for path in sorted(out.glob("cells/*/*/*/cell.json")):
        record = json.loads(path.read_text(encoding="utf-8"))
        history = (path.parent / "history.csv").read_text(encoding="utf-8")
        hashes = record["weights_sha256"], record["predictions_sha256"]
        found[str(path.parent.relative_to(out))] = (*hashes, history)
    return found


def names(tasks: Sequence[str]) -> set[str]:
    """Arms among task names."""
    return {task.partition(",")[0].rpartition(": ")[2] for task in tasks}
