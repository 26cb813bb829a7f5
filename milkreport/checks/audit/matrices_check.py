"""Printed matrices of an audit's source: shape, row sums, totals; and the counts that metrics rest on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from milkreport.checks.audit.findings import Finding, Outcome
from milkreport.checks.audit.matrices import (
    Completion,
    Reading,
    complete,
    consensus,
    read_matrix,
    transpose,
)
from milkreport.checks.audit.rounding import is_about, is_rounded
from milkreport.checks.reference import Reference
from milkreport.checks.statements import Figure, Matrix
from milkreport.evaluation.metrics.confusion import score_classes, score_confusion
from milkreport.evaluation.records.data import Part
from milkreport.tables import plural

#: Counts in all ways to mend the matrices of a reference, each scored for every figure.
MOST_TRIED = 50_000_000

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Audited:
    """One arm's matrix on one part, in the reading that fits the printed metrics best.

    ``completions``: matrices with the support that the source states or its matrices share; empty where that
    is not known or too much is missing. ``fitting``: those of them with which most printed metrics agree, and
    ``n_fitting`` how many metrics that is.
    """

    matrix: Matrix
    reading: Reading
    completions: tuple[Completion, ...]
    fitting: tuple[Completion, ...]
    n_fitting: int
    adds_up: bool = False  # its rows are the support, where that is known

    @property
    def counts(self) -> Ints:
        """The counts as printed, missing cases not added: int64 (k, k), rows true."""
        return self.reading.counts


#: The matrices of a reference by arm and part.
Matrices = Mapping[tuple[str, Part], Audited]


def value_of(counts: Ints, figure: Figure, classes: list[str]) -> float | None:
    """What a figure is by its matrix; ``None`` where it is undefined or does not follow from counts."""
    if figure.class_name:
        by_class = score_classes(counts)
        values = by_class.get(figure.metric)
        value = np.nan if values is None else values[classes.index(figure.class_name)]
    else:
        value = score_confusion(counts).get(figure.metric, np.array(np.nan))
    return float(value) if np.isfinite(value) else None


def audit_matrices(
    reference: Reference,
) -> tuple[dict[tuple[str, Part], Audited], list[Finding]]:
    """Read every printed matrix, and say what its rows add up to."""
    readings = [read_matrix(m.rows, reference.classes) for m in reference.matrices]
    # Whichever zero is taken out, rows add up to the same. Columns: of matrices printed the other way.
    rows, columns = (_all_sums(reference, readings, axis) for axis in (1, 0))
    found: dict[tuple[str, Part], Audited] = {}
    findings: list[Finding] = []
    left = MOST_TRIED
    for matrix, mine in zip(reference.matrices, readings, strict=True):
        support, source = _support(reference, matrix.part, rows, columns)
        mine = [*mine, *_other_way(mine, support)]
        # Every way to mend it is compared with every figure: of many classes there are too many.
        n_figures = max(len(figures_of(reference, matrix)), 1)
        tried = len(mine) * n_figures * len(reference.classes) ** 4
        left -= tried if (is_tried := tried <= left) else 0
        mended = support if is_tried else None
        chosen = mine if is_tried else mine[:1]
        rivals = [_fit(reference, matrix, reading, mended) for reading in chosen]
        best = max(rivals, key=lambda audited: (audited.n_fitting, audited.adds_up), default=None)
        findings.append(_shape(reference, matrix, best, rivals))
        if best is not None:
            found[matrix.arm, matrix.part] = best
            findings += _sums(reference, best, support, source)
    return found, findings


def figures_of(reference: Reference, matrix: Matrix) -> list[Figure]:
    """Printed figures that follow from a matrix."""
    return [f for f in reference.figures if (f.arm, f.part) == (matrix.arm, matrix.part)]


def agrees(reference: Reference, figure: Figure, value: float | None) -> bool:
    """Whether a value is printed so: to the nearest, or within a unit where the source says "about"."""
    if value is None:
        return False
    about = (figure.rounding or reference.rounding) == "about"
    return is_about(figure.printed, value) if about else is_rounded(figure.printed, value)


def _fit(reference: Reference, matrix: Matrix, reading: Reading, support: Ints | None) -> Audited:
    """A reading with the completions that most printed figures agree with."""
    completions = [] if support is None else complete(reading.counts, support, reference.classes)
    figures = figures_of(reference, matrix)

    def score(c: Completion) -> int:
        values = [value_of(c.counts, figure, reference.classes) for figure in figures]
        return sum(agrees(reference, f, v) for f, v in zip(figures, values, strict=True))

    scores = [score(c) for c in completions or [Completion(reading.counts, ())]]
    fitting = [c for c, n in zip(completions, scores, strict=False) if n == max(scores)]
    adds_up = support is not None and bool((reading.counts.sum(axis=1) == support).all())
    return Audited(matrix, reading, tuple(completions), tuple(fitting), max(scores), adds_up)


def _shape(
    reference: Reference, matrix: Matrix, best: Audited | None, rivals: list[Audited]
) -> Finding:
    k, lengths = len(reference.classes), [len(row) for row in matrix.rows]
    common = _common(matrix)
    notes = [matrix.note] if matrix.note else []
    if best is None:
        shape = f"{len(lengths)} rows of {min(lengths, default=0)} to {max(lengths, default=0)}"
        what = f"{shape} numbers can't be read as a matrix of {k} classes"
        return Finding(outcome=Outcome.DIFFERS, what=what, notes=notes, **common)
    if not best.reading.repairs:
        what = f"{k} rows of {k} counts"
        return Finding(outcome=Outcome.AGREES, what=what, notes=notes, **common)
    if best.reading.transposed:
        n, of = best.n_fitting, len(figures_of(reference, matrix))
        as_printed = max(r.n_fitting for r in rivals if not r.reading.transposed)
        notes.insert(
            0, f"read like this, {n} of the {of} printed metrics agree; as printed, {as_printed}"
        )
        what = "; ".join(best.reading.repairs)
        return Finding(outcome=Outcome.QUESTIONABLE, what=what, notes=notes, **common)
    if len(rivals) > 1:
        notes.insert(0, _told(reference, matrix, best, rivals))
    what = "misprinted: " + "; ".join(best.reading.repairs)
    settle = "ask for the matrix as a table of numbers"
    return Finding(outcome=Outcome.DIFFERS, what=what, notes=notes, settle=settle, **common)


def _told(reference: Reference, matrix: Matrix, best: Audited, rivals: list[Audited]) -> str:
    """How the reading was told from the others."""
    scores = sorted((audited.n_fitting for audited in rivals), reverse=True)
    if scores[0] == scores[1]:
        return "the printed metrics do not show which zero is the extra one"
    n = len(figures_of(reference, matrix))
    others = f"at most {scores[1]}" if scores[1] else "none"
    return (
        f"the print can be read in {len(rivals)} ways: read like this, {scores[0]} of the {n} printed "
        f"metrics agree; read in any other way, {others}"
    )


def _common(matrix: Matrix) -> dict[str, Any]:
    return {
        "topic": "matrix", "arm": matrix.arm, "part": matrix.part, "stands": matrix.stands,
    }  # fmt: skip


#: Sums by part and arm, int64 (k,) each.
Sums = Mapping[Part, Mapping[str, Ints]]


def _all_sums(reference: Reference, readings: list[list[Reading]], axis: int) -> Sums:
    found: dict[Part, dict[str, Ints]] = {}
    for matrix, mine in zip(reference.matrices, readings, strict=True):
        if mine:
            sums = np.asarray(mine[0].counts.sum(axis=axis), np.int64)
            found.setdefault(matrix.part, {})[matrix.arm] = sums
    return found


def _other_way(readings: list[Reading], support: Ints | None) -> list[Reading]:
    """The transposed reading, unless rows as printed are the support or its columns are not."""
    if support is None:
        return transpose(readings)
    as_printed = any((r.counts.sum(axis=1) == support).all() for r in readings)
    turned = transpose(readings)
    return [] if as_printed else [r for r in turned if (r.counts.sum(axis=1) == support).all()]


def _support(
    reference: Reference, part: Part, rows: Sums, columns: Sums
) -> tuple[Ints | None, str]:
    """Cases by class, as stated or as most matrices have them."""
    stated = reference.support.get(part)
    if stated:
        return np.array([stated.get(c, 0) for c in reference.classes], np.int64), "stated"
    source = "in most of the other matrices"
    found = consensus(rows.get(part, {}))
    return (consensus(columns.get(part, {})) if found is None else found), source


def _sums(
    reference: Reference, audited: Audited, support: Ints | None, source: str
) -> Iterator[Finding]:
    matrix, rows = audited.matrix, audited.counts.sum(axis=1)
    total, common = int(rows.sum()), _common(matrix)
    if support is None:
        what = "the source does not say what its rows must add up to"
        yield Finding(outcome=Outcome.CANNOT_TELL, what=what, **common)
    elif wrong := np.flatnonzero(rows != support).tolist():
        shown = ", ".join(
            f"{reference.classes[i]} {rows[i]:,} (not {support[i]:,})" for i in wrong[:5]
        )
        more = f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""
        what = f"row sums differ from those {source}: {shown}{more}"
        notes = _lacking(reference, audited, support - rows)
        yield Finding(outcome=Outcome.DIFFERS, what=what, notes=notes, **common)
    else:
        what = f"all {len(rows)} row sums are those {source}"
        yield Finding(outcome=Outcome.AGREES, what=what, **common)
    if matrix.part in reference.n:
        n = reference.n[matrix.part]
        yield Finding(
            outcome=Outcome.AGREES if total == n else Outcome.DIFFERS,
            what=f"{total:,} cases in all" + ("" if total == n else f", not {n:,}"),
            printed=f"{n:,}",
            recomputed=f"{total:,}",
            value=float(total),
            **common,
        )


def mended_cases(gaps: Ints, classes: list[str]) -> str:
    """The cases that a matrix is missing or has too many, in words.

    Args:
        gaps: how many cases each row is missing, int64 (k,); negative where it has too many.
    """
    kind = "missing" if (gaps >= 0).all() else "extra" if (gaps <= 0).all() else "missing or extra"
    rows = " and ".join(classes[i] for i in np.flatnonzero(gaps))
    return (
        f"the {kind} case of {rows}" if np.abs(gaps).sum() == 1 else f"each {kind} case of {rows}"
    )


def _lacking(reference: Reference, audited: Audited, gaps: Ints) -> list[str]:
    """How many cases are missing, and with which predictions most printed metrics agree."""
    total = int(gaps.sum())
    n = plural(abs(total), "case", "cases")
    notes = [f"the matrix is missing {n}" if total > 0 else f"the matrix has {n} too many"]
    notes = notes if total else []
    of = mended_cases(gaps, reference.classes)
    if not audited.completions or not audited.n_fitting:
        return notes
    figures = len(figures_of(reference, audited.matrix))
    if len(audited.fitting) == len(audited.completions):
        return [*notes, f"how {of} was predicted cannot be decided: all classes fit equally well"]
    answers = " or ".join(dict.fromkeys(", ".join(c.assumed) for c in audited.fitting))
    return [
        *notes,
        f"most printed metrics ({audited.n_fitting} of {figures}) agree if {of} was predicted as {answers}",
    ]
