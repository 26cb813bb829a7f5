"""Rules about the answers themselves: majority class, classes without an answer, copies, few cases."""

from __future__ import annotations

import numpy as np

from milkreport.evaluation.records.parts import PartResult
from milkreport.evaluation.records.results import Results
from milkreport.evaluation.review.rule import Outcome, absent, named, passed, short, tested

#: Share of the cases of all other classes that get the majority's answer, from which an arm has no other.
ALMOST_ALL = 0.95
#: Fewer cases of other classes than this, and their answers say nothing.
FEWEST_OTHERS = 5
#: Fewer cases than this, and a class cannot be judged.
TOO_FEW = 10
#: Metrics that average over classes with equal weights begin so.
_MACRO = ("macro_", "balanced_")


def majority_only(results: Results) -> Outcome:
    """MR001: arms that answer the most frequent class for nearly all cases of the others."""
    shares = {
        arm: share for arm, part in tested(results) if (share := _swallowed(part)) is not None
    }
    if not shares:
        return absent("No arm was tested on cases of several classes.")
    major = _majority(next(part for _, part in tested(results)))
    worst_first = sorted(shares.items(), key=lambda one: -one[1])
    found = [f"{arm} ({share:.1%})" for arm, share in worst_first if share >= ALMOST_ALL]
    if found:
        return Outcome(
            "error",
            f"Nearly all {results.data.units} of other classes are predicted as {major}, the most frequent "
            f"class, by {named(found)}.",
            "Do not quote accuracy: it is the share of one class. Weight the loss or the sampling, train "
            "longer or at another learning rate, and look at recall per class.",
        )
    most = max(shares, key=shares.__getitem__)
    return passed(
        f"At most {shares[most]:.1%} of the {results.data.units} of other classes are predicted as {major}, "
        f"the most frequent class ({most})."
    )


def _majority(part: PartResult) -> str:
    return short(max(part.classes, key=lambda row: row.support).name)


def _swallowed(part: PartResult) -> float | None:
    """Share of the cases of all other classes that are answered as the most frequent one."""
    counts = np.array(part.confusion)
    support = counts.sum(axis=1)
    major = int(support.argmax())
    others = int(support.sum() - support[major])
    if others < FEWEST_OTHERS * part.n_seeds:
        return None
    return float((counts[:, major].sum() - counts[major, major]) / others)


def never_predicted(results: Results) -> Outcome:
    """MR002: classes that have cases and no answer, of arms that MR001 does not name."""
    arms = [(a, p) for a, p in tested(results) if (_swallowed(p) or 0) < ALMOST_ALL]
    if not arms:
        return absent("Every arm answers one class alone (MR001), or none was tested.")
    missed: list[tuple[int, str]] = []
    for arm, part in arms:
        silent = [row for row in part.classes if row.support > 0 and row.predicted == 0]
        if silent:
            silent.sort(key=lambda row: -row.support)
            listed = named([f"{short(row.name)} ({row.support:,})" for row in silent])
            missed.append((silent[0].support, f"{arm} never predicts {listed}"))
    if not missed:
        whose = (
            "Every arm"
            if len(arms) == len([*tested(results)])
            else "Every arm that MR001 does not name"
        )
        return passed(f"{whose} predicts every class that has cases at least once.")
    missed.sort(key=lambda one: -one[0])
    return Outcome(
        "warning" if missed[0][0] >= TOO_FEW else "note",
        f"{named([said for _, said in missed], '; ')} (test {results.data.units} in parentheses).",
        "Say so beside every average over classes: the recall of these classes is 0. More cases, a "
        "weighted loss or thresholds per class may give them answers.",
    )


def copied_cases(results: Results) -> Outcome:
    """MR010: test cases that share label and all probabilities, to many digits, with another one."""
    if results.copies is None:
        return absent("Not counted by the version that made these results; score them again.")
    n = max((part.n_cases for _, part in tested(results)), default=0)
    if not results.copies:
        return passed(
            f"No two of the {n:,} test {results.data.units} have one label and identical probabilities of "
            "enough digits to tell copies from chance."
        )
    return Outcome(
        "warning" if results.copies >= 0.01 * n else "note",
        f"{results.copies:,} of {n:,} test {results.data.units} have the same label and identical "
        "probabilities as another one in every arm and seed.",
        "Copies are not independent, and intervals are too narrow: remove them, or name their group by "
        "--group.",
    )


def few_cases(results: Results) -> Outcome:
    """MR011: classes with fewer than ten test cases, and what cannot be claimed of them."""
    part = next((part for _, part in tested(results)), None)
    if part is None:
        return absent("No arm was tested.")
    units = results.data.units
    rows = [row for row in part.classes if row.support > 0]
    rare = sorted((row for row in rows if row.support < TOO_FEW), key=lambda row: row.support)
    empty = [short(row.name) for row in part.classes if row.support == 0]
    if not rare and not empty:
        least = min(rows, key=lambda row: row.support)
        return passed(
            f"Every class has at least {TOO_FEW} test {units}; {short(least.name)} has the fewest "
            f"({least.support:,})."
        )
    said = [f"without any test {units}: {named(empty)}"] if empty else []
    if rare:
        listed = named([f"{short(row.name)} ({row.support:,})" for row in rare])
        # Clopper and Pearson's lower end where all of n cases are right.
        floor = 0.025 ** (1 / rare[0].support)
        said.append(
            f"{len(rare)} of {len(part.classes)} classes with fewer than {TOO_FEW} test {units}: {listed}; "
            f"the recall of {short(rare[0].name)} may be as "
            f"low as {floor:.2f} even if every answer is right"
        )
    macro = results.primary_metric.startswith(_MACRO)
    of_class = results.primary_metric.partition(":")[2] in {row.name for row in rare}
    weight = ""
    if macro and rare:
        weight = f"; each is one of the {len(rows)} equal terms of the primary metric"
    text = "; ".join(said) + weight
    return Outcome(
        "warning" if (macro or of_class) and rare else "note",
        f"{text[:1].upper()}{text[1:]}.",
        "Claim nothing about these classes, merge them beforehand where that makes sense, or pool the "
        "test parts of several folds.",
    )
