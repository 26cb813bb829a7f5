"""External test sets in a run folder: what each is, its groups, and every trained model's answers to it.

``external/NAME/set.json`` is written last, as a record of what lies beside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pandas as pd

from milkreport.atomic import write_text
from milkreport.errors import DataError
from milkreport.evaluation.pooled_predictions import CaseFacts
from milkreport.evaluation.reading.external import ExternalPredictions
from milkreport.evaluation.reading.join import load_values
from milkreport.evaluation.reading.predictions import (
    Floats,
    Predictions,
    as_frame,
    load_predictions,
)
from milkreport.evaluation.records.data import Record
from milkreport.evaluation.records.results import Results
from milkreport.inside import FileName, within
from milkreport.parse import parse_json
from milkreport.runs.cells import Cell, hash_file
from milkreport.runs.csv_files import write_csv
from milkreport.tables import load_table, unguard

FOLDER, RECORD, GROUPS = "external", "set.json", "groups.csv"


class ScoredCell(Record):
    """One training that answered the set. ``weights_sha256``: empty of predictions made elsewhere."""

    arm: str
    seed: int
    fold: int
    weights_sha256: str = ""
    predictions_sha256: str


class ExternalRecord(Record):
    """What an external test set is, in ``set.json``.

    ``source``: name of its folder or truth. ``sha256``: of its data. ``labelled``: whether its cases have
    labels. ``n``: cases that were answered. ``remarks``: what a reader should know of it.
    """

    schema_version: int = 1
    name: FileName
    source: str
    sha256: str
    labelled: bool
    n: int
    remarks: list[str] = []
    cells: list[ScoredCell] = []

    def cell(self, cell: Cell) -> ScoredCell | None:
        """What is recorded of one training."""
        wanted = (cell.arm, cell.seed, cell.fold)
        return next((c for c in self.cells if (c.arm, c.seed, c.fold) == wanted), None)


def place_of(run: Path, name: str, cell: Cell) -> Path:
    """The file of one training's answers.

    Raises:
        DataError: a name leads out of the run, or a link is on the way.
    """
    return within(run, FOLDER, name, cell.arm, f"seed-{cell.seed}", f"fold-{cell.fold}.csv")


def find_external(run: Path) -> list[ExternalRecord]:
    """The records of a run's external sets, in the order of their names.

    Raises:
        DataError: one is damaged.
    """
    found = []
    for path in sorted((run / FOLDER).glob(f"*/{RECORD}")):
        try:
            found.append(ExternalRecord.model_validate(parse_json(path.read_bytes())))
        except (OSError, ValueError) as error:
            do = "delete its folder, and give --external again"
            raise DataError("a damaged record of an external set", do, str(path)) from error
        if found[-1].name != path.parent.name:
            do = "delete its folder, and give --external again"
            raise DataError(f"is of the set {found[-1].name[:80]!r}", do, str(path))
    return found


def write_record(run: Path, record: ExternalRecord) -> None:
    """Write ``set.json``."""
    path = within(run, FOLDER, record.name, RECORD)
    write_text(path, record.model_dump_json(indent=1) + "\n")


def write_groups(run: Path, name: str, groups: Mapping[str, str]) -> None:
    """Write which cases belong together; an older table is deleted if there are none."""
    path = within(run, FOLDER, name, GROUPS)
    if groups:
        write_csv(path, pd.DataFrame(groups.items(), columns=["case_id", "group_id"]))
    else:
        path.unlink(missing_ok=True)


def write_answers(path: Path, p: Predictions, digits: int) -> str:
    """Write labelled answers as ``predictions.csv`` is; returns the SHA-256."""
    write_csv(path, as_frame({"test": p}), digits=digits)
    return hash_file(path)


def write_given(run: Path, given: ExternalPredictions) -> ExternalPredictions:
    """Write predictions that were made elsewhere; the same with the hashes of what was written."""
    hashes: dict[str, dict[str, str]] = {}
    cells = []
    for arm, by_cell in given.arms.items():
        for (seed, fold), p in by_cell.items():
            sha256 = write_answers(place_of(run, given.name, Cell(arm, seed, fold)), p, 17)
            hashes.setdefault(arm, {})[f"{seed}/{fold}"] = sha256
            cells.append(ScoredCell(arm=arm, seed=seed, fold=fold, predictions_sha256=sha256))
    write_groups(run, given.name, given.facts.groups)
    n = len(next(iter(next(iter(given.arms.values())).values())).truth)
    record = ExternalRecord(
        name=given.name, source=given.source, sha256=given.sha256, labelled=True, n=n,
        remarks=list(given.remarks), cells=cells,
    )  # fmt: skip
    write_record(run, record)
    return ExternalPredictions(
        given.name, given.source, given.sha256, given.arms, given.sources, given.facts,
        given.remarks, hashes,
    )  # fmt: skip


def load_external(
    run: Path, classes: Sequence[str], whole: Mapping[str, Sequence[tuple[int, int]]]
) -> list[ExternalPredictions]:
    """The labelled external sets of a run.

    Args:
        whole: arm to (seed, fold) of the trainings that its results rest on. An arm of which one of them has
            not answered a set is left out of it: half of its models are another model.

    Raises:
        DataError: a record or file is damaged.
    """
    found = []
    for record in find_external(run):
        if not record.labelled:
            continue
        arms: dict[str, dict[tuple[int, int], Predictions]] = {}
        hashes: dict[str, dict[str, str]] = {}
        for arm, cells in _answered(record, whole):
            for cell in cells:
                path = place_of(run, record.name, Cell(arm, cell.seed, cell.fold))
                p = load_predictions(path, classes)["test"]
                arms.setdefault(arm, {})[cell.seed, cell.fold] = p
                hashes.setdefault(arm, {})[f"{cell.seed}/{cell.fold}"] = cell.predictions_sha256
        if arms:
            facts = CaseFacts(_load_groups(run, record.name))
            found.append(
                ExternalPredictions(
                    record.name, record.source, record.sha256, arms,
                    dict.fromkeys(arms, record.source), facts, tuple(record.remarks), hashes,
                )
            )  # fmt: skip
    return found


def load_foretold(
    run: Path, classes: Sequence[str], whole: Mapping[str, Sequence[tuple[int, int]]]
) -> tuple[list[tuple[str, str, Floats]], list[str]]:
    """The unlabelled external sets of a run: arm, what they are called, and probabilities.

    Returns:
        those of arms with one training, and a notice on the others: a forecast speaks of one model.
    """
    found: list[tuple[str, str, Floats]] = []
    notices: dict[str, None] = {}
    for record in find_external(run):
        if record.labelled:
            continue
        for arm, cells in _answered(record, whole):
            if len(cells) > 1:
                what = f"external set {record.name} is unlabelled, and a forecast is of one trained model"
                notices[f"{what}: there is none of arms with several seeds or folds."] = None
                continue
            path = place_of(run, record.name, Cell(arm, cells[0].seed, cells[0].fold))
            found.append((arm, record.name, load_values(path, classes)[2]))
    return found, list(notices)


def _answered(
    record: ExternalRecord, whole: Mapping[str, Sequence[tuple[int, int]]]
) -> Iterator[tuple[str, list[ScoredCell]]]:
    for arm, keys in whole.items():
        cells = [record.cell(Cell(arm, seed, fold)) for seed, fold in keys]
        known = [cell for cell in cells if cell is not None]
        if known and len(known) == len(cells):
            yield arm, known


def _load_groups(run: Path, name: str) -> dict[str, str]:
    path = within(run, FOLDER, name, GROUPS)
    if not path.is_file():
        return {}
    table = load_table(path, ["case_id", "group_id"])
    ids, named = table["case_id"].map(unguard), table["group_id"].map(unguard)
    return dict(zip(ids, named, strict=True))


def answered_cells(results: Results) -> Iterator[tuple[str, Cell, str]]:
    """Set, training and SHA-256 of every file of answers to an external set that *results* rest on.

    Raises:
        DataError: a place that is not ours.
    """
    known = {arm.name for arm in results.arms}
    for one in results.external:
        for arm in one.arms:
            for place, sha256 in arm.predictions_sha256.items():
                seed, _, fold = place.partition("/")
                if arm.arm not in known or not (seed.isdecimal() and fold.isdecimal()):
                    raise DataError(f"{place[:40]!r} is not a training of {arm.arm[:80]!r}")
                yield one.name, Cell(arm.arm, int(seed), int(fold)), sha256


def external_files(results: Results) -> dict[str, str]:
    """These files as paths in the run folder: to SHA-256. Raises as :func:`answered_cells`."""
    return {
        f"{FOLDER}/{name}/{cell.arm}/seed-{cell.seed}/fold-{cell.fold}.csv": sha256
        for name, cell, sha256 in answered_cells(results)
    }


def external_tables(results: Results) -> list[str]:
    """What else lies in the run folder of the external sets: their records and groups."""
    return [f"{FOLDER}/{one.name}/{name}" for one in results.external for name in (RECORD, GROUPS)]
