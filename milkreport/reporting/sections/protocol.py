"""The arms and their protocol: what was done with the data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from milkreport.evaluation.metrics.named import define
from milkreport.evaluation.records.results import Results
from milkreport.reporting.blocks import Cell, Column, Fact, Row, Table, table
from milkreport.reporting.wording.order import detailed_names, is_many
from milkreport.reporting.wording.text import (
    decimal,
    mid_sentence,
    percent,
    sentence,
    shorten,
    whole,
    without_paths,
)
from milkreport.reporting.wording.titles import arm_title
from milkreport.suite.arms import Arm
from milkreport.suite.models import AnyModel, Classifier, Model, sees_images
from milkreport.suite.suite import Suite, Training
from milkreport.tables import plural

CORRECTIONS = {
    "none": "none",
    "weighted_loss": "class-weighted loss",
    "sampler": "weighted random sampler",
    "weighted_loss_and_sampler": "class-weighted loss and weighted random sampler",
    "effective_number_loss": "loss weighted by effective number of cases",
    "sqrt_sampler": "square-root sampler",
    "capped_sampler": "capped sampler",
    "focal_loss": "focal loss",
    "logit_adjustment": "logit adjustment",
    "label_smoothing": "label smoothing",
}

#: What an arm's inputs say, where their key alone would not.
_INPUTS = {"images": "without images", "metadata": "without metadata"}

_PRECISIONS = {
    "float32": "float32",
    "tf32": "TF32 products, float32 sums",
    "bf16": "bfloat16 products, float32 sums",
}
_OPTIMIZERS = {"adam": "Adam", "adamw": "AdamW"}

#: What takes the place of the protocol of predictions that were made elsewhere.
GIVEN = (
    "These predictions were made elsewhere. This report does not know how the models were trained and "
    "selected, or whether the scored cases were kept out of both."
)


@dataclass(frozen=True)
class ProtocolView:
    """What was done with the data."""

    arms: Table
    split_rule: str
    epoch_rule: str
    settings: tuple[tuple[str, tuple[Fact, ...]], ...]


def build_protocol(results: Results, suite: Suite | None) -> ProtocolView:
    """The arms and the settings that matter; predictions that were made elsewhere have no suite."""
    return ProtocolView(
        arms=_arms_table(results, suite),
        split_rule=sentence(without_paths(results.split_rule)),
        epoch_rule=_epoch_rule(suite) if suite else sentence(results.epoch_rule) or GIVEN,
        settings=_settings(suite) if suite else (),
    )


def _arms_table(results: Results, suite: Suite | None) -> Table:
    rows, trained = [], suite is not None
    changes = {arm.name: _changes(suite, arm) for arm in suite.arms} if suite else {}
    strengths = {arm.name: arm.amount for arm in suite.arms} if suite else {}
    # Where predictions were read from is a line an arm that says little: of many, those that are drawn.
    briefly = is_many(results) and not trained
    named = detailed_names(results) if briefly else {arm.name for arm in results.arms}
    for arm in results.arms:
        if arm.name not in named:
            continue
        cells = [Cell(arm_title(results, arm.name))]
        if trained:
            correction = CORRECTIONS.get(arm.correction, arm.correction)
            if strengths.get(arm.name):
                correction += f" ({strengths[arm.name]:g})"
            cells.append(Cell(correction, kind="text"))
            if any(changes.values()):
                cells.append(Cell(changes.get(arm.name) or "nothing", kind="text"))
        cells.append(Cell(shorten(without_paths(arm.description), 400), kind="text"))
        rows.append(Row(tuple(cells)))
    columns = [Column("Arm", text=True)]
    if trained:
        columns.append(Column("Correction for imbalance", text=True))
        if any(changes.values()):
            columns.append(Column("Changed of the suite's settings", text=True))
    columns.append(Column("What it does" if trained else "Where it comes from", text=True))
    caption = "The arms, which exclude one another." if trained else "The predictions."
    if briefly:
        caption += " Those that are drawn, and the reference arm; results.json has all."
    return table("arms", caption, tuple(columns), rows, dense=is_many(results))


def _in_epochs(suite: Suite) -> list[Arm]:
    """The arms that are trained in epochs; classical classifiers are fitted in one go."""
    return [arm for arm in suite.arms if not isinstance(suite.model_of(arm), Classifier)]


def _epoch_rule(suite: Suite) -> str:
    if not (trained := _in_epochs(suite)):
        return "Classifiers are fitted to the training part in one go; no epoch is chosen."
    if len(trained) < len(suite.arms):
        return f"{_network_rule(suite)} Classical classifiers are fitted in one go."
    return _network_rule(suite)


def _network_rule(suite: Suite) -> str:
    training = suite.training
    epochs = plural(training.epochs, "epoch", "epochs")
    if training.select == "best_validation":
        rule = (
            f"Of {epochs} the one with the best {mid_sentence(define(suite.primary_metric).title)} on the "
            "validation part is evaluated; the test part selects nothing."
        )
        if training.patience:
            patience = plural(training.patience, "epoch", "epochs")
            rule += f" A training ends after {patience} without a better one."
    else:
        rule = f"The weights after the last of {epochs} are evaluated; nothing is selected by any part."
    own = [arm for arm in _in_epochs(suite) if suite.training_of(arm) != training]
    return f"{rule} Arms that say so above are trained otherwise." if own else rule


def _settings(suite: Suite) -> tuple[tuple[str, tuple[Fact, ...]], ...]:
    data, split, training = suite.data, suite.split, suite.training
    image = f"{data.image_size} × {data.image_size} px"
    sees = any(sees_images(suite.model_of(arm), arm.inputs.images) for arm in suite.arms)
    held = {
        "support": "drawn to the given number of cases a class",
        "holdout": f"{percent(split.test_fraction)} of the cases, stratified",
        "kfold": f"{split.folds} stratified folds, each the test part once",
    }[split.kind]
    cut = percent(split.validation) + " of the rest" if split.validation else "none"
    rate = f"{training.learning_rate:g}"
    selected = "last" if training.select == "last" else "best on validation"
    trained = _in_epochs(suite)
    shared = [arm for arm in trained if suite.model_of(arm).name == suite.model.name]
    sections: list[tuple[str, tuple[Fact, ...]]] = [
        (
            "Data and split",
            (
                *([Fact("Image size", image)] if sees else []),
                Fact("Cleaning", data.cleaning),
                Fact("Test part", held),
                Fact("Validation part", cut),
                Fact("Split seed", str(split.seed)),
            ),
        ),
    ]
    seeds = Fact("Seeds", ", ".join(map(str, suite.seeds[:12])))
    threads = Fact("Threads", whole(training.threads))
    if not trained:
        return (*sections, ("Training", (seeds, threads)))
    sections += [
        (
            "Training",
            (
                seeds,
                Fact("Epochs", whole(training.epochs)),
                Fact("Epoch evaluated", selected),
                Fact("Batch size", whole(training.batch_size)),
                Fact("Optimizer", _OPTIMIZERS[training.optimizer] + f", learning rate {rate}"),
                *_extras(training),
                threads,
                Fact("Precision", _PRECISIONS[training.precision]),
                Fact("Determinism", training.determinism),
            ),
        ),
        *([(_whose(suite, shared), _model_facts(suite.model))] if shared else []),
    ]
    return tuple(sections)


def _extras(training: Training) -> list[Fact]:
    """Settings that are worth a line where they are not the plain ones."""
    facts = []
    if training.schedule != "constant" or training.warmup_epochs:
        warm = f", {training.warmup_epochs} epochs of warm-up" if training.warmup_epochs else ""
        facts.append(Fact("Learning rate's schedule", training.schedule + warm))
    if training.weight_decay:
        facts.append(Fact("Weight decay", f"{training.weight_decay:g}"))
    if training.patience:
        facts.append(Fact("Patience", plural(training.patience, "epoch", "epochs")))
    if training.augmentation != "none":
        facts.append(Fact("Augmentation", training.augmentation.replace("_", " ")))
    return facts


def _whose(suite: Suite, shared: Sequence[Arm]) -> str:
    """Heading of the suite's model: of all arms, or of those that have no other."""
    if len(shared) == len(suite.arms):
        return "Model"
    return (
        f"Model of {plural(len(shared), 'arm', 'arms')}: {', '.join(a.name for a in shared)[:60]}"
    )


def _model_facts(model: AnyModel) -> tuple[Fact, ...]:
    if not isinstance(model, Model):
        return tuple(Fact(_words(key), _shown(value)) for key, value in model.model_dump().items())
    blocks = f"{model.blocks} × {model.convolutions_per_block} convolutions"
    return (
        Fact("Name", model.name),
        Fact("Image branch", f"{blocks}, {model.hidden_units} channels"),
        Fact("Kernel", f"{model.kernel_size} × {model.kernel_size}"),
        Fact("Metadata branch", _layers(model.metadata_hidden_layers, model.metadata_width)),
        Fact("Metadata scale at the start", decimal(model.metadata_scale, 1)),
        Fact("Classifier", _layers(model.classifier_hidden_layers, model.classifier_width)),
        Fact("Output", "softmax before the loss" if model.output == "softmax" else "logits"),
    )


def _changes(suite: Suite, arm: Arm) -> str:
    """What an arm changes beside its correction, in words; empty where it changes nothing."""
    own, shared = suite.recipe(arm), suite.recipe(Arm(name="suite"))
    texts = []
    if own["model"].get("name") != shared["model"].get("name"):
        given = {k: v for k, v in arm.model.items() if k != "name"}
        texts.append(f"model {own['model']['name']}")
        texts += [f"{_words(key)} {_shown(value)}" for key, value in given.items()]
    for section in ("model", "training", "inputs"):
        if section == "model" and texts:
            continue
        for key, value in own[section].items():
            if value != shared[section][key]:
                texts.append(_INPUTS.get(key) or f"{_words(key)} {_shown(value)}")
                if key == "views":
                    texts[-1] = f"views: {', '.join(value)}"
    return "; ".join(texts)


def _words(key: str) -> str:
    return key.replace("_", " ")


def _shown(value: object) -> str:
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return shorten(without_paths(text), 80)


def _layers(n: int, width: int) -> str:
    return f"{plural(n, 'hidden layer', 'hidden layers')} of {width}"
