"""Every metric of every class at a glance: a table whose cells are tinted by their values."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from milkreport.evaluation.records.parts import ClassRow
from milkreport.reporting.figures.axes import label_width
from milkreport.reporting.figures.class_figures import most_frequent
from milkreport.reporting.figures.confusion import STRONGEST, TONE
from milkreport.reporting.figures.marks import say
from milkreport.reporting.figures.svg import INK, WIDTH, drawing, to_svg
from milkreport.reporting.wording.text import decimal, interval, shorten_apart, whole

METRICS = {
    "recall": "recall",
    "precision": "precision",
    "f1": "F1",
    "auc": "AUC",
    "average_precision": "avg. precision",
}
MOST_CLASSES = 15
_GAP, _TALL, _ABOVE = 0.14, 0.19, 0.95


def class_heat_map(key: str, arms: Sequence[tuple[str, Sequence[ClassRow]]], part: str) -> str:
    """Classes by metrics, a panel an arm; every value is printed, darker is higher.

    Args:
        arms: title and class rows of each.
    """
    first = arms[0][1]
    support = {row.name: row.support for row in first}
    shown = most_frequent([row.name for row in first], support, MOST_CLASSES)
    metrics = [
        m for m in METRICS if any(getattr(r, m) is not None for _, rows in arms for r in rows)
    ]
    short = zip(shown, shorten_apart(shown, 14), strict=True)
    labels = [f"{name} ({whole(support[n])})" for n, name in short]
    said_as = dict(zip(shown, shorten_apart(shown, 30), strict=True))
    titles = shorten_apart([title for title, _ in arms], 60 // len(arms))
    left = label_width(labels)
    width = min((WIDTH - left - 0.05 - _GAP * (len(arms) - 1)) / len(arms), 0.62 * len(metrics))
    tall = _TALL * len(shown)
    with drawing():
        height = _ABOVE + tall + 0.04
        figure = Figure(figsize=(WIDTH, height))
        said = []
        for i, (title, (_, rows)) in enumerate(zip(titles, arms, strict=True)):
            place = (left + i * (width + _GAP), 0.04, width, tall)
            box = (place[0] / WIDTH, place[1] / height, place[2] / WIDTH, place[3] / height)
            axes: Axes = figure.add_axes(box)
            by_name = {row.name: row for row in rows}
            _panel(axes, title, [(said_as[name], by_name[name]) for name in shown], metrics)
            axes.set_yticks([r + 0.5 for r in range(len(shown))], labels if i == 0 else [])
            values = (f"{said_as[name]} {decimal(by_name[name].f1, 2)}" for name in shown)
            said.append(f"{title}: {', '.join(values)}")
        return to_svg(figure, key, f"Metrics of each class, {part}", f"F1. {'; '.join(said)}")


def _panel(
    axes: Axes, title: str, rows: Sequence[tuple[str, ClassRow]], metrics: Sequence[str]
) -> None:
    axes.set_xlim(0, len(metrics))
    axes.set_ylim(len(rows), 0)
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    for r, (name, row) in enumerate(rows):
        for c, metric in enumerate(metrics):
            found = row.estimate(metric)
            if found.value is not None:
                tint = STRONGEST * min(max(found.value, 0.0), 1.0)
                axes.add_patch(Rectangle((c, r), 1, 1, facecolor=TONE, alpha=tint, linewidth=0))
            axes.text(
                c + 0.5, r + 0.53, decimal(found.value, 2), ha="center", va="center", fontsize=6.5
            )
            bounds = interval(found.low, found.high)
            text = f"{name}, {title}: {METRICS[metric]} {decimal(found.value)}"
            say(axes, text + (f" ({bounds})" if bounds else ""), (c, r), (c + 1, r + 1))
    for line in range(len(rows) + 1):
        axes.plot([0, len(metrics)], [line, line], color=INK, alpha=0.13, linewidth=0.4)
    names = [METRICS[m] for m in metrics]
    axes.set_xticks([c + 0.5 for c in range(len(metrics))], names, rotation=90)
    axes.xaxis.tick_top()
    axes.tick_params(length=0, pad=3)
    axes.set_title(title, loc="left", pad=4, fontsize=7.5, fontweight=600)
