"""Labels to look at again: hand-worked examples of confident learning, planted errors, table and section."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from milkreport.evaluation.label_errors import (
    COLUMNS,
    FEWEST_CASES,
    class_thresholds,
    confident_classes,
    confident_joint,
    find_label_errors,
    list_label_errors,
    normalized_margin,
)
from milkreport.evaluation.reading.predictions import Predictions
from milkreport.reporting.sections.labels import MOST_CASES, build_labels
from milkreport.runs.folder import RunFolder
from tests import report_samples as samples
from tests.conftest import call_main

#: Six cases of two classes, worked by hand: thresholds 1.9 / 3 and 2.0 / 3.
TRUTH = np.array([0, 0, 0, 1, 1, 1])
P = np.array([[0.9, 0.1], [0.8, 0.2], [0.2, 0.8], [0.1, 0.9], [0.3, 0.7], [0.6, 0.4]])


def test_the_published_definitions_by_hand() -> None:
    assert class_thresholds(TRUTH, P) == pytest.approx([1.9 / 3, 2.0 / 3])
    # The last case reaches neither threshold.
    assert confident_classes(TRUTH, P).tolist() == [0, 0, 1, 1, 1, -1]
    assert confident_joint(TRUTH, P).tolist() == [[2, 1], [0, 2]]
    assert normalized_margin(TRUTH, P) == pytest.approx([0.9, 0.8, 0.2, 0.9, 0.7, 0.4])
    assert find_label_errors(TRUTH, P).tolist() == [2]


def test_of_several_reached_thresholds_the_likeliest_class_counts() -> None:
    truth = np.array([0, 0, 1, 2, 2])
    p = np.array(
        [[0.5, 0.2, 0.3], [0.4, 0.35, 0.25], [0.3, 0.3, 0.4], [0.1, 0.0, 0.9], [0.2, 0.7, 0.1]]
    )
    # Thresholds 0.45, 0.3 and 0.5: the second case reaches class 1 alone, the last one too.
    assert confident_classes(truth, p).tolist() == [0, 1, 1, 2, 1]
    # The second case is off the diagonal, but its predicted class is its label.
    assert find_label_errors(truth, p).tolist() == [4]


def test_a_class_without_cases_is_never_more_believable() -> None:
    truth, p = np.array([0, 1]), np.array([[0.1, 0.0, 0.9], [0.0, 0.6, 0.4]])
    assert np.isinf(class_thresholds(truth, p)[2])
    assert not np.isin(confident_classes(truth, p), [2]).any()


def drawn(n: int = 400, planted: int = 12, seed: int = 0) -> tuple[Predictions, np.ndarray]:
    """Good predictions of three classes, and which labels were changed."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 3, n)
    logits = 4.0 * np.eye(3)[truth] + rng.normal(size=(n, 3))
    values = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    wrong = rng.choice(n, planted, replace=False)
    truth[wrong] = (truth[wrong] + 1) % 3
    ids = np.char.mod("%04d", np.arange(n))
    return Predictions(ids, truth, values, ("a", "b", "c")), wrong


def test_planted_errors_are_found() -> None:
    p, wrong = drawn()
    found = find_label_errors(p.truth, p.probabilities)
    # Thresholds are high where probabilities are: what is named was changed, and half of it is named.
    assert set(found) <= set(wrong)
    assert len(found) >= len(wrong) / 2
    clean, _ = drawn(planted=0)
    assert len(find_label_errors(clean.truth, clean.probabilities)) <= 8


def test_the_table_is_of_mean_probabilities_over_arms_and_seeds() -> None:
    p, _ = drawn()
    other, _ = drawn()
    arms = {"one": {(0, 0): p, (1, 0): p}, "two": {(0, 0): other}}
    table = list_label_errors(arms)
    assert tuple(table.columns) == COLUMNS
    assert (table["n_arms"] == 2).all()
    assert table["margin"].is_monotonic_increasing
    places = np.searchsorted(p.case_ids, table["case_id"])
    own = p.probabilities[places, p.truth[places]]
    assert table["probability_of_label"].to_numpy() == pytest.approx(own)
    assert (table["label"] != table["likely_label"]).all()


def test_nothing_is_listed_of_hard_labels_few_cases_and_unlike_arms() -> None:
    p, _ = drawn()
    hard = Predictions(p.case_ids, p.truth, np.eye(3)[p.predicted], p.classes)
    assert list_label_errors({"hard": {(0, 0): hard}}).empty
    few = p.take(np.arange(FEWEST_CASES - 1))
    assert list_label_errors({"few": {(0, 0): few}}).empty
    unlike = {"one": {(0, 0): p}, "two": {(0, 0): p.take(np.arange(100))}}
    assert list_label_errors(unlike).empty
    # Negative control: the same cases are listed.
    assert not list_label_errors({"hard": {(0, 0): hard}, "one": {(0, 0): p}}).empty


def test_the_section_shows_twenty_and_none_where_cases_are_not_shown() -> None:
    p, _ = drawn(planted=60)
    table = list_label_errors({"one": {(0, 0): p}})
    assert len(table) > MOST_CASES
    results = samples.sample_results()
    view = build_labels(results, table)
    assert view is not None
    assert view.table.rows == MOST_CASES
    assert "Most are hard cases" in view.lead
    assert build_labels(results, table, show_cases=False) is None
    assert build_labels(results, None) is None
    assert build_labels(results, table.head(0)) is None


def test_a_run_without_such_labels_has_a_table_without_rows(tmp_path: Path) -> None:
    p, _ = drawn()
    folder = RunFolder(tmp_path)
    folder.write_tables(label_errors=list_label_errors({"few": {(0, 0): p.take(np.arange(9))}}))
    assert (tmp_path / "label_errors.csv").read_text(encoding="utf-8") == ",".join(COLUMNS) + "\n"
    assert folder.load_label_errors() is None
    folder.write_tables(label_errors=list_label_errors({"one": {(0, 0): p}}))
    found = folder.load_label_errors()
    assert found is not None
    assert list(found.columns) == list(COLUMNS)


def test_an_evaluation_writes_them_and_a_report_without_images_names_no_case(
    tmp_path: Path,
) -> None:
    p, _ = drawn(planted=20)
    names = np.array(p.classes)
    pd.DataFrame(p.probabilities, columns=names).assign(case_id=p.case_ids).to_csv(
        tmp_path / "p.csv", index=False
    )
    pd.DataFrame({"case_id": p.case_ids, "label": names[p.truth]}).to_csv(
        tmp_path / "truth.csv", index=False
    )
    command = [
        "evaluate",
        "p.csv",
        "--truth",
        "truth.csv",
        "--out",
        "out",
        "--no-pdf",
    ]
    # A warning (the changed labels spoil the calibration) is as bad as --fail-on asks for.
    assert call_main([*command, "--fail-on", "error"], tmp_path).returncode == 0
    assert call_main([*command, "--fail-on", "warning"], tmp_path).returncode == 1
    table = pd.read_csv(tmp_path / "out" / "label_errors.csv", dtype=str)
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "Labels to look at again" in page
    assert table["case_id"][0] in page
    muted = ["report", "out", "--no-pdf", "--mute", "MR004=labels were changed"]
    assert call_main([*muted, "--no-images", "--fail-on", "warning"], tmp_path).returncode == 0
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "Labels to look at again" not in page
    assert "labels were changed" in page
    # A mute of report holds for that report alone.
    record = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))
    (found,) = [f for f in record["findings"] if f["code"] == "MR004"]
    assert (found["severity"], found["muted"]) == ("warning", "")
    again = ["report", "out", "--no-pdf", "--fail-on", "warning"]
    assert call_main(again, tmp_path).returncode == 1
    # An evaluation keeps what it was muted with, and may be made again with other mutes.
    mute = ["--mute", "MR004=labels were changed"]
    assert call_main([*command, *mute, "--fail-on", "warning"], tmp_path).returncode == 0
    assert call_main(again, tmp_path).returncode == 0
    assert call_main([*muted[:3], "--mute", "MR004"], tmp_path).returncode == 2
    assert call_main([*muted[:3], "--fail-on", "notes"], tmp_path).returncode == 2
