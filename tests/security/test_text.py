"""Names from files forge no output: a test for each place where they are printed or written."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as xml

import pandas as pd
import pytest

from milkreport.checks.formats import as_annotations, as_junit, as_markdown
from milkreport.checks.verdict import CheckRow, Status, Verdict
from milkreport.errors import printable
from milkreport.markdown import plain
from milkreport.reporting.blocks import Cell, Column, Row, Table, table
from milkreport.reporting.export import as_latex
from milkreport.reporting.export import as_markdown as table_as_markdown
from tests.conftest import Outcome

#: What a terminal, a CI log or a reader's eye would obey.
ODD = (
    "\x1b[31m",
    "\x07",
    "\x9b",
    "\u202e",
    "\u2066",
    "\u200b",
    "\u061c",
    "\ufeff",
    "\U000e0041",
    "\x85",
    "\u2028",
)
COMMAND = "a\n::error::forged\r\n::set-output name=x::y"
NASTY = "mel" + "".join(ODD) + COMMAND


def refuse_odd(text: str) -> None:
    """Nothing odd is in *text*, and no line of it starts a command."""
    assert not [mark for mark in ODD if mark in text]
    assert not [line for line in text.splitlines() if line.lstrip().startswith(("::", "##["))]


def test_printable_is_one_line_and_leaves_plain_text_alone() -> None:
    assert printable("Ünïcode — 日本 ✓ 5 µm") == "Ünïcode — 日本 ✓ 5 µm"
    assert printable("a\r\nb\tc") == "a  b c"
    assert printable("\ud800x") == "\ufffdx"
    refuse_odd(printable(NASTY))


@pytest.fixture
def forged(tmp_path: Path) -> tuple[Path, Path]:
    """Predictions and truth of classes whose names forge commands."""
    names = [NASTY, "[link=file:///etc/passwd]b[/link]"]
    rows = [(f"c{i}", i % 2) for i in range(40)]
    frame = pd.DataFrame({"case_id": [case for case, _ in rows]})
    for k, name in enumerate(names):
        frame[name] = [0.8 if k == label else 0.2 for _, label in rows]
    frame.to_csv(tmp_path / "p.csv", index=False)
    labels = {"case_id": frame["case_id"], "label": [names[label] for _, label in rows]}
    pd.DataFrame(labels).to_csv(tmp_path / "t.csv", index=False)
    return tmp_path / "p.csv", tmp_path / "t.csv"


def test_the_console_obeys_no_name(
    in_process: Callable[..., Outcome], forged: tuple[Path, Path]
) -> None:
    done = in_process("evaluate", forged[0], "--truth", forged[1])
    assert done.code == 0, done.stderr
    assert "mel" in done.stderr
    assert "[link=" in done.stderr  # shown, not followed
    refuse_odd(done.stderr)


def test_json_stays_exact(in_process: Callable[..., Outcome], forged: tuple[Path, Path]) -> None:
    done = in_process("evaluate", forged[0], "--truth", forged[1], "--json")
    assert any("::error::" in name for name in json.loads(done.stdout)["classes"])
    refuse_odd(done.stderr)


def verdict(name: str) -> Verdict:
    row = CheckRow(
        arm=name,
        part="test",
        metric="recall",
        class_name=name,
        printed=name,
        reference=0.5,
        ours=0.4,
        difference=-0.1,
        margin=0.03,
        low=-0.2,
        high=-0.05,
        status=Status.FAIL,
        reason=name,
    )
    return Verdict(
        reference=name,
        title=name,
        source=name,
        kind="published figures",
        status=Status.FAIL,
        arms={name: name},
        rows=[row],
        warnings=[name],
        remarks=[name],
    )


def test_github_gets_only_our_own_commands() -> None:
    lines = list(as_annotations(verdict(NASTY)))
    assert [line.split(" ")[0] for line in lines] == ["::error", "::warning"]
    for line in lines:
        assert len(line.splitlines()) == 1
        refuse_odd(line.removeprefix("::"))
        title = line.split(" title=")[1].split("::")[0]
        assert ":" not in title
        assert "," not in title


def test_a_summary_on_stdout_is_no_command() -> None:
    """It is printed where GitHub reads commands, and its title stands at the start of a line."""
    refuse_odd(as_markdown(verdict(NASTY)))
    refuse_odd(as_markdown(verdict("::error::x")))


def test_markdown_opens_nothing() -> None:
    assert plain("a|b *c* <img src=x> ![p](u) @all `d` &lt;") == (
        r"a\|b \*c\* \<img src=x\> !\[p\](u) \@all \`d\` \&lt;"
    )


def test_junit_is_xml_whatever_a_name_holds() -> None:
    text = as_junit(verdict(NASTY + "\x00\x01\ufffe\ud800]]>"))
    refuse_odd(text)
    case = xml.fromstring(text.encode()).find(".//testcase")
    assert case is not None
    assert "mel" in case.get("name", "")


def a_table(name: str) -> Table:
    made = table("t", name, (Column(name, text=True), Column("n")), [Row((Cell(name), Cell("1")))])
    assert made is not None
    return made


def test_latex_runs_no_command() -> None:
    text = as_latex(a_table("\\input{/etc/passwd}\\write18{id}%$#_^~&" + NASTY))
    refuse_odd(text)
    assert "\\input" not in text
    assert "\\write" not in text
    assert r"\textbackslash{}input\{/etc/passwd\}" in text
    assert "\\%\\$\\#\\_" in text


def test_exported_markdown_has_the_tables_lines_alone() -> None:
    text = table_as_markdown(a_table("x | y\n\n# head " + NASTY))
    refuse_odd(text)
    assert [line[:1] for line in text.splitlines() if line] == ["*", "|", "|", "|"]


def test_errors_and_stops_are_one_line(
    in_process: Callable[..., Outcome], forged: tuple[Path, Path], tmp_path: Path
) -> None:
    odd = tmp_path / ("gone" + COMMAND.replace("/", "") + "\x1b[31m")
    done = in_process("evaluate", odd, "--truth", forged[1])
    assert done.code in (2, 3)
    refuse_odd(done.stderr)
    assert len(done.stderr.strip().splitlines()) == 1


def test_listed_names_are_plain(in_process: Callable[..., Outcome], tmp_path: Path) -> None:
    """Folder names reach `list`."""
    folder = tmp_path / "runs" / "x\x1b[31m\n::error::forged"
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text("{}")
    (folder / "suite.toml").write_text("")
    done = in_process("list", tmp_path / "runs")
    refuse_odd(done.stderr + done.stdout)
