"""Draws the report of a run into its folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pandas as pd

from milkreport.atomic import write_text
from milkreport.checks.audit.findings import Audit
from milkreport.checks.verdict import Verdict
from milkreport.errors import ConfigError, EnvironmentProblem
from milkreport.evaluation.case_table import CaseTable
from milkreport.evaluation.records.results import Results
from milkreport.evidence.pack import Shows, numbers_only, pack_run
from milkreport.evidence.record import CONTENTS, RECORD, Evidence
from milkreport.reporting.cases import FILE as CASES_FILE
from milkreport.reporting.figures.svg import for_paper
from milkreport.reporting.html import render_html, render_print
from milkreport.reporting.pdf import write_pdf
from milkreport.reporting.sections.evidence import build_evidence
from milkreport.reporting.view import ReportView, build_view
from milkreport.runs.csv_files import write_csv
from milkreport.runs.folder import RunFolder
from milkreport.runs.gallery_record import Gallery
from milkreport.runs.manifest import Manifest, describe_evaluation
from milkreport.suite.suite import Suite

#: Bytes of a page, and of one with a gallery of pictures: docs/report_design.md.
MOST_PAGE, MOST_WITH_PICTURES = 2_000_000, 5_000_000
_LIST = f"{RECORD}: what this report carries, with hashes"


def write_report(
    folder: Path,
    results: Results,
    manifest: Manifest,
    suite: Suite | None,
    verdict: Verdict | None,
    audit: Audit | None = None,
    gallery: tuple[Gallery, Mapping[str, bytes]] | None = None,
    cases: CaseTable | None = None,
    *,
    labels: pd.DataFrame | None = None,
    evidence: Evidence | None = None,
    pdf: bool = True,
) -> list[Path]:
    """Write ``report.html``, ``figures/*.svg`` and, if *pdf*, ``report.pdf``; return their paths.

    Args:
        cases: the test cases, which the page and ``confusions.csv`` list; ``None``: neither does.
        labels: labels to look at again, which name cases; ``None`` leaves the section out.
        evidence: what the report carries; the page less, if it would get too large.

    Raises:
        EnvironmentProblem: nothing can be written there.
        PdfProblem: the PDF could not be made; HTML and figures stand.
    """
    arguments = (results, manifest, suite, verdict, audit, gallery, cases)
    view = build_view(*arguments, labels=labels, evidence=evidence)
    written = []
    for figure in view.figures:
        path = folder / "figures" / f"{figure.key}.svg"
        write_text(path, for_paper(figure.svg) + "\n")
        written.append(path)
    listed = folder / CASES_FILE
    if cases is not None:
        write_csv(listed, cases.to_frame())
        written.append(listed)
    else:  # an older list must not stand beside this page
        listed.unlink(missing_ok=True)
    page, paper = folder / "report.html", folder / "report.pdf"
    write_text(page, render_carrying(view, evidence))
    written.insert(0, page)
    # An older PDF must not stand beside this page, whether or not a new one can be made.
    paper.unlink(missing_ok=True)
    if pdf:
        write_paper(render_print(view), paper, manifest, evidence)
        written.insert(1, paper)
    return written


def write_paper(markup: str, path: Path, manifest: Manifest, evidence: Evidence | None) -> None:
    """Write the PDF of *markup*, which carries *evidence*: the same bytes each time.

    Raises:
        PdfProblem: it could not be made.
    """
    carried = evidence.carried if evidence is not None else {}
    files = [(name, CONTENTS.get(name, _LIST), data) for name, data in carried.items()]
    write_pdf(markup, path, created=manifest.started, attachments=files)


def render_carrying(view: ReportView, evidence: Evidence | None) -> str:
    """The page of *view* with *evidence* embedded, as much of it as the page's budget allows."""
    if evidence is None:
        return render_html(view)
    page = render_html(replace(view, evidence=build_evidence(evidence, on_page=True)))
    most = MOST_WITH_PICTURES if view.gallery and view.gallery.has_pictures else MOST_PAGE
    if len(page.encode()) <= most or evidence.record.level != "full":
        return page
    reason = (
        f"with predictions this page would exceed {most / 1e6:.0f} MB; report.pdf may carry them"
    )
    less = numbers_only(evidence, reason)
    return render_html(replace(view, evidence=build_evidence(less, on_page=True)))


def report(
    results: Results, folder: str | Path, *, pdf: bool = True, cases: bool = True
) -> list[Path]:
    """Write the report of *results*, which need no run folder, as ``milkreport.report``.

    Args:
        folder: where ``report.html``, ``report.pdf`` and ``figures/`` go; made where it is missing.
        pdf: ``False`` leaves the PDF out.
        cases: ``False`` leaves out all that is about single cases: lists, ids and ``confusions.csv``. Results
            that were read from a file have no cases.

    Returns:
        the files that were written, the page first.

    Raises:
        ConfigError: a run lies there. EnvironmentProblem: nothing can be written there.
        PdfProblem: the PDF could not be made; HTML and figures stand.
    """
    path = Path(folder)
    if path.is_file():
        raise EnvironmentProblem("is a file", "name a folder", str(path))
    if RunFolder(path).is_run():
        raise ConfigError(
            "holds a run, which has a report of its own", "choose another folder", str(path)
        )
    command = "milkreport.report(results, folder)"
    manifest = describe_evaluation(results.suite, results.data.fingerprint, command)
    table = results.cases if cases else None
    # Predictions are no part of results: what can be carried are numbers.
    carried = pack_run(
        *(RunFolder(path), results, manifest, None, None, None, "numbers"),
        Shows(cases=table is not None),
        reason="the results were reported without their predictions",
    )
    return write_report(path, results, manifest, None, None, cases=table, evidence=carried, pdf=pdf)
