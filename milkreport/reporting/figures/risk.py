"""Predicted risks: calibration curve with its band above the risks of both outcomes; and risk by outcome."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from milkreport.evaluation.records.binary import RiskCalibration, RisksOf
from milkreport.reporting.figures.marks import say
from milkreport.reporting.figures.svg import COLOURS, INK, WIDTH, colour, drawing, marker, to_svg
from milkreport.reporting.wording.text import decimal, shorten, shorten_apart

#: An arm as a figure draws it: its position, which gives its colour everywhere, name, record.
ArmRisk = tuple[int, str, RiskCalibration]

_COLUMNS = 3
_SIDE, _STRIP, _GAP = 1.75, 0.5, 0.62
#: Outcomes are shapes and tones, not arms: grey for negative, dark for positive.
_NEGATIVE, _POSITIVE = "#9AA3AD", COLOURS[1]


def calibration(key: str, arms: Sequence[ArmRisk]) -> str:
    """Share of positive cases over the predicted risk, a panel an arm; below, risks of both outcomes."""
    titles = shorten_apart([name for _, name, _ in arms], 26)
    with drawing():
        columns = min(_COLUMNS, len(arms))
        rows = -(-len(arms) // columns)
        height = rows * (_SIDE + _STRIP + _GAP) + 0.1
        figure = Figure(figsize=(WIDTH, height))
        said = []
        for i, (title, (index, name, found)) in enumerate(zip(titles, arms, strict=True)):
            left = 0.5 + (i % columns) * (WIDTH - 0.3) / _COLUMNS
            top = height - 0.22 - (i // columns) * (_SIDE + _STRIP + _GAP)
            box = (left / WIDTH, (top - _SIDE) / height, _SIDE / WIDTH, _SIDE / height)
            curve: Axes = figure.add_axes(box)
            strip_box = (left / WIDTH, (top - _SIDE - _STRIP - 0.05) / height)
            strip: Axes = figure.add_axes((*strip_box, _SIDE / WIDTH, _STRIP / height))
            _draw_curve(curve, index, found)
            _draw_strip(strip, found)
            curve.set_title(title, pad=3)
            if i % columns == 0:
                curve.set_ylabel("share positive", labelpad=3)
            strip.set_xlabel("predicted risk", labelpad=2)
            points = ", ".join(
                f"{decimal(g.risk, 2)} {decimal(g.share.value, 2)}" for g in found.curve
            )
            said.append(f"{shorten(name, 30)}: {points}")
        description = f"mean risk and share positive of each group. {'; '.join(said)}"
        return to_svg(figure, key, "Calibration of the predicted risk", description)


def _draw_curve(axes: Axes, index: int, found: RiskCalibration) -> None:
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    axes.plot([0, 1], [0, 1], color=INK, alpha=0.5, linewidth=0.8, dashes=(1, 2))
    x = [g.risk for g in found.curve]
    y = [g.share.value if g.share.value is not None else np.nan for g in found.curve]
    if all(g.share.low is not None for g in found.curve) and found.curve:
        low = [g.share.low or 0.0 for g in found.curve]
        high = [g.share.high or 0.0 for g in found.curve]
        axes.fill_between(x, low, high, color=colour(index), alpha=0.16, linewidth=0)
        axes.vlines(x, low, high, color=colour(index), linewidth=0.7, alpha=0.6)
    axes.plot(
        x,
        y,
        color=colour(index),
        marker=marker(index),
        markersize=3.2,
        linewidth=1.0,
        clip_on=False,
    )
    for g in found.curve:
        if g.share.value is not None:
            text = f"mean risk {decimal(g.risk)}, share positive {decimal(g.share.value)}"
            say(axes, text, (g.risk, g.share.value))
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.tick_params(axis="x", labelbottom=False)


def _draw_strip(axes: Axes, found: RiskCalibration) -> None:
    """Histograms of both outcomes, each as a share of its own cases: positive up, negative down."""
    edges = np.linspace(0, 1, len(found.positive.counts) + 1)
    tallest = 0.0
    for risks, sign, tone in ((found.positive, 1, _POSITIVE), (found.negative, -1, _NEGATIVE)):
        shares = _shares(risks)
        tallest = max(tallest, float(shares.max(initial=0)))
        axes.bar(
            edges[:-1],
            sign * shares,
            np.diff(edges),
            align="edge",
            color=tone,
            linewidth=0,
            alpha=0.9,
        )
    axes.axhline(0, color=INK, linewidth=0.5)
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-1.08 * (tallest or 1), 1.08 * (tallest or 1))
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.grid(visible=False)
    axes.xaxis.set_major_locator(MaxNLocator(4))


def by_outcome(key: str, arms: Sequence[ArmRisk], names: tuple[str, str]) -> str:
    """Risk of each outcome as a violin with its quantiles, the arms below one another.

    Args:
        names: of the positive and the negative outcome.
    """
    titles = shorten_apart([name for _, name, _ in arms], 26)
    labels = shorten_apart(names, 22)
    with drawing():
        height = 0.5 + 0.62 * len(arms)
        figure = Figure(figsize=(WIDTH, height))
        left = 0.3 + 0.062 * max(len(f"{t}, {n}") for t in titles for n in labels)
        left = min(left, 2.9)
        box = (left / WIDTH, 0.36 / height, 1 - (left + 0.15) / WIDTH, 1 - 0.42 / height)
        axes: Axes = figure.add_axes(box)
        ticks, words, said = [], [], []
        for i, (title, (_, name, found)) in enumerate(zip(titles, arms, strict=True)):
            for j, (risks, tone) in enumerate(
                ((found.positive, _POSITIVE), (found.negative, _NEGATIVE))
            ):
                row = 2.3 * i + j
                _violin(axes, risks, row, tone)
                ticks.append(row)
                words.append(f"{title}, {labels[j]}")
                quantiles = " ".join(decimal(q, 2) for q in risks.quantiles)
                said.append(f"{shorten(name, 30)}, {labels[j]}: {quantiles}")
        axes.set_yticks(ticks, words)
        axes.set_ylim(max(ticks) + 0.6, -0.6)
        axes.set_xlim(-0.01, 1.01)
        axes.set_xlabel("predicted risk")
        axes.grid(visible=False, axis="y")
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        description = f"5, 25, 50, 75 and 95% quantiles of the risk. {'; '.join(said)}"
        return to_svg(figure, key, "Predicted risk by outcome", description)


def _violin(axes: Axes, risks: RisksOf, row: float, tone: str) -> None:
    shares = _shares(risks)
    most = float(shares.max(initial=0))
    if not most:
        return
    edges = np.linspace(0, 1, len(shares) + 1)
    half = 0.42 * np.append(shares, shares[-1]) / most
    axes.fill_between(
        edges, row - half, row + half, step="post", color=tone, alpha=0.45, linewidth=0
    )
    if len(risks.quantiles) == 5:
        least, low, middle, high, highest = risks.quantiles
        axes.plot([least, highest], [row, row], color=INK, linewidth=0.8, clip_on=False)
        axes.plot([low, high], [row, row], color=INK, linewidth=2.6, solid_capstyle="butt")
        axes.plot(middle, row, marker="o", color=INK, markersize=4.6, clip_on=False)
        axes.plot(middle, row, marker="o", color="white", markersize=2.2, clip_on=False)


def _shares(risks: RisksOf) -> np.ndarray:
    counts = np.array(risks.counts)
    total = float(counts.sum())
    return counts / total if total else counts
