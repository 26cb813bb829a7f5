"""MILK10k in the archive's official layout, as :class:`Cases`.

Layout: ``MILK10k_Training_{Metadata,GroundTruth,Supplement}.csv`` and
``MILK10k_Training_Input/<lesion_id>/<isic_id>.jpg``. The tables are joined by ``lesion_id`` alone; the
Supplement gives the label away and is never read.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pandas as pd

from milkreport.data.cases import IMAGE_PREFIX, Card, Cases, Feature
from milkreport.errors import DataError
from milkreport.tables import (
    first_few,
    load_table,
    one_hot_labels,
    read_numbers,
    refuse_duplicates,
)

METADATA = "MILK10k_Training_Metadata.csv"
GROUND_TRUTH = "MILK10k_Training_GroundTruth.csv"
IMAGES = "MILK10k_Training_Input"
SYNTHETIC_MARK = "SYNTHETIC.json"

VIEWS = {"clinical": "clinical: close-up", "dermoscopic": "dermoscopic"}
CLASSES = {
    "AKIEC": "Actinic keratosis / intraepidermal carcinoma",
    "BCC": "Basal cell carcinoma",
    "BEN_OTH": "Other benign proliferations, collisions included",
    "BKL": "Benign keratinocytic lesion",
    "DF": "Dermatofibroma",
    "INF": "Inflammatory and infectious",
    "MAL_OTH": "Other malignant proliferations, collisions included",
    "MEL": "Melanoma",
    "NV": "Melanocytic nevus, any type",
    "SCCKA": "Squamous cell carcinoma / keratoacanthoma",
    "VASC": "Vascular lesions and haemorrhage",
}
MALIGNANT = ("AKIEC", "BCC", "MAL_OTH", "MEL", "SCCKA")
MONET = (
    "MONET_ulceration_crust",
    "MONET_hair",
    "MONET_vasculature_vessels",
    "MONET_erythema",
    "MONET_pigmented",
    "MONET_gel_water_drop_fluid_dermoscopy_liquid",
    "MONET_skin_markings_pen_ink_purple_pen",
)
BANNED = ("diagnosis_full", "diagnosis_confirm_type", "invasion_thickness_interval")
_PATIENT = ("age_approx", "sex", "skin_tone_class", "site")
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")

_FEATURES = (
    Feature("sex", "categorical"),
    Feature("site", "categorical"),
    Feature("age_approx", "numeric", zscore=True),
    Feature("skin_tone_class", "numeric", zscore=True),
    *(Feature(f"{score}:{view}", "numeric", view) for view in VIEWS for score in MONET),
)


def load_milk10k(root: Path) -> Cases:
    """Read MILK10k's tables below *root*; no image is opened.

    Raises:
        DataError: a table is missing or unsound, or the tables name different lesions.
    """
    if not root.is_dir():
        raise DataError("no such folder", f"looked from {Path.cwd().name}/; set --data", str(root))
    metadata_file, truth_file = root / METADATA, root / GROUND_TRUTH
    images = load_table(metadata_file, ["lesion_id", "image_type", "isic_id", *_PATIENT, *MONET])
    truth = load_table(truth_file, ["lesion_id", *CLASSES])
    _check_ids(images, metadata_file, ["lesion_id", "isic_id"])
    _check_ids(truth, truth_file, ["lesion_id"])
    refuse_duplicates(images, ["isic_id"], str(metadata_file))
    refuse_duplicates(truth, ["lesion_id"], str(truth_file))
    _check_classes(truth, truth_file)

    labels = one_hot_labels(truth, list(CLASSES), str(truth_file))
    labels.index = pd.Index(truth["lesion_id"])
    table = _one_row_a_lesion(images, root, str(metadata_file))
    _check_same_lesions(set(table.index), set(labels.index), metadata_file)
    table["label"] = labels.reindex(table.index)
    table = table.rename_axis("case_id").reset_index().sort_values("case_id", ignore_index=True)
    table["group_id"] = table["case_id"]
    return Cases(
        table=table,
        views=tuple(VIEWS),
        features=_FEATURES,
        classes=tuple(CLASSES),
        card=_card(root),
        root=root,
        files=(metadata_file, truth_file),
    )


def _one_row_a_lesion(images: pd.DataFrame, root: Path, name: str) -> pd.DataFrame:
    frame = images.copy()
    frame["age_approx"] = read_numbers(images, "age_approx", name, 0, 120)
    frame["skin_tone_class"] = read_numbers(images, "skin_tone_class", name, 0, 5)
    for score in MONET:
        frame[score] = read_numbers(images, score, name, 0, 1)
    known = frame["image_type"].isin(VIEWS.values())
    if not known.all():
        line = frame.index[~known][0]
        what = f"unknown image type {frame.loc[line, 'image_type']!r}"
        do = f"known: {', '.join(map(repr, VIEWS.values()))}"
        raise DataError(what, do, f"{name}:{line}:image_type")

    folder = root / IMAGES
    table = pd.DataFrame(index=pd.Index(sorted(set(frame["lesion_id"])), name="lesion_id"))
    for column in _PATIENT:
        # Both rows of a lesion repeat the patient's values; where they differ, the value is unknown.
        grouped = frame.groupby("lesion_id")[column]
        table[column] = grouped.first().where(grouped.nunique(dropna=True) <= 1)
    for view, image_type in VIEWS.items():
        rows = frame[frame["image_type"] == image_type]
        # A view given twice is no view: which of the two would be meant cannot be told.
        rows = rows.drop_duplicates("lesion_id", keep=False).set_index("lesion_id")
        paths = [
            str(folder / str(lesion) / f"{isic}.jpg") for lesion, isic in rows["isic_id"].items()
        ]
        table[IMAGE_PREFIX + view] = pd.Series(paths, index=rows.index, dtype=object)
        for score in MONET:
            table[f"{score}:{view}"] = rows[score]
    return table


def _check_ids(frame: pd.DataFrame, path: Path, columns: list[str]) -> None:
    for column in columns:
        for line, cell in frame[column].items():
            # Ids become file names: nothing but letters, digits, _ and - may pass.
            if not (isinstance(cell, str) and _ID.fullmatch(cell)):
                what = f"{str(cell)[:80]!r} is no id"
                do = "ids are letters, digits, _ and -, at most 64"
                raise DataError(what, do, f"{path}:{line}:{column}")


def _check_classes(truth: pd.DataFrame, path: Path) -> None:
    unknown = [c for c in truth.columns if c not in CLASSES and c != "lesion_id"]
    if unknown:
        do = f"classes are: {', '.join(CLASSES)}"
        raise DataError(f"unknown class {first_few(unknown)}", do, f"{path}:1")


def _check_same_lesions(described: set[str], labelled: set[str], path: Path) -> None:
    for ids, what in (
        (described - labelled, "lesions without ground truth"),
        (labelled - described, "labelled lesions without metadata"),
    ):
        if ids:
            do = "complete the tables"
            raise DataError(f"{len(ids)} {what}: {first_few(sorted(ids))}", do, str(path))


def _card(root: Path) -> Card:
    mark = root / SYNTHETIC_MARK
    name, licence = "MILK10k", "CC-BY-NC 4.0"
    attribution = "MILK study team, MILK10k Benchmark, ISIC Archive, 2025, doi 10.34970/262082"
    note = "No patient identifier is published: lesions of one patient may stand in several parts."
    if mark.is_file():
        try:
            made = json.loads(mark.read_text(encoding="utf-8"))
            name = f"Synthetic MILK10k ({int(made['cases'])} lesions, seed {int(made['seed'])})"
        except (ValueError, KeyError, TypeError) as error:
            raise DataError("damaged mark of synthetic data", "make it again", str(mark)) from error
        licence, attribution = "CC0", "drawn by milkreport"
        note = "Drawn by a program: these images show no patient."
    return Card(
        name=name,
        licence=licence,
        attribution=attribution,
        unit="lesion",
        units="lesions",
        synthetic=mark.is_file(),
        class_titles=dict(CLASSES),
        positive=MALIGNANT,
        banned_columns=BANNED,
        notes=(note,),
    )
