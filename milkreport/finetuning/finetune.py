"""Fine-tuning: a saved model goes on with new labelled data, and is compared with what it was before."""

from __future__ import annotations

import shutil
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from milkreport import __version__
from milkreport.atomic import disk_problem, is_temporary, write_text
from milkreport.data.prepare import Prepared, prepare
from milkreport.data.splits import Fold
from milkreport.errors import ConfigError, DataError, EnvironmentProblem, MilkreportError, Stopped
from milkreport.execution.stopping import StopSign
from milkreport.execution.tasks import Study, Task
from milkreport.execution.trainer import Trainer
from milkreport.finetuning.new_data import (
    Conformer,
    load_map,
    refuse_missing,
    split_new,
)
from milkreport.finetuning.old_data import prepare_old
from milkreport.finetuning.options import FinetuneOptions
from milkreport.finetuning.overlap import Overlap, find_learned, load_original
from milkreport.finetuning.parent import Parent
from milkreport.finetuning.plan import Plans, describe_settings, plan_finetuning
from milkreport.finetuning.record import (
    NEW,
    OLD,
    RECORD,
    SUMMARY,
    FineTuning,
    is_finetuning,
    load_record,
)
from milkreport.finetuning.results import compare_on_both, describe_origin, plan_for
from milkreport.registration.declare import suite_key
from milkreport.registration.keeper import Keeper
from milkreport.registration.ledger import Event, Ledger
from milkreport.runs.cells import HISTORY, Cell, write_files
from milkreport.runs.folder import differing_keys
from milkreport.runs.lock import hold
from milkreport.training.cell import TrainedCell
from milkreport.training.checkpoint import Checkpoints
from milkreport.training.continued import start_from
from milkreport.training.device import (
    pin,
    resolve_device,
)
from milkreport.training.failures import TrainingFailed
from milkreport.training.files import CARD_FILE, FINE_TUNED
from milkreport.training.model_selector import Row
from milkreport.training.saved import SavedModel, load_model

if TYPE_CHECKING:
    from milkreport.execution.runner import Watcher


class FineTuningFailed(MilkreportError):
    """The training could not go on (exit code 6, as of a run whose trainings failed)."""

    exit_code = 6


@dataclass(frozen=True)
class Job:
    """One fine-tuning to carry out.

    ``old_data``: the data of the original run; ``None``: what was forgotten is not checked, for
    ``old_reason``. ``command``: how to do it again, without a path of the machine.
    """

    parent: Parent
    data: Path
    out: Path
    cache: Path
    command: str
    options: FinetuneOptions
    old_data: Path | None = None
    old_reason: str = ""


@dataclass(frozen=True)
class NewData:
    """The new data as they are trained on. ``known``: cases that the model knows, where that can be told."""

    prepared: Prepared
    conformer: Conformer
    missing: list[str]
    known: Overlap | None
    fold: Fold


def finetune(job: Job, watcher: Watcher) -> FineTuning:
    """Train, compare before and after on new and on original test cases, and write all into ``job.out``.

    A training that was stopped goes on; one that is done is not done again, only compared again.

    Raises:
        ConfigError: a stage, setting or folder that does not fit. DataError: data that do not.
        Stopped: a signal asked for it; what was done is kept. FineTuningFailed: the training failed.
    """
    _refuse_foreign(job.out)
    mapping = load_map(job.options.map_file) if job.options.map_file else {}
    device = resolve_device(job.options.device)
    plans = plan_finetuning(job.parent, job.options, device.type, watcher.notice)
    pin(plans.training, device)
    with hold(job.out):
        old = prepare_old(job.parent, job.old_data, job.old_reason, job.cache, watcher)
        new = _prepare_new(job, mapping, plans, watcher)
        plan_for(plans.suite, job.parent, new.prepared.cases)  # refused before anything is trained
        settings = describe_settings(job.parent, plans, job.options, mapping, device.type)
        settings["known cases"] = len(new.known.all) if new.known is not None else "not known"
        begun = FineTuning(
            milkreport=__version__,
            status="begun",
            settings=settings,
            data_sha256=new.prepared.fingerprint,
            primary_metric=plans.suite.primary_metric,
            origin=describe_origin(job.parent),
        )
        _begin(job, begun)
        stop = StopSign(watcher.notice)
        with stop.watching():
            trainer = Trainer(job.options.device, watcher.notice)
            study = _study(job, plans, new, begun)
            model = _train(job, plans, study, trainer, stop, watcher)
            pixels = trainer.pixels(study)
            record = compare_on_both(
                job, plans, begun, model, new, old, pixels, device, stop.obey, watcher.notice
            )
            stop.obey()
        write_record(job.out, record)
    return record


def write_record(out: Path, record: FineTuning) -> None:
    """Write ``finetune.json``."""
    write_text(out / RECORD, record.model_dump_json(indent=1) + "\n")


def _prepare_new(job: Job, mapping: dict[str, str], plans: Plans, watcher: Watcher) -> NewData:
    where = str(job.options.map_file or "")
    conformer = Conformer(job.parent.card, mapping, where)
    prepared = prepare(
        job.data, plans.suite.data, job.cache, watcher.images, watcher.notice, conformer
    )
    missing = refuse_missing(prepared.cases, job.options.allow_missing)
    original = load_original(job.parent.run, job.parent.card.fold) if job.parent.run else None
    known = find_learned(prepared, original, job.options.ignore_ids) if original else None
    fold = split_new(prepared.cases, plans.suite.split, known.all if known else set())
    return NewData(prepared, conformer, missing, known, fold)


def _begin(job: Job, begun: FineTuning) -> None:
    """Write what it is, or see that it is what lies there."""
    if job.options.restart:
        _clear(job.out)
    if not is_finetuning(job.out):
        write_record(job.out, begun)
        return
    before = load_record(job.out)
    changed = differing_keys(before.settings, begun.settings)
    if changed:
        what = f"this folder holds another fine-tuning: {'; '.join(changed)}"
        raise ConfigError(what, "choose another --out, or --restart", str(job.out))
    if before.data_sha256 != begun.data_sha256:
        what = "the new data changed since this fine-tuning was begun"
        do = "choose another --out, or --restart, or restore the data"
        raise DataError(what, do, str(job.out))


def _study(job: Job, plans: Plans, new: NewData, begun: FineTuning) -> Study:
    """One training, which starts where the saved model ended."""
    reads = job.parent.card.reads.among(new.prepared.cases.views)
    start = start_from(job.parent.model, reads, plans.frozen)
    origin = f"{sorted(begun.settings.items())}"
    return Study("", plans.suite, new.prepared, (new.fold,), job.out, start, origin)


def _train(
    job: Job, plans: Plans, study: Study, trainer: Trainer, stop: StopSign, watcher: Watcher
) -> SavedModel:
    """The fine-tuned model, trained where it is missing."""
    folder = job.out / FINE_TUNED
    cell = Cell(plans.arm.name, job.parent.card.seed, 0)
    checkpoints = Checkpoints(
        folder / "checkpoints",
        every=job.options.checkpoint_every,
        stop_asked=stop,
        notice=watcher.notice,
    )
    watcher.plan(1)
    if (done := _load_done(folder, watcher)) is not None:
        checkpoints.clear()  # killed between the card and this
        watcher.notice("trained before: compared again")
        return done
    task = Task("", cell)
    event = Event(kind="begun", data=study.prepared.fingerprint, suite=suite_key(study.suite))
    keeper = Keeper(Ledger(job.cache), event, watcher.notice)
    keeper.begin(cell, resumed=any((folder / "checkpoints").glob("*.checkpoint")))
    watcher.begin(task)

    def on_epoch(epoch: int, row: Row) -> None:
        watcher.epoch(task, epoch, plans.training.epochs, row)

    try:
        trained = trainer.train(study, cell, on_epoch, checkpoints)
    except TrainingFailed as error:
        keeper.end(cell, "failed")
        raise FineTuningFailed(
            str(error), "try a smaller --lr, with --restart", str(job.out)
        ) from error
    except Stopped:
        keeper.stop()
        raise
    keeper.end(cell, "done")
    _write_model(folder, trained, job.parent, plans)
    checkpoints.clear()
    return load_model(folder)


def _write_model(folder: Path, trained: TrainedCell, parent: Parent, plans: Plans) -> None:
    """Weights, curves and predictions; the card comes last and is the commit."""
    origin = describe_origin(parent)
    frozen = ", ".join(plans.frozen) or "nothing"
    note = (
        f"Fine-tuned from {origin.name} (arm {origin.arm or 'unnamed'}, seed {origin.seed}, fold "
        f"{origin.fold}; weights SHA-256 {origin.weights_sha256}); frozen: {frozen}; class_counts are of "
        "the new training cases. The encoder of the columns is the original one."
    )
    update = {"parent_sha256": origin.weights_sha256, "note": note}
    write_files(folder, replace(trained, card=trained.card.model_copy(update=update)))


def _load_done(folder: Path, watcher: Watcher) -> SavedModel | None:
    """The model of a training that came to its end; ``None`` where there is none, or a damaged one."""
    if not (folder / CARD_FILE).is_file() or not (folder / HISTORY).is_file():
        return None
    try:
        return load_model(folder)
    except DataError as error:
        watcher.notice(f"{error.what}: training again")
        return None


def _refuse_foreign(out: Path) -> None:
    if out.is_file():
        raise EnvironmentProblem("is a file", "choose another --out", str(out))
    if out.is_dir() and not is_finetuning(out):
        others = [
            p for p in out.iterdir() if not p.name.startswith(".lock") and not is_temporary(p)
        ]
        if others:
            what = "not a fine-tuning and not empty"
            raise ConfigError(what, "choose another --out", str(out))


def _clear(out: Path) -> None:
    """Delete what a fine-tuning writes and nothing else; what makes the folder one goes last."""
    try:
        for name in (FINE_TUNED, NEW, OLD):
            if (out / name).is_dir():
                shutil.rmtree(out / name)
        for name in (SUMMARY, RECORD):
            with suppress(FileNotFoundError):
                (out / name).unlink()
    except OSError as error:
        raise disk_problem(error, out) from error
