"""Any table with any images, as its ``milkreport.toml`` describes it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pandas as pd

from milkreport.data.adapters.assemble import Assembler
from milkreport.data.adapters.mapped import TextTable
from milkreport.data.adapters.spec import SPEC_NAME, DataSpec
from milkreport.data.cases import Card, Cases
from milkreport.data.files.discovery import Tree
from milkreport.data.files.image_index import ImageIndex
from milkreport.data.leaks import leaky_features
from milkreport.data.roots import stay_below
from milkreport.errors import DataError
from milkreport.tables import load_table


def load_described(tree: Tree, spec: DataSpec) -> Cases:
    """Read the tables that *spec* names below ``tree.root``; no image is opened.

    Raises:
        DataError: a table is missing or lies outside the folder. DataProblems: all that is unsound in it.
    """
    assert spec.table is not None
    settings = spec.table
    path = stay_below(settings.file, tree.root, "table.file", SPEC_NAME)
    views = spec.views
    columns = {settings.case, settings.group, settings.view, *(v.column for v in views.values())}
    columns |= {feature.column for feature in spec.features} | {*settings.slices}
    labels = {settings.label, *settings.one_hot}
    frame = load_table(path, sorted((columns | (set() if settings.truth else labels)) - {""}))
    truth, files = None, [path]
    if settings.truth:
        files.append(stay_below(settings.truth, tree.root, "table.truth", SPEC_NAME))
        wanted = sorted((labels | {settings.case}) - {""})
        truth = TextTable(load_table(files[1], wanted), settings.truth)
    index = ImageIndex(tree)
    assembler = Assembler(settings, views, spec.features, spec.known_labels, index)
    mapped = assembler.assemble(TextTable(frame, settings.file), truth)
    telling = leaky_features(mapped.table, mapped.features)
    extra, named = _apart(index.unused(mapped.used), frame, index)
    elsewhere = f"; {named:,} more, which other columns name" if named else ""
    return Cases(
        table=mapped.table,
        views=tuple(views),
        features=mapped.features,
        classes=mapped.classes,
        card=card_of(spec),
        root=tree.root,
        files=tuple(files),
        layout=f"{', '.join(f.name for f in files)}; {index.layout(mapped.used)}{elsewhere}{tree.told()}",
        extra=extra,
        orphans=mapped.orphans,
        remarks=(*mapped.remarks, *telling),
        slices=mapped.slices,
        id_column=settings.case,
    )


def _apart(
    unused: tuple[Path, ...], frame: pd.DataFrame, index: ImageIndex
) -> tuple[tuple[Path, ...], int]:
    """The unused images that no cell of the table names, such as a mask's, and how many others there are."""
    by_name = {name: path for path in unused for name in (path.name, path.stem)}
    named = set()
    for column in frame.columns if unused else ():
        for cell in frame[column].dropna().unique():
            if cell.replace("\\", "/").rpartition("/")[2] in by_name:
                with suppress(DataError):  # no file name, or one of several that differ
                    named.add(index.find(cell))
    apart = tuple(path for path in unused if path not in named)
    return apart, len(unused) - len(apart)


def card_of(spec: DataSpec) -> Card:
    """What a report says about the data."""
    return Card(
        name=spec.name,
        licence=spec.licence,
        attribution=spec.attribution,
        unit=spec.unit,
        units=spec.units,
        synthetic=spec.synthetic,
        class_titles={name: title for name, title in spec.classes.items() if title},
        positive=tuple(spec.positive),
        banned_columns=tuple(spec.banned),
        notes=tuple(spec.notes),
    )
