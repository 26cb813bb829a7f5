"""What the statistics promise, simulated: intervals cover, equals raise no alarm, differences are found.

The full simulations are ``scripts/simulate_statistics.py``; their figures stand in docs/statistics.md.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from milkreport.evaluation.compare import compare_pools, is_shown
from milkreport.evaluation.measures import Plan, measure, measure_resamples
from milkreport.evaluation.metrics import score_classes, score_confusion
from milkreport.evaluation.pools import CaseFacts, Pool, pool_arms
from milkreport.evaluation.predictions import Predictions
from milkreport.evaluation.resampling import bootstrap_weights, mcnemar_p
from milkreport.evaluation.results import Comparison
from milkreport.evaluation.summarise import summarise_pool

SUPPORT = np.array([300, 120, 60, 12, 4])
SHARES = np.array(
    [
        [0.80, 0.10, 0.06, 0.03, 0.01],
        [0.25, 0.60, 0.10, 0.04, 0.01],
        [0.30, 0.15, 0.50, 0.04, 0.01],
        [0.40, 0.20, 0.15, 0.24, 0.01],
        [0.50, 0.20, 0.15, 0.13, 0.02],
    ]
)
TRUTH = np.repeat(np.arange(5), SUPPORT)
IDS = np.array([f"c{i:04d}" for i in range(len(TRUTH))])


def answers(rng: np.random.Generator, shares: np.ndarray = SHARES) -> Predictions:
    reached = shares.cumsum(axis=1)[TRUTH]
    given = np.minimum((rng.random((len(TRUTH), 1)) > reached).sum(axis=1), 4)
    return Predictions(IDS, TRUTH, np.eye(5)[given], tuple("ABCDE"))


def compare(arms: dict[str, list[Predictions]], n_resamples: int = 200) -> Comparison:
    plan, facts = Plan(n_resamples=n_resamples), CaseFacts()
    cells = {name: {(s, 0): p for s, p in enumerate(seeds)} for name, seeds in arms.items()}
    found = compare_pools(pool_arms(cells, "test", plan, facts), plan, facts)
    assert found is not None
    return found


def test_intervals_cover_for_frequent_classes_and_do_not_collapse_for_rare_ones() -> None:
    rng = np.random.default_rng(0)
    expected = SHARES * SUPPORT[:, None]
    classes, overall = score_classes(expected), score_confusion(expected)
    frequent: list[bool] = []
    macro: list[bool] = []
    plain: list[bool] = []
    for _ in range(250):
        p = answers(rng)
        (weights,) = bootstrap_weights(TRUTH, 400, rng)
        drawn = measure_resamples(p, weights)
        part = summarise_pool(Pool("test", {0: p}, 1, {0: drawn}), Plan(), CaseFacts())
        for c in range(3):
            for name in ("f1", "recall", "precision"):
                low, high = part.classes[c].intervals[name]
                frequent.append(low <= classes[name][c] <= high)
        low, high = part.classes[4].intervals["f1"]
        assert high > low
        found = part.metrics["macro_f1"]
        macro.append(found.low <= overall["macro_f1"] <= found.high)
        low, high = np.percentile(drawn.overall["macro_f1"], [2.5, 97.5])
        plain.append(low <= overall["macro_f1"] <= high)
    assert 0.925 < np.mean(frequent) < 0.975
    assert np.mean(macro) > 0.87
    assert np.mean(plain) < np.mean(macro)  # what the formulas are for


def test_equal_arms_raise_few_alarms_and_unequal_ones_are_found() -> None:
    rng = np.random.default_rng(1)
    alarms = found = 0
    better = 0.75 * SHARES + 0.25 * np.eye(5)
    for _ in range(120):
        equal = compare({name: [answers(rng)] for name in ("a", "b", "c")})
        alarms += any(is_shown(d) for d in equal.differences if d.p is not None)
        unequal = compare({"a": [answers(rng)], "b": [answers(rng, better)]})
        found += is_shown(unequal.differences[0])
    assert alarms <= 13  # 6 expected at 5% over all three pairs; above 13 has a chance below 0.3%
    assert found > 60


def test_permuted_answers_raise_few_alarms() -> None:
    """Two arms that differ case by case, sides changed by chance: no difference is left."""
    rng = np.random.default_rng(2)
    better = 0.6 * SHARES + 0.4 * np.eye(5)
    one, other = answers(rng), answers(rng, better)
    assert is_shown(compare({"a": [one], "b": [other]}).differences[0])
    alarms = 0
    for _ in range(120):
        swap = rng.random(len(TRUTH)) < 0.5
        mixed = [
            Predictions(IDS, TRUTH, np.where(swap[:, None], a, b), one.classes)
            for a, b in ((one.probabilities, other.probabilities), (other.probabilities, one.probabilities))
        ]  # fmt: skip
        alarms += is_shown(compare({"a": [mixed[0]], "b": [mixed[1]]}).differences[0])
    assert alarms <= 13


def test_training_noise_fools_one_seed_and_not_five() -> None:
    """Arms that are one method under other seeds: why fewer than five seeds rank no method."""
    rng = np.random.default_rng(3)

    def train() -> Predictions:
        logits = np.log(SHARES) + 0.5 * rng.normal(size=SHARES.shape)
        shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        return answers(rng, shares)

    rates = {}
    for seeds in (1, 5):
        shown = 0
        for _ in range(80):
            arms = {name: [train() for _ in range(seeds)] for name in ("a", "b")}
            shown += is_shown(compare(arms).differences[0])
        rates[seeds] = shown / 80
    assert rates[1] > 0.2
    assert rates[5] < 0.15


def test_ranks_need_five_seeds_and_share_places() -> None:
    rng = np.random.default_rng(4)
    better = 0.5 * SHARES + 0.5 * np.eye(5)

    def arms(seeds: int) -> dict[str, list[Predictions]]:
        return {
            "low": [answers(rng) for _ in range(seeds)],
            "alike": [answers(rng) for _ in range(seeds)],
            "high": [answers(rng, better) for _ in range(seeds)],
        }

    assert compare(arms(4)).ranks == {}
    assert compare(arms(5)).ranks == {"low": 2, "alike": 2, "high": 1}


def test_mcnemar_counts_what_only_one_got_right() -> None:
    truth = np.zeros(20, int)
    one, other = np.ones(20, int), np.ones(20, int)
    one[:8] = 0
    other[7:9] = 0
    # 7 right for the first alone, 1 for the second alone: 2 * (1 + 8) / 2 ** 8.
    assert mcnemar_p(truth, one, other) == pytest.approx(18 / 256)
    assert mcnemar_p(truth, one, one) == 1


def test_the_published_schemas_are_the_records_own() -> None:
    root = Path(__file__).resolve().parents[1]
    spec = importlib.util.spec_from_file_location("schemas", root / "scripts" / "schemas.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["schemas"] = module
    spec.loader.exec_module(module)
    for name in module.PUBLISHED:
        published = (root / "docs" / "schemas" / f"{name}.schema.json").read_text(encoding="utf-8")
        assert published == module.schema_text(name), "python scripts/schemas.py"


def test_resampling_adds_to_the_calibration_error_and_to_no_proper_score() -> None:
    """What docs/statistics.md warns of: of calibrated probabilities the interval lies too high."""
    rng = np.random.default_rng(5)
    shifts: dict[str, list[float]] = {"ece": [], "log_loss": [], "brier": []}
    for _ in range(20):
        values = rng.dirichlet(np.ones(5), len(TRUTH))
        truth = (rng.random((len(TRUTH), 1)) > values.cumsum(axis=1)).sum(axis=1).clip(0, 4)
        p = Predictions(IDS, truth, values, tuple("ABCDE"))
        (weights,) = bootstrap_weights(truth, 200, rng)
        drawn, point = measure_resamples(p, weights).overall, measure(p).overall
        for name, found in shifts.items():
            found.append((drawn[name].mean() - point[name]) / drawn[name].std())
    assert np.mean(shifts["ece"]) > 1
    assert abs(np.mean(shifts["log_loss"])) < 0.1
    assert abs(np.mean(shifts["brier"])) < 0.1
