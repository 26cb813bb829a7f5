"""MILK10k as :class:`Cases`: the archive's tables and images, in whatever layout they were unpacked.

Tables are recognised by what stands in their header, never by name: ``images`` (a row an image:
``MILK10k_Training_Metadata.csv``, in the DOI bundle ``supplements/training_input.csv``) and ``truth`` (a
row a lesion, one-hot). They are joined by ``lesion_id`` alone. The Supplement, and the diagnosis columns of
the DOI bundle's ``metadata.csv``, give the label away and are never read.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from milkreport.columns import read_numbers
from milkreport.data.assemble import Assembler, TextTable
from milkreport.data.cases import Card, Cases
from milkreport.data.discovery import Tree, load_any_header
from milkreport.data.image_index import ImageIndex
from milkreport.data.spec import FeatureSpec, TableSpec, ViewSpec
from milkreport.errors import DataError, DataProblems, Problem
from milkreport.parse import parse_json
from milkreport.tables import first_few, load_table, require_columns

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
_ALSO_BANNED = (
    *(f"diagnosis_{level}" for level in range(1, 6)),
    "concomitant_biopsy",
    "melanocytic",
)
_PATIENT = ("age_approx", "sex", "skin_tone_class", "site")
_KEYS = ("lesion_id", "image_type", "isic_id")
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


def load_milk10k(tree: Tree) -> Cases:
    """Read MILK10k's tables in *tree*; no image is opened.

    Raises:
        DataError: a table is missing or ambiguous. DataProblems: everything unsound in the tables.
    """
    images_file, truth_file, aside = _choose(tree)
    images, images_files = _images_table(tree, images_file)
    truth = None
    if truth_file is not None:
        truth = TextTable(_truth_table(truth_file), _name(tree, truth_file))
    index = ImageIndex(tree)
    views = {view: ViewSpec(column="isic_id", value=value) for view, value in VIEWS.items()}
    assembler = Assembler(_TABLE, views, _FEATURES, list(CLASSES), index, _ID)
    mapped = assembler.assemble(images, truth)
    labelled = _name(tree, truth_file) if truth_file else "no labels"
    found = f"{_name(tree, images_file)}, {labelled}{_left_aside(tree, aside)}"
    others = {isic for path in aside for isic in load_table(path, _KEYS)["isic_id"]}
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


def is_milk10k(tree: Tree) -> bool:
    """Whether a table in *tree* has the key columns of MILK10k's, or most of them."""
    return any(_is_like(load_any_header(path), _KEYS) for path in tree.tables)


def _choose(tree: Tree) -> tuple[Path, Path | None, list[Path]]:
    """The table of images, the table of labels if any, and image tables that no label is for."""
    headers = {path: load_any_header(path) for path in tree.tables}
    truths = [p for p, h in headers.items() if _is_truth(h)]
    described = [p for p, h in headers.items() if _is_like(h, _KEYS) and p not in truths]
    whole = [p for p in described if _is_like(headers[p], MONET)]
    images = _distinct(whole or described)
    if not images:
        looked = first_few(_name(tree, p) for p in tree.tables) or "none"
        what = "no table of MILK10k's images (lesion_id, image_type, isic_id)"
        do = f"CSV files there: {looked}; looked from {Path.cwd().name}/, set --data"
        raise DataError(what, do, str(tree.root))
    truths = _distinct(truths)
    if len(truths) > 1:
        raise _ambiguous(tree, truths, "tables of labels")
    aside: list[Path] = []
    if len(images) > 1 and truths:
        # Training and test tables side by side: the labels say which one they belong to.
        labelled = _ids(truths[0])
        aside = [path for path in images if not _ids(path) & labelled]
        images = [path for path in images if path not in aside] or images
    if len(images) > 1:
        raise _ambiguous(tree, images, "tables of images")
    return images[0], truths[0] if truths else None, aside


def _left_aside(tree: Tree, aside: Sequence[Path]) -> str:
    names = first_few(_name(tree, path) for path in aside)
    return f"; {names} left aside, its lesions have no labels" if aside else ""


def _ambiguous(tree: Tree, paths: Sequence[Path], what: str) -> DataError:
    names = " and ".join(_name(tree, path) for path in paths[:2])
    return DataError(f"two {what}: {names}", "name the folder of one of them", str(tree.root))


def _distinct(paths: Sequence[Path]) -> list[Path]:
    """Files of different content; of identical copies the first."""
    return list({path.read_bytes(): path for path in reversed(paths)}.values())[::-1]


def _ids(path: Path) -> set[str]:
    return set(load_table(path, ["lesion_id"])["lesion_id"].dropna())


def _is_like(header: Sequence[str], columns: Sequence[str]) -> bool:
    """Whether most of *columns* stand in *header*: one that is misspelt is named later."""
    return sum(column in header for column in columns) * 2 > len(columns)


def _is_truth(header: Sequence[str]) -> bool:
    return _is_like([column.upper() for column in header], list(CLASSES))


def _images_table(tree: Tree, path: Path) -> tuple[TextTable, list[Path]]:
    """The image rows, and the files they come from: columns that lack are taken from another table."""
    frame, files = load_table(path, _KEYS), [path]
    for other in tree.tables:
        lacking = [c for c in (*_PATIENT, *MONET) if c not in frame.columns]
        header = load_any_header(other)
        offered = [c for c in lacking if c in header]
        if other != path and offered and "isic_id" in header:
            more = load_table(other).drop_duplicates("isic_id")
            more = more[more["isic_id"].isin(frame["isic_id"])]
            _refuse_bad_numbers(TextTable(more[offered], _name(tree, other)))
            frame = frame.join(more.set_index("isic_id")[offered], on="isic_id")
            files.append(other)
    require_columns(frame, [*_KEYS, *_PATIENT, *MONET], str(path))
    return TextTable(frame, _name(tree, path)), files


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


def _name(tree: Tree, path: Path) -> str:
    return path.relative_to(tree.root).as_posix()


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
        guidelines=("CLEAR Derm",),
        banned_columns=(*BANNED, *_ALSO_BANNED),
        notes=(note,),
    )
