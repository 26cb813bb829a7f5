"""Cases behind the numbers: the table, its file, how a page packs it, and reports without any of it."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pypdf import PdfReader

import milkreport
from milkreport.evaluation.case_table import make_case_table
from milkreport.evaluation.pooled_predictions import CaseFacts
from milkreport.evaluation.reading.predictions import Predictions
from milkreport.evaluation.records.results import Results
from milkreport.reporting import cases as packing
from milkreport.reporting.cases import opens
from milkreport.reporting.html import render_html, render_print
from milkreport.reporting.view import build_view
from milkreport.runs import manifest
from milkreport.tables import unguard
from tests import report_samples as samples

CLASSES = ("a", "b", "c")


def predictions(ids: list[str], truth: list[int], rows: list[list[float]]) -> Predictions:
    return Predictions(np.array(ids), np.array(truth), np.array(rows, float), CLASSES)


def unpack(page: str) -> dict:
    """What the page's script reads."""
    packed = re.search(r'id="cases">([^<]*)<', page)
    return json.loads(zlib.decompress(base64.b64decode(packed[1])))


def scored(n: int = 120, seeds: int = 1, ids: list[str] | None = None, **more) -> Results:
    """Two arms on three classes, with subgroups."""
    rng = np.random.default_rng(5)
    truth = rng.choice(3, n, p=(0.6, 0.3, 0.1))
    ids = ids or [f"qx7-{i:06d}" for i in range(n)]
    labels = pd.DataFrame({"case_id": ids, "label": [CLASSES[t] for t in truth]})
    facts = pd.DataFrame({"case_id": ids, "site": np.where(np.arange(n) % 2, "arm", "leg")})
    arms = {}
    for name, skill in (("old", 0.7), ("new", 1.5)):
        arms[name] = []
        for _ in range(seeds):
            p = np.exp(rng.normal(size=(n, 3)) + skill * np.eye(3)[truth])
            frame = pd.DataFrame(p / p.sum(axis=1, keepdims=True), columns=CLASSES)
            arms[name].append(frame.assign(case_id=ids))
    more = {"intervals": False, "metadata": facts, **more}
    return milkreport.evaluate(arms, labels, **more)


def test_a_case_has_a_row_for_each_answer_that_its_trainings_gave() -> None:
    one = predictions(["p", "q"], [0, 1], [[0.6, 0.3, 0.1], [0.2, 0.7, 0.1]])
    two = predictions(["q", "p"], [1, 0], [[0.1, 0.8, 0.1], [0.3, 0.1, 0.6]])
    table = make_case_table({"m": {(0, 0): one, (1, 0): two}}, CaseFacts())
    frame = table.to_frame()
    assert frame.to_dict("list") == {
        "arm": ["m", "m", "m"],
        "case_id": ["p", "p", "q"],
        "label": ["a", "a", "b"],
        "predicted": ["a", "c", "b"],
        "n_seeds": [1, 1, 2],
        "probability": pytest.approx([0.6, 0.6, 0.75]),
        "probability_of_label": pytest.approx([0.6, 0.3, 0.75]),
    }


def test_hard_labels_have_no_probability_and_arms_may_have_other_cases() -> None:
    hard = predictions(["q"], [1], [[0, 1, 0]])
    soft = predictions(["p"], [2], [[0.5, 0.25, 0.25]])
    table = make_case_table({"hard": {(0, 0): hard}, "soft": {(0, 0): soft}}, CaseFacts())
    assert table.case_ids.tolist() == ["p", "q"]
    assert table.truth.tolist() == [2, 1]
    assert table.arms["hard"].probability is None
    assert table.arms["hard"].case.tolist() == [1]
    assert table.to_frame()["probability"].isna().tolist() == [True, False]
    assert make_case_table({"none": {}}, CaseFacts()) is None


@pytest.mark.parametrize("seeds", [1, 3])
def test_its_rows_add_up_to_the_confusion_matrix(seeds: int) -> None:
    results = scored(seeds=seeds)
    frame = results.cases.to_frame()
    for arm in results.arms:
        mine = frame[frame["arm"] == arm.name]
        counted = mine.pivot_table(
            index="label", columns="predicted", values="n_seeds", aggfunc="sum", fill_value=0
        )
        counted = counted.reindex(index=CLASSES, columns=CLASSES, fill_value=0)
        assert counted.to_numpy().tolist() == arm.part("test").confusion
    assert len(frame) > 240 if seeds > 1 else len(frame) == 240


def test_results_carry_their_cases_and_their_record_does_not() -> None:
    results = scored()
    assert results.cases is not None
    again = Results.model_validate_json(results.model_dump_json())
    assert again.cases is None
    assert again == results
    assert results.model_copy(update={"title": "t"}).cases is results.cases
    assert again != results.model_copy(update={"title": "t"})
    assert "qx7" not in results.model_dump_json()


def test_a_page_packs_what_the_table_holds() -> None:
    results = scored(seeds=2)
    table = results.cases
    page = render_html(build_view(results, samples.sample_manifest(), None, None, cases=table))
    record = unpack(page)
    assert record["ids"] == table.case_ids.tolist()
    assert record["truth"] == table.truth.tolist()
    for arm in record["arms"]:
        found = table.arms[arm["name"]]
        case = arm["case"] if arm["case"] is not None else list(range(len(record["ids"])))
        assert case == found.case.tolist()
        assert arm["answer"] == found.answer.tolist()
        assert arm["n"] == found.n_seeds.tolist()
        assert np.abs(np.array(arm["top"]) / 1000 - found.probability).max() <= 0.0005 + 1e-12
    (group,) = record["groups"]
    assert [group["values"][c] for c in group["codes"][:2]] == ["leg", "arm"]
    one = unpack(
        render_html(
            build_view(scored(), samples.sample_manifest(), None, None, cases=scored().cases)
        )
    )
    assert [arm["case"] for arm in one["arms"]] == [None, None]


def test_small_subgroups_stay_withheld() -> None:
    n = 60
    facts = pd.DataFrame(
        {"case_id": [f"qx7-{i:06d}" for i in range(n)], "site": ["toe"] * 5 + ["arm"] * 55}
    )
    (group,) = unpack(_page(scored(n, metadata=facts)))["groups"]
    assert group["values"] == ["arm"]
    assert group["codes"] == [-1] * 5 + [0] * 55


def _page(results: Results) -> str:
    view = build_view(results, samples.sample_manifest(), None, None, cases=results.cases)
    return render_html(view)


def test_a_place_asks_by_names_that_cannot_leave_their_attribute() -> None:
    assert opens(arm='x"><&=', truth=3) == "arm=x%22%3E%3C%26%3D&truth=3"


def test_paper_has_none_of_it() -> None:
    results = samples.sample_results()
    with_cases = build_view(
        results, samples.sample_manifest(), None, None, cases=samples.sample_cases(results)
    )
    paper = render_print(with_cases)
    for trace in ('id="cases"', "IL_0000007", "<script", 'class="marks"', "Most confident errors"):
        assert trace not in paper
    page = render_html(with_cases)
    for trace in ('id="cases"', "<script", 'class="marks"', "Most confident errors"):
        assert trace in page


def test_too_many_cases_are_named_by_their_file(monkeypatch: pytest.MonkeyPatch) -> None:
    results = scored()
    monkeypatch.setattr(packing, "MOST_CASES", 119)
    record = unpack(_page(results))
    assert (record["ids"], record["truth"], record["groups"]) == (None, None, [])
    assert "The 120 cases are too many to list on this page." in record["note"]
    monkeypatch.setattr(packing, "MOST_CASES", 120)
    assert unpack(_page(results))["ids"] is not None
    monkeypatch.setattr(packing, "MOST_BYTES", 200)
    assert unpack(_page(results))["ids"] is None


def imagined(n: int) -> tuple[Results, object]:
    """Three arms of eleven classes on *n* cases of unlike ids."""
    rng = np.random.default_rng(2)
    names = tuple(samples.COUNTS)
    truth = np.sort(rng.choice(11, n))
    ids = np.array([f"ISIC_{i:07d}" for i in np.sort(rng.choice(10**7, n, replace=False))])
    cells = {}
    for arm in samples.ARMS:
        p = np.exp(rng.normal(size=(n, 11)) + 1.5 * np.eye(11)[truth])
        cells[arm] = {(0, 0): Predictions(ids, truth, p / p.sum(axis=1, keepdims=True), names)}
    table = make_case_table(cells, CaseFacts())
    results = samples.sample_results()
    arms = []
    for arm in results.arms:
        found = table.arms[arm.name]
        counts = np.zeros((11, 11), int)
        np.add.at(counts, (truth[found.case], found.answer), 1)
        part = samples.part_result("test", counts, names, 1, 1)
        arms.append(arm.model_copy(update={"parts": [part, *arm.parts[1:]]}))
    return results.model_copy(update={"arms": arms}), table


@pytest.mark.parametrize("n", [5_240, 100_000])
def test_the_page_keeps_its_budget(n: int) -> None:
    results, table = imagined(n)
    view = build_view(results, samples.sample_manifest(), None, None, cases=table)
    page = render_html(view)
    assert len(page.encode()) < 2_000_000
    assert page == render_html(
        build_view(results, samples.sample_manifest(), None, None, cases=table)
    )
    record = unpack(page)
    assert (record["ids"] is None) == (n == 100_000)
    if n == 100_000:
        assert view.cases.note in page
        assert len(view.cases.packed) < 5_000
    assert page.count("<rect") + page.count("<path") + page.count("<text") < 15_000


HOSTILE = [
    "</script><script>alert(1)</script>", "=HYPERLINK(\"http://x\")", "'=1+1", "-5", "@x", "<b>&amp;",
    "a\u202eb", "nul\u200b", "\U0001f600", "quote\"'`", "new,comma", "{{ 7*7 }}", "+1", "q\u2028r",
]  # fmt: skip


def test_hostile_ids_are_text_in_page_and_file(tmp_path: Path) -> None:
    ids = HOSTILE + [f"plain{i}" for i in range(106)]
    results = scored(ids=ids)
    milkreport.report(results, tmp_path / "r", pdf=False)
    page = (tmp_path / "r" / "report.html").read_text(encoding="utf-8")
    assert page.count("<script") == 2
    assert "alert(1)" not in page
    assert sorted(unpack(page)["ids"]) == sorted(ids)
    raw = pd.read_csv(tmp_path / "r" / "confusions.csv", dtype=str, keep_default_na=False)
    assert sorted(set(raw["case_id"].map(unguard))) == sorted(ids)
    for cell in raw["case_id"]:
        assert cell[0] not in "=+-@\t\r"
    # Negative control: unguarded, some would be run.
    assert any(i[0] in "=+-@" for i in ids)


def test_the_same_report_twice_has_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manifest, "read_clock", lambda: "2026-01-01T00:00:00+00:00")
    for name in ("a", "b"):
        milkreport.report(scored(), tmp_path / name, pdf=False)
    for file in ("report.html", "confusions.csv"):
        one, other = ((tmp_path / name / file).read_bytes() for name in ("a", "b"))
        assert one == other


# Without cases


def write_inputs(folder: Path, n: int = 90) -> list[str]:
    """Predictions, truth and metadata with a case that has no group; the ids."""
    rng = np.random.default_rng(8)
    ids = [f"zk{i:04d}case" for i in range(n)]
    truth = rng.choice(3, n)
    frame = pd.DataFrame({"image": ids, "label": [CLASSES[t] for t in truth]})
    frame.to_csv(folder / "truth.csv", index=False)
    for name in ("one", "two"):
        p = np.exp(rng.normal(size=(n, 3)) + np.eye(3)[truth])
        frame = pd.DataFrame(p / p.sum(axis=1, keepdims=True), columns=CLASSES)
        frame.assign(image=ids).to_csv(folder / f"{name}.csv", index=False)
    facts = pd.DataFrame({"image": ids, "patient": [f"P{i // 2}" for i in range(n)]})
    facts.loc[3, "patient"] = None
    facts.assign(site=rng.choice(["arm", "leg"], n)).to_csv(folder / "facts.csv", index=False)
    return ids


#: What a run folder records of its cases, for `report`, `check` and `compare` to read.
RECORDS = ("cells", "groups.csv", "subgroups.csv", "splits.csv", "images.csv", "removed.csv")


def files_with(ids: list[str], folder: Path) -> list[str]:
    """Files below *folder*, its records apart, in which an id stands, packed lists and PDFs included."""
    found = []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if not path.is_file() or name.split("/")[0] in RECORDS:
            continue
        text = path.read_bytes().decode("utf-8", "replace")
        if name.endswith(".html") and 'id="cases"' in text:
            text += json.dumps(unpack(text))
        if name.endswith(".pdf"):
            text = "\n".join(
                page.extract_text() for page in PdfReader(io.BytesIO(path.read_bytes())).pages
            )
        if any(case in text for case in ids):
            found.append(name)
    return found


OPTIONS = (
    *("--truth", "truth.csv", "--metadata", "facts.csv", "--group", "patient", "--no-pdf"),
    *("--title", "What is tried"),
)


def test_no_cases_leaves_no_id_beside_the_records_of_a_run(in_process, tmp_path: Path) -> None:
    ids = write_inputs(tmp_path)
    inputs = ("evaluate", "one.csv", "two.csv", *OPTIONS)
    assert in_process(*inputs, "--out", "with").code == 0
    done = in_process(*inputs, "--out", "without", "--no-cases")
    assert done.code == 0
    assert files_with(ids, tmp_path / "without") == []
    assert "1 of 90 cases have no group" in " ".join(done.stderr.split())
    assert not any(case in done.stderr + done.stdout for case in ids)
    # Negative control: the search finds what there is to find.
    assert files_with(ids, tmp_path / "with") == [
        "confusions.csv", "label_errors.csv", "mistakes.csv", "report.html",
    ]  # fmt: skip
    assert "no case id" in (tmp_path / "without" / "report.html").read_text(encoding="utf-8")
    assert "no case id" not in (tmp_path / "with" / "report.html").read_text(encoding="utf-8")


def test_a_report_drawn_again_takes_cases_away_and_brings_them_back(
    in_process, tmp_path: Path
) -> None:
    ids = write_inputs(tmp_path)
    assert in_process("evaluate", "one.csv", "two.csv", *OPTIONS, "--out", "run").code == 0
    before = {p.name: p.read_bytes() for p in (tmp_path / "run").glob("*.*")}
    assert in_process("report", "run", "--no-cases").code == 0
    assert (tmp_path / "run" / "report.pdf").is_file()
    assert files_with(ids, tmp_path / "run") == []
    assert in_process("report", "run", "--no-pdf").code == 0
    assert {p.name: p.read_bytes() for p in (tmp_path / "run").glob("*.*")} == before


def test_a_report_stands_without_its_predictions(in_process, tmp_path: Path) -> None:
    write_inputs(tmp_path)
    assert in_process("evaluate", "one.csv", "two.csv", *OPTIONS, "--out", "run").code == 0
    (path, *_) = (tmp_path / "run" / "cells").rglob("predictions.csv")
    path.write_text("case_id,split\n")
    done = in_process("report", "run", "--no-pdf")
    assert done.code == 0
    assert "no list of cases: " in done.stderr
    assert 'id="cases"' not in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert not (tmp_path / "run" / "confusions.csv").exists()


def test_runs_together_and_python_take_the_option_too(in_process, tmp_path: Path) -> None:
    ids = write_inputs(tmp_path)
    assert in_process("evaluate", "one.csv", "two.csv", *OPTIONS, "--out", "run").code == 0
    shutil.copytree(tmp_path / "run", tmp_path / "other")
    assert in_process("report", "run", "other", "--no-pdf", "--out", "both").code == 0
    record = unpack((tmp_path / "both" / "report.html").read_text(encoding="utf-8"))
    assert record["ids"] == sorted(ids)
    assert len(record["arms"]) == 4
    done = in_process("report", "run", "other", "--no-pdf", "--no-cases", "--out", "bare")
    assert done.code == 0
    assert files_with(ids, tmp_path / "bare") == []
    results = scored()
    ids = results.cases.case_ids.tolist()
    written = results.report(tmp_path / "py", pdf=False, cases=False)
    assert files_with(ids, tmp_path / "py") == []
    assert tmp_path / "py" / "confusions.csv" not in written
    written = results.report(tmp_path / "py", pdf=False)
    assert tmp_path / "py" / "confusions.csv" in written
    assert files_with(ids, tmp_path / "py") == ["confusions.csv", "report.html"]


def test_a_run_without_cases_has_no_gallery_either(in_process, tmp_path: Path, small: Path) -> None:
    out = tmp_path / "run"
    cheap = ("training.epochs=1", "data.image_size=16")
    done = in_process(
        "run-all", "quick", "--data", small, "--out", "run", "--no-pdf", "--no-cases",
        *(word for setting in cheap for word in ("--set", setting)),
    )  # fmt: skip
    assert done.code == 0
    ids = pd.read_csv(out / "splits.csv", dtype=str)["case_id"].tolist()
    assert len(ids) > 50
    assert files_with(ids, out) == []
    assert not (out / "gallery").exists()
    assert in_process("report", out, "--no-pdf").code == 0
    assert files_with(ids, out) == ["confusions.csv", "mistakes.csv", "report.html"]
    frame = pd.read_csv(out / "confusions.csv", dtype={"case_id": str})
    results = json.loads((out / "results.json").read_text())
    (test,) = [p for p in results["arms"][0]["parts"] if p["part"] == "test"]
    assert (frame["arm"] == results["arms"][0]["name"]).sum() == test["n_cases"]
