"""What an audit's source says of its arms, beside printed and recomputed numbers; and what is odd."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from milkreport.checks.audit.findings import Finding, Outcome
from milkreport.checks.audit.margins import SAME
from milkreport.checks.audit.matrices_check import Matrices, value_of
from milkreport.checks.audit.standing import LEAST_SAID, TOLERATED, Standing, weigh_order
from milkreport.checks.expand import difference_bounds, read_estimate, summarise_counts
from milkreport.checks.reference import Reference
from milkreport.checks.statements import Claim, Figure


def audit_claims(reference: Reference, matrices: Matrices) -> Iterator[Finding]:
    """Does each claim hold for the printed numbers and those of the matrices, and would it stand?"""
    for claim in reference.claims:
        yield _check(reference, matrices, claim)
        yield from _stand(reference, claim)


def _check(reference: Reference, matrices: Matrices, claim: Claim) -> Finding:
    figures = _figures(reference, claim, claim.part)
    rivals = claim.than or [arm for arm in figures if arm != claim.arm]
    common: dict[str, Any] = {
        "topic": "claim", "arm": claim.arm, "part": claim.part, "metric": claim.metric,
        "class_name": claim.class_name, "stands": claim.stands,
    }  # fmt: skip
    named, arms = f"“{claim.text}”", [claim.arm, *rivals]
    missing = [arm for arm in arms if arm not in figures]
    if missing or not rivals:
        who = ", ".join(reference.title_of(arm) for arm in missing) or "another arm"
        metric = f"{claim.metric} of {claim.class_name}" if claim.class_name else claim.metric
        what = f"{named}: no {metric} of {who} is printed"
        return Finding(outcome=Outcome.CANNOT_TELL, what=what, **common)
    printed = {arm: figures[arm].value for arm in arms}
    counted = dict(printed)
    for arm in arms:
        audited = matrices.get((arm, claim.part))
        value = value_of(audited.counts, figures[arm], reference.classes) if audited else None
        counted[arm] = printed[arm] if value is None else value
    as_printed, as_counted = _holds(claim, printed, rivals), _holds(claim, counted, rivals)
    if as_printed == as_counted:
        what = f"{named}: {'holds' if as_printed else 'does not hold'}"
    else:
        sides = ("as printed", "by the confusion matrices")
        good, bad = sides if as_printed else sides[::-1]
        what = f"{named}: holds {good}, does not hold {bad}"
    shown = {arm: figures[arm].printed for arm in arms}
    known = {arm: f"{counted[arm]:.4f}" for arm in arms if (arm, claim.part) in matrices}
    notes = [_beside(reference, shown, "printed")]
    notes += [_beside(reference, known, "by the confusion matrices")] if known else []
    notes += _uncertainty(reference, matrices, claim, figures, rivals, counted)
    agrees = as_printed and as_counted
    if not agrees:
        notes += _elsewhere(reference, claim, rivals)
    return Finding(
        outcome=Outcome.AGREES if agrees else Outcome.DIFFERS,
        what=what,
        notes=notes,
        settle="" if agrees else "ask which is meant, the statement or the numbers",
        **common,
    )


def _stand(reference: Reference, claim: Claim) -> Iterator[Finding]:
    """How probable it is that a claimed order is false, where the claim is of shares of the same cases."""
    figures = _figures(reference, claim, claim.part)
    rivals = [arm for arm in claim.than or figures if arm != claim.arm and arm in figures]
    if claim.arm not in figures or not rivals:
        return
    printed = {arm: figures[arm].value for arm in [claim.arm, *rivals]}
    if not _holds(claim, printed, rivals) or reference.mean_over.get(claim.part, 1) > 1:
        return
    nearest = min(rivals, key=lambda arm: abs(printed[claim.arm] - printed[arm]))
    pair = (figures[claim.arm], figures[nearest])
    above, below = pair if claim.relation in ("highest", "higher") else pair[::-1]
    weighed = _weigh(reference, above, below)
    if weighed is None:
        return
    found, n = weighed
    most, between, least = (max(p, LEAST_SAID) for p in found.usual)
    if most <= TOLERATED:
        outcome, verdict = Outcome.AGREES, "stands"
    elif least <= TOLERATED:
        outcome = Outcome.CANNOT_TELL
        verdict = "stands only if such models mostly differ more, or are right on the same cases"
    else:
        outcome, verdict = Outcome.QUESTIONABLE, "may be due to chance"
    enough = f"{found.enough:,} cases" if found.enough else "more than a million cases"
    yield Finding(
        outcome=outcome,
        topic="claim",
        arm=claim.arm,
        part=claim.part,
        metric=claim.metric,
        class_name=claim.class_name,
        stands=claim.stands,
        value=most,
        what=f"“{claim.text}”: the order {verdict}: it is false with a probability of at most about "
        f"{most:.2g}, for {above.printed} and {below.printed} ({reference.title_of(nearest)}) on {n:,} cases",
        arithmetic=[
            "assumed: true differences between such models have a standard deviation of 2 points or more, "
            "and the number of cases that both have right is in the upper half of what their accuracies "
            "allow, as measured for other models; otherwise the probability is larger",
            f"{between:.2g} with a standard deviation of 5 points, {least:.2g} with 10 points and models "
            "that are mostly right on the same cases",
            f"over every number of cases that both can have right: {found.least:.2g} to {found.most:.2g}",
            f"with the same shares it would stand from {enough} on",
        ],
        settle="ask on how many cases both are right, or for the predictions",
        notes=["cases taken as independent, training noise not counted"],
    )


def _weigh(reference: Reference, above: Figure, below: Figure) -> tuple[Standing, int] | None:
    """How sure the order of two printed numbers is, and on how many cases, where shares decide it."""
    support = reference.support.get(above.part, {})
    metric, class_name = SAME.get(above.metric, above.metric), above.class_name
    if metric == "balanced_accuracy" and not class_name:
        of = {(f.arm, f.class_name): f for f in reference.figures
              if f.part == above.part and f.metric == "recall"}  # fmt: skip
        named = [c for c in reference.classes if support.get(c)]
        sides = [[of.get((f.arm, c)) for c in named] for f in (above, below)]
        recalls = [[f for f in side if f is not None] for side in sides]
        if not named or any(len(side) < len(named) for side in recalls):
            return None
        cases = [support[c] for c in named]
        found = weigh_order(recalls[0], recalls[1], cases)
        return None if found is None else (found, sum(cases))
    n = support.get(class_name) if class_name else reference.n.get(above.part)
    if metric != ("recall" if class_name else "accuracy") or not n:
        return None
    found = weigh_order([above], [below], [n])
    return None if found is None else (found, n)


def _figures(reference: Reference, claim: Claim, part: str) -> dict[str, Figure]:
    """The claim's metric on a part, by arm."""
    wanted = (part, claim.metric, claim.class_name)
    return {f.arm: f for f in reference.figures if (f.part, f.metric, f.class_name) == wanted}


def _elsewhere(reference: Reference, claim: Claim, rivals: list[str]) -> list[str]:
    """Other parts on which the claim would hold as printed."""
    notes = []
    for part in ("train", "validation", "test"):
        figures = _figures(reference, claim, part)
        if part == claim.part or not {claim.arm, *rivals} <= figures.keys():
            continue
        if _holds(claim, {arm: f.value for arm, f in figures.items()}, rivals):
            shown = {arm: figures[arm].printed for arm in [claim.arm, *rivals]}
            notes.append(_beside(reference, shown, f"it would hold on the {part} part, printed"))
    return notes


def _holds(claim: Claim, values: dict[str, float], rivals: list[str]) -> bool:
    mine = values[claim.arm]
    above = claim.relation in ("highest", "higher")
    return all(mine > values[r] if above else mine < values[r] for r in rivals)


def _beside(reference: Reference, shown: dict[str, str], source: str) -> str:
    """The values that a claim compares, the claimed arm's first."""
    values = ", ".join(f"{text} ({reference.title_of(arm)})" for arm, text in shown.items())
    return f"{source}: {values}"


def _uncertainty(
    reference: Reference,
    matrices: Matrices,
    claim: Claim,
    figures: dict[str, Figure],
    rivals: list[str],
    counted: dict[str, float],
) -> list[str]:
    """How sure the nearest rival's distance is, from the matrices alone; their cases can't be paired."""
    nearest = min(rivals, key=lambda arm: abs(counted[claim.arm] - counted[arm]))
    sides = []
    for arm in (claim.arm, nearest):
        audited = matrices.get((arm, claim.part))
        if audited is None:
            return []
        part = summarise_counts(audited.counts, reference.classes)
        sides.append(read_estimate(part, figures[arm]))
    low, high = difference_bounds(sides[0], sides[1])
    if not math.isfinite(low):
        return []
    gap = counted[claim.arm] - counted[nearest]
    verdict = "includes 0" if low <= 0 <= high else "excludes 0"
    return [
        f"difference from {reference.title_of(nearest)}: {gap:+.4f}; the 95% interval, {low:+.3f} to "
        f"{high:+.3f}, {verdict} (cases taken as independent, training noise not counted)"
    ]


def audit_behaviour(reference: Reference, matrices: Matrices) -> Iterator[Finding]:
    """Arms that are said to correct an imbalance, and whose answers do not look so."""
    corrected = {arm.name: arm for arm in reference.arms if arm.correction != "none"}
    for (name, part), audited in matrices.items():
        if name not in corrected:
            continue
        arm, counts = corrected[name], audited.counts
        support, answers = counts.sum(axis=1), counts.sum(axis=0)
        never = [
            c for c, n, s in zip(reference.classes, answers, support, strict=True) if s and not n
        ]
        common: dict[str, Any] = {
            "topic": "behaviour", "arm": name, "part": part, "stands": audited.matrix.stands,
        }  # fmt: skip
        end = f", though the arm corrects for the imbalance ({arm.correction}); the text gives no reason"
        if never:
            n = np.count_nonzero(support)
            what = f"never predicts {len(never)} of {n} classes ({', '.join(never)}){end}"
            yield Finding(outcome=Outcome.QUESTIONABLE, what=what, **common)
        most = int(support.argmax())
        mine, theirs = answers[most] / answers.sum(), support[most] / support.sum()
        if mine > theirs:
            what = (
                f"predicts {reference.classes[most]}, the most frequent class, in {mine:.0%} of the cases "
                f"({theirs:.0%} are of it){end}"
            )
            yield Finding(outcome=Outcome.QUESTIONABLE, what=what, **common)
