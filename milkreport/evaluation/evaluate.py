"""Anybody's predictions beside the truth, scored by the rules that our own arms are scored by."""

from __future__ import annotations

from pathlib import Path

from milkreport.evaluation.metrics import DEFINITIONS
from milkreport.evaluation.predictions import Predictions, join_truth
from milkreport.evaluation.results import Definition, PartResult, Record
from milkreport.evaluation.summarise import summarise_part


class Evaluation(Record):
    """Scores of one set of predictions, with the definition of each metric."""

    classes: list[str]
    result: PartResult
    definitions: dict[str, Definition]
    notices: list[str]


def evaluate_files(predictions: Path, truth: Path) -> Evaluation:
    """Score a predictions file against a truth file.

    Raises:
        DataError: see :func:`milkreport.evaluation.predictions.join_truth`.
    """
    return evaluate_predictions(join_truth(predictions, truth))


def evaluate_predictions(predictions: Predictions) -> Evaluation:
    """Score predictions that know their truth, by argmax over the classes."""
    notices = []
    if not predictions.sums_to_one:
        notices.append(
            "probabilities do not sum to 1: argmax metrics only; log loss, Brier score and calibration "
            "are NOT COMPUTED, and nothing was renormalised"
        )
    return Evaluation(
        classes=list(predictions.classes),
        result=summarise_part("test", {(0, 0): predictions}),
        definitions=DEFINITIONS,
        notices=notices,
    )
