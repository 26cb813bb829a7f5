"""The audit: what was found in the paper by hand, and on made-up publications what was put into them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from sklearn.metrics import accuracy_score, f1_score

from milkreport.checks.audit.audit import audit
from milkreport.checks.audit.findings import Audit, Finding, Outcome
from milkreport.checks.audit.matrices import complete, consensus, read_matrix
from milkreport.checks.audit.matrices_check import audit_matrices
from milkreport.checks.audit.ranking import describe_ranking
from milkreport.checks.audit.rounding import Batches, find_counts, is_cut, is_rounded
from milkreport.checks.reference import Reference, load_reference
from milkreport.evaluation.metrics.definitions import DEFINITIONS
from tests.conftest import Command

CLASSES = ["a", "b", "c", "d"]
METRICS = ("accuracy", "macro_f1", "weighted_f1")


def publish(matrices: dict[str, np.ndarray], /, **changes: object) -> Reference:
    """A publication of these matrices, its figures by scikit-learn, rounded to four digits."""
    figures = []
    for arm, counts in matrices.items():
        truth, answers = (
            np.repeat(axis.ravel(), counts.ravel()) for axis in np.indices(counts.shape)
        )
        values = {
            "accuracy": accuracy_score(truth, answers),
            "macro_f1": f1_score(truth, answers, average="macro", zero_division=0),
            "weighted_f1": f1_score(truth, answers, average="weighted", zero_division=0),
        }
        figures += [
            {"arm": arm, "part": "test", "metric": m, "printed": f"{v:.4f}"}
            for m, v in values.items()
        ]
    rules = [
        {
            key: getattr(DEFINITIONS[m], key)
            for key in ("metric", "decision", "averaging", "zero_division")
        }
        for m in METRICS
    ]
    first = next(iter(matrices.values()))
    values = {
        "name": "made-up", "title": "Made up", "source": "a test", "data": "none", "split": "one",
        "classes": CLASSES[: len(first)], "rounding": "rounded", "margin": 0.03,
        "margin_reason": "a test", "rules": rules, "n": {"test": int(first.sum())},
        "figures": figures,
        "matrices": [
            {"arm": arm, "part": "test", "rows": counts.tolist()} for arm, counts in matrices.items()
        ],
    }  # fmt: skip
    return Reference.model_validate(values | changes)


def draw(rng: np.random.Generator, support: list[int]) -> np.ndarray:
    """A matrix in which every class is answered, with these row sums."""
    k = len(support)
    p = 0.6 * np.eye(k) + 0.4 / k
    return np.stack([rng.multinomial(n, row) for n, row in zip(support, p, strict=True)])


def of(found: Audit, outcome: Outcome) -> list[Finding]:
    return found.of(outcome)


# --- the order of the models ----------------------------------------------------------------------


def test_an_order_that_the_matrices_turn_around_is_named() -> None:
    rng = np.random.default_rng(3)
    matrices = {"one": draw(rng, [60, 40]), "two": draw(rng, [60, 40])}
    matrices["one"][0] += [5, -5]  # one is ahead by its matrix
    honest = publish(matrices)
    said = describe_ranking(audit(honest))
    assert said.startswith("Recomputed from the confusion matrices, the order of the models stays")
    accuracy = {a: float(np.trace(m) / m.sum()) for a, m in matrices.items()}
    assert accuracy["one"] > accuracy["two"]
    swapped = [
        f.model_copy(update={"printed": f"{accuracy['two' if f.arm == 'one' else 'one']:.4f}"})
        if f.metric == "accuracy"
        else f
        for f in honest.figures
    ]
    said = describe_ranking(audit(honest.model_copy(update={"figures": swapped})))
    assert "changes in test accuracy: one " in said.lower()
    assert f"{accuracy['two']:.4f} and {accuracy['one']:.4f} are printed" in said
    alone = publish({"one": matrices["one"]})
    assert describe_ranking(audit(alone)) == ""


# --- the paper -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def paper() -> Audit:
    return audit(load_reference("paper"))


def one(found: Audit, **wanted: str) -> Finding:
    (finding,) = [f for f in found.findings if all(getattr(f, k) == v for k, v in wanted.items())]
    return finding


def metric(found: Audit, arm: str, name: str, part: str = "test") -> Finding:
    return next(
        f for f in found.findings
        if (f.topic, f.arm, f.metric, f.part) == ("metric", arm, name, part)
    )  # fmt: skip


def test_it_finds_in_the_paper_what_was_found_by_hand(paper: Audit) -> None:
    accuracies = {"baseline": 0.5886, "weighted_loss": 0.2469, "sampler": 0.5829}
    for arm, value in accuracies.items():
        finding = metric(paper, arm, "accuracy")
        assert finding.outcome is Outcome.DIFFERS
        assert finding.value == pytest.approx(value, abs=5e-5)
    for arm, macro, weighted in (
        ("baseline", 0.1250, 0.4529),
        ("weighted_loss", 0.1013, 0.2269),
        ("sampler", 0.1632, 0.4930),
    ):
        for name, value in (("macro_f1", macro), ("weighted_f1", weighted)):
            finding = metric(paper, arm, name)
            assert finding.outcome is Outcome.AGREES
            assert finding.value == pytest.approx(value, abs=5e-5)
    assert metric(paper, "baseline", "accuracy").notes[0] == (
        "would agree if truncated, but elsewhere the source rounds: 0.163186 is printed 0.1632"
    )
    assert metric(paper, "sampler", "accuracy").notes[0] == "would not agree if truncated either"


def test_it_reads_the_misprinted_matrix_and_finds_the_case_that_lacks(paper: Audit) -> None:
    broken = [f for f in paper.findings if f.topic == "matrix" and f.outcome is Outcome.DIFFERS]
    assert {f.arm for f in broken} == {"weighted_loss"}
    shape, sums, total = broken
    assert "12 rows are printed for 11 classes" in shape.what
    assert "up to before MEL" in shape.what
    assert sums.what.endswith("MAL_OTH 1 (not 2)")
    assert (
        "2 of 3) agree if the missing case of MAL_OTH was predicted as BKL or SCCKA"
        in sums.notes[-1]
    )
    assert total.what == "1,037 cases in all, not 1,038"
    # The reading is that of the notes: the spare zero taken out before MEL.
    matrix = next(m for m in paper.matrices if m.arm == "weighted_loss")
    assert matrix.counts[7] == [0, 3, 0, 11, 0, 0, 0, 55, 0, 10, 4]
    assert np.sum(matrix.counts) == 1037


def test_it_holds_what_the_paper_says_against_its_numbers(paper: Audit) -> None:
    claims = {f.what.split("”")[0][1:]: f for f in paper.findings if f.topic == "claim"}
    best = claims["highest test accuracy"]
    assert best.outcome is Outcome.DIFFERS
    assert best.what.endswith("holds as printed, does not hold by the confusion matrices")
    assert "0.5829 (Model 2, weighted random sampler), 0.5886 (Model 0, baseline)" in best.notes[1]
    slight = claims["class weighting led to a slight increase in macro F1"]
    assert slight.outcome is Outcome.DIFFERS
    assert "it would hold on the train part" in slight.notes[-1]
    assert claims["highest weighted F1 among all models tested"].outcome is Outcome.AGREES
    earlier = claims["improved feature representation compared to the earlier baselines"]
    assert earlier.outcome is Outcome.DIFFERS
    assert "0.32 (Logistic regression on metadata)" in earlier.notes[0]
    assert (
        claims["higher overall accuracy compared to the earlier baselines"].outcome
        is Outcome.CANNOT_TELL
    )


def test_it_names_what_is_questionable_and_what_can_t_be_told(paper: Audit) -> None:
    odd = [f for f in of(paper, Outcome.QUESTIONABLE) if f.topic == "behaviour"]
    assert [f.arm for f in odd] == ["weighted_loss", "sampler", "sampler"]
    assert odd[1].what.startswith(
        "never predicts 6 of 11 classes (AKIEC, BEN_OTH, DF, INF, MAL_OTH, VASC)"
    )
    assert odd[2].what.startswith("predicts BCC, the most frequent class, in 76% of the cases (51%")
    assert metric(paper, "baseline", "macro_f1", "train").outcome is Outcome.CANNOT_TELL
    # What nobody had looked at: no count of 4,151 is printed 0.2524, and 1,048 would be if truncated.
    trained = metric(paper, "weighted_loss", "accuracy", "train")
    assert trained.outcome is Outcome.QUESTIONABLE
    assert trained.notes[0] == "would agree if truncated: 1,048 of 4,151"
    assert pytest.approx(0.25247, abs=1e-5) == 1048 / 4151


def test_counts_of_the_paper_add_up(paper: Audit) -> None:
    counts = [f for f in paper.findings if f.topic == "count"]
    assert [f.outcome for f in counts] == [Outcome.AGREES] * 3
    assert counts[1].value == 5189


# --- any publication -----------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_a_sound_publication_has_nothing_against_it(seed: int) -> None:
    rng = np.random.default_rng(seed)
    support = rng.integers(20, 200, 4).tolist()
    found = audit(publish({"one": draw(rng, support), "two": draw(rng, support)}))
    assert {f.outcome for f in found.findings} == {Outcome.AGREES}
    assert len(found.findings) == 2 * 3 + 2 * 3


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_one_changed_cell_is_found(seed: int) -> None:
    rng = np.random.default_rng(seed)
    support = rng.integers(20, 200, 4).tolist()
    matrices = {arm: draw(rng, support) for arm in ("one", "two", "three")}
    sound = publish(matrices)
    row, column = rng.integers(0, 4, 2)
    rows = [m.model_dump() for m in sound.matrices]
    rows[1]["rows"][row][column] += 7
    found = audit(
        Reference.model_validate(sound.model_dump(exclude_none=True) | {"matrices": rows})
    )
    wrong = [f for f in of(found, Outcome.DIFFERS) if f.topic == "matrix"]
    assert {f.arm for f in wrong} == {"two"}
    assert f"{CLASSES[row]} {support[row] + 7:,} (not {support[row]:,})" in wrong[0].what
    assert wrong[0].notes == ["the matrix has 7 cases too many"]
    assert [f for f in of(found, Outcome.DIFFERS) if f.topic == "metric" and f.arm == "two"]


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), index=st.integers(0, 5), steps=st.integers(2, 90))
def test_one_changed_number_is_found_and_no_other(seed: int, index: int, steps: int) -> None:
    rng = np.random.default_rng(seed)
    support = rng.integers(20, 200, 4).tolist()
    sound = publish({"one": draw(rng, support), "two": draw(rng, support)})
    figures = [f.model_dump(exclude_none=True) for f in sound.figures]
    figures[index]["printed"] = f"{float(figures[index]['printed']) - steps / 10_000:.4f}"
    changed = sound.model_dump(exclude_none=True) | {"figures": figures}
    found = audit(Reference.model_validate(changed))
    (wrong,) = of(found, Outcome.DIFFERS)
    assert (wrong.arm, wrong.metric) == (figures[index]["arm"], figures[index]["metric"])
    assert wrong.printed == figures[index]["printed"]


def test_a_cut_number_is_told_from_a_wrong_one() -> None:
    counts = np.array([[50, 10], [5, 34]])  # 84 of 99: 0.848484...
    sound = publish({"one": counts})
    assert sound.figures[0].printed == "0.8485"
    for printed, note in (
        ("0.8484", "would agree if truncated"),
        ("0.8483", "would not agree if truncated either"),
    ):
        figures = [f.model_dump(exclude_none=True) for f in sound.figures]
        figures[0]["printed"] = printed
        changed = sound.model_dump(exclude_none=True) | {"figures": figures}
        (wrong,) = of(audit(Reference.model_validate(changed)), Outcome.DIFFERS)
        assert wrong.notes[0].startswith(note)


def test_sums_shares_and_repeats() -> None:
    base = publish({"one": draw(np.random.default_rng(0), [30, 40, 50, 60])})
    first = base.figures[0]
    found = audit(
        Reference.model_validate(
            base.model_dump(exclude_none=True)
            | {
                "sums": [
                    {"what": "s", "total": 10, "parts": {"a": 3, "b": 7}},
                    {"what": "t", "total": 11, "parts": {"a": 3, "b": 7}},
                ],
                "shares": [
                    {"what": "u", "part": 1, "whole": 3, "printed": "0.33"},
                    {"what": "v", "part": 2, "whole": 3, "printed": "0.66"},
                ],
                "repeats": [
                    first.model_dump(exclude_none=True)
                    | {"printed": first.printed[:4], "rounding": "about"},
                    first.model_dump(exclude_none=True) | {"printed": "0.0100"},
                ],
            }
        )
    )
    wrong = of(found, Outcome.DIFFERS)
    assert [f.what.split(":")[0] for f in wrong[:2]] == ["t", "v"]
    assert wrong[1].notes == ["would agree if truncated"]
    assert wrong[2].printed == "0.0100"
    assert len(wrong) == 3


def test_two_matrices_that_contradict_each_other_tell_nothing_of_which_is_wrong() -> None:
    rng = np.random.default_rng(0)
    found = audit(publish({"one": draw(rng, [30, 40]), "two": draw(rng, [31, 39])}))
    assert "the source does not say what its rows must add up to" in {
        f.what for f in found.findings
    }
    support = {"test": {"a": 30, "b": 40}}
    told = audit(publish({"one": draw(rng, [30, 40]), "two": draw(rng, [31, 39])}, support=support))
    wrong = [f for f in of(told, Outcome.DIFFERS) if f.topic == "matrix"]
    assert {f.arm for f in wrong} == {"two"}


@pytest.mark.parametrize("stated", [True, False])
def test_a_matrix_with_the_predicted_classes_in_rows_is_read_so_and_said(stated: bool) -> None:
    rng, support = np.random.default_rng(5), [60, 30, 20, 10]
    true = {"one": draw(rng, support), "other": draw(rng, support)}
    sound = publish(true)
    turned = [m.model_copy(update={"rows": np.array(m.rows).T.tolist()}) for m in sound.matrices]
    counts = {"test": dict(zip(CLASSES, support, strict=True))} if stated else {}
    reference = sound.model_copy(update={"matrices": turned, "support": counts})
    found = audit(reference)
    assert not of(found, Outcome.DIFFERS)
    shapes = [f for f in of(found, Outcome.QUESTIONABLE) if "predicted classes in rows" in f.what]
    assert [f.arm for f in shapes] == ["one", "other"]
    assert "3 of the 3 printed metrics agree; as printed, 2" in shapes[0].notes[0]
    assert [m.counts for m in found.matrices] == [m.tolist() for m in true.values()]
    # A matrix whose rows are the support is never turned, whatever its metrics.
    figures = [f.model_copy(update={"printed": "0.1234"}) for f in sound.figures]
    kept = audit(sound.model_copy(update={"figures": figures, "support": counts}))
    assert [m.counts for m in kept.matrices] == [m.tolist() for m in true.values()]


def _of_recalls(metric: str, **figure: str) -> dict[str, object]:
    rule = {"metric": metric, "decision": "argmax", "averaging": "one class against the others",
            "zero_division": "none"}  # fmt: skip
    one = {"arm": "x", "part": "test", "metric": metric, "class_name": "a", "printed": "0.5"}
    return {"rules": [rule], "figures": [one | figure], "matrices": []}


@pytest.mark.parametrize(
    ("written", "kept"),
    [("Sensitivity", "recall"), ("ppv", "precision"), ("AUROC", "auc"), ("f1-score", "f1")],
)
def test_a_metric_has_its_usual_names(written: str, kept: str) -> None:
    reference = publish({"x": np.eye(4, dtype=int)}, **_of_recalls(written), primary=f"{written}:a")
    assert reference.figures[0].metric == reference.rules[0].metric == kept
    assert reference.primary == f"{kept}:a"
    # And what can be recomputed is.
    counts = np.array([[3, 1, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    sound = publish({"x": counts})
    figure = {
        "arm": "x",
        "part": "test",
        "metric": "sensitivity",
        "class_name": "a",
        "printed": "0.75",
    }
    values = sound.model_dump() | {
        "rules": _of_recalls("sensitivity")["rules"],
        "figures": [figure],
    }
    assert metric(audit(Reference.model_validate(values)), "x", "recall").outcome is Outcome.AGREES


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (_of_recalls("recal"), "unknown metric 'recal'; did you mean recall?"),
        (_of_recalls("sensitivity", class_name=""), "is of one class: add class_name, or write macro_recall"),
        (_of_recalls("recall", class_name="aa"), "class_name 'aa' is not declared; did you mean a?"),
        (_of_recalls("recall", arm="basline")
         | {"arms": [{"name": "baseline", "title": "B"}]},
         "arm 'basline' is not declared; did you mean baseline?"),
        (_of_recalls("recall") | {"matrices": [{"arm": "xx", "part": "test", "rows": []}]},
         "matrices: arm 'xx' is not declared; did you mean x?"),
        (_of_recalls("recall") | {"primary": "recall:b"},
         "primary recall:b has no figure; did you mean recall:a?"),
        (_of_recalls("recall", printed="0,5"), "write a decimal point"),
    ],
)  # fmt: skip
def test_a_misspelt_name_is_refused_with_the_nearest(changes: dict, said: str) -> None:
    with pytest.raises(ValidationError) as refused:
        publish({"x": np.eye(4, dtype=int)}, **changes)
    assert said in str(refused.value)


def test_a_metric_that_is_not_known_may_stand() -> None:
    for name in ("top_5_accuracy", "micro_f1", "net_reclassification"):
        reference = publish({"x": np.eye(4, dtype=int)}, **_of_recalls(name, class_name=""))
        assert metric(audit(reference), "x", name).outcome is Outcome.CANNOT_TELL


@pytest.mark.parametrize(
    ("written", "kept"), [("87.6%", "0.876"), ("87.60 %", "0.8760"), ("5%", "0.05")]
)
def test_a_percentage_is_the_fraction_it_is(written: str, kept: str) -> None:
    reference = publish({"x": np.eye(4, dtype=int)}, **_of_recalls("recall", printed=written))
    assert reference.figures[0].printed == kept


def test_unreadable_matrices_are_said_to_be_so() -> None:
    base = publish({"one": draw(np.random.default_rng(0), [30, 40, 50])})
    for rows in ([[1, 2], [3, 4]], [[1, 2, 3], [4, 5], [6, 7, 8]], [[1, 2, 3, 4]] * 3):
        matrices = [{"arm": "one", "part": "test", "rows": rows}]
        changed = base.model_dump(exclude_none=True) | {"matrices": matrices}
        found = audit(Reference.model_validate(changed))
        assert "can't be read as a matrix of 3 classes" in of(found, Outcome.DIFFERS)[0].what
        assert not found.matrices


# --- the parts -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("printed", "value", "rounded", "cut"),
    [
        ("0.58", 0.5886, False, True),
        ("0.59", 0.5886, True, False),
        ("0.125", 0.1250, True, True),
        ("0.125", 0.1255, True, True),
        ("0.12", 0.125, True, True),
        ("0.13", 0.125, True, False),
        ("-0.12", -0.128, False, True),
        ("-0.12", -0.119, True, False),
    ],
)
def test_what_a_print_stands_for(printed: str, value: float, rounded: bool, cut: bool) -> None:
    assert (is_rounded(printed, value), is_cut(printed, value)) == (rounded, cut)


@settings(max_examples=200, deadline=None)
@given(n=st.integers(1, 3000), data=st.data(), digits=st.integers(1, 5))
def test_the_count_behind_a_print_is_always_among_those_found(n: int, data, digits: int) -> None:
    k = data.draw(st.integers(0, n))
    rounded, cut = find_counts(f"{k / n:.{digits}f}", n)
    assert k in rounded
    floor = int(k / n * 10**digits + 1e-9) / 10**digits
    assert k in find_counts(f"{floor:.{digits}f}", n)[1]
    assert all(0 <= c <= n for c in (*rounded, *cut))


def test_a_mean_over_batches() -> None:
    # 70 cases by 32: two full batches and one of 6.
    batches = Batches(70, 32)
    assert (batches.whole, batches.last) == (2, 6)
    right, means = batches.means(40)
    assert right.tolist() == [0, 1, 2, 3, 4, 5, 6]
    # 4 of the last 6 right: 36 of 64 in the others.
    assert means[4] == pytest.approx((18 / 32 + 18 / 32 + 4 / 6) / 3)
    # Nearly all right: the full batches hold 64 at most.
    assert Batches(70, 32).means(68)[0].tolist() == [4, 5, 6]


def test_a_spare_zero_is_taken_out_where_all_rows_have_one() -> None:
    rows = [[5, 0, 0, 1], [2, 0, 0, 7], [1, 1, 8]]
    readings = read_matrix(rows, ["a", "b", "c"])
    (only,) = readings
    assert only.counts.tolist() == [[5, 0, 1], [2, 0, 7], [1, 1, 8]]
    assert "the one before b (leaving out another up to before c gives the same)" in only.repairs[0]
    assert len(read_matrix([[0, 5, 0, 1], [0, 2, 0, 7], [1, 1, 8]], ["a", "b", "c"])) == 2


def test_completions_have_the_support_and_as_few_changes_as_can_be() -> None:
    counts = np.array([[3, 1], [0, 4]])
    found = complete(counts, np.array([4, 6]), ["a", "b"])
    assert sorted(c.counts.tolist() for c in found) == [
        [[3, 1], [0, 6]], [[3, 1], [1, 5]], [[3, 1], [2, 4]],
    ]  # fmt: skip
    assert [c.assumed for c in found] == [("a and a",), ("a and b",), ("b and b",)]
    fewer = complete(counts, np.array([4, 3]), ["a", "b"])
    assert [c.counts.tolist() for c in fewer] == [[[3, 1], [0, 3]]]
    assert complete(counts, np.array([9, 4]), ["a", "b"]) == []
    assert consensus({"x": np.array([1, 2]), "y": np.array([1, 3]), "z": np.array([1, 2])}) == (
        pytest.approx([1, 2])
    )
    assert consensus({"x": np.array([1, 2])}) is None


def test_the_matrices_readings_are_what_checks_use() -> None:
    matrices, _ = audit_matrices(load_reference("paper"))
    assert {key: int(m.counts.sum()) for key, m in matrices.items()} == {
        ("baseline", "test"): 1038,
        ("weighted_loss", "test"): 1037,
        ("sampler", "test"): 1038,
    }


# --- the command ---------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_command_shows_writes_and_exits_with_0(milkreport: Command, tmp_path) -> None:
    done = milkreport("audit", "paper", "--json", "--out", "out", "--no-pdf")
    assert done.returncode == 0
    found = Audit.model_validate_json(done.stdout)
    assert found.counts["DIFFERS"] == 9
    assert json.loads((tmp_path / "out/audit.json").read_text()) == json.loads(done.stdout)
    page = (tmp_path / "out/audit.html").read_text(encoding="utf-8")
    assert "Audit: Skin Lesion Classification" in page
    # The first three of them stand on the first page too, with one badge that explains the word.
    assert page.count('class="badge fail"') == 9 + 3 + 1
    assert "was predicted as BKL or SCCKA" in page
    plain = milkreport("audit", "paper")
    assert plain.stdout == ""
    assert "9 DIFFERS, 5 QUESTIONABLE, 13 CAN'T BE TOLD, 26 AGREES" in plain.stderr
    unknown = milkreport("audit", "papr")
    assert unknown.returncode == 2
    assert "did you mean paper?" in unknown.stderr


def test_text_of_a_reference_opens_no_markup(milkreport: Command, tmp_path) -> None:
    base = publish(
        {"one": draw(np.random.default_rng(0), [30, 40])}, title="<script>alert(1)</script>"
    )
    from milkreport.checks.reference import as_toml

    (tmp_path / "r.toml").write_text(as_toml(base), encoding="utf-8")
    assert milkreport("audit", "r.toml", "--out", "out", "--no-pdf").returncode == 0
    page = (tmp_path / "out/audit.html").read_text(encoding="utf-8")
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page
