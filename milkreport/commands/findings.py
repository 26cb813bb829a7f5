"""What a reviewer would point out, on the terminal."""

from __future__ import annotations

from rich.markup import escape

from milkreport.commands.console import console
from milkreport.evaluation.records.results import Results
from milkreport.evaluation.review.review import worst
from milkreport.tables import plural

_STYLES = {"error": "red", "warning": "yellow", "note": "dim"}


def show_findings(results: Results) -> None:
    """The worst findings in a line each, and how many others there are."""
    shown = worst(results.findings)
    for finding in shown:
        style = _STYLES[finding.severity]
        console.print(
            f"[{style}]{finding.code} {finding.severity}:[/{style}] {escape(finding.brief)}",
            soft_wrap=True,
        )
    rest = sum(f.is_open for f in results.findings) - len(shown)
    if rest > 0:
        console.print(
            f"[dim]and {plural(rest, 'more finding', 'more findings')}; all of them are in the report[/dim]"
        )
