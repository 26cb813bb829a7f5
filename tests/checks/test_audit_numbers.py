"""Numbers without a matrix: decided as by trying every matrix; honest prints are never called impossible."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from milkreport.checks.audit.audit import audit, without_matrices
from milkreport.checks.audit.enclosure import Setting, Statement
from milkreport.checks.audit.findings import Audit, Finding, Outcome, Verdict
from milkreport.checks.audit.margins import Margins
from milkreport.checks.audit.means import decide_means
from milkreport.checks.audit.possible import bound, decide
from milkreport.checks.audit.program import Program, Status, total, without_output
from milkreport.checks.audit.standing import weigh_order
from milkreport.checks.reference import Reference, load_reference, shipped_references
from milkreport.checks.statements import Figure
from milkreport.evaluation.metrics.confusion import score_classes, score_confusion

OVERALL = (
    "accuracy", "balanced_accuracy", "macro_f1", "weighted_f1", "macro_precision",
    "weighted_precision", "kappa", "mcc", "macro_specificity",
)  # fmt: skip


def every_matrix(k: int, n: int) -> np.ndarray:
    """All k x k matrices of n cases in which every class has one: int64 (m, k, k)."""

    def fill(cells: int, left: int) -> Iterator[list[int]]:
        if cells == 1:
            yield [left]
            return
        for value in range(left + 1):
            for rest in fill(cells - 1, left - value):
                yield [value, *rest]

    found = np.array([*fill(k * k, n)], np.int64).reshape(-1, k, k)
    return found[(found.sum(axis=2) > 0).all(axis=1)]


def publish(figures: list[dict[str, Any]], **changes: Any) -> Reference:
    classes = changes.pop("classes", ["a", "b", "c"])
    values = {
        "name": "made-up", "title": "Made up", "source": "a test", "data": "none", "split": "one",
        "classes": classes, "rounding": "rounded", "margin": 0.03, "margin_reason": "a test",
        "figures": [{"arm": "x", "part": "test"} | f for f in figures],
    }  # fmt: skip
    return Reference.model_validate(values | changes)


def numbers(found: Audit) -> Finding:
    (finding,) = [f for f in found.findings if f.topic == "numbers" and f.verdict]
    return finding


# --- which matrices are possible -------------------------------------------------------------------


@pytest.mark.parametrize(("k", "n", "seed"), [(2, 7, 0), (2, 7, 1), (3, 4, 2), (3, 4, 3)])
def test_it_decides_as_by_trying_every_matrix(k: int, n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    matrices = every_matrix(k, n)
    overall, classes = score_confusion(matrices), score_classes(matrices)
    decided = {True: 0, False: 0}
    for _ in range(8):
        chosen = int(rng.integers(len(matrices)))
        known = rng.random() < 0.6
        support = tuple(int(s) for s in matrices[chosen].sum(axis=1)) if known else None
        unit = 10.0 ** -int(rng.integers(1, 4))
        fits = np.ones(len(matrices), bool)
        if support is not None:
            fits &= (matrices.sum(axis=2) == np.array(support)).all(axis=1)
        statements = []
        names = (
            OVERALL if known else ("accuracy", "balanced_accuracy", "macro_f1", "macro_precision")
        )
        for name in rng.choice(names, 2, replace=False):
            value = overall[name][chosen]
            if not np.isfinite(value):
                continue
            wrong = rng.normal() * 3 * unit if rng.random() < 0.4 else 0.0
            printed = round((value + wrong) / unit) * unit
            statements.append(Statement(str(name), printed - unit / 2, printed + unit / 2))
            fits &= np.abs(np.nan_to_num(overall[name], nan=-9) - printed) <= unit / 2 + 1e-9
        value = np.nan_to_num(classes["recall"][chosen, 0])
        statements.append(Statement("recall", value - unit / 2, value + unit / 2, 0))
        fits &= np.abs(np.nan_to_num(classes["recall"][:, 0]) - value) <= unit / 2 + 1e-9
        with without_output():
            found = decide(Setting(k, n, support), statements)
        assert found.status is (Status.FEASIBLE if fits.any() else Status.INFEASIBLE)
        decided[bool(fits.any())] += 1
    assert min(decided.values()) >= 1


def test_an_example_prints_what_was_asked_by_the_definitions() -> None:
    rng = np.random.default_rng(5)
    counts = np.stack([rng.multinomial(n, [0.2, 0.5, 0.2, 0.1]) for n in (40, 400, 60, 10)])
    named = ("accuracy", "macro_f1", "weighted_f1", "mcc", "kappa", "balanced_accuracy")
    values = {name: float(score_confusion(counts)[name]) for name in named}
    statements = [Statement(m, round(v, 3) - 5e-4, round(v, 3) + 5e-4) for m, v in values.items()]
    support = tuple(counts.sum(axis=1).tolist())
    with without_output():
        found = decide(Setting(4, None, support), statements)
    assert found.status is Status.FEASIBLE
    assert found.example is not None
    for name, value in values.items():
        assert found.example.value(name) == pytest.approx(value, abs=1.1e-3)


@pytest.mark.parametrize("name", OVERALL)
def test_margins_hold_every_metric(name: str) -> None:
    rng = np.random.default_rng(3)
    counts = rng.integers(0, 30, (5, 5))
    margins = Margins(
        *(np.asarray(x, float) for x in (counts.sum(1), counts.sum(0), np.diagonal(counts)))
    )
    assert margins.value(name) == pytest.approx(float(score_confusion(counts)[name]))


def test_bounds_hold_every_matrix_and_are_reached() -> None:
    matrices = every_matrix(3, 6)
    matrices = matrices[(matrices.sum(axis=2) == [3, 2, 1]).all(axis=1)]
    right = score_confusion(matrices)["accuracy"] == 0.5
    values = score_confusion(matrices[right])["macro_f1"]
    with without_output():
        found = bound(
            Setting(3, None, (3, 2, 1)), [Statement("accuracy", 0.495, 0.505)], "macro_f1"
        )
    assert found is not None
    assert found[0] <= values.min() + 1e-9
    assert found[1] >= values.max() - 1e-9
    # The enclosure is wider than the matrices, and not much.
    assert found == pytest.approx((values.min(), values.max()), abs=0.1)


def test_a_program_with_no_room_is_not_called_infeasible() -> None:
    program = Program()
    parts = [program.add_variable(0, 1e5) for _ in range(6)]
    program.require(total(parts) * 0.98355, 0.98355e5, 0.98355e5)
    program.require(parts[0] * 1e5 - parts[1] * 99999.9, 0, 0)
    assert program.solve().status is Status.FEASIBLE
    program.require(parts[2] + parts[3], 1.2e5)
    assert program.solve().status is Status.INFEASIBLE


# --- findings --------------------------------------------------------------------------------------

#: 30 + 40 + 30 cases; 24, 20 and 27 right; 30, 30 and 40 predictions.
COUNTS = np.array([[24, 3, 3], [4, 20, 16], [2, 1, 27]])
SUPPORT = {"a": 30, "b": 40, "c": 30}


def table(digits: int = 2) -> list[dict[str, Any]]:
    values = score_classes(COUNTS)
    shown = [
        {"metric": m, "class_name": c, "printed": f"{values[m][i]:.{digits}f}"}
        for m in ("precision", "recall", "f1")
        for i, c in enumerate(SUPPORT)
    ]
    overall = score_confusion(COUNTS)
    return shown + [
        {"metric": m, "printed": f"{float(overall[m]):.{digits}f}"}
        for m in ("accuracy", "macro_f1", "weighted_f1", "macro_precision")
    ]


def test_an_honest_table_is_possible() -> None:
    found = audit(publish(table(), support={"test": SUPPORT}, n={"test": 100}))
    assert numbers(found).verdict is Verdict.POSSIBLE
    assert numbers(found).outcome is Outcome.AGREES
    assert not found.of(Outcome.DIFFERS)


def test_a_changed_number_is_narrowed_to_what_excludes_it() -> None:
    figures = table(3)
    (f1,) = [f for f in figures if (f["metric"], f.get("class_name")) == ("f1", "b")]
    f1["printed"] = "0.751"  # 2·20/(40 + 24) = 0.625
    stated = {"support": {"test": SUPPORT}, "n": {"test": 100}, "mean_over": {"test": 1}}
    found = numbers(audit(publish(figures, **stated)))
    assert found.verdict is Verdict.IMPOSSIBLE
    assert found.outcome is Outcome.DIFFERS
    assert "F1 of b 0.751" in found.what
    assert "of a" not in found.what
    assert any("0.751" in line for line in found.arithmetic)
    assert found.settle.startswith("ask for")


def test_a_weighted_average_printed_as_macro_is_explained() -> None:
    figures = table(3)
    (macro,) = [f for f in figures if f["metric"] == "macro_precision"]
    macro["printed"] = f"{float(score_confusion(COUNTS)['weighted_precision']):.3f}"
    found = numbers(audit(publish(figures, support={"test": SUPPORT}, mean_over={"test": 1})))
    assert found.verdict is Verdict.ONLY_IF
    assert "the printed macro precision is the weighted precision" in found.what


def test_cut_digits_are_an_explanation_and_no_contradiction() -> None:
    values, overall = score_classes(COUNTS), score_confusion(COUNTS)
    figures = [
        {"metric": m, "class_name": c, "printed": f"{np.floor(values[m][i] * 1000) / 1000:.3f}"}
        for m in ("precision", "recall", "f1")
        for i, c in enumerate(SUPPORT)
    ]
    figures += [
        {"metric": "macro_f1", "printed": f"{np.floor(overall['macro_f1'] * 1000) / 1000:.3f}"}
    ]
    found = audit(publish(figures, support={"test": SUPPORT}, mean_over={"test": 1}))
    assert not found.of(Outcome.DIFFERS)
    singles = [f for f in found.findings if f.topic == "metric" and f.verdict is Verdict.ONLY_IF]
    together = [f for f in found.findings if f.topic == "numbers" and f.verdict is Verdict.ONLY_IF]
    assert singles or together


def test_a_share_off_the_grid_is_impossible_only_of_a_single_test() -> None:
    figures = [{"metric": "accuracy", "printed": "0.7594"}]
    open_ = audit(publish(figures, n={"test": 479}))
    (alone,) = [f for f in open_.findings if f.metric == "accuracy" and f.verdict]
    assert alone.outcome is Outcome.QUESTIONABLE
    assert alone.arithmetic == ["363/479 = 0.757829; 364/479 = 0.759916; printed 0.7594"]
    single = audit(publish(figures, n={"test": 479}, mean_over={"test": 1}))
    assert [f.verdict for f in single.findings if f.verdict] == [Verdict.IMPOSSIBLE]
    means = audit(publish(figures, n={"test": 479}, mean_over={"test": 5}))
    assert not [f for f in means.findings if f.outcome in (Outcome.DIFFERS, Outcome.QUESTIONABLE)]


def test_means_keep_to_the_harmonic_mean() -> None:
    def stated(f1: float) -> list[Statement]:
        values = {"macro_precision": 0.80, "macro_recall": 0.60, "macro_f1": f1}
        return [Statement(m, v - 0.005, v + 0.005) for m, v in values.items()]

    # 2·0.8·0.6/1.4 = 0.686
    assert decide_means(3, stated(0.68)).status is Status.FEASIBLE
    assert decide_means(3, stated(0.72)).status is Status.INFEASIBLE
    assert decide_means(3, stated(0.30)).status is Status.INFEASIBLE


@pytest.mark.parametrize("seed", range(6))
def test_fold_means_of_honest_models_are_never_impossible(seed: int) -> None:
    rng = np.random.default_rng(seed)
    cells = np.repeat(np.arange(9), COUNTS.ravel())
    parts = np.array_split(rng.permutation(cells), 7)
    each = [np.bincount(p, minlength=9).reshape(3, 3) for p in parts]
    names = ("accuracy", "macro_f1", "macro_precision", "macro_recall", "weighted_f1")
    figures = [
        {"metric": m, "printed": f"{np.nanmean([score_confusion(e)[m] for e in each]):.4f}"}
        for m in names
    ]
    for stated in ({}, {"mean_over": {"test": 7}}):
        found = audit(publish(figures, n={"test": 100}, **stated))
        assert not found.of(Outcome.DIFFERS)


def test_the_paper_without_its_matrices_is_not_accused_of_what_they_show() -> None:
    found = audit(without_matrices(load_reference("paper")))
    assert not found.matrices
    judged = [f for f in found.findings if f.topic == "numbers" and f.part == "test" and f.verdict]
    assert {f.arm for f in judged} >= {"baseline", "weighted_loss", "sampler"}
    assert all(f.verdict is not Verdict.IMPOSSIBLE for f in judged)


def test_every_shipped_reference_loads_and_names_its_source() -> None:
    names = shipped_references()
    assert len(names) >= 7
    for name in names - {"paper"}:
        reference = load_reference(name)
        assert "http" in reference.source
        assert all(f.stands for f in reference.figures)


# --- would the claim stand -------------------------------------------------------------------------


def _share(printed: str) -> Figure:
    return Figure(arm="x", part="test", metric="accuracy", printed=printed)


def test_the_order_is_weighed_as_by_drawing_from_prior_and_posterior() -> None:
    found = weigh_order([_share("0.800")], [_share("0.750")], [1000])
    assert found is not None
    # 800 and 750 right, 650 of them in common; draws weighted by the prior of 2 points.
    rng = np.random.default_rng(1)
    both = 550 + 0.5 * 200
    drawn = rng.dirichlet([both + 1, 801 - both, 751 - both, both - 549], 400_000)
    gap = drawn[:, 1] - drawn[:, 2]
    weight = np.exp(-0.5 * (gap / 0.02) ** 2)
    assert weight[gap <= 0].sum() / weight.sum() == pytest.approx(found.usual[0], abs=0.005)
    assert found.least <= found.usual[2] < found.usual[1] < found.usual[0] < found.most
    assert found.enough is not None
    n = found.enough
    sides = [_share(f"{round(share * n) / n:.6f}") for share in (0.8, 0.75)]
    again = weigh_order(sides[:1], sides[1:], [n])
    assert again is not None
    assert again.usual[0] == pytest.approx(0.05, abs=0.03)


def test_a_balanced_accuracy_is_weighed_over_its_classes() -> None:
    """One class twice is that class with its mean; a small class makes it less sure."""
    better, other = [_share("0.80"), _share("0.60")], [_share("0.70"), _share("0.50")]
    large = weigh_order(better, other, [500, 500])
    small = weigh_order(better, other, [500, 10])
    assert large is not None
    assert small is not None
    assert large.usual[1] < 0.01 < small.usual[1] < 0.5
    assert large.least <= large.usual[2] <= large.usual[1] <= large.usual[0] <= large.most
    single = weigh_order([_share("0.80")], [_share("0.75")], [100])
    exact = weigh_order([_share("0.80")], [_share("0.75")], [100])
    assert single is not None
    assert exact is not None
    assert single.usual[1] == pytest.approx(exact.usual[1], abs=0.01)
    assert small.enough is not None
    assert small.enough > 510
    assert weigh_order([_share("0.33")], [_share("0.75")], [2]) is None


def test_coarse_digits_make_an_order_less_sure() -> None:
    coarse, fine = (
        weigh_order([_share("0.8")], [_share("0.7")], [200]),
        weigh_order([_share("0.800")], [_share("0.700")], [200]),
    )
    assert coarse is not None
    assert fine is not None
    assert coarse.usual[0] > 0.3 > 0.15 > fine.usual[0]


def test_equal_shares_never_stand() -> None:
    found = weigh_order([_share("0.80")], [_share("0.80")], [500])
    assert found is not None
    assert found.usual[1] == pytest.approx(0.5)
    assert found.enough is None


def test_a_claim_may_name_a_class_and_says_whether_it_stands() -> None:
    figures = [
        {"arm": "x", "metric": "sensitivity", "class_name": "a", "printed": "0.80"},
        {"arm": "y", "metric": "recall", "class_name": "a", "printed": "0.77"},
    ]
    claim = {
        "text": "x finds more of a", "arm": "x", "part": "test", "metric": "sensitivity",
        "class_name": "a", "relation": "higher",
    }  # fmt: skip
    values: dict[str, Any] = {"support": {"test": {"a": 30, "b": 20, "c": 10}}, "claims": [claim]}
    found = [f for f in audit(publish(figures, **values)).findings if f.topic == "claim"]
    assert [f.outcome for f in found] == [Outcome.AGREES, Outcome.QUESTIONABLE]
    assert "false with a probability of at most about" in found[1].what
    for wrong in ({"class_name": "d"}, {"metric": "sensitivty"}, {"arm": "z"}):
        with pytest.raises(ValueError, match="did you mean|known: |not declared"):
            publish(figures, **values | {"claims": [claim | wrong]})


def test_of_many_numbers_the_class_that_excludes_itself_is_named() -> None:
    """Forty classes, 120 numbers: one precision that its recall, F1 and cases do not allow."""
    classes = [f"c{i}" for i in range(40)]
    figures = [
        {"arm": "a", "part": "test", "metric": m, "class_name": c, "printed": "0.50"}
        for c in classes
        for m in ("precision", "recall", "f1")
    ]
    figures[9]["printed"] = "0.90"
    values = {
        "name": "m", "title": "M", "source": "s", "data": "none", "classes": classes, "split": "one",
        "rounding": "rounded", "margin": 0.03, "margin_reason": "n", "n": {"test": 800},
        "support": {"test": dict.fromkeys(classes, 20)}, "figures": figures, "mean_over": {"test": 1},
    }  # fmt: skip
    found = audit(Reference.model_validate(values))
    said = [f for f in found.findings if f.topic == "numbers" and f.verdict]
    assert [f.verdict for f in said] == [Verdict.IMPOSSIBLE]
    assert said[0].what.startswith("precision of c3 0.90")
