"""The MILK10k adapter and the cleaning: the paper's counts, and errors on broken tables."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from milkreport.data.adapters.load import load_cases
from milkreport.data.adapters.milk10k import BANNED, GROUND_TRUTH, METADATA
from milkreport.data.cases import Cases
from milkreport.data.cleaning import clean
from milkreport.data.features import fit_encoder
from milkreport.errors import DataError


def load(folder: Path) -> Cases:
    """MILK10k as the command line loads it."""
    return load_cases(folder, "milk10k", folder / "cache")


COUNTS = {
    "AKIEC": 303, "BCC": 2518, "BEN_OTH": 43, "BKL": 541, "DF": 52, "INF": 49, "MAL_OTH": 9,
    "MEL": 444, "NV": 712, "SCCKA": 473, "VASC": 45,
}  # fmt: skip


def test_the_papers_twelve_numbers_on_the_real_tables(real_data: Path) -> None:
    cleaned = clean(load(real_data), "paper")
    assert cleaned.n_found == 5240
    assert cleaned.removed["reason"].value_counts().to_dict() == {
        "missing site": 31,
        "missing age_approx": 20,
    }
    assert len(cleaned.cases.table) == 5189
    assert cleaned.cases.class_counts() == COUNTS
    encoder = fit_encoder(cleaned.cases.table, cleaned.cases.features)
    for view in ("clinical", "dermoscopic"):
        names = encoder.names(view)
        assert len(names) == 18
        assert names[:9] == [
            "sex_female", "sex_male", "site_foot", "site_genital", "site_hand",
            "site_head_neck_face", "site_lower_extremity", "site_trunk", "site_upper_extremity",
        ]  # fmt: skip


@pytest.mark.slow
def test_every_row_lands_where_the_tables_put_it(real_data: Path) -> None:
    table = load(real_data).table.set_index("case_id")
    raw = pd.read_csv(real_data / METADATA)
    truth = pd.read_csv(real_data / GROUND_TRUTH).set_index("lesion_id")
    assert (truth.idxmax(axis=1).reindex(table.index) == table["label"]).all()
    clinical = raw[raw["image_type"] == "clinical: close-up"].set_index("lesion_id")
    clinical = clinical.reindex(table.index)
    assert np.allclose(table["MONET_hair:clinical"], clinical["MONET_hair"])
    stems = table["image:clinical"].map(lambda p: Path(p).stem)
    assert (stems == clinical["isic_id"]).all()


def test_no_feature_gives_the_label_away(synthetic: Path) -> None:
    cases = load(synthetic)
    columns = {feature.column.split(":")[0] for feature in cases.features}
    assert not columns & set(BANNED)
    assert not set(BANNED) & set(cases.table.columns)


def test_strict_cleaning_is_an_error_and_impute_keeps(synthetic: Path) -> None:
    cases = load(synthetic)
    gaps = cases.table[["age_approx", "site"]].isna().any(axis=1)
    assert gaps.any()
    with pytest.raises(DataError, match="incomplete lesions, first IL_"):
        clean(cases, "strict")
    imputed = clean(cases, "impute")
    assert len(imputed.cases.table) == len(cases.table)
    assert sum(imputed.imputed.values()) >= gaps.sum()
    dropped = clean(cases, "paper")
    assert len(dropped.cases.table) == (~gaps).sum()
    assert set(dropped.removed["case_id"]) == set(cases.table.loc[gaps, "case_id"])


def edit(table: str, old: str, new: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / table
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new, 1), encoding="utf-8")

    return change


def drop_last_row(table: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / table
        rows = path.read_text(encoding="utf-8").splitlines(keepends=True)
        path.write_text("".join(rows[:-1]), encoding="utf-8")

    return change


BROKEN = {
    "metadata missing": (lambda f: (f / METADATA).unlink(), "no table of MILK10k's images"),
    "column misspelt": (edit(METADATA, "lesion_id", "lesionid"), "did you mean 'lesionid'"),
    "class unknown": (edit(GROUND_TRUTH, "VASC", "VASCU"), "unknown class VASCU"),
    "image type": (edit(METADATA, "dermoscopic", "dermatoscopic"), "unknown view 'dermatoscopic'"),
    "path in id": (edit(METADATA, "ISIC_", "../ISIC_"), "is no id"),
    "two classes": (edit(GROUND_TRUTH, "0.0", "1.0"), "one-hot row names 2 classes"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_folders_are_named(name: str, synthetic: Path, tmp_path: Path) -> None:
    change, message = BROKEN[name]
    folder = tmp_path / "data"
    folder.mkdir()
    for table in (METADATA, GROUND_TRUTH):
        shutil.copy(synthetic / table, folder)
    change(folder)
    with pytest.raises(DataError) as caught:
        load(folder)
    assert message in str(caught.value)
    assert caught.value.exit_code == 3


def test_a_lesion_without_label_is_an_error_or_dropped(synthetic: Path, tmp_path: Path) -> None:
    for table in (METADATA, GROUND_TRUTH):
        shutil.copy(synthetic / table, tmp_path)
    drop_last_row(GROUND_TRUTH)(tmp_path)
    cases = load(tmp_path)
    with pytest.raises(DataError, match="1 lesions without a label: IL_"):
        clean(cases, "impute")
    removed = clean(cases, "impute", unlabelled="drop").removed
    assert removed["reason"].tolist() == ["no label"]


def test_a_third_image_of_a_lesion_drops_the_lesion(synthetic: Path, tmp_path: Path) -> None:
    for table in (METADATA, GROUND_TRUTH):
        shutil.copy(synthetic / table, tmp_path)
    path = tmp_path / METADATA
    row = path.read_text(encoding="utf-8").splitlines()[-1]
    lesion, isic = row.split(",")[0], row.split(",")[2]
    with path.open("a", encoding="utf-8") as file:
        file.write(row.replace(isic, "ISIC_0000001") + "\n")
    removed = clean(load(tmp_path), "paper").removed.set_index("case_id")["reason"]
    assert "not exactly one" in removed[lesion]
