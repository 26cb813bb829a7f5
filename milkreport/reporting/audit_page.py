"""An audit of a publication as a page and a document of its own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from milkreport import __version__
from milkreport.checks.audit.findings import Audit
from milkreport.reporting.blocks import PageView, number_entries
from milkreport.reporting.html import render_page
from milkreport.reporting.pdf import write_alone
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
    page = render_page("audit_page.html.j2", view)
    paper = render_page("audit_page.html.j2", view, paper=True) if pdf else ""
    return write_alone(out, "audit", page, paper, audit, created)


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
