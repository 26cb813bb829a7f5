"""Section 2 of the report: what the data was; and section 3: what was done with it."""

from __future__ import annotations

from dataclasses import dataclass

from milkreport.evaluation.results import Results, SplitSummary
from milkreport.reporting import figures
from milkreport.reporting.blocks import Cell, Column, Fact, Figure, Row, Table, table
from milkreport.reporting.text import (
    decimal,
    listing,
    numeral,
    percent,
    plural,
    sentence,
    shorten,
    whole,
    without_paths,
)
from milkreport.suite import Suite

MOST_FOLD_COLUMNS = 6

CORRECTIONS = {
    "none": "none",
    "weighted_loss": "class-weighted loss",
    "sampler": "weighted random sampler",
    "weighted_loss_and_sampler": "class-weighted loss and weighted random sampler",
}


@dataclass(frozen=True)
class DataView:
    """What the data was."""

    found: str
    removed: tuple[str, ...]
    used: str
    cleaning_rule: str
    classes: Table
    chart: Figure
    facts: tuple[Fact, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class ProtocolView:
    """What was done with it."""

    arms: Table
    split_rule: str
    epoch_rule: str
    settings: tuple[tuple[str, tuple[Fact, ...]], ...]


def build_data(results: Results) -> DataView:
    """Counts only: no row of the data reaches a report."""
    data = results.data
    units = data.units
    facts = [
        Fact("Images", f"{whole(data.n_images)} {_size(data.image_size)}, {_views(data.views)}"),
        Fact(f"Features ({whole(len(data.features))})", _features(data.features)),
    ]
    if data.imputed:
        filled = (f"{shorten(k, 40)} {whole(n)}" for k, n in data.imputed.items())
        facts.append(Fact("Missing values filled in", listing(filled)))
    if data.duplicate_groups:
        groups = plural(data.duplicate_groups, "group", "groups")
        text = f"{groups} of {units} with identical content; each group stays in one part."
        facts.append(Fact("Duplicates", text))
    caption = f"{units.capitalize()} by class, all that were used and by part (log scale)."
    chart = Figure(
        "distribution",
        caption,
        figures.class_distribution("distribution", data, results.classes, results.splits),
    )
    return DataView(
        found=plural(data.n_found, data.unit, units),
        removed=tuple(
            f"{whole(e.n)} {shorten(without_paths(e.reason), 160)}" for e in data.exclusions if e.n
        ),
        used=plural(data.n_used, data.unit, units),
        cleaning_rule=_cleaning(data.cleaning),
        classes=_class_table(results),
        chart=chart,
        facts=tuple(facts),
        notes=tuple(without_paths(n) for n in data.notes),
    )


def build_protocol(results: Results, suite: Suite) -> ProtocolView:
    """The arms and the settings that matter."""
    rows = []
    for arm in results.arms:
        correction = CORRECTIONS.get(arm.correction, arm.correction)
        rows.append(
            Row(
                (
                    Cell(shorten(arm.title or arm.name)),
                    Cell(correction, kind="text"),
                    Cell(shorten(without_paths(arm.description), 400), kind="text"),
                )
            )
        )
    columns = (
        Column("Arm", text=True),
        Column("Correction for imbalance", text=True),
        Column("What it does", text=True),
    )
    return ProtocolView(
        arms=table("arms", "The arms, which exclude one another.", columns, rows),
        split_rule=sentence(without_paths(results.split_rule)),
        epoch_rule=_epoch_rule(suite),
        settings=_settings(suite),
    )


def _views(names: list[str]) -> str:
    return f"by view: {listing(shorten(name) for name in names)}" if names else "no views"


def _size(pixels: int | None) -> str:
    return f"of {pixels} × {pixels} px" if pixels else "of their own size"


def _features(names: list[str]) -> str:
    shown = [shorten(n, 60) for n in names[:40]]
    more = f" and {numeral(len(names) - 40)} more" if len(names) > 40 else ""
    return ", ".join(shown) + more if names else "none"


def _cleaning(policy: str) -> str:
    return {
        "paper": "A case with any missing value or view is removed.",
        "strict": "No case may be incomplete.",
        "impute": (
            "Missing values are filled from the training part; a case without all views is removed."
        ),
    }.get(policy, policy)


def _class_table(results: Results) -> Table:
    data = results.data
    columns = [Column("Class", text=True)]
    titled = any(data.class_titles.get(name) for name in results.classes)
    columns += [Column("Name", text=True)] if titled else []
    columns += [Column("Used"), Column("Share")]
    parts = _part_columns(results.splits)
    columns += [Column(title) for title, _ in parts]
    rows = []
    for name in results.classes:
        n = data.class_counts.get(name, 0)
        cells = [Cell(shorten(name))]
        title = shorten(data.class_titles.get(name, ""), 70)
        cells += [Cell(title, kind="text")] if titled else []
        cells += [Cell(whole(n)), Cell(percent(n / data.n_used if data.n_used else None, 1))]
        cells += [Cell(whole(split.class_counts.get(name, 0))) for _, split in parts]
        rows.append(Row(tuple(cells)))
    total = [Cell("all classes"), *([Cell("")] if titled else [])]
    total += [Cell(whole(data.n_used)), Cell("100.0%")]
    total += [Cell(whole(split.n)) for _, split in parts]
    rows.append(Row(tuple(total), "total"))
    caption = f"{data.units.capitalize()} by class and part."
    n_folds = len({split.fold for split in results.splits})
    if n_folds > 1:
        shown = f" (the first {numeral(len(parts))} shown)" if len(parts) < n_folds else ""
        caption += (
            f" Each of the {numeral(n_folds)} folds{shown} is the test part once; the others are "
            "trained on."
        )
    return table("classes", caption, tuple(columns), rows, sortable=True, dense=True)


def _part_columns(splits: list[SplitSummary]) -> list[tuple[str, SplitSummary]]:
    folds = sorted({split.fold for split in splits})
    if len(folds) > 1:
        test = {split.fold: split for split in splits if split.part == "test"}
        return [(f"Fold {f + 1}", test[f]) for f in folds if f in test][:MOST_FOLD_COLUMNS]
    order = ("train", "validation", "test")
    found = [split for part in order for split in splits if split.part == part and split.n]
    return [(split.part.capitalize(), split) for split in found]


def _epoch_rule(suite: Suite) -> str:
    epochs = plural(suite.training.epochs, "epoch", "epochs")
    if suite.training.select == "best_validation":
        return (
            f"Of {epochs} the one with the best {suite.primary_metric.replace('_', ' ')} on the "
            "validation part is evaluated; the test part selects nothing."
        )
    return f"The weights after the last of {epochs} are evaluated; nothing is selected by any part."


def _settings(suite: Suite) -> tuple[tuple[str, tuple[Fact, ...]], ...]:
    data, split, model, training = suite.data, suite.split, suite.model, suite.training
    image = f"{data.image_size} × {data.image_size} px"
    held = {
        "support": "drawn to the given number of cases a class",
        "holdout": f"{percent(split.test_fraction)} of the cases, stratified",
        "kfold": f"{split.folds} stratified folds, each the test part once",
    }[split.kind]
    cut = percent(split.validation) + " of the rest" if split.validation else "none"
    rate = f"{training.learning_rate:g}"
    last = "softmax before the loss" if model.output == "softmax" else "logits"
    blocks = f"{model.blocks} × {model.convolutions_per_block} convolutions"
    selected = "last" if training.select == "last" else "best on validation"
    return (
        (
            "Data and split",
            (
                Fact("Image size", image),
                Fact("Cleaning", data.cleaning),
                Fact("Test part", held),
                Fact("Validation part", cut),
                Fact("Split seed", str(split.seed)),
            ),
        ),
        (
            "Training",
            (
                Fact("Seeds", ", ".join(map(str, suite.seeds[:12]))),
                Fact("Epochs", whole(training.epochs)),
                Fact("Epoch evaluated", selected),
                Fact("Batch size", whole(training.batch_size)),
                Fact("Optimizer", f"{training.optimizer.capitalize()}, learning rate {rate}"),
                Fact("Threads", whole(training.threads)),
            ),
        ),
        (
            "Network",
            (
                Fact("Name", model.name),
                Fact("Image branch", f"{blocks}, {model.hidden_units} channels"),
                Fact("Kernel", f"{model.kernel_size} × {model.kernel_size}"),
                Fact(
                    "Metadata branch",
                    _layers(model.metadata_hidden_layers, model.metadata_width),
                ),
                Fact("Metadata scale at the start", decimal(model.metadata_scale, 1)),
                Fact(
                    "Classifier",
                    _layers(model.classifier_hidden_layers, model.classifier_width),
                ),
                Fact("Output", last),
            ),
        ),
    )


def _layers(n: int, width: int) -> str:
    return f"{plural(n, 'hidden layer', 'hidden layers')} of {width}"
