"""The difference that a comparison finds, against the number of cases."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from milkreport.evaluation.planning.design import PowerPlan
from milkreport.reporting.figures.axes import legend_above
from milkreport.reporting.figures.svg import INK, WIDTH, colour, drawing, marker, to_svg
from milkreport.reporting.wording.text import decimal, whole


def detectable_curve(key: str, plan: PowerPlan, metric: str) -> str:
    """A line per number of seeds; the cases at hand and the difference asked for are marked."""
    with drawing():
        figure = Figure(figsize=(WIDTH, 2.9))
        axes = figure.add_axes((0.55 / WIDTH, 0.15, 1 - 0.65 / WIDTH, 0.74))
        at = plan.at_hand
        for index, curve in enumerate(plan.curves):
            chosen = curve.n_seeds == at.n_seeds
            place = curve.n_cases.index(at.n_cases)
            seeds = "1 seed: two trained models" if curve.n_seeds == 1 else f"{curve.n_seeds} seeds"
            axes.plot(
                curve.n_cases,
                curve.detectable,
                color=colour(index),
                linewidth=2 if chosen else 1,
                marker=marker(index),
                markevery=[place],
                label=seeds,
            )
        line: dict[str, Any] = {"color": INK, "alpha": 0.55, "linewidth": 0.9, "dashes": (3, 2)}
        axes.axhline(plan.difference, **line)
        axes.axvline(at.n_cases, **line)
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: whole(round(value))))
        axes.xaxis.set_minor_formatter(NullFormatter())
        first = plan.curves[0]
        axes.set_xlim(first.n_cases[0], first.n_cases[-1])
        # Few cases find so little that they would flatten everything else.
        tallest = max(c.detectable[c.n_cases.index(at.n_cases)] for c in plan.curves)
        top = min(2 * tallest, max(c.detectable[0] for c in plan.curves))
        axes.set_ylim(0, 1.06 * max(top, plan.difference))
        axes.set_xlabel("cases")
        axes.set_ylabel(f"difference in {metric}")
        legend_above(axes, len(plan.curves))
        said = "; ".join(
            f"{c.n_seeds} seeds: {decimal(c.detectable[0])} on {whole(c.n_cases[0])} cases, "
            f"{decimal(c.detectable[-1])} on {whole(c.n_cases[-1])}"
            for c in plan.curves
        )
        return to_svg(figure, key, f"Difference in {metric} found with 80% power", said)
