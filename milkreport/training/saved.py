"""A saved model, read back: card and weights, each checked before it is used. Nothing in them is executed."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from sklearn.pipeline import Pipeline
from torch import Tensor, nn

from milkreport.errors import DataError, MilkreportError
from milkreport.model_settings import Classifier
from milkreport.models.build import build_network
from milkreport.models.classifier import load_classifier
from milkreport.training.card import SCHEMA_VERSION, ModelCard

CARD_FILE = "model.json"
#: Bytes of a safetensors header, at most: a network of 100,000 tensors has less.
_MOST_HEADER = 16_000_000


@dataclass(frozen=True)
class SavedModel:
    """A model that can answer: ``network`` in evaluation mode, on the CPU, or a fitted ``classifier``."""

    card: ModelCard
    network: nn.Module | None
    classifier: Pipeline | None


def load_model(folder: Path) -> SavedModel:
    """Read ``model.json`` and the weights beside it.

    Raises:
        DataError: no model is there; it is damaged, of a newer milkreport, or not what its card says.
        ConfigError, EnvironmentProblem: an own model's module or a backbone's package is not here.
    """
    card = load_card(folder / CARD_FILE)
    path = folder / card.weights_file
    data = _read(path)
    if isinstance(card.model, Classifier):
        _refuse_changed(card, data, path)
        return SavedModel(card, None, load_classifier(data, str(path)))
    weights = read_weights(data, str(path))
    _refuse_changed(card, data, path)
    network = build_network(card.model, card.reads.shape(len(card.classes)))
    fill(network, weights, str(path))
    return SavedModel(card, network.eval(), None)


def load_card(path: Path) -> ModelCard:
    """Read a model's card.

    Raises:
        DataError: it is not there, damaged, or of a newer milkreport.
    """
    where = str(path)
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError(
            "no model here", "name a run, or a folder with model.json", where
        ) from error
    except (OSError, ValueError) as error:
        raise DataError(
            "not a milkreport model card (truncated or no JSON)", "get it again", where
        ) from error
    version = values.get("schema_version") if isinstance(values, dict) else None
    if isinstance(version, int) and version > SCHEMA_VERSION:
        what = f"written by milkreport {values.get('milkreport', 'unknown')} (schema {version}); this one"
        raise DataError(f"{what} reads up to {SCHEMA_VERSION}", "upgrade milkreport", where)
    if version != SCHEMA_VERSION:
        what = f"schema {version} of a model card is not known (this milkreport reads {SCHEMA_VERSION})"
        raise DataError(what, "train it again, or use the milkreport that wrote it", where)
    try:
        return ModelCard.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise DataError(
            f"damaged model card: {key}: {first['msg']}", "get it again", where
        ) from error


def read_weights(data: bytes, where: str) -> dict[str, Tensor]:
    """Tensors of a safetensors file, every value a number; its header is looked at before anything else.

    Raises:
        DataError: empty, truncated, a pickle or something else; overlapping tensors; NaN or infinite values.
    """
    if (
        data[:2] in (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
        or data[:4] == b"PK\x03\x04"
    ):
        do = "if you trust its source: milkreport import-pickle FILE --i-trust-this-file"
        raise DataError("a pickle, which can execute anything: it is not opened", do, where)
    header = struct.unpack("<Q", data[:8])[0] if len(data) >= 8 else -1
    if header < 2 or header > len(data) - 8 or data[8:9] != b"{":
        what = f"not a milkreport checkpoint (truncated, or no safetensors; {len(data):,} bytes)"
        raise DataError(what, "get it again, or train again", where)
    if header > _MOST_HEADER:
        raise DataError(f"its header claims {header:,} bytes", "get it again", where)
    try:
        weights = safetensors.torch.load(data)
    except (SafetensorError, ValueError, KeyError) as error:
        what = (
            f"not a milkreport checkpoint (truncated, or its tensors overlap: {str(error)[:120]})"
        )
        raise DataError(what, "get it again, or train again", where) from error
    for name, tensor in weights.items():
        if tensor.is_floating_point() and (bad := int((~torch.isfinite(tensor)).sum())):
            what = f"{name} holds {bad:,} values of {tensor.numel():,} that are no numbers"
            raise DataError(what, "train again", where)
    return weights


def fill(network: nn.Module, weights: Mapping[str, Tensor], where: str) -> None:
    """Put *weights* into *network*.

    Raises:
        DataError: the first tensor that lacks, is too many, or has another shape, with both shapes.
    """
    own = network.state_dict()
    for name in [*own, *weights]:
        mine, theirs = (_shape(state, name) for state in (own, weights))
        if mine != theirs:
            what = f"another architecture: {name} is {theirs} in the file and {mine} in the network"
            raise DataError(what, "use the card that belongs to these weights", where)
    network.load_state_dict(dict(weights))


def _shape(state: Mapping[str, Any], name: str) -> str:
    return str(tuple(state[name].shape)) if name in state else "missing"


def _refuse_changed(card: ModelCard, data: bytes, path: Path) -> None:
    if (found := hashlib.sha256(data).hexdigest()) != card.weights_sha256:
        what = f"SHA-256 is {found[:16]}, its card says {card.weights_sha256[:16]}: damaged or exchanged"
        raise DataError(what, _others(path), str(path))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", _others(path), str(path)) from error


def _others(path: Path) -> str:
    """Where the same training's twin may be: other seeds and folds of the arm that are whole."""
    for other in sorted(path.parent.parent.parent.glob(f"seed-*/fold-*/{path.name}")):
        if other == path:
            continue
        try:
            card = load_card(other.parent / CARD_FILE)
            if hashlib.sha256(other.read_bytes()).hexdigest() == card.weights_sha256:
                where = f"{other.parent.parent.name}/{other.parent.name}"
                return f"get it again, or use another training that is whole: {where}"
        except (MilkreportError, OSError):
            continue
    return "get it again, or train again"
