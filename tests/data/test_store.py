"""The pixel store: decoded once, verified always, continued after a kill, silent about no bad image."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from filelock import FileLock
from PIL import Image

from milkreport.data.cases import Card, Cases
from milkreport.data.pixels.decode import RULES, BadImage, decode
from milkreport.data.pixels.perceptual_hash import perceptual_hash
from milkreport.data.pixels.store import PixelStore, clear_stores, list_stores, open_store
from milkreport.data.pixels.store_files import map_in_order
from milkreport.errors import DataError, EnvironmentProblem

SIZE = 16
ROW = SIZE * SIZE * 3
VIEWS = ("near", "far")


def make_cases(root: Path, n: int = 6) -> Cases:
    """*n* cases of two views, PNG and JPEG; nothing about them depends on where *root* is."""
    root.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    rows = []
    for case in range(n):
        row: dict[str, object] = {
            "case_id": f"c{case:02d}",
            "group_id": f"c{case:02d}",
            "label": "x",
        }
        for view, suffix in zip(VIEWS, ("png", "jpg"), strict=True):
            path = root / f"{case:02d}" / f"{view}.{suffix}"
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)).save(path)
            row[f"image:{view}"] = str(path)
        rows.append(row)
    return Cases(pd.DataFrame(rows), VIEWS, (), ("x",), Card("made", "none", "nobody"), root)


@pytest.fixture
def cases(tmp_path: Path) -> Cases:
    return make_cases(tmp_path / "data")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "stores"


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that were decoded, as they are."""
    names: list[str] = []

    def count(path: Path, *options: Any) -> Any:
        names.append(f"{path.parent.name}/{path.name}")
        return decode(path, *options)

    monkeypatch.setattr("milkreport.data.pixels.sources.decode", count)
    return names


def path_of(cases: Cases, row: int, view: str = "near") -> Path:
    return Path(cases.image_paths(view)[row])


def only(folder: Path, suffix: str) -> Path:
    (path,) = folder.glob(f"*{suffix}")
    return path


def test_rows_are_the_decoded_images(cases: Cases, folder: Path) -> None:
    store = open_store(cases, SIZE, folder)
    assert store.pixels.shape == (6, 2, SIZE, SIZE, 3)
    assert store.pixels.dtype == np.uint8
    assert store.size == SIZE
    with pytest.raises(ValueError, match="read-only"):
        store.pixels[0] = 0
    assert list(store.images["case_id"]) == [f"c{i:02d}" for i in range(6) for _ in VIEWS]
    assert list(store.images["view"]) == list(VIEWS) * 6
    for position, record in enumerate(store.images.itertuples()):
        path = cases.root / record.file
        image = decode(path, SIZE)
        row = store.pixels[position // 2, position % 2]
        assert (row == image.pixels).all()
        assert record.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
        assert record.pixel_hash == hashlib.sha256(row.tobytes()).hexdigest()[:32]
        assert record.phash == perceptual_hash(image.rgb) != ""
        assert record.n_bytes == path.stat().st_size
        assert (record.width, record.height, record.mode) == (30, 20, "RGB")
        assert record.format == ("PNG" if path.suffix == ".png" else "JPEG")
        assert (record.problem, record.what, record.do) == ("", "", "")


def test_images_are_decoded_once(cases: Cases, folder: Path, decoded: list[str]) -> None:
    calls: list[tuple[int, int]] = []
    first = open_store(cases, SIZE, folder, progress=lambda *done: calls.append(done))
    assert calls == [(i, 12) for i in range(1, 13)]
    assert len(decoded) == 12
    again = open_store(cases, SIZE, folder, progress=lambda *done: calls.append(done))
    assert len(calls) == len(decoded) == 12
    assert (again.pixels == first.pixels).all()
    pd.testing.assert_frame_equal(again.images, first.images)
    assert (again.fingerprint, again.key) == (first.fingerprint, first.key)
    assert {p.suffix for p in folder.iterdir()} == {".u8", ".jsonl", ".lock"}


def test_size_rule_and_bytes_make_another_store_and_the_place_does_not(
    cases: Cases, folder: Path, decoded: list[str], tmp_path: Path
) -> None:
    store = open_store(cases, SIZE, folder)
    keys = {store.key, open_store(cases, 8, folder).key}
    keys.add(open_store(cases, SIZE, folder, decoder="fast").key)
    assert len(keys) == 3
    decoded.clear()
    moved = make_cases(tmp_path / "elsewhere")
    same = open_store(moved, SIZE, folder)
    assert not decoded
    assert (same.key, same.fingerprint) == (store.key, store.fingerprint)
    assert str(tmp_path) not in "".join(map(str, same.images.to_numpy().ravel()))
    assert str(tmp_path) not in only(folder, f"{store.key}.jsonl").read_text(encoding="utf-8")
    Image.new("RGB", (30, 20), "red").save(path_of(cases, 3))
    changed = open_store(cases, SIZE, folder)
    assert changed.fingerprint != store.fingerprint
    assert (changed.pixels[3, 0] == [255, 0, 0]).all()
    assert (changed.pixels[2] == store.pixels[2]).all()
    named = replace(cases, card=Card("other", "", ""))
    decoded.clear()
    assert open_store(named, SIZE, folder).key == changed.key
    assert not decoded


def test_another_suffix_is_judged_anew(cases: Cases, folder: Path) -> None:
    open_store(cases, SIZE, folder)
    path = path_of(cases, 0)
    path.rename(path.with_suffix(".jpg"))
    table = cases.table.assign(**{"image:near": cases.image_paths("near").copy()})
    table.loc[0, "image:near"] = str(path.with_suffix(".jpg"))
    store = open_store(replace(cases, table=table), SIZE, folder)
    assert store.images["problem"][0] == "mislabelled"


def test_bad_images_are_zeros_with_a_record(cases: Cases, folder: Path, tmp_path: Path) -> None:
    near = [path_of(cases, row) for row in range(6)]
    outside = tmp_path / "outside.png"
    shutil.move(near[0], outside)
    near[0].symlink_to(outside)
    near[1].unlink()
    near[2].write_bytes(near[2].read_bytes()[:300])
    near[3].write_bytes(b"")
    near[4].write_bytes(b"<html>gone</html>")
    table = cases.table.copy()
    table.loc[5, "image:near"] = None
    table.loc[4, "image:far"] = str(cases.root / ".." / "outside.png")
    cases = replace(cases, table=table)
    store = open_store(cases, SIZE, folder)
    problems = store.images["problem"].to_numpy().reshape(6, 2)
    kinds = ["outside", "missing", "truncated", "empty", "mislabelled", ""]
    assert problems[:, 0].tolist() == kinds
    assert problems[:, 1].tolist() == ["", "", "", "", "outside", ""]
    assert not store.pixels[:, 0].any()
    assert store.pixels[[0, 1, 2, 3, 5], 1].any(axis=(1, 2, 3)).all()
    bad = store.images[store.images["problem"] != ""]
    assert (bad[["what", "do"]] != "").all(axis=None)
    assert (bad[["phash", "format"]] == "").all(axis=None)
    absent = store.images.iloc[10]
    assert (absent["file"], absent["problem"], absent["sha256"]) == ("", "", "")
    assert store.images["file"][2] == "01/near.png"
    again = open_store(cases, SIZE, folder)
    pd.testing.assert_frame_equal(again.images, store.images)
    make_cases(tmp_path / "data")  # over the link too
    near[0].unlink()
    shutil.move(outside, near[0])
    mended = open_store(replace(cases, table=make_cases(tmp_path / "data").table), SIZE, folder)
    assert not mended.images["problem"].any()
    assert mended.pixels[:, 0].any(axis=(1, 2, 3)).all()


def test_a_link_that_stays_in_the_folder_is_followed(cases: Cases, folder: Path) -> None:
    target = path_of(cases, 0).rename(cases.root / "kept.png")
    path_of(cases, 0).symlink_to(target)
    assert not open_store(cases, SIZE, folder).images["problem"].any()


def test_a_linked_folder_that_leaves_is_outside(cases: Cases, folder: Path, tmp_path: Path) -> None:
    moved = (cases.root / "02").rename(tmp_path / "elsewhere")
    (cases.root / "02").symlink_to(moved)
    problems = open_store(cases, SIZE, folder).images["problem"]
    assert problems.tolist() == ["", "", "", "", "outside", "outside", *[""] * 6]
    linked = tmp_path / "linked"
    linked.symlink_to(cases.root)  # a link to the whole data is another name of it
    (cases.root / "02").unlink()
    moved.rename(cases.root / "02")
    table = cases.table.replace(str(cases.root), str(linked), regex=True)
    store = open_store(replace(cases, table=table, root=linked), SIZE, folder)
    assert not store.images["problem"].any()
    assert store.images["file"][4] == "02/near.png"


def test_take_is_the_store_of_fewer_cases(cases: Cases, folder: Path, tmp_path: Path) -> None:
    whole = open_store(cases, SIZE, folder)
    few = whole.take(np.array([4, 1]))
    assert np.shares_memory(few.pixels, whole.pixels)
    table = cases.table.iloc[[4, 1]].reset_index(drop=True)
    fresh = open_store(replace(cases, table=table), SIZE, tmp_path / "other")
    pd.testing.assert_frame_equal(few.images, fresh.images)
    assert few.fingerprint == fresh.fingerprint != whole.fingerprint
    assert (few.batch([0, 1]) == fresh.pixels).all()
    assert (few.take([1]).batch([0]) == whole.pixels[[1]]).all()
    assert len(whole.take([]).images) == 0


@pytest.mark.parametrize("reuse", [False, True])
def test_batches_are_the_rows_and_scaled_as_to_tensor_does(
    cases: Cases, folder: Path, reuse: bool
) -> None:
    functional = pytest.importorskip("torchvision.transforms.functional")
    store = open_store(cases, SIZE, folder)
    positions = [5, 0, 0, 3]
    shape = (4, 2, SIZE, SIZE, 3)
    bytes_out = np.full(shape, 9, np.uint8) if reuse else None
    floats_out = np.full(shape, np.nan, np.float32) if reuse else None
    whole = store.batch(positions, bytes_out)
    floats = store.batch(positions, floats_out, np.float32)
    assert not reuse or (whole is bytes_out and floats is floats_out)
    assert whole.dtype == np.uint8
    assert floats.dtype == np.float32
    assert (whole == store.pixels[positions]).all()
    flat = (-1, SIZE, SIZE, 3)
    for ours, image in zip(floats.reshape(flat), whole.reshape(flat), strict=True):
        theirs = functional.to_tensor(Image.fromarray(image)).permute(1, 2, 0).numpy()
        assert np.array_equal(ours, theirs)


@pytest.mark.parametrize(("limit", "stays"), [(1, False), (10**9, True)])
def test_what_was_read_does_not_stay_in_memory(
    cases: Cases, folder: Path, monkeypatch: pytest.MonkeyPatch, limit: int, stays: bool
) -> None:
    if not Path("/proc/self/smaps").is_file():
        pytest.skip("mapped memory is told by /proc/self/smaps, which this system lacks")
    store = open_store(cases, 128, folder)
    expected = np.array(store.pixels)
    monkeypatch.setattr("milkreport.data.pixels.store._MAPPED", limit)
    assert (store.batch(np.arange(6)) == expected).all()
    lines = iter(Path("/proc/self/smaps").read_text().splitlines())
    assert any(line.endswith(f"{store.key}.u8") for line in lines)
    resident = next(line for line in lines if line.startswith("Rss:"))
    assert (int(resident.split()[1]) > 0) == stays
    assert (store.take([5, 0]).batch([1, 0]) == expected[[0, 5]]).all()  # and is there again


def test_wrong_buffers_and_positions_are_refused(cases: Cases, folder: Path) -> None:
    store = open_store(cases, SIZE, folder)
    with pytest.raises(ValueError, match="dtype is float64"):
        store.batch([0], dtype=np.float64)
    for out in (
        np.empty((2, 2, SIZE, SIZE, 3), np.uint8),
        np.empty((1, 2, SIZE, SIZE, 3), np.float32),
        np.empty((1, 2, 3, SIZE, SIZE), np.uint8).transpose(0, 1, 3, 4, 2),
    ):
        with pytest.raises(ValueError, match="out is"):
            store.batch([0], out)
    with pytest.raises(IndexError):
        store.batch([6])


CHILD = """
import os, signal, sys
from pathlib import Path
from milkreport.data.pixels import decode, sources
from milkreport.data.pixels.store import open_store
from tests.data.test_store import make_cases

data, folder, log, kill_at = *map(Path, sys.argv[1:4]), int(sys.argv[4])

def count(path, *options):
    with open(log, "a") as file:
        file.write(path.parent.name + "/" + path.name + "\\n")
    return decode.decode(path, *options)

def stop(done, total):
    if done == kill_at:
        os.kill(os.getpid(), signal.SIGKILL)

sources.decode = count
cases = make_cases(data, 40) if kill_at else make_cases(data)
print("ready", flush=True)
sys.stdin.readline()
print(open_store(cases, 16, folder, progress=stop, workers=2).fingerprint)
"""


def start(data: Path, folder: Path, log: Path, kill_at: int = 0) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, *map(str, (data, folder, log, kill_at))],
        cwd=Path(__file__).resolve().parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_two_processes_pack_once(cases: Cases, folder: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    children = [start(tmp_path / f"copy{i}", folder, log) for i in range(2)]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    for child in children:  # both are there: go
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    said = [child.communicate(timeout=60)[0].strip() for child in children]
    assert [child.returncode for child in children] == [0, 0]
    assert said == [open_store(cases, SIZE, folder).fingerprint] * 2
    assert len(log.read_text(encoding="utf-8").splitlines()) == 12


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_a_killed_packing_is_continued(folder: Path, tmp_path: Path, decoded: list[str]) -> None:
    child = start(tmp_path / "data", folder, tmp_path / "log", kill_at=30)
    child.communicate("go\n", timeout=60)
    assert child.returncode == -signal.SIGKILL
    (partial,) = list_stores(folder)
    assert (partial.complete, partial.n_images, partial.size) == (False, 80, SIZE)
    cases = make_cases(tmp_path / "data", 40)
    calls: list[int] = []
    store = open_store(cases, SIZE, folder, progress=lambda done, _: calls.append(done))
    names = [f"{i:02d}/{name}" for i in range(40) for name in ("near.png", "far.jpg")]
    assert sorted(decoded) == sorted(names[30:])  # none that was finished
    assert calls == list(range(31, 81))
    whole = open_store(cases, SIZE, tmp_path / "uninterrupted")
    assert store.key == whole.key
    for suffix in (".u8", ".jsonl"):
        kept, fresh = only(folder, suffix), only(tmp_path / "uninterrupted", suffix)
        assert kept.read_bytes() == fresh.read_bytes()
    pd.testing.assert_frame_equal(store.images, whole.images)
    assert not list(folder.glob("*.partial"))


def interrupt(folder: Path) -> tuple[Path, Path]:
    """Turn a whole store into one whose packing was stopped before the last step."""
    index = only(folder, ".jsonl")
    return only(folder, ".u8"), index.rename(index.with_suffix(".partial"))


@pytest.mark.parametrize("cut", [1, 40])
def test_a_torn_last_line_is_dropped(
    cases: Cases, folder: Path, decoded: list[str], cut: int
) -> None:
    before = open_store(cases, SIZE, folder).pixels.copy()
    _, journal = interrupt(folder)
    journal.write_bytes(journal.read_bytes()[:-cut])
    decoded.clear()
    assert (open_store(cases, SIZE, folder).pixels == before).all()
    assert decoded == ["05/far.jpg"]


def test_a_row_that_did_not_reach_the_disk_is_made_again(
    cases: Cases, folder: Path, decoded: list[str]
) -> None:
    before = open_store(cases, SIZE, folder).pixels.copy()
    rows, _ = interrupt(folder)
    with rows.open("r+b") as file:
        file.seek(9 * ROW + 5)
        file.write(b"\0\0\0\0")
    decoded.clear()
    assert (open_store(cases, SIZE, folder).pixels == before).all()
    assert sorted(decoded) == ["04/far.jpg", "05/far.jpg", "05/near.png"]


def test_rows_without_any_index_are_no_store(
    cases: Cases, folder: Path, decoded: list[str]
) -> None:
    before = open_store(cases, SIZE, folder).pixels.copy()
    only(folder, ".jsonl").unlink()
    decoded.clear()
    assert (open_store(cases, SIZE, folder).pixels == before).all()
    assert len(decoded) == 12


def flip(path: Path, position: int) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)


def cut(path: Path, n_bytes: int) -> None:
    path.write_bytes(path.read_bytes()[:-n_bytes])


DAMAGE: dict[str, tuple[Callable[[Path, Path], object], str]] = {
    "flipped pixel": (lambda rows, index: flip(rows, 7 * ROW + 11), "row 8 of 12"),
    "last pixel": (lambda rows, index: flip(rows, 12 * ROW - 1), "row 12 of 12"),
    "short rows": (lambda rows, index: cut(rows, 1), "9,215 bytes where 9,216"),
    "long rows": (lambda rows, index: rows.write_bytes(rows.read_bytes() + b"x"), "9,217 bytes"),
    "no rows": (lambda rows, index: rows.unlink(), "0 bytes"),
    "flipped index": (lambda rows, index: flip(index, 700), "damaged at line"),
    "flipped checksum": (lambda rows, index: flip(index, 2), "damaged at line 1"),
    "cut index": (lambda rows, index: cut(index, 20), "damaged at line 13"),
    "empty index": (lambda rows, index: index.write_bytes(b""), "damaged at line 1"),
    "lines too many": (
        lambda rows, index: index.write_bytes(index.read_bytes() + b"more\n"),
        "lines too many",
    ),
    "strange index": (lambda rows, index: index.write_bytes(b"\xff\0[]\n"), "damaged at line 1"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damage_is_noticed_and_mended(
    cases: Cases, folder: Path, decoded: list[str], kind: str
) -> None:
    before = open_store(cases, SIZE, folder)
    pixels = before.pixels.copy()
    damage, said = DAMAGE[kind]
    damage(only(folder, ".u8"), only(folder, ".jsonl"))
    decoded.clear()
    notices: list[str] = []
    after = open_store(cases, SIZE, folder, notice=notices.append)
    (line,) = notices
    assert said in line
    assert before.key in line
    assert len(decoded) == 12
    assert (after.pixels == pixels).all()
    pd.testing.assert_frame_equal(after.images, before.images)
    open_store(cases, SIZE, folder, notice=notices.append)
    assert len(notices) == 1  # mended
    assert len(decoded) == 12


def test_other_readers_keep_what_they_have_mapped(cases: Cases, folder: Path) -> None:
    reader = open_store(cases, SIZE, folder)
    before = reader.pixels.copy()
    flip(only(folder, ".jsonl"), 700)
    open_store(cases, SIZE, folder)
    assert (reader.pixels == before).all()


class FullDisk:
    """A file of a disk that is full after some writes."""

    def __init__(self, file: Any, room: int) -> None:
        self.file, self.room = file, room

    def __enter__(self) -> FullDisk:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()

    def flush(self) -> None:
        self.file.flush()

    def write(self, data: Any) -> None:
        self.room -= 1
        if self.room < 0:
            self.file.write(bytes(data)[:50])
            raise OSError(errno.ENOSPC, "No space left on device")
        self.file.write(data)


@pytest.mark.parametrize("suffix", [".u8", ".partial"])
def test_a_full_disk_leaves_nothing(
    cases: Cases, folder: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    plain = Path.open

    def full(path: Path, *arguments: Any, **options: Any) -> Any:
        file = plain(path, *arguments, **options)
        return FullDisk(file, 5) if path.suffix == suffix and arguments == ("ab",) else file

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", full)
        with pytest.raises(EnvironmentProblem, match=r"no space left: need .* free some space"):
            open_store(cases, SIZE, folder)
    assert [path.suffix for path in folder.iterdir()] == [".lock"]
    assert list_stores(folder) == []
    assert not open_store(cases, SIZE, folder).images["problem"].any()  # negative control


def test_a_store_that_cannot_fit_is_not_begun(
    cases: Cases, folder: Path, monkeypatch: pytest.MonkeyPatch, decoded: list[str]
) -> None:
    usage = shutil.disk_usage("/")._replace(free=12 * ROW - 1)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(EnvironmentProblem, match="no space left"):
        open_store(cases, SIZE, folder)
    assert decoded == []
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=12 * ROW))
    open_store(cases, SIZE, folder)


def test_a_folder_that_cannot_be_made_is_an_environment_problem(
    cases: Cases, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EnvironmentProblem, match="cannot write"):
        open_store(cases, SIZE, tmp_path / "file" / "below")


@pytest.mark.parametrize("change", ["rewritten", "removed"])
def test_an_image_that_changes_while_packing_is_an_error(
    tmp_path: Path, folder: Path, change: str
) -> None:
    """Else its new pixels would be kept under the key of its old bytes."""
    cases = make_cases(tmp_path / "data", 20)
    last = path_of(cases, 19)
    whole = last.read_bytes()

    def meddle(done: int, total: int) -> None:
        if done == 1 and change == "rewritten":
            Image.new("RGB", (30, 20)).save(last)
        elif done == 1:
            last.unlink()

    with pytest.raises(DataError, match=r"^19/near\.png: the file changed while"):
        open_store(cases, SIZE, folder, progress=meddle, workers=1)
    assert not list(folder.glob("*.jsonl"))
    last.write_bytes(whole)
    assert not open_store(cases, SIZE, folder).images["problem"].any()


def test_a_disk_that_fails_is_no_bad_image(
    cases: Cases, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its record would be kept for good."""

    def fail(path: Path, *_: object) -> None:
        error = BadImage("unreadable", "cannot be read: input/output error", "", str(path))
        raise error from OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr("milkreport.data.pixels.sources.decode", fail)
        with pytest.raises(DataError, match="input/output error — run the same command again"):
            open_store(cases, SIZE, folder)
    assert not open_store(cases, SIZE, folder).images["problem"].any()


def test_no_image_is_an_error(cases: Cases, folder: Path) -> None:
    with pytest.raises(DataError, match="no case has an image"):
        open_store(replace(cases, table=cases.table.iloc[:0]), SIZE, folder)


def test_stores_are_listed(cases: Cases, folder: Path) -> None:
    assert list_stores(folder) == []
    whole = open_store(cases, SIZE, folder)
    part = open_store(cases, 8, folder, decoder="fast")
    index = only(folder, f"{part.key}.jsonl")
    index.rename(index.with_suffix(".partial"))
    (folder / "notes.txt").write_text("mine")
    (folder / f"{'0' * 24}.lock").write_text("")
    listed = {store.key: store for store in list_stores(folder)}
    assert set(listed) == {whole.key, part.key}
    info = listed[whole.key]
    assert (info.name, info.n_images, info.size) == ("made", 12, SIZE)
    assert (info.rule, info.complete) == (RULES["exact"], True)
    sizes = [only(folder, whole.key + suffix).stat().st_size for suffix in (".u8", ".jsonl")]
    assert info.n_bytes == sum(sizes) > 12 * ROW
    assert (listed[part.key].rule, listed[part.key].complete) == (RULES["fast"], False)
    os.utime(only(folder, f"{whole.key}.u8"), (100, 100))
    os.utime(only(folder, f"{whole.key}.jsonl"), (200, 200))
    (info,) = [store for store in list_stores(folder) if store.complete]
    assert (info.created, info.used) == (100, 200)
    open_store(cases, SIZE, folder)
    (info,) = [store for store in list_stores(folder) if store.complete]
    assert info.created == 100
    assert info.used > 1e9
    assert json.dumps(info.__dict__)


def test_stores_are_cleared_and_nothing_else(cases: Cases, folder: Path) -> None:
    first, second = open_store(cases, SIZE, folder), open_store(cases, 8, folder)
    third = open_store(cases, 4, folder)
    interrupted = only(folder, f"{third.key}.jsonl")
    interrupted.rename(interrupted.with_suffix(".partial"))
    foreign = ["notes.txt", "thesis.json", "a.u8", "f" * 25 + ".u8", "f" * 24 + ".txt"]
    for name in foreign:
        (folder / name).write_text("mine")
    (folder / ("f" * 24 + ".u8")).mkdir()
    (folder / ("e" * 24 + ".lock")).write_text("")  # of a packing that failed
    size = sum(path.stat().st_size for path in folder.glob(f"{second.key}*"))
    assert clear_stores(folder, [second.key, "unknown"]) == size
    assert not list(folder.glob(f"{second.key}*"))
    with FileLock(folder / f"{first.key}.lock"):
        assert clear_stores(folder) > 0  # the partial one
        assert [store.key for store in list_stores(folder)] == [first.key]
    assert (first.batch([0]) == first.pixels[[0]]).all()
    clear_stores(folder)
    assert (first.batch([0]) == first.pixels[[0]]).all()  # who has it open keeps it
    assert sorted(path.name for path in folder.iterdir()) == sorted([*foreign, "f" * 24 + ".u8"])
    assert clear_stores(folder / "nowhere") == 0


def test_only_few_results_wait_however_many_items_there_are() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for i in range(1000):
            taken.append(i)
            yield i

    results = map_in_order(lambda i: i * i, items(), 3)
    assert [next(results) for _ in range(10)] == [i * i for i in range(10)]
    assert len(taken) <= 12 + 4 * 6  # in blocks of 4
    assert list(results) == [i * i for i in range(10, 1000)]


def test_a_store_is_a_value(cases: Cases, folder: Path) -> None:
    store = open_store(cases, SIZE, folder)
    assert isinstance(store, PixelStore)
    with pytest.raises(AttributeError):
        store.key = "other"  # type: ignore[misc]
