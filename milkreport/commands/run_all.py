"""The main job: have a suite's trainings done, check them, write the report, show the outcome."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from milkreport.checks.reference import shipped_references
from milkreport.checks.verdict import Verdict
from milkreport.commands import running, scores
from milkreport.commands.console import note, say, show_files
from milkreport.commands.execute import combined, draw, reviewed, synthetic_folder
from milkreport.commands.progress import progress
from milkreport.commands.shell import shell_line
from milkreport.errors import ConfigError
from milkreport.evaluation.metrics.named import title_of
from milkreport.evaluation.records.results import Results
from milkreport.evidence.pack import check_level
from milkreport.execution.grid import Point
from milkreport.execution.options import RunOptions
from milkreport.gate.checking import check_run, is_comparable, refuse_unknown
from milkreport.reporting.registration import registered_sentence
from milkreport.runs.collect import plan_cells
from milkreport.runs.combined import MOST_ARMS, best_on_validation, differing
from milkreport.runs.elsewhere import read_elsewhere
from milkreport.runs.folder import RunFolder, refuse_foreign
from milkreport.suite.corruptions import parse_corruptions
from milkreport.suite.suite import Suite

if TYPE_CHECKING:
    from milkreport.tracking.tracker import Tracker


@dataclass(frozen=True)
class Order:
    """What the user asked for.

    ``runs``: a suite for each point of the grid; one where there is none. ``data``: None: synthetic.
    ``command``: how to do it again, without a path of the machine. ``pdf``: auto, require or none.
    ``external``: external test sets, name to folder.
    """

    runs: Sequence[tuple[Point, Suite]]
    data: Path | None
    out: Path
    command: str
    cache: Path
    pdf: str
    options: RunOptions
    external: Mapping[str, Path] = field(default_factory=dict)

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
    options = order.options
    _refuse(order)
    jobs = []
    for point, suite in order.runs:
        root = order.data or synthetic_folder(suite, order.cache)
        out = order.folder(point)
        jobs.append(Job(suite, root, out, order.command, order.cache, point.name, order.external))
    n_cells = sum(len(plan_cells(suite)) for _, suite in order.runs)
    with closing(Trackers(_open_trackers(options), note)) as trackers:
        with choose_executor(options, order.suite.training.threads, n_cells) as executor:
            running.show_start(
                order.suite, jobs[0].data, order.out, order.data is None, len(jobs), executor.place
            )
            with progress() as bars:
                found = run_suites(jobs, executor, Tracked(bars, trackers), options)
        verdict: Verdict | None = None
        for place, job in enumerate(jobs):
            found[place], verdict, files = _finish(order, RunFolder(job.out), found[place], started)
            trackers.tell(partial(_tell_end, job.name, found[place], files))
    if len(found) > 1:
        _finish_grid(order, found)
    return found, verdict


def _refuse(order: Order) -> None:
    """What can be refused before hours of training, is."""
    check_level(order.options.evidence, order.options.cases)
    parse_corruptions(order.options.robustness)
    read_elsewhere(order.options.prevalence)
    refuse_unknown(order.options.gate or order.suite.reference)
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
    from milkreport.registration.conduct import check_settings

    _refuse(order)
    planned, forecasts = [], []
    n_cells = sum(len(plan_cells(suite)) for _, suite in order.runs)
    # Asked of this machine: a cluster is not started to be looked at.
    options = replace(order.options, executor="local", ray_address="")
    with choose_executor(options, order.suite.training.threads, n_cells) as executor:
        workers = executor.workers
    for point, suite in order.runs:
        folder = RunFolder(order.folder(point))
        refuse_foreign(folder)
        reuse = options.reuse is not None
        if check_settings(folder, suite, options.binding, options.restart, reuse):
            note("the settings are those registered; data and split are compared at the start")
        sha256 = folder.load_manifest().data_sha256 if folder.is_run() else ""
        cells = plan_cells(suite)
        records = [None if options.restart else folder.cell(cell).load_record() for cell in cells]
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
            unscored = Counter(
                cell.arm
                for cell, record in zip(cells, records, strict=True)
                if record is None or not record.robustness_sha256
            )
            names = parse_corruptions(options.robustness)
            where = (suite, root, order.cache, options.device, left, workers, note)
            found = forecast(*where, corruptions=names, unscored=unscored, external=order.external)
            forecasts.append((point.name, found))
    synthetic = order.data is None
    running.show_start(order.suite, order.data or Path(), order.out, synthetic, len(order.runs))
    running.show_cells(planned)
    if forecasts:
        running.show_forecast(forecasts)
    else:
        note("this suite needs real data: what it takes is told with --data DIR")


def _open_trackers(options: RunOptions) -> list[Tracker]:
    """Those that were asked for; a missing library is reported now, not after hours of training."""
    trackers: list[Tracker] = []
    if options.tensorboard:
        from milkreport.tracking.tensorboard import TensorBoard

        trackers.append(TensorBoard())
    if options.mlflow:
        from milkreport.tracking.mlflow import MLflow

        trackers.append(MLflow(options.mlflow))
    return trackers


def _finish(
    order: Order, folder: RunFolder, results: Results, started: float
) -> tuple[Results, Verdict | None, list[Path]]:
    """Check and report one run: its results with findings, its verdict, and files worth keeping elsewhere."""
    reference = order.options.gate or order.suite.reference
    verdict, unchecked = None, ""
    if order.options.gate or (reference and is_comparable(results, reference)):
        verdict = check_run(folder, reference)
    elif reference not in ("", *shipped_references()) and not results.data.synthetic:
        # Shipped suites name a shipped reference, which is nothing to a user with other data.
        unchecked = f"reference {reference} describes different data than this run"
    results = reviewed(folder, results, verdict)
    in_grid = len(order.runs) > 1  # the PDF is that of all points together
    pdf = "none" if in_grid else order.pdf
    written = draw(
        *(folder, results, verdict, pdf),
        *(order.options.images, order.options.cases, order.options.evidence),
    )
    if not in_grid:
        running.show_results(results, verdict)
        scores.show_external(results)
        if results.adherence is not None and results.adherence.registration is not None:
            say(f"registered: {registered_sentence(results, folder.load_manifest().started)}")
        if unchecked:
            say(f"NOT CHECKED: {unchecked}")
        show_files(written, time.monotonic() - started)
    records = [folder.path / name for name in ("results.json", "metrics.csv", "manifest.json")]
    reports = [path for path in written if path.suffix in (".html", ".pdf")]
    return results, verdict, [*reports, *records]


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
        names = [path.name for path in folders]
        line = shell_line(["milkreport", "report", *names, "--out", "$OUT"])
        cases, carried = order.options.cases, order.options.evidence
        place = order.out / "combined"
        combined(folders, place, [], "", line, order.pdf, cases, replace=True, evidence=carried)
    else:
        what = f"more than {MOST_ARMS} arms: choose for one report of several points"
        note(f"{what}: milkreport report RUN RUN --arm NAME --out FOLDER")
    metric = order.suite.primary_metric
    best = best_on_validation(points, metric)
    for arm, name, value in best:
        say(f"{arm}: {name} is best on the validation part ({title_of(metric)} {value:.4f})")
    if not best:
        say("no validation part, so nothing is chosen: set split.validation")
    say(f"each point has its own run folder and report in {order.out}")
