"""One MILK10k, in every layout and dialect it is met in: always the same cases."""

from __future__ import annotations

import hashlib
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from milkreport.data.cases import Cases
from milkreport.data.load import load_cases
from milkreport.data.milk10k import CLASSES, GROUND_TRUTH, IMAGES, METADATA, MONET
from milkreport.data.synthetic import SUPPLEMENT, write_synthetic
from milkreport.errors import DataError, DataProblems

TABLES = (METADATA, GROUND_TRUTH, SUPPLEMENT)


@pytest.fixture(scope="module")
def official(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """66 lesions as the archive ships them, without the mark of synthetic data."""
    folder = tmp_path_factory.mktemp("layouts") / "official"
    write_synthetic(folder, cases=66, seed=5, size=24)
    (folder / "SYNTHETIC.json").unlink()
    return folder


def essence(cases: Cases) -> pd.DataFrame:
    """The cases with each image path replaced by the hash of its file."""
    table = cases.table.copy()
    for view in cases.views:
        column = f"image:{view}"
        table[column] = [hashlib.sha256(Path(p).read_bytes()).hexdigest() for p in table[column]]
    return table


def copy_tables(source: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for name in TABLES:
        shutil.copy(source / name, target)


def copy_flat(source: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for path in (source / IMAGES).rglob("*.jpg"):
        shutil.copy(path, target)


def lesion_folders(source: Path, target: Path) -> Path:
    shutil.copytree(source, target)
    return target


def nested_twice(source: Path, target: Path) -> Path:
    copy_tables(source, target)
    shutil.copytree(source / IMAGES, target / IMAGES / IMAGES)
    return target


def flat(source: Path, target: Path) -> Path:
    copy_tables(source, target)
    copy_flat(source, target / "images")
    return target


def renamed(source: Path, target: Path) -> Path:
    shutil.copytree(source / IMAGES, target / "pictures")
    for name, other in zip(TABLES, ("meta.csv", "labels.csv", "more.csv"), strict=True):
        shutil.copy(source / name, target / other)
    return target


def beside_each_other(source: Path, target: Path) -> Path:
    copy_tables(source, target / "tables")
    copy_flat(source, target / "img")
    return target


def zipped(source: Path, target: Path) -> Path:
    target.mkdir()
    with zipfile.ZipFile(target / "MILK10k.zip", "w") as archive:
        for path in sorted(source.rglob("*")):
            archive.write(path, Path("MILK10k") / path.relative_to(source))
    return target / "MILK10k.zip"


def images_zipped(source: Path, target: Path) -> Path:
    copy_tables(source, target)
    with zipfile.ZipFile(target / f"{IMAGES}.zip", "w") as archive:
        for path in sorted((source / IMAGES).rglob("*.jpg")):
            archive.write(path, path.relative_to(source))
    return target


def doi_bundle(source: Path, target: Path) -> Path:
    """metadata.csv with diagnoses, supplements/, images/ flat; age and sex stand in metadata.csv alone."""
    copy_flat(source, target / "images")
    (target / "supplements").mkdir()
    images = pd.read_csv(source / METADATA, dtype=str)
    inputs = images.drop(columns=["age_approx", "sex"]).iloc[::-1]
    inputs.to_csv(target / "supplements" / "training_input.csv", index=False)
    shutil.copy(source / GROUND_TRUTH, target / "supplements" / "training_gt.csv")
    shutil.copy(source / SUPPLEMENT, target / "supplements" / "training_supp.csv")
    archive = images.drop(columns=["site", "skin_tone_class", *MONET])
    archive["diagnosis_1"] = "Benign"
    archive["diagnosis_confirm_type"] = "histopathology"
    archive.sample(frac=1, random_state=0).to_csv(target / "metadata.csv", index=False)
    return target


def windows(source: Path, target: Path) -> Path:
    shutil.copytree(source, target)
    for name in (METADATA, GROUND_TRUTH):
        text = (target / name).read_text(encoding="utf-8").replace("\n", "\r\n")
        (target / name).write_bytes(text.encode("utf-8-sig"))
    return target


def whole_numbers(source: Path, target: Path) -> Path:
    shutil.copytree(source, target)
    truth = pd.read_csv(source / GROUND_TRUTH)
    truth[list(CLASSES)] = truth[list(CLASSES)].astype(int)
    truth.to_csv(target / GROUND_TRUTH, index=False)
    return target


def lower_case_classes(source: Path, target: Path) -> Path:
    shutil.copytree(source, target)
    truth = pd.read_csv(source / GROUND_TRUTH)
    truth.rename(columns=str.lower).to_csv(target / GROUND_TRUTH, index=False)
    return target


def with_the_test_set(source: Path, target: Path) -> Path:
    shutil.copytree(source, target)
    test = pd.read_csv(source / METADATA, dtype=str)
    for column in ("lesion_id", "isic_id"):
        test[column] = test[column].str.replace("_", "_9")
    test.to_csv(target / "MILK10k_Test_Metadata.csv", index=False)
    return target


def copied_twice(source: Path, target: Path) -> Path:
    shutil.copytree(source, target / "one")
    shutil.copytree(source, target / "two")
    return target


LAYOUTS: list[Callable[[Path, Path], Path]] = [
    lesion_folders, nested_twice, flat, renamed, beside_each_other, zipped, images_zipped,
    doi_bundle, windows, whole_numbers, lower_case_classes, with_the_test_set, copied_twice,
]  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda f: f.__name__)
def test_every_layout_gives_the_same_cases(
    layout: Callable[[Path, Path], Path], official: Path, tmp_path: Path
) -> None:
    expected = load_cases(official, "auto", tmp_path / "cache")
    found = load_cases(layout(official, tmp_path / "data"), "auto", tmp_path / "cache")
    pd.testing.assert_frame_equal(essence(found), essence(expected), check_like=True)
    assert found.classes == expected.classes == tuple(CLASSES)
    assert found.is_labelled
    assert ".csv" in found.layout
    assert "\n" not in found.layout
    banned = set(expected.card.banned_columns) | {"diagnosis_1"}
    assert not banned & set(found.table.columns)


def test_a_bad_cell_is_named_where_it_stands(official: Path, tmp_path: Path) -> None:
    """Ages come from metadata.csv, whose rows are in another order."""
    root = doi_bundle(official, tmp_path / "data")
    table = pd.read_csv(root / "metadata.csv", dtype=str)
    table.loc[[3, 8], "age_approx"] = ["old", "400"]
    table.to_csv(root / "metadata.csv", index=False)
    with pytest.raises(DataProblems) as caught:
        load_cases(root, "auto", tmp_path / "cache")
    places = [problem.where for problem in caught.value.problems]
    assert places == ["metadata.csv:5:age_approx", "metadata.csv:10:age_approx"]


def test_a_zipped_synthetic_set_stays_synthetic(synthetic: Path, tmp_path: Path) -> None:
    cases = load_cases(zipped(synthetic, tmp_path / "data"), "auto", tmp_path / "cache")
    assert cases.card.synthetic


def test_tables_without_labels_are_understood(official: Path, tmp_path: Path) -> None:
    folder = lesion_folders(official, tmp_path / "data")
    (folder / GROUND_TRUTH).rename(tmp_path / "away.csv")
    cases = load_cases(folder, "auto", tmp_path / "cache")
    assert not cases.is_labelled
    assert len(cases.table) == 66
    assert "no labels" in cases.layout


def test_two_different_tables_are_an_error_that_names_both(official: Path, tmp_path: Path) -> None:
    folder = lesion_folders(official, tmp_path / "data")
    other = pd.read_csv(folder / METADATA, dtype=str).assign(sex="male")
    other.to_csv(folder / "edited.csv", index=False)
    with pytest.raises(DataError) as caught:
        load_cases(folder, "auto", tmp_path / "cache")
    assert METADATA in str(caught.value)
    assert "edited.csv" in str(caught.value)


def test_two_different_images_of_one_name_are_an_error(official: Path, tmp_path: Path) -> None:
    folder = flat(official, tmp_path / "data")
    first, second = sorted((folder / "images").iterdir())[:2]
    (folder / "more").mkdir()
    shutil.copy(second, folder / "more" / first.name)
    with pytest.raises(DataError, match="images/.* and more/|more/.* and images/"):
        load_cases(folder, "auto", tmp_path / "cache")


def test_the_real_set_in_its_layout(real_data: Path, tmp_path: Path) -> None:
    cases = load_cases(real_data, "auto", tmp_path)
    assert len(cases.table) == 5240
    assert cases.extra == ()
    assert cases.orphans == ()
    assert METADATA in cases.layout
    assert "10,480 images" in cases.layout
