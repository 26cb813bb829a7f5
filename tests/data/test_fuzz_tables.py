"""Whatever bytes stand in a table: a result, or one printable line. Never another exception."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from milkreport.columns import one_hot_labels, read_numbers, refuse_duplicates
from milkreport.data.files.discovery import load_any_header
from milkreport.errors import DataError, DataProblems, MilkreportError
from milkreport.tables import load_plain, load_table, read_table

SOUND = (
    b"id,age,A,B\na,70,1,0\nb,,0.0,1.0\nc,5,1,0\n",
    b'\xef\xbb\xbf"id","age","A","B"\r\n"a ""x""\r\ny","7e1","1","0"\r\n"b"," ","0","1"\r\n',
    "id,age,A,B\rä,1,0,1\r\rß,2,1,0\r".encode(),
)
NASTY = (
    b"", b",", b'"', b'""', b"\n", b"\r", b"\r\n", b"\0", b";", b"\t", b"\xff\xfe", b"\xef\xbb\xbf",
    b"\xe9", b"inf", b"nan", b"1e999", b"-5", b"1_0", "１".encode(), "\u2028".encode(), b"\x1b[2J",
    b"\x85", b"id", b"age,", b"\n\n\n", b"x" * 5000, b"'", b"\\", b"=1+1", "\u202e".encode(),
)  # fmt: skip

ages = st.sampled_from(
    ["70", "", " 5 ", "7e1", "0", "12.5", "1.", "nan", "inf", "1_0", "-5", "１", "1e999", '"7\n0"']
)
hots = st.sampled_from(["1,0", "0,1", "0.0,1.", "1,1", "0,0", ",1", "0.5,0.5", "x,1", "1"])
rows = st.tuples(st.sampled_from("abcdefgh"), ages, hots).map(",".join)
tables = st.lists(rows, min_size=1, max_size=4).map(
    lambda rows: "\n".join(["id,age,A,B", *rows]).encode()
)

#: Where, how much is cut out, and what is put there instead.
edits = st.lists(
    st.tuples(
        st.integers(0, 60), st.integers(0, 6), st.sampled_from(NASTY) | st.binary(max_size=2)
    ),
    max_size=3,
)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    raw = draw(st.sampled_from(SOUND) | tables)
    for start, length, new in draw(edits):
        raw = raw[:start] + new + raw[start + length :]
    return raw


def read_whole(raw: bytes, read_one: Callable[..., Any]) -> str:
    """One table through all that reads tables: "" or the error's line."""
    try:
        frame = read_table(raw, "t.csv", ["id"])
        assert len(frame) > 0
        assert frame.index.is_monotonic_increasing
        refuse_duplicates(frame, ["id"], "t.csv")
        numbers = [c for c in frame.columns if c != "id"]
        for column in numbers:
            values = read_one(frame, column, "t.csv", 0, 120)
            assert (values.isna() == frame[column].isna()).all()
        labels = one_hot_labels(frame, [c for c in numbers if c != "age"], "t.csv")
        assert labels.notna().all()
    except MilkreportError as error:
        lines = [str(error)]
        if isinstance(error, DataProblems):
            lines += [str(type(error)([problem])) for problem in error.problems]
        for line in lines:
            assert line.startswith("t.csv")
            assert line.isprintable()
        return lines[0]
    return ""


def fuzz(raws: st.SearchStrategy[bytes], read_one: Callable[..., Any], examples: int) -> set[str]:
    seen = set()

    @given(raws)
    @settings(
        max_examples=examples, deadline=None, database=None, report_multiple_bugs=False,
        derandomize=True, suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    def run(raw: bytes) -> None:
        seen.add(read_whole(raw, read_one))

    run()
    return seen


def test_any_bytes_give_a_table_or_one_line() -> None:
    assert len(fuzz(st.binary(max_size=200), read_numbers, 500)) > 3


@pytest.mark.slow
def test_mutated_tables_give_a_table_or_one_line() -> None:
    """The edits reach every stage: sound tables, bad headers, rows, cells, labels and ids."""
    seen = fuzz(mutated(), read_numbers, 1500)
    assert "" in seen
    for message in (
        "fields where", "no column 'id'", "not a CSV table", "not UTF-8", "has no name",
        "is not a number", "one-hot row names", "already",
    ):  # fmt: skip
        assert any(message in line for line in seen), message


def test_the_fuzz_notices_a_stray_error() -> None:
    """Negative control: a reader that lets float() speak for itself, and one that takes its word."""

    def naive(frame: Any, column: str, *_: object) -> Any:
        return frame[column].map(lambda cell: float("nan") if cell is None else float(cell))

    with pytest.raises(ValueError, match="could not convert"):
        fuzz(mutated(), naive, 500)

    def lenient(frame: Any, column: str, *_: object) -> Any:
        try:
            return naive(frame, column)
        except ValueError as error:
            raise MilkreportError("bad", where="t.csv") from error

    with pytest.raises(AssertionError):  # "nan" is text, and no missing value
        fuzz(mutated(), lenient, 1500)


def test_any_bytes_have_some_header(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"

    @given(st.binary(max_size=200) | mutated())
    @settings(max_examples=300, deadline=None, database=None, derandomize=True)
    def run(raw: bytes) -> None:
        path.write_bytes(raw)
        assert all(isinstance(cell, str) for cell in load_any_header(path))

    run()


CELLS = (
    *(
        "0.5",
        "1",
        "1e-3",
        "0.1234567890123456789",
        "",
        " ",
        "nan",
        "NA",
        "inf",
        "1e999",
        "0x10",
        "1_000",
    ),
    *(" 0.25 ", "-0", "TRUE", "abc", '"0.5"', '"a,b"', '"a\nb"', "\u0665", "1.", ".5", "+1", "1,5"),
)


@given(
    st.lists(st.lists(st.sampled_from(CELLS), min_size=2, max_size=4), min_size=0, max_size=4),
    st.sampled_from(["id,A,B", "id,A,A", "id,,B", '"id",A,B', "\ufeffid,A,B", ",A,B", "id;A;B"]),
    st.sampled_from(["\n", "\r\n", "\n\n"]),
)
@settings(max_examples=400, deadline=None)
def test_the_fast_parser_takes_nothing_that_the_strict_one_refuses(rows, header, end) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.csv"
        path.write_text(
            end.join([header, *map(",".join, rows)]) + end, encoding="utf-8", newline=""
        )
        try:
            plain = load_plain(path, ["id"])
        except DataError:
            return
        strict = load_table(path)
        assert list(plain.columns) == list(strict.columns)
        assert len(plain) == len(strict)
        for column in plain.columns:
            if plain[column].dtype.kind == "f":
                finite = np.isfinite(plain[column])
                if not finite.all():
                    continue  # refused by whoever reads numbers from 0 to 1
                numbers = read_numbers(strict, column, "t", -np.inf, np.inf)
                assert numbers.to_numpy().tolist() == plain[column].to_numpy().tolist()
            else:
                assert plain[column].tolist() == strict[column].tolist()
