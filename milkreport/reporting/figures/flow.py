"""The flow diagram: how many cases were found, removed and used, and the parts they went to."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from milkreport.evaluation.records.data import DataSummary, SplitSummary
from milkreport.reporting.figures.svg import INK, WIDTH, drawing, to_svg
from milkreport.reporting.wording.text import (
    fit,
    listing,
    numeral,
    percent,
    span,
    whole,
    without_paths,
)
from milkreport.tables import plural

MOST_REASONS = 8
_LINE = 0.158  # inches from line to line
_PAD = 0.1
_MAIN = 2.75  # width of the boxes in the main column
_SIDE = 3.2  # where the box at the side begins
_GAP = 0.3
_REASON = 52  # characters of a line

Line = tuple[str, str]  # a figure, and what it counts; without a figure the text stands alone


@dataclass(frozen=True)
class _Box:
    """A box: its head in bold, lines below it, and where it lies."""

    head: str
    lines: tuple[Line, ...]
    left: float
    width: float

    @property
    def height(self) -> float:
        return 2 * _PAD + _LINE * (1 + len(self.lines)) - 0.02


def flow_diagram(key: str, data: DataSummary, splits: Sequence[SplitSummary]) -> str:
    """From the cases that were found, past the reasons for removal, to the parts."""
    found = _Box(f"{plural(data.n_found, data.unit, data.units)} found", (), 0.0, _MAIN)
    removed = _removed(data)
    images = (("", plural(data.n_images, "image", "images")),) if data.n_images else ()
    used = _Box(f"{plural(data.n_used, data.unit, data.units)} used", images, 0.0, _MAIN)
    parts = _parts(data, splits)
    between = max(_GAP, removed.height + 0.14) if removed else _GAP
    height = found.height + between + used.height + 0.02
    if parts:
        height += 1.4 * _GAP + max(box.height for box in parts)
    with drawing():
        figure = Figure(figsize=(WIDTH, height))
        axes: Axes = figure.add_axes((0, 0, 1, 1))
        axes.set_axis_off()
        axes.set_xlim(-0.01, WIDTH - 0.01)
        axes.set_ylim(height - 0.01, -0.01)
        middle, y = _MAIN / 2, found.height
        _draw(axes, found, 0)
        _arrow(axes, (middle, y), (middle, y + between))
        if removed:
            _arrow(axes, (middle, y + between / 2), (_SIDE, y + between / 2))
            _draw(axes, removed, y + (between - removed.height) / 2)
        y += between
        _draw(axes, used, y)
        y += used.height
        rail, below = y + 0.6 * _GAP, y + 1.4 * _GAP
        centres = [box.left + box.width / 2 for box in parts]
        if len(parts) > 1:
            _line(axes, (middle, y), (middle, rail))
            _line(axes, (min(*centres, middle), rail), (max(*centres, middle), rail))
        for box, centre in zip(parts, centres, strict=True):
            _arrow(axes, (centre, rail if len(parts) > 1 else y), (centre, below))
            _draw(axes, box, below)
        return to_svg(figure, key, f"Flow of {data.units}", _said(found, removed, used, parts))


def _removed(data: DataSummary) -> _Box | None:
    """The reasons, most frequent first, with what does not fit added up; None if nothing was removed."""
    reasons = sorted((e for e in data.exclusions if e.n), key=lambda e: -e.n)
    if not reasons:
        return None
    lines: list[Line] = []
    for reason in reasons[:MOST_REASONS]:
        text = fit(without_paths(reason.reason), 2 * _REASON - 8)
        width = _REASON if span(text) == len(text) else _REASON // 2
        first, *rest = textwrap.wrap(text, width)[:2] or [""]
        lines += [(whole(reason.n), first), *(("", more) for more in rest)]
    if more := reasons[MOST_REASONS:]:
        text = plural(len(more), "other reason", "other reasons")
        lines.append((whole(sum(e.n for e in more)), f"for {text}"))
    total = sum(e.n for e in reasons)
    return _Box(f"{whole(total)} removed", tuple(lines), _SIDE, WIDTH - 0.02 - _SIDE)


def _parts(data: DataSummary, splits: Sequence[SplitSummary]) -> list[_Box]:
    """A box for each part; for several folds one box that says what a fold is."""
    folds = sorted({split.fold for split in splits})
    order = ("train", "validation", "test")
    if len(folds) > 1:
        lines = []
        for part in ("test", "validation", "train"):
            sizes = [split.n for split in splits if split.part == part and split.n]
            if sizes:
                low, high = whole(min(sizes)), whole(max(sizes))
                n = low if low == high else f"{low} to {high}"
                lines.append(("", f"{part}: {n} {data.units}"))
        head = f"each of {numeral(len(folds))} folds: test once"
        return [_Box(head, tuple(lines), 0.0, _MAIN)]
    found = [s for part in order for s in splits if s.part == part and s.n]
    width = (WIDTH - 0.02 - 0.2 * (len(found) - 1)) / max(len(found), 1)
    width = min(width, _MAIN)
    return [
        _Box(
            split.part,
            (
                ("", plural(split.n, data.unit, data.units)),
                ("", f"{percent(split.n / data.n_used if data.n_used else None, 1)} of those used"),
            ),
            position * (width + 0.2),
            width,
        )
        for position, split in enumerate(found)
    ]


def _draw(axes: Axes, box: _Box, top: float) -> None:
    frame = Rectangle(
        (box.left, top), box.width, box.height, facecolor="none", edgecolor=INK, linewidth=0.7
    )
    axes.add_patch(frame)
    y = top + _PAD + _LINE / 2 - 0.01
    axes.text(box.left + 0.13, y, box.head, va="center", fontsize=8, fontweight=600)
    # Figures stand right in a column of their own, as wide as the widest of them.
    column = 0.062 * max((len(n) for n, _ in box.lines), default=0)
    indent = box.left + 0.13 + (column + 0.08 if column else 0)
    for n, text in box.lines:
        y += _LINE
        if n:
            axes.text(indent - 0.08, y, n, va="center", ha="right")
        axes.text(indent, y, text, va="center", alpha=0.85)


def _line(axes: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    axes.plot(
        [start[0], end[0]], [start[1], end[1]], color=INK, linewidth=0.7, solid_capstyle="butt"
    )


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    """A line with a filled head that ends at *end*."""
    _line(axes, start, end)
    across = end[1] == start[1]
    axes.plot(
        end[0] - 0.03 * across,
        end[1] - 0.03 * (not across),
        linestyle="none",
        marker=">" if across else "v",
        color=INK,
        markersize=3.6,
        markeredgewidth=0,
    )


def _said(found: _Box, removed: _Box | None, used: _Box, parts: Sequence[_Box]) -> str:
    """The diagram in words."""
    steps = [found.head]
    if removed:
        reasons = ", ".join(f"{n} {text}".strip() for n, text in removed.lines)
        steps.append(f"{removed.head}: {reasons}")
    else:
        steps.append("none removed")
    steps.append(used.head)
    steps += [f"{box.head}: {listing(text for _, text in box.lines)}" for box in parts]
    return "; ".join(steps)
