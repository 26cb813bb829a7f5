"""PDF and ``results.json`` agree number by number, on results that were scored, not imagined."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pypdf import PdfReader

import milkreport
from milkreport.evaluation.records.results import Results
from milkreport.reporting.export import find_tables
from milkreport.reporting.html import render_print
from milkreport.reporting.pdf import write_pdf
from milkreport.reporting.view import ReportView, build_view
from milkreport.reporting.wording.text import decimal, signed
from tests import report_samples as samples

CLASSES = ["a", "b", "c", "d"]


@pytest.fixture(scope="module")
def scored() -> Results:
    rng = np.random.default_rng(4)
    truth = np.repeat(np.arange(4), (120, 60, 30, 12))
    ids = [f"c{i:03d}" for i in range(len(truth))]
    labels = pd.DataFrame({"case_id": ids, "label": [CLASSES[t] for t in truth]})
    facts = pd.DataFrame({"case_id": ids, "sex": rng.choice(["f", "m"], len(truth))})
    arms = {}
    for name, skill in (("old", 1.0), ("new", 2.0), ("odd", 0.4)):
        logits = rng.normal(size=(len(truth), 4)) + skill * np.eye(4)[truth]
        p = np.exp(logits)
        frame = pd.DataFrame(p / p.sum(axis=1, keepdims=True), columns=CLASSES)
        arms[name] = frame.assign(case_id=ids)
    return milkreport.evaluate(arms, labels, metadata=facts, positive=["c"], rules=["isic"])


@pytest.fixture(scope="module")
def view(scored: Results) -> ReportView:
    return build_view(scored, samples.sample_manifest(), None, None)


@pytest.fixture(scope="module")
def pdf(view: ReportView, tmp_path_factory: pytest.TempPathFactory) -> str:
    path: Path = tmp_path_factory.mktemp("pdf") / "r.pdf"
    write_pdf(render_print(view), path, created="2026-01-01T00:00:00Z")
    return "\n".join(page.extract_text() for page in PdfReader(io.BytesIO(path.read_bytes())).pages)


@pytest.mark.slow
def test_every_headline_and_class_number_of_the_results_stands_in_the_pdf(
    scored: Results, pdf: str
) -> None:
    n = 0
    for arm in scored.arms:
        part = arm.part("test")
        for estimate in part.metrics.values():
            if estimate.value is not None:
                assert decimal(estimate.value) in pdf
                n += 1
        for row in part.classes:
            for metric in ("precision", "recall", "f1", "auc"):
                value = getattr(row, metric)
                if value is not None:
                    assert decimal(value) in pdf
                    n += 1
    for d in scored.comparison.differences:
        if d.metric == scored.primary_metric:
            assert signed(d.value) in pdf
            n += 1
    assert n > 90


def test_tables_hold_the_results_in_their_own_rows(scored: Results, view: ReportView) -> None:
    """Not only somewhere: the value of an arm's class stands in that arm's table, in that class's row."""
    tables = {t.key: t for t in find_tables(view)}
    for index, arm in enumerate(scored.arms, 1):
        rows = {r.cells[0].text: r for g in tables[f"arm-{index}-report"].groups for r in g.rows}
        heads = [c.title for c in tables[f"arm-{index}-report"].columns]
        for row in arm.part("test").classes:
            cells = rows[row.name].cells
            assert cells[heads.index("Support")].text == str(row.support)
            for title, metric in (("Recall", "recall"), ("F1", "f1"), ("AUC", "auc")):
                assert cells[heads.index(title)].text == decimal(getattr(row, metric))
                low, high = row.intervals[metric]
                bounds = cells[heads.index(title) + 1].text
                assert bounds == f"{decimal(low)}–{decimal(high)}"


def test_a_changed_result_changes_the_page(scored: Results, view: ReportView) -> None:
    """Negative control: a number that is not the results' would not be found."""
    part = scored.arms[0].part("test")
    changed = part.classes[0].model_copy(update={"recall": 0.12345})
    parts = [part.model_copy(update={"classes": [changed, *part.classes[1:]]})]
    arms = [scored.arms[0].model_copy(update={"parts": parts}), *scored.arms[1:]]
    other = build_view(
        scored.model_copy(update={"arms": arms}), samples.sample_manifest(), None, None
    )

    def texts(v: ReportView) -> set[str]:
        found = next(t for t in find_tables(v) if t.key == "arm-1-report")
        return {cell.text for group in found.groups for row in group.rows for cell in row.cells}

    assert "0.123" in texts(other) - texts(view)


def test_sections_that_have_nothing_to_say_are_left_out(view: ReportView) -> None:
    keys = [entry.key for entry in view.contents]
    assert "curves" not in keys
    assert "cost" not in keys
    assert "mistakes" not in keys
    assert [entry.number for entry in view.contents] == [*map(str, range(1, len(keys))), "A"]


def test_the_guidelines_answers_follow_from_the_results(scored: Results, view: ReportView) -> None:
    (tripod,) = view.guidelines.lists
    assert tripod.title == "TRIPOD+AI"
    assert len(tripod.items) == 27
    fairness = next(item for item in tripod.items if item.asked == "Fairness")
    assert fairness.answer == "Subgroups and gaps"
    data = scored.data.model_copy(update={"guidelines": ["CLEAR Derm"]})
    arms = [
        a.model_copy(update={"parts": [p.model_copy(update={"slices": []}) for p in a.parts]})
        for a in scored.arms
    ]
    bare = scored.model_copy(update={"data": data, "arms": arms})
    derm, tripod = build_view(bare, samples.sample_manifest(), None, None).guidelines.lists
    assert (derm.title, len(derm.items)) == ("CLEAR Derm", 25)
    fairness = next(item for item in tripod.items if item.asked == "Fairness")
    assert fairness.answer == "No subgroups given"
    named = scored.data.model_copy(update={"guidelines": ["STARD-AI", "PROBAST+AI"]})
    more = build_view(
        scored.model_copy(update={"data": named}), samples.sample_manifest(), None, None
    ).guidelines.lists
    found = {given.title: [item.number for item in given.items] for given in more}
    # Sounderajah et al.: 40 items, five of them in parts; Moons et al.: 16 and 18 questions.
    stard, probast = found["STARD-AI"], found["PROBAST+AI"]
    assert list(dict.fromkeys(n.rstrip("abcd") for n in stard)) == [*map(str, range(1, 41))]
    assert [n for n in stard if not n.isdigit()] == [
        *("15a", "15b", "15c", "15d", "16a", "16b", "16c", "17a", "17b", "26a", "26b", "40a", "40b")
    ]
    domains = [
        (part, d, n)
        for part, last in (("D", 5), ("E", 7))
        for d, n in enumerate((3, 4, 4, last), 1)
    ]
    assert probast == [f"{part}{d}.{i}" for part, d, n in domains for i in range(1, n + 1)]
    keys = {entry.key for entry in view.contents}
    for item in (*derm.items, *tripod.items, *(item for given in more for item in given.items)):
        assert item.section in keys | {"", "mistakes", "cost", "curves"}
