"""Table columns to network inputs. Everything learned is learned on the training part."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from milkreport.data.cases import Feature
from milkreport.errors import DataError
from milkreport.limits import MOST_CATEGORIES, MOST_COLUMNS, MOST_INPUTS

Array = npt.NDArray[np.float32]


class ColumnEncoder(BaseModel):
    """One feature's fitted encoding.

    Numeric: ``(value - mean) / sd``, with mean 0 and sd 1 where the feature is taken as it is; a missing
    value becomes ``fill``, the training median. Categorical: one column a category seen in training; a
    missing or new category is all zeros.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    column: str
    view: str
    categories: Annotated[list[str], Field(max_length=MOST_CATEGORIES)] | None = None
    mean: Annotated[float, Field(allow_inf_nan=False)] = 0.0
    sd: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    fill: Annotated[float, Field(allow_inf_nan=False)] = 0.0

    @property
    def names(self) -> list[str]:
        """Names of the columns this encoder makes."""
        if self.categories is None:
            return [self.column]
        return [f"{self.column}_{category}" for category in self.categories]

    def encode(self, table: pd.DataFrame) -> Array:
        """Encode one column: float32 of shape (n_cases, len(names))."""
        values = table[self.column]
        if self.categories == []:  # missing in all of the training part: nothing to learn
            return np.zeros((len(table), 0), np.float32)
        if self.categories is not None:
            text = values.astype(object).to_numpy()
            return np.stack([text == category for category in self.categories], axis=1).astype(
                np.float32
            )
        numbers = values.astype("float64").fillna(self.fill).to_numpy()
        return ((numbers - self.mean) / self.sd)[:, None].astype(np.float32)


class FeatureEncoder(BaseModel):
    """All fitted encodings, in the order of the inputs."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    columns: Annotated[list[ColumnEncoder], Field(max_length=MOST_COLUMNS)]

    @model_validator(mode="after")
    def _few_inputs(self) -> FeatureEncoder:
        if (n := sum(len(column.names) for column in self.columns)) > MOST_INPUTS:
            raise ValueError(f"the columns are {n:,} inputs: at most {MOST_INPUTS:,}")
        return self

    def names(self, view: str) -> list[str]:
        """Input names of one view: the case's own columns first, then the view's."""
        return [name for column in self._of(view) for name in column.names]

    def encode(self, table: pd.DataFrame, view: str) -> Array:
        """Inputs of one view: float32 of shape (n_cases, len(names(view)))."""
        parts = [column.encode(table) for column in self._of(view)]
        return np.concatenate(parts, axis=1) if parts else np.zeros((len(table), 0), np.float32)

    def encode_once(self, table: pd.DataFrame) -> Array:
        """All columns, each once whatever views read it: float32 of shape (n_cases, n_columns)."""
        parts = [column.encode(table) for column in self.columns]
        return np.concatenate(parts, axis=1) if parts else np.zeros((len(table), 0), np.float32)

    def unseen(self, table: pd.DataFrame) -> dict[str, dict[str, int]]:
        """Values of categorical columns that were not seen in training, by column, with their cases, the most
        frequent first; each is all zeros."""
        found = {}
        for column in self.columns:
            if column.categories is not None:
                values = table[column.column].dropna().astype(str)
                counts = values[~values.isin(column.categories)].value_counts()
                if len(counts):
                    found[column.column] = {str(value): int(n) for value, n in counts.items()}
        return found

    def _of(self, view: str) -> list[ColumnEncoder]:
        return [column for column in self.columns if column.view in ("case", view)]


def fit_encoder(training_table: pd.DataFrame, features: Sequence[Feature]) -> FeatureEncoder:
    """Fit every feature's encoding on the training part alone.

    Standardisation divides by the population standard deviation, as scikit-learn's ``StandardScaler``;
    a constant column is only centred.

    Raises:
        DataError: a text column of too many values, or too many columns.
    """
    columns = [_fit(training_table[f.column], f) for f in features]
    try:
        return FeatureEncoder(columns=columns)
    except ValidationError as error:
        what = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise DataError(what, "leave out features") from error


def _fit(values: pd.Series, feature: Feature) -> ColumnEncoder:
    if feature.kind == "categorical":
        seen = sorted({str(value) for value in values.dropna()})
        if len(seen) > MOST_CATEGORIES:
            what = f"the text column {feature.column} has {len(seen):,} different values"
            do = f"at most {MOST_CATEGORIES:,}: make it numeric, or leave it out"
            raise DataError(what, do)
        return ColumnEncoder(column=feature.column, view=feature.view, categories=seen)
    numbers = values.astype("float64").dropna()
    fill = float(numbers.median()) if len(numbers) else 0.0
    filled = values.astype("float64").fillna(fill).to_numpy()
    mean, sd = (float(filled.mean()), float(filled.std())) if feature.zscore else (0.0, 1.0)
    return ColumnEncoder(
        column=feature.column, view=feature.view, mean=mean, sd=sd if sd > 0 else 1.0, fill=fill
    )
