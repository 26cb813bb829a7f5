"""Anybody's predictions, from Python and from the command line: every form, every mistake, one report."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest
from sklearn.metrics import brier_score_loss, f1_score

import milkreport
from milkreport.errors import ConfigError, DataError
from milkreport.evaluation.metrics.calibration import fit_temperature
from milkreport.evaluation.metrics.positive import resample_positive, score_positive
from milkreport.evaluation.reading.any_table import load_case_table
from milkreport.evaluation.reading.inputs import load_inputs
from milkreport.evaluation.reading.predictions import Predictions
from milkreport.evaluation.records.long_form import COLUMNS, tabulate
from milkreport.evaluation.records.results import Results
from milkreport.reporting.sections.measures import binary_brier
from milkreport.runs.folder import RunFolder
from milkreport.tables import load_table
from tests.conftest import Command

CLASSES = ["A", "B", "C", "D"]
N = 400


def make(seed: int, skill: float = 1.5) -> pd.DataFrame:
    """Probabilities of the same cases, wide, as a data frame with an id column."""
    truth = np.random.default_rng(0).choice(4, N, p=[0.55, 0.25, 0.15, 0.05])
    logits = np.random.default_rng(seed).normal(size=(N, 4)) + skill * np.eye(4)[truth]
    values = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    frame = pd.DataFrame(values, columns=CLASSES)
    frame.insert(0, "id", [f"c{i:04d}" for i in range(N)])
    return frame


@pytest.fixture
def truth() -> pd.DataFrame:
    labels = np.random.default_rng(0).choice(4, N, p=[0.55, 0.25, 0.15, 0.05])
    ids = [f"c{i:04d}" for i in range(N)]
    return pd.DataFrame({"id": ids, "label": np.array(CLASSES)[labels]})


@pytest.fixture
def folder(tmp_path: Path, truth: pd.DataFrame) -> Path:
    truth.to_csv(tmp_path / "truth.csv", index=False)
    for name, seed, skill in (("base", 1, 1.0), ("better", 2, 2.5), ("other", 3, 1.0)):
        make(seed, skill).to_csv(tmp_path / f"{name}.csv", index=False)
    rng = np.random.default_rng(5)
    meta = pd.DataFrame({"id": truth["id"], "sex": rng.choice(["f", "m"], N)})
    meta["patient"] = [f"p{i // 2}" for i in range(N)]
    meta.to_csv(tmp_path / "meta.csv", index=False)
    return tmp_path


def part_of(results: Results, arm: int = 0):
    return results.arms[arm].part("test")


def test_a_path_may_be_text(folder: Path) -> None:
    base, better = folder / "base.csv", folder / "better.csv"
    options = {"metadata": folder / "meta.csv", "group": "patient", "intervals": False}
    texts = options | {"metadata": str(folder / "meta.csv")}
    for paths, words in [
        (base, str(base)),
        ([base, better], [str(base), str(better)]),
        ({"a": base, "b": [better, base]}, {"a": str(base), "b": [str(better), str(base)]}),
    ]:
        found = milkreport.evaluate(words, str(folder / "truth.csv"), **texts)
        assert found == milkreport.evaluate(paths, folder / "truth.csv", **options)
    with pytest.raises(DataError, match="no such file"):
        milkreport.evaluate(str(folder / "nothing.csv"), folder / "truth.csv")


def test_python_gives_what_the_command_gives(folder: Path, truth, milkreport: Command) -> None:
    results = __import__("milkreport").evaluate(make(1, 1.0), truth, positive=["B", "C"])
    done = milkreport("evaluate", "base.csv", "--truth", "truth.csv", "--positive", "B,C", "--json")
    assert done.returncode == 0, done.stderr
    said = Results.model_validate_json(done.stdout)
    assert part_of(said) == part_of(results)
    assert isinstance(results, milkreport_results())
    labels = pd.factorize(truth["label"], sort=True)[0]
    answer = make(1, 1.0)[CLASSES].to_numpy().argmax(axis=1)
    assert part_of(results).metrics["macro_f1"].value == pytest.approx(
        f1_score(labels, answer, average="macro")
    )


def milkreport_results() -> type[Results]:
    return milkreport.Results


def test_every_form_of_the_same_predictions_gives_the_same(folder: Path, truth) -> None:
    pytest.importorskip("pyarrow")
    wide = make(1, 1.0)
    wide.to_parquet(folder / "base.parquet")
    truth.to_parquet(folder / "truth.parquet")
    one_hot = pd.get_dummies(truth["label"]).astype(float).assign(image=truth["id"])
    ours = wide.rename(columns={"id": "case_id"}).assign(split="test", label=truth["label"])
    forms = [
        (wide.set_index("id"), truth),
        (wide.sample(frac=1, random_state=0)[["D", "id", "B", "A", "C"]], one_hot),
        (folder / "base.csv", folder / "truth.parquet"),
        (folder / "base.parquet", folder / "truth.csv"),
        (ours, truth),
    ]
    expected = milkreport.evaluate(wide, truth, intervals=False)
    for frame, labels in forms:
        found = milkreport.evaluate(frame, labels, intervals=False)
        values = {name: e.value for name, e in part_of(found).metrics.items()}
        assert values == pytest.approx(
            {name: e.value for name, e in part_of(expected).metrics.items()}
        )


def test_hard_labels_give_what_they_can_and_say_what_they_cannot(truth) -> None:
    wide = make(1)
    answer = np.array(CLASSES)[wide[CLASSES].to_numpy().argmax(axis=1)]
    hard = pd.DataFrame({"id": wide["id"], "prediction": answer})
    found = milkreport.evaluate(hard, truth)
    soft = milkreport.evaluate(wide, truth)
    part = part_of(found)
    assert part.kind == "labels"
    assert part.confusion == part_of(soft).confusion
    assert part.metrics == {n: part_of(soft).metrics[n] for n in part.metrics}
    lost = {"macro_auc", "log_loss", "brier", "ece", "top_2_accuracy", "top_3_accuracy",
            "macro_average_precision"}  # fmt: skip
    assert set(part.not_computed) == lost
    assert all(reason.startswith("NOT COMPUTED") for reason in part.not_computed.values())
    assert part.calibration is None
    assert part.rules == []
    assert [row.auc for row in part.classes] == [None] * 4
    assert "hard labels" in found.notices[0]
    one_hot = pd.DataFrame((answer[:, None] == CLASSES).astype(float), columns=CLASSES)
    one_hot.insert(0, "id", wide["id"])
    assert part_of(milkreport.evaluate(one_hot, truth)).kind == "labels"


def test_a_class_without_a_case_stays_a_class_if_rows_sum_to_one_with_it(truth) -> None:
    kept = truth[truth["label"] != "D"]
    wide = make(1)[make(1)["id"].isin(kept["id"])]
    found = milkreport.evaluate(wide, kept)
    assert found.classes == CLASSES
    row = part_of(found).classes[3]
    assert (row.support, row.recall, row.auc) == (0, None, None)
    assert part_of(found).metrics["macro_f1"].value is not None
    with pytest.raises(DataError, match="age is no class"):
        milkreport.evaluate(wide.assign(age=30), kept)


def test_validation_rows_are_a_part_of_their_own(truth) -> None:
    ours = make(1).rename(columns={"id": "case_id"})
    ours["split"] = np.where(np.arange(N) < 300, "test", "validation")
    ours.loc[390:, "split"] = "train"
    found = milkreport.evaluate(ours, truth, intervals=False)
    assert {p.part: p.n_cases for p in found.arms[0].parts} == {"validation": 90, "test": 300}


def test_the_temperature_is_chosen_on_validation_rows_and_never_on_test_rows(truth) -> None:
    ours = make(1, 3.0).rename(columns={"id": "case_id"})
    ours["split"] = np.where(np.arange(N) < 250, "test", "validation")
    found = part_of(milkreport.evaluate(ours, truth)).calibration
    assert found.fitted_on == "the validation part"
    rows = ours["split"] == "validation"
    labels = pd.factorize(truth["label"], sort=True)[0][rows]
    expected = fit_temperature(labels, ours.loc[rows, CLASSES].to_numpy())
    assert found.temperature == pytest.approx(expected)
    spoilt = truth.copy()
    spoilt.loc[:249, "label"] = "A"
    assert part_of(milkreport.evaluate(ours, spoilt)).calibration.temperature == found.temperature
    alone = part_of(milkreport.evaluate(make(1, 3.0), truth)).calibration
    assert alone.fitted_on == "the other 4 of 5 inner folds"
    assert alone.ece_after < part_of(milkreport.evaluate(make(1, 3.0), truth)).metrics["ece"].value


def test_arms_are_compared_and_seeds_pooled(truth) -> None:
    frames = {
        "base": [make(i, 1.0) for i in (1, 3, 4)],
        "better": [make(i, 2.5) for i in (5, 6, 7)],
    }
    found = milkreport.evaluate(frames, truth, primary="balanced_accuracy")
    comparison = found.comparison
    assert (comparison.n_seeds, comparison.n_cases) == (3, N)
    assert comparison.ranks == {"base": 2, "better": 1}
    (tested,) = [d for d in comparison.differences if d.p is not None]
    assert (tested.arm, tested.against, tested.metric) == ("better", "base", "balanced_accuracy")
    assert tested.low > 0
    assert tested.seed_sd > 0
    assert tested.sampling_error > 0
    values = [
        part_of(milkreport.evaluate(f, truth, intervals=False)).metrics["balanced_accuracy"].value
        for f in frames["better"]
    ]
    estimate = part_of(found, 1).metrics["balanced_accuracy"]
    assert estimate.value == pytest.approx(np.mean(values))
    assert estimate.seed_sd == pytest.approx(np.std(values, ddof=1))
    assert all(d.mcnemar is None for d in comparison.differences)  # several seeds


def test_two_equal_files_are_undecided_unless_a_margin_is_declared(
    folder: Path, milkreport: Command
) -> None:
    done = milkreport("compare", "base.csv", "base.csv", "--truth", "truth.csv", "--json")
    assert done.returncode == 0, done.stderr
    (found,) = json.loads(done.stdout)
    for d in found["comparison"]["differences"]:
        assert d["value"] == 0
        assert d["low"] == -d["high"] <= 0  # equal answers to some cases promise none to others
        if d["metric"] == "macro_f1":
            assert (d["p"], d["p_holm"]) == (1, 1)
        if d["metric"] == "accuracy":
            assert d["mcnemar"] == 1
    table = milkreport("compare", "base.csv", "base.csv", "--truth", "truth.csv", "--md").stdout
    line = next(row for row in table.splitlines() if row.startswith("| Macro F1"))
    assert line.endswith("| undecided |")
    assert table.count("undecided") == 1
    assert "give the same answer for every case" in table
    margin = milkreport(
        "compare", "base.csv", "base.csv", "--truth", "truth.csv", "--margin", "0.05", "--md"
    ).stdout
    assert "are equivalent within 0.05 in macro F1 (90% interval of the difference −0.0" in margin


def test_a_difference_is_shown_and_mcnemar_is_exact(folder: Path, truth, milkreport) -> None:
    done = milkreport("compare", "better.csv", "base.csv", "--truth", "truth.csv", "--json")
    (found,) = json.loads(done.stdout)
    differences = {d["metric"]: d for d in found["comparison"]["differences"]}
    assert differences["macro_f1"]["low"] > 0
    labels = pd.factorize(truth["label"], sort=True)[0]
    right = [make(s, k)[CLASSES].to_numpy().argmax(axis=1) == labels for s, k in ((2, 2.5), (1, 1))]
    only = (right[0] & ~right[1]).sum(), (right[1] & ~right[0]).sum()
    assert differences["accuracy"]["mcnemar"] == pytest.approx(binomtest(only[0], sum(only)).pvalue)
    (agreement,) = found["comparison"]["agreement"]
    assert (agreement["only_arm"], agreement["only_against"]) == only
    assert agreement["both_right"] == (right[0] & right[1]).sum()
    shown = milkreport("compare", "better.csv", "base.csv", "--truth", "truth.csv")
    assert "scored a higher macro F1" in " ".join(shown.stderr.split())
    assert "these trained models" in " ".join(shown.stderr.split())
    swapped = milkreport("compare", "base.csv", "better.csv", "--truth", "truth.csv", "--json")
    other = json.loads(swapped.stdout)[0]["comparison"]["differences"][0]
    assert other["value"] == pytest.approx(-differences["macro_f1"]["value"])


def test_unpaired_predictions_are_refused_with_the_reason(truth) -> None:
    ours = make(1).rename(columns={"id": "case_id"}).assign(split="test")
    other = ours.copy()
    other.loc[:9, "split"] = "train"
    with pytest.raises(DataError, match=r"can't be compared: other cases \(0 and 10 alone\)"):
        milkreport.evaluate({"a": ours, "b": other}, truth)


def test_groups_widen_intervals_where_cases_repeat(truth) -> None:
    """Each case written four times: as groups, the interval is that of the cases."""
    wide = make(1, 1.0)
    copies = [wide.assign(id=wide["id"] + f"-{k}") for k in range(4)]
    labels = pd.concat([truth.assign(id=truth["id"] + f"-{k}") for k in range(4)])
    meta = labels[["id"]].assign(patient=labels["id"].str[:5])
    many = pd.concat(copies)
    width = {}
    for name, keywords in (
        ("cases", {}),
        ("groups", {"metadata": meta, "group": "patient", "slices": []}),
    ):
        part = part_of(milkreport.evaluate(many, labels, **keywords))
        estimate = part.metrics["accuracy"]
        width[name] = estimate.high - estimate.low
        assert part.n_groups == (N if keywords else None)
    alone = part_of(milkreport.evaluate(wide, truth)).metrics["accuracy"]
    assert width["groups"] == pytest.approx(alone.high - alone.low, rel=0.12)
    assert width["cases"] == pytest.approx(width["groups"] / 2, rel=0.12)


def test_a_metadata_table_of_several_rows_a_case_is_joined() -> None:
    rows = pd.DataFrame(
        {
            "image": ["a", "a", "b", "b"],
            "state": ["altered", "plain", "plain", "plain"],
            "age": ["40", "40", "50", "60"],
        }
    )
    table = load_case_table(rows)
    assert table.loc["a"].tolist() == ["altered / plain", "40"]
    assert table.loc["b", "state"] == "plain"
    assert pd.isna(table.loc["b", "age"])  # two ages: not known


@pytest.mark.slow
def test_out_holds_what_a_run_holds(folder: Path, milkreport: Command) -> None:
    done = milkreport(
        "evaluate", "base=base.csv", "better=better.csv", "--truth", "truth.csv", "--metadata",
        "meta.csv", "--slice", "sex", "--group", "patient", "--positive", "B", "--rules", "isic",
        "--out", "out", "--title", "Two models", "--no-pdf",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    run = RunFolder(folder / "out")
    results = run.load_results()
    assert results.title == "Two models"
    assert part_of(results).n_groups == N // 2
    for name in ("report.html", "manifest.json", "metrics.csv", "mistakes.csv", "subgroups.csv"):
        assert (run.path / name).is_file(), name
    page = (run.path / "report.html").read_text(encoding="utf-8")
    for text in ("Two models", "Subgroups", "ISIC Archive", "In-sample", "Predictions read from"):
        assert text in page
    assert str(folder) not in page
    table = load_table(run.path / "metrics.csv")
    assert tuple(table.columns) == COLUMNS
    chosen = table[(table["metric"] == "macro_f1") & (table["seed"] == "all")]
    row = chosen[(chosen["arm"] == "better") & chosen["slice"].isna()].iloc[0]
    estimate = part_of(results, 1).metrics["macro_f1"]
    found = [float(row[name]) for name in ("value", "low", "high")]
    assert found == pytest.approx([estimate.value, estimate.low, estimate.high], rel=1e-8)
    assert {"sex=f", "sex=m", "sex"} <= set(table["slice"].dropna())
    mistakes = load_table(run.path / "mistakes.csv")
    first = mistakes[mistakes["arm"] == "base"].iloc[0]
    wide = make(1, 1.0).set_index("id")
    assert first["predicted"] != first["label"]
    assert float(first["probability"]) == pytest.approx(wide.loc[first["case_id"]].max(), rel=1e-8)
    assert mistakes.groupby("arm").size().max() <= 50
    again = milkreport("report", "out", "--no-pdf")
    assert again.returncode == 0, again.stderr
    assert (run.path / "report.html").read_text(encoding="utf-8") == page


@pytest.mark.slow
def test_evaluations_are_checked_and_compared_like_runs(folder: Path, milkreport: Command) -> None:
    for name in ("base", "better"):
        done = milkreport("evaluate", f"model={name}.csv", "--truth", "truth.csv", "--out", name,
                          "--no-pdf", "--no-intervals")  # fmt: skip
        assert done.returncode == 0, done.stderr
    worse = milkreport("check", "base", "--against", "better")
    assert worse.returncode == 1, worse.stderr
    assert milkreport("check", "better", "--against", "better").returncode == 0
    done = milkreport("compare", "better", "base", "--json")
    assert done.returncode == 0, done.stderr
    (found,) = json.loads(done.stdout)
    direct = milkreport("compare", "better.csv", "base.csv", "--truth", "truth.csv", "--json")
    expected = json.loads(direct.stdout)[0]["comparison"]["differences"]
    assert found["comparison"]["differences"] == expected
    mixed = milkreport("compare", "better.csv", "base", "--json")  # the run brings the truth
    assert json.loads(mixed.stdout)[0]["comparison"]["differences"] == expected


def test_an_out_that_holds_something_else_is_left_alone(folder: Path, milkreport) -> None:
    (folder / "mine").mkdir()
    (folder / "mine" / "notes.txt").write_text("keep")
    done = milkreport("evaluate", "base.csv", "--truth", "truth.csv", "--out", "mine")
    assert done.returncode == 2
    assert "not a run folder and not empty" in done.stderr
    assert [p.name for p in (folder / "mine").iterdir()] == ["notes.txt"]


BAD_CALLS = {
    "unknown class": (["--positive", "B,X"], 2, "positive: X is no class"),
    "all positive": (["--positive", "A,B,C,D"], 2, "positive names every class"),
    "unknown metric": (["--primary", "f2"], 2, "unknown primary metric 'f2'"),
    "unknown rule": (["--rules", "isci"], 2, "unknown rule isci"),
    "no metadata": (["--slice", "sex"], 2, "give it by --metadata TABLE"),
    "no column": (["--metadata", "meta.csv", "--slice", "sexx"], 2, "no column 'sexx'"),
    "no file": (["lacking.csv"], 3, "lacking.csv: no such file"),
    "bad name": (["../x=base.csv"], 2, "'../x' is no name"),
}


@pytest.mark.parametrize("name", BAD_CALLS)
def test_bad_calls_get_one_line(name: str, folder: Path, milkreport: Command) -> None:
    arguments, code, message = BAD_CALLS[name]
    done = milkreport("evaluate", "base.csv", *arguments, "--truth", "truth.csv", "--json")
    assert done.returncode == code, done.stderr
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


def test_compare_names_a_run_without_test_predictions(folder: Path, milkreport: Command) -> None:
    made = milkreport("evaluate", "base.csv", "--truth", "truth.csv", "--out", "one", "--no-pdf")
    assert made.returncode == 0, made.stderr
    record = json.loads((folder / "one/results.json").read_text())
    record["arms"] = []
    (folder / "one/results.json").write_text(json.dumps(record))
    done = milkreport("compare", "one", "base.csv", "--truth", "truth.csv")
    assert done.returncode == 3
    assert "one: its results hold no test predictions — finish the run" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.slow
def test_compare_needs_a_truth_and_a_common_arm(folder: Path, milkreport: Command) -> None:
    done = milkreport("compare", "base.csv", "better.csv")
    assert done.returncode == 2
    assert "prediction files need their truth" in done.stderr
    for out, names in (
        ("one", ["a=base.csv", "b=better.csv"]),
        ("two", ["c=base.csv", "d=other.csv"]),
    ):
        milkreport("evaluate", *names, "--truth", "truth.csv", "--out", out, "--no-pdf",
                   "--no-intervals")  # fmt: skip
    done = milkreport("compare", "one", "two")
    assert done.returncode == 2
    assert "no arm in common — a, b; c, d" in done.stderr


@pytest.mark.slow
def test_a_comparison_of_several_arms_names_each(folder: Path, milkreport: Command) -> None:
    for out in ("one", "two"):
        milkreport("evaluate", "a=base.csv", "b=better.csv", "--truth", "truth.csv", "--out", out,
                   "--no-pdf", "--no-intervals")  # fmt: skip
    done = milkreport("compare", "one", "two")
    assert [line for line in done.stderr.splitlines() if line.endswith("one minus two")] == [
        "a: one minus two",
        "b: one minus two",
    ]
    done = milkreport("compare", "base.csv", "better.csv", "--truth", "truth.csv")
    assert "base minus better" in done.stderr.splitlines()


@pytest.mark.slow
def test_the_command_of_a_report_of_several_runs_can_be_typed(folder: Path, milkreport) -> None:
    for out in ("run one", "two"):
        milkreport("evaluate", f"{out[:3].strip()}=base.csv", "--truth", "truth.csv", "--out", out,
                   "--no-pdf", "--no-intervals")  # fmt: skip
    done = milkreport("report", "run one", "two", "--out", "both", "--no-pdf")
    assert done.returncode == 0, done.stderr
    command = RunFolder(folder / "both").load_manifest().command
    assert command == "milkreport report 'run one' two --out $OUT"


def test_a_report_of_given_predictions_names_no_suite(folder: Path, milkreport: Command) -> None:
    milkreport("evaluate", "base.csv", "--truth", "truth.csv", "--out", "out", "--no-pdf",
               "--no-intervals")  # fmt: skip
    assert "<span>suite" not in (folder / "out" / "report.html").read_text(encoding="utf-8")


def test_plain_and_strict_reading_agree(folder: Path, truth) -> None:
    """What the fast parser leaves to the strict one comes out the same: quotes, blank lines, a BOM."""
    wide = make(1, 1.0)
    plain = load_inputs(folder / "base.csv", folder / "truth.csv").first
    text = (folder / "base.csv").read_text()
    header, *rows = text.splitlines()
    odd = (
        "\ufeff"
        + header
        + "\n\n"
        + "\n".join(f'"{r.split(",")[0]}",' + r.split(",", 1)[1] for r in rows)
    )
    (folder / "odd.csv").write_text(odd, encoding="utf-8")
    other = load_inputs(folder / "odd.csv", folder / "truth.csv").first
    assert (plain.probabilities == other.probabilities).all()
    assert (plain.case_ids == other.case_ids).all()
    assert plain.probabilities == pytest.approx(wide[CLASSES].to_numpy(), abs=0)


def test_ids_that_look_like_numbers_stay_text(tmp_path: Path) -> None:
    ids = ["007", "7", "1e3", "NA", "1000"]
    truth = pd.DataFrame({"id": ids, "label": list("ABABA")})
    wide = pd.DataFrame({"id": ids, "A": 0.4, "B": 0.6})
    truth.to_csv(tmp_path / "t.csv", index=False)
    wide.to_csv(tmp_path / "p.csv", index=False)
    first = load_inputs(tmp_path / "p.csv", tmp_path / "t.csv").first
    assert sorted(first.case_ids.tolist()) == sorted(ids)


def test_an_unknown_rule_is_refused_from_python_too(truth) -> None:
    with pytest.raises(ConfigError, match="unknown rule"):
        milkreport.evaluate(make(1), truth, rules=["topk"])


def test_a_truth_whose_label_column_has_another_name_is_told_so(tmp_path) -> None:
    path = tmp_path / "truth.csv"
    path.write_text("id,diagnosis\na,NV\nb,MEL\n")
    predictions = pd.DataFrame({"id": ["a", "b"], "NV": [0.7, 0.2], "MEL": [0.3, 0.8]})
    with pytest.raises(
        DataError, match=r"no column 'label', and no 0 or 1 in diagnosis — name the"
    ):
        milkreport.evaluate(predictions, path)


@pytest.mark.parametrize("weaker", ["labels", "scores"])
def test_seeds_of_unlike_kinds_have_what_all_of_them_hold(truth, weaker) -> None:
    full, other = make(1), make(2)
    if weaker == "labels":
        answers = other[CLASSES].idxmax(axis=1)
        other = pd.DataFrame({"id": other["id"], "prediction": answers})
    else:
        other[CLASSES] *= 0.9
    there, back = (
        part_of(milkreport.evaluate({"m": seeds}, truth, positive=["D"]))
        for seeds in ([full, other], [other, full])
    )
    for part in (there, back):
        assert part.kind == weaker
        assert (part.classes[0].auc is None) == (weaker == "labels")
        assert (part.positive.auc is None) == (weaker == "labels")
        assert part.positive.net_benefit == []
        assert part.calibration is None
    apart = [part_of(milkreport.evaluate(seed, truth)) for seed in (full, other)]
    mean = np.mean([part.classes[0].recall for part in apart])
    assert there.classes[0].recall == pytest.approx(mean)
    assert back.classes[0].recall == pytest.approx(mean)


def test_what_needs_inner_folds_is_left_out_of_a_single_group(truth) -> None:
    """One patient's cases stay together: nothing is left to fit a temperature or a threshold on."""
    table = truth[["id"]].assign(patient="p")
    part = part_of(milkreport.evaluate(make(1), truth, metadata=table, group="patient"))
    assert part.calibration.temperature is None
    assert part.calibration.ece_after is None
    assert part.calibration.fitted_on == ""
    assert part.calibration.bins
    assert part.rules == []


def test_the_long_form_says_by_what_a_grouped_value_was_decided(truth) -> None:
    results = milkreport.evaluate(make(1), truth, positive=["C", "D"], intervals=False)
    rows = tabulate(results, {}).set_index("metric")["decision"]
    assert rows["positive_sensitivity"] == rows["positive_specificity"] == "argmax, grouped"
    assert rows["positive_auc"] == "ranks of the summed probability"


def test_shares_of_whole_cases_are_exact_in_every_resample() -> None:
    """A third is 0.3333333333333333, never its float32."""
    truth = np.array([0] * 3 + [1] * 9)
    p = np.random.default_rng(3).random(12)
    given = Predictions(np.arange(12).astype(str), truth, np.stack([p, 1 - p], 1), ("a", "b"))
    found = resample_positive(given, ("a",), np.ones((2, 12), np.float32))
    points = score_positive(given, ("a",))
    for name in ("sensitivity", "specificity", "at_specificity"):
        assert found[name].tolist() == [points[name].tolist()] * 2, name
    assert set(found["at_specificity"].ravel()) <= {0, 1 / 3, 2 / 3, 1}
    assert found["at_specificity"].max() < 1


def test_blanks_between_rules_are_no_part_of_them(folder: Path, milkreport: Command) -> None:
    done = milkreport("evaluate", "base.csv", "--truth", "truth.csv", "--rules", "argmax, isic",
                      "--no-intervals", "--json")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["data"]["rules"] == ["isic"]


@pytest.mark.slow
def test_an_evaluation_replaces_no_other_one(folder: Path, milkreport: Command) -> None:
    def scored(name: str):
        return milkreport("evaluate", f"{name}.csv", "--truth", "truth.csv", "--out", "kept", "--no-pdf",
                          "--no-intervals")  # fmt: skip

    assert scored("base").returncode == 0
    before = (folder / "kept/results.json").read_bytes()
    done = scored("better")
    assert done.returncode == 2
    assert "kept: holds another evaluation (milkreport evaluate base=base.csv" in done.stderr
    assert done.stderr.rstrip().endswith("choose another --out")
    assert (folder / "kept/results.json").read_bytes() == before
    done = scored("base")
    assert done.returncode == 0
    assert "replacing the evaluation in kept, which the same command made" in done.stderr


@pytest.mark.slow
def test_files_of_one_name_elsewhere_are_another_evaluation(
    folder: Path, milkreport: Command
) -> None:
    options = ("--out", "kept", "--no-pdf", "--no-intervals")
    assert milkreport("evaluate", "base.csv", "--truth", "truth.csv", *options).returncode == 0
    before = (folder / "kept/results.json").read_bytes()
    (folder / "other").mkdir()
    shutil.copy(folder / "better.csv", folder / "other/base.csv")
    done = milkreport("evaluate", "other/base.csv", "--truth", "truth.csv", *options)
    assert done.returncode == 2
    assert "an evaluation of other files, which have the same names" in done.stderr
    assert (folder / "kept/results.json").read_bytes() == before
    assert str(folder) not in (folder / "kept/manifest.json").read_text(encoding="utf-8")


def test_an_arm_is_called_as_its_file_as_far_as_can_be(folder: Path, milkreport: Command) -> None:
    (folder / "base.csv").rename(folder / "été modèle (1).csv")
    done = milkreport("evaluate", "été modèle (1).csv", "--truth", "truth.csv", "--json",
                      "--no-intervals")  # fmt: skip
    assert done.returncode == 0, done.stderr
    (arm,) = json.loads(done.stdout)["arms"]
    assert (arm["name"], arm["title"]) == ("ete-modele-1", "été modèle (1)")
    alone = milkreport_evaluate(folder / "été modèle (1).csv", folder / "truth.csv").arms[0]
    assert (alone.name, alone.title) == ("ete-modele-1", "été modèle (1)")


def milkreport_evaluate(path: Path, truth: Path) -> Results:
    return milkreport.evaluate(path, truth, intervals=False)


def test_the_brier_score_of_two_classes_is_given_as_libraries_have_it(folder, milkreport) -> None:
    rng = np.random.default_rng(2)
    truth = rng.random(80) < 0.4
    p = np.clip(rng.random(80) * 0.6 + 0.4 * truth, 0.01, 0.99)
    ids = [f"c{i}" for i in range(80)]
    pd.DataFrame({"id": ids, "no": 1 - p, "yes": p}).to_csv(folder / "two.csv", index=False)
    labels = np.where(truth, "yes", "no")
    pd.DataFrame({"id": ids, "label": labels}).to_csv(folder / "labels.csv", index=False)
    done = milkreport("evaluate", "two.csv", "--truth", "labels.csv", "--out", "two", "--no-pdf")
    assert done.returncode == 0, done.stderr
    expected = brier_score_loss(truth, p)
    page = (folder / "two/report.html").read_text(encoding="utf-8")
    for text in (done.stderr, page):
        assert "sum over classes, 0 to 2" in text
    shown = done.stderr.split("Brier score, binary")[1].split()[0]
    assert float(shown) == pytest.approx(expected, abs=1e-4)
    cell = page.split("<bdi>Brier score, binary</bdi>")[1].split("<td><bdi>")[1].split("<")[0]
    assert float(cell) == pytest.approx(expected, abs=6e-4)
    whole = milkreport_evaluate(folder / "base.csv", folder / "truth.csv").arms[0].part("test")
    assert binary_brier(whole) is None


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="peak memory in kilobytes is Linux's")
def test_three_arms_of_five_thousand_cases_stay_within_300_mb(tmp_path: Path) -> None:
    """11 classes, all intervals and tests, positive classes and subgroups; 321 MB before."""
    rng = np.random.default_rng(0)
    n, classes = 5_240, [f"C{i:02d}" for i in range(11)]
    ids = [f"case_{i:07d}" for i in range(n)]
    truth = rng.choice(11, n, p=np.array([30, 252, 4, 54, 5, 5, 1, 44, 71, 47, 5]) / 518)
    tables = {"truth": np.eye(11, dtype=int)[truth]}
    for arm in range(3):
        tables[f"arm{arm}"] = rng.dirichlet(np.ones(11), n) * 0.6 + 0.4 * np.eye(11)[truth]
    for name, values in tables.items():
        frame = pd.DataFrame(values, columns=classes)
        frame.insert(0, "image", ids)
        frame.to_csv(tmp_path / f"{name}.csv", index=False, float_format="%.9f")
    meta = pd.DataFrame({"image": ids, "sex": rng.choice(["m", "f"], n)})
    meta["site"] = rng.choice([*"abcdefgh"], n)
    meta.to_csv(tmp_path / "meta.csv", index=False)
    command = [sys.executable, "-m", "milkreport", "evaluate", "arm0.csv", "arm1.csv", "arm2.csv",
               "--truth", "truth.csv", "--positive", "C07,C01", "--metadata", "meta.csv",
               "--rules", "isic", "--json"]  # fmt: skip
    # Started by a small process: Linux counts the memory of the one that forks into the peak.
    start = "import os, subprocess, sys; p = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL); "
    start += "_, status, usage = os.wait4(p.pid, 0); print(status, usage.ru_maxrss)"
    done = subprocess.run(
        [sys.executable, "-S", "-c", start, *command], cwd=tmp_path, capture_output=True, text=True
    )
    status, peak = map(int, done.stdout.split())
    assert status == 0, done.stderr
    assert peak / 1024 < 300
