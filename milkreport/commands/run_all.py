"""The main job: have a suite's trainings done, check them, write the report, show the outcome."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from milkreport.checks.verdict import Verdict
from milkreport.commands import running
from milkreport.commands.console import note, say, show_files
from milkreport.commands.execute import combined, draw, synthetic_folder
from milkreport.commands.progress import progress
from milkreport.errors import ConfigError
from milkreport.evaluation.records.results import Results
from milkreport.execution.grid import Point
from milkreport.gate.checking import check_run, is_comparable, refuse_unknown
from milkreport.runs.collect import plan_cells
from milkreport.runs.combined import MOST_ARMS, best_on_validation, differing
from milkreport.runs.folder import RunFolder, refuse_foreign
from milkreport.suite.suite import Suite

if TYPE_CHECKING:
    from milkreport.execution.choose import ExecutorOptions
    from milkreport.tracking.tracker import Tracker


@dataclass(frozen=True)
class Order:
    """What the user asked for.

    ``runs``: a suite for each point of the grid; one where there is none. ``command``: how to do it again,
    without a path of the machine. ``workers``: a number or ``auto``.
    """

    runs: Sequence[tuple[Point, Suite]]
    data: Path | None
    out: Path
    device: str
    command: str
    cache: Path
    gate: str | None = None
    pdf: str = "auto"
    images: bool = True
    cases: bool = True
    workers: str = "auto"
    executor: str = "local"
    ray_address: str = ""
    cells_per_gpu: int = 1
    tensorboard: bool = False
    mlflow: str = ""
    checkpoint_every: float = 30
    restart: bool = False
    fail_fast: bool = False
    reuse: Path | None = None

    @property
    def wish(self) -> ExecutorOptions:
        """What was asked of the executor."""
        from milkreport.execution.choose import ExecutorOptions

        return ExecutorOptions(
            self.executor, self.device, self.workers, self.cells_per_gpu, self.ray_address
        )

    @property
    def network(self) -> tuple[str, ...]:
        """What goes over a network by the user's wish."""
        used = {
            "trainings and their images went to a Ray cluster": self.executor == "ray",
            "metrics and report were offered to an MLflow server": bool(self.mlflow),
        }
        return tuple(phrase for phrase, is_used in used.items() if is_used)

    @property
    def suite(self) -> Suite:
        """The first run's; all differ in the grid's settings alone."""
        return self.runs[0][1]

    def folder(self, point: Point) -> Path:
        """Where a point's run goes."""
        return self.out / point.name if point.name else self.out


def run(order: Order) -> tuple[list[Results], Verdict | None]:
    """Carry it out; the verdict is the last run's, if it was checked."""
    from milkreport.execution.choose import choose_executor
    from milkreport.execution.runner import Job, run_suites
    from milkreport.tracking.tracker import Tracked, Trackers

    started = time.monotonic()
    _refuse(order)
    jobs = []
    for point, suite in order.runs:
        root = order.data or synthetic_folder(suite, order.cache)
        jobs.append(
            Job(
                suite=suite,
                data=root,
                out=order.folder(point),
                command=order.command,
                cache=order.cache,
                restart=order.restart,
                gallery=order.images and order.cases,
                name=point.name,
                reuse=order.reuse,
                network=order.network,
            )
        )
    n_cells = sum(len(plan_cells(suite)) for _, suite in order.runs)
    with closing(Trackers(_open_trackers(order), note)) as trackers:
        with choose_executor(order.wish, order.suite.training.threads, n_cells) as executor:
            running.show_start(
                order.suite, jobs[0].data, order.out, order.data is None, len(jobs), executor.place
            )
            with progress() as bars:
                watcher = Tracked(bars, trackers)
                every, fail_fast = order.checkpoint_every, order.fail_fast
                found = run_suites(jobs, executor, watcher, every, fail_fast)
        verdict: Verdict | None = None
        for job, results in zip(jobs, found, strict=True):
            verdict, files = _finish(order, RunFolder(job.out), results, started)
            trackers.tell(partial(_tell_end, job.name, results, files))
    if len(found) > 1:
        _finish_grid(order, found)
    return found, verdict


def _refuse(order: Order) -> None:
    """What can be refused before hours of training, is."""
    refuse_unknown(order.gate or order.suite.reference)
    if len(order.runs) > 1 and RunFolder(order.out).is_run():
        what = "holds a run; the runs of a grid go into folders below --out"
        raise ConfigError(what, "choose another --out", str(order.out))
    if len({suite.split.model_dump_json() for _, suite in order.runs}) > 1:
        note(
            "the points of this grid are split differently: each is reported by itself, none is chosen"
        )


def _tell_end(name: str, results: Results, files: list[Path], tracker: Tracker) -> None:
    tracker.finish(name, results, files)


def show_plan(order: Order) -> None:
    """Show the trainings, which of them are done, and what the rest takes; writes nothing but the cache.

    Raises:
        MilkreportError: what the run itself would refuse at its start.
    """
    from milkreport.execution.choose import choose_executor
    from milkreport.execution.forecast import forecast
    from milkreport.execution.tasks import cell_key

    _refuse(order)
    planned, forecasts = [], []
    n_cells = sum(len(plan_cells(suite)) for _, suite in order.runs)
    # Asked of this machine: a cluster is not started to be looked at.
    wish = replace(order.wish, executor="local", address="")
    with choose_executor(wish, order.suite.training.threads, n_cells) as executor:
        workers = executor.workers
    for point, suite in order.runs:
        folder = RunFolder(order.folder(point))
        refuse_foreign(folder)
        sha256 = folder.load_manifest().data_sha256 if folder.is_run() else ""
        cells = plan_cells(suite)
        records = [None if order.restart else folder.cell(cell).load_record() for cell in cells]
        for cell, record in zip(cells, records, strict=True):
            key = cell_key(suite, cell, sha256) if sha256 else ""
            planned.append((point.name, cell, record.status if record else "to do", key))
        left = Counter(
            cell.arm
            for cell, record in zip(cells, records, strict=True)
            if record is None or record.status != "complete"
        )
        if order.data or suite.split.kind != "support":
            root = order.data or synthetic_folder(suite, order.cache)
            found = forecast(suite, root, order.cache, order.device, left, workers, note)
            forecasts.append((point.name, found))
    synthetic = order.data is None
    running.show_start(order.suite, order.data or Path(), order.out, synthetic, len(order.runs))
    running.show_cells(planned)
    if forecasts:
        running.show_forecast(forecasts)
    else:
        note("this suite needs real data: what it takes is told with --data DIR")


def _open_trackers(order: Order) -> list[Tracker]:
    """Those that were asked for; a missing library is reported now, not after hours of training."""
    trackers: list[Tracker] = []
    if order.tensorboard:
        from milkreport.tracking.tensorboard import TensorBoard

        trackers.append(TensorBoard())
    if order.mlflow:
        from milkreport.tracking.mlflow import MLflow

        trackers.append(MLflow(order.mlflow))
    return trackers


def _finish(
    order: Order, folder: RunFolder, results: Results, started: float
) -> tuple[Verdict | None, list[Path]]:
    """Check and report one run: its verdict, and the files that are worth keeping elsewhere."""
    reference = order.gate or order.suite.reference
    verdict, unchecked = None, "no reference was named"
    if order.gate or (reference and is_comparable(results, reference)):
        verdict = check_run(folder, reference)
    elif reference:
        synthetic = results.data.synthetic
        unchecked = f"{reference} is of other data than {'synthetic' if synthetic else 'this run'}"
    in_grid = len(order.runs) > 1  # the PDF is that of all points together
    pdf = "none" if in_grid else order.pdf
    written = draw(folder, results, verdict, pdf, order.images, order.cases)
    if not in_grid:
        running.show_results(results, verdict)
        if verdict is None:
            say(f"NOT CHECKED: {unchecked}")
        show_files(written, time.monotonic() - started)
    records = [folder.path / name for name in ("results.json", "metrics.csv", "manifest.json")]
    reports = [path for path in written if path.suffix in (".html", ".pdf")]
    return verdict, [*reports, *records]


def _finish_grid(order: Order, found: Sequence[Results]) -> None:
    """One report of all points, where it can hold them; what was chosen, if anything may choose."""
    folders = [order.folder(point) for point, _ in order.runs]
    points = [(point.name, results) for (point, _), results in zip(order.runs, found, strict=True)]
    runs = [
        (name, results, RunFolder(path))
        for (name, results), path in zip(points, folders, strict=True)
    ]
    if apart := differing(runs):
        for name, results in points:
            say(name)
            running.show_results(results, None)
        note(f"no report of all points together, and no point is chosen: {apart}")
        say(f"each point has its own run folder and report in {order.out}")
        return
    if sum(len(results.arms) for results in found) <= MOST_ARMS:
        combined(folders, order.out / "combined", [], "", order.pdf, order.cases, replace=True)
    else:
        what = f"more than {MOST_ARMS} arms: choose for one report of several points"
        note(f"{what}: milkreport report RUN RUN --arm NAME --out FOLDER")
    metric = order.suite.primary_metric
    best = best_on_validation(points, metric)
    for arm, name, value in best:
        say(f"{arm}: {name} is best on the validation part ({metric} {value:.4f})")
    if not best:
        say("no validation part, so nothing is chosen: set split.validation")
    say(f"each point has its own run folder and report in {order.out}")
