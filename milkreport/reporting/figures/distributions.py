"""Small multiples: how the values of single columns are spread."""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from milkreport.evaluation.records.data import CategoricalSummary, NumericSummary
from milkreport.reporting.figures.marks import say
from milkreport.reporting.figures.svg import COLOURS, INK, WIDTH, drawing, to_svg
from milkreport.reporting.wording.text import digits_of, fit, listing, measure, whole
from milkreport.tables import plural

TONE = COLOURS[0]
ALPHA = 0.5
MOST_PANELS = 12
MOST_VALUES = 8
_GUTTER = 0.38
_LABEL = 1.25  # inches for the values' names
_BAR = 0.165  # inches a row of a categorical panel
_FILLED = 24  # whole numbers up to this many apart get a place each, those without cases too


def numeric_panels(
    key: str, panels: Sequence[tuple[str, NumericSummary]], units: str, title: str
) -> str:
    """A histogram, or bars by level, of each column in *panels*, pairs of a name and its column."""
    across = 2 if len(panels) in (1, 2, 4) else 3
    down = math.ceil(len(panels) / across)
    width, plot, block = (WIDTH - 0.16 - _GUTTER * across) / across, 0.8, 1.34
    with drawing():
        figure = Figure(figsize=(WIDTH, block * down - 0.1))
        for position, (name, column) in enumerate(panels):
            left = _GUTTER + (position % across) * (width + _GUTTER)
            axes = _place(figure, left, 0.22 + block * (position // across), width, plot)
            axes.set_title(
                fit(name, 30 if across == 3 else 48),
                loc="left",
                pad=6,
                fontsize=7.5,
                fontweight=600,
            )
            if column.levels:
                _levels(axes, column, width)
            else:
                _histogram(axes, column)
        return to_svg(figure, key, title, _said_numeric(panels, units))


def category_panels(
    key: str, panels: Sequence[tuple[str, CategoricalSummary]], units: str, title: str
) -> str:
    """The most frequent values of each column in *panels* as bars, the others added up."""
    shown = [(name, top_values(column.counts)) for name, column in panels]
    rows = [shown[i : i + 2] for i in range(0, len(shown), 2)]
    heights = [_BAR * max(len(values) for _, values in row) for row in rows]
    between, top = 0.4, 0.24
    with drawing():
        height = top + sum(heights) + between * (len(rows) - 1) + 0.04
        figure = Figure(figsize=(WIDTH, height))
        for row, height in zip(rows, heights, strict=True):
            for side, (name, values) in enumerate(row):
                left = side * (WIDTH / 2 + 0.1)
                tall = _BAR * max(len(values), 1)
                axes = _place(figure, left + _LABEL, top, WIDTH / 2 - _LABEL - 0.55, tall)
                _bars(axes, values)
                axes.annotate(
                    fit(name, 46),
                    (0, 1),
                    xycoords="axes fraction",
                    xytext=(-72 * _LABEL, 4),
                    textcoords="offset points",
                    fontsize=7.5,
                    fontweight=600,
                )
            top += height + between
        said = "; ".join(
            f"{fit(name, 40)}: {listing(f'{fit(v, 30)} {whole(n)}' for v, n in values)}"
            for name, values in shown
        )
        return to_svg(figure, key, title, f"{units}. {said}")


def top_values(counts: dict[str, int], most: int = MOST_VALUES) -> list[tuple[str, int]]:
    """The most frequent values; if they are too many, the last row adds up the others."""
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    if len(ordered) <= most:
        return ordered
    kept, others = ordered[: most - 1], ordered[most - 1 :]
    name = plural(len(others), "other value", "other values")
    return [*kept, (name, sum(n for _, n in others))]


def level_bars(levels: dict[str, int]) -> list[tuple[str, int]]:
    """Levels in order; whole numbers between them that no case has are there with 0."""
    numbers = {int(level): n for level, n in levels.items()}
    first, last = min(numbers), max(numbers)
    places = range(first, last + 1) if last - first < _FILLED else sorted(numbers)
    return [(whole(place).replace("-", "−"), numbers.get(place, 0)) for place in places]


def _place(figure: Figure, left: float, top: float, width: float, height: float) -> Axes:
    """Axes by inches from the upper left corner."""
    w, h = figure.get_size_inches()
    axes: Axes = figure.add_axes((left / w, 1 - (top + height) / h, width / w, height / h))
    return axes


def _histogram(axes: Axes, column: NumericSummary) -> None:
    edges, counts = column.edges, column.counts
    if len(edges) != len(counts) + 1 or not counts:
        _empty(axes)
        return
    # One outline, so that no seams show between the bars.
    axes.stairs(counts, edges, fill=True, color=TONE, alpha=ALPHA, linewidth=0)
    axes.set_xlim(edges[0], edges[-1])
    axes.set_ylim(0, max([*counts, 1]) * 1.12)
    if column.median is not None:
        axes.axvline(column.median, color=INK, alpha=0.75, linewidth=0.8, dashes=(3, 2))
    ticks = [
        t for t in MaxNLocator(4).tick_values(edges[0], edges[-1]) if edges[0] <= t <= edges[-1]
    ]
    digits = digits_of(ticks)
    for n, low, high in zip(counts, edges, edges[1:], strict=False):
        said = f"{measure(low, digits + 1)} to {measure(high, digits + 1)}: {whole(n)}"
        say(axes, said, (low, 0), (high, n))
    axes.set_xticks(ticks, [measure(t, digits) for t in ticks])
    _count_axis(axes)


def _levels(axes: Axes, column: NumericSummary, width: float) -> None:
    bars = level_bars(column.levels)
    places = range(len(bars))
    counts = [n for _, n in bars]
    axes.bar(places, counts, width=0.72, color=TONE, alpha=ALPHA, linewidth=0)
    axes.set_xlim(-0.6, len(bars) - 0.4)
    axes.set_ylim(0, max([*counts, 1]) * 1.18)
    for place, (name, n) in enumerate(bars):
        say(axes, f"{name}: {whole(n)}", (place - 0.36, 0), (place + 0.36, n))
    # As many names as fit beside each other.
    longest = max(len(name) for name, _ in bars)
    step = math.ceil(len(bars) * (0.065 * longest + 0.06) / width)
    axes.set_xticks(list(places)[::step], [name for name, _ in bars][::step])
    axes.grid(visible=False, axis="x")
    axes.tick_params(axis="x", length=0)
    if max(len(whole(n)) for n in counts) * 0.058 < width / len(bars):
        for place, n in zip(places, counts, strict=True):
            axes.annotate(
                whole(n),
                (place, n),
                xytext=(0, 1.5),
                textcoords="offset points",
                ha="center",
                fontsize=6.5,
            )
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
    else:
        _count_axis(axes)


def _bars(axes: Axes, values: Sequence[tuple[str, int]]) -> None:
    if not values:
        _empty(axes)
        return
    counts = [n for _, n in values]
    axes.barh(range(len(values)), counts, height=0.66, color=TONE, alpha=ALPHA, linewidth=0)
    axes.set_ylim(len(values) - 0.5, -0.5)
    axes.set_xlim(0, max([*counts, 1]))
    axes.set_yticks([])
    axes.set_xticks([])
    axes.grid(visible=False)
    for spine in ("left", "bottom"):
        axes.spines[spine].set_visible(False)
    for row, (value, n) in enumerate(values):
        say(axes, f"{value}: {whole(n)}", (0, row - 0.33), (n, row + 0.33))
        for text, x, shift in ((fit(value, 24), 0, -72 * _LABEL), (whole(n), n, 4)):
            axes.annotate(
                text,
                (x, row),
                xytext=(shift, 0),
                textcoords="offset points",
                va="center",
                fontsize=7 if shift < 0 else 6.5,
            )


def _count_axis(axes: Axes) -> None:
    axes.yaxis.set_major_locator(MaxNLocator(3, integer=True))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _short(value)))
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="x")


def _short(n: float) -> str:
    """A count for the small axis: 1,200,000 as 1.2M."""
    for size, letter in ((1_000_000, "M"), (10_000, "k")):
        if n >= size:
            return f"{n / (1000 if letter == 'k' else size):g}{letter}"
    return whole(n)


def _empty(axes: Axes) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.text(0, 0.5, "no value", transform=axes.transAxes, va="center", alpha=0.75)


def _said_numeric(panels: Sequence[tuple[str, NumericSummary]], units: str) -> str:
    said = []
    for name, column in panels:
        if column.levels:
            text = listing(f"{level}: {whole(n)}" for level, n in level_bars(column.levels))
        elif column.minimum is None:
            text = "no value"
        else:
            digits = digits_of(v for v in (column.minimum, column.maximum) if v is not None)
            low, median, high = (
                measure(v, digits) for v in (column.minimum, column.median, column.maximum)
            )
            text = f"from {low} to {high}, median {median}"
        said.append(f"{fit(name, 40)}: {text}")
    return f"{units} by value. {'; '.join(said)}"
