"""The report drawn again from what it carries, as far as that tells what must be printed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from milkreport.evaluation.case_table import CaseTable
from milkreport.evaluation.label_errors import COLUMNS as LABEL_COLUMNS
from milkreport.evaluation.records.results import Results
from milkreport.evidence.record import Evidence, EvidenceRecord
from milkreport.reporting.html import render_html, render_print
from milkreport.reporting.sections.evidence import build_evidence
from milkreport.reporting.sections.gallery import build_gallery
from milkreport.reporting.view import ReportView, build_view
from milkreport.runs.collect import load_case_table
from milkreport.runs.folder import RunFolder
from milkreport.runs.gallery_record import Gallery, Mistake, Shown
from milkreport.suite.suite import Suite


@dataclass(frozen=True)
class Drawn:
    """A report drawn again. ``unknown``: ids of sections whose text does not follow from what is carried."""

    view: ReportView
    evidence: Evidence
    unknown: tuple[str, ...]

    def paper(self) -> str:
        """The markup that the PDF is laid out from."""
        return render_print(self.view)

    def page(self) -> str:
        """The page."""
        evidence = build_evidence(self.evidence, on_page=True)
        return render_html(replace(self.view, evidence=evidence))


def draw_again(folder: RunFolder, results: Results, evidence: Evidence) -> Drawn:
    """The report of *results*.

    Args:
        folder: what the report carries, laid out.

    Raises:
        MilkreportError: something of it is missing or damaged.
    """
    record = evidence.record
    suite = folder.load_suite() if folder.has_suite else None
    verdict = folder.load_verdict()
    is_full = record.level == "full"
    unknown = []
    cases, labels = None, None
    if is_full:
        # First the table: it writes the labels to look at again, if they are missing.
        table = load_case_table(folder, results)
        cases = table if record.cases else None
        labels = folder.load_label_errors() if record.labels else None
    else:
        cases = _some_cases(results) if record.cases else None
        labels = pd.DataFrame([dict.fromkeys(LABEL_COLUMNS, "0")]) if record.labels else None
        unknown += ["labels"] if record.labels else []
    unknown += ["mistakes"] if record.gallery else []
    view = build_view(
        *(results, folder.load_manifest(), suite, verdict),
        folder.load_audit() if verdict is not None else None,
        _some_mistakes(results, suite, record),
        cases,
        labels=labels,
        evidence=evidence,
    )
    return Drawn(view, evidence, tuple(unknown))


def _some_cases(results: Results) -> CaseTable:
    """As many cases as there are, of whom nothing is known."""
    n = max(
        (part.n_cases for arm in results.arms for part in arm.parts if part.part == "test"),
        default=0,
    )
    ids = np.array([str(i) for i in range(n)], dtype=np.str_)
    return CaseTable(ids, np.zeros(n, np.int64), tuple(results.classes), {})


def _some_mistakes(
    results: Results, suite: Suite | None, record: EvidenceRecord
) -> tuple[Gallery, Mapping[str, bytes]] | None:
    """A gallery with or without pictures, as the report's: its numbering and remarks depend on that."""
    if not record.gallery:
        return None
    found: tuple[Gallery, Mapping[str, bytes]] | None = None
    for arm in results.arms:  # some arms read no images, and show none
        mistake = Mistake(
            arm=arm.name, rank=1, case_id="0", label=results.classes[0], predicted=results.classes[0],
            probability=1.0, seed=0, fold=0, probabilities={}, metadata={},
            images=[Shown(view="0", file="0.jpg")],
        )  # fmt: skip
        found = Gallery(key="", explained=False, mistakes=[mistake]), {"0.jpg": b"0"}
        shown = build_gallery(results, *found, suite)
        if shown is not None and shown.has_pictures == record.pictures:
            return found
    return found if record.pictures or found is None else (found[0], {})
