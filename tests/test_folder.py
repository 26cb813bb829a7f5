"""Class folders: every image is one case of an id of its own, or is told of."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from milkreport.data.discovery import survey
from milkreport.data.folder import load_folder
from milkreport.errors import DataProblems


def put(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")


def test_names_that_differ_in_their_suffix_are_cases_of_their_own(tmp_path: Path) -> None:
    put(tmp_path, "A/x.jpg", "A/x.png", "A/x.png.jpg", "B/y.jpg")
    ids = list(load_folder(survey(tmp_path, tmp_path), None).table["case_id"])
    assert len(set(ids)) == 4, ids


def test_images_outside_the_class_folders_are_told_of(tmp_path: Path) -> None:
    put(tmp_path, "A/x.jpg", "B/y.jpg", "z.jpg")
    cases = load_folder(survey(tmp_path, tmp_path), None)
    assert list(cases.table["case_id"]) == ["A/x", "B/y"]
    assert [path.name for path in cases.extra] == ["z.jpg"]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such a name")
def test_a_name_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    put(tmp_path, "A/x.jpg", "B/y.jpg", os.fsdecode(b"A/\xe9.jpg"))
    with pytest.raises(DataProblems) as caught:
        load_folder(survey(tmp_path, tmp_path), None)
    (problem,) = caught.value.problems
    assert (problem.kind, problem.where) == ("bad file name", "A/�.jpg")
    assert str(caught.value).isprintable()
