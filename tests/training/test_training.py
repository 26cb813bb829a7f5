"""Training: the arms exclude one another, chunked steps are the same step, nothing leaks."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import numpy as np
import pandas as pd
import pytest

torch = pytest.importorskip("torch")

import safetensors.torch  # noqa: E402
from sklearn.utils.class_weight import compute_class_weight  # noqa: E402
from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402

from milkreport.data.pixels.store import PixelStore  # noqa: E402
from milkreport.data.prepare import Prepared  # noqa: E402
from milkreport.data.splits import Fold  # noqa: E402
from milkreport.errors import ConfigError, EnvironmentProblem  # noqa: E402
from milkreport.models.lesion_net import MaxPool, MultiModalLesionNet  # noqa: E402
from milkreport.models.shape import Shape  # noqa: E402
from milkreport.runs.cells import Cell  # noqa: E402
from milkreport.runs.folder import RunFolder  # noqa: E402
from milkreport.suite.arms import ON_LOGITS, Correction  # noqa: E402
from milkreport.suite.suite import Arm, Model, Suite, Training, build_suite, load_suite  # noqa: E402
from milkreport.training import cell as cell_module  # noqa: E402
from milkreport.training.answer import answer  # noqa: E402
from milkreport.training.batches import ImageInputs, chunk_size  # noqa: E402
from milkreport.training.cell import TrainedCell, train_cell  # noqa: E402
from milkreport.training.checkpoint import Position  # noqa: E402
from milkreport.training.device import resolve_device  # noqa: E402
from milkreport.training.failures import TrainingFailed  # noqa: E402
from milkreport.training.fit import (  # noqa: E402
    TrainingPart,
    fit,
    has_batch_statistics,
    initialise,
    step,
)
from milkreport.training.imbalance import (  # noqa: E402
    epoch_order,
    inverse_frequencies,
    make_loss,
)
from milkreport.training.pixels import (  # noqa: E402
    MappedPixels,
    ResidentPixels,
    StreamedPixels,
)
from milkreport.training.saved import load_model  # noqa: E402

CPU = torch.device("cpu")
CORRECTIONS = ("none", "weighted_loss", "sampler")
LABELS = torch.tensor([0] * 70 + [1] * 25 + [2] * 5)


def train(prepared: Prepared, suite: Suite, fold: Fold, correction: str = "none") -> TrainedCell:
    arm = Arm(name="arm", correction=correction)
    return train_cell(prepared, suite, arm, 0, fold, MappedPixels(prepared.store))


def relabel(prepared: Prepared, positions: np.ndarray) -> Prepared:
    """The same cases with the labels at *positions* turned around."""
    table = prepared.cases.table.copy()
    labels = table["label"].to_numpy(dtype=object, copy=True)
    labels[positions] = np.roll(labels[positions], len(positions) // 2)
    assert (labels != table["label"].to_numpy()).any()
    return replace(prepared, cases=replace(prepared.cases, table=table.assign(label=labels)))


# --- the arms -------------------------------------------------------------------------------------


def test_each_arm_has_exactly_one_correction() -> None:
    ones = torch.ones(3)
    for correction, weighs, draws in (
        ("none", False, False),
        ("weighted_loss", True, False),
        ("sampler", False, True),
        ("weighted_loss_and_sampler", True, True),
    ):
        assert (not torch.equal(make_loss(correction, LABELS, 3).weights, ones)) == weighs
        order = epoch_order(correction, LABELS, 3, seed=0, epoch=1)
        is_permutation = sorted(order.tolist()) == list(range(100))
        assert is_permutation != draws
    for name in ("quick", "paper", "paper_as_published", "cv5"):
        corrections = [arm.correction for arm in load_suite(name).arms]
        assert corrections == ["none", "weighted_loss", "sampler"]


def test_two_arms_with_one_correction_are_refused() -> None:
    values = load_suite("quick").model_dump()
    values["arms"][2]["correction"] = "weighted_loss"
    with pytest.raises(ConfigError, match="arms must exclude one another"):
        build_suite(values)


def test_class_weights_equal_scikit_learns() -> None:
    expected = compute_class_weight("balanced", classes=np.arange(3), y=LABELS.numpy())
    assert inverse_frequencies(LABELS, 3).numpy() == pytest.approx(expected)
    assert inverse_frequencies(LABELS, 4)[3] == 0  # a class without training cases


def test_the_sampler_draws_each_class_equally_often() -> None:
    drawn = torch.cat([LABELS[epoch_order("sampler", LABELS, 3, 0, e)] for e in range(300)])
    shares = torch.bincount(drawn).numpy() / len(drawn)
    assert shares == pytest.approx([1 / 3] * 3, abs=0.01)


def test_orders_depend_on_seed_and_epoch_alone() -> None:
    for correction in ("none", "sampler"):
        first = epoch_order(correction, LABELS, 3, 7, 2)
        torch.rand(10)  # the global generator is not read
        assert torch.equal(first, epoch_order(correction, LABELS, 3, 7, 2))
        assert not torch.equal(first, epoch_order(correction, LABELS, 3, 7, 3))
        assert not torch.equal(first, epoch_order(correction, LABELS, 3, 8, 2))
    # Baseline and weighted loss see the same order: they differ in the loss alone.
    none, weighted = (epoch_order(c, LABELS, 3, 0, 1) for c in ("none", "weighted_loss"))
    assert torch.equal(none, weighted)


# --- the step -------------------------------------------------------------------------------------


STRENGTH = {
    "effective_number_loss": 0.99, "focal_loss": 2.0, "logit_adjustment": 1.5, "label_smoothing": 0.2,
}  # fmt: skip


def reference_loss(correction: str):
    """The mean loss of a batch by PyTorch's own losses, torchvision's, or the formula of the source."""
    weights = torch.ones(3, dtype=torch.float64)
    if correction in ("weighted_loss", "weighted_loss_and_sampler"):
        weights = inverse_frequencies(LABELS, 3).double()
    if correction == "effective_number_loss":
        counts = torch.tensor([70.0, 25.0, 5.0], dtype=torch.float64)
        weights = (1 - 0.99) / (1 - 0.99**counts)
    if correction == "logit_adjustment":
        prior = torch.tensor([0.70, 0.25, 0.05], dtype=torch.float64)
        return lambda s, t: torch.nn.functional.cross_entropy(s + 1.5 * prior.log(), t)
    if correction == "focal_loss":
        # p and 1 - p against the true class alone, as torchvision's detection loss has it for each class.
        def focal(scores, truth):
            p = scores.softmax(1)[torch.arange(len(truth)), truth]
            return (-((1 - p) ** 2) * p.log()).mean()

        return focal
    smoothing = 0.2 if correction == "label_smoothing" else 0.0
    return torch.nn.CrossEntropyLoss(weight=weights, label_smoothing=smoothing)


def gradients(correction: str, chunk: int, output: str = "logits") -> list[torch.Tensor]:
    """Gradients of one step of 30 cases in float64."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (100, 2, 16, 16, 3), dtype=np.uint8)
    features = [torch.from_numpy(rng.normal(size=(100, 5))) for _ in range(2)]

    class DoubleInputs(ImageInputs):
        def passes(self, batches):
            for images, tables in super().passes(batches):
                yield [view.double() for view in images], tables

    store = PixelStore(pixels, pd.DataFrame(), np.arange(100), "", "")
    inputs = DoubleInputs(MappedPixels(store), [0, 1], features)
    model = Model(metadata_hidden_layers=2, output=output)
    shape = Shape(16, ("a", "b"), (5, 5), 3)
    network = initialise(lambda: MultiModalLesionNet(model, shape), 0).double()
    loss = make_loss(correction, LABELS, 3, STRENGTH.get(correction, 0.0))
    loss = replace(loss, weights=loss.weights.double())
    batch = epoch_order(correction, LABELS, 3, 0, 1)[:30]
    assert len(set(LABELS[batch].tolist())) > 1

    optimizer = torch.optim.SGD(network.parameters(), lr=0.0)
    passes = inputs.passes(torch.split(batch, chunk))
    mean = step(network, optimizer, loss, chunk, "float32", passes, LABELS[batch]).item()
    assert next(passes, None) is None

    ((images, tables),) = inputs.passes([batch])
    expected = reference_loss(correction)(network(images, tables), LABELS[batch])
    assert mean == pytest.approx(expected.item(), rel=1e-6)
    return [p.grad.clone() for p in network.parameters()]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("correction", "output"),
    [(c, o) for c in get_args(Correction) for o in ("logits", "softmax")
     if o == "logits" or c not in ON_LOGITS],  # the others a suite refuses
)  # fmt: skip
def test_chunks_add_up_to_the_unchunked_step(correction: str, output: str) -> None:
    whole = gradients(correction, 30, output)
    assert any(g.abs().max() > 1e-6 for g in whole)
    for chunk in (1, 7, 8):
        for one, other in zip(whole, gradients(correction, chunk, output), strict=True):
            assert torch.allclose(one, other, rtol=1e-9, atol=1e-14)


def test_averaging_chunk_means_would_be_another_step() -> None:
    """Negative control: the tempting way changes the weighted arm."""
    weights = make_loss("weighted_loss", LABELS, 3).weights.double()
    scores = torch.randn(30, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    targets = LABELS[torch.randperm(100, generator=torch.Generator().manual_seed(1))[:30]]
    loss = torch.nn.CrossEntropyLoss(weight=weights)
    means = [loss(s, t) for s, t in zip(scores.split(7), targets.split(7), strict=True)]
    assert abs(float(sum(means) / len(means) - loss(scores, targets))) > 1e-3


def test_modules_with_batch_statistics_are_noticed() -> None:
    assert has_batch_statistics(torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2)))
    assert not has_batch_statistics(torch.nn.Sequential(torch.nn.Linear(2, 2)))


def test_chunks_fit_the_image_size() -> None:
    assert chunk_size(0, 256, 32, CPU) == 8
    assert chunk_size(0, 64, 32, CPU) == 32
    assert chunk_size(5, 64, 32, CPU) == 5
    assert chunk_size(0, 256, 32, torch.device("cuda")) == 32


class Waits(TorchDispatchMode):
    """Counts the moments at which the host asks a tensor for its value, and so waits for the device."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.count += function is torch.ops.aten._local_scalar_dense.default
        return function(*args, **(kwargs or {}))


@pytest.mark.slow
def test_the_host_waits_for_the_device_once_an_epoch(
    prepared: Prepared, suite: Suite, fold: Fold
) -> None:
    class Silent:
        def restore(self, network, optimizer):
            return Position()

        def reached(self, position, network, optimizer):
            pass

    features = [torch.zeros(len(prepared.store.rows), 3)] * 2
    inputs = ImageInputs(MappedPixels(prepared.store), [0, 1], features)
    labels = torch.from_numpy(np.asarray(prepared.cases.labels(), np.int64)[fold.train])
    part = TrainingPart(torch.from_numpy(fold.train), labels, 11)
    views = prepared.cases.views
    settings = suite.training.model_copy(update={"epochs": 3, "batch_size": 16})
    with Waits() as waits:
        assert torch.ones(()).item() == 1.0  # negative control: it is seen
        assert waits.count == 1
        fit(
            lambda: MultiModalLesionNet(suite.model, Shape(24, views, (3, 3), 11)),
            inputs, part, settings, "weighted_loss", 0, lambda *state: None, Silent(),
        )  # fmt: skip
    assert waits.count == 1 + settings.epochs


@pytest.mark.parametrize("place", [ResidentPixels, StreamedPixels])
def test_weights_do_not_depend_on_where_the_pixels_lie(
    prepared: Prepared, suite: Suite, fold: Fold, place: type
) -> None:
    arm = Arm(name="arm", correction="sampler")
    mapped = train(prepared, suite, fold, "sampler")
    moved = train_cell(prepared, suite, arm, 0, fold, place(prepared.store, CPU))
    assert moved.weights_sha256 == mapped.weights_sha256
    pd.testing.assert_frame_equal(moved.predictions, mapped.predictions)


def test_bf16_trains_nearly_the_same_network(prepared: Prepared, suite: Suite, fold: Fold) -> None:
    training = suite.training.model_copy(update={"precision": "bf16", "epochs": 1})
    exact = suite.model_copy(
        update={"training": training.model_copy(update={"precision": "float32"})}
    )
    rounded = suite.model_copy(update={"training": training})
    one, other = (train(prepared, s, fold) for s in (exact, rounded))
    assert one.weights_sha256 != other.weights_sha256
    assert other.history["train_loss"][0] == pytest.approx(one.history["train_loss"][0], rel=0.02)
    weights = safetensors.torch.load(other.weights)
    assert {tensor.dtype for tensor in weights.values()} == {torch.float32}


def test_an_undetermined_operation_fails_its_training_with_the_layers_name(
    prepared: Prepared, suite: Suite, fold: Fold, monkeypatch
) -> None:
    class Put(torch.nn.Linear):
        def forward(self, x):
            where = torch.zeros(len(x), dtype=torch.int64)
            return super().forward(x) + torch.zeros(len(x), 1).put_(where, x[:, 0].detach())

    def build(*settings):
        network = MultiModalLesionNet(*settings)
        network.classifier = Put(network.classifier[0].in_features, 11)
        return network

    monkeypatch.setattr(cell_module, "build_network", build)
    with pytest.raises(TrainingFailed, match=r"put_ in layer classifier \(Put\) has no determin"):
        train(prepared, suite, fold)


def test_memory_that_runs_out_fails_its_training_with_what_to_do(
    prepared: Prepared, suite: Suite, fold: Fold, monkeypatch
) -> None:
    def greedy(*settings):
        network = MultiModalLesionNet(*settings)
        network.register_forward_pre_hook(lambda *_: torch.empty(2**60, dtype=torch.uint8))
        return network

    monkeypatch.setattr(cell_module, "build_network", greedy)
    with pytest.raises(TrainingFailed, match=r"out of memory on this computer at .*size 32: halve"):
        train(prepared, suite, fold)


# --- the network ----------------------------------------------------------------------------------


def test_the_network_is_the_papers() -> None:
    network = MultiModalLesionNet(Model(), Shape(256, ("clinical", "dermoscopic"), (18, 18), 11))
    branch = network.image_branches["clinical"]
    kinds = [type(layer).__name__ for layer in branch.layers]
    block = ["Conv2d", "ReLU", "Conv2d", "MaxPool", "ReLU"]
    assert kinds == block * 2
    assert branch.n_features == 10 * 64 * 64
    mlp = network.metadata_branches["dermoscopic"]
    assert sum(isinstance(layer, torch.nn.Linear) for layer in mlp) == 10
    assert network.scalars() == {"clinical": 1.0, "dermoscopic": 1.0}
    assert network.fusions["clinical"][-1].out_features == 11
    images, tables = [torch.rand(2, 3, 256, 256)] * 2, [torch.rand(2, 18)] * 2
    assert network(images, tables).shape == (2, 11)


@pytest.mark.parametrize(("height", "width"), [(8, 8), (9, 7), (2, 2), (33, 64)])
def test_pooling_without_gradients_is_the_same_function(height: int, width: int) -> None:
    x = torch.randint(-3, 3, (4, 10, height, width)).float()  # with ties
    expected, pool = torch.nn.functional.max_pool2d(x, 2), MaxPool()
    with torch.inference_mode():
        for images in (x, x.to(memory_format=torch.channels_last)):
            assert torch.equal(pool(images), expected)
    assert torch.equal(pool(x.requires_grad_()), expected)


def test_pooling_before_relu_is_the_same_function() -> None:
    x = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    pool = torch.nn.functional.max_pool2d
    assert torch.equal(pool(x.relu(), 2), pool(x, 2).relu())


def test_softmax_output_gives_probabilities_and_logits_their_softmax() -> None:
    images, tables = [torch.rand(3, 3, 16, 16)], [torch.rand(3, 4)]
    for output in ("logits", "softmax"):
        build = Model(output=output, metadata_hidden_layers=1)
        network = initialise(lambda b=build: MultiModalLesionNet(b, Shape(16, ("a",), (4,), 5)), 0)
        scores = network(images, tables)
        probabilities = network.log_probabilities(scores).exp()
        assert torch.allclose(probabilities.sum(dim=1), torch.ones(3))
        assert (
            torch.equal(scores, probabilities)
            or output == "logits"
            or torch.allclose(scores, probabilities)
        )
        assert (output == "softmax") == torch.allclose(scores.sum(dim=1), torch.ones(3))


def test_initial_weights_come_from_their_own_stream() -> None:
    def build() -> MultiModalLesionNet:
        return MultiModalLesionNet(Model(metadata_hidden_layers=1), Shape(16, ("a",), (4,), 5))

    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    first, other = initialise(build, 0), initialise(build, 1)
    assert torch.equal(before, torch.random.get_rng_state())
    torch.manual_seed(2)
    again = initialise(build, 0)
    weight = "classifier.0.weight"
    assert torch.equal(first.state_dict()[weight], again.state_dict()[weight])
    assert not torch.equal(first.state_dict()[weight], other.state_dict()[weight])


# --- a cell ---------------------------------------------------------------------------------------


def test_a_cell_is_the_same_twice_and_arms_differ(prepared, suite, fold) -> None:
    hashes = {c: train(prepared, suite, fold, c).weights_sha256 for c in CORRECTIONS}
    assert train(prepared, suite, fold).weights_sha256 == hashes["none"]
    assert len(set(hashes.values())) == 3


@pytest.mark.parametrize("correction", CORRECTIONS)
def test_training_never_sees_test_labels(prepared, suite, fold, correction: str) -> None:
    plain = train(prepared, suite, fold, correction)
    permuted = train(relabel(prepared, fold.test), suite, fold, correction)
    assert permuted.weights_sha256 == plain.weights_sha256
    columns = list(prepared.cases.classes)
    assert permuted.predictions[columns].equals(plain.predictions[columns])
    assert not permuted.history["test_loss"].equals(plain.history["test_loss"])


def test_training_labels_do_matter(prepared, suite, fold) -> None:
    """Negative control of the test above."""
    changed = relabel(prepared, fold.train)
    assert train(changed, suite, fold).weights_sha256 != train(prepared, suite, fold).weights_sha256


@pytest.mark.slow
def test_selection_reads_validation_and_nothing_else(prepared, suite, fold) -> None:
    training = Training(epochs=8, threads=1, select="best_validation", learning_rate=0.01)
    suite = suite.model_copy(update={"training": training})
    arm, told_apart = Arm(name="arm", correction="none"), False
    for seed in range(3):
        trained = train_cell(prepared, suite, arm, seed, fold, MappedPixels(prepared.store))
        best = {p: int(trained.history[f"{p}_macro_f1"].idxmax()) + 1 for p in fold.parts()}
        assert trained.epoch_used == best["validation"]
        told_apart |= best["validation"] not in (best["test"], best["train"], training.epochs)
    assert told_apart  # at least one seed whose other parts would have chosen another epoch
    again = train_cell(
        relabel(prepared, fold.test), suite, arm, seed, fold, MappedPixels(prepared.store)
    )
    assert (again.epoch_used, again.weights_sha256) == (trained.epoch_used, trained.weights_sha256)
    last = suite.model_copy(update={"training": training.model_copy(update={"select": "last"})})
    assert train(prepared, last, fold).epoch_used == 8


def test_predictions_hold_every_case_once_in_its_part(prepared, suite, fold) -> None:
    trained = train(prepared, suite, fold, "sampler")
    frame, classes = trained.predictions, list(prepared.cases.classes)
    assert list(frame.columns) == ["case_id", "split", "label", *classes]
    for part, positions in fold.parts().items():
        rows = frame[frame["split"] == part]
        table = prepared.cases.table.iloc[positions]
        assert rows["case_id"].tolist() == table["case_id"].tolist()
        assert rows["label"].tolist() == table["label"].tolist()
    assert np.allclose(frame[classes].sum(axis=1), 1, atol=1e-5)
    assert sum(trained.exposure.values()) == 2 * len(fold.train)


def test_curves_are_the_scores_of_the_predictions(prepared, suite, fold) -> None:
    from sklearn.metrics import f1_score, log_loss

    trained = train(prepared, suite, fold)
    classes = list(prepared.cases.classes)
    last = trained.history.iloc[-1]
    for part, rows in trained.predictions.groupby("split"):
        codes = pd.Categorical(rows["label"], categories=classes).codes
        probabilities = rows[classes].to_numpy(np.float64)
        probabilities = probabilities / probabilities.sum(axis=1, keepdims=True)
        labels = list(range(len(classes)))
        expected = log_loss(codes, probabilities, labels=labels)
        assert last[f"{part}_loss"] == pytest.approx(expected, rel=1e-4)
        f1 = f1_score(codes, probabilities.argmax(1), labels=np.unique(codes), average="macro",
                      zero_division=0)  # fmt: skip
        assert last[f"{part}_macro_f1"] == pytest.approx(f1)


def test_weights_read_back_as_the_network_that_predicted(prepared, suite, fold, tmp_path) -> None:
    trained = train(prepared, suite, fold)
    RunFolder(tmp_path).cell(Cell("arm", 0, 0)).write(trained, "")
    model = load_model(tmp_path / "cells/arm/seed-0/fold-0")
    pixels = MappedPixels(prepared.store)
    found = np.exp(answer(model, prepared.cases.table, prepared.store, pixels, fold.test))
    rows = trained.predictions[trained.predictions["split"] == "test"]
    assert np.array_equal(found, rows[list(prepared.cases.classes)].to_numpy())
    assert model.card == trained.card


def test_a_gpu_that_is_not_there_is_an_error_not_a_fall_back() -> None:
    assert resolve_device("cpu") == CPU
    with pytest.raises(ConfigError, match="unknown device"):
        resolve_device("gpu")
    if not torch.cuda.is_available():
        with pytest.raises(EnvironmentProblem, match="0 GPUs are available"):
            resolve_device("cuda")
        assert resolve_device("auto") == CPU
