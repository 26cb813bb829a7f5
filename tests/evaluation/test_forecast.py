"""Other class shares: against closed forms, scikit-learn on reweighted cases, and controls without shift."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize
from scipy.stats import beta
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score, log_loss, precision_score, recall_score

import milkreport
from milkreport.errors import ConfigError, DataError
from milkreport.evaluation.beyond.adjust import Correction, correct_nested, fit, to_shares
from milkreport.evaluation.beyond.estimate_shares import (
    estimate_shares,
    match_means,
    maximise,
    ratios_of,
)
from milkreport.evaluation.beyond.forecast import mix, rates_of
from milkreport.evaluation.beyond.label_shift import check_label_shift
from milkreport.evaluation.beyond.shares import ClassShares, parse_prevalence
from milkreport.evaluation.intervals.closed_form import jeffreys_bounds
from milkreport.evaluation.reading.predictions import Predictions

CLASSES = ("MEL", "NV", "BCC")
OWN = np.array([0.2, 0.5, 0.3])
#: Mean of the one feature in each class: the densities are known.
CENTRES = np.array([-1.5, 0.0, 1.5])


def draw(shares: np.ndarray, n: int, seed: int, pull: np.ndarray | None = None) -> Predictions:
    """Cases of a known mixture of normals with its exact probabilities; *pull*: added to their logs."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(3, n, p=shares)
    x = CENTRES[truth] + rng.normal(size=n)
    logs = np.log(OWN) - (x[:, None] - CENTRES) ** 2 / 2 + (0 if pull is None else pull)
    values = np.exp(logs - logs.max(axis=1, keepdims=True))
    ids = np.array([f"{i:06d}" for i in range(n)])
    return Predictions(ids, truth, values / values.sum(axis=1, keepdims=True), CLASSES)


def test_expected_metrics_are_scikit_learns_on_reweighted_cases() -> None:
    p, shares = draw(OWN, 500, 0), np.array([0.05, 0.6, 0.35])
    positive = np.array([True, False, False])
    called = p.predicted == 0
    found = mix(rates_of(p, p.predicted, called, positive), shares)
    weights = (shares / np.bincount(p.truth))[p.truth]
    args = (p.truth, p.predicted)
    assert found["accuracy"] == pytest.approx(accuracy_score(*args, sample_weight=weights))
    macro = f1_score(*args, average="macro", sample_weight=weights)
    assert found["macro_f1"] == pytest.approx(macro)
    binary = (p.truth == 0, called)
    assert found["ppv"] == pytest.approx(precision_score(*binary, sample_weight=weights))
    assert found["sensitivity"] == pytest.approx(recall_score(*binary, sample_weight=weights))
    assert found["missed"] == pytest.approx(0.05 * (1 - found["sensitivity"]))
    assert found["predicted"].sum() == pytest.approx(1)


def test_predictive_values_of_two_classes_are_bayes_rule() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 400)
    score = np.clip(0.5 * truth + rng.random(400) * 0.5, 0, 1)
    p = Predictions(np.arange(400).astype(str), truth, np.stack([1 - score, score], 1), ("n", "y"))
    rates = rates_of(p, p.predicted, p.predicted == 1, np.array([False, True]))
    found = mix(rates, np.array([0.98, 0.02]))
    s, a = found["sensitivity"], 1 - found["specificity"]
    assert found["ppv"] == pytest.approx(0.02 * s / (0.02 * s + 0.98 * a))


def test_the_shares_of_the_test_part_itself_change_nothing() -> None:
    p = draw(OWN, 600, 1)
    own = np.bincount(p.truth) / 600
    found = mix(rates_of(p, p.predicted, None, np.zeros(3, bool)), own)
    assert found["accuracy"] == pytest.approx(accuracy_score(p.truth, p.predicted))
    assert found["macro_f1"] == pytest.approx(f1_score(p.truth, p.predicted, average="macro"))


def test_jeffreys_intervals_are_scipys() -> None:
    low, high = jeffreys_bounds(np.array([0.0, 3.0, 10.0]), np.array([10.0, 10.0, 10.0]))
    assert low == pytest.approx([0, beta.ppf(0.025, 3.5, 7.5), beta.ppf(0.025, 10.5, 0.5)])
    assert high == pytest.approx([beta.ppf(0.975, 0.5, 10.5), beta.ppf(0.975, 3.5, 7.5), 1])


def test_the_correction_is_the_ridge_regressions_optimum() -> None:
    p = draw(OWN, 400, 2, pull=np.array([1.0, -1.0, 0.3]))
    found = fit(p.truth, p.probabilities)
    logs = np.log(p.probabilities)

    def loss(x: np.ndarray) -> float:
        values = x[3] * logs + x[:3]
        ridge = 0.25 * ((x[:3] ** 2).sum() + (x[3] - 1) ** 2)
        own = values[np.arange(400), p.truth]
        return float((np.log(np.exp(values).sum(axis=1)) - own).sum() + ridge)

    best = minimize(loss, np.array([0, 0, 0, 1.0]), method="BFGS", options={"gtol": 1e-8})
    assert loss(np.append(found.offsets, found.heat)) == pytest.approx(best.fun, abs=1e-4)
    assert found.offsets == pytest.approx(best.x[:3], abs=1e-2)


def test_a_pull_on_the_classes_is_undone() -> None:
    """As class weights in the loss pull them; uncorrected shares are wrong: the control."""
    pull = np.log([4.0, 1.0, 1.0])
    wanted = np.array([0.1, 0.7, 0.2])
    labelled, new = draw(OWN, 4000, 3, pull), draw(wanted, 4000, 4, pull)
    found, _ = estimate_shares(labelled.truth, labelled.probabilities, new.probabilities)
    truth = np.bincount(new.truth) / 4000
    assert found == pytest.approx(truth, abs=0.03)
    plain = maximise(ratios_of(new.probabilities, OWN), OWN)
    assert plain[0] > truth[0] + 0.08


def test_expectation_maximisation_finds_the_greatest_likelihood() -> None:
    p = draw(np.array([0.5, 0.1, 0.4]), 700, 5)
    ratios = ratios_of(p.probabilities, OWN)
    found = maximise(ratios, OWN)

    def loss(x: np.ndarray) -> float:
        shares = np.exp(np.append(x, 0))
        return -float(np.log(ratios @ (shares / shares.sum())).sum())

    best = minimize(loss, np.zeros(2), method="BFGS").x
    shares = np.exp(np.append(best, 0))
    assert found == pytest.approx(shares / shares.sum(), abs=1e-4)


def test_matching_means_solves_the_equations() -> None:
    labelled, new = draw(OWN, 500, 6), draw(np.array([0.4, 0.3, 0.3]), 900, 7)
    found = match_means(labelled.truth, labelled.probabilities, new.probabilities)
    means = np.stack(
        [labelled.probabilities[labelled.truth == c].mean(axis=0) for c in range(3)], 1
    )
    solved = np.linalg.solve(means, new.probabilities.mean(axis=0))
    assert found == pytest.approx(solved, abs=1e-3)
    # The labelled cases themselves have their own shares, exactly.
    same = match_means(labelled.truth, labelled.probabilities, labelled.probabilities)
    assert same == pytest.approx(np.bincount(labelled.truth) / 500, abs=1e-6)


def test_bayes_rule_brings_exact_probabilities_to_other_shares() -> None:
    p, wanted = draw(OWN, 300, 8), np.array([0.6, 0.3, 0.1])
    ratio = p.probabilities * wanted / OWN
    assert to_shares(p.probabilities, OWN, wanted) == pytest.approx(
        ratio / ratio.sum(axis=1, keepdims=True)
    )
    none = to_shares(p.probabilities, OWN, np.array([0.0, 0.5, 0.5]))
    assert (none[:, 0] == 0).all()


def test_nested_corrections_lower_the_log_loss_of_other_cases() -> None:
    p = draw(OWN, 1000, 9, pull=np.array([2.0, 0.0, -1.0]))
    folds = np.array_split(np.random.default_rng(0).permutation(1000), 5)
    corrected, shares = correct_nested(p.truth, p.probabilities, folds)
    assert log_loss(p.truth, corrected) < log_loss(p.truth, p.probabilities) - 0.05
    assert shares.sum(axis=1) == pytest.approx(np.ones(1000))
    exact = LogisticRegression().fit(np.log(p.probabilities[:, 1:]), p.truth)
    best = log_loss(p.truth, exact.predict_proba(np.log(p.probabilities[:, 1:])))
    assert log_loss(p.truth, corrected) == pytest.approx(best, abs=0.03)


def test_a_correction_that_is_none_changes_nothing() -> None:
    p = draw(OWN, 50, 10)
    same = Correction(1.0, np.zeros(3), OWN).apply(p.probabilities)
    assert same == pytest.approx(p.probabilities)


def test_label_shift_alone_raises_few_alarms_and_another_change_is_found() -> None:
    raised, control, found = [], [], []
    for seed in range(40):
        labelled = draw(OWN, 500, 100 + seed)
        moved = draw(np.array([0.5, 0.2, 0.3]), 500, 300 + seed)
        same = draw(OWN, 500, 500 + seed)
        blurred = moved.probabilities**0.4
        blurred /= blurred.sum(axis=1, keepdims=True)
        args = labelled.truth, labelled.probabilities
        raised.append(check_label_shift(*args, moved.probabilities).p < 0.05)
        control.append(check_label_shift(*args, same.probabilities).p < 0.05)
        found.append(check_label_shift(*args, blurred).p < 0.05)
    assert np.mean(raised) <= 0.15
    assert np.mean(control) <= 0.15
    assert np.mean(found) >= 0.95


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("MEL=2", "give shares from 0 to 1"),
        ("MEL=much", "give shares from 0 to 1"),
        ("MEL=0.1,MEL=0.2", "twice"),
        ("0.5,1.5", "prevalence 1.5"),
    ],
)
def test_bad_shares_are_named(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        parse_prevalence(text)


def test_classes_that_are_not_named_share_the_rest_as_they_do_here() -> None:
    _, shares = parse_prevalence("MEL=0.1")
    assert shares is not None
    assert shares.complete(CLASSES, [20, 60, 20]) == pytest.approx([0.1, 0.675, 0.225])
    assert shares.draw(np.array([0.1, 0.7, 0.2])) is None
    with pytest.raises(ConfigError, match="OTHER is not a class"):
        ClassShares((("OTHER", 0.1),)).complete(CLASSES, [1, 1, 1])
    with pytest.raises(ConfigError, match=r"sum to 1\.2"):
        ClassShares((("MEL", 0.6), ("NV", 0.6))).complete(CLASSES, [1, 1, 1])


def test_counts_of_a_table_bring_their_uncertainty(tmp_path: Path) -> None:
    file = tmp_path / "shares.csv"
    pd.DataFrame({"class": CLASSES, "count": [10, 70, 20]}).to_csv(file, index=False)
    _, shares = parse_prevalence(str(file))
    assert shares is not None
    assert shares.counted == 100
    drawn = shares.draw(shares.complete(CLASSES, [1, 1, 1]))
    assert drawn is not None
    assert drawn.mean(axis=0) == pytest.approx(np.array([10.5, 70.5, 20.5]) / 101.5, abs=0.005)
    assert drawn[:, 0].std() == pytest.approx((0.1 * 0.9 / 100) ** 0.5, rel=0.1)
    file.write_text("class,count\nMEL,1.5\n")
    with pytest.raises(DataError, match="not a count"):
        parse_prevalence(str(file))
    file.write_text("class,much\nMEL,1\n")
    with pytest.raises(DataError, match="no column share or count"):
        parse_prevalence(str(file))
    with pytest.raises(DataError, match="no such file"):
        parse_prevalence("nowhere.csv")


def tables(p: Predictions) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Predictions and truth as tables."""
    frame = pd.DataFrame(p.probabilities, columns=list(CLASSES))
    frame.insert(0, "case_id", p.case_ids)
    label = np.array(CLASSES)[p.truth]
    return frame, pd.DataFrame({"case_id": p.case_ids, "label": label})


def test_an_evaluation_forecasts_what_then_is_found() -> None:
    frame, truth = tables(draw(OWN, 1500, 20))
    wanted = np.array([0.05, 0.8, 0.15])
    new = draw(wanted, 60_000, 21)
    given = dict(zip(CLASSES, wanted, strict=True))
    results = milkreport.evaluate(frame, truth, positive=["MEL"], prevalence=given)
    found = results.arms[0].parts[0].beyond.forecast
    assert found.metrics["accuracy"].low < (new.truth == new.predicted).mean()
    assert found.metrics["accuracy"].high > (new.truth == new.predicted).mean()
    called, sick = new.predicted == 0, new.truth == 0
    assert found.missed.low < 1000 * (sick & ~called).mean() < found.missed.high
    assert found.needless.low < 1000 * (called & ~sick).mean() < found.needless.high
    ppv = found.metrics["ppv"]
    assert ppv.low < precision_score(sick, called) < ppv.high
    assert sum(e.value for e in found.per_thousand.values()) == pytest.approx(1000)
    # Brought to the shares, probabilities are better there, as Bayes' rule has it.
    exact = to_shares(new.probabilities, OWN, wanted)
    assert found.adjusted["log_loss"].value == pytest.approx(log_loss(new.truth, exact), abs=0.03)
    assert found.adjusted["log_loss"].value < found.log_loss
    # And so is what heat and offsets make of new cases.
    moved = found.heat * np.log(new.probabilities) + np.array([*found.offsets.values()])
    moved = np.exp(moved) / np.exp(moved).sum(axis=1, keepdims=True)
    assert log_loss(new.truth, moved) == pytest.approx(log_loss(new.truth, exact), abs=0.02)


def test_unlabelled_predictions_give_shares_or_a_reason() -> None:
    frame, truth = tables(draw(OWN, 800, 22))
    wanted = np.array([0.5, 0.2, 0.3])
    clinic = draw(wanted, 800, 23)
    results = milkreport.evaluate(frame, truth, positive=["MEL"], unlabelled=tables(clinic)[0])
    (found,) = results.unlabelled
    assert not found.refused
    for c, name in enumerate(CLASSES):
        assert found.shares[name].low < wanted[c] < found.shares[name].high
        assert found.by_means[name] == pytest.approx(wanted[c], abs=0.08)
    accuracy = (clinic.truth == clinic.predicted).mean()
    assert found.forecast.metrics["accuracy"].value == pytest.approx(accuracy, abs=0.04)
    blurred = clinic.probabilities**0.4
    blurred /= blurred.sum(axis=1, keepdims=True)
    odd = Predictions(clinic.case_ids, clinic.truth, blurred, CLASSES)
    (refused,) = milkreport.evaluate(frame, truth, unlabelled=tables(odd)[0]).unlabelled
    assert "do not explain the predictions" in refused.refused
    assert refused.forecast is None
    assert refused.shares == {}


def test_what_unlabelled_predictions_cannot_say_is_refused() -> None:
    p = draw(OWN, 300, 24)
    frame, truth = tables(p)
    few = tables(draw(OWN, 50, 25))[0]
    with pytest.raises(DataError, match="50 unlabelled cases"):
        milkreport.evaluate(frame, truth, unlabelled=few)
    clinic = tables(draw(OWN, 200, 26))[0]
    with pytest.raises(DataError, match="2 training seeds"):
        milkreport.evaluate({"one": [frame, frame]}, truth, unlabelled={"one": clinic})
    with pytest.raises(ConfigError, match="other is not a name of predictions"):
        milkreport.evaluate({"a": frame, "b": frame}, truth, unlabelled={"other": clinic})
    rare = np.flatnonzero(p.truth == 0)[10:]  # ten labelled cases of a class that is frequent there
    keep = np.setdiff1d(np.arange(300), rare)
    often = tables(draw(np.array([0.5, 0.3, 0.2]), 400, 27))[0]
    (found,) = milkreport.evaluate(frame.iloc[keep], truth.iloc[keep], unlabelled=often).unlabelled
    assert "fewer than 20" in found.refused


def test_a_class_without_a_test_case_has_no_forecast() -> None:
    p = draw(OWN, 300, 28)
    keep = np.flatnonzero(p.truth != 0)
    frame, truth = tables(p.take(keep))
    results = milkreport.evaluate(frame, truth, classes=CLASSES, prevalence={"MEL": 0.2})
    found = results.arms[0].parts[0].beyond.forecast
    assert found.refused == "the test part has no case of MEL"
    assert found.metrics == {}
