"""One MILK10k, in every layout and dialect it is met in: always the same cases."""

from __future__ import annotations

import hashlib
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from milkreport.data.adapters.load import load_cases
from milkreport.data.adapters.milk10k import CLASSES, GROUND_TRUTH, IMAGES, METADATA, MONET
from milkreport.data.adapters.spec import SPEC_NAME
from milkreport.data.cases import Cases
from milkreport.data.synthetic.write import SUPPLEMENT, write_synthetic
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


def submission(folder: Path, name: str, values: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    """A table like that of the labels, with other values, below the data's folder."""
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    truth = pd.read_csv(folder / GROUND_TRUTH).set_index("lesion_id")
    values(truth).to_csv(path)


def others(truth: pd.DataFrame) -> pd.DataFrame:
    """One-hot answers for lesions that are not in the tables."""
    return truth.set_axis([f"IL_9{i:06d}" for i in range(len(truth))]).rename_axis("lesion_id")


@pytest.mark.parametrize(
    "values",
    [lambda t: t * 0, lambda t: t * 0.8 + 0.2 / 11, lambda t: t * 0 + 0.5, others],
    ids=["sample submission", "probabilities", "halves", "other lesions"],
)
def test_a_submission_below_the_folder_is_no_table_of_labels(
    official: Path, tmp_path: Path, values: Callable[[pd.DataFrame], pd.DataFrame]
) -> None:
    folder = lesion_folders(official, tmp_path / "data")
    before = load_cases(folder, "auto", tmp_path / "cache")
    submission(folder, "out/submission.csv", values)
    cases = load_cases(folder, "auto", tmp_path / "cache")
    assert cases.table["label"].tolist() == before.table["label"].tolist()
    assert [path.name for path in cases.files] == [METADATA, GROUND_TRUTH]
    assert "out/submission.csv left aside" in cases.layout


def test_a_submission_alone_labels_nothing(official: Path, tmp_path: Path) -> None:
    folder = lesion_folders(official, tmp_path / "data")
    submission(folder, "submission.csv", lambda t: t * 0.8 + 0.2 / 11)
    (folder / GROUND_TRUTH).unlink()
    assert not load_cases(folder, "auto", tmp_path / "cache").is_labelled


def test_of_two_tables_of_labels_a_description_chooses(official: Path, tmp_path: Path) -> None:
    folder = lesion_folders(official, tmp_path / "data")
    submission(folder, "relabelled.csv", lambda t: t[::-1].set_axis(t.index))
    with pytest.raises(DataError, match=r"two tables of labels: .*truth = ") as caught:
        load_cases(folder, "auto", tmp_path / "cache")
    description = str(caught.value).partition(f"say which in {SPEC_NAME}: ")[2]
    text = description.replace(", ", "\n").replace(GROUND_TRUTH, "relabelled.csv")
    (folder / SPEC_NAME).write_text(text + '\ndrop = ["MAL_OTH"]\n', encoding="utf-8")
    cases = load_cases(folder, "auto", tmp_path / "cache")
    truth = pd.read_csv(folder / "relabelled.csv").set_index("lesion_id").idxmax(axis=1)
    truth = truth[truth != "MAL_OTH"]
    assert dict(zip(cases.table["case_id"], cases.table["label"], strict=True)) == truth.to_dict()
    assert len(cases.left_out) == 66 - len(truth) > 0
    assert f"{GROUND_TRUTH} left aside: truth names relabelled.csv" in cases.layout


def test_an_export_of_the_isic_archive_is_not_taken_for_milk10k(
    official: Path, tmp_path: Path
) -> None:
    folder = flat(official, tmp_path / "data")
    rows = pd.read_csv(official / METADATA, dtype=str)
    columns = [c for c in rows.columns if not c.startswith("MONET_")]
    for path in folder.rglob("*.csv"):
        path.unlink()
    rows[columns].assign(diagnosis_1="Benign").to_csv(folder / "metadata.csv", index=False)
    with pytest.raises(DataError, match=r"metadata\.csv looks like an export of the ISIC Archive"):
        load_cases(folder, "auto", tmp_path / "cache")
    with pytest.raises(DataError, match="describe it: milkreport data init"):
        load_cases(folder, "auto", tmp_path / "cache")


def test_two_different_images_of_one_name_are_an_error(official: Path, tmp_path: Path) -> None:
    folder = flat(official, tmp_path / "data")
    first, second = sorted((folder / "images").iterdir())[:2]
    (folder / "more").mkdir()
    shutil.copy(second, folder / "more" / first.name)
    with pytest.raises(DataError, match="images/.* and more/|more/.* and images/"):
        load_cases(folder, "auto", tmp_path / "cache")


@pytest.mark.slow
def test_the_real_set_in_its_layout(real_data: Path, tmp_path: Path) -> None:
    cases = load_cases(real_data, "auto", tmp_path)
    assert len(cases.table) == 5240
    assert cases.extra == ()
    assert cases.orphans == ()
    assert METADATA in cases.layout
    assert "10,480 images" in cases.layout
