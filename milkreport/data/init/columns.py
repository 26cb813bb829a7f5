"""What the columns of an unknown table seem to be; each guess says why, for its reader to judge."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from milkreport.columns import read_number
from milkreport.data.adapters.multilabel import as_yes_no, several_names, several_ones
from milkreport.data.adapters.spec import LEAKY
from milkreport.tables import first_few

MAX_TEXT = 200  # as in a description: longer names and classes can't stand there
MOST_CLASSES = 200
MOST_WORDS = 30
FREE_TEXT = 100  # characters
FEWEST_GROUPS = 10

#: Who or what several cases may stem from; such an id keeps more together than any other.
OWNERS = {"patient", "pat", "subject", "person", "participant", "individual", "donor"}
OWNERS |= {"animal", "plant", "owner", "proband"}
_NUMBERED = OWNERS | {"case", "image", "img", "photo", "study", "exam", "record", "sample", "slide"}
_ID_ENDINGS = {"id", "ids", "no", "nr", "num", "number", "key", "uid", "uuid", "hash", "pseudonym"}
_ID_ENDINGS |= {"name", "code", "index", "file", "filename"} | _NUMBERED

#: What a label is called, the likeliest first.
LABELS = (
    *("label", "diagnosis", "class", "target", "category", "finding", "disease", "condition"),
    *("truth", "outcome", "grade", "level"),
)
_LABELS = {f"{word}s": word for word in LABELS} | {"classes": "class", "categories": "category"}
_LABELS |= {"diagnostic": "diagnosis", "diagnostics": "diagnosis", "diagnoses": "diagnosis"}
_LABELS |= {"dx": "diagnosis", "gt": "truth", "diagnose": "diagnosis", "diagnosen": "diagnosis"}
_LABELS |= {"diagnostico": "diagnosis", "diagnóstico": "diagnosis", "diagnosi": "diagnosis"}
_LABELS |= {"befund": "finding", "klasse": "class", "classe": "class", "clase": "class"}
_NO_LABELS = {"type", "method", "confirmed", "source", "id", "date", "time", "score", "difficulty"}
_NO_LABELS |= {"age", "by", "confidence", "conf", "of"}
#: What a type that is a label is the type of.
_TYPED = {"cell", "tumor", "tumour", "cancer", "tissue", "disease", "polyp", "nodule"}
_ATTRIBUTES = {"sex", "gender", "site", "location", "localization", "localisation", "region"}
_ATTRIBUTES |= {"anatom", "race", "ethnicity", "side", "laterality", "camera", "device", "eye"}
_VIEWS = {"view", "type", "modality", "projection", "position", "kind", "stain", "side", "channel"}
_VIEWS |= {"magnification", "sequence", "mode"}
DATE = re.compile(r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}.*|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}.*", re.DOTALL)
ONES = ("1", "1.0")


@dataclass(frozen=True)
class Guess:
    """A column, or none, and why."""

    column: str
    why: str


@dataclass(frozen=True)
class LabelGuess:
    """Where the labels stand: in ``column``, in ``one_hot`` columns, or nowhere."""

    why: str
    column: str = ""
    one_hot: tuple[str, ...] = ()
    without_cases: tuple[str, ...] = ()  # one-hot columns that are never 1
    contains: str = ""  # of several labels in a cell, the one that is yes or no
    others: tuple[str, ...] = ()  # columns of other labels of the same cases
    unsure: tuple[str, ...] = ()  # labels of ``column`` that say neither yes nor no: -1

    @property
    def columns(self) -> set[str]:
        """All columns that hold it."""
        return {self.column, *self.one_hot, *self.without_cases, *self.others} - {""}

    def read(self, frame: pd.DataFrame) -> pd.Series[Any]:
        """The label of each row, as text."""
        if self.one_hot:
            ones = frame[list(self.one_hot)].isin(ONES)
            return ones.idxmax(axis=1).where(ones.any(axis=1))
        if self.contains:
            return as_yes_no(frame[self.column], self.contains)
        return frame[self.column] if self.column else pd.Series(None, frame.index, dtype=object)


def words(name: str) -> list[str]:
    """A column's name as lower-case words: ``PatientID`` and ``patient_id`` are both patient, id."""
    split = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    found = [word.lower() for word in re.findall(r"[^\W\d_]+|\d+", split)]
    pairs = [(w[:-2], "id") if w.endswith("id") and w[:-2] in _NUMBERED else (w,) for w in found]
    return [word for pair in pairs for word in pair]


def is_id_name(name: str) -> bool:
    """Whether a column is named like one that holds ids, numbers or file names."""
    return bool(found := words(name)) and found[-1] in _ID_ENDINGS


def is_number(cell: str) -> bool:
    """Whether a cell is a number, as :func:`milkreport.columns.read_numbers` takes it."""
    return not math.isnan(read_number(cell))


def guess_label(frame: pd.DataFrame, taken: Collection[str]) -> LabelGuess:
    """The label: a column that is named like one, else one-hot columns."""
    columns = [c for c in usable(frame) if c not in taken]
    named = []
    for position, column in enumerate(columns):
        found = _label_words(column)
        ranks = [rank for rank, word in enumerate(LABELS) if word in found]
        # Of "skin tone class" one word in three is a label's: it is the class of something else.
        is_named = 2 * sum(w in LABELS or w.isdecimal() for w in found) >= len(found)
        if ranks and is_named and (names := several_names(frame[column])):
            return _of_several(column, names)
        if ranks and is_named and not _NO_LABELS & set(found) and _can_be_label(frame[column]):
            named.append((ranks[0], len(found), position, column))
    if named:
        others = first_few(column for *_, column in sorted(named)[1:])
        also = f" So are {others}: only one can be it." if others else ""
        return LabelGuess(f"Named like a label.{also}", column=min(named)[-1])
    hot = _one_hot(frame, columns)
    several = [] if hot else _zeros_and_ones(frame, columns)
    if len(several) > 2 and (what := several_ones(frame, several)):
        why = f"{what[0].upper()}{what[1:]}: a case has one class, so one column is taken, as yes or no. "
        why += "CHECK THIS: name another, if that is the question."
        found = sorted(frame[several[0]].dropna().unique())
        unsure = tuple(cell for cell in found if read_number(cell) == -1)
        return LabelGuess(why, several[0], others=tuple(several[1:]), unsure=unsure)
    if not hot:
        why = "No column looks like a label: nothing can be trained or scored without."
        return LabelGuess(why)
    never = tuple(c for c in hot if not frame[c].isin(ONES).any())
    why = "In every row exactly one of these is 1."
    if never:
        why += f" {first_few(never)} is never 1: a class without cases is left out."
    return LabelGuess(why, "", tuple(c for c in hot if c not in never), never)


def _of_several(column: str, names: Counter[str]) -> LabelGuess:
    """One yes/no problem of a column whose cells name several labels."""
    likely = max(names, key=lambda name: (not name.lower().startswith("no "), names[name]))
    others = first_few(name for name, _ in names.most_common() if name != likely)
    why = "Multi-label: its cells name several labels. A case has one class, so one is taken, as yes or no: "
    return LabelGuess(
        f"{why}{likely} or not. CHECK THIS: others are {others}.", column, contains=likely
    )


def _zeros_and_ones(frame: pd.DataFrame, columns: Sequence[str]) -> list[str]:
    """The longest run of neighbouring columns of 0, 1, -1 and nothing else, as tables of findings have."""
    runs: list[list[str]] = [[]]
    for column in columns:
        if not frame[column].isna().all() and frame[column].dropna().map(_is_zero_or_one).all():
            runs[-1].append(column)
        else:
            runs.append([])
    return max(runs, key=len)


def _is_zero_or_one(cell: str) -> bool:
    return read_number(cell) in (0, 1, -1)


def _label_words(column: str) -> list[str]:
    """The words of a column's name, those for a label in one form: ``cell_type`` is a category."""
    found = [_LABELS.get(word, word) for word in words(column)]
    if "type" in found and _TYPED & set(found):
        return ["category" if word == "type" else word for word in found]
    return found


def guess_label_loosely(frame: pd.DataFrame, taken: Collection[str]) -> LabelGuess:
    """For want of a better one: a text column with few different values."""
    texts = [
        column
        for column in usable(frame)
        if column not in taken
        and _can_be_label(frame[column], MOST_WORDS)
        and not (_ATTRIBUTES | _VIEWS | _ID_ENDINGS) & set(words(column))
        and not frame[column].dropna().map(is_number).all()
    ]
    # What sounds like a diagnosis is a likelier label than what does not.
    texts.sort(key=lambda column: not LEAKY.search(column))
    if not texts:
        return guess_label(frame, taken)
    also = f" {first_few(texts[1:])} might be it, too." if texts[1:] else ""
    why = f"CHECK THIS: no column is named like a label, this one holds few different words.{also}"
    return LabelGuess(why, column=texts[0])


def guess_case(frame: pd.DataFrame, image: str, taken: Collection[str]) -> str:
    """The column whose cells tell all rows apart; empty where there is none."""
    unique = [c for c in usable(frame) if c not in taken and _tells_apart(frame[c])]
    ids = [c for c in unique if is_id_name(c)] + [c for c in unique if c == image]
    return ids[0] if ids else ""


def guess_views(
    frame: pd.DataFrame, labels: pd.Series[Any], taken: Collection[str]
) -> tuple[str, str]:
    """Case and view column of a table with several images, one a row, of a case; else empty names.

    Each case has (nearly) every view exactly once and one label.
    """
    columns = [c for c in usable(frame) if c not in taken and not frame[c].isna().any()]
    for view in columns:
        n_views = frame[view].nunique()
        if not _VIEWS & set(words(view)) or not 2 <= n_views <= 8:
            continue
        for case in columns:
            n_cases = frame[case].nunique()
            if case == view or not is_id_name(case) or n_cases == len(frame):
                continue
            if frame[[case, view]].duplicated().any() or len(frame) < 0.8 * n_cases * n_views:
                continue
            if (labels.groupby(frame[case]).nunique() <= 1).all():
                return case, view
    return "", ""


def guess_group(frame: pd.DataFrame, case: str, taken: Collection[str]) -> Guess:
    """The column that says which cases stem from one patient, or from one of whatever was photographed."""
    if OWNERS & set(words(case)):
        return Guess("", f"{case} has one row each: no group is needed.")
    cases = frame.drop_duplicates(case)
    owners, others = [], []
    for column in usable(frame):
        if column in {case, *taken} or not is_id_name(column) or frame[column].isna().all():
            continue
        if (frame.groupby(case)[column].nunique() > 1).any():
            continue
        found, n = set(words(column)), cases[column].nunique()
        if found & OWNERS and found <= _ID_ENDINGS:
            owners.append(column)
        elif max(FEWEST_GROUPS, len(cases) / 20) <= n < cases[column].count():
            others.append((n, column))  # fewer are sites or devices, which no split could part
    for column in (*owners, *(name for _, name in sorted(others))):
        known = cases[column].dropna()
        if known.nunique() == len(known) == len(cases):
            return Guess("", f"{column} is different for every case: no group is needed.")
        why = f"{known.nunique():,} values for {len(cases):,} cases: all cases of one {column} stay in one "
        why += "part of every split."
        if len(known) < len(cases):
            lack = len(cases) - len(known)
            why += f" {lack:,} cases have none: each of these is a group of its own."
        return Guess(column, why)
    return Guess("", "")


def usable(frame: pd.DataFrame) -> list[str]:
    """Columns whose name can stand in a description."""
    return [column for column in frame.columns if 0 < len(column) <= MAX_TEXT]


def _can_be_label(cells: pd.Series[Any], most: int = MOST_CLASSES) -> bool:
    n_values, n = cells.nunique(), cells.count()
    if not 2 <= n_values <= min(most, n / 2):
        return False
    fits = cells.dropna().map(lambda cell: len(cell) <= FREE_TEXT and not DATE.fullmatch(cell))
    return bool(fits.mean() > 0.9)


def _tells_apart(cells: pd.Series[Any]) -> bool:
    return bool(
        cells.is_unique and cells.map(lambda c: isinstance(c, str) and len(c) <= MAX_TEXT).all()
    )


def _one_hot(frame: pd.DataFrame, columns: Sequence[str]) -> list[str]:
    """The longest run of neighbouring 0/1 columns whose rows sum to 1; at least 3, or all 2 there are."""
    hot = [c for c in columns if frame[c].isin(["0", "0.0", *ONES]).all()]
    ones = frame[hot].isin(ONES)
    for length in range(len(hot), 1, -1):
        for start in range(len(hot) - length + 1):
            run = hot[start : start + length]
            if (ones[run].sum(axis=1) == 1).all() and (length > 2 or len(hot) == 2):
                return run
    return []
