"""Whatever lies in a folder, a zip or a description, as :class:`Cases`: found by content."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal

from milkreport.data.adapters.folder import is_folder_of_classes, load_folder
from milkreport.data.adapters.milk10k import load_milk10k
from milkreport.data.adapters.milk10k_tables import describe_export, is_milk10k
from milkreport.data.adapters.relabel import relabel
from milkreport.data.adapters.spec import SPEC_NAME, DataSpec, load_spec
from milkreport.data.adapters.table import load_described
from milkreport.data.cases import Cases
from milkreport.data.files.discovery import Tree, arrays_unread, survey
from milkreport.data.roots import stay_below
from milkreport.data.stems import with_stem_remark
from milkreport.errors import ConfigError, DataError
from milkreport.tables import first_few, plural

Adapter = Literal["auto", "milk10k", "table", "folder"]


def load_cases(
    source: Path,
    adapter: Adapter,
    cache: Path,
    notice: Callable[[str], None] = lambda line: None,
) -> Cases:
    """Read the tables of a data set and find its images; none is opened.

    Args:
        source: a folder, a zip, or a ``milkreport.toml``.
        adapter: ``auto``: a ``milkreport.toml`` decides, else MILK10k's tables, else class folders.
        cache: where a zip is unpacked that lies in a folder that cannot be written.
        notice: told about work that takes time.

    Raises:
        ConfigError: the description is unsound, or is not one for *adapter*.
        DataError: nothing known lies there, or its description names what lies outside its folder.
        DataProblems: all that is unsound in the tables.
    """
    spec, tree = find_data(source, cache, notice)
    cases = _load(source, adapter, spec, tree)
    outside = [
        f"{link.name} is a link that leads out of the folder: not followed" for link in tree.links
    ]
    return replace(cases, remarks=(*cases.remarks, *outside))


def _load(source: Path, adapter: Adapter, spec: DataSpec | None, tree: Tree) -> Cases:
    if spec is not None:
        if adapter not in ("auto", spec.adapter):
            what = f"describes data for the adapter {spec.adapter}, not {adapter}"
            raise ConfigError(what, "set data.adapter to auto", SPEC_NAME)
        return replace(relabel(_follow(spec, tree), spec), description=spec.fingerprint())
    if adapter == "table":
        what = f"no {SPEC_NAME} there"
        raise DataError(what, f"write one: milkreport data init {source}", str(source))
    if adapter == "milk10k" or (adapter == "auto" and is_milk10k(tree)):
        return load_milk10k(tree)
    if adapter == "folder" or is_folder_of_classes(tree):
        return with_stem_remark(load_folder(tree, None), ["milkreport.toml: [folder] group"])
    if tree.arrays and not tree.tables and not tree.images:
        raise arrays_unread(tree.arrays[0])
    tables = first_few(path.relative_to(tree.root).as_posix() for path in tree.tables)
    what = (
        f"neither {SPEC_NAME}, nor MILK10k's tables, nor one folder a class: "
        f"{plural(len(tree.images), 'image', 'images')}, CSV files: {tables or 'none'}{describe_export(tree)}"
    )
    do = f"describe it: milkreport data init {source}"
    if not tree.tables and not tree.images:
        do = f"looked from {Path.cwd().name}/; name the folder of the data"
    raise DataError(what, do, str(source))


def _follow(spec: DataSpec, tree: Tree) -> Cases:
    if spec.adapter == "milk10k":
        cases = load_milk10k(tree, spec.truth)
        card = replace(cases.card, notes=(*cases.card.notes, *spec.notes))
        if not card.synthetic:
            card = replace(card, name=spec.name)
        return replace(cases, card=card)
    if spec.adapter == "folder":
        return with_stem_remark(load_folder(tree, spec), ["[folder] group"])
    keys = ["[table] group_pattern", "[table] group_path"]
    return with_stem_remark(load_described(tree, spec), keys)


def find_data(
    source: Path, cache: Path, notice: Callable[[str], None] = lambda line: None
) -> tuple[DataSpec | None, Tree]:
    """The description of the data, if there is one, and the files it speaks of.

    Raises:
        DataError: the description, or what it names as ``root``, leads out of the folder; there are several.
    """
    if source.suffix == ".toml":
        return _read_description(source, source.parent, cache, notice)
    # Not Path.is_file, which raises where a name is too long or a folder may not be entered.
    if os.path.isfile(source / SPEC_NAME):
        return _read_description(source / SPEC_NAME, source, cache, notice)
    tree = survey(source, cache, notice)
    # A zip may hold its description, perhaps in the one folder that wraps all.
    inside = [tree.root / SPEC_NAME, *sorted(tree.root.glob(f"*/{SPEC_NAME}"))]
    found = [path for path in inside if path.is_file()]
    if found and (len(found) == 1 or found[0] == inside[0]):
        return _read_description(found[0], tree.root, cache, notice)
    if found:
        names = " and ".join(path.relative_to(tree.root).as_posix() for path in found[:2])
        do = "unpack the zip and name one of them" if source.is_file() else "name one of them"
        raise DataError(f"several descriptions: {names}", do, str(source))
    return None, tree


def _read_description(
    path: Path, folder: Path, cache: Path, notice: Callable[[str], None]
) -> tuple[DataSpec, Tree]:
    """The description *path* of data in *folder*, and the files it speaks of."""
    real = stay_below(path.absolute(), folder, "the description of the data")
    spec = load_spec(path)
    return spec, survey(stay_below(spec.root, real.parent, "root", str(path)), cache, notice)
