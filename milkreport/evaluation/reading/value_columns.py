"""Which columns of a table of predictions are the classes' probabilities, or the answers."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from milkreport.errors import DataError, NeedsOption
from milkreport.evaluation.reading.any_table import ANSWERS, Table, is_between
from milkreport.evaluation.reading.class_names import (
    equations,
    in_order,
    match_names,
    plain_number,
    readings,
    yes_and_no,
)
from milkreport.evaluation.reading.options import TableOptions, join_names
from milkreport.evaluation.reading.predictions import (
    RESERVED,
    SUM_TOLERANCE,
    Floats,
    label_positions,
    read_probabilities,
)
from milkreport.tables import first_few

_PREFIX = re.compile(r"(?:y_)?(?:probability|proba|prob|p|pred|score|class)[ _.\-]", re.IGNORECASE)
#: What a single column of probabilities is called that does not name its class.
_SINGLE = re.compile(
    r"(?:y_|pred_)?(?:probability|proba|prob|p|score|risk)(?:[ _.\-]?(?:positive|pos))?",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Values:
    """Where a table holds what.

    ``columns``: class to column, of all classes, or of one of two: the other's probability is the rest.
    ``answers``: the column of hard labels, if there are no probabilities. ``notes``: what was taken for what.
    """

    columns: dict[str, str]
    answers: str = ""
    notes: list[str] = field(default_factory=list)


def value_columns(table: Table, options: TableOptions) -> list[str]:
    """Columns that may hold values: neither ids nor labels nor parts."""
    apart = (table.id_column, *RESERVED, *([options.label] if options.label else []))
    return [c for c in table.frame.columns if c not in apart]


def classes_of_columns(
    table: Table, present: Sequence[str], options: TableOptions
) -> list[str] | None:
    """Classes in the order of a table's columns, if it has one for each class of the truth; else ``None``.

    Columns beyond them are classes without a case, if only with those every row sums to 1.
    """
    for group in _by_prefix(value_columns(table, options)):
        spelt = {plain_number(name): name for name in group}
        names = {
            plain if plain in present else spelt[plain]: group[spelt[plain]] for plain in spelt
        }
        if set(present) <= set(names):
            whole = _adds_up(table, list(names.values()))
            return list(names) if whole else [name for name in names if name in set(present)]
    return None


def find_values(
    table: Table, classes: Sequence[str], options: TableOptions, settled: bool
) -> Values:
    """Find a class's column by its name, behind a prefix (``prob_``) or by its position.

    Args:
        settled: whether the truth or the user named all classes, so that any other column is none.

    Raises:
        DataError: a class has no column, or two; an answer is no class. NeedsOption: an option would help.
    """
    named = value_columns(table, options)
    where = f"{table.name}:1"
    mappings = _matches(named, classes, bool(options.classes))
    full = [m for m in mappings if len(m) == len(classes)]
    if len(full) > 1:
        both = " and ".join(next(iter(m.values())) for m in full[:2])
        what = f"two columns for class {classes[0]}: {both}"
        raise DataError(what, "keep one set of columns", where)
    answers = [c for c in named if c in ANSWERS]
    if full:
        found = Values({name: full[0][name] for name in classes})
        if told := equations({column: name for name, column in found.columns.items()}):
            found.notes.append(f"columns {told}")
    elif len(classes) == 2 and (single := _single(table, named, classes, mappings, options)):
        found = single
    elif answers and not any(mappings):
        if len(answers) > 1:
            what = f"columns {first_few(answers)} could each be the answers"
            raise DataError(what, "keep one of them", where)
        found = Values({}, answers[0])
    else:
        raise _lacking(table, named, classes, mappings, options)
    extra = [c for c in named if c not in (*found.columns.values(), found.answers)]
    if extra:
        if not (settled or found.answers):
            _refuse_possible_classes(table, extra, found, classes)
        found.notes.append(f"columns left out, being no class: {first_few(extra, 10)}")
    return found


def read_values(table: Table, found: Values, classes: Sequence[str], numbered: bool) -> Floats:
    """The values of a table, float64 (n, n_classes); answers as a single 1 per row.

    Args:
        numbered: whether answers may be positions of classes.

    Raises:
        DataError: a value is no probability, an answer is missing or no class.
    """
    if found.answers:
        answers = _answers(table, found.answers)
        meant = match_names(answers.unique(), classes, numbered)
        if meant is None:
            foreign = sorted(set(answers) - set(classes))
            raise _foreign(f"{found.answers}", foreign, classes, table.name, numbered)
        return np.eye(len(classes))[label_positions(answers.map(meant), classes, table.name)]
    names = list(found.columns)
    columns = list(found.columns.values())
    if len(names) == len(classes):
        return read_probabilities(table.frame, columns, table.name)
    values = read_probabilities(table.frame, columns, table.name)[:, 0]
    one = list(classes).index(names[0])
    return np.stack([1 - values, values] if one else [values, 1 - values], axis=1)


def _by_prefix(named: Sequence[str]) -> list[dict[str, str]]:
    """Columns by the prefix that they share: name without it to column. All, without a prefix, come first."""
    groups: dict[str, dict[str, str]] = {"": {c: c for c in named}}
    for column in named:
        if (match := _PREFIX.match(column)) and match.end() < len(column):
            groups.setdefault(match[0].casefold(), {})[column[match.end() :]] = column
    return list(groups.values())


def _matches(named: Sequence[str], classes: Sequence[str], numbered: bool) -> list[dict[str, str]]:
    """Class to column, of every prefix: by the way of reading that finds most classes."""
    found = []
    for group in _by_prefix(named):
        ways = [
            {meant: column for name, column in group.items() if (meant := read(name)) is not None}
            for read in readings(classes, numbered)
        ]
        found.append(max(ways, key=len))
    return [m for m in found if m]


def _single(
    table: Table,
    named: Sequence[str],
    classes: Sequence[str],
    mappings: Sequence[dict[str, str]],
    options: TableOptions,
) -> Values | None:
    """The one column that holds the probability of one of two classes, if there is one."""
    of_class = {column: name for m in mappings for name, column in m.items()}
    plain = [c for c in named if _SINGLE.fullmatch(c) or (c in ANSWERS and _fractions(table, c))]
    columns = list(dict.fromkeys([*of_class, *plain]))
    if not columns:
        return None
    where = f"{table.name}:1"
    if len(columns) > 1:
        what = f"columns {first_few(columns)} could each be the probability of one class"
        raise DataError(what, "keep one of them, or give one column per class", where)
    (column,) = columns
    name = of_class.get(column) or _positive(column, classes, options, where)
    other = next(c for c in classes if c != name)
    if column in plain:
        _refuse_confidence(table, named, column, name, classes)
    note = f"column {column} is the probability of {name}; that of {other} is 1 minus it"
    return Values({name: column}, notes=[note])


def _positive(column: str, classes: Sequence[str], options: TableOptions, where: str) -> str:
    """The class of a single column: the one that says yes, the last of ``--classes``, or the positive one."""
    named = match_names(options.positive, classes) if len(options.positive) == 1 else None
    pair = yes_and_no(classes)
    told = {pair[1]} if pair else set()
    # The order of classes says more than --positive: disease may be 0 where "prob" is, as usual, that of 1.
    told |= {classes[1]} if options.classes else set((named or {}).values())
    if len(told) == 1:
        return told.pop()
    one, other = pair or classes
    what = f"column {column!r} may be the probability of {one} or of {other}"
    if options.classes:
        do = f"for {other}, name the classes as {join_names([one, other])}; for {one}, call it p_{one}"
        raise DataError(what, do, where)
    words = ["--classes", join_names([one, other])]
    rival = shlex.join(["--classes", join_names([other, one])])
    raise NeedsOption(what, words, where, f"for {one} {rival}; for {other}")


def _refuse_confidence(
    table: Table, named: Sequence[str], column: str, name: str, classes: Sequence[str]
) -> None:
    """Raise a DataError where the values are high for answers of the other class, too."""
    answers = [c for c in named if c in ANSWERS and c != column]
    if len(answers) != 1 or not is_between(table.frame[column]):
        return
    given = _answers(table, answers[0])
    meant = match_names(given.unique(), classes, numbered=True)
    if meant is None:
        return
    denied = (given.map(meant) != name).to_numpy()
    values = pd.to_numeric(table.frame[column], errors="coerce").to_numpy(dtype=float)
    if denied.any() and (values[denied] >= 0.5).all():
        what = f"column {column!r} is 0.5 or more wherever {answers[0]!r} does not say {name}"
        do = f"give the probability of {name} in every row, not that of the answer"
        raise DataError(what, do, f"{table.name}:1")


def _refuse_possible_classes(
    table: Table, extra: Sequence[str], found: Values, classes: Sequence[str]
) -> None:
    """Raise NeedsOption where another column could be a class without a case."""
    columns = list(found.columns.values())
    if not any(is_between(table.frame[c]) for c in extra):
        return
    # Probabilities that sum to 1 leave no other class any; a column "prob" says that it is alone.
    if len(columns) == len(classes) and _adds_up(table, columns):
        return
    if len(columns) == 1 and _SINGLE.fullmatch(columns[0]):
        return
    raise _foreign("column", extra, classes, table.name, numbered=False)


def _foreign(
    where: str, foreign: Sequence[str], classes: Sequence[str], name: str, numbered: bool
) -> DataError:
    what = f"{where} {first_few(foreign, 30)} is no class of the truth"
    if where != "column":
        every = join_names([*classes, *foreign])
        do = f"if it is a class without a case: --classes {every!r}"
        return DataError(what, do, f"{name}:1")
    do = "if it is a class without a case, name it in --classes, too; if not,"
    return NeedsOption(what, ["--classes", join_names(classes)], f"{name}:1", do)


def _lacking(
    table: Table,
    named: Sequence[str],
    classes: Sequence[str],
    mappings: Sequence[dict[str, str]],
    options: TableOptions,
) -> DataError:
    where = f"{table.name}:1"
    most = max(mappings, key=len, default={})
    lacking = [name for name in classes if name not in most]
    what = f"no probability column for class {first_few(sorted(lacking), 30)}"
    do = "give one column per class, named as in the truth"
    if most:
        return DataError(what, do, where)
    positions = [str(place) for place in range(len(classes))]
    for group in reversed(_by_prefix(named)):
        # One side has numbers and the other names: their order is the user's to say.
        if options.classes or len(group) != len(classes):
            continue
        if _adds_up(table, list(group.values())):
            names = list(classes) if in_order(group) == positions else in_order(group)
            if in_order(group) == positions or in_order(classes) == positions:
                meant = ", ".join(f"{place} is {name}" for place, name in enumerate(names))
                return NeedsOption(what, ["--classes", join_names(names)], where, f"if {meant},")
    do += ", or one column 'prob'" if len(classes) == 2 else ""
    return DataError(what, f"{do}; columns are: {first_few(named, 30)}", where)


def _answers(table: Table, column: str) -> pd.Series[str]:
    cells = table.frame[column]
    if cells.isna().any():
        row = table.frame.index[cells.isna()][0]
        where = f"{table.name}:{row}:{column}"
        raise DataError("a case without an answer", "give every case one", where)
    return cells.astype(str)


def _fractions(table: Table, column: str) -> bool:
    """Whether a column that is called like answers holds probabilities."""
    cells = table.frame[column]
    return is_between(cells) and bool((pd.to_numeric(cells, errors="coerce") % 1 != 0).any())


def _adds_up(table: Table, columns: Sequence[str]) -> bool:
    """Whether these columns are numbers whose rows sum to 1."""
    numbers = table.frame[list(columns)].apply(pd.to_numeric, errors="coerce")
    return bool(((numbers.sum(axis=1, skipna=False) - 1).abs() <= SUM_TOLERANCE).all())
