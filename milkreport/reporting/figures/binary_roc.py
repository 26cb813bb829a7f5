"""The ROC curve of the positive classes: all points, a band, operating points, and human readers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MultipleLocator

from milkreport.evaluation.records.binary import BandPoint
from milkreport.evaluation.records.estimate import Estimate
from milkreport.reporting.figures.marks import say
from milkreport.reporting.figures.svg import INK, MARKERS, WIDTH, colour, drawing, marker, to_svg
from milkreport.reporting.wording.text import decimal, shorten, shorten_apart

_SIDE = 3.5
_DASHES: tuple[str | tuple[float, tuple[float, ...]], ...] = (
    "-", (0, (5, 1.6)), (0, (1.2, 1.2)), (0, (4, 1.2, 1, 1.2)), (0, (7, 2)), (0, (2, 2)),
)  # fmt: skip


@dataclass(frozen=True)
class RocArm:
    """An arm in the figure: ``index`` gives its colour, ``curve`` pairs of rate and sensitivity."""

    index: int
    name: str
    curve: Sequence[tuple[float, float]]
    band: Sequence[BandPoint]
    sensitivity: Estimate
    specificity: Estimate
    auc: float | None


@dataclass(frozen=True)
class RocPoint:
    """A human reader: a point with both intervals."""

    name: str
    sensitivity: Estimate
    specificity: Estimate


def roc(key: str, arms: Sequence[RocArm], readers: Sequence[RocPoint] = ()) -> str:
    """All curves in one square; operating points large with their whiskers, readers hollow in ink."""
    titles = shorten_apart([arm.name for arm in arms], 24)
    with drawing():
        height = _SIDE + 0.55
        figure = Figure(figsize=(WIDTH, height))
        box = (0.55 / WIDTH, 0.42 / height, _SIDE / WIDTH, _SIDE / height)
        axes: Axes = figure.add_axes(box)
        axes.plot([0, 1], [0, 1], color=INK, alpha=0.5, linewidth=0.8, dashes=(1, 2))
        for title, arm in zip(titles, arms, strict=True):
            _band(axes, arm)
            across, up = zip(*arm.curve, strict=True)
            label = f"{title}, AUC {decimal(arm.auc)}"
            style = _DASHES[arm.index % len(_DASHES)]
            axes.plot(
                across, up, color=colour(arm.index), linestyle=style, linewidth=1.2, label=label
            )
        for title, arm in zip(titles, arms, strict=True):
            _cross(axes, arm.sensitivity, arm.specificity, colour(arm.index), marker(arm.index))
            _say_point(axes, f"{title}, operating point", arm.sensitivity, arm.specificity)
        names = shorten_apart([reader.name for reader in readers], 24)
        for i, (name, reader) in enumerate(zip(names, readers, strict=True)):
            sign = MARKERS[i % len(MARKERS)]
            _cross(axes, reader.sensitivity, reader.specificity, INK, sign, f"reader {name}")
            _say_point(axes, f"reader {name}", reader.sensitivity, reader.specificity)
        axes.set_xlim(-0.015, 1.015)
        axes.set_ylim(-0.015, 1.015)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MultipleLocator(0.2))
        axes.set_xlabel("false positive rate (1 − specificity)")
        axes.set_ylabel("sensitivity")
        axes.legend(loc="upper left", bbox_to_anchor=(1.04, 1.0), borderaxespad=0, handlelength=2.4)
        said = "; ".join(
            f"{shorten(arm.name, 30)}: AUC {decimal(arm.auc)}, operating point sensitivity "
            f"{decimal(arm.sensitivity.value)} specificity {decimal(arm.specificity.value)}"
            for arm in arms
        )
        return to_svg(figure, key, "ROC curve of the positive classes", said)


def _band(axes: Axes, arm: RocArm) -> None:
    known = [
        (point.false_positive_rate, point.sensitivity.low, point.sensitivity.high)
        for point in arm.band
        if point.sensitivity.low is not None and point.sensitivity.high is not None
    ]
    if len(known) > 1:
        across, low, high = zip(*known, strict=True)
        axes.fill_between(across, low, high, color=colour(arm.index), alpha=0.13, linewidth=0)


def _say_point(axes: Axes, name: str, sensitivity: Estimate, specificity: Estimate) -> None:
    if sensitivity.value is not None and specificity.value is not None:
        text = f"sensitivity {decimal(sensitivity.value)}, specificity {decimal(specificity.value)}"
        say(axes, f"{name}: {text}", (1 - specificity.value, sensitivity.value))


def _cross(
    axes: Axes, sensitivity: Estimate, specificity: Estimate, tone: str, sign: str, label: str = ""
) -> None:
    """A point of the plane with its two intervals."""
    if sensitivity.value is None or specificity.value is None:
        return
    x, y = 1 - specificity.value, sensitivity.value
    if sensitivity.low is not None and sensitivity.high is not None:
        axes.plot([x, x], [sensitivity.low, sensitivity.high], color=tone, linewidth=1.0)
    if specificity.low is not None and specificity.high is not None:
        axes.plot([1 - specificity.high, 1 - specificity.low], [y, y], color=tone, linewidth=1.0)
    axes.plot(
        x,
        y,
        linestyle="none",
        marker=sign,
        markersize=6.0,
        zorder=4,
        markerfacecolor="white" if label else tone,  # readers are hollow
        markeredgecolor=tone if label else "white",
        markeredgewidth=1.2 if label else 0.6,
        label=label or "_operating point",
    )
