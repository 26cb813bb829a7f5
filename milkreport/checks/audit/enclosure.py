"""All confusion matrices that print given numbers, enclosed by a mixed-integer linear program.

What all usual metrics need of a k x k matrix are three counts per class: its support s, its predictions p
and its true positives t. Such counts belong to a matrix exactly if s and p each sum to n, t is at most
both, and for no class the errors it is part of, (s - t) + (p - t), are more than all errors, n - sum t (the
condition for a table with an empty diagonal and given margins). So 3k whole numbers stand for the matrix.

Shares with a known denominator are linear in them. F1, precision and their averages are ratios; each is
enclosed by piecewise McCormick envelopes over its denominator (McCormick, 1976), which become exact at the
ends of the pieces. Every matrix lies in the enclosure: if it is empty, no matrix prints the numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from milkreport.checks.audit.margins import AVERAGED, OF_CLASS, OVERALL, SAME, Floats, Margins
from milkreport.checks.audit.program import Expression, Program, constant, total
from milkreport.checks.audit.relations import accuracy_limits, room_beside_mcc

#: Pieces that a denominator's range is first cut into.
PIECES = 6
#: More classes, and fewer matrices are tried. Where their sizes are not known, the enclosure is of fractions
#: of cases, and its denominators are not cut into pieces at first.
MANY = 30
#: Cases that shares are counted in where no number of cases is stated; each class has one of them at least.
ANY_SIZE = 1e5


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


class Enclosure:
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
        if not self.fixed_support:
            self._state_relations(statements)
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

    def _state_relations(self, statements: Sequence[Statement]) -> None:
        """Without class sizes: which accuracy the overall metrics need, and kappa beside Matthews."""
        of = {
            SAME.get(s.metric, s.metric): (s.low, s.high) for s in statements if s.position is None
        }
        for metric, limits in of.items():
            low, high = accuracy_limits(metric, *limits, self.k)
            self.program.require(total(self.hits), low * self.n, high * self.n)
        if {"kappa", "mcc"} <= of.keys():
            self.program.require(constant(room_beside_mcc(of["kappa"], of["mcc"])), 0)

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
        many = self.k > MANY and not self.fixed_support
        low, high = (0.0, 2 * self.n) if many else self.ranges.get(name) or self._range(place)
        edges = {low, high, *(e for e in self.splits.get(name, []) if low < e < high)}
        if name not in self.splits and not many:
            # Finer where counts are small: a ratio bends most there.
            edges |= {low + (high - low) * (i / PIECES) ** 2 for i in range(1, PIECES)}
        ends = sorted({float(round(e)) for e in edges} if self.whole else edges)
        found = [*pairwise(ends)] or [(ends[0], ends[0])]
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
        low = self.program.solve(place, relaxed=True)
        high = self.program.solve(place * -1, relaxed=True)
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
        for (a, b), z, d in zip(pairwise(edges), used, shares, strict=True):
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
