"""What a reviewer would point out: each code has results that trigger it, and results that do not."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import milkreport
from milkreport.checks.reported import outside_interval
from milkreport.checks.verdict import CheckRow
from milkreport.errors import ConfigError
from milkreport.evaluation.calibration_summary import calibrate
from milkreport.evaluation.intervals.closed_form import share_bounds
from milkreport.evaluation.metrics.measures import Plan
from milkreport.evaluation.reading.predictions import Predictions
from milkreport.evaluation.records.data import CategoricalSummary
from milkreport.evaluation.records.findings import Finding
from milkreport.evaluation.records.parts import (
    Calibration,
    Estimate,
    PartResult,
    ReliabilityBin,
    RuleResult,
    SliceGap,
    SliceResult,
)
from milkreport.evaluation.records.results import Curve, Difference, Results
from milkreport.evaluation.review.review import (
    RULES,
    check_mute,
    parse_mutes,
    reaches,
    review,
    worst,
)
from milkreport.evaluation.review.rule import excludes
from milkreport.evaluation.review.training import accuracy_gap, still_falling
from milkreport.evaluation.review.trust import reliability_p
from milkreport.reporting.sections.review import build_review
from milkreport.suite.suite import build_suite, load_suite
from tests import report_samples as samples

CLASSES = ["common", "middle", "rare"]
GOOD = [[80, 10, 10], [8, 40, 2], [5, 5, 30]]


def results_of(*matrices: Any, train: Any = None, seeds: int = 1) -> Results:
    """An arm per matrix of one and the same cases, on three classes."""
    base = samples.sample_results()
    arms = []
    for index, matrix in enumerate(matrices):
        parts = [samples.part_result("test", np.array(matrix) * seeds, CLASSES, seeds)]
        if train is not None:
            parts.append(samples.part_result("train", np.array(train) * seeds, CLASSES, seeds))
        update = {
            "name": f"a{index}",
            "title": f"Arm {index}",
            "parts": parts,
            "curves": [],
            "cells": [],
        }
        arms.append(base.arms[0].model_copy(update=update))
    data = base.data.model_copy(
        update={"categorical": [], "class_counts": dict(zip(CLASSES, (500, 250, 200), strict=True))}
    )
    return base.model_copy(
        update={"arms": arms, "classes": CLASSES, "data": data, "comparison": None, "copies": 0}
    )


def found(results: Results, code: str, **arguments: Any) -> Finding:
    return next(f for f in review(results, **arguments).findings if f.code == code)


def compared(results: Results, *rows: Difference, seeds: int = 1) -> Results:
    comparison = samples.sample_results().comparison
    assert comparison is not None
    update = {"differences": list(rows), "n_seeds": seeds}
    return results.model_copy(update={"comparison": comparison.model_copy(update=update)})


def difference(metric: str, value: float, se: float = 0.01, **more: Any) -> Difference:
    return samples.difference("a1", "a0", metric, value, se).model_copy(update=more)


def edited(results: Results, **update: Any) -> Results:
    """The first arm's test part with other fields."""
    first = results.arms[0]
    parts = [first.parts[0].model_copy(update=update), *first.parts[1:]]
    return results.model_copy(
        update={"arms": [first.model_copy(update={"parts": parts}), *results.arms[1:]]}
    )


def test_every_rule_has_a_finding_with_words() -> None:
    findings = review(results_of(GOOD)).findings
    assert [f.code for f in findings] == [f"MR{n:03d}" for n in range(1, 14)]
    for f in findings:
        assert f.text[0].isupper() or f.text[0].isdigit(), f
        assert f.text.endswith("."), f
        assert bool(f.advice) == (f.severity in ("error", "warning", "note")), f
        assert f.docs == f"docs/findings.md#{f.code.lower()}"


def test_mr001_an_arm_that_answers_the_majority() -> None:
    stuck = [[100, 0, 0], [50, 0, 0], [39, 0, 1]]
    f = found(results_of(GOOD, stuck), "MR001")
    assert f.severity == "error"
    assert "Arm 1 (98.9%)" in f.text
    assert "Arm 0" not in f.text
    assert found(results_of(GOOD), "MR001").severity == "passed"
    # 85 of 90 are 94.4%: many, not nearly all.
    assert found(results_of([[100, 0, 0], [47, 3, 0], [38, 0, 2]]), "MR001").severity == "passed"


def test_mr002_a_class_without_an_answer_is_named_unless_mr001_says_it() -> None:
    silent = [[90, 10, 0], [8, 42, 0], [20, 20, 0]]
    f = found(results_of(GOOD, silent), "MR002")
    assert f.severity == "warning"
    assert "Arm 1 never predicts rare (40) (test" in f.text
    assert found(results_of(GOOD), "MR002").severity == "passed"
    stuck = [[100, 0, 0], [50, 0, 0], [40, 0, 0]]
    assert found(results_of(stuck), "MR002").severity == "not applicable"
    few = [[90, 10, 0], [8, 42, 0], [2, 2, 0]]
    assert found(results_of(few), "MR002").severity == "note"


def part(hits: int, n: int) -> PartResult:
    low, high = (float(end) for end in share_bounds(hits, n))
    accuracy = Estimate(value=hits / n, low=low, high=high)
    return PartResult.model_construct(n_cases=n, metrics={"accuracy": accuracy})


def test_mr003_is_newcombes_interval_and_asks_beyond_five_points() -> None:
    gap = accuracy_gap(part(56, 70), part(48, 80))
    assert gap is not None
    # Newcombe (1998), method 10, example (a): 56/70 and 48/80, 0.0524 to 0.3339.
    assert gap[2:] == pytest.approx((0.0524, 0.3339), abs=5e-5)
    learned = [[400, 0, 0], [0, 200, 0], [0, 0, 160]]
    f = found(results_of(GOOD, train=learned), "MR003")
    assert f.severity == "warning"
    assert "Arm 0 1.000 and 0.789" in f.text
    assert found(results_of(GOOD, train=GOOD), "MR003").severity == "passed"
    assert found(results_of(GOOD), "MR003").severity == "not applicable"


def reliable(*bins: tuple[float, float, float]) -> Calibration:
    """Bins of (cases, confidence, share right)."""
    return Calibration(
        bins=[
            ReliabilityBin(low=0, high=1, n=n, confidence=stated, accuracy=right)
            for n, stated, right in bins
        ]
    )


def test_mr004_is_hosmer_and_lemeshows_chi_square() -> None:
    from scipy.stats import chi2, poisson

    results = edited(results_of(GOOD), calibration=reliable((100, 0.6, 0.5), (100, 0.9, 0.8)))
    statistic = 100 * 0.1**2 / (0.6 * 0.4) + 100 * 0.1**2 / (0.9 * 0.1)
    p = reliability_p(results.arms[0].parts[0])
    assert p == pytest.approx(chi2.sf(statistic, 2))
    f = found(results, "MR004")
    assert f.severity == "note"  # shown, but no calibration error is known here
    assert "mean confidence 0.750 and accuracy 0.650" in f.text
    fine = edited(results_of(GOOD), calibration=reliable((100, 0.6, 0.61), (100, 0.9, 0.88)))
    assert found(fine, "MR004").severity == "passed"
    # Two of these bins have too few expected wrong answers, and are joined: 99 + 101 cases, 7.97 expected.
    joined = edited(results_of(GOOD), calibration=reliable((99, 0.95, 0.9), (101, 0.97, 0.9)))
    expected = 99 * 0.05 + 101 * 0.03
    right, n = 99 * 0.9 + 101 * 0.9, 200
    statistic = (right - (n - expected)) ** 2 / ((n - expected) * expected / n)
    assert reliability_p(joined.arms[0].parts[0]) == pytest.approx(chi2.sf(statistic, 1))
    # Certain answers of which many are wrong: their number is Poisson's.
    certain = edited(results_of(GOOD), calibration=reliable((200, 0.999, 0.97)))
    assert reliability_p(certain.arms[0].parts[0]) == pytest.approx(poisson.sf(5, 0.2))
    assert found(certain, "MR004").severity == "note"
    assert found(results_of(GOOD), "MR004").severity == "not applicable"


def test_mr004_of_two_classes_tests_intercept_and_slope() -> None:
    rng = np.random.default_rng(0)
    risk = rng.uniform(0.05, 0.95, 800)
    truth = (rng.random(800) < risk).astype(int)
    assert found(milkreport.evaluate(risk, truth), "MR004").severity == "passed"
    f = found(milkreport.evaluate(risk**2, truth), "MR004")
    assert f.severity == "warning"
    assert "calibration intercept" in f.text


def test_the_arm_that_is_worst_is_named_first() -> None:
    """Page one shows the sentence up to its first semicolon."""
    rng = np.random.default_rng(1)
    p = rng.dirichlet([0.5, 0.7, 1.0], 900)
    truth = (p.cumsum(axis=1) < rng.random((900, 1))).sum(axis=1).clip(max=2)
    sharper = {f"power {k}": p**k / (p**k).sum(axis=1, keepdims=True) for k in (2, 4)}
    f = found(milkreport.evaluate(sharper, truth, classes=["a", "b", "c"]), "MR004")
    assert f.text.index("power 4") < f.text.index("power 2")
    assert "power 4" in f.brief
    assert "power 2" not in f.brief


def test_calibrated_probabilities_are_rarely_said_not_to_be() -> None:
    rng = np.random.default_rng(4)
    found = {1.0: 0, 2.0: 0}
    for _ in range(200):
        p = rng.dirichlet([0.5, 0.7, 1.0], 300)
        truth = (p.cumsum(axis=1) < rng.random((300, 1))).sum(axis=1).clip(max=2)
        for power in found:
            stated = p**power / (p**power).sum(axis=1, keepdims=True)
            given = Predictions(np.arange(300).astype(str), truth, stated, ("a", "b", "c"))
            calibration = calibrate([given], None, Plan(intervals=False))
            part = PartResult.model_construct(n_groups=None, calibration=calibration, metrics={})
            found[power] += reliability_p(part) < 0.05
    assert found[1.0] / 200 < 0.1  # 0.05 and three standard errors
    assert found[2.0] / 200 > 0.9  # overconfident ones are seen


def test_mr005_needs_both_metrics_beyond_noise() -> None:
    results = results_of(GOOD, GOOD)
    against = compared(results, difference("macro_f1", 0.06), difference("accuracy", -0.05))
    f = found(against, "MR005")
    assert f.severity == "warning"
    assert "macro F1 +0.060" in f.text
    assert "accuracy −0.050" in f.text
    for rows in (
        (difference("macro_f1", 0.06), difference("accuracy", 0.05)),
        (difference("macro_f1", 0.06), difference("accuracy", -0.015)),
        # 2.1 standard errors exclude 0 by themselves, not as one of two looks.
        (difference("macro_f1", 0.06), difference("accuracy", -0.021)),
    ):
        assert found(compared(results, *rows), "MR005").severity == "passed"
    assert found(results, "MR005").severity == "not applicable"
    drawn = against.model_copy(update={"data": against.data.model_copy(update={"synthetic": True})})
    assert found(drawn, "MR005").severity == "not applicable"


def tuned(results: Results, *values: float) -> Results:
    """Nested thresholds of each arm."""
    arms = []
    for arm, value in zip(results.arms, values, strict=True):
        rule = RuleResult(
            rule="thresholds", title="", decision="", zero_division="", classes={},
            values={"macro_f1": Estimate(value=value)},
        )  # fmt: skip
        arms.append(
            arm.model_copy(update={"parts": [arm.parts[0].model_copy(update={"rules": [rule]})]})
        )
    return results.model_copy(update={"arms": arms})


def test_mr006_a_shown_order_that_thresholds_turn_round() -> None:
    shown = compared(results_of(GOOD, GOOD), difference("macro_f1", 0.06))
    f = found(tuned(shown, 0.8, 0.7), "MR006")
    assert f.severity == "warning"
    assert "+0.060 by the largest probability, −0.100 at thresholds" in f.text
    assert found(tuned(shown, 0.7, 0.8), "MR006").severity == "passed"
    noise = compared(results_of(GOOD, GOOD), difference("macro_f1", 0.01))
    assert found(tuned(noise, 0.8, 0.7), "MR006").severity == "passed"
    assert found(shown, "MR006").severity == "not applicable"


def test_mr007_counts_the_seeds_of_the_best_arm() -> None:
    results = results_of(GOOD, GOOD, seeds=4)
    mixed = difference("macro_f1", 0.02, by_seed=[0.05, 0.05, -0.01, -0.01])
    f = found(compared(results, mixed, seeds=4), "MR007")
    assert f.severity == "note"
    assert "Arm 1 has the best macro F1 on average, but with only 2 of 4" in f.text
    alike = difference("macro_f1", 0.02, by_seed=[0.01, 0.02, 0.02, 0.03])
    assert found(compared(results, alike, seeds=4), "MR007").severity == "passed"
    assert found(compared(results, mixed, seeds=1), "MR007").severity == "not applicable"


def sliced(*gaps: tuple[str, float]) -> Results:
    pieces = [
        SliceResult(
            column=column, value=value, n=50, n_classes=3, metrics={"macro_f1": Estimate(value=v)}
        )
        for column, _ in gaps
        for value, v in (("x", 0.5), ("y", 0.7))
    ]
    records = [
        SliceGap(column=c, metric="macro_f1", gap=Estimate(value=0.2), chance=0.1, p=p)
        for c, p in gaps
    ]
    return edited(results_of(GOOD), slices=pieces, gaps=records)


def test_mr008_corrects_for_the_number_of_gaps() -> None:
    f = found(sliced(("site", 0.005), ("sex", 0.4)), "MR008")
    assert f.severity == "warning"
    assert "macro F1 0.500 where site = x and 0.700 where it is y (p = 0.010" in f.text
    assert "sex" not in f.text
    # 0.03 is below 0.05 alone; Holm's correction over two makes it 0.06.
    assert found(sliced(("site", 0.03), ("sex", 0.4)), "MR008").severity == "passed"
    assert found(results_of(GOOD), "MR008").severity == "not applicable"


def test_mr008_on_drawn_cases() -> None:
    rng = np.random.default_rng(5)
    truth = rng.integers(0, 2, 400)
    site = np.where(rng.random(400) < 0.4, "B", "A")
    right = rng.random(400) < np.where(site == "B", 0.6, 0.95)
    risk = np.where(right == (truth == 1), 0.8, 0.2) + rng.uniform(-0.1, 0.1, 400)
    worse = milkreport.evaluate(risk, truth, subgroups={"site": site})
    assert found(worse, "MR008").severity == "warning"
    by_lot = {"site": rng.permutation(site)}
    assert found(milkreport.evaluate(risk, truth, subgroups=by_lot), "MR008").severity == "passed"


def telling(*shares: tuple[str, dict[str, dict[str, int]]]) -> Results:
    columns = [
        CategoricalSummary(column=c, view="case", n=950, missing=0, counts={}, by_class=by)
        for c, by in shares
    ]
    results = results_of(GOOD)
    data = results.data.model_copy(update={"categorical": columns})
    return results.model_copy(update={"data": data})


def test_mr009_signs_of_a_leak() -> None:
    ruler = {"common": {"no": 490, "yes": 10}, "middle": {"yes": 250}, "rare": {"yes": 200}}
    f = found(telling(("ruler", ruler)), "MR009")
    assert f.severity == "passed"  # (490 + 250) / 950 = 77.9%, and the best arm has 78.9%
    ruler = {"common": {"no": 500}, "middle": {"yes": 250}, "rare": {"other": 200}}
    f = found(telling(("ruler", ruler)), "MR009")
    assert f.severity == "warning"
    assert "ruler (100.0% of all lesions)" in f.text
    perfect = edited(
        results_of(GOOD), metrics={"accuracy": Estimate(value=0.995, low=0.985, high=1)}
    )
    assert found(perfect, "MR009").severity == "warning"
    shared = results_of(GOOD)
    assert shared.data.proof is not None
    proof = shared.data.proof.model_copy(update={"shared_groups": 3})
    shared = shared.model_copy(update={"data": shared.data.model_copy(update={"proof": proof})})
    assert found(shared, "MR009").severity == "error"


def test_mr010_copies_are_counted_in_the_probabilities() -> None:
    rng = np.random.default_rng(1)
    p, truth = rng.dirichlet([1, 1, 1], 300), rng.integers(0, 3, 300)
    assert found(milkreport.evaluate(p, truth), "MR010").severity == "passed"
    p[200:220], truth[200:220] = p[:20], truth[:20]
    f = found(milkreport.evaluate(p, truth), "MR010")
    assert f.severity == "warning"
    assert f.text.startswith("40 of 300 test cases have the same label")
    old = results_of(GOOD).model_copy(update={"copies": None})
    assert found(old, "MR010").severity == "not applicable"


def test_mr011_says_what_cannot_be_claimed() -> None:
    few = [[80, 10, 10], [8, 40, 2], [1, 1, 2]]
    f = found(results_of(few), "MR011")
    assert f.severity == "warning"
    # Clopper and Pearson's lower end of 4 of 4: 0.025 to the power of a quarter.
    assert "rare (4); the recall of rare may be as low as 0.40" in f.text
    assert "each is one of the 3 equal terms" in f.text
    assert found(results_of(GOOD), "MR011").severity == "passed"
    plain = results_of(few).model_copy(update={"primary_metric": "accuracy"})
    assert found(plain, "MR011").severity == "note"


def with_curves(*losses: list[float | None], train: list[float | None] | None = None) -> Results:
    results = results_of(GOOD)
    curves = [
        Curve(seed=s, fold=0, columns={"train_loss": train or loss, "test_loss": loss})
        for s, loss in enumerate(losses)
    ]
    arm = results.arms[0].model_copy(update={"curves": curves})
    return results.model_copy(update={"arms": [arm]})


def test_mr012_diverged_still_falling_and_ended() -> None:
    ended: list[float | None] = [1 + math.exp(-t / 6) for t in range(50)]
    falling: list[float | None] = [2 - t / 50 for t in range(50)]
    assert found(with_curves(ended), "MR012").severity == "passed"
    f = found(with_curves(falling), "MR012")
    assert f.severity == "warning"
    assert still_falling(Curve(seed=0, fold=0, columns={"test_loss": falling})) == pytest.approx(
        (10 / 50) / (49 / 50)
    )
    assert found(with_curves(ended, train=[1.0, None, 1.0]), "MR012").severity == "error"
    assert found(with_curves(ended, train=[1.0, 2.0, 40.0]), "MR012").severity == "error"
    assert found(with_curves(ended[:9]), "MR012").severity == "not applicable"
    # A held-out loss that rises again is over-fitted, not unfinished.
    rising: list[float | None] = [1 + math.exp(-t / 6) + t / 100 for t in range(50)]
    assert found(with_curves(rising), "MR012").severity == "passed"


def test_mr013_figures_outside_the_interval() -> None:
    results = samples.sample_results()
    verdict = samples.sample_verdict(results)
    told = outside_interval(verdict)
    assert told is not None
    f = found(results, "MR013", published=told)
    assert (
        f.severity == "warning"
    )  # the sampler's figures differ by 0.04, their intervals are 0.006 wide
    assert "3 of 9 figures" in f.text

    def near(row: CheckRow) -> CheckRow:
        return row.model_copy(update={"low": -0.05, "high": 0.05, "difference": 0.0})

    same = verdict.model_copy(update={"rows": [near(row) for row in verdict.rows]})
    passed = outside_interval(same)
    assert passed is not None
    assert passed.severity == "passed"
    assert outside_interval(None) is None
    assert outside_interval(verdict.model_copy(update={"kind": "earlier run"})) is None


def test_an_interval_is_widened_for_many_looks() -> None:
    # 2.1 standard errors: beyond one look (1.96), within two (2.24) and within thirteen (2.89).
    assert excludes(2.1, 2.1 - 1.96, 2.1 + 1.96, 0, 1)
    assert not excludes(2.1, 2.1 - 1.96, 2.1 + 1.96, 0, 2)
    assert excludes(2.9, 2.9 - 1.96, 2.9 + 1.96, 0, 13)
    assert not excludes(2.85, 2.85 - 1.96, 2.85 + 1.96, 0, 13)
    assert excludes(-2.3, -2.3 - 1.96, -2.3 + 1.96, 0, 2)


def test_page_one_has_the_three_worst_and_the_section_all() -> None:
    findings = [
        Finding(code="MR001", title="", severity="note", text="A."),
        Finding(code="MR002", title="", severity="warning", text="B."),
        Finding(code="MR003", title="", severity="error", text="C.", muted="known"),
        Finding(code="MR004", title="", severity="warning", text="D."),
        Finding(code="MR005", title="", severity="error", text="E."),
        Finding(code="MR006", title="", severity="passed", text="F.", muted="nothing to mute"),
    ]
    assert [f.code for f in worst(findings)] == ["MR005", "MR002", "MR004"]
    view = build_review(results_of(GOOD).model_copy(update={"findings": findings}))
    assert [f.code for f in view.worst] == ["MR005", "MR002", "MR004"]
    assert [f.code for f in view.open] == ["MR005", "MR002", "MR004", "MR001"]
    assert [(f.code, f.badge.word) for f in view.rest] == [("MR003", "muted"), ("MR006", "passed")]
    assert view.more == "the worst three; one more in the section of this name"
    assert reaches(findings, "error")
    assert not reaches(findings[:4], "error")
    assert reaches(findings[:4], "warning")
    assert not reaches([findings[0], findings[2]], "warning")


def test_old_results_without_findings_get_them_when_drawn() -> None:
    old = results_of(GOOD)
    assert not old.findings
    view = build_review(old)
    assert len(view.open) + len(view.rest) == len(RULES)


@pytest.mark.parametrize(
    ("code", "reason", "said"),
    [("MR11", "few", "did you mean MR011?"), ("MRO11", "few", "did you mean MR011?"),
     ("nonsense", "few", "codes are MR001"), ("MR011", " ", "MR011 is muted without a reason")],
)  # fmt: skip
def test_a_mute_needs_a_known_code_and_a_reason(code: str, reason: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said.replace("?", r"\?")):
        check_mute(code, reason)


def test_mutes_of_options_and_suites() -> None:
    assert parse_mutes(["mr011=few = by design"]) == {"MR011": "few = by design"}
    suite = load_suite("quick", ["findings.mute.MR011=few by design"])
    assert suite.findings.mute == {"MR011": "few by design"}
    assert suite.with_mutes({"MR003": "known"}).findings.mute == {
        "MR011": "few by design",
        "MR003": "known",
    }
    # What is muted changes no training: neither the settings that a resumed run compares, nor their hash.
    assert suite.fingerprint() == load_suite("quick").fingerprint()
    assert suite.flat() == load_suite("quick").flat()
    assert build_suite(suite.model_dump()) == suite
    with pytest.raises(ConfigError, match="did you mean MR011"):
        load_suite("quick", ["findings.mute.MR11=x"])
    f = found(results_of([[80, 10, 10], [8, 40, 2], [1, 1, 2]]), "MR011", muted=suite.findings.mute)
    assert (f.severity, f.muted, f.is_open) == ("warning", "few by design", False)


def test_every_kind_of_results_is_reviewed() -> None:
    nothing = samples.sample_results()
    arms = [arm.model_copy(update={"parts": [], "curves": []}) for arm in nothing.arms]
    nothing = nothing.model_copy(update={"arms": arms, "comparison": None})
    assert {f.severity for f in review(nothing).findings} == {"not applicable"} | {
        found(nothing, "MR012").severity
    }
    for results in (
        samples.sample_results(failed=True),
        samples.sample_results(seeds=3, folds=2, synthetic=True),
        samples.two_classes(),
        samples.many_classes(),
        samples.many_arms(6),
    ):
        assert len(review(results).findings) == len(RULES)
