"""Learning curves: small multiples, one row per arm, one column a measure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from milkreport.evaluation.records.results import ArmResult, Curve
from milkreport.reporting.figures.axes import legend_entries
from milkreport.reporting.figures.marks import say
from milkreport.reporting.figures.svg import PART_COLOURS, WIDTH, drawing, to_svg
from milkreport.reporting.wording.text import decimal, shorten_apart
from milkreport.reporting.wording.titles import full_titles

MEASURES = {
    "loss": "Loss",
    "accuracy": "Accuracy",
    "macro_f1": "Macro F1",
    "weighted_f1": "Weighted F1",
}
DASHES = {"train": "-", "validation": (0, (1.2, 1.2)), "test": (0, (5, 1.6))}
MARKS = {"train": "o", "validation": "^", "test": "s"}
MOST_POINTS = 500
SAID_POINTS = 4  # of each line, where it says its value
MOST_LINES = 5  # more cells than this become a band
ARMS_A_FIGURE = 4
MOST_LETTERS = 22  # of an arm beside its row
ALL_POINTS = 40_000  # of one report, so that many arms keep its size


def learning_curves(arms: Sequence[ArmResult]) -> list[tuple[str, str]]:
    """The figures of all arms, a few arms each, as pairs of key and SVG; none without curves."""
    drawn = [arm for arm in arms if arm.curves]
    lines = max(1, len(drawn) * len(MEASURES) * len(DASHES) * 2)
    points = max(60, min(MOST_POINTS, ALL_POINTS // lines))
    titles = dict(
        zip([a.name for a in arms], shorten_apart(full_titles(arms), MOST_LETTERS), strict=True)
    )
    groups = [drawn[i : i + ARMS_A_FIGURE] for i in range(0, len(drawn), ARMS_A_FIGURE)]
    keys = [f"curves-{number}" for number in range(1, len(groups) + 1)]
    return [
        (key, _figure(key, group, titles, points)) for key, group in zip(keys, groups, strict=True)
    ]


def parts_drawn(arms: Sequence[ArmResult]) -> list[str]:
    """Parts that have curves, in reading order."""
    names = {name for arm in arms for curve in arm.curves for name in curve.columns}
    return [p for p in DASHES if any(f"{p}_{measure}" in names for measure in MEASURES)]


def thin(epochs: NDArray[np.float64], most: int) -> NDArray[np.intp]:
    """Positions of at most *most* evenly spaced points, the first and the last among them."""
    if len(epochs) <= most:
        return np.arange(len(epochs))
    return np.unique(np.linspace(0, len(epochs) - 1, most).round().astype(np.intp))


def _figure(key: str, arms: Sequence[ArmResult], titles: Mapping[str, str], points: int) -> str:
    with drawing():
        height = 0.62 + 1.28 * len(arms)
        figure = Figure(figsize=(WIDTH, height))
        grid = figure.subplots(len(arms), len(MEASURES), sharex=True, sharey="col", squeeze=False)
        figure.subplots_adjust(
            left=0.62 / WIDTH,
            right=0.99,
            bottom=0.36 / height,
            top=1 - 0.42 / height,
            wspace=0.3,
            hspace=0.16,
        )
        for row, arm in enumerate(arms):
            for column, (measure, title) in enumerate(MEASURES.items()):
                axes: Axes = grid[row, column]
                for part in DASHES:
                    _draw(axes, arm.curves, part, measure, points)
                axes.xaxis.set_major_locator(MaxNLocator(4, integer=True, min_n_ticks=1))
                axes.yaxis.set_major_locator(MaxNLocator(4))
                if row == 0:
                    axes.set_title(title, pad=5)
                if row == len(arms) - 1:
                    axes.set_xlabel("epoch")
            grid[row, 0].set_ylabel(titles[arm.name], labelpad=6)
        handles, names = legend_entries(grid.flat)
        figure.legend(
            handles,
            names,
            loc="upper right",
            bbox_to_anchor=(0.995, 1.005),
            ncols=3,
            handlelength=2.6,
            columnspacing=1.4,
            borderaxespad=0,
        )
        epochs = max(
            (len(v) for a in arms for c in a.curves for v in c.columns.values()), default=0
        )
        said = f"{', '.join(titles[arm.name] for arm in arms)}; {epochs} epochs; parts: "
        return to_svg(figure, key, "Learning curves", said + ", ".join(names))


def _draw(axes: Axes, curves: Sequence[Curve], part: str, measure: str, points: int) -> None:
    rows = [c.columns[f"{part}_{measure}"] for c in curves if f"{part}_{measure}" in c.columns]
    length = max((len(row) for row in rows), default=0)
    if not length:
        return
    values = np.full((len(rows), length), np.nan)
    for target, row in zip(values, rows, strict=True):
        target[: len(row)] = [np.nan if v is None else v for v in row]
    epochs = np.arange(1, length + 1, dtype=np.float64)
    kept = thin(epochs, points)
    epochs, values = epochs[kept], values[:, kept]
    filled = ~np.isnan(values).all(axis=0)
    mean = np.full(len(epochs), np.nan)
    mean[filled] = np.nanmean(values[:, filled], axis=0)
    tone = PART_COLOURS[part]
    if 1 < len(rows) <= MOST_LINES:
        for row_values in values:
            axes.plot(epochs, row_values, color=tone, alpha=0.28, linewidth=0.6)
    elif len(rows) > MOST_LINES:
        low, high = np.nanmin(values[:, filled], axis=0), np.nanmax(values[:, filled], axis=0)
        axes.fill_between(epochs[filled], low, high, color=tone, alpha=0.16, linewidth=0)
    alone = filled.sum() == 1
    axes.plot(
        epochs,
        mean,
        color=tone,
        linestyle=DASHES[part],
        marker=MARKS[part] if alone else None,
        label=part,
    )
    for at in thin(epochs, SAID_POINTS).tolist():
        if filled[at]:
            text = f"{part}, {MEASURES[measure].lower()} {decimal(mean[at])} after epoch {epochs[at]:g}"
            say(axes, text, (float(epochs[at]), float(mean[at])))
