"""External test sets: predictions of other cases by the same models, beside their own truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from milkreport.errors import ConfigError, DataError
from milkreport.evaluation.pooled_predictions import CaseFacts, Cells, pool_folds
from milkreport.evaluation.reading.any_table import Source, label_of, read_exactly
from milkreport.evaluation.reading.copies import DIGITS_OF_COPIES, count_digits
from milkreport.evaluation.reading.join import join_predictions
from milkreport.evaluation.reading.options import TableOptions
from milkreport.evaluation.reading.truth import read_truth
from milkreport.tables import first_few


@dataclass(frozen=True)
class ExternalFiles:
    """Where an external test set is read from.

    ``predictions``: arm to tables, several of one arm being its seeds; the arm "" is the only one, or
    the table has a column *model*. ``truth``: None if the set is unlabelled.
    """

    name: str
    predictions: Mapping[str, Sequence[Source]]
    truth: Source | None = None
    metadata: Source | None = None


@dataclass(frozen=True)
class ExternalPredictions:
    """An external test set, read: arm to predictions by (seed, fold), classes in the order of the test part.

    ``hashes``: arm to ``SEED/FOLD`` to the SHA-256 of predictions that a run keeps.
    """

    name: str
    source: str
    sha256: str
    arms: Mapping[str, Cells]
    sources: Mapping[str, str]
    facts: CaseFacts = field(default_factory=CaseFacts)
    remarks: tuple[str, ...] = ()
    hashes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def whose(files: ExternalFiles, arms: Sequence[str]) -> dict[str, list[Source]]:
    """The tables by the arm that made them; with one arm no name is needed.

    Tables without a name that stand alone keep the name "": a column *model* may say whose they are.

    Raises:
        ConfigError: a name that is not an arm's, or none beside others.
    """
    named = {name: [*sources] for name, sources in files.predictions.items()}
    if "" in named and len(arms) == 1:
        named = {arms[0]: [*named.pop(""), *named.get(arms[0], [])]}
    if [*named] != [""] and any(name not in arms for name in named):
        raise nobodys(files.name, [name for name in named if name not in arms], arms)
    return named


def nobodys(name: str, unknown: Sequence[str], arms: Sequence[str]) -> ConfigError:
    """The error of external predictions whose arm is not known; *unknown*: the names that were given."""
    given = [one for one in unknown if one]
    what = f"external set {name}: "
    what += f"{first_few(given)} is not a name of predictions" if given else "whose predictions?"
    do = f"say whose they are, {name}/NAME=FILE; names are: {first_few(arms, 30)}"
    return ConfigError(what, do)


def join_external(
    files: ExternalFiles,
    arms: Mapping[str, Cells],
    classes: Sequence[str],
    options: TableOptions,
    facts: CaseFacts,
    labels: tuple[str, str],
) -> ExternalPredictions:
    """Read one labelled set.

    Args:
        arms: the test predictions of the same models. labels: the truth's name and SHA-256.

    Raises:
        DataError: a class that the models do not know; cases of the test part; see ``join_predictions``.
        ConfigError: see :func:`whose`.
    """
    assert files.truth is not None
    n_labelled = refuse_unknown_classes(files, files.truth, classes, options)
    named = whose(files, [*arms])
    # Arms of the only table are called as its column *model* has them.
    joined = join_predictions({n or files.name: t for n, t in named.items()}, files.truth, options)
    if unknown := [name for name in joined.arms if name not in arms]:
        unnamed = "" in named and unknown == [files.name]
        raise nobodys(files.name, [] if unnamed else unknown, [*arms])
    found: dict[str, Cells] = {}
    for name, parts in joined.arms.items():
        cells = parts["test"]
        first = next(iter(cells.values()))
        if sorted(first.classes) != sorted(classes):
            what = f"external set {files.name}: its classes are {first_few(first.classes, 30)}"
            do = f"give the predictions of the same model: {first_few(classes, 30)}"
            raise DataError(what, do, labels[0])
        _refuse_other_models(files.name, name, len(cells), arms[name])
        found[name] = {key: p.ordered(classes) for key, p in cells.items()}
    remarks = [f"{e.n:,} cases were left out: {e.reason}" for e in joined.exclusions]
    remarks += refuse_same_cases(files.name, found, arms)
    n = len(next(iter(next(iter(found.values())).values())).case_ids)
    if not joined.exclusions and n < n_labelled:
        # A column *split* took them; without one, a case without a prediction is an error.
        remarks.append(f"{n_labelled - n:,} of {n_labelled:,} labelled cases are of another split")
    return ExternalPredictions(
        files.name,
        *labels,
        {name: found[name] for name in arms if name in found},
        {name: _names(named.get(name, named.get("", []))) for name in found},
        facts,
        tuple(remarks),
    )


def _refuse_other_models(name: str, arm: str, n: int, tested: Cells) -> None:
    """Raise a DataError for another number of models than were tested: a mean over others is not comparable.

    One model per seed is allowed where folds were tested: trained again on all cases, as is usual.
    """
    seeds = len({seed for seed, _ in tested})
    if n not in (len(tested), seeds):
        what = f"external set {name}: predictions of {n} models of {arm}, and the test part has {len(tested)}"
        raise DataError(what, "give the predictions of the same models, one file per seed")


def refuse_unknown_classes(
    files: ExternalFiles, truth: Source, classes: Sequence[str], options: TableOptions
) -> int:
    """Raise a DataError for labels of a class that the models do not know; else how many cases have a label.

    Such cases could only count as wrong, which no change of the model would mend: another question than how
    well it tells the classes that it knows.
    """
    read = read_exactly(lambda load: read_truth(load(truth), options), options)
    counts = read.labels.value_counts()
    if unknown := [name for name in read.present if name not in classes]:
        listed = first_few((f"{name} ({counts[name]:,} cases)" for name in unknown), 30)
        what = f"external set {files.name} has classes that the predictions do not know: {listed}"
        do = f"leave these cases out; classes are: {first_few(classes, 30)}"
        raise DataError(what, do, read.name)
    return int(read.labels.notna().sum())


def refuse_same_cases(
    name: str, external: Mapping[str, Cells], arms: Mapping[str, Cells]
) -> list[str]:
    """A remark on ids that stand in the test part too.

    Raises:
        DataError: such a case has the same probabilities there, to the bit: it is the same case.
    """
    remarks: dict[str, None] = {}
    for arm, cells in external.items():
        ours = next(iter(pool_folds(arms[arm]).values()))
        theirs = next(iter(cells.values()))
        _, a, b = np.intersect1d(ours.case_ids, theirs.case_ids, return_indices=True)
        if not len(a):
            continue
        same = (ours.probabilities[a] == theirs.probabilities[b]).all(axis=1)
        same &= count_digits(ours.probabilities[a]) >= DIGITS_OF_COPIES
        if same.any():
            what = (
                f"external set {name}: {int(same.sum()):,} cases have the id and the probabilities of cases "
                f"of the test part: {first_few(ours.case_ids[a][same])}"
            )
            raise DataError(what, "an external test set holds other cases: leave these out")
        # Without the ids: results and page hold none under --no-cases.
        what = f"{len(a):,} ids stand in the test part too"
        remarks[f"{what}: if they are the same cases, the set is not external"] = None
    return list(remarks)


def _names(sources: Sequence[Source]) -> str:
    return first_few(list(dict.fromkeys(map(label_of, sources))))
