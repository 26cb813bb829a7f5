"""What several trainings at a time gain, and what each of many tiny ones costs beside its training.

``efficiency``: six trainings of one thread each, done by one worker and by two: T1 / (2 x T2), where 1 is
twice as fast. Each T is from the call of the executor to the last training's end, the start of the processes
with it. One thread each, whoever trains: the bits stay the same, which is checked.

With ``--tiny N``: N trainings of an epoch over 66 small lesions. ``overhead_local`` and ``overhead_ray`` are
the seconds a training takes beyond its own training time, all else counted (folders, files, hashes,
transport, start of the processes): (wall - training seconds / workers) / N. ``first_s`` is the time to the
first finished one, ``collect_s`` what scoring all of them takes, ``status_s`` and ``list_s`` what the
commands that look at them take.

Prints a table and, as its last line, one JSON object. Needs ray for ``overhead_ray`` (else null).

    python benchmarks/fanout.py [--epochs 12] [--cases 900] [--tiny 1000] [--no-ray]
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from milkreport.data.prepare import prepare
from milkreport.data.splits import make_folds
from milkreport.data.synthetic.write import write_synthetic
from milkreport.errors import EnvironmentProblem
from milkreport.execution.executors import Executor, InProcess
from milkreport.execution.options import RunOptions
from milkreport.execution.processes import Processes, make_slots
from milkreport.execution.runner import Job, run_suites
from milkreport.execution.tasks import Study, Task
from milkreport.runs.collect import collect, plan_cells
from milkreport.runs.finding import find_runs
from milkreport.runs.folder import RunFolder
from milkreport.runs.status import load_status
from milkreport.suite.suite import Suite, load_suite


class Clock:
    """A watcher that notes when trainings begin and end, and what they took themselves."""

    def __init__(self) -> None:
        self.begun: list[float] = []
        self.ended: list[float] = []
        self.training = 0.0

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments: None

    def begin(self, task: Task) -> None:
        self.begun.append(time.perf_counter())

    def end(self, task: Task, record: Any, skipped: bool) -> None:
        assert record.status == "complete", record.message
        self.ended.append(time.perf_counter())
        self.training += record.seconds

    @property
    def wall(self) -> float:
        return self.ended[-1] - self.begun[0]


class Started:
    """An executor whose run counts from its call: what it does before the first training counts."""

    def __init__(self, executor: Executor, clock: Clock) -> None:
        self.executor, self.clock, self.workers = executor, clock, executor.workers
        self.place, self.survey = executor.place, executor.survey

    def run(self, studies: Mapping[str, Study], tasks: Sequence[Task], recorder: Any) -> None:
        self.clock.begun.append(time.perf_counter())
        self.executor.run(studies, tasks, recorder)


def carry_out(suite: Suite, data: Path, out: Path, executor: Executor) -> tuple[Clock, set[str]]:
    """One run; its clock, and the hashes of its weights."""
    clock = Clock()
    job = Job(suite, data, out, "", out.parent / "cache")
    folder = RunFolder(out)
    try:
        run_suites([job], Started(executor, clock), clock, RunOptions(images=False))
    finally:
        getattr(executor, "close", lambda: None)()
    records = [folder.cell(cell).load_record() for cell in plan_cells(suite)]
    return clock, {record.weights_sha256 for record in records if record is not None}


def processes(n: int) -> Executor:
    return Processes(make_slots(n, [], "cpu"))


def measure_efficiency(place: Path, epochs: int, cases: int) -> dict[str, float]:
    """Six trainings with one worker and with two."""
    settings = ["training.threads=1", f"training.epochs={epochs}"]
    suite = load_suite("quick", settings).with_seeds(2)
    data = place / "data"
    write_synthetic(data, cases=cases, seed=0, size=64)
    prepare(data, suite.data, place / "cache")
    one, weights = carry_out(suite, data, place / "one", processes(1))
    two, again = carry_out(suite, data, place / "two", processes(2))
    assert weights == again, "the weights depend on the number of workers"
    assert len(weights) == 6
    return {
        "cells": 6,
        "workers": 2,
        "one_worker_s": one.wall,
        "two_workers_s": two.wall,
        "efficiency": one.wall / (2 * two.wall),
    }


def measure_overhead(place: Path, n: int, with_ray: bool) -> dict[str, float | None]:
    """Many trainings that hardly take time."""
    settings = [
        "training.threads=1", "training.epochs=1", "data.image_size=16",
        "model.hidden_units=2", "model.metadata_hidden_layers=1",
    ]  # fmt: skip
    suite = load_suite("quick", settings).with_seeds(-(-n // 3))
    n = 3 * len(suite.seeds)
    data = place / "small"
    write_synthetic(data, cases=66, seed=0, size=24)
    prepared = prepare(data, suite.data, place / "cache")
    make_folds(prepared.cases, suite.split)
    said: dict[str, float | None] = {"tiny_cells": n}
    executors: dict[str, Executor | None] = {
        "in_process": InProcess("cpu"), "local": processes(2), "ray": _ray() if with_ray else None,
    }  # fmt: skip
    for name, executor in executors.items():
        said[f"overhead_{name}"] = None
        if executor is not None:
            clock, _ = carry_out(suite, data, place / f"tiny-{name}", executor)
            spare = clock.wall - clock.training / executor.workers
            said[f"overhead_{name}"] = spare / n
            said[f"first_s_{name}"] = clock.ended[0] - clock.begun[0]
            said["training_s"] = clock.training / n
    folder = RunFolder(place / "tiny-local")
    started = time.perf_counter()
    results, tables = collect(folder)
    said["collect_s"] = time.perf_counter() - started
    folder.write_results(results, tables)
    started = time.perf_counter()
    assert load_status(folder).counts == {"done": n}
    said["status_s"] = time.perf_counter() - started
    started = time.perf_counter()
    assert sum(entry.done for entry in find_runs(folder.path)) == n
    said["list_s"] = time.perf_counter() - started
    return said


def _ray() -> Executor | None:
    from milkreport.execution.ray_cluster import RayCluster

    try:
        return RayCluster("", "cpu", threads=1)
    except EnvironmentProblem as problem:
        print(f"without Ray: {problem}")
        return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=12, help="of each of the six trainings")
    parser.add_argument("--cases", type=int, default=900, help="of each of the six trainings")
    parser.add_argument("--tiny", type=int, default=0, help="number of tiny trainings")
    parser.add_argument("--no-ray", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        said: dict[str, Any] = measure_efficiency(Path(place), options.epochs, options.cases)
        if options.tiny:
            said |= measure_overhead(Path(place), options.tiny, not options.no_ray)
    for name, value in said.items():
        print(f"{name:20s} {'none' if value is None else format(value, '.4g'):>10}")
    print(json.dumps(said))


if __name__ == "__main__":
    main()
