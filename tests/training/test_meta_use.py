"""Use of trained networks on a device that computes nothing and refuses what a GPU refuses."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from milkreport.data.prepare import Prepared  # noqa: E402
from milkreport.data.splits import Fold  # noqa: E402
from milkreport.errors import Stopped  # noqa: E402
from milkreport.runs.cells import Cell  # noqa: E402
from milkreport.runs.folder import RunFolder  # noqa: E402
from milkreport.suite.suite import Arm, Precision, Suite  # noqa: E402
from milkreport.training import (  # noqa: E402
    card,
    continued,
    fit,
    model_selector,
    saved,
)
from milkreport.training import explain as explaining  # noqa: E402
from milkreport.training.answer import answer  # noqa: E402
from milkreport.training.cell import train_cell  # noqa: E402
from milkreport.training.checkpoint import Checkpoints  # noqa: E402
from milkreport.training.continued import choose_frozen, start_from  # noqa: E402
from milkreport.training.device import pin  # noqa: E402
from milkreport.training.explain import Explainer, Explanation  # noqa: E402
from milkreport.training.pixels import (  # noqa: E402
    MappedPixels,
    ResidentPixels,
    StreamedPixels,
)
from milkreport.training.saved import SavedModel, load_model, pack_weights  # noqa: E402
from tests.device_walk import META, Walk, walking  # noqa: E402
from tests.planted_reads import FEW, READS, REFUSED, WHY, after  # noqa: E402

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


@pytest.mark.slow
@pytest.mark.parametrize("place", [ResidentPixels, StreamedPixels])
@pytest.mark.parametrize("arm", ARMS)
def test_answers(walk, prepared, fold, run, arm, place) -> None:
    model, pixels = load(run, arm), place(prepared.store, META)
    found = answer(model, prepared.cases.table, prepared.store, pixels, fold.test)
    assert found.shape == (len(fold.test), len(prepared.cases.classes))
    if arm != "logistic":
        assert walk.reads[-1] == found.shape  # once, at the end
        assert sum(shape == found.shape for shape in walk.reads) == 1
    assert (torch.bfloat16 in walk.products) == (arm == "bf16")


def explain(prepared: Prepared, run: Path, arm: str) -> tuple[dict[str, float], Explanation | None]:
    pytest.importorskip("captum")
    model = load(run, arm)
    assert model.network is not None
    model.network.to(META)
    (pixels,) = prepared.store.batch(np.array([0]))
    row = prepared.cases.table.iloc[[0]]
    return Explainer(model).look(pixels, row, prepared.cases.classes[1])


@pytest.mark.parametrize("arm", ["net", "frozen"])
def test_explanations_of_a_network_that_answered_there(walk, prepared, run, arm) -> None:
    """Grad-CAM of the image branches, integrated gradients of the columns."""
    p, why = explain(prepared, run, arm)
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


NO_VALUES = pytest.mark.filterwarnings("ignore:.*copying from a non-meta parameter")


def stop_and_resume(walk: Walk, prepared: Prepared, suite: Suite, fold: Fold, folder: Path) -> None:
    """Train, stop after four steps, and go on to the end."""
    pixels, arm = ResidentPixels(prepared.store, META), Arm(name="arm")
    asked = iter([0] * 3 + [signal.SIGINT])
    stopping = Checkpoints(folder, stop_asked=lambda: next(asked))
    with pytest.raises(Stopped):
        train_cell(prepared, suite, arm, 0, fold, pixels, checkpoints=stopping)
    assert walk.steps == 4
    train_cell(prepared, suite, arm, 0, fold, pixels, checkpoints=Checkpoints(folder))


@NO_VALUES
def test_stopped_and_resumed(walk, prepared, suite, fold, tmp_path) -> None:
    """All state goes to the host and back, the optimizer's count of steps too."""
    stop_and_resume(walk, prepared, suite, fold, tmp_path)
    assert walk.steps == suite.training.epochs * -(-len(fold.train) // suite.training.batch_size)


def test_weights_are_packed_from_there(walk, run) -> None:
    network = load(run, "net").network
    assert network is not None
    size = len(pack_weights(network))
    network.to(META)
    assert len(pack_weights(network)) == size
    assert len(walk.reads) == len(network.state_dict())


# --- negative controls ----------------------------------------------------------------------------


@pytest.mark.parametrize("read", FEW)
@pytest.mark.parametrize("arm", ["net", "frozen"])
def test_a_read_while_answering_is_found(walk, monkeypatch, prepared, run, arm, read) -> None:
    after(fit, "log_probabilities", lambda logs: logs)(monkeypatch, READS[read])
    with pytest.raises(REFUSED, match=WHY):
        answer(
            load(run, arm),
            prepared.cases.table,
            prepared.store,
            ResidentPixels(prepared.store, META),
        )


@pytest.mark.parametrize("read", FEW)
@pytest.mark.parametrize("calls", [0, 1, 2, 3], ids=["answer", "view 1", "view 2", "columns"])
def test_a_read_while_explaining_is_found(walk, monkeypatch, prepared, run, read, calls) -> None:
    """In each of the passes that an explanation consists of; the walk finds none before."""
    seen = []

    def later(logs: torch.Tensor) -> None:
        seen.append(logs.shape)
        if len(seen) > calls:
            READS[read](logs)

    after(explaining, "log_probabilities", lambda logs: logs)(monkeypatch, later)
    with pytest.raises(REFUSED, match=WHY):
        explain(prepared, run, "net")
    assert len(seen) == calls + 1


def test_inputs_of_an_explanation_that_stay_on_the_host_are_found(
    walk, monkeypatch, prepared, run
) -> None:
    class Staying(Explainer):
        device = property(lambda self: torch.device("cpu"), lambda self, found: None)

    monkeypatch.setitem(globals(), "Explainer", Staying)
    with pytest.raises(REFUSED, match=WHY):
        explain(prepared, run, "net")


def _answer_by_classifier(prepared: Any, run: Path) -> None:
    pixels = ResidentPixels(prepared.store, META)
    answer(load(run, "logistic"), prepared.cases.table, prepared.store, pixels)


def _on_device(run: Path) -> SavedModel:
    model = load(run, "net")
    assert model.network is not None
    model.network.to(META)
    return model


#: Modules that read what the device computed, and what makes them.
READERS = {
    "explanations": (explaining, lambda prepared, run: explain(prepared, run, "net")),
    "columns": (card, _answer_by_classifier),
    "start": (
        continued,
        lambda prepared, run: start_from(_on_device(run), _on_device(run).card.reads, ()),
    ),
    "packing": (saved, lambda prepared, run: pack_weights(_on_device(run).network)),
}


@pytest.mark.parametrize("reader", READERS)
def test_the_walk_passes_every_reader(walk, monkeypatch, prepared, run, reader) -> None:
    """It is replaced by one that reads by itself, which is found."""
    module, use = READERS[reader]
    use(prepared, run)
    monkeypatch.setattr(module, "host", SimpleNamespace(to_host=lambda x, copy=False: x.cpu()))
    with pytest.raises(NotImplementedError, match="meta tensor"):
        use(prepared, run)


@NO_VALUES
@pytest.mark.parametrize("name", ["exp_avg", "step"])
def test_state_of_the_optimizer_that_stays_on_the_host_is_found(
    walk, monkeypatch, prepared, suite, fold, tmp_path, name
) -> None:
    def restore(tensors: Any, network: Any, optimizer: torch.optim.Optimizer) -> None:
        whole(tensors, network, optimizer)
        for state in optimizer.state.values():
            state[name] = torch.zeros(state[name].shape)

    whole = model_selector.restore_network
    monkeypatch.setattr(model_selector, "restore_network", restore)
    with pytest.raises(REFUSED, match=WHY):
        stop_and_resume(walk, prepared, suite, fold, tmp_path)
