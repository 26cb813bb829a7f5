"""Runs one small suite again and again in forked children that are killed, until one is not.

    python killing.py OUT DATA CACHE HOW

HOW: ``whole`` (never killed), ``random SEED N`` (N kills after random times), ``writes`` (one child for each
file and window of its atomic write, killed there), ``plain`` (child i is killed half-way through its i-th
file, which is written in place: the control). Prints a JSON line: attempts, kills, the last exit code, the
cells' hashes and curves, hidden files and checkpoints that are left. Forking spares each attempt what
imports take.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

import milkreport.atomic as atomic
from milkreport.data.prepare import prepare
from milkreport.evaluation.records.results import CellRecord
from milkreport.execution.executors import InProcess
from milkreport.execution.options import RunOptions
from milkreport.execution.runner import Job, run_suites
from milkreport.execution.tasks import Study, Task
from milkreport.runs.manifest import Manifest
from milkreport.suite.suite import build_suite
from milkreport.training.model_selector import Row

#: In the order of their first writing, so that each is still to be written when its turn comes.
FILES = (
    *(".lock-holder", "manifest.json", "suite.toml", "splits.csv", "data.json", ".checkpoint"),
    *("history.csv", "predictions.csv", "model.safetensors", "model.json", "cell.json"),
    *("metrics.csv", "results.json"),
)
WINDOWS = ("before it is flushed", "before it is renamed", "after it is renamed")
SUITE = {
    "name": "killed",
    "title": "Killed",
    "question": "Does it end the same?",
    "primary_metric": "macro_f1",
    "seeds": [0],
    "data": {"image_size": 16},
    "split": {"kind": "holdout", "test_fraction": 0.3, "validation": 0.2},
    "model": {"hidden_units": 4, "metadata_hidden_layers": 2, "metadata_width": 8},
    # The last epoch: the best on validation may be one from before a kill.
    "training": {"epochs": 6, "batch_size": 16, "select": "last", "threads": 1},
    "arms": [
        {"name": "baseline", "correction": "none"},
        {"name": "sampler", "correction": "sampler"},
    ],
}


class Silent:
    """A watcher that shows nothing."""

    def images(self, done: int, total: int) -> None: ...
    def notice(self, line: str) -> None:
        print(line, file=sys.stderr)

    def study(self, study: Study, manifest: Manifest) -> None: ...
    def plan(self, total: int) -> None: ...
    def begin(self, task: Task) -> None: ...
    def epoch(self, task: Task, epoch: int, epochs: int, row: Row) -> None: ...
    def damaged(self, task: Task) -> None:
        print(f"damaged: {task}", file=sys.stderr)

    def end(self, task: Task, record: CellRecord, skipped: bool) -> None: ...


def attempt(job: Job) -> None:
    """One child's life: everything, from the start or from where the last one was killed."""
    run_suites([job], InProcess("cpu"), Silent(), RunOptions(checkpoint_every=0))


def fork(work: Callable[[], None], kill_after: float | None = None) -> int:
    """The exit code of *work* in a child, negative for a signal; killed after some seconds if told so."""
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
            os._exit(1)
        os._exit(0)
    if kill_after is not None:
        time.sleep(kill_after)
        os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def kill_in_window(name: str, window: str) -> None:
    """Have this process kill itself when it first writes a file whose name ends in *name*."""

    def at(moment: str, path: str) -> None:
        if moment == window and f"{name}." in f"{os.path.basename(path)}.":
            os.kill(os.getpid(), signal.SIGKILL)

    class Operations:
        """``os`` for the one module that writes."""

        def __getattr__(self, attribute: str) -> object:
            return getattr(os, attribute)

        def fsync(self, handle: int) -> None:
            at("before it is flushed", os.readlink(f"/proc/self/fd/{handle}"))
            os.fsync(handle)

        def replace(self, source: str, target: Path) -> None:
            at("before it is renamed", str(target))
            os.replace(source, target)
            at("after it is renamed", str(target))

    atomic.os = Operations()  # type: ignore[assignment]


def write_in_place(wanted: int) -> None:
    """Have this process write without care, and kill itself within the *wanted*-th file, from 0."""
    moments = itertools.count()

    def write_bytes(path: Path, data: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            file.write(data[: len(data) // 2])
            file.flush()
            if next(moments) == wanted:
                os.kill(os.getpid(), signal.SIGKILL)
            file.write(data[len(data) // 2 :])

    from milkreport.runs import cells, csv_files, folder, lock
    from milkreport.training import checkpoint

    for module in (atomic, cells, checkpoint):
        module.write_bytes = write_bytes  # type: ignore[attr-defined]
    for module in (cells, csv_files, folder, lock):
        module.write_text = lambda path, text: write_bytes(path, text.encode())  # type: ignore[attr-defined]


def main() -> None:
    out, data, cache, how, *numbers = sys.argv[1:]
    job = Job(build_suite(SUITE), Path(data), Path(out), "", Path(cache))
    # Once here, so that no child imports what it needs, or decodes.
    prepare(job.data, job.suite.data, job.cache)
    torch.optim.Adam([torch.zeros(1, requires_grad=True)])
    codes: list[int] = []
    if how == "whole":
        codes.append(fork(lambda: attempt(job)))
    elif how == "random":
        seed, kills = map(int, numbers)
        chance = random.Random(seed)
        longest = 0.1
        while codes.count(-signal.SIGKILL) < kills and 0 not in codes:
            codes.append(fork(lambda: attempt(job), chance.uniform(0.02, longest)))
            longest *= 1.03
        codes.append(fork(lambda: attempt(job)))
    elif how == "writes":
        for name, window in itertools.product(FILES, WINDOWS):

            def work(name: str = name, window: str = window) -> None:
                kill_in_window(name, window)
                attempt(job)

            codes.append(fork(work))
        codes.append(fork(lambda: attempt(job)))
    else:
        for number in range(100):

            def work(number: int = number) -> None:
                write_in_place(number)
                attempt(job)

            codes.append(fork(work))
            if codes[-1] != -signal.SIGKILL:
                break
    hashes = {}
    for path in sorted(job.out.glob("cells/**/cell.json")):
        record = json.loads(path.read_text())
        hashes[str(path.parent.relative_to(job.out))] = record["weights_sha256"]
        hashes[f"{path.parent.name} {path.parent.parent.parent.name} history"] = (
            path.parent / "history.csv"
        ).read_text()
    left = [str(p.relative_to(job.out)) for p in job.out.rglob("*") if p.name.startswith(".")]
    left += [str(p.relative_to(job.out)) for p in job.out.rglob("*.checkpoint")]
    said = {
        "attempts": len(codes),
        "kills": codes.count(-signal.SIGKILL),
        "last": codes[-1],
        "hashes": hashes,
        "left": sorted(left),
    }
    print(json.dumps(said))


if __name__ == "__main__":
    main()
