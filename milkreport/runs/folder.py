"""The run folder: the only place where rooms meet on disk, and its only reader and writer."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import socket
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pandas as pd
from filelock import FileLock, Timeout

from milkreport.atomic import disk_problem, is_temporary, sweep, write_bytes, write_text
from milkreport.checks.findings import Audit
from milkreport.checks.verdict import Verdict
from milkreport.columns import read_numbers
from milkreport.errors import ConfigError, DataError, EnvironmentProblem
from milkreport.evaluation.data_record import DataSummary, Part, Record, SplitSummary
from milkreport.evaluation.pools import CaseFacts
from milkreport.evaluation.predictions import Predictions, as_frame, load_predictions
from milkreport.evaluation.results import CellRecord, Results
from milkreport.runs.gallery_record import FOLDER as GALLERY
from milkreport.runs.gallery_record import Gallery
from milkreport.runs.manifest import Manifest, read_clock
from milkreport.suite import Suite, build_suite
from milkreport.tables import guard, load_table, unguard

if TYPE_CHECKING:
    from milkreport.data.prepare import Prepared
    from milkreport.training.cell import TrainedCell

R = TypeVar("R", bound=Record)

#: Folder of a run's event files.
TENSORBOARD = "tensorboard"
_OWN_FOLDERS = ("cells", "figures", "export", GALLERY, TENSORBOARD)
_OWN_FILES = (
    *("report.html", "report.pdf", "checks.json", "audit.json", "results.json", "metrics.csv"),
    *("images.csv", "duplicates.csv", "removed.csv", "splits.csv", "subgroups.csv", "groups.csv"),
    *("data.json", "mistakes.csv", "differences.csv", ".progress.json"),
    *("suite.toml", "manifest.json"),
)


@dataclass(frozen=True)
class Cell:
    """One training of a run: arm x seed x fold."""

    arm: str
    seed: int
    fold: int

    def __str__(self) -> str:
        return f"{self.arm}, seed {self.seed}, fold {self.fold}"


class DataRecord(Record):
    """What a run says of its data and splits, in ``data.json``."""

    data: DataSummary
    splits: list[SplitSummary]


@dataclass(frozen=True)
class RunFolder:
    """A run on disk. Every file is written whole or not at all."""

    path: Path

    def cell_path(self, cell: Cell) -> Path:
        """Folder of one cell."""
        return self.path / "cells" / cell.arm / f"seed-{cell.seed}" / f"fold-{cell.fold}"

    def checkpoint_path(self, cell: Cell) -> Path:
        """Where a cell's training keeps its progress while it lasts."""
        return self.cell_path(cell) / "checkpoints"

    def clear(self) -> None:
        """Delete the run's own files and nothing else; those that make it a run go last."""
        try:
            for name in _OWN_FOLDERS:
                if (self.path / name).is_dir():
                    shutil.rmtree(self.path / name)
            for name in _OWN_FILES:
                (self.path / name).unlink(missing_ok=True)
        except OSError as error:
            raise disk_problem(error, self.path) from error

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the run for this process.

        Raises:
            EnvironmentProblem: another process holds it, or the folder cannot be made.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise disk_problem(error, self.path) from error
        holder = self.path / ".lock-holder"
        lock = FileLock(self.path / ".lock")
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            who = holder.read_text(encoding="utf-8") if holder.is_file() else "another process"
            do = "wait for it, or use another --out"
            raise EnvironmentProblem(f"in use by {who}", do, str(self.path)) from error
        except OSError as error:
            raise disk_problem(error, self.path) from error
        try:
            sweep(self.path)
            who = f"pid {os.getpid()} on {socket.gethostname()} since {read_clock()}"
            write_text(holder, who)
            yield
        finally:
            holder.unlink(missing_ok=True)
            lock.release()
            if not self.is_run() and {path.name for path in self.path.iterdir()} <= {".lock"}:
                # Refused before it began: nothing of it stays.
                (self.path / ".lock").unlink(missing_ok=True)
                self.path.rmdir()

    def is_run(self) -> bool:
        """Whether a run was begun here, or predictions were evaluated into it."""
        begun = (self.path / "manifest.json").is_file()
        return begun and (self.has_suite or (self.path / "results.json").is_file())

    @property
    def has_suite(self) -> bool:
        """Whether this is the run of a suite; an evaluation of given predictions has none."""
        return (self.path / "suite.toml").is_file()

    def is_begun(self) -> bool:
        """Whether a manifest of ours is here: all that a run leaves that is killed at its very start."""
        try:
            self.load_manifest()
        except DataError:
            return False
        return True

    def begin(self, suite: Suite, manifest: Manifest) -> None:
        """Write what the run is, before anything is trained."""
        self.write_manifest(manifest)
        self.write_suite(suite)

    def write_manifest(self, manifest: Manifest) -> None:
        """Write the provenance."""
        self._write_record("manifest.json", manifest)

    def write_suite(self, suite: Suite) -> None:
        """Write the resolved suite."""
        write_text(self.path / "suite.toml", suite.to_toml())

    def load_suite(self) -> Suite:
        """The resolved suite of this run."""
        path = self.path / "suite.toml"
        try:
            return build_suite(tomllib.loads(path.read_text(encoding="utf-8")), str(path))
        except OSError as error:
            raise self._not_a_run() from error
        except ValueError as error:
            raise DataError(f"damaged suite: {error}", "use another run", str(path)) from error

    def load_manifest(self) -> Manifest:
        """Provenance of this run."""
        return self._load_record("manifest.json", Manifest)

    def write_tables(self, **tables: pd.DataFrame) -> None:
        """Write tables as ``NAME.csv``: which case is in which part, what was removed and why, ..."""
        for name, table in tables.items():
            write_csv(self.path / f"{name}.csv", table)

    def write_data(self, record: DataRecord) -> None:
        """Write what the data and splits are."""
        self._write_record("data.json", record)

    def first_change(self, prepared: Prepared) -> str:
        """The first file of the data that is not what it was when the run was begun."""
        tables = self.load_data().data.tables
        for path in prepared.cases.files:
            if tables.get(path.name) != _hash(path):
                return path.name
        before = load_table(self.path / "images.csv", ["file", "sha256"])
        known = dict(zip(before["file"].map(unguard), before["sha256"], strict=True))
        for file, sha256 in zip(prepared.images["file"], prepared.images["sha256"], strict=True):
            if known.get(file or None) != (sha256 or None):
                return str(file)
        return "files were added or removed"

    def load_data(self) -> DataRecord:
        """What the data and splits of this run were."""
        return self._load_record("data.json", DataRecord)

    def write_cell(self, cell: Cell, trained: TrainedCell, key: str) -> CellRecord:
        """Write a finished cell; its ``cell.json`` comes last and is the commit."""
        folder = self.cell_path(cell)
        write_csv(folder / "history.csv", trained.history)
        write_csv(folder / "predictions.csv", trained.predictions)
        write_bytes(folder / trained.card.weights_file, trained.weights)
        write_text(folder / "model.json", trained.card.model_dump_json(indent=1))
        record = CellRecord(
            seed=cell.seed,
            fold=cell.fold,
            status="complete",
            key=key,
            device=trained.device,
            seconds=trained.seconds,
            epoch_used=trained.epoch_used,
            epochs=len(trained.history),
            weights_file=trained.card.weights_file,
            card_sha256=_hash(folder / "model.json"),
            weights_sha256=trained.weights_sha256,
            predictions_sha256=_hash(folder / "predictions.csv"),
            parameters=trained.parameters,
            scalars=trained.scalars,
            exposure=trained.exposure,
            peak_memory_bytes=trained.peak_memory_bytes,
        )
        self.write_cell_record(cell, record)
        return record

    def write_cell_record(self, cell: Cell, record: CellRecord) -> None:
        """Write a cell's record alone (a failed one has nothing else)."""
        write_text(self.cell_path(cell) / "cell.json", record.model_dump_json(indent=1))

    def load_cell(self, cell: Cell) -> CellRecord | None:
        """Record of a cell; ``None`` if it was not finished."""
        path = self.cell_path(cell) / "cell.json"
        if not path.is_file():
            return None
        try:
            return CellRecord.model_validate_json(path.read_text(encoding="utf-8"))
        except ValueError:
            return None  # not ours or damaged: the cell counts as not done

    def is_sound(self, cell: Cell, record: CellRecord) -> bool:
        """Whether a finished cell's weights and predictions are still what was written."""
        folder = self.cell_path(cell)
        return (
            (folder / "history.csv").is_file()
            and record.card_sha256 in ("", _hash(folder / "model.json"))
            and _hash(folder / record.weights_file) == record.weights_sha256
            and _hash(folder / "predictions.csv") == record.predictions_sha256
        )

    def load_predictions(self, cell: Cell, classes: Sequence[str]) -> dict[Part, Predictions]:
        """Predictions of a finished cell by part."""
        return load_predictions(self.cell_path(cell) / "predictions.csv", classes)

    def write_predictions(
        self, cell: Cell, parts: Mapping[Part, Predictions], digits: int = 17
    ) -> CellRecord:
        """Write predictions that were made elsewhere as a cell without weights.

        Args:
            digits: 9 keep what a training of ours wrote, 17 whatever anybody did.
        """
        path = self.cell_path(cell) / "predictions.csv"
        write_csv(path, as_frame(parts), digits=digits)
        record = CellRecord(
            seed=cell.seed, fold=cell.fold, status="complete", predictions_sha256=_hash(path)
        )
        self.write_cell_record(cell, record)
        return record

    def load_case_facts(self) -> CaseFacts:
        """Groups and subgroups of the run's cases; nothing of what it does not hold.

        Groups of a few duplicates would change no interval; they are taken as groups where they bind at
        least 2% of the cases.
        """
        groups = self._load_groups("groups.csv")
        if not groups:
            groups = self._load_groups("splits.csv")
            if len(set(groups.values())) > 0.98 * len(groups):
                groups = {}
        subgroups = None
        if (self.path / "subgroups.csv").is_file():
            table = load_table(self.path / "subgroups.csv", ["case_id"])
            table = table.rename(columns=unguard).map(unguard)
            subgroups = table.set_index("case_id")
        return CaseFacts(groups, subgroups)

    def _load_groups(self, name: str) -> dict[str, str]:
        """Case to group; empty where there is no such table."""
        if not (self.path / name).is_file():
            return {}
        table = load_table(self.path / name, ["case_id", "group_id"])
        ids, named = table["case_id"].map(unguard), table["group_id"].map(unguard)
        return dict(zip(ids, named, strict=True))

    def load_history(self, cell: Cell) -> dict[str, list[float | None]]:
        """Curves of a finished cell: column to values by epoch."""
        path = self.cell_path(cell) / "history.csv"
        table = load_table(path, ["epoch"])
        columns = {
            str(c): read_numbers(table, str(c), str(path), -1e30, 1e30) for c in table.columns
        }
        return {
            name: [None if pd.isna(v) else float(v) for v in values]
            for name, values in columns.items()
        }

    def write_results(self, results: Results, tables: Mapping[str, pd.DataFrame]) -> None:
        """Write the tables that belong to the results (``metrics``, ``mistakes``), then ``results.json``."""
        self.write_tables(**tables)
        self._write_record("results.json", results)

    def load_results(self) -> Results:
        """Results of this run."""
        return self._load_record("results.json", Results)

    def write_verdict(self, verdict: Verdict) -> None:
        """Write ``checks.json``."""
        self._write_record("checks.json", verdict)

    def write_audit(self, audit: Audit | None) -> None:
        """Write ``audit.json``: what was found of the reference's own figures. ``None`` deletes it."""
        if audit is not None:
            self._write_record("audit.json", audit)
            return
        try:
            (self.path / "audit.json").unlink(missing_ok=True)
        except OSError as error:
            raise disk_problem(error, self.path) from error

    def load_audit(self) -> Audit | None:
        """What was found of the reference's figures, if the last reference was a published one."""
        if not (self.path / "audit.json").is_file():
            return None
        return self._load_record("audit.json", Audit)

    def load_gallery(self) -> tuple[Gallery, dict[str, bytes]] | None:
        """The mistakes gallery with its thumbnails by name, where one was made."""
        place = self.path / GALLERY
        if not (place / "gallery.json").is_file():
            return None
        gallery = self._load_record(f"{GALLERY}/gallery.json", Gallery)
        files = {shown.file for m in gallery.mistakes for shown in m.images}
        files |= {shown.heat for m in gallery.mistakes for shown in m.images if shown.heat}
        # A name from a file: nothing outside the folder.
        known = {path.name: path for path in place.glob("*.jpg")}
        return gallery, {name: known[name].read_bytes() for name in files if name in known}

    def load_verdict(self) -> Verdict | None:
        """The last verdict, if the run was checked."""
        if not (self.path / "checks.json").is_file():
            return None
        return self._load_record("checks.json", Verdict)

    def _write_record(self, name: str, record: Record) -> None:
        write_text(self.path / name, record.model_dump_json(indent=1) + "\n")

    def _load_record(self, name: str, kind: type[R]) -> R:
        path = self.path / name
        try:
            return kind.model_validate_json(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise self._not_a_run(name) from error
        except ValueError as error:
            do = "use the version that wrote it"
            if name == "results.json" and self.has_suite:
                do = "score it again: milkreport report RUN"
            raise DataError("damaged, or of another milkreport version", do, str(path)) from error

    def _not_a_run(self, lacks: str = "suite.toml") -> DataError:
        if not self.path.is_dir():
            return DataError("no such run folder", "give the --out of a run-all", str(self.path))
        if not any((self.path / name).is_file() for name in ("manifest.json", "suite.toml")):
            return DataError("no run here", "give the --out of a run-all", str(self.path))
        what = f"not a finished run: it has no {lacks}"
        return DataError(what, "run the same run-all command again", str(self.path))


def differing_keys(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Settings that differ, as ``key: old, now new``."""
    return [
        f"{key}: {old.get(key)!r}, now {new.get(key)!r}"
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key)
    ]


def refuse_foreign(folder: RunFolder) -> None:
    """Raise a ConfigError if the folder holds files and is no run."""
    if folder.path.is_file():
        raise EnvironmentProblem("is a file", "choose another --out", str(folder.path))
    if folder.path.is_dir() and not folder.is_run():
        others = {
            path.name
            for path in folder.path.iterdir()
            if not path.name.startswith(".lock") and not is_temporary(path)
        }
        if others and not (others == {"manifest.json"} and folder.is_begun()):
            what = "not a run folder and not empty"
            raise ConfigError(what, "choose another --out", str(folder.path))


def write_csv(path: Path, frame: pd.DataFrame, digits: int = 9) -> None:
    """Write a table as :func:`csv_text` gives it."""
    write_text(path, csv_text(frame, digits))


def csv_text(frame: pd.DataFrame, digits: int = 9) -> str:
    """A table without what a spreadsheet would run; 9 digits keep a float32 exactly, 17 a float64."""
    safe = frame.rename(columns=guard)
    for column in safe.columns:
        if safe[column].dtype.kind not in "fiub":
            safe[column] = safe[column].map(guard, na_action="ignore")
    return safe.to_csv(index=False, float_format=f"%.{digits}g", lineterminator="\n")


def _hash(path: Path) -> str:
    """SHA-256 of a file's bytes; empty where it lacks."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""
