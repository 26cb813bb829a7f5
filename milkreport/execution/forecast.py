"""How long a suite will take and how much it will write, from a short measurement of the real thing."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from milkreport.data.adapters.load import load_cases
from milkreport.data.cases import Cases
from milkreport.data.cleaning import clean
from milkreport.data.external import fit
from milkreport.data.pixels.store import list_stores, open_store
from milkreport.data.prepare import SKIP, Prepared, group, image_problems
from milkreport.data.splits import Fold, make_folds
from milkreport.evaluation.records.data import Record
from milkreport.execution.external import wanted_of
from milkreport.execution.scoring.cost import cost_of
from milkreport.execution.tasks import Study
from milkreport.execution.trainer import Trainer
from milkreport.execution.validate_arms import validate_arms
from milkreport.runs.cells import Cell
from milkreport.suite.models import Classifier
from milkreport.suite.suite import Arm, Split, Suite
from milkreport.tables import guard
from milkreport.training.checkpoint import Checkpoint, Checkpoints, Position

#: Cases that are decoded and scored to measure; batches of the two trainings that are compared.
_SAMPLE, _SHORT, _LONG = 128, 2, 6
_EPOCHS = 3  # the first warms up


class Forecast(Record):
    """What is still to be done of a run. Seconds and bytes; nothing is promised.

    ``decoding``: of all images, 0 where they are decoded already. ``training``: of one cell. ``total``:
    decoding, all open cells by so many ``workers``, and ``external``: the decoding of external sets and their
    ``external_cases`` answered by every training of the run, one after another. ``store_bytes``: the decoded
    images that are still to be written, ``cell_bytes`` what one cell leaves, ``total_bytes`` both, for all
    open cells. Where arms differ, ``training`` and ``cell_bytes`` are means over the open cells. ``load``:
    processes that wanted a processor in the minute before (None: unknown), which the measurement took as it
    was.
    ``corruptions``: what scoring under corruptions takes, a sentence; empty if it was not asked for.
    """

    cells: int
    workers: int
    decoding: float
    training: float
    total: float
    store_bytes: int
    cell_bytes: int
    total_bytes: int
    external: float = 0.0
    external_cases: int = 0
    load: float | None = None
    corruptions: str = ""


def forecast(
    suite: Suite,
    data: Path,
    cache: Path,
    device: str,
    open_cells: Mapping[str, int],
    workers: int,
    notice: Callable[[str], None] = lambda line: None,
    corruptions: Sequence[str] = (),
    unscored: Mapping[str, int] | None = None,
    external: Mapping[str, Path] | None = None,
) -> Forecast:
    """Decode some images, train and score two small parts of a cell of each kind, and extrapolate.

    A batch costs what the longer of the two trainings took more than the shorter, the scoring of the
    cases that are not trained on what is left. Classifiers are fitted once to as many rows as there will be.

    Args:
        open_cells: trainings that are still to be done, by arm.
        corruptions: under which test parts are to be scored; unscored: cells for which that is to be done.
        external: external sets, name to folder.

    Raises:
        DataError, ConfigError, EnvironmentProblem: as the run itself would.
    """
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    cases = load_cases(data, suite.data.adapter, cache, notice)
    kept = clean(cases, suite.data.cleaning, unlabelled=suite.data.unlabelled).cases
    for remark in cases.remarks:
        notice(remark)
    n = len(kept.table)
    # Images that are alike, which bind more cases, are known only when all are decoded.
    make_folds(kept, suite.split)
    positions = np.linspace(0, n - 1, min(_SAMPLE, n), dtype=np.int64)
    sample = replace(kept, table=kept.table.iloc[positions].reset_index(drop=True))
    costs: dict[str, tuple[float, int, float]] = {}
    others = {
        name: fit(load_cases(root, suite.data.adapter, cache, notice), name, wanted_of(suite, kept))
        for name, root in (external or {}).items()
    }
    with tempfile.TemporaryDirectory(prefix="milkreport-") as place:
        started = time.perf_counter()
        store = open_store(sample, suite.data.image_size, Path(place), decoder=suite.data.decoder)
        per_case = (time.perf_counter() - started) / len(sample.table)
        decoding = per_case * len(cases.table)
        if suite.data.on_bad_image == "error":
            _warn_of_bad_images(store.images, notice)
        prepared = group(sample, store, suite.data)
        everyone = np.arange(len(prepared.cases.table), dtype=np.int64)
        validate_arms(prepared, suite, Fold(0, everyone, everyone[:0], everyone))
        for arms in _kinds(suite):
            chosen = [name for name in arms if open_cells.get(name)] or arms
            cost = _cost(suite, suite.arm(chosen[0]), prepared, device, n, Path(place))
            costs |= dict.fromkeys(arms, cost)
        said = ""
        if corruptions and unscored:
            n_test = _n_test(suite.split, n)
            said = cost_of(
                suite, prepared, device, corruptions, n_test, unscored, workers
            ).sentence()
    store_bytes = 0 if _is_decoded(cases, suite, cache) else _store_bytes(cases, suite)
    decoding = decoding if store_bytes else 0.0
    n_open = sum(open_cells.values())
    counted = open_cells if n_open else dict.fromkeys(costs, 1)
    seconds = sum(costs[name][0] * count for name, count in counted.items())
    size = sum(costs[name][1] * count for name, count in counted.items())
    n_external = sum(len(other.table) for other in others.values())
    scoring = sum(costs[arm.name][2] for arm in suite.arms) * len(suite.seeds) * suite.split.n_folds
    answering = n_external * scoring + sum(
        per_case * len(other.table)
        for other in others.values()
        if not _is_decoded(other, suite, cache)
    )
    training, one = seconds / sum(counted.values()), size // sum(counted.values())
    return Forecast(
        cells=n_open,
        workers=workers,
        decoding=decoding,
        training=training,
        total=decoding + -(-n_open // workers) * training + answering,
        store_bytes=store_bytes,
        cell_bytes=one,
        total_bytes=store_bytes + one * n_open,
        external=answering,
        external_cases=n_external,
        load=load,
        corruptions=said,
    )


def _warn_of_bad_images(images: pd.DataFrame, notice: Callable[[str], None]) -> None:
    if problems := image_problems(images):
        first = problems[0]
        what = f"{first.where}: {first.what}; of {len(images):,} images that were tried {len(problems):,} "
        notice(
            f"{what}would stop the run. See: milkreport data check, or leave their cases out: {SKIP}"
        )


def _kinds(suite: Suite) -> list[list[str]]:
    """Arms by what a training of them costs: their corrections cost nothing."""
    kinds: dict[str, list[str]] = {}
    for arm in suite.arms:
        recipe = suite.recipe(arm)
        kind = json.dumps([recipe[key] for key in ("model", "inputs", "training")])
        kinds.setdefault(kind, []).append(arm.name)
    return [*kinds.values()]


def _cost(
    suite: Suite, arm: Arm, prepared: Prepared, device: str, n: int, place: Path
) -> tuple[float, int, float]:
    """Seconds and bytes of one training of *arm* on *n* cases, and seconds to answer one more case."""
    alone = suite.model_copy(update={"arms": [arm]})
    n_train, training = _n_train(suite.split, n), suite.training_of(arm)
    if isinstance(suite.model_of(arm), Classifier):
        seconds, (weights, row) = _measure(alone, prepared, device, n_train, place)
        return seconds, weights + row * n, 0.0  # a moment for all cases together
    short, _ = _measure(alone, prepared, device, _SHORT * training.batch_size, place)
    long, (weights, row) = _measure(alone, prepared, device, _LONG * training.batch_size, place)
    batch = max(long - short, 0.0) / (_LONG - _SHORT)  # a step, and the scoring of its cases
    scoring = max(short - _SHORT * batch, 0.0) / len(prepared.cases.table)
    epoch = -(-n_train // training.batch_size) * batch + (n - n_train) * scoring
    return epoch * training.epochs, weights + row * n, scoring


@dataclass
class _Stopwatch(Checkpoints):
    """Keeps nothing but when each epoch was over."""

    ends: list[float] = field(default_factory=list)

    def reached(self, position: Position, state: Callable[[], Checkpoint]) -> None:
        if position.step == 0:
            self.ends.append(time.perf_counter())


def _measure(
    suite: Suite, prepared: Prepared, device: str, rows: int, place: Path
) -> tuple[float, tuple[int, int]]:
    """Seconds of an epoch of so many cases that scores all of *prepared*; bytes of weights, of a row.

    The suite has one arm. Of a classifier, the seconds of its fit.
    """
    everyone = np.arange(len(prepared.cases.table), dtype=np.int64)
    (arm,) = suite.arms
    if in_epochs := not isinstance(suite.model_of(arm), Classifier):
        changed = arm.training | {"epochs": _EPOCHS, "select": "last", "patience": 0}
        changed |= {"warmup_epochs": 0}
        arm = arm.model_copy(update={"training": changed})
    short = suite.model_copy(update={"arms": [arm]})
    train = np.resize(everyone, rows)
    fold = Fold(0, train=train, validation=everyone[:0], test=everyone)
    watch = _Stopwatch()
    study = Study("", short, prepared, (fold,), place)
    trained = Trainer(device, lambda line: None).train(
        study, Cell(arm.name, 0, 0), lambda epoch, row: None, watch
    )
    epochs = np.diff(watch.ends) if in_epochs else [trained.seconds]  # the first is not among them
    lines = trained.predictions.rename(columns=guard).head(100)
    row = len(lines.to_csv(index=False, float_format="%.9g")) // len(lines)
    return float(np.median(epochs)), (len(trained.weights), row)


def _n_train(split: Split, n: int) -> int:
    """Cases of a training part, about."""
    if split.kind == "support":
        rest = n - sum(split.test_support.values())
    elif split.kind == "kfold":
        rest = n - n // split.folds
    else:
        rest = round(n * (1 - split.test_fraction))
    return max(round(rest * (1 - split.validation)), 1)


def _n_test(split: Split, n: int) -> int:
    """Cases of a test part, about."""
    if split.kind == "support":
        return sum(split.test_support.values())
    return n // split.folds if split.kind == "kfold" else round(n * split.test_fraction)


def _store_bytes(cases: Cases, suite: Suite) -> int:
    return len(cases.table) * len(cases.views) * suite.data.image_size**2 * 3


def _is_decoded(cases: Cases, suite: Suite, cache: Path) -> bool:
    """Whether the cache holds a whole store of as many images of this name and size."""
    n_images = sum(int(cases.image_paths(view).notna().sum()) for view in cases.views)
    wanted = (cases.card.name, n_images, suite.data.image_size, True)
    return any((s.name, s.n_images, s.size, s.complete) == wanted for s in list_stores(cache))
