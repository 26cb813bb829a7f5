"""Fine-tuning: a saved network to go on from, the stages that rest, and what a correction weighs now."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from milkreport.errors import ConfigError, did_you_mean
from milkreport.models import host
from milkreport.models.build import stages
from milkreport.suite.arms import Correction
from milkreport.training.card import InputSpec
from milkreport.training.cell import Start
from milkreport.training.imbalance import (
    WEIGHTS_LOSS,
    WEIGHTS_SAMPLING,
    class_weights,
)
from milkreport.training.saved import SavedModel

#: Freezes nothing.
NOTHING = "none"
#: What rests where nothing is said, if the network has such a stage: its first convolutions.
EARLY = "block_1"


def choose_frozen(model: SavedModel, wanted: str | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The stages that rest, and those that are trained, from the input on.

    Args:
        wanted: this stage and all before it rest; ``none``: no stage; ``None``: :data:`EARLY`, where the
            network has it.

    Raises:
        ConfigError: a classical classifier, an unknown stage, or nothing would be left to train.
    """
    if model.network is None:
        what = f"{model.card.architecture} is fitted in one go: it cannot be fine-tuned"
        raise ConfigError(what, "train it again on all data: milkreport run-all")
    parts = stages(model.network)
    names = tuple(parts)
    if wanted is None:
        wanted = EARLY if EARLY in names else NOTHING
    if wanted == NOTHING:
        return (), names
    if wanted not in names:
        hint = did_you_mean(wanted, (*names, NOTHING))
        do = f"{hint} stages are: {', '.join(names)}; or {NOTHING}".strip()
        raise ConfigError(f"--freeze: no stage {wanted!r}", do)
    end = names.index(wanted) + 1
    resting = {id(p) for name in names[:end] for module in parts[name] for p in module.parameters()}
    if all(id(parameter) in resting for parameter in model.network.parameters()):
        do = f"name an earlier stage: {', '.join(names[: end - 1])}; or {NOTHING}"
        raise ConfigError(f"--freeze {wanted} leaves nothing to train", do)
    return names[:end], names[end:]


def start_from(model: SavedModel, reads: InputSpec, frozen: tuple[str, ...]) -> Start:
    """Where the training of a network goes on: copies of its weights, on the CPU."""
    assert model.network is not None
    state = model.network.state_dict()
    weights = {name: host.to_host(tensor, copy=True) for name, tensor in state.items()}
    return Start(reads, weights, frozen)


def correction_weights(correction: Correction, amount: float, counts: Sequence[int]) -> list[float]:
    """What a correction makes of so many training cases a class.

    Args:
        counts: training cases of each class.

    Returns:
        For each class the weight of its cases in the loss, or, of a correction that only samples, how likely
        each of its cases is drawn up to a factor; 0 for a class without cases. Empty for corrections that
        weigh no class.
    """
    if correction not in WEIGHTS_LOSS | WEIGHTS_SAMPLING | {"effective_number_loss"}:
        return []
    labels = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(list(counts)))
    found: list[float] = class_weights(correction, labels, len(counts), amount).tolist()
    return found
