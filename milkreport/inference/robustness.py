"""What corruptions do to a trained model's answers: a metric where there are labels, else agreement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from milkreport.errors import ConfigError, DataError
from milkreport.evaluation.metrics.measures import measure
from milkreport.evaluation.metrics.named import pick
from milkreport.evaluation.reading.predictions import Predictions
from milkreport.inference.corrupted import answer_all
from milkreport.inference.find_model import ModelRef
from milkreport.inference.predicting import Answers, Floats, training_of
from milkreport.inference.trained import load_trained
from milkreport.runs.csv_files import write_csv
from milkreport.suite.corruptions import CORRUPTIONS, SEVERITIES
from milkreport.training.device import pin, resolve_device

#: What is counted without labels: the share of cases that get the class that they get uncorrupted.
AGREEMENT = "agreement"


@dataclass(frozen=True)
class CorruptedAnswers:
    """One number a corruption and severity.

    ``metric``: of *n* cases with a label and all images, or :data:`AGREEMENT` of *n* cases with all images.
    ``values``: corruption to the number at severity 0, 1, ..., 5.
    """

    metric: str
    n: int
    values: dict[str, list[float | None]]


def answer_corrupted_all(
    models: Sequence[ModelRef], answers: Answers, device_name: str, names: Sequence[str]
) -> CorruptedAnswers:
    """Answer the cases of *answers* again under each corruption, by the mean of the same *models*.

    Raises:
        ConfigError: the model sees no images.
    """
    asked = answers.asked
    if asked.store is None:
        raise ConfigError("--robustness: this model sees no images", "leave it out")
    cases = asked.cases
    chosen = np.flatnonzero(~asked.lacking)
    labelled = cases.table["label"].notna().to_numpy()[chosen]
    if labelled.any():
        chosen = chosen[labelled]
    if not len(chosen):
        raise DataError("--robustness: no case has all its images", "complete the data")
    table = cases.table.iloc[chosen].reset_index(drop=True)
    store = asked.store.rows_at(chosen)
    device = resolve_device(device_name)
    total: dict[tuple[str, int], Floats] = {}
    for model in models:
        loaded = load_trained(model.folder).among(cases.views)
        pin(training_of(loaded.card, device), device)
        places = [loaded.card.classes.index(name) for name in answers.classes]
        for name, severity, logs in answer_all(loaded, table, store, cases.views, device, names):
            found = np.exp(logs.astype(np.float64))
            shares = (found / found.sum(axis=1, keepdims=True))[:, places] / len(models)
            key = (name, severity)
            total[key] = total[key] + shares if key in total else shares
    plain = total["", 0]
    metric, positive = _metric(models[0]) if labelled.any() else (AGREEMENT, ())
    ids = table["case_id"].astype(str).to_numpy(dtype=np.str_)
    truth = plain.argmax(axis=1)
    if labelled.any():
        truth = pd.Index(answers.classes).get_indexer(pd.Index(table["label"]))

    def value(probabilities: Floats) -> float | None:
        p = Predictions(ids, truth.astype(np.int64), probabilities, tuple(answers.classes))
        if metric == AGREEMENT:
            return float((p.predicted == p.truth).mean())
        found = pick(measure(p, positive), metric, p.classes)
        return None if found is None or not np.isfinite(found) else float(found)

    values = {
        name: [value(plain), *(value(total[name, severity]) for severity in SEVERITIES)]
        for name in names
    }
    return CorruptedAnswers(metric, len(chosen), values)


def write_corrupted_answers(path: Path, found: CorruptedAnswers) -> None:
    """Write ``corruption,severity,strength,metric,value,n``; an undefined value is empty."""
    rows = [
        (name, severity, strength, found.metric, value, found.n)
        for name, values in found.values.items()
        for severity, (strength, value) in enumerate(
            zip((None, *CORRUPTIONS[name].strengths), values, strict=True)
        )
    ]
    columns = ["corruption", "severity", "strength", "metric", "value", "n"]
    frame = pd.DataFrame(rows, columns=columns)
    write_csv(path, frame.astype({"strength": float, "value": float}))


def _metric(model: ModelRef) -> tuple[str, tuple[str, ...]]:
    """The primary metric of the model's run and its positive classes; of a model alone macro F1."""
    if model.run is None or not model.run.has_suite:
        return "macro_f1", ()
    positive = tuple(model.run.load_data().data.positive)
    return model.run.load_suite().primary_metric, positive
