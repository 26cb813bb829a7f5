"""A description of class folders: their names, and what in a path may say which images belong together."""

from __future__ import annotations

import re
from collections.abc import Sequence

from milkreport.data.adapters.folder import class_folders, load_folder
from milkreport.data.adapters.spec import FolderSpec
from milkreport.data.files.discovery import Tree
from milkreport.data.init.columns import OWNERS
from milkreport.data.init.toml_text import Proposal
from milkreport.data.stems import shared_stem

FEWEST_GROUPS = 5
_NO_LABELS = """\
Nothing tells the class of an image: these can be predicted on, not trained or scored on. If there is a
table of labels, put it below this folder, or the images of each class into a folder of its own, and begin
again."""
_NUMBERED = re.compile(rf"(?i)((?:{'|'.join(sorted(OWNERS, key=len, reverse=True))})[-_ ]?\d+)")


def describe_folder(tree: Tree) -> Proposal:
    """Guess what the class folders of *tree* say.

    Raises:
        DataError: the folders are parts of a split (train, test), not classes.
    """
    cases = load_folder(tree, None)
    base, _ = class_folders(tree)
    inner = ["/".join(path.relative_to(base).parts[1:]) for path in tree.images]
    named = [path for path in inner if path]
    stem = shared_stem(named, len(cases.classes))
    pattern = _group_pattern(named) or (stem.pattern if stem else "")
    why = ""
    if pattern:
        n_groups = len({re.search(pattern, path)[1] for path in inner if path})  # type: ignore[index]
        why = f"It finds {n_groups:,} groups of images, by their paths: do they stem from one patient each?"
    return Proposal(
        why={"folder.group": why},
        counts=cases.class_counts(),
        settings=FolderSpec(group=pattern),
        n_cases=len(cases.table),
    )


def describe_unlabelled(tree: Tree) -> Proposal:
    """A description of images of which no folder and no table tells the class."""
    names = [path.relative_to(tree.root).as_posix() for path in tree.images]
    stem = shared_stem(names, 0)
    why = ""
    if stem:
        why = f"It finds {stem.n:,} groups of images, by their names: do they stem from one patient each?"
    return Proposal(
        why={"folder.group": why, "folder.labelled": _NO_LABELS},
        counts={},
        settings=FolderSpec(group=stem.pattern if stem else "", labelled=False),
        n_cases=len(names),
    )


def _group_pattern(paths: Sequence[str]) -> str:
    """A regular expression for the part of a path that repeats most finely; empty where none does."""
    if all(_NUMBERED.search(path) for path in paths) and _repeats(
        [_NUMBERED.search(path)[1] for path in paths]  # type: ignore[index]
    ):
        return _NUMBERED.pattern
    folders = [path.split("/")[:-1] for path in paths]
    levels = []
    for level in range(min(map(len, folders))):
        values = [parts[level] for parts in folders]
        if _repeats(values):
            levels.append((len(set(values)), -level))
    if not levels:
        return ""
    _, level = max(levels)
    return "^" + "[^/]+/" * -level + "([^/]+)/"


def _repeats(values: Sequence[str]) -> bool:
    return FEWEST_GROUPS <= len(set(values)) <= len(values) / 2
