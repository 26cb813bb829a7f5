"""From a matplotlib figure to SVG that is fit to stand inside a page.

Same figure, same bytes. Ids carry the figure's key, so that several figures can share a page; text
stays text; ink is a placeholder that becomes ``currentColor`` on a page (dark mode) and a fixed
dark tone on paper.
"""

from __future__ import annotations

import html
import io
import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from milkreport.reporting.figures.marks import draw_marks

INK = "#010203"
PAPER_INK = "#1b2128"
FONT = "Inter, Helvetica, Arial, sans-serif"

# Okabe and Ito's palette without black and yellow, which vanish on one of the two grounds.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS = ("o", "s", "^", "D", "v", "P")
PART_COLOURS = {"train": COLOURS[0], "validation": COLOURS[4], "test": COLOURS[1]}

#: Inches of the page's text column: figures are printed at their own size.
WIDTH = 6.7

_STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "milkreport",
    "text.parse_math": False,
    "axes.unicode_minus": True,
    "font.family": ["DejaVu Sans"],
    "font.size": 7.5,
    "axes.labelsize": 7.5,
    "axes.titlesize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7.5,
    "legend.frameon": False,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": INK,
    "grid.alpha": 0.13,
    "grid.linewidth": 0.5,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "lines.linewidth": 1.3,
    "lines.markersize": 4.5,
}


@contextmanager
def drawing() -> Iterator[None]:
    """Settings under which figures are made and saved, whatever the user's own matplotlib says."""
    font_log = logging.getLogger("matplotlib.font_manager")
    level = font_log.level
    with matplotlib.rc_context(), warnings.catch_warnings():
        # A name may hold glyphs that the measuring font does not have; the reader's fonts draw them.
        warnings.simplefilter("ignore")
        font_log.setLevel(logging.ERROR)
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)  # type: ignore[arg-type]
        try:
            yield
        finally:
            font_log.setLevel(level)


#: Where drawings are kept as pictures too; see :func:`keeping_pictures`.
_PICTURES: ContextVar[dict[str, bytes] | None] = ContextVar("pictures", default=None)
PICTURE_DPI = 300


@contextmanager
def keeping_pictures() -> Iterator[dict[str, bytes]]:
    """While it lasts, every drawing is kept as a PNG of 300 dpi too, by its key."""
    kept: dict[str, bytes] = {}
    token = _PICTURES.set(kept)
    try:
        yield kept
    finally:
        _PICTURES.reset(token)


#: Where drawings are kept as figures instead; see :func:`keeping_figures`.
_FIGURES: ContextVar[dict[str, Figure] | None] = ContextVar("figures", default=None)


@contextmanager
def keeping_figures() -> Iterator[dict[str, Figure]]:
    """While it lasts, every drawing is kept as a matplotlib figure by its key, and gives no SVG."""
    kept: dict[str, Figure] = {}
    token = _FIGURES.set(kept)
    try:
        yield kept
    finally:
        _FIGURES.reset(token)


def colour(index: int) -> str:
    """Colour of the arm at *index*."""
    return COLOURS[index % len(COLOURS)]


def marker(index: int) -> str:
    """Marker of the arm at *index*; it changes where colours come round again."""
    return MARKERS[(index + index // len(COLOURS)) % len(MARKERS)]


def to_svg(figure: Figure, key: str, title: str, description: str) -> str:
    """*figure* as an ``<svg>`` element that says in words what it shows, and at its marks their values."""
    figures = _FIGURES.get()
    if figures is not None:
        figure.draw_without_rendering()  # ticks are made when drawn, by the settings of that moment
        figure.set_facecolor("white")
        figures[key] = figure
        return ""
    pictures = _PICTURES.get()
    if pictures is not None:
        picture = io.BytesIO()
        figure.savefig(
            picture, format="png", dpi=PICTURE_DPI, facecolor="white", metadata={"Software": None}
        )
        pictures[key] = picture.getvalue()
    stream = io.StringIO()
    figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    text = stream.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"\s*<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"\s*<style.*?</style>", "", text, flags=re.DOTALL)
    root_end = text.index(">")
    box = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', text[:root_end])
    assert box is not None
    body = _tidy(_prefix_ids(text[root_end + 1 :], key))
    marks = draw_marks(figure, float(box[1]), float(box[2]))
    body = body.replace("</svg>", f"{marks}</svg>")
    root = (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
        f' role="img" aria-labelledby="{key}-title {key}-desc" viewBox="0 0 {box[1]} {box[2]}"'
        f' width="{box[1]}pt" height="{box[2]}pt" font-family="{FONT}"'
        ' stroke-linejoin="round" stroke-linecap="butt">'
    )
    words = (
        f'<title id="{key}-title">{html.escape(title)}</title>'
        f'<desc id="{key}-desc">{html.escape(description)}</desc>'
    )
    return root + words + body


def for_page(svg: str) -> str:
    """Ink follows the text around the figure."""
    return svg.replace(INK, "currentColor")


def for_paper(svg: str) -> str:
    """Ink is dark, on paper and in files of their own; nobody points at paper."""
    return _MARKS.sub("", svg.replace(INK, PAPER_INK))


_MARKS = re.compile(r'<g class="marks".*?</g>', re.DOTALL)


def _prefix_ids(body: str, key: str) -> str:
    used = set(re.findall(r'(?:url\(#|href="#)([^)"]+)', body))

    def rename(match: re.Match[str]) -> str:
        return f' id="{key}-{match[1]}"' if match[1] in used else ""

    body = re.sub(r' id="([^"]*)"', rename, body)
    return re.sub(r'(url\(#|href="#)', rf"\g<1>{key}-", body)


def _tidy(body: str) -> str:
    """Drop what costs bytes and says nothing: six decimals, newlines, empty turns, font lists."""
    body = re.sub(r"font-family: [^;\"]*;? ?", "", body)
    body = re.sub(r' transform="rotate\(-?0 [^)]*\)"', "", body)
    body = re.sub(r"<defs>\s*</defs>", "", body)
    # WeasyPrint cuts text that has a group's opacity; that of its fill alone does the same.
    body = re.sub(r"(<text[^>]*?)(?<![-\w])opacity:", r"\1fill-opacity:", body)
    body = re.sub(r"<[^>]+>", lambda m: _round_tag(m[0]), body)
    return re.sub(r">\s+<", "><", body)


def _round_tag(tag: str) -> str:
    tag = re.sub(r"-?\d+\.\d{3,}", lambda m: f"{float(m[0]):.2f}".rstrip("0").rstrip("."), tag)
    tag = re.sub(r"\s*\n\s*", " ", tag)
    return re.sub(r"([a-zA-Z]) (?=-?\d)", r"\1", tag) if tag.startswith("<path") else tag
