"""Which confusion matrices print these numbers? Proved impossible, shown by an example, or not decided.

What all usual metrics need of a k x k matrix are three counts per class: its support s, its predictions p
and its true positives t. Such counts belong to a matrix exactly if s and p each sum to n, t is at most
both, and for no class the errors it is part of, (s - t) + (p - t), are more than all errors, n - sum t (the
condition for a table with an empty diagonal and given margins). So 3k whole numbers stand for the matrix.

Shares with a known denominator are linear in them. F1, precision and their averages are ratios; each is
enclosed by piecewise McCormick envelopes over its denominator (McCormick, 1976), which become exact at the
ends of the pieces. Every matrix lies in the enclosure: if it is empty, no matrix prints the numbers. If
not, a few steps of Newton's kind lead from its solution towards the numbers; predictions and supports are
fixed there, with which all metrics are linear, and true positives are sought that print the numbers
exactly. If there are none, the pieces are split at the solution, and so on.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from milkreport.checks.audit.margins import AVERAGED, OF_CLASS, OVERALL, SAME, Floats, Margins
from milkreport.checks.audit.program import (
    Expression,
    Program,
    Status,
    constant,
    total,
)

#: Pieces that a denominator's range is first cut into, and how often they are split before giving up.
PIECES, MOST_SPLITS = 6, 40
#: Linear steps towards the numbers, and how many other counts are tried around where they end.
STEPS, AROUND = 16, 32
#: Cases that shares are counted in where no number of cases is stated; each class has one of them at least.
ANY_SIZE = 1e5
#: How far from there supports and predictions are looked for with which a class can print its numbers.
WINDOW = 20


@dataclass(frozen=True)
class Setting:
    """The cases that numbers are of. ``n``, ``support``: ``None`` where they are not known."""

    n_classes: int
    n: int | None = None
    support: tuple[int, ...] | None = None

    @property
    def size(self) -> int | None:
        """Number of cases, stated or added up."""
        return sum(self.support) if self.support is not None else self.n


@dataclass(frozen=True)
class Statement:
    """A metric lies from ``low`` to ``high``; ``position``: of the class, for a metric of one."""

    metric: str
    low: float
    high: float
    position: int | None = None

    @property
    def known(self) -> bool:
        """Whether the counts of a confusion matrix decide it."""
        if self.position is not None:
            return self.metric in OF_CLASS
        return SAME.get(self.metric, self.metric) in OVERALL


@dataclass(frozen=True)
class Decision:
    """``INFEASIBLE``: no matrix. ``FEASIBLE``: ``example`` is of one."""

    status: Status
    example: Margins | None = None


class _Counts:
    """The program of all matrices that print *statements*, or its enclosure."""

    def __init__(
        self,
        setting: Setting,
        statements: Sequence[Statement],
        splits: dict[str, list[float]],
        predicted: Sequence[float] | None = None,
        support: Sequence[float] | None = None,
    ) -> None:
        self.k, self.program, self.splits = setting.n_classes, Program(), splits
        self.whole = setting.size is not None
        self.n = float(setting.size) if setting.size is not None else ANY_SIZE
        self.ranges: dict[str, tuple[float, float]] = {}
        self.pieces: dict[str, tuple[list[tuple[float, float]], list[Expression]]] = {}
        self.places: dict[str, Expression] = {}  # denominators that are cut into pieces
        self._ratios: dict[tuple[str, int], Expression] = {}
        self._limits = {
            (s.metric, s.position): (s.low, s.high) for s in statements if s.position is not None
        }
        support = setting.support if support is None else support
        self.fixed_support = support is not None
        self.support = (
            [constant(s) for s in support]
            if support is not None
            else [self._count(1.0) for _ in range(self.k)]
        )
        self.predicted = (
            [constant(p) for p in predicted]
            if predicted is not None
            else [self._count() for _ in range(self.k)]
        )
        self.hits = [self._count() for _ in range(self.k)]
        require, errors = self.program.require, constant(self.n) - total(self.hits)
        for column in (self.support, self.predicted):
            require(total(column), self.n, self.n)
        for s, p, t in zip(self.support, self.predicted, self.hits, strict=True):
            require(s - t, 0)
            require(p - t, 0)
            require(errors - (s - t) - (p - t), 0)
        self.linear = [s for s in statements if self._state_linear(s)]
        self.rest = [s for s in statements if s not in self.linear]

    def margins(self, values: Floats) -> Margins:
        """The counts of a solution."""
        columns = (self.support, self.predicted, self.hits)
        s, p, t = (np.array([e.at(values) for e in column]) for column in columns)
        return Margins(np.round(s), np.round(p), np.round(t)) if self.whole else Margins(s, p, t)

    def _count(self, least: float = 0.0) -> Expression:
        return self.program.add_variable(least, self.n, whole=self.whole)

    def parts(self, metric: str, c: int) -> tuple[Expression, Expression]:
        """Numerator and denominator of a class's metric."""
        s, p, t = self.support[c], self.predicted[c], self.hits[c]
        others = constant(self.n) - s
        return {
            "precision": (t, p),
            "recall": (t, s),
            "f1": (t * 2, s + p),
            "specificity": (others - p + t, others),
        }[metric]

    def _state_linear(self, statement: Statement) -> bool:
        """Add the rows of a statement that is linear in the counts; whether it is."""
        metric, c = SAME.get(statement.metric, statement.metric), statement.position
        if c is not None:
            above, below = self.parts(metric, c)
            self.program.require(above - below * statement.low, 0)
            self.program.require(above - below * statement.high, high=0)
            if statement.low > 0 and self.whole:
                self.program.require(below, 1)  # 0 of 0 is printed as 0, if at all
            return True
        if metric == "accuracy":
            hits = total(self.hits)
            self.program.require(hits, statement.low * self.n, statement.high * self.n)
            return True
        if metric == "kappa" and self.fixed_support:
            above, below = self._beyond_chance()
            self.program.require(above - below * statement.low, 0)
            self.program.require(above - below * statement.high, high=0)
            return True
        return False

    def _beyond_chance(self) -> tuple[Expression, Expression]:
        """Numerator and denominator of kappa, as shares of n²; the supports are constants."""
        agreed = total(
            [
                p * (s.constant / self.n**2)
                for s, p in zip(self.support, self.predicted, strict=True)
            ]
        )
        return total(self.hits) * (1 / self.n) - agreed, constant(1) - agreed

    def enclose(self) -> None:
        """Add what is not linear, after the ranges of its denominators are known."""
        for statement in self.rest:
            metric = SAME.get(statement.metric, statement.metric)
            if metric == "mcc":
                self._state_mcc(statement)
            elif (value := self.value(metric)) is not None:
                self.program.require(value, statement.low, statement.high)
            elif metric in AVERAGED:
                self._state_weighted(statement, AVERAGED[metric][1])

    def value(self, metric: str, c: int | None = None) -> Expression | None:
        """The metric as an expression; ``None`` where it has none (weighted by unknown supports)."""
        metric = SAME.get(metric, metric)
        if c is not None:
            return self._ratio(metric, c)
        if metric == "accuracy":
            return total(self.hits) * (1 / self.n)
        if metric == "balanced_accuracy":
            metric = "macro_recall"
        if metric not in AVERAGED:
            return None
        average, of = AVERAGED[metric]
        if average == "weighted" and not self.fixed_support:
            return None
        present = [
            c for c in range(self.k) if not self.fixed_support or self.support[c].constant > 0
        ]
        weights = [
            self.support[c].constant / self.n if average == "weighted" else 1 / len(present)
            for c in present
        ]
        return total([self._ratio(of, c) * w for c, w in zip(present, weights, strict=True)])

    def _ratio(self, metric: str, c: int) -> Expression:
        """A class's metric as an expression: itself where its denominator is known, else enclosed."""
        if (metric, c) in self._ratios:
            return self._ratios[metric, c]
        above, below = self.parts(metric, c)
        if not below.terms:
            found = above * (1 / below.constant) if below.constant else constant(0)
        else:
            found = self._envelope(metric, c, above, below)
        self._ratios[metric, c] = found
        return found

    def _place(self, metric: str, c: int) -> tuple[str, float]:
        """Which count a denominator is but for a constant, and that constant."""
        if metric == "precision":
            return f"p{c}", 0.0
        if metric == "f1" and self.fixed_support:
            return f"p{c}", self.support[c].constant
        return (f"s+p{c}", 0.0) if metric == "f1" else (f"{metric}{c}", 0.0)

    def _cut(self, name: str, place: Expression) -> list[tuple[float, float]]:
        """Cut a denominator into pieces, of which one holds it."""
        if name in self.pieces:
            return self.pieces[name][0]
        low, high = self.ranges.get(name) or self._range(place)
        edges = {low, high, *(e for e in self.splits.get(name, []) if low < e < high)}
        if name not in self.splits:
            # Finer where counts are small: a ratio bends most there.
            edges |= {low + (high - low) * (i / PIECES) ** 2 for i in range(1, PIECES)}
        ends = sorted({float(round(e)) for e in edges} if self.whole else edges)
        found = [*zip(ends[:-1], ends[1:], strict=True)] or [(ends[0], ends[0])]
        if ends[0] == 0 and self.whole:
            found = [(0.0, 0.0), *((max(a, 1.0), b) for a, b in found if b > 0)]
        used = [self.program.add_variable(0, 1, whole=True) for _ in found]
        shares = [self.program.add_variable(0, b) for _, b in found]
        for (a, b), z, d in zip(found, used, shares, strict=True):
            self.program.require(d - z * a, 0)
            self.program.require(d - z * b, high=0)
        self.program.require(total(used), 1, 1)
        self.program.require(place - total(shares), 0, 0)
        self.pieces[name] = (found, [*used, *shares])
        self.places[name] = place
        return found

    def _range(self, place: Expression) -> tuple[float, float]:
        """Least and greatest value by the linear rows alone, in whole numbers if it is one."""
        low = self.program.solve(2.0, place, relaxed=True)
        high = self.program.solve(2.0, place * -1, relaxed=True)
        if low.values is None or high.values is None:
            return 0.0, 2 * self.n
        least, most = max(0.0, place.at(low.values)), place.at(high.values)
        if self.whole:
            return float(math.ceil(least - 1e-4)), float(math.floor(most + 1e-4))
        return max(0.0, least - 1e-3), most + 1e-3

    def _envelope(self, metric: str, c: int, above: Expression, below: Expression) -> Expression:
        name, offset = self._place(metric, c)
        place = below - constant(offset)
        pieces = self._cut(name, place)
        used, shares = self.pieces[name][1][: len(pieces)], self.pieces[name][1][len(pieces) :]
        low, high = self._limits.get((metric, c), (0.0, 1.0))
        low, high = max(low, 0.0), min(high, 1.0)
        ratios, rows = [], [Expression() for _ in range(4)]
        for (a, b), z, d in zip(pieces, used, shares, strict=True):
            least, most = (0.0, 0.0) if b + offset == 0 else (low, high)
            r = self.program.add_variable(0, 1)
            self.program.require(r - z * least, 0)
            self.program.require(r - z * most, high=0)
            a, b, d = a + offset, b + offset, d + z * offset
            for i, (ratio, edge) in enumerate(((least, a), (most, b), (least, b), (most, a))):
                rows[i] = rows[i] + d * ratio + r * edge - z * (ratio * edge)
            ratios.append(r)
        for i, row in enumerate(rows):
            self.program.require(above - row, *((0, math.inf) if i < 2 else (-math.inf, 0)))
        return total(ratios)

    def _state_weighted(self, statement: Statement, metric: str) -> None:
        """Weights are not known: the average lies between what the classes' own limits allow."""
        limits = [self._limits.get((metric, c), (0.0, 1.0)) for c in range(self.k)]
        least = total([s * low for s, (low, _) in zip(self.support, limits, strict=True)])
        most = total([s * high for s, (_, high) in zip(self.support, limits, strict=True)])
        self.program.require(least, high=statement.high * self.n)
        self.program.require(most, low=statement.low * self.n)

    def _state_mcc(self, statement: Statement) -> None:
        """Gorodkin's R_K with known supports: a constant times the root of 1 - sum (p/n)²."""
        if not self.fixed_support:
            return
        above = self._beyond_chance()[0]
        spread = math.sqrt(max(0.0, 1 - sum((s.constant / self.n) ** 2 for s in self.support)))
        squares = []
        for c, p in enumerate(self.predicted):
            if not p.terms:
                squares.append(constant((p.constant / self.n) ** 2))
                continue
            pieces = self._cut(f"p{c}", p)
            used = self.pieces[f"p{c}"][1][: len(pieces)]
            shares = self.pieces[f"p{c}"][1][len(pieces) :]
            square = self.program.add_variable(0, 1)
            chords = [
                d * ((a + b) / self.n**2) - z * (a * b / self.n**2)
                for (a, b), z, d in zip(pieces, used, shares, strict=True)
            ]
            self.program.require(square - total(chords), high=0)
            for edge in {e for piece in pieces for e in piece}:
                tangent = p * (2 * edge / self.n**2) - constant((edge / self.n) ** 2)
                self.program.require(square - tangent, 0)
            squares.append(square)
        left = constant(1) - total(squares)
        root = self._root(left)
        self.program.require(above - root * (statement.low * spread), 0)
        self.program.require(above - root * (statement.high * spread), high=0)

    def _root(self, left: Expression) -> Expression:
        if not left.terms:
            return constant(math.sqrt(max(0.0, left.constant)))
        root, pieces = self.program.add_variable(0, 1), 12
        edges = [i / pieces for i in range(pieces + 1)]
        used = [self.program.add_variable(0, 1, whole=True) for _ in edges[1:]]
        shares = [self.program.add_variable(0, 1) for _ in edges[1:]]
        chords = []
        for a, b, z, d in zip(edges, edges[1:], used, shares, strict=False):
            self.program.require(d - z * a, 0)
            self.program.require(d - z * b, high=0)
            slope = (math.sqrt(b) - math.sqrt(a)) / (b - a)
            chords.append(d * slope + z * (math.sqrt(a) - slope * a))
            self.program.require(
                left * (0.5 / math.sqrt(b)) + constant(0.5 * math.sqrt(b)) - root, 0
            )
        self.program.require(total(used), 1, 1)
        self.program.require(left - total(shares), 0, 0)
        self.program.require(root - total(chords), 0)
        return root


def decide(setting: Setting, statements: Sequence[Statement], seconds: float = 10.0) -> Decision:
    """Whether a confusion matrix prints all *statements*.

    Args:
        seconds: after which it is not decided.
    """
    until = time.monotonic() + seconds
    known = [s for s in statements if s.known]
    splits: dict[str, list[float]] = {}
    rng = np.random.default_rng(0)
    for _ in range(MOST_SPLITS):
        counts = _Counts(setting, known, splits)
        first = counts.program.solve(until - time.monotonic(), relaxed=True)
        if first.status is Status.INFEASIBLE:
            return Decision(Status.INFEASIBLE)
        counts.enclose()
        found = counts.program.solve(until - time.monotonic())
        if found.values is None:
            return Decision(found.status)
        start = counts.margins(found.values)
        near = _approach(setting, known, start)
        snapped = _snap(setting, known, near)
        tried = (start, near, snapped, *_around(setting, snapped, rng))
        for margins in tried:
            example = _exact(setting, known, margins, until)
            if example is not None:
                return Decision(Status.FEASIBLE, example)
            if time.monotonic() > until:
                break
        if time.monotonic() > until or not counts.places:
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
    for _ in range(STEPS):
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
        counts = _Counts(setting, [], {})
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
        found = counts.program.solve(1.0, total(misses), relaxed=True)
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
    for step in range(AROUND if setting.size is not None else 0):
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


def _exact(
    setting: Setting, statements: Sequence[Statement], near: Margins, until: float
) -> Margins | None:
    """True positives that print the numbers with the predictions and supports of *near*."""
    predicted, support = near.predicted, near.support
    if setting.size is not None:
        predicted, support = (_whole(column, setting.size) for column in (predicted, support))
    alone = _Counts(setting, statements, {}, tuple(predicted), tuple(support))
    alone.enclose()
    solved = alone.program.solve(max(0.2, until - time.monotonic()))
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
    seconds: float = 1.0,
) -> tuple[float, float] | None:
    """Limits of a metric, given *statements*: no matrix that prints them passes these.

    Returns:
        ``None`` where the statements are impossible, or nothing limits the metric.
    """
    counts = _Counts(setting, [s for s in statements if s.known], {})
    if counts.program.solve(seconds, relaxed=True).status is Status.INFEASIBLE:
        return None
    counts.enclose()
    value = counts.value(metric, position)
    if value is None:
        return None
    found = [counts.program.solve(seconds / 2, value * sign, gap=0.02) for sign in (1.0, -1.0)]
    if any(f.status is Status.INFEASIBLE or not math.isfinite(f.bound) for f in found):
        return None
    low, high = found[0].bound, -found[1].bound
    return max(0.0, low), min(1.0, high)
