"""Carries suites out: prepare the data once, have every cell trained that is not done, collect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd

from milkreport.data.external import External
from milkreport.data.prepare import Prepared, prepare
from milkreport.data.splits import Fold, make_folds
from milkreport.errors import ConfigError, DataError
from milkreport.evaluation.records.results import CellRecord, Results
from milkreport.execution.executors import Executor
from milkreport.execution.external import begin_sets, load_sets, score_sets
from milkreport.execution.gallery import write_gallery
from milkreport.execution.options import DEFAULTS, RunOptions
from milkreport.execution.recorder import RunRecorder
from milkreport.execution.reuse import Finished
from milkreport.execution.scoring.phase import announce, score_corrupted
from milkreport.execution.stopping import StopSign
from milkreport.execution.tasks import Study, Task
from milkreport.execution.trainer import Machine
from milkreport.execution.validate_arms import validate_arms
from milkreport.parse import parse_json
from milkreport.registration.conduct import begin_run, end_run, open_run
from milkreport.registration.declare import declare, suite_key
from milkreport.registration.keeper import Keeper
from milkreport.runs.collect import collect, plan_cells
from milkreport.runs.describe import summarise_data, summarise_splits
from milkreport.runs.elsewhere import Elsewhere, read_elsewhere
from milkreport.runs.folder import DataRecord, RunFolder, differing_keys, refuse_foreign
from milkreport.runs.lock import hold
from milkreport.runs.manifest import Manifest, read_environment
from milkreport.runs.proof import prove_splits
from milkreport.suite.suite import Arm, Suite
from milkreport.training.files import CARD_FILE
from milkreport.training.model_selector import Row
from milkreport.trust import hash_sources


class Watcher(Protocol):
    """What a run tells while it goes; the command line shows it, trackers log it."""

    def images(self, done: int, total: int) -> None:
        """Images decoded so far."""

    def notice(self, line: str) -> None:
        """Something about the data that the user should know."""

    def study(self, study: Study, manifest: Manifest) -> None:
        """The trainings of *study* are about to start."""

    def plan(self, total: int) -> None:
        """So many trainings belong to the run, those that were done before too."""

    def begin(self, task: Task) -> None:
        """A training starts, or goes on."""

    def epoch(self, task: Task, epoch: int, epochs: int, row: Row) -> None:
        """An epoch is done; *row* is its line of history."""

    def damaged(self, task: Task) -> None:
        """A finished cell's files are not what was written; it is trained again."""

    def end(self, task: Task, record: CellRecord, skipped: bool) -> None:
        """A training is done, failed, or was done before."""


@dataclass(frozen=True)
class Job:
    """One run to carry out.

    ``name``: tells the runs of a grid apart. ``command``: how to reproduce it, without any path of the
    machine. ``external``: external test sets, name to folder.
    """

    suite: Suite
    data: Path
    out: Path
    command: str
    cache: Path
    name: str = ""
    external: Mapping[str, Path] = field(default_factory=dict)


def run_suites(
    jobs: Sequence[Job],
    executor: Executor,
    watcher: Watcher,
    options: RunOptions = DEFAULTS,
) -> list[Results]:
    """Train all cells of the jobs' suites, each into its ``out``, and collect the results.

    Finished cells are skipped, begun ones go on from their last checkpoint, a cell that fails leaves
    the others alone.

    Args:
        options: of all jobs. Which executor is *executor*'s matter.

    Raises:
        Stopped: SIGINT or SIGTERM came while cells were trained; what was done is kept.
        ConfigError: the folder holds another suite, or is no run. DataError: bad or changed data.
        EnvironmentProblem: no such device, the folder is in use or cannot be written.
    """
    for job in jobs:
        refuse_foreign(RunFolder(job.out))
    with ExitStack() as held:
        for job in jobs:
            held.enter_context(hold(job.out))
        studies: dict[str, Study] = {}
        keepers: dict[str, Keeper] = {}
        prepared: dict[str, Prepared] = {}
        sets: dict[str, list[External]] = {}
        for job in jobs:
            machine = executor.survey(job.suite.training)
            key = f"{job.data} {job.suite.data.model_dump_json()}"
            if key not in prepared:
                prepared[key] = prepare(
                    job.data,
                    job.suite.data,
                    job.cache,
                    watcher.images,
                    watcher.notice,
                    may_skip=True,
                )
            own = prepared[key]
            # Before anything is trained: what is wrong with them is told at once.
            sets[job.name] = load_sets(
                job.external, job.suite, own, job.cache, watcher.images, watcher.notice
            )
            if not options.restart:
                begin_sets(RunFolder(job.out), sets[job.name])
            study, keeper = _begin(job, own, machine, watcher, options)
            studies[job.name], keepers[job.name] = study, keeper
            _check_shares(study, read_elsewhere(options.prevalence))
        if options.robustness:
            announce(studies, options, executor.workers, watcher)
        stop = StopSign(watcher.notice)
        reuse = {
            job.name: Finished(options.reuse, RunFolder(job.out).load_manifest())
            for job in jobs
            if options.reuse is not None
        }
        recorder = RunRecorder(studies, watcher, stop, options, executor.workers, reuse, keepers)
        with recorder:
            tasks = _open_tasks(studies, recorder)
            if tasks:
                with stop.watching():
                    executor.run(studies, tasks, recorder)
        stop.obey()
        if options.robustness:
            score_corrupted(studies, options, watcher, stop)
        with stop.watching():
            for job in jobs:
                study = studies[job.name]
                score_sets(study, sets[job.name], options.device, watcher.notice, stop)
        stop.obey()
        images = options.images and options.cases
        asked = read_elsewhere(options.prevalence)
        return [_collect(studies[job.name], keepers[job.name], images, asked) for job in jobs]


def _check_shares(study: Study, asked: Elsewhere) -> None:
    """Refuse shares that no forecast can be made for before anything is trained."""
    cases = study.prepared.cases
    labels = cases.table["label"].iloc[np.concatenate([fold.test for fold in study.folds])]
    counts = {name: int((labels == name).sum()) for name in cases.classes}
    asked.check(counts, [name for name in cases.card.positive if name in counts])


def _open_tasks(studies: Mapping[str, Study], recorder: RunRecorder) -> list[Task]:
    """The trainings that are not done yet, in the order of the plan."""
    planned = [
        Task(name, cell) for name, study in studies.items() for cell in plan_cells(study.suite)
    ]
    recorder.watcher.plan(len(planned))
    return [task for task in planned if not recorder.is_done(task)]


def _collect(study: Study, keeper: Keeper, images: bool, asked: Elsewhere) -> Results:
    folder = RunFolder(study.out)
    cells = plan_cells(study.suite)
    records = {cell: folder.cell(cell).load_record() for cell in cells}
    end_run(
        folder, keeper, {c for c, known in records.items() if known and known.status == "complete"}
    )
    results, tables = collect(folder, asked)
    folder.write_results(results, tables)
    if images:
        write_gallery(folder, results, tables["mistakes"], study.prepared, study.folds)
    return results


def _begin(
    job: Job, prepared: Prepared, machine: Machine, watcher: Watcher, options: RunOptions
) -> tuple[Study, Keeper]:
    """Write what the run is, or see that it is what lies there."""
    folder = RunFolder(job.out)
    folds = make_folds(prepared.cases, job.suite.split)
    validate_arms(prepared, job.suite, folds[0])
    declared = declare(job.suite, prepared, folds, options.reuse is not None)
    opening = open_run(folder, declared, options.binding, options.restart)
    if options.restart:
        folder.clear()
    manifest = Manifest(
        **read_environment(),
        suite=job.suite.name,
        suite_sha256=job.suite.fingerprint(),
        data_sha256=prepared.fingerprint,
        command=job.command,
        device=machine.device,
        device_name=machine.name,
        cpu_capability=machine.cpu_capability,
        threads=job.suite.training.threads,
        network=[*options.network, *_downloads(job.suite)],
    )
    if folder.is_run():
        _refuse_changed(folder, job.suite, manifest, prepared)
        folder.write_suite(job.suite)  # it may have more seeds or arms now
        used, before = manifest.network or [], folder.load_manifest()
        if job.external and not all(f"{name}=" in before.command for name in job.external):
            before = before.model_copy(update={"command": job.command})
            folder.write_manifest(before)
        manifest = before
        if before.network is not None and not set(used) <= set(before.network):
            both = list(dict.fromkeys([*before.network, *used]))
            manifest = before.model_copy(update={"network": both})
            folder.write_manifest(manifest)
    else:
        folder.begin(job.suite, manifest)
    _write_data(folder, prepared, folds, job.suite)
    key = suite_key(job.suite)
    keeper = begin_run(folder, opening, prepared.fingerprint, key, job.cache, watcher.notice)
    study = Study(job.name, job.suite, prepared, tuple(folds), job.out)
    watcher.study(study, manifest)
    return study, keeper


def _downloads(suite: Suite) -> list[str]:
    models = [suite.model_of(arm) for arm in suite.arms]
    wanted = any(getattr(model, "weights", "") == "download" for model in models)
    return ["pretrained weights were downloaded"] if wanted else []


def _refuse_changed(
    folder: RunFolder, suite: Suite, manifest: Manifest, prepared: Prepared
) -> None:
    if not folder.has_suite:
        what = "holds an evaluation of predictions, no run of a suite"
        raise ConfigError(what, "choose another --out", str(folder.path))
    old_suite, old = folder.load_suite(), folder.load_manifest()
    # More seeds and more arms leave what is there as it is.
    known = {arm.name for arm in old_suite.arms}
    arms = [arm for arm in suite.arms if arm.name in known]
    before, now = old_suite.flat(), suite.model_copy(update={"arms": arms}).flat()
    if set(old_suite.seeds) <= set(suite.seeds):
        before.pop("seeds")
        now.pop("seeds")
    before["device"], now["device"] = old.device, manifest.device
    for one in suite.arms:
        then, here = _sources(folder, suite, one), hash_sources(suite.model_of(one))
        for what in then.keys() & here.keys():
            before[f"{what} of arm {one.name}"] = then[what][:16]
            now[f"{what} of arm {one.name}"] = here[what][:16]
    changed = differing_keys(before, now)
    if changed:
        what = f"this folder holds another run: {'; '.join(changed)}"
        raise ConfigError(what, "choose another --out, or --restart", str(folder.path))
    if old.data_sha256 != manifest.data_sha256:
        what = f"the data changed since this run was begun: {folder.first_change(prepared)}"
        do = "choose another --out, or --restart, or restore the data"
        raise DataError(what, do, str(folder.path))


def _sources(folder: RunFolder, suite: Suite, arm: Arm) -> dict[str, str]:
    """What the arm's finished trainings were made of beside their settings; see ``hash_sources``."""
    for cell in plan_cells(suite):
        card = folder.cell(cell).path / CARD_FILE
        if cell.arm == arm.name and card.is_file():
            with suppress(OSError, ValueError, AttributeError):
                return dict(parse_json(card.read_bytes()).get("sources") or {})
    return {}


def _write_data(folder: RunFolder, prepared: Prepared, folds: list[Fold], suite: Suite) -> None:
    """Write what the data was and how it was parted, with the proof that the parts share nothing."""
    data = summarise_data(prepared, suite.data, prepared.store.size)
    splits, removed = _split_tables(prepared, folds)
    folder.write_tables(
        splits=splits,
        removed=removed,
        images=prepared.images,
        duplicates=prepared.duplicates,
        subgroups=prepared.cases.subgroup_columns(),
    )
    proof = prove_splits(folder.path / "splits.csv", folder.path / "images.csv")
    data = data.model_copy(update={"proof": proof})
    folder.write_data(DataRecord(data=data, splits=summarise_splits(prepared.cases, folds)))


def _split_tables(prepared: Prepared, folds: list[Fold]) -> tuple[pd.DataFrame, pd.DataFrame]:
    table = prepared.cases.table[["case_id", "group_id"]]
    rows = [
        table.iloc[positions].assign(fold=fold.index, part=part)
        for fold in folds
        for part, positions in fold.parts().items()
    ]
    return pd.concat(rows, ignore_index=True), prepared.cleaned.removed
