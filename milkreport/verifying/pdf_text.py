"""The text of a PDF in the order in which it is painted: every piece of text on a page, hidden or not.

Written for what our own renderer writes, and suspicious of anything else: what it does not know is reported
as a stranger, never skipped.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from milkreport.errors import DataError
from milkreport.evidence.pdf import guarded, stream_bytes
from milkreport.limits import MOST_PAGE_BYTES, MOST_PAGES

#: Words of a content stream: strings, hexadecimal strings, arrays, names, numbers, operators, comments.
_WORD = re.compile(
    rb"\((?:[^()\\]|\\.)*\)|<<|>>|<[0-9A-Fa-f\s]*>|[\[\]]|/[^\s/<>\[\]()%{}]*|%[^\r\n]*|[^\s/<>\[\]()%{}]+",
    re.DOTALL,
)
_OPERAND = b"(</[]0123456789.+-"
#: Forms within forms: a drawing of ours has two levels.
_DEEPEST = 8
#: What a catalogue and a page of ours may hold; all else may act, or paint over the page.
_ROOT = {
    *("/Type", "/Pages", "/Outlines", "/Lang", "/Names", "/StructTreeRoot", "/ViewerPreferences"),
    *("/MarkInfo", "/Metadata", "/AF", "/PageMode", "/Dests"),
}
Glyphs = Mapping[int, str]


@dataclass(frozen=True)
class PageText:
    """``runs``: pieces of text in the order of painting. ``strangers``: what no report of ours holds."""

    runs: tuple[str, ...]
    strangers: tuple[str, ...]


def read_pages(
    reader: Any, where: str, links: Container[str], pictures: bool
) -> tuple[list[PageText], list[str]]:
    """The text of every page, and what in the document as a whole no report of ours holds.

    Args:
        reader: of :func:`milkreport.evidence.pdf.open_pdf`.
        links: addresses that its links may lead to.
        pictures: whether it shows pictures. Drawings of ours are none.

    Raises:
        DataError: damaged, or built to exhaust its reader.
    """
    with guarded(where):
        if len(reader.pages) > MOST_PAGES:
            raise DataError(f"more than {MOST_PAGES:,} pages", "no report has as many", where)
        root = reader.trailer["/Root"].get_object()
        strangers = [f"{key} in its catalogue" for key in root if key not in _ROOT]
        names = root.get("/Names")
        for key in names.get_object() if names is not None else {}:
            if key not in ("/Dests", "/EmbeddedFiles"):
                strangers.append(f"{key} among its names")
        reading = _Reading(where, links, pictures)
        return [reading.page(page) for page in reader.pages], strangers


class _Reading:
    """One document: fonts are read once."""

    def __init__(self, where: str, links: Container[str], pictures: bool) -> None:
        self.where, self.links, self.pictures = where, links, pictures
        self.fonts: dict[Any, Glyphs] = {}

    def page(self, page: Any) -> PageText:
        strangers: list[str] = []
        for reference in page.get("/Annots", None) or ():
            annotation = reference.get_object()
            kind = annotation.get("/Subtype")
            if kind != "/Link":
                strangers.append(f"an annotation ({str(kind)[:40]})")
            action = annotation.get("/A")
            action = action.get_object() if action is not None else {"/S": "/GoTo"}
            if action.get("/S") == "/URI" and str(action.get("/URI")) not in self.links:
                strangers.append(f"a link to {str(action.get('/URI'))[:60]!r}")
            elif action.get("/S") not in ("/URI", "/GoTo") or "/AA" in annotation:
                strangers.append("a link that acts")
        if "/AA" in page:
            strangers.append("an action")
        if page.get("/Rotate", 0) or page.cropbox != page.mediabox:
            strangers.append("turned or cropped")
        contents = page.get("/Contents")
        contents = contents.get_object() if contents is not None else []
        streams = contents if isinstance(contents, list) else [contents]
        data = b"\n".join(self._bytes(stream.get_object()) for stream in streams)
        runs = tuple(self._runs(data, page["/Resources"].get_object(), strangers, 0))
        return PageText(runs, tuple(strangers))

    def _bytes(self, stream: Any) -> bytes:
        return stream_bytes(stream, MOST_PAGE_BYTES, self.where)

    def _runs(self, data: bytes, resources: Any, strangers: list[str], depth: int) -> Iterator[str]:
        if depth > _DEEPEST:
            raise DataError("forms within forms", "no report has them", self.where)
        glyphs: Glyphs = {}
        operands: list[bytes] = []
        for match in _WORD.finditer(data):
            word = match.group()
            if word[:1] in _OPERAND:
                operands.append(word)
                continue
            if word[:1] == b"%":
                strangers.append("a comment in its content")
            elif word == b"Tf":
                glyphs = self._font(resources, operands[-2].decode("latin-1"))
            elif word in (b"Tj", b"TJ"):
                yield "".join(self._text(operand, glyphs) for operand in operands)
            elif word in (b"'", b'"', b"BI"):
                strangers.append(f"the operator {word.decode()}")
            elif word == b"Tr" and operands[-1:] != [b"0"]:
                strangers.append("text that is not shown")
            elif word == b"Do":
                form = _item(resources, "/XObject", operands[-1].decode("latin-1"))
                if form.get("/Subtype") == "/Form":
                    inner = form.get("/Resources")
                    inner = resources if inner is None else inner.get_object()
                    yield from self._runs(self._bytes(form), inner, strangers, depth + 1)
                elif not self.pictures:
                    strangers.append("a picture")
            operands.clear()

    def _text(self, operand: bytes, glyphs: Glyphs) -> str:
        """What an operand of ``Tj`` shows; numbers and brackets of ``TJ`` show nothing."""
        if operand[:1] == b"(":
            return "\ufffd"  # our renderer writes glyph numbers
        if operand[:1] != b"<" or operand == b"<<":
            return ""
        digits = operand[1:-1]
        return "".join(
            glyphs.get(int(digits[i : i + 4], 16), "\ufffd") for i in range(0, len(digits), 4)
        )

    def _font(self, resources: Any, name: str) -> Glyphs:
        font = _item(resources, "/Font", name)
        key = id(font)
        if key not in self.fonts:
            table = font.get("/ToUnicode")
            text = b"" if table is None else self._bytes(table.get_object())
            self.fonts[key] = read_glyphs(text.decode("latin-1"))
        return self.fonts[key]


def read_glyphs(text: str) -> dict[int, str]:
    """Glyph number to text, from a ToUnicode table as our renderer writes it."""
    found = {}
    for block in re.findall(r"beginbfchar(.*?)endbfchar", text, re.DOTALL):
        for glyph, code in re.findall(r"<([0-9a-fA-F]{1,4})>\s*<([0-9a-fA-F]*)>", block):
            found[int(glyph, 16)] = bytes.fromhex(code).decode("utf-16-be", "replace")
    return found


def _item(resources: Any, kind: str, name: str) -> Any:
    return resources[kind].get_object()[name].get_object()
