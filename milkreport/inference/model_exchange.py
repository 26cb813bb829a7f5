"""Trained models for elsewhere, and from elsewhere: as safetensors, ONNX or pickle; from a pickle."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from milkreport import __version__
from milkreport.atomic import write_bytes, write_text
from milkreport.errors import ConfigError, DataError, EnvironmentProblem
from milkreport.inference.find_model import ModelRef
from milkreport.inference.inputs import InferenceInputs
from milkreport.inference.trained import load_trained
from milkreport.inside import refuse_special
from milkreport.suite.models import Classifier
from milkreport.training.card import ModelCard
from milkreport.training.files import CARD_FILE, NETWORK_FILE
from milkreport.training.onnx_model import OUTPUT, OnnxModel, refuse_no_network, to_onnx
from milkreport.training.pickles import execute_pickle, find_weights, read_pickle, write_pickle
from milkreport.training.saved import (
    SavedModel,
    build_filled,
    load_card,
    load_weights,
    pack_weights,
    read_card,
    refuse_no_numbers,
)

Kind = Literal["safetensors", "onnx", "pickle"]
ONNX_FILE, ONNX_RECORD, PICKLE_FILE = "model.onnx", "model.onnx.json", "model.pt"
#: Cases on which a translation is compared beside the random ones, at most.
REAL = 16


class OnnxRecord(BaseModel):
    """``model.onnx.json``: what the ONNX takes, gives, and how far it is from PyTorch.

    ``inputs``: name to view, kind, shape and, of columns, their names in order; how a column is encoded
    stands in ``card.reads.encoder``. ``onnx_sha256``: of ``model.onnx``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    milkreport: str
    onnx_sha256: str
    opset: int
    inputs: dict[str, dict[str, object]]
    output: str = OUTPUT
    classes: list[str]
    parity: dict[str, float | int]
    card: ModelCard


def export_copy(found: ModelRef, out: Path) -> list[Path]:
    """Copy weights and card into *out*, checked: that they are whole, and fit."""
    model = load_trained(found.folder)
    weights = load_weights(found.folder, model.card)
    paths = [out / model.card.weights_file, out / CARD_FILE]
    write_bytes(paths[0], weights)
    write_bytes(paths[1], (found.folder / CARD_FILE).read_bytes())
    return paths


def export_pickle(found: ModelRef, out: Path) -> list[Path]:
    """Write the network as ``model.pt``.

    Raises:
        ConfigError: it is a classifier, which needs no pickle.
    """
    model = load_trained(found.folder)
    if model.network is None:
        what = f"{model.card.model.name} is a classifier of scikit-learn, kept without pickle"
        raise ConfigError(what, "use --format safetensors, which copies model.skops and its card")
    path = out / PICKLE_FILE
    write_bytes(path, write_pickle(model.card, model.network.state_dict()))
    return [path]


def export_onnx(
    found: ModelRef,
    out: Path,
    ask: Callable[[ModelCard], InferenceInputs | None] = lambda card: None,
) -> tuple[OnnxRecord, list[Path]]:
    """Write the network as ``model.onnx`` with its record, once it answers as PyTorch does.

    Args:
        ask: given the card, cases to compare on beside the random ones.

    Raises:
        ConfigError, DataError, EnvironmentProblem: see :func:`milkreport.training.onnx_model.to_onnx`; then
            neither file is in *out*.
    """
    paths = [out / ONNX_FILE, out / ONNX_RECORD]
    model = load_trained(found.folder)
    refuse_no_network(model)
    asked = ask(model.card)
    try:
        made = to_onnx(model, _real_inputs(model, asked) if asked is not None else ())
    except DataError:
        for path in paths:  # an older one would pass for this one
            path.unlink(missing_ok=True)
        raise
    record = _record(model, made)
    write_bytes(paths[0], made.data)
    write_text(paths[1], record.model_dump_json(indent=1) + "\n")
    return record, paths


def _record(model: SavedModel, made: OnnxModel) -> OnnxRecord:
    encoder = model.card.reads.encoder
    inputs: dict[str, dict[str, object]] = {}
    for wanted in made.inputs:
        inputs[wanted.name] = {
            "view": wanted.view,
            "kind": wanted.kind,
            "shape": ["n", *wanted.shape],
            "dtype": "float32",
        }
        if wanted.kind == "columns":
            inputs[wanted.name]["columns"] = encoder.names(wanted.view)
        else:
            inputs[wanted.name]["values"] = "0 to 1, channels red, green, blue"
    return OnnxRecord(
        milkreport=__version__,
        onnx_sha256=hashlib.sha256(made.data).hexdigest(),
        opset=made.opset,
        inputs=inputs,
        classes=model.card.classes,
        parity=asdict(made.parity),
        card=model.card,
    )


def _real_inputs(model: SavedModel, asked: InferenceInputs) -> list[npt.NDArray[np.float32]]:
    """Up to 16 cases as the ONNX takes them."""
    reads = model.card.reads
    chosen = np.flatnonzero(~asked.lacking)[:REAL]
    arrays = []
    if asked.store is not None:
        pixels = asked.store.batch(chosen, dtype=np.float32)
        places = [asked.cases.views.index(view) for view in reads.views]
        arrays = [np.ascontiguousarray(pixels[:, i].transpose(0, 3, 1, 2)) for i in places]
    table = asked.cases.table.iloc[chosen]
    columns = [reads.encoder.encode(table, view) for view in reads.views]
    return [*arrays, *(values for values in columns if values.shape[1])]


def import_pickle(
    file: Path, out: Path, like: ModelRef | None = None, execute: bool = False
) -> tuple[ModelCard, list[Path]]:
    """Make a model of *file*: weights and card in *out*, as a training of ours leaves them.

    Args:
        like: a model of the same architecture, whose card is taken; by default the file brings its own.
        execute: do what the pickle says, where reading alone does not suffice.

    Raises:
        DataError: nothing to read; it asks for more than data; no weights, no card, or another architecture;
            the card asks for what the user did not allow.
        ConfigError: *out* holds something.
    """
    refuse_filled(out)
    refuse_special(file)
    try:
        data = file.read_bytes()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise DataError(f"cannot be read: {reason}", "check the path", str(file)) from error
    try:
        content = read_pickle(data, str(file))
    except DataError:
        if not execute:
            raise
        content = execute_pickle(data, str(file))
    weights, brought = find_weights(content, str(file))
    refuse_no_numbers(weights, str(file))
    origin = f"imported from a pickle with SHA-256 {hashlib.sha256(data).hexdigest()}"
    if like is not None:
        card = _like(load_card(like.folder / CARD_FILE), origin)
    elif brought is not None:
        card = read_card(brought, f"{file} (card)")
        card = card.model_copy(update={"note": origin})
    else:
        do = "name a model of the same architecture: --like RUN --arm ARM"
        raise DataError("holds weights and no card, which says what they are for", do, str(file))
    if isinstance(card.model, Classifier):
        what = f"the card is that of {card.model.name}, a classifier without tensors"
        raise ConfigError(what, "give a network by --like", str(file))
    packed = pack_weights(build_filled(card, weights, str(file)))
    update = {"weights_file": NETWORK_FILE, "weights_sha256": hashlib.sha256(packed).hexdigest()}
    card = card.model_copy(update=update)
    paths = [out / NETWORK_FILE, out / CARD_FILE]
    write_bytes(paths[0], packed)
    write_text(paths[1], card.model_dump_json(indent=1))
    return card, paths


def refuse_filled(out: Path) -> None:
    """Raise an error where *out* is a file, or a folder with anything in it."""
    if out.is_file():
        raise EnvironmentProblem("is a file", "choose another --out", str(out))
    if out.is_dir() and any(out.iterdir()):
        raise ConfigError("not empty", "choose another --out", str(out))


def _like(card: ModelCard, origin: str) -> ModelCard:
    """The card of another training, without what only that one has."""
    return card.model_copy(
        update={
            "suite": "",
            "arm": "",
            "seed": 0,
            "fold": 0,
            "epoch_used": 0,
            "device": "",
            "data_sha256": "",
            "metrics": {},
            "correction": "none",
            "strength": 0.0,
            "note": f"{origin}; inputs, their encoding and classes as in {card.arm or 'another model'}",
        }
    )


def default_out(found: ModelRef, path: Path) -> Path:
    """Where an export goes by itself: below the run, or below the folder of the model."""
    return path / "export" / found.name if found.cell else path / "export"
