"""Thresholds a class: exact, nested, folded back."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from milkreport.evaluation.apply_thresholds import fit_thresholds
from milkreport.evaluation.intervals.inner_folds import inner_folds
from milkreport.evaluation.metrics.rules import count_answers, f1_of_answers
from milkreport.evaluation.metrics.thresholds import (
    find_threshold,
    find_thresholds,
    fold_thresholds,
    nested_answers,
)
from tests.conftest import Command


@pytest.mark.slow
@given(st.integers(1, 60), st.integers(0, 100_000), st.sampled_from([1, 2, 9]))
@settings(max_examples=150, deadline=None)
def test_no_other_threshold_is_better(n: int, seed: int, decimals: int) -> None:
    rng = np.random.default_rng(seed)
    positive, score = rng.random(n) < 0.3, rng.random(n).round(decimals)
    t = find_threshold(positive, score)
    best = max(
        f1_score(positive, score > other, zero_division=0) for other in {0.0, 0.5, *score.tolist()}
    )
    assert f1_score(positive, score > t, zero_division=0) == pytest.approx(best)
    assert 0 <= t < 1


def test_a_threshold_lies_between_two_scores_and_near_a_half() -> None:
    assert find_threshold(np.array([0, 0, 1, 1], bool), np.array([0.1, 0.2, 0.8, 0.9])) == 0.5
    assert find_threshold(np.array([0, 1], bool), np.array([0.1, 0.3])) == pytest.approx(0.2)
    assert find_threshold(np.zeros(3, bool), np.array([0.1, 0.3, 0.9])) == 0.5  # no case: untouched
    close = np.array([0.3, np.nextafter(0.3, 1)])
    t = find_threshold(np.array([0, 1], bool), close)
    assert (close > t).tolist() == [False, True]


def test_nested_answers_never_see_their_own_fold() -> None:
    rng = np.random.default_rng(0)
    truth, scores = rng.integers(0, 3, 300), rng.random((300, 3))
    folds = inner_folds(truth)
    before = nested_answers(truth, scores, folds)
    spoilt = truth.copy()
    spoilt[folds[2]] = (spoilt[folds[2]] + 1) % 3
    assert (nested_answers(spoilt, scores, folds)[folds[2]] == before[folds[2]]).all()
    assert (nested_answers(spoilt, scores, folds) != before).any()


def test_in_sample_thresholds_flatter_and_nested_ones_do_not() -> None:
    """On scores that know nothing, in-sample F1 rises with the search; nested stays at what chance gives."""
    gains = []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        truth, scores = rng.choice(3, 150, p=[0.8, 0.15, 0.05]), rng.random((150, 3))
        sample = scores > find_thresholds(truth, scores)
        nested = nested_answers(truth, scores, inner_folds(truth))
        macro = [f1_of_answers(count_answers(truth, a), 0.0).mean() for a in (sample, nested)]
        gains.append(macro[0] - macro[1])
    assert np.mean(gains) > 0.03


def test_folded_values_are_decided_alike_and_stay_away_from_a_half() -> None:
    rng = np.random.default_rng(1)
    scores = np.vstack([rng.random((500, 4)), np.zeros((1, 4)), np.ones((1, 4))])
    thresholds = np.array([0.05, 0.5, 0.93, 0.0])
    scores[0] = thresholds  # exactly on it: not above
    folded = fold_thresholds(scores, thresholds)
    assert ((folded > 0.5) == (scores > thresholds)).all()
    assert (np.abs(folded - 0.5) >= 1e-6 * (1 - 1e-9)).all()
    assert folded.min() >= 0
    assert folded.max() <= 1
    for c in range(4):  # ranks stay
        order = np.argsort(scores[:, c], kind="stable")
        assert (np.diff(folded[order, c]) >= 0).all()
    # Rounded on the way to a file of six digits, still decided alike.
    assert ((folded.round(6) > 0.5) == (scores > thresholds)).all()


def test_the_command_folds_what_it_found(tmp_path: Path, milkreport: Command) -> None:
    rng = np.random.default_rng(3)
    truth = rng.choice(3, 200, p=[0.7, 0.2, 0.1])
    values = rng.dirichlet(np.ones(3), 200) * 0.5 + 0.5 * np.eye(3)[truth] * rng.random((200, 1))
    values[:, 0] += 1 - values.sum(axis=1)
    ids = [f"L{i:03d}" for i in range(200)]
    frame = pd.DataFrame(values, columns=["A", "B", "C"])
    frame.insert(0, "image", ids)
    frame[:120].to_csv(tmp_path / "known.csv", index=False)
    frame[120:].to_csv(tmp_path / "new.csv", index=False)
    labels = pd.DataFrame({"image": ids[:120], "label": np.array(["A", "B", "C"])[truth[:120]]})
    labels.to_csv(tmp_path / "truth.csv", index=False)
    done = milkreport(
        "thresholds", "known.csv", "--truth", "truth.csv", "--apply", "new.csv", "--out", "sub.csv",
        "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["fitted_on"], found["n_cases"]) == ("test", 120)
    assert found["macro_f1_in_sample"] >= max(found["macro_f1_nested"], found["macro_f1_at_half"])
    expected = find_thresholds(truth[:120], values[:120])
    assert [c["threshold"] for c in found["classes"]] == pytest.approx(expected)
    folded = pd.read_csv(tmp_path / "sub.csv")
    assert list(folded.columns) == ["image", "A", "B", "C"]
    assert folded["image"].tolist() == ids[120:]
    decided = folded[["A", "B", "C"]].to_numpy() > 0.5
    assert (decided == (values[120:] > expected)).all()
    lonely = milkreport("thresholds", "known.csv", "--truth", "truth.csv", "--out", "sub.csv")
    assert lonely.returncode == 2
    assert "--apply and --out belong together" in lonely.stderr


def test_thresholds_are_found_on_validation_rows_where_there_are_any() -> None:
    rng = np.random.default_rng(4)
    frame = pd.DataFrame(rng.dirichlet(np.ones(2), 60), columns=["A", "B"])
    frame.insert(0, "case_id", [f"c{i}" for i in range(60)])
    frame["split"] = ["test"] * 40 + ["validation"] * 20
    truth = pd.DataFrame({"id": frame["case_id"], "label": rng.choice(["A", "B"], 60)})
    found = fit_thresholds(frame, truth)
    assert (found.fitted_on, found.n_cases) == ("validation", 20)
    spoilt = truth.assign(label=["A"] * 40 + truth["label"].tolist()[40:])
    assert fit_thresholds(frame, spoilt) == found  # the test labels were not looked at


def test_inner_folds_keep_the_groups_of_a_table_whole(tmp_path: Path, milkreport: Command) -> None:
    """Five copies of each case: without groups a case's copies choose the threshold that it is scored at."""
    rng = np.random.default_rng(5)
    truth = np.repeat(rng.integers(0, 2, 30), 5)
    score = np.repeat(rng.random(30).round(3), 5)  # says nothing of the class
    ids = [f"c{i:03d}" for i in range(150)]
    frame = pd.DataFrame({"case_id": ids, "A": 1 - score, "B": score})
    labels = pd.DataFrame({"case_id": ids, "label": np.array(["A", "B"])[truth]})
    table = pd.DataFrame({"case_id": ids, "patient": np.repeat(np.arange(30), 5)})
    for name, data in (("p", frame), ("t", labels), ("m", table)):
        data.to_csv(tmp_path / f"{name}.csv", index=False)
    apart = fit_thresholds(frame, labels, metadata=table, group="patient")
    mixed = fit_thresholds(frame, labels)
    assert (apart.n_groups, mixed.n_groups) == (30, None)
    assert [c.threshold for c in apart.classes] == [c.threshold for c in mixed.classes]
    assert apart.macro_f1_nested < mixed.macro_f1_nested
    groups = np.unique(table["patient"].astype(str), return_inverse=True)[1]
    answers = nested_answers(truth, frame[["A", "B"]].to_numpy(), inner_folds(truth, groups))
    f1 = f1_of_answers(count_answers(truth, answers), np.nan)
    assert apart.macro_f1_nested == pytest.approx(f1.mean())
    done = milkreport(
        "thresholds", "p.csv", "--truth", "t.csv", "--metadata", "m.csv", "--group", "patient"
    )
    assert done.returncode == 0, done.stderr
    assert "inner folds keep 30 groups whole" in " ".join(done.stderr.split())
    lost = milkreport("thresholds", "p.csv", "--truth", "t.csv", "--group", "patient")
    assert lost.returncode == 2
    assert "--metadata TABLE" in lost.stderr
    table.iloc[5:].to_csv(tmp_path / "m.csv", index=False)
    done = milkreport(
        "thresholds", "p.csv", "--truth", "t.csv", "--metadata", "m.csv", "--group", "patient"
    )
    assert "5 of 150 cases have no group" in " ".join(done.stderr.split())
