"""Axes that figures share: rows with names, margins in inches, whiskers, legends."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from milkreport.reporting.figures.svg import colour, marker
from milkreport.reporting.wording.text import shorten_apart, span

#: Letters of a row's name.
ROW_NAME = 36


def label_width(names: Sequence[str]) -> float:
    """Inches that the longest row label takes."""
    return 0.22 + 0.064 * min(max(map(len, names), default=0), ROW_NAME)


#: Letters of an arm's name in a legend.
LEGEND_NAME = 40
LEGEND_LINE = 0.15


def legend_columns(names: Sequence[str], width: float, handle: float = 0.5) -> int:
    """Columns of a legend that is *width* inches wide; *handle*: inches beside each name."""
    widest = handle + 0.062 * max(map(span, names), default=0)
    return max(1, min(len(names), int(width / widest), 4))


def legend_height(names: Sequence[str], columns: int) -> float:
    """Inches that the legend's lines take beyond the first."""
    return LEGEND_LINE * (-(-len(names) // columns) - 1) if names else 0.0


def legend_entries(grid: Iterable[Axes]) -> tuple[list[Artist], list[str]]:
    """What all panels of a figure draw, each name once: handles and names of one legend."""
    handles: dict[str, Artist] = {}
    for axes in grid:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    return [*handles.values()], [*handles]


def plain_axes(figure: Figure, left: float, bottom: float, top: float, right: float) -> Axes:
    """Axes with margins in inches, so that rows keep their height however many there are."""
    width, height = figure.get_size_inches()
    box = (
        left / width,
        bottom / height,
        1 - (left + right) / width,
        1 - (bottom + top) / height,
    )
    axes: Axes = figure.add_axes(box)
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    return axes


def name_rows(axes: Axes, names: Sequence[str]) -> None:
    """Name the rows from the top down."""
    axes.set_yticks(range(len(names)), shorten_apart(names, ROW_NAME))
    axes.set_ylim(len(names) - 0.45, -0.55)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)


def dot(
    axes: Axes, value: float, row: float, index: int, low: float | None, high: float | None
) -> None:
    """A value with its whisker, in the arm's colour and marker."""
    whisker(axes, low, high, row, colour(index))
    axes.plot(
        value, row, linestyle="none", marker=marker(index), color=colour(index), markersize=5.5
    )


def whisker(axes: Axes, low: float | None, high: float | None, row: float, tone: str) -> None:
    """An interval as a line with ends; nothing where it is unknown."""
    if low is not None and high is not None:
        axes.plot([low, high], [row, row], color=tone, linewidth=1.6, solid_capstyle="butt")
        axes.plot([low, high], [row, row], linestyle="none", marker="|", color=tone, markersize=7)


def set_limits(axes: Axes, values: Sequence[float]) -> None:
    """Round limits around *values*; zero belongs to the axis where it is near."""
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    margin = max(0.12 * (high - low), 0.01)
    low, high = low - margin, high + margin
    if min(values, default=0.0) >= 0 and low < 0.35 * high:
        low = 0.0
    axes.set_xlim(low, min(high, 1.0) if max(values, default=1.0) <= 0.995 else high)


def legend_above(axes: Axes, columns: int) -> None:
    """A legend on one line above the axes."""
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(-0.01, 0.985),
        ncols=columns,
        borderaxespad=0,
        handletextpad=0.4,
        columnspacing=1.4,
    )
