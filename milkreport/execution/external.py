"""External test sets of a run: read before anything is trained, answered by every finished training.

The saved weights answer, after training and in the process that holds the run, whoever trained. So an
external set can change nothing that is trained or chosen, every executor gives the same answers, and a
finished run takes another set.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from milkreport.data.cases import Cases
from milkreport.data.external import External, Wanted, load_set
from milkreport.data.pixels.store import Progress
from milkreport.data.prepare import Prepared
from milkreport.errors import DataError
from milkreport.execution.tasks import Study
from milkreport.inference.trained import load_trained
from milkreport.runs.cells import Cell, hash_file
from milkreport.runs.collect import plan_cells
from milkreport.runs.csv_files import write_csv
from milkreport.runs.external import (
    ExternalRecord,
    ScoredCell,
    find_external,
    place_of,
    write_groups,
    write_record,
)
from milkreport.runs.folder import RunFolder
from milkreport.suite.models import sees_images
from milkreport.suite.suite import Suite
from milkreport.tables import first_few
from milkreport.training.answer import answer
from milkreport.training.device import pin, resolve_device
from milkreport.training.pixels import NoPixels, Pixels, choose_pixel_source

Notice = Callable[[str], None]
#: Groups are kept whole where they bind at least this share of the cases, as those of the test part.
_BOUND = 0.02


def wanted_of(suite: Suite, cases: Cases) -> Wanted:
    """What the models of *suite* read of *cases*."""
    views: dict[str, None] = {}
    images, columns = False, dict.fromkeys("")
    for arm in suite.arms:
        seen = arm.inputs.choose(cases.views)
        views |= dict.fromkeys(seen)
        images = images or sees_images(suite.model_of(arm), arm.inputs.images)
        if arm.inputs.metadata:
            read = [f.column for f in cases.features if f.view in ("case", *seen)]
            columns |= dict.fromkeys(read)
    features = tuple(f for f in cases.features if f.column in columns)
    return Wanted(cases.classes, cases.views, list(views), images, features)


def load_sets(
    folders: Mapping[str, Path],
    suite: Suite,
    own: Prepared,
    cache: Path,
    progress: Progress,
    notice: Notice,
) -> list[External]:
    """Read the external sets of a run: name to folder.

    Raises:
        DataError: see :func:`milkreport.data.external.load_set`.
    """
    wanted = wanted_of(suite, own.cases)
    return [
        load_set(name, root, suite.data, wanted, own, cache, progress, notice)
        for name, root in folders.items()
    ]


def begin_sets(folder: RunFolder, sets: Sequence[External]) -> None:
    """See that the run has no other data under the name of one of *sets*.

    Raises:
        DataError: it has.
    """
    known = {record.name: record for record in find_external(folder.path)}
    for one in sets:
        if one.name in known and known[one.name].sha256 != one.prepared.fingerprint:
            what = f"the run has an external set {one.name} of other data"
            do = f"choose another name, or delete external/{one.name} in the run folder"
            raise DataError(what, do, str(folder.path))


def score_sets(
    study: Study,
    sets: Sequence[External],
    device_name: str,
    notice: Notice,
    stop: Callable[[], int],
) -> None:
    """Have every finished training answer every set that it has not answered yet; what is done is kept.

    Args:
        stop: not 0 when it shall end after the training that is answering.

    Raises:
        DataError: a training's weights are missing or damaged.
    """
    folder = RunFolder(study.out)
    known = {record.name: record for record in find_external(folder.path)}
    for one in sets:
        record = known.get(one.name) or _begin(one)
        started, n = time.perf_counter(), 0
        pixels: Pixels | None = None
        _write_groups(folder, one)
        for cell in plan_cells(study.suite):
            if stop():
                return
            done = folder.cell(cell).load_record()
            if done is None or done.status != "complete" or not done.weights_sha256:
                continue
            scored, path = record.cell(cell), place_of(folder.path, one.name, cell)
            if (
                scored is not None
                and scored.weights_sha256 == done.weights_sha256
                and scored.predictions_sha256 == hash_file(path)
            ):
                continue
            pixels = pixels or _pixels(study, one, device_name)
            unseen = _answer(study, folder, one, cell, path, pixels)
            fresh = ScoredCell(
                arm=cell.arm,
                seed=cell.seed,
                fold=cell.fold,
                weights_sha256=done.weights_sha256,
                predictions_sha256=hash_file(path),
            )
            others = [c for c in record.cells if c != scored]
            remarks = dict.fromkeys([*record.remarks, *unseen])
            record = record.model_copy(update={"cells": [*others, fresh], "remarks": list(remarks)})
            write_record(folder.path, record)
            n += 1
        if n:
            cases = len(one.prepared.cases.table)
            seconds = time.perf_counter() - started
            notice(
                f"external set {one.name}: {cases:,} {one.prepared.cases.card.units} answered by {n:,} "
                f"trainings in {seconds:.0f} s"
            )


def _begin(one: External) -> ExternalRecord:
    cases = one.prepared.cases
    return ExternalRecord(
        name=one.name,
        source=cases.card.name,
        sha256=one.prepared.fingerprint,
        labelled=one.labelled,
        n=len(cases.table),
        remarks=list(one.remarks),
    )


def _write_groups(folder: RunFolder, one: External) -> None:
    table = one.prepared.cases.table
    groups = dict(zip(table["case_id"].astype(str), table["group_id"].astype(str), strict=True))
    if len(set(groups.values())) > (1 - _BOUND) * len(groups):
        groups = {}
    write_groups(folder.path, one.name, groups)


def _pixels(study: Study, one: External, device_name: str) -> Pixels:
    device = resolve_device(device_name)
    pin(study.suite.training, device)
    if not wanted_of(study.suite, study.prepared.cases).images:
        return NoPixels(device)
    return choose_pixel_source(one.prepared.store, device)


def _answer(
    study: Study, folder: RunFolder, one: External, cell: Cell, path: Path, pixels: Pixels
) -> list[str]:
    """Write one training's answers; returns remarks on values that it never saw."""
    model = load_trained(folder.cell(cell).path)
    pin(study.suite.training, pixels.device)
    cases = one.prepared.cases
    logs = answer(model.among(cases.views), cases.table, one.prepared.store, pixels)
    classes = model.card.classes
    # As the test part's: float32, nine digits keep it.
    values = pd.DataFrame(np.exp(logs), columns=list(classes))
    frame = pd.DataFrame({"case_id": cases.table["case_id"].to_numpy()})
    if one.labelled:
        frame = frame.assign(split="test", label=cases.table["label"].to_numpy())
    write_csv(path, frame.join(values))
    return [
        f"{column} has values that no training case had: "
        + first_few(f"{value} ({n:,})" for value, n in values.items())
        for column, values in model.card.reads.encoder.unseen(cases.table).items()
    ]
