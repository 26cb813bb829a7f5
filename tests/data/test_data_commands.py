"""The data commands: pack, cache, check's outputs, options that are wrong."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pandas as pd

from milkreport.data.adapters.milk10k import GROUND_TRUTH, METADATA
from tests.data.test_bad_data import images_of


def test_pack_list_and_clear(in_process, data: Path) -> None:
    cache = data.parent / "kept"
    packed = in_process("data", "pack", data, "--size", 16, "--cache-dir", cache)
    assert packed.code == 0, packed.stderr
    (store,) = json.loads(
        in_process("data", "cache", "list", "--cache-dir", cache, "--json").stdout
    )
    assert store["n_images"] == 132
    assert store["size"] == 16
    assert store["complete"]
    files = {path: path.stat().st_mtime_ns for path in cache.rglob("*.u8")}
    assert sum(path.stat().st_size for path in files) == 132 * 16 * 16 * 3
    # The second call finds the store and writes no pixel again.
    assert in_process("data", "pack", data, "--size", 16, "--cache-dir", cache).code == 0
    assert {path: path.stat().st_mtime_ns for path in cache.rglob("*.u8")} == files
    assert in_process("data", "cache", "clear", "zz", "--cache-dir", cache).code == 2
    key = store["key"][:8]
    assert key in in_process("data", "cache", "list", "--cache-dir", cache).stderr
    cleared = in_process("data", "cache", "clear", key, "--cache-dir", cache)
    assert cleared.code == 0
    assert "freed 0.1 MB" in cleared.stderr
    assert not list(cache.rglob("*.u8"))


def test_fast_pixels_are_a_store_of_their_own(in_process, data: Path) -> None:
    cache = data.parent / "kept"
    for decoder in ("exact", "fast"):
        done = in_process(
            "data", "pack", data, "--size", 16, "--decoder", decoder, "--cache-dir", cache
        )
        assert done.code == 0
    stores = json.loads(in_process("data", "cache", "list", "--cache-dir", cache, "--json").stdout)
    assert len({store["rule"] for store in stores}) == 2


def test_pack_lists_bad_images(in_process, data: Path) -> None:
    images_of(data)[0].write_bytes(b"")
    outcome = in_process("data", "pack", data, "--size", 16)
    assert outcome.code == 3
    assert "listed in data-problems.csv" in outcome.stderr
    assert [row["kind"] for row in outcome.errors()] == ["image empty"]


def test_check_as_json_is_alone_on_stdout(in_process, data: Path) -> None:
    outcome = in_process("data", "check", data, "--json")
    record = json.loads(outcome.stdout)
    assert record["sound"]
    assert record["data"]["n_found"] == 66
    assert record["errors"] == []


def test_extra_images_are_warned_of(in_process, data: Path) -> None:
    first = images_of(data)[0]
    (data / "stray.jpg").write_bytes(first.read_bytes())
    outcome = in_process("data", "check", data)
    assert outcome.code == 0
    (row,) = (row for row in outcome.problems if row["kind"] == "extra image")
    assert row["where"] == "stray.jpg"


def test_the_page_holds_numbers_and_no_id(in_process, data: Path) -> None:
    page = data.parent / "data.html"
    assert in_process("data", "check", data, "--html", page).code == 0
    html = page.read_text(encoding="utf-8")
    assert "66" in html
    assert "IL_" not in html
    assert "ISIC_" not in html
    assert str(data.parent) not in html


def test_wrong_options_get_one_line(in_process, data: Path) -> None:
    for options, word in (
        (["data", "check", data, "--adapter", "milk"], "adapter"),
        (["data", "pack", data, "--decoder", "best"], "decoder"),
        (["data", "pack", data, "--size", "4"], "size"),
    ):
        outcome = in_process(*options)
        assert outcome.code == 2
        assert word in outcome.stderr


def test_tables_without_labels_are_sound(in_process, data: Path) -> None:
    (data / GROUND_TRUTH).unlink()
    outcome = in_process("data", "check", data, "--json")
    assert outcome.code == 0
    record = json.loads(outcome.stdout)
    assert record["data"]["n_found"] == 66
    assert set(record["data"]["class_counts"].values()) == {0}
    assert [warning["kind"] for warning in record["warnings"]] == ["no labels"]
    run = in_process("run-all", "quick", "--data", data)
    assert run.code == 3
    assert "66 lesions without a label" in run.stderr


def kinds(outcome) -> dict[str, int]:
    return Counter(row["kind"] for row in outcome.problems)


def test_strict_makes_every_warning_an_error(in_process, data: Path) -> None:
    first = images_of(data)[0]
    (data / "stray.jpg").write_bytes(first.read_bytes())
    outcome = in_process("data", "check", data, "--strict", "--json")
    assert outcome.code == 3
    assert not json.loads(outcome.stdout)["sound"]
    assert [row["severity"] for row in outcome.problems] == ["error"]
    assert "NOT SOUND" in in_process("data", "check", data, "--strict").stderr


def test_a_table_that_cannot_be_read_is_listed_too(in_process, data: Path) -> None:
    path = data / GROUND_TRUTH
    path.write_text(path.read_text(encoding="utf-8").replace(",", ";"), encoding="utf-8")
    images_of(data)[0].write_bytes(b"")
    outcome = in_process("data", "check", data, "--json")
    assert outcome.code == 3
    assert not json.loads(outcome.stdout)["sound"]
    assert kinds(outcome) == {"bad table": 1, "image empty": 1}
    assert str(data) not in (data.parent / "data-problems.csv").read_text(encoding="utf-8")


def test_an_older_list_of_problems_does_not_stay(in_process, data: Path) -> None:
    whole = images_of(data)[0].read_bytes()
    images_of(data)[0].write_bytes(b"")
    kinds = [row["kind"] for row in in_process("data", "check", data).problems]
    assert kinds == ["image empty", "rare class"]  # 5 of its class are left
    images_of(data)[0].write_bytes(whole)
    outcome = in_process("data", "check", data)
    assert outcome.code == 0
    assert outcome.problems == []


def test_labels_that_contradict_an_image_are_told(in_process, data: Path) -> None:
    truth = pd.read_csv(data / GROUND_TRUTH).set_index("lesion_id").idxmax(axis=1)
    one = images_of(data)[0]
    other = next(p for p in images_of(data) if truth[p.parent.name] != truth[one.parent.name])
    other.write_bytes(one.read_bytes())
    outcome = in_process("data", "check", data)
    (row,) = (row for row in outcome.problems if row["kind"] == "identical images")
    assert "different labels" in row["what"]
    assert truth[one.parent.name] in row["what"]
    assert truth[other.parent.name] in row["what"]


def test_one_image_as_both_views_is_told(in_process, data: Path) -> None:
    first, second = images_of(data)[:2]
    assert first.parent == second.parent
    second.write_bytes(first.read_bytes())
    outcome = in_process("data", "check", data)
    (row,) = (row for row in outcome.problems if row["kind"] == "one image twice")
    assert row["case"] == first.parent.name


def test_a_lesion_without_two_views_is_listed(in_process, data: Path) -> None:
    table = pd.read_csv(data / METADATA, dtype=str)
    table.drop(index=5).to_csv(data / METADATA, index=False)
    outcome = in_process("data", "check", data)
    found = [row for row in outcome.problems if row["kind"] == "incomplete case"]
    assert [row["case"] for row in found] == [table.loc[5, "lesion_id"]]


def test_images_of_a_test_table_belong_to_it(in_process, data: Path) -> None:
    table = pd.read_csv(data / METADATA, dtype=str)
    test = table.iloc[:4].copy()
    for column in ("lesion_id", "isic_id"):
        test[column] = test[column].str.replace("_", "_9", n=1)
    test.to_csv(data / "MILK10k_Test_Metadata.csv", index=False)
    for isic in test["isic_id"]:
        (data / f"{isic}.jpg").write_bytes(images_of(data)[0].read_bytes())
    outcome = in_process("data", "check", data)
    assert outcome.code == 0
    assert "extra image" not in kinds(outcome)
    assert "MILK10k_Test_Metadata.csv left aside" in outcome.stderr


def test_a_link_that_leads_out_is_called_so(in_process, data: Path) -> None:
    victim = images_of(data)[0]
    victim.rename(data.parent / "away.jpg")
    victim.symlink_to(data.parent / "away.jpg")
    assert kinds(in_process("data", "check", data))["image outside"] == 1


def test_a_refused_run_leaves_no_folder(in_process, data: Path) -> None:
    images_of(data)[0].write_bytes(b"")
    assert in_process("run-all", "quick", "--data", data, "--out", data.parent / "out").code == 3
    assert not (data.parent / "out").exists()
