"""After the training: every finished cell's test part under corruptions, kept beside its predictions."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from milkreport.evaluation.metrics.named import define
from milkreport.evaluation.records.results import CellRecord
from milkreport.execution.choose import choose_executor
from milkreport.execution.options import RunOptions
from milkreport.execution.scoring.cost import cost_of
from milkreport.execution.stopping import StopSign
from milkreport.execution.tasks import Study, Task
from milkreport.runs.cells import CellFolder, cell_folder
from milkreport.runs.collect import plan_cells
from milkreport.runs.corrupted import CorruptedScores, scored_conditions, write_corrupted
from milkreport.suite.corruptions import SEVERITIES, parse_corruptions
from milkreport.suite.suite import Suite
from milkreport.training.model_selector import Row

if TYPE_CHECKING:
    from milkreport.execution.runner import Watcher

#: A probability that is further off than this is another model's.
_SAME = 1e-3


def is_hard(suite: Suite) -> bool:
    """Whether predicted classes are all that the suite's primary metric needs."""
    return define(suite.primary_metric).needs == "labels"


def announce(
    studies: Mapping[str, Study], options: RunOptions, workers: int, watcher: Watcher
) -> None:
    """Say what the scorings that were asked for will take, before anything is trained."""
    names = parse_corruptions(options.robustness)
    for study in studies.values():
        left = Counter(
            cell.arm
            for cell in plan_cells(study.suite)
            if _record(study, task := Task(study.name, cell)) is None
            or _missing(study, task, names)
        )
        if left:
            n_test = round(np.mean([len(fold.test) for fold in study.folds]))
            where = (study.suite, study.prepared, options.device, names, n_test, left, workers)
            watcher.notice(f"{study.name}: ".removeprefix(": ") + cost_of(*where).sentence())


def score_corrupted(
    studies: Mapping[str, Study], options: RunOptions, watcher: Watcher, stop: StopSign
) -> None:
    """Score every finished cell of *studies* under the corruptions that were asked for; what is done stays.

    Always on this machine, where the weights are. A cell that cannot be scored is named and left out.

    Raises:
        Stopped: a signal came; cells that were scored are kept.
    """
    names = parse_corruptions(options.robustness)
    tasks = [
        replace(task, corruptions=missing)
        for task in _finished(studies)
        if (missing := _missing(studies[task.study], task, names))
    ]
    if not tasks:
        return
    here = replace(options, executor="local", ray_address="")
    threads = next(iter(studies.values())).suite.training.threads
    with choose_executor(here, threads, len(tasks)) as executor, stop.watching():
        executor.run(studies, tasks, _ScoreKeeper(studies, watcher, stop))
    stop.obey()


def _finished(studies: Mapping[str, Study]) -> Sequence[Task]:
    planned = [Task(name, cell) for name, s in studies.items() for cell in plan_cells(s.suite)]
    return [task for task in planned if _record(studies[task.study], task) is not None]


def _missing(study: Study, task: Task, names: Sequence[str]) -> tuple[str, ...]:
    """Corruptions that the cell was not scored under yet."""
    record = _record(study, task)
    assert record is not None
    done = scored_conditions(_folder(study, task), record, is_hard(study.suite))
    return tuple(name for name in names if any((name, s) not in done for s in SEVERITIES))


def _folder(study: Study, task: Task) -> CellFolder:
    return cell_folder(study.out, task.cell)


def _record(study: Study, task: Task) -> CellRecord | None:
    record = _folder(study, task).load_record()
    return record if record is not None and record.status == "complete" else None


class _ScoreKeeper:
    """Takes what executors tell of scorings and writes it; no training, so nothing for the ledger."""

    checkpoint_every = math.inf

    def __init__(self, studies: Mapping[str, Study], watcher: Watcher, stop: StopSign) -> None:
        self.studies, self.watcher, self.stop = studies, watcher, stop

    def begin(self, task: Task) -> None:
        """Nothing is to be noted."""

    def epoch(self, task: Task, epoch: int, row: Row) -> None:
        """A scoring has no epochs."""

    def done(self, task: Task, made: Any) -> None:
        """Write what a cell answered, if it is the model whose predictions the run has."""
        study = self.studies[task.study]
        folder, record = _folder(study, task), _record(study, task)
        if record is None or not isinstance(made, CorruptedScores):
            return
        off = _distance(folder, study, made)
        if not off <= _SAME:
            self.failed(
                task,
                f"its weights give other probabilities than its predictions (by up to {off:.2g})",
            )
            return
        write_corrupted(folder, record, made, is_hard(study.suite))
        n = len(made.conditions)
        self.watcher.notice(f"{task}: scored under {n} corruptions in {made.seconds:.0f} s")

    def failed(self, task: Task, message: str) -> None:
        """Say why a cell was not scored; the run goes on."""
        self.watcher.notice(f"{task}: not scored under corruptions: {message}")

    def notice(self, line: str) -> None:
        """Something that the user should know."""
        self.watcher.notice(line)

    def stop_asked(self) -> int:
        """A signal's number, or 0."""
        return self.stop()


def _distance(folder: CellFolder, study: Study, made: CorruptedScores) -> float:
    """The largest difference of a probability, without any corruption, from the cell's predictions."""
    kept = folder.load_predictions(study.prepared.cases.classes)["test"]
    order = np.argsort(np.array(made.case_ids, dtype=np.str_), kind="stable")
    found = made.plain[order]
    if found.shape != kept.probabilities.shape:
        return math.inf
    return float(np.abs(found - kept.probabilities).max(initial=0.0))
