"""External test sets in evaluations: values by hand, what is refused, and that nothing internal changes."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score, recall_score

import milkreport
from milkreport.errors import ConfigError, DataError
from milkreport.evaluation.beyond.external import subtract
from milkreport.evaluation.records.estimate import Estimate
from milkreport.evaluation.records.external import ExternalSet, ExternalValue
from milkreport.evaluation.records.long_form import tabulate
from milkreport.evaluation.records.results import Results
from milkreport.reporting.external import external_summary
from milkreport.runs.external import external_files
from tests.conftest import call_main

CLASSES = ["mole", "wart", "scar"]


def make(
    n: int, seed: int, classes: int = 3, letter: str = "t", strength: float = 2.0
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Predictions and truth of *n* cases of the first *classes* classes."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, n)
    values = np.exp(strength * np.eye(3)[truth] + rng.normal(size=(n, 3)))
    ids = [f"{letter}{i}" for i in range(n)]
    frame = pd.DataFrame(values / values.sum(axis=1, keepdims=True), columns=CLASSES)
    frame.insert(0, "case_id", ids)
    return frame, pd.DataFrame({"case_id": ids, "label": np.array(CLASSES)[truth]})


OURS, THEIRS = make(300, 0), make(120, 1, letter="e", strength=1.0)


def evaluate(
    external: dict[str, Any], given: Any = OURS[0], truth: pd.DataFrame = OURS[1], **more: Any
) -> Results:
    return milkreport.evaluate(given, truth, external=external, **more)


def value_of(found: ExternalSet, metric: str, arm: int = 0) -> ExternalValue:
    return next(v for v in found.arms[arm].values if v.metric == metric)


def wilson(hits: int, n: int) -> tuple[float, float]:
    z = 1.959963984540054
    p, centre = hits / n, (hits / n + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return centre - half, centre + half


def hits(frame: pd.DataFrame, truth: pd.DataFrame) -> int:
    return int((frame[CLASSES].idxmax(axis=1) == truth["label"]).sum())


def test_the_interval_of_a_difference_is_newcombes_of_two_proportions() -> None:
    """Newcombe (1998), method 10, Table II (c): 56/70 minus 48/80 has 0.0524 to 0.3339."""
    a, b = (
        Estimate(value=k / n, low=wilson(k, n)[0], high=wilson(k, n)[1])
        for k, n in ((56, 70), (48, 80))
    )
    found = subtract(a, b, True)
    assert found.value == pytest.approx(0.2)
    assert (found.low, found.high) == pytest.approx((0.0524, 0.3339), abs=5e-5)
    assert subtract(a, b, False).low is None
    assert subtract(a, Estimate(value=None), True).value is None


def test_values_are_those_of_each_set_and_the_difference_is_made_by_hand() -> None:
    (found,) = evaluate({"clinic": THEIRS}).external
    accuracy = value_of(found, "accuracy")
    (a, n), (b, m) = (hits(*OURS), 300), (hits(*THEIRS), 120)
    assert accuracy.internal.value == pytest.approx(a / n)
    assert accuracy.external.value == pytest.approx(b / m)
    (low, high), (least, most) = wilson(a, n), wilson(b, m)
    d = a / n - b / m
    assert accuracy.difference.low == pytest.approx(d - math.hypot(a / n - low, most - b / m))
    assert accuracy.difference.high == pytest.approx(d + math.hypot(high - a / n, b / m - least))
    answers = THEIRS[0][CLASSES].idxmax(axis=1)
    labels = THEIRS[1]["label"]
    macro = f1_score(labels, answers, average="macro")
    assert value_of(found, "macro_f1").external.value == pytest.approx(macro)
    recall = recall_score(labels, answers, labels=["wart"], average="macro")
    assert value_of(found, "recall:wart").external.value == pytest.approx(recall)
    assert not found.restricted
    counts = THEIRS[1]["label"].value_counts()
    assert found.class_counts == {c: counts[c] for c in CLASSES}


def test_page_one_names_the_primary_metric_there() -> None:
    results = evaluate({"clinic": THEIRS})
    value = value_of(results.external[0], "macro_f1")
    said = external_summary(results)
    assert said == (
        f"clinic (120 cases), macro F1: {value.external.value:.3f} ({value.external.low:.3f}–"
        f"{value.external.high:.3f}), test part {value.internal.value:.3f}."
    )
    assert external_summary(evaluate({})) == ""


def test_the_long_form_has_external_values_as_a_part() -> None:
    results = evaluate({"clinic": THEIRS})
    table = tabulate(results, {})
    rows = table[table["split"] == "external clinic"]
    accuracy = rows[rows["metric"] == "accuracy"].iloc[0]
    known = value_of(results.external[0], "accuracy").external
    assert (accuracy["value"], accuracy["low"], accuracy["n"]) == (known.value, known.low, 120)
    wart = rows[(rows["metric"] == "recall") & (rows["class"] == "wart")].iloc[0]
    assert wart["n"] == (THEIRS[1]["label"] == "wart").sum()
    assert set(table["split"]) == {"test", "external clinic"}


def test_an_external_set_changes_nothing_else() -> None:
    with_it, without = evaluate({"clinic": THEIRS}), evaluate({})
    assert with_it.external
    assert with_it.model_dump(exclude={"external"}) == without.model_dump(exclude={"external"})


def test_classes_of_one_set_alone_are_left_out_of_both() -> None:
    frame, truth = make(150, 2, classes=2, letter="e")
    (found,) = evaluate({"clinic": (frame, truth)}).external
    assert found.restricted
    assert (found.compared, found.left_out) == (["mole", "wart"], ["scar"])
    kept = OURS[1]["label"] != "scar"
    assert (found.n_internal, found.n_external) == (int(kept.sum()), 150)
    # The same as evaluating these cases alone, by an outside implementation.
    answers = OURS[0][CLASSES].idxmax(axis=1)[kept]
    expected = f1_score(OURS[1]["label"][kept], answers, average="macro", labels=["mole", "wart"])
    assert value_of(found, "macro_f1").internal.value == pytest.approx(expected)
    assert not any(v.metric == "recall:scar" for v in found.arms[0].values)


def test_groups_of_the_external_set_stay_whole() -> None:
    facts = pd.DataFrame(
        {"case_id": THEIRS[1]["case_id"], "patient": [f"p{i // 4}" for i in range(120)]}
    )
    ours = pd.DataFrame({"case_id": OURS[1]["case_id"], "patient": OURS[1]["case_id"]})
    (found,) = evaluate({"clinic": (*THEIRS, facts)}, metadata=ours, group="patient").external
    assert found.n_groups == 30
    assert not found.remarks
    few = (*THEIRS, facts.head(50))
    (found,) = evaluate({"clinic": few}, metadata=ours, group="patient").external
    assert "70 cases have no row in its metadata" in found.remarks[0]
    same = ours.assign(patient=[f"p{i}" for i in range(300)])
    (found,) = evaluate({"clinic": (*THEIRS, facts)}, metadata=same, group="patient").external
    assert "30 group ids stand in the test part too" in found.remarks[0]
    (alone,) = evaluate({"clinic": THEIRS}, metadata=ours, group="patient").external
    assert alone.n_groups is None
    assert "count as independent" in alone.remarks[0]


def test_a_small_set_has_intervals_of_recall_alone() -> None:
    frame, truth = (table.head(99) for table in THEIRS)
    (found,) = evaluate({"clinic": (frame, truth)}).external
    assert found.n_external == 99
    for value in found.arms[0].values:
        has = value.difference.low is not None
        assert has == value.metric.startswith("recall:"), value.metric
        assert value.external.value is not None
    frame, truth = (table.head(100) for table in THEIRS)
    (found,) = evaluate({"clinic": (frame, truth)}).external
    assert value_of(found, "accuracy").difference.low is not None


def test_what_a_call_gives_wrongly_is_said() -> None:
    values = THEIRS[0][CLASSES].to_numpy()
    for given, said in (
        ("B", "external is not a mapping"),
        ({"B": None}, "is not (predictions, truth)"),
        ({"../x": THEIRS}, "'../x' is not a name"),
        ({"B": (values, THEIRS[1])}, "holds ndarray"),
        ({"B": (THEIRS[0], THEIRS[1]["label"].to_numpy())}, "holds ndarray"),
    ):
        with pytest.raises(ConfigError, match=re.escape(said)):
            evaluate(given)


def test_cases_of_another_split_are_counted() -> None:
    frame = THEIRS[0].assign(split=["test"] * 100 + ["validation"] * 20)
    (found,) = evaluate({"clinic": (frame, THEIRS[1])}).external
    assert found.n == 100
    assert found.remarks == ["20 of 120 labelled cases are of another split"]


def test_arms_without_predictions_are_named() -> None:
    other = make(300, 7)[0]
    given = {"one": OURS[0], "two": other}
    (found,) = evaluate({"clinic": ({"two": THEIRS[0]}, THEIRS[1])}, given).external
    assert [arm.arm for arm in found.arms] == ["two"]
    assert found.missing == ["one"]
    with pytest.raises(ConfigError, match="whose predictions"):
        evaluate({"clinic": THEIRS}, given)
    with pytest.raises(ConfigError, match="three is not a name"):
        evaluate({"clinic": ({"three": THEIRS[0]}, THEIRS[1])}, given)


def test_seeds_are_means_and_must_be_the_same_models() -> None:
    seeds = [OURS[0], make(300, 8)[0].assign(case_id=OURS[0]["case_id"])]
    more = [THEIRS[0], make(120, 9)[0].assign(case_id=THEIRS[0]["case_id"])]
    (found,) = evaluate({"clinic": ({"": more}, THEIRS[1])}, {"one": seeds}).external
    assert found.arms[0].n_models == 2
    expected = np.mean([hits(frame, THEIRS[1]) / 120 for frame in more])
    accuracy = value_of(found, "accuracy")
    assert accuracy.external.value == pytest.approx(expected)
    # Seed by seed: a training that is good in one set is good in the other.
    by_seed = [
        hits(a, OURS[1]) / 300 - hits(b, THEIRS[1]) / 120 for a, b in zip(seeds, more, strict=True)
    ]
    assert accuracy.difference.value == pytest.approx(np.mean(by_seed))
    assert accuracy.difference.seed_sd == pytest.approx(np.std(by_seed, ddof=1))
    assert accuracy.difference.low < np.mean(by_seed) < accuracy.difference.high
    with pytest.raises(DataError, match="predictions of 1 models of one, and the test part has 2"):
        evaluate({"clinic": THEIRS}, {"one": seeds})


def test_every_model_of_several_folds_answers_and_no_interval_is_made() -> None:
    ours = OURS[0].assign(fold=[i % 3 for i in range(300)])
    three = [make(120, 20 + i)[0].assign(case_id=THEIRS[0]["case_id"]) for i in range(3)]
    (found,) = evaluate({"clinic": ({"": three}, THEIRS[1])}, {"one": ours}).external
    accuracy = value_of(found, "accuracy")
    expected = np.mean([hits(frame, THEIRS[1]) / 120 for frame in three])
    assert accuracy.external.value == pytest.approx(expected)
    assert accuracy.internal.value == pytest.approx(hits(*OURS) / 300)
    assert accuracy.internal.low is not None
    assert accuracy.external.low is accuracy.difference.low is None


def test_metrics_without_a_simulation_have_no_interval_of_the_difference() -> None:
    (found,) = evaluate({"clinic": THEIRS}, primary="log_loss").external
    loss = value_of(found, "log_loss")
    assert loss.external.low is not None
    assert loss.difference.value is not None
    assert loss.difference.low is None


def test_a_class_that_the_model_does_not_know_is_refused() -> None:
    truth = THEIRS[1].replace("scar", "burn")
    n = int((truth["label"] == "burn").sum())
    with pytest.raises(DataError, match=rf"do not know: burn \({n} cases\)"):
        evaluate({"clinic": (THEIRS[0], truth)})


def test_cases_of_the_test_part_are_refused_and_equal_ids_are_remarked() -> None:
    with pytest.raises(DataError, match="the id and the probabilities of cases of the test part"):
        evaluate({"clinic": (OURS[0].head(50), OURS[1].head(50))})
    frame, truth = make(120, 1, letter="t", strength=1.0)
    (found,) = evaluate({"clinic": (frame, truth)}).external
    assert "120 ids stand in the test part too: if they" in found.remarks[0]


def test_an_unlabelled_set_is_taken_as_unlabelled_predictions() -> None:
    results = evaluate({"clinic": (THEIRS[0], None)})
    same = milkreport.evaluate(OURS[0], OURS[1], unlabelled=THEIRS[0])
    assert not results.external
    (one,), (other,) = results.unlabelled, same.unlabelled
    assert one.source.startswith("clinic: ")
    assert one.p == other.p
    assert one.shares == other.shares


def write(folder: Path) -> None:
    for name, (frame, truth) in {"ours": OURS, "theirs": THEIRS}.items():
        frame.to_csv(folder / f"{name}.csv", index=False)
        truth.to_csv(folder / f"{name}_truth.csv", index=False)


BASE = ["evaluate", "ours.csv", "--truth", "ours_truth.csv"]
SET = ["--external", "clinic=theirs.csv", "--external-truth", "clinic=theirs_truth.csv"]


def test_the_report_carries_and_verify_computes_it_again(tmp_path: Path) -> None:
    write(tmp_path)
    done = call_main([*BASE, *SET, "--out", "out", "--no-pdf"], tmp_path)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "out/report.html").read_text()
    results = Results.model_validate_json((tmp_path / "out/results.json").read_text())
    accuracy = value_of(results.external[0], "accuracy")
    assert f"{accuracy.external.value:.3f}" in page
    assert f"{accuracy.difference.low:+.3f} to {accuracy.difference.high:+.3f}" in page
    assert "clinic: ours does worse there than on the test part in macro F1" in page
    for path in ("out", "out/report.html"):
        done = call_main(["verify", path], tmp_path)
        assert done.returncode == 0, done.stdout + done.stderr
    # Negative controls: a number of the record, then a prediction.
    text = json.loads((tmp_path / "out/results.json").read_text())
    text["external"][0]["arms"][0]["values"][0]["difference"]["high"] += 0.01
    (tmp_path / "out/results.json").write_text(json.dumps(text))
    done = call_main(["verify", "out"], tmp_path)
    assert done.returncode == 1
    assert "external[clinic].arms" in done.stdout + done.stderr
    place = tmp_path / "out/external/clinic/ours/seed-0/fold-0.csv"
    place.write_text(place.read_text().replace("mole", "wart", 2))
    done = call_main(["verify", "out"], tmp_path)
    assert "predictions in external/clinic/ours/seed-0/fold-0.csv" in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--external", "theirs.csv"], 2, "has no name"),
        (["--external", "clinic=nothing.csv"], 3, "no such file"),
        (["--external", "a b=theirs.csv"], 2, "is not a name"),
        ([*SET[:2], "--external-truth", "other=theirs_truth.csv"], 2, "no external set is called"),
        ([*SET, *SET[2:]], 2, "names clinic twice"),
        ([*SET, "--external-metadata", "clinic=theirs_truth.csv"], 2, "--group COLUMN"),
    ],
)
def test_what_is_typed_wrong_is_one_line(
    tmp_path: Path, words: list[str], code: int, said: str
) -> None:
    write(tmp_path)
    done = call_main([*BASE, *words], tmp_path)
    assert done.returncode == code
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_names_in_a_report_lead_out_of_no_folder() -> None:
    (found,) = evaluate({"clinic": THEIRS}).external
    record = found.model_dump()
    assert ExternalSet.model_validate(record) == found
    for name in ("../x", "a/b", ".."):
        with pytest.raises(ValueError, match="names no file"):
            ExternalSet.model_validate(record | {"name": name})
    results = evaluate({"clinic": THEIRS})
    arm = results.external[0].arms[0]
    for update in (
        {"predictions_sha256": {"0/../../x": "0"}},
        {"arm": "../x", "predictions_sha256": {"0/0": "0"}},
    ):
        one = results.external[0].model_copy(update={"arms": [arm.model_copy(update=update)]})
        with pytest.raises(DataError, match="is not a training of"):
            external_files(results.model_copy(update={"external": [one]}))
