"""Medians of numeric columns by class, as a table whose cells are toned column by column."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from milkreport.evaluation.records.data import NumericSummary
from milkreport.reporting.figures.confusion import STRONGEST, TONE
from milkreport.reporting.figures.svg import INK, WIDTH, drawing, to_svg
from milkreport.reporting.wording.text import (
    MISSING,
    digits_of,
    fit,
    listing,
    measure,
    shorten_apart,
    span,
    whole,
)

COLUMNS_A_FIGURE = 16
_BETWEEN = 0.16  # inches between panels
_HEAD = 22  # characters of a line of a column's head, of which there are two


@dataclass(frozen=True)
class Panel:
    """Columns of one view that stand side by side, each with its name."""

    title: str
    columns: tuple[tuple[str, NumericSummary], ...]


def panels_of(
    columns: Sequence[tuple[str, str, NumericSummary]], most: int = COLUMNS_A_FIGURE
) -> list[list[Panel]]:
    """Triples of view, name and column as figures of panels; a figure holds at most *most* columns."""
    figures: list[list[Panel]] = []
    room = 0
    for view in dict.fromkeys(view for view, _, _ in columns):
        mine = [(name, column) for v, name, column in columns if v == view]
        # A view is parted only where it fills more than one figure.
        for start in range(0, len(mine), most):
            some = tuple(mine[start : start + most])
            if len(some) > room:
                figures.append([])
                room = most
            figures[-1].append(Panel(view, some))
            room -= len(some)
    return figures


def median_heat(
    key: str, panels: Sequence[Panel], classes: Sequence[tuple[str, int]], title: str
) -> str:
    """One figure: *classes* (names and cases) as rows, the columns of *panels* side by side."""
    short = shorten_apart([name for name, _ in classes], 14)
    names = [f"{fit(name, 14)} ({whole(n)})" for name, (_, n) in zip(short, classes, strict=True)]
    label = min(1.6, 0.1 + 0.062 * max(map(span, names)))
    heads = {id(panel): _heads(panel) for panel in panels}
    head = 0.08 + 0.047 * max(span(line) for _, h in heads.values() for two in h for line in two)
    room = WIDTH - label - 0.04 - _BETWEEN * (len(panels) - 1)
    cell = min(0.5, room / sum(len(panel.columns) for panel in panels))
    tall = 0.182 if len(classes) <= 20 else 0.165
    height = 0.26 + head + tall * len(classes) + 0.03
    with drawing():
        figure = Figure(figsize=(WIDTH, height))
        left = label
        for position, panel in enumerate(panels):
            width = cell * len(panel.columns)
            axes: Axes = figure.add_axes(
                (
                    left / WIDTH,
                    0.03 / height,
                    width / WIDTH,
                    tall * len(classes) / height,
                )
            )
            shared, lines = heads[id(panel)]
            _panel(axes, panel, lines, [name for name, _ in classes], cell)
            rows = [row + 0.5 for row in range(len(classes))] if not position else []
            axes.set_yticks(rows, names if not position else [], fontsize=6.5)
            # A title may reach to the next panel; the last one, to the edge.
            reach = width + _BETWEEN if panel is not panels[-1] else WIDTH - left
            over = fit(panel.title + (f": {shared}…" if shared else ""), int(reach / 0.066))
            axes.annotate(
                over,
                (0, 0),
                xytext=(0, 72 * (head + 0.07)),
                textcoords="offset points",
                fontsize=7.5,
                fontweight=600,
            )
            left += width + _BETWEEN
        return to_svg(figure, key, title, _said(panels))


def _panel(
    axes: Axes, panel: Panel, heads: Sequence[tuple[str, ...]], classes: Sequence[str], cell: float
) -> None:
    n, rows = len(panel.columns), len(classes)
    axes.set_xlim(0, n)
    axes.set_ylim(rows, 0)
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    for x, (_, column) in enumerate(panel.columns):
        medians = [
            column.quartiles[name][1] if name in column.quartiles else None for name in classes
        ]
        known = [value for value in medians if value is not None]
        low, high = min(known, default=0.0), max(known, default=0.0)
        digits = digits_of(known)
        texts = [measure(value, digits) for value in medians]
        size = 6.5 if max(map(len, texts)) * 0.05 < cell - 0.02 else 5.2
        for y, (value, text) in enumerate(zip(medians, texts, strict=True)):
            if value is not None and high > low:
                alpha = STRONGEST * (value - low) / (high - low)
                face = Rectangle((x, y), 1, 1, facecolor=TONE, alpha=alpha, linewidth=0)
                axes.add_patch(face)
            axes.text(x + 0.5, y + 0.5, text, ha="center", va="center", fontsize=size)
    for k in range(rows + 1):
        axes.plot([0, n], [k, k], color=INK, alpha=0.13, linewidth=0.4)
    axes.set_xticks([x + 0.5 for x in range(n)], ["\n".join(two) for two in heads], fontsize=6.5)
    axes.xaxis.tick_top()
    axes.tick_params(length=0, pad=3)
    for tick in axes.get_xticklabels():
        tick.set_rotation(90)
        tick.set_linespacing(1.05)


def _heads(panel: Panel) -> tuple[str, list[tuple[str, ...]]]:
    """The start that all names share, and the rest of each on at most two lines."""
    names = [name for name, _ in panel.columns]
    words = zip(*(re.findall(r"[^_ ]*[_ ]", name) for name in names), strict=False)
    same = [some[0] for some in takewhile(lambda some: len(set(some)) == 1, words)]
    shared = "".join(same) if len(names) > 2 else ""
    return shared, [_two_lines(name.removeprefix(shared)) for name in names]


def _two_lines(name: str) -> tuple[str, ...]:
    """*name* broken where its words end, if it is too long for one line."""
    name = fit(name, 2 * _HEAD)
    if span(name) > len(name):
        return (fit(name, _HEAD),)
    if len(name) <= _HEAD:
        return (name,)
    ends = [i + 1 for i, c in enumerate(name[:_HEAD]) if c in "_ -,"]
    cut = max((end for end in ends if len(name) - end <= _HEAD), default=_HEAD)
    return name[:cut].rstrip(), name[cut:]


def _said(panels: Sequence[Panel]) -> str:
    """In which class each column is highest and lowest."""
    said = []
    for panel in panels:
        for name, column in panel.columns:
            medians = {k: q[1] for k, q in column.quartiles.items()}
            if not medians:
                said.append(f"{fit(name, 40)} ({fit(panel.title, 22)}): {MISSING}")
                continue
            digits = digits_of(medians.values())
            ends = [
                f"{word} in {fit(at, 24)} ({measure(medians[at], digits)})"
                for word, at in (
                    ("lowest", min(medians, key=medians.__getitem__)),
                    ("highest", max(medians, key=medians.__getitem__)),
                )
            ]
            said.append(f"{fit(name, 40)} ({fit(panel.title, 22)}): {listing(ends)}")
    return "; ".join(said)
