"""Tables: every bad one gets one line that names file, row and column, and all of it at once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from milkreport.columns import one_hot_labels, read_numbers, refuse_duplicates
from milkreport.errors import DataError, DataProblems
from milkreport.tables import guard, load_table, read_table, separator, unguard
from tests.growth import growth

LONG = b"x" * 131_073
BAD = {
    "empty": (b"", "t.csv: the file is empty"),
    "mark alone": (b"\xef\xbb\xbf", "the file is empty"),
    "blank lines": (b"\n\r\n \n\t\n", "the file is empty"),
    "header only": (b"lesion_id,age\n", "no data rows"),
    "utf-16": ("lesion_id,age\na,1\n".encode("utf-16"), "UTF-16"),
    "utf-16 without a mark": ("lesion_id,age\na,1\n".encode("utf-16-le"), "t.csv:1: a NUL"),
    "latin-1": ("lesion_id,age\na,1\né,2\n".encode("latin-1"), "t.csv:3: not UTF-8 at byte 18"),
    "latin-1, CR": ("lesion_id,age\ra,1\ré,2\r".encode("latin-1"), "t.csv:3: not UTF-8 at byte 18"),
    "latin-1 after a mark": (b"\xef\xbb\xbflesion_id,age\na\xe9,1\n", "t.csv:2: not UTF-8 at byte 18"),
    "semicolons": (b"lesion_id;age\na;1\n", "looks semicolon separated"),
    "semicolons, decimal commas": (b"lesion_id;age\na;1,5\n", "looks semicolon separated"),
    "semicolons, all quoted": (b'"lesion_id";"age"\n"a";"1"\n', "looks semicolon separated"),
    "semicolons, quoted comma": (b'lesion_id;"age, years";x\na;1;2\n', "looks semicolon separated"),
    "semicolons, a comma": (b"lesion_id;age, years;x\na;1;2\n", "looks semicolon separated"),
    "tabs": (b"lesion_id\tage\na\t1\n", "looks tab separated"),
    "tabs, quoted comma": (b'lesion_id\t"age, years"\na\t1\n', "looks tab separated"),
    "ragged": (b"lesion_id,age\na,1\nb,2,3\n", "t.csv:3: 3 fields where the header has 2"),
    "ragged below blank lines": (b"\n\nlesion_id,age\n\na,1\n\nb\n", "t.csv:7: 1 fields"),
    "ragged below a quoted break": (b'lesion_id,age\n"a\r\nb\nc",1\nd\n', "t.csv:5: 1 fields"),
    "ragged over a quoted break": (b'lesion_id,age\n"a\nb",1,2\n', "t.csv:2: 3 fields"),
    "ragged, CR": (b"lesion_id,age\ra,1\rb,2,3\r", "t.csv:3: 3 fields"),
    "ragged, mixed": (b"lesion_id,age\r\na,1\nb,2\rc\n", "t.csv:4: 1 fields"),
    "twice": (b"lesion_id,age,age\na,1,1\n", "t.csv:1: columns 2 and 3 are both 'age'"),
    "nameless": (b"lesion_id,,age\n0,a,1\n", "t.csv:1: column 2 has no name"),
    "misspelt": (b"lesionid,age\na,1\n", "did you mean 'lesionid'? columns are: lesionid, age"),
    "other case": (b"Lesion_ID,age\na,1\n", "did you mean 'Lesion_ID'?"),
    "blanks": (b"age,LESION ID\n1,a\n", "did you mean 'LESION ID'?"),
    "far off": (b"patient,age\na,1\n", "no column 'lesion_id' \u2014 columns are: patient, age"),
    "nul": (b"lesion_id,age\na,\x001\n", "t.csv:2: a NUL character"),
    "open quote": (b'lesion_id,age\nb,2\n"a,1\n', "t.csv:3: not a CSV table: a quote is opened"),
    "open quote in a large file": (b'lesion_id,age\n"a,1\n' + b"b,2\n" * 50_000, "t.csv:2: not a CSV"),
    "text after a quote": (b'lesion_id,age\n"a"b,1\n', "t.csv:2: not a CSV table: text follows"),
    "long cell": (b"lesion_id,age\na,1\n" + LONG + b",1\n", "t.csv:3: not a CSV table: a cell of"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_tables_are_named(name: str) -> None:
    raw, message = BAD[name]
    with pytest.raises(DataError) as caught:
        read_table(raw, "t.csv", ["lesion_id", "age"])
    assert message in str(caught.value)
    assert str(caught.value).startswith("t.csv")
    assert str(caught.value).isprintable()


def test_every_header_problem_and_ragged_row_is_listed() -> None:
    raw = b"lesionid,sex,sex,,Age\na,1,2,3,4\nb\nc,1,2,3,4\nd,1,2,3,4,5\n"
    with pytest.raises(DataProblems) as caught:
        read_table(raw, "t.csv", ["lesion_id", "age", "sex"])
    found = [(p.kind, p.where, p.what) for p in caught.value.problems]
    assert found == [
        ("repeated column", "t.csv:1", "columns 2 and 3 are both 'sex'"),
        ("nameless column", "t.csv:1", "column 4 has no name"),
        ("missing column", "t.csv:1", "no column 'lesion_id'"),
        ("missing column", "t.csv:1", "no column 'age'"),
        ("ragged row", "t.csv:3", "1 fields where the header has 5"),
        ("ragged row", "t.csv:5", "6 fields where the header has 5"),
    ]
    assert "(and 5 more problems)" in str(caught.value)
    assert "did you mean 'Age'?" in caught.value.problems[3].do


SAME = {
    "LF": b"id,age\na,70\nb,\n",
    "CR LF": b"id,age\r\na,70\r\nb, \r\n",
    "CR": b"id,age\ra,70\rb,",
    "mixed": b"id,age\r\na,70\rb,\n",
    "mark": b"\xef\xbb\xbfid,age\na,70\nb,\n",
    "blanks in the header": b" id , age\na,70\nb,\n",
    "quotes": b'"id","age"\r\n"a","70"\r\n"b",""\r\n',
    "no last line break": b"id,age\na,70\nb,",
}


@pytest.mark.parametrize("name", SAME)
def test_dialects_give_the_same_table(name: str) -> None:
    frame = read_table(SAME[name], "t.csv", ["id"])
    assert list(frame.columns) == ["id", "age"]
    assert list(frame.index) == [2, 3]
    assert frame["id"].tolist() == ["a", "b"]
    ages = read_numbers(frame, "age", "t.csv", 0, 120)
    assert ages.tolist()[0] == 70
    assert ages.isna().tolist() == [False, True]


def test_rows_are_named_by_the_line_they_start_on() -> None:
    raw = b'id,note\n\na,"two\nlines"\n   \nb,"x,y"\n"c\n\n",z\nd,\n'
    frame = read_table(raw, "t.csv")
    lines = raw.decode().split("\n")
    assert list(frame.index) == [3, 6, 7, 10]
    for line, cell in frame["id"].items():
        assert lines[line - 1].lstrip('"').startswith(cell.split("\n")[0])
    assert frame.loc[6, "note"] == "x,y"
    assert frame.loc[10, "note"] is None


def test_files_that_are_no_tables_are_named(tmp_path: Path, monkeypatch) -> None:
    def message(path: Path) -> str:
        with pytest.raises(DataError) as caught:
            load_table(path)
        return str(caught.value)

    assert "no such file" in message(tmp_path / "nowhere.csv")
    assert "no such file" in message(tmp_path / "a\0b.csv")
    assert "a folder, not a table" in message(tmp_path)
    (tmp_path / "t.csv").write_bytes(b"a,b\n1,2\n")
    assert len(load_table(tmp_path / "t.csv")) == 1

    def refuse(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert "t.csv: cannot be read: permission denied" in message(tmp_path / "t.csv")


@pytest.mark.parametrize(
    "value",
    ["abc", "-5", "400", "inf", "nan", "1e999", "1_0", "１", "0x10", "1,5", "1e", ".", "--1"],
)
def test_impossible_ages_are_named(value: str) -> None:
    frame = read_table(f'id,age\na,"{value}"\n'.encode(), "t.csv")
    with pytest.raises(DataError, match=r"t\.csv:2:age: '.*' is not a number from 0 to 120"):
        read_numbers(frame, "age", "t.csv", 0, 120)


def test_numbers_without_bounds_are_finite_all_the_same() -> None:
    frame = read_table(b"id,x\na,1e300\nb,inf\nc,1e999\nd,-inf\n", "t.csv")
    with pytest.raises(DataProblems) as caught:
        read_numbers(frame, "x", "t.csv", -np.inf, np.inf)
    assert [p.where for p in caught.value.problems] == ["t.csv:3:x", "t.csv:4:x", "t.csv:5:x"]
    assert caught.value.what == "'inf' is not a number (and 2 more problems)"


def test_numbers_are_those_that_python_reads() -> None:
    texts = ["0", " 1 ", "1.", ".5", "+2", "-0.0", "1e-3", "6.02E+23", "0.166749372614787", "007"]
    frame = read_table(b"id,x\n" + "".join(f"a,{t}\n" for t in texts).encode(), "t.csv")
    numbers = read_numbers(frame, "x", "t.csv", -1e30, 1e30)
    assert numbers.tolist() == [float(text) for text in texts]


def test_every_bad_cell_is_listed_and_a_long_one_is_cut() -> None:
    def read(length: int) -> pytest.ExceptionInfo[DataProblems]:
        with pytest.raises(DataProblems) as caught:
            read_numbers(frames[length], "age", "t.csv", 0, 120)
        return caught

    frames = {
        n: read_table(f"id,age\na,abc\nb,70\nc,{'9' * n}x\nd,\ne,-1\n".encode(), "t.csv")
        for n in (10_000, 100_000)
    }
    # No pattern that takes the square of a cell's length, which would be 100.
    assert growth(lambda: read(10_000), lambda: read(100_000)) < 30
    caught = read(100_000)
    found = caught.value.problems
    assert [p.where for p in found] == ["t.csv:2:age", "t.csv:4:age", "t.csv:6:age"]
    assert {p.kind for p in found} == {"bad value"}
    assert len(found[1].what) < 150


@pytest.mark.parametrize("row", ["0,0", "1,1", "0.5,0.5", "1,0.5", ","])
def test_one_hot_rows_name_one_class(row: str) -> None:
    frame = read_table(f"id,A,B\nx,1,0\ny,{row}\n".encode(), "t.csv")
    with pytest.raises(DataError, match=r"t\.csv:3: one-hot row names"):
        one_hot_labels(frame, ["A", "B"], "t.csv")


@pytest.mark.parametrize("one", ["1", "1.0", "1.", " 1 ", "1e0", "+1"])
@pytest.mark.parametrize("zero", ["0", "0.0", "0.", " 0", "-0", ""])
def test_spellings_of_one_and_zero_are_labels(one: str, zero: str) -> None:
    frame = read_table(f"id,A,B\nx,{zero},{one}\ny,{one},{zero}\n".encode(), "t.csv")
    labels = one_hot_labels(frame, ["A", "B"], "t.csv")
    assert labels.to_dict() == {2: "B", 3: "A"}


def test_every_bad_label_is_listed_once() -> None:
    frame = read_table(b"id,A,B\na,1,0\nb,1,1\nc,x,1\nd,0,0\ne,0,2\n", "t.csv")
    with pytest.raises(DataProblems) as caught:
        one_hot_labels(frame, ["A", "B"], "t.csv")
    assert [(p.kind, p.where) for p in caught.value.problems] == [
        ("bad value", "t.csv:4:A"),
        ("bad value", "t.csv:6:B"),
        ("bad label", "t.csv:3"),
        ("bad label", "t.csv:5"),
    ]
    assert caught.value.problems[2].what == "one-hot row names 2 classes (A, B)"
    with pytest.raises(DataError, match=r"t\.csv:1: no class columns"):
        one_hot_labels(frame, [], "t.csv")


def test_duplicates_name_both_rows() -> None:
    frame = read_table(b"id,x\na,1\nb,2\na,3\n", "t.csv")
    with pytest.raises(DataError, match=r"t\.csv:4:id: 'a' stands in row 2 already"):
        refuse_duplicates(frame, ["id"], "t.csv")
    refuse_duplicates(frame, ["id", "x"], "t.csv")


def test_every_duplicate_is_listed_and_joined_keys_are_not_mixed_up() -> None:
    frame = read_table(b"id,x\na,1\na,1\nb,2\na,1\nb,2\n,\n,\n", "t.csv")
    with pytest.raises(DataProblems) as caught:
        refuse_duplicates(frame, ["id", "x"], "t.csv")
    assert [(p.where, p.what) for p in caught.value.problems] == [
        ("t.csv:3:id,x", "'a / 1' stands in row 2 already"),
        ("t.csv:5:id,x", "'a / 1' stands in row 2 already"),
        ("t.csv:6:id,x", "'b / 2' stands in row 4 already"),
        ("t.csv:8:id,x", "' / ' stands in row 7 already"),
    ]
    apart = read_table(b"id,x\na / b,c\na,b / c\n", "t.csv")
    refuse_duplicates(apart, ["id", "x"], "t.csv")


def test_separators_are_told_by_what_is_not_quoted() -> None:
    lines = {"a,b": ",", "a": ",", "": ",", "a;b": ";", "a\tb": "\t", '"a;b;c",d': ","}
    lines |= {'a;"b, c, d"': ";", 'a,"b;c': ","}
    assert {line: separator(line) for line in lines} == lines


@pytest.mark.parametrize("text", ["=1+1", "-x", "'=x", "'x", "''", "@a", "plain", "", "+", "\tx"])
def test_guarded_text_is_no_formula_and_comes_back(text: str) -> None:
    guarded = guard(text)
    assert not str(guarded).startswith(("=", "+", "-", "@", "\t"))
    assert unguard(guarded) == text


def test_row_numbers_without_a_name_are_dropped() -> None:
    """As pandas writes them."""
    frame = read_table(b",a,b\n0,1,2\n1,3,4\n", "t.csv", ["a", "b"])
    assert frame.to_dict("list") == {"a": ["1", "3"], "b": ["2", "4"]}
    assert list(frame.index) == [2, 3]
