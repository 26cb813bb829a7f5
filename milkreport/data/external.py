"""External data brought to what a study's models read, and what it must not share with the study's own."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from milkreport.data.cases import Cases, Feature
from milkreport.data.pixels.duplicates import find_duplicates
from milkreport.data.pixels.store import Progress
from milkreport.data.prepare import Prepared, prepare
from milkreport.errors import DataError, did_you_mean
from milkreport.suite.suite import Data
from milkreport.tables import first_few


@dataclass(frozen=True)
class Wanted:
    """What the models of a study read. ``classes``: in the study's order. ``views``: whose images or columns
    are read. ``images``: whether images are. ``all_views``: of the study's data, in their order.
    """

    classes: tuple[str, ...]
    all_views: tuple[str, ...]
    views: Collection[str]
    images: bool
    features: Sequence[Feature]


@dataclass(frozen=True)
class External:
    """An external test set, ready to be answered.

    ``labelled``: whether its cases have labels; else those of ``prepared`` mean nothing. ``remarks``: what a
    reader should know of it.
    """

    name: str
    prepared: Prepared
    labelled: bool
    remarks: tuple[str, ...]


def fit(cases: Cases, name: str, wanted: Wanted) -> Cases:
    """*cases* with the study's classes in their order, and with the views and columns that are read alone.

    A case of another class could only count as wrong, whatever the model, so such classes are refused.

    Raises:
        DataError: a class that the models do not know; a view or column that is missing, or of another kind.
    """
    root, units = str(cases.root), cases.card.units
    counts = cases.table["label"].dropna().astype(str).value_counts()
    if unknown := [str(label) for label in counts.index if label not in wanted.classes]:
        listed = first_few((f"{label} ({counts[label]:,} {units})" for label in unknown), 30)
        what = f"external set {name} has classes that no training saw: {listed}"
        do = f"leave these cases out, or merge them: classes are {first_few(wanted.classes, 30)}"
        raise DataError(what, do, root)
    kinds = {feature.column: feature.kind for feature in cases.features}
    lacking = [f"the view {v}" for v in wanted.views if v not in cases.views and wanted.images]
    columns = [f.column for f in wanted.features if f.column not in kinds]
    if lacking := [*lacking, *(f"the column {c}" for c in columns)]:
        what = (
            f"external set {name}: the models read {first_few(lacking, 30)}, which it does not have"
        )
        hint = did_you_mean(columns[0], list(kinds)) if columns else ""
        do = f"{hint} its views: {', '.join(cases.views) or 'none'}; its columns: "
        raise DataError(what, do.strip() + " " + (first_few(kinds, 30) or "none"), root)
    for feature in wanted.features:
        if kinds[feature.column] != feature.kind:
            what = f"external set {name}: the column {feature.column} is {kinds[feature.column]}"
            raise DataError(what, f"the models read it as {feature.kind}: describe it so", root)
    views = tuple(v for v in wanted.all_views if v in wanted.views and v in cases.views)
    table = cases.table
    if not cases.is_labelled:
        # Cleaning asks for labels; nobody reads these.
        table = table.assign(label=wanted.classes[0])
    return replace(
        cases,
        table=table,
        classes=wanted.classes,
        views=views or cases.views,
        features=tuple(wanted.features),
    )


def load_set(
    name: str,
    root: Path,
    settings: Data,
    wanted: Wanted,
    own: Prepared,
    cache: Path,
    progress: Progress | None = None,
    notice: Callable[[str], None] = lambda line: None,
) -> External:
    """Read, decode and clean an external set by the *settings* of the study.

    Args:
        own: the study's data.

    Raises:
        DataError: it shares an image with the study's data; see :func:`fit` and ``prepare``.
    """
    labelled = True

    def adapt(cases: Cases) -> Cases:
        nonlocal labelled
        labelled = cases.is_labelled
        return fit(cases, name, wanted)

    found = prepare(root, settings, cache, progress, notice, adapt, may_skip=True)
    if not len(found.cases.table):
        raise DataError(f"external set {name} has no case that can be answered", "", str(root))
    units = found.cases.card.units
    reasons = found.cleaned.removed["reason"].value_counts()
    remarks = [f"{n:,} {units} were left out: {reason}" for reason, n in reasons.items()]
    return External(name, found, labelled, (*remarks, *refuse_shared(name, found, own)))


def refuse_shared(name: str, found: Prepared, own: Prepared) -> list[str]:
    """Remarks on ids, groups and look-alike images that the study's data have too.

    Ids of two places may be the same by chance, pixels are not.

    Raises:
        DataError: an image of the set is one of the study's, by its pixels.
    """
    seen = set(_hashes(own))
    theirs = _hashes(found)
    shared = sorted({case for image, case in theirs.items() if image in seen})
    if shared:
        what = f"external set {name} shares images with the data of this run: {first_few(shared)}"
        do = "an external test set holds other cases: leave these out"
        raise DataError(f"{what} ({len(shared):,} in all)", do, str(found.cases.root))
    remarks = []
    for column, word in (("case_id", "case ids"), ("group_id", "group ids")):
        mine = set(own.cases.table[column].astype(str))
        both = sorted(set(found.cases.table[column].astype(str)) & mine)
        if column == "group_id":
            both = [one for one in both if one not in set(found.cases.table["case_id"].astype(str))]
        if both:
            remarks.append(
                f"{len(both):,} {word} stand in the data of this run too: if they are the same patients, "
                " the set is not external"
            )
    if alike := _look_alikes(found, own):
        remarks.append(
            f"images of {len(alike):,} {found.cases.card.units} look like ones of this run's data: "
            "if they are, the set is not external"
        )
    return remarks


def _hashes(prepared: Prepared) -> dict[str, str]:
    """Hashes of the images of the cases that take part: to the case."""
    images = prepared.store.images
    sound = images[(images["problem"] == "") & (images["image_hash"] != "")]
    return dict(zip(sound["image_hash"], sound["case_id"].astype(str), strict=True))


def _look_alikes(found: Prepared, own: Prepared) -> list[str]:
    """Cases of *found* that near-duplicate links join with cases of *own*."""
    if found.cases.views != own.cases.views:
        return []  # hashes are looked for view by view
    mark = "external\0"
    theirs, images = found.cases.table, found.store.images
    renamed = {name: mark + theirs[name].astype(str) for name in ("case_id", "group_id")}
    table = pd.concat([own.cases.table, theirs.assign(**renamed)], ignore_index=True)
    records = pd.concat(
        [own.store.images, images.assign(case_id=mark + images["case_id"].astype(str))],
        ignore_index=True,
    )
    links = find_duplicates(replace(own.cases, table=table), replace(own.store, images=records))
    ids = np.array(table["case_id"])
    root = {case: case for case in ids}

    def top(case: str) -> str:
        while root[case] != case:
            root[case] = root[root[case]]
            case = root[case]
        return case

    for a, b in zip(links["case_a"], links["case_b"], strict=True):
        root[top(a)] = top(b)
    ours = {top(case) for case in ids if not case.startswith(mark)}
    return [case.removeprefix(mark) for case in ids if case.startswith(mark) and top(case) in ours]
