"""The report's dot plots and bars. Each function returns one SVG (see ``svg.py``).

Widths are those of the page's text column, so that figures are printed at their own size.
"""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from milkreport.checks.verdict import CheckRow
from milkreport.evaluation.data_record import DataSummary, SplitSummary
from milkreport.evaluation.part_record import Estimate
from milkreport.evaluation.results import ArmResult
from milkreport.reporting.axes import (
    LEGEND_NAME,
    dot,
    label_width,
    legend_above,
    legend_columns,
    legend_height,
    name_rows,
    plain_axes,
    set_limits,
    whisker,
)
from milkreport.reporting.svg import COLOURS, INK, colour, drawing, marker, to_svg
from milkreport.reporting.text import (
    decimal,
    interval,
    shorten,
    shorten_apart,
    signed_interval,
    whole,
)

WIDTH = 6.7
MOST_CLASSES = 40

PART_COLOURS = {"train": "#0072B2", "validation": "#E69F00", "test": "#D55E00"}
PART_MARKERS = {"train": "o", "validation": "^", "test": "D"}


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
        height = 0.64 + 0.23 * max(len(rows), 1)
        figure = Figure(figsize=(WIDTH, height))
        axes = plain_axes(
            figure,
            left=label_width([name for _, name, _ in rows]),
            bottom=0.36,
            top=0.2,
            right=1.35,
        )
        for position, (index, _, estimate) in enumerate(rows):
            text = decimal(estimate.value)
            if estimate.value is not None:
                dot(axes, estimate.value, position, index, estimate.low, estimate.high)
                bounds = interval(estimate.low, estimate.high)
                text += f"  ({bounds})" if bounds else ""
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


def class_distribution(
    key: str, data: DataSummary, classes: Sequence[str], splits: Sequence[SplitSummary]
) -> str:
    """Cases of each class on a log scale: a bar for all, a mark for each part."""
    shown = most_frequent(classes, data.class_counts)
    folds = {split.fold for split in splits}
    parts = [p for p in PART_COLOURS if any(s.part == p for s in splits)]
    if len(folds) > 1:
        parts = ["test"]
    with drawing():
        figure = Figure(figsize=(WIDTH, 0.72 + 0.155 * len(shown)))
        axes = plain_axes(
            figure,
            left=label_width([shorten(n, 26) for n in shown]),
            bottom=0.36,
            top=0.28,
            right=0.55,
        )
        counts = [data.class_counts.get(name, 0) for name in shown]
        axes.barh(range(len(shown)), counts, height=0.62, color=INK, alpha=0.16, label="all used")
        for part in parts:
            points = [
                (s.class_counts.get(name, 0), row)
                for s in splits
                if s.part == part
                for row, name in enumerate(shown)
                if s.class_counts.get(name, 0) > 0
            ]
            axes.plot(
                [p[0] for p in points],
                [p[1] for p in points],
                linestyle="none",
                marker=PART_MARKERS[part],
                color=PART_COLOURS[part],
                markersize=4,
                label=f"{part}, each fold" if len(folds) > 1 else part,
            )
        for row, n in enumerate(counts):
            axes.annotate(
                whole(n),
                (max(n, 1), row),
                xytext=(6, 0),
                textcoords="offset points",
                va="center",
                fontsize=7,
            )
        axes.set_xscale("log")
        axes.set_xlim(0.8, max([*counts, 10]) * 1.9)
        axes.xaxis.set_major_locator(LogLocator(base=10, numticks=9))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: whole(round(value))))
        axes.xaxis.set_minor_formatter(NullFormatter())
        name_rows(axes, shown)
        axes.set_xlabel(f"{data.units} (log scale)")
        if parts:
            legend_above(axes, 1 + len(parts))
        said = ", ".join(f"{shorten(n, 30)} {whole(c)}" for n, c in zip(shown, counts, strict=True))
        return to_svg(figure, key, f"{data.units.capitalize()} by class", said)


def per_class(key: str, arms: Sequence[ArmResult], part: str) -> str:
    """F1 and recall of every class, one mark an arm, the support beside the class."""
    results = [(i, arm, arm.part(part)) for i, arm in enumerate(arms)]
    first = next((r for _, _, r in results if r is not None), None)
    support = {row.name: row.support for row in first.classes} if first else {}
    shown = most_frequent(list(support), support)
    titles = shorten_apart([arm.title or arm.name for arm in arms], LEGEND_NAME)
    drawn = [titles[i] for i, _, result in results if result is not None]
    columns = legend_columns(drawn, WIDTH - 1.2, handle=0.4)
    above = legend_height(drawn, columns)
    with drawing():
        figure = Figure(figsize=(WIDTH, 0.78 + above + 0.25 * len(shown)))
        left, right = figure.subplots(1, 2, sharey=True)
        height = figure.get_figheight()
        labels = [f"{shorten(n, 14)} ({whole(support[n])})" for n in shown]
        margin = label_width(labels)
        figure.subplots_adjust(
            left=margin / WIDTH,
            right=0.985,
            wspace=0.07,
            bottom=0.37 / height,
            top=1 - (0.3 + above) / height,
        )
        spread = min(0.2, 0.62 / max(len(arms), 1))
        for axes, metric in ((left, "f1"), (right, "recall")):
            for index, _, result in results:
                if result is None:
                    continue
                rows = {row.name: row for row in result.classes}
                shift = (index - (len(arms) - 1) / 2) * spread
                points = [
                    (getattr(rows[name], metric), position + shift)
                    for position, name in enumerate(shown)
                    if name in rows and getattr(rows[name], metric) is not None
                ]
                axes.plot(
                    [p[0] for p in points],
                    [p[1] for p in points],
                    linestyle="none",
                    marker=marker(index),
                    color=colour(index),
                    label=titles[index],
                    clip_on=False,
                )
            for position in range(len(shown) - 1):
                axes.axhline(position + 0.5, color=INK, alpha=0.1, linewidth=0.5)
            axes.set_xlim(0, 1)
            axes.grid(visible=False, axis="y")
            axes.spines["left"].set_visible(False)
        name_rows(left, labels)
        right.tick_params(axis="y", length=0)
        left.set_xlabel("F1")
        right.set_xlabel("recall")
        figure.legend(
            *left.get_legend_handles_labels(),
            loc="upper left",
            bbox_to_anchor=((margin - 0.12) / WIDTH, 1.01),
            ncols=columns,
            handletextpad=0.3,
            columnspacing=1.4,
        )
        return to_svg(
            figure,
            key,
            f"F1 and recall by class, {part}",
            f"{len(shown)} classes, {len(arms)} arms; the values stand in the arms' tables",
        )


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
                said.append(
                    f"{names[position]}, {metric}: {theirs} {row.printed}, this run "
                    f"{decimal(row.ours)}, difference {signed_interval(row.low, row.high)}"
                )
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


def most_frequent(
    classes: Sequence[str], counts: dict[str, int], most: int = MOST_CLASSES
) -> list[str]:
    """All classes in their order, or only the largest where the figure would grow too tall."""
    largest = sorted(classes, key=lambda name: -counts.get(name, 0))[:most]
    return [name for name in classes if name in set(largest)]
