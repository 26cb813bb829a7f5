"""What a drawing says where a reader points at it: the values of cells, points and bars."""

from __future__ import annotations

import html
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from milkreport.reporting.wording.text import shorten

#: Points of a side, at least, that a pointer finds easily.
LEAST = 9.0
MOST_LETTERS = 200

Point = tuple[float, float]


@dataclass(frozen=True)
class Mark:
    """A place of a drawing, from one corner to the other in data coordinates, and its words.

    ``opens``: the cases that it lists on the page, see :func:`milkreport.reporting.cases.opens`.
    """

    axes: Axes
    start: Point
    end: Point
    text: str
    opens: str


_MARKS: WeakKeyDictionary[Figure | SubFigure, list[Mark]] = WeakKeyDictionary()


def say(axes: Axes, text: str, start: Point, end: Point | None = None, opens: str = "") -> None:
    """Have a drawing say *text* at a point, or on the rectangle from *start* to *end*, in data coordinates.

    Args:
        opens: the cases that the place lists on the page.
    """
    mark = Mark(axes, start, end or start, shorten(text, MOST_LETTERS), opens)
    _MARKS.setdefault(axes.figure, []).append(mark)


def draw_marks(figure: Figure, width: float, height: float) -> str:
    """Invisible rectangles with a title each, above all that *figure* draws; empty if nothing was said.

    Args:
        width, height: of the SVG, in its own units.
    """
    found = [_rectangle(mark, figure, width, height) for mark in _MARKS.pop(figure, [])]
    return f'<g class="marks" fill-opacity="0">{"".join(found)}</g>' if found else ""


def _rectangle(mark: Mark, figure: Figure, width: float, height: float) -> str:
    to_figure = mark.axes.transData + figure.transFigure.inverted()
    (x0, y0), (x1, y1) = to_figure.transform([mark.start, mark.end])
    left, right = sorted((x0 * width, x1 * width))
    top, bottom = sorted(((1 - y0) * height, (1 - y1) * height))
    across, down = (max(0.0, LEAST - size) / 2 for size in (right - left, bottom - top))
    left, right, top, bottom = left - across, right + across, top - down, bottom + down
    cases = f' data-opens="{html.escape(mark.opens)}"' if mark.opens else ""
    return (
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{right - left:.1f}" height="{bottom - top:.1f}"{cases}>'
        f"<title>{html.escape(mark.text)}</title></rect>"
    )
