"""The pixel store: equal to torchvision's resize, decoded once, honest about bad files."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from milkreport.data.cases import Card, Cases
from milkreport.data.cleaning import clean
from milkreport.data.images import decode, duplicate_groups, open_store
from milkreport.data.milk10k import load_milk10k
from milkreport.errors import DataError

from .conftest import real_folder


@pytest.fixture
def cases(tmp_path: Path) -> Cases:
    """Four one-view cases; b and d show the same pixels in different files."""
    rng = np.random.default_rng(0)
    rows = []
    for name in "abcd":
        path = tmp_path / f"{name}.png"
        pixels = rng.integers(0, 256, (30, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
        rows.append({"case_id": name, "group_id": name, "label": "x", "image:photo": str(path)})
    Image.open(tmp_path / "b.png").save(tmp_path / "d.png", compress_level=0)
    card = Card("made", "none", "nobody")
    return Cases(pd.DataFrame(rows), ("photo",), (), ("x",), card, tmp_path)


def test_pixels_equal_torchvisions_resize(cases: Cases, tmp_path: Path) -> None:
    functional = pytest.importorskip("torchvision.transforms.functional")
    store = open_store(cases, 16, tmp_path / "cache")
    assert store.pixels.shape == (4, 1, 16, 16, 3)
    for row, path in enumerate(cases.image_paths("photo")):
        with Image.open(path) as image:
            expected = np.asarray(functional.resize(image.convert("RGB"), [16, 16]))
        assert (store.pixels[row, 0] == expected).all()


def test_the_store_is_made_once(cases: Cases, tmp_path: Path) -> None:
    calls: list[int] = []
    for _ in range(2):
        store = open_store(cases, 16, tmp_path / "cache", lambda done, total: calls.append(done))
    assert calls == [1, 2, 3, 4]
    assert not list((tmp_path / "cache").glob("*.partial"))
    changed = tmp_path / "a.png"
    Image.new("RGB", (30, 40), "red").save(changed)
    again = open_store(cases, 16, tmp_path / "cache")
    assert (again.pixels[0, 0] == [255, 0, 0]).all()  # changed bytes: another store
    assert again.fingerprint != store.fingerprint


def test_identical_pixels_are_found_by_content(cases: Cases, tmp_path: Path) -> None:
    store = open_store(cases, 16, tmp_path / "cache")
    groups, n = duplicate_groups(cases, store)
    assert groups == ["a", "b", "c", "b"]
    assert n == 1


def test_the_real_set_has_five_duplicate_pairs(real_data: Path, tmp_path: Path) -> None:
    cases = clean(load_milk10k(real_data), "paper").cases
    # Their seven MONET scores are equal to the last digit: enough candidates, quickly decoded.
    monet = [f for f in cases.table.columns if f.startswith("MONET")]
    suspects = set()
    for view in cases.views:
        columns = [c for c in monet if c.endswith(view)]
        suspects |= set(cases.table.index[cases.table[columns].duplicated(keep=False)])
    few = sorted(suspects | set(range(40)))
    table = cases.table.loc[few].reset_index(drop=True)
    small = replace(cases, table=table)
    groups, n = duplicate_groups(small, open_store(small, 16, tmp_path))
    assert n == 5
    joined = pd.Series(groups)
    pairs = table[joined.duplicated(keep=False).to_numpy()]
    assert len(pairs) == 10
    assert set(pairs["label"]) == {"BCC"}


def test_originals_decode_as_they_are() -> None:
    folder = real_folder("milk10k_sample")
    if not folder.is_dir():
        pytest.skip("the 99 original MILK10k lesions are not at hand")
    paths = sorted((folder / "MILK10k_Training_Input").rglob("*.jpg"))
    assert len(paths) == 198
    pixels, _ = decode(paths[0], 64)
    with Image.open(paths[0]) as image:
        expected = image.convert("RGB").resize((64, 64), Image.Resampling.BILINEAR)
    assert (pixels == np.asarray(expected)).all()


def test_bad_files_are_named(cases: Cases, tmp_path: Path) -> None:
    target = tmp_path / "c.png"
    whole = target.read_bytes()
    target.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"c\.png: damaged image.*1 bad of 4 images"):
        open_store(cases, 16, tmp_path / "cache")
    target.write_text("<html>Not found</html>")
    with pytest.raises(DataError, match="not a JPEG or PNG image"):
        open_store(cases, 16, tmp_path / "cache")
    target.unlink()
    with pytest.raises(DataError, match=r"1 of 4 image files are missing: c\.png"):
        open_store(cases, 16, tmp_path / "cache")
    assert not list((tmp_path / "cache").glob("*.u8"))


def test_a_bomb_is_refused_before_it_is_decoded(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("milkreport.data.images.MAX_PIXELS", 1000)
    path = tmp_path / "bomb.png"
    Image.new("RGB", (100, 100)).save(path)
    monkeypatch.setattr(Image.Image, "convert", lambda *_: pytest.fail("was decoded"))
    with pytest.raises(DataError, match="100 x 100 pixels"):
        decode(path, 16)


def test_a_link_out_of_the_folder_is_refused(cases: Cases, tmp_path: Path) -> None:
    outside = tmp_path.parent / f"{tmp_path.name}-outside.png"
    shutil.move(tmp_path / "a.png", outside)
    (tmp_path / "a.png").symlink_to(outside)
    with pytest.raises(DataError, match="outside the data's folder"):
        open_store(cases, 16, tmp_path / "cache")
