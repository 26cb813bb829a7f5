"""What a report says of the data, as records: counts and quartiles, no row and no id."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from milkreport.data.cases import Cases, Feature
from milkreport.data.pixels.duplicates import RULE as DUPLICATE_RULE
from milkreport.data.prepare import Prepared
from milkreport.data.splits import Fold
from milkreport.evaluation.records.data import (
    CategoricalSummary,
    DataSummary,
    DuplicateSummary,
    Exclusion,
    ImageSummary,
    NumericSummary,
    SplitSummary,
)
from milkreport.suite.suite import Data

MOST_LEVELS = 12
MOST_BINS = 20


def summarise_data(prepared: Prepared, settings: Data, image_size: int | None) -> DataSummary:
    """Everything a report says of the data itself. *image_size*: None where nothing is trained."""
    cases, cleaned = prepared.cases, prepared.cleaned
    reasons = cleaned.removed["reason"].value_counts()
    features = cases.features
    return DataSummary(
        name=cases.card.name,
        synthetic=cases.card.synthetic,
        licence=cases.card.licence,
        attribution=cases.card.attribution,
        unit=cases.card.unit,
        units=cases.card.units,
        views=list(cases.views),
        n_found=cleaned.n_found,
        n_used=len(cases.table),
        n_images=len(cases.table) * len(cases.views),
        image_size=image_size,
        cleaning=settings.cleaning,
        exclusions=[Exclusion(reason=str(reason), n=int(n)) for reason, n in reasons.items()],
        class_counts=cases.class_counts(),
        class_titles=cases.card.class_titles,
        positive=[name for name in cases.card.positive if name in cases.classes],
        rules=list(cases.card.rules),
        guidelines=list(cases.card.guidelines),
        duplicate_groups=prepared.n_duplicate_groups,
        imputed=cleaned.imputed,
        features=[feature.column for feature in features],
        fingerprint=prepared.fingerprint,
        notes=[*cases.card.notes, *cases.remarks],
        layout=cases.layout,
        tables={f.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in cases.files},
        on_bad_image=settings.on_bad_image,
        decoder=settings.decoder,
        numeric=[summarise_numeric(cases, f) for f in features if f.kind == "numeric"],
        categorical=[summarise_categories(cases, f) for f in features if f.kind == "categorical"],
        images=[summarise_images(prepared.images, view) for view in cases.views],
        duplicates=_summarise_duplicates(prepared),
    )


def summarise_splits(cases: Cases, folds: list[Fold]) -> list[SplitSummary]:
    """Size of every part of every fold, by class."""
    labels = cases.labels().to_numpy()
    return [
        SplitSummary(
            fold=fold.index,
            part=part,  # type: ignore[arg-type]
            n=len(positions),
            class_counts={
                name: int(n)
                for name, n in zip(
                    cases.classes,
                    np.bincount(labels[positions], minlength=len(cases.classes)),
                    strict=True,
                )
            },
        )
        for fold in folds
        for part, positions in fold.parts().items()
    ]


def summarise_numeric(cases: Cases, feature: Feature) -> NumericSummary:
    """Histogram and quartiles by class; for few whole numbers, cases by value."""
    values = cases.table[feature.column].astype("float64")
    known = values.dropna()
    filled: dict[str, Any] = {}
    if len(known):
        filled = {
            "minimum": float(known.min()),
            "median": float(known.median()),
            "maximum": float(known.max()),
            "quartiles": {
                name: tuple(float(q) for q in np.quantile(group, [0.25, 0.5, 0.75]))
                for name, group in known.groupby(cases.table["label"].loc[known.index])
            },
        }
        distinct = known.unique()
        if len(distinct) <= MOST_LEVELS and (distinct == np.round(distinct)).all():
            levels = known.astype("int64").value_counts().sort_index()
            filled["levels"] = {str(value): int(n) for value, n in levels.items()}
        else:
            counts, edges = np.histogram(known, bins=_bins(known))
            filled |= {"edges": edges.tolist(), "counts": counts.tolist()}
    return NumericSummary(
        column=feature.column,
        title=feature.title,
        view=feature.view,
        n=len(known),
        missing=int(values.isna().sum()),
        **filled,
    )


def summarise_categories(cases: Cases, feature: Feature) -> CategoricalSummary:
    """Cases by value, most frequent first, and by class."""
    values = cases.table[feature.column]
    known = values.dropna().astype(str)
    by_class = {
        str(name): {str(v): int(n) for v, n in group.value_counts().items()}
        for name, group in known.groupby(cases.table["label"].loc[known.index])
    }
    return CategoricalSummary(
        column=feature.column,
        title=feature.title,
        view=feature.view,
        n=len(known),
        missing=int(values.isna().sum()),
        counts=_counts(known),
        by_class=by_class,
    )


def summarise_images(images: pd.DataFrame, view: str) -> ImageSummary:
    """Sizes, modes and formats of one view's sound files."""
    mine = images[(images["view"] == view) & (images["problem"] == "") & (images["file"] != "")]
    sizes = mine["width"].astype("int64").astype(str) + " x "
    sizes += mine["height"].astype("int64").astype(str)
    return ImageSummary(
        view=view,
        n=len(mine),
        sizes=_counts(sizes),
        modes=_counts(mine["mode"]),
        formats=_counts(mine["format"]),
    )


def _summarise_duplicates(prepared: Prepared) -> DuplicateSummary:
    kinds = prepared.duplicates["kind"].value_counts()
    linked = set(prepared.duplicates["case_a"]) | set(prepared.duplicates["case_b"])
    table = prepared.cases.table
    groups = table.loc[table["case_id"].isin(linked), "group_id"]
    sizes = table["group_id"].value_counts().reindex(groups.unique())
    return DuplicateSummary(
        identical=int(kinds.get("identical", 0)),
        near=int(kinds.get("near", 0)),
        groups=prepared.n_duplicate_groups,
        largest=int(sizes.max()) if len(sizes) else 0,
        rule=DUPLICATE_RULE,
    )


def _bins(known: pd.Series) -> npt.NDArray[np.float64]:
    """Edges of a histogram; of whole numbers each bin has place for equally many values."""
    low, high = float(known.min()), float(known.max())
    n = int(min(MOST_BINS, max(5, np.sqrt(len(known)))))
    if (known == np.round(known)).all() and high - low < 1e9:
        step = int(np.gcd.reduce(np.diff(np.unique(known.astype("int64"))))) or 1
        width = step * int(np.ceil(((high - low) / step + 1) / n))
        return np.arange(low - step / 2, high + width, width)[: int((high - low) // width) + 2]
    return np.histogram_bin_edges(known, bins=n)


def _counts(values: pd.Series) -> dict[str, int]:
    return {str(value): int(n) for value, n in values.value_counts().items()}
