"""The run folder: the only place where rooms meet on disk, and its only reader and writer."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pandas as pd

from milkreport.atomic import disk_problem, is_temporary, write_text
from milkreport.checks.audit.findings import Audit
from milkreport.checks.verdict import Verdict
from milkreport.errors import ConfigError, DataError, EnvironmentProblem
from milkreport.evaluation.label_errors import COLUMNS as LABEL_ERRORS
from milkreport.evaluation.pooled_predictions import CaseFacts
from milkreport.evaluation.records.adherence import Adherence
from milkreport.evaluation.records.data import DataSummary, Record, SplitSummary
from milkreport.evaluation.records.results import Results
from milkreport.inside import refuse_links
from milkreport.parse import parse_json, parse_toml
from milkreport.runs.cells import Cell, CellFolder, cell_folder, hash_file
from milkreport.runs.csv_files import write_csv
from milkreport.runs.gallery_record import FOLDER as GALLERY
from milkreport.runs.gallery_record import Gallery
from milkreport.runs.manifest import Manifest
from milkreport.runs.thumbnails import load_thumbnail
from milkreport.suite.suite import Suite, build_suite
from milkreport.tables import load_table, unguard

if TYPE_CHECKING:
    from milkreport.data.prepare import Prepared

R = TypeVar("R", bound=Record)

#: Folder of a run's event files.
TENSORBOARD = "tensorboard"
#: Where none of these lies, there is no run.
_MARKS = ("manifest.json", "suite.toml", "results.json")
_OWN_FOLDERS = ("cells", "external", "figures", "export", GALLERY, TENSORBOARD)
_OWN_FILES = (
    *("report.html", "report.pdf", "checks.json", "audit.json", "results.json", "metrics.csv"),
    *("images.csv", "duplicates.csv", "removed.csv", "splits.csv", "subgroups.csv", "groups.csv"),
    *("data.json", "mistakes.csv", "confusions.csv", "label_errors.csv", "differences.csv"),
    ".progress.json",
    *("registration.json", "registration.tsr", "registration.commit", "adherence.json"),
    *("suite.toml", "manifest.json"),
)


class DataRecord(Record):
    """What a run says of its data and splits, in ``data.json``."""

    data: DataSummary
    splits: list[SplitSummary]


@dataclass(frozen=True)
class RunFolder:
    """A run on disk. Every file is written whole or not at all.

    Raises:
        DataError: a link, or what is neither file nor folder, lies below the run's folder.
    """

    path: Path

    def __post_init__(self) -> None:
        # Any other folder is looked at no further: it may be large, and nothing of it is read.
        if any(os.path.lexists(self.path / name) for name in _MARKS):
            refuse_links(self.path)

    def cell(self, cell: Cell) -> CellFolder:
        """The folder of one cell."""
        return cell_folder(self.path, cell)

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
            return build_suite(parse_toml(path.read_bytes()), str(path))
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
            if tables.get(path.name) != hash_file(path):
                return path.name
        before = load_table(self.path / "images.csv", ["file", "sha256"])
        known = dict(zip(before["file"].map(unguard), before["sha256"], strict=True))
        for file, sha256 in zip(prepared.images["file"], prepared.images["sha256"], strict=True):
            if known.get(file or None) != (sha256 or None):
                return str(file)
        or_said = ", or milkreport.toml changed" if prepared.cases.description else ""
        return f"files were added or removed{or_said}"

    def load_data(self) -> DataRecord:
        """What the data and splits of this run were."""
        return self._load_record("data.json", DataRecord)

    def write_adherence(self, adherence: Adherence) -> None:
        """Write ``adherence.json``: the run's registration, its deviations and the ledger's count."""
        self._write_record("adherence.json", adherence)

    def load_adherence(self) -> Adherence | None:
        """What the run says of its registration; ``None`` for an evaluation, or a run of an older version."""
        if not (self.path / "adherence.json").is_file():
            return None
        return self._load_record("adherence.json", Adherence)

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
        """The mistakes gallery, if one was made, and its thumbnails by name, made anew of their pixels."""
        place = self.path / GALLERY
        if not (place / "gallery.json").is_file():
            return None
        gallery = self._load_record(f"{GALLERY}/gallery.json", Gallery)
        files = {shown.file for m in gallery.mistakes for shown in m.images}
        files |= {shown.heat for m in gallery.mistakes for shown in m.images if shown.heat}
        there = [name for name in sorted(files) if (place / name).is_file()]
        return gallery, {name: load_thumbnail(place / name) for name in there}

    def load_label_errors(self) -> pd.DataFrame | None:
        """Labels to look at again, numbers as text; ``None`` if there are none, or none were looked for."""
        path = self.path / "label_errors.csv"
        if not path.is_file() or path.read_bytes().count(b"\n") < 2:
            return None  # a header alone
        return load_table(path, LABEL_ERRORS).map(unguard)

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
            return kind.model_validate(parse_json(path.read_bytes()))
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
        if lacks == "suite.toml" and self.is_run():
            what = "an evaluation of predictions: nothing is trained in it"
            do = "read its report; of a suite, give the --out of its run-all"
            return DataError(what, do, str(self.path))
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
