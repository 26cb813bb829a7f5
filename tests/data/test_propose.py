"""First descriptions of unknown tables: what is guessed for small copies of well-known public sets."""

from __future__ import annotations

import csv
import random
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as settings_of
from hypothesis import strategies as st
from PIL import Image

from milkreport.columns import plain_ages
from milkreport.data import roots
from milkreport.data.adapters.load import load_cases
from milkreport.data.adapters.milk10k import CLASSES, GROUND_TRUTH, METADATA
from milkreport.data.adapters.spec import SPEC_NAME, DataSpec, FolderSpec, TableSpec, load_spec
from milkreport.data.init.columns import guess_label, is_number
from milkreport.data.init.images import slugs
from milkreport.data.init.propose import write_proposal
from milkreport.errors import ConfigError, DataError
from milkreport.tables import load_table
from tests.growth import growth

Row = Mapping[str, object]


def write_images(folder: Path, names: Iterable[str]) -> None:
    for position, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        colour = (position % 251, position // 251 % 251, 40)
        Image.new("RGB", (4, 4), colour).save(path, "PNG" if path.suffix == ".png" else "JPEG")


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def propose(folder: Path, table: str | None = None) -> DataSpec:
    return load_spec(write_proposal(folder, table, None, folder.parent / "cache"))


def settings(spec: DataSpec) -> TableSpec:
    assert spec.table is not None
    return spec.table


def inputs(spec: DataSpec) -> dict[str, str]:
    return {feature.column: feature.kind for feature in spec.features}


def ham10000(folder: Path) -> None:
    draw = random.Random(0)
    rows = []
    for n in range(90):
        lesion = f"HAM_{n * 2 // 3:07d}"
        rows.append(
            {
                "lesion_id": lesion,
                "image_id": f"SKIN_{n:07d}",
                "dx": ("nv", "nv", "nv", "mel", "bkl")[n * 2 // 3 % 5],
                "dx_type": draw.choice(("histo", "follow_up", "consensus")),
                "age": f"{draw.randrange(5, 85, 5)}.0" if n % 9 else "",
                "sex": draw.choice(("male", "female")),
                "localization": draw.choice(("back", "face", "trunk")),
            }
        )
    write_rows(folder / "HAM10000_metadata.csv", rows)
    parts = ("HAM10000_images_part_1", "HAM10000_images_part_2")
    write_images(folder, (f"{parts[n % 2]}/{row['image_id']}.jpg" for n, row in enumerate(rows)))
    pixels = {f"pixel{n:04d}": n for n in range(2352)} | {"label": 1}
    write_rows(folder / "hmnist_28_28_RGB.csv", [pixels, pixels])


def test_ham10000(tmp_path: Path) -> None:
    ham10000(tmp_path / "ham")
    spec = propose(tmp_path / "ham")
    table = settings(spec)
    assert (table.file, table.rows, table.case) == ("HAM10000_metadata.csv", "case", "image_id")
    assert (table.group, table.label) == ("lesion_id", "dx")
    assert spec.banned == ["dx_type"]
    assert inputs(spec) == {"age": "numeric", "sex": "categorical", "localization": "categorical"}
    assert list(spec.classes) == ["bkl", "mel", "nv"]
    assert {name: view.column for name, view in spec.views.items()} == {"image": "image_id"}
    cases = load_cases(tmp_path / "ham", "auto", tmp_path)
    assert cases.class_counts() == {"bkl": 18, "mel": 18, "nv": 54}
    assert cases.table["group_id"].nunique() == 60
    assert cases.image_paths("image").map(lambda path: Path(path).is_file()).all()
    text = (tmp_path / "ham" / SPEC_NAME).read_text(encoding="utf-8")
    assert "60 values for 90 cases: all cases of one lesion_id stay in one part" in text
    assert "# dx_type: by its name" in text
    assert 'nv = ""  # 54' in text
    assert "5 to 80; 10 missing" in text
    assert "10 of 90 cases lack one or more of these" in text


def pad_ufes(folder: Path) -> None:
    draw = random.Random(1)
    rows = []
    for n in range(120):
        patient = n // 3
        seen = n % 2 == 0  # half of the set has no history
        rows.append(
            {
                "patient_id": f"PAT_{patient}",
                "lesion_id": 1000 + n // 2,
                "smoke": draw.choice(("True", "False")) if seen else "",
                "drink": draw.choice(("True", "False")) if seen else "",
                "background_father": draw.choice(("POMERANIA", "GERMANY")) if seen else "",
                "age": draw.randrange(20, 90),
                "pesticide": draw.choice(("True", "False")) if n % 10 == 0 else "",
                "gender": draw.choice(("MALE", "FEMALE")) if seen else "",
                "skin_cancer_history": draw.choice(("True", "False")) if seen else "",
                "has_sewage_system": "True" if seen else "",
                "fitspatrick": f"{draw.randrange(1, 6)}.0" if seen else "",
                "region": draw.choice(("FACE", "NECK", "ARM")),
                "diameter_1": f"{draw.uniform(2, 20):.1f}" if seen else "",
                "diagnostic": ("NEV", "BCC", "ACK", "SEK", "MEL")[patient % 5],
                "itch": draw.choice(("True", "False", "UNK")),
                "grew": draw.choice(("True", "False", "UNK")),
                "img_id": f"PAT_{patient}_{1000 + n // 2}_{n}.png",
                "biopsed": draw.choice(("True", "False")),
            }
        )
    write_rows(folder / "metadata.csv", rows)
    write_images(
        folder, (f"images/imgs_part_{n % 3 + 1}/{r['img_id']}" for n, r in enumerate(rows))
    )


def test_pad_ufes_20(tmp_path: Path) -> None:
    pad_ufes(tmp_path / "pad")
    spec = propose(tmp_path / "pad")
    table = settings(spec)
    assert (table.case, table.group, table.label) == ("img_id", "patient_id", "diagnostic")
    assert spec.banned == ["biopsed"]
    kinds = inputs(spec)
    assert [c for c, kind in kinds.items() if kind == "numeric"] == [
        "age",
        "fitspatrick",
        "diameter_1",
    ]
    assert "skin_cancer_history" in kinds  # a history is no histology
    assert not {"pesticide", "has_sewage_system", "lesion_id", "patient_id", "img_id"} & set(kinds)
    text = (tmp_path / "pad" / SPEC_NAME).read_text(encoding="utf-8")
    assert "pesticide: missing in 90% of the rows" in text
    assert "has_sewage_system: the same in every row" in text
    assert "lesion_id: an id, by its name" in text
    assert "1 to 5; 60 missing; if these are codes" in text
    assert len(load_cases(tmp_path / "pad", "auto", tmp_path).table) == 120


def isic_2019(folder: Path) -> list[str]:
    classes = ["MEL", "NV", "BCC", "AK", "BKL", "DF", "VASC", "SCC", "UNK"]
    truth, metadata = [], []
    draw = random.Random(2)
    for n in range(64):
        one = {c: "1.0" if c == classes[n % 8] else "0.0" for c in classes}
        truth.append({"image": f"SKIN_{n:07d}", **one})
        metadata.append(
            {
                "image": f"SKIN_{n:07d}",
                "age_approx": f"{draw.randrange(5, 85, 5)}.0",
                "anatom_site_general": draw.choice(("anterior torso", "head/neck", "")),
                "lesion_id": f"L_{n // 2}",
                "sex": draw.choice(("male", "female")),
            }
        )
    write_rows(folder / "2019_Training_GroundTruth.csv", truth)
    write_images(folder, (f"Training_Input/{row['image']}.jpg" for row in truth))
    write_rows(folder / "2019_Training_Metadata.csv", metadata)
    return classes


def test_isic_2019_labels_stand_in_a_second_table(tmp_path: Path) -> None:
    classes = isic_2019(tmp_path / "isic")
    spec = propose(tmp_path / "isic")
    table = settings(spec)
    assert (table.file, table.truth) == (
        "2019_Training_Metadata.csv",
        "2019_Training_GroundTruth.csv",
    )
    assert (table.case, table.group, table.label) == ("image", "lesion_id", "")
    assert table.one_hot == classes[:-1]  # no case is UNK
    assert inputs(spec) == {
        "age_approx": "numeric", "anatom_site_general": "categorical", "sex": "categorical"
    }  # fmt: skip
    cases = load_cases(tmp_path / "isic", "auto", tmp_path)
    assert set(cases.class_counts().values()) == {8}
    text = (tmp_path / "isic" / SPEC_NAME).read_text(encoding="utf-8")
    assert "UNK is never 1" in text
    assert 'AK = ""  # 8, fewer than 10: too rare to be estimated' in text


def test_isic_2019_labels_alone(tmp_path: Path) -> None:
    classes = isic_2019(tmp_path / "isic")
    (tmp_path / "isic" / "2019_Training_Metadata.csv").unlink()
    spec = propose(tmp_path / "isic")
    assert settings(spec).one_hot == classes[:-1]
    assert (settings(spec).case, settings(spec).group, spec.features) == ("image", "", [])
    text = (tmp_path / "isic" / SPEC_NAME).read_text(encoding="utf-8")
    assert '\n# group = "..."\n' in text
    assert "every image is a group of its own" in " ".join(text.split("\n# "))
    assert load_cases(tmp_path / "isic", "auto", tmp_path).class_counts()["VASC"] == 8


def kaggle(folder: Path) -> None:
    train = [{"id": f"{n:05x}", "label": n % 2} for n in range(40)]
    write_rows(folder / "train_labels.csv", train)
    write_rows(
        folder / "sample_submission.csv", [{"id": f"{n:05x}", "label": 0} for n in range(50, 99)]
    )
    write_images(folder, (f"train/{row['id']}.png" for row in train))
    write_images(folder, (f"test/{n:05x}.png" for n in range(50, 99)))


def test_kaggle_labels(tmp_path: Path) -> None:
    kaggle(tmp_path / "kaggle")
    spec = propose(tmp_path / "kaggle")
    table = settings(spec)
    assert (table.file, table.case, table.label) == ("train_labels.csv", "id", "label")
    assert (spec.features, spec.banned, list(spec.classes)) == ([], [], ["0", "1"])
    assert load_cases(tmp_path / "kaggle", "auto", tmp_path).class_counts() == {"0": 20, "1": 20}


def breakhis(folder: Path) -> None:
    names = []
    for finding, letter in (("benign", "B"), ("malignant", "M")):
        for slide in range(4):
            owner = f"SOB_{letter}_A-14-{22549 + slide}{letter}"
            for zoom in (40, 100):
                name = f"{finding}/SOB/kind_{slide % 2}/{owner}/{zoom}X/{owner}-{zoom}"
                names += [f"breast/{name}-{n:03d}.png" for n in range(3)]
    write_images(folder, names)


def test_breakhis_class_folders(tmp_path: Path) -> None:
    breakhis(tmp_path / "BreaKHis")
    spec = propose(tmp_path / "BreaKHis")
    assert (spec.adapter, spec.name, spec.unit) == ("folder", "BreaKHis", "image")
    assert list(spec.classes) == ["benign", "malignant"]
    assert spec.folder == FolderSpec(group="^[^/]+/[^/]+/([^/]+)/")
    cases = load_cases(tmp_path / "BreaKHis", "auto", tmp_path)
    assert cases.class_counts() == {"benign": 24, "malignant": 24}
    assert cases.table["group_id"].nunique() == 8
    text = (tmp_path / "BreaKHis" / SPEC_NAME).read_text(encoding="utf-8")
    assert "It finds 8 groups of images" in text


def test_class_folders_with_patients_in_the_file_names(tmp_path: Path) -> None:
    names = [f"{c}/{c}_patient{n % 6:02d}_{n}.jpg" for c in ("ill", "well") for n in range(18)]
    write_images(tmp_path / "set", names)
    assert propose(tmp_path / "set").folder.group
    assert load_cases(tmp_path / "set", "auto", tmp_path).table["group_id"].nunique() == 6


def test_class_folders_that_name_nobody(tmp_path: Path) -> None:
    write_images(tmp_path / "set", [f"{c}/{n}.jpg" for c in ("ill", "well") for n in range(9)])
    spec = propose(tmp_path / "set")
    assert (spec.folder.group, list(spec.classes)) == ("", ["ill", "well"])
    text = (tmp_path / "set" / SPEC_NAME).read_text(encoding="utf-8")
    assert "figures come out too high" in " ".join(text.split("\n# "))
    assert "# group = '" in text
    assert 'ill = ""  # 9, fewer than 10: too rare' in text


def test_folders_of_a_split_are_no_classes(tmp_path: Path) -> None:
    write_images(
        tmp_path / "set",
        [f"{p}/{c}/{n}.jpg" for p in ("train", "test") for c in "ab" for n in "123"],
    )
    with pytest.raises(DataError, match="look like parts of a split"):
        propose(tmp_path / "set")
    assert not (tmp_path / "set" / SPEC_NAME).exists()


def two_views(n: int) -> dict[str, object]:
    return {
        "case_num": n,
        "diagnosis": ("naevus", "melanoma", "other")[n % 3],
        "seven_point_score": n % 7,
        "location": ("back", "arm")[n % 5 % 2],
        "close": f"N{n:03d}a.jpg",
        "scope": f"N{n:03d}b.jpg",
    }


def test_one_row_a_case_with_two_images(tmp_path: Path) -> None:
    rows = [two_views(n) for n in range(36)]
    write_rows(tmp_path / "set" / "meta.csv", rows)
    write_images(
        tmp_path / "set", (f"images/N/{row[view]}" for row in rows for view in ("close", "scope"))
    )
    spec = propose(tmp_path / "set")
    assert (settings(spec).rows, settings(spec).case) == ("case", "case_num")
    assert {name: view.column for name, view in spec.views.items()} == {
        "close": "close",
        "scope": "scope",
    }
    assert load_cases(tmp_path / "set", "auto", tmp_path).views == ("close", "scope")


def test_two_images_of_a_case_told_apart_by_their_folders(tmp_path: Path) -> None:
    rows = [{"id": f"{n:03d}", "label": "ab"[n % 2]} for n in range(20)]
    write_rows(tmp_path / "set" / "labels.csv", rows)
    for part in ("left", "right", "masks"):
        # Pictures of their own: identical copies would count as one.
        names = [f"{part}/{row['id']}.png" for row in rows]
        write_images(tmp_path / "set", [f"{part}/other.png"] * len(part) + names)
    spec = propose(tmp_path / "set")
    assert {name: view.path for name, view in spec.views.items()} == {
        "left": "left/{}.png", "right": "right/{}.png"
    }  # fmt: skip


def test_a_row_an_image_of_several_views(tmp_path: Path) -> None:
    rows = [
        {
            "study_id": f"S{n // 2:03d}",
            "patient": f"P{n // 4:03d}",
            "projection": ("frontal", "lateral: left")[n % 2],
            "file": f"x/{n:03d}.png",
            "age": 30 + n // 4,
            "sharpness": n % 13 / 10,
            "finding": ("none", "effusion")[n // 2 % 3 % 2],
        }
        for n in range(48)
    ]
    write_rows(tmp_path / "set" / "rows.csv", rows)
    write_images(tmp_path / "set", (str(row["file"]) for row in rows))
    spec = propose(tmp_path / "set")
    table = settings(spec)
    assert (table.rows, table.case, table.view) == ("image", "study_id", "projection")
    assert (table.group, table.label) == ("patient", "finding")
    assert {name: view.value for name, view in spec.views.items()} == {
        "frontal": "frontal", "lateral_left": "lateral: left"
    }  # fmt: skip
    assert [(f.column, f.view) for f in spec.features] == [
        ("age", "case"), ("sharpness", "frontal"), ("sharpness", "lateral_left")
    ]  # fmt: skip
    cases = load_cases(tmp_path / "set", "auto", tmp_path)
    assert cases.class_counts() == {"effusion": 8, "none": 16}
    assert "16" in (tmp_path / "set" / SPEC_NAME).read_text(encoding="utf-8")


def plain(folder: Path, change: Callable[[int], Row], n: int = 40) -> DataSpec:
    """Propose for a table of id and label and of what *change* gives for each row."""
    rows = [{"id": f"i{k}", "label": "ab"[k % 3 % 2]} | dict(change(k)) for k in range(n)]
    write_rows(folder / "t.csv", rows)
    write_images(folder, (f"{row['id']}.png" for row in rows))
    return propose(folder)


@pytest.mark.parametrize(
    ("column", "cells", "reason"),
    [
        ("row", [str(n + 1) for n in range(40)], "it counts the rows"),
        ("scanner", ["A"] * 40, "the same in every row"),
        ("seen_on", [f"2021-03-{n % 28 + 1:02d}" for n in range(40)], "dates"),
        ("report", ["the patient says " * 20 + str(n % 4) for n in range(40)], "free text"),
        ("town", [f"town {n % 20}" for n in range(40)], "20 different values, too many"),
        ("image:x", [str(n % 7) for n in range(40)], "a name of milkreport's own"),
        ("fold", [str(n % 5) for n in range(40)], "bookkeeping"),
        ("pressure", [str(n) if n != 7 else "high" for n in range(40)], "line 9 says 'high'"),
        ("weight", ["1_000" if n == 3 else str(n) for n in range(40)], "line 5 says '1_000'"),
    ],
)
def test_what_is_left_out_says_why(
    tmp_path: Path, column: str, cells: list[str], reason: str
) -> None:
    spec = plain(tmp_path / "set", lambda n: {column: cells[n]})
    assert inputs(spec) == {}
    text = (tmp_path / "set" / SPEC_NAME).read_text(encoding="utf-8")
    [line] = [line for line in text.splitlines() if line.startswith(f"#   {column}: ")]
    assert reason in line


def test_a_column_that_alone_names_the_class_is_banned(tmp_path: Path) -> None:
    spec = plain(tmp_path / "set", lambda n: {"ward": "xy"[n % 3 % 2], "sex": "mf"[n % 2]})
    assert (spec.banned, list(inputs(spec))) == (["ward"], ["sex"])


def group_of(folder: Path, cells: Sequence[str], column: str = "patient") -> tuple[str, str]:
    spec = plain(folder, lambda n: {column: cells[n]})
    return settings(spec).group, (folder / SPEC_NAME).read_text(encoding="utf-8")


def test_groups(tmp_path: Path) -> None:
    pairs = [f"p{n // 2}" for n in range(40)]
    for position, column in enumerate(
        ("patient", "PatientID", "Subject No.", "patientid", "scan_id")
    ):
        assert group_of(tmp_path / str(position), pairs, column)[0] == column
    for position, column in enumerate(("patient_age", "Patient Gender", "animal kind")):
        assert group_of(tmp_path / f"no{position}", pairs, column)[0] == ""
    # Two hospitals are no groups: a split could not part them.
    assert group_of(tmp_path / "few", [f"h{n % 2}" for n in range(40)], "hospital_id")[0] == ""


def test_a_group_that_is_not_needed_or_not_complete(tmp_path: Path) -> None:
    group, text = group_of(tmp_path / "all", [f"p{n}" for n in range(40)])
    assert group == ""
    assert "patient is different for every case: no group is needed." in text
    group, text = group_of(tmp_path / "some", [f"p{n // 2}" if n % 4 else "" for n in range(40)])
    assert group == "patient"
    assert "10 cases have none" in text
    rows = [{"patient_id": f"p{n}", "scan": f"{n}.png", "label": "ab"[n % 2]} for n in range(20)]
    write_rows(tmp_path / "one" / "t.csv", rows)
    write_images(tmp_path / "one", (row["scan"] for row in rows))
    assert settings(propose(tmp_path / "one")).case == "patient_id"
    text = (tmp_path / "one" / SPEC_NAME).read_text(encoding="utf-8")
    assert "patient_id has one row each: no group is needed." in text


@pytest.mark.parametrize(
    ("column", "is_one"),
    [
        ("Diagnosis", True),
        ("dx", True),
        ("diagnosis_1", True),
        ("Finding Labels", True),
        ("imageLabel", True),
        ("dx_type", False),
        ("skin_tone_class", False),
        ("class_id", False),
        ("Labeled by", False),
    ],
)
def test_what_is_named_like_a_label(column: str, is_one: bool) -> None:
    frame = pd.DataFrame({"id": list("abcdef"), column: list("xxyyzz")})
    assert guess_label(frame, {"id"}).column == (column if is_one else "")


def test_a_label_of_no_telling_name_is_marked(tmp_path: Path) -> None:
    rows = [
        {"id": f"i{n}", "sex": "mf"[n % 2], "what": ("oak", "elm")[n % 3 % 2]} for n in range(30)
    ]
    write_rows(tmp_path / "set" / "t.csv", rows)
    write_images(tmp_path / "set", (f"{row['id']}.png" for row in rows))
    assert settings(propose(tmp_path / "set")).label == "what"
    assert "CHECK THIS" in (tmp_path / "set" / SPEC_NAME).read_text(encoding="utf-8")


def test_an_unlabelled_table_says_so(tmp_path: Path) -> None:
    rows = [{"id": f"i{n}", "age": n % 9} for n in range(30)]
    write_rows(tmp_path / "set" / "t.csv", rows)
    write_images(tmp_path / "set", (f"{row['id']}.png" for row in rows))
    spec = propose(tmp_path / "set")
    assert (settings(spec).label, settings(spec).one_hot, spec.classes) == ("", [], {})
    assert '# label = "..."' in (tmp_path / "set" / SPEC_NAME).read_text(encoding="utf-8")
    assert not load_cases(tmp_path / "set", "auto", tmp_path).is_labelled


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    kaggle(tmp_path / "set")
    (tmp_path / "set" / SPEC_NAME).write_text("mine\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"milkreport\.toml: exists already — edit it"):
        write_proposal(tmp_path / "set", None, None, tmp_path)
    assert (tmp_path / "set" / SPEC_NAME).read_text(encoding="utf-8") == "mine\n"
    (tmp_path / "dangling.toml").symlink_to(tmp_path / "nowhere")
    with pytest.raises(DataError, match="exists already"):
        write_proposal(tmp_path / "set", None, tmp_path / "dangling.toml", tmp_path)


def test_another_place_leads_back_to_the_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(roots, "_ALLOWED", [tmp_path.resolve()])  # as --allow-root
    kaggle(tmp_path / "set")
    out = write_proposal(tmp_path / "set", None, tmp_path / "notes" / "set.toml", tmp_path)
    assert load_spec(out).root == "../set"
    assert len(load_cases(out, "auto", tmp_path).table) == 40
    with pytest.raises(ConfigError, match=r"--out .*: not a \.toml file"):
        write_proposal(tmp_path / "set", None, tmp_path / "set.txt", tmp_path)


def test_a_zip_is_described_beside_it(tmp_path: Path) -> None:
    kaggle(tmp_path / "made")
    shutil.make_archive(str(tmp_path / "home" / "set"), "zip", tmp_path / "made")
    out = write_proposal(tmp_path / "home" / "set.zip", None, None, tmp_path)
    assert out == tmp_path / "home" / SPEC_NAME
    assert (load_spec(out).root, load_spec(out).name) == ("set.zip", "set")
    assert len(load_cases(out, "auto", tmp_path).table) == 40


def test_equally_good_tables_are_both_named(tmp_path: Path) -> None:
    kaggle(tmp_path / "set")
    rows = [{"id": f"{n:05x}", "label": n % 2, "sex": "mf"[n // 2 % 2]} for n in range(40)]
    write_rows(tmp_path / "set" / "again.csv", rows)
    with pytest.raises(DataError, match=r"again\.csv and train_labels\.csv .*\(40\) — .*--table"):
        propose(tmp_path / "set")
    assert settings(propose(tmp_path / "set", "again.csv")).file == "again.csv"
    assert inputs(load_spec(tmp_path / "set" / SPEC_NAME)) == {"sex": "categorical"}


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("none.csv", "no such file"),
        ("../t.csv", "a table outside the data's folder"),
        ("other.csv", "no column names images"),
    ],
)
def test_a_table_that_cannot_be_used(tmp_path: Path, table: str, message: str) -> None:
    kaggle(tmp_path / "set")
    write_rows(tmp_path / "set" / "other.csv", [{"name": "ann"}, {"name": "ben"}])
    with pytest.raises(DataError, match=message):
        propose(tmp_path / "set", table)


def test_nothing_to_describe(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder"):
        propose(tmp_path / "nowhere")
    (tmp_path / "set").mkdir()
    with pytest.raises(DataError, match="0 images, no CSV file, and no folder per class"):
        propose(tmp_path / "set")
    write_rows(tmp_path / "set" / "t.csv", [{"id": "1", "label": "a"}])
    with pytest.raises(DataError, match=r"no column of t\.csv names images — there are no images"):
        propose(tmp_path / "set")
    (tmp_path / "set" / "t.csv").write_text("id;label\n1;a\n", encoding="utf-8")
    with pytest.raises(DataError, match="looks semicolon separated"):
        propose(tmp_path / "set")


def test_milk10k_needs_no_description(synthetic: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="this is MILK10k, which needs no description"):
        write_proposal(synthetic, None, tmp_path / "m.toml", tmp_path)


def test_milk10k_described_all_the_same_is_what_its_adapter_reads(
    synthetic: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(roots, "_ALLOWED", [synthetic.resolve()])  # as --allow-root
    out = write_proposal(synthetic, METADATA, tmp_path / "m.toml", tmp_path)
    table = settings(load_spec(out))
    assert (table.rows, table.case, table.view) == ("image", "lesion_id", "image_type")
    assert (table.truth, table.one_hot) == (GROUND_TRUTH, list(CLASSES))
    guessed, known = (load_cases(source, "auto", tmp_path) for source in (out, synthetic))
    assert guessed.class_counts() == known.class_counts()
    assert guessed.table["case_id"].tolist() == known.table["case_id"].tolist()
    for mine, its in zip(guessed.views, known.views, strict=True):
        assert guessed.image_paths(mine).equals(known.image_paths(its))
    assert {f.column for f in known.features} <= {
        f.column.replace("clinical_close_up", "clinical") for f in guessed.features
    }


def test_no_text_of_a_table_breaks_the_file(tmp_path: Path) -> None:
    link = '=HYPERLINK("http://x.example","y")'
    odd = {
        'say "hi"\\n # [x]': "p'q\"r",
        "température 🌡️": '"""',
        link: link,
        "tab\tand\u2028line": "\u202eright to left",
        "a.b.c = 1": "]] # '''",
        "n" * 1_000: "few",
    }
    long = "x" * 10_240

    def change(n: int) -> Row:
        cells = {name: value + " " * (n % 2) + "." for name, value in odd.items()}
        return cells | {
            "label": ("🦠 class", "]\n= '''\"", "a" * 300)[n % 3 % 2 if n else 2],
            "memo": long + str(n % 2),
        }

    spec = plain(tmp_path / "set", change)
    assert "🦠 class" in spec.classes
    assert {'say "hi"\\n # [x]', "température 🌡️", link} <= set(inputs(spec))
    text = (tmp_path / "set" / SPEC_NAME).read_text(encoding="utf-8")
    assert max(map(len, text.splitlines())) < 1000
    assert "memo: free text" in text
    assert "its name is empty or longer than 200 characters" in " ".join(text.split("\n#   "))


@pytest.mark.parametrize("prefix", ["=1+1", "+", "<script>", "\N{SNOWMAN}"])
def test_a_folder_of_any_name(tmp_path: Path, prefix: str) -> None:
    name = f'{prefix.replace("/", "")} "set"'
    kaggle(tmp_path / name)
    assert propose(tmp_path / name).name == name


text = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)


@pytest.mark.slow
@settings_of(max_examples=60, deadline=None)
@given(
    header=st.lists(text.map(str.strip).filter(bool), unique=True, max_size=4),
    cells=st.lists(text, min_size=1, max_size=6),
    labels=st.lists(text, min_size=1, max_size=3),
)
def test_any_table_gives_a_file_that_loads(
    tmp_path_factory: pytest.TempPathFactory, header: list[str], cells: list[str], labels: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("any")
    rows = []
    for n in range(12):
        row = {"own id": f"i{n}", "label": labels[n % len(labels)]}
        rows.append({name: cells[(n + k) % len(cells)] for k, name in enumerate(header)} | row)
    write_rows(folder / "t.csv", rows)
    write_images(folder, (f"i{n}.png" for n in range(12)))
    try:
        load_table(folder / "t.csv")
    except DataError:
        return  # what a table may not hold is not for this test
    spec = propose(folder)
    assert settings(spec).case in {"own id", *header}


def test_a_long_cell_of_digits_costs_no_time() -> None:
    short, long = "1" * 3_000 + "x", "1" * 30_000 + "x"
    assert growth(lambda: is_number(short), lambda: is_number(long)) < 30  # 10; 100 for its square
    assert not is_number(long)
    assert is_number(" 1e100 ")
    assert not is_number("1" * 400)  # more than a float holds: the reader refuses it, too


def test_view_names_are_distinct() -> None:
    assert slugs(["view_2", "é", "b"]) == ["view_2", "view_2_2", "b"]


def paired(folder: Path, shared: int) -> None:
    """60 lesions with two photographs; of the first *shared* both columns name one file."""
    rows = []
    for n in range(60):
        derm = f"derm/{n:03d}.png"
        rows.append(
            {
                "case_num": f"{n:03d}",
                "age": f"{20 + n:03d}Y" if n % 7 else "018M",
                "management": ("excision", "none", "no further examination")[n % 3],
                "seven_point_score": n % 4,
                "breslow_mm": n % 5 / 4,
                "cell_type": ("nevus", "melanoma", "other")[n * 7 % 60 // 20],
                "elevation": ("flat", "palpable")[n // 3 % 2],
                "clinic": derm if n < shared else f"clinic/{n:03d}.png",
                "derm": derm,
            }
        )
    write_rows(folder / "meta.csv", rows)
    names = {str(row[view]) for row in rows for view in ("clinic", "derm")}
    write_images(folder, sorted(names))


@pytest.mark.parametrize("shared", [0, 9, 60])
def test_a_shared_file_drops_no_view(tmp_path: Path, shared: int) -> None:
    paired(tmp_path / "set", shared)
    spec = propose(tmp_path / "set")
    assert list(spec.views) == (["image"] if shared == 60 else ["clinic", "derm"])


@pytest.mark.parametrize(
    ("cell", "years"),
    [("077Y", "77"), ("018M", "1.5"), ("45 years", "45"), ("45yo", "45"), ("7 y", "7"), ("45 yrs old", "45"),
     ("45", "45"), ("young", "young"), ("2045 years", "2045 years")],
)  # fmt: skip
def test_ages_are_read_as_years(cell: str, years: str) -> None:
    assert plain_ages(pd.Series([cell])).tolist() == [years]


def test_a_table_of_too_many_columns_is_named_and_not_passed_over(tmp_path: Path) -> None:
    write_images(tmp_path / "set", ["a.png"])
    header = ",".join(f"c{i}" for i in range(1001))
    (tmp_path / "set" / "wide.csv").write_text(f"{header}\n{header}\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"wide\.csv: 1,001 columns"):
        propose(tmp_path / "set")


def test_labels_ages_and_consequences_are_told_by_their_names(tmp_path: Path) -> None:
    paired(tmp_path / "set", 9)
    spec = propose(tmp_path / "set")
    assert settings(spec).label == "cell_type"
    assert inputs(spec) == {"age": "numeric", "elevation": "categorical"}
    assert spec.banned == ["management", "seven_point_score", "breslow_mm"]
    text = (tmp_path / "set" / SPEC_NAME).read_text(encoding="utf-8")
    assert "# management: by its name it follows from the label" in text
    ages = load_cases(tmp_path / "set", "auto", tmp_path).table["age"]
    assert ages.iloc[:3].tolist() == [1.5, 21, 22]
