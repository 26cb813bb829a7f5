"""Tables: every bad one gets one line that names file, row and column."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from milkreport.errors import DataError
from milkreport.tables import one_hot_labels, read_numbers, read_table, refuse_duplicates

BAD = {
    "empty": (b"", "the file is empty"),
    "header only": (b"lesion_id,age\n", "no data rows"),
    "utf-16": ("lesion_id,age\na,1\n".encode("utf-16"), "UTF-16"),
    "latin-1": ("lesion_id,age\na,1\né,2\n".encode("latin-1"), "t.csv:3: not UTF-8 at byte 18"),
    "semicolons": (b"lesion_id;age\na;1\n", "looks semicolon separated"),
    "tabs": (b"lesion_id\tage\na\t1\n", "looks tab separated"),
    "ragged": (b"lesion_id,age\na,1\nb,2,3\n", "t.csv:3: 3 fields where the header has 2"),
    "twice": (b"lesion_id,age,age\na,1,1\n", "columns 2 and 3 are both 'age'"),
    "misspelt": (b"lesionid,age\na,1\n", "did you mean 'lesionid'?"),
    "nul": (b"lesion_id,age\na,\x001\n", "t.csv:2: a NUL character"),
    "open quote": (b'lesion_id,age\n"a,1\n', "not a CSV table"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_tables_are_named(name: str) -> None:
    raw, message = BAD[name]
    with pytest.raises(DataError) as caught:
        read_table(raw, "t.csv", ["lesion_id", "age"])
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_bom_crlf_and_blank_cells_are_read() -> None:
    frame = read_table(b"\xef\xbb\xbflesion_id,age\r\na,70\r\nb, \r\n", "t.csv", ["lesion_id"])
    assert list(frame.index) == [2, 3]
    ages = read_numbers(frame, "age", "t.csv", 0, 120)
    assert ages.isna().tolist() == [False, True]


@pytest.mark.parametrize("value", ["abc", "-5", "400", "inf", "nan"])
def test_impossible_ages_are_named(value: str) -> None:
    frame = read_table(f"id,age\na,{value}\n".encode(), "t.csv")
    with pytest.raises(DataError, match=r"t\.csv:2:age: '.*' is not a number from 0 to 120"):
        read_numbers(frame, "age", "t.csv", 0, 120)


@pytest.mark.parametrize("row", ["0,0", "1,1", "0.5,0.5", ",1"])
def test_one_hot_rows_name_one_class(row: str) -> None:
    frame = read_table(f"id,A,B\nx,1,0\ny,{row}\n".encode(), "t.csv")
    if row == ",1":  # an empty cell is not a 0 by itself
        row_labels = one_hot_labels(frame.fillna("0"), ["A", "B"], "t.csv")
        assert row_labels.tolist() == ["A", "B"]
        return
    with pytest.raises(DataError, match=r"t\.csv:3: one-hot row names"):
        one_hot_labels(frame, ["A", "B"], "t.csv")


def test_duplicates_name_both_rows() -> None:
    frame = read_table(b"id,x\na,1\nb,2\na,3\n", "t.csv")
    with pytest.raises(DataError, match=r"t\.csv:4:id: 'a' stands in row 2 already"):
        refuse_duplicates(frame, ["id"], "t.csv")


@given(st.binary(max_size=200))
@settings(max_examples=300, deadline=None)
def test_any_bytes_give_a_table_or_one_of_our_errors(raw: bytes) -> None:
    try:
        frame = read_table(raw, "t.csv")
    except DataError:
        return
    assert len(frame) > 0
