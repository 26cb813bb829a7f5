"""What is said of a difference: each finding in its own sentence, the right way round."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pandas as pd
import pytest

import milkreport
from milkreport.errors import ConfigError
from milkreport.evaluation.compare import find
from milkreport.evaluation.intervals import coverage
from milkreport.evaluation.metrics.named import define_all
from milkreport.evaluation.records.results import Results, Superiority
from milkreport.reporting.sections.compare import build_comparison
from milkreport.reporting.tables import comparison_table, pair_table
from milkreport.reporting.wording.pairs import superiority_sentences
from milkreport.reporting.wording.sentences import coverage_sentence, result_statement
from tests import report_samples as samples


def pair(
    metric: str = "macro_f1", seeds: int = 1, margin: float | None = None, **d: Any
) -> Results:
    """Two arms whose difference on the primary metric is *d*."""
    base = samples.sample_results(seeds=seeds)
    assert base.comparison is not None
    first = base.comparison.differences[0].model_copy(
        update={"metric": metric, "margin": margin, **d}
    )
    comparison = base.comparison.model_copy(update={"differences": [first]})
    update = {
        "arms": base.arms[:2],
        "comparison": comparison,
        "primary_metric": metric,
        "margin": margin,
        "definitions": define_all(metric),
    }
    return base.model_copy(update=update)


OPEN = {"value": 0.01, "low": -0.03, "high": 0.05, "low90": -0.02, "high90": 0.04, "p_holm": 0.6}
CLOSE = {
    "value": 0.001,
    "low": -0.012,
    "high": 0.014,
    "low90": -0.01,
    "high90": 0.012,
    "p_holm": 0.8,
}
APART = {"value": 0.04, "low": 0.01, "high": 0.07, "low90": 0.015, "high90": 0.065, "p_holm": 0.01}


@pytest.mark.parametrize(
    ("seeds", "margin", "d", "finding", "said"),
    [
        (5, None, APART, "better", "Class-weighted loss scored a higher macro F1 than Baseline (difference "
         "+0.040, 95% interval +0.010 to +0.070)."),
        (1, None, APART, "better", "Of these trained models, that of Class-weighted loss scored a higher "
         "macro F1 than that of Baseline (difference +0.040, 95% interval +0.010 to +0.070)."),
        (5, 0.02, CLOSE, "equivalent", "Class-weighted loss and Baseline are equivalent within 0.02 in macro "
         "F1 (90% interval of the difference −0.010 to +0.012)."),
        (1, 0.02, CLOSE, "equivalent", "The trained model of Class-weighted loss and that of Baseline are "
         "equivalent within 0.02 in macro F1 (90% interval of the difference −0.010 to +0.012)."),
        (5, 0.035, OPEN, "not worse", "Class-weighted loss is not worse than Baseline by 0.035 or more in "
         "macro F1 (95% interval of the difference −0.030 to +0.050)."),
        (5, None, OPEN, "undecided", "Undecided between Class-weighted loss and Baseline in macro F1: the "
         "95% interval of the difference, −0.030 to +0.050, includes 0; a difference of 0.034 would have "
         "been found with 80% power."),
        (1, 0.02, OPEN, "undecided", "Undecided between the trained model of Class-weighted loss and that "
         "of Baseline in macro F1: the 95% interval of the difference, −0.030 to +0.050, includes 0 and "
         "differences beyond the margin of 0.02; a difference of 0.034 would have been found with 80% "
         "power."),
    ],
)  # fmt: skip
def test_every_finding_has_its_sentence(
    seeds: int, margin: float | None, d: dict[str, float], finding: str, said: str
) -> None:
    results = pair(seeds=seeds, margin=margin, **d)
    assert results.comparison is not None
    assert find(results.comparison.differences[0]) == finding
    assert result_statement(results).headline == said
    table = pair_table(results)
    assert table is not None
    assert table.groups[0].rows[0].cells[-1].text == finding
    (primary, *_) = build_comparison(results).chapters
    (row,) = primary.tables[0].groups[0].rows
    assert row.cells[-1].text == finding
    if margin is not None:
        assert row.cells[3].note.startswith("90%: ")


def test_the_lower_loss_is_the_better_one_everywhere() -> None:
    results = pair("log_loss", seeds=5, **APART)  # the second arm's loss is 0.04 higher
    assert results.comparison is not None
    assert find(results.comparison.differences[0]) == "worse"
    said = result_statement(results).headline
    assert said == (
        "Baseline scored a lower log loss than Class-weighted loss (difference −0.040, 95% interval −0.070 "
        "to −0.010)."
    )
    heads = {c.title: c.note for c in comparison_table(results).columns}
    assert heads["Log loss"] == "primary, lower is better"


def test_the_better_loss_ranks_first() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 300)
    ids = [f"c{i}" for i in range(300)]
    labels = pd.DataFrame({"id": ids, "label": np.array(["A", "B", "C"])[truth]})

    def model(gain: float, seed: int) -> pd.DataFrame:
        noise = np.random.default_rng(seed).normal(size=(300, 3))
        values = np.exp(noise + gain * np.eye(3)[truth])
        frame = pd.DataFrame(values / values.sum(axis=1, keepdims=True), columns=["A", "B", "C"])
        return frame.assign(id=ids)

    good, bad = ([model(gain, seed) for seed in (s, s + 1)] for gain, s in ((3.0, 1), (1.0, 3)))
    found = milkreport.evaluate({"bad": bad, "good": good}, labels, primary="log_loss")
    assert found.comparison is not None
    assert found.comparison.differences[0].value < 0
    assert found.comparison.ranks == {"bad": 2, "good": 1}
    assert result_statement(found).headline.startswith("good scored a lower log loss than bad")


def test_a_class_or_the_positive_classes_can_be_primary() -> None:
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 3, 240)
    ids = [f"c{i}" for i in range(240)]
    labels = pd.DataFrame({"id": ids, "label": np.array(["A", "B", "C"])[truth]})
    frames = {}
    for name in ("one", "two"):
        values = rng.dirichlet(np.ones(3), 240) + np.eye(3)[truth]
        frames[name] = pd.DataFrame(values / 2, columns=["A", "B", "C"]).assign(id=ids)
    found = milkreport.evaluate(frames, labels, primary="sensitivity:B", margin=0.3)
    assert found.primary_metric == "recall:B"
    assert found.definitions["recall:B"].title == "Recall of B"
    part = found.arms[0].part("test")
    assert part is not None
    estimate = part.estimate("recall:B")
    assert estimate is not None
    row = next(row for row in part.classes if row.name == "B")
    assert (estimate.value, (estimate.low, estimate.high)) == (row.recall, row.intervals["recall"])
    columns = [c.title for c in comparison_table(found).columns]
    assert columns[1] == "Recall of B"
    assert comparison_table(found).groups[0].rows[0].cells[1].text == f"{row.recall:.3f}"
    assert "in recall of B" in result_statement(found).headline
    grouped = milkreport.evaluate(frames, labels, primary="positive_auc", positive=["A"])
    assert grouped.comparison is not None
    first = grouped.comparison.differences[0]
    values = [arm.part("test").positive.auc.value for arm in grouped.arms]  # type: ignore[union-attr]
    assert first.metric == "positive_auc"
    assert first.value == pytest.approx(values[1] - values[0])
    assert first.p_holm is not None
    for primary, said in (
        ("recall:D", "unknown class 'D'"),
        ("positive_auc", "needs positive classes"),
    ):
        with pytest.raises(ConfigError, match=said):
            milkreport.evaluate(frames, labels, primary=primary)
    with pytest.raises(ConfigError, match="above 0 and below 1"):
        milkreport.evaluate(frames, labels, margin=1.0)


def test_a_new_training_is_spoken_of_on_these_cases() -> None:
    won = Superiority(value=0.83, low=0.61, high=0.93)
    results = pair(seeds=10, superiority=won, **APART)
    assert superiority_sentences(results) == [
        "On these lesions, a new training of Class-weighted loss scores a higher macro F1 than a new "
        "training of Baseline with a probability of 0.83 (95% interval 0.61 to 0.93)."
    ]
    assert superiority_sentences(pair(seeds=5, **APART)) == []


def test_a_coverage_is_said_only_of_what_was_simulated(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {("macro_f1", "3 to 19", False, "500 to 2499"): (0.94, 0.99)}
    monkeypatch.setattr(coverage, "_table", lambda: known)
    results = samples.sample_results()
    assert coverage_sentence(results) == (
        "In simulations with about as many classes and cases, 95% intervals of macro F1 included the true "
        "value in 94% to 99% of the trials (docs/statistics.md)."
    )
    assert coverage_sentence(samples.sample_results(seeds=5)) == ""  # simulated of one training
    assert coverage_sentence(samples.two_classes()) == ""
    arms = [
        arm.model_copy(
            update={"parts": [p.model_copy(update={"n_groups": 900}) for p in arm.parts]}
        )
        for arm in results.arms
    ]
    assert coverage_sentence(results.model_copy(update={"arms": arms})) == ""


def test_the_table_of_coverages_is_read_and_its_bands_have_no_gap() -> None:
    table = coverage._table()
    assert all(0 <= low <= high <= 1 for low, high in table.values())
    for bands in (coverage.CASES, coverage.UNITS):
        for (_, high), (low, _) in itertools.pairwise(bands):
            assert high is not None
            assert low == high + 1
    assert coverage.name_band(coverage.UNITS, 9) == "5 to 9"
    assert coverage.name_band(coverage.CLASSES, 2) == "2"
    assert coverage.name_band(coverage.CLASSES, 1) == ""
