"""Curves of the arms' scores: ROC and precision-recall by class, reliability, net benefit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from milkreport.evaluation.records.parts import Calibration, ClassRow, PositiveResult, RankCurve
from milkreport.reporting.figures.axes import (
    LEGEND_NAME,
    legend_columns,
    legend_entries,
    legend_height,
)
from milkreport.reporting.figures.class_figures import most_frequent
from milkreport.reporting.figures.marks import say
from milkreport.reporting.figures.svg import INK, WIDTH, colour, drawing, marker, to_svg
from milkreport.reporting.wording.text import decimal, shorten_apart, whole

#: Lines that can be told apart in a small panel.
MOST_LINES = 6
MOST_PANELS = 16
_COLUMNS = 4
#: Panels a row of many classes and many arms: both curves then fit on one page.
_NARROW, _MANY_CLASSES, _MANY_ARMS = 6, 8, 6
_DASHES: tuple[str | tuple[float, tuple[float, ...]], ...] = (
    "-", (0, (5, 1.6)), (0, (1.2, 1.2)), (0, (4, 1.2, 1, 1.2)), (0, (7, 2)), (0, (2, 2)),
)  # fmt: skip
_X = np.arange(51) / 50
#: False positive rates, and recalls, at which a curve says its value; one title a vertex would be too many.
_SAID_AT = (0.1, 0.2, 0.5)

#: An arm as a figure draws it: its position, which gives colour and dashes everywhere, name, class rows.
ArmRows = tuple[int, str, Sequence[ClassRow]]


def roc(key: str, arms: Sequence[ArmRows], part: str) -> str:
    """Sensitivity over the false positive rate, one panel a class, one line an arm."""
    return _class_panels(key, arms, part, precision=False)


def precision_recall(key: str, arms: Sequence[ArmRows], part: str) -> str:
    """Precision over recall, one panel a class, one line an arm; dotted: the class's share."""
    return _class_panels(key, arms, part, precision=True)


def shown_classes(arms: Sequence[ArmRows]) -> list[str]:
    """Classes that have a curve, in their order; the most frequent where they are too many."""
    rows = {row.name: row for _, _, found in arms for row in found if row.curve is not None}
    support = {name: row.support for name, row in rows.items()}
    order = [row.name for row in arms[0][2] if row.name in rows] if arms else []
    return most_frequent(order, support, MOST_PANELS)


def _class_panels(key: str, arms: Sequence[ArmRows], part: str, precision: bool) -> str:
    arms = arms[:MOST_LINES]
    names = shown_classes(arms)
    title = "Precision over recall by class" if precision else "ROC curves by class"
    titles = dict(
        zip(
            [i for i, _, _ in arms],
            shorten_apart([a for _, a, _ in arms], LEGEND_NAME),
            strict=True,
        )
    )
    columns = legend_columns([*titles.values()], WIDTH - 0.4)
    with drawing():
        above = legend_height([*titles.values()], columns)
        narrow = len(names) > _MANY_CLASSES and len(arms) >= _MANY_ARMS
        a_row = _NARROW if narrow else _COLUMNS
        figure, grid = _panels(len(names), above=above, a_row=a_row)
        said = []
        heads = dict(zip(names, shorten_apart(names, 16), strict=True))
        for axes, name in zip(grid, names, strict=False):
            values = []
            for index, _, rows in arms:
                row = next((r for r in rows if r.name == name), None)
                if row is None or row.curve is None:
                    continue
                area = row.average_precision if precision else row.auc
                values.append(f"{titles[index]} {decimal(area, 2)}")
                _line(axes, row.curve, index, titles[index], precision)
            first = next(r for _, _, rows in arms for r in rows if r.name == name)
            n = sum(r.support for r in arms[0][2])
            if precision:
                axes.axhline(first.support / n, color=INK, alpha=0.5, linewidth=0.8, dashes=(1, 2))
            else:
                axes.plot([0, 1], [0, 1], color=INK, alpha=0.5, linewidth=0.8, dashes=(1, 2))
            axes.set_title(f"{heads[name]} ({whole(first.support)})", pad=3)
            said.append(f"{heads[name]}: {', '.join(values)}")
        across, up = (
            ("recall", "precision") if precision else ("false positive rate", "sensitivity")
        )
        _label(figure, grid, len(names), across, up, a_row)
        _legend(figure, grid, columns)
        what = "average precision" if precision else "area under the curve"
        return to_svg(figure, key, f"{title}, {part}", f"{what} by class. {'; '.join(said)}")


def _line(axes: Axes, curve: RankCurve, index: int, arm: str, precision: bool) -> None:
    if precision:
        across, up = _X, np.array(curve.precision)
    elif curve.roc:
        across, up = np.array(curve.roc).T
    else:  # results of older versions
        across, up = _X, np.array(curve.sensitivity)
    axes.plot(
        across,
        up,
        color=colour(index),
        linestyle=_DASHES[index % len(_DASHES)],
        linewidth=1.1,
        drawstyle="steps-pre" if precision else "default",
        label=arm,
    )
    for place in _SAID_AT:
        value = float(np.interp(place, across, up))
        what = (
            f"precision {decimal(value)} at recall {place:g}"
            if precision
            else f"sensitivity {decimal(value)} at false positive rate {place:g}"
        )
        say(axes, f"{arm}: {what}", (place, value))


def reliability(key: str, arms: Sequence[tuple[int, str, Calibration, float | None]]) -> str:
    """How often answers are right over their probability, a panel an arm, dots as large as their bins.

    Args:
        arms: position, name, bins, calibration error.
    """
    arms = arms[:MOST_PANELS]
    titles = shorten_apart([name for _, name, _, _ in arms], 18)
    with drawing():
        figure, grid = _panels(len(arms), lines=2)
        said = []
        for axes, title, (index, _, found, error) in zip(grid, titles, arms, strict=False):
            known = [
                (b.confidence, b.accuracy, b.n)
                for b in found.bins
                if b.confidence is not None and b.accuracy is not None
            ]
            total = sum(n for _, _, n in known) or 1.0
            axes.plot([0, 1], [0, 1], color=INK, alpha=0.5, linewidth=0.8, dashes=(1, 2))
            x, y = [sure for sure, _, _ in known], [right for _, right, _ in known]
            axes.plot(x, y, color=colour(index), linewidth=0.9, alpha=0.7)
            for sure, right, n in known:
                axes.plot(
                    sure,
                    right,
                    linestyle="none",
                    marker=marker(index),
                    color=colour(index),
                    markersize=2.2 + 7 * (n / total) ** 0.5,
                    alpha=0.85,
                )
                counted = f"probability {decimal(sure)}, right {decimal(right)}, {whole(n)} cases"
                say(axes, f"{title}: {counted}", (sure, right))
            axes.set_title(f"{title}\n{decimal(error)}", pad=3)
            pairs = ", ".join(f"{decimal(a, 2)} {decimal(b, 2)}" for a, b in zip(x, y, strict=True))
            said.append(f"{title}: {pairs}")
        _label(figure, grid, len(arms), "largest probability", "share right")
        description = f"probability and share right of each bin. {'; '.join(said)}"
        return to_svg(figure, key, "Reliability of each arm", description)


def decision_curve(key: str, arms: Sequence[tuple[int, str, PositiveResult]]) -> str:
    """Net benefit over the threshold probability; grey: treating all, or none."""
    titles = shorten_apart([name for _, name, _ in arms], 24)
    with drawing():
        height = 2.5
        figure = Figure(figsize=(WIDTH, height))
        axes: Axes = figure.add_axes((0.09, 0.17, 0.62, 0.78))
        first = arms[0][2].net_benefit
        least, most = 0.0, 0.0
        for title, (index, _, found) in zip(titles, arms[:MOST_LINES], strict=False):
            x = [point.threshold for point in found.net_benefit]
            y = [point.value for point in found.net_benefit]
            most, least = max([most, *y]), min([least, *y])
            low = [
                point.low if point.low is not None else point.value for point in found.net_benefit
            ]
            high = [
                point.high if point.high is not None else point.value for point in found.net_benefit
            ]
            axes.fill_between(x, low, high, color=colour(index), alpha=0.12, linewidth=0)
            style = _DASHES[index % len(_DASHES)]
            axes.plot(x, y, color=colour(index), linestyle=style, label=title)
            for across, up in list(zip(x, y, strict=True))[::10]:
                say(
                    axes,
                    f"{title}: net benefit {decimal(up)} at {decimal(across, 2)}",
                    (across, up),
                )
        x = [point.threshold for point in first]
        axes.plot(
            x, [p.treat_all for p in first], color=INK, alpha=0.6, linewidth=0.9, label="treat all"
        )  # fmt: skip
        axes.axhline(0, color=INK, alpha=0.6, linewidth=0.9, dashes=(1, 2), label="treat none")
        axes.set_xlim(0, 1)
        axes.set_ylim(max(least, -0.1 * most) - 0.02, most * 1.08 + 0.01)
        axes.set_xlabel("threshold probability")
        axes.set_ylabel("net benefit")
        axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), borderaxespad=0)
        said = "; ".join(
            f"{title} {decimal(p.value)} at {decimal(p.threshold, 2)}"
            for title, (_, _, found) in zip(titles, arms[:MOST_LINES], strict=False)
            for p in found.net_benefit
            if round(p.threshold, 2) in (0.1, 0.3, 0.5)
        )
        return to_svg(figure, key, "Decision curve", said)


def _panels(
    n: int, lines: int = 1, above: float = 0.0, a_row: int = _COLUMNS
) -> tuple[Figure, list[Axes]]:
    """Square panels, *a_row* of them a row, room for names of some lines above and for labels below.

    *above*: inches for further lines of the legend.
    """
    columns = min(a_row, max(n, 1))
    rows = -(-max(n, 1) // columns)
    step = (WIDTH - 0.5) / a_row
    side, gap = min(1.3, step - 0.14), 0.14 + 0.14 * lines
    top = above + (0.34 if lines == 1 else 0.06)
    height = top + rows * (side + gap) + 0.34
    figure = Figure(figsize=(WIDTH, height))
    axes = []
    for i in range(n):
        left = 0.45 + (i % columns) * step
        bottom = height - top - (i // columns + 1) * (side + gap) + 0.08
        box = (left / WIDTH, bottom / height, side / WIDTH, side / height)
        panel: Axes = figure.add_axes(box)
        panel.set_xlim(0, 1)
        panel.set_ylim(0, 1.02)
        panel.xaxis.set_major_locator(MaxNLocator(3))
        panel.yaxis.set_major_locator(MaxNLocator(3))
        axes.append(panel)
    return figure, axes


def _label(
    figure: Figure, grid: Sequence[Axes], n: int, across: str, up: str, a_row: int = _COLUMNS
) -> None:
    """Labels at the outer panels alone."""
    for i, axes in enumerate(grid):
        if i % a_row == 0:
            axes.set_ylabel(up, labelpad=3)
        else:
            axes.tick_params(axis="y", labelleft=False)
        if i + a_row >= n:
            axes.set_xlabel(across, labelpad=2)
        else:
            axes.tick_params(axis="x", labelbottom=False)


def _legend(figure: Figure, grid: Sequence[Axes], columns: int) -> None:
    figure.legend(
        *legend_entries(grid),
        loc="upper left",
        bbox_to_anchor=(0.055, 1.005),
        ncols=columns,
        handlelength=2.4,
        columnspacing=1.4,
        borderaxespad=0,
    )
