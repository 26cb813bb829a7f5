"""One sub-folder a class, images in it: the layout of many public sets, without any table."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pandas as pd

from milkreport.data.adapters.spec import DataSpec
from milkreport.data.adapters.table import card_of
from milkreport.data.cases import IMAGE_PREFIX, Card, Cases
from milkreport.data.files.discovery import Tree, one_line
from milkreport.data.grouping import match_groups
from milkreport.errors import DataError, DataProblems, Problem
from milkreport.tables import plural, refuse_many_classes

VIEW = "image"
PARTS = {"train", "training", "val", "valid", "validation", "test", "testing"}
MOST_CLASSES = 200


def load_folder(tree: Tree, spec: DataSpec | None) -> Cases:
    """Every image is a case, its first folder below the class folders' parent is its class.

    Raises:
        DataError: the folders are parts (train, test) or no classes; a folder is no declared class.
        DataProblems: every image whose name is not UTF-8.
    """
    if spec and not spec.folder.labelled:
        return _unlabelled(tree, spec)
    base, counts = class_folders(tree)
    parts = sorted(name for name in counts if name.lower() in PARTS)
    if parts:
        what = f"the folders {', '.join(parts)} look like parts of a split, not like classes"
        do = "milkreport draws its own splits: name one part's folder, or describe all in a table"
        raise DataError(what, do, str(base))
    declared = spec.known_labels if spec else []
    if declared and (unknown := sorted(set(counts) - set(declared))):
        what = f"folder {unknown[0]!r} is no class"
        raise DataError(what, f"classes are: {', '.join(declared)}", str(base))
    if len(counts) < 2:
        what = "fewer than two folders with images: no classes to tell apart"
        raise DataError(what, "put each class's images into a folder of its own", str(base))
    refuse_many_classes(len(declared or counts), str(base))
    _refuse_odd_names(tree, base)
    table = _table(tree, base, spec.folder.group if spec else "")
    folders = plural(len(counts), "class folder", "class folders")
    return Cases(
        table=table,
        views=(VIEW,),
        features=(),
        classes=tuple(declared or sorted(counts)),
        card=card_of(spec) if spec else _card(base),
        root=tree.root,
        layout=f"{folders}, {plural(len(table), 'image', 'images')}{tree.told()}",
        extra=tuple(path for path in tree.images if path.parent == base),
    )


def _unlabelled(tree: Tree, spec: DataSpec) -> Cases:
    """Every image below the root as a case without a label."""
    if not tree.images:
        raise DataError("no image", "put JPEG or PNG files there", str(tree.root))
    _refuse_odd_names(tree, tree.root)
    return Cases(
        table=_table(tree, tree.root, spec.folder.group, labelled=False),
        views=(VIEW,),
        features=(),
        classes=tuple(spec.known_labels),
        card=card_of(spec),
        root=tree.root,
        layout=f"{plural(len(tree.images), 'image', 'images')} without labels{tree.told()}",
    )


def _refuse_odd_names(tree: Tree, base: Path) -> None:
    """Raise a DataProblems for names that can be looked at, but not written into any file as an id."""
    names = [path.relative_to(base).as_posix() for path in tree.images]
    if odd := [one_line(name) for name in names if re.search(r"[\ud800-\udfff]", name)]:
        what, do = "its name is not UTF-8", "rename the file or its folder"
        raise DataProblems([Problem("bad file name", name, what, do) for name in odd])


def class_folders(tree: Tree) -> tuple[Path, dict[str, int]]:
    """The folder whose sub-folders divide the images, and how many each holds."""
    base = tree.root
    while True:
        relative = [path.relative_to(base).parts for path in tree.images]
        counts = Counter(parts[0] if len(parts) > 1 else "" for parts in relative)
        if len(counts) != 1 or "" in counts:
            counts.pop("", None)
            return base, dict(sorted(counts.items()))
        base = base / next(iter(counts))  # a single folder wraps all of them


def is_folder_of_classes(tree: Tree) -> bool:
    """Whether the images lie in 2 to 200 folders of three images or more on average."""
    _, counts = class_folders(tree)
    return 2 <= len(counts) <= MOST_CLASSES and sum(counts.values()) >= 3 * len(counts)


def _table(tree: Tree, base: Path, group: str, labelled: bool = True) -> pd.DataFrame:
    rows: list[tuple[str, str, str | None, str]] = []
    inner = {}
    for path in tree.images:
        parts = path.relative_to(base).parts
        if labelled and len(parts) < 2:
            continue
        case = path.relative_to(base).with_suffix("").as_posix()
        inner[path.relative_to(base).as_posix()] = "/".join(parts[labelled:])
        rows.append((case, case, parts[0] if labelled else None, str(path)))
    frame = pd.DataFrame(rows, columns=["case_id", "group_id", "label", IMAGE_PREFIX + VIEW])
    if group:
        # In the order of the images, as the rows are.
        frame["group_id"] = [*match_groups(group, inner, "folder.group", of_files=True).values()]
    suffixes = frame[IMAGE_PREFIX + VIEW].map(lambda p: Path(p).suffix)
    while (twins := frame["case_id"].duplicated()).any():
        # Same name, other suffix: the suffix tells them apart, unless a third file has that name.
        frame.loc[twins, "case_id"] += suffixes[twins]
    return frame.sort_values("case_id", ignore_index=True)


def _card(base: Path) -> Card:
    return Card(
        name=base.name,
        licence="not stated",
        attribution="not stated",
        unit="image",
        units="images",
        notes=("Nothing says which images show one patient: they may stand in several parts.",),
    )
