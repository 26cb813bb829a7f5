"""The synthetic MILK10k: its layout, its tables, its sameness and what it refuses."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from milkreport.data.synthetic.cases import apportion, draw_cohort
from milkreport.data.synthetic.write import write_synthetic
from milkreport.errors import ConfigError, DataError, EnvironmentProblem
from tests.data.test_milk10k import load

N = 150
SIZE = 24
REAL_COUNTS = {
    "AKIEC": 303, "BCC": 2518, "BEN_OTH": 43, "BKL": 541, "DF": 52, "INF": 49,
    "MAL_OTH": 9, "MEL": 444, "NV": 712, "SCCKA": 473, "VASC": 45,
}  # fmt: skip
METADATA_HEADER = (
    "lesion_id,image_type,isic_id,attribution,copyright_license,image_manipulation,age_approx,sex,"
    "skin_tone_class,site,MONET_ulceration_crust,MONET_hair,MONET_vasculature_vessels,"
    "MONET_erythema,MONET_pigmented,MONET_gel_water_drop_fluid_dermoscopy_liquid,"
    "MONET_skin_markings_pen_ink_purple_pen"
)
TRUTH_HEADER = "lesion_id,AKIEC,BCC,BEN_OTH,BKL,DF,INF,MAL_OTH,MEL,NV,SCCKA,VASC"
SUPPLEMENT_HEADER = "isic_id,diagnosis_full,diagnosis_confirm_type,invasion_thickness_interval"


def digests(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def read(root: Path, table: str) -> pd.DataFrame:
    return pd.read_csv(root / f"MILK10k_Training_{table}.csv")


def labels_of(root: Path) -> pd.Series:
    return read(root, "GroundTruth").set_index("lesion_id").idxmax(axis=1)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("synthetic") / "milk10k"
    write_synthetic(root, cases=N, seed=11, size=SIZE)
    return root


# --- class counts -----------------------------------------------------------------------------


def test_apportion_gives_the_real_counts_back() -> None:
    assert apportion(5189, REAL_COUNTS, 6) == REAL_COUNTS


def test_apportion_by_hand() -> None:
    # Exact shares of 10: 6.25, 2.5, 1.25; the largest remainder takes the last seat.
    assert apportion(10, {"a": 5, "b": 2, "c": 1}, 0) == {"a": 6, "b": 3, "c": 1}
    # c is lifted to 3, the other 7 are shared 5 : 2.
    assert apportion(10, {"a": 5, "b": 2, "c": 1}, 2) == {"a": 6, "b": 2, "c": 2}


@pytest.mark.parametrize("cases", [66, 67, 100, 613, 3460, 20_000])
def test_apportion_keeps_total_and_floor(cases: int) -> None:
    counts = apportion(cases, REAL_COUNTS, 6)
    assert sum(counts.values()) == cases
    assert min(counts.values()) >= 6
    assert list(counts) == list(REAL_COUNTS)


def test_class_counts_of_600() -> None:
    # Five classes are lifted to 6; the other 570 go by 4,991 real lesions: AKIEC 34.60, BCC 287.57,
    # BKL 61.78, MEL 50.71, NV 81.31, SCCKA 54.02; the three seats left go to BKL, MEL and AKIEC.
    assert Counter(case.label for _, case in draw_cohort(600, 11)) == {
        "AKIEC": 35, "BCC": 287, "BEN_OTH": 6, "BKL": 62, "DF": 6, "INF": 6,
        "MAL_OTH": 6, "MEL": 51, "NV": 81, "SCCKA": 54, "VASC": 6,
    }  # fmt: skip


# --- layout and tables ------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("table", "header"),
    [
        ("Metadata", METADATA_HEADER),
        ("GroundTruth", TRUTH_HEADER),
        ("Supplement", SUPPLEMENT_HEADER),
    ],
)
def test_headers_are_the_official_ones(made: Path, table: str, header: str) -> None:
    with open(made / f"MILK10k_Training_{table}.csv", encoding="utf-8") as stream:
        assert stream.readline() == header + "\n"


def test_truth_is_one_hot_and_sorted(made: Path) -> None:
    text = (made / "MILK10k_Training_GroundTruth.csv").read_text().splitlines()[1:]
    assert len(text) == N
    for line in text:
        assert sorted(line.split(",")[1:]) == ["0.0"] * 10 + ["1.0"]
    ids = read(made, "GroundTruth")["lesion_id"]
    assert ids.is_monotonic_increasing
    assert ids.is_unique
    assert ids.str.fullmatch(r"IL_\d{7}").all()


def test_metadata_has_two_rows_a_lesion(made: Path) -> None:
    images = read(made, "Metadata")
    assert len(images) == 2 * N
    assert list(images["image_type"]) == ["clinical: close-up", "dermoscopic"] * N
    assert list(images["lesion_id"][::2]) == list(read(made, "GroundTruth")["lesion_id"])
    assert images["isic_id"].is_unique
    assert images["isic_id"].str.fullmatch(r"ISIC_\d{7}").all()
    assert set(images["attribution"]) == {"synthetic (milkreport)"}
    assert set(images["copyright_license"]) == {"CC-0"}
    assert set(images["image_manipulation"]) == {"altered", "instrument only"}
    for column in ("age_approx", "sex", "skin_tone_class", "site"):
        same = images.groupby("lesion_id")[column].nunique(dropna=False)
        assert (same == 1).all(), column
    scores = images.filter(like="MONET_")
    assert scores.shape[1] == 7
    assert scores.to_numpy().min() > 0
    assert scores.to_numpy().max() < 1


def test_patient_fields(made: Path) -> None:
    patients = read(made, "Metadata").drop_duplicates("lesion_id")
    assert set(patients["age_approx"].dropna() % 5) == {0}
    assert patients["age_approx"].min() >= 5
    assert patients["age_approx"].max() <= 85
    assert set(patients["sex"]) == {"male", "female"}
    assert set(patients["skin_tone_class"]) <= {0, 1, 2, 3, 4, 5}
    assert set(patients["site"].dropna()) <= {
        "trunk", "head_neck_face", "lower_extremity", "upper_extremity", "hand", "foot", "genital",
    }  # fmt: skip
    assert patients["age_approx"].isna().sum() == 2
    assert patients["site"].isna().sum() == 3
    assert not (patients["age_approx"].isna() & patients["site"].isna()).any()


def test_no_rare_class_falls_below_the_floor_by_missing_values(made: Path) -> None:
    patients = read(made, "Metadata").drop_duplicates("lesion_id").set_index("lesion_id")
    complete = patients.dropna(subset=["age_approx", "site"]).index
    assert labels_of(made)[complete].value_counts().min() >= 6


@pytest.mark.slow
def test_as_many_values_lack_as_in_the_real_set() -> None:
    patients = [case.patient for _, case in draw_cohort(5240, 1)]
    assert sum(p["age_approx"] is None for p in patients) == 20
    assert sum(p["site"] is None for p in patients) == 31
    assert sum(p["site"] is None and p["age_approx"] is None for p in patients) == 0


def test_fewest_cases_keep_five_of_every_class() -> None:
    complete = Counter(
        case.label for _, case in draw_cohort(66, 3) if None not in case.patient.values()
    )
    assert sum(complete.values()) == 66 - 5
    assert min(complete[name] for name in REAL_COUNTS) == 5


def test_tables_follow_the_real_statistics() -> None:
    cohort = [case for _, case in draw_cohort(3000, 2)]
    rows = pd.DataFrame([case.patient | {"label": case.label} for case in cohort])
    # Means and standard deviations of the real lesions, by class and view.
    age = rows.astype({"age_approx": float}).groupby("label")["age_approx"].mean()
    assert age["NV"] == pytest.approx(42.0, abs=2)
    assert age["BCC"] == pytest.approx(64.9, abs=1)
    assert (rows["sex"] == "male").mean() == pytest.approx(0.60, abs=0.03)
    assert (rows["skin_tone_class"] == 3).mean() == pytest.approx(0.61, abs=0.03)
    assert (rows["site"] == "trunk").mean() == pytest.approx(0.37, abs=0.03)
    hair = np.array([case.monet[:, 1] for case in cohort if case.label == "BCC"])
    assert hair.mean(axis=0) == pytest.approx([0.18, 0.39], abs=0.02)
    pigment = np.array([case.monet[1, 4] for case in cohort if case.label == "MEL"])
    assert (pigment.mean(), pigment.std()) == pytest.approx((0.69, 0.21), abs=0.04)


def test_supplement_lists_every_image_by_id(made: Path) -> None:
    supplement = read(made, "Supplement")
    assert list(supplement["isic_id"]) == sorted(read(made, "Metadata")["isic_id"])
    deep = supplement["invasion_thickness_interval"].notna()
    assert set(supplement.loc[deep, "diagnosis_full"]) == {"Melanoma Invasive"}
    assert set(supplement["diagnosis_confirm_type"]) == {
        "histopathology",
        "single contributor clinical assessment",
    }


def test_images_lie_where_the_tables_say(made: Path) -> None:
    images = read(made, "Metadata")
    folder = made / "MILK10k_Training_Input"
    named = {f"{row.lesion_id}/{row.isic_id}.jpg" for row in images.itertuples()}
    assert {str(p.relative_to(folder).as_posix()) for p in folder.rglob("*.jpg")} == named
    for name in sorted(named)[:40]:
        with Image.open(folder / name) as image:
            assert (image.format, image.size, image.mode) == ("JPEG", (SIZE, SIZE), "RGB")


def test_mark_says_that_it_is_synthetic(made: Path) -> None:
    mark = json.loads((made / "SYNTHETIC.json").read_text(encoding="utf-8"))
    assert "Not medical data" in mark.pop("note")
    assert mark == {"generator": "milkreport", "version": 1, "cases": N, "seed": 11, "size": SIZE}
    assert sorted(p.name for p in made.iterdir()) == [
        "MILK10k_Training_GroundTruth.csv",
        "MILK10k_Training_Input",
        "MILK10k_Training_Metadata.csv",
        "MILK10k_Training_Supplement.csv",
        "SYNTHETIC.json",
    ]


def test_the_loader_reads_it_and_knows_that_it_is_synthetic(made: Path) -> None:
    cases = load(made)
    assert len(cases.table) == N
    assert cases.card.synthetic
    assert Counter(cases.table["label"]) == apportion(N, REAL_COUNTS, 6)


# --- sameness ---------------------------------------------------------------------------------


@pytest.mark.slow
def test_same_seed_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        write_synthetic(tmp_path / name, cases=66, seed=seed, size=17)
    first, again, other = (digests(tmp_path / name) for name in "abc")
    assert len(first) == 2 * 66 + 4
    assert first == again
    assert not set(first.values()) & set(other.values())


def test_progress_counts_lesions(tmp_path: Path) -> None:
    seen: list[int] = []
    write_synthetic(tmp_path / "a", cases=66, seed=0, size=16, progress=seen.append)
    assert seen == list(range(1, 67))


# --- refusals ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"cases": 65}, "cases"),
        ({"cases": 100_001}, "cases"),
        ({"seed": -1}, "seed"),
        ({"size": 15}, "size"),
        ({"size": 1025}, "size"),
    ],
)
def test_numbers_out_of_range(tmp_path: Path, change: dict[str, int], where: str) -> None:
    with pytest.raises(ConfigError) as caught:
        write_synthetic(tmp_path / "a", **{"cases": 66, "seed": 0, "size": 16} | change)
    assert caught.value.where == where
    assert not any(tmp_path.iterdir())


def test_a_folder_in_use_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(DataError, match="not an empty folder"):
        write_synthetic(tmp_path, cases=66, seed=0, size=16)
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    target = tmp_path / "empty"
    target.mkdir()
    write_synthetic(target, cases=66, seed=0, size=16)
    assert (target / "SYNTHETIC.json").is_file()
    assert [p.name for p in tmp_path.iterdir()] == ["empty"]


def test_an_interrupted_run_leaves_nothing(tmp_path: Path) -> None:
    def stop(done: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_synthetic(tmp_path / "a", cases=66, seed=0, size=16, progress=stop)
    assert not any(tmp_path.iterdir())


def test_a_file_in_the_way_of_a_parent(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises((EnvironmentProblem, DataError)):
        write_synthetic(tmp_path / "file" / "a", cases=66, seed=0, size=16)


def test_the_profile_is_what_the_real_tables_give(real_data: Path) -> None:
    import importlib.util

    script = Path(__file__).resolve().parents[2] / "scripts" / "synthetic_profile.py"
    spec = importlib.util.spec_from_file_location("synthetic_profile", script)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    shipped = json.loads(module.PROFILE.read_text(encoding="utf-8"))
    assert set(shipped) == {"about", "looks"} | set(module.profile(real_data))
    for key, found in module.profile(real_data).items():
        assert found == shipped[key], key
