"""Negative controls of the walk: a value that is read back anywhere in a training is found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor  # noqa: E402

from milkreport.models import lesion_net  # noqa: E402
from milkreport.models.backbone import Embedder  # noqa: E402
from milkreport.training import (  # noqa: E402
    augment,
    card,
    cell,
    checkpoint,
    embeddings,
    fit,
    model_selector,
)
from milkreport.training.batches import ColumnInputs, ImageInputs  # noqa: E402
from milkreport.training.checkpoint import Checkpoints  # noqa: E402
from milkreport.training.device import pin  # noqa: E402
from milkreport.training.imbalance import Loss  # noqa: E402
from milkreport.training.pixels import ResidentPixels, StreamedPixels  # noqa: E402
from tests.device_walk import META, Walk, set_training, train, walking  # noqa: E402
from tests.planted_reads import FEW, READS, REFUSED, WHY, Read, after, flat  # noqa: E402


@pytest.fixture
def walk(monkeypatch: pytest.MonkeyPatch, prepared, suite) -> Iterator[Walk]:
    with walking(monkeypatch) as found:
        yield found
    pin(suite.training, torch.device("cpu"))


@pytest.fixture
def one(suite):
    """One epoch."""
    return set_training(suite, epochs=1)


@pytest.mark.parametrize("read", READS)
def test_the_host_takes_each_of_them(read: str) -> None:
    """Else a read would be refused for what it is, and not for where it is."""
    READS[read](torch.rand(4, 3))


@pytest.mark.slow
@pytest.mark.parametrize("read", READS)
def test_each_is_refused_in_a_step(walk, monkeypatch, prepared, one, fold, read) -> None:
    _in_forward(monkeypatch, READS[read], training=True)
    with pytest.raises(REFUSED, match=WHY):
        train(prepared, one, fold)
    assert walk.steps == 0


# --- every place ----------------------------------------------------------------------------------


def _each(owner: Any, name: str, pick: Callable[[Any], Tensor]) -> Callable[..., None]:
    """The same for a generator."""

    def plant(patch: pytest.MonkeyPatch, read: Read) -> None:
        whole = getattr(owner, name)

        def planted(*arguments: Any, **named: Any) -> Any:
            for found in whole(*arguments, **named):
                read(flat(pick(found)))
                yield found

        patch.setattr(owner, name, planted)

    return plant


def _in_forward(patch: pytest.MonkeyPatch, read: Read, training: bool) -> None:
    def build(*arguments: Any) -> torch.nn.Module:
        network = whole(*arguments)
        network.register_forward_hook(hook)
        return network

    def hook(module: torch.nn.Module, _: Any, scores: Tensor) -> None:
        if module.training is training:
            read(scores)

    whole = cell.build_network
    patch.setattr(cell, "build_network", build)


def _in_backward(patch: pytest.MonkeyPatch, read: Read) -> None:
    def forward(network: Any, images: Any, features: Any) -> Tensor:
        scores = whole(network, images, features)
        if scores.requires_grad:
            scores.register_hook(hook)
        return scores

    def hook(gradient: Tensor) -> None:
        read(gradient)

    whole = lesion_net.MultiModalLesionNet.forward
    patch.setattr(lesion_net.MultiModalLesionNet, "forward", forward)


def _at_optimizer(patch: pytest.MonkeyPatch, read: Read) -> None:
    def make(*arguments: Any) -> torch.optim.Optimizer:
        optimizer = whole(*arguments)
        first = optimizer.param_groups[0]["params"][0]
        optimizer.register_step_pre_hook(lambda *_: hook(first))
        return optimizer

    def hook(parameter: Tensor) -> None:
        assert parameter.grad is not None
        read(flat(parameter.grad))

    whole = fit._make_optimizer
    patch.setattr(fit, "_make_optimizer", make)


BACKBONE = {"name": "backbone", "backbone": "resnet18", "weights": "none"}
#: A place, how to plant a read there, and what the training must be for the way to lead through it.
PLACES: dict[str, tuple[Callable[..., None], dict[str, Any]]] = {
    "forwards": (lambda patch, read: _in_forward(patch, read, True), {}),
    "backwards": (_in_backward, {}),
    "loss": (after(Loss, "total", lambda total: total), {"correction": "focal_loss"}),
    "weights of a batch": (after(Loss, "weigh", lambda weight: weight), {}),
    "optimizer": (_at_optimizer, {}),
    "turning": (after(augment, "turn", lambda images: images), {"augmentation": "flips"}),
    "relighting": (
        after(augment, "relight", lambda images: images),
        {"augmentation": "flips_and_light"},
    ),
    "resident pixels": (_each(ResidentPixels, "stream", lambda block: block.float()), {}),
    "streamed pixels": (
        _each(StreamedPixels, "stream", lambda block: block.float()),
        {"pixels": StreamedPixels},
    ),
    "images": (_each(ImageInputs, "passes", lambda given: given[0][0]), {}),
    "columns beside them": (_each(ImageInputs, "passes", lambda given: given[1][0]), {}),
    "columns alone": (
        _each(ColumnInputs, "passes", lambda given: given[1][0]),
        {"inputs": {"images": False}},
    ),
    "frozen backbone": (after(Embedder, "forward", lambda found: found), {"model": BACKBONE}),
    "its features": (
        _each(ColumnInputs, "passes", lambda given: given[0][0]),
        {"model": BACKBONE},
    ),
    "scoring": (lambda patch, read: _in_forward(patch, read, False), {}),
    "log probabilities": (after(fit, "log_probabilities", lambda logs: logs), {}),
}  # fmt: skip


def _train(prepared: Any, suite: Any, fold: Any, settings: dict[str, Any]) -> None:
    rest = dict(settings)
    if kind := rest.pop("augmentation", None):
        suite = set_training(suite, augmentation=kind)
    place = rest.pop("pixels", ResidentPixels)(prepared.store, META)
    train(prepared, suite, fold, place, **rest)


@pytest.mark.parametrize("read", FEW)
@pytest.mark.parametrize("place", PLACES)
def test_a_read_is_found_wherever_it_is(
    walk, monkeypatch, prepared, one, fold, place, read
) -> None:
    plant, settings = PLACES[place]
    plant(monkeypatch, READS[read])
    with pytest.raises(REFUSED, match=WHY):
        _train(prepared, one, fold, settings)


@pytest.mark.parametrize("place", PLACES)
def test_nothing_is_found_where_nothing_is_planted(
    walk, monkeypatch, prepared, one, fold, place
) -> None:
    """The same trainings, through the same places."""
    seen = []
    plant, settings = PLACES[place]
    plant(monkeypatch, lambda x: seen.append(x.shape))
    _train(prepared, one, fold, settings)
    assert seen


# --- the one way back -----------------------------------------------------------------------------

#: Modules that read what the device computed while a cell is trained, and a training that makes them.
READERS: dict[str, tuple[Any, dict[str, Any]]] = {
    "loss and scores": (fit, {}),
    "kept weights": (model_selector, {}),
    "scalars": (lesion_net, {}),
    "features": (embeddings, {"model": BACKBONE}),
    "columns of a classifier": (card, {"model": BACKBONE | {"name": "logistic_regression"}}),
}


@pytest.mark.parametrize("reader", READERS)
def test_the_walk_passes_every_reader(walk, monkeypatch, prepared, one, fold, reader) -> None:
    """One that read by itself would be found: it is replaced by one that does."""
    module, settings = READERS[reader]
    monkeypatch.setattr(module, "host", SimpleNamespace(to_host=lambda x, copy=False: x.cpu()))
    with pytest.raises(NotImplementedError, match="meta tensor"):
        _train(prepared, one, fold, settings)


def test_the_walk_passes_the_checkpoints(walk, monkeypatch, prepared, one, fold, tmp_path) -> None:
    monkeypatch.setattr(checkpoint, "host", SimpleNamespace(to_host=lambda x: x.cpu()))
    with pytest.raises(NotImplementedError, match="meta tensor"):
        cell.train_cell(
            prepared,
            one,
            one.arms[0],
            0,
            fold,
            ResidentPixels(prepared.store, META),
            checkpoints=Checkpoints(tmp_path, every=0),
        )
