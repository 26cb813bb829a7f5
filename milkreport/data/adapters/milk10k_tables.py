"""Which tables of a folder are MILK10k's: that of the images, and that of the labels.

They are recognised by what stands in them, never by name: ``images`` (a row per image:
``MILK10k_Training_Metadata.csv``, in the DOI bundle ``supplements/training_input.csv``) and ``truth`` (a row
a lesion, one-hot). Other tables have columns like theirs: submissions, and exports of the ISIC Archive.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from milkreport.columns import one_hot_labels
from milkreport.data.adapters.spec import SPEC_NAME
from milkreport.data.files.discovery import Tree, load_any_header
from milkreport.data.roots import stay_below
from milkreport.errors import DataError, DataProblems
from milkreport.tables import first_few, load_table

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
MONET = (
    "MONET_ulceration_crust",
    "MONET_hair",
    "MONET_vasculature_vessels",
    "MONET_erythema",
    "MONET_pigmented",
    "MONET_gel_water_drop_fluid_dermoscopy_liquid",
    "MONET_skin_markings_pen_ink_purple_pen",
)
KEYS = ("lesion_id", "image_type", "isic_id")


def is_milk10k(tree: Tree) -> bool:
    """Whether a table in *tree* has the key columns of MILK10k's, or most, and one has what it alone has."""
    headers = [load_any_header(path) for path in tree.tables]
    own = any(_is_like(header, MONET) or _is_truth(header) for header in headers)
    return own and any(_is_like(header, KEYS) for header in headers)


def describe_export(tree: Tree) -> str:
    """Says, if *tree* holds an export of the ISIC Archive, that it is not MILK10k; else empty."""
    for path in tree.tables:
        if _is_like(load_any_header(path), KEYS) and not is_milk10k(tree):
            what = "an export of the ISIC Archive, not MILK10k: it has no MONET_ columns"
            return f" ({name_in(tree, path)} looks like {what})"
    return ""


def choose_tables(tree: Tree, truth: str = "") -> tuple[Path, Path | None, list[Path]]:
    """The table of images, the table of labels if any, and tables of either kind that are left aside.

    Args:
        truth: the table of labels, from the tree's root; empty: found by content.

    Raises:
        DataError: there is no table of images; several tables could be the one.
    """
    headers = {path: load_any_header(path) for path in tree.tables}
    truths = [p for p, h in headers.items() if _is_truth(h)]
    described = [p for p, h in headers.items() if _is_like(h, KEYS) and p not in truths]
    whole = [p for p in described if _is_like(headers[p], MONET)]
    images = _distinct(whole or described)
    if not images:
        looked = first_few(name_in(tree, p) for p in tree.tables) or "none"
        what = "no table of MILK10k's images (lesion_id, image_type, isic_id)"
        do = f"CSV files there: {looked}; looked from {Path.cwd().name}/, set --data"
        raise DataError(what, do, str(tree.root))
    if truth:
        labels: Path | None = stay_below(truth, tree.root, "truth", SPEC_NAME)
        aside = [path for path in truths if path != labels]
    else:
        labels, aside = _choose_truth(tree, _distinct(truths), images)
    if len(images) > 1 and labels is not None:
        # Training and test tables side by side: the labels say which one they belong to.
        labelled = _ids(labels)
        others = [path for path in images if not _ids(path) & labelled]
        images = [path for path in images if path not in others] or images
        aside += [path for path in others if path not in images]
    if len(images) > 1:
        names = _two(tree, images)
        raise DataError(
            f"two tables of images: {names}", "name the folder of one of them", str(tree.root)
        )
    return images[0], labels, aside


def _choose_truth(
    tree: Tree, truths: Sequence[Path], images: Sequence[Path]
) -> tuple[Path | None, list[Path]]:
    """The one of *truths* that holds labels of these images, and the others.

    Submissions have the same columns: probabilities, or answers for other lesions.
    """
    labels = [path for path in truths if _is_one_hot(path)]
    if len(labels) > 1:
        known = set().union(*map(_ids, images))
        labels = [path for path in labels if _ids(path) & known] or labels
    if len(labels) > 1:
        do = f'say which in {SPEC_NAME}: adapter = "milk10k", name = "MILK10k", '
        do += f'truth = "{name_in(tree, labels[0])}"'
        raise DataError(f"two tables of labels: {_two(tree, labels)}", do, str(tree.root))
    chosen = labels[0] if labels else None
    return chosen, [path for path in truths if path != chosen]


def _is_one_hot(path: Path) -> bool:
    """Whether most rows of a table name one class; so does one that cannot be read, which is told later."""
    try:
        frame = load_table(path)
    except DataError:
        return True
    columns = [column for column in frame.columns if column.upper() in CLASSES]
    try:
        one_hot_labels(frame, columns, path.name)
    except DataProblems as error:
        return len({problem.where.split(":")[1] for problem in error.problems}) * 2 < len(frame)
    except DataError:
        return False
    return True


def left_aside(tree: Tree, aside: Sequence[Path], truth: str = "") -> str:
    """The end of a line on the tables that are not read; *truth* as for :func:`choose_tables`."""
    if not aside:
        return ""
    names = first_few(name_in(tree, path) for path in aside)
    why = (
        f"truth names {truth}" if truth else "no labels of these lesions, or no lesion with a label"
    )
    return f"; {names} left aside: {why}"


def _two(tree: Tree, paths: Sequence[Path]) -> str:
    return " and ".join(name_in(tree, path) for path in paths[:2])


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


def name_in(tree: Tree, path: Path) -> str:
    """A file's path from the tree's root."""
    return path.relative_to(tree.root).as_posix()
