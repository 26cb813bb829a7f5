"""What a printed number could mean beside the usual: other habits of rounding, averaging and repeating.

Before numbers are called impossible together, each of these is tried on all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from milkreport.checks.audit.enclosure import Setting, Statement
from milkreport.checks.audit.means import decide_means
from milkreport.checks.audit.possible import Decision, bound, decide
from milkreport.checks.audit.program import Status
from milkreport.checks.statements import Figure, Rounding

#: Rounds for one explanation; one that is not decided counts as one that is possible.
ROUNDS_MEANING = 1

Limits = Callable[[Figure], tuple[float, float]]


@dataclass(frozen=True)
class Print:
    """The printed figures of one model on one part, and the cases that they are of.

    ``runs``: folds or runs that they are means over; ``None`` where the source does not say.
    """

    figures: tuple[Figure, ...]
    setting: Setting
    classes: tuple[str, ...]
    rounding: Rounding
    runs: int | None = None

    def statements(self, limits: Limits | None = None) -> list[Statement]:
        """Each figure as an interval, by the source's own habit of rounding or by *limits*."""
        found = []
        for figure in self.figures:
            low, high = limits(figure) if limits else figure.bounds(self.rounding)
            position = self.classes.index(figure.class_name) if figure.class_name else None
            found.append(Statement(figure.metric, low, high, position))
        return found

    def decide(self, statements: Sequence[Statement], rounds: int) -> Decision:
        """Whether they are possible: for one test, or as means."""
        if self.runs is not None and self.runs > 1:
            return decide_means(self.setting.n_classes, statements)
        return decide(self.setting, statements, rounds)

    def without(self, left_out: Sequence[Figure]) -> Print:
        """The same without some figures."""
        return replace(self, figures=tuple(f for f in self.figures if f not in left_out))


def explain(printed: Print) -> list[str]:
    """Under which meanings the numbers would be possible together; none: under none of those tried.

    Rounding first, then other averages with the source's own rounding; if none of them does, these with last
    digits that are off by up to one.
    """
    found = [
        said
        for said, limits in _habits(printed)
        if _fits(printed.decide(printed.statements(limits), ROUNDS_MEANING))
    ]
    found += [said for said, fits in _averages(printed, printed.statements()) if fits]
    if not found and printed.rounding not in ("exact", "about"):
        widest = printed.statements(_off_by_one)
        found = [
            f"{said}, and last digits are off" for said, fits in _averages(printed, widest) if fits
        ]
    return found


def _fits(decision: Decision) -> bool:
    return decision.status is not Status.INFEASIBLE


def _averages(printed: Print, statements: list[Statement]) -> Iterator[tuple[str, bool]]:
    """Other ways to average than the usual."""
    for i, statement in enumerate(statements):
        other = _other_average(statement.metric)
        if other and not any(s.metric == other for s in statements):
            changed = [*statements[:i], replace(statement, metric=other), *statements[i + 1 :]]
            said = f"the printed {_words(statement.metric)} is the {_words(other)}"
            yield said, _fits(printed.decide(changed, ROUNDS_MEANING))
    if any(s.metric.endswith(("precision", "recall")) for s in statements):
        yield (
            "precision and recall are interchanged (a matrix with the predicted classes in rows)",
            _fits(printed.decide([_interchanged(s) for s in statements], ROUNDS_MEANING)),
        )
    if any(s.metric.startswith("macro") or s.metric == "balanced_accuracy" for s in statements):
        k = len(printed.classes)
        for n in range(k - 1, max(k - 3, 0), -1):
            changed = [_over(s, n, k) for s in statements]
            said = f"its macro averages are over {n} of the {k} classes"
            yield said, _fits(printed.decide(changed, ROUNDS_MEANING))
    yield from _harmonic(printed, statements)
    k = printed.setting.n_classes
    if printed.runs is None:
        said = "the numbers are means over several folds or runs"
        if _fits(decide_means(k, statements)):
            yield said, True
        else:
            said += ", some of them without a case of some class"
            yield said, _fits(decide_means(k, statements, complete=False))
    elif printed.runs > 1:
        said = "a class is missing from some of the folds"
        yield said, _fits(decide_means(k, statements, complete=False))


def _habits(printed: Print) -> Iterator[tuple[str, Limits]]:
    """Other habits of rounding than the one that the source has."""
    habit = printed.rounding
    if habit in ("exact", "about"):
        return
    if habit == "rounded":
        yield "digits were truncated, not rounded", cut_limits
    yield "digits were rounded up", lambda f: (f.value - f.unit, f.value)
    yield "last digits are off by up to one", _off_by_one


def _off_by_one(figure: Figure) -> tuple[float, float]:
    return figure.value - figure.unit, figure.value + figure.unit


def cut_limits(figure: Figure) -> tuple[float, float]:
    """Values that print so where digits are cut (towards zero)."""
    if figure.printed.startswith("-"):
        return figure.value - figure.unit, figure.value
    return figure.value, figure.value + figure.unit


def _other_average(metric: str) -> str:
    for one, other in (("macro", "weighted"), ("weighted", "macro")):
        if metric.startswith(f"{one}_"):
            return metric.replace(one, other, 1)
    return ""


def _interchanged(statement: Statement) -> Statement:
    name = statement.metric
    for one, other in (("precision", "recall"), ("recall", "precision")):
        if name.endswith(one):
            return replace(statement, metric=name.replace(one, other))
    return (
        replace(statement, metric="macro_precision") if name == "balanced_accuracy" else statement
    )


def _over(statement: Statement, n: int, k: int) -> Statement:
    """A macro average over n classes as one over k, the others counting 0."""
    if statement.metric.startswith("macro") or statement.metric == "balanced_accuracy":
        return replace(statement, low=statement.low * n / k, high=statement.high * n / k)
    return statement


def _harmonic(printed: Print, statements: list[Statement]) -> Iterator[tuple[str, bool]]:
    """An average F1 as the F1 of the average precision and recall (both occur in print)."""
    for statement in statements:
        average = statement.metric.removesuffix("_f1")
        if average not in ("macro", "weighted"):
            continue
        rest = [s for s in statements if s is not statement]
        if not _fits(printed.decide(rest, ROUNDS_MEANING)):
            continue
        limits = [
            bound(printed.setting, rest, f"{average}_{name}") or (0.0, 1.0)
            for name in ("precision", "recall")
        ]
        low, high = (_f1(*side) for side in zip(*limits, strict=True))
        if low <= statement.high and statement.low <= high:
            yield f"{average} F1 is the F1 of {average} precision and {average} recall", True


def _f1(precision: float, recall: float) -> float:
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _words(metric: str) -> str:
    return metric.replace("_", " ").replace("f1", "F1")
