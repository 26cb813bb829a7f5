"""What the data was: a section of the report, and the stand-alone data page.

Made from the record alone: counts and names, no row of the data. What a record does not hold (an older
one, unlabelled data) leaves no blank: its chapter is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from milkreport.evaluation.records.data import DataSummary, SplitSummary
from milkreport.reporting.blocks import Cell, Chapter, Column, Fact, Figure, Row, Table, table
from milkreport.reporting.figures import class_figures
from milkreport.reporting.figures.flow import flow_diagram
from milkreport.reporting.sections.columns import build_columns
from milkreport.reporting.wording.data import (
    bad_image_rule,
    cleaning_rule,
    decoder_rule,
    duplicate_sentences,
    is_labelled,
    proof_badge,
)
from milkreport.reporting.wording.text import (
    capital,
    listing,
    numeral,
    percent,
    sentence,
    shorten,
    shorten_apart,
    whole,
    without_paths,
)
from milkreport.tables import plural

MOST_FOLD_COLUMNS = 6
MOST_TABLES = 6
MOST_NOTES = 20
MOST_VARIANTS = 5  # sizes, modes or formats that are named


@dataclass(frozen=True)
class DataView:
    """What the data was, chapter by chapter."""

    chapters: tuple[Chapter, ...]

    @property
    def figures(self) -> tuple[Figure, ...]:
        """All drawings, in reading order."""
        return tuple(figure for chapter in self.chapters for figure in chapter.figures)


def build_data(
    data: DataSummary, classes: Sequence[str], splits: Sequence[SplitSummary]
) -> DataView:
    """Everything a reader learns of the data. *splits* is empty where nothing was split."""
    chapters = (
        _inclusion(data, splits),
        _classes(data, classes, splits),
        build_columns(data, classes),
        _images(data),
        _duplicates(data),
        _source(data),
    )
    return DataView(tuple(chapter for chapter in chapters if not chapter.is_empty))


def _inclusion(data: DataSummary, splits: Sequence[SplitSummary]) -> Chapter:
    removed = sum(exclusion.n for exclusion in data.exclusions)
    caption = f"From the {data.units} in the tables to those that were used"
    caption += " and the parts they went to." if splits else "."
    if not removed:
        caption += f" No {data.unit} was removed."
    rules = [cleaning_rule(data), bad_image_rule(data) if data.on_bad_image else ""]
    return Chapter(
        "data-inclusion",
        "Inclusion and split" if splits else "Inclusion",
        texts=(" ".join(rule for rule in rules if rule),),
        figures=(Figure("data-flow", caption, flow_diagram("data-flow", data, splits)),),
        badge=proof_badge(data, data.proof) if data.proof else None,
    )


def _classes(data: DataSummary, classes: Sequence[str], splits: Sequence[SplitSummary]) -> Chapter:
    if not is_labelled(data):
        none = f"No labels: none of the {plural(data.n_used, data.unit, data.units)} has one."
        return Chapter("data-classes", "Classes", texts=(none,))
    caption = f"{capital(data.units)} by class, all that were used"
    caption += " and by part (log scale)." if splits else " (log scale)."
    if len(classes) > class_figures.MOST_CLASSES:
        caption += f" The {class_figures.MOST_CLASSES} largest of {whole(len(classes))} classes."
    svg = class_figures.class_distribution("distribution", data, classes, splits)
    return Chapter(
        "data-classes",
        "Classes",
        tables=(_class_table(data, classes, splits),),
        figures=(Figure("distribution", caption, svg),),
    )


def _images(data: DataSummary) -> Chapter:
    facts = []
    if data.n_images:
        size = f" of {data.image_size} × {data.image_size} px" if data.image_size else ""
        views = listing(shorten(name) for name in data.views)
        by_view = f", by view: {views}" if views else ""
        facts.append(Fact("Images used", f"{whole(data.n_images)}{size}{by_view}"))
    if data.image_size and data.decoder:
        facts.append(Fact("Decoder", decoder_rule(data)))
    tables = (_image_table(data),) if data.images else ()
    return Chapter("data-images", "Images", tables=tables, facts=tuple(facts))


def _image_table(data: DataSummary) -> Table:
    columns = [Column("View", text=True), Column("Files")]
    columns += [Column(title, text=True) for title in ("Size in pixels", "Mode", "Format")]
    rows = []
    for image in data.images:
        sizes = {size.replace(" x ", " × "): n for size, n in image.sizes.items()}
        cells = [Cell(shorten(image.view)), Cell(whole(image.n))]
        cells += [Cell(_variants(c), kind="text") for c in (sizes, image.modes, image.formats)]
        rows.append(Row(tuple(cells)))
    return table("images", "Sound image files by view, as they lie on disk.", tuple(columns), rows)


def _variants(counts: dict[str, int]) -> str:
    """``600 × 450`` where all are the same, else the most frequent with their counts."""
    if len(counts) < 2:
        return "".join(shorten(name, 30) for name in counts) or "none"
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    named = [f"{shorten(name, 30)} ({whole(n)})" for name, n in ordered[:MOST_VARIANTS]]
    if others := ordered[MOST_VARIANTS:]:
        n = sum(n for _, n in others)
        named.append(f"{plural(len(others), 'other', 'others')} ({whole(n)})")
    return ", ".join(named)


def _duplicates(data: DataSummary) -> Chapter:
    if data.duplicates is None:
        texts: tuple[str, ...] = ()
        if data.duplicate_groups:
            groups = plural(data.duplicate_groups, "group", "groups")
            texts = (f"{groups} of {data.units} with identical content; each stays in one part.",)
        return Chapter("data-duplicates", "Duplicates", texts=texts)
    rule = sentence(shorten(without_paths(data.duplicates.rule), 240))
    return Chapter(
        "data-duplicates",
        "Duplicates",
        texts=duplicate_sentences(data, data.duplicates),
        facts=(Fact("Rule", rule),) if rule else (),
    )


def _source(data: DataSummary) -> Chapter:
    facts = [Fact("Layout", shorten(without_paths(data.layout), 400))] if data.layout else []
    if data.tables:
        named = [
            f"{shorten(without_paths(name), 60)} (SHA-256 {shorten(digest[:12], 12)})"
            for name, digest in data.tables.items()
        ]
        if more := named[MOST_TABLES:]:
            named = [*named[:MOST_TABLES], f"{numeral(len(more))} more"]
        facts.append(Fact("Tables", listing(named)))
    notes = tuple(shorten(without_paths(note), 400) for note in data.notes[:MOST_NOTES])
    return Chapter("data-source", "Source", facts=tuple(facts), remarks=notes)


def _class_table(
    data: DataSummary, classes: Sequence[str], splits: Sequence[SplitSummary]
) -> Table:
    columns = [Column("Class", text=True)]
    titled = any(data.class_titles.get(name) for name in classes)
    columns += [Column("Name", text=True)] if titled else []
    columns += [Column("Used"), Column("Share")]
    parts = _part_columns(splits)
    columns += [Column(title) for title, _ in parts]
    rows = []
    for short, name in zip(shorten_apart(classes, 40), classes, strict=True):
        n = data.class_counts.get(name, 0)
        cells = [Cell(short)]
        title = shorten(data.class_titles.get(name, ""), 70)
        cells += [Cell(title, kind="text")] if titled else []
        cells += [Cell(whole(n)), Cell(percent(n / data.n_used if data.n_used else None, 1))]
        cells += [Cell(whole(split.class_counts.get(name, 0))) for _, split in parts]
        rows.append(Row(tuple(cells)))
    total = [Cell("all classes"), *([Cell("")] if titled else [])]
    total += [Cell(whole(data.n_used)), Cell("100.0%")]
    total += [Cell(whole(split.n)) for _, split in parts]
    rows.append(Row(tuple(total), "total"))
    caption = f"{capital(data.units)} by class{' and part' if parts else ''}."
    n_folds = len({split.fold for split in splits})
    if n_folds > 1:
        shown = f" (the first {numeral(len(parts))} shown)" if len(parts) < n_folds else ""
        caption += (
            f" Each of the {numeral(n_folds)} folds{shown} is the test part once; the others are "
            "trained on."
        )
    return table("classes", caption, tuple(columns), rows, sortable=True, dense=True)


def _part_columns(splits: Sequence[SplitSummary]) -> list[tuple[str, SplitSummary]]:
    folds = sorted({split.fold for split in splits})
    if len(folds) > 1:
        test = {split.fold: split for split in splits if split.part == "test"}
        return [(f"Fold {f + 1}", test[f]) for f in folds if f in test][:MOST_FOLD_COLUMNS]
    order = ("train", "validation", "test")
    found = [split for part in order for split in splits if split.part == part and split.n]
    return [(capital(split.part), split) for split in found]
