"""Planning: power against SciPy and simulation, components against the analysis, the command and its page.

The full simulations are ``scripts/simulate_plan.py``; their figures stand in docs/planning.md.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import nct, norm
from scipy.stats import t as student

from milkreport.errors import ConfigError, DataError
from milkreport.evaluation.intervals.hidden_variance import hidden_variance
from milkreport.evaluation.intervals.readers import Spread, difference_spread, with_freedom
from milkreport.evaluation.planning.design import cases_needed, difference_at, plan, seeds_needed
from milkreport.evaluation.planning.noise import (
    MEASURED,
    Components,
    assume_components,
    estimate_components,
)
from milkreport.evaluation.planning.power import detectable, power
from milkreport.runs.planning import load_components

CLASSES = ["A", "B", "C"]


def components(**update: object) -> Components:
    known = Components(
        metric="macro_auc", training=2e-4, own=1e-4, shared=5e-5, n_cases=1000, supports=[900, 100]
    )
    return known.model_copy(update=update)


# Mathematics -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_seeds", [2, 3, 5, 10, 50])
def test_without_case_noise_power_is_that_of_the_noncentral_t(n_seeds: int) -> None:
    df = 2 * (n_seeds - 1)
    spread, limit = with_freedom(1.0, 0.0, df), student.ppf(0.975, df)
    for shift in (0, 0.5, 1, 2, 2.8, 4, 6):
        expected = nct.sf(limit, df, shift) + nct.cdf(-limit, df, shift)
        assert power(shift, spread) == pytest.approx(expected, abs=5e-5)
        assert power(-shift, spread) == power(shift, spread)
    found = detectable(spread)
    assert nct.sf(limit, df, found) == pytest.approx(0.8, abs=1e-4)


def test_without_training_noise_power_is_that_of_the_normal_test() -> None:
    spread = Spread(0.0, 0.04, np.inf)
    for difference in (0.0, 0.1, 0.3, 0.56, 2.0):
        shift = difference / 0.2
        expected = norm.sf(1.959964 - shift) + norm.cdf(-1.959964 - shift)
        assert power(difference, spread) == pytest.approx(expected, abs=1e-6)
    assert detectable(spread) == pytest.approx(0.2 * (norm.ppf(0.975) + norm.ppf(0.8)), rel=1e-4)


@pytest.mark.parametrize(
    ("seeds", "n_seeds", "shift"), [(0.3, 2, 3.0), (0.7, 2, 4.0), (0.5, 5, 2.0)]
)
def test_between_both_power_is_that_of_the_test_with_its_estimated_error(
    seeds: float, n_seeds: int, shift: float
) -> None:
    rng, df = np.random.default_rng(0), 2 * (n_seeds - 1)
    estimated = seeds * rng.chisquare(df, 400_000) / df
    total = estimated + 1 - seeds
    freedom = total**2 / (estimated**2 / df)
    drawn = rng.normal(shift, 1, 400_000)
    shown = np.mean(np.abs(drawn) > student.ppf(0.975, freedom) * np.sqrt(total))
    assert power(shift, with_freedom(seeds, 1 - seeds, df)) == pytest.approx(shown, abs=0.004)


def test_the_variance_is_the_analysis_own() -> None:
    """On the pilot's cases and seeds the planner's variance is what the comparison computes of it."""
    rng = np.random.default_rng(1)
    values = rng.normal(0.5, 0.02, (2, 3))
    cases = rng.normal(size=(500, 1, 1)) * 0.01 + rng.normal(size=(500, 2, 1)) * 0.008
    draws = values + cases + rng.normal(size=(500, 2, 3)) * 0.006
    found = estimate_components("macro_f1", values, draws, 400, [380, 20])
    hidden = hidden_variance("macro_f1", np.array([380, 20]))
    shown = difference_spread(values[0], values[1], draws[:, 0], draws[:, 1])
    analysis = with_freedom(shown.seeds, shown.cases + hidden, 4)
    planned = difference_at(found, 400, 3)
    assert planned.seeds == pytest.approx(analysis.seeds, rel=1e-9)
    assert planned.cases == pytest.approx(analysis.cases, rel=1e-9)
    assert planned.df == pytest.approx(analysis.df, rel=1e-9)
    assert found.own == pytest.approx(0.006**2, rel=0.15)
    assert found.shared == pytest.approx(0.008**2, rel=0.2)
    assert found.training == pytest.approx(values.var(axis=1, ddof=1).mean() - found.own)
    # Two models, of one seed each, differ by both their cases' shares.
    alone = difference_spread(values[0, :1], values[1, :1], draws[:, 0, :1], draws[:, 1, :1])
    assert difference_at(found, 400, 1).cases == pytest.approx(alone.cases + hidden, rel=0.2)
    assert difference_at(found, 400, 1).seeds == 0


def test_variance_scales_with_cases_seeds_and_folds() -> None:
    c = components()
    one, four = difference_at(c, 1000, 5), difference_at(c, 4000, 5)
    assert one.seeds == pytest.approx(2 * (2e-4 + 1e-4) / 5)
    assert one.cases == pytest.approx(2 * 5e-5)
    assert four.seeds == pytest.approx(2 * (2e-4 + 0.25e-4) / 5)
    assert four.cases == pytest.approx(one.cases / 4)
    pooled = difference_at(components(folds=5), 1000, 5)
    assert pooled.seeds == pytest.approx(2 * (0.4e-4 + 1e-4) / 5)
    assert difference_at(c, 1000, 1).cases == pytest.approx(2 * 1.5e-4)


def test_noise_is_never_below_zero() -> None:
    rng = np.random.default_rng(2)
    values = np.array([[0.5, 0.5], [0.6, 0.6]])  # trainings that do not differ
    draws = values + rng.normal(size=(300, 2, 2)) * 0.01
    found = estimate_components("accuracy", values, draws, 100, [50, 50])
    assert found.training == 0
    assert found.shared >= 0
    assert found.own > 0
    same = np.broadcast_to(draws[:, :1, :1], draws.shape)
    still = estimate_components("accuracy", values, same, 100, [50, 50])
    assert (still.own, still.shared) == (pytest.approx(0), pytest.approx(0))
    assert plan(still, 0.02, 5).at_hand.detectable > 0  # what counts may hide


def test_more_seeds_more_cases_and_larger_differences_are_found_more_often() -> None:
    c = components()
    for n in (200, 1000, 5000):
        by_seeds = [power(0.02, difference_at(c, n, s)) for s in range(2, 30)]
        assert (np.diff(by_seeds) > 0).all()
        by_size = [power(d, difference_at(c, n, 5)) for d in np.linspace(0.001, 0.1, 20)]
        assert (np.diff(by_size) > 0).all()
    for s in (3, 5, 10):
        by_cases = [detectable(difference_at(c, n, s)) for n in np.geomspace(50, 1e6, 20)]
        assert (np.diff(by_cases) < 0).all()


def test_what_is_needed_is_the_least_that_is_enough() -> None:
    c = components()
    for difference, n_seeds in ((0.05, 3), (0.03, 5), (0.02, 20)):
        n = cases_needed(c, difference, n_seeds)
        assert n is not None
        assert power(difference, difference_at(c, n, n_seeds)) >= 0.8
        assert power(difference, difference_at(c, n - 1, n_seeds)) < 0.8
    s = seeds_needed(c, 0.03, 1000)
    assert s is not None
    assert power(0.03, difference_at(c, 1000, s)) >= 0.8
    assert power(0.03, difference_at(c, 1000, s - 1)) < 0.8
    # What remains with endless cases, or endless seeds, hides a small difference.
    assert cases_needed(c, 0.01, 5) is None
    assert seeds_needed(c, 0.01, 1000) is None
    assert power(0.01, difference_at(c, 1e9, 5)) < 0.8
    assert power(0.01, difference_at(c, 1000, 10_000)) < 0.8


def test_a_plan_holds_the_answers_of_its_parts() -> None:
    c = components()
    found = plan(c, 0.03, 4)
    assert [d.n_seeds for d in found.designs] == [2, 3, 4, 5, 10, 20]
    assert found.at_hand == found.designs[2]
    assert found.at_hand.power == power(0.03, difference_at(c, 1000, 4))
    assert found.at_hand.cases_needed == cases_needed(c, 0.03, 4)
    assert found.seeds_needed == seeds_needed(c, 0.03, 1000)
    assert power(found.at_hand.detectable, difference_at(c, 1000, 4)) == pytest.approx(0.8)
    curve = next(k for k in found.curves if k.n_seeds == 4)
    assert curve.detectable[curve.n_cases.index(1000)] == found.at_hand.detectable
    half, twice = (m for m in found.moved if m.component == "training")
    assert (half.factor, twice.factor) == (0.5, 2)
    assert half.detectable < found.at_hand.detectable < twice.detectable
    assert half.detectable == detectable(difference_at(components(training=1e-4), 1000, 4))


def test_measured_noise_scales_with_the_classes() -> None:
    small = assume_components("macro_f1", [300, 60, 12])
    large = assume_components("macro_f1", [3000, 600, 120])
    assert large.own == pytest.approx(small.own / 10)
    assert large.shared == pytest.approx(small.shared / 10)
    assert large.training == small.training
    own = MEASURED["macro_f1"][1]
    assert small.own == pytest.approx(own * (1 / 300 + 1 / 60 + 1 / 12) / 9)
    assert assume_components("macro_f1", [300, 60, 12], folds=5).folds == 5
    # Accuracy does not mind a rare class.
    accuracy = assume_components("accuracy", [300, 60, 12])
    assert accuracy.own == pytest.approx(MEASURED["accuracy"][1] / 372)


@pytest.mark.parametrize(
    ("metric", "supports", "what"),
    [
        ("log_loss:A", [10, 10], "no measured noise"),
        ("macro_f1", [10], "classes 10"),
        ("macro_f1", [10, 0], "classes 10, 0"),
        ("macro_f1", [10, 10**9], "10,000,000 in all"),
    ],
)
def test_what_can_not_be_assumed_is_refused(metric: str, supports: list[int], what: str) -> None:
    with pytest.raises(ConfigError, match=what):
        assume_components(metric, supports)


def test_pilots_that_tell_nothing_are_refused() -> None:
    rng = np.random.default_rng(3)
    for shape, what in (((1, 3), "one arm"), ((2, 1), "one training seed")):
        with pytest.raises(DataError, match=what):
            estimate_components("accuracy", np.ones(shape), rng.random((9, *shape)), 9, [5, 4])
    values = np.array([[0.5, np.nan], [0.5, 0.6]])
    with pytest.raises(DataError, match="undefined"):
        estimate_components("accuracy", values, rng.random((9, 2, 2)), 9, [5, 4])


# The command -----------------------------------------------------------------------------------------


def predictions(seed: int, skill: float, n: int = 240) -> pd.DataFrame:
    """Answers of one training: its own strength, and noise that all trainings share."""
    truth = np.random.default_rng(0).choice(3, n, p=[0.6, 0.3, 0.1])
    shared = np.random.default_rng(1).normal(size=(n, 3))
    rng = np.random.default_rng(seed)
    logits = (
        shared + 0.7 * rng.normal(size=(n, 3)) + (skill + 0.2 * rng.normal()) * np.eye(3)[truth]
    )
    values = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    frame = pd.DataFrame(values, columns=CLASSES)
    frame.insert(0, "id", [f"c{i:04d}" for i in range(n)])
    return frame


@pytest.fixture
def pilot(tmp_path: Path, in_process: Callable) -> Path:
    """A run of two arms with two seeds each, and one of a single seed; its predictions are probabilities."""
    truth = np.random.default_rng(0).choice(3, 240, p=[0.6, 0.3, 0.1])
    ids = [f"c{i:04d}" for i in range(240)]
    pd.DataFrame({"id": ids, "label": np.array(CLASSES)[truth]}).to_csv("truth.csv", index=False)
    for name, skill, first in (("base", 1.0, 10), ("better", 1.6, 20)):
        for s in range(2):
            predictions(first + s, skill).to_csv(f"{name}{s}.csv", index=False)
    both = [f"{name}={name}{s}.csv" for name in ("base", "better") for s in range(2)]
    for out, files in (("pilot", both), ("single", both[::2]), ("alone", both[:2])):
        told = in_process("evaluate", *files, "--truth", "truth.csv", "--no-pdf", "--out", out)
        assert told.code == 0, told.stderr
    return tmp_path / "pilot"


@pytest.mark.slow
def test_a_run_is_planned_from(pilot: Path, in_process: Callable) -> None:
    told = in_process("plan", "--from", "pilot", "--difference", "0.05", "--seeds", "2", "--json")
    assert told.code == 0, told.stderr
    found = json.loads(told.stdout)
    assert found == json.loads(plan(load_components(pilot), 0.05, 2).model_dump_json())
    assert (found["components"]["arms"], found["components"]["seeds"]) == (2, 2)
    assert found["components"]["metric"] == "macro_f1"
    # The cases at hand find what the run's own comparison says they find, by the exact power.
    results = json.loads((pilot / "results.json").read_text())
    difference = next(d for d in results["comparison"]["differences"] if d["metric"] == "macro_f1")
    c = load_components(pilot)
    if c.training > 0:
        assert found["at_hand"]["standard_error"] == pytest.approx(difference["standard_error"])
    told = in_process("plan", "--from", "pilot", "--metric", "recall:C", "--folds", "5", "--json")
    other = json.loads(told.stdout)["components"]
    assert (other["metric"], other["folds"]) == ("recall:C", 5)
    assert other["own"] > found["components"]["own"]  # a rare class alone


@pytest.mark.slow
def test_the_answer_is_said_in_words_and_drawn(pilot: Path, in_process: Callable) -> None:
    told = in_process("plan", "--from", "pilot", "--difference", "0.03", "--html", "plan.html")
    assert told.code == 0
    assert told.stdout == ""
    assert "240 cases and 5 seeds per arm find a difference of 0.030 in macro F1" in told.stderr
    assert "Estimated from 2 arms of 2 seeds each, so they are rough themselves" in told.stderr
    assert "at hand" in told.stderr
    assert "Training noise: twice the variance" in told.stderr
    page = (pilot.parent / "plan.html").read_text(encoding="utf-8")
    assert "240 cases and 5 seeds per arm find a difference of 0.030 in macro F1" in page
    assert page.count("<svg") == 1
    assert 'aria-labelledby="detectable-title detectable-desc"' in page
    assert "http" not in page.replace("http://www.w3.org/", "").replace("http-equiv", "")


def test_one_seed_is_about_two_trained_models(in_process: Callable) -> None:
    told = in_process("plan", "--classes", "700,200,100", "--seeds", "1")
    assert told.code == 0
    assert "One seed per arm compares two trained models, not two methods" in told.stderr
    told = in_process("plan", "--classes", "700,200,100")
    assert "One seed" not in told.stderr
    assert "1,000 cases and 5 seeds per arm" in told.stderr
    assert "Assumed, because no run was given" in told.stderr


@pytest.mark.parametrize(
    ("words", "code", "what"),
    [
        ([], 2, "give one of --from RUN and --classes"),
        (["--from", "x", "--classes", "5,5"], 2, "give one of --from RUN and --classes"),
        (["--classes", "300,abc"], 2, "'abc' is not a whole number of cases"),
        (["--classes", "300,-5"], 2, "'-5' is not a whole number of cases"),
        (["--classes", "300,,5"], 2, "'' is not a whole number of cases"),
        (["--classes", "300"], 2, "give two counts or more"),
        (["--classes", "300,0"], 2, "give two counts or more"),
        (["--classes", "300,40", "--difference", "0"], 2, "give 0.0001 to 1"),
        (["--classes", "300,40", "--difference", "nan"], 2, "give 0.0001 to 1"),
        (["--classes", "300,40", "--difference", "2"], 2, "give 0.0001 to 1"),
        (["--classes", "300,40", "--seeds", "0"], 2, "give 1 to 1,000"),
        (["--classes", "300,40", "--folds", "0"], 2, "give 1 to 100"),
        (["--classes", "300,40", "--metric", "beauty"], 2, "no measured noise of 'beauty'"),
        (["--from", "nothing"], 3, "nothing"),
    ],
)
def test_bad_input_is_one_line(
    words: list[str], code: int, what: str, in_process: Callable
) -> None:
    told = in_process("plan", *words)
    assert told.code == code
    assert told.stderr.startswith("error: ")
    assert told.stderr.count("\n") == 1
    assert what in told.stderr


@pytest.mark.slow
def test_runs_that_tell_nothing_are_refused(pilot: Path, in_process: Callable) -> None:
    for words, code, what in (
        (["--from", "single"], 3, "two are needed to see training noise"),
        (["--from", "alone"], 3, "one arm cannot show"),
        (["--from", "pilot", "--metric", "beauty"], 2, "unknown primary metric 'beauty'"),
        (["--from", "pilot", "--metric", "recall:X"], 2, "unknown class 'X'"),
    ):
        told = in_process("plan", *words)
        assert told.code == code
        assert told.stderr.startswith("error: ")
        assert told.stderr.count("\n") == 1
        assert what in told.stderr
