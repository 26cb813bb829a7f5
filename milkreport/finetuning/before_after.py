"""A model before and after fine-tuning on the same test cases: scored, compared, written as an evaluation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from milkreport.data.prepare import Prepared
from milkreport.evaluation.compare import find, is_shown
from milkreport.evaluation.evaluate import evaluate_inputs
from milkreport.evaluation.metrics.definitions import HEADLINE
from milkreport.evaluation.metrics.measures import Plan
from milkreport.evaluation.pooled_predictions import CaseFacts
from milkreport.evaluation.reading.inputs import EvaluationInputs
from milkreport.evaluation.reading.predictions import Predictions
from milkreport.evaluation.records.data import DataSummary, SplitSummary
from milkreport.evaluation.records.parts import Estimate
from milkreport.evaluation.records.results import ArmResult, Curve, Results
from milkreport.finetuning.record import Compared, Gap, Pair
from milkreport.runs.evaluated import write_evaluation
from milkreport.runs.folder import RunFolder
from milkreport.training.answer import answer
from milkreport.training.pixels import Pixels
from milkreport.training.saved import SavedModel

BEFORE, AFTER = "before", "after"
_TITLES = {BEFORE: "Before fine-tuning", AFTER: "After fine-tuning"}


@dataclass(frozen=True)
class Scene:
    """One test part, and what a report says of it.

    ``positions``: of the test cases in ``prepared``, int64. ``data`` and ``splits``: of the whole data set.
    ``about``: arm to its description. ``curves``: of the training, shown with the model after it.
    """

    title: str
    question: str
    split_rule: str
    epoch_rule: str
    prepared: Prepared
    positions: npt.NDArray[np.int64]
    facts: CaseFacts
    data: DataSummary
    splits: list[SplitSummary]
    about: Mapping[str, str]
    notices: list[str]
    curves: list[Curve]
    left_out: int = 0


def predict(
    model: SavedModel,
    prepared: Prepared,
    positions: npt.NDArray[np.int64],
    pixels: Pixels,
    pause: Callable[[], None] = lambda: None,
) -> Predictions:
    """A model's answers to cases at *positions*, sorted by case; views and classes are found by name."""
    cases, card = prepared.cases, model.card
    ids = cases.table["case_id"].to_numpy(dtype=np.str_)[positions]
    positions = positions[np.argsort(ids, kind="stable")]
    logs = answer(model.among(cases.views), cases.table, prepared.store, pixels, positions, pause)
    place = {name: i for i, name in enumerate(card.classes)}
    some = cases.table.iloc[positions]
    return Predictions(
        some["case_id"].to_numpy(dtype=np.str_),
        np.asarray(some["label"].map(place), np.int64),
        np.exp(logs).astype(np.float64),
        tuple(card.classes),
    )


def compare_both(
    out: Path,
    models: Mapping[str, SavedModel],
    scene: Scene,
    pixels: Pixels,
    plan: Plan,
    command: str,
    pause: Callable[[], None] = lambda: None,
) -> Compared:
    """Score both models on the test part of *scene* and write that as an evaluation into *out*.

    Raises:
        ConfigError, EnvironmentProblem: *out* holds something else, or cannot be written.
    """
    key = (models[AFTER].card.seed, 0)
    arms = {}
    for name in (BEFORE, AFTER):
        found = predict(models[name], scene.prepared, scene.positions, pixels, pause)
        arms[name] = {"test": {key: found}}
    truth = (scene.data.name, scene.prepared.fingerprint)
    inputs = EvaluationInputs(arms, dict.fromkeys(arms, "a saved model"), truth, scene.facts)  # type: ignore[arg-type]
    results = evaluate_inputs(inputs, plan, title=scene.title, suite="finetune")
    update = {
        "question": scene.question,
        "split_rule": scene.split_rule,
        "epoch_rule": scene.epoch_rule,
        "data": scene.data,
        "splits": scene.splits,
        "arms": [_described(arm, models[arm.name], scene) for arm in results.arms],
        "notices": [*scene.notices, *results.notices],
    }
    results = results.model_copy(update=update)
    RunFolder(out).clear()  # ours: what a killed attempt left would be refused
    return as_compared(write_evaluation(out, inputs, results, command), scene)


def _described(arm: ArmResult, model: SavedModel, scene: Scene) -> ArmResult:
    card = model.card
    own = {
        "weights_file": card.weights_file,
        "weights_sha256": card.weights_sha256,
        "epoch_used": card.epoch_used,
        "device": card.device,
    }
    return arm.model_copy(
        update={
            "title": _TITLES[arm.name],
            "description": scene.about[arm.name],
            "correction": card.correction,
            "cells": [cell.model_copy(update=own) for cell in arm.cells],
            "curves": scene.curves if arm.name == AFTER else [],
        }
    )


def as_compared(results: Results, scene: Scene) -> Compared:
    """The headline numbers of *results*."""
    assert results.comparison is not None
    found = {d.metric: d for d in results.comparison.differences}
    sides = [arm.part("test") for arm in results.arms]
    pairs = {}
    for metric in dict.fromkeys((results.primary_metric, *HEADLINE)):
        before, after = (
            part.estimate(metric) or Estimate(value=None) for part in sides if part is not None
        )
        d = found.get(metric)
        gap = None
        if d is not None:
            gap = Gap(
                value=d.value, low=d.low, high=d.high, low90=d.low90, high90=d.high90, p=d.p,
                detectable=d.detectable,
            )  # fmt: skip
        pairs[metric] = Pair(before=before, after=after, difference=gap)
    labels = scene.prepared.cases.table["label"].iloc[scene.positions]
    counts = {name: int(n) for name, n in labels.value_counts().items()}
    primary = found.get(results.primary_metric)
    return Compared(
        n_cases=len(scene.positions),
        class_counts={name: counts.get(name, 0) for name in results.classes},
        left_out=scene.left_out,
        synthetic=scene.data.synthetic,
        metrics=pairs,
        shown=primary is not None and is_shown(primary) and not scene.data.synthetic,
        finding=None if primary is None or scene.data.synthetic else find(primary),
        margin=primary.margin if primary else None,
    )
