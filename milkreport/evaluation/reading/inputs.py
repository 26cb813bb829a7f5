"""What an evaluation is given, predictions beside truth and metadata: read, named, and ready to be scored."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from milkreport.errors import ConfigError, DataError
from milkreport.evaluation.pooled_predictions import CaseFacts, Cells, pool_folds
from milkreport.evaluation.reading.any_table import Source, label_of, load_case_table
from milkreport.evaluation.reading.arm_names import check_name, name_of_file
from milkreport.evaluation.reading.external import (
    ExternalFiles,
    ExternalPredictions,
    join_external,
    nobodys,
    whose,
)
from milkreport.evaluation.reading.join import join_predictions, load_values
from milkreport.evaluation.reading.options import NOTHING_SAID, TableOptions
from milkreport.evaluation.reading.predictions import Predictions
from milkreport.evaluation.reading.reader_files import load_readers
from milkreport.evaluation.records.data import Exclusion, Part
from milkreport.tables import first_few

Floats = npt.NDArray[np.float64]
#: A path may be text.
Given = Source | str
GivenFiles = Given | Sequence[Given] | Mapping[str, Given | Sequence[Given]]


@dataclass(frozen=True)
class EvaluationInputs:
    """Predictions beside their truth, ready to be scored.

    ``arms``: name to part to predictions by (seed, fold); several files of one arm are its seeds.
    ``sources``: arm to what its predictions were read from. ``truth``: the truth's name and SHA-256.
    ``titles``: of arms whose name was given with letters which a name cannot have.
    ``sources_sha256``: of the absolute paths of all files; empty if none is a file.
    ``notes``: what was taken for what in the tables. ``exclusions``: test cases that were dropped.
    ``readers``: human readers' hard answers to the test cases of the first arm.
    ``unlabelled``: an arm, a file's name and its predictions of unlabelled cases, float64 (m, n_classes).
    ``external``: predictions of external test sets with their truth.
    """

    arms: dict[str, dict[Part, Cells]]
    sources: dict[str, str]
    truth: tuple[str, str]
    facts: CaseFacts = field(default_factory=CaseFacts)
    titles: dict[str, str] = field(default_factory=dict)
    sources_sha256: str = ""
    notes: tuple[str, ...] = ()
    exclusions: tuple[Exclusion, ...] = ()
    readers: dict[str, Predictions] = field(default_factory=dict)
    unlabelled: tuple[tuple[str, str, Floats], ...] = ()
    external: tuple[ExternalPredictions, ...] = ()

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes, the same for every arm."""
        return self.first.classes

    @property
    def first(self) -> Predictions:
        """The test predictions of the first arm's first seed, its folds joined."""
        return next(iter(pool_folds(next(iter(self.arms.values()))["test"]).values()))

    @property
    def class_counts(self) -> dict[str, int]:
        """Scored cases by class, those without a case too."""
        counts = np.bincount(self.first.truth, minlength=len(self.classes))
        return dict(zip(self.classes, counts.tolist(), strict=True))


def load_inputs(
    frame: GivenFiles,
    truth: Given,
    *,
    metadata: Given | None = None,
    group: str = "",
    slices: Sequence[str] = (),
    options: TableOptions = NOTHING_SAID,
    titles: Mapping[str, str] | None = None,
    readers: Mapping[str, Given] | None = None,
    unlabelled: Given | Mapping[str, Given] | None = None,
    external: Sequence[ExternalFiles] = (),
) -> EvaluationInputs:
    """Read predictions, truth and metadata; see :func:`milkreport.evaluation.evaluate.evaluate`.

    Args:
        options: what the tables' columns are, where their names leave it open.
        titles: of arms, where they are not their names.
        external: external test sets; those without truth are unlabelled predictions.

    Raises:
        DataError: bad predictions, truth or metadata. ConfigError: no predictions, an unknown column.
    """
    named, truth = _named(frame), _source(truth)
    table = None if metadata is None else _source(metadata)
    joined = join_predictions(named, truth, options)
    facts = load_facts(table, group, slices, options)
    every = [source for files in named.values() for source in files]
    # Arms that a column names come from all files that have it.
    sources = {name: _labels(named.get(name, every)) for name in joined.arms}
    called = {name: title for name, files in named.items() if (title := _title(name, files[0]))}
    called = {**called, **(titles or {}), **joined.titles}
    asked = {name: _source(one) for name, one in (readers or {}).items()}
    others = [(a, label_of(t), t) for a, t in _unlabelled(unlabelled, list(joined.arms)).items()]
    for one in external:
        if one.truth is None:
            others += _foretold(one, list(joined.arms))
    given = [*every, truth, table, *asked.values(), *(source for _, _, source in others)]
    for one in external:
        given += [one.truth, one.metadata, *(t for some in one.predictions.values() for t in some)]
    inputs = EvaluationInputs(
        {arm: dict(parts) for arm, parts in joined.arms.items()},
        sources,
        (label_of(truth), _sha256(truth)),
        facts,
        {name: title for name, title in called.items() if name in joined.arms},
        hash_paths([source for source in given if isinstance(source, Path)]),
        joined.notes,
        joined.exclusions,
    )
    return replace(
        inputs,
        readers=load_readers(asked, truth, every[0], inputs.first, options),
        unlabelled=_read_unlabelled(others, inputs.classes, options),
        external=tuple(
            _load_external(one, inputs, group, options) for one in external if one.truth is not None
        ),
    )


def load_unlabelled(
    given: Mapping[str, Given],
    arms: Sequence[str],
    classes: tuple[str, ...],
    options: TableOptions = NOTHING_SAID,
) -> tuple[tuple[str, str, Floats], ...]:
    """Predictions of unlabelled cases: (arm, the table's name, probabilities, float64 (m, n_classes)).

    Raises:
        ConfigError: a name that is no arm. DataError: a bad table.
    """
    others = [(arm, label_of(one), one) for arm, one in _unlabelled(given, arms).items()]
    return _read_unlabelled(others, classes, options)


def _read_unlabelled(
    others: Sequence[tuple[str, str, Source]], classes: tuple[str, ...], options: TableOptions
) -> tuple[tuple[str, str, Floats], ...]:
    return tuple(
        (arm, label, load_values(source, classes, options)[2]) for arm, label, source in others
    )


def read_external(given: Mapping[str, Sequence[Any]]) -> list[ExternalFiles]:
    """External sets as a call gives them: name to predictions, truth and, where there is one, metadata.

    Raises:
        ConfigError: not two or three tables or files, or a name that cannot be one of a file.
    """
    found = []
    if not isinstance(given, Mapping):
        raise ConfigError("external is not a mapping", 'give {"NAME": (predictions, truth)}')
    for name, some in given.items():
        check_name(str(name), "external")
        if not isinstance(some, tuple | list) or len(some) not in (2, 3):
            what = f"external[{name!r}] is not (predictions, truth)"
            raise ConfigError(what, "give (predictions, truth) or (predictions, truth, metadata)")
        tables, truth, metadata = (*some, None)[:3]
        named = tables if isinstance(tables, Mapping) else {"": tables}
        files = {str(arm): _several(one) for arm, one in named.items()}
        sources = (None if one is None else _source(one) for one in (truth, metadata))
        for one in (truth, metadata, *(t for several in files.values() for t in several)):
            if not isinstance(one, str | Path | pd.DataFrame | None):
                what = f"external[{name!r}] holds {type(one).__name__}"
                raise ConfigError(what, "give files or data frames with an id column")
        found.append(ExternalFiles(str(name), files, *sources))
    return found


def _foretold(files: ExternalFiles, arms: Sequence[str]) -> list[tuple[str, str, Source]]:
    """An external set without truth as unlabelled predictions: arm, what they are called, and the table."""
    named = whose(files, arms)
    if "" in named:
        raise nobodys(files.name, [], arms)
    return [(arm, f"{files.name}: {label_of(t)}", t) for arm, some in named.items() for t in some]


def _load_external(
    files: ExternalFiles, inputs: EvaluationInputs, group: str, options: TableOptions
) -> ExternalPredictions:
    assert files.truth is not None
    facts = CaseFacts()
    if files.metadata is not None:
        facts = load_facts(files.metadata, group, (), options)
    tested = {name: parts["test"] for name, parts in inputs.arms.items()}
    labels = label_of(files.truth), _sha256(files.truth)
    found = join_external(files, tested, inputs.classes, options, facts, labels)
    ids = next(iter(next(iter(found.arms.values())).values())).case_ids
    remarks = [*found.remarks, *_remark_groups(inputs.facts, facts, ids)]
    return replace(found, remarks=tuple(remarks))


def _remark_groups(ours: CaseFacts, theirs: CaseFacts, ids: npt.NDArray[np.str_]) -> Iterator[str]:
    """What is to be said of an external set's groups beside those of the test part; *ids*: its cases."""
    if ours.groups and not theirs.groups:
        yield "no groups are known of it: its cases count as independent"
    if both := {*ours.groups.values()} & {*theirs.groups.values()}:
        yield (
            f"{len(both):,} group ids stand in the test part too: if they are the same patients, the set is "
            "not external"
        )
    alone = sum(str(case) not in theirs.groups for case in ids) if theirs.groups else 0
    if alone:
        yield f"{alone:,} cases have no row in its metadata: each counts as a group of its own"


def _unlabelled(
    given: Given | Mapping[str, Given] | None, arms: Sequence[str]
) -> dict[str, Source]:
    """Tables of unlabelled cases by the arm that made them; with one arm and one table no name is needed."""
    if given is None:
        return {}
    named = dict(given) if isinstance(given, Mapping) else {"": given}
    if len(named) == 1 and len(arms) == 1:
        named = {arms[0]: next(iter(named.values()))}
    if unknown := [name for name in named if name not in arms]:
        what = f"unlabelled: {first_few(unknown)} is not a name of predictions"
        raise ConfigError(what, f"say whose they are, NAME=FILE; names are: {first_few(arms, 30)}")
    return {name: _source(one) for name, one in named.items()}


def hash_paths(paths: Sequence[Path]) -> str:
    """SHA-256 of absolute paths, to tell files of one name apart without writing where they lie."""
    text = "\n".join(str(path.absolute()) for path in paths)
    return hashlib.sha256(text.encode()).hexdigest() if paths else ""


def _title(name: str, source: Source) -> str:
    """The file's own name, where the arm is called by it and had to be called otherwise."""
    stem = source.stem if isinstance(source, Path) else name
    return stem if stem != name and name_of_file(stem) == name else ""


def _source(given: Given) -> Source:
    return Path(given) if isinstance(given, str) else given


def _named(given: GivenFiles) -> dict[str, list[Source]]:
    """Sources by arm; one without a name is called by its file's."""
    if isinstance(given, Mapping):
        named = {str(name): _several(some) for name, some in given.items()}
    elif isinstance(given, str | Path | pd.DataFrame):
        source = _source(given)
        name = source.stem if isinstance(source, Path) else "predictions"
        named = {name_of_file(name): [source]}
    else:
        named = {f"predictions-{i}": [_source(one)] for i, one in enumerate(given, 1)}
    if not named or not all(named.values()):
        raise ConfigError("no predictions", "name at least one file")
    return named


def _several(given: Given | Sequence[Given]) -> list[Source]:
    if isinstance(given, str | Path | pd.DataFrame):
        return [_source(given)]
    return [_source(one) for one in given]


def load_facts(
    metadata: Source | None,
    group: str,
    slices: Sequence[str] = (),
    options: TableOptions = NOTHING_SAID,
) -> CaseFacts:
    """Groups and subgroups of the cases, from a table with an id column.

    Raises:
        ConfigError: an unknown column, or columns and no table. DataError: no such table.
    """
    if metadata is None:
        if slices or group:
            what = "--slice and --group name columns of a table"
            raise ConfigError(what, "give it by --metadata TABLE")
        return CaseFacts()
    table = load_case_table(metadata, options)
    for column in (*slices, *([group] if group else [])):
        if column not in table.columns:
            what = f"no column {column!r}"
            do = f"columns are: {first_few(table.columns, 30)}"
            raise ConfigError(what, do, label_of(metadata))
    groups: dict[str, str] = {}
    if group:
        known = table[group].dropna()
        if known.empty:
            what = f"no case has a value in {group!r}, which names the groups"
            raise DataError(what, "fill the column, or leave the groups out", label_of(metadata))
        groups = dict(zip(known.index.astype(str), known.astype(str), strict=True))
        table = table.drop(columns=[group] if group not in slices else [])
    return CaseFacts(groups, table, tuple(slices))


def _labels(files: Sequence[Source]) -> str:
    """What an arm was read from: each name once."""
    names = list(dict.fromkeys(map(label_of, files)))
    many = f" ({len(files)} files)" if len(files) > len(names) else ""
    return first_few(names) + many


def _sha256(source: Source) -> str:
    """Of the file's bytes, or of the frame's values."""
    if isinstance(source, Path):
        return hashlib.sha256(source.read_bytes()).hexdigest()
    return hashlib.sha256(pd.util.hash_pandas_object(source).to_numpy().tobytes()).hexdigest()
