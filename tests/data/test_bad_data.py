"""Bad data sets: each gets one clear line, exit code 3 where it is an error, and loses nothing.

One test a row of the table of bad inputs, by its number.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from milkreport.data.adapters.milk10k import GROUND_TRUTH, IMAGES, METADATA
from tests.conftest import Outcome


def rewrite(path: Path, change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
    change(pd.read_csv(path, dtype=str)).to_csv(path, index=False)


def set_cell(path: Path, row: int, column: str, value: str) -> int:
    """Set a cell of data row *row* (from 0); its line number in the file."""
    rewrite(path, lambda t: t.assign(**{column: t[column].where(t.index != row, value)}))
    return row + 2


def images_of(data: Path) -> list[Path]:
    return sorted((data / IMAGES).rglob("*.jpg"))


def only_line(outcome: Outcome) -> str:
    lines = [line for line in outcome.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, outcome.stderr
    return lines[0]


def test_a_sound_set_is_sound(in_process, data: Path) -> None:
    """Negative control: without damage nothing is found."""
    outcome = in_process("data", "check", data)
    assert outcome.code == 0
    assert "SOUND" in outcome.stderr
    assert "NOT SOUND" not in outcome.stderr
    assert outcome.errors() == []


def test_row_01_no_metadata(in_process, data: Path) -> None:
    (data / METADATA).unlink()
    outcome = in_process("data", "check", data, "--adapter", "milk10k")
    assert outcome.code == 3
    line = only_line(outcome)
    assert str(data) in line
    assert f"looked from {data.parent.name}/" in line
    assert "--data" in line
    missing = in_process("data", "check", data / "nowhere")
    assert missing.code == 3
    assert "no such folder" in only_line(missing)


@pytest.mark.parametrize("rows", [0, 1])
def test_row_02_empty_table(in_process, data: Path, rows: int) -> None:
    path = data / METADATA
    path.write_text("".join(path.read_text(encoding="utf-8").splitlines(True)[:rows]), "utf-8")
    outcome = in_process("data", "check", data, "--adapter", "milk10k")
    assert outcome.code == 3
    if rows:
        assert "has no data rows" in only_line(outcome)


def test_row_03_misspelt_column(in_process, data: Path) -> None:
    rewrite(data / METADATA, lambda t: t.rename(columns={"lesion_id": "lesionid"}))
    outcome = in_process("data", "check", data)
    assert outcome.code == 3
    line = only_line(outcome)
    assert "no column 'lesion_id'" in line
    assert "did you mean 'lesionid'" in line
    assert "columns are: " in line
    assert "MONET_hair" in line


def test_row_04_duplicate_column(in_process, data: Path) -> None:
    path = data / METADATA
    head, rest = path.read_text(encoding="utf-8").split("\n", 1)
    path.write_text(head.replace("copyright_license", "sex") + "\n" + rest, encoding="utf-8")
    outcome = in_process("data", "check", data)
    assert outcome.code == 3
    assert "columns 5 and 8 are both 'sex'" in only_line(outcome)


def test_row_05_encodings(in_process, data: Path) -> None:
    path = data / METADATA
    text = path.read_text(encoding="utf-8")
    path.write_bytes(text.encode("utf-8-sig"))
    assert in_process("data", "check", data).code == 0
    path.write_bytes(text.encode("utf-16"))
    utf16 = in_process("data", "check", data, "--adapter", "milk10k")
    assert utf16.code == 3
    line_4 = text.splitlines(keepends=True)
    line_4[3] = line_4[3].replace("synthetic (milkreport)", "Universität")
    raw = "".join(line_4).encode("latin-1")
    path.write_bytes(raw)
    latin = in_process("data", "check", data)
    assert latin.code == 3
    assert f"not UTF-8 at byte {raw.index(0xE4)}" in only_line(latin)
    assert f"{METADATA}:4" in only_line(latin)


@pytest.mark.parametrize(("mark", "word"), [(";", "semicolon"), ("\t", "tab")])
def test_row_06_other_separators(in_process, data: Path, mark: str, word: str) -> None:
    path = data / GROUND_TRUTH
    path.write_text(path.read_text(encoding="utf-8").replace(",", mark), encoding="utf-8")
    outcome = in_process("data", "check", data)
    assert outcome.code == 3
    assert f"looks {word} separated" in only_line(outcome)


def test_row_07_ragged_row(in_process, data: Path) -> None:
    path = data / METADATA
    lines = path.read_text(encoding="utf-8").splitlines()
    lines[6] += ",extra"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    outcome = in_process("data", "check", data)
    assert outcome.code == 3
    assert f"{METADATA}:7: 18 fields where the header has 17" in only_line(outcome)


def test_row_08_duplicate_image_id(in_process, data: Path) -> None:
    table = pd.read_csv(data / METADATA, dtype=str)
    line = set_cell(data / METADATA, 9, "isic_id", table.loc[2, "isic_id"])
    outcome = in_process("data", "check", data)
    assert outcome.code == 3
    found = [row for row in outcome.errors() if row["kind"] == "duplicate"]
    assert found[0]["where"] == f"{METADATA}:{line}:isic_id"
    assert "row 4" in found[0]["what"]


def test_row_09_not_two_images(in_process, data: Path) -> None:
    """A third image, or one too few: dropped and listed, or an error that names the lesion."""
    path = data / METADATA
    table = pd.read_csv(path, dtype=str)
    third = table.iloc[[0]].assign(isic_id="ISIC_0000001")
    one_less = table.loc[5, "lesion_id"]
    pd.concat([table.drop(index=5), third]).to_csv(path, index=False)
    outcome = in_process("run-all", "quick", "--data", data, "--set", "data.cleaning=strict")
    assert outcome.code == 3
    assert table.loc[0, "lesion_id"] in outcome.stderr or one_less in outcome.stderr
    checked = in_process("data", "check", data, "--json")
    assert checked.code in (0, 3)
    assert '"not exactly one clinical image"' in checked.stdout


def test_row_10_tables_of_different_lesions(in_process, data: Path) -> None:
    path = data / GROUND_TRUTH
    table = pd.read_csv(path, dtype=str)
    gone = list(table.loc[:6, "lesion_id"])
    table.loc[7:].to_csv(path, index=False)
    outcome = in_process("run-all", "quick", "--data", data)
    assert outcome.code == 3
    line = only_line(outcome)
    assert "7 lesions without a label" in line
    assert sum(name in line for name in gone) == 5
    assert "--allow-unlabelled" in line
    assert not (data.parent / "runs").exists() or not list((data.parent / "runs").rglob("*.json"))
    table.assign(lesion_id=table["lesion_id"].replace(gone[0], "IL_0000000")).to_csv(
        path, index=False
    )
    both = in_process("data", "check", data)
    assert both.code == 3
    assert {row["kind"] for row in both.errors()} == {"no label", "label alone"}
    assert in_process("data", "check", data, "--allow-unlabelled").code == 0


@pytest.mark.parametrize("n", [0, 2])
def test_row_11_one_hot(in_process, data: Path, n: int) -> None:
    def change(table: pd.DataFrame) -> pd.DataFrame:
        table.loc[4, "AKIEC":"VASC"] = "0.0"
        table.loc[4, ["BCC", "NV"][:n]] = "1.0"
        return table

    rewrite(data / GROUND_TRUTH, change)
    outcome = in_process("data", "check", data)
    assert outcome.code == 3
    found = outcome.errors()[0]
    assert found["where"] == f"{GROUND_TRUTH}:6"
    assert f"{n} classes" in found["what"]
    assert not n or "BCC, NV" in found["what"]


def test_row_12_unknown_class_and_other_order(in_process, data: Path) -> None:
    path = data / GROUND_TRUTH
    table = pd.read_csv(path, dtype=str)
    table[["lesion_id", *reversed(table.columns[1:])]].to_csv(path, index=False)
    assert in_process("data", "check", data).code == 0
    table.rename(columns={"VASC": "VASCULAR"}).to_csv(path, index=False)
    outcome = in_process("data", "check", data)
    assert outcome.code == 3
    assert "unknown class VASCULAR" in only_line(outcome)
    assert "AKIEC, BCC" in only_line(outcome)


def test_row_12_columns_are_matched_by_name(small: Path, tmp_path: Path) -> None:
    from tests.data.test_milk10k import load

    folder = tmp_path / "data"
    shutil.copytree(small, folder)
    before = load(folder).table["label"]
    rewrite(folder / GROUND_TRUTH, lambda t: t[["lesion_id", *reversed(t.columns[1:])]])
    assert (load(folder).table["label"] == before).all()


def test_row_13_a_class_too_small(in_process, data: Path) -> None:
    path = data / GROUND_TRUTH
    table = pd.read_csv(path)
    rare = table.index[table["VASC"] == 1][1:]
    table.loc[rare, ["VASC", "BCC"]] = [0.0, 1.0]
    table.to_csv(path, index=False)
    outcome = in_process("run-all", "quick", "--data", data)
    assert outcome.code == 3
    line = only_line(outcome)
    assert "class VASC has 1 lesion," in line
    assert "merge" in line


@pytest.mark.parametrize("value", ["abc", "-5", "400", "inf", "1_0", "nan"])
def test_row_14_ages(in_process, data: Path, value: str) -> None:
    line = set_cell(data / METADATA, 3, "age_approx", value)
    outcome = in_process("data", "check", data)
    assert outcome.code == 3
    found = outcome.errors()
    assert found[0]["where"] == f"{METADATA}:{line}:age_approx"
    assert value in found[0]["what"]


def test_row_15_missing_values_are_listed_or_filled(in_process, data: Path) -> None:
    set_cell(data / METADATA, 0, "site", "")
    set_cell(data / METADATA, 1, "site", "")
    lesion = pd.read_csv(data / METADATA, dtype=str).loc[0, "lesion_id"]
    outcome = in_process("data", "check", data)
    assert outcome.code == 0
    assert "missing values: " in outcome.stderr
    strict = in_process("run-all", "quick", "--data", data, "--set", "data.cleaning=strict")
    assert strict.code == 3
    assert "missing" in only_line(strict)
    assert lesion


def test_row_16_scores(in_process, data: Path) -> None:
    line = set_cell(data / METADATA, 2, "MONET_hair", "1.5")
    outcome = in_process("data", "check", data)
    assert outcome.code == 3
    assert outcome.errors()[0]["where"] == f"{METADATA}:{line}:MONET_hair"
    set_cell(data / METADATA, 2, "MONET_hair", "")
    assert in_process("data", "check", data).code == 0


def test_a_list_of_problems_is_never_overwritten(in_process, data: Path) -> None:
    for path in sorted(data.rglob("*.jpg"))[:3]:
        path.unlink()
    kept = data.parent / "data-problems.csv"
    kept.write_text("mine\n")
    for _ in range(2):
        run = in_process("run-all", "quick", "--data", data, "--no-pdf")
        assert "listed in data-problems-2.csv" in run.stderr
        assert len(run.errors()) == 3
    assert kept.read_text() == "mine\n"
    assert not (data.parent / "data-problems-3.csv").exists()


def test_row_17_missing_images_are_all_listed(in_process, data: Path) -> None:
    gone = images_of(data)[:25]
    for path in gone:
        path.unlink()
    outcome = in_process("data", "check", data)
    assert outcome.code == 3
    assert {Path(row["where"]).stem for row in outcome.errors()} == {path.stem for path in gone}
    assert outcome.stderr.count("error") == 20 or "and 5 more" in outcome.stderr
    assert "25 × image missing" in outcome.stderr
    run = in_process("run-all", "quick", "--data", data)
    assert run.code == 3
    assert "all 25 are listed in data-problems-2.csv" in only_line(run)  # the first is data check's


def test_row_17_bad_images_can_be_skipped(in_process, data: Path) -> None:
    from milkreport.data.prepare import prepare
    from milkreport.suite.suite import Data

    victim = images_of(data)[0]
    victim.unlink()
    prepared = prepare(data, Data(image_size=16, on_bad_image="skip"), data.parent / "cache")
    removed = prepared.cleaned.removed.set_index("case_id")["reason"]
    assert "image missing" in removed[victim.parent.name]
    assert victim.parent.name not in set(prepared.cases.table["case_id"])
    assert len(prepared.cases.table) == len(
        prepared.store.batch(np.arange(len(prepared.cases.table)))
    )


@pytest.mark.slow
def test_a_bad_image_names_the_setting_that_leaves_it_out(in_process, data: Path) -> None:
    images_of(data)[0].write_bytes(b"")
    checked = in_process("data", "check", data)
    hint = "or leave its case out: --set data.on_bad_image=skip"
    assert [hint in row["do"] for row in checked.errors()] == [True]
    small = ["--set", "data.image_size=24", "--set", "model.metadata_hidden_layers=1"]
    planned = in_process("run-all", "quick", "--data", data, "--dry-run", *small)
    assert planned.code == 0
    assert "of 122 images that were tried 1 would stop the run" in planned.stderr
    assert re.search(
        r"on this machine as it is now \(load \d+\.\d on \d+ processors\)", planned.stderr
    )
    skipped = ["--set", "data.on_bad_image=skip"]
    planned = in_process("run-all", "quick", "--data", data, "--dry-run", *small, *skipped)
    assert "would stop the run" not in planned.stderr
    run = in_process("run-all", "quick", "--data", data, *small)
    assert run.code == 3
    assert hint in run.stderr


def damage(path: Path, how: str) -> None:
    whole = path.read_bytes()
    if how == "empty":
        path.write_bytes(b"")
    elif how == "truncated":
        path.write_bytes(whole[: len(whole) // 2])
    elif how == "PNG":
        with Image.open(path) as image:
            image.save(path.with_suffix(".png"))
        path.with_suffix(".png").replace(path)
    elif how == "HTML":
        path.write_text("<!DOCTYPE html><html><body>404 Not found</body></html>", encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "kind", "word"),
    [
        ("empty", "empty", "empty"),
        ("truncated", "truncated", "truncated"),
        ("PNG", "mislabelled", "PNG"),
        ("HTML", "mislabelled", "HTML"),
    ],
)
def test_rows_18_and_19_bad_files(in_process, data: Path, how: str, kind: str, word: str) -> None:
    victim = images_of(data)[7]
    damage(victim, how)
    outcome = in_process("data", "check", data)
    assert outcome.code == 3
    (found,) = outcome.errors()
    assert found["kind"] == f"image {kind}"
    assert found["where"].endswith(f"{victim.parent.name}/{victim.name}")
    assert word.lower() in found["what"].lower()
    run = in_process("run-all", "quick", "--data", data)
    assert run.code == 3
    assert victim.name in only_line(run)


@pytest.mark.slow
def test_row_20_bomb(in_process, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    victim = images_of(data)[3]
    Image.new("L", (20_000, 20_000)).save(victim, quality=1)
    outcome = in_process("data", "check", data)
    assert outcome.code == 3
    (found,) = outcome.errors()
    assert found["kind"] == "image too large"
    assert "20000 x 20000" in found["what"].replace(",", "")


def test_row_21_modes(in_process, data: Path) -> None:
    first, second = images_of(data)[:2]
    with Image.open(first) as image:
        image.convert("CMYK").save(first)
    with Image.open(second) as image:
        grey = image.convert("L")
    grey.save(second)
    outcome = in_process("data", "check", data, "--json")
    assert outcome.code == 0
    assert '"CMYK": 1' in outcome.stdout
    assert '"L": 1' in outcome.stdout


@pytest.mark.parametrize("value", ["../../etc/passwd", "/etc/passwd", "a\0b", "C:\\boot"])
def test_row_22_ids_that_are_paths(in_process, data: Path, value: str) -> None:
    path = data / METADATA
    table = pd.read_csv(path, dtype=str)
    path.write_text(
        path.read_text(encoding="utf-8").replace(table.loc[4, "isic_id"], value), encoding="utf-8"
    )
    outcome = in_process("data", "check", data)
    assert outcome.code == 3
    assert f"{METADATA}:6" in outcome.stderr


def test_row_22_links_out_of_the_folder(in_process, data: Path) -> None:
    victim = images_of(data)[0]
    outside = data.parent / "outside.jpg"
    shutil.move(victim, outside)
    victim.symlink_to(outside)
    outcome = in_process("data", "check", data)
    assert outcome.code == 3
    assert victim.stem in outcome.errors()[0]["where"]


HOSTILE = ["<script>alert(1)</script>", "=HYPERLINK(0)", "مرحبا", "🧪 vial", "plain"]


@pytest.mark.slow
def test_row_23_hostile_names_are_text(in_process, tmp_path: Path) -> None:
    folder = tmp_path / "odd"
    folder.mkdir()
    rng = np.random.default_rng(0)
    rows = []
    for index in range(60):
        name = f"{index}.png"
        pixels = rng.integers(0, 256, (20, 20, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / name)
        rows.append((f"{HOSTILE[index % 5]} {index}", name, HOSTILE[index % 5], index % 7))
    pd.DataFrame(rows, columns=["who", "file", "kind", "n"]).to_csv(folder / "t.csv", index=False)
    (folder / "milkreport.toml").write_text(
        'adapter = "table"\nname = "<b>odd</b>"\n[table]\nfile = "t.csv"\ncase = "who"\n'
        'label = "kind"\n[views.photo]\ncolumn = "file"\n'
        '[[features]]\ncolumn = "n"\nkind = "numeric"\n',
        encoding="utf-8",
    )
    page = tmp_path / "data.html"
    assert in_process("data", "check", folder, "--html", page).code == 0
    assert "<script>alert" not in page.read_text(encoding="utf-8")
    assert "&lt;b&gt;odd" in page.read_text(encoding="utf-8")
    out = tmp_path / "run"
    settings = ["training.epochs=1", "data.image_size=16", "model.metadata_hidden_layers=1"]
    options = [part for setting in settings for part in ("--set", setting)]
    outcome = in_process("run-all", "quick", "--data", folder, "--out", out, "--no-pdf", *options)
    assert outcome.code == 0, outcome.stderr
    html = (out / "report.html").read_text(encoding="utf-8")
    assert "<script>alert" not in html
    assert "مرحبا" in html
    splits = (out / "splits.csv").read_text(encoding="utf-8")
    assert "\n=HYPERLINK" not in splits


def test_row_23_a_name_of_10_kB_is_refused_by_row(in_process, data: Path) -> None:
    line = set_cell(data / METADATA, 3, "lesion_id", "x" * 10_000)
    outcome = in_process("data", "check", data)
    assert outcome.code == 3
    assert f"{METADATA}:{line}:lesion_id" in outcome.stderr
    assert max(map(len, outcome.stderr.splitlines())) < 1000


def test_row_25_identical_images_warn_and_strict_refuses(in_process, data: Path) -> None:
    one, _, other = images_of(data)[:3]
    assert one.parent != other.parent
    with Image.open(one) as image:
        pixels = np.asarray(image)
    for path in (one, other):  # the same pixels in different files
        Image.fromarray(pixels).save(path, quality=90, comment=path.name.encode())
    outcome = in_process("data", "check", data)
    assert outcome.code == 0
    assert "1 identical" in outcome.stderr
    (found,) = [row for row in outcome.problems if row["kind"] == "identical images"]
    assert one.parent.name in found["what"]
    assert other.parent.name in found["what"]
    assert in_process("data", "check", data, "--strict").code == 3
