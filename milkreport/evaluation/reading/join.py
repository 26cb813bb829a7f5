"""Anybody's predictions beside the truth: read strictly, matched by name, never renormalised.

Predictions: an id column, and probability columns or one column of hard labels; a long table holds several
models, seeds or folds. Truth: an id column, and a column of labels or one-hot columns. CSV or Parquet, or
data frames.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from milkreport.columns import refuse_duplicates
from milkreport.errors import ConfigError, DataError
from milkreport.evaluation.reading.any_table import NAMELESS, Source, Table, read_exactly
from milkreport.evaluation.reading.arm_names import free_name
from milkreport.evaluation.reading.cases import Predicted, common_cases, refuse_other_cases
from milkreport.evaluation.reading.long_tables import Piece, number_all, refuse_repeated, split_long
from milkreport.evaluation.reading.options import NOTHING_SAID, TableOptions
from milkreport.evaluation.reading.predictions import Floats, Predictions, label_positions
from milkreport.evaluation.reading.truth import Truth, read_truth
from milkreport.evaluation.reading.value_columns import (
    Values,
    classes_of_columns,
    find_values,
    read_values,
)
from milkreport.evaluation.records.data import Exclusion, Part
from milkreport.tables import first_few, refuse_many_classes

#: Parts of one arm: part to (seed, fold) to predictions.
Parts = dict[Part, dict[tuple[int, int], Predictions]]


@dataclass(frozen=True)
class Joined:
    """Predictions beside the truth.

    ``arms``: name to parts. ``titles``: of arms that a column ``model`` names. ``notes``: what was taken for
    what, where names alone leave it open. ``exclusions``: test cases that were dropped.
    """

    arms: dict[str, Parts]
    titles: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    exclusions: tuple[Exclusion, ...] = ()


def join_predictions(
    files: Mapping[str, Sequence[Source]], truth: Source, options: TableOptions = NOTHING_SAID
) -> Joined:
    """Every source of every arm beside the truth. Several sources of an arm are its seeds.

    Rows with a ``split`` column, as ours have, are taken by it: ``test`` and, where the truth knows their
    cases, ``validation``; the truth may then hold other cases too. Without: all rows are the test part, and
    must be the truth's cases, unless *options* drop what is missing.

    Raises:
        DataError: no such file, ids or classes differ, or values are no probabilities. NeedsOption: an option
            would say what a table does not. ConfigError: a named column stands nowhere.
    """
    return read_exactly(lambda load: _join_all(files, truth, options, load), options)


def load_values(
    source: Source, classes: Sequence[str], options: TableOptions = NOTHING_SAID
) -> tuple[str, list[str], Floats]:
    """Predictions without truth: the id column's name, the ids, and values (n, n_classes) of *classes*.

    Raises:
        DataError: a class is missing or unknown, a value is no probability, an id stands twice.
    """

    def read(load: Callable[[Source], Table]) -> tuple[str, list[str], Floats]:
        table = load(source)
        refuse_duplicates(table.frame, [table.id_column], table.name)
        found = find_values(table, classes, options, settled=bool(options.classes))
        values = read_values(table, found, classes, bool(options.classes))
        return table.id_column, table.ids.tolist(), values

    return read_exactly(read, options)


@dataclass(frozen=True)
class _Rows:
    """One part of one training, as rows of a table, and where its values stand."""

    arm: str
    seed: int
    fold: int
    part: Part
    table: Table
    values: Values
    has_parts: bool


def _join_all(
    files: Mapping[str, Sequence[Source]],
    truth_source: Source,
    options: TableOptions,
    load: Callable[[Source], Table],
) -> Joined:
    tables = {arm: [load(source) for source in sources] for arm, sources in files.items()}
    truth_table = load(truth_source)
    every = [*(table for sources in tables.values() for table in sources), truth_table]
    _refuse_unknown_ids(every, options)
    said: dict[str, list[str]] = {}
    for table in every:
        if table.id_column == NAMELESS and NAMELESS not in options.ids:
            _say(said, ["ids: the first column, which has no name"], table)
    truth = read_truth(truth_table, options)
    _say(said, truth.notes, truth_table)
    pieces: dict[str, list[list[Piece]]] = {}
    for arm, sources in tables.items():
        for table in sources:
            found, notes = split_long(table, truth.classes or truth.present)
            pieces.setdefault(arm, []).append(found)
            _say(said, notes, table)
    arms, titles = _by_model(pieces)
    cells = _share_seeds([(a, *cell) for a, files_ in arms.items() for cell in _number(files_)])
    classes = truth.classes or _name_classes([cell[-1] for cell in cells], truth, options)
    refuse_many_classes(len(classes), truth.name)
    rows = []
    for arm, seed, fold, table in cells:
        values = find_values(table, classes, options, settled=truth.classes is not None)
        _say(said, values.notes, table)
        has_parts, parts = _parts(table)
        rows += [_Rows(arm, seed, fold, p, t, values, has_parts) for p, t in parts.items()]
    kept, exclusions = _keep(rows, truth, options)
    joined: dict[str, Parts] = {arm: {} for arm in arms}
    for one in kept:
        predictions = _predictions(one, truth, classes, bool(options.classes))
        joined[one.arm].setdefault(one.part, {})[one.seed, one.fold] = predictions
    lines = tuple(f"{first_few(names, 3)}: {what}" for what, names in said.items())
    return Joined(joined, titles, lines, exclusions)


def _say(said: dict[str, list[str]], notes: Iterable[str], table: Table) -> None:
    for note in notes:
        names = said.setdefault(note, [])
        if table.file not in names:
            names.append(table.file)


def _refuse_unknown_ids(tables: Sequence[Table], options: TableOptions) -> None:
    """Raise a ConfigError for an id column that no table has."""
    for column in options.ids:
        if not any(column in table.frame.columns for table in tables):
            first = tables[0]
            do = f"columns are: {first_few(first.frame.columns, 30)}"
            raise ConfigError(f"no column {column!r} in any table", do, first.name)


def _by_model(
    pieces: Mapping[str, list[list[Piece]]],
) -> tuple[dict[str, list[list[Piece]]], dict[str, str]]:
    """Arm to files to pieces, where a file of several models is several arms; and the titles of those."""
    arms: dict[str, list[list[Piece]]] = {}
    titles: dict[str, str] = {}
    names: dict[tuple[str, str], str] = {}
    for arm, files in pieces.items():
        for file in files:
            models = dict.fromkeys(piece.model for piece in file)
            for model in models:
                # Models of the only table keep their names; of several they are told apart by it.
                title = model if len(pieces) == 1 else f"{arm} {model}"
                if (arm, model) not in names:
                    names[arm, model] = free_name(title, arms) if model else arm
                name = names[arm, model]
                arms.setdefault(name, []).append([p for p in file if p.model == model])
                if model and title != name:
                    titles[name] = title
    return arms, titles


def _number(files: Sequence[Sequence[Piece]]) -> Iterator[tuple[int, int, Table]]:
    """Seed, fold and rows of each piece. Several files are seeds, whatever seeds they hold themselves."""
    keys = list(dict.fromkeys((i, piece.seed) for i, file in enumerate(files) for piece in file))
    numbers = number_all([seed for _, seed in keys])
    alone = len(files) == 1
    seeds = {key: numbers[key[1]] if alone else place for place, key in enumerate(keys)}
    folds = number_all([piece.fold for file in files for piece in file])
    for i, file in enumerate(files):
        for piece in file:
            yield seeds[i, piece.seed], folds[piece.fold], piece.table


def _share_seeds(cells: Sequence[tuple[str, int, int, Table]]) -> list[tuple[str, int, int, Table]]:
    """The same with seeds counted from 0 in every arm, where the arms have none in common."""
    seeds: dict[str, set[int]] = {}
    for arm, seed, _, _ in cells:
        seeds.setdefault(arm, set()).add(seed)
    if set.intersection(*seeds.values()):
        return list(cells)
    places = {arm: {seed: i for i, seed in enumerate(sorted(mine))} for arm, mine in seeds.items()}
    return [(arm, places[arm][seed], fold, table) for arm, seed, fold, table in cells]


def _name_classes(tables: Sequence[Table], truth: Truth, options: TableOptions) -> tuple[str, ...]:
    """The classes where the truth names only those with a case: in the order of the predictions' columns."""
    every = (classes_of_columns(table, truth.present, options) for table in tables)
    named = next((found for found in every if found is not None), [])
    return (*named, *(c for c in truth.present if c not in named))


def _parts(table: Table) -> tuple[bool, dict[Part, Table]]:
    """Whether the table names its test part; and its parts."""
    frame = table.frame
    has_parts = "split" in frame.columns and bool((frame["split"] == "test").any())
    refuse_repeated(table, [table.id_column, "split"] if has_parts else [table.id_column])
    if not has_parts:
        return False, {"test": table}
    parts: tuple[Part, ...] = ("test", "validation")
    if others := sorted(set(frame["split"].dropna()) - {*parts, "train"}):
        what = f"{first_few(map(repr, others))} is no part of a split"
        raise DataError(what, "write test, validation or train", f"{table.name}:split")
    rows = {part: (frame["split"] == part).to_numpy() for part in parts}
    return True, {part: table.keep(mine) for part, mine in rows.items() if mine.any()}


def _keep(
    rows: Sequence[_Rows], truth: Truth, options: TableOptions
) -> tuple[list[_Rows], tuple[Exclusion, ...]]:
    """The rows that are scored, and which test cases were dropped."""
    known = frozenset(truth.labels.index)
    # A part of validation cases that the truth does not know is nobody's mistake: it is not scored.
    rows = [one for one in rows if one.part == "test" or known.issuperset(one.table.ids)]
    tests = [one for one in rows if one.part == "test"]
    trainings: dict[tuple[str, int], list[_Rows]] = {}
    for one in tests:
        trainings.setdefault((one.arm, one.seed), []).append(one)
    predicted = [
        Predicted(folds[0].table.name, _ids_of(folds), folds[0].has_parts)
        for folds in trainings.values()
    ]
    if options.missing == "error":
        refuse_other_cases(predicted, known)
        return rows, ()
    common, exclusions = common_cases(predicted, known)
    kept = []
    for one in rows:
        mine = one.table.ids.isin(common).to_numpy()
        if one.part != "test":
            kept.append(one)
        elif mine.any():
            kept.append(replace(one, table=one.table.keep(mine)))
    return kept, exclusions


def _ids_of(folds: Sequence[_Rows]) -> frozenset[str]:
    """The test cases of one training, each of which stands in one fold."""
    fold_of: dict[str, int] = {}
    for one in folds:
        for case in one.table.ids:
            if case in fold_of:
                what = f"case {case!r} is tested in folds {fold_of[case]} and {one.fold}"
                do = "each case has one test fold; call the column 'seed' if these are trainings on all cases"
                raise DataError(what, do, one.table.name)
            fold_of[case] = one.fold
    return frozenset(fold_of)


def _predictions(rows: _Rows, truth: Truth, classes: Sequence[str], numbered: bool) -> Predictions:
    values = read_values(rows.table, rows.values, classes, numbered)
    ids = rows.table.ids.to_numpy(dtype=np.str_)
    order = np.argsort(ids, kind="stable")
    positions = label_positions(truth.labels.reindex(ids[order]), classes, truth.name)
    return Predictions(ids[order], positions, values[order], tuple(classes))
