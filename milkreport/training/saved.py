"""A saved model, read back: card and weights, each checked before it is used. Nothing in them is executed.

What a card may have imported, opened or downloaded is what the user allowed: see :mod:`milkreport.trust`.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import safetensors.torch
import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from milkreport.errors import DataError, MilkreportError
from milkreport.inside import refuse_links
from milkreport.limits import MOST_WEIGHTS
from milkreport.models import host
from milkreport.models.build import build_network, outline
from milkreport.parse import parse_json
from milkreport.suite.models import AnyModel, Backbone, Classifier, Model
from milkreport.training.card import SCHEMA_VERSION, ModelCard
from milkreport.training.embeddings import backbone_sha256
from milkreport.training.files import CARD_FILE, HEAD, is_pickle
from milkreport.trust import require_trusted

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

#: Bytes of a card, at most: one with 100,000 categories has less.
_MOST_CARD = 16_000_000
#: What to do about a damaged file.
AGAIN = "get it again, or train again"


@dataclass(frozen=True)
class SavedModel:
    """A model that can answer: ``network`` in evaluation mode, on the CPU, or a fitted ``classifier``."""

    card: ModelCard
    network: nn.Module | None
    classifier: Pipeline | None

    def among(self, views: Sequence[str]) -> SavedModel:
        """The same model, its views looked for among the *views* of some data."""
        reads = self.card.reads.among(views)
        return replace(self, card=self.card.model_copy(update={"reads": reads}))


def load_model(folder: Path) -> SavedModel:
    """Read ``model.json`` and the weights beside it.

    Raises:
        DataError: no model is there; it is damaged, of a newer milkreport, or not what its card says; or it
            asks for what the user did not allow.
        ConfigError, EnvironmentProblem: an own model's module or a backbone's package is not here.
    """
    card = load_card(folder / CARD_FILE)
    require_trusted(without_pretraining(card.model), card.sources, str(folder / CARD_FILE))
    data = load_weights(folder, card)
    path = folder / card.weights_file
    if isinstance(card.model, Classifier):
        refuse_other_backbone(card, str(path))
        from milkreport.models.classifier import load_classifier

        return SavedModel(card, None, load_classifier(data, str(path)))
    weights = read_weights(data, str(path))
    refuse_other_backbone(card, str(path))
    return SavedModel(card, build_filled(card, weights, str(path)), None)


def load_weights(folder: Path, card: ModelCard) -> bytes:
    """The bytes of a model's weights, which are those that its card speaks of.

    Raises:
        DataError: there are none; truncated, a pickle, or other bytes than the card's.
    """
    path = folder / card.weights_file
    try:
        with path.open("rb") as file:
            if (size := path.stat().st_size) > MOST_WEIGHTS:
                what = f"weights of {size:,} bytes: {MOST_WEIGHTS:,} at most"
                raise DataError(what, AGAIN, str(path))
            if not isinstance(card.model, Classifier):
                _refuse_pickle(file.read(HEAD), str(path))
                file.seek(0)
                with safe_open(path, framework="pt"):
                    pass  # its header is sound; the tensors are not read
            data = file.read()
    except SafetensorError as error:
        raise _no_checkpoint(error, str(path)) from error
    except OSError as error:
        what = f"cannot be read: {(error.strerror or str(error)).lower()}"
        raise DataError(what, AGAIN, str(path)) from error
    if (found := hashlib.sha256(data).hexdigest()) != card.weights_sha256:
        what = f"SHA-256 is {found[:16]}, its card says {card.weights_sha256[:16]}: damaged or exchanged"
        raise DataError(what, AGAIN, str(path))
    return data


def load_card(path: Path) -> ModelCard:
    """Read a model's card.

    Raises:
        DataError: it is not there, damaged, or of a newer milkreport; a link lies in its folder.
    """
    refuse_links(path.parent)
    try:
        if path.stat().st_size > _MOST_CARD:
            raise DataError(f"{path.stat().st_size:,} bytes are no card", "get it again", str(path))
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError) as error:
        do = "name a run, or a folder with model.json"
        raise DataError("no model here", do, str(path)) from error
    except OSError as error:
        what = f"cannot be read: {(error.strerror or str(error)).lower()}"
        raise DataError(what, "check its permissions", str(path)) from error
    return read_card(data, str(path))


def read_card(data: bytes | str, where: str) -> ModelCard:
    """A card from its JSON; see :func:`load_card`."""
    try:
        values = parse_json(data)
    except ValueError as error:
        what = f"not a milkreport model card (truncated or no JSON: {str(error)[:120]})"
        raise DataError(what, "get it again", where) from error
    version = values.get("schema_version") if isinstance(values, dict) else None
    if isinstance(version, int) and version > SCHEMA_VERSION:
        what = f"written by milkreport {values.get('milkreport', 'unknown')} (schema {version}); this one"
        raise DataError(f"{what} reads up to {SCHEMA_VERSION}", "upgrade milkreport", where)
    if version != SCHEMA_VERSION:
        what = f"schema {version} of a model card is not known (this milkreport reads {SCHEMA_VERSION})"
        raise DataError(what, "train it again, or use the milkreport that wrote it", where)
    try:
        return ModelCard.model_validate(values)
    except (ValidationError, MilkreportError) as error:
        what = str(error)
        if isinstance(error, ValidationError):
            first = error.errors()[0]
            what = f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
        raise DataError(f"damaged model card: {what}", "get it again", where) from error


def read_weights(data: bytes, where: str) -> dict[str, Tensor]:
    """Tensors of a safetensors file, every value a number.

    Raises:
        DataError: empty, truncated, a pickle or something else; overlapping tensors; NaN or infinite values.
    """
    _refuse_pickle(data[:HEAD], where)
    try:
        weights = safetensors.torch.load(data)
        (n,) = struct.unpack("<Q", data[:8])
        parse_json(data[8 : 8 + n])  # of two tensors of one name safetensors takes the last
    except (SafetensorError, ValueError, KeyError, struct.error) as error:
        raise _no_checkpoint(error, where) from error
    refuse_no_numbers(weights, where)
    return weights


def refuse_no_numbers(weights: Mapping[str, Tensor], where: str) -> None:
    """Raise a DataError for the first tensor with values that are NaN or infinite, with their count."""
    for name, tensor in weights.items():
        if tensor.is_floating_point() and (bad := int((~torch.isfinite(tensor)).sum())):
            what = f"{name} holds {bad:,} values of {tensor.numel():,} that are no numbers"
            raise DataError(what, "train again", where)


def build_filled(card: ModelCard, weights: Mapping[str, Tensor], where: str) -> nn.Module:
    """The network of *card* with *weights*, in evaluation mode.

    Raises:
        DataError: they do not fit, or the card asks for what the user did not allow.
    """
    model = without_pretraining(card.model)
    require_trusted(model, card.sources, where)
    shape = card.reads.shape(len(card.classes))
    if isinstance(model, Model):
        # Settings that would take all memory are not those of these weights: seen before it is taken.
        _refuse_other_shapes(outline(model, shape).state_dict(), weights, where)
    with torch.random.fork_rng(devices=[]):
        network = build_network(model, shape)
    fill(network, weights, where)
    return network.eval()


def without_pretraining(model: AnyModel) -> AnyModel:
    """A saved model's settings as it is built again.

    A backbone that was trained whole has all weights in its file: none need be installed, downloaded or
    read from elsewhere.
    """
    if isinstance(model, Backbone) and not model.frozen:
        return model.model_copy(update={"weights": "none"})
    return model


def fill(network: nn.Module, weights: Mapping[str, Tensor], where: str) -> None:
    """Put *weights* into *network*.

    Raises:
        DataError: the first tensor that is missing, is too many, or has another shape, with both shapes.
    """
    _refuse_other_shapes(network.state_dict(), weights, where)
    network.load_state_dict(dict(weights))


def _refuse_other_shapes(
    own: Mapping[str, Tensor], weights: Mapping[str, Tensor], where: str
) -> None:
    for name in [*own, *weights]:
        mine, theirs = (_shape(state, name) for state in (own, weights))
        if mine != theirs:
            what = f"another architecture: {name} is {theirs} in the file and {mine} in the network"
            raise DataError(what, "use the card that belongs to these weights", where)


def pack_weights(network: nn.Module) -> bytes:
    """The weights as a safetensors file whose bytes depend on them alone, as training writes it."""
    state = {name: host.to_host(tensor) for name, tensor in network.state_dict().items()}
    return safetensors.torch.save({name: t.contiguous() for name, t in state.items()})


def refuse_other_backbone(card: ModelCard, where: str) -> None:
    """Raise a DataError where the frozen backbone here is not the one on whose features was trained."""
    frozen, then = card.frozen_backbone, card.sources.get("backbone")
    if frozen and then and card.reads.images and (now := backbone_sha256(frozen)) != then:
        what = (
            f"was trained on features of another {frozen.backbone} ({then[:16]}, here {now[:16]})"
        )
        raise DataError(what, "use the backbone's weights that were used in training", where)


def _shape(state: Mapping[str, Any], name: str) -> str:
    return str(tuple(state[name].shape)) if name in state else "missing"


def _refuse_pickle(head: bytes, where: str) -> None:
    if is_pickle(head):
        do = "if you trust its source: milkreport import-pickle FILE --i-trust-this-file --out FOLDER"
        raise DataError("a pickle, which can execute anything: it is not opened", do, where)


def _no_checkpoint(error: Exception, where: str) -> DataError:
    what = f"not a milkreport checkpoint (truncated, or no safetensors: {str(error)[:120]})"
    return DataError(what, AGAIN, where)
