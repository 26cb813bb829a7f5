"""A PDF against the one that its evidence gives: every byte, drawings, links and metadata included."""

from __future__ import annotations

import tempfile
from pathlib import Path

from milkreport.errors import PdfProblem
from milkreport.evidence.pdf import guarded, open_pdf
from milkreport.reporting.write import write_paper
from milkreport.runs.manifest import Manifest, read_versions
from milkreport.verifying.drawn import Drawn
from milkreport.verifying.record import Fault, Group, Outcome, judge


def compare_bytes(data: bytes, name: str, manifest: Manifest, drawn: Drawn) -> Group:
    """Draw the PDF again and compare.

    Args:
        data, name: of the PDF.
        drawn: what must be on it.

    Returns:
        NOT VERIFIED where it cannot be drawn again to the byte: it has a gallery, whose pictures it does not
        carry, or other programs drew it, or no PDF can be made here.
    """
    title = f"drawn again, {name}"
    if reason := _hindrance(drawn):
        return Group(name=title, outcome=Outcome.NOT_VERIFIED, remarks=[reason])
    with tempfile.TemporaryDirectory(prefix="milkreport-") as place:
        path = Path(place) / "report.pdf"
        try:
            write_paper(drawn.paper(), path, manifest, drawn.evidence)
        except PdfProblem as problem:
            return Group(name=title, outcome=Outcome.NOT_VERIFIED, remarks=[str(problem)])
        again = path.read_bytes()
    faults = [] if data == again else [_locate(data, again, name)]
    return judge(title, "bytes", len(again), faults, _differing(data, again))


def _hindrance(drawn: Drawn) -> str:
    if drawn.unknown:
        return f"cannot be drawn again: section {' and '.join(drawn.unknown)} is not carried"
    here = read_versions()
    for package, version in drawn.evidence.record.drawn_with.items():
        if here.get(package) != version:
            return f"drawn with {package} {version}, here is {here.get(package, 'none')}"
    return ""


def _differing(one: bytes, other: bytes) -> int:
    return sum(a != b for a, b in zip(one, other, strict=False)) + abs(len(one) - len(other))


def _locate(data: bytes, again: bytes, name: str) -> Fault:
    """The first page whose content differs; if all are equal, something beside the pages does."""
    with guarded(name):
        pages, others = open_pdf(data, name).pages, open_pdf(again, name).pages
        for number, (page, other) in enumerate(zip(pages, others, strict=False), 1):
            if page.get_contents().get_data() != other.get_contents().get_data():
                return Fault(page=number, place="its content", text="is not what is drawn again")
    text = "differs beside the text: a form, font, link, alternative text, bookmark or date"
    return Fault(place="the document", text=text)
