"""Many arms: which come first, which are drawn, what is said of the first one, how long a report gets."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pypdf import PdfReader
from typer.testing import CliRunner

import milkreport
from milkreport.cli.app import app
from milkreport.evaluation.compare import find
from milkreport.evaluation.metrics.confusion import score_confusion
from milkreport.evaluation.metrics.named import title_of
from milkreport.evaluation.records.parts import Estimate
from milkreport.evaluation.records.results import Results
from milkreport.reporting.blocks import Entry, in_columns
from milkreport.reporting.html import render_html, render_print
from milkreport.reporting.pdf import write_pdf
from milkreport.reporting.view import build_view
from milkreport.reporting.wording.order import (
    by_primary,
    drawn_arms,
    drawn_words,
    in_display_order,
    page_one_pairs,
    places,
    reference_name,
    shown_pairs,
    turned,
)
from milkreport.reporting.wording.sentences import result_statement
from milkreport.reporting.wording.text import mid_sentence
from tests import report_samples as samples


def with_values(values: Sequence[float | None], metric: str = "macro_f1") -> Results:
    """As many arms, each with a value of the primary metric and a difference from every earlier one."""
    base = samples.many_arms(len(values))
    arms = []
    for arm, value in zip(base.arms, values, strict=True):
        parts = []
        for part in arm.parts:
            estimate = Estimate(value=value, low=None, high=None)
            parts.append(part.model_copy(update={"metrics": {**part.metrics, metric: estimate}}))
        arms.append(arm.model_copy(update={"parts": parts}))
    differences = [
        samples.difference(second.name, first.name, metric, (b or 0) - (a or 0), 0.01)
        for i, (first, a) in enumerate(zip(arms, values, strict=True))
        for second, b in list(zip(arms, values, strict=True))[i + 1 :]
    ]
    assert base.comparison is not None
    comparison = base.comparison.model_copy(update={"differences": differences})
    update = {"arms": arms, "comparison": comparison, "primary_metric": metric}
    return base.model_copy(update=update)


def value_of(results: Results, name: str) -> float | None:
    arm = results.arm(name)
    part = arm.part("test") if arm else None
    found = part.estimate(results.primary_metric) if part else None
    return found.value if found else None


@settings(max_examples=25)
@given(st.lists(st.floats(0, 1), min_size=7, max_size=9))
def test_the_best_and_the_reference_come_first_then_the_others_by_value(
    values: list[float],
) -> None:
    results = with_values(values)
    names = [arm.name for arm in in_display_order(results).arms]
    assert value_of(results, names[0]) == max(values)
    assert "arm_0" in names[:2]
    rest = [value_of(results, name) for name in names if name not in (names[0], "arm_0")]
    assert rest == sorted(rest, reverse=True)
    assert sorted(names) == sorted(arm.name for arm in results.arms)
    drawn = [arm.name for arm in drawn_arms(results)]
    assert sorted((value_of(results, n) for n in drawn), reverse=True) == sorted(values)[::-1][:6]
    assert [places(results)[name] for name in drawn] == [0, 1, 2, 3, 4, 5]


def test_of_a_loss_the_lowest_is_the_best_and_an_undefined_value_is_last() -> None:
    results = with_values([0.5, 0.4, None, 0.1, 0.9, 0.3, 0.2, 0.8], "log_loss")
    assert [arm.name for arm in in_display_order(results).arms] == [
        "arm_3", "arm_0", "arm_6", "arm_5", "arm_1", "arm_7", "arm_4", "arm_2",
    ]  # fmt: skip
    assert "the six with the lowest log loss" in drawn_words(results)


def test_six_arms_and_synthetic_ones_keep_their_order() -> None:
    six = with_values([0.1, 0.9, 0.3, 0.2, 0.5, 0.4])
    assert in_display_order(six) is six
    assert drawn_words(six) == ""
    many = with_values([0.1, 0.9, 0.3, 0.2, 0.5, 0.4, 0.8])
    drawn = many.model_copy(update={"data": many.data.model_copy(update={"synthetic": True})})
    assert in_display_order(drawn) is drawn
    assert [arm.name for arm in drawn_arms(drawn)] == [f"arm_{i}" for i in range(6)]
    assert drawn_words(drawn) == " Drawn: the first six of 7 arms."


def test_the_reference_is_known_after_the_arms_were_ordered() -> None:
    results = in_display_order(with_values([0.1, 0.9, 0.3, 0.2, 0.5, 0.4, 0.8]))
    assert results.arms[0].name == "arm_1"
    assert reference_name(results) == "arm_0"


def test_a_difference_turned_round_says_the_opposite_and_turned_twice_the_same() -> None:
    d = samples.difference("b", "a", "macro_f1", 0.05, 0.01)
    back = turned(d)
    assert (back.arm, back.against, back.value, back.low, back.high) == (
        "a", "b", -d.value, -d.high, -d.low,
    )  # fmt: skip
    assert (find(d), find(back)) == ("better", "worse")
    assert turned(back) == d


def test_page_one_names_the_first_arm_against_the_reference_and_the_next_best() -> None:
    values = [0.2 + 0.01 * i for i in range(9)]
    results = with_values(values)
    pairs = [(d.arm, d.against, round(d.value, 3)) for d in page_one_pairs(results)]
    assert pairs == [
        ("arm_8", "arm_0", 0.08), ("arm_8", "arm_7", 0.01), ("arm_8", "arm_6", 0.02),
        ("arm_8", "arm_5", 0.03),
    ]  # fmt: skip
    few = samples.sample_results()
    assert len(page_one_pairs(few)) == 3
    names = {name for d in shown_pairs(results) for name in (d.arm, d.against)}
    assert names == {"arm_0", *(f"arm_{i}" for i in range(3, 9))}


def test_the_first_of_many_is_called_better_only_where_it_was_shown() -> None:
    apart = result_statement(with_values([0.2 + 0.05 * i for i in range(8)]))
    assert "It is better than the reference arm, " in apart.headline
    assert "It was shown to be better than 7 of the 7 other arms." in apart.headline
    alike = result_statement(with_values([0.5 + 0.001 * i for i in range(8)]))
    assert "Undecided between it and the reference arm" in alike.headline
    assert "better than 0 of the 7 other arms, but not than" in alike.headline
    assert "28 are undecided" in alike.headline
    for said in (apart, alike):
        assert "the best of 8. This orders the page and is not a finding" in said.reach
        assert "winner's curse" in said.reach
        assert len(said.headline) < 900
    first = with_values([0.9, *(0.2 + 0.01 * i for i in range(7))])
    assert "It is the reference arm." in result_statement(first).headline


@pytest.mark.parametrize(
    ("metric", "title", "inside"),
    [
        ("mcc", "Matthews correlation", "Matthews correlation"),
        ("macro_auc", "Macro AUC", "macro AUC"),
        ("brier", "Brier score", "Brier score"),
        ("kappa", "Cohen's kappa", "Cohen's kappa"),
        ("weighted_auroc", "Weighted AUROC", "weighted AUROC"),
    ],
)
def test_titles_keep_acronyms_and_names(metric: str, title: str, inside: str) -> None:
    assert title_of(metric) == title
    assert mid_sentence(title) == inside


def test_the_contents_fill_two_columns_in_their_order() -> None:
    entries = tuple(
        Entry(str(i), str(i), "t", tuple(Entry(f"{i}{c}", "", "c") for c in range(children)))
        for i, children in enumerate([0, 6, 0, 0, 4, 7, 0, 0])
    )
    left, right = in_columns(entries)
    assert (*left, *right) == entries
    lines = [sum(1 + len(entry.children) for entry in column) for column in (left, right)]
    assert abs(lines[0] - lines[1]) <= 8


def test_one_notice_speaks_of_all_arms_of_which_the_same_is_true() -> None:
    answers = np.array(["a", "b", "a", "b", "a", "b"])
    truth = np.array(["a", "b", "b", "b", "a", "a"])
    arms = {f"m{i}": answers for i in range(8)}
    found = milkreport.evaluate(arms, truth, intervals=False)
    hard = [notice for notice in found.notices if "hard labels" in notice]
    assert len(hard) == 1
    assert hard[0].startswith("m0, m1, m2, m3, m4 and 3 more: ")


def test_one_metric_alone_is_what_it_is_among_all() -> None:
    counts = np.random.default_rng(0).integers(0, 9, (50, 4, 4))
    for name, values in score_confusion(counts).items():
        (alone,) = score_confusion(counts, only=name).values()
        assert np.array_equal(alone, values, equal_nan=True), name


@pytest.fixture(scope="module")
def thirty(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Thirty drawn models of three classes, evaluated: the folder, and what the terminal showed."""
    folder = tmp_path_factory.mktemp("thirty")
    rng = np.random.default_rng(1)
    classes, n = ["benign", "malignant", "other"], 90
    truth = np.r_[0, 1, 2, rng.choice(3, n - 3, p=[0.7, 0.22, 0.08])]
    ids = [f"case {i}" for i in range(n)]
    labels = pd.DataFrame({"case_id": ids, "label": np.array(classes)[truth]})
    labels.to_csv(folder / "truth.csv", index=False)
    words = ["evaluate"]
    for arm in range(30):
        skill = 0.3 + ((7 * arm) % 30) / 15
        scores = np.exp(skill * np.eye(3)[truth] + rng.normal(size=(n, 3)))
        table = pd.DataFrame(scores / scores.sum(1, keepdims=True), columns=classes)
        table.insert(0, "case_id", ids)
        table.to_csv(folder / f"m{arm}.csv", index=False)
        words.append(f"model_{arm}={folder / f'm{arm}.csv'}")
    words += ["--truth", str(folder / "truth.csv"), "--out", str(folder / "out"), "--no-pdf"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    return folder / "out", done.stderr


def test_thirty_arms_take_under_sixty_lines_of_the_terminal(thirty: tuple[Path, str]) -> None:
    folder, said = thirty
    results = Results.model_validate_json((folder / "results.json").read_text())
    lines = said.splitlines()
    assert 30 < len(lines) < 60
    rows = [line.split()[0] for line in lines if re.match(r"model_\d+ ", line)]
    assert rows == [arm.name for arm in in_display_order(results).arms]
    assert rows[0] == by_primary(results)[0].name
    assert "model_0" in rows[:2]


def test_a_report_of_thirty_arms_draws_six_says_so_and_stays_under_twenty_pages(
    thirty: tuple[Path, str], tmp_path: Path
) -> None:
    results = Results.model_validate_json((thirty[0] / "results.json").read_text())
    view = build_view(results, samples.sample_manifest(), None, None)
    figures = {figure.key: figure for figure in view.figures}
    best = [arm.name for arm in by_primary(results)[:6]]
    for key in ("roc", "precision-recall", "reliability", "per-class"):
        figure = figures[key]
        assert figure.caption.count("Drawn: of 30 arms the six with the highest macro F1.") == 1
        drawn = set(re.findall(r">(model_\d+)\b", re.sub(r"<desc.*?</desc>", "", figure.svg)))
        assert drawn == set(best), key
    matrices = [key for key in figures if key.endswith("-matrix")]
    assert len(matrices) == len({best[0], "model_0"})
    assert sum(arm.is_brief for arm in view.arms) == 30 - len(matrices)
    page = render_html(view)
    assert len(set(re.findall(r'class="arm[^"]*" data-name="([^"]*)"', page))) == 30
    write_pdf(render_print(view), tmp_path / "report.pdf")
    paper = PdfReader(io.BytesIO((tmp_path / "report.pdf").read_bytes()))
    assert len(paper.pages) < 20
    first = paper.pages[0].extract_text()
    assert f"{best[0]} minus model_0" in first
    assert f"{best[0]} minus {best[1]}" in first
