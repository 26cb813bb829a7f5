"""Which cases are scored, where predictions and truth do not hold the same ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from milkreport.errors import DataError, NeedsOption
from milkreport.evaluation.reading.class_names import plain_number
from milkreport.evaluation.records.data import Exclusion
from milkreport.tables import first_few


@dataclass(frozen=True)
class Predicted:
    """Test cases of one training.

    ``name``: of its file. ``has_parts``: the file names its test cases itself, and the truth may hold others.
    """

    name: str
    ids: frozenset[str]
    has_parts: bool


def refuse_other_cases(trainings: Sequence[Predicted], known: frozenset[str]) -> None:
    """Raise NeedsOption where the truth's cases (*known*) and the predictions' are not the same ones.

    Raises:
        DataError: no option could help.
    """
    for one in trainings:
        expected = one.ids & known if one.has_parts else known
        problems = [
            f"{len(ids)} {what}: {first_few(sorted(ids))}"
            for ids, what in (
                (expected - one.ids, "cases of the truth have no prediction"),
                (one.ids - expected, "predictions have no truth"),
            )
            if ids
        ]
        if not problems:
            continue
        what = "; ".join(problems)
        if {case.lstrip("0") for case in one.ids} == {case.lstrip("0") for case in expected}:
            do = "the ids differ in leading zeros alone: keep them as text where the file is made"
            raise DataError(what, do, one.name)
        if {plain_number(case) for case in one.ids} == {plain_number(case) for case in expected}:
            do = "the ids differ in .0 alone: keep them as text where the file is made"
            raise DataError(what, do, one.name)
        if not one.ids & known:
            raise DataError(what, "no id stands in both: are the id columns the same?", one.name)
        do = "give exactly one row per case; to score only the cases of both,"
        raise NeedsOption(what, ["--missing", "drop"], one.name, do)


def common_cases(
    trainings: Sequence[Predicted], known: frozenset[str]
) -> tuple[frozenset[str], tuple[Exclusion, ...]]:
    """Cases that the truth (*known*) and every training have; and how many others there are, by reason.

    Raises:
        DataError: there is none.
    """
    common = known.intersection(*(one.ids for one in trainings))
    if not common:
        what = "no case has a truth and a prediction in every file"
        some = [f"{one.name}: {first_few(sorted(one.ids), 2)}" for one in trainings[:3]]
        do = f"compare the ids; truth: {first_few(sorted(known), 2)}; {'; '.join(some)}"
        raise DataError(what, do)
    predicted = frozenset().union(*(one.ids for one in trainings))
    # The truth's other cases are no loss where every file says itself which cases are its test part.
    asked = predicted & known if all(one.has_parts for one in trainings) else known
    counts = {
        "no prediction" if len(trainings) == 1 else "not predicted by every file": len(
            asked - common
        ),
        "not in the truth": len(predicted - known),
    }
    return common, tuple(Exclusion(reason=why, n=n) for why, n in counts.items() if n)
