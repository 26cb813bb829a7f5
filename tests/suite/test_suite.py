"""Suites: typed, every mistake named at once, resolved and read back."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import get_args

import pytest

from milkreport.errors import ConfigError
from milkreport.suite.arms import Correction
from milkreport.suite.suite import build_suite, list_suites, load_suite

STUDY = ["study/trap", "study/inputs", "study/recipes", "study/finetuned", "study/planning"]


@pytest.mark.parametrize("name", [*list_suites(), *STUDY])
def test_shipped_suites_load_and_survive_their_resolved_form(name: str) -> None:
    suite = load_suite(name)
    assert build_suite(tomllib.loads(suite.to_toml())) == suite
    assert suite.primary_metric == "macro_f1"
    assert suite.question.endswith("?")


def test_paper_is_the_papers_protocol() -> None:
    suite = load_suite("paper")
    assert (suite.data.image_size, suite.training.epochs, suite.training.batch_size) == (
        256,
        50,
        32,
    )
    assert suite.training.learning_rate == 0.001
    assert (suite.model.hidden_units, suite.model.metadata_hidden_layers) == (10, 10)
    assert suite.split.validation == 0
    assert sum(suite.split.test_support.values()) == 1038
    published = load_suite("paper_as_published")
    assert (suite.model.output, published.model.output) == ("logits", "softmax")
    same = published.model.model_copy(update={"output": "logits"})
    assert (
        published.model_copy(update={"model": same, "name": suite.name, "title": suite.title})
        == suite
    )


def test_every_mistake_is_named_at_once() -> None:
    overrides = [
        "training.leraning_rate=0.1", 'training.epochs=0', "data.image_size=nan", "seeds=[-1]",
    ]  # fmt: skip
    with pytest.raises(ConfigError) as caught:
        load_suite("quick", overrides)
    line = str(caught.value)
    assert "unknown key training.leraning_rate, did you mean training.learning_rate?" in line
    assert "training.epochs = 0" in line
    assert "data.image_size = nan" in line
    assert "seeds.1 = -1" in line
    assert caught.value.exit_code == 2
    assert "\n" not in line


BAD = {
    "seeds=[1, 1]": "names one seed twice",
    'training.select="best_validation"': "needs split.validation above 0",
    "data.image_size=20 model.blocks=6": "less than 64 px",
    "split.validation=0.9": "leave nothing to train on",
    'split.kind="support"': "needs test_support",
    "training.learning_rate=fast": "training.learning_rate = 'fast'",
    "model.kernel_size=4": "must be odd",
    "model=5": "model = 5: give a model's name, or a table of its settings",
    'model.name=["svc"]': "unknown model ['svc']",
    "arms=[{name='a',model={name=['svc']}}]": "unknown model ['svc']",
    "arms=[{name='a'},{name='a'}]": "arm 1 and arm 2 have one name",
    "arms=[{name='a',model='svc'},{name='a.model',correction='sampler'}]": "arms.a.model.name means two",
    "arms=[{name='a'},{name='b',model=3}]": "arms.2.model = 3",
    "data.synthetic.seeed=3": "did you mean data.synthetic.seed?",
    "training": "write --set section.key=value",
    "name.x=1": "name is not a section",
}


@pytest.mark.parametrize("overrides", BAD)
def test_impossible_settings_are_refused(overrides: str) -> None:
    given = overrides.split(" ") if "seeds" not in overrides else [overrides]
    with pytest.raises(ConfigError) as caught:
        load_suite("quick", given)
    assert BAD[overrides] in str(caught.value)


def test_unknown_suites_get_the_nearest_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean paper?"):
        load_suite("papper")
    with pytest.raises(ConfigError, match="no such suite file"):
        load_suite(str(tmp_path / "none.toml"))
    broken = tmp_path / "broken.toml"
    broken.write_text('name = "x"\nseeds = = 1\n')
    with pytest.raises(ConfigError, match=r"broken\.toml: not valid TOML.*line 2, column 9"):
        load_suite(str(broken))


def test_seeds_grow_from_the_suites_own() -> None:
    suite = load_suite("quick", ["seeds=[5]"])
    assert suite.with_seeds(3).seeds == [5, 6, 7]
    assert suite.seeds == [5]
    with pytest.raises(ConfigError):
        suite.with_seeds(0)


def test_the_fingerprint_follows_every_setting() -> None:
    plain = load_suite("quick")
    assert load_suite("quick").fingerprint() == plain.fingerprint()
    assert load_suite("quick", ["training.threads=3"]).fingerprint() != plain.fingerprint()


def test_all_suites_are_listed_and_the_studys_are_found_by_name() -> None:
    assert list_suites() == [
        "ablations", "backbone", "classical", "corrections", "cv5", "paper", "paper_as_published", "quick",
    ]  # fmt: skip
    folder = Path(__file__).resolve().parents[2] / "experiments" / "study"
    assert sorted(path.stem for path in folder.glob("*.toml")) == sorted(
        name.removeprefix("study/") for name in STUDY
    )
    assert {arm.correction for arm in load_suite("corrections").arms} == set(
        get_args(Correction)
    ) - {"weighted_loss_and_sampler"}


@pytest.mark.parametrize(
    ("given", "kept"),
    [("sensitivity:MEL", "recall:MEL"), ("log_loss", "log_loss"), ("positive_auc", "positive_auc")],
)
def test_any_metric_with_an_interval_can_be_primary(given: str, kept: str) -> None:
    suite = load_suite("quick", [f'primary_metric="{given}"', "margin=0.02"])
    assert (suite.primary_metric, suite.margin) == (kept, 0.02)
    assert build_suite(tomllib.loads(suite.to_toml())) == suite


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("primary_metric=ece", "unknown primary metric 'ece'"),
        ("primary_metric=f2", "unknown primary metric 'f2'"),
        ("primary_metric=rank:MEL", "unknown metric of a class 'rank'"),
        ("margin=0", "above 0 and below 1"),
        ("margin=1", "above 0 and below 1"),
        ("margin=-0.1", "above 0 and below 1"),
    ],
)
def test_what_cannot_be_primary_or_a_margin_is_refused(override: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        load_suite("quick", [override])


def test_a_margin_of_a_loss_may_exceed_one() -> None:
    assert load_suite("quick", ["primary_metric=log_loss", "margin=1.5"]).margin == 1.5
