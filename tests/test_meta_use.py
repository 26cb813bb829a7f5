"""Use of trained networks on a device that computes nothing and refuses what a GPU refuses."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from milkreport.errors import Stopped  # noqa: E402
from milkreport.runs.cells import Cell  # noqa: E402
from milkreport.runs.folder import RunFolder  # noqa: E402
from milkreport.suite import Arm, Precision  # noqa: E402
from milkreport.training.answer import answer  # noqa: E402
from milkreport.training.cell import train_cell  # noqa: E402
from milkreport.training.checkpoint import Checkpoints  # noqa: E402
from milkreport.training.continued import choose_frozen, start_from  # noqa: E402
from milkreport.training.device import pin  # noqa: E402
from milkreport.training.explain import Explainer  # noqa: E402
from milkreport.training.pixels import (  # noqa: E402
    MappedPixels,
    ResidentPixels,
    StreamedPixels,
)
from milkreport.training.saved import SavedModel, load_model, pack_weights  # noqa: E402

from .device_walk import META, Walk, walking  # noqa: E402

CELLS = "cells/{}/seed-0/fold-0"
BACKBONE = {"name": "backbone", "backbone": "resnet18", "weights": "none"}
ARMS = {
    "net": {},
    "bf16": {},
    "frozen": {"model": BACKBONE},
    "logistic": {"model": BACKBONE | {"name": "logistic_regression"}},
}


@pytest.fixture(scope="module")
def run(prepared, suite, fold, tmp_path_factory) -> Path:
    """Three arms trained on the CPU."""
    folder = RunFolder(tmp_path_factory.mktemp("walked"))
    pixels = MappedPixels(prepared.store)
    for name, arm in ARMS.items():
        precision: Precision = "bf16" if name == "bf16" else "float32"
        training = suite.training.model_copy(update={"epochs": 1, "precision": precision})
        asked = suite.model_copy(update={"training": training})
        trained = train_cell(prepared, asked, Arm(name=name, **arm), 0, fold, pixels)
        folder.cell(Cell(name, 0, 0)).write(trained, "")
    return folder.path


@pytest.fixture
def walk(monkeypatch: pytest.MonkeyPatch, run: Path, suite) -> Iterator[Walk]:
    with walking(monkeypatch) as found:
        yield found
    pin(suite.training, torch.device("cpu"))


def load(run: Path, arm: str) -> SavedModel:
    return load_model(run / CELLS.format(arm))


@pytest.mark.parametrize("place", [ResidentPixels, StreamedPixels])
@pytest.mark.parametrize("arm", ARMS)
def test_answers(walk, prepared, fold, run, arm, place) -> None:
    found = answer(
        load(run, arm),
        prepared.cases.table,
        prepared.store,
        place(prepared.store, META),
        fold.test,
    )
    assert found.shape == (len(fold.test), len(prepared.cases.classes))
    if arm != "logistic":
        assert walk.reads[-1] == found.shape  # once, at the end
        assert sum(shape == found.shape for shape in walk.reads) == 1
    assert (torch.bfloat16 in walk.products) == (arm == "bf16")


@pytest.mark.parametrize("arm", ["net", "frozen"])
def test_explanations_of_a_network_that_answered_there(walk, prepared, run, arm) -> None:
    """Grad-CAM of the image branches, integrated gradients of the columns."""
    pytest.importorskip("captum")
    model = load(run, arm)
    assert model.network is not None
    model.network.to(META)
    explainer = Explainer(model)
    (pixels,) = prepared.store.batch(np.array([0]))
    p, why = explainer.look(pixels, prepared.cases.table.iloc[[0]], prepared.cases.classes[1])
    assert list(p) == list(prepared.cases.classes)
    assert why is not None
    views = len(prepared.cases.views)
    size = prepared.store.size
    assert [heat.shape for heat in why.maps] == [(size, size)] * (views if arm == "net" else 0)
    assert walk.reads.count((size, size)) == len(why.maps)
    read = [values.shape for values in why.attributions]
    assert len(read) == views
    assert all(shape in walk.reads for shape in read)


@pytest.mark.parametrize("wanted", ["block_1", "fusion", "none"])
def test_fine_tuning(walk, prepared, suite, fold, run, wanted) -> None:
    model = load(run, "net")
    assert model.network is not None
    model.network.to(META)  # it answered the new cases before
    frozen, trained = choose_frozen(model, wanted)
    start = start_from(model, model.card.reads, frozen)
    assert all(weights.device.type == "cpu" for weights in start.weights.values())
    pixels = ResidentPixels(prepared.store, META)
    cell = train_cell(prepared, suite, Arm(name="arm"), 0, fold, pixels, start=start)
    assert walk.steps == suite.training.epochs * -(-len(fold.train) // suite.training.batch_size)
    assert (walk.backwards > 0) == ("block_2" in trained)
    assert cell.weights


def test_fine_tuning_a_head(walk, prepared, suite, fold, run) -> None:
    model = load(run, "frozen")
    start = start_from(model, model.card.reads, ())
    arm = Arm(name="arm", model=BACKBONE)
    train_cell(prepared, suite, arm, 0, fold, StreamedPixels(prepared.store, META), start=start)
    assert walk.steps


@pytest.mark.filterwarnings("ignore:.*copying from a non-meta parameter")
def test_stopped_and_resumed(walk, prepared, suite, fold, tmp_path) -> None:
    """All state goes to the host and back, the optimizer's count of steps too."""
    pixels = ResidentPixels(prepared.store, META)

    def train(checkpoints: Checkpoints) -> None:
        train_cell(prepared, suite, Arm(name="arm"), 0, fold, pixels, checkpoints=checkpoints)

    asked = iter([0] * 3 + [signal.SIGINT])
    with pytest.raises(Stopped):
        train(Checkpoints(tmp_path, stop_asked=lambda: next(asked)))
    assert walk.steps == 4
    train(Checkpoints(tmp_path))
    assert walk.steps == suite.training.epochs * -(-len(fold.train) // suite.training.batch_size)


def test_weights_are_packed_from_there(walk, run) -> None:
    network = load(run, "net").network
    assert network is not None
    size = len(pack_weights(network))
    network.to(META)
    assert len(pack_weights(network)) == size
    assert len(walk.reads) == len(network.state_dict())
