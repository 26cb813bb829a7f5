"""The printed text of a report against what its results give: every letter in its order, not numbers alone.

Blanks are left out: where a line or a cell ends is a matter of layout. On paper, a page must end with its
margins and may begin with the head of the table that goes on; a printed page number must be the page where
its section begins. Anything else is a difference, named with its page and place.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from milkreport.verifying.expected import Expected, Piece

#: Equal letters after which a difference counts as over, and how far they are looked for.
_SURE, _FAR = 12, 3000
#: Letters by which a page is seen to begin with what follows a part that cannot be known.
_BEGIN = 60
_PAGE_NUMBER = re.compile(r"[0-9]{1,5}")


@dataclass(frozen=True)
class Difference:
    """A place where other words are printed; ``page`` counts from 1, 0 where there are no pages."""

    page: int
    place: str
    expected: str
    printed: str

    def __str__(self) -> str:
        where = f"page {self.page}, {self.place}" if self.page else self.place
        return (
            f"{where}: printed {_quoted(self.printed)}, the results give {_quoted(self.expected)}"
        )


@dataclass(frozen=True)
class Printed:
    """``total``: numbers that must be printed; ``wrong``: how many of them are not there as they must be.

    ``letters``: of the whole text, blanks left out. ``sections``, ``tables``, ``figures``: how many.
    """

    total: int
    wrong: int
    letters: int
    differences: tuple[Difference, ...]


class _Words:
    """A text without blanks, and for each of its letters the word that it stands in."""

    def __init__(self, words: Sequence[str]) -> None:
        self.words = words
        self.text = "".join(words)
        self.ends = list(accumulate(map(len, words)))

    def around(self, start: int, end: int) -> str:
        """The words that *start* to *end* touch; letters of a drawing are single words."""
        first = bisect_right(self.ends, start)
        last = max(first, bisect_right(self.ends, end - 1)) if end > start else first - 1
        chosen = self.words[first : last + 1]
        return ("" if all(len(word) == 1 for word in chosen) else " ").join(chosen)


def compare_pages(expected: Expected, pages: Sequence[Sequence[str]]) -> Printed:
    """A PDF's pages against what they must print.

    Args:
        pages: of each page the runs of text in the order of painting.
    """
    walk = _Walk(expected.pieces)
    for number, runs in enumerate(pages, 1):
        walk.begin_page(number, runs)
        walk.leave_unknown()
        walk.take_end(_margins(expected, walk.piece, number, len(pages)))
        if walk.piece is not None and walk.piece.head >= 0:
            walk.take_start(expected.heads[walk.piece.head])
        walk.take_rest()
    return walk.finish()


def compare_texts(expected: Expected, found: Expected) -> Printed:
    """A page without paper, which prints one run after the other."""
    walk = _Walk(expected.pieces)
    walk.begin_page(0, [" ".join(piece.words) for piece in found.pieces])
    walk.take_rest()
    return walk.finish()


def _margins(expected: Expected, piece: Piece | None, number: int, n_pages: int) -> str:
    section = piece.section if piece is not None else len(expected.sections) - 1
    title = expected.sections[section] if section >= 0 else ""
    head = f"{title}{expected.banner}{expected.report}"
    if number == 1:
        head = f"{expected.banner}{expected.generator}"
    return f"{head}{number}of{n_pages}"


class _Walk:
    """Takes the text of page after page off the pieces that must be there."""

    def __init__(self, pieces: Sequence[Piece]) -> None:
        self.pieces = pieces
        self.place, self.taken = (
            0,
            0,
        )  # the next piece, and how many letters of it were on earlier pages
        self.number, self.at, self.end = 0, 0, 0
        self.page = _Words(())
        self.run_ends: list[int] = []
        self.found: list[Difference] = []
        self.wrong: set[tuple[int, int]] = set()  # piece and word
        self.total = sum(map(_is_number, (word for p in pieces for word in p.words)))
        self.letters = 0
        self.begins: dict[str, int] = {}
        self.page_numbers: list[tuple[str, int, int, str]] = []

    @property
    def piece(self) -> Piece | None:
        return self.pieces[self.place] if self.place < len(self.pieces) else None

    def begin_page(self, number: int, runs: Sequence[str]) -> None:
        words = [run.split() for run in runs]
        self.page = _Words([word for some in words for word in some])
        self.run_ends = [*accumulate(sum(map(len, some)) for some in words)]
        self.number, self.at, self.end = number, 0, len(self.page.text)
        self.letters += self.end

    def take_end(self, text: str) -> None:
        """The end of the page must be *text*."""
        start = max(self.end - len(text), 0)
        numbers = len(re.findall(r"\d+", text))
        self.total += numbers
        if self.page.text[start:] != text:
            self._differ("its margins", text, self.page.around(start, self.end))
            self.wrong |= {(-self.number, i) for i in range(numbers)}
        self.end = start

    def take_start(self, text: str) -> None:
        """The page may begin with *text*, unless that is what must come next anyhow."""
        piece = self.piece
        assert piece is not None
        if (
            self.page.text.startswith(text)
            and text
            and not text.startswith(piece.text[self.taken :] or "\0")
        ):
            self.at = len(text)

    def take_rest(self) -> None:
        """All else of the page must be what comes next."""
        while self.at < self.end:
            piece = self.piece
            if piece is None:
                self._differ("after its end", "", self.page.around(self.at, self.end))
                self.at = self.end
            elif piece.is_unknown:
                self._skip_unknown()
            elif piece.page_of:
                self._take_page_number(piece)
            else:
                self._take(piece)

    def finish(self) -> Printed:
        """What was found; pieces that no page printed are differences."""
        while self.piece is not None and (
            self.piece.is_unknown or not self.piece.text[self.taken :]
        ):
            if self.piece.page_of:
                break
            self._next()
        if self.piece is not None:
            left = " ".join(w for p in self.pieces[self.place :] for w in p.words)
            self._differ(self.piece.place, left, "")
            for i in range(self.place, len(self.pieces)):
                self.wrong |= {(i, j) for j, w in enumerate(self.pieces[i].words) if _is_number(w)}
        for anchor, stated, page, place in self.page_numbers:
            self.total += 1
            if self.begins.get(anchor) != stated:
                right = str(self.begins.get(anchor, "no page"))
                self.found.append(Difference(page, place, f"page {right}", f"page {stated}"))
                self.wrong.add((-page, 1000 + len(self.found)))
        return Printed(self.total, len(self.wrong), self.letters, tuple(self.found))

    def _take(self, piece: Piece) -> None:
        left = piece.text[self.taken :]
        if not self.taken:
            self._note_start(piece)
        n = min(len(left), self.end - self.at)
        if self.page.text[self.at : self.at + n] == left[:n]:
            self.at += n
            self.taken += n
            if n == len(left):
                self._next()
        else:
            self._resume(piece)

    def _note_start(self, piece: Piece) -> None:
        for anchor in piece.starts:
            self.begins.setdefault(anchor, self.number)

    def _next(self) -> None:
        self.place, self.taken = self.place + 1, 0

    def _take_page_number(self, piece: Piece) -> None:
        """The number of a page, behind the dots that lead to it, ends where its run ends."""
        self._note_start(piece)
        while self.at < self.end and self.page.text[self.at] == ".":
            self.at += 1
        end = next((e for e in self.run_ends if e > self.at), self.end)
        found = _PAGE_NUMBER.fullmatch(self.page.text, self.at, end)
        if found is None:
            self._differ(piece.place, "the number of a page", self.page.around(self.at, end))
        else:
            self.page_numbers.append((piece.page_of, int(found[0]), self.number, piece.place))
            self.at = end
        self._next()

    def leave_unknown(self) -> None:
        """What cannot be known has ended on the page before, if this page begins with what comes next."""
        if self.piece is not None and self.piece.is_unknown:
            following = self._following()[:_BEGIN]
            if following and self.page.text.startswith(following):
                self._note_start(self.piece)
                self._next()

    def _following(self) -> str:
        return "".join(p.text for p in self.pieces[self.place + 1 : self.place + 6])

    def _skip_unknown(self) -> None:
        """Whatever is printed until what comes next begins; a page may end within that."""
        assert self.piece is not None
        self._note_start(self.piece)
        following = self._following()
        key = following[:_SURE]
        place = self.page.text.find(key, self.at, self.end) if following else -1
        while place >= 0 and not following.startswith(
            self.page.text[place : min(place + len(following), self.end)]
        ):
            place = self.page.text.find(key, place + 1, self.end)
        if place < 0:
            self.at = self.end
        else:
            self.at = place
            self._next()

    def _resume(self, piece: Piece) -> None:
        """Note a difference, and go on where both sides are equal again."""
        window, places = self._window()
        text = self.page.text
        same = 0
        while same < min(len(window), self.end - self.at) and window[same] == text[self.at + same]:
            same += 1
        best = (
            len(window),
            self.end - self.at,
        )  # letters to leave out, of what must be there and of the page
        for there in range(same, min(self.end - self.at, _FAR)):
            if there - same > sum(best) - 2 * same:
                break
            key = text[self.at + there : min(self.at + there + _SURE, self.end)]
            here = window.find(key, same, same + _FAR)
            # A key cut short by the page's end is no proof, unless nothing was left out or added.
            if here >= 0 and (len(key) == _SURE or here == there) and here + there < sum(best):
                best = (here, there)
        here, there = best
        if best == (len(window), self.end - self.at):  # nothing of the page's rest was found again
            here = min(len(window), self.end - self.at)
        wanted = self._words_of(places, same, max(here, same + (here == same)))
        shown = self.page.around(
            self.at + same, max(self.at + there, self.at + same + (there == same))
        )
        self._differ(self.pieces[places[min(same, len(places) - 1)][0]].place, wanted, shown)
        self._go_on(places, here)
        self.at += there

    def _window(self) -> tuple[str, list[tuple[int, int]]]:
        """The next letters that must be there, and for each its piece and its place in it."""
        letters: list[str] = []
        places: list[tuple[int, int]] = []
        skipped = self.taken
        for number in range(self.place, len(self.pieces)):
            piece = self.pieces[number]
            text = "\0" if piece.page_of or piece.is_unknown else piece.text[skipped:]
            letters.append(text)
            places += [(number, skipped + i) for i in range(len(text))]
            skipped = 0
            if len(places) > 2 * _FAR:
                break
        return "".join(letters), places

    def _words_of(self, places: Sequence[tuple[int, int]], start: int, end: int) -> str:
        """The words that these letters of the window touch; numbers among them count as wrong."""
        words: list[str] = []
        seen: set[tuple[int, int]] = set()
        for number, letter in places[start:end]:
            piece = self.pieces[number]
            at = bisect_right([*accumulate(map(len, piece.words))], letter)
            if (number, at) in seen or at >= len(piece.words):
                continue
            seen.add((number, at))
            words.append(piece.words[at])
            if _is_number(piece.words[at]):
                self.wrong.add((number, at))
        return " ".join(words)

    def _go_on(self, places: Sequence[tuple[int, int]], here: int) -> None:
        old = self.place
        if here < len(places):
            self.place, self.taken = places[here]
        else:
            self.place, self.taken = len(self.pieces), 0
        for number in range(old, self.place):
            self._note_start(self.pieces[number])

    def _differ(self, place: str, expected: str, printed: str) -> None:
        self.found.append(Difference(self.number, place, expected, printed))


def _is_number(word: str) -> bool:
    return any(letter.isdigit() for letter in word)


def _quoted(text: str) -> str:
    if not text:
        return "nothing"
    return f"{text!r}" if len(text) <= 90 else f"{text[:87]!r}..."


def strangers_as_differences(
    pages: Sequence[Sequence[str]], document: Sequence[str]
) -> Iterator[Difference]:
    """What no report holds, as differences: *pages* by page, *document* of the whole."""
    for number, found in enumerate(pages, 1):
        yield from (Difference(number, "its content", "", name) for name in dict.fromkeys(found))
    yield from (Difference(0, "the document", "", name) for name in document)
