"""Which confusion matrices print these numbers? Proved impossible, shown by an example, or not decided.

If the enclosure of all matrices (:mod:`milkreport.checks.audit.enclosure`) is empty, there is none. If not, a
few linear steps lead from its solution towards the numbers; predictions and supports are fixed there, with
which all metrics are linear, and true positives are sought that print the numbers exactly. If there are
none, the pieces of the enclosure are split at the solution, and so on.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from milkreport.checks.audit.enclosure import MANY, Enclosure, Setting, Statement
from milkreport.checks.audit.margins import Floats, Margins
from milkreport.checks.audit.program import Status, constant, total

#: How often pieces are split before giving up, and nodes of a search for a bound.
ROUNDS, NODES_BOUND = 4, 1
#: Linear steps towards the numbers, and how many other counts are tried around where they end.
STEPS, AROUND = 16, 32
#: How far from there supports and predictions are looked for with which a class can print its numbers.
WINDOW = 20


@dataclass(frozen=True)
class Decision:
    """``INFEASIBLE``: no matrix. ``FEASIBLE``: ``example`` is of one."""

    status: Status
    example: Margins | None = None


def decide(setting: Setting, statements: Sequence[Statement], rounds: int = ROUNDS) -> Decision:
    """Whether a confusion matrix prints all *statements*.

    Args:
        rounds: how often the enclosure is refined before it is not decided.
    """
    known = [s for s in statements if s.known]
    splits: dict[str, list[float]] = {}
    rng = np.random.default_rng(0)
    for _ in range(rounds):
        counts = Enclosure(setting, known, splits)
        first = counts.program.solve(relaxed=True)
        if first.status is Status.INFEASIBLE:
            return Decision(Status.INFEASIBLE)
        counts.enclose()
        found = counts.program.solve(relaxed=setting.n_classes > MANY and setting.support is None)
        if found.values is None:
            return Decision(found.status)
        start = counts.margins(found.values)
        near = _approach(setting, known, start)
        snapped = _snap(setting, known, near)
        tried = (start, near, snapped, *_around(setting, snapped, rng))
        for margins in tried:
            example = _exact(setting, known, margins)
            if example is not None:
                return Decision(Status.FEASIBLE, example)
        if not counts.places:
            break
        for name, (pieces, _) in counts.pieces.items():
            edges = {edge for piece in pieces for edge in piece}
            splits[name] = sorted(edges | {counts.places[name].at(found.values)})
    return Decision(Status.UNDECIDED)


def _approach(setting: Setting, statements: Sequence[Statement], start: Margins) -> Margins:
    """Go from *start* towards the numbers: linear programs with the metrics' slopes at each step."""
    k, n = setting.n_classes, start.n
    # A corner of the enclosure has classes of hardly a case, where metrics are steep: start further inside.
    support = start.support if setting.support is not None else 0.8 * start.support + 0.2 * n / k
    predicted = 0.8 * start.predicted + 0.2 * n / k
    at, reach = np.concatenate([support, predicted, start.hits]), 0.2 * n
    best, best_miss = start, math.inf
    for _ in range(STEPS if k <= MANY else 3):
        here = Margins(at[:k], at[k : 2 * k], at[2 * k :])
        values = np.array([here.value(s.metric, s.position) for s in statements])
        low, high = (np.array([getattr(s, e) for s in statements]) for e in ("low", "high"))
        widths = np.maximum(high - low, 1e-9)
        miss = float((np.maximum(low - values, values - high).clip(0) / widths).sum())
        if miss < best_miss:
            best, best_miss = here, miss
        else:
            # The slopes led too far: again from the best point, with smaller steps.
            reach /= 4
            at = np.concatenate([best.support, best.predicted, best.hits])
            here = best
            values = np.array([here.value(s.metric, s.position) for s in statements])
        if best_miss == 0:
            break
        counts = Enclosure(setting, [], {})
        variables = [*counts.support, *counts.predicted, *counts.hits]
        misses = []
        for i, statement in enumerate(statements):
            slope = _slope(here, statement)
            moved = [
                (v - constant(x)) * float(d)
                for v, x, d in zip(variables, at, slope, strict=True)
                if abs(d) > 1e-12
            ]
            value = constant(values[i]) + total(moved)
            over = counts.program.add_variable(0, math.inf)
            # Towards the middle, so that rounding to whole cases stays inside.
            margin = 0.25 * widths[i]
            counts.program.require(value - over, high=float(high[i] - margin))
            counts.program.require(value + over, low=float(low[i] + margin))
            misses.append(over * (1 / widths[i]))
        for v, x in zip(variables, at, strict=True):
            counts.program.require(v, float(x) - reach, float(x) + reach)
        found = counts.program.solve(total(misses), relaxed=True)
        if found.values is None:
            break
        at = np.array([v.at(found.values) for v in variables])
    return best


def _snap(setting: Setting, statements: Sequence[Statement], near: Margins) -> Margins:
    """Whole supports and predictions close to *near* with which each class can print its own numbers.

    A recall of 0.236 is no share of most supports, so that rounding alone seldom hits one that it is of.
    """
    if setting.size is None:
        return near
    support, predicted = near.support.copy(), near.predicted.copy()
    bound_classes = {s.position for s in statements if s.position is not None}
    for c in bound_classes:
        mine = [s for s in statements if s.position == c]
        middle_s, middle_p = round(support[c]), round(predicted[c])
        is_fixed = setting.support is not None
        reach_s, reach_p = (0 if is_fixed else WINDOW), WINDOW
        s, p = np.meshgrid(
            np.arange(max(1, middle_s - reach_s), middle_s + reach_s + 1),
            np.arange(max(0, middle_p - reach_p), middle_p + reach_p + 1),
            indexing="ij",
        )
        least, most = np.zeros(s.shape), np.minimum(s, p).astype(float)
        for statement in mine:
            whole, offset = {
                "recall": (s, 0), "precision": (p, 0), "f1": ((s + p) / 2, 0),
                "specificity": (setting.size - s, s + p - setting.size),
            }[statement.metric]  # fmt: skip
            least = np.maximum(least, np.ceil(statement.low * whole + offset - 1e-7))
            most = np.minimum(most, np.floor(statement.high * whole + offset + 1e-7))
        far = np.abs(s - middle_s) + np.abs(p - middle_p) + np.where(least <= most, 0, 10**9)
        i, j = np.unravel_index(int(far.argmin()), far.shape)
        support[c], predicted[c] = s[i, j], p[i, j]
    free = [c for c in range(setting.n_classes) if c not in bound_classes]
    for column in (support, predicted):
        # What was moved is taken from the classes of which nothing is printed.
        moved = setting.size - column.sum()
        if free:
            column[max(free, key=lambda c: column[c])] += moved
    return Margins(support, predicted, near.hits)


def _around(setting: Setting, near: Margins, rng: np.random.Generator) -> Iterator[Margins]:
    """Whole predictions and supports close to *near*: a few cases moved from one class to another."""
    k = setting.n_classes
    tries = 0 if setting.size is None else AROUND if k <= MANY else 2
    for step in range(tries):
        columns = []
        for column in (near.support, near.predicted):
            moved = column.copy()
            for _ in range(1 + step // 8):
                i, j = rng.choice(k, 2, replace=False)
                if moved[j] > 1.5:
                    moved[i] += 1
                    moved[j] -= 1
            columns.append(moved)
        support = near.support if setting.support is not None else columns[0]
        yield Margins(support, columns[1], near.hits)


def _slope(here: Margins, statement: Statement) -> Floats:
    """Derivatives of a metric by support, predictions and true positives: float64 (3k,)."""
    at = np.concatenate([here.support, here.predicted, here.hits])
    k, step = len(here.support), here.n * 1e-6
    found = np.zeros(3 * k)
    columns = np.arange(3 * k)
    if statement.position is not None:
        columns = columns[columns % k == statement.position]
    middle = here.value(statement.metric, statement.position)
    for i in columns:
        moved = at.copy()
        moved[i] += step
        there = Margins(moved[:k], moved[k : 2 * k], moved[2 * k :])
        found[i] = (there.value(statement.metric, statement.position) - middle) / step
    return found


def _exact(setting: Setting, statements: Sequence[Statement], near: Margins) -> Margins | None:
    """True positives that print the numbers with the predictions and supports of *near*."""
    predicted, support = near.predicted, near.support
    if setting.size is not None:
        predicted, support = (_whole(column, setting.size) for column in (predicted, support))
    alone = Enclosure(setting, statements, {}, tuple(predicted), tuple(support))
    alone.enclose()
    solved = alone.program.solve()
    if solved.values is None:
        return None
    found = alone.margins(solved.values)
    # By the definitions themselves: what is called possible is so.
    for s in statements:
        value = found.value(s.metric, s.position)
        if not s.low - 1e-6 <= value <= s.high + 1e-6:
            return None
    return found


def _whole(values: Floats, n: int) -> Floats:
    """Rounded so that the sum is kept: the largest remainders are rounded up."""
    floors = np.floor(values + 1e-6)
    left = int(n - floors.sum())
    order = np.argsort(floors - values)
    floors[order[: max(left, 0)]] += 1
    return floors


def bound(
    setting: Setting,
    statements: Sequence[Statement],
    metric: str,
    position: int | None = None,
) -> tuple[float, float] | None:
    """Limits of a metric, given *statements*: no matrix that prints them passes these.

    Returns:
        ``None`` where the statements are impossible, or nothing limits the metric.
    """
    counts = Enclosure(setting, [s for s in statements if s.known], {})
    if counts.program.solve(relaxed=True).status is Status.INFEASIBLE:
        return None
    counts.enclose()
    value = counts.value(metric, position)
    if value is None:
        return None
    found = [
        counts.program.solve(value * sign, gap=0.02, nodes=NODES_BOUND) for sign in (1.0, -1.0)
    ]
    if any(f.status is Status.INFEASIBLE or not math.isfinite(f.bound) for f in found):
        return None
    low, high = found[0].bound, -found[1].bound
    return max(0.0, low), min(1.0, high)
