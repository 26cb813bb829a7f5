"""Which class a label, an answer or a column's name means: the name itself, a number, or a yes or no."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

import pandas as pd

from milkreport.tables import first_few

#: Two words that say no and yes, the second of which is the positive one.
PAIRS = (
    ("0", "1"),
    ("-1", "1"),
    ("false", "true"),
    ("no", "yes"),
    ("neg", "pos"),
    ("negative", "positive"),
)
_WHOLE = re.compile(r"([+-]?[0-9]+)(?:\.0*)?")


def plain_number(text: str) -> str:
    """``1`` for ``1.0``, as pandas writes whole numbers of a column with gaps; other text as it is."""
    match = _WHOLE.fullmatch(text)
    return match[1] if match else text


def tidy_labels(labels: pd.Series[str]) -> pd.Series[str]:
    """The same without decimal points, if all of them are whole numbers; else unchanged."""
    distinct = [str(label) for label in labels.unique()]
    if not all(_WHOLE.fullmatch(label) for label in distinct):
        return labels
    return labels.map({label: plain_number(label) for label in distinct})


def in_order(names: Iterable[str]) -> list[str]:
    """Sorted: numbers as numbers, if all of them are; no before yes."""
    listed = sorted(names)
    if (pair := yes_and_no(listed)) is not None:
        return list(pair)
    whole = all(_WHOLE.fullmatch(name) for name in listed)
    return sorted(listed, key=lambda name: int(plain_number(name))) if whole else listed


def yes_and_no(classes: Sequence[str]) -> tuple[str, str] | None:
    """Two classes that say no and yes, in this order; ``None`` if they say anything else."""
    said = {plain_number(name).casefold(): name for name in classes}
    for no, yes in PAIRS:
        if len(classes) == 2 and set(said) == {no, yes}:
            return said[no], said[yes]
    return None


def readings(classes: Sequence[str], numbered: bool) -> list[Callable[[str], str | None]]:
    """Ways in which a text may mean one of *classes*, the nearest first; each gives the class, or ``None``.

    Args:
        numbered: whether the order of *classes* is known, so that a number is a position in it, from 0.
    """
    known = {name: name for name in classes}
    ways: list[Callable[[str], str | None]] = [known.get]
    numbers = {plain_number(name): name for name in classes}
    if len(numbers) == len(classes):
        ways.append(lambda text: numbers.get(plain_number(text)))
    folded = {name.casefold(): name for name in classes}
    if len(folded) == len(classes):
        ways.append(lambda text: folded.get(text.casefold()))
    if (pair := yes_and_no(classes)) is not None:
        words = {word: pair[place] for both in PAIRS for place, word in enumerate(both)}
        ways.append(lambda text: words.get(plain_number(text).casefold()))
    if numbered:
        positions = {str(place): name for place, name in enumerate(classes)}
        ways.append(lambda text: positions.get(plain_number(text)))
    return ways


def match_names(
    names: Iterable[str], classes: Sequence[str], numbered: bool = False
) -> dict[str, str] | None:
    """The class that each of *names* means, all of them read in one way; ``None`` if no way fits them all."""
    listed = list(names)
    for read in readings(classes, numbered):
        found = {name: meant for name in listed if (meant := read(name)) is not None}
        # Two spellings of one class are one way to err: 0 and no, say.
        if len(found) == len(listed) == len(set(found.values())):
            return found
    return None


def equations(meant: dict[str, str]) -> str:
    """``0 = benign, 1 = malignant``; empty where every name means itself."""
    if all(name == other for name, other in meant.items()):
        return ""
    return first_few([f"{name} = {meant[name]}" for name in in_order(meant)], 10)
