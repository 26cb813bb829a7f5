"""The classes as drawings: how many cases each has, and how well each arm knows it."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from milkreport.evaluation.records.data import DataSummary, SplitSummary
from milkreport.evaluation.records.results import ArmResult
from milkreport.reporting.figures.axes import (
    LEGEND_NAME,
    label_width,
    legend_above,
    legend_columns,
    legend_height,
    name_rows,
    plain_axes,
)
from milkreport.reporting.figures.marks import say
from milkreport.reporting.figures.svg import (
    INK,
    PART_COLOURS,
    WIDTH,
    colour,
    drawing,
    marker,
    to_svg,
)
from milkreport.reporting.wording.text import decimal, shorten, shorten_apart, whole
from milkreport.reporting.wording.titles import full_titles

MOST_CLASSES = 40
TALLEST = 7.4  # inches of all rows: the figure stays on a page with its caption
_SAID = {"f1": "F1", "recall": "recall"}
_PART_MARKERS = {"train": "o", "validation": "^", "test": "D"}


def class_distribution(
    key: str, data: DataSummary, classes: Sequence[str], splits: Sequence[SplitSummary]
) -> str:
    """Cases of each class on a log scale: a bar for all, a mark for each part."""
    shown = most_frequent(classes, data.class_counts)
    folds = {split.fold for split in splits}
    parts = [p for p in PART_COLOURS if any(s.part == p for s in splits)]
    if len(folds) > 1:
        parts = ["test"]
    names = shorten_apart(shown, 30)
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
                marker=_PART_MARKERS[part],
                color=PART_COLOURS[part],
                markersize=4,
                label=f"{part}, each fold" if len(folds) > 1 else part,
            )
            for n, row in points if len(folds) == 1 else ():
                say(axes, f"{names[row]}: {whole(n)} {data.units}, {part}", (n, row))
        for row, n in enumerate(counts):
            text = f"{names[row]}: {whole(n)} {data.units}"
            say(axes, text, (0.8, row - 0.31), (max(n, 1), row + 0.31))
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
        said = ", ".join(f"{n} {whole(c)}" for n, c in zip(names, counts, strict=True))
        return to_svg(figure, key, f"{data.units.capitalize()} by class", said)


def per_class(key: str, arms: Sequence[ArmResult], part: str) -> str:
    """F1 and recall of every class, one mark an arm, the support beside the class."""
    results = [(i, arm, arm.part(part)) for i, arm in enumerate(arms)]
    first = next((r for _, _, r in results if r is not None), None)
    support = {row.name: row.support for row in first.classes} if first else {}
    shown = most_frequent(list(support), support)
    names = shorten_apart(shown, 30)
    titles = shorten_apart(full_titles(arms), LEGEND_NAME)
    drawn = [titles[i] for i, _, result in results if result is not None]
    columns = legend_columns(drawn, WIDTH - 1.2, handle=0.4)
    above = legend_height(drawn, columns)
    with drawing():
        row = min(0.25, TALLEST / max(len(shown), 1))
        figure = Figure(figsize=(WIDTH, 0.78 + above + row * len(shown)))
        left, right = figure.subplots(1, 2, sharey=True)
        height = figure.get_figheight()
        short = zip(shown, shorten_apart(shown, 14), strict=True)
        labels = [f"{name} ({whole(support[n])})" for n, name in short]
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
                for value, row in points:
                    name = names[round(row - shift)]
                    say(
                        axes,
                        f"{name}, {titles[index]}: {_SAID[metric]} {decimal(value)}",
                        (value, row),
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


def most_frequent(
    classes: Sequence[str], counts: dict[str, int], most: int = MOST_CLASSES
) -> list[str]:
    """All classes in their order, or only the largest where the figure would grow too tall."""
    largest = sorted(classes, key=lambda name: -counts.get(name, 0))[:most]
    return [name for name in classes if name in set(largest)]
