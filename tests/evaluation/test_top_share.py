"""Reviews of the highest scores against scikit-learn; the heat map and the table that show classes."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix

from milkreport.evaluation.metrics.top_share import SHARES, count_reviewed, review, top_shares
from milkreport.evaluation.reading.predictions import Predictions
from milkreport.evaluation.summarise import summarise_part
from milkreport.reporting.figures.class_heat_map import METRICS
from milkreport.reporting.sections.classes import heat_map, rare_classes
from tests import report_samples as samples
from tests.evaluation.test_case_table import scored


def test_a_review_by_hand() -> None:
    score = np.array([0.9, 0.1, 0.8, 0.8, 0.2, 0.3, 0.0, 0.0, 0.0, 0.0])
    mine = np.array([True, True, False, True, *[False] * 6])
    assert review(score, mine, 0.1) == (0.9, 1, 0)
    # Two of ten; the second and third highest are equal, so three are reviewed.
    assert review(score, mine, 0.2) == (0.8, 2, 1)
    assert review(score, mine, 1.0) == (0.0, 3, 7)


def test_shares_are_rounded_up_to_whole_cases_and_no_further() -> None:
    assert [count_reviewed(s, 30) for s in SHARES] == [1, 1, 2, 3, 6]
    assert [count_reviewed(s, 1038) for s in SHARES] == [11, 21, 52, 104, 208]
    assert count_reviewed(0.1, 30) == 3  # 0.1 * 30 > 3


@given(
    st.lists(st.tuples(st.integers(0, 20), st.booleans()), min_size=1, max_size=80),
    st.sampled_from(SHARES),
)
def test_hits_and_false_alarms_are_those_of_the_threshold(
    cases: list[tuple[int, bool]], share: float
) -> None:
    score = np.array([s for s, _ in cases]) / 20
    mine = np.array([m for _, m in cases])
    threshold, hits, false_alarms = review(score, mine, share)
    (_, wrong), (_, right) = confusion_matrix(mine, score >= threshold, labels=[False, True])
    assert (hits, false_alarms) == (right, wrong)
    # The least threshold that reviews enough: a higher one reviews too few.
    n = count_reviewed(share, len(cases))
    assert hits + false_alarms >= n
    assert (score > threshold).sum() < n


def test_classes_are_reviewed_if_they_are_rare_and_seeds_are_averaged() -> None:
    rng = np.random.default_rng(3)
    truth = np.repeat([0, 1, 2, 3], [170, 20, 10, 0])
    ids = np.array([f"c{i:03d}" for i in range(200)])
    seeds = [
        Predictions(ids, truth, rng.dirichlet(np.ones(4), 200) / 1.0, ("a", "b", "c", "d"))
        for _ in range(2)
    ]
    found = top_shares(seeds)
    assert [len(tops) for tops in found] == [0, 5, 5, 0]  # frequent; 10%; 5%; no case
    first = found[2][1]
    by_seed = [review(p.probabilities[:, 2], truth == 2, 0.02) for p in seeds]
    assert (first.threshold, first.hits, first.false_alarms) == pytest.approx(
        tuple(np.mean(by_seed, axis=0))
    )
    rows = summarise_part("test", {(i, 0): p for i, p in enumerate(seeds)}).classes
    assert [row.top for row in rows] == found
    # Neither the training part nor hard labels have any.
    hard = Predictions(ids, truth, np.eye(4)[truth], ("a", "b", "c", "d"))
    for part, p in (("train", seeds[0]), ("test", hard)):
        assert not any(row.top for row in summarise_part(part, {(0, 0): p}).classes)


def test_the_table_holds_the_record() -> None:
    results = scored(300)
    (table,) = rare_classes(results).tables
    (group,) = table.groups
    row = next(r for r in results.arms[1].part("test").classes if r.name == "c")
    assert group.title == f"c, {row.support} cases"
    assert [line.cells[0].text for line in group.rows] == ["1%", "2%", "5%", "10%", "20%"]
    assert [line.cells[0].note for line in group.rows][:3] == ["3 cases", "6 cases", "15 cases"]
    for line, top in zip(group.rows, row.top, strict=True):
        assert line.cells[2].text == f"{top.hits:.0f} of {row.support}"
        assert line.cells[2].note == f"{top.false_alarms:.0f} false, score ≥ {top.threshold:.3f}"
    assert rare_classes(samples.sample_results()).is_empty  # an older record has none


def test_the_heat_map_prints_and_says_every_value() -> None:
    results = samples.sample_results()
    figure = heat_map(results)
    texts = re.findall(r"<text[^>]*>([^<]*)</text>", figure.svg)
    titles = re.findall(r"<title>([^<]*)</title></rect>", figure.svg)
    n = 0
    for arm in results.arms:
        for row in arm.part("test").classes:
            for metric, word in METRICS.items():
                value = getattr(row, metric)
                if value is not None:
                    assert f"{value:.2f}" in texts
                    said = f"{row.name}, {arm.title}: {word} {value:.3f}"
                    assert any(title.startswith(said) for title in titles), said
                    n += 1
    assert n > 70
    assert "fill: #0072b2" in figure.svg.lower()


def test_of_many_arms_the_heat_map_shows_the_first_and_the_best() -> None:
    results = samples.many_arms(7)
    values = {a.name: a.part("test").metrics["macro_f1"].value for a in results.arms}
    best = max(results.arms, key=lambda a: values[a.name])
    figure = heat_map(results)
    assert (
        "the arm with the best value of the primary metric, and the reference arm" in figure.caption
    )
    said = {
        t.split(": ")[0].split(", ", 1)[1]
        for t in re.findall(r"<title>([^<]*)</title></rect>", figure.svg)
    }
    assert said == {results.arms[0].title, best.title}
