"""Tables as other people made them: the numbers of the tidy form, or one line that refuses."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    average_precision_score,
    balanced_accuracy_score,
    f1_score,
    log_loss,
    recall_score,
    roc_auc_score,
)
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import milkreport
from milkreport.errors import ConfigError, NeedsOption
from milkreport.evaluation.reading.arm_names import name_of_file
from milkreport.evaluation.reading.class_names import in_order, match_names, tidy_labels
from milkreport.evaluation.reading.inputs import EvaluationInputs, load_inputs
from milkreport.evaluation.reading.options import TableOptions, join_names, split_names
from milkreport.runs.folder import RunFolder
from milkreport.tables import load_table
from tests.conftest import Command

CLASSES = ["malignant", "benign"]
THREE = ["AK", "BCC", "MEL"]


@pytest.fixture(scope="module")
def cancer() -> tuple[np.ndarray, np.ndarray]:
    """Labels of the breast cancer data, 1 is benign, and P(benign) out of fold."""
    x, y = load_breast_cancer(return_X_y=True)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.001))
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    return y, cross_val_predict(model, x[:, :4], y, cv=folds, method="predict_proba")[:, 1]


@pytest.fixture(scope="module")
def tidy(cancer) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The same as milkreport's own form: an id, a column per class, a label."""
    y, p = cancer
    ids = [f"case-{i:03d}" for i in range(len(y))]
    frame = pd.DataFrame({"case_id": ids, "malignant": 1 - p, "benign": p})
    return frame, pd.DataFrame({"case_id": ids, "label": np.array(CLASSES)[y]})


@pytest.fixture(scope="module")
def three() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Three classes, 120 cases, tidy."""
    rng = np.random.default_rng(4)
    truth = rng.choice(3, 120)
    values = rng.dirichlet(np.ones(3), 120) * 0.6 + 0.4 * np.eye(3)[truth]
    frame = pd.DataFrame(values, columns=THREE)
    frame.insert(0, "case_id", [f"c{i:03d}" for i in range(120)])
    return frame, pd.DataFrame({"case_id": frame["case_id"], "label": np.array(THREE)[truth]})


def read(frame, truth, **said) -> EvaluationInputs:
    return load_inputs(frame, truth, options=TableOptions(**said))


def assert_same(
    found: EvaluationInputs, frame: pd.DataFrame, truth: pd.DataFrame, names=None
) -> None:
    """The values and labels of the tidy form, whatever the classes are called."""
    expected = load_inputs(frame, truth).first
    order = [expected.classes.index(name) for name in (names or found.classes)]
    assert found.first.probabilities == pytest.approx(expected.probabilities[:, order], abs=1e-15)
    labels = [order[t] for t in found.first.truth]
    assert labels == expected.truth.tolist()


# Ids and labels ---------------------------------------------------------------------------------------


def test_ids_and_labels_under_other_names(three) -> None:
    frame, truth = three
    mine = frame.rename(columns={"case_id": "image_name"})
    other = truth.rename(columns={"case_id": "file", "label": "diagnosis"}).assign(age=40)
    found = read(mine, other, ids=("image_name", "file"), label="diagnosis")
    assert_same(found, frame, truth)
    assert found.notes == ()
    # Named once where both call it alike; the known names serve where it is not there.
    both = truth.rename(columns={"case_id": "image_name"})
    assert_same(read(mine, both, ids=("image_name",)), frame, truth)
    assert_same(read(mine, truth, ids=("image_name",)), frame, truth)
    # One table may hold everything.
    whole = mine.merge(both).rename(columns={"label": "diagnosis"})
    assert_same(read(whole, whole, ids=("image_name",), label="diagnosis"), frame, truth)


def test_an_index_without_a_name(three, tmp_path: Path) -> None:
    frame, truth = three
    frame.to_csv(tmp_path / "p.csv")
    truth.to_csv(tmp_path / "t.csv")
    found = load_inputs(tmp_path / "p.csv", tmp_path / "t.csv")
    assert_same(found, frame, truth)
    assert found.notes == ()  # row numbers
    frame.rename_axis(None).to_csv(tmp_path / "twice.csv")
    pd.read_csv(tmp_path / "twice.csv").to_csv(tmp_path / "again.csv", index=False)  # "Unnamed: 0"
    assert_same(load_inputs(tmp_path / "again.csv", tmp_path / "t.csv"), frame, truth)


def test_an_index_without_a_name_may_be_the_ids(three, tmp_path: Path) -> None:
    frame, truth = three
    frame.set_index("case_id").rename_axis(None).to_csv(tmp_path / "p.csv")
    truth.set_index("case_id").rename_axis(None).to_csv(tmp_path / "t.csv")
    found = load_inputs(tmp_path / "p.csv", tmp_path / "t.csv")
    assert_same(found, frame, truth)
    assert found.notes == ("p.csv, t.csv: ids: the first column, which has no name",)
    # Row numbers are no ids unless somebody says so.
    frame.drop(columns="case_id").to_csv(tmp_path / "p.csv")
    truth.drop(columns="case_id").to_csv(tmp_path / "t.csv")
    with pytest.raises(
        NeedsOption, match="if row numbers are the ids of all tables, add --id"
    ) as no:
        load_inputs(tmp_path / "p.csv", tmp_path / "t.csv")
    assert no.value.options == ("--id", "Unnamed: 0")
    found = read(tmp_path / "p.csv", tmp_path / "t.csv", ids=("Unnamed: 0",))
    assert len(found.first.truth) == 120
    # Compared by class counts: the order of "0", "1", "10" is another one.
    assert found.class_counts == load_inputs(frame, truth).class_counts


# Two classes ------------------------------------------------------------------------------------------

SINGLE = {
    "prob": ("prob", [0, 1], {}, ["0", "1"]),
    "score": ("score", ["no", "yes"], {}, ["no", "yes"]),
    "p of a class": ("p_benign", CLASSES, {}, ["benign", "malignant"]),
    "p of the first class": ("p_malignant", CLASSES, {}, ["benign", "malignant"]),
    "a class itself": ("benign", CLASSES, {}, ["benign", "malignant"]),
    "positive": ("y_score", CLASSES, {"positive": ("benign",)}, ["benign", "malignant"]),
    "the last class": ("prob", CLASSES, {"classes": tuple(CLASSES)}, CLASSES),
    "fractions called prediction": ("prediction", [0, 1], {}, ["0", "1"]),
    "boolean": ("probability", [False, True], {}, ["False", "True"]),
    "float": ("risk", [0.0, 1.0], {}, ["0", "1"]),
}


@pytest.mark.parametrize("name", SINGLE)
def test_a_single_column_is_the_positive_class_and_the_other_is_the_rest(
    name, cancer, tidy
) -> None:
    column, labels, said, classes = SINGLE[name]
    y, p = cancer
    frame, truth = tidy
    values = 1 - p if column == "p_malignant" else p
    mine = pd.DataFrame({"id": frame["case_id"], column: values})
    other = pd.DataFrame({"id": truth["case_id"], "label": np.array(labels, dtype=object)[y]})
    found = read(mine, other, **said)
    assert list(found.classes) == classes
    names = {"0": "malignant", "no": "malignant", "False": "malignant", "1": "benign",
             "yes": "benign", "True": "benign"}  # fmt: skip
    assert_same(found, frame, truth, [names.get(name, name) for name in classes])
    assert any("is the probability of" in note for note in found.notes)


def test_a_single_column_scores_as_scikit_learn_does(
    cancer, tmp_path: Path, milkreport: Command
) -> None:
    y, p = cancer
    ids = [f"c{i}" for i in range(len(y))]
    pd.DataFrame({"patient": ids, "age": 50, "prob": p}).to_csv(tmp_path / "scores.csv")
    pd.DataFrame({"patient": ids, "target": y.astype(float)}).to_csv(tmp_path / "labels.csv")
    done = milkreport("evaluate", "scores.csv", "--truth", "labels.csv", "--id", "patient", "--label",
                      "target", "--positive", "1", "--no-intervals", "--json")  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    part = found["arms"][0]["parts"][0]
    values = {name: estimate["value"] for name, estimate in part["metrics"].items()}
    answers = (p > 0.5).astype(int)
    assert values["macro_f1"] == pytest.approx(f1_score(y, answers, average="macro"), abs=1e-12)
    assert values["balanced_accuracy"] == pytest.approx(
        balanced_accuracy_score(y, answers), abs=1e-12
    )
    assert values["log_loss"] == pytest.approx(log_loss(y, p), abs=1e-12)
    assert part["positive"]["auc"]["value"] == pytest.approx(roc_auc_score(y, p), abs=1e-12)
    assert part["positive"]["sensitivity"]["value"] == pytest.approx(recall_score(y, answers))
    one = next(row for row in part["classes"] if row["name"] == "1")
    assert one["average_precision"] == pytest.approx(average_precision_score(y, p), abs=1e-12)
    assert found["classes"] == ["0", "1"]
    assert found["data"]["notes"] == [
        "labels.csv: labels 0.0 = 0, 1.0 = 1",
        "scores.csv: column prob is the probability of 1; that of 0 is 1 minus it",
        "scores.csv: columns left out, being no class: age",
    ]


def test_a_single_column_of_unknown_meaning_is_refused(cancer, tidy) -> None:
    frame, truth = tidy
    mine = frame[["case_id"]].assign(prob=cancer[1])
    with pytest.raises(
        NeedsOption, match="may be the probability of benign or of malignant"
    ) as found:
        load_inputs(mine, truth)
    assert found.value.options == ("--classes", "benign,malignant")
    with pytest.raises(milkreport.DataError, match="prob, score could each be"):
        read(mine.assign(score=mine["prob"]), truth, positive=("benign",))
    with pytest.raises(
        milkreport.DataError, match="no probability column for class benign, malignant"
    ):
        read(mine.rename(columns={"prob": "output"}), truth)


def test_a_positive_class_that_says_no_is_asked_about(cancer, tidy) -> None:
    """Disease is 0, and prob may be the probability of 0, or of 1 as usual."""
    y, p = cancer
    frame, truth = tidy
    mine, numbers = frame[["case_id"]].assign(prob=p), truth.assign(label=y)
    with pytest.raises(NeedsOption, match="may be the probability of 0 or of 1") as refused:
        read(mine, numbers, positive=("0",))
    assert refused.value.options == ("--classes", "0,1")
    found = read(mine, numbers, positive=("0",), classes=("0", "1"))
    assert_same(found, frame, truth, CLASSES)
    with pytest.raises(milkreport.DataError, match="for 0, call it p_0"):
        read(mine, numbers, positive=("0",), classes=("1", "0"))
    turned = mine.rename(columns={"prob": "p_0"}).assign(p_0=1 - p)
    assert_same(read(turned, numbers, classes=("1", "0")), frame, truth, CLASSES[::-1])


def test_the_confidence_of_an_answer_is_no_probability_of_a_class(cancer, tidy) -> None:
    _, p = cancer
    frame, truth = tidy
    answers = np.array(CLASSES)[(p > 0.5).astype(int)]
    mine = frame[["case_id"]].assign(prediction=answers, score=np.maximum(p, 1 - p))
    with pytest.raises(
        milkreport.DataError, match="0.5 or more wherever 'prediction' does not say"
    ):
        read(mine, truth, positive=("benign",))
    found = read(mine.assign(score=p), truth, positive=("benign",))
    assert_same(found, frame, truth)
    assert "data frame: columns left out, being no class: prediction" in found.notes


def test_a_lost_class_is_not_made_up_of_one_column(three) -> None:
    """MEL and NV in the truth, columns MEL and BCC: 1 - MEL is nobody's probability of NV."""
    frame = pd.DataFrame(
        {"id": list("abcd"), "MEL": [0.2, 0.3, 0.6, 0.9], "BCC": [0.1, 0.1, 0.2, 0.05]}
    )
    truth = pd.DataFrame({"id": list("abcd"), "label": ["NV", "NV", "MEL", "MEL"]})
    with pytest.raises(NeedsOption, match="column BCC is no class of the truth") as found:
        load_inputs(frame, truth)
    assert found.value.options == ("--classes", "MEL,NV")
    assert read(frame, truth, classes=("MEL", "NV")).first.probabilities[0].tolist() == [0.2, 0.8]


# Numbers, words and positions -------------------------------------------------------------------------


def test_float_labels_are_whole_numbers(three) -> None:
    frame, truth = three
    numbers = truth.assign(label=truth["label"].map(THREE.index).astype(float))
    for columns in (["0", "1", "2"], ["0.0", "1.0", "2.0"], ["prob_0", "prob_1", "prob_2"]):
        found = load_inputs(frame.set_axis(["case_id", *columns], axis=1), numbers)
        assert found.classes == ("0", "1", "2")
        assert_same(found, frame, truth, THREE)
    hard = frame[["case_id"]].assign(prediction=numbers["label"].to_numpy())
    assert (
        load_inputs(hard, numbers).first.predicted == load_inputs(hard, numbers).first.truth
    ).all()
    grades = pd.Series(["1.0", "2.5", "3.0"])
    assert tidy_labels(grades).tolist() == grades.tolist()  # not all of them are whole


def test_boolean_labels_meet_their_columns(cancer, tidy) -> None:
    y, _ = cancer
    frame, truth = tidy
    flags = truth.assign(label=y.astype(bool))
    for columns in (["False", "True"], ["0", "1"], ["no", "yes"], ["prob_0", "prob_1"]):
        found = load_inputs(frame.set_axis(["case_id", *columns], axis=1), flags)
        assert found.classes == ("False", "True")
        assert_same(found, frame, truth, CLASSES)


def test_indices_are_positions_in_the_classes_that_are_named(three) -> None:
    frame, truth = three
    numbers = truth.assign(label=truth["label"].map(THREE.index))
    mine = frame.set_axis(["case_id", "prob_0", "prob_1", "prob_2"], axis=1).assign(age=0.5)
    found = read(mine, numbers, classes=tuple(THREE))
    assert_same(found, frame, truth, THREE)
    assert found.notes == (
        "data frame: labels 0 = AK, 1 = BCC, 2 = MEL",
        "data frame: columns prob_0 = AK, prob_1 = BCC, prob_2 = MEL",
        "data frame: columns left out, being no class: age",
    )
    # Names beside positions, and one-hot columns of positions.
    assert_same(read(frame, numbers, classes=tuple(THREE)), frame, truth)
    one_hot = pd.DataFrame(np.eye(3)[numbers["label"]]).assign(case_id=truth["case_id"])
    assert_same(read(mine, one_hot, classes=tuple(THREE)), frame, truth)
    hard = frame[["case_id"]].assign(prediction=numbers["label"])
    assert (
        read(hard, truth, classes=tuple(THREE)).first.predicted.tolist()
        == numbers["label"].tolist()
    )


def test_an_index_beyond_the_classes_is_refused(three) -> None:
    frame, truth = three
    from_one = truth.assign(label=truth["label"].map(THREE.index) + 1)
    with pytest.raises(milkreport.DataError, match="is no class, and positions are 0 to 2"):
        read(frame, from_one, classes=tuple(THREE))
    named = truth.assign(label=truth["label"].replace("MEL", "NV"))
    with pytest.raises(milkreport.DataError, match=r"NV is no class.*--classes 'AK,BCC,MEL,NV'"):
        read(frame, named, classes=tuple(THREE))
    with pytest.raises(ConfigError, match="name two or more, each once"):
        TableOptions(classes=("A", "A"))


def test_names_on_one_side_and_numbers_on_the_other_need_their_order(three) -> None:
    frame, truth = three
    numbers = truth.assign(label=truth["label"].map(THREE.index))
    mine = frame.rename(columns={name: f"prob_{name}" for name in THREE})
    for predictions, labels in (
        (mine, numbers),
        (frame.set_axis(["case_id", "0", "1", "2"], axis=1), truth),
    ):
        with pytest.raises(NeedsOption, match="if 0 is AK, 1 is BCC, 2 is MEL, add") as refused:
            load_inputs(predictions, labels)
        assert refused.value.options == ("--classes", "AK,BCC,MEL")
        assert_same(read(predictions, labels, classes=tuple(THREE)), frame, truth)


def test_two_sets_of_columns_for_one_class_are_refused(three) -> None:
    frame, truth = three
    both = frame.merge(frame.rename(columns={name: f"prob_{name}" for name in THREE}))
    with pytest.raises(milkreport.DataError, match="two columns for class AK: AK and prob_AK"):
        load_inputs(both, truth)


def test_names_are_matched_in_one_way_or_not_at_all() -> None:
    assert match_names(["0", "1"], ["no", "yes"]) == {"0": "no", "1": "yes"}
    assert match_names(["TRUE"], ["0", "1"]) == {"TRUE": "1"}
    assert match_names(["0", "yes"], ["a", "b"]) is None
    assert match_names(["2", "1"], ["a", "b", "c"], numbered=True) == {"2": "c", "1": "b"}
    assert match_names(["2", "1"], ["a", "b", "c"]) is None
    assert match_names(["1", "2"], ["1", "2", "3"], numbered=True) == {"1": "1", "2": "2"}
    assert match_names(["mel", "NV"], ["MEL", "nv"]) == {"mel": "MEL", "NV": "nv"}
    assert match_names(["mel"], ["MEL", "Mel"]) is None
    assert in_order(["10", "9", "1"]) == ["1", "9", "10"]
    assert in_order(["pos", "neg"]) == ["neg", "pos"]
    assert in_order(["yes", "maybe"]) == ["maybe", "yes"]


# Extra columns ----------------------------------------------------------------------------------------


def test_extra_columns_are_left_out_where_the_classes_are_known(three) -> None:
    frame, truth = three
    extra = frame.assign(sex="f", altered=1, file="x.png")
    one_hot = pd.get_dummies(truth["label"]).astype(int).assign(case_id=truth["case_id"])
    note = "data frame: columns left out, being no class: sex, altered, file"
    for labels, said in ((one_hot, {}), (truth, {}), (truth, {"classes": tuple(THREE)})):
        found = read(extra, labels, **said)
        assert_same(found, frame, truth)
        assert found.notes == (note,)
    # A thresholded submission does not sum to 1: a column of 0 and 1 could be a class.
    scores = extra.assign(AK=extra["AK"] / 2)
    with pytest.raises(NeedsOption, match="sex, altered, file is no class of the truth") as refused:
        load_inputs(scores, truth)
    assert refused.value.options == ("--classes", "AK,BCC,MEL")
    assert read(scores, truth, classes=tuple(THREE)).notes == (note,)


def test_extra_columns_beside_one_hot_truth_need_the_classes(three) -> None:
    frame, truth = three
    one_hot = pd.get_dummies(truth["label"]).astype(int).assign(case_id=truth["case_id"])
    assert_same(load_inputs(frame, one_hot.assign(Fold=np.arange(120) % 5)), frame, truth)
    odd = one_hot.assign(age=40, sex="f")
    with pytest.raises(NeedsOption, match="columns age, sex are not 0 and 1 — if the") as refused:
        load_inputs(frame, odd)
    assert refused.value.options == ("--classes", "AK,BCC,MEL")
    assert_same(read(frame, odd, classes=tuple(THREE)), frame, truth)


# Long tables ------------------------------------------------------------------------------------------


def shifted(frame: pd.DataFrame, by: float) -> pd.DataFrame:
    """Other predictions of the same cases: mixed with even ones."""
    return frame.assign(**{name: frame[name] * (1 - by) + by / 3 for name in THREE})


def test_models_and_seeds_of_a_long_table_are_arms_and_seeds(three) -> None:
    frame, truth = three
    arms = {"ResNet 50": (0.0, 0.1), "ViT": (0.2, 0.3)}
    rows = [
        shifted(frame, by).assign(model=arm, seed=seed)
        for arm, mixes in arms.items()
        for seed, by in zip((7, 11), mixes, strict=True)
    ]
    found = load_inputs(pd.concat(rows).sample(frac=1, random_state=0), truth)
    assert set(found.arms) == {"ResNet-50", "ViT"}
    assert found.titles == {"ResNet-50": "ResNet 50"}
    for arm, mixes in arms.items():
        cells = found.arms[arm.replace(" ", "-")]["test"]
        assert sorted(cells) == [(7, 0), (11, 0)]
        for seed, by in zip((7, 11), mixes, strict=True):
            expected = shifted(frame, by)[THREE].to_numpy()
            assert cells[seed, 0].probabilities == pytest.approx(expected)
    assert found.notes == (
        "data frame: column model: 2 arms (ResNet 50, ViT)",
        "data frame: column seed: 2 training seeds (7, 11)",
    )
    results = milkreport.evaluate(pd.concat(rows), truth, intervals=False)
    separate = {arm: [shifted(frame, by) for by in mixes] for arm, mixes in arms.items()}
    expected = milkreport.evaluate(separate, truth, intervals=False)
    for one, other in zip(results.arms, expected.arms, strict=True):
        assert one.part("test").metrics == other.part("test").metrics
        assert one.title == other.title


@pytest.mark.slow
def test_folds_of_a_long_table_are_pooled(three, tmp_path: Path, milkreport: Command) -> None:
    frame, truth = three
    folds = frame.assign(Fold=np.arange(len(frame)) % 4)
    folds.to_csv(tmp_path / "folds.csv", index=False)
    frame.to_csv(tmp_path / "plain.csv", index=False)
    truth.to_csv(tmp_path / "truth.csv", index=False)
    done = milkreport("evaluate", "folds.csv", "--truth", "truth.csv", "--out", "out", "--no-pdf")
    assert done.returncode == 0, done.stderr
    assert "note: folds.csv: column Fold: 4 folds (0, 1, 2, 3)" in done.stderr
    results = RunFolder(tmp_path / "out").load_results()
    plain = __import__("milkreport").evaluate(tmp_path / "plain.csv", tmp_path / "truth.csv")
    part, expected = results.arms[0].part("test"), plain.arms[0].part("test")
    assert part.n_cases == results.data.n_used == 120
    assert part.metrics["macro_f1"].value == expected.metrics["macro_f1"].value
    assert part.confusion == expected.confusion
    assert results.split_rule.startswith("4 folds")
    assert [(c.seed, c.fold) for c in results.arms[0].cells] == [(0, f) for f in range(4)]
    page = (tmp_path / "out/report.html").read_text(encoding="utf-8")
    assert "column Fold: 4 folds (0, 1, 2, 3)" in page
    again = milkreport("report", "out", "--no-pdf")
    assert again.returncode == 0, again.stderr


def test_a_case_in_two_folds_is_refused(three) -> None:
    frame, truth = three
    twice = pd.concat([frame.assign(fold=0), frame.assign(fold=1)])
    with pytest.raises(milkreport.DataError, match=r"is tested in folds 0 and 1 — .*'seed'"):
        load_inputs(twice, truth)
    with pytest.raises(milkreport.DataError, match="stands in row 1 already"):
        load_inputs(twice.drop(columns="fold"), truth)
    with pytest.raises(
        milkreport.DataError, match=r"column 'run' tells their rows apart — call it mo"
    ):
        load_inputs(twice.rename(columns={"fold": "run"}), truth)
    gap = pd.concat([frame.assign(seed=0), frame.assign(seed=None)])
    with pytest.raises(milkreport.DataError, match="121:seed: a row without a seed"):
        load_inputs(gap, truth)


def test_a_column_model_that_tells_no_rows_apart_makes_no_arms(three) -> None:
    """The camera, say: every case stands once."""
    frame, truth = three
    found = load_inputs(frame.assign(model=np.arange(120) % 2, seed=3), truth)
    assert list(found.arms) == ["predictions"]
    assert_same(found, frame, truth)
    assert found.notes == (
        "data frame: column model left out: it tells no rows of one case apart",
        "data frame: column seed left out: it tells no rows of one case apart",
    )


def test_arms_without_a_common_seed_are_compared_by_place(three) -> None:
    frame, truth = three
    arms = {
        "a": pd.concat([shifted(frame, 0.1 * s).assign(seed=s) for s in (1, 2)]),
        "b": pd.concat([shifted(frame, 0.1 * s).assign(seed=s) for s in (4, 5)]),
    }
    found = load_inputs(arms, truth)
    assert [sorted(parts["test"]) for parts in found.arms.values()] == [[(0, 0), (1, 0)]] * 2


def test_files_with_seeds_of_their_own_are_all_seeds(three) -> None:
    frame, truth = three
    long = pd.concat([shifted(frame, 0.1 * s).assign(seed=s) for s in (1, 2)])
    found = load_inputs({"m": [frame, long]}, truth)
    assert sorted(found.arms["m"]["test"]) == [(0, 0), (1, 0), (2, 0)]


# Missing cases ----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_missing_cases_are_dropped_only_where_that_was_asked(
    three, tmp_path: Path, milkreport: Command
) -> None:
    frame, truth = three
    frame.iloc[5:].to_csv(tmp_path / "a.csv", index=False)
    frame.iloc[:-2].to_csv(tmp_path / "b.csv", index=False)
    truth.iloc[:-1].to_csv(tmp_path / "truth.csv", index=False)
    words = ["evaluate", "a.csv", "b.csv", "--truth", "truth.csv"]
    done = milkreport(*words)
    assert done.returncode == 3
    assert "a.csv: 5 cases of the truth have no prediction: c000" in done.stderr
    assert "1 predictions have no truth: c119" in done.stderr
    assert done.stderr.rstrip().endswith(f"type: milkreport {shlex.join(words)} --missing drop")
    done = milkreport(*words, "--missing", "drop", "--out", "out", "--no-pdf")
    assert done.returncode == 0, done.stderr
    said = "7 of 120 cases were dropped (6 not predicted by every file; 1 not in the truth)"
    assert said in done.stderr
    results = RunFolder(tmp_path / "out").load_results()
    assert (results.data.n_found, results.data.n_used) == (120, 113)
    page = (tmp_path / "out/report.html").read_text(encoding="utf-8")
    assert said in page
    kept = slice(5, 118)
    expected = __import__("milkreport").evaluate(
        frame.iloc[kept], truth.iloc[kept], intervals=False
    )
    for arm in results.arms:
        found = arm.part("test")
        assert found.n_cases == 113
        for name, estimate in expected.arms[0].part("test").metrics.items():
            assert found.metrics[name].value == pytest.approx(estimate.value)
    assert milkreport(*words, "--missing", "skip").returncode == 2


def test_nothing_in_common_is_refused(three) -> None:
    frame, truth = three
    other = frame.assign(case_id="x" + frame["case_id"])
    with pytest.raises(milkreport.DataError, match="no case has a truth and a prediction"):
        read(other, truth, missing="drop")
    with pytest.raises(milkreport.DataError, match="no id stands in both"):
        load_inputs(other, truth)


def test_cases_without_a_label_are_missing_from_the_truth(three) -> None:
    frame, truth = three
    gaps = truth.assign(label=truth["label"].mask(truth.index < 4))
    with pytest.raises(NeedsOption, match="1:label: a case without a label") as refused:
        load_inputs(frame, gaps)
    assert refused.value.options == ("--missing", "drop")
    found = read(frame, gaps, missing="drop")
    assert [(e.reason, e.n) for e in found.exclusions] == [("not in the truth", 4)]
    assert_same(found, frame.iloc[4:], truth.iloc[4:])


def test_ids_that_a_float_column_spoilt_are_told(three) -> None:
    frame, truth = three
    mine = frame.assign(case_id=np.arange(120.0))
    with pytest.raises(milkreport.DataError, match=r"the ids differ in \.0 alone"):
        load_inputs(mine, truth.assign(case_id=np.arange(120)))


def test_nothing_is_dropped_where_nothing_is_missing(three) -> None:
    frame, truth = three
    found = read(frame, truth, missing="drop")
    assert found.exclusions == ()
    assert_same(found, frame, truth)


# Names ------------------------------------------------------------------------------------------------


def test_class_names_may_hold_commas(three, tmp_path: Path, milkreport: Command) -> None:
    frame, truth = three
    name = "Naevus, benign"
    frame.rename(columns={"MEL": name}).to_csv(tmp_path / "p.csv", index=False)
    truth.assign(label=truth["label"].replace("MEL", name)).to_csv(tmp_path / "t.csv", index=False)
    words = ["evaluate", "p.csv", "--truth", "t.csv", "--no-intervals", "--json"]
    quoted = f'"{name}"'
    for positive, expected in (
        (["--positive", name, "--positive", "AK"], [name, "AK"]),
        (["--positive", f"{quoted},AK"], [name, "AK"]),
        (["--positive", quoted], [name]),
        (["--positive", "AK, BCC"], ["AK", "BCC"]),
    ):
        done = milkreport(*words, *positive)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["data"]["positive"] == expected
    for classes in (
        ["--classes", f"{quoted},BCC,AK"],
        ["--classes", name, "--classes", "BCC", "--classes", "AK"],
    ):
        done = milkreport(*words, *classes)
        assert json.loads(done.stdout)["classes"] == [name, "BCC", "AK"]
    done = milkreport(*words, "--positive", name)
    assert done.returncode == 2
    assert f"a name with a comma in quotes: --positive '{quoted}'" in done.stderr
    done = milkreport(*words, "--positive", '"Naevus')
    assert done.returncode == 2
    assert "do not match" in done.stderr


def test_names_of_an_option_are_written_as_they_are_read() -> None:
    names = ["a", "b, c", 'd "e"', " f"]
    assert split_names(join_names(names)) == ["a", "b, c", 'd "e"', "f"]
    assert split_names(["a,b"]) == ["a", "b"]
    assert split_names(["a,b", "c"]) == ["a,b", "c"]
    assert split_names([]) == split_names("") == split_names(None) == []


@pytest.mark.slow
def test_arms_keep_their_names_as_titles(three, tmp_path: Path, milkreport: Command) -> None:
    frame, truth = three
    for name in ("a", "b"):
        frame.to_csv(tmp_path / f"{name}.csv", index=False)
    truth.to_csv(tmp_path / "truth.csv", index=False)
    arms = ["modèle été=a.csv", "modele ete=b.csv", "皮膚=b.csv", "modèle été=b.csv"]
    words = [
        "evaluate",
        *arms,
        "--truth",
        "truth.csv",
        "--no-intervals",
        "--out",
        "out",
        "--no-pdf",
    ]
    done = milkreport(*words)
    assert done.returncode == 0, done.stderr
    results = RunFolder(tmp_path / "out").load_results()
    assert [(a.name, a.title, len(a.cells)) for a in results.arms] == [
        ("modele-ete", "modèle été", 2),
        ("modele-ete-2", "modele ete", 1),
        ("predictions", "皮膚", 1),
    ]
    assert sorted(p.name for p in (tmp_path / "out/cells").iterdir()) == [
        "modele-ete", "modele-ete-2", "predictions",
    ]  # fmt: skip
    page = (tmp_path / "out/report.html").read_text(encoding="utf-8")
    assert "modèle été" in page
    assert "皮膚" in page
    assert "modèle été" in done.stderr
    command = RunFolder(tmp_path / "out").load_manifest().command
    assert "'modèle été=a.csv'" in command
    assert milkreport(*words).returncode == 0  # the same command replaces its own
    assert set(load_table(tmp_path / "out/metrics.csv")["arm"]) == {a.name for a in results.arms}


@pytest.mark.parametrize("name", ["../x", "a/b", "", " a", "a\x1bb", "x" * 65])
def test_a_name_like_a_path_is_refused(name, three, tmp_path: Path, milkreport: Command) -> None:
    three[0].to_csv(tmp_path / "a.csv", index=False)
    three[1].to_csv(tmp_path / "truth.csv", index=False)
    done = milkreport("evaluate", f"{name}=a.csv", "--truth", "truth.csv")
    assert done.returncode == 2
    assert "is no name" in done.stderr


# What to type instead ---------------------------------------------------------------------------------


def odd_tables(folder: Path, cancer) -> None:
    y, p = cancer
    ids = [f"img {i}" for i in range(len(y))]
    labels = np.array(CLASSES)[y]
    tables = {
        "odd": {"picture": ids, "prob": p},
        "good": {"id": ids, "malignant": 1 - p, "benign": p},
        "known": {"id": ids, "prob": p},
        "fewer": {"id": ids[3:], "malignant": 1 - p[3:], "benign": p[3:]},
        "flags": {"id": ids, "malignant": (1 - p) / 2, "benign": p / 2, "smoker": y},
    }
    truths = {
        "odd_truth": {"name": ids, "age": np.arange(len(y)) % 90, "dx": labels},
        "truth": {"id": ids, "label": labels},
        "target": {"id": ids, "target": y},
        "mixed": {"id": ids, "age": np.arange(len(y)) % 90, "diagnosis": labels},
    }
    for name, columns in {**tables, **truths}.items():
        pd.DataFrame(columns).to_csv(folder / f"{name}.csv", index=False)


REFUSED = {
    "ids": ("odd", "truth", ["--id picture", "--classes benign,malignant"]),
    "everything": ("odd", "odd_truth",
                   ["--id picture", "--id name", "--label dx", "--classes benign,malignant"]),
    "labels": ("known", "target", ["--label target"]),
    "labels among others": ("good", "mixed", ["--label diagnosis"]),
    "the class of a column": ("known", "truth", ["--classes benign,malignant"]),
    "missing cases": ("fewer", "truth", ["--missing drop"]),
    "a possible class": ("flags", "truth", ["--classes malignant,benign"]),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_the_command_in_a_refusal_works(name, cancer, tmp_path: Path, milkreport: Command) -> None:
    """Typed again and again as the message says, until nothing is left to be said."""
    odd_tables(tmp_path, cancer)
    predictions, truth, expected = REFUSED[name]
    words = ["milkreport", "evaluate", f"{predictions}.csv", "--truth", f"{truth}.csv",
             "--no-intervals", "--json"]  # fmt: skip
    for option in expected:
        done = milkreport(*words[1:])
        assert done.returncode == 3, done.stdout
        assert done.stderr.count("\n") == 1
        assert done.stdout == ""
        typed = shlex.split(re.search(r"type: (milkreport .*)", done.stderr)[1])
        assert shlex.join(typed) == f"{shlex.join(words)} {option}"
        words = typed
    done = milkreport(*words[1:])
    assert done.returncode == 0, done.stderr
    auc = json.loads(done.stdout)["arms"][0]["parts"][0]["metrics"]["macro_auc"]["value"]
    y, p = cancer
    kept = slice(3, None) if name == "missing cases" else slice(None)
    # --classes benign,malignant says that prob is of malignant: the wrong way round, as was typed.
    expected_auc = roc_auc_score(y[kept], p[kept])
    turned = "benign,malignant" in " ".join(words)
    assert auc == pytest.approx(1 - expected_auc if turned else expected_auc, abs=1e-9)


UNKNOWN = {
    "id": (["--id", "nobody"], 2, "no column 'nobody' in any table"),
    "label": (["--label", "labl"], 2, "no column 'labl' — did you mean label?"),
    "classes": (["--classes", "benign"], 2, "name two or more, each once"),
    "missing": (["--missing", "fill"], 2, "unknown missing rule 'fill' — error or drop"),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_options_that_no_table_fits_get_one_line(
    name, cancer, tmp_path, milkreport: Command
) -> None:
    odd_tables(tmp_path, cancer)
    words, code, message = UNKNOWN[name]
    done = milkreport("evaluate", "good.csv", "--truth", "truth.csv", *words)
    assert done.returncode == code, done.stderr
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_python_takes_what_the_options_say(three) -> None:
    frame, truth = three
    mine = frame.rename(columns={"case_id": "image_name"}).iloc[2:]
    other = truth.rename(columns={"case_id": "file", "label": "dx"})
    found = milkreport.evaluate(mine, other, id=["image_name", "file"], label="dx", missing="drop",
                                classes=THREE, intervals=False)  # fmt: skip
    expected = milkreport.evaluate(frame.iloc[2:], truth.iloc[2:], intervals=False)
    assert found.arms[0].parts[0].metrics == expected.arms[0].parts[0].metrics
    assert found.notices == [
        "2 of 120 cases were dropped (2 no prediction): values are of the other 118"
    ]
    with pytest.raises(ConfigError, match="id, label and missing belong to tables"):
        milkreport.evaluate(frame[THREE].to_numpy(), truth["label"].to_numpy(), id="image_name")


def test_metadata_is_matched_by_the_same_column(three, tmp_path, milkreport: Command) -> None:
    frame, truth = three
    named = {"case_id": "image_name"}
    frame.rename(columns=named).to_csv(tmp_path / "p.csv", index=False)
    truth.rename(columns=named).to_csv(tmp_path / "t.csv", index=False)
    meta = truth.rename(columns=named)[["image_name"]].assign(patient=np.arange(120) // 2)
    meta.to_csv(tmp_path / "m.csv")
    done = milkreport("evaluate", "p.csv", "--truth", "t.csv", "--metadata", "m.csv", "--group",
                      "patient", "--id", "image_name", "--json")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["arms"][0]["parts"][0]["n_groups"] == 60


# Other commands ---------------------------------------------------------------------------------------


@pytest.mark.slow
def test_compare_and_thresholds_take_the_same_tables(cancer, tmp_path, milkreport: Command) -> None:
    odd_tables(tmp_path, cancer)
    said = ["--id", "picture", "--id", "name", "--label", "dx"]
    done = milkreport("compare", "odd.csv", "odd.csv", "--truth", "odd_truth.csv", *said,
                      "--classes", "malignant,benign", "--json")  # fmt: skip
    assert done.returncode == 0, done.stderr
    (found,) = json.loads(done.stdout)
    assert found["data"]["n_used"] == 569
    assert "odd.csv: column prob is the probability of benign" in found["data"]["notes"][0]
    words = [
        "compare",
        "good.csv",
        "fewer.csv",
        "--truth",
        "truth.csv",
        "--missing",
        "drop",
        "--json",
    ]
    (found,) = json.loads(milkreport(*words).stdout)
    assert (found["data"]["n_found"], found["data"]["n_used"]) == (569, 566)
    plain = milkreport("thresholds", "good.csv", "--truth", "truth.csv", "--json")
    done = milkreport("thresholds", "odd.csv", "--truth", "odd_truth.csv", *said, "--classes",
                      "malignant,benign", "--json", "--apply", "odd.csv", "--out", "folded.csv")  # fmt: skip
    assert done.returncode == 0, done.stderr
    one, other = json.loads(plain.stdout), json.loads(done.stdout)
    assert one["classes"] == other["classes"]
    assert one["macro_f1_nested"] == other["macro_f1_nested"]
    assert list(load_table(tmp_path / "folded.csv").columns) == ["picture", *CLASSES]


@pytest.mark.slow
def test_folds_of_a_long_table_are_checked_like_any_run(
    three, tmp_path, milkreport: Command
) -> None:
    frame, truth = three
    truth.to_csv(tmp_path / "truth.csv", index=False)
    for name, by in (("one", 0.0), ("two", 0.1)):
        rows = shifted(frame, by).assign(fold=np.arange(120) % 4)
        rows.to_csv(tmp_path / f"{name}.csv", index=False)
        done = milkreport("evaluate", f"m={name}.csv", "--truth", "truth.csv", "--out", name,
                          "--no-intervals", "--no-pdf")  # fmt: skip
        assert done.returncode == 0, done.stderr
    done = milkreport("compare", "one", "two", "--json")
    assert done.returncode == 0, done.stderr
    (found,) = json.loads(done.stdout)
    assert (found["comparison"]["n_cases"], found["comparison"]["n_folds"]) == (120, 4)
    assert milkreport("check", "one", "--against", "one", "--allow-inconclusive").returncode == 0


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("Straße Nr. 1", "Strasse-Nr.-1"),
        ("Søren Łukasz", "Soeren-Lukasz"),
        ("été", "ete"),
        ("模型", "predictions"),
    ],
)
def test_letters_of_other_languages_are_spelled_in_names(title: str, name: str) -> None:
    assert name_of_file(title) == name
