"""A small mixed-integer linear program: built row by row, solved by HiGHS within a limit of nodes.

HiGHS can call a program infeasible that is not, where rows leave no room but the error of floats. Every row
has room for that, above the solver's own tolerance, and an infeasible program is solved once more in another
way, with more of it: a millionth of a share, a hundredth of what a print of four digits leaves open.
"""

from __future__ import annotations

import ctypes
import math
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

#: Added to both sides of every row whose largest factor is 1, and where infeasibility is confirmed.
SLACK, SLACK_CONFIRMING = 2e-6, 1e-5
#: Nodes of a search tree, and seconds that no solution should ever take.
MOST_NODES, MOST_SECONDS = 500, 120.0
#: A factor that is none.
TINY = 1e-12


class Status(StrEnum):
    """What the solver found; ``UNDECIDED``: not within its limit."""

    FEASIBLE = "feasible"
    INFEASIBLE = "infeasible"
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class Expression:
    """A linear expression: coefficients by variable, and a constant."""

    terms: Mapping[int, float] = field(default_factory=dict)
    constant: float = 0.0

    def __add__(self, other: Expression) -> Expression:
        terms = dict(self.terms)
        for variable, factor in other.terms.items():
            terms[variable] = terms.get(variable, 0.0) + factor
        return Expression(terms, self.constant + other.constant)

    def __mul__(self, factor: float) -> Expression:
        return Expression({v: f * factor for v, f in self.terms.items()}, self.constant * factor)

    def __sub__(self, other: Expression) -> Expression:
        return self + other * -1.0

    def at(self, values: Floats) -> float:
        """Its value for values of all variables."""
        return self.constant + sum(f * float(values[v]) for v, f in self.terms.items())


def constant(value: float) -> Expression:
    """An expression without variables."""
    return Expression({}, float(value))


def total(expressions: list[Expression]) -> Expression:
    """The sum of expressions."""
    found = Expression()
    for expression in expressions:
        found = found + expression
    return found


@dataclass(frozen=True)
class Solution:
    """``values``: of all variables, where there are any. ``bound``: what the objective cannot pass."""

    status: Status
    values: Floats | None = None
    bound: float = math.nan


class Program:
    """Variables with bounds, rows with bounds, and a linear objective."""

    def __init__(self) -> None:
        self._bounds: list[tuple[float, float, bool]] = []
        self._rows: list[tuple[Mapping[int, float], float, float]] = []
        self._impossible = False

    def add_variable(self, low: float, high: float, *, whole: bool = False) -> Expression:
        """A new variable from *low* to *high*, as an expression."""
        self._bounds.append((low, high, whole))
        return Expression({len(self._bounds) - 1: 1.0})

    def require(
        self, expression: Expression, low: float = -math.inf, high: float = math.inf
    ) -> None:
        """Add a row: *expression* lies from *low* to *high*."""
        low, high = low - expression.constant, high - expression.constant
        # A row's largest factor is made 1: the solver's tolerance is absolute.
        largest = max((abs(f) for f in expression.terms.values()), default=0.0)
        if largest > TINY:
            terms = {v: f / largest for v, f in expression.terms.items()}
            self._rows.append((terms, low / largest, high / largest))
        elif low > SLACK_CONFIRMING or high < -SLACK_CONFIRMING:
            self._impossible = True

    def solve(
        self,
        objective: Expression | None = None,
        *,
        relaxed: bool = False,
        gap: float = 1e-4,
        nodes: int = MOST_NODES,
    ) -> Solution:
        """Minimise *objective*, or find any solution.

        Args:
            relaxed: leave out that variables are whole.
            gap: how far the bound may stay from the optimum, as a share of it; the bound holds all the same.
            nodes: of the search tree, after which it is not decided. No clock decides, so that the same
                numbers always give the same answer.
        """
        found = self._solve(objective, relaxed, gap, nodes, confirming=False)
        if found.status is not Status.INFEASIBLE or self._impossible:
            return found
        again = self._solve(objective, relaxed, gap, nodes, confirming=True)
        if again.status is Status.INFEASIBLE:
            return again
        return again if again.values is not None else Solution(Status.UNDECIDED)

    def _solve(
        self,
        objective: Expression | None,
        relaxed: bool,
        gap: float,
        nodes: int,
        confirming: bool,
    ) -> Solution:
        from scipy.optimize import Bounds, LinearConstraint, milp
        from scipy.sparse import csr_array

        if self._impossible:
            return Solution(Status.INFEASIBLE)
        low, high, whole = (np.array(column, float) for column in zip(*self._bounds, strict=True))
        if (low > high).any():
            return Solution(Status.INFEASIBLE)
        costs = np.zeros(len(low))
        for variable, factor in (objective.terms if objective else {}).items():
            costs[variable] = factor
        rows, columns, factors = [], [], []
        for i, (terms, _, _) in enumerate(self._rows):
            rows += [i] * len(terms)
            columns += list(terms)
            factors += list(terms.values())
        matrix = csr_array((factors, (rows, columns)), shape=(len(self._rows), len(low)))
        slack = SLACK_CONFIRMING if confirming else SLACK
        least, most = (np.array([row[i] for row in self._rows]) for i in (1, 2))
        limits = LinearConstraint(matrix, least - slack, most + slack)
        found = milp(
            costs,
            integrality=None if relaxed else whole,
            bounds=Bounds(low, high),
            constraints=limits if self._rows else (),
            options={
                "node_limit": nodes, "time_limit": MOST_SECONDS, "mip_rel_gap": gap,
                "presolve": not confirming,
            },
        )  # fmt: skip
        if found.status == 2:
            return Solution(Status.INFEASIBLE)
        offset = objective.constant if objective else 0.0
        dual = getattr(found, "mip_dual_bound", None)
        if dual is None and found.status == 0:
            dual = found.fun
        bound = math.nan if dual is None else float(dual) + offset
        if found.x is None:
            return Solution(Status.UNDECIDED, bound=bound)
        return Solution(Status.FEASIBLE, np.asarray(found.x, np.float64), bound)


@contextmanager
def without_output() -> Iterator[None]:
    """Keep what HiGHS prints (a debugging line, from C, past Python) out of standard output."""
    try:
        kept = os.dup(1)
    except OSError:  # standard output is closed
        yield
        return
    sys.stdout.flush()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 1)
        yield
    finally:
        # C's buffer would be written to the next file otherwise.
        ctypes.CDLL("msvcrt" if sys.platform == "win32" else None).fflush(None)
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)
