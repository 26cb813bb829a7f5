"""Arrays as scikit-learn and PyTorch leave them, brought into the tables that everything else reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from milkreport.errors import ConfigError, DataError
from milkreport.evaluation.reading.any_table import ANSWERS
from milkreport.tables import first_few

#: What takes the place of an id column in a table that was made of arrays.
CASE = "case_id"
_GROUP = "group"


def is_array(given: object) -> bool:
    """Whether *given* is one value per case, and not a table with ids or a path."""
    return isinstance(given, np.ndarray | pd.Series | pd.Categorical | list | tuple)


def as_tables(
    y_prob: Any,
    y_true: Any,
    classes: Sequence[Any] | None = None,
    groups: Any = None,
    subgroups: Any = None,
) -> tuple[dict[str, list[pd.DataFrame]], pd.DataFrame, pd.DataFrame | None, str]:
    """Tables with ids of arrays that have one row per case, in the same order.

    Args:
        y_prob: probabilities, float (n, n_classes), or (n,) of the second of two classes; or hard answers
            (n,). Several: a mapping of names to such; a list of arrays, or an array with one dimension
            more, is one model's training seeds.
        y_true: (n,), class names, or positions in *classes*.
        classes: the names of the columns; by default those of a data frame, else the sorted labels.
        groups: (n,), equal for cases that belong together (a patient's).
        subgroups: a data frame of n rows, or a mapping of names to (n,).

    Returns:
        predictions by arm, truth, metadata or ``None``, and the metadata's column of groups or "".

    Raises:
        DataError: lengths, columns or labels do not fit. ConfigError: two classes are needed, or none given.
    """
    labels = np.asarray(y_true).ravel() if np.ndim(y_true) == 2 else np.asarray(y_true)
    if labels.ndim != 1 or not len(labels):
        raise DataError("y_true is not one label per case", "give an array of shape (n,)")
    if pd.isna(labels).any():
        row = int(np.flatnonzero(pd.isna(labels))[0])
        raise DataError("a case without a label", "leave it out", f"y_true[{row}]")
    named = y_prob if isinstance(y_prob, Mapping) else {"predictions": y_prob}
    if not named:
        raise ConfigError("no predictions", "give at least one array")
    arms = {str(name): _seeds(given) for name, given in named.items()}
    for name, seeds in arms.items():
        for given in seeds:
            _refuse_other_index(name, given, y_true)
    first = next(iter(arms.values()))[0]
    names = _class_names(labels, classes, first)
    ids = [f"{i:0{len(str(len(labels)))}d}" for i in range(len(labels))]
    truth = pd.DataFrame(np.eye(len(names))[_positions(labels, names, "y_true")], columns=names)
    truth.insert(0, CASE, ids)
    frames = {
        name: [_table(name, given, names, ids) for given in seeds] for name, seeds in arms.items()
    }
    if not isinstance(subgroups, Mapping | pd.DataFrame | None):
        do = "give a mapping {'sex': sex}, or a data frame"
        raise ConfigError("subgroups have no names", do, "subgroups")
    facts: dict[str, Any] = {}
    if groups is not None:
        facts[_GROUP] = _column("groups", groups, len(ids))
    for name, column in dict(subgroups if subgroups is not None else {}).items():
        facts[str(name)] = _column(f"subgroups[{name!r}]", column, len(ids))
    metadata = pd.DataFrame({CASE: ids} | facts) if facts else None
    return frames, truth, metadata, _GROUP if groups is not None else ""


def _seeds(given: Any) -> list[Any]:
    """One model's predictions, a seed each."""
    if isinstance(given, list | tuple) and given and not np.isscalar(given[0]):
        if isinstance(given[0], np.ndarray | pd.DataFrame | pd.Series):
            return list(given)
        if isinstance(given[0], list | tuple) and given[0] and not np.isscalar(given[0][0]):
            return list(given)
    if isinstance(given, np.ndarray) and given.ndim == 3:
        return list(given)
    return [given]


def _class_names(labels: Any, classes: Sequence[Any] | None, first: Any) -> list[str]:
    if classes is not None:
        names = [str(c) for c in classes]
    elif isinstance(first, pd.DataFrame):
        names = [str(c) for c in first.columns]
    else:
        names = [str(c) for c in np.unique(labels)]
        n = np.shape(first)[1] if np.ndim(first) == 2 else 1
        if n not in (1, len(names)):
            what = f"{n} columns of probabilities, and {len(names)} labels: {first_few(names)}"
            raise DataError(what, "name the columns by classes=[...], in their order", "y_prob")
    if len(set(names)) < len(names) or len(names) < 2:
        raise ConfigError(f"classes are {first_few(names)}", "name two or more, each once")
    return names


def _positions(labels: Any, names: Sequence[str], where: str) -> Any:
    """Labels, names or positions of classes, as int64 (n,)."""
    places = {name: i for i, name in enumerate(names)}
    texts = [str(label) for label in labels.tolist()]
    if all(text in places for text in texts):
        return np.array([places[text] for text in texts], np.int64)
    numbers = labels.dtype.kind in "iub" or (
        labels.dtype.kind == "f" and bool((labels == np.floor(labels)).all())
    )
    if numbers and labels.min() >= 0 and labels.max() < len(names):
        return labels.astype(np.int64)
    foreign = sorted(set(texts) - set(places))
    what = f"labels that are no class: {first_few(foreign)}"
    raise DataError(
        what, f"classes are {first_few(names, 30)}; name others by classes=[...]", where
    )


def _table(name: str, given: Any, classes: Sequence[str], ids: Sequence[str]) -> pd.DataFrame:
    """One model's predictions as a table: a column per class, or one of hard answers."""
    where = f"y_prob[{name!r}]"
    values = np.asarray(given)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim not in (1, 2) or len(values) != len(ids):
        shape = " x ".join(map(str, values.shape))
        do = "give one row per case, in the order of y_true"
        raise DataError(f"shape {shape}, and {len(ids):,} labels", do, where)
    if isinstance(given, pd.DataFrame):
        columns = [str(c) for c in given.columns]
        if sorted(columns) == sorted(classes):
            values = values[:, [columns.index(c) for c in classes]]
    if values.ndim == 2 and values.shape[1] != len(classes):
        what = f"{values.shape[1]} columns, and {len(classes)} classes"
        raise DataError(what, f"classes are {first_few(classes, 30)}", where)
    frame = pd.DataFrame({CASE: list(ids)})
    if values.ndim == 1 and values.dtype.kind != "f":
        answers = _positions(values, classes, where)
        return frame.assign(**{ANSWERS[0]: [classes[i] for i in answers]})
    if values.ndim == 1:
        if len(classes) != 2:
            what = f"one probability per case, and {len(classes)} classes"
            raise DataError(what, "give a column per class", where)
        values = np.stack([1 - values, values], axis=1)
    return frame.join(pd.DataFrame(values, columns=list(classes)))


def _column(name: str, given: Any, n: int) -> Any:
    values = np.asarray(given)
    if values.ndim != 1 or len(values) != n:
        raise DataError(f"{values.shape} values, and {n:,} labels", "give one per case", name)
    return values


def _refuse_other_index(name: str, given: Any, y_true: Any) -> None:
    """Rows are matched by place: two indexes that differ are two orders, or other cases."""
    both = isinstance(given, pd.Series | pd.DataFrame) and isinstance(y_true, pd.Series)
    if both and len(given) == len(y_true) and not given.index.equals(y_true.index):
        what = "its index is not that of y_true"
        do = "bring both into one order, or give arrays (.to_numpy())"
        raise DataError(what, do, f"y_prob[{name!r}]")
