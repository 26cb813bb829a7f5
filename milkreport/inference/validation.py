"""Thresholds for a model's answers: from a file, or found on the validation parts of its own run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from milkreport.errors import ConfigError, DataError
from milkreport.evaluation.apply_thresholds import Thresholds, fit_thresholds
from milkreport.inference.find_model import ModelRef
from milkreport.parse import parse_json
from milkreport.tables import first_few
from milkreport.training.files import CARD_FILE
from milkreport.training.saved import load_card

VALIDATION = "validation"


def find_thresholds(
    wish: str, models: Sequence[ModelRef]
) -> tuple[Thresholds, npt.NDArray[np.float64]]:
    """The thresholds that *wish* names, and their values by the first model's classes: float64 (n_classes,).

    Args:
        wish: ``validation``, or a file as ``milkreport thresholds --json`` prints it.

    Raises:
        DataError: a training without a validation part; a file that is none, or of other classes.
        ConfigError: a model that comes from no run.
    """
    classes = load_card(models[0].folder / CARD_FILE).classes
    found = fit_on_validation(models, classes) if wish == VALIDATION else load_thresholds(wish)
    named = {c.name: c.threshold for c in found.classes}
    if sorted(named) != sorted(classes):
        what = f"thresholds of the classes {first_few(named, 30)}"
        raise DataError(what, f"the model's classes are: {first_few(classes, 30)}", wish)
    return found, np.array([named[name] for name in classes])


def load_thresholds(file: str) -> Thresholds:
    """Read what ``milkreport thresholds --json`` printed."""
    path, do = Path(file), "give validation, or what milkreport thresholds --json printed"
    try:
        found = Thresholds.model_validate(parse_json(path.read_bytes()))
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise DataError(f"cannot be read: {reason}", do, file) from error
    except ValueError as error:
        raise DataError("no thresholds", do, file) from error
    if bad := [c.name for c in found.classes if not 0 <= c.threshold <= 1]:
        raise DataError(f"the threshold of {bad[0]} is not from 0 to 1", do, file)
    return found


def fit_on_validation(models: Sequence[ModelRef], classes: Sequence[str]) -> Thresholds:
    """Thresholds found on saved validation predictions, a case's mean over the trainings that held it back.

    Trainings of one fold hold back the same cases; one that learned from a case has no say in it. So in an
    ensemble over folds the means are over fewer models than answer later.
    """
    frames = []
    for model in models:
        if model.run is None or model.cell is None:
            what = "is a model without its run: it has no validation part"
            raise ConfigError(what, "give the run, or a file of thresholds", str(model.folder))
        parts = model.run.cell(model.cell).load_predictions(classes)
        if VALIDATION not in parts:
            what = f"{model}: trained without a validation part to find thresholds on"
            do = "train with split.validation above 0, or give a file of thresholds"
            raise DataError(what, do, str(model.run.path))
        p = parts[VALIDATION]
        frame = pd.DataFrame(p.probabilities, columns=list(classes), index=pd.Index(p.case_ids))
        frames.append((frame, pd.Series(p.truth, index=frame.index)))
    mean = pd.concat([frame for frame, _ in frames]).groupby(level=0).mean()
    labels = pd.concat([truth for _, truth in frames]).groupby(level=0).first()[mean.index]
    truth = pd.DataFrame(np.eye(len(classes), dtype=int)[labels], columns=list(classes))
    found = fit_thresholds(
        mean.rename_axis("case_id").reset_index(), truth.assign(case_id=mean.index)
    )
    return found.model_copy(update={"fitted_on": VALIDATION})
