"""A report as a source like a run folder: what it carries is laid out as the run that it was drawn from."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from milkreport.atomic import write_bytes, write_text
from milkreport.errors import DataError
from milkreport.evaluation.records.results import Results
from milkreport.evidence.pack import FACTS, corrupted_files, prediction_files
from milkreport.evidence.read import is_report, read_evidence, read_report
from milkreport.evidence.record import CONTENTS, PREDICTIONS, Evidence
from milkreport.evidence.zips import unpack_zip
from milkreport.inside import within
from milkreport.parse import parse_json
from milkreport.runs.cells import PREDICTIONS as CELL_PREDICTIONS
from milkreport.runs.corrupted import FILE as CORRUPTED
from milkreport.runs.external import external_files, external_tables
from milkreport.runs.folder import RunFolder


def load_results(evidence: Evidence, where: str) -> Results:
    """The results that a report carries.

    Raises:
        DataError: missing or damaged.
    """
    try:
        return Results.model_validate(parse_json(evidence.files["results.json"]))
    except (KeyError, ValueError) as error:
        what = "the results that it carries are missing, damaged or of another milkreport version"
        raise DataError(what, "use the version that wrote the report", where) from error


def lay_out(evidence: Evidence, out: Path, where: str) -> RunFolder:
    """Write what a report carries into the folder *out* as a run without weights and curves.

    Every name is one of ours, made of the checked names of arms, with numbers of seeds and folds.

    Raises:
        DataError: something is damaged, or not what a report carries.
    """
    results = load_results(evidence, where)
    names, corrupted = prediction_files(results), corrupted_files(results)
    members = {}
    if PREDICTIONS in evidence.files:
        outside = [*external_files(results), *external_tables(results)]
        known = [*names, *corrupted, *outside, *FACTS]
        members = unpack_zip(evidence.files[PREDICTIONS], known, f"{where}, {PREDICTIONS}")
    for name in CONTENTS:
        if name in evidence.files and name != PREDICTIONS:
            write_bytes(out / name, evidence.files[name])
    folder = RunFolder(out)
    for name, data in members.items():
        if name in names:
            write_bytes(folder.cell(names[name][1]).path / CELL_PREDICTIONS, data)
        elif name in corrupted:
            write_bytes(folder.cell(corrupted[name][1]).path / CORRUPTED, data)
        else:
            write_bytes(within(out, *name.split("/")), data)
    records = {(arm.name, c.seed, c.fold): c for arm in results.arms for c in arm.cells}
    for _, cell in names.values():
        record = records[cell.arm, cell.seed, cell.fold]
        write_text(folder.cell(cell).path / "cell.json", record.model_dump_json(indent=1))
    return folder


def load_unchanged(path: Path, with_predictions: bool = True) -> Evidence:
    """The evidence of the report *path*, every file of which is the one that its record names.

    Raises:
        NoEvidence: it carries nothing. DataError: changed, or without predictions where they are needed.
    """
    evidence = read_evidence(read_report(path), str(path))
    for name, fault in evidence.changed().items():
        raise DataError(f"{name} {fault}", "look: milkreport verify FILE", str(path))
    if with_predictions and evidence.record.level != "full":
        what = f"carries no predictions: {evidence.record.reason}"
        raise DataError(what, "use its run folder, or a report with --evidence full", str(path))
    return evidence


@contextmanager
def as_runs(*paths: Path) -> Iterator[tuple[Path, ...]]:
    """*paths*, with each report among them replaced by a run folder that is deleted at the end.

    Raises:
        DataError: see :func:`load_unchanged`.
    """
    with ExitStack() as stack:
        found = []
        for path in paths:
            if is_report(path):
                place = stack.enter_context(tempfile.TemporaryDirectory(prefix="milkreport-"))
                # Under the report's own name: comparisons are named by it.
                path = lay_out(load_unchanged(path), Path(place) / path.stem, str(path)).path
            found.append(path)
        yield tuple(found)
