"""Makes the mistakes gallery: each arm's most confident errors, thumbnails, explanations."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from milkreport.atomic import disk_problem, write_bytes, write_text
from milkreport.data.prepare import Prepared
from milkreport.data.splits import Fold
from milkreport.evaluation.records.results import Results
from milkreport.inference.trained import load_trained
from milkreport.parse import parse_json
from milkreport.runs.cells import Cell
from milkreport.runs.folder import RunFolder
from milkreport.runs.gallery_record import FOLDER, Gallery, Mistake, Shown
from milkreport.runs.thumbnails import SIDE, thumbnail
from milkreport.training.explain import Explainer, is_available

#: Mistakes an arm; a page of the report holds four.
MOST = 4
#: Tint of what speaks for the answer; rare on skin.
_TINT = np.array([0, 114, 178], np.float32)
MOST_PROBABILITIES = 4
MOST_ATTRIBUTIONS = 5


def write_gallery(
    folder: RunFolder,
    results: Results,
    mistakes: pd.DataFrame,
    prepared: Prepared,
    folds: Sequence[Fold],
) -> None:
    """Write the gallery of a finished run; does nothing where the same one is there."""
    place = folder.path / FOLDER
    rows = mistakes[mistakes["rank"] <= MOST]
    cells = {arm.name: _cells_by_case(results, arm.name, folds, prepared) for arm in results.arms}
    key = _key(results, rows)
    if _is_current(place, key):
        return
    try:
        if place.is_dir():
            shutil.rmtree(place)
    except OSError as error:
        raise disk_problem(error, place) from error
    position = {case: i for i, case in enumerate(prepared.cases.table["case_id"].astype(str))}
    made = []
    loaded: dict[Cell, Explainer] = {}
    for row in rows.to_dict("records"):
        case = str(row["case_id"])
        cell = cells[str(row["arm"])].get(case)
        if cell is not None:
            made.append(_mistake(folder, place, row, cell, prepared, position[case], loaded))
    record = Gallery(key=key, explained=is_available(), mistakes=made)
    write_text(place / "gallery.json", record.model_dump_json(indent=1) + "\n")


def _cells_by_case(
    results: Results, arm: str, folds: Sequence[Fold], prepared: Prepared
) -> dict[str, Cell]:
    """The first seed's training that has a case in its test part."""
    found = results.arm(arm)
    ids = prepared.cases.table["case_id"].astype(str).to_numpy()
    cells: dict[str, Cell] = {}
    for record in found.cells if found else ():
        if record.status == "complete":
            for case in ids[folds[record.fold].test]:
                cells.setdefault(str(case), Cell(arm, record.seed, record.fold))
    return cells


def _mistake(
    folder: RunFolder,
    place: Path,
    row: Mapping[Any, Any],
    cell: Cell,
    prepared: Prepared,
    position: int,
    loaded: dict[Cell, Explainer],
) -> Mistake:
    if cell not in loaded:
        loaded.clear()  # one network at a time
        path = folder.cell(cell).path
        loaded[cell] = Explainer(load_trained(path))
    explainer = loaded[cell]
    cases = prepared.cases
    raw = prepared.store.batch([position])[0]
    table = cases.table.iloc[[position]]
    p, why = explainer.look(raw, table, str(row["predicted"]))
    maps = dict(zip(explainer.reads.views, why.maps if why else (), strict=False))
    name = f"{row['arm']}-{row['rank']}"
    shown = []
    seen = explainer.reads.views if explainer.card.sees_images else ()
    for i, view in enumerate(cases.views):
        if view not in seen:
            continue
        plain, tinted = f"{name}-{i + 1}.jpg", ""
        write_bytes(place / plain, thumbnail(raw[i]))
        if view in maps:
            tinted = f"{name}-{i + 1}-heat.jpg"
            write_bytes(place / tinted, thumbnail(_tint(raw[i], maps[view])))
        shown.append(Shown(view=view, file=plain, heat=tinted))
    likely = sorted(p, key=lambda c: -p[c])[:MOST_PROBABILITIES]
    return Mistake(
        arm=str(row["arm"]),
        rank=int(row["rank"]),
        case_id=str(row["case_id"]),
        label=str(row["label"]),
        predicted=str(row["predicted"]),
        probability=float(row["probability"]),
        seed=cell.seed,
        fold=cell.fold,
        probabilities={c: p[c] for c in dict.fromkeys([*likely, str(row["label"])])},
        metadata=_metadata(prepared, table),
        attributions=explainer.strongest(why, MOST_ATTRIBUTIONS) if why is not None else {},
        images=shown,
    )


def _metadata(prepared: Prepared, table: pd.DataFrame) -> dict[str, str]:
    """Columns that the network saw, as a reader reads them; scores of the images are left out."""
    values = {}
    for feature in prepared.cases.features:
        value = table[feature.column].iloc[0]
        if feature.view == "case" or len(prepared.cases.features) <= 8:
            text = (
                "missing"
                if pd.isna(value)
                else f"{value:g}"
                if isinstance(value, float)
                else str(value)
            )
            values[feature.column] = text[:60]
    return values


def _tint(image: npt.NDArray[np.uint8], heat: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """The image in grey, tinted where the heat is."""
    grey = image.astype(np.float32).mean(axis=2, keepdims=True).repeat(3, axis=2)
    share = 0.75 * heat[:, :, None]
    return np.asarray(grey * (1 - share) + _TINT * share, np.uint8)


def _key(results: Results, rows: pd.DataFrame) -> str:
    weights = [cell.weights_sha256 for arm in results.arms for cell in arm.cells]
    text = json.dumps([weights, rows.to_csv(index=False), is_available(), SIDE, MOST, "seen"])
    return hashlib.sha256(text.encode()).hexdigest()


def _is_current(place: Path, key: str) -> bool:
    try:
        found = parse_json((place / "gallery.json").read_bytes())
        return Gallery.model_validate(found).key == key
    except (OSError, ValueError):
        return False
