"""What a PASS rests on: numbers of cases, copies, influence, and intervals that hold at the margin."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import binom, chi2_contingency

from milkreport.checks.class_mix import mix_p
from milkreport.checks.earlier import decide_pair
from milkreport.checks.evidence import hidden_loss, lacking, needed_by_class, needed_cases
from milkreport.checks.verdict import Status
from milkreport.evaluation.intervals.gate_bounds import accuracy_difference_bounds
from milkreport.evaluation.intervals.influence import case_influence
from milkreport.evaluation.metrics.measures import measure
from milkreport.evaluation.metrics.named import pick
from milkreport.evaluation.paired_runs import describe_runs
from milkreport.evaluation.pooled_predictions import CaseFacts
from milkreport.evaluation.reading.copies import count_copies, count_digits, find_copies, is_telling
from milkreport.evaluation.reading.predictions import Predictions

CLASSES = ("a", "b", "c")


def draw(n: int, seed: int = 0, sharpness: float = 1.0) -> Predictions:
    rng = np.random.default_rng(seed)
    truth = rng.choice(3, n, p=[0.6, 0.3, 0.1])
    logits = rng.normal(size=(n, 3)) + sharpness * np.eye(3)[truth]
    values = np.exp(logits)
    values /= values.sum(axis=1, keepdims=True)
    return Predictions(np.char.mod("%06d", np.arange(n)), truth, values, CLASSES)


@pytest.mark.parametrize(("margin", "n"), [(0.03, 122), (0.02, 183), (0.05, 72), (0.5, 6), (1, 1)])
def test_cases_that_could_carry_a_pass(margin: float, n: int) -> None:
    assert needed_cases(margin) == n
    if margin < 1:
        assert (1 - margin) ** n <= 0.025 < (1 - margin) ** (n - 1)
    assert lacking("accuracy", margin, n, {}) == ""
    if n > 1:
        assert f"{n - 1:,}, {n:,} would do" in lacking("accuracy", margin, n - 1, {})


@pytest.mark.parametrize("sizes", [(50, 50), (190, 10), (60, 30, 10), (303, 2518, 43, 541, 9)])
def test_the_hidden_loss_of_a_macro_average_is_the_largest_there_is(sizes: tuple[int, ...]) -> None:
    n = np.array(sizes)
    found = minimize(
        lambda x: -x.mean(),
        np.full(len(n), 1e-4),
        bounds=[(0, 0.999999)] * len(n),
        constraints={"type": "ineq", "fun": lambda x: n @ np.log1p(-x) - np.log(0.025)},
        method="SLSQP",
        options={"maxiter": 1000, "ftol": 1e-12},
    )
    assert hidden_loss(n) == pytest.approx(-found.fun, rel=1e-3)
    enough = needed_by_class(n, 0.03)
    assert hidden_loss(n * (enough / n.sum())) <= 0.03 < hidden_loss(n * (enough - 1) / n.sum())


def test_the_evidence_of_class_metrics_is_that_of_the_class() -> None:
    supports = {"a": 500, "b": 100}
    assert lacking("recall", 0.03, 600, supports, "a") == ""
    assert "100 of the class, 122 would do" in lacking("recall", 0.03, 600, supports, "b")
    assert "100 of other classes" in lacking("specificity", 0.03, 600, supports, "a")
    assert "groups" in lacking("accuracy", 0.03, 100, supports, word="groups")
    assert "no number of cases" in lacking("accuracy", 0.0, 10**6, supports)
    # Two hundred cases carry an accuracy, and no balanced accuracy with a class of ten.
    mix = {"a": 190, "b": 10}
    assert lacking("accuracy", 0.03, 200, mix) == ""
    for metric in ("balanced_accuracy", "macro_f1", "macro_auc", "mcc"):
        assert "of the same class mix would do" in lacking(metric, 0.03, 200, mix)


def test_copies_are_found_where_rows_say_enough() -> None:
    p = draw(300)
    assert find_copies(p.truth, p.probabilities) is None
    rows = np.concatenate([p.probabilities, p.probabilities[:20], p.probabilities[:5]])
    truth = np.concatenate([p.truth, p.truth[:20], p.truth[:5]])
    roots = find_copies(truth, rows)
    assert roots is not None
    assert roots[300:].tolist() == [*range(20), *range(5)]
    assert count_copies(roots) == 45
    other = np.where(np.arange(325) >= 300, (truth + 1) % 3, truth)
    assert find_copies(other[:320], rows[:320]) is None  # another truth is another case
    assert find_copies(truth, np.eye(3)[rows.argmax(axis=1)]) is None  # labels
    assert find_copies(truth, np.round(rows, 1)) is None  # votes of ten trees
    smooth = np.where(np.eye(3)[rows.argmax(axis=1)] > 0, 0.95, 0.025)
    assert find_copies(truth, smooth) is None  # labels in disguise


def test_digits_count_what_a_row_says() -> None:
    rows = np.array([
        [0.5, 0.3, 0.2], [0.95, 0.025, 0.025], [0.9999999, 1e-7, 0], [1, 0, 0],
        [0.8123, 0.1234, 0.0643], [1 / 3, 1 / 7, 11 / 21],
    ])  # fmt: skip
    assert count_digits(rows).tolist() == [2, 2, 1, 0, 7, 16]
    assert is_telling(rows[4:])
    assert not is_telling(rows[:4])


@pytest.mark.parametrize(
    "metric",
    ["accuracy", "macro_f1", "weighted_f1", "mcc", "kappa", "macro_precision", "log_loss", "brier",
     "macro_auc", "macro_average_precision", "top_2_accuracy", "recall:b", "f1:c", "auc:a"],
)  # fmt: skip
def test_influence_is_what_one_more_case_moves(metric: str) -> None:
    p = draw(400)
    moves = case_influence(p, metric)
    assert moves is not None
    assert moves.sum() == pytest.approx(0, abs=1e-5)
    value = pick(measure(p), metric, CLASSES)
    for case in (0, 7, 101):
        more = p.take(np.append(np.arange(400), case))
        gained = pick(measure(more), metric, CLASSES) - value
        assert gained == pytest.approx(moves[case], abs=3e-5 + 0.03 * abs(moves[case]))
    assert case_influence(replace(p, probabilities=np.eye(3)[p.predicted]), "macro_auc") is None
    assert case_influence(p, "ece") is None


def test_accuracy_differences_have_the_wider_of_two_published_intervals() -> None:
    """Airway hyper-responsiveness of 21 children: 1, 1, 7, 12 (Tango's interval is -0.517 to -0.026)."""
    right = np.repeat([True, True, False, False], [1, 1, 7, 12])
    rival = np.repeat([True, False, True, False], [1, 1, 7, 12])
    low, high = accuracy_difference_bounds(right, rival)
    up, down, n = 2 / 23, 8 / 23, 23
    wald = up - down + 1.959964 * np.sqrt((up + down - (up - down) ** 2) / n)
    assert low == pytest.approx(-0.517, abs=5e-4)
    assert high == pytest.approx(wald, abs=1e-6)
    same = np.ones(122, bool)
    assert accuracy_difference_bounds(same, same)[0] == pytest.approx(0.025 ** (1 / 122) - 1)


def chance_of_a_pass(bounds, n: int, discordant: float, margin: float = 0.03) -> float:
    """Exact chance of a PASS at a true loss of *margin*, where models differ on a share of *discordant*."""
    lost, total = (discordant + margin) / 2, 0.0
    for d in range(
        int(binom.ppf(1e-5, n, discordant)), int(binom.ppf(1 - 1e-5, n, discordant)) + 1
    ):
        low, high = -1, d  # the most lost cases that pass
        while low < high:
            middle = (low + high + 1) // 2
            passes = bounds(d - middle, middle, n)[0] >= -margin
            low, high = (middle, high) if passes else (low, middle - 1)
        total += binom.pmf(d, n, discordant) * binom.cdf(low, d, lost / discordant)
    return float(total)


def test_a_worse_method_passes_no_more_often_than_it_may() -> None:
    def ours(gained: int, lost: int, n: int) -> tuple[float, float]:
        sides = [gained, lost, n - gained - lost]
        right, rival = (
            np.repeat(side, sides) for side in ([True, False, True], [False, True, True])
        )
        return accuracy_difference_bounds(right, rival)

    def wald(gained: int, lost: int, n: int) -> tuple[float, float]:
        d = (gained - lost) / n
        half = 1.96 * np.sqrt(((gained + lost) / n - d * d) / n)
        return d - half, d + half

    shares, sizes = (0.03, 0.04, 0.08, 0.2), (122, 150, 200)
    assert max(chance_of_a_pass(ours, n, share) for n in sizes for share in shares) < 0.0255
    # Negative control: without an adjustment few lost cases pass too often.
    assert max(chance_of_a_pass(wald, n, share) for n in sizes for share in shares) > 0.05


def test_groups_widen_the_interval_of_an_accuracy() -> None:
    rng = np.random.default_rng(1)
    right, rival = (np.repeat(rng.random(100) < 0.8, 4) for _ in range(2))
    alone = np.subtract(*accuracy_difference_bounds(right, rival)[::-1])
    together = np.subtract(
        *accuracy_difference_bounds(right, rival, np.repeat(np.arange(100), 4))[::-1]
    )
    assert together / alone == pytest.approx(2, rel=0.1)


def judge(one: Predictions, other: Predictions, metric: str, margin: float = 0.03) -> Status:
    pair = describe_runs({(0, 0): one}, {(0, 0): other}, [(metric, "")], CaseFacts())
    return decide_pair(pair, pair.values[0].bounds, metric, "", margin)[0]


@pytest.mark.parametrize("metric", ["accuracy", "macro_f1", "macro_auc", "mcc"])
def test_few_cases_never_pass_and_many_do(metric: str) -> None:
    """Hardly changed predictions: what differs is evidence alone."""
    found = []
    for n in (12, 60, 5000):
        p = draw(n, sharpness=3)
        q = replace(p, probabilities=p.probabilities * 0.999 + 0.001 / 3)
        found.append(judge(q, p, metric))
    assert found == [Status.INCONCLUSIVE, Status.INCONCLUSIVE, Status.PASS]


def test_copying_cases_makes_no_evidence() -> None:
    p = draw(60, sharpness=3)
    many = Predictions(
        np.char.mod("%06d", np.arange(1200)),
        np.tile(p.truth, 20),
        np.tile(p.probabilities, (20, 1)),
        CLASSES,
    )
    after = replace(many, probabilities=many.probabilities * 0.999 + 0.001 / 3)
    pair = describe_runs({(0, 0): after}, {(0, 0): many}, [("macro_f1", "")], CaseFacts())
    assert (pair.n_units, pair.n_copies, pair.grouped) == (60, 1200, True)
    assert judge(after, many, "accuracy") is Status.INCONCLUSIVE
    # Copies under other patients are still copies.
    groups = CaseFacts(groups={case: case for case in many.case_ids.tolist()})
    pair = describe_runs({(0, 0): after}, {(0, 0): many}, [("macro_f1", "")], groups)
    assert pair.n_units == 60


def test_identical_probabilities_pass_and_identical_labels_do_not() -> None:
    few = draw(12)
    hard = replace(few, probabilities=np.eye(3)[few.predicted])
    assert judge(few, few, "macro_f1") is Status.PASS
    assert judge(hard, hard, "macro_f1") is Status.INCONCLUSIVE


def test_more_seeds_of_one_noise_narrow_the_interval() -> None:
    n, rng = 400, np.random.default_rng(3)
    base = draw(n)

    def train() -> Predictions:
        logits = np.log(base.probabilities) + rng.normal(scale=0.7, size=(n, 3))
        values = np.exp(logits)
        return replace(base, probabilities=values / values.sum(axis=1, keepdims=True))

    widths = []
    for seeds in (2, 5, 20):
        sides = [{(s, 0): train() for s in range(seeds)} for _ in range(2)]
        (value,) = describe_runs(*sides, [("macro_auc", "")], CaseFacts()).values
        widths.append(value.bounds[1] - value.bounds[0])
    assert all(later < earlier for earlier, later in pairwise(widths))


def test_class_mixes_are_tested_as_scipy_does() -> None:
    one, other = {"a": 200, "b": 150, "c": 150}, {"a": 230, "b": 160, "c": 110}
    expected = chi2_contingency([[*one.values()], [*other.values()]], correction=False).pvalue
    assert mix_p(one, other) == pytest.approx(expected)
    assert mix_p(one, {k: 3 * v for k, v in one.items()}) == pytest.approx(1)
    assert mix_p(one, {"a": 1395, "b": 60, "c": 45}) < 1e-100
    rare = {"a": 500, "b": 2, "c": 1}
    assert mix_p(rare, {"a": 500, "b": 1, "d": 2}) > 0.5  # rare classes are joined
