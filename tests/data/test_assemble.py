"""Tables to cases: what would part a case or a group in silence, or end in another exception."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from milkreport.data.adapters.assemble import Assembler, Mapped, TextTable
from milkreport.data.adapters.spec import TableSpec, ViewSpec
from milkreport.data.files.discovery import Tree
from milkreport.data.files.image_index import ImageIndex
from milkreport.errors import DataProblems
from milkreport.tables import read_table


def assemble(text: str, classes: tuple[str, ...] = (), **settings: Any) -> Mapped:
    spec = TableSpec(file="t.csv", case="id", **settings)
    index = ImageIndex(Tree(Path("/data"), (), ()))
    views = {"image": ViewSpec(column="file")}
    rows = TextTable(read_table(text.encode(), "t.csv"), "t.csv")
    return Assembler(spec, views, [], classes, index).assemble(rows, None)


def test_a_one_hot_column_that_is_no_class_is_named() -> None:
    text = "id,file,A,B,C\na,a.jpg,1,0,0\nb,b.jpg,0,0,1\n"
    with pytest.raises(DataProblems) as caught:
        assemble(text, ("A", "B"), one_hot=["A", "B", "C"])
    (problem,) = caught.value.problems
    assert (problem.kind, problem.where) == ("unknown class", "t.csv:3:C")
    assert "'C'" in problem.what
    assert "A, B" in problem.do
    # Where it is never 1, nothing is wrong.
    text = text.replace("0,0,1", "0,1,0")
    assert assemble(text, ("A", "B"), one_hot=["A", "B", "C"]).classes == ("A", "B")


@pytest.mark.parametrize(("rows", "column"), [("case", "patient"), ("image", "id")])
def test_ids_that_differ_in_blanks_alone_are_refused(rows: str, column: str) -> None:
    text = "id,file,patient,dx\na,a.jpg,P1,x\nb,b.jpg,P2,y\nc,c.jpg,P1,x\n"
    assert len(assemble(text, rows=rows, group="patient", label="dx").table) == 3
    text = (
        text.replace("c.jpg,P1", "c.jpg,P1 ") if column == "patient" else text + "a ,d.jpg,P1,x\n"
    )
    with pytest.raises(DataProblems) as caught:
        assemble(text, rows=rows, group="patient", label="dx")
    (problem,) = caught.value.problems
    line = 4 if column == "patient" else 5
    assert (problem.kind, problem.where) == ("bad id", f"t.csv:{line}:{column}")
    assert "row 2" in problem.what
