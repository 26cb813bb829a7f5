"""An audit of a publication as a page and a document of its own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from milkreport import __version__
from milkreport.atomic import write_text
from milkreport.checks.audit.findings import Audit
from milkreport.reporting.blocks import PageView, number_entries
from milkreport.reporting.html import render_page
from milkreport.reporting.pdf import write_pdf
from milkreport.reporting.sections.audit import AuditView, build_audit
from milkreport.reporting.wording.text import day


@dataclass(frozen=True)
class AuditPageView(PageView):
    """Everything that the page may print."""

    audit: AuditView


def write_audit_page(out: Path, audit: Audit, created: str, *, pdf: bool = True) -> list[Path]:
    """Write ``audit.html``, ``audit.json`` and, if *pdf*, ``audit.pdf`` into *out*; return their paths.

    Args:
        created: ISO 8601 moment.

    Raises:
        EnvironmentProblem: nothing can be written there. PdfProblem: no PDF; the others stand.
    """
    view = build_audit_page(audit, created)
    page, record, paper = out / "audit.html", out / "audit.json", out / "audit.pdf"
    write_text(page, render_page("audit_page.html.j2", view))
    write_text(record, audit.model_dump_json(indent=1) + "\n")
    # An older PDF must not stand beside this page.
    paper.unlink(missing_ok=True)
    if pdf:
        write_pdf(render_page("audit_page.html.j2", view, paper=True), paper, created=created)
        return [page, paper, record]
    return [page, record]


def build_audit_page(audit: Audit, created: str) -> AuditPageView:
    """The page as frozen values, all of them text."""
    view = build_audit(audit, with_matrices=True)
    titles = {
        "disagreeing": "What disagrees" if view.disagreeing else "",
        "metrics": "Metrics computed again" if view.metrics else "",
        "matrices": "The published matrices" if view.matrices else "",
        "rest": "What else was checked" if view.rest else "",
    }
    named = [(key, title) for key, title in titles.items() if title]
    return AuditPageView(
        title=f"Audit: {view.title}",
        date=day(created),
        created=created,
        generator=f"milkreport {__version__}",
        banner="",
        contents=number_entries(named),
        audit=view,
    )
