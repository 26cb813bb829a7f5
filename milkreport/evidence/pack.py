"""What a report of a run carries, packed: the same run gives the same bytes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass

from milkreport import __version__
from milkreport.atomic import disk_problem
from milkreport.checks.audit.findings import Audit
from milkreport.checks.verdict import Verdict
from milkreport.errors import ConfigError, DataError
from milkreport.evaluation.records.data import Record
from milkreport.evaluation.records.results import Results
from milkreport.evidence.record import (
    CONTENTS,
    LEVELS,
    PREDICTIONS,
    Evidence,
    EvidenceFile,
    EvidenceRecord,
    Level,
    hash_bytes,
)
from milkreport.evidence.zips import pack_zip
from milkreport.limits import MOST_EVIDENCE
from milkreport.runs.cells import PREDICTIONS as CELL_PREDICTIONS
from milkreport.runs.cells import Cell
from milkreport.runs.corrupted import FILE as CORRUPTED
from milkreport.runs.external import external_files, external_tables
from milkreport.runs.folder import RunFolder
from milkreport.runs.manifest import Manifest, read_versions
from milkreport.suite.suite import Suite

#: Bytes of packed predictions up to which a report carries them unless asked otherwise.
MOST_UNASKED = 10_000_000
#: Tables of a run that say what is known of cases. Groups stand in the first of the first two that it has.
FACTS = ("groups.csv", "splits.csv", "subgroups.csv")
#: Files that another command left in a run folder and a report carries as they are.
_AS_THEY_ARE = ("registration.json", "registration.tsr", "registration.commit")
#: Packages whose version may move a drawing or a line of the report.
_DRAWERS = ("matplotlib", "weasyprint")
_NO_CASES = "it was asked for without single cases (--no-cases)"


@dataclass(frozen=True)
class Shows:
    """What a report shows of single cases: see :class:`milkreport.evidence.record.EvidenceRecord`."""

    cases: bool = True
    labels: bool = False
    gallery: bool = False
    pictures: bool = False


def check_level(asked: str, cases: bool) -> Level | None:
    """The level that was *asked* for; ``None``: ``full``, as far as predictions are small.

    Args:
        asked: a level, or empty. cases: whether the report may say anything of single cases.

    Raises:
        ConfigError: no such level, or ``full`` of a report without cases.
    """
    if asked and asked not in LEVELS:
        raise ConfigError(f"--evidence is {asked!r}", f"give {', '.join(LEVELS)}")
    if asked == "full" and not cases:
        what = "--evidence full carries every case, and --no-cases leaves all of them out"
        raise ConfigError(what, "give one of them")
    return next((level for level in LEVELS if level == asked), None)


def pack_run(
    folder: RunFolder,
    results: Results,
    manifest: Manifest,
    suite: Suite | None,
    verdict: Verdict | None,
    audit: Audit | None,
    level: Level | None = None,
    shows: Shows = Shows(),
    *,
    reason: str = "it was asked for so (--evidence numbers)",
) -> Evidence:
    """The evidence of a report of *folder*.

    Args:
        results: as they are drawn, which may differ from those on disk in the findings that are muted.
        level: see :func:`check_level`.
        shows: of single cases; without any, nothing of them is carried.
        reason: why *level* is ``numbers``, if it is.

    Raises:
        DataError: *level* is ``full`` and predictions are missing, or larger than anybody reads.
    """
    if level == "none":
        return _evidence("none", "", {}, shows)
    records = {"results.json": results, "manifest.json": manifest, "checks.json": verdict}
    files = {name: _bytes(record) for name, record in records.items() if record is not None}
    if audit is not None:
        files["audit.json"] = _bytes(audit)
    if suite is not None:
        files["suite.toml"] = suite.to_toml().encode()
    files |= {name: data for name in _AS_THEY_ARE if (data := _read(folder, name)) is not None}
    if level == "numbers" or not shows.cases:
        return _evidence("numbers", reason if shows.cases else _NO_CASES, files, shows)
    try:
        members = dict(_predictions(folder, results))
        most = MOST_EVIDENCE if level == "full" else MOST_UNASKED
        packed = pack_zip(members | dict(_corrupted(folder, results)))
        if len(packed) > most:  # answers to corrupted images are the first to stay behind
            packed = pack_zip(members)
        if len(packed) > most:
            what = (
                f"the predictions are {len(packed) / 1e6:,.1f} MB, more than {most / 1e6:,.0f} MB"
            )
            raise DataError(what, "carry less: --evidence numbers")
    except DataError as error:
        if level == "full":
            raise
        return _evidence("numbers", error.what, files, shows)
    return _evidence("full", "", files | {PREDICTIONS: packed}, shows)


def numbers_only(evidence: Evidence, reason: str) -> Evidence:
    """The same without anything of single cases; *reason*: why."""
    files = {name: data for name, data in evidence.files.items() if name != PREDICTIONS}
    shows = Shows(**evidence.record.model_dump(include=set(Shows.__dataclass_fields__)))
    return _evidence("numbers", reason, files, shows)


def prediction_files(results: Results) -> dict[str, tuple[str, Cell]]:
    """Names in the zip of predictions: to SHA-256 and cell, of the cells that *results* rest on."""
    found = {}
    for arm in results.arms:
        if arm.part("test") is None:
            continue
        for record in arm.cells:
            if record.status == "complete":
                cell = Cell(arm.name, record.seed, record.fold)
                name = f"{arm.name}/seed-{cell.seed}/fold-{cell.fold}.csv"
                found[name] = (record.predictions_sha256, cell)
    return found


def corrupted_files(results: Results) -> dict[str, tuple[str, Cell]]:
    """The same of answers to corrupted images, of the cells whose arms were scored so."""
    if results.robustness is None:
        return {}
    records = {
        cell: record.robustness_sha256
        for arm in results.arms
        for record in arm.cells
        for cell in [Cell(arm.name, record.seed, record.fold)]
    }
    return {
        name.removesuffix(".csv") + "-robustness.csv": (records[cell], cell)
        for name, (_, cell) in prediction_files(results).items()
        if cell.arm in results.robustness.arms and records[cell]
    }


def _corrupted(folder: RunFolder, results: Results) -> Iterator[tuple[str, bytes]]:
    for name, (sha256, cell) in corrupted_files(results).items():
        path = folder.cell(cell).path / CORRUPTED
        if path.is_file() and hash_bytes(data := path.read_bytes()) == sha256:
            yield name, data


def _predictions(folder: RunFolder, results: Results) -> Iterator[tuple[str, bytes]]:
    for name, (sha256, cell) in prediction_files(results).items():
        try:
            data = (folder.cell(cell).path / CELL_PREDICTIONS).read_bytes()
        except OSError as error:
            raise DataError(
                f"the predictions of {cell} are missing", "", str(folder.path)
            ) from error
        if sha256 not in ("", hash_bytes(data)):
            raise DataError(f"the predictions of {cell} were changed", "", str(folder.path))
        yield name, data
    for name, sha256 in external_files(results).items():
        answers = _read(folder, name)
        if answers is None or sha256 not in ("", hash_bytes(answers)):
            what = "the predictions of an external set are missing or were changed"
            raise DataError(what, "", str(folder.path / name))
        yield name, answers
    for name in external_tables(results):
        if (facts := _read(folder, name)) is not None:
            yield name, facts
    has_groups = (folder.path / "groups.csv").is_file()
    for name in FACTS:
        facts = None if name == "splits.csv" and has_groups else _read(folder, name)
        if facts is not None:
            yield name, facts


def _read(folder: RunFolder, name: str) -> bytes | None:
    path = folder.path / name
    try:
        return path.read_bytes() if path.is_file() else None
    except OSError as error:
        raise disk_problem(error, folder.path) from error


def _bytes(record: Record) -> bytes:
    return (record.model_dump_json(indent=1) + "\n").encode()


def _evidence(level: Level, reason: str, files: Mapping[str, bytes], shows: Shows) -> Evidence:
    ordered = {name: files[name] for name in CONTENTS if name in files}
    listed = [
        EvidenceFile(name=name, bytes=len(data), sha256=hash_bytes(data))
        for name, data in ordered.items()
    ]
    versions = read_versions()
    record = EvidenceRecord(
        milkreport=__version__,
        level=level,
        drawn_with={name: versions[name] for name in _DRAWERS if name in versions},
        reason=reason,
        files=listed,
        **asdict(shows),
    )
    return Evidence(record, ordered)
