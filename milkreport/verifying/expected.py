"""What a report must print: the text of its markup, piece by piece, with the place of each."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

#: Elements that hold no text of the page.
_SILENT = {"head", "style", "script", "title", "desc", "metadata"}
_VOID = {
    *("meta", "link", "br", "hr", "img", "input", "wbr", "col"),
    *("path", "use", "rect", "circle", "line", "polyline", "polygon", "stop", "image"),
}
#: The section whose heading paper does not show.
_HIDDEN = "summary"


@dataclass(frozen=True)
class Piece:
    """One run of text.

    ``words``: the text between blanks. ``place``: section, and table or figure. ``section``: position of its
    section in :attr:`Expected.sections`; ``head``: of its table in :attr:`Expected.heads`; -1: of none.
    ``page_of``: the anchor whose page number stands here instead of a text. ``starts``: anchors that begin
    here. ``is_unknown``: any text may stand here.
    """

    words: tuple[str, ...]
    place: str
    section: int
    head: int
    page_of: str = ""
    starts: tuple[str, ...] = ()
    is_unknown: bool = False

    @property
    def text(self) -> str:
        """The text without blanks."""
        return "".join(self.words)


@dataclass
class Expected:
    """All pieces in reading order.

    ``sections``: their titles as heads of pages print them; ``heads``: of tables, which are printed again on
    each page. ``banner``, ``report``, ``generator``: what margins print beside. All without blanks.
    """

    pieces: list[Piece] = field(default_factory=list)
    sections: list[str] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)
    banner: str = ""
    report: str = ""
    generator: str = ""


def read_expected(markup: str, paper: bool, unknown: tuple[str, ...] = ()) -> Expected:
    """The pieces of *markup*.

    Args:
        paper: whether it is laid out for paper, where ``print.css`` hides and adds text.
        unknown: ids of sections whose text cannot be known.
    """
    reader = _Reader(paper, unknown)
    reader.feed(markup)
    reader.close()
    return reader.expected


@dataclass(frozen=True)
class _Open:
    """An element that is open."""

    tag: str
    key: str
    classes: tuple[str, ...]
    href: str


class _Reader(HTMLParser):
    def __init__(self, paper: bool, unknown: tuple[str, ...]) -> None:
        super().__init__(convert_charrefs=True)
        self.expected = Expected()
        self.paper, self.unknown = paper, unknown
        self.open: list[_Open] = []
        self.starts: list[str] = []
        self.heading = ""

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        named = {name: value or "" for name, value in attributes}
        key = named.get("id", "")
        if key:
            self.starts.append(key)
        if tag in _VOID:
            return
        parent = self.open[-1] if self.open else None
        self.open.append(
            _Open(tag, key, tuple(named.get("class", "").split()), named.get("href", ""))
        )
        if tag in ("h2", "h3"):
            self.heading = ""
        if not self.paper:
            return
        if tag == "h2" and not self._is_hidden():
            self.expected.sections.append("")
        if tag == "tr" and self._is_in("thead"):
            self.expected.heads.append("")
        # What print.css writes before an element.
        if tag == "span" and parent and "meta" in parent.classes and self.expected.generator:
            self._add("·")

    def handle_endtag(self, tag: str) -> None:
        if not self._is_in(tag):
            return
        closed = self.open[-1]
        while closed.tag != tag:
            self.open.pop()
            closed = self.open[-1]
        if tag == "section" and closed.key in self.unknown:
            self.open.pop()
            self._add("", is_unknown=True)
            return
        if self.paper:
            self._after(closed)
        self.open.pop()

    def _after(self, closed: _Open) -> None:
        """What print.css writes at the end of an element."""
        if closed.tag == "a" and ("paged" in closed.classes or self._is_in("nav")):
            if "paged" in closed.classes:
                self._add(", page")
            self._add("", page_of=closed.href.removeprefix("#"))
        if closed.tag == "dt" and self._has("mistake"):
            self._add(":")

    def handle_data(self, data: str) -> None:
        if not data.split() or any(self._is_in(tag) for tag in _SILENT):
            return
        if self._is_in("h2", "h3"):
            self.heading = f"{self.heading} {data.strip()}".strip()
        if self.paper and self._is_margin("".join(data.split())):
            return
        self._add(data)

    def _is_margin(self, text: str) -> bool:
        """Whether this text stands in margins or nowhere, not here; notes what margins and pages repeat."""
        if self._has("banner"):
            self.expected.banner += text
            return True
        if self._is_hidden() and self._is_in("h2"):
            return True
        if self._is_in("h1"):
            self.expected.report += text
        if self._has("meta"):
            self.expected.generator = text
        if self._is_in("h2"):
            self.expected.sections[-1] += text
        if self._is_in("thead"):
            self.expected.heads[-1] += text
        return False

    def _is_in(self, *tags: str) -> bool:
        return any(element.tag in tags for element in self.open)

    def _has(self, name: str) -> bool:
        return any(name in element.classes for element in self.open)

    def _is_hidden(self) -> bool:
        return any(element.key == _HIDDEN for element in self.open)

    def _add(self, data: str, page_of: str = "", is_unknown: bool = False) -> None:
        if any(element.tag == "section" and element.key in self.unknown for element in self.open):
            return
        parts = [element.key for element in self.open]
        of = next((key for key in reversed(parts) if key.startswith(("table-", "figure-"))), "")
        place = f"section {self.heading}" if self.heading else "the summary"
        self.expected.pieces.append(
            Piece(
                words=tuple(data.split()),
                place=f"{place}, {of.replace('-', ' ', 1)}" if of else place,
                section=len(self.expected.sections) - 1,
                head=len(self.expected.heads) - 1 if self._is_in("tbody") else -1,
                page_of=page_of,
                starts=tuple(self.starts),
                is_unknown=is_unknown,
            )
        )
        self.starts.clear()
