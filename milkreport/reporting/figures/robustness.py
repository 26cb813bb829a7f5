"""A metric against the severity of corruptions: small multiples, a panel a corruption, a line an arm."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from milkreport.reporting.figures.axes import legend_columns, legend_entries, legend_height
from milkreport.reporting.figures.marks import say
from milkreport.reporting.figures.svg import WIDTH, colour, drawing, marker, to_svg
from milkreport.reporting.wording.text import decimal

COLUMNS = 5
_PANEL = 1.12  # inches of a panel's height
_SAID = (0, 3, 5)  # severities whose values the marks say

#: An arm's place among those drawn, its name, its values by severity.
Line = tuple[int, str, Sequence[float | None]]


def severity_curves(key: str, panels: Sequence[tuple[str, Sequence[Line]]], metric: str) -> str:
    """A panel for each (title, lines), all with one scale."""
    rows = -(-len(panels) // COLUMNS)
    columns = min(len(panels), COLUMNS)
    names = list(dict.fromkeys(name for _, lines in panels for _, name, _ in lines))
    n_columns = legend_columns(names, WIDTH - 0.7)
    above = 0.42 + legend_height(names, n_columns)
    with drawing():
        height = above + 0.36 + rows * _PANEL + 0.28 * (rows - 1)
        figure = Figure(figsize=(WIDTH, height))
        grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        figure.subplots_adjust(
            left=0.55 / WIDTH,
            right=0.99,
            bottom=0.36 / height,
            top=1 - above / height,
            wspace=0.12,
            hspace=0.28 / _PANEL,
        )
        for place, axes in enumerate(grid.flat):
            if place >= len(panels):
                axes.set_visible(False)
                continue
            title, lines = panels[place]
            _draw(axes, title, lines)
            if place % COLUMNS == 0:
                axes.set_ylabel(metric)
            if place + COLUMNS >= len(panels):
                axes.set_xlabel("severity")
                axes.tick_params(labelbottom=True)
        handles, labels = legend_entries(grid.flat)
        figure.legend(
            handles,
            labels,
            loc="upper left",
            bbox_to_anchor=(0.5 / WIDTH, 1.0),
            ncols=n_columns,
            handlelength=2.2,
            columnspacing=1.4,
            borderaxespad=0,
        )
        said = f"{metric} at severity 0 to 5. " + "; ".join(
            f"{title}: " + ", ".join(f"{name} {_ends(values)}" for _, name, values in lines)
            for title, lines in panels
        )
        return to_svg(figure, key, f"{metric} under graded corruptions", said)


def _draw(axes: Axes, title: str, lines: Sequence[Line]) -> None:
    axes.set_title(title, pad=3)
    for index, name, values in lines:
        known = np.array([np.nan if v is None else v for v in values], np.float64)
        severity = np.arange(len(known))
        axes.plot(
            severity,
            known,
            color=colour(index),
            marker=marker(index),
            markersize=3.2,
            linewidth=1.1,
            label=name,
        )
        for at in _SAID:
            if at < len(known) and np.isfinite(known[at]):
                text = f"{name}, {title.lower()}, severity {at}: {decimal(known[at])}"
                say(axes, text, (float(at), float(known[at])))
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(4))


def _ends(values: Sequence[float | None]) -> str:
    return f"{decimal(values[0])} to {decimal(values[-1])}"
