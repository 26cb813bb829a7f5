"""The check of the language finds what it is made for, and nothing in the repository."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts import plain_english


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("One column a class.", 1),
        ("A file that lacks, is reported.", 1),
        ("Users are told of it.", 1),
        ("Below the line an arm is too sure; where the image spoke for it.", 2),
        ("Drawn data is no result.", 1),
        ("One column per class, and a row for the table that lacks an id.", 0),
        ("`one column a class` is code", 0),
        ("```\none column a class\n```", 0),
    ],
)
def test_it_finds_phrases_and_leaves_code(
    text: str, found: int, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setattr(plain_english, "ROOT", tmp_path)
    path = tmp_path / "page.md"
    path.write_text(text, encoding="utf-8")
    assert len([*plain_english.find(path)]) == found


def test_comments_and_texts_of_code_are_read(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(plain_english, "ROOT", tmp_path)
    path = tmp_path / "module.py"
    path.write_text('"""A row a case."""\n\nrow_a_case = f"{3} seconds a training"  # told of\n')
    assert [line.split(":")[1] for line in plain_english.find(path)] == ["1", "3", "3"]


def test_the_repository_has_none() -> None:
    assert [
        line for path in plain_english.read_by_people() for line in plain_english.find(path)
    ] == []
