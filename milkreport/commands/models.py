"""What can be done with a trained model: predict, export, import; and what people see of it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.markup import escape
from rich.table import Table

from milkreport.commands.console import console, duration, note, number, say, show_files, warn
from milkreport.commands.progress import progress
from milkreport.commands.scores import show_thresholds
from milkreport.errors import ConfigError, EnvironmentProblem
from milkreport.evaluation.metrics.named import title_of
from milkreport.evaluation.metrics.thresholds import PLAIN, fold_thresholds, keep_away
from milkreport.inference.find_model import ModelRef, find_model, find_models
from milkreport.suite.corruptions import CORRUPTIONS, SEVERITIES, parse_corruptions
from milkreport.tables import first_few

if TYPE_CHECKING:
    import numpy.typing as npt

    from milkreport.inference.model_exchange import OnnxRecord
    from milkreport.inference.predicting import Answers
    from milkreport.training.card import ModelCard

FORMATS = ("safetensors", "onnx", "pickle")


def predict(
    run: Path,
    arm: str | None,
    seed: int | None,
    fold: int | None,
    ensemble: bool,
    data: Path,
    out: Path,
    thresholds: str | None,
    device: str,
    cache: Path,
    strict: bool,
    robustness: str = "",
) -> None:
    """Answer every case of *data* and write the submission."""
    from milkreport.inference.predicting import predict as answer_all
    from milkreport.inference.submission import id_column, write_submission
    from milkreport.inference.validation import find_thresholds

    _refuse_place(out)
    corruptions = parse_corruptions(robustness)
    found = find_models(run, arm, seed, fold)
    models = found if ensemble else found[:1]
    _say_choice(models, found)
    source = models[0].run
    if (
        source is not None
        and (source.path / "data.json").is_file()
        and source.load_data().data.synthetic
    ):
        warn("this model was trained on synthetic data: its answers say nothing of any case")
    folded = find_thresholds(thresholds, models) if thresholds else None
    with progress() as watcher:
        answers = answer_all(models, data, cache, device, strict, watcher.images, watcher.notice)
    values = keep_away(answers.probabilities)
    if folded is not None:
        show_thresholds(folded[0])
        values = fold_thresholds(answers.probabilities, folded[1])
    named = id_column(answers.asked.cases.id_column)
    write_submission(out, named, answers.case_ids, answers.classes, values)
    _show_answers(answers, values, folded is not None)
    show_files([out, *_corrupted(models, answers, device, corruptions, out)])


def _corrupted(
    models: Sequence[ModelRef], answers: Answers, device: str, names: Sequence[str], out: Path
) -> list[Path]:
    """Answer under corruptions, show and write what comes of it; the file is beside *out*."""
    if not names:
        return []
    from milkreport.inference import robustness

    n = answers.n_models * len(names) * len(SEVERITIES)
    cases = len(answers.case_ids)
    seconds = answers.seconds * n / answers.n_models
    takes = f"about {duration(seconds)} and the making of images"
    note(f"corruptions: {n:,} scorings of {cases:,} cases, {takes}")
    found = robustness.answer_corrupted_all(models, answers, device, names)
    what = (
        "cases that keep their class"
        if found.metric == robustness.AGREEMENT
        else title_of(found.metric)
    )
    table = Table(
        "corruption", *(f"severity {s}" for s in (0, *SEVERITIES)), box=None, pad_edge=False
    )
    for name, values in found.values.items():
        table.add_row(CORRUPTIONS[name].title, *(number(value, 3) for value in values))
    say(f"{what} of {found.n:,} {answers.asked.cases.card.units} under corruptions of their images")
    console.print(table)
    path = out.with_name(f"{out.stem}-robustness.csv")
    robustness.write_corrupted_answers(path, found)
    return [path]


def export(
    run: Path,
    kind: str,
    arm: str | None,
    seed: int | None,
    fold: int | None,
    out: Path | None,
    data: Path | None,
    cache: Path,
) -> None:
    """Write a trained model for use elsewhere."""
    from milkreport.inference import model_exchange

    if kind not in FORMATS:
        raise ConfigError(f"--format is {kind!r}", f"give {', '.join(FORMATS)}")
    if data is not None and kind != "onnx":
        raise ConfigError("--data is for --format onnx: cases to compare on", "leave it out")
    found = find_models(run, arm, seed, fold)
    _say_choice(found[:1], found)
    place = out or model_exchange.default_out(found[0], run)
    if kind == "safetensors":
        paths = model_exchange.export_copy(found[0], place)
    elif kind == "pickle":
        paths = model_exchange.export_pickle(found[0], place)
        warn(
            "a .pt file is a pickle: read it by torch.load(FILE, weights_only=True), which executes nothing. "
            "Who gets it from elsewhere cannot tell: give safetensors where you can"
        )
    else:
        record, paths = _export_onnx(found[0], place, data, cache)
        _show_parity(record)
    show_files(paths)


def _export_onnx(
    found: ModelRef, place: Path, data: Path | None, cache: Path
) -> tuple[OnnxRecord, list[Path]]:
    from milkreport.inference import model_exchange
    from milkreport.inference.inputs import InferenceInputs, load_asked

    def ask(card: ModelCard) -> InferenceInputs | None:
        if data is None:
            return None
        with progress() as watcher:
            return load_asked(data, card, cache, progress=watcher.images, notice=watcher.notice)

    return model_exchange.export_onnx(found, place, ask)


def import_pickle(
    file: Path,
    trusted: bool,
    out: Path,
    like: Path | None,
    arm: str | None,
    seed: int | None,
    fold: int | None,
    execute: bool,
) -> None:
    """Make a model of a pickle, if the user says that it is trusted."""
    if not trusted:
        what = "a pickle is a program: whoever made the file decides what opening it does to this machine"
        raise ConfigError(what, "if you trust its source, say so: --i-trust-this-file", str(file))
    from milkreport.inference import model_exchange

    if like is None and (arm is not None or seed is not None or fold is not None):
        raise ConfigError("--arm, --seed and --fold choose of the run of --like", "give --like RUN")
    source = find_model(like, arm, seed, fold) if like is not None else None
    if execute:
        warn(f"{file}: everything that it says may be executed, as was asked for")
    card, paths = model_exchange.import_pickle(file, out, source, execute)
    say(f"{card.architecture}, {len(card.classes)} classes: {first_few(card.classes, 30)}")
    if source is not None:
        note(f"inputs, their encoding and the order of classes are those of {source}")
    show_files(paths)


def _refuse_place(out: Path) -> None:
    """Raise an error before minutes of work where the file cannot be written."""
    if out.is_dir():
        raise EnvironmentProblem("is a folder", "name a file by --out", str(out))
    folder = next((p for p in (out.resolve().parent, *out.resolve().parents) if p.exists()), None)
    if folder is not None and not (folder.is_dir() and os.access(folder, os.W_OK)):
        raise EnvironmentProblem("cannot write there", "choose another --out", str(folder))


def _say_choice(models: Sequence[ModelRef], found: Sequence[ModelRef]) -> None:
    if len(models) > 1:
        names = "; ".join(map(str, models[:10])) + ("; ..." if len(models) > 10 else "")
        say(f"models: the mean of {len(models)}: {names}")
        return
    others = f" (first of {len(found)} that are finished)" if len(found) > 1 else ""
    say(f"model: {models[0]}{others}")


def _show_answers(answers: Answers, values: npt.NDArray[np.float64], folded: bool) -> None:
    """What the user should know of the answers: how many of each class, what was filled in, how fast."""
    asked = answers.asked
    units = asked.cases.card.units
    answered = ~asked.lacking
    if folded:
        counts = (values > PLAIN).sum(axis=0)
    else:
        counts = np.bincount(values[answered].argmax(axis=1), minlength=len(answers.classes))
    head = "above its threshold" if folded else "predicted"
    table = Table("class", "share in training", head, "share", box=None, pad_edge=False)
    for name, share, n in zip(answers.classes, answers.prior, counts.tolist(), strict=True):
        known = "—" if np.isnan(share) else f"{share:.1%}"
        total = len(values) if folded else max(int(answered.sum()), 1)
        table.add_row(escape(name[:40]), known, f"{n:,}", f"{n / total:.1%}")
    console.print(table)
    if folded:
        per_case = (values > PLAIN).sum(axis=1)
        none, several = int((per_case == 0).sum()), int((per_case > 1).sum())
        say(f"{none:,} {units} with no class above its threshold, {several:,} with several")
    if never := [c for c, n in zip(answers.classes, counts.tolist(), strict=True) if not n]:
        warn(f"never predicted: {first_few(never, 30)}")
    if asked.imputed:
        text = ", ".join(f"{column} {n:,}" for column, n in asked.imputed.items())
        note(f"missing values filled as in training: {text}")
    for column, new in asked.unknown.items():
        kinds = first_few((f"{value} ({n})" for value, n in new.items()), 5)
        note(
            f"{column}: {sum(new.values()):,} values that training did not have, read as none: {kinds}"
        )
    if asked.lacking.any():
        ids = asked.cases.table.loc[asked.lacking, "case_id"]
        warn(
            f"{len(ids):,} {units} without one of their images: not predicted, their rows hold the classes' "
            f"shares in training: {first_few(ids)}"
        )
    for remark in answers.remarks:
        note(remark)
    _show_speed(answers)


def _show_speed(answers: Answers) -> None:
    asked = answers.asked
    if asked.store is not None:
        took = f"{asked.seconds:.1f} s with finding and hashing the files"
        if asked.decoded:
            rate = asked.decoded / asked.seconds
            say(f"{asked.decoded:,} images decoded in {took}, {rate:,.0f} a second")
        else:
            say(f"no image decoded, all are in the cache: {took}")
    n, what = (asked.n_images, "images") if asked.n_images else (len(asked.cases.table), "cases")
    of = f"{answers.n_models} models" if answers.n_models > 1 else "model"
    speed = n * answers.n_models / max(answers.seconds, 1e-9)
    kept = "; features of the frozen backbone that the cache had were not computed again"
    say(
        f"{of}: {n:,} {what} in {answers.seconds:.2f} s, {speed:,.0f} a second and model, "
        f"on {answers.device}{kept if answers.frozen else ''}"
    )


def _show_parity(record: OnnxRecord) -> None:
    parity = record.parity
    real = f" and {parity['real_cases']} of the data" if parity["real_cases"] else ""
    say(
        f"ONNX Runtime against PyTorch on {parity['random_cases']} random cases{real}: probabilities "
        f"differ by {parity['largest_difference']:.2g} at most ({parity['tolerance']:g} allowed)"
    )
    inputs = ", ".join(f"{name} {tuple(i['shape'])}" for name, i in record.inputs.items())  # type: ignore[arg-type]
    say(f"opset {record.opset}; inputs: {inputs}; output: {record.output}")
