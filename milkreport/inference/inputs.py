"""Cases for a trained model: whatever data, labelled or not, brought to what the model reads."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from milkreport.data.adapters.load import load_cases
from milkreport.data.cases import IMAGE_PREFIX, Cases
from milkreport.data.pixels.store import PixelStore, Progress, open_store
from milkreport.data.prepare import image_problems
from milkreport.errors import DataError, DataProblems, did_you_mean
from milkreport.tables import first_few
from milkreport.training.card import ModelCard


@dataclass(frozen=True)
class InferenceInputs:
    """All cases of some data, as a model is asked about them.

    ``cases``: with those views alone that the model sees. ``store``: their images in the same order; None
    for a model that sees none. ``lacking``: bool (n_cases,), cases without one of the images. ``imputed``:
    missing values by column. ``decoded``: images that were not in the cache, in ``seconds``. ``unknown``:
    values that training did not have, by column, with their cases.
    """

    cases: Cases
    store: PixelStore | None
    lacking: npt.NDArray[np.bool_]
    imputed: dict[str, int]
    decoded: int = 0
    seconds: float = 0.0
    unknown: dict[str, dict[str, int]] = field(default_factory=dict)

    @property
    def n_images(self) -> int:
        """Images that a model is shown."""
        if self.store is None:
            return 0
        return int((~self.lacking).sum()) * len(self.cases.views)


def load_asked(
    data: Path,
    card: ModelCard,
    cache: Path,
    strict: bool = False,
    progress: Progress = lambda done, total: None,
    notice: Callable[[str], None] = lambda line: None,
) -> InferenceInputs:
    """Read the cases of *data*, all of them, and decode what the model of *card* sees.

    Missing values of columns stay: the model's encoder fills them as it learned on its training part.

    Args:
        strict: whether a case without one of its images is an error.

    Raises:
        DataError: labels of other classes; a view or a column that the model reads is missing or of another
            kind; under *strict*, incomplete cases. DataProblems: every image that cannot be decoded.
    """
    cases = load_cases(data, "auto", cache, notice)
    notice(f"found {cases.layout}")
    refuse_other_classes(cases, card)
    columns = dict.fromkeys(c.column for c in card.reads.encoder.columns)
    held = {name: cases.table[name].dropna() for name in columns if name in cases.table}
    is_number = {
        name: bool(pd.api.types.is_numeric_dtype(values)) if len(values) else None
        for name, values in held.items()
    }
    refuse_unfit(cases, card, is_number)
    missing = {name: int(cases.table[name].isna().sum()) for name in columns}
    imputed = {name: n for name, n in missing.items() if n}
    unknown = card.reads.encoder.unseen(cases.table)
    if not card.sees_images:
        nobody = np.zeros(len(cases.table), bool)
        return InferenceInputs(cases, None, nobody, imputed, unknown=unknown)
    cases = replace(cases, views=tuple(v for v in cases.views if v in card.reads.views))
    images = cases.table[[IMAGE_PREFIX + view for view in cases.views]]
    lacking = images.isna().any(axis=1).to_numpy()
    if strict and lacking.any():
        what = f"{int(lacking.sum()):,} {cases.card.units} without one of their images: "
        what += first_few(cases.table.loc[lacking, "case_id"])
        raise DataError(what, "complete the data, or leave out --strict", str(data))
    started, fresh = time.perf_counter(), 0

    def count(done: int, total: int) -> None:
        nonlocal fresh
        fresh += 1
        progress(done, total)

    store = open_store(
        cases,
        card.reads.image_size,
        cache,
        decoder=card.reads.decoder,
        progress=count,
        notice=notice,
    )
    # An image that a table names and nobody can read is a mistake that can be mended: no case is
    # answered without being seen because a folder was forgotten.
    if problems := image_problems(store.images):
        raise DataProblems(problems)
    seconds = time.perf_counter() - started
    return InferenceInputs(cases, store, lacking, imputed, fresh, seconds, unknown)


def refuse_other_classes(cases: Cases, card: ModelCard) -> None:
    """Raise a DataError where *cases* have labels of classes that the model does not know."""
    if cases.is_labelled and (foreign := [c for c in cases.classes if c not in card.classes]):
        what = f"the data have the class {first_few(foreign)}, which the model does not know"
        do = f"the data's classes: {first_few(cases.classes, 30)}; the model's: {first_few(card.classes, 30)}"
        raise DataError(what, do, str(cases.root))


def refuse_unfit(cases: Cases, card: ModelCard, numeric: Mapping[str, bool | None]) -> None:
    """Raise a DataError for views and columns that the model reads and *cases* lack, or have of another kind.

    Args:
        numeric: the columns that there are to whether they hold numbers; None where nothing tells.
    """
    reads, root = card.reads, str(cases.root)
    views = [v for v in reads.views if v not in cases.views] if card.sees_images else []
    columns = [
        c for c in dict.fromkeys(c.column for c in reads.encoder.columns) if c not in numeric
    ]
    if lacking := [f"the view {v}" for v in views] + [f"the column {c}" for c in columns]:
        what = f"the model reads {first_few(lacking, 30)}, which the data lack"
        own = [f.column for f in cases.features]
        hint = did_you_mean(columns[0], own) if columns else ""
        do = f"{hint} the data's views: {', '.join(cases.views)}; columns that may be read: "
        raise DataError(what, do.strip() + " " + (first_few(own, 30) or "none"), root)
    for encoder in reads.encoder.columns:
        is_number = numeric[encoder.column]
        if is_number is not None and is_number != (encoder.categories is None):
            kinds = ("numbers", "text") if is_number else ("text", "numbers")
            what = f"the column {encoder.column} holds {kinds[0]}, the model reads {kinds[1]}"
            do = "describe the data as those it was trained on: its kind, in milkreport.toml"
            raise DataError(what, do, root)
