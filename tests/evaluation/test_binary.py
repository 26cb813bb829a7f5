"""Two classes or some against the others: operating points, predictive values, and what the report says of
them.

On scikit-learn's breast cancer data, against scikit-learn and values worked by hand.
"""

from __future__ import annotations

import importlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import brentq
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    average_precision_score,
    brier_score_loss,
    confusion_matrix,
    roc_auc_score,
    roc_curve,
)
from sklearn.model_selection import cross_val_predict

import milkreport
from milkreport.errors import ConfigError
from milkreport.evaluation.binary.answers import Answers, answer_seed
from milkreport.evaluation.binary.compare import bound_change
from milkreport.evaluation.binary.measures import bound_at, npv_at, ppv_at, score_counts
from milkreport.evaluation.binary.rules import choose_threshold, parse_prevalences, parse_rule
from milkreport.evaluation.intervals.closed_form import ratio_bounds, share_bounds
from milkreport.evaluation.metrics.risk import calibration_intercept, calibration_slope, risk_groups
from milkreport.evaluation.reading.predictions import Predictions
from milkreport.evaluation.records.binary import BinaryResult
from milkreport.evaluation.records.long_form import tabulate
from milkreport.evaluation.records.results import Results
from milkreport.reporting.sections.subgroups import build_subgroups

ROOT = Path(__file__).resolve().parents[2]
NAMES = ["benign", "malignant"]


def predict(columns: slice | list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Out-of-fold probabilities, float64 (569, 2), and labels, 1 is malignant."""
    x, y = load_breast_cancer(return_X_y=True)
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    model = LogisticRegression(max_iter=1000)
    return cross_val_predict(model, x[:, columns], 1 - y, method="predict_proba"), 1 - y


@pytest.fixture(scope="module")
def cancer() -> tuple[dict[str, np.ndarray], np.ndarray]:
    weak, y = predict([4, 8, 9])
    return {"weak": weak, "strong": predict(slice(None))[0]}, y


def evaluate(given: tuple[dict[str, np.ndarray], np.ndarray], **options: object) -> Results:
    named = np.array(NAMES)[given[1]]
    return milkreport.evaluate(given[0], named, classes=NAMES, **options)  # type: ignore[arg-type]


def record(results: Results, arm: str) -> BinaryResult:
    found = results.arm(arm)
    assert found is not None
    part = found.part("test")
    assert part is not None
    assert part.binary is not None
    return part.binary


def test_values_at_a_declared_threshold_are_scikit_learns(
    cancer: tuple[dict[str, np.ndarray], np.ndarray],
) -> None:
    results = evaluate(cancer, operating="0.32", prevalence=[0.01, 0.05], intervals=False)
    y = cancer[1]
    for name, p in cancer[0].items():
        found = record(results, name)
        point, score = found.operating, p[:, 1]
        tn, fp, fn, tp = confusion_matrix(y, score >= 0.32).ravel()
        assert (point.tp, point.fp, point.fn, point.tn) == (tp, fp, fn, tn)
        values = {k: v.value for k, v in point.values.items()}
        sensitivity, specificity = tp / (tp + fn), tn / (tn + fp)
        assert values["sensitivity"] == pytest.approx(sensitivity)
        assert values["specificity"] == pytest.approx(specificity)
        assert values["ppv"] == pytest.approx(tp / (tp + fp))
        assert values["npv"] == pytest.approx(tn / (tn + fn))
        assert values["lr_positive"] == pytest.approx(sensitivity / (fp / (fp + tn)))
        assert values["lr_negative"] == pytest.approx((fn / (tp + fn)) / specificity)
        assert values["net_benefit"] == pytest.approx((tp - fp * 0.32 / 0.68) / len(y))
        assert found.auc is not None
        assert found.auc.value == pytest.approx(roc_auc_score(y, score))
        assert found.average_precision is not None
        assert found.average_precision.value == pytest.approx(average_precision_score(y, score))
        for at, q in zip(point.prevalences, (0.01, 0.05), strict=True):
            ppv = sensitivity * q / (sensitivity * q + (1 - specificity) * (1 - q))
            npv = specificity * (1 - q) / (specificity * (1 - q) + (1 - sensitivity) * q)
            assert at.ppv.value == pytest.approx(ppv)
            assert at.npv.value == pytest.approx(npv)
        assert all(v.low is None for v in point.values.values())  # no intervals were wanted


def test_without_an_operating_point_the_predicted_class_decides_and_the_second_class_is_positive(
    cancer: tuple[dict[str, np.ndarray], np.ndarray],
) -> None:
    results = evaluate(cancer, intervals=False)
    found = record(results, "weak")
    assert (found.classes, found.by_default, found.operating.rule) == (
        ["malignant"],
        True,
        "argmax",
    )
    assert found.operating.threshold == 0.5
    _, fp, _, tp = confusion_matrix(cancer[1], cancer[0]["weak"].argmax(axis=1)).ravel()
    assert (found.operating.tp, found.operating.fp) == (tp, fp)
    assert any("malignant counts as positive" in notice for notice in results.notices)
    named = evaluate(cancer, intervals=False, positive="benign")
    assert not record(named, "weak").by_default
    assert not any("counts as positive" in notice for notice in named.notices)


def test_thresholds_are_chosen_as_the_rules_say() -> None:
    true = np.array([0, 0, 1, 0, 1, 0, 1, 1], bool)
    score = np.array([0.1, 0.2, 0.3, 0.4, 0.6, 0.7, 0.8, 0.9])
    chosen = {
        text: choose_threshold(parse_rule(text), true, score)
        for text in (
            "sensitivity=0.75", "sensitivity=0.76", "specificity=0.75", "specificity=0.99",
            "youden", "cost=10:1", "cost=1:10", "0.32",
        )
    }  # fmt: skip
    assert chosen == pytest.approx(
        {
            "sensitivity=0.75": 0.5,  # 3 of 4 from 0.6 on; the highest that reaches it
            "sensitivity=0.76": 0.25,
            "specificity=0.75": 0.5,  # 3 of 4 below; the lowest that reaches it
            "specificity=0.99": 0.75,
            "youden": 0.5,  # 3/4 + 3/4, equal to 4/4 + 2/4 at 0.25 and 2/4 + 4/4 at 0.75
            "cost=10:1": 0.25,  # two false positives cost less than a false negative
            "cost=1:10": 0.75,
            "0.32": 0.32,
        }
    )
    assert choose_threshold(parse_rule("specificity=0.9"), ~true, 1 - score) < 1
    none_called = choose_threshold(parse_rule("specificity=0.9"), true, np.ones(8))
    assert not (np.ones(8) >= none_called).any()


def test_a_nested_threshold_never_sees_the_cases_that_it_calls(
    cancer: tuple[dict[str, np.ndarray], np.ndarray],
) -> None:
    """Scores without information: in-sample the best threshold looks useful, nested it does not."""
    rng = np.random.default_rng(0)
    gains = {"nested": [], "in-sample": []}
    for _ in range(60):
        p = rng.random(40)
        y = rng.random(40) < 0.5
        given = Predictions(
            np.char.mod("%02d", np.arange(40)), y.astype(int), np.stack([1 - p, p], 1), ("a", "b")
        )
        answers = answer_seed(given, ("b",), parse_rule("youden"))
        assert answers.source == "nested"
        assert len(answers.used) == 5
        for name, called in (("nested", answers.called), ("in-sample", p >= answers.threshold)):
            gains[name].append(called[y].mean() - called[~y].mean())
    assert abs(np.mean(gains["nested"])) < 0.06
    assert np.mean(gains["in-sample"]) > 0.2  # the control: choosing on the scored cases flatters
    found = record(evaluate(cancer, operating="sensitivity=0.95"), "weak").operating
    assert found.source == "nested"
    assert found.in_sample is not None
    assert found.in_sample.sensitivity >= 0.95
    assert found.lowest is not None
    assert found.highest is not None
    assert found.lowest < found.highest


def test_groups_stay_whole_when_a_threshold_is_nested() -> None:
    rng = np.random.default_rng(1)
    groups = np.repeat(np.arange(20), 3)
    y, p = rng.random(60) < 0.4, rng.random(60)
    given = Predictions(
        np.char.mod("%02d", np.arange(60)), y.astype(int), np.stack([1 - p, p], 1), ("a", "b")
    )
    answers = answer_seed(given, ("b",), parse_rule("youden"), groups)
    # Shuffling the scores of one group moves no threshold at which this group is called.
    for group in (0, 7):
        mine = groups == group
        other = p.copy()
        other[mine] = rng.random(3)
        moved = replace(given, probabilities=np.stack([1 - other, other], 1))
        again = answer_seed(moved, ("b",), parse_rule("youden"), groups)
        assert np.isin(again.used, answers.used).any()


def test_a_validation_part_chooses_the_threshold() -> None:
    rng = np.random.default_rng(3)
    y = rng.random(300) < 0.3
    p = 1 / (1 + np.exp(-(rng.normal(size=300) + 2 * y - 1)))
    frame = pd.DataFrame({"case_id": [f"c{i:03d}" for i in range(300)], "a": 1 - p, "b": p})
    frame["split"] = np.where(np.arange(300) < 150, "validation", "test")
    labels = pd.DataFrame({"id": frame["case_id"], "label": np.where(y, "b", "a")})
    results = milkreport.evaluate(frame, labels, operating="specificity=0.9")
    point = record(results, results.arms[0].name).operating
    assert (point.source, point.in_sample) == ("validation", None)
    expected = choose_threshold(parse_rule("specificity=0.9"), y[:150], p[:150])
    assert point.threshold == pytest.approx(expected)
    called = p[150:] >= expected
    assert point.values["sensitivity"].value == pytest.approx(called[y[150:]].mean())


def test_intervals_by_hand() -> None:
    """Altman and Bland's liver scans (BMJ 1994): 231 of 258 abnormal called, 54 of 86 normal not."""
    true = np.repeat([True, False], [258, 86])
    called = np.concatenate(
        [np.repeat([True, False], [231, 27]), np.repeat([True, False], [32, 54])]
    )
    rule = parse_rule("0.5")
    p = np.where(called, 0.9, 0.1)
    given = Predictions(
        np.char.mod("%03d", np.arange(344)), true.astype(int), np.stack([1 - p, p], 1), ("a", "b")
    )
    answers = answer_seed(given, ("b",), rule)
    found = bound_at(true, p, answers, None, 1.0, (0.25,))
    points = score_counts(np.array([231, 32, 27, 54]), 1.0, (0.25,))
    assert points["ppv"] == pytest.approx(231 / 263)
    assert points["ppv@0.25"] == pytest.approx(0.445, abs=0.001)  # published: 0.45
    assert points["npv@0.25"] == pytest.approx(0.947, abs=0.001)  # published: 0.95
    assert points["lr_positive"] == pytest.approx(2.41, abs=0.01)  # published: 2.4
    low, high = share_bounds(231, 258)
    assert found["sensitivity"] == pytest.approx((float(low), float(high)))
    # Katz's interval on the log scale is near at such counts.
    error = np.sqrt(27 / (231 * 258) + 54 / (32 * 86))
    katz = points["lr_positive"] * np.exp(np.array([-1.96, 1.96]) * error)
    assert found["lr_positive"] == pytest.approx(tuple(katz), rel=0.03)
    assert found["ppv@0.25"] == pytest.approx(
        tuple(float(ppv_at(ratio, 0.25)) for ratio in found["lr_positive"])
    )
    assert found["npv@0.25"][0] < points["npv@0.25"] < found["npv@0.25"][1]


def test_a_ratio_with_zeros_keeps_what_is_known() -> None:
    low, high = ratio_bounds((0.9, 0.8, 0.95), (0.0, 0.0, 0.05))
    assert 10 < low < 0.95 / 0.01
    assert np.isinf(high)
    assert ppv_at(np.inf, 0.1) == 1
    assert npv_at(0, 0.1) == 1
    assert np.isinf(score_counts(np.array([5, 0, 5, 10]))["lr_positive"])


def test_a_share_of_too_few_cases_has_no_interval() -> None:
    y = np.repeat([0, 1], [40, 4])
    p = np.linspace(0.05, 0.95, 44)
    results = milkreport.evaluate(np.stack([1 - p, p], 1), y, classes=["a", "b"], operating="0.5")
    values = record(results, results.arms[0].name).operating.values
    assert values["sensitivity"].value == 1
    assert values["sensitivity"].low is None
    assert values["lr_positive"].low is None
    assert values["specificity"].low is not None


@pytest.mark.parametrize(
    ("text", "said"),
    [("sensitivity=1.5", "above 0 and below 1"), ("best", "youden"), ("cost=3", "two costs"),
     ("cost=0:1", "two costs"), ("sensitivity=high", "known"), ("1", "above 0 and below 1")],
)  # fmt: skip
def test_an_unknown_operating_point_is_refused_with_the_known_ones(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        parse_rule(text)
    with pytest.raises(ConfigError, match="shares above 0"):
        parse_prevalences("0.1,2")
    assert parse_prevalences("0.01, 0.05") == (0.01, 0.05)


def test_an_operating_point_of_many_classes_needs_the_positive_ones() -> None:
    p = np.random.default_rng(0).dirichlet(np.ones(3), 30)
    y = np.arange(30) % 3
    with pytest.raises(ConfigError, match="need positive classes"):
        milkreport.evaluate(p, y, operating="youden")
    found = milkreport.evaluate(p, y, operating="youden", positive=["1", "2"])
    point = record(found, found.arms[0].name).operating
    assert (point.source, point.rule) == ("nested", "youden")


def test_intervals_hold_what_a_newly_chosen_threshold_is_worth(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A part of scripts/simulate_operating.py; the interval that ignores the choice is the control."""
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    script = importlib.import_module("simulate_operating")
    population = importlib.import_module("populations").make("middling, 2 classes, 20%")
    found = script.simulate(population, 100, "sensitivity=0.95", validated=False, times=60)
    assert found["specificity"]["covered"] >= 0.9
    assert found["sensitivity"]["covered"] >= 0.9
    plain = bound_at

    def ignore_choice(true, score, answers, *rest):  # type: ignore[no-untyped-def]
        return plain(true, score, replace(answers, source="declared"), *rest)

    monkeypatch.setattr(script, "bound_at", ignore_choice)
    found = script.simulate(population, 100, "sensitivity=0.95", validated=False, times=60)
    assert found["specificity"]["covered"] < 0.85


def test_calibration_is_that_of_independent_fits(
    cancer: tuple[dict[str, np.ndarray], np.ndarray],
) -> None:
    """The slope against scikit-learn's unpenalised regression, the intercept against a root of its score."""
    y = cancer[1].astype(bool)
    results = milkreport.evaluate(
        {"weak": cancer[0]["weak"], "texture": predict([1, 4])[0]},
        np.array(NAMES)[cancer[1]],
        classes=NAMES,
    )
    for name, p in (("weak", cancer[0]["weak"]), ("texture", predict([1, 4])[0])):
        found = record(results, name).risk
        assert found is not None
        logit = np.log(p[:, 1]) - np.log(p[:, 0])
        fitted = LogisticRegression(C=np.inf, tol=1e-10, max_iter=10_000).fit(logit[:, None], y)
        assert found.slope.value == pytest.approx(fitted.coef_[0, 0], rel=1e-4)
        root = brentq(lambda a, z=logit: (y - 1 / (1 + np.exp(-(a + z)))).sum(), -20, 20)
        assert found.intercept.value == pytest.approx(root, abs=1e-6)
        brier = brier_score_loss(y, p[:, 1])
        assert found.brier == pytest.approx(brier)
        assert found.scaled_brier.value == pytest.approx(1 - brier / (y.mean() * (1 - y.mean())))
        assert sum(found.positive.counts) == y.sum()
        assert found.negative.counts == np.histogram(p[~y, 1], 20, (0, 1))[0].tolist()
        assert found.positive.quantiles[2] == pytest.approx(np.median(p[y, 1]))
        assert sum(group.n for group in found.curve) == len(y)
        total = sum(group.n * (group.share.value or 0) for group in found.curve)
        assert total == pytest.approx(y.sum())
        for value in (found.slope, found.intercept, found.scaled_brier):
            assert value.low is not None
            assert value.high is not None
            assert value.low < value.value < value.high  # type: ignore[operator]


def test_risks_that_are_doubled_in_log_odds_have_half_the_slope(
    cancer: tuple[dict[str, np.ndarray], np.ndarray],
) -> None:
    p, y = cancer[0]["weak"], cancer[1].astype(bool)
    logit = np.log(p[:, 1] / p[:, 0])
    slope, moves = calibration_slope(y, logit)
    assert calibration_slope(y, 2 * logit)[0] == pytest.approx(slope / 2)
    assert calibration_intercept(y, logit + 1)[0] == pytest.approx(
        calibration_intercept(y, logit)[0] - 1
    )
    # The influence of a case is how far the fit moves without it.
    without = calibration_slope(np.delete(y, 5), np.delete(logit, 5))[0]
    assert slope - without == pytest.approx(moves[5], rel=0.1, abs=1e-4)
    separated = np.where(y, 1.0, -1.0) * (1 + np.arange(len(y)) / 1000)
    assert np.isnan(calibration_slope(y, separated)[0])
    assert np.isnan(calibration_slope(y, np.append(np.inf, logit[1:]))[0])


def test_calibration_is_undefined_with_its_reason_where_risks_are_certain() -> None:
    rng = np.random.default_rng(0)
    y = rng.random(200) < 0.4
    p = np.clip(np.round(rng.random(200) * 0.6 + 0.4 * y, 1), 0, 1)
    p[:3] = [0, 1, 0]
    risk = record(milkreport.evaluate(np.stack([1 - p, p], 1), y.astype(int)), "predictions").risk
    assert risk is not None
    assert risk.slope.value is None
    assert risk.intercept.value is None
    certain = int(((p == 0) | (p == 1)).sum())
    assert risk.reason == f"{certain} of 200 risks are exactly 0 or 1 and have no log odds"
    assert risk.scaled_brier.value is not None
    assert (
        risk_groups(np.repeat([0.2, 0.8], 50)).tolist() == [0] * 50 + [1] * 50
    )  # ties stay together
    assert risk_groups(rng.random(39)).max() == 0


def test_subgroups_have_sensitivity_and_specificity_at_the_operating_point(
    cancer: tuple[dict[str, np.ndarray], np.ndarray],
) -> None:
    rng = np.random.default_rng(0)
    y = cancer[1]
    columns = {
        "sex": rng.choice(["f", "m"], len(y)),
        "centre": rng.choice(list("abcdefghijklmno"), len(y)),
    }
    results = evaluate(cancer, operating="0.32", subgroups=pd.DataFrame(columns))
    notice = next(n for n in results.notices if "no subgroups by" in n)
    assert "centre (15 values)" in notice
    assert "--slice centre" in notice
    found = record(results, "weak")
    assert {(s.column, s.value) for s in found.slices} == {("sex", "f"), ("sex", "m")}
    called = cancer[0]["weak"][:, 1] >= 0.32
    rows = tabulate(results, {})
    for piece in found.slices:
        mine = columns["sex"] == piece.value
        assert piece.n_positive == y[mine].sum()
        hits = int((called & (y == 1) & mine).sum())
        assert piece.sensitivity.value == pytest.approx(hits / piece.n_positive)
        low, high = map(float, share_bounds(hits, piece.n_positive))
        assert (piece.sensitivity.low, piece.sensitivity.high) == pytest.approx((low, high))
        assert piece.specificity.value == pytest.approx((~called[mine & (y == 0)]).mean())
        row = rows[
            (rows.arm == "weak")
            & (rows.metric == "operating_sensitivity")
            & (rows.slice == f"sex={piece.value}")
        ]
        assert row.value.item() == piece.sensitivity.value
    named = evaluate(cancer, intervals=False, subgroups={"sex": columns["sex"]})
    assert not any("no subgroups by" in n for n in named.notices)
    text = " ".join(table.caption for table in build_subgroups(results).tables)
    assert "Sensitivity and specificity by subgroup" in text


@pytest.mark.slow
def test_calibration_intervals_hold_what_the_population_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A part of scripts/simulate_risk.py; errors that ignore the groups are the control."""
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    script = importlib.import_module("simulate_risk")
    name = "middling, 2 classes, 20%, strongly alike groups"
    population = importlib.import_module("populations").make(name)
    found = script.simulate(population, 1000, 60)
    assert found["intercept"]["covered"] >= 0.9
    assert found["scaled_brier"]["covered"] >= 0.85
    assert found["curve"]["covered"] >= 0.9
    plain = script.bound_moved
    monkeypatch.setattr(script, "bound_moved", lambda *given: plain(*given[:3], None))
    assert script.simulate(population, 1000, 60)["intercept"]["covered"] < 0.8


def test_arms_are_compared_at_the_same_specificity_and_case_by_case(
    cancer: tuple[dict[str, np.ndarray], np.ndarray],
) -> None:
    y = cancer[1]
    results = evaluate(cancer, operating="0.32")
    comparison = results.comparison
    assert comparison is not None
    best = {}
    for name, p in cancer[0].items():
        rates, hits, _ = roc_curve(y, p[:, 1], drop_intermediate=False)
        best[name] = [hits[rates <= 1 - s + 1e-12].max() for s in (0.8, 0.9, 0.95)]
    for i, d in enumerate(comparison.at_specificity):
        assert (d.arm, d.against) == ("strong", "weak")
        assert d.difference.value == pytest.approx(best["strong"][i] - best["weak"][i])
        assert d.difference.low is not None
        assert d.difference.low > 0
    called = {name: p[:, 1] >= 0.32 for name, p in cancer[0].items()}
    for r in comparison.reclassified:
        side = y == (r.outcome == "positive")
        right = {name: (c == (r.outcome == "positive"))[side] for name, c in called.items()}
        table = pd.crosstab(right["strong"], right["weak"])
        assert r.became_right == table.loc[True, False]
        assert r.became_wrong == table.loc[False, True]
        assert r.both_right == table.loc[True, True]
        assert r.n == side.sum()
        assert r.difference.value == pytest.approx(right["strong"].mean() - right["weak"].mean())


def test_a_change_has_bonett_and_prices_interval() -> None:
    """By hand: 100 positive cases, 12 become right and 5 wrong."""
    true = np.repeat([True, False], [100, 40])
    one, other = np.ones(140, bool), np.ones(140, bool)
    other[:12] = False
    one[12:17] = False
    answers = [Answers(called, 0.5, np.array([0.5]), "declared") for called in (one, other)]
    low, high = bound_change(true, 1.0 * one, 1.0 * other, *answers, "positive", None)
    up, down = 13 / 102, 6 / 102
    half = 1.959964 * np.sqrt((up + down - (up - down) ** 2) / 102)
    assert (low, high) == pytest.approx((up - down - half, up - down + half), abs=1e-6)
    # Cases that come ten to a patient say less.
    wide = bound_change(true, 1.0 * one, 1.0 * other, *answers, "positive", np.arange(140) // 10)
    assert wide[1] - wide[0] > 1.3 * (high - low)


def test_an_arm_against_itself_differs_by_nothing_with_some_width(
    cancer: tuple[dict[str, np.ndarray], np.ndarray],
) -> None:
    weak = cancer[0]["weak"]
    results = evaluate(({"a": weak, "b": weak.copy()}, cancer[1]), operating="youden")
    assert results.comparison is not None
    changes = [d.difference for d in results.comparison.at_specificity]
    for d in [*changes, *(r.difference for r in results.comparison.reclassified)]:
        assert d.value == 0
        assert d.low is not None
        assert d.high is not None
        assert d.low < 0 < d.high
    hard = np.eye(2)[weak.argmax(axis=1)]
    results = evaluate(({"a": weak, "b": hard}, cancer[1]), operating="youden")
    assert results.comparison is not None
    assert results.comparison.at_specificity == []  # hard labels have no curve
    assert len(results.comparison.reclassified) == 2


def test_the_band_holds_its_curve_and_is_missing_where_few_cases_tell(
    cancer: tuple[dict[str, np.ndarray], np.ndarray],
) -> None:
    found = record(evaluate(cancer), "weak")
    rates, hits, _ = roc_curve(cancer[1], cancer[0]["weak"][:, 1], drop_intermediate=False)
    for point in found.band:
        value = point.sensitivity
        assert value.value == pytest.approx(hits[rates <= point.false_positive_rate + 1e-9].max())
        assert value.low is not None
        assert value.high is not None
        assert value.low < value.value < value.high  # type: ignore[operator]
    few = evaluate(({"weak": cancer[0]["weak"][:60]}, cancer[1][:60]))
    first = record(few, "weak").band[0].sensitivity
    assert first.value is not None
    assert first.low is None


@pytest.mark.slow
def test_bands_and_changes_hold_what_the_population_has(monkeypatch: pytest.MonkeyPatch) -> None:
    """A part of scripts/simulate_roc.py; a change that ignores its nested thresholds is the control."""
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    script = importlib.import_module("simulate_roc")
    population = importlib.import_module("populations").make("middling, 2 classes, 20%")
    found = script.simulate(population, 300, 40, 200)
    for name in ("band at 0.1", "band at 0.3", "difference at 0.9", "negative, sensitivity=0.95"):
        assert found[name]["covered"] >= 0.85, name
    plain = script.bound_change

    def ignore(true, score, rival, one, other, *rest):  # type: ignore[no-untyped-def]
        pair = (replace(a, source="declared") for a in (one, other))
        return plain(true, score, rival, *pair, *rest)

    monkeypatch.setattr(script, "bound_change", ignore)
    found = script.simulate(population, 300, 40, 200)
    assert found["negative, sensitivity=0.95"]["covered"] < 0.9
