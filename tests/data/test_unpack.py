"""Unpacking: once, whole or not at all, and never a byte outside the folder."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from milkreport.data.adapters.load import load_cases
from milkreport.data.adapters.spec import SPEC_NAME
from milkreport.data.files import unpack as module
from milkreport.data.files.unpack import is_current, is_of_zip, list_suffixes, unpack
from milkreport.errors import DataError, EnvironmentProblem, MilkreportError

SOUND = {"a/x.jpg": b"image", "a/y.PNG": b"other", "t.csv": b"id\n1\n", "deep/er/n.zip": b"PK"}


def write_zip(path: Path, files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def listed(folder: Path) -> set[str]:
    """Every file and folder below *folder*, hidden ones and links too."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def files_in(folder: Path) -> dict[str, bytes]:
    """The data files that were unpacked."""
    paths = [p for p in folder.rglob("*") if p.is_file() and not p.name.startswith(".")]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def test_a_zip_is_unpacked_beside_itself_once(tmp_path: Path) -> None:
    zip_path = write_zip(tmp_path / "data.v1.zip", SOUND)
    said: list[str] = []
    folder = unpack(zip_path, tmp_path / "cache", said.append)
    assert folder == tmp_path / "data.v1.unpacked"
    assert files_in(folder) == SOUND
    assert is_of_zip(folder)
    made = folder.stat().st_ino
    assert unpack(zip_path, tmp_path / "cache", said.append) == folder
    assert folder.stat().st_ino == made
    assert len(said) == 1
    assert "data.v1.zip" in said[0]
    assert listed(tmp_path) >= {"data.v1.zip", "data.v1.unpacked", ".data.v1.unpacked.lock"}
    assert not [name for name in listed(tmp_path) if "partial" in name or "cache" in name]


def test_a_replaced_zip_is_unpacked_again(tmp_path: Path) -> None:
    zip_path = write_zip(tmp_path / "d.zip", {"a.csv": b"one", "gone.csv": b"x"})
    folder = unpack(zip_path, tmp_path)
    before = zip_path.stat()
    write_zip(zip_path, {"a.csv": b"two", "come.csv": b"x"})
    os.utime(zip_path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert zip_path.stat().st_size == before.st_size  # told by its directory, not by size or date
    assert not is_current(folder, zip_path)
    assert unpack(zip_path, tmp_path) == folder
    assert files_in(folder) == {"a.csv": b"two", "come.csv": b"x"}
    zip_path.unlink()
    assert not is_of_zip(folder)


def test_only_data_is_written(tmp_path: Path) -> None:
    other = {
        "run.sh": b"#!", "a.exe": b"MZ", "p.pkl": b"", "noext": b"", "__MACOSX/a/._x.jpg": b"",
        "a/.hidden.csv": b"", ".git/x.csv": b"", "d.partial/x.csv": b"", "Icon\r": b"", "empty/": b"",
        ".milkreport-unpacked.json": b"{}",
    }  # fmt: skip
    zip_path = write_zip(tmp_path / "d.zip", SOUND | other)
    assert files_in(unpack(zip_path, tmp_path)) == SOUND
    assert list_suffixes(zip_path) == {".jpg", ".png", ".csv", ".zip"}


def change(**values: int) -> Callable[[zipfile.ZipInfo], None]:
    def apply(info: zipfile.ZipInfo) -> None:
        for name, value in values.items():
            setattr(info, name, value)

    return apply


def attack(
    path: Path,
    *names: str,
    edit: Callable[[zipfile.ZipInfo], None] = lambda info: None,
    raw: tuple[bytes, bytes] = (b"", b""),
    method: int = zipfile.ZIP_STORED,
) -> Path:
    """A sound member, then *names*; the last one's entry edited, then the bytes of the file."""
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("sound.csv", b"id\n1\n")
        for name in names:
            archive.writestr(zipfile.ZipInfo(name), b"evil" * 10)
        edit(archive.filelist[-1])
    if raw[0]:
        assert raw[0] in path.read_bytes()
        path.write_bytes(path.read_bytes().replace(*raw))
    return path


OUT = "has a name that leads out of the folder"
ABSOLUTE = "has an absolute name"
CONTROL = "has a control character in its name"
ATTACKS = {
    "parent": (["../evil.csv"], {}, OUT),
    "parent inside": (["a/../../evil.csv"], {}, OUT),
    "parent that comes back": (["a/../evil.csv"], {}, OUT),
    "parent folder": (["../evil/"], {}, OUT),
    "parent of a skipped kind": (["../evil.sh"], {}, OUT),
    "absolute": (["/tmp/evil.csv"], {}, ABSOLUTE),
    "two slashes": (["//host/share/evil.csv"], {}, ABSOLUTE),
    "drive": (["C:/evil.csv"], {}, ABSOLUTE),
    "drive, relative": (["C:evil.csv"], {}, ABSOLUTE),
    "drive inside": (["a/d:/evil.csv"], {}, ABSOLUTE),
    "backslash": (["..\\evil.csv"], {}, "has a backslash in its name"),
    "backslash, absolute": (["\\evil.csv"], {}, "has a backslash in its name"),
    "NUL": (["evilXcsv.csv"], {"raw": (b"evilXcsv", b"evil\0csv")}, CONTROL),
    "no name": (["e.csv"], {"edit": lambda info: setattr(info, "filename", "")}, "has no name"),
    "line break": (["evil\n.csv"], {}, CONTROL),
    "escape": (["\x1b[2Jevil.csv"], {}, CONTROL),
    "long": (["x" * 300 + ".csv"], {}, "has a name that is too long"),
    "long path": (["x/" * 600 + "e.csv"], {}, "has a name that is too long"),
    "link": (["l.csv"], {"edit": change(external_attr=0o120777 << 16)}, "is a link or another"),
    "device": (["l.csv"], {"edit": change(external_attr=0o060777 << 16)}, "is a link or another"),
    "link of a folder": (["l/"], {"edit": change(external_attr=0o120777 << 16)}, "is a link"),
    "twice": (["sound.csv"], {}, "is there twice, the first as 'sound.csv'"),
    "twice but for case": (["SOUND.csv"], {}, "is there twice"),
    "twice but for dots": (["./sound.csv"], {}, "is there twice"),
    "twice, composed": (["\u00e9.csv", "e\u0301.csv"], {}, "is there twice"),
    "file and folder": (["a.csv/x.csv", "a.csv"], {}, "is a file and a folder"),
    "file as folder": (["sound.csv/x.csv"], {}, "is a file and a folder"),
    "encrypted": (["e.csv"], {"edit": change(flag_bits=1)}, "is encrypted"),
    "method": (["e.csv"], {"edit": change(compress_type=9)}, "is packed by method 9"),
    "bomb": (["e.csv"], {"edit": change(file_size=10**12)}, "a zip bomb: 0.0 MB would become"),
    "too small a size": (["e.csv"], {"edit": change(file_size=4)}, "damaged"),
    "too large a size": (["e.csv"], {"edit": change(file_size=400)}, "damaged"),
    "offset": (["e.csv"], {"edit": change(header_offset=3)}, "damaged"),
    "another name inside": (["e.csv"], {"edit": lambda i: setattr(i, "filename", "f.csv")}, "damaged"),
    "checksum": (["e.csv"], {"raw": (b"evilevil", b"evilewil")}, "damaged: Bad CRC-32"),
}  # fmt: skip


@pytest.mark.parametrize("name", ATTACKS)
def test_attacks_are_refused_and_nothing_is_written(name: str, tmp_path: Path) -> None:
    names, how, message = ATTACKS[name]
    home = tmp_path / "home"
    home.mkdir()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Duplicate name", UserWarning)
        zip_path = attack(home / "d.zip", *names, **how)
    with pytest.raises(DataError) as caught:
        unpack(zip_path, tmp_path / "cache")
    text = str(caught.value)
    assert message in text
    assert text.startswith("d.zip")
    assert text.isprintable()
    assert listed(tmp_path) <= {"home", "home/d.zip", "home/.d.unpacked.lock"}


def test_the_attacks_are_attacks_only_by_what_was_done_to_them(tmp_path: Path) -> None:
    """Negative control: the same builder's zip, unchanged, is unpacked."""
    names = ("e.csv", "10:30.jpg", "a/..b/c..csv", "x\u00a0y.png")
    folder = unpack(attack(tmp_path / "d.zip", *names), tmp_path)
    assert set(files_in(folder)) == {"sound.csv", *names} - {"a/..b/c..csv"}


DAMAGED = {
    "empty": lambda raw: b"",
    "text": lambda raw: b"<!DOCTYPE html><html>404</html>",
    "truncated": lambda raw: raw[: len(raw) // 2],
    "last byte": lambda raw: raw[:-1],
    "start cut": lambda raw: raw[40:],
    "name no UTF-8": lambda raw: raw.replace("\u00e9".encode(), b"\xff\xfe"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_zips_are_named(name: str, tmp_path: Path) -> None:
    zip_path = write_zip(tmp_path / "d.zip", SOUND | {"\u00e9.csv": b"id\n1\n"})
    zip_path.write_bytes(DAMAGED[name](zip_path.read_bytes()))
    with pytest.raises(DataError, match=r"^d\.zip: a damaged zip, or an incomplete download"):
        unpack(zip_path, tmp_path)
    assert listed(tmp_path) <= {"d.zip", ".d.unpacked.lock"}


@pytest.mark.slow
def test_any_bytes_of_a_zip_give_a_folder_or_one_line(tmp_path: Path) -> None:
    sound = write_zip(tmp_path / "sound.zip", SOUND).read_bytes()
    home = tmp_path / "home"
    outcomes = set()

    @given(st.lists(st.tuples(st.integers(0, len(sound) - 1), st.integers(0, 255)), max_size=4))
    @settings(
        max_examples=400, deadline=None, database=None, derandomize=True,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    def run(changes: list[tuple[int, int]]) -> None:
        raw = bytearray(sound)
        for position, value in changes:
            raw[position] = value
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir()
        (home / "d.zip").write_bytes(raw)
        try:
            outcome = str(len(files_in(unpack(home / "d.zip", home))))
        except MilkreportError as error:
            outcome = str(error)
        if not outcome.isdigit():
            assert outcome.startswith("d.zip")
            assert outcome.isprintable()
            assert listed(home) <= {"d.zip", ".d.unpacked.lock"}
        outcomes.add(outcome)
        assert listed(tmp_path) - {"home", "sound.zip"} == {f"home/{p}" for p in listed(home)}

    run()
    assert "4" in outcomes
    assert any("damaged" in outcome for outcome in outcomes)


def test_a_folder_that_cannot_be_written_is_left_alone(tmp_path: Path, monkeypatch) -> None:
    zip_path = (
        write_zip(tmp_path / "home" / "d.zip", SOUND) if (tmp_path / "home").mkdir() else None
    )
    zip_path = write_zip(tmp_path / "home" / "d.zip", SOUND)
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    folder = unpack(zip_path, tmp_path / "cache")
    assert folder.parent == tmp_path / "cache" / "unpacked"
    assert files_in(folder) == SOUND
    assert listed(tmp_path / "home") == {"d.zip"}
    assert unpack(zip_path, tmp_path / "cache") == folder
    monkeypatch.undo()
    beside = unpack(zip_path, tmp_path / "cache")
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert unpack(zip_path, tmp_path / "cache") == beside  # what lies there is used


def test_somebody_elses_folder_is_left_alone(tmp_path: Path) -> None:
    home, outside = tmp_path / "home", tmp_path / "outside"
    home.mkdir()
    outside.mkdir()
    zip_path = write_zip(home / "d.zip", SOUND)
    unpack(Path(shutil.copy(zip_path, outside)), tmp_path)
    (home / "d.unpacked").mkdir()
    (home / "d.unpacked" / "mine.csv").touch()
    folder = unpack(zip_path, tmp_path / "cache")
    assert folder.parent == tmp_path / "cache" / "unpacked"
    assert listed(home) == {"d.zip", "d.unpacked", "d.unpacked/mine.csv"}
    shutil.rmtree(home / "d.unpacked")
    (home / "d.unpacked").symlink_to(outside / "d.unpacked")  # a link, even to a folder of ours
    assert unpack(zip_path, tmp_path / "cache") == folder
    with pytest.raises(DataError, match="stands where d.zip should be unpacked"):
        module.unpack_as(home / "d.unpacked", zip_path)


def test_a_full_disk_is_told_before_anything_is_written(tmp_path: Path, monkeypatch) -> None:
    zip_path = write_zip(tmp_path / "d.zip", SOUND)
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=5000))
    with pytest.raises(EnvironmentProblem, match=r"need 0\.0 MB, 0\.0 MB free"):
        unpack(zip_path, tmp_path)
    assert listed(tmp_path) <= {"d.zip", ".d.unpacked.lock"}


def test_a_ratio_that_tables_have_is_no_bomb(tmp_path: Path, monkeypatch) -> None:
    table = b"id,a,b\n" + b"".join(b"%d,0.0,1.0\n" % i for i in range(20_000))
    zip_path = write_zip(tmp_path / "d.zip", {"t.csv": table})
    monkeypatch.setattr(module, "HARMLESS", 1)
    assert files_in(unpack(zip_path, tmp_path)) == {"t.csv": table}
    bomb = write_zip(tmp_path / "bomb.zip", {"t.csv": bytes(3_000_000)})
    with pytest.raises(DataError, match="a zip bomb: 0.0 MB would become 3.0 MB"):
        unpack(bomb, tmp_path)


KILLED = """
import os, signal, sys
from pathlib import Path
from milkreport.data.files import unpack as module
from milkreport.data.adapters.load import load_cases
from milkreport.data.adapters.spec import SPEC_NAME
write, count = module._write, [0]
def kill(*arguments):
    count[0] += 1
    if count[0] == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    write(*arguments)
module._write = kill
module.unpack(Path(sys.argv[1]), Path(sys.argv[2]))
"""


def test_killed_midway_leaves_nothing_that_counts(tmp_path: Path) -> None:
    zip_path = write_zip(tmp_path / "d.zip", SOUND)
    done = subprocess.run([sys.executable, "-c", KILLED, zip_path, tmp_path], timeout=60)
    assert done.returncode == -signal.SIGKILL
    left = [path for path in tmp_path.iterdir() if path.name.endswith(".partial")]
    assert len(left) == 1
    assert len(files_in(left[0])) == 2
    assert not (tmp_path / "d.unpacked").exists()
    assert files_in(unpack(zip_path, tmp_path)) == SOUND
    assert not left[0].exists()


def test_interrupted_midway_leaves_nothing(tmp_path: Path, monkeypatch) -> None:
    zip_path = write_zip(tmp_path / "d.zip", {"a.csv": b"old"})
    folder = unpack(zip_path, tmp_path)
    write_zip(zip_path, SOUND)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "write_text", interrupt)
    with pytest.raises(KeyboardInterrupt):
        unpack(zip_path, tmp_path)
    assert files_in(folder) == {"a.csv": b"old"}  # the old one stands until the new one is whole
    assert not [name for name in listed(tmp_path) if "partial" in name]


TOLD = """
import sys
from pathlib import Path
from milkreport.data.files.unpack import unpack
print(len(list(unpack(Path(sys.argv[1]), Path(sys.argv[2]), print).rglob("*.jpg"))))
"""


def test_processes_at_once_unpack_once(tmp_path: Path) -> None:
    files = {f"{i}/{j}.jpg": bytes(200) for i in range(20) for j in range(20)}
    zip_path = write_zip(tmp_path / "d.zip", files)
    command = [sys.executable, "-c", TOLD, str(zip_path), str(tmp_path)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    said = [process.communicate(timeout=60)[0].splitlines() for process in running]
    assert [lines[-1] for lines in said] == ["400"] * 3
    assert sum(len(lines) - 1 for lines in said) == 1


def test_of_several_descriptions_none_is_chosen_in_silence(tmp_path: Path) -> None:
    """Two data sets in one zip or folder: both are named; one at the top counts."""
    folder = tmp_path / "sets"
    for name in ("one", "two"):
        for kind in ("a", "b"):
            (folder / name / kind).mkdir(parents=True)
            (folder / name / kind / f"{name}.jpg").write_bytes(b"x")
        text = f'adapter = "folder"\nname = "{name}"\n'
        (folder / name / SPEC_NAME).write_text(text, encoding="utf-8")
    packed = Path(shutil.make_archive(str(tmp_path / "sets"), "zip", folder))
    for source, do in (
        (packed, "unpack the zip and name one of them"),
        (folder, "name one of them"),
    ):
        with pytest.raises(DataError) as caught:
            load_cases(source, "auto", tmp_path)
        assert caught.value.what == f"several descriptions: one/{SPEC_NAME} and two/{SPEC_NAME}"
        assert caught.value.do == do
    (folder / SPEC_NAME).write_text('adapter = "folder"\nname = "both"\n', encoding="utf-8")
    packed = Path(shutil.make_archive(str(tmp_path / "top"), "zip", folder))
    assert load_cases(packed, "auto", tmp_path).card.name == "both"
