"""Every setting that may change a number is found where it differs, by name; what may not, is not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

pytest.importorskip("torch")

from milkreport.data.prepare import Prepared
from milkreport.data.splits import make_folds
from milkreport.errors import ConfigError
from milkreport.evaluation.planning.design import design
from milkreport.evaluation.planning.noise import assume_components
from milkreport.registration.declare import (
    declare,
    differences,
    plan_power,
    suite_key,
)
from milkreport.registration.deviations import MOST_REASON, settle
from milkreport.suite.suite import Suite, build_suite
from tests.registration.test_record import declared, registration


def changed(suite: Suite, settings: dict[str, Any]) -> Suite:
    """The suite with other values, by dotted key."""
    values = suite.model_dump(mode="json")
    for key, value in settings.items():
        *sections, last = key.split(".")
        target = values
        for section in sections:
            target = target[int(section)] if isinstance(target, list) else target[section]
        target[int(last) if isinstance(target, list) else last] = value
    return build_suite(values)


def found(suite: Suite, other: Suite, prepared: Prepared, **now: Any) -> list[str]:
    """Keys that differ between the declarations of two suites on the same data."""
    then = declare(suite, prepared, make_folds(prepared.cases, suite.split))
    here = declare(other, prepared, make_folds(prepared.cases, other.split), **now)
    return [key for key, *_ in differences(then, here)]


SETTINGS = {
    "question": "Another one?",
    "primary_metric": "accuracy",
    "margin": 0.02,
    "reference": "",
    "seeds": [0, 1],
    "data.cleaning": "impute",
    "data.unlabelled": "drop",
    "data.on_bad_image": "skip",
    "data.near_duplicates": "warn",
    "data.decoder": "fast",
    "data.image_size": 32,
    "data.adapter": "milk10k",
    "training.epochs": 3,
    "training.batch_size": 16,
    "training.learning_rate": 0.01,
    "training.optimizer": "adamw",
    "training.weight_decay": 0.1,
    "training.schedule": "cosine",
    "training.augmentation": "flips",
    "training.select": "best_validation",
    "training.precision": "bf16",
    "training.determinism": "off",
    "model.hidden_units": 8,
}


@pytest.mark.parametrize("key", SETTINGS)
def test_a_changed_setting_is_named_and_nothing_else(
    key: str, suite: Suite, prepared: Prepared
) -> None:
    assert found(suite, changed(suite, {key: SETTINGS[key]}), prepared) == [key]


SPLITS = {"split.seed": 1, "split.test_fraction": 0.3, "split.validation": 0.2}


@pytest.mark.parametrize("key", SPLITS)
def test_another_split_is_named_with_the_cases_it_moves(
    key: str, suite: Suite, prepared: Prepared
) -> None:
    other = changed(suite, {key: SPLITS[key]})
    assert set(found(suite, other, prepared)) == {key, "splits_sha256"}


def test_folds_are_named(suite: Suite, prepared: Prepared) -> None:
    other = changed(suite, {"split.kind": "kfold", "split.folds": 3})
    keys = set(found(suite, other, prepared))
    assert {"folds", "split.kind", "split.folds", "splits_sha256"} <= keys


def test_arms_left_out_added_and_reordered_are_one_difference(
    suite: Suite, prepared: Prepared
) -> None:
    fewer = suite.model_copy(update={"arms": suite.arms[:2]})
    assert found(suite, fewer, prepared) == ["arms"]
    assert found(fewer, suite, prepared) == ["arms"]
    assert found(suite, suite.model_copy(update={"arms": suite.arms[::-1]}), prepared) == ["arms"]


ARMS = {
    "correction": ({"arms.2.correction": "sqrt_sampler"}, "arms.sampler.correction"),
    "training": ({"arms.2.training": {"epochs": 5}}, "arms.sampler.training.epochs"),
    "model": ({"arms.2.model": {"hidden_units": 8}}, "arms.sampler.model.hidden_units"),
    "inputs": ({"arms.2.inputs.metadata": False}, "arms.sampler.inputs.metadata"),
}


@pytest.mark.parametrize("what", ARMS)
def test_a_changed_arm_is_named(what: str, suite: Suite, prepared: Prepared) -> None:
    settings, key = ARMS[what]
    assert key in found(suite, changed(suite, settings), prepared)


def test_other_data_are_named(suite: Suite, prepared: Prepared) -> None:
    folds = make_folds(prepared.cases, suite.split)
    then = declare(suite, prepared, folds)
    removed = prepared.cleaned.removed.iloc[:-1]
    other = replace(
        prepared, fingerprint="0" * 64, cleaned=replace(prepared.cleaned, removed=removed)
    )
    keys = [key for key, *_ in differences(then, declare(suite, other, folds))]
    assert keys[0] == "data_sha256"
    assert keys[1].startswith("exclusions.")
    assert len(keys) == 2


def test_trainings_of_other_runs_are_a_deviation(suite: Suite, prepared: Prepared) -> None:
    assert found(suite, suite, prepared, reuse=True) == ["reuse"]


FREE = {
    "nothing": {},
    "name": {"name": "other"},
    "title": {"title": "Other"},
    "threads": {"training.threads": 2},
    "chunk": {"training.chunk": 8},
    "an arm's title": {"arms.0.title": "Other"},
    "an arm's description": {"arms.0.description": "Other"},
    "a muted finding": {"findings.mute": {"MR001": "known"}},
    "synthetic data that are not used": {"data.synthetic.cases": 100},
}


@pytest.mark.parametrize("what", FREE)
def test_what_changes_no_number_is_no_deviation(
    what: str, suite: Suite, prepared: Prepared
) -> None:
    """Negative control."""
    assert found(suite, changed(suite, FREE[what]), prepared) == []


def test_the_suites_key_is_of_what_all_trainings_share(suite: Suite) -> None:
    """More seeds, other arms and metrics are the same suite: who shows one of ten has ten of it."""
    same = [
        {"seeds": [5]},
        {"primary_metric": "accuracy"},
        {"arms.0.title": "x"},
        {"question": "?"},
    ]
    for settings in same:
        assert suite_key(changed(suite, settings)) == suite_key(suite)
    assert suite_key(suite.model_copy(update={"arms": suite.arms[:1]})) == suite_key(suite)
    for settings in ({"training.epochs": 3}, {"split.seed": 1}, {"data.cleaning": "impute"}):
        assert suite_key(changed(suite, settings)) != suite_key(suite)


def test_power_is_the_planners(suite: Suite, prepared: Prepared) -> None:
    folds = make_folds(prepared.cases, suite.split)
    planned = plan_power(suite, prepared, folds, 0.05)
    assert planned is not None
    counts = prepared.cases.labels().iloc[folds[0].test].value_counts().tolist()
    expected = design(assume_components("macro_f1", counts), 0.05, sum(counts), 1)
    assert planned.power == round(expected.power, 4)
    assert planned.n_cases == len(folds[0].test)
    other = changed(suite, {"primary_metric": "recall:MEL"})
    assert plan_power(other, prepared, folds, 0.05) is None


def test_a_deviation_needs_a_reason_once() -> None:
    one, now = registration(), declared(seeds=[0], margin=0.1)
    with pytest.raises(ConfigError) as error:
        settle(one, now, "  ")
    assert "margin: null, now 0.1; seeds: [0, 1], now [0]" in str(error.value)
    first = settle(one, now, "too slow")
    assert [(d.key, d.registered, d.now, d.reason) for d in first] == [
        ("margin", "null", "0.1", "too slow"),
        ("seeds", "[0, 1]", "[0]", "too slow"),
    ]
    assert settle(one, now, "", first) == first  # the same command again
    more = settle(one, declared(seeds=[0], margin=0.1, folds=2), "and so on", first)
    assert [d.key for d in more] == ["margin", "seeds", "folds"]
    assert settle(one, declared(), "", first) == first  # restored: it stays on record
    assert settle(one, declared(), "no need") == []
    with pytest.raises(ConfigError, match="characters"):
        settle(one, now, "x" * (MOST_REASON + 1))
