"""Training on a device that computes nothing and refuses what a GPU refuses: every arm and precision."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from milkreport.data.splits import Fold  # noqa: E402
from milkreport.models import host  # noqa: E402
from milkreport.suite.arms import Correction  # noqa: E402
from milkreport.suite.suite import Precision, Suite  # noqa: E402
from milkreport.training import fit  # noqa: E402
from milkreport.training.device import pin  # noqa: E402
from milkreport.training.pixels import (  # noqa: E402
    ResidentPixels,
    StreamedPixels,
    choose_pixel_source,
)
from tests.device_walk import META, Walk, set_training, train, walking  # noqa: E402

CORRECTIONS = get_args(Correction)
PRECISIONS = get_args(Precision)


@pytest.fixture
def walk(monkeypatch: pytest.MonkeyPatch, suite: Suite) -> Iterator[Walk]:
    with walking(monkeypatch) as found:
        yield found
    pin(suite.training, torch.device("cpu"))


def n_steps(suite: Suite, fold: Fold) -> int:
    return suite.training.epochs * -(-len(fold.train) // suite.training.batch_size)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("correction", CORRECTIONS)
def test_every_arm_in_every_precision(walk, prepared, suite, fold, correction, precision) -> None:
    asked = set_training(suite, precision=precision, epochs=1)
    trained = train(prepared, asked, fold, correction=correction)
    assert walk.steps == n_steps(asked, fold) > 1
    convolutions = 2 * suite.model.blocks * suite.model.convolutions_per_block  # of two views
    assert walk.backwards == convolutions * walk.steps
    assert (torch.bfloat16 in walk.products) == (precision == "bf16")
    assert sum(trained.exposure.values()) == len(fold.train)


def traffic(walk: Walk, prepared, suite: Suite, fold: Fold, size: int) -> tuple[list, list, int]:
    """Shapes of all that is read back and of all that is given, in three epochs; and the scalars."""
    walk.reads.clear()
    walk.uploads.clear()
    walk.steps = 0
    asked = set_training(suite, batch_size=size, epochs=3)
    trained = train(prepared, asked, fold)
    assert walk.steps == n_steps(asked, fold)
    return sorted(walk.reads), sorted(walk.uploads), len(trained.scalars)


def test_traffic_does_not_grow_with_the_steps(walk, prepared, suite, fold) -> None:
    """Per epoch the host reads the loss and the scores of each part; once, the weights."""
    few, many = (traffic(walk, prepared, suite, fold, size) for size in (64, 16))
    assert few == many
    reads, _, n_scalars = few
    assert reads.count(()) == 3 + 2 * n_scalars  # which are weights, too
    for part in fold.parts().values():
        assert reads.count((len(part), len(prepared.cases.classes))) == 3


@pytest.mark.parametrize("planted", ["read", "upload"])
def test_traffic_of_every_step_would_show(
    walk, monkeypatch, prepared, suite, fold, planted
) -> None:
    """Negative control: by the one function that may read, and by a copy to the device."""

    def step(*arguments):
        total = whole(*arguments)
        if planted == "read":
            host.to_host(total)
        else:
            torch.zeros(1).to(META)
        return total

    whole = fit.step
    monkeypatch.setattr(fit, "step", step)
    few, many = (traffic(walk, prepared, suite, fold, size) for size in (64, 16))
    assert few != many


@pytest.mark.parametrize("augmentation", ["flips", "flips_and_light"])
@pytest.mark.parametrize("place", [ResidentPixels, StreamedPixels])
def test_augmented_from_every_place_of_the_pixels(
    walk, prepared, suite, fold, place, augmentation
) -> None:
    asked = set_training(suite, augmentation=augmentation, epochs=1)
    train(prepared, asked, fold, place(prepared.store, META))
    assert walk.steps == n_steps(asked, fold)


@pytest.mark.parametrize(("room", "expected"), [(4, ResidentPixels), (1, StreamedPixels)])
def test_the_place_is_chosen_as_on_a_gpu(
    walk, monkeypatch, prepared, suite, fold, room, expected
) -> None:
    needed = prepared.store.pixels[:1].nbytes * len(prepared.store.rows)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (room * needed, 10**12))
    pixels = choose_pixel_source(prepared.store, META)
    assert isinstance(pixels, expected)
    assert all(block.is_meta for block in pixels.stream([torch.arange(3), torch.arange(2)]))
    train(prepared, set_training(suite, epochs=1), fold, pixels)


@pytest.mark.parametrize(
    "changes",
    [
        {"optimizer": "adamw", "weight_decay": 0.01},
        {"schedule": "cosine", "warmup_epochs": 1},
        {"chunk": 5},
        {"select": "validation"},
        {"patience": 1, "select": "validation"},
    ],
    ids=str,
)
def test_every_way_to_train(walk, prepared, suite, fold, changes) -> None:
    asked = set_training(suite, **changes)
    train(prepared, asked, fold)
    assert walk.steps


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings", [{"frozen": False}, {"frozen": False, "hidden": 8, "dropout": 0.5}, {}], ids=str
)
def test_backbones_and_features_of_a_frozen_one(walk, prepared, suite, fold, settings) -> None:
    asked = set_training(suite, epochs=1)
    model = {"name": "backbone", "backbone": "resnet18", "weights": "none"} | settings
    trained = train(prepared, asked, fold, model=model)
    assert walk.steps == n_steps(asked, fold)
    assert trained.card.architecture == "backbone"
    assert (walk.backwards > 0) == bool(settings)


@pytest.mark.parametrize("inputs", [{"images": False}, {"metadata": False}], ids=str)
def test_without_images_or_without_columns(walk, prepared, suite, fold, inputs) -> None:
    train(prepared, set_training(suite, epochs=1), fold, inputs=inputs)
    assert walk.steps


def test_a_classifier_on_features_that_the_device_made(walk, prepared, suite, fold) -> None:
    model = {"name": "logistic_regression", "backbone": "resnet18", "weights": "none"}
    trained = train(prepared, suite, fold, model=model)
    assert walk.products  # the backbone ran there
    assert np.isfinite(trained.predictions[list(prepared.cases.classes)].to_numpy()).all()
