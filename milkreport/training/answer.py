"""What a saved model answers to cases: log probabilities, by the same path as its training scored them."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from milkreport.data.pixels.store import PixelStore
from milkreport.models.build import build_network
from milkreport.suite.models import AnyModel, Classifier
from milkreport.training.card import InputSpec, as_columns, make_inputs
from milkreport.training.fit import score
from milkreport.training.pixels import Pixels
from milkreport.training.saved import SavedModel, without_pretraining


def answer(
    model: SavedModel,
    table: pd.DataFrame,
    store: PixelStore | None,
    pixels: Pixels,
    positions: npt.NDArray[np.int64] | None = None,
    pause: Callable[[], None] = lambda: None,
) -> npt.NDArray[np.float32]:
    """Log probabilities of cases: float32 (n, n_classes), classes in the order of the model's card.

    Args:
        table: all cases; *store* and *pixels* hold their images in the same order. A model that sees no
            images needs no *store*.
        positions: the cases to answer, int64 (n,); by default all.
        pause: called now and then; what it raises ends it.
    """
    card = model.card
    chosen = np.arange(len(table)) if positions is None else positions
    inputs = make_inputs(card.reads, card.model, table, store, pixels)
    if model.classifier is not None:
        from milkreport.models.classifier import score_classifier

        columns, embedded = as_columns(inputs, card.reads, table)
        n_classes = len(card.classes)
        return score_classifier(model.classifier, columns[chosen], embedded[chosen], n_classes)
    assert model.network is not None
    network = model.network.to(inputs.device)
    network.to(memory_format=torch.channels_last)
    precision = str(card.training.get("precision", "float32"))
    named = {"tf32": "tf32", "bf16": "bf16"}.get(precision, "float32")
    return score(network, inputs, torch.from_numpy(chosen), named, pause).numpy()  # type: ignore[arg-type]


def time_untrained(
    reads: InputSpec,
    model: AnyModel,
    table: pd.DataFrame,
    store: PixelStore,
    pixels: Pixels,
    n_classes: int,
) -> float:
    """Seconds that an untrained model takes for the cases of *table*, whose images *store* and *pixels* hold.

    Of a classifier, and of a network on a frozen backbone, most of it is the backbone's.
    """
    started = time.perf_counter()
    inputs = make_inputs(reads, model, table, store, pixels)
    seconds = time.perf_counter() - started
    if not isinstance(model, Classifier):
        with torch.random.fork_rng(devices=[]):
            network = build_network(without_pretraining(model), reads.shape(n_classes))
        network = network.to(inputs.device).eval()
        score(network, inputs, torch.arange(min(len(table), 2)), "float32")  # what loads once
        started = time.perf_counter()
        score(network, inputs, torch.arange(len(table)), "float32")
        seconds += time.perf_counter() - started
    return seconds
