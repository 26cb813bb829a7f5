"""What a user meets on the second day: one class, ties, turned columns, few groups, odd calls."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import milkreport
from milkreport.commands import run_all
from milkreport.errors import ConfigError, DataError
from milkreport.execution.grid import Point
from milkreport.execution.options import RunOptions
from milkreport.reporting.wording.data import data_sentence
from milkreport.runs.folder import RunFolder
from milkreport.suite.suite import load_suite
from tests import report_samples as samples

RNG = np.random.default_rng(8)
Y = (RNG.random(120) < 0.35).astype(int)
P = np.clip(RNG.normal(0.3 + 0.35 * Y, 0.2), 0.01, 0.99)


def notices(results: milkreport.Results, word: str) -> list[str]:
    return [line for line in results.notices if word in line]


def test_a_truth_of_one_class_has_no_auc_and_no_traceback() -> None:
    results = milkreport.evaluate(P, np.zeros_like(Y), classes=[0, 1])
    part = results.arms[0].part("test")
    assert part is not None
    assert part.binary is not None
    assert part.binary.auc is None or part.binary.auc.value is None
    assert part.metrics["accuracy"].value == np.mean(P < 0.5)


def test_ties_are_counted_and_answered_as_the_sentence_says() -> None:
    tied = np.round(P, 1)
    n = int((tied == 0.5).sum())
    assert n > 3
    results = milkreport.evaluate(tied, Y)
    (line,) = notices(results, "exactly 0.5")
    assert f"{n} cases have" in line
    assert "is then 0, the first one" in line
    part = results.arms[0].part("test")
    assert part is not None
    assert part.binary is not None
    assert part.binary.operating.values["sensitivity"].value == np.mean(tied[Y == 1] > 0.5)
    assert "with a probability above 0.5" in results._repr_html_()
    declared = milkreport.evaluate(tied, Y, operating="0.5")
    part = declared.arms[0].part("test")
    assert part is not None
    assert part.binary is not None
    assert part.binary.operating.values["sensitivity"].value == np.mean(tied[Y == 1] >= 0.5)
    first = milkreport.evaluate(tied, Y, positive=0)
    assert "with a probability of at least 0.5" in first._repr_html_()
    assert not notices(milkreport.evaluate(P, Y), "exactly 0.5")


def test_an_operating_point_that_cannot_be_set_is_said() -> None:
    few = np.zeros_like(Y)
    few[3] = 1
    (line,) = notices(milkreport.evaluate(P, few, operating="sensitivity=0.95"), "could not be set")
    assert "sensitivity=0.95 could not be set (too few cases or groups of a side)" in line
    hard = milkreport.evaluate((P > 0.5).astype(int), Y, operating="youden")
    (line,) = notices(hard, "could not be set")
    assert "hard labels have no threshold" in line
    assert not notices(milkreport.evaluate(P, Y, operating="youden"), "could not be set")


def test_turned_probabilities_are_noticed() -> None:
    (line,) = notices(milkreport.evaluate(1 - P, Y), "are exchanged")
    assert "below 0.5, that of chance" in line
    assert not notices(milkreport.evaluate(P, Y), "are exchanged")
    assert not notices(milkreport.evaluate(np.full(120, 0.4), Y), "are exchanged")


def test_few_groups_are_noticed_and_empty_ones_refused() -> None:
    (line,) = notices(milkreport.evaluate(P, Y, groups=np.arange(120) % 3), "3 groups only")
    assert "not simulated" in line
    assert not notices(milkreport.evaluate(P, Y, groups=np.arange(120) // 2), "groups only")
    for empty in (np.full(120, np.nan), [None] * 120):
        with pytest.raises(DataError, match="no case has a value in 'group'"):
            milkreport.evaluate(P, Y, groups=empty)


def test_calls_that_are_natural_work_or_say_what_to_type() -> None:
    named = milkreport.evaluate(P, Y, positive=1)
    part, by_text = (
        named.arms[0].part("test"),
        milkreport.evaluate(P, Y, positive="1").arms[0].part("test"),
    )
    assert part == by_text
    assert milkreport.evaluate(P, Y, prevalence="0.01,0.05") == milkreport.evaluate(
        P, Y, prevalence=[0.01, 0.05]
    )
    with pytest.raises(ConfigError, match="subgroups have no names"):
        milkreport.evaluate(P, Y, subgroups=Y)
    with pytest.raises(ConfigError, match="readers have no names"):
        milkreport.evaluate(P, Y, readers=[Y, Y])  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="results are no reference"):
        milkreport.check(named, named)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="is no probability — give values from 0 to 1"):
        milkreport.evaluate(P * 1.1, Y)


def test_an_unknown_part_of_a_split_is_refused_and_not_left_out(tmp_path: Path) -> None:
    frame = pd.DataFrame({"id": range(120), "0": 1 - P, "1": P, "split": ["test", "val"] * 60})
    truth = pd.DataFrame({"id": range(120), "label": Y})
    with pytest.raises(
        DataError, match="'val' is no part of a split — write test, validation or train"
    ):
        milkreport.evaluate(frame, truth)
    known = milkreport.evaluate(frame.replace({"split": {"val": "validation"}}), truth)
    part = known.arms[0].part("test")
    assert part is not None
    assert part.n_cases == 60


def test_compare_reads_tables_as_they_come(tmp_path: Path) -> None:
    for name, p in (("one", P), ("other", np.clip(P + 0.1, 0, 1))):
        pd.DataFrame({"Patient": range(120), "0": 1 - p, "1": p}).to_csv(
            tmp_path / f"{name}.csv", index=False
        )
    pd.DataFrame({"Patient": range(120), "ill": Y}).to_csv(tmp_path / "truth.csv", index=False)
    found = milkreport.compare(
        tmp_path / "one.csv",
        tmp_path / "other.csv",
        tmp_path / "truth.csv",
        id="Patient",
        label="ill",
    )
    assert found.comparison is not None
    assert found.comparison.n_cases == 120


def test_a_reader_who_skipped_cases_is_told_how_many() -> None:
    ids = [f"c{i}" for i in range(120)]
    frame = pd.DataFrame({"id": ids, "0": 1 - P, "1": P})
    truth = pd.DataFrame({"id": ids, "label": Y})
    reader = pd.DataFrame({"id": ids, "prediction": Y})
    whole = milkreport.evaluate(frame, truth, readers={"ann": reader})
    assert whole.readers is not None
    with pytest.raises(DataError, match="reader ann: no answer to 20 of 120 scored cases"):
        milkreport.evaluate(frame, truth, readers={"ann": reader[20:]})


def test_equal_classes_have_no_largest_one() -> None:
    data = samples.sample_results().data.model_copy(update={"class_counts": {"a": 5, "b": 5}})
    assert data_sentence(data, ["a", "b"]).endswith("in 2 classes, 5 in each.")


@pytest.mark.parametrize(
    ("reference", "said"), [("paper", []), ("mine.toml", ["mine.toml"]), ("", [])]
)
def test_a_reference_that_only_the_shipped_suite_named_is_not_mentioned(
    reference: str, said: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    suite = load_suite("quick").model_copy(update={"reference": reference})
    runs = [(Point("", ()), suite)]
    order = run_all.Order(runs, tmp_path, tmp_path, "", tmp_path, "none", RunOptions())
    told: list[str] = []
    monkeypatch.setattr(run_all, "say", told.append)
    monkeypatch.setattr(run_all, "draw", lambda *_: [])
    monkeypatch.setattr(run_all, "reviewed", lambda folder, results, verdict: results)
    monkeypatch.setattr(run_all, "is_comparable", lambda *_: False)
    monkeypatch.setattr(run_all.running, "show_results", lambda *_: None)
    monkeypatch.setattr(run_all, "show_files", lambda *_: None)
    run_all._finish(order, RunFolder(tmp_path), samples.sample_results(), 0.0)
    assert [line for line in told if "NOT CHECKED" in line] == [
        f"NOT CHECKED: reference {name} describes different data than this run" for name in said
    ]
