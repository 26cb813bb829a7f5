"""Checks: like with like, with uncertainty, and with controls that must fail."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import t

from milkreport.checks.audit.matrices_check import audit_matrices
from milkreport.checks.earlier import check_earlier
from milkreport.checks.formats import as_annotations
from milkreport.checks.published import check_published
from milkreport.checks.reference import Frozen, Reference, load_reference
from milkreport.checks.statements import Figure
from milkreport.checks.verdict import (
    CheckRow,
    Status,
    Verdict,
    decide,
    exit_code,
    overall_status,
)
from milkreport.errors import ConfigError
from milkreport.evaluation.evaluate import evaluate_arms
from milkreport.evaluation.metrics.definitions import CLASS_DEFINITIONS, DEFINITIONS
from milkreport.evaluation.metrics.measures import Plan
from milkreport.evaluation.pooled_predictions import CaseFacts
from milkreport.evaluation.reading.predictions import Predictions
from milkreport.evaluation.records.data import DataSummary
from milkreport.evaluation.records.results import ArmResult, Results
from milkreport.evaluation.summarise import summarise_part
from milkreport.suite.suite import load_suite

ARMS = ("baseline", "weighted_loss", "sampler")
CLASSES = tuple(load_reference("paper").classes)


def expand(counts: np.ndarray) -> Predictions:
    """Predictions that have a given confusion matrix."""
    truth = np.repeat(np.arange(11), counts.sum(axis=1))
    predicted = np.concatenate([np.repeat(np.arange(11), row) for row in counts])
    return make(truth, predicted)


def make(truth: np.ndarray, predicted: np.ndarray) -> Predictions:
    # Digits differ from case to case, as a model's do: equal rows would be copies or labels.
    probabilities = 0.02 + 0.002 * np.random.default_rng(0).random((len(truth), 11))
    probabilities[np.arange(len(truth)), predicted] = 0
    probabilities[np.arange(len(truth)), predicted] = 1 - probabilities.sum(axis=1)
    ids = np.array([f"case{i:05d}" for i in range(len(truth))])
    return Predictions(ids, truth, probabilities, CLASSES)


def results(
    arms: dict[str, Predictions], synthetic: bool = False, name: str = "MILK10k"
) -> Results:
    data = DataSummary(
        name=name, synthetic=synthetic, licence="", attribution="", unit="case", units="cases",
        views=[], n_found=0, n_used=0, n_images=0, image_size=256, cleaning="paper",
        exclusions=[], class_counts=dict.fromkeys(CLASSES, 0),
    )  # fmt: skip
    return Results(
        suite="s", title="t", question="q?", primary_metric="macro_f1", split_rule="",
        status="complete", classes=list(CLASSES), definitions=DEFINITIONS | CLASS_DEFINITIONS,
        data=data, splits=[],
        arms=[
            ArmResult(name=arm, title=arm, description="", correction="none",
                      parts=[summarise_part("test", {(0, 0): p}), summarise_part("train", {(0, 0): p})])
            for arm, p in arms.items()
        ],
    )  # fmt: skip


SETTINGS = load_suite("paper").flat()


@pytest.fixture(scope="module")
def published() -> dict[str, Predictions]:
    matrices, _ = audit_matrices(load_reference("paper"))
    return {arm: expand(matrices[arm, "test"].counts) for arm in ARMS}


def test_the_papers_own_matrices_never_fail_against_its_figures(published) -> None:
    verdict = check_published(results(published), SETTINGS, load_reference("paper"))
    rows = {(r.arm, r.metric): r for r in verdict.rows if r.part == "test" and r.arm in ARMS}
    assert len(rows) == 9
    assert {r.status for r in rows.values()} <= {Status.PASS, Status.INCONCLUSIVE}
    for row in rows.values():
        assert row.low < 0 < row.high
    assert {r.status for r in verdict.rows if r.part == "train"} == {Status.NOT_CHECKED}


def test_shuffled_predictions_fail(published) -> None:
    """Negative control: the labels of the cases lose their meaning."""
    rng = np.random.default_rng(0)
    shuffled = {arm: make(p.truth, rng.permutation(p.predicted)) for arm, p in published.items()}
    verdict = check_published(results(shuffled), SETTINGS, load_reference("paper"))
    failed = {(r.arm, r.metric) for r in verdict.rows if r.status is Status.FAIL}
    assert ("baseline", "accuracy") in failed
    assert verdict.status is Status.FAIL
    assert exit_code(verdict) == 1


def test_perfect_predictions_pass_with_a_warning(published) -> None:
    perfect = {arm: make(p.truth, p.truth) for arm, p in published.items()}
    verdict = check_published(results(perfect), SETTINGS, load_reference("paper"))
    assert verdict.counts == {"PASS": 9, "FAIL": 0, "INCONCLUSIVE": 0, "NOT CHECKED": 12}
    assert len(verdict.warnings) == 9
    assert "leak" in verdict.warnings[0]
    assert exit_code(verdict) == 0


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"data.image_size": 64}, "data.image_size is 64, not 256"),
        ({"training.epochs": 10}, "training.epochs is 10, not 50"),
        ({"split.kind": "kfold"}, "split.kind is kfold, not support"),
        ({"split.test_support.MEL": 82}, "split.test_support.MEL is 82, not 83"),
        ({"training.select": "best_validation"}, "training.select"),
    ],
)
def test_unlike_protocols_are_not_checked(published, change, reason) -> None:
    verdict = check_published(results(published), SETTINGS | change, load_reference("paper"))
    assert {row.status for row in verdict.rows} == {Status.NOT_CHECKED}
    assert all(reason in row.reason for row in verdict.rows if row.arm in ARMS)
    assert verdict.rows[0].difference is not None  # shown, not judged
    assert exit_code(verdict) == 5


@pytest.mark.slow
def test_other_data_and_synthetic_data_are_not_checked(published) -> None:
    reference = load_reference("paper")
    other = check_published(results(published, name="HAM10000"), SETTINGS, reference)
    assert "the data is HAM10000, not MILK10k" in other.rows[0].reason
    made = check_published(results(published, synthetic=True), SETTINGS, reference)
    assert {row.status for row in made.rows} == {Status.NOT_CHECKED}
    assert made.rows[0].ours is None


def test_a_missing_arm_is_not_checked_and_listed(published) -> None:
    verdict = check_published(
        results({"baseline": published["baseline"]}), SETTINGS, load_reference("paper")
    )
    missing = [r for r in verdict.rows if r.arm == "sampler"]
    assert {r.reason for r in missing} == {"this run has no arm sampler; it has baseline"}


def test_decisions_follow_the_bounds() -> None:
    assert decide(-0.03, 0.5, 0.03)[0] is Status.PASS
    assert decide(-0.2, -0.031, 0.03)[0] is Status.FAIL
    assert decide(-0.2, -0.03, 0.03)[0] is Status.INCONCLUSIVE
    assert decide(float("nan"), 0.5, 0.03)[0] is Status.NOT_CHECKED
    assert decide(float("-inf"), float("inf"), 0.03)[0] is Status.NOT_CHECKED


def test_printed_values_keep_their_rounding() -> None:
    figure = Figure(arm="a", part="test", metric="accuracy", printed="0.58", stands="")
    assert figure.bounds("rounded") == pytest.approx((0.575, 0.585))
    assert figure.bounds("rounded or cut") == pytest.approx((0.575, 0.59))
    finer = Figure(arm="a", part="test", metric="accuracy", printed="0.580", stands="")
    assert finer.bounds("rounded") == pytest.approx((0.5795, 0.5805))


def test_percent_is_refused(tmp_path) -> None:
    text = load_reference.__globals__["resource_folder"]("experiments") / "references/paper.toml"
    bad = tmp_path / "bad.toml"
    bad.write_text(text.read_text().replace('"0.59"', '"59"', 1))
    with pytest.raises(ConfigError, match="a percentage is written with its sign"):
        load_reference(str(bad))
    with pytest.raises(ConfigError, match="did you mean paper?"):
        load_reference("papr")


def test_exit_codes_and_the_overall_status() -> None:
    def verdict(*statuses: Status) -> Verdict:
        rows = [
            CheckRow(arm="a", part="test", metric="m", printed="", reference=None, ours=None,
                     status=s, reason="") for s in statuses
        ]  # fmt: skip
        return Verdict(reference="r", title="", source="", kind="", rows=rows,
                       status=overall_status(rows))  # fmt: skip

    p, f, i, n = Status.PASS, Status.FAIL, Status.INCONCLUSIVE, Status.NOT_CHECKED
    for statuses, code, strict, overall in (
        ((p, p), 0, 0, p), ((p, n), 0, 0, p), ((p, i), 5, 5, i), ((p, f), 1, 1, f),
        ((i,), 5, 5, i), ((n,), 5, 5, n), ((), 5, 5, n),
    ):  # fmt: skip
        found = verdict(*statuses)
        assert (exit_code(found), exit_code(found, strict=True)) == (code, strict)
        assert found.status is overall


# --- against an earlier run -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def earlier() -> Predictions:
    rng = np.random.default_rng(1)
    truth = np.repeat(np.arange(11), 470)
    wrong = (truth + rng.integers(1, 11, len(truth))) % 11
    return make(truth, np.where(rng.random(len(truth)) < 0.6, truth, wrong))


def reference_of(before: Results, **changes: object) -> Reference:
    """The four usual metrics of a run, as ``reference new`` freezes them."""
    headline = ("accuracy", "balanced_accuracy", "macro_f1", "weighted_f1")
    part = before.arms[0].part("test")
    values = {
        "name": "earlier", "title": "t", "source": "own run", "data": "MILK10k",
        "classes": before.classes, "split": "", "rounding": "exact", "margin": 0.03,
        "margin_reason": "a test",
        "rules": [rule_of(m) for m in (*headline, "recall")],
        "figures": [
            {"arm": "baseline", "part": "test", "metric": m, "printed": repr(part.metrics[m].value)}
            for m in headline
        ],
        "frozen": Frozen(
            suite="s", settings="a", data="b", milkreport="0", environment={}, synthetic=False,
            history=[{"created": "2026-01-01", "reason": "a test"}],
        ),
    }  # fmt: skip
    return Reference.model_validate(values | changes)


def rule_of(metric: str) -> dict[str, str]:
    d = (DEFINITIONS | CLASS_DEFINITIONS)[metric]
    keys = ("metric", "decision", "averaging", "zero_division", "better")
    return {key: getattr(d, key) for key in keys}


def compare(
    now: Predictions, before: Predictions, unlike: tuple[str, ...] = ("other settings",), **changes
) -> Verdict:
    return check_earlier(
        results({"baseline": now}), reference_of(results({"baseline": before}), **changes),
        {"baseline": {(0, 0): now}}, {"baseline": {(0, 0): before}}, unlike, CaseFacts(),
    )  # fmt: skip


def worsen(p: Predictions, share: float) -> Predictions:
    """The same predictions with a share of all cases, right before, now wrong."""
    right = np.flatnonzero(p.predicted == p.truth)
    rng = np.random.default_rng(2)
    lost = rng.choice(right, round(share * len(p.truth)), replace=False)
    predicted = p.predicted.copy()
    predicted[lost] = (p.truth[lost] + 1) % 11
    return make(p.truth, predicted)


@pytest.mark.slow
def test_a_run_against_itself_passes_exactly_and_does_not_improve(earlier) -> None:
    verdict = compare(earlier, earlier)
    assert verdict.status is Status.PASS
    assert {(r.difference, r.low, r.high, r.reason) for r in verdict.rows} == {
        (0.0, 0.0, 0.0, "identical predictions")
    }
    assert verdict.warnings == []


@pytest.mark.slow
def test_a_drop_of_ten_points_fails_and_a_tenth_of_a_point_does_not(earlier) -> None:
    large, small = compare(worsen(earlier, 0.10), earlier), compare(worsen(earlier, 0.001), earlier)
    by_metric = {r.metric: r for r in large.rows}
    assert by_metric["accuracy"].difference == pytest.approx(-0.10, abs=1e-3)
    assert by_metric["accuracy"].status is Status.FAIL
    assert by_metric["macro_f1"].status is Status.FAIL
    assert {r.status for r in small.rows} == {Status.PASS}


@pytest.mark.slow
def test_swapped_columns_fail(earlier) -> None:
    swapped = Predictions(
        earlier.case_ids, earlier.truth, earlier.probabilities[:, ::-1], earlier.classes
    )
    assert compare(swapped, earlier).status is Status.FAIL


@pytest.mark.slow
def test_other_cases_or_labels_are_not_checked(earlier) -> None:
    fewer = Predictions(
        earlier.case_ids[1:], earlier.truth[1:], earlier.probabilities[1:], earlier.classes
    )
    reasons = {r.reason for r in compare(fewer, earlier).rows}
    assert reasons == {"other test cases: 0 here alone, 1 there"}
    relabelled = Predictions(
        earlier.case_ids, (earlier.truth + 1) % 11, earlier.probabilities, earlier.classes
    )
    reasons = {r.reason for r in compare(relabelled, earlier).rows}
    assert reasons == {f"other labels of {len(earlier.truth):,} test cases"}


@pytest.mark.slow
def test_both_sides_of_a_row_are_over_the_shared_seeds(earlier) -> None:
    better, worse = earlier, worsen(earlier, 0.05)
    here = {"baseline": {(0, 0): worse, (1, 0): better}}
    there = {"baseline": {(0, 0): better}}
    verdict = check_earlier(
        results({"baseline": worse}),
        reference_of(results({"baseline": better})),
        here,
        there,
        ["other settings"],
        CaseFacts(),
    )
    for row in verdict.rows:
        assert row.difference == pytest.approx(row.ours - row.reference)
    accuracy = next(r for r in verdict.rows if r.metric == "accuracy")
    assert accuracy.difference == pytest.approx(-0.05, abs=1e-3)  # seed 1 is not in the other run
    assert "1 shared seed" in accuracy.reason


@pytest.mark.slow
def test_the_same_settings_must_give_the_same_bits(earlier) -> None:
    same = compare(earlier, earlier, unlike=())
    first = same.rows[0]
    assert (first.metric, first.status, first.reason) == (
        "predictions",
        Status.PASS,
        "the same to the bit",
    )
    values = earlier.probabilities.copy()
    values[7] += 1e-12
    nearly = Predictions(earlier.case_ids, earlier.truth, values, earlier.classes)
    verdict = compare(nearly, earlier, unlike=())
    assert verdict.rows[0].status is Status.FAIL
    assert f"1 of {len(earlier.truth):,} predictions differ" in verdict.rows[0].reason
    assert {r.status for r in verdict.rows[1:]} == {Status.PASS}  # no metric is worse
    assert exit_code(verdict) == 1
    # With other settings nobody asks for the same bits.
    assert [r.metric for r in compare(nearly, earlier).rows].count("predictions") == 0


@pytest.mark.slow
def test_another_definition_is_refused_by_its_own_exit_code(earlier) -> None:
    rules = [rule_of(m) for m in ("accuracy", "balanced_accuracy", "macro_f1", "weighted_f1")]
    rules[2]["zero_division"] = "a class never predicted has F1 1"
    verdict = compare(earlier, earlier, rules=rules)
    row = next(r for r in verdict.rows if r.metric == "macro_f1")
    assert row.status is Status.NOT_CHECKED
    assert row.refused
    assert "zero division is 'F1 = 2TP/(2TP+FP+FN)" in row.reason
    assert exit_code(verdict) == 2
    assert [r.status for r in verdict.rows].count(Status.PASS) == 3


@pytest.mark.slow
def test_no_verdict_on_a_class_of_few_cases(earlier) -> None:
    figures = [
        {"arm": "baseline", "part": "test", "metric": "recall", "class_name": c, "printed": "0.6"}
        for c in CLASSES[:2]
    ]
    kept = np.sort(
        np.r_[np.flatnonzero(earlier.truth != 1), np.flatnonzero(earlier.truth == 1)[:49]]
    )
    fewer = Predictions(
        earlier.case_ids[kept], earlier.truth[kept], earlier.probabilities[kept], CLASSES
    )
    many, few = compare(fewer, fewer, figures=figures).rows
    assert (many.status, many.class_name) == (Status.PASS, "AKIEC")
    assert (few.status, few.class_name) == (Status.NOT_CHECKED, "BCC")
    assert few.reason == "no verdict on 49 cases of BCC: fewer than 50"
    right = earlier.predicted == earlier.truth
    assert many.ours == pytest.approx(right[earlier.truth == 0].mean())


@pytest.mark.slow
def test_a_loss_is_better_when_it_is_lower(earlier) -> None:
    figures = [{"arm": "baseline", "part": "test", "metric": "log_loss", "printed": "1.0"}]
    changes = {"figures": figures, "rules": [rule_of("log_loss")], "margin": 0.1}
    rng = np.random.default_rng(3)
    truth = earlier.truth
    p = rng.dirichlet(np.ones(11), len(truth)) * 0.4
    p[np.arange(len(truth)), truth] += 0.6
    blunt = 0.5 * p + 0.5 / 11
    sharp, dull = (Predictions(earlier.case_ids, truth, v, CLASSES) for v in (p, blunt))
    worse = compare(dull, sharp, **changes).rows[0]
    assert worse.difference > 0.1
    assert worse.status is Status.FAIL
    better = compare(sharp, dull, **changes)
    assert better.rows[0].status is Status.PASS
    assert "look for a leak" in better.warnings[-1]


@pytest.mark.slow
def test_fewer_seeds_than_asked_for_are_inconclusive(earlier, published) -> None:
    verdict = compare(earlier, earlier, min_seeds=5)
    assert {r.status for r in verdict.rows} == {Status.INCONCLUSIVE}
    assert verdict.rows[0].reason == "1 of 5 seeds that the reference asks for"
    paper = load_reference("paper").model_copy(update={"min_seeds": 3})
    found = check_published(results(published), SETTINGS, paper)
    judged = [r for r in found.rows if r.low is not None]
    assert len(judged) == 9
    assert {r.status for r in judged} == {Status.INCONCLUSIVE}


@pytest.mark.slow
def test_the_spread_over_trainings_widens_the_interval(published) -> None:
    reference = load_reference("paper")
    one = check_published(results(published), SETTINGS, reference)
    p = published["baseline"]
    rng = np.random.default_rng(5)
    cells = {}
    for seed in range(3):
        answers = np.where(rng.random(len(p.truth)) < 0.1, p.truth, p.predicted)
        cells[seed, 0] = make(p.truth, answers)
    base = results(published)
    arm = base.arms[0].model_copy(update={"parts": [summarise_part("test", cells)]})
    three = check_published(
        base.model_copy(update={"arms": [arm, *base.arms[1:]]}), SETTINGS, reference
    )
    assert "one training per arm" in one.remarks[0]

    def width(verdict: Verdict) -> float:
        row = next(r for r in verdict.rows if (r.arm, r.part, r.metric) == (
            "baseline", "test", "accuracy"))  # fmt: skip
        return row.high - row.low

    # Student's t for 2 degrees of freedom, times the spread of one training (theirs); ours is in the
    # estimate.
    sd = arm.parts[0].metrics["accuracy"].seed_sd
    assert width(three) > width(one)
    assert width(three) >= 2 * 4.3 * sd * np.sqrt(1 + 1 / 3)


@pytest.mark.slow
def test_figures_of_other_splits_are_compared_and_of_other_data_never(published) -> None:
    paper = load_reference("paper")
    settings = SETTINGS | {"training.epochs": 10}
    other = paper.model_copy(update={"comparable": "other split"})
    verdict = check_published(results(published), settings, other)
    assert verdict.counts["NOT CHECKED"] < len(verdict.rows) - 3
    foreign = paper.model_copy(update={"comparable": "other data"})
    found = check_published(results(published), SETTINGS, foreign)
    reasons = {r.reason for r in found.rows if r.arm in ARMS}
    assert reasons == {"unlike the reported protocol: the figure is of other data"}


def test_classes_in_another_order_are_the_same_classes(earlier) -> None:
    order = list(np.random.default_rng(0).permutation(11))
    names = tuple(CLASSES[i] for i in order)
    turned = earlier.ordered(names)
    assert turned.probabilities.tolist() == earlier.probabilities[:, order].tolist()
    assert [names[t] for t in turned.truth] == [CLASSES[t] for t in earlier.truth]
    reference = reference_of(results({"baseline": earlier}), classes=list(names))
    verdict = check_earlier(
        results({"baseline": earlier}), reference, {"baseline": {(0, 0): earlier}},
        {"baseline": {(0, 0): turned}}, ["other settings"], CaseFacts(),
    )  # fmt: skip
    assert {(r.status, r.difference) for r in verdict.rows} == {(Status.PASS, 0.0)}
    with pytest.raises(ValueError, match="not the same classes"):
        earlier.ordered(names[:-1])


@pytest.mark.slow
def test_the_spread_over_many_trainings_takes_students_t(published) -> None:
    reference = load_reference("paper")
    base = results(published)
    part = base.arms[0].part("test")

    def accuracy(n_seeds: int, sd: float) -> CheckRow:
        metrics = part.metrics | {
            "accuracy": part.metrics["accuracy"].model_copy(update={"seed_sd": sd})
        }
        seeds = part.model_copy(update={"n_seeds": n_seeds, "metrics": metrics})
        arm = base.arms[0].model_copy(update={"parts": [seeds]})
        found = check_published(base.model_copy(update={"arms": [arm]}), SETTINGS, reference)
        return next(r for r in found.rows if (r.arm, r.part, r.metric) == (
            "baseline", "test", "accuracy"))  # fmt: skip

    alone = accuracy(1, 0.0)
    figure = next(f for f in reference.figures if f.key == ("baseline", "test", "accuracy", ""))
    rounding = figure.bounds(reference.rounding)[1] - figure.value
    cases = alone.difference - rounding - alone.low
    for n_seeds in (2, 5, 10, 12, 30):
        # Our own share is in the run's interval already; one training of theirs remains.
        trainings = t.ppf(0.975, n_seeds - 1) * 0.05
        expected = alone.difference - rounding - np.hypot(cases, trainings)
        assert accuracy(n_seeds, 0.05).low == pytest.approx(expected, abs=1e-6), n_seeds


def test_another_decision_rule_is_not_compared_as_if_it_were_argmax(earlier) -> None:
    """The run has the archive's macro F1, but predictions are paired by argmax alone."""
    few = earlier.take(np.arange(0, len(earlier.truth), 20))
    cells = {(0, 0): few}
    plan = Plan(rules=("isic",), n_resamples=50)
    parts, _ = evaluate_arms({"baseline": {"test": cells}}, plan)
    ours = results({"baseline": few})
    ours = ours.model_copy(
        update={"arms": [ours.arms[0].model_copy(update={"parts": parts["baseline"]})]}
    )
    archive = next(rule for rule in parts["baseline"][0].rules if rule.rule == "isic")
    asked = {"decision": archive.decision, "zero_division": archive.zero_division}
    figure = {"arm": "baseline", "part": "test", "metric": "macro_f1", "printed": "0.5"}
    reference = reference_of(ours, figures=[figure], rules=[rule_of("macro_f1") | asked])
    found = check_earlier(
        ours, reference, {"baseline": cells}, {"baseline": cells}, ["other settings"], CaseFacts()
    )
    (row,) = found.rows
    assert (row.status, row.refused, row.ours) == (Status.NOT_CHECKED, True, None)
    assert "another decision rule" in row.reason
    assert found.warnings == []
    assert exit_code(found) == 2


def test_an_annotation_names_the_reference(earlier) -> None:
    figures = [{"arm": "baseline", "part": "test", "metric": "accuracy", "printed": "0.9"}]
    changed = compare(earlier, earlier, figures=figures)
    assert "its predictions give" in changed.warnings[0]
    (said,) = [line for line in as_annotations(changed) if "its predictions give" in line]
    assert said.startswith("::warning title=against earlier::")
