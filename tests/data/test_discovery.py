"""What lies in a folder, and which image a cell means, in every layout."""

from __future__ import annotations

import errno
import io
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from milkreport.data.files.discovery import Tree, load_any_header, survey
from milkreport.data.files.image_index import ImageIndex
from milkreport.errors import DataError, EnvironmentProblem
from tests.growth import growth

TABLE = b"lesion_id,isic_id\nIL_1,ISIC_1\n"
IMAGES = {f"IL_{n // 2}/ISIC_{n}.jpg": f"image {n}".encode() for n in range(14)}
FLAT = {name.split("/")[1]: data for name, data in IMAGES.items()}


def below(folder: str, files: dict[str, bytes]) -> dict[str, bytes]:
    return {f"{folder}/{name}": data for name, data in files.items()}


def zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def make(root: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return root


def names(tree: Tree, paths: tuple[Path, ...]) -> list[str]:
    return [path.relative_to(tree.root).as_posix() for path in paths]


TABLES = {"meta.csv": TABLE}
#: Name to files, how the layout is described, the notes.
LAYOUTS: dict[str, tuple[dict[str, bytes], str, list[str]]] = {
    "case folders": (TABLES | below("Input", IMAGES), "14 images in Input/*/", []),
    "nested twice": (TABLES | below("Input/Input", IMAGES), "14 images in Input/Input/*/", []),
    "flat": (TABLES | below("images", FLAT), "14 images in images/", []),
    "at the top": (TABLES | FLAT, "14 images", []),
    "tables apart": (below("csv", TABLES) | below("img", FLAT), "14 images in img/", []),
    "case folders at the top": (TABLES | IMAGES, "14 images in */", []),
    "two parts": (
        TABLES | below("a", dict([*FLAT.items()][:5])) | below("b", dict([*FLAT.items()][5:])),
        "14 images in 2 folders: a/, b/",
        [],
    ),
    "uneven": (
        TABLES | below("x", dict([*IMAGES.items()][:6])) | below("x/y/z", dict([*IMAGES.items()][6:])),
        "14 images in x/**/",
        [],
    ),
    "images zipped": (
        TABLES | {"Input.zip": zipped(below("Input", IMAGES))},
        "14 images in Input.unpacked/Input/*/",
        ["images unpacked from Input.zip"],
    ),
    "tables zipped": (
        {"tables.zip": zipped(TABLES)} | below("images", FLAT),
        "14 images in images/",
        ["tables unpacked from tables.zip"],
    ),
    "all zipped": (
        {"a.zip": zipped(TABLES), "b.zip": zipped(FLAT)},
        "14 images in b.unpacked/",
        ["tables unpacked from a.zip", "images unpacked from b.zip"],
    ),
    "zip in zip": (
        {"all.zip": zipped(TABLES | {"images.zip": zipped(FLAT)})},
        "14 images in all.unpacked/images.unpacked/",
        ["tables unpacked from all.zip", "images unpacked from all.unpacked/images.zip"],
    ),
    "zip in a wrapping zip": (
        TABLES | {"all.zip": zipped({"images.zip": zipped(FLAT)})},
        "14 images in all.unpacked/images.unpacked/",
        ["zips unpacked from all.zip", "images unpacked from all.unpacked/images.zip"],
    ),
    "zip that is not needed": (
        TABLES | below("images", FLAT) | {"more.zip": b"not even a zip"},
        "14 images in images/",
        ["more.zip is left packed"],
    ),
    "clutter": (
        TABLES | below("images", FLAT)
        | {"__MACOSX/images/._ISIC_1.jpg": b"", "images/._ISIC_1.jpg": b"", "images/Thumbs.db": b"",
           ".cache/ISIC_1.jpg": b"", ".x.partial/ISIC_1.jpg": b"", "x.partial/ISIC_1.jpg": b"",
           ".hidden.csv": b"", "readme.txt": b"", ".DS_Store": b""},
        "14 images in images/",
        [],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_gives_tables_and_images(name: str, tmp_path: Path) -> None:
    files, layout, notes = LAYOUTS[name]
    root = make(tmp_path / "data", files)
    for _ in range(2):  # what the first time unpacked changes nothing
        tree = survey(root, tmp_path / "cache")
        assert tree.root == root.resolve()
        assert [path.read_bytes() for path in tree.tables] == [TABLE]
        assert len(tree.images) == 14
        assert names(tree, tree.images) == sorted(names(tree, tree.images))
        assert list(tree.notes) == notes
        assert tree.links == ()
        index = ImageIndex(tree)
        found = []
        for n in range(14):
            for cell in (
                f"ISIC_{n}",
                f"ISIC_{n}.jpg",
                f"ISIC_{n}.JPG",
                f"IL_{n // 2}\\ISIC_{n}.jpg",
            ):
                path = index.find(cell, f"IL_{n // 2}")
                assert path is not None
                assert path.read_bytes() == f"image {n}".encode()
            found.append(path)
        assert index.layout(found) == layout
        assert index.layout([*found, root / "missing.jpg"]) == layout
        assert index.unused(found) == ()
        assert index.unused(found[1:]) == (found[0],)
        assert index.find("ISIC_99") is None
    assert not (tmp_path / "cache").exists()


def test_a_zip_is_a_source(tmp_path: Path) -> None:
    (tmp_path / "MILK.ZIP").write_bytes(zipped(below("MILK", TABLES | below("Input", IMAGES))))
    said: list[str] = []
    tree = survey(tmp_path / "MILK.ZIP", tmp_path / "cache", said.append)
    assert tree.root == (tmp_path / "MILK.unpacked").resolve()
    assert names(tree, tree.tables) == ["MILK/meta.csv"]
    assert len(tree.images) == 14
    assert tree.notes == ("images and tables unpacked from MILK.ZIP",)
    assert len(said) == 1
    survey(tmp_path / "MILK.ZIP", tmp_path / "cache", said.append)
    assert len(said) == 1


def test_zips_are_opened_one_level_deep_and_no_deeper(tmp_path: Path) -> None:
    inner = zipped(TABLES | {"more.zip": zipped(FLAT)})
    (tmp_path / "all.zip").write_bytes(zipped({"inner.zip": inner}))
    tree = survey(tmp_path / "all.zip", tmp_path / "cache")
    assert names(tree, tree.tables) == ["inner.unpacked/meta.csv"]
    assert tree.images == ()
    assert tree.notes == (
        "zips unpacked from all.zip",
        "tables unpacked from inner.zip",
        "inner.unpacked/more.zip is left packed",
    )


def test_the_bundle_of_an_archive_keeps_its_names(tmp_path: Path) -> None:
    files = {
        "metadata.csv": b"isic_id,diagnosis_1\n",
        "supplements/training_gt.csv": b"lesion_id,MEL\n",
        "supplements/training_input.csv": TABLE,
        "attribution.txt": b"",
    }
    tree = survey(make(tmp_path, files | below("images", FLAT)), tmp_path / "cache")
    assert names(tree, tree.tables) == [
        "metadata.csv", "supplements/training_gt.csv", "supplements/training_input.csv",
    ]  # fmt: skip
    assert [load_any_header(path)[1] for path in tree.tables] == ["diagnosis_1", "MEL", "isic_id"]


def test_a_zip_beside_what_it_holds_stays_packed(tmp_path: Path) -> None:
    """Also where it was unpacked by us before the images came: they must not be there twice."""
    root = make(tmp_path / "data", TABLES | {"Input.zip": zipped(FLAT)})
    assert survey(root, tmp_path).notes == ("images unpacked from Input.zip",)
    make(root, below("Input", FLAT))
    tree = survey(root, tmp_path)
    assert {path.parent.name for path in tree.images} == {"Input"}
    assert tree.notes == ("Input.zip is left packed",)
    (root / "Input.zip").unlink()
    assert len(survey(root, tmp_path).images) == 28


def test_wrong_sources_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError) as caught:
        survey(Path("nowhere"), tmp_path)
    assert str(caught.value) == (
        f"nowhere: no such folder — looked from {tmp_path.name}/; check the path"
    )
    make(
        tmp_path,
        {"t.csv": TABLE, "d.zip": b"<html>", "data/i.zip": b"PK\3\4cut", "data/t.csv": b""},
    )
    with pytest.raises(DataError, match=r"t\.csv: neither a folder nor a zip"):
        survey(Path("t.csv"), tmp_path)
    with pytest.raises(DataError, match=r"d\.zip: a damaged zip, or an incomplete download"):
        survey(Path("d.zip"), tmp_path)
    with pytest.raises(DataError, match=r"i\.zip: a damaged zip, or an incomplete download"):
        survey(Path("data"), tmp_path)
    for name in ("a\0b", "x" * 5000, "t.csv/inside"):
        with pytest.raises(DataError, match="no such folder"):
            survey(Path(name), tmp_path)


def test_an_unreadable_folder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, TABLES | below("images", FLAT))
    scan = os.scandir

    def refuse(path: str):
        if str(path).endswith("images"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(DataError, match="images: cannot be read: permission denied"):
        survey(tmp_path, tmp_path)


def test_a_folder_that_cannot_be_written_is_copied_without_its_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = {"SYNTHETIC.json": b"{}"}
    root = make(tmp_path / "data", TABLES | mark | {"sub/Input.zip": zipped(IMAGES)})
    monkeypatch.setattr(os, "access", lambda path, mode: not str(path).startswith(str(root)))
    for _ in range(2):
        tree = survey(root, tmp_path / "cache")
        assert tree.root.parent == tmp_path / "cache" / "unpacked"
        assert names(tree, tree.tables) == ["meta.csv"]
        assert (tree.root / "SYNTHETIC.json").is_file()
        assert len(tree.images) == 14
        assert all(path.is_relative_to(tree.root) for path in tree.images)
        assert "the folder cannot be written" in tree.notes[0]
    assert sorted(p.name for p in root.rglob("*")) == [
        "Input.zip", "SYNTHETIC.json", "meta.csv", "sub",
    ]  # fmt: skip
    make(root, {"a.jpg": b"", "tables.zip": zipped(TABLES)})
    (root / "meta.csv").unlink()
    with pytest.raises(EnvironmentProblem, match="tables are in a zip"):
        survey(root, tmp_path / "cache")


def test_links_out_of_the_folder_are_named_and_not_followed(tmp_path: Path) -> None:
    outside = make(tmp_path / "outside", {"a.jpg": b"secret", "t.csv": TABLE})
    root = make(tmp_path / "data", TABLES | below("images", FLAT))
    (root / "images" / "a.jpg").symlink_to(outside / "a.jpg")
    (root / "images" / "ISIC_0.jpg").unlink()
    (root / "images" / "ISIC_0.jpg").symlink_to("../../outside/a.jpg")
    (root / "more").symlink_to(outside)
    (root / "up").symlink_to("..")
    (root / "gone.jpg").symlink_to("nowhere")
    tree = survey(root, tmp_path / "cache")
    assert names(tree, tree.links) == ["images/ISIC_0.jpg", "images/a.jpg", "more", "up"]
    assert len(tree.images) == 13
    assert names(tree, tree.tables) == ["meta.csv"]
    index = ImageIndex(tree)
    for cell in ("a.jpg", "a", "images/a.jpg", "more/a.jpg", "ISIC_0", "up/outside/a.jpg"):
        assert index.find(cell) is None


def test_links_inside_the_folder_are_followed_once(tmp_path: Path) -> None:
    root = make(tmp_path / "data", TABLES | below(".store/v1", FLAT) | {"here/x.jpg": b"x"})
    (root / "images").symlink_to(".store/v1")
    (root / "again").symlink_to("here")
    (root / "loop").symlink_to(".")
    (root / "here" / "up").symlink_to("..")
    (root / "self").symlink_to("self")
    (root / "y.jpg").symlink_to("here/x.jpg")
    tree = survey(root, tmp_path / "cache")
    assert tree.links == ()
    assert names(tree, tree.images) == sorted([*below("images", FLAT), "here/x.jpg", "y.jpg"])
    found = ImageIndex(tree).find("ISIC_3")
    assert found == root / "images" / "ISIC_3.jpg"


def index_of(tmp_path: Path, files: dict[str, bytes]) -> Callable[..., str | None]:
    index = ImageIndex(survey(make(tmp_path, files), tmp_path / "cache"))

    def find(cell: str, near: str = "") -> str | None:
        path = index.find(cell, near)
        return path.relative_to(index.root).as_posix() if path else None

    return find


def test_a_path_counts_before_a_name_and_a_name_before_a_stem(tmp_path: Path) -> None:
    find = index_of(
        tmp_path,
        {"x.jpg": b"1", "a/x.jpg": b"2", "a/x.png": b"3", "b/a/x.jpg": b"4", "c.v2.jpg": b"5"},
    )
    assert find("x.jpg") == "x.jpg"
    assert find("a/x.jpg") == "a/x.jpg"
    assert find("./a//x.png") == "a/x.png"
    assert find("b/a/x") == "b/a/x.jpg"
    assert find("old/b/a/x.jpg") == "b/a/x.jpg"
    assert find("c.v2") == "c.v2.jpg"
    assert find("c.v2.tif") == "c.v2.jpg"
    assert find("c") is None
    assert find("") is None
    assert find(".") is None


def test_a_folder_that_the_tree_knows_is_not_ignored(tmp_path: Path) -> None:
    """melanoma/1.jpg is lost: nevus/1.jpg must not be taken for it."""
    find = index_of(tmp_path, {"nevus/1.jpg": b"1", "melanoma/2.jpg": b"2"})
    assert find("nevus/1.jpg") == "nevus/1.jpg"
    assert find("melanoma/1.jpg") is None
    assert find("melanoma/1") is None
    assert find("train_images/1.jpg") == "nevus/1.jpg"
    assert find("train_images/melanoma/1.jpg") is None


def test_the_folder_named_near_decides(tmp_path: Path) -> None:
    files = {"IL_1/left.jpg": b"1", "IL_2/left.jpg": b"2", "p/IL_3/left.png": b"3"}
    find = index_of(tmp_path, files)
    assert find("left.jpg", "IL_2") == "IL_2/left.jpg"
    assert find("left.jpg", "IL_1") == "IL_1/left.jpg"
    assert find("left", "IL_3") == "p/IL_3/left.png"
    assert find("left.png", "IL_1") == "p/IL_3/left.png"  # one of that name: nothing to decide
    with pytest.raises(DataError) as caught:
        find("left.jpg", "IL_9")
    assert "IL_1/left.jpg and IL_2/left.jpg, which differ" in str(caught.value)
    assert caught.value.where == ""


def test_copies_are_one_image_and_differing_ones_an_error(tmp_path: Path) -> None:
    find = index_of(
        tmp_path,
        {"b/same.jpg": b"1", "a/same.jpg": b"1", "c/same.jpeg": b"1", "a/x.jpg": b"1", "b/x.jpg": b"2",
         "c/y.jpg": b"1", "d/y.png": b"2", "m/IL/z.jpg": b"1", "n/IL/z.jpg": b"2"},
    )  # fmt: skip
    assert find("same") == "a/same.jpg"
    assert find("same.jpg") == "a/same.jpg"
    assert find("same.jpg", "b") == "b/same.jpg"
    for cell, near, both in (
        ("x.jpg", "", "a/x.jpg and b/x.jpg"),
        ("y", "", "c/y.jpg and d/y.png"),
        ("z", "IL", "m/IL/z.jpg and n/IL/z.jpg"),
    ):
        with pytest.raises(DataError, match=f"'{cell}' may be {both}, which differ"):
            find(cell, near)
    assert find("y.png") == "d/y.png"
    (tmp_path / "b" / "same.jpg").unlink()
    with pytest.raises(DataError, match="same.jpg: cannot be read: no such file"):
        find("same.jpg")


@pytest.mark.parametrize(
    "cell",
    ["../x.jpg", "a/../x.jpg", "..", "..\\x.jpg", "/etc/passwd", "\\\\host\\x.jpg", "C:\\x.jpg", "c:x",
     "a\0b", "x.jpg\n", "\x1b[2Jx", "a\x85b", "x" * 1001],
)  # fmt: skip
def test_cells_that_are_no_file_names_are_refused(cell: str, tmp_path: Path) -> None:
    find = index_of(tmp_path, {"x.jpg": b"1"})
    with pytest.raises(DataError, match="is no file name") as caught:
        find(cell)
    assert len(str(caught.value)) < 200
    assert find("x.jpg") == "x.jpg"
    assert find("..x") is None


def test_accents_are_found_however_a_system_writes_them(tmp_path: Path) -> None:
    find = index_of(tmp_path, {"Bilder/lésion é.jpg": b"1", "e\u0301t\u0301/b.jpg": b"2"})
    assert find("lésion é") is not None
    assert find("le\u0301sion e\u0301.jpg") is not None
    assert find("\u00e9t\u0301/b.jpg", "") is not None


def test_odd_names_make_a_line_that_can_be_printed(tmp_path: Path) -> None:
    folder = os.fsdecode(b"b\xff\nc")
    try:
        root = make(tmp_path / "data", TABLES | {f"{folder}/x.jpg": b"", f"{folder}/d.zip": b""})
    except OSError:
        pytest.skip("this file system takes no such name")
    tree = survey(root, tmp_path)
    index = ImageIndex(tree)
    for line in (*tree.notes, index.layout(tree.images)):
        assert line.isprintable()
    assert tree.notes == ("b��c/d.zip is left packed",)


HEADERS = {
    b"a,b\n1,2\n": ["a", "b"],
    b"\xef\xbb\xbf\n a , \"b\nc\"": ["a", '"b'],
    'id,"b\nc\x85d"\nx,y'.encode(): ["id", "b\nc\x85d"],
    b'a;"b, c"\r\n': ["a", "b, c"],
    b"a\tb\r": ["a", "b"],
    "a,b\n".encode("utf-16"): ["a", "b"],
    "é,b\n".encode("latin-1"): ["�", "b"],
    b"": [],
    b"\n\n": [],
    b"x" * 200_000: ["x" * 65_536],
}  # fmt: skip


@pytest.mark.parametrize("raw", HEADERS, ids=range(len(HEADERS)))
def test_headers_are_read_whatever_the_dialect(raw: bytes, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(raw)
    assert load_any_header(tmp_path / "t.csv") == HEADERS[raw]


def test_a_header_that_cannot_be_read_is_empty(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere.csv", Path("a\0b")):
        assert load_any_header(path) == []


@pytest.mark.slow
def test_the_time_for_many_files_grows_with_their_number(tmp_path: Path) -> None:
    few, many = tmp_path / "few", tmp_path / "many"
    for root, folders in ((few, 2), (many, 20)):
        for part in range(folders):
            (root / f"p{part:02}").mkdir(parents=True)
            for n in range(300):
                (root / f"p{part:02}" / f"i{part:02}{n:03}.jpg").touch()

    def find_all(root: Path) -> int:
        tree = survey(root, root)
        index = ImageIndex(tree)
        assert all(index.find(path.stem) for path in tree.images)
        return len(tree.images)

    assert find_all(many) == 6_000
    assert growth(lambda: find_all(few), lambda: find_all(many)) < 30  # 10; 100 for all by all


@pytest.mark.slow
def test_the_time_for_equal_names_in_many_folders_grows_with_their_number(tmp_path: Path) -> None:
    """A folder a case, the same names in each."""

    def find_all(count: int) -> None:
        images = tuple(tmp_path / f"case{n:04}" / "image.jpg" for n in range(count))
        index = ImageIndex(Tree(tmp_path, (), images))
        assert [index.find(f"case{n:04}/image.jpg") for n in range(count)] == list(images)

    assert growth(lambda: find_all(400), lambda: find_all(4000)) < 30  # 10; 100 for all by all
