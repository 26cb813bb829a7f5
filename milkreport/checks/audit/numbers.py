"""Numbers without a matrix: can one confusion matrix print all that is said of a model?

First every number by itself (:mod:`milkreport.checks.audit.metrics`), here all of a model together. What is
impossible is narrowed to a smallest set of numbers that exclude each other, and each of them is set beside
what the others allow.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from milkreport.checks.audit.enclosure import Setting, Statement
from milkreport.checks.audit.findings import Finding, Outcome, Verdict
from milkreport.checks.audit.margins import SAME, Margins
from milkreport.checks.audit.matrices_check import Matrices
from milkreport.checks.audit.meanings import Print, explain
from milkreport.checks.audit.possible import Decision, bound
from milkreport.checks.audit.program import Status, without_output
from milkreport.checks.audit.relations import relation_lines
from milkreport.checks.reference import Reference
from milkreport.checks.statements import Figure
from milkreport.evaluation.metrics.definitions import CLASS_DEFINITIONS, DEFINITIONS, HEADLINE
from milkreport.evaluation.records.data import Part

#: Rounds to decide about all numbers of a model, and about a part of them.
ROUNDS_ALL, ROUNDS_PART = 4, 1
#: Share of a print's own width that is added on both sides before numbers are called impossible.
WIDENED = 0.02
#: More figures, and those that exclude each other are sought within each class alone.
MOST_NARROWED = 60
#: A bound that leaves more than this open is not shown.
WIDEST = 0.6


def audit_numbers(
    reference: Reference, matrices: Matrices, alone: dict[tuple[str, str, str, str], Finding]
) -> Iterator[Finding]:
    """What the numbers of each model without a matrix allow together.

    Args:
        alone: what was found of each figure by itself, by its key. One that is impossible by itself is left
            out of the others.
    """
    keys = dict.fromkeys((f.arm, f.part) for f in reference.figures)
    for arm, part in keys:
        if (arm, part) in matrices:
            continue
        figures = [f for f in reference.figures if (f.arm, f.part) == (arm, part)]
        usable = [f for f in figures if _is_usable(reference, f)]
        wrong = [f for f in usable if f.key in alone and alone[f.key].outcome in _WRONG]
        printed = read_print(reference, part, [f for f in usable if f not in wrong])
        if len(printed.figures) > 1 or (printed.figures and printed.setting.size is not None):
            with without_output():
                found = [*_judge(printed, arm, part, wrong)]
            yield from found


_WRONG = (Outcome.DIFFERS, Outcome.QUESTIONABLE)


def _is_usable(reference: Reference, figure: Figure) -> bool:
    """Whether a matrix decides the figure, and the source defines it as it is defined here."""
    rule = reference.rule(figure.metric)
    known = (CLASS_DEFINITIONS if figure.class_name else DEFINITIONS).get(figure.metric)
    as_here = known is None or not rule.unlike(known)
    statement = read_print(reference, figure.part, [figure]).statements()[0]
    return statement.known and as_here


def read_print(reference: Reference, part: Part, figures: Sequence[Figure]) -> Print:
    """Figures of one model on one part, with what the source states of its cases."""
    stated = reference.support.get(part)
    support = tuple(stated.get(c, 0) for c in reference.classes) if stated else None
    setting = Setting(len(reference.classes), reference.n.get(part), support)
    runs = reference.mean_over.get(part)
    return Print(tuple(figures), setting, tuple(reference.classes), reference.rounding, runs)


def weigh(printed: Print, rounds: int = ROUNDS_ALL) -> tuple[Verdict | None, list[str], Decision]:
    """Are all numbers of a model possible together, and if not, under which other meanings?

    Returns:
        no verdict for means over folds that nothing excludes.
    """
    size, stated = printed.setting.size, printed.setting.support
    if size is not None and (size < 1 or (stated is None and size < len(printed.classes))):
        return Verdict.UNDECIDED, [], Decision(Status.UNDECIDED)  # fewer cases than classes
    decision = printed.decide(printed.statements(), rounds)
    if decision.status is Status.UNDECIDED:
        return Verdict.UNDECIDED, [], decision
    if decision.status is Status.INFEASIBLE:
        wider = [_widened(s) for s in printed.statements()]
        again = printed.decide(wider, rounds)
        if again.status is not Status.INFEASIBLE:
            return Verdict.UNDECIDED, [], Decision(Status.UNDECIDED)
        meanings = explain(printed)
        return (Verdict.ONLY_IF if meanings else Verdict.IMPOSSIBLE), meanings, decision
    is_mean = printed.runs is not None and printed.runs > 1
    return (None if is_mean else Verdict.POSSIBLE), [], decision


def _widened(statement: Statement) -> Statement:
    """A little more than its print leaves open: what is impossible only by a hair is not called so."""
    more = WIDENED * (statement.high - statement.low)
    return replace(statement, low=statement.low - more, high=statement.high + more)


def _judge(printed: Print, arm: str, part: Part, left_out: Sequence[Figure]) -> Iterator[Finding]:
    common: dict[str, Any] = {"topic": "numbers", "arm": arm, "part": part}
    count = len(printed.figures)
    named = f"{count} printed numbers" if count > 1 else f"the printed {name(printed.figures[0])}"
    cases = _cases(printed)
    notes = [f"without {_list(left_out)}, of which see above"] if left_out else []
    verdict, meanings, decision = weigh(printed)
    if decision.status is Status.INFEASIBLE:
        yield _impossible(printed, named, meanings, notes, common)
    elif verdict is Verdict.UNDECIDED:
        what = f"{named}{cases}: not decided, too many combinations are left"
        yield Finding(
            outcome=Outcome.CANNOT_TELL, verdict=Verdict.UNDECIDED, what=what, notes=notes, **common
        )
    elif verdict is None:
        what = f"{named}, means over {printed.runs} folds or runs: nothing excludes them"
        notes.append("means follow no grid of whole cases, so that only bounds were checked")
        yield Finding(outcome=Outcome.CANNOT_TELL, what=what, notes=notes, **common)
    else:
        what = f"{named}{cases}: a confusion matrix exists that prints all of them"
        if printed.setting.size is None:
            what = f"{named}: shares exist that print all of them; how many cases is not said"
        notes += _example(printed, decision.example)
        yield Finding(
            outcome=Outcome.AGREES, verdict=Verdict.POSSIBLE, what=what, notes=notes, **common
        )
        if len(printed.figures) > 1:
            yield from _limits(printed, left_out, common)


def _impossible(
    printed: Print,
    named: str,
    meanings: Sequence[str],
    notes: list[str],
    common: dict[str, Any],
) -> Finding:
    """A smallest set of numbers that exclude each other, what could explain it, what would settle it."""
    least = _narrow(printed)
    together = "is not possible" if len(least.figures) == 1 else "exclude each other"
    what = f"{_list(least.figures)} {together}{_cases(least)}"
    if len(printed.figures) > len(least.figures):
        what += f" ({named} in all)"
    if meanings:
        what += "; possible only if " + ", or ".join(meanings)
    else:
        tried = "rounding, averaging, repeated runs"
        what += f"; no other usual meaning that was tried ({tried}) makes it possible"
    few = len(printed.figures) <= MOST_NARROWED
    suspects = [f for f in least.figures if few and _fits_without(printed, f)]
    if suspects and len(printed.figures) > 1:
        notes.append(f"the others are possible without {_list(suspects, 'or')}")
    return Finding(
        outcome=Outcome.QUESTIONABLE if meanings else Outcome.DIFFERS,
        verdict=Verdict.ONLY_IF if meanings else Verdict.IMPOSSIBLE,
        what=what,
        arithmetic=_arithmetic(least),
        settle=_settle(least, meanings),
        notes=notes,
        stands=next((f.stands for f in least.figures if f.stands), ""),
        **common,
    )


def _narrow(printed: Print) -> Print:
    """The same with as few figures as still exclude each other, and without n where it is not needed."""

    def excluded(candidate: Print) -> bool:
        statements = candidate.statements()
        return candidate.decide(statements, ROUNDS_PART).status is Status.INFEASIBLE

    if len(printed.figures) > MOST_NARROWED:
        single = (_of_class(printed, c) for c in range(len(printed.classes)))
        guilty = next((p for p in single if p.figures and excluded(p)), None)
        return printed if guilty is None else _narrow(guilty)
    # Halves first: of a large table mostly a single class is concerned.
    size = len(printed.figures) // 2
    while size:
        start = 0
        while start < len(printed.figures):
            fewer = printed.without(printed.figures[start : start + size])
            if fewer.figures and excluded(fewer):
                printed = fewer
            else:
                start += size
        size //= 2
    for free in (Setting(printed.setting.n_classes), replace(printed.setting, support=None)):
        freed = replace(printed, setting=free)
        if free != printed.setting and excluded(freed):
            return freed
    return printed


def _of_class(printed: Print, c: int) -> Print:
    """A class's own figures, with all other classes as one: its counts are the same."""
    own = tuple(f for f in printed.figures if f.class_name == printed.classes[c])
    n, stated = printed.setting.size, printed.setting.support
    support = (stated[c], sum(stated) - stated[c]) if stated else None
    classes = (printed.classes[c], "all others")
    return replace(printed, figures=own, setting=Setting(2, n, support), classes=classes)


def _fits_without(printed: Print, figure: Figure) -> bool:
    rest = printed.without([figure])
    return rest.decide(rest.statements(), ROUNDS_PART).status is not Status.INFEASIBLE


def _arithmetic(least: Print) -> list[str]:
    """Each number of the set beside what the others allow."""
    if least.runs is not None and least.runs > 1:
        return _harmonic_lines(least)
    lines = []
    for figure in least.figures[:6]:
        rest = least.without([figure])
        position = least.classes.index(figure.class_name) if figure.class_name else None
        limits = bound(least.setting, rest.statements(), figure.metric, position)
        if limits is not None:
            digits = figure.digits + 2
            given = f"given {_list(rest.figures)}" if rest.figures else "by the cases alone"
            low, high = limits
            if figure.value > high or figure.value < low:
                lines.append(
                    f"{given}{_cases(least)}, {name(figure, False)} lies from {low:.{digits}f} to "
                    f"{high:.{digits}f}; printed {figure.printed}"
                )
    related = [] if least.setting.support else [*relation_lines(least.figures, len(least.classes))]
    return lines or _nearest_lines(least) or _harmonic_lines(least) or related or [WHOLE]


#: Said where each number lies within what the others allow, but for whole cases.
WHOLE = "as shares each of them lies within what the others allow; no whole numbers of cases give all at once"


def _nearest_lines(least: Print) -> list[str]:
    """For a class's F1 or precision alone: the nearest values that whole cases give."""
    figure, support = least.figures[0], least.setting.support
    if len(least.figures) > 1 or support is None or not figure.class_name:
        return []
    s, n = support[least.classes.index(figure.class_name)], sum(support)
    predicted = np.arange(1, n + 1)[:, None]
    hits = np.arange(s + 1)[None, :]
    if figure.metric == "f1":
        values, text = 2 * hits / (s + predicted), "2·{t}/({s} + {p})"
    elif figure.metric == "precision":
        values, text = hits / predicted, "{t}/{p}"
    else:
        return []
    values = np.where((hits <= predicted) & (predicted - hits <= n - s), values, np.nan)
    shown = []
    for side in (values - figure.value, figure.value - values):
        away = np.where(side >= 0, side, np.nan)
        if np.isfinite(away).any():
            i, t = np.unravel_index(int(np.nanargmin(away)), away.shape)
            formula = text.format(t=int(t), s=s, p=int(i) + 1)
            shown.append(f"{formula} = {values[i, t]:.{figure.digits + 2}f}")
    return [f"the nearest that whole cases give: {', '.join(shown)}; printed {figure.printed}"]


def _harmonic_lines(least: Print) -> list[str]:
    """2PR/(P+R) of the printed precision and recall, where both stand beside an F1."""
    values = {(f.metric, f.class_name): f for f in least.figures}
    lines = []
    for (metric, class_name), figure in values.items():
        if not metric.endswith("f1"):
            continue
        sides = [values.get((metric.replace("f1", s), class_name)) for s in ("precision", "recall")]
        if sides[0] is not None and sides[1] is not None:
            p, r = sides[0].value, sides[1].value
            f1 = 2 * p * r / (p + r) if p + r else 0.0
            lines.append(
                f"2·{p:g}·{r:g}/({p:g} + {r:g}) = {f1:.{figure.digits + 2}f}; "
                f"printed {name(figure, False)} {figure.printed}"
            )
    return lines


def _settle(least: Print, meanings: Sequence[str]) -> str:
    """The one number to ask for."""
    classes = list(dict.fromkeys(f.class_name for f in least.figures if f.class_name))
    if len(classes) == 1 and all(f.class_name for f in least.figures):
        ask = f"for {classes[0]}, the cases, the predictions and how many of both are right"
    elif least.setting.support is None and len(least.figures) > 1:
        ask = "the cases per class, and the confusion matrix"
    else:
        ask = "the confusion matrix"
    how = " and how the numbers were averaged and rounded" if meanings else ""
    return f"ask for {ask}{how}"


def _limits(
    printed: Print, left_out: Sequence[Figure], common: dict[str, Any]
) -> Iterator[Finding]:
    """What the printed numbers allow of headline metrics that are not printed."""
    said = {SAME.get(f.metric, f.metric) for f in printed.figures if not f.class_name}
    for metric in HEADLINE:
        if metric in said:
            continue
        limits = bound(printed.setting, printed.statements(), metric)
        if limits is None or limits[1] - limits[0] > WIDEST:
            continue
        low, high = limits
        odd = next((f.printed for f in left_out if f.metric == metric and not f.class_name), "")
        lead = (
            f"printed {odd}, see above; the others" if odd else "not printed; the printed numbers"
        )
        what = f"{lead} allow {low:.3f} to {high:.3f}"
        yield Finding(
            outcome=Outcome.CANNOT_TELL,
            what=what,
            recomputed=f"{low:.3f} to {high:.3f}",
            **common | {"metric": metric},
        )


def _example(printed: Print, example: Margins | None) -> list[str]:
    if example is None or printed.setting.size is None:
        return []
    shown = ", ".join(
        f"{c} {int(t)} right of {int(s)} ({int(p)} predicted)"
        for c, s, p, t in zip(
            printed.classes[:12], example.support, example.predicted, example.hits, strict=False
        )
    )
    more = f" and {len(printed.classes) - 12} more" if len(printed.classes) > 12 else ""
    return [f"for example {shown}{more}; others print the same"]


def _cases(printed: Print) -> str:
    n = printed.setting.size
    if n is None:
        return ""
    return f" with {n:,} cases" + (" as stated per class" if printed.setting.support else "")


def name(figure: Figure, with_value: bool = True) -> str:
    """A figure in words: "recall of a class 0.58"."""
    words = figure.metric.replace("_", " ").replace("f1", "F1")
    words = f"{words} of {figure.class_name}" if figure.class_name else words
    return f"{words} {figure.printed}" if with_value else words


def _list(figures: Sequence[Figure], last: str = "and") -> str:
    names = [name(f) for f in figures]
    if len(names) > 8:
        names = [*names[:7], f"{len(names) - 7} more"]
    return f" {last} ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
