"""Encodings: equal to scikit-learn's, and fitted on the training part alone."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.preprocessing import StandardScaler

from milkreport.data.cases import Feature
from milkreport.data.features import FeatureEncoder, fit_encoder

FEATURES = (
    Feature("sex", "categorical"),
    Feature("age", "numeric", zscore=True),
    Feature("hair:a", "numeric", view="a"),
    Feature("hair:b", "numeric", view="b"),
)
TABLE = pd.DataFrame(
    {
        "sex": ["m", "f", "m", "x"],
        "age": [40.0, 50.0, 80.0, 1000.0],
        "hair:a": [0.1, 0.2, 0.3, 0.4],
        "hair:b": [0.9, 0.8, 0.7, 0.6],
    }
)


def test_columns_by_view_and_values() -> None:
    encoder = fit_encoder(TABLE.iloc[:3], FEATURES)
    assert encoder.names("a") == ["sex_f", "sex_m", "age", "hair:a"]
    assert encoder.names("b") == ["sex_f", "sex_m", "age", "hair:b"]
    encoded = encoder.encode(TABLE, "a")
    scaler = StandardScaler().fit(TABLE[["age"]].iloc[:3])
    assert np.allclose(encoded[:, 2], scaler.transform(TABLE[["age"]]).ravel())
    assert np.allclose(encoded[:, 3], TABLE["hair:a"])  # as it is
    assert encoded[:, :2].tolist() == [[0, 1], [1, 0], [0, 1], [0, 0]]  # unseen: all zeros


def test_only_the_training_part_is_learned_from() -> None:
    changed = TABLE.copy()
    changed.loc[3] = ["new", -5.0, 0.0, 0.0]
    assert fit_encoder(TABLE.iloc[:3], FEATURES) == fit_encoder(changed.iloc[:3], FEATURES)
    assert fit_encoder(TABLE, FEATURES) != fit_encoder(changed, FEATURES)  # negative control


def test_missing_values_take_the_training_median() -> None:
    table = TABLE.copy()
    table.loc[1, ["sex", "age"]] = [None, np.nan]
    encoder = fit_encoder(table.iloc[:3], FEATURES)
    encoded = encoder.encode(table, "a")
    assert encoded[1, 0] == 0  # its one category, m, is not its own
    assert np.isfinite(encoded).all()
    age = next(column for column in encoder.columns if column.column == "age")
    assert age.fill == 60.0


def test_an_encoder_survives_its_json() -> None:
    encoder = fit_encoder(TABLE, FEATURES)
    assert FeatureEncoder.model_validate_json(encoder.model_dump_json()) == encoder


def test_a_column_that_no_training_case_fills_gives_no_input() -> None:
    table = TABLE.assign(sex=[None, None, None, "x"])
    encoder = fit_encoder(table.iloc[:3], FEATURES)
    assert encoder.names("a") == ["age", "hair:a"]
    assert encoder.encode(table, "a").shape == (4, 2)
    assert encoder.unseen(table) == {"sex": {"x": 1}}
