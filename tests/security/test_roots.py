"""A folder's own milkreport.toml reads nothing outside its folder, unless the user names what it may read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest


def describe(folder: Path, table: str, view: str, root: str = ".") -> Path:
    text = (
        f'adapter = "table"\nname = "x"\nroot = "{root}"\n[table]\n{table}\n[views.image]\n{view}\n'
    )
    (folder / "milkreport.toml").write_text(text)
    return folder / "milkreport.toml"


SECRET = "nobody_may_read_this"


@pytest.fixture
def victim(tmp_path: Path, small: Path) -> Path:
    """A folder that the user did not name, with a table whose class is a secret."""
    folder = tmp_path / "victim"
    (folder / "images").mkdir(parents=True)
    rows = ["id,image,label"]
    for i, image in enumerate(sorted(small.rglob("*.jpg"))[:40]):
        (folder / "images" / f"i{i}.jpg").write_bytes(image.read_bytes())
        rows.append(f"case{i},i{i}.jpg,{SECRET if i % 2 else 'other'}")
    (folder / "table.csv").write_text("\n".join(rows) + "\n")
    return folder


TABLE = 'file = "table.csv"\ncase = "id"\nlabel = "label"'
VIEW = 'column = "image"'


def by_absolute_root(evil: Path, victim: Path) -> Path:
    describe(evil, TABLE, VIEW, root=victim.as_posix())
    return evil


def by_dots(evil: Path, victim: Path) -> Path:
    describe(evil, TABLE, VIEW, root="../victim")
    return evil


def by_a_typed_file(evil: Path, victim: Path) -> Path:
    return describe(evil, TABLE, VIEW, root="../victim")


def by_a_linked_root(evil: Path, victim: Path) -> Path:
    (evil / "here").symlink_to(victim)
    describe(evil, TABLE, VIEW, root="here")
    return evil


def by_a_linked_description(evil: Path, victim: Path) -> Path:
    describe(victim, TABLE, VIEW)
    (evil / "milkreport.toml").symlink_to(victim / "milkreport.toml")
    return evil


def by_a_description_in_a_linked_folder(evil: Path, victim: Path) -> Path:
    describe(victim, TABLE, VIEW)
    (evil / "here").symlink_to(victim)
    return evil


WAYS = [
    by_absolute_root, by_dots, by_a_typed_file, by_a_linked_root, by_a_linked_description,
    by_a_description_in_a_linked_folder,
]  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_a_description_reads_nothing_outside_its_folder(
    in_process, tmp_path: Path, victim: Path, way: Callable[[Path, Path], Path]
) -> None:
    (tmp_path / "evil").mkdir()
    named = way(tmp_path / "evil", victim)
    done = in_process("data", "check", named, "--json", "--html", "page.html")
    assert done.code == 3
    assert SECRET not in done.stdout + done.stderr
    assert not (tmp_path / "page.html").exists()
    assert f"--allow-root {victim}" in done.stderr
    done = in_process("data", "check", named, "--json", "--allow-root", victim)
    assert done.code == 0, done.stderr
    assert SECRET in done.stdout
    # The permission is for one command.
    assert in_process("data", "check", named).code == 3


@pytest.mark.parametrize("key", ["file", "truth"])
@pytest.mark.parametrize("linked", [False, True])
def test_a_table_outside_the_folder_is_not_read(
    in_process, tmp_path: Path, victim: Path, key: str, linked: bool
) -> None:
    evil = tmp_path / "evil"
    (evil / "images").mkdir(parents=True)
    (evil / "own.csv").write_text("id,image\ncase1,i1.jpg\n")
    outside = "../victim/table.csv"
    if linked:
        (evil / "link.csv").symlink_to(victim / "table.csv")
        outside = "link.csv"
    own = f'truth = "{outside}"\nfile = "own.csv"' if key == "truth" else f'file = "{outside}"'
    describe(evil, f'{own}\ncase = "id"\nlabel = "label"', VIEW)
    done = in_process("data", "check", evil, "--json")
    assert done.code == 3
    assert SECRET not in done.stdout + done.stderr
    said = json.loads(done.stdout)["errors"] if done.stdout else [{"what": done.stderr, "do": ""}]
    assert any(f"table.{key} = " in one["what"] for one in said)


@pytest.mark.parametrize(
    "cell", ["../victim/images/i1.jpg", "/etc/passwd", "..\\victim\\images\\i1.jpg", "here/i1.jpg"]
)
@pytest.mark.parametrize("in_pattern", [False, True])
def test_an_image_outside_the_folder_is_not_read(
    in_process, tmp_path: Path, victim: Path, cell: str, in_pattern: bool
) -> None:
    evil = tmp_path / "evil"
    evil.mkdir()
    (evil / "here").symlink_to(victim / "images")
    pattern = json.dumps(cell.replace("i1.jpg", "{}").replace("passwd", "{}"))
    name = "passwd" if "passwd" in cell else "i1.jpg"
    written = name if in_pattern else json.dumps(cell).strip('"').replace("\\\\", "\\")
    (evil / "own.csv").write_text(f"id,image,label\ncase1,{written},a\ncase2,{written}x,b\n")
    view = f"{VIEW}\npath = {pattern}" if in_pattern else VIEW
    describe(evil, 'file = "own.csv"\ncase = "id"\nlabel = "label"', view)
    done = in_process("data", "check", evil)
    assert done.code == 3
    kinds = {row["kind"] for row in done.errors()}
    assert kinds & {"bad image name", "image outside"}
    assert kinds <= {"bad image name", "image outside", "image missing", "nothing usable"}


def test_every_command_that_reads_data_can_be_allowed_more() -> None:
    import typer

    from milkreport.cli.app import app

    def commands(group, path=()):
        for name, command in getattr(group, "commands", {}).items():
            yield (*path, name), command
            yield from commands(command, (*path, name))

    readers = {
        path
        for path, command in commands(typer.main.get_command(app))
        if any(
            "--data" in p.opts or "milkreport.toml" in (getattr(p, "help", "") or "")
            for p in command.params
        )
    }
    allowed = {
        path
        for path, command in commands(typer.main.get_command(app))
        if any("--allow-root" in p.opts for p in command.params)
    }
    assert {("run-all",), ("predict",), ("data", "check")} <= allowed
    # "list" has a --data of its own, a name; "init" writes the file and reads none.
    assert readers - {("list",), ("data", "init")} == allowed


def test_a_folder_to_allow_must_be_there(in_process, small: Path) -> None:
    done = in_process("data", "check", small, "--allow-root", "nowhere")
    assert done.code == 2
    assert "--allow-root nowhere: no such folder" in done.stderr


def test_init_says_when_its_file_needs_a_permission(
    in_process, tmp_path: Path, victim: Path
) -> None:
    done = in_process("data", "init", "victim", "--out", "elsewhere.toml")
    assert done.code == 0
    assert "--allow-root" not in done.stdout + done.stderr
    (tmp_path / "sub").mkdir()
    done = in_process("data", "init", "victim", "--out", "sub/other.toml")
    assert done.code == 0, done.stderr
    assert "milkreport data check sub/other.toml --allow-root victim" in done.stderr
    assert in_process("data", "check", "sub/other.toml").code == 3
    assert in_process("data", "check", "sub/other.toml", "--allow-root", "victim").code == 0
