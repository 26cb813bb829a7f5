"""What a report says of the data equals what pandas counts in the tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from milkreport.data.adapters.milk10k import METADATA
from milkreport.data.cases import Card, Cases, Feature
from milkreport.data.prepare import Prepared, prepare
from milkreport.data.splits import make_folds
from milkreport.runs.describe import summarise_data, summarise_numeric, summarise_splits
from milkreport.suite.suite import Data, Split

SETTINGS = Data(image_size=16, cleaning="impute")


@pytest.fixture(scope="module")
def prepared(synthetic: Path, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return prepare(synthetic, SETTINGS, tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def raw(synthetic: Path) -> pd.DataFrame:
    table = pd.read_csv(synthetic / METADATA)
    return table[table["image_type"] == "dermoscopic"].set_index("lesion_id").sort_index()


def test_numbers_equal_pandas(prepared: Prepared, raw: pd.DataFrame) -> None:
    data = summarise_data(prepared, SETTINGS, 16)
    numeric = {summary.column: summary for summary in data.numeric}
    hair, values = numeric["MONET_hair:dermoscopic"], raw["MONET_hair"].dropna()
    assert (hair.n, hair.missing) == (len(values), int(raw["MONET_hair"].isna().sum()))
    assert hair.view == "dermoscopic"
    assert (hair.minimum, hair.median, hair.maximum) == (
        values.min(),
        pytest.approx(values.median()),
        values.max(),
    )
    assert sum(hair.counts) == len(values)
    first = ((values >= hair.edges[0]) & (values < hair.edges[1])).sum()
    assert hair.counts[0] == first
    labels = prepared.cases.table.set_index("case_id")["label"]
    expected = values.groupby(labels).quantile([0.25, 0.5, 0.75]).unstack()
    for name, quartiles in hair.quartiles.items():
        assert np.allclose(quartiles, expected.loc[name])


def test_whole_numbers_are_levels(prepared: Prepared, raw: pd.DataFrame) -> None:
    data = summarise_data(prepared, SETTINGS, 16)
    (tone,) = (s for s in data.numeric if s.column == "skin_tone_class")
    counts = raw["skin_tone_class"].value_counts()
    assert tone.levels == {str(int(k)): int(counts[k]) for k in sorted(counts.index)}
    assert tone.counts == []
    assert "0 very dark" in tone.title


def test_categories_and_gaps(prepared: Prepared, raw: pd.DataFrame) -> None:
    data = summarise_data(prepared, SETTINGS, 16)
    (site,) = (s for s in data.categorical if s.column == "site")
    assert site.counts == raw["site"].value_counts().to_dict()
    assert site.missing == raw["site"].isna().sum() > 0
    assert list(site.counts.values()) == sorted(site.counts.values(), reverse=True)
    summed = sum(n for by_value in site.by_class.values() for n in by_value.values())
    assert summed == site.n == len(raw) - site.missing


def test_images_by_view(prepared: Prepared) -> None:
    for image in summarise_data(prepared, SETTINGS, 16).images:
        assert image.n == 220
        assert image.sizes == {"32 x 32": 220}
        assert image.modes == {"RGB": 220}
        assert image.formats == {"JPEG": 220}


def test_splits_add_up(prepared: Prepared) -> None:
    folds = make_folds(prepared.cases, Split(kind="kfold", folds=3))
    splits = summarise_splits(prepared.cases, folds)
    assert sum(s.n for s in splits if s.part == "test") == len(prepared.cases.table)
    for name, n in prepared.cases.class_counts().items():
        assert sum(s.class_counts[name] for s in splits if s.part == "test") == n


def test_no_bin_of_whole_numbers_is_empty_by_its_place(tmp_path: Path) -> None:
    """Ages in steps of five: every bin has place for as many values as any other."""
    ages = [float(age) for age in range(5, 90, 5) for _ in range(30)]
    table = pd.DataFrame({"age": ages, "label": "x"})
    cases = Cases(table, (), (), ("x",), Card("made", "", ""), tmp_path)
    summary = summarise_numeric(cases, Feature("age", "numeric"))
    assert summary.counts == [30] * 17
    assert np.allclose(np.diff(summary.edges), 5)
    many = pd.DataFrame({"age": np.arange(1000.0), "label": "x"})
    cases = Cases(many, (), (), ("x",), Card("made", "", ""), tmp_path)
    summary = summarise_numeric(cases, Feature("age", "numeric"))
    assert sum(summary.counts) == 1000
    assert len(set(summary.counts[:-1])) == 1
