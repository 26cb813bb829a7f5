"""MILK10k as :class:`Cases`: the archive's tables and images, in whatever layout they were unpacked.

The table of images and that of labels are joined by ``lesion_id`` alone. The Supplement, and the diagnosis
columns of the DOI bundle's ``metadata.csv``, give the label away and are never read.
"""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from milkreport.columns import read_numbers
from milkreport.data.adapters.assemble import Assembler
from milkreport.data.adapters.mapped import TextTable
from milkreport.data.adapters.milk10k_tables import (
    CLASSES,
    KEYS,
    MONET,
    choose_tables,
    left_aside,
    name_in,
)
from milkreport.data.adapters.spec import FeatureSpec, TableSpec, ViewSpec
from milkreport.data.cases import Card, Cases
from milkreport.data.files.discovery import Tree, load_any_header
from milkreport.data.files.image_index import ImageIndex
from milkreport.errors import DataError, DataProblems, Problem
from milkreport.parse import parse_json
from milkreport.tables import first_few, load_table, require_columns

METADATA = "MILK10k_Training_Metadata.csv"
GROUND_TRUTH = "MILK10k_Training_GroundTruth.csv"
IMAGES = "MILK10k_Training_Input"
SYNTHETIC_MARK = "SYNTHETIC.json"

VIEWS = {"clinical": "clinical: close-up", "dermoscopic": "dermoscopic"}
MALIGNANT = ("AKIEC", "BCC", "MAL_OTH", "MEL", "SCCKA")
BANNED = ("diagnosis_full", "diagnosis_confirm_type", "invasion_thickness_interval")
_ALSO_BANNED = (
    *(f"diagnosis_{level}" for level in range(1, 6)),
    "concomitant_biopsy",
    "melanocytic",
)
_PATIENT = ("age_approx", "sex", "skin_tone_class", "site")
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")

_FEATURES = (
    FeatureSpec(column="sex", kind="categorical", title="sex"),
    FeatureSpec(column="site", kind="categorical", title="site"),
    FeatureSpec(column="age_approx", kind="numeric", low=0, high=120, title="age, years"),
    FeatureSpec(
        column="skin_tone_class",
        kind="numeric",
        low=0,
        high=5,
        title="skin tone, 0 very dark to 5 very light",
    ),
    *(
        FeatureSpec(
            column=score,
            kind="numeric",
            view=view,
            zscore=False,
            low=0,
            high=1,
            title=score.replace("_", " "),
        )
        for view in VIEWS
        for score in MONET
    ),
)
_TABLE = TableSpec(
    file=METADATA,
    rows="image",
    case="lesion_id",
    view="image_type",
    one_hot=list(CLASSES),
    truth=GROUND_TRUTH,
    slices=["image_manipulation"],
)


def load_milk10k(tree: Tree, truth: str = "") -> Cases:
    """Read MILK10k's tables in *tree*; no image is opened.

    Args:
        truth: the table of labels, from the tree's root; empty: found by content.

    Raises:
        DataError: a table is missing or ambiguous. DataProblems: everything unsound in the tables.
    """
    images_file, truth_file, aside = choose_tables(tree, truth)
    images, images_files = _images_table(tree, images_file)
    labels = None
    if truth_file is not None:
        labels = TextTable(_truth_table(truth_file), name_in(tree, truth_file))
    index = ImageIndex(tree)
    views = {view: ViewSpec(column="isic_id", value=value) for view, value in VIEWS.items()}
    assembler = Assembler(_TABLE, views, _FEATURES, list(CLASSES), index, _ID)
    mapped = assembler.assemble(images, labels)
    labelled = name_in(tree, truth_file) if truth_file else "no labels"
    found = f"{name_in(tree, images_file)}, {labelled}{left_aside(tree, aside, truth)}"
    tables = [load_table(path) for path in aside]
    others = {isic for table in tables if "isic_id" in table for isic in table["isic_id"]}
    return Cases(
        table=mapped.table,
        views=tuple(VIEWS),
        features=mapped.features,
        classes=mapped.classes,
        card=_card(_synthetic_mark(images_file, tree.root)),
        root=tree.root,
        files=(*images_files, *([truth_file] if truth_file else [])),
        layout=f"{found}; {index.layout(mapped.used)}{tree.told()}",
        extra=tuple(path for path in index.unused(mapped.used) if path.stem not in others),
        orphans=mapped.orphans,
        remarks=mapped.remarks,
        slices=mapped.slices,
        id_column=_TABLE.case,
    )


def _images_table(tree: Tree, path: Path) -> tuple[TextTable, list[Path]]:
    """The image rows, and the files they come from: missing columns are taken from another table."""
    frame, files = load_table(path, KEYS), [path]
    for other in tree.tables:
        lacking = [c for c in (*_PATIENT, *MONET) if c not in frame.columns]
        header = load_any_header(other)
        offered = [c for c in lacking if c in header]
        if other != path and offered and "isic_id" in header:
            more = load_table(other).drop_duplicates("isic_id")
            more = more[more["isic_id"].isin(frame["isic_id"])]
            _refuse_bad_numbers(TextTable(more[offered], name_in(tree, other)))
            frame = frame.join(more.set_index("isic_id")[offered], on="isic_id")
            files.append(other)
    require_columns(frame, [*KEYS, *_PATIENT, *MONET], str(path))
    return TextTable(frame, name_in(tree, path)), files


def _refuse_bad_numbers(table: TextTable) -> None:
    """Raise a DataProblems for what a joined table has wrong: once it is joined, its rows have no place."""
    problems: list[Problem] = []
    limits = {f.column: f.limits for f in _FEATURES if f.kind == "numeric"}
    for column in filter(limits.get, table.frame.columns):
        try:
            read_numbers(table.frame, column, table.name, *limits[column])
        except DataProblems as error:
            problems += error.problems
    if problems:
        raise DataProblems(problems)


def _truth_table(path: Path) -> pd.DataFrame:
    """The label rows, with class names in the archive's spelling."""
    frame = load_table(path)
    frame = frame.rename(columns={c: c.upper() for c in frame.columns if c.upper() in CLASSES})
    if unknown := [c for c in frame.columns if c not in CLASSES and c != "lesion_id"]:
        do = f"classes are: {', '.join(CLASSES)}"
        if lacking := [c for c in CLASSES if c not in frame.columns]:
            do += f"; missing: {', '.join(lacking)}"
        raise DataError(f"unknown class {first_few(unknown)}", do, f"{path}:1")
    require_columns(frame, ["lesion_id", *CLASSES], str(path))
    return frame


def _synthetic_mark(table: Path, root: Path) -> Path | None:
    """The file that says that a program drew these data: beside the table, or in a folder around it."""
    folders = [folder for folder in table.parents if folder.is_relative_to(root)]
    marks = [folder / SYNTHETIC_MARK for folder in folders]
    return next((mark for mark in marks if mark.is_file() and not mark.is_symlink()), None)


def _card(mark: Path | None) -> Card:
    name, licence = "MILK10k", "CC-BY-NC 4.0"
    attribution = "MILK study team, MILK10k Benchmark, ISIC Archive, 2025, doi 10.34970/262082"
    note = "No patient identifier is published: lesions of one patient may stand in several parts."
    if mark is not None:
        try:
            made = parse_json(mark.read_bytes())
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
        synthetic=mark is not None,
        class_titles=dict(CLASSES),
        positive=MALIGNANT,
        rules=("isic",),
        guidelines=("CLAIM", "CLEAR Derm", "STARD-AI", "PROBAST+AI"),
        banned_columns=(*BANNED, *_ALSO_BANNED),
        notes=(note,),
    )
