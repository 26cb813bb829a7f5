"""Printed metrics of an audit's source, computed again from its matrices, or compared with its counts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from milkreport.checks.audit.findings import Finding, Outcome, Verdict
from milkreport.checks.audit.matrices import Completion
from milkreport.checks.audit.matrices_check import (
    Audited,
    Matrices,
    agrees,
    mended_cases,
    value_of,
)
from milkreport.checks.audit.rounding import (
    Batches,
    find_counts,
    find_near,
    is_about,
    is_cut,
    is_rounded,
)
from milkreport.checks.reference import Reference
from milkreport.checks.statements import Figure

#: The suite setting that a source's batches are read from, where it states any.
BATCH = "training.batch_size"


def audit_metrics(reference: Reference, matrices: Matrices) -> Iterator[Finding]:
    """Every printed figure: recomputed where a matrix allows it, else by what whole cases allow."""
    evidence = _rounded_elsewhere(reference, matrices)
    for figure in reference.figures:
        audited = matrices.get((figure.arm, figure.part))
        value = value_of(audited.counts, figure, reference.classes) if audited else None
        if audited is None or value is None:
            yield _by_counts(reference, figure)
        else:
            yield _recomputed(reference, figure, audited, value, evidence)
    for figure in reference.repeats:
        yield _repeated(reference, figure)


def _recomputed(
    reference: Reference, figure: Figure, audited: Audited, value: float, evidence: str
) -> Finding:
    tried = [c for c in audited.completions if c.assumed]
    fitting = [
        c for c in tried if agrees(reference, figure, value_of(c.counts, figure, reference.classes))
    ]
    alone = agrees(reference, figure, value)
    digits = max(4, figure.digits)
    what = f"printed {figure.printed}; its confusion matrix gives {value:.{digits}f}"
    if fitting and not alone:
        what += ", and the printed value with the missing case"
    notes = _mended(reference, audited, tried, fitting)
    if not alone and not fitting:
        notes += _explanations(reference, figure, audited, value, evidence)
    return Finding(
        outcome=Outcome.AGREES if alone or fitting else Outcome.DIFFERS,
        what=what,
        recomputed=f"{value:.{digits}f}",
        value=value,
        notes=notes,
        settle="" if alone or fitting else "ask which is right, the printed value or the matrix",
        **_common(figure),
    )


def _mended(
    reference: Reference,
    audited: Audited,
    tried: Sequence[Completion],
    fitting: Sequence[Completion],
) -> list[str]:
    """With which predictions of the missing cases the printed value agrees."""
    if not tried:
        return []
    others = [c for c in tried if c not in fitting]
    gaps = tried[0].counts.sum(axis=1) - audited.counts.sum(axis=1)
    case = mended_cases(gaps, reference.classes)
    if not fitting:
        return [f"does not agree whichever class {case} was predicted as"]
    if not others:
        return [f"agrees whichever class {case} was predicted as"]
    if len(others) < len(fitting):
        return [f"agrees unless {case} was predicted as {_answers(others)}"]
    return [f"agrees if {case} was predicted as {_answers(fitting)}"]


def _answers(completions: Sequence[Completion]) -> str:
    return " or ".join(dict.fromkeys(", ".join(c.assumed) for c in completions))


def _common(figure: Figure) -> dict[str, Any]:
    return {
        "topic": "metric", "arm": figure.arm, "part": figure.part, "metric": figure.metric,
        "class_name": figure.class_name, "printed": figure.printed, "stands": figure.stands,
    }  # fmt: skip


def _explanations(
    reference: Reference, figure: Figure, audited: Audited, value: float, evidence: str
) -> list[str]:
    """What could make the printed value of the matrix's counts, and what could not."""
    if is_cut(figure.printed, value):
        habit = f", but elsewhere the source rounds: {evidence}" if evidence else ""
        notes = [f"would agree if truncated{habit}"]
    else:
        notes = ["would not agree if truncated either"]
    n = _cases(reference, figure)
    if n is not None and not find_counts(figure.printed, n)[0]:
        cut = find_counts(figure.printed, n)[1]
        truncated = f"; truncated, {_counts_text(cut, n)} does" if cut else ", nor if truncated"
        notes.append(_no_count(figure, n) + truncated)
    if figure.metric == "accuracy" and not figure.class_name:
        counts = [c.counts for c in audited.completions] or [audited.counts]
        hits = {int(c.trace()) for c in counts}
        notes += _batch_notes(reference, figure, int(counts[0].sum()), hits)
    return notes


def _batch_notes(reference: Reference, figure: Figure, n: int, hits: set[int]) -> list[str]:
    """Whether a mean over batches of the stated size could be printed so."""
    size = reference.protocol.get(BATCH)
    if not isinstance(size, int) or not 1 < size < n or n % size == 0:
        return []
    batches = Batches(n, size)
    fitting: set[int] = set()
    for k in hits:
        right, means = batches.means(k)
        fitting |= {
            int(r)
            for r, mean in zip(right, means, strict=True)
            if is_rounded(figure.printed, float(mean))
        }
    most = max(batches.most(k) for k in hits)
    lead = f"averaging over batches of {size} (the last has {batches.last} cases)"
    if not fitting:
        return [f"{lead} does not explain it: it moves the value by at most {most:.4f}"]
    span = f"{min(fitting)} to {max(fitting)}" if len(fitting) > 1 else f"{min(fitting)}"
    return [f"{lead} would explain it if {span} of the last {batches.last} predictions are correct"]


def _free_batch_note(reference: Reference, figure: Figure, n: int) -> list[str]:
    """Whether any number of right answers could be printed so as a mean over batches."""
    size = reference.protocol.get(BATCH)
    if (
        figure.metric != "accuracy"
        or not isinstance(size, int)
        or not 1 < size < n
        or n % size == 0
    ):
        return []
    batches = Batches(n, size)
    # The last batch moves the mean by less than its share of the batches.
    reach = int(n / (batches.whole + 1)) + 2
    middle = round(figure.value * n)
    for hits in range(max(0, middle - reach), min(n, middle + reach) + 1):
        if any(is_rounded(figure.printed, float(mean)) for mean in batches.means(hits)[1]):
            return [f"averaging over batches of {size} could explain it"]
    return [f"averaging over batches of {size} does not explain it"]


def _by_counts(reference: Reference, figure: Figure) -> Finding:
    """A figure without a matrix: can any number of right answers be printed so?"""
    n, common = _cases(reference, figure), _common(figure)
    lead = f"printed {figure.printed}, without a matrix"
    runs = reference.mean_over.get(figure.part)
    if n is None or (figure.rounding or reference.rounding) == "about" or (runs or 1) > 1:
        return Finding(outcome=Outcome.CANNOT_TELL, what=lead, **common)
    rounded, cut = find_counts(figure.printed, n)
    if rounded:
        what = f"{lead}; {_counts_text(rounded, n)} correct predictions round to it"
        return Finding(outcome=Outcome.CANNOT_TELL, what=what, **common)
    what = f"{lead}; {_no_count(figure, n)}"
    notes = [
        f"would agree if truncated: {_counts_text(cut, n)}"
        if cut
        else "no number agrees if truncated either"
    ]
    notes += _free_batch_note(reference, figure, n)
    if runs is None:
        notes.append("averaging over several folds or runs could explain it")
    below = min(n - 1, int(figure.value * n))
    near = [k for k in (below, below + 1) if 0 <= k <= n]
    explained = bool(cut) or runs is None or _one_off(figure, n)
    return Finding(
        outcome=Outcome.QUESTIONABLE if explained else Outcome.DIFFERS,
        verdict=Verdict.ONLY_IF if explained else Verdict.IMPOSSIBLE,
        what=what,
        notes=notes,
        arithmetic=[
            "; ".join(f"{k:,}/{n:,} = {k / n:.{figure.digits + 2}f}" for k in near)
            + f"; printed {figure.printed}"
        ],
        settle=f"ask for the number of correct predictions, and whether it is of {n:,} cases",
        **common,
    )


def _one_off(figure: Figure, n: int) -> bool:
    """Whether a share would print so with its last digit off by one."""
    return any(is_about(figure.printed, k / n) for k in find_near(figure.printed, n))


def _cases(reference: Reference, figure: Figure) -> int | None:
    """Cases that a share is of, where the figure is one: an accuracy, or a class's recall."""
    if figure.metric == "accuracy" and not figure.class_name:
        return reference.n.get(figure.part)
    if figure.metric == "recall" and figure.class_name:
        return reference.support.get(figure.part, {}).get(figure.class_name)
    return None


def _no_count(figure: Figure, n: int) -> str:
    """Said where no whole number of cases is printed so, rounded as usual."""
    return f"no number of correct predictions among {n:,} cases gives {figure.printed} if rounded"


def _counts_text(counts: Sequence[int], n: int) -> str:
    shown = f"{counts[0]:,}" if len(counts) == 1 else f"{counts[0]:,} to {counts[-1]:,}"
    return f"{shown} of {n:,}"


def _rounded_elsewhere(reference: Reference, matrices: Matrices) -> str:
    """A printed value that agrees with its matrix only if rounded, as evidence of the source's habit."""
    for figure in reference.figures:
        audited = matrices.get((figure.arm, figure.part))
        value = value_of(audited.counts, figure, reference.classes) if audited else None
        if (
            value is not None
            and is_rounded(figure.printed, value)
            and not is_cut(figure.printed, value)
        ):
            return f"{value:.6f} is printed {figure.printed}"
    return ""


def _repeated(reference: Reference, figure: Figure) -> Finding:
    """A figure that is printed twice: can both be one number?"""
    first = next((f for f in reference.figures if f.key == figure.key), None)
    common = _common(figure)
    if first is None:
        what = f"printed {figure.printed} here alone"
        return Finding(outcome=Outcome.CANNOT_TELL, what=what, **common)
    mine, theirs = figure.bounds(reference.rounding), first.bounds(reference.rounding)
    overlap = mine[0] <= theirs[1] and theirs[0] <= mine[1]
    place = f" ({first.stands})" if first.stands else ""
    return Finding(
        outcome=Outcome.AGREES if overlap else Outcome.DIFFERS,
        what=f"printed {figure.printed} here, {first.printed} elsewhere{place}",
        **common,
    )


def audit_sums(reference: Reference) -> Iterator[Finding]:
    """Counts that must add up to a stated total; cases per class, to all of them."""
    for part, counts in reference.support.items():
        total, cases = sum(counts.values()), reference.n.get(part)
        if reference.matrices or cases is None or total == cases:
            continue
        yield Finding(
            outcome=Outcome.DIFFERS,
            topic="count",
            part=part,
            what=f"the cases per class add up to {total:,}, not to {cases:,} as stated",
            printed=f"{cases:,}",
            recomputed=f"{total:,}",
            value=float(total),
            settle="ask for the cases per class",
        )
    for stated in reference.sums:
        found = sum(stated.parts.values())
        agrees = found == stated.total
        what = f"{stated.what}: {len(stated.parts)} counts add up to {found:,}"
        yield Finding(
            outcome=Outcome.AGREES if agrees else Outcome.DIFFERS,
            topic="count",
            what=what if agrees else f"{what}, not to {stated.total:,} as stated",
            printed=f"{stated.total:,}",
            recomputed=f"{found:,}",
            value=float(found),
            stands=stated.stands,
        )


def audit_shares(reference: Reference) -> Iterator[Finding]:
    """Shares that are stated beside the counts they are of."""
    for share in reference.shares:
        value = share.part / share.whole
        rounding = share.rounding or reference.rounding
        agrees = (
            is_about(share.printed, value)
            if rounding == "about"
            else is_rounded(share.printed, value)
        )
        said = f"{share.what}: {share.part:,} of {share.whole:,} is {value:.4f}"
        yield Finding(
            outcome=Outcome.AGREES if agrees else Outcome.DIFFERS,
            topic="count",
            what=said if agrees else f"{said}, printed {share.printed}",
            printed=share.printed,
            recomputed=f"{value:.4f}",
            value=value,
            stands=share.stands,
            notes=["would agree if truncated"]
            if not agrees and is_cut(share.printed, value)
            else [],
        )
