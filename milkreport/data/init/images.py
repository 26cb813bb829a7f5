"""Which columns of an unknown table name images, and how."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from milkreport.data.files.discovery import Tree
from milkreport.data.files.image_index import ImageIndex
from milkreport.data.init.columns import MAX_TEXT, usable
from milkreport.errors import DataError
from milkreport.tables import shown

SAMPLED = 200
#: Rows from which a pattern is read: each is compared with every image.
SAMPLED_FOR_PATTERN = 20
#: Pictures of where something is, not of the thing: they are drawn when the finding is known.
_MASK = re.compile(r"mask|segm|annot|contour|heatmap|thumb", re.IGNORECASE)


@dataclass(frozen=True)
class ImageColumn:
    """A column that names images. ``path``: the pattern around its cells. ``found``: a file a row."""

    column: str
    path: str
    found: pd.Series[Any]

    @property
    def files(self) -> set[Path]:
        """The files that are named."""
        return set(self.found.dropna())


def find_image_columns(frame: pd.DataFrame, tree: Tree, index: ImageIndex) -> list[ImageColumn]:
    """Columns whose cells name images, one image per row, those with most images first.

    A cell may be a path, a file name, or a part of one, if it is the same part for most rows. Of columns
    that name mostly the same files the first counts.
    """
    sample = frame.iloc[:: max(1, len(frame) // SAMPLED)]
    direct = [(c, "{}") for c in usable(frame) if _is_promising(_find(sample[c], "{}", index))]
    found = _look_up(frame, direct, index)
    if not found:
        patterns = [(c, p) for c in usable(frame) for p in _patterns(frame[c], tree)]
        found = _look_up(frame, patterns, index)
    return found


def refuse_repeated(found: pd.Series[Any], cells: pd.Series[Any], table: str) -> None:
    """Raise a DataError if several rows name one image, as tables with a row per box do.

    Args:
        found: the image of each row. cells: what names it.
    """
    again = found[found.notna() & found.duplicated()]
    if not len(again):
        return
    line = again.index[0]
    first = found.index[found == again.iloc[0]][0]
    what = f"rows {first} and {line} name one image, {shown(str(cells[line]))}; "
    what += f"{len(again):,} rows repeat an image"
    do = "keep one row per image, with the label of the whole image: a case is an image, not a box in it"
    raise DataError(what, do, f"{table}:{line}:{cells.name}")


def refuse_rows_of_boxes(frame: pd.DataFrame, index: ImageIndex, table: str) -> None:
    """Raise a DataError if a column names images, each in several rows."""
    for column in usable(frame):
        found = _find(frame[column], "{}", index)
        if 2 * found.count() >= len(found) and found.nunique() > 1:
            refuse_repeated(found, frame[column], table)


def view_names(images: Sequence[ImageColumn]) -> list[str]:
    """A short name for each: of its column, or of what tells its file names from the others'."""
    if len(images) == 1:
        return ["image"]
    named = [image.column for image in images]
    if len(set(named)) < len(named):
        named = [re.sub(r"\.\w+$", "", image.path).replace("{}", "") for image in images]
    return slugs(named)


def slugs(texts: Sequence[str]) -> list[str]:
    """Distinct names of views that a description allows."""
    names: list[str] = []
    for position, text in enumerate(texts, 1):
        name = re.sub(r"[^A-Za-z0-9]+", "_", text).strip("_")[:40].lower()
        if not name or name == "case" or name in names:
            name = f"view_{position}"
        while name in names:
            name += f"_{position}"
        names.append(name)
    return names


def _look_up(
    frame: pd.DataFrame, candidates: Sequence[tuple[str, str]], index: ImageIndex
) -> list[ImageColumn]:
    columns = [ImageColumn(c, path, _find(frame[c], path, index)) for c, path in candidates]
    columns = [image for image in columns if _is_promising(image.found)]
    columns.sort(key=lambda image: -len(image.files))
    chosen: list[ImageColumn] = []
    seen: set[Path] = set()
    for image in columns:
        # A few files that two columns share are images without the other view.
        is_other = 2 * len(image.files & seen) < len(image.files)
        if is_other and 2 * len(image.files) >= len(columns[0].files):
            chosen.append(image)
            seen |= image.files
    return chosen


def _find(cells: pd.Series[Any], path: str, index: ImageIndex) -> pd.Series[Any]:
    """The image of each cell; missing where there is none."""

    def find(cell: object) -> Path | None:
        if not isinstance(cell, str) or len(cell) > MAX_TEXT:
            return None
        try:
            return index.find(path.replace("{}", cell))
        except DataError:  # outside the folder, or not to be told apart
            return None

    return pd.Series([find(cell) for cell in cells], index=cells.index, dtype=object)


def _is_promising(found: pd.Series[Any]) -> bool:
    """Half of the rows have an image, and (nearly) each its own: an age may be called as a file, too."""
    known = found.dropna()
    return 2 * len(known) >= len(found) and known.nunique() >= max(1, 0.9 * len(known))


def _patterns(cells: pd.Series[Any], tree: Tree) -> list[str]:
    """Patterns around the cells under which most of them name an image."""
    if cells.isna().any() or not cells.is_unique or cells.str.len().max() > MAX_TEXT:
        return []
    names = [path.relative_to(tree.root).as_posix() for path in tree.images]
    sample = cells.iloc[:: max(1, len(cells) // SAMPLED_FOR_PATTERN)]
    hits = Counter(
        name.replace(cell, "{}")
        for cell in sample
        for name in names
        if name.count(cell) == 1 and "{" not in name
    )
    likely = [pattern for pattern, n in hits.items() if 2 * n >= len(sample)]
    return sorted(pattern for pattern in likely if not _MASK.search(pattern)) or sorted(likely)
