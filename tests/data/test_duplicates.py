"""Duplicates: found whatever the size, confirmed at full size, listed as few links, kept together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from milkreport.commands.check_data import _same_image_twice
from milkreport.data.adapters.load import load_cases
from milkreport.data.cases import Card, Cases
from milkreport.data.pixels import duplicates as module
from milkreport.data.pixels.duplicates import RULE, find_duplicates, join_groups
from milkreport.data.pixels.perceptual_hash import NEAR_DISTANCE
from milkreport.data.pixels.store import open_store
from milkreport.errors import DataError
from milkreport.runs.proof import prove_splits
from tests.conftest import real_folder


def draw(seed: int, width: int = 160, height: int = 120) -> Image.Image:
    """A picture with detail at all the scales that a hash looks at."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (18, 24, 3), dtype=np.uint8))
    return coarse.resize((width, height), Image.Resampling.BICUBIC)


def as_cases(root: Path, files: dict[str, list[str | None]], groups: dict[str, str]) -> Cases:
    """Cases by id from the names of their files, a view each."""
    views = tuple(f"view{i}" for i in range(len(next(iter(files.values())))))
    rows = [
        {"case_id": case, "group_id": groups.get(case, case), "label": "x"}
        | {
            f"image:{view}": name and str(root / name)
            for view, name in zip(views, names, strict=True)
        }
        for case, names in files.items()
    ]
    return Cases(pd.DataFrame(rows), views, (), ("x",), Card("made", "", ""), root)


def find(cases: Cases, tmp_path: Path, size: int = 16, decoder: str = "exact") -> pd.DataFrame:
    store = open_store(cases, size, tmp_path / "stores", decoder=decoder)  # type: ignore[arg-type]
    return find_duplicates(cases, store)


def pairs(found: pd.DataFrame, kind: str) -> list[tuple[str, str]]:
    mine = found[found["kind"] == kind]
    return list(zip(mine["case_a"], mine["case_b"], strict=True))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """a, b, c differ; d has b's pixels in another file, e is a at quality 50, f is c at half size."""
    folder = tmp_path / "data"
    folder.mkdir()
    for seed, name in enumerate("abc"):
        draw(seed).save(folder / f"{name}.png")
    draw(1).save(folder / "d.png", compress_level=0)
    draw(0).save(folder / "e.jpg", quality=50)
    draw(2).resize((80, 60), Image.Resampling.BILINEAR).save(folder / "f.png")
    return folder


SIX = {name[0]: [name] for name in ("a.png", "b.png", "c.png", "d.png", "e.jpg", "f.png")}


@pytest.mark.parametrize("decoder", ["exact", "fast"])
@pytest.mark.parametrize("size", [8, 64, 300])
def test_identical_and_near_images_are_found_at_every_size(
    root: Path, tmp_path: Path, size: int, decoder: str
) -> None:
    found = find(as_cases(root, SIX, {}), tmp_path, size, decoder)
    assert list(found) == ["kind", "case_a", "view_a", "case_b", "view_b", "distance"]
    assert pairs(found, "identical") == [("b", "d")]
    assert sorted(pairs(found, "near")) == [("a", "e"), ("c", "f")]
    assert found["distance"][0] == 0
    assert found["distance"].max() <= NEAR_DISTANCE
    assert set(found["view_a"]) == {"view0"}
    assert str(NEAR_DISTANCE) in RULE


def test_unlike_images_are_no_duplicates(root: Path, tmp_path: Path) -> None:
    """Negative control."""
    found = find(as_cases(root, {k: SIX[k] for k in "abc"}, {}), tmp_path)
    assert found.empty
    assert list(found) == ["kind", "case_a", "view_a", "case_b", "view_b", "distance"]
    assert join_groups(as_cases(root, SIX, {}), found, near=True) == (list("abcdef"), 0)


def test_images_that_are_equal_only_when_small_are_not_identical(
    root: Path, tmp_path: Path
) -> None:
    one = np.asarray(draw(0)).copy()
    one[60, 80, 0] ^= 1
    Image.fromarray(one).save(root / "g.png")
    cases = as_cases(root, {"a": ["a.png"], "g": ["g.png"]}, {})
    store = open_store(cases, 4, tmp_path / "stores")
    assert store.images["pixel_hash"].nunique() == 1
    assert pairs(find_duplicates(cases, store), "identical") == []
    assert pairs(find_duplicates(cases, store), "near") == [("a", "g")]


def test_frames_of_one_colour_and_different_size_are_different_images_everywhere(
    root: Path, tmp_path: Path
) -> None:
    """For the groups, the proof of the split, and the warning of one image under two views."""
    for name, size in {"small.png": (30, 30), "wide.png": (40, 30), "same.png": (30, 30)}.items():
        Image.new("RGB", size).save(root / name)
    cases = as_cases(root, {"a": ["small.png", "wide.png"], "b": ["wide.png", "a.png"]}, {})
    store = open_store(cases, 16, tmp_path / "stores")
    assert store.images["pixel_hash"].nunique() == 2  # all frames are one image at 16 pixels
    assert pairs(find_duplicates(cases, store), "identical") == [("a", "b")]  # wide.png
    assert _same_image_twice(store.images) == []

    apart = as_cases(root, {"a": ["small.png"], "b": ["wide.png"], "c": ["same.png"]}, {})
    images = open_store(apart, 16, tmp_path / "stores").images
    images.to_csv(tmp_path / "images.csv", index=False)

    def prove(parts: list[str]) -> int:
        splits = pd.DataFrame({"case_id": [*"abc"], "group_id": [*"abc"], "fold": 0, "part": parts})
        splits.to_csv(tmp_path / "splits.csv", index=False)
        return prove_splits(tmp_path / "splits.csv", tmp_path / "images.csv").shared_images

    assert prove(["train", "test", "train"]) == 0
    with pytest.raises(DataError, match="an image stands in"):
        prove(["train", "train", "test"])


def test_a_turned_copy_is_identical(root: Path, tmp_path: Path) -> None:
    """Pixels count as they are seen: after the orientation that EXIF names."""
    exif = Image.Exif()
    exif[0x0112] = 6
    draw(3).transpose(Image.Transpose.ROTATE_90).save(root / "turned.png", exif=exif)
    draw(3).save(root / "upright.png")
    found = find(as_cases(root, {"a": ["turned.png"], "b": ["upright.png"]}, {}), tmp_path)
    assert pairs(found, "identical") == [("a", "b")]


def test_two_views_of_a_case_are_no_duplicates_and_other_views_count(
    root: Path, tmp_path: Path
) -> None:
    files = {"x": ["b.png", "d.png"], "y": ["a.png", "c.png"], "z": [None, "d.png"]}
    found = find(as_cases(root, files, {}), tmp_path)
    assert found.to_numpy().tolist() == [["identical", "x", "view0", "z", "view1", 0]]


def test_near_images_of_one_group_are_not_listed(root: Path, tmp_path: Path) -> None:
    cases = as_cases(root, SIX, {"a": "patient", "e": "patient", "b": "other", "d": "other"})
    found = find(cases, tmp_path)
    assert pairs(found, "near") == [("c", "f")]
    assert pairs(found, "identical") == [("b", "d")]  # of one group, and worth knowing


def test_placeholders_give_a_link_less_than_there_are(root: Path, tmp_path: Path) -> None:
    files: dict[str, list[str | None]] = {}
    for i in range(40):
        draw(7).save(root / f"p{i}.png", compress_level=i % 10)
        files[f"p{i:02d}"] = [f"p{i}.png"]
    for i in range(30):
        draw(8).save(root / f"q{i}.jpg", quality=40 + i)
        files[f"q{i:02d}"] = [f"q{i}.jpg"]
    found = find(as_cases(root, files, {}), tmp_path)
    assert len(pairs(found, "identical")) == 39
    assert len(pairs(found, "near")) == 29
    groups, joined = join_groups(as_cases(root, files, {}), found, near=True)
    assert groups == ["p00"] * 40 + ["q00"] * 30
    assert joined == 2


def test_bad_absent_and_flat_images_take_no_part(root: Path, tmp_path: Path) -> None:
    for name in ("u.png", "v.png"):
        (root / name).write_bytes(b"no image")
    Image.new("RGB", (30, 30), (0, 0, 0)).save(root / "black.png")
    Image.new("RGB", (40, 30), (0, 0, 0)).save(root / "wide.png")
    Image.new("RGB", (30, 30), (250, 0, 0)).save(root / "red.png")
    names: list[str | None] = ["u.png", "v.png", None, None, "black.png", "wide.png", "red.png"]
    cases = as_cases(root, {f"c{i}": [name] for i, name in enumerate(names)}, {})
    assert find(cases, tmp_path).empty


def test_the_search_finds_what_all_pairs_do(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Against every distance in one matrix and SciPy's components, with chunks of few pairs."""
    rng = np.random.default_rng(3)
    n = 300
    seeds = rng.integers(0, 2, (60, 256), dtype=np.uint8)
    bits = seeds[rng.integers(0, 60, n)] ^ (rng.random((n, 256)) < 0.035)
    hashes = [np.packbits(row).tobytes().hex() for row in bits]
    groups = rng.integers(0, 3000, n)
    images = pd.DataFrame({"case_id": [f"c{i:03d}" for i in range(n)], "view": "v", "file": "f"})
    images = images.assign(problem="", sha256="", phash=hashes)
    images["image_hash"] = [str(i) for i in range(n)]
    table = images[["case_id"]].assign(group_id=[f"g{g:03d}" for g in groups])
    cases = Cases(table, ("v",), (), (), Card("", "", ""), root)
    store = open_store(as_cases(root, {"a": ["a.png"]}, {}), 4, tmp_path)
    monkeypatch.setattr(module, "_CHUNK_PAIRS", 50)
    found = find_duplicates(cases, replace(store, images=images))

    distances = (bits[:, None] != bits[None]).sum(axis=2)
    linked = (distances <= NEAR_DISTANCE) | (groups[:, None] == groups[None])
    n_parts, part = connected_components(coo_array(linked), directed=False)
    n_groups = len(set(groups))
    assert 40 < n_parts < n_groups - 150  # the example tells something
    assert len(found) == n_groups - n_parts
    at = {case: i for i, case in enumerate(table["case_id"])}
    for row in found.itertuples():
        assert distances[at[row.case_a], at[row.case_b]] == row.distance <= NEAR_DISTANCE
    joined, n_joined = join_groups(cases, found, near=True)
    firsts = table.groupby(part)["group_id"].transform("min")
    assert joined == list(firsts)
    sizes = table.groupby(part)["group_id"].nunique()
    assert n_joined == (sizes > 1).sum()


def link(kind: str, a: str, b: str) -> dict[str, object]:
    return {"kind": kind, "case_a": a, "view_a": "v", "case_b": b, "view_b": "v", "distance": 0}


def test_groups_are_joined_and_named_by_their_first(root: Path) -> None:
    cases = as_cases(root, SIX, {"b": "m", "c": "m", "f": "k"})
    duplicates = pd.DataFrame(
        [link("identical", "f", "c"), link("near", "e", "a"), link("identical", "b", "c")]
    )
    assert join_groups(cases, duplicates, near=False) == (["a", "k", "k", "d", "e", "k"], 1)
    assert join_groups(cases, duplicates, near=True) == (["a", "k", "k", "d", "a", "k"], 2)
    assert join_groups(cases, duplicates.iloc[:0], near=True) == (["a", "m", "m", "d", "e", "k"], 0)


def test_a_case_that_was_removed_still_links_the_others(root: Path) -> None:
    cases = as_cases(root, {k: SIX[k] for k in "acef"}, {})
    duplicates = pd.DataFrame([link("identical", "a", "b"), link("identical", "b", "f")])
    assert join_groups(cases, duplicates, near=False) == (["a", "c", "e", "a"], 1)


def test_a_store_of_other_cases_is_refused(root: Path, tmp_path: Path) -> None:
    store = open_store(as_cases(root, {"a": ["a.png"]}, {}), 4, tmp_path / "stores")
    with pytest.raises(ValueError, match="other cases"):
        find_duplicates(as_cases(root, {"b": ["b.png"]}, {}), store)


@pytest.mark.slow
def test_the_real_set_has_five_duplicate_pairs(real_data: Path, tmp_path: Path) -> None:
    cases = load_cases(real_data, "milk10k", tmp_path / "unpacked")
    # Their seven MONET scores are equal to the last digit: enough candidates, quickly decoded.
    monet = [f for f in cases.table.columns if f.startswith("MONET")]
    suspects: set[int] = set()
    for view in cases.views:
        columns = [c for c in monet if c.endswith(view)]
        suspects |= set(cases.table.index[cases.table[columns].duplicated(keep=False)])
    few = sorted(suspects | set(range(40)))
    small = replace(cases, table=cases.table.loc[few].reset_index(drop=True))
    found = find(small, tmp_path)
    assert found["kind"].tolist() == ["identical"] * 5
    groups, n = join_groups(small, found, near=True)
    assert n == 5
    joined = small.table[pd.Series(groups).duplicated(keep=False).to_numpy()]
    assert len(joined) == 10
    assert set(joined["label"]) == {"BCC"}


def test_the_original_samples_have_no_near_pair(tmp_path: Path) -> None:
    folder = real_folder("milk10k_sample")
    if not folder.is_dir():
        pytest.skip("the 99 original MILK10k lesions are not at hand")
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.jpg"))
    assert len(names) == 198
    cases = as_cases(folder, {name: [name] for name in names}, {})
    assert find(cases, tmp_path, 16, "fast").empty
    copied = tmp_path / "again"
    copied.mkdir()
    for name in names[:5]:
        with Image.open(folder / name) as image:
            image.save(copied / Path(name).name, quality=50)
    files: dict[str, list[str | None]] = {name: [str(folder / name)] for name in names[:40]}
    files |= {f"{name} again": [str(copied / Path(name).name)] for name in names[:5]}
    both = as_cases(Path(folder.anchor), files, {})
    found = find(both, tmp_path)
    assert sorted(pairs(found, "near")) == [(name, f"{name} again") for name in names[:5]]
