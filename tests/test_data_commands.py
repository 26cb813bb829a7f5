"""The data commands: pack, cache, check's outputs, options that are wrong."""

from __future__ import annotations

import json
from pathlib import Path

from milkreport.data.milk10k import GROUND_TRUTH
from tests.test_bad_data import images_of


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
