"""The data report: one page on a data set, without any result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from milkreport.atomic import write_text
from milkreport.evaluation.records.data import DataSummary
from milkreport.reporting.blocks import Badge, Chapter, Fact, PageView, number_entries
from milkreport.reporting.html import render_page
from milkreport.reporting.sections.data import build_data
from milkreport.reporting.wording.data import (
    data_sentence,
    problem_badge,
    small_classes_sentence,
    tidy,
)
from milkreport.reporting.wording.sentences import SYNTHETIC_BANNER
from milkreport.reporting.wording.text import day, numeral, shorten, without_paths

MOST_REMARKS = 20


@dataclass(frozen=True)
class DataPageView(PageView):
    """Everything that the page may print."""

    badge: Badge
    lead: str
    remarks: tuple[str, ...]
    chapters: tuple[Chapter, ...]


def write_data_page(
    path: Path,
    data: DataSummary,
    classes: list[str],
    *,
    problems: list[tuple[str, int]],
    remarks: list[str],
    created: str,
    generator: str,
) -> None:
    """Write what *data* says as one HTML page that needs nothing else.

    Args:
        problems: kinds of problems and how many of each; none: the data is sound.
        remarks: what a reader should know that is no problem, a line each.
        created: ISO 8601 moment.
        generator: program and version.

    Raises:
        EnvironmentProblem: nothing can be written there.
    """
    view = build_data_page(
        data, classes, problems=problems, remarks=remarks, created=created, generator=generator
    )
    write_text(path, render_page("data_page.html.j2", view))


def build_data_page(
    data: DataSummary,
    classes: Sequence[str],
    *,
    problems: Sequence[tuple[str, int]],
    remarks: Sequence[str],
    created: str,
    generator: str,
) -> DataPageView:
    """The page as frozen values, all of them text; arguments as in :func:`write_data_page`."""
    data = tidy(data)
    chapters = _with_origin(data, build_data(data, classes, ()).chapters)
    small = small_classes_sentence(data, classes)
    said = [small] * bool(small)
    said += [shorten(without_paths(remark), 300) for remark in remarks[:MOST_REMARKS]]
    if (more := len(remarks) - MOST_REMARKS) > 0:
        said.append(f"and {numeral(more)} more")
    return DataPageView(
        title=f"{shorten(data.name, 80)}: data report",
        date=day(created),
        created=created,
        generator=generator,
        banner=SYNTHETIC_BANNER if data.synthetic else "",
        contents=number_entries((c.key, c.title) for c in chapters),
        badge=problem_badge(data, problems),
        lead=data_sentence(data, classes),
        remarks=tuple(said),
        chapters=chapters,
    )


def _with_origin(data: DataSummary, chapters: Sequence[Chapter]) -> tuple[Chapter, ...]:
    """A report says licence and hash elsewhere; this page has no other place for them."""
    facts = (
        Fact("Licence", shorten(data.licence, 200)),
        Fact("Attribution", shorten(data.attribution, 600)),
        *(
            [Fact("Fingerprint", f"SHA-256 {shorten(data.fingerprint, 64)}")]
            * bool(data.fingerprint)
        ),
    )
    source = next((c for c in chapters if c.key == "data-source"), None)
    if source is None:
        return (*chapters, Chapter("data-source", "Source", facts=facts))
    return tuple(replace(c, facts=(*c.facts, *facts)) if c is source else c for c in chapters)
