"""The gate from end to end: freeze, check, and the same verdict wherever it is shown."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from xml.etree import ElementTree as xml

import numpy as np
import pandas as pd
import pytest

from milkreport.checks import earlier as earlier_module
from milkreport.checks.reference import load_reference, shipped_references
from milkreport.checks.verdict import Status, Verdict, exit_code
from milkreport.evaluation import paired_runs as paired_runs_module
from milkreport.evaluation.reading.predictions import Predictions
from milkreport.gate.self_test import load_fixture, run_controls, worsen
from tests.conftest import Command

ROOT = Path(__file__).resolve().parents[2]


def write_predictions(path: Path, p: Predictions, probabilities: np.ndarray) -> None:
    frame = pd.DataFrame(probabilities, columns=list(p.classes))
    frame.insert(0, "case_id", p.case_ids)
    frame.to_csv(path, index=False)


@pytest.fixture
def evaluated(milkreport: Command, tmp_path: Path) -> Path:
    """Runs ``same``, ``worse`` and ``few`` of one model, and a reference ``main`` frozen from ``same``."""
    p = load_fixture()
    labels = [p.classes[t] for t in p.truth]
    pd.DataFrame({"case_id": p.case_ids, "label": labels}).to_csv(
        tmp_path / "truth.csv", index=False
    )
    for name, probabilities in (("same", p.probabilities), ("worse", worsen(p, 0.1))):
        write_predictions(tmp_path / f"{name}.csv", p, probabilities)
        evaluate(milkreport, f"{name}.csv", name)
    done = milkreport(
        "reference",
        "new",
        "same",
        "--name",
        "main",
        "--reason",
        "release 1",
        "--per-class",
        "recall",
    )
    assert done.returncode == 0, done.stderr
    return tmp_path


def evaluate(milkreport: Command, file: str, out: str) -> None:
    done = milkreport(
        "evaluate",
        f"model={file}",
        "--truth",
        "truth.csv",
        "--out",
        out,
        "--no-pdf",
        "--no-intervals",
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_a_frozen_reference_holds_values_rules_reason_and_predictions(
    evaluated: Path, milkreport: Command
) -> None:
    reference = load_reference(str(evaluated / "references" / "main"))
    p = load_fixture()
    accuracy = next(f for f in reference.figures if f.metric == "accuracy")
    assert accuracy.value == (p.predicted == p.truth).mean()  # to the last bit
    assert reference.frozen is not None
    assert [c.reason for c in reference.frozen.history] == ["release 1"]
    assert {f.class_name for f in reference.figures if f.metric == "recall"} == set(p.classes)
    assert reference.primary == "macro_f1"
    assert reference.support["test"] == dict(zip(p.classes, np.bincount(p.truth), strict=True))
    margins = {f.metric: reference.margin_of(f)[0] for f in reference.figures}
    assert margins == {
        "macro_f1": 0.03, "accuracy": 0.03, "balanced_accuracy": 0.03, "weighted_f1": 0.03,
        "macro_auc": 0.02, "log_loss": 0.05, "recall": 0.03,
    }  # fmt: skip
    files = sorted(
        f.relative_to(evaluated / "references" / "main").as_posix()
        for f in (evaluated / "references").rglob("*") if f.is_file()
    )  # fmt: skip
    assert files == [
        "cells/model/seed-0/fold-0/cell.json",
        "cells/model/seed-0/fold-0/predictions.csv",
        "manifest.json",
        "reference.toml",
        "results.json",
    ]
    listed = milkreport("reference", "list").stdout.split()
    assert listed == sorted({"main"} | shipped_references())
    shown = milkreport("reference", "show", "main")
    assert "release 1" in shown.stderr
    again = milkreport("reference", "new", "same", "--name", "main", "--reason", "x")
    assert again.returncode == 2
    assert "reference main exists" in again.stderr
    no_reason = milkreport("reference", "new", "same", "--name", "b", "--reason", " ")
    assert (no_reason.returncode, "the reason is empty" in no_reason.stderr) == (2, True)
    for options, message in (
        (["--margin", "0.1"], "a margin needs its reason"),
        (["--margin", "much", "--margin-reason", "r"], "give a number from 0 to 1"),
        (["--margin", "mcc=0.1", "--margin-reason", "r"], "a margin of mcc, which is not gated"),
        (["--metric", "recall:none"], "unknown class 'none'"),
    ):
        done = milkreport("reference", "new", "same", "--name", "b", "--reason", "r", *options)
        assert (done.returncode, message in done.stderr) == (2, True), done.stderr
    metric = milkreport(
        "reference", "new", "same", "--name", "b", "--reason", "r", "--metric", "f2"
    )
    assert (metric.returncode, "unknown metric 'f2'" in metric.stderr) == (2, True)
    assert not (evaluated / "references" / "b").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("run", "options", "code"),
    [
        ("same", [], 0),
        ("worse", [], 1),
        ("same", ["--strict"], 0),
        ("few", [], 5),
        ("few", ["--strict"], 5),
    ],
)
def test_one_verdict_feeds_everything(
    evaluated: Path, milkreport: Command, monkeypatch, run: str, options: list[str], code: int
) -> None:
    if run == "few":
        frame = pd.read_csv(evaluated / "same.csv").iloc[:-9]
        frame.to_csv(evaluated / "few.csv", index=False)
        truth = pd.read_csv(evaluated / "truth.csv").iloc[:-9]
        truth.to_csv(evaluated / "few_truth.csv", index=False)
        milkreport(
            "evaluate", "model=few.csv", "--truth", "few_truth.csv", "--out", "few", "--no-pdf"
        )
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(evaluated / "summary.md"))
    arguments = ["check", run, "--against", "main", "--junit", "check.xml", "--github", *options]
    done = milkreport(*arguments, "--json")
    verdict = Verdict.model_validate_json(done.stdout)
    assert done.returncode == code == exit_code(verdict, "--strict" in options)
    assert json.loads((evaluated / run / "checks.json").read_text()) == json.loads(done.stdout)

    console = milkreport(*arguments)
    assert console.returncode == code
    counts = ", ".join(f"{n} {status}" for status, n in verdict.counts.items() if n)
    assert f"against main (earlier run): {verdict.status} ({counts})" in console.stderr

    suite = xml.parse(evaluated / "check.xml").getroot().find("testsuite")
    cases = suite.findall("testcase")
    assert [c.get("name") for c in cases[:-1]] == [f"test {row.name}" for row in verdict.rows]
    failed = verdict.counts["FAIL"] + (code != 0)  # the rows, and the verdict itself
    assert int(suite.get("failures")) == failed == len(suite.findall("testcase/failure"))
    skipped = verdict.counts["NOT CHECKED"] + verdict.counts["INCONCLUSIVE"]
    assert int(suite.get("skipped")) == skipped == len(suite.findall("testcase/skipped"))
    assert (cases[-1].find("failure") is not None) == (code != 0)

    summary = (evaluated / "summary.md").read_text(encoding="utf-8")
    assert summary.count(f"{verdict.status}: against main") == 2  # both calls appended
    assert f"{counts}; exit code {code}." in summary
    lines = [line for line in summary.splitlines() if line.startswith("| ")]
    for status in Status:
        n = sum(f" {status} |" in line for line in lines)
        assert n == 2 * verdict.counts[status]

    noted = [line for line in console.stdout.splitlines() if line.startswith("::error title=FAIL")]
    assert len(noted) == verdict.counts["FAIL"]

    milkreport("report", run, "--no-pdf")
    page = (evaluated / run / "report.html").read_text(encoding="utf-8")
    section = page[page.index('id="reference"') :]
    badge = re.search(r'class="badge (\w+)">.*?</span> ([A-Z ]+)</span>', section)
    assert badge is not None
    assert badge.group(2) == str(verdict.status)
    for status in Status:
        assert (
            section.count(f'status {["pass", "fail", "open", "none"][list(Status).index(status)]}"')
            == (verdict.counts[status])
        )


@pytest.mark.slow
def test_every_class_is_watched_where_that_is_asked_for(
    evaluated: Path, milkreport: Command
) -> None:
    done = milkreport("check", "worse", "--against", "main", "--json")
    rows = {r["class_name"]: r for r in json.loads(done.stdout)["rows"] if r["metric"] == "recall"}
    assert rows.keys() == {"common", "frequent", "usual", "scarce", "rare"}
    for name, row in rows.items():
        assert row["difference"] == pytest.approx(-0.1)
        # Six of 60 cases do not exclude a loss within the margin.
        assert row["status"] == ("INCONCLUSIVE" if name == "rare" else "FAIL")


@pytest.mark.slow
def test_an_update_shows_the_difference_and_keeps_the_history(
    evaluated: Path, milkreport: Command
) -> None:
    folder = evaluated / "references" / "main"
    before = (folder / "reference.toml").read_text()
    dry = milkreport("reference", "update", "main", "worse", "--reason", "new data", "--dry-run")
    assert dry.returncode == 0
    assert "FAIL" in dry.stderr
    assert (folder / "reference.toml").read_text() == before
    done = milkreport("reference", "update", "main", "worse", "--reason", "new data")
    assert done.returncode == 0
    assert "-0.1000" in done.stderr
    renewed = load_reference(str(folder))
    assert [c.reason for c in renewed.frozen.history] == ["release 1", "new data"]
    old = load_reference_text(before)
    assert [f.key for f in renewed.figures] == [f["key"] for f in old]
    assert milkreport("check", "worse", "--against", "main").returncode == 0
    published = milkreport("reference", "update", "paper", "worse", "--reason", "r")
    assert (published.returncode, "holds published figures" in published.stderr) == (2, True)


def load_reference_text(text: str) -> list[dict[str, tuple[str, str, str, str]]]:
    import tomllib

    figures = tomllib.loads(text)["figures"]
    return [
        {"key": (f["arm"], f["part"], f["metric"], f.get("class_name", ""))} for f in figures
    ]  # fmt: skip


@pytest.mark.slow
def test_groups_that_an_evaluation_resampled_are_resampled_by_its_check(
    evaluated: Path, milkreport: Command
) -> None:
    """Twins that answer alike are one observation: the interval must be wider than for single cases."""
    p = load_fixture()
    truth = pd.read_csv(evaluated / "truth.csv")
    wide = {}
    for place, name in enumerate(("before", "after")):
        values = p.probabilities if place == 0 else worsen(p, 0.05)
        frame = pd.DataFrame(values, columns=list(p.classes)).iloc[::4]
        ids = p.case_ids[::4]
        # Twins answer alike and are no copies: their digits differ.
        twins = [
            frame.assign(
                case_id=[f"{i}-{k}" for i in ids],
                **{c: (1 - 0.001 * k) * frame[c] + 0.001 * k / 5 for c in p.classes},
            )
            for k in range(4)
        ]
        pd.concat(twins).to_csv(evaluated / f"{name}.csv", index=False)
    labels = truth["label"].iloc[::4]
    table = pd.concat(
        [
            pd.DataFrame({"case_id": [f"{i}-{k}" for i in ids], "label": labels.to_numpy()})
            for k in range(4)
        ]
    )
    table.to_csv(evaluated / "truth.csv", index=False)
    table.assign(patient=table["case_id"].str.rsplit("-", n=1).str[0])[
        ["case_id", "patient"]
    ].to_csv(evaluated / "meta.csv", index=False)
    for kind, extra in (
        ("cases", []),
        ("groups", ["--metadata", "meta.csv", "--group", "patient"]),
    ):
        for name in ("before", "after"):
            done = milkreport(
                "evaluate", f"model={name}.csv", "--truth", "truth.csv", "--out", f"{kind}-{name}",
                "--no-pdf", "--no-intervals", *extra,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
        done = milkreport("check", f"{kind}-after", "--against", f"{kind}-before", "--json")
        row = next(r for r in json.loads(done.stdout)["rows"] if r["metric"] == "accuracy")
        wide[kind] = row["high"] - row["low"]
    assert wide["groups"] / wide["cases"] == pytest.approx(2, rel=0.15)  # the root of four


@pytest.mark.slow
def test_a_folder_with_the_name_of_a_reference_is_meant_by_its_path_alone(
    evaluated: Path, milkreport: Command
) -> None:
    shutil.copytree(evaluated / "same", evaluated / "paper")
    assert "published figures" in milkreport("check", "same", "--against", "paper").stderr
    assert "earlier run" in milkreport("check", "same", "--against", "./paper").stderr


@pytest.mark.slow
def test_the_self_test_holds_here(milkreport: Command) -> None:
    done = milkreport("check", "--self-test", "--json")
    assert done.returncode == 0, done.stderr
    controls = {c["name"]: (c["wanted"], c["found"]) for c in json.loads(done.stdout)}
    assert controls["10 points worse, paired"] == ("FAIL, exit 1", "FAIL, exit 1")
    assert controls["0.1 points worse, paired"] == ("PASS, exit 0", "PASS, exit 0")
    assert all(wanted == found for wanted, found in controls.values())
    assert controls["the same answers with shuffled confidences"][1] == "FAIL, exit 1"
    assert len(controls) == 19
    assert milkreport("check", "--self-test", "run").returncode == 2
    assert milkreport("check").returncode == 2


@pytest.mark.slow
def test_the_self_test_fails_where_the_gate_is_broken(monkeypatch) -> None:
    """Negative control of the controls: a gate that passes everything."""
    monkeypatch.setattr(earlier_module, "decide", lambda *_: (Status.PASS, "whatever"))
    wrong = {c.name for c in run_controls() if not c.holds}
    assert wrong == {
        "10 points worse, paired", "shuffled labels, paired", "two columns swapped, paired",
        "the same answers with shuffled confidences",
    }  # fmt: skip


@pytest.mark.slow
def test_the_self_test_fails_where_no_evidence_is_asked_for(monkeypatch) -> None:
    """Negative control of the controls: a gate that counts no cases, and takes its points for the truth."""

    def no_width(metric: str, sides: object, values: tuple[np.ndarray, np.ndarray], *_: object):
        value = float(values[0].mean() - values[1].mean())
        return value, value

    def no_width_of_accuracy(right: np.ndarray, rival: np.ndarray, *_: object):
        return (float(right.mean() - rival.mean()),) * 2

    monkeypatch.setattr(earlier_module, "lacking", lambda *_: "")
    monkeypatch.setattr(paired_runs_module, "difference_bounds", no_width)
    monkeypatch.setattr(paired_runs_module, "accuracy_difference_bounds", no_width_of_accuracy)
    wrong = {c.name for c in run_controls() if not c.holds}
    assert {"59 cases, the same hard labels", "59 cases, hardly changed"} <= wrong
    assert all(name.startswith("59 cases") for name in wrong)


def test_the_self_tests_drops_are_what_they_say() -> None:
    p = load_fixture()

    def accuracy(values: np.ndarray) -> float:
        return float((values.argmax(axis=1) == p.truth).mean())

    base = accuracy(p.probabilities)
    assert accuracy(worsen(p, 0.10)) == pytest.approx(base - 0.10, abs=1e-9)
    assert accuracy(worsen(p, 0.001)) == pytest.approx(base - 0.001, abs=1e-9)
    assert accuracy(worsen(p, -0.10)) == pytest.approx(base + 0.10, abs=1e-9)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            'printed = "0.58"|printed = "58"',
            '58 is outside 0 to 1; a percentage is written with its sign, "87.6%"',
        ),
        (
            'metric = "accuracy"\nprinted = "0.59"|metric = "acuracy"\nprinted = "0.59"',
            "unknown metric 'acuracy'; did you mean accuracy?",
        ),
        ("margin = 0.03|margin = 3", "margin = 3"),
        ("margin_reason =|margin_raeson =", "did you mean margin_reason?"),
        ('name = "paper"|name = "paper', "not valid TOML"),
        ("schema_version = 1|schema_version = 2", "schema_version = 2"),
    ],
)
def test_bad_references_are_refused_in_one_line(
    milkreport: Command, tmp_path, change, message
) -> None:
    text = (ROOT / "experiments/references/paper.toml").read_text()
    old, new = change.split("|")
    assert old in text
    (tmp_path / "bad.toml").write_text(text.replace(old, new, 1))
    done = milkreport("audit", "bad.toml")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert message in done.stderr
    assert "bad.toml" in done.stderr


@pytest.mark.slow
def test_an_altered_reference_is_noticed(evaluated: Path, milkreport: Command) -> None:
    path = evaluated / "references" / "main" / "reference.toml"
    text = path.read_text()
    value = next(f for f in load_reference(str(path)).figures if f.metric == "accuracy").printed
    path.write_text(text.replace(f'"{value}"', '"0.1"', 1))
    done = milkreport("check", "same", "--against", "main")
    assert done.returncode == 0
    assert "accuracy: the reference says 0.1, its predictions give" in done.stderr
    clean = text  # and an unaltered one is not
    path.write_text(clean)
    assert "its predictions give" not in milkreport("check", "same", "--against", "main").stderr


@pytest.mark.slow
def test_no_own_reference_takes_the_name_of_a_shipped_one(
    evaluated: Path, milkreport: Command
) -> None:
    done = milkreport("reference", "new", "same", "--name", "paper", "--reason", "r")
    assert (done.returncode, "paper is a shipped reference" in done.stderr) == (2, True)
    outside = milkreport("reference", "new", "same", "--name", "../up", "--reason", "r")
    assert outside.returncode == 2
    assert not (evaluated / "up").exists()


@pytest.mark.slow
def test_runs_whose_columns_stood_in_another_order_are_compared_all_the_same(
    evaluated: Path, milkreport: Command
) -> None:
    frame = pd.read_csv(evaluated / "same.csv")
    frame[["case_id", *frame.columns[:0:-1]]].iloc[::-1].to_csv(
        evaluated / "turned.csv", index=False
    )
    evaluate(milkreport, "turned.csv", "turned")
    classes = json.loads((evaluated / "turned/results.json").read_text())["classes"]
    assert classes == list(load_fixture().classes)[::-1]
    assert milkreport("check", "turned", "--against", "main").returncode == 0
    done = milkreport("compare", "turned", "same", "--json")
    (pair,) = json.loads(done.stdout)
    assert {d["value"] for d in pair["comparison"]["differences"]} == {0.0}


@pytest.mark.slow
def test_margins_of_single_metrics_and_metrics_of_single_classes(
    evaluated: Path, milkreport: Command
) -> None:
    done = milkreport(
        "reference", "new", "same", "--name", "own", "--reason", "r", "--metric", "sensitivity:rare",
        "--metric", "macro_auc", "--metric", "log_loss", "--margin", "0.2", "--margin", "log_loss=0.1",
        "--margin-reason", "declared",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    reference = load_reference(str(evaluated / "references" / "own"))
    assert reference.primary == ""  # the primary metric is not among what is gated
    found = {(f.metric, f.class_name): reference.margin_of(f) for f in reference.figures}
    assert found == {
        ("recall", "rare"): (0.2, "declared"),
        ("macro_auc", ""): (0.2, "declared"),
        ("log_loss", ""): (0.1, "declared"),
    }
    verdict = json.loads(milkreport("check", "same", "--against", "own", "--json").stdout)
    assert verdict["primary"] == "recall (rare)"
    renewed = milkreport("reference", "update", "own", "same", "--reason", "again")
    assert renewed.returncode == 0, renewed.stderr
    again = load_reference(str(evaluated / "references" / "own"))
    assert {(f.metric, f.class_name): again.margin_of(f) for f in again.figures} == found


@pytest.mark.slow
def test_an_inconclusive_primary_metric_is_not_green(evaluated: Path, milkreport: Command) -> None:
    """Forty cases on which hardly anything changed."""
    for file in ("same.csv", "truth.csv"):
        pd.read_csv(evaluated / file).iloc[::50].to_csv(evaluated / f"few_{file}", index=False)
    frame = pd.read_csv(evaluated / "few_same.csv")
    values = frame.iloc[:, 1:] ** 1.01
    frame.iloc[:, 1:] = values.div(values.sum(axis=1), axis=0)
    frame.to_csv(evaluated / "few_now.csv", index=False)
    for name in ("few_same", "few_now"):
        done = milkreport(
            "evaluate", f"model={name}.csv", "--truth", "few_truth.csv", "--out", name, "--no-pdf",
            "--no-intervals",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    check = ["check", "few_now", "--against", "few_same"]
    done = milkreport(*check, "--json")
    rows = {row["metric"]: row for row in json.loads(done.stdout)["rows"]}
    assert (done.returncode, rows["macro_f1"]["status"]) == (5, "INCONCLUSIVE")
    assert "too few cases to pass: 40, 122 would do" in rows["accuracy"]["reason"]
    assert milkreport(*check, "--allow-inconclusive").returncode == 0
    both = milkreport(*check, "--allow-inconclusive", "--strict")
    assert (both.returncode, "contradict" in both.stderr) == (2, True)
    assert milkreport("check", "few_same", "--against", "few_same").returncode == 0  # identical


@pytest.mark.slow
def test_copies_are_named_by_evaluate_and_by_check(evaluated: Path, milkreport: Command) -> None:
    for file in ("same.csv", "truth.csv"):
        frame = pd.read_csv(evaluated / file)
        copied = frame.iloc[:20].assign(case_id=[f"copy-{i}" for i in range(20)])
        pd.concat([frame, copied]).to_csv(evaluated / file, index=False)
    evaluate(milkreport, "same.csv", "copied")
    (told,) = [f for f in findings_of(evaluated / "copied") if f["code"] == "MR010"]
    assert told["severity"] == "warning"
    assert told["text"].startswith("40 of 2,020 test cases have the same label and identical prob")
    done = milkreport("check", "copied", "--against", "copied", "--json")
    (warning,) = json.loads(done.stdout)["warnings"]
    assert warning.startswith("model: 40 cases have the same label and the same probabilities")
    (told,) = [f for f in findings_of(evaluated / "same") if f["code"] == "MR010"]
    assert told["severity"] == "passed"


def findings_of(folder: Path) -> list[dict[str, str]]:
    found: list[dict[str, str]] = json.loads((folder / "results.json").read_text())["findings"]
    return found
