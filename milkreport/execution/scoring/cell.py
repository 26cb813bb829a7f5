"""One trained cell's test part under corruptions, from its saved weights: what every executor does."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np

from milkreport.errors import MilkreportError
from milkreport.execution.tasks import Study
from milkreport.inference.corrupted import answer_all
from milkreport.inference.trained import load_trained
from milkreport.runs.cells import Cell, cell_folder
from milkreport.runs.corrupted import CorruptedScores
from milkreport.training.device import Device
from milkreport.training.failures import TrainingFailed


def score_cell(
    study: Study,
    cell: Cell,
    names: Sequence[str],
    device: Device,
    pause: Callable[[], None] = lambda: None,
) -> CorruptedScores:
    """Score the test part of *cell*, and no other, under each corruption of *names*.

    Raises:
        TrainingFailed: its weights are damaged, or cannot be used here.
    """
    started = time.perf_counter()
    cases, test = study.prepared.cases, study.folds[cell.fold].test
    table = cases.table.iloc[test].reset_index(drop=True)
    store = study.prepared.store.rows_at(test)
    try:
        model = load_trained(cell_folder(study.out, cell).path).among(cases.views)
    except MilkreportError as error:
        raise TrainingFailed(f"{error.where}: {error.what}") from error
    places = [model.card.classes.index(name) for name in cases.classes]
    plain, conditions = None, {}
    for name, severity, logs in answer_all(model, table, store, cases.views, device, names, pause):
        found = np.exp(logs)[:, places]
        if severity:
            conditions[name, severity] = found
        else:
            plain = found
    assert plain is not None
    return CorruptedScores(
        case_ids=table["case_id"].astype(str).tolist(),
        classes=list(cases.classes),
        plain=plain,
        conditions=conditions,
        seconds=time.perf_counter() - started,
    )
