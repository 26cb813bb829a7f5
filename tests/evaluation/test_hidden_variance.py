"""What few cases hide: no difference of zero width, none beyond the range, no claim from three cases."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import milkreport
from milkreport.errors import DataError
from milkreport.evaluation.apply_thresholds import fit_thresholds
from milkreport.evaluation.compare import find
from milkreport.evaluation.intervals.hidden_variance import hidden_variance, reveal
from milkreport.evaluation.intervals.readers import combine_bounds
from milkreport.evaluation.records.parts import PartResult
from milkreport.evaluation.records.results import Difference, Results
from milkreport.reporting.wording.sentences import result_statement


def _table(probabilities: np.ndarray, classes: list[str]) -> pd.DataFrame:
    table = pd.DataFrame(probabilities, columns=classes)
    table.insert(0, "case_id", [f"c{i}" for i in range(len(table))])
    return table


def _truth(labels: list[str]) -> pd.DataFrame:
    return pd.DataFrame({"case_id": [f"c{i}" for i in range(len(labels))], "label": labels})


def _primary(results: Results) -> Difference:
    assert results.comparison is not None
    return results.comparison.differences[0]


def _perfect(seed: int) -> pd.DataFrame:
    """Twelve cases, four positive, ranked without a fault by scores of their own."""
    rng = np.random.default_rng(seed)
    score = np.r_[rng.uniform(0.1, 0.4, 8), rng.uniform(0.6, 0.9, 4)]
    return _table(np.c_[1 - score, score], ["neg", "pos"])


@pytest.mark.parametrize(
    "metric", ["macro_auc", "positive_auc", "auc:pos", "average_precision:pos", "recall:pos"]
)
def test_twelve_faultless_cases_are_not_equivalent(metric: str) -> None:
    """Both rank without a fault: their cases don't vary, which is no evidence of a margin of 0.02."""
    results = milkreport.evaluate(
        {"a": _perfect(1), "b": _perfect(2)},
        _truth(["neg"] * 8 + ["pos"] * 4),
        primary=metric,
        margin=0.02,
        positive=["pos"],
    )
    found = _primary(results)
    assert found.value == 0
    assert -1 <= found.low < -0.2 < 0.2 < found.high <= 1
    assert find(found) == "undecided"


@pytest.mark.slow
def test_many_faultless_cases_are_equivalent() -> None:
    """The same with 6,000 cases is evidence."""
    rng = np.random.default_rng(0)
    positive = np.arange(6000) % 2 == 0
    sides = {}
    for name in "ab":
        score = np.where(positive, rng.uniform(0.6, 0.9, 6000), rng.uniform(0.1, 0.4, 6000))
        sides[name] = _table(np.c_[1 - score, score], ["neg", "pos"])
    labels = np.where(positive, "pos", "neg").tolist()
    results = milkreport.evaluate(sides, _truth(labels), primary="macro_auc", margin=0.02)
    assert find(_primary(results)) == "equivalent"


def _rare(n_rare: int) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """The first finds every case of the rare class, the second none; they agree elsewhere."""
    labels = ["A"] * 60 + ["B"] * 40 + ["R"] * n_rare
    right = np.array([[c == label for c in "ABR"] for label in labels]) * 0.8 + 0.1 * np.ones(3)
    right /= right.sum(axis=1, keepdims=True)
    wrong = right.copy()
    wrong[100:] = [0.8, 0.1, 0.1]
    return _table(right, list("ABR")), _table(wrong, list("ABR")), _truth(labels)


@pytest.mark.parametrize(("n_rare", "finding"), [(3, "undecided"), (12, "worse")])
def test_a_recall_is_permuted(n_rare: int, finding: str) -> None:
    """Three cases of three: exact p 0.25, however narrow the interval. Twelve of twelve: 0.0005."""
    one, other, truth = _rare(n_rare)
    found = _primary(milkreport.evaluate({"a": one, "b": other}, truth, primary="recall:R"))
    assert found.value == -1
    assert found.low == -1 < found.high
    assert found.p == pytest.approx(2 * 0.5**n_rare, abs=0.03)
    assert find(found) == finding


def test_no_difference_is_beyond_the_range() -> None:
    """Student's t of few cases is wide; no two values of a metric from 0 to 1 lie further apart than 1."""
    rng = np.random.default_rng(12)
    sides = {n: _table(rng.dirichlet(np.ones(3), 6), list("ABC")) for n in "ab"}
    results = milkreport.evaluate(sides, _truth(list("AAABBC")))
    assert results.comparison is not None
    for d in results.comparison.differences:
        most = {"mcc": 2, "kappa": 2, "brier": 2, "log_loss": np.inf}.get(d.metric, 1)
        assert -most <= d.low < d.high <= most, d.metric


def test_hidden_variance_by_metric() -> None:
    """Counts have one discordant case on each side added; others are left alone unless they vanish."""
    support, classes = np.array([90, 10]), ["a", "b"]
    for metric, hidden in (
        ("recall:b", 2 / 10**2),
        ("specificity:b", 2 / 90**2),
        ("positive_sensitivity", 2 / 90**2),
        ("positive_specificity", 2 / 10**2),
        ("accuracy", 2 / 100**2),
        ("macro_f1", hidden_variance("macro_f1", support)),
    ):
        assert reveal(metric, 0.3, support, classes, ["a"]) == pytest.approx(0.3 + hidden), metric
    for metric, least in (("auc:b", 2 / 900), ("macro_auc", 1 / 900), ("log_loss", 2 / 100**2)):
        assert reveal(metric, 0.0, support, classes, ["a"]) == pytest.approx(least), metric
        assert reveal(metric, 0.3, support, classes, ["a"]) == 0.3, metric


def test_seeds_alike_by_luck_do_not_narrow_an_interval() -> None:
    """Two seeds of equal value whose errors are independent: the cases leave 1 / sqrt(2) of it."""
    draws = 0.8 + 0.02 * np.random.default_rng(0).normal(size=(4000, 2))
    value, end = np.full(2, 0.8), 0.04
    low, high = combine_bounds(value, value - end, value + end, draws)
    assert high - 0.8 == pytest.approx(end / np.sqrt(2), rel=0.03)
    assert 0.8 - low == pytest.approx(end / np.sqrt(2), rel=0.03)


def _grouped(n_groups: int) -> PartResult:
    rng = np.random.default_rng(3)
    labels = rng.choice(list("ABC"), 90).tolist()
    table = pd.DataFrame(
        {
            "case_id": [f"c{i}" for i in range(90)],
            "patient": [f"p{i % n_groups}" for i in range(90)],
        }
    )
    table["sex"] = rng.choice(["female", "male"], 90)
    results = milkreport.evaluate(
        _table(rng.dirichlet(np.ones(3), 90), list("ABC")),
        _truth(labels),
        metadata=table,
        group="patient",
    )
    part = results.arms[0].part("test")
    assert part is not None
    return part


def test_one_patient_is_one_case() -> None:
    """Ninety cases of one patient tell as little of other patients as one; and of no gap."""
    part = _grouped(1)
    accuracy = part.metrics["accuracy"]
    assert accuracy.low is not None
    assert accuracy.high is not None
    assert accuracy.high - accuracy.low > 0.8
    assert part.gaps
    assert all(gap.chance is None for gap in part.gaps)
    many = _grouped(45)
    wide = many.metrics["accuracy"]
    assert wide.low is not None
    assert wide.high is not None
    assert wide.high - wide.low < 0.35
    assert all(gap.chance for gap in many.gaps)


def test_an_undefined_primary_metric_is_named() -> None:
    """No case of the class: that is said, and not that the recall "was —" of arms that were not compared."""
    rng = np.random.default_rng(0)
    truth = _truth(["A"] * 20 + ["B"] * 20)
    truth = truth.join(pd.get_dummies(truth.pop("label"), dtype=int)).assign(C=0)
    sides = {n: _table(rng.dirichlet(np.ones(3), 40), list("ABC")) for n in "ab"}
    said = result_statement(milkreport.evaluate(sides, truth, primary="recall:C"))
    assert said.headline == (
        "The primary metric, recall of C, is undefined on these cases; choose another one."
    )
    assert said.reach == "The other metrics are described, not tested."
    assert "undefined" not in result_statement(milkreport.evaluate(sides, truth)).headline


def test_no_power_is_promised_beyond_the_range() -> None:
    """Four cases: the difference that 80% power would find is larger than any that there is."""
    rng = np.random.default_rng(12)
    sides = {n: _table(rng.dirichlet(np.ones(2), 4), list("AB")) for n in "ab"}
    results = milkreport.evaluate(sides, _truth(list("AABB")))
    assert _primary(results).detectable > 1
    assert (
        "no difference, however large, would have been found" in result_statement(results).headline
    )


def test_seeds_and_groups_that_are_left_out_are_named() -> None:
    """Seeds that one arm lacks, and cases that the metadata has no group of."""
    rng = np.random.default_rng(0)
    truth = _truth(rng.choice(list("AB"), 40).tolist())
    one, two, three = (_table(rng.dirichlet(np.ones(2), 40), list("AB")) for _ in range(3))
    known = pd.DataFrame(
        {"case_id": [f"c{i}" for i in range(40)], "patient": [f"p{i % 20}" for i in range(40)]}
    )

    def notices(frames: dict[str, list[pd.DataFrame]], metadata: pd.DataFrame) -> list[str]:
        results = milkreport.evaluate(
            frames, truth, metadata=metadata, group="patient", positive="B"
        )
        return results.notices

    assert notices({"a": [one], "b": [three]}, known) == []
    found = notices({"a": [one, two], "b": [three]}, known[:30])
    assert len(found) == 2
    assert "(a has 2, b has 1): the comparison takes the first 1 of each arm" in found[0]
    assert found[1].startswith("10 of 40 cases have no group in the metadata")
    assert "c30" not in found[1]  # notices name no case


def test_one_training_that_is_given_twice_is_named() -> None:
    rng = np.random.default_rng(0)
    truth = _truth(rng.choice(list("AB"), 40).tolist())
    one, two, three = (_table(rng.dirichlet(np.ones(2), 40), list("AB")) for _ in range(3))

    def notices(a: list[pd.DataFrame]) -> list[str]:
        return milkreport.evaluate({"a": a, "b": [two, three]}, truth, positive="B").notices

    (found,) = notices([one, one.sample(frac=1, random_state=1)])
    assert found.startswith("a: 1 training seed has the same predictions as another one of the arm")
    assert notices([one, three]) == []


def test_at_a_threshold_where_none_is_positive_net_benefit_has_no_band() -> None:
    """No case has a probability of 0.9 or more there: a net benefit of exactly 0 without an interval."""
    results = milkreport.evaluate(_perfect(1), _truth(["neg"] * 8 + ["pos"] * 4), positive=["pos"])
    part = results.arms[0].part("test")
    assert part is not None
    assert part.positive is not None
    for point in part.positive.net_benefit:
        if point.threshold >= 0.9:
            assert (point.value, point.low, point.high) == (0, None, None)
    assert any(p.low is not None and p.low < p.value for p in part.positive.net_benefit)


def test_thresholds_of_one_patient_are_refused() -> None:
    """Nothing is left to find them on: F1 at 0.5 is no nested figure."""
    rng = np.random.default_rng(0)
    frame, truth = _table(rng.dirichlet(np.ones(2), 40), list("AB")), _truth(["A", "B"] * 20)
    known = pd.DataFrame({"case_id": [f"c{i}" for i in range(40)], "patient": "p"})
    with pytest.raises(DataError, match="all 40 cases are of one patient"):
        fit_thresholds(frame, truth, metadata=known, group="patient")
    known["patient"] = ["p", "q"] * 20
    assert fit_thresholds(frame, truth, metadata=known, group="patient").n_groups == 2
