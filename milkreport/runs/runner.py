"""Carries a suite out: prepare the data once, train every cell that is not done, collect."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pandas as pd

from milkreport.data.prepare import Prepared, prepare
from milkreport.data.splits import Fold, make_folds
from milkreport.errors import ConfigError, DataError
from milkreport.evaluation.results import CellRecord, Results
from milkreport.runs.collect import collect, plan_cells
from milkreport.runs.describe import summarise_data, summarise_splits
from milkreport.runs.folder import Cell, DataRecord, RunFolder, differing_keys, refuse_foreign
from milkreport.runs.gallery import write_gallery
from milkreport.runs.manifest import Manifest, read_environment
from milkreport.runs.proof import prove_splits
from milkreport.runs.stopping import StopSign
from milkreport.suite import Suite
from milkreport.training.cell import Row, train_cell
from milkreport.training.checkpoint import EVERY, Checkpoints
from milkreport.training.device import (
    Device,
    cpu_capability,
    describe_device,
    pin,
    resolve_device,
)
from milkreport.training.failures import TrainingFailed, telling_undetermined
from milkreport.training.pixels import Pixels, place_pixels


class Watcher(Protocol):
    """What a run tells while it goes; the command line shows it."""

    def images(self, done: int, total: int) -> None:
        """Images decoded so far."""

    def notice(self, line: str) -> None:
        """Something about the data that the user should know."""

    def begin(self, cell: Cell, position: int, total: int) -> None:
        """A cell starts (positions from 1)."""

    def epoch(self, cell: Cell, epoch: int, epochs: int, row: Row) -> None:
        """An epoch of a cell is done; *row* is its line of history."""

    def damaged(self, cell: Cell) -> None:
        """A finished cell's files are not what was written; it is trained again."""

    def end(self, cell: Cell, record: CellRecord, skipped: bool) -> None:
        """A cell is done, failed, or was done before."""


@dataclass(frozen=True)
class Job:
    """One run to carry out.

    ``command``: how to reproduce it, without any path of the machine. ``checkpoint_every``: seconds.
    ``restart``: forget what the folder holds. ``gallery``: keep
    thumbnails of the most confident mistakes.
    """

    suite: Suite
    data: Path
    out: Path
    device: str
    command: str
    cache: Path
    checkpoint_every: float = EVERY
    restart: bool = False
    gallery: bool = True


def run_suite(job: Job, watcher: Watcher) -> Results:
    """Train all cells of ``job.suite`` into ``job.out`` and collect the results.

    Finished cells are skipped, begun ones go on from their last checkpoint, a cell that fails leaves
    the others alone.

    Raises:
        Stopped: SIGINT or SIGTERM came while a cell was trained; what was done is kept.
        ConfigError: the folder holds another suite, or is no run. DataError: bad or changed data.
        EnvironmentProblem: no such device, the folder is in use or cannot be written.
    """
    folder, suite = RunFolder(job.out), job.suite
    device = resolve_device(job.device)
    refuse_foreign(folder)
    with folder.lock():
        pin(suite.training, device)
        prepared = prepare(job.data, suite.data, job.cache, watcher.images, watcher.notice)
        folds = make_folds(prepared.cases, suite.split)
        if job.restart:
            folder.clear()
        manifest = _begin(folder, job, prepared, folds, device)
        pixels = place_pixels(prepared.store, device)
        cells, stop = plan_cells(suite), StopSign(watcher.notice)
        for position, cell in enumerate(cells, 1):
            checkpoints = Checkpoints(
                folder.checkpoint_path(cell),
                _describe_maker(manifest, suite, cell),
                job.checkpoint_every,
                stop,
                watcher.notice,
            )
            known = folder.load_cell(cell)
            if known is not None and known.status == "complete":
                if folder.is_sound(cell, known):
                    checkpoints.clear()  # killed between the record and this
                    watcher.end(cell, known, skipped=True)
                    continue
                watcher.damaged(cell)
            watcher.begin(cell, position, len(cells))
            fold = folds[cell.fold]
            with stop.watching(), telling_undetermined(watcher.notice):
                record = _train(folder, suite, cell, prepared, fold, pixels, watcher, checkpoints)
            watcher.end(cell, record, skipped=False)
            stop.obey()
        results, tables = collect(folder)
        folder.write_results(results, tables)
        if job.gallery:
            write_gallery(folder, results, tables["mistakes"], prepared, folds)
    return results


def _train(
    folder: RunFolder,
    suite: Suite,
    cell: Cell,
    prepared: Prepared,
    fold: Fold,
    pixels: Pixels,
    watcher: Watcher,
    checkpoints: Checkpoints,
) -> CellRecord:
    """Train one cell and write it, or the reason why it failed."""

    def on_epoch(epoch: int, row: Row) -> None:
        watcher.epoch(cell, epoch, suite.training.epochs, row)

    try:
        arm = suite.arm(cell.arm)
        trained = train_cell(prepared, suite, arm, cell.seed, fold, pixels, on_epoch, checkpoints)
    except TrainingFailed as error:
        record = CellRecord(seed=cell.seed, fold=cell.fold, status="failed", message=str(error))
        folder.write_cell_record(cell, record)
        return record
    record = folder.write_cell(cell, trained)
    checkpoints.clear()
    return record


def _describe_maker(manifest: Manifest, suite: Suite, cell: Cell) -> dict[str, str]:
    """What a cell's weights depend on, to the bit; other seeds of the suite are none of it."""
    return {
        "cell": str(cell),
        "settings": suite.model_copy(update={"seeds": [cell.seed]}).fingerprint(),
        "data": manifest.data_sha256,
        **manifest.environment(),
    }


def _begin(
    folder: RunFolder, job: Job, prepared: Prepared, folds: list[Fold], device: Device
) -> Manifest:
    manifest = Manifest(
        **read_environment(),
        suite=job.suite.name,
        suite_sha256=job.suite.fingerprint(),
        data_sha256=prepared.fingerprint,
        command=job.command,
        device=device.type,
        device_name=describe_device(device),
        cpu_capability=cpu_capability(),
        threads=job.suite.training.threads,
    )
    if folder.is_run():
        _refuse_changed(folder, job.suite, manifest, prepared)
        folder.write_suite(job.suite)  # it may have more seeds now
    else:
        folder.begin(job.suite, manifest)
    _write_data(folder, prepared, folds, job.suite)
    return manifest


def _refuse_changed(
    folder: RunFolder, suite: Suite, manifest: Manifest, prepared: Prepared
) -> None:
    if not folder.has_suite:
        what = "holds an evaluation of predictions, no run of a suite"
        raise ConfigError(what, "choose another --out", str(folder.path))
    old_suite, old = folder.load_suite(), folder.load_manifest()
    before, now = old_suite.flat(), suite.flat()
    if set(old_suite.seeds) <= set(suite.seeds):
        # More seeds leave what is there as it is.
        before.pop("seeds")
        now.pop("seeds")
    before["device"], now["device"] = old.device, manifest.device
    changed = differing_keys(before, now)
    if changed:
        what = f"this folder holds another run: {'; '.join(changed)}"
        raise ConfigError(what, "choose another --out, or --restart", str(folder.path))
    if old.data_sha256 != manifest.data_sha256:
        what = f"the data changed since this run was begun: {folder.first_change(prepared)}"
        do = "choose another --out, or --restart, or restore the data"
        raise DataError(what, do, str(folder.path))


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
