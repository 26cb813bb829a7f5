"""What an arm can be: corrections by their sources, schedules, augmentation, ablations, early stopping."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

torch = pytest.importorskip("torch")

from milkreport.data.prepare import Prepared  # noqa: E402
from milkreport.data.splits import Fold  # noqa: E402
from milkreport.errors import ConfigError  # noqa: E402
from milkreport.reporting.sections.protocol import CORRECTIONS  # noqa: E402
from milkreport.suite.arms import STRENGTHS  # noqa: E402
from milkreport.suite.suite import Arm, Suite, Training, build_suite, load_suite  # noqa: E402
from milkreport.training.augment import augmented, relight, turn  # noqa: E402
from milkreport.training.cell import TrainedCell, train_cell  # noqa: E402
from milkreport.training.checkpoint import Checkpoints  # noqa: E402
from milkreport.training.fit import learning_rate  # noqa: E402
from milkreport.training.imbalance import (  # noqa: E402
    case_weights,
    effective_number_weights,
    epoch_order,
)
from milkreport.training.pixels import MappedPixels  # noqa: E402

CPU = torch.device("cpu")
LABELS = torch.tensor([0] * 70 + [1] * 25 + [2] * 5)
COUNTS = np.array([70, 25, 5])


def train(prepared: Prepared, suite: Suite, fold: Fold, **named: object) -> TrainedCell:
    arm = Arm.model_validate({"name": "arm", **named})
    suite = suite.model_copy(update={"arms": [arm]})
    return train_cell(prepared, suite, arm, 0, fold, MappedPixels(prepared.store))


# --- corrections ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("correction", "amount", "shares"),
    [
        ("sampler", None, [1 / 3] * 3),
        ("sqrt_sampler", None, np.sqrt(COUNTS) / np.sqrt(COUNTS).sum()),
        # A case of class 2 may come 4 times as often as one of class 0, of class 1 2.8 times as it would.
        ("capped_sampler", 4.0, np.array([70, 70, 20]) / 160),
    ],
)
def test_samplers_draw_classes_in_the_stated_shares(correction, amount, shares) -> None:
    orders = [epoch_order(correction, LABELS, 3, 0, epoch, amount) for epoch in range(300)]
    drawn = np.bincount(LABELS[torch.cat(orders)].numpy()) / 30_000
    assert drawn == pytest.approx(shares, abs=0.01)


def test_effective_numbers_are_those_of_the_source() -> None:
    """Cui et al. (2019), equation 2 and their released code, which scales to a sum of the classes."""
    expected = (1 - 0.9) / (1 - 0.9 ** COUNTS.astype(float))
    expected = expected / expected.sum() * 3
    assert effective_number_weights(LABELS, 3, 0.9).numpy() == pytest.approx(expected, rel=1e-6)
    near_one = effective_number_weights(LABELS, 3, 0.999999).numpy()
    inverse = 1 / COUNTS / (1 / COUNTS).sum() * 3
    assert near_one == pytest.approx(inverse, rel=1e-2)  # beta to 1 is inverse frequency
    assert effective_number_weights(LABELS, 4, 0.9)[3] == 0


def test_weights_of_cases_are_what_a_sampler_does_on_average() -> None:
    weights = case_weights("sqrt_sampler", LABELS, 3, 0.0)
    assert weights.mean() == pytest.approx(1)
    by_class = [weights[LABELS.numpy() == c].sum() for c in range(3)]
    assert np.array(by_class) / 100 == pytest.approx(np.sqrt(COUNTS) / np.sqrt(COUNTS).sum())
    assert set(case_weights("none", LABELS, 3, 0.0)) == {1.0}


@pytest.mark.slow
def test_every_correction_gives_another_network(prepared, suite, fold) -> None:
    hashes = {c: train(prepared, suite, fold, correction=c).weights_sha256 for c in CORRECTIONS}
    assert len(set(hashes.values())) == len(CORRECTIONS)
    stronger = train(prepared, suite, fold, correction="focal_loss", strength=5)
    assert stronger.weights_sha256 != hashes["focal_loss"]
    usual = STRENGTHS["focal_loss"][0]
    same = train(prepared, suite, fold, correction="focal_loss", strength=usual)
    assert same.weights_sha256 == hashes["focal_loss"]


# --- schedules ------------------------------------------------------------------------------------


def test_the_cosine_is_pytorchs() -> None:
    settings = Training(epochs=10, learning_rate=0.01, schedule="cosine")
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.01)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 10)
    for epoch in range(10):
        assert learning_rate(settings, epoch) == pytest.approx(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()


def test_steps_and_warm_up() -> None:
    steps = Training(epochs=10, learning_rate=0.01, schedule="step")
    rates = [learning_rate(steps, epoch) for epoch in range(10)]
    assert rates == pytest.approx([0.01] * 6 + [0.001] * 2 + [0.0001] * 2)
    warm = Training(epochs=10, learning_rate=0.01, warmup_epochs=2)
    assert [learning_rate(warm, e) for e in (0.5, 1, 2, 9)] == pytest.approx(
        [0.0025, 0.005, 0.01, 0.01]
    )


def test_a_schedule_changes_the_weights(prepared, suite, fold) -> None:
    plain = train(prepared, suite, fold)
    for change in ({"schedule": "cosine"}, {"warmup_epochs": 1}, {"weight_decay": 0.1}):
        assert train(prepared, suite, fold, training=change).weights_sha256 != plain.weights_sha256
    same = train(prepared, suite, fold, training={"schedule": "constant"})
    assert same.weights_sha256 == plain.weights_sha256


# --- augmentation ---------------------------------------------------------------------------------


def test_turning_keeps_every_pixel_and_has_eight_ways() -> None:
    image = torch.arange(3 * 5 * 5, dtype=torch.float32).reshape(1, 3, 5, 5)
    turned = [turn(image, torch.tensor([way])) for way in range(8)]
    assert torch.equal(turned[0], image)
    assert len({tuple(t.flatten().tolist()) for t in turned}) == 8
    for t in turned:
        assert torch.equal(t.flatten(2).sort().values, image.flatten(2).sort().values)


def test_light_stays_within_bounds_and_ones_change_nothing() -> None:
    images = torch.rand(4, 3, 6, 6, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(relight(images, torch.ones(4, 2)), images, atol=1e-6)
    bright = relight(images, torch.tensor([[1.2, 1.0]] * 4))
    assert bright.max() <= 1
    assert (bright.mean(dim=(1, 2, 3)) > images.mean(dim=(1, 2, 3))).all()


def test_what_is_drawn_depends_on_the_position_alone() -> None:
    """Other chunks, or beginning at a later batch, change no image."""
    images = torch.rand(20, 3, 6, 6, generator=torch.Generator().manual_seed(1))
    batches = torch.split(torch.arange(20), 8)

    def epoch(chunk: int, first: int) -> torch.Tensor:
        rest = batches[first - 1 :]
        parts = [part for batch in rest for part in torch.split(batch, chunk)]
        passes = iter([([images[p], images[p]], [p]) for p in parts])
        changed = augmented(passes, "flips_and_light", rest, chunk, 0, 3, first)
        one, other = zip(*(views for views, _ in changed), strict=True)
        return torch.cat([torch.cat(one)[None], torch.cat(other)[None]])

    whole = epoch(8, 1)
    assert torch.equal(epoch(3, 1), whole)
    assert torch.equal(epoch(8, 2), whole[:, 8:])
    assert not torch.equal(whole[0], whole[1])  # each view has ways of its own


def test_augmentation_is_off_unless_asked_for(prepared, suite, fold) -> None:
    assert suite.training.augmentation == "none"
    plain = train(prepared, suite, fold)
    flipped = train(prepared, suite, fold, training={"augmentation": "flips"})
    assert flipped.weights_sha256 != plain.weights_sha256
    again = train(prepared, suite, fold, training={"augmentation": "flips"})
    assert again.weights_sha256 == flipped.weights_sha256


# --- ablations ------------------------------------------------------------------------------------


def with_pixels(prepared: Prepared, views: list[int]) -> Prepared:
    """The same cases, other pixels in those views."""
    pixels = np.array(prepared.store.pixels)
    pixels[:, views] = pixels[::-1, views]
    return replace(prepared, store=replace(prepared.store, pixels=pixels))


def with_columns(prepared: Prepared, columns: list[str]) -> Prepared:
    """The same cases, other values in those columns."""
    table = prepared.cases.table.copy()
    for column in columns:
        table[column] = table[column].to_numpy()[::-1]
    return replace(prepared, cases=replace(prepared.cases, table=table))


@pytest.mark.slow
def test_an_arm_sees_what_its_inputs_say_and_nothing_else(prepared, suite, fold) -> None:
    views = prepared.cases.views
    columns = [feature.column for feature in prepared.cases.features]
    others = [f.column for f in prepared.cases.features if f.view == views[1]]
    assert others
    blind_to = {
        "image_only": ({"metadata": False}, with_columns(prepared, columns)),
        "metadata_only": ({"images": False}, with_pixels(prepared, [0, 1])),
        "one_view": ({"views": [views[0]]}, with_columns(with_pixels(prepared, [1]), others)),
    }
    for inputs, changed in blind_to.values():
        one = train(prepared, suite, fold, inputs=inputs)
        assert train(changed, suite, fold, inputs=inputs).weights_sha256 == one.weights_sha256
        # Negative control: whoever sees all sees the change.
        assert (
            train(changed, suite, fold).weights_sha256
            != train(prepared, suite, fold).weights_sha256
        )


def test_an_unknown_view_is_named(prepared, suite, fold) -> None:
    with pytest.raises(ConfigError, match=r"inputs.views names 'front'.*views are: "):
        train(prepared, suite, fold, inputs={"views": ["front"]})


# --- early stopping -------------------------------------------------------------------------------


@pytest.mark.slow
def test_patience_ends_a_training_that_does_not_improve(prepared, suite, fold, tmp_path) -> None:
    change = {"epochs": 30, "select": "best_validation", "patience": 2, "learning_rate": 0.01}
    stopped = train(prepared, suite, fold, training=change)
    curve = stopped.history["validation_macro_f1"]
    assert len(curve) < 30
    assert stopped.epoch_used == int(curve.idxmax()) + 1 == len(curve) - 2
    # What was kept is what a training to the end had there.
    whole = train(prepared, suite, fold, training=change | {"patience": 0, "epochs": len(curve)})
    pd.testing.assert_frame_equal(whole.history, stopped.history)
    assert whole.weights_sha256 == stopped.weights_sha256

    arm = Arm(name="arm", training=change)
    alone = suite.model_copy(update={"arms": [arm]})
    pixels = MappedPixels(prepared.store)
    kept = Checkpoints(tmp_path, every=0.0)
    first = train_cell(prepared, alone, arm, 0, fold, pixels, checkpoints=kept)
    again = train_cell(prepared, alone, arm, 0, fold, pixels, checkpoints=Checkpoints(tmp_path))
    assert first.weights_sha256 == again.weights_sha256 == stopped.weights_sha256
    assert len(again.history) == len(curve)  # resumed after its end, it does not go on


# --- suites ---------------------------------------------------------------------------------------

REFUSED = {
    "strength without": ({"correction": "sampler", "strength": 2}, "correction 'sampler' has none"),
    "strength range": ({"correction": "label_smoothing", "strength": 1.5}, "0.9 at most"),
    "unknown model": ({"model": "svm"}, "unknown model 'svm', did you mean svc?"),
    "key of another model": ({"model": {"name": "svc", "hidden_units": 3}}, "unknown key model.hidden_units"),
    "misspelt training": ({"training": {"epoch": 3}}, "unknown key epoch, did you mean epochs?"),
    "shared setting": ({"training": {"threads": 3}}, "the same for all arms"),
    "twin": ({"correction": "none"}, "arms must exclude one another"),
    "nothing to see": ({"inputs": {"images": False, "metadata": False}}, "neither images nor metadata"),
    "classifier's sampler": ({"model": "svc", "correction": "sampler"}, "svc takes the corrections"),
    "classifier's epochs": ({"model": "svc", "training": {"epochs": 3}}, "not trained in epochs"),
    "no columns": ({"model": "svc", "inputs": {"metadata": False}}, "unless it has a backbone"),
    "package of another": ({"model": {"name": "backbone", "backbone": "resnet18"}}, "name a local file"),
    "patience": ({"training": {"patience": 3}}, "needs select = 'best_validation'"),
    "warm-up": ({"training": {"warmup_epochs": 99}}, "leaves nothing of"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_arms_that_cannot_be_are_refused_in_one_line(case: str) -> None:
    arm, line = REFUSED[case]
    values = load_suite("quick").model_dump(mode="json", exclude_none=True)
    values["arms"].append({"name": "new", **arm})
    with pytest.raises(ConfigError) as caught:
        build_suite(values)
    assert line in str(caught.value)
    assert "tag:" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_softmax_before_a_loss_on_logits_is_refused() -> None:
    values = load_suite("paper_as_published").model_dump(mode="json", exclude_none=True)
    values["arms"].append({"name": "new", "correction": "focal_loss"})
    with pytest.raises(ConfigError, match="focal_loss is defined on logits"):
        build_suite(values)


def test_an_arms_changes_are_changes_of_the_suites_settings(suite) -> None:
    arm = Arm.model_validate({"name": "x", "model": {"hidden_units": 3}, "training": {"epochs": 7}})
    assert suite.model_of(arm) == suite.model.model_copy(update={"hidden_units": 3})
    assert suite.training_of(arm) == suite.training.model_copy(update={"epochs": 7})
    fresh = Arm.model_validate({"name": "x", "model": "svc"})
    assert suite.model_of(fresh).name == "svc"
