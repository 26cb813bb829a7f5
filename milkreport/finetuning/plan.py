"""The settings of a fine-tuning: those of the original training, with what was asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from milkreport.errors import ConfigError
from milkreport.finetuning.new_data import refuse_fraction
from milkreport.finetuning.options import FinetuneOptions
from milkreport.finetuning.parent import Parent
from milkreport.finetuning.record import Setting
from milkreport.suite.arms import STRENGTHS, Arm
from milkreport.suite.suite import Data, Split, Suite, Training, build_suite
from milkreport.suite.toml import validate
from milkreport.training.continued import choose_frozen
from milkreport.training.saved import without_pretraining

#: Of the cases that are not tested, for choosing the epoch.
VALIDATION = 0.2
#: Of the original learning rate.
RATE_SHARE = 0.1


@dataclass(frozen=True)
class Plans:
    """What is trained, and how. ``frozen`` and ``trained``: stages of the network."""

    suite: Suite
    arm: Arm
    training: Training
    frozen: tuple[str, ...]
    trained: tuple[str, ...]


def plan_finetuning(
    parent: Parent, options: FinetuneOptions, device: str, notice: Callable[[str], None]
) -> Plans:
    """The original training's settings with a smaller learning rate, the epoch chosen on validation.

    A warm-up and patience of the original are left out: the weights are warm, and the epochs are few.

    Args:
        device: cpu or cuda; on a CPU a network trained with TF32 goes on in float32.

    Raises:
        ConfigError: a setting out of its range, a stage that is not there, or a model without stages.
    """
    card = parent.card
    frozen, trained = choose_frozen(parent.model, options.freeze)
    refuse_fraction(options.test_fraction, VALIDATION)
    original = validate(Training, card.training, "the model's training")
    rate = options.learning_rate
    if rate is None:
        rate = original.learning_rate * RATE_SHARE
    elif not 0 < rate <= 10:
        raise ConfigError(f"--lr {rate:g}", "give more than 0, 10 at most")
    changes: dict[str, object] = {
        "learning_rate": rate,
        "epochs": options.epochs,
        "select": "best_validation",
        "warmup_epochs": 0,
        "patience": 0,
    }
    if original.precision == "tf32" and device == "cpu":
        notice("the model was trained with TF32 products, which a CPU has not: float32 is used")
        changes["precision"] = "float32"
    training = original.model_dump() | changes
    strength = {"strength": card.strength} if card.correction in STRENGTHS else {}
    name = card.arm or "model"
    suite = build_suite(
        {
            "name": "finetune",
            "title": f"Fine-tuning of {name}",
            "question": "What does fine-tuning change?",
            "primary_metric": parent.suite.primary_metric if parent.suite else "macro_f1",
            "margin": parent.suite.margin if parent.suite else None,
            "seeds": [card.seed],
            "data": _data(parent, options).model_dump(),
            "split": Split(
                seed=options.split_seed, test_fraction=options.test_fraction, validation=VALIDATION
            ).model_dump(),
            "model": without_pretraining(card.model).model_dump(),
            "training": training,
            "arms": [{"name": name, "correction": card.correction} | strength],
        },
        "fine-tuning",
    )
    return Plans(suite, suite.arms[0], suite.training, frozen, trained)


def _data(parent: Parent, options: FinetuneOptions) -> Data:
    """The rules of the original run, for whatever adapter; pixels as the model reads them."""
    base = parent.suite.data if parent.suite else Data()
    reads = parent.card.reads
    changes = {"adapter": "auto", "image_size": reads.image_size, "decoder": reads.decoder}
    if options.allow_unlabelled:
        changes["unlabelled"] = "drop"
    return base.model_copy(update=changes)


def describe_settings(
    parent: Parent, plans: Plans, options: FinetuneOptions, mapping: dict[str, str], device: str
) -> dict[str, Setting]:
    """All that the result depends on beside the new data: changed, it is another fine-tuning."""
    found: dict[str, Setting] = {
        "origin.weights_sha256": parent.card.weights_sha256,
        "freeze": plans.frozen[-1] if plans.frozen else "none",
        "allow_missing_classes": options.allow_missing,
        "ignore_ids": options.ignore_ids,
        "device": device,
    }
    found |= {f"map.{new}": old for new, old in mapping.items()}
    sections = ("training.", "split.", "data.", "primary_metric")
    for key, value in plans.suite.flat().items():
        if key.startswith(sections) and not key.startswith("data.synthetic"):
            found[key] = value if isinstance(value, str | int | float | bool) else str(value)
    return found
