"""Trained models' answers to any cases: one model's probabilities, or the mean of several."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from milkreport.data.pixels.store import Progress
from milkreport.errors import DataError
from milkreport.inference.find_model import ModelRef
from milkreport.inference.inputs import InferenceInputs, load_asked
from milkreport.inference.trained import load_trained
from milkreport.suite.suite import Training
from milkreport.tables import first_few
from milkreport.training.answer import answer
from milkreport.training.card import ModelCard
from milkreport.training.device import Device, describe_device, pin, resolve_device
from milkreport.training.files import CARD_FILE
from milkreport.training.pixels import NoPixels, Pixels, choose_pixel_source
from milkreport.training.saved import load_card

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Answers:
    """What models answered.

    ``probabilities``: float64 (n_cases, n_classes), classes as in ``classes``; each row sums to 1.
    ``prior``: the classes' shares in the training parts, float64 (n_classes,); the answer to the cases of
    ``asked.lacking``. ``seconds``: of the networks alone. ``frozen``: whether they read a frozen backbone's
    features, which may have been computed before.
    """

    asked: InferenceInputs
    classes: list[str]
    probabilities: Floats
    prior: Floats
    n_models: int
    seconds: float
    device: str
    frozen: bool
    remarks: tuple[str, ...]

    @property
    def case_ids(self) -> list[str]:
        """Ids in the order of the rows."""
        return self.asked.cases.table["case_id"].astype(str).tolist()


def predict(
    models: Sequence[ModelRef],
    data: Path,
    cache: Path,
    device_name: str = "auto",
    strict: bool = False,
    progress: Progress = lambda done, total: None,
    notice: Callable[[str], None] = lambda line: None,
) -> Answers:
    """Answer every case of *data* by the mean of *models*, which read the same.

    A case without one of its images (the table names none, or two) is answered by the training parts'
    class shares: a submission must hold every case, nothing can be mended, and the shares are the answer
    of somebody who saw nothing. How many there are is in the result; *strict* makes them an error.

    Raises:
        DataError: models of different classes or inputs; see also :func:`load_asked` and ``load_trained``.
        EnvironmentProblem: no such device.
    """
    device = resolve_device(device_name)
    cards = [load_card(model.folder / CARD_FILE) for model in models]
    first = cards[0]
    for model, card in zip(models, cards, strict=True):
        _refuse_unlike(first, card, model)
    loaded = load_trained(
        models[0].folder
    )  # damaged weights are reported before minutes of decoding
    asked = load_asked(data, first, cache, strict, progress, notice)
    pixels: Pixels = (
        choose_pixel_source(asked.store, device) if asked.store is not None else NoPixels(device)
    )
    total = np.zeros((len(asked.cases.table), len(first.classes)))
    prior = np.zeros(len(first.classes))
    remarks: dict[str, None] = {}
    unknown = dict(asked.unknown)
    seconds = 0.0
    for number, (model, card) in enumerate(zip(models, cards, strict=True)):
        loaded = loaded if number == 0 else load_trained(model.folder)
        pin(training_of(card, device), device)
        started = time.perf_counter()
        here = loaded.among(asked.cases.views)
        logs = answer(here, asked.cases.table, asked.store, pixels)
        seconds += time.perf_counter() - started
        found = np.exp(logs.astype(np.float64))
        places = [card.classes.index(name) for name in first.classes]
        total += (found / found.sum(axis=1, keepdims=True))[:, places]
        counts = np.array([card.class_counts.get(name, 0) for name in first.classes], np.float64)
        prior += counts / counts.sum() if counts.sum() else np.nan
        remarks |= dict.fromkeys(_remarks(card, device, asked))
        for column, values in card.reads.encoder.unseen(asked.cases.table).items():
            unknown[column] = max(unknown.get(column, {}), values, key=lambda v: sum(v.values()))
    probabilities, prior = total / len(models), prior / len(models)
    if asked.lacking.any():
        if np.isnan(prior).any():
            what = f"{int(asked.lacking.sum()):,} cases without one of their images, and the model's card"
            raise DataError(f"{what} has no class counts to answer them by", "complete the data")
        probabilities[asked.lacking] = prior
    return Answers(
        asked=replace(asked, unknown=unknown),
        classes=list(first.classes),
        probabilities=probabilities,
        prior=prior,
        n_models=len(models),
        seconds=seconds,
        device=describe_device(device),
        frozen=first.sees_images and first.frozen_backbone is not None,
        remarks=tuple(remarks),
    )


def _refuse_unlike(first: ModelCard, card: ModelCard, model: ModelRef) -> None:
    """Raise a DataError for models whose mean would mean nothing."""
    if sorted(first.classes) != sorted(card.classes):
        what = f"its classes are {first_few(card.classes, 30)}"
        do = f"choose models of the same classes; the first model's are {first_few(first.classes, 30)}"
        raise DataError(what, do, str(model))
    mine, others = (
        (c.reads.views, c.reads.images, c.reads.image_size, c.reads.decoder,
         sorted({e.column for e in c.reads.encoder.columns})) for c in (first, card)
    )  # fmt: skip
    if mine != others:
        raise DataError("reads something else than the first model", "choose by --seed", str(model))


def training_of(card: ModelCard, device: Device) -> Training:
    """Threads and precision as in training; a mode that only GPUs have becomes float32 on a CPU."""
    try:
        settings = Training.model_validate(card.training)
    except ValidationError:  # of an import, or of an own program
        settings = Training()
    if device.type == "cpu" and settings.precision == "tf32":
        settings = settings.model_copy(update={"precision": "float32"})
    return settings


def _remarks(card: ModelCard, device: Device, asked: InferenceInputs) -> list[str]:
    here = describe_device(device)
    lines = []
    if card.device and card.device != here:
        lines.append(
            f"trained on {card.device}, used on {here}: the same to rounding, not to the bit"
        )
    if asked.store is not None and card.data_sha256:
        text = f"{asked.cases.table_fingerprint()}/{asked.store.fingerprint}"
        if hashlib.sha256(text.encode()).hexdigest() == card.data_sha256:
            lines.append(
                "these are the data of its training: most of the answers are no test of it"
            )
    return lines
