"""What the statistics promise, simulated: intervals cover, equals raise no alarm, differences are found.

The full simulations are ``scripts/simulate_*.py``; their figures stand in docs/statistics.md.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from milkreport.evaluation.compare import compare_pools, find, is_shown
from milkreport.evaluation.intervals.readers import arm_spread, difference_spread
from milkreport.evaluation.intervals.resampling import mcnemar_p
from milkreport.evaluation.metrics.confusion import confusion_counts, score_confusion
from milkreport.evaluation.metrics.measures import Plan
from milkreport.evaluation.pooled_predictions import CaseFacts, pool_arms
from milkreport.evaluation.reading.predictions import Predictions
from milkreport.evaluation.records.parts import PartResult
from milkreport.evaluation.records.results import Comparison
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


def answers(
    rng: np.random.Generator, shares: np.ndarray = SHARES, truth: np.ndarray = TRUTH
) -> Predictions:
    reached = shares.cumsum(axis=1)[truth]
    given = np.minimum((rng.random((len(truth), 1)) > reached).sum(axis=1), 4)
    return Predictions(IDS, truth, np.eye(5)[given], tuple("ABCDE"))


def compare(
    arms: dict[str, list[Predictions]], n_resamples: int = 200, margin: float | None = None
) -> Comparison:
    plan, facts = Plan(n_resamples=n_resamples, margin=margin), CaseFacts()
    cells = {name: {(s, 0): p for s, p in enumerate(seeds)} for name, seeds in arms.items()}
    found = compare_pools(pool_arms(cells, "test", plan, facts), plan, facts)
    assert found is not None
    return found


def summarise(p: Predictions, groups: dict[str, str] | None = None) -> PartResult:
    plan, facts = Plan(n_resamples=300), CaseFacts(groups=groups or {})
    return summarise_pool(pool_arms({"": {(0, 0): p}}, "test", plan, facts)[""], plan, facts)


@pytest.mark.slow
def test_intervals_cover_where_cases_bring_their_own_class_mix() -> None:
    """And the intervals of before, with the class counts held, do not."""
    rng = np.random.default_rng(0)
    mix = SUPPORT / SUPPORT.sum()
    names = ("accuracy", "balanced_accuracy", "macro_f1", "weighted_f1", "mcc", "kappa")
    held: dict[str, list[bool]] = {name: [] for name in names}
    stratified: list[bool] = []
    for _ in range(200):
        truth = np.sort(rng.choice(5, len(TRUTH), p=mix))
        p = answers(rng, truth=truth)
        present = np.bincount(truth, minlength=5) > 0
        true = score_confusion(SHARES * mix[:, None], present)
        part = summarise(p)
        for name in names:
            found = part.metrics[name]
            held[name].append(found.low <= true[name] <= found.high)
        right = p.predicted == truth
        strata = [right[truth == c] for c in range(5) if present[c]]
        draws = sum(rng.binomial(len(s), s.mean(), 300) for s in strata) / len(truth)
        low, high = np.percentile(draws, [2.5, 97.5])
        stratified.append(low <= true["accuracy"] <= high)
    for name, found in held.items():
        assert np.mean(found) >= 0.9, name  # 0.95 expected; below 0.9 has a chance below 0.2%
    assert np.mean(stratified) < min(np.mean(held["accuracy"]), 0.94)


def test_nothing_has_zero_width() -> None:
    """All right; all answered as one class; a class never found."""
    truth = np.repeat([0, 1, 2], [12, 6, 2])
    ids = np.array([f"c{i}" for i in range(20)])
    for given in (truth, np.zeros(20, int), np.where(truth == 2, 0, truth)):
        for groups in ({}, {name: str(i // 2) for i, name in enumerate(ids)}):
            p = Predictions(ids, truth, np.eye(3)[given], ("a", "b", "c"))
            part = summarise(p, groups)
            bounded = {
                n: e for n, e in part.metrics.items() if e.value is not None and e.low is not None
            }
            assert {"accuracy", "macro_f1", "weighted_f1", "balanced_accuracy"} <= set(bounded)
            for name, found in bounded.items():
                assert found.high - found.low > 0.01, name
                assert found.low <= found.value <= found.high, name
            for row in part.classes:
                for low, high in row.intervals.values():
                    assert high > low
    # 20 of 20: Clopper and Pearson's lower bound of accuracy, and no better one of macro F1.
    whole = summarise(Predictions(ids, truth, np.eye(3)[truth], ("a", "b", "c")))
    assert whole.metrics["accuracy"].low == pytest.approx(0.025 ** (1 / 20))
    assert whole.metrics["macro_f1"].low < 0.85


def test_one_pair_of_cases_of_a_patient_changes_hardly_anything() -> None:
    p = answers(np.random.default_rng(3))
    alone = summarise(p)
    paired = summarise(p, {str(IDS[0]): "x", str(IDS[1]): "x"})
    assert paired.n_groups == len(IDS) - 1
    for name in ("accuracy", "macro_f1", "balanced_accuracy"):
        one, other = alone.metrics[name], paired.metrics[name]
        assert other.low == pytest.approx(one.low, abs=0.02)
        assert other.high == pytest.approx(one.high, abs=0.02)


def test_copies_of_cases_in_groups_tell_no_more_than_the_cases() -> None:
    """Each case five times, in groups of its copies: intervals as wide as of the cases alone."""
    rng = np.random.default_rng(4)
    truth = np.repeat([0, 1], [60, 40])
    given = np.where(rng.random(100) < 0.8, truth, 1 - truth)
    ids = np.array([f"c{i}" for i in range(500)])

    def width(p: Predictions, groups: dict[str, str]) -> float:
        found = summarise(p, groups).metrics["accuracy"]
        return found.high - found.low

    once = width(Predictions(ids[:100], truth, np.eye(2)[given], ("a", "b")), {})
    many = Predictions(ids, np.repeat(truth, 5), np.eye(2)[np.repeat(given, 5)], ("a", "b"))
    assert width(many, {name: str(i // 5) for i, name in enumerate(ids)}) == pytest.approx(
        once, rel=0.05
    )
    assert width(many, {}) < 0.6 * once


@pytest.mark.slow
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


def train(rng: np.random.Generator, noise: float, shares: np.ndarray = SHARES) -> np.ndarray:
    logits = np.log(shares) + noise * rng.normal(size=shares.shape)
    return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


@pytest.mark.parametrize(("noise", "seeds"), [(0.6, 2), (0.6, 5), (0.0, 2), (0.0, 5)])
def test_equal_methods_raise_few_alarms_whichever_noise_dominates(noise: float, seeds: int) -> None:
    rng = np.random.default_rng(3)
    shown = 0
    for _ in range(100):
        arms = {n: [answers(rng, train(rng, noise)) for _ in range(seeds)] for n in ("a", "b")}
        shown += is_shown(compare(arms).differences[0])
    assert shown <= 13  # 5 expected; above 13 has a chance below 0.1%


def test_one_seed_takes_training_noise_for_a_difference() -> None:
    """Why one seed speaks of two trained models and of nothing else."""
    rng = np.random.default_rng(3)
    shown = 0
    for _ in range(80):
        arms = {name: [answers(rng, train(rng, 0.5))] for name in ("a", "b")}
        shown += is_shown(compare(arms).differences[0])
    assert shown > 16


def test_more_seeds_never_widen_what_the_cases_leave_uncertain() -> None:
    """Case noise alone: the interval shrinks with the seeds, or stays."""
    rng = np.random.default_rng(6)
    widths = {}
    for seeds in (2, 5, 10):
        found = []
        for _ in range(15):
            arms = {n: [answers(rng) for _ in range(seeds)] for n in ("a", "b")}
            d = compare(arms).differences[0]
            found.append(d.high - d.low)
        widths[seeds] = np.median(found)
    assert widths[10] < widths[5] < widths[2]


def test_the_readers_variance_by_hand() -> None:
    """Obuchowski and Rockette's terms and Hillis' degrees of freedom, from given moments."""
    one, other = np.array([0.5, 0.52, 0.57]), np.array([0.50, 0.44, 0.47])
    rng = np.random.default_rng(0)
    shared = rng.normal(size=(4000, 1))  # what all six models share of the cases
    own = [0.02 * shared + 0.01 * rng.normal(size=(4000, 3)) for _ in range(2)]
    arm = 0.015 * rng.normal(size=(4000, 1))  # what the first arm's models share
    draws = [own[0] + arm, own[1]]
    found = difference_spread(one, other, *draws)
    covariance = np.cov(np.concatenate(draws, axis=1).T)
    within = [covariance[0, 1], covariance[0, 2], covariance[1, 2]]
    within += [covariance[3, 4], covariance[3, 5], covariance[4, 5]]
    between = covariance[:3, 3:].mean()
    seeds = 2 * (one.var(ddof=1) + other.var(ddof=1)) / 2 / 3
    cases = 2 * (np.mean(within) - between)
    assert found.seeds == pytest.approx(seeds)
    assert found.cases == pytest.approx(cases, rel=1e-3)
    assert found.df == pytest.approx((seeds + cases) ** 2 / (seeds**2 / 4), rel=1e-3)
    # One arm: s^2 / S + cov2.
    alone = arm_spread(one, draws[0])
    assert alone.error**2 == pytest.approx(one.var(ddof=1) / 3 + np.mean(within[:3]), rel=1e-3)


def test_ranks_need_two_seeds_and_share_places() -> None:
    rng = np.random.default_rng(4)
    better = 0.5 * SHARES + 0.5 * np.eye(5)

    def arms(seeds: int) -> dict[str, list[Predictions]]:
        return {
            "low": [answers(rng) for _ in range(seeds)],
            "alike": [answers(rng) for _ in range(seeds)],
            "high": [answers(rng, better) for _ in range(seeds)],
        }

    assert compare(arms(1)).ranks == {}
    assert compare(arms(5)).ranks == {"low": 2, "alike": 2, "high": 1}


def test_equivalence_is_a_finding_and_lack_of_evidence_is_not() -> None:
    rng = np.random.default_rng(8)
    base = answers(rng)
    near = np.where(rng.random(len(TRUTH)) < 0.02, 0, base.predicted)
    alike = Predictions(IDS, TRUTH, np.eye(5)[near], base.classes)
    arms = {"a": [base], "b": [alike]}
    (found,) = [d for d in compare(arms, margin=0.1).differences if d.metric == "macro_f1"]
    assert -0.1 < found.low90 < found.high90 < 0.1
    assert find(found) == "equivalent"
    (found,) = [d for d in compare(arms, margin=0.001).differences if d.metric == "macro_f1"]
    assert find(found) == "undecided"
    (found,) = [d for d in compare(arms).differences if d.metric == "macro_f1"]
    assert find(found) == "undecided"
    # Lower is better of a loss: the smaller value is the better one.
    loss = found.model_copy(
        update={"metric": "log_loss", "value": -0.3, "low": -0.4, "high": -0.2, "p_holm": 0.01}
    )
    assert find(loss) == "better"
    assert find(loss.model_copy(update={"metric": "macro_f1"})) == "worse"


def test_superiority_needs_ten_seeds_and_counts_pairs() -> None:
    rng = np.random.default_rng(9)
    better = 0.8 * SHARES + 0.2 * np.eye(5)
    arms = {
        "a": [answers(rng) for _ in range(10)],
        "b": [answers(rng, better) for _ in range(10)],
    }
    found = compare(arms).differences[0].superiority
    values = [
        [score_confusion(confusion_counts(p.truth, p.predicted, 5))["macro_f1"] for p in arms[n]]
        for n in ("b", "a")
    ]
    u = mannwhitneyu(*values).statistic / 100
    assert found.value == pytest.approx(u)
    assert found.low < u <= found.high
    assert compare({n: seeds[:9] for n, seeds in arms.items()}).differences[0].superiority is None


def test_mcnemar_counts_what_only_one_got_right() -> None:
    truth = np.zeros(20, int)
    one, other = np.ones(20, int), np.ones(20, int)
    one[:8] = 0
    other[7:9] = 0
    # 7 right for the first alone, 1 for the second alone: 2 * (1 + 8) / 2 ** 8.
    assert mcnemar_p(truth, one, other) == pytest.approx(18 / 256)
    assert mcnemar_p(truth, one, one) == 1


def test_the_published_schemas_are_the_records_own() -> None:
    root = Path(__file__).resolve().parents[2]
    spec = importlib.util.spec_from_file_location("schemas", root / "scripts" / "schemas.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["schemas"] = module
    spec.loader.exec_module(module)
    for name in module.PUBLISHED:
        published = (root / "docs" / "schemas" / f"{name}.schema.json").read_text(encoding="utf-8")
        assert published == module.schema_text(name), "python scripts/schemas.py"


def test_the_calibration_error_has_no_interval() -> None:
    """Resampling adds to it: of calibrated probabilities an interval would lie above the value."""
    rng = np.random.default_rng(5)
    values = rng.dirichlet(np.ones(5), len(TRUTH))
    truth = (rng.random((len(TRUTH), 1)) > values.cumsum(axis=1)).sum(axis=1).clip(0, 4)
    part = summarise(Predictions(IDS, truth, values, tuple("ABCDE")))
    assert part.metrics["ece"].value > 0
    assert (part.metrics["ece"].low, part.metrics["ece"].high) == (None, None)
    assert (
        part.metrics["log_loss"].low
        < part.metrics["log_loss"].value
        < part.metrics["log_loss"].high
    )
