"""Dot plots: a value of each arm with its interval, by itself or beside a reference."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from milkreport.checks.verdict import CheckRow
from milkreport.evaluation.records.parts import Estimate
from milkreport.reporting.figures.axes import (
    dot,
    label_width,
    name_rows,
    plain_axes,
    set_limits,
    whisker,
)
from milkreport.reporting.figures.marks import say
from milkreport.reporting.figures.svg import COLOURS, INK, WIDTH, drawing, to_svg
from milkreport.reporting.wording.text import decimal, interval, signed_interval

#: More rows than this stand closer, so that the figure stays on a page with its text.
ROOMY = 12


def estimates(
    key: str,
    rows: Sequence[tuple[int, str, Estimate]],
    metric: str,
    yardstick: tuple[str, float] | None = None,
) -> str:
    """One metric of each arm as a dot with its 95% interval, and a line for a trivial answer.

    *rows*: the arm's position, which gives its colour and marker everywhere, its name, its value.
    """
    known = [e for _, _, e in rows if e.value is not None]
    with drawing():
        row = 0.23 if len(rows) <= ROOMY else 0.145
        height = 0.64 + row * max(len(rows), 1)
        figure = Figure(figsize=(WIDTH, height))
        axes = plain_axes(
            figure,
            left=label_width([name for _, name, _ in rows]),
            bottom=0.36,
            top=0.2,
            right=1.35,
        )
        for position, (index, name, estimate) in enumerate(rows):
            text = decimal(estimate.value)
            if estimate.value is not None:
                dot(axes, estimate.value, position, index, estimate.low, estimate.high)
                bounds = interval(estimate.low, estimate.high)
                text += f"  ({bounds})" if bounds else ""
                say(axes, f"{name}: {metric} {text}", (estimate.value, position))
            axes.annotate(
                text,
                (1, position),
                xytext=(8, 0),
                xycoords=("axes fraction", "data"),
                textcoords="offset points",
                va="center",
            )
        if yardstick is not None:
            axes.axvline(yardstick[1], color=INK, alpha=0.55, linewidth=0.9, dashes=(3, 2))
            axes.annotate(
                yardstick[0],
                (yardstick[1], 1),
                xytext=(0, 2),
                xycoords=("data", "axes fraction"),
                textcoords="offset points",
                ha="center",
                va="bottom",
                fontsize=6.5,
                alpha=0.75,
            )
        name_rows(axes, [name for _, name, _ in rows])
        axes.set_xlabel(metric)
        reach = [v for e in known for v in (e.value, e.low, e.high) if v is not None]
        reach += [yardstick[1]] if yardstick else []
        set_limits(axes, reach)
        said = "; ".join(
            f"{name} {decimal(e.value)} ({interval(e.low, e.high) or 'no interval'})"
            for _, name, e in rows
        )
        return to_svg(figure, key, f"{metric} of each arm", said)


def against_reference(
    key: str,
    names: Sequence[str],
    panels: Sequence[tuple[str, Sequence[CheckRow | None]]],
    theirs: str,
) -> str:
    """The reference's value (open diamond) and ours (dot) with the difference's 95% interval around ours.

    One panel a metric; *names* label the rows, and each panel has one entry a row.
    """
    with drawing():
        margin = label_width(names)
        height = 0.72 + 0.24 * len(names)
        figure = Figure(figsize=(WIDTH, height))
        grid = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        figure.subplots_adjust(
            left=margin / WIDTH,
            right=0.985,
            wspace=0.14,
            bottom=0.36 / height,
            top=1 - 0.26 / height,
        )
        said = []
        for axes, (metric, rows) in zip(grid, panels, strict=True):
            reach = []
            for position, row in enumerate(rows):
                if row is None or row.reference is None or row.ours is None:
                    continue
                low, high = (None if b is None else row.reference + b for b in (row.low, row.high))
                reach += [v for v in (row.reference, row.ours, low, high) if v is not None]
                whisker(axes, low, high, position, COLOURS[0])
                axes.plot(row.ours, position, linestyle="none", marker="o", color=COLOURS[0])
                _diamond(axes, row.reference, position)
                text = (
                    f"{names[position]}, {metric}: {theirs} {row.printed}, this run "
                    f"{decimal(row.ours)}, difference {signed_interval(row.low, row.high)}"
                )
                said.append(text)
                for value in (row.ours, row.reference):
                    say(axes, text, (value, position))
            axes.spines["left"].set_visible(False)
            axes.set_xlabel(metric)
            axes.xaxis.set_major_locator(MaxNLocator(4))
            set_limits(axes, reach)
        name_rows(grid[0], names)
        for axes in grid:
            axes.tick_params(axis="y", length=0)
            axes.grid(visible=False, axis="y")
        (ours,) = grid[0].plot([], [], linestyle="none", marker="o", color=COLOURS[0])
        reported = _diamond(grid[0], None, 0)
        figure.legend(
            [ours, reported],
            ["this run", theirs],
            loc="upper left",
            bbox_to_anchor=((margin - 0.12) / WIDTH, 1.01),
            ncols=2,
            handletextpad=0.3,
        )
        return to_svg(figure, key, f"This run and {theirs}", "; ".join(said))


def _diamond(axes: Axes, value: float | None, row: float) -> Line2D:
    (line,) = axes.plot(
        [] if value is None else [value],
        [] if value is None else [row],
        linestyle="none",
        marker="D",
        markersize=5,
        markerfacecolor="none",
        markeredgecolor=COLOURS[1],
        markeredgewidth=1.2,
    )
    return line
