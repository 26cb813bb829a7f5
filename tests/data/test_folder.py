"""Class folders: every image is one case of an id of its own, or is reported."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from milkreport.data.adapters.folder import load_folder
from milkreport.data.adapters.load import load_cases
from milkreport.data.adapters.spec import load_spec
from milkreport.data.files.discovery import survey
from milkreport.data.init.propose import write_proposal
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


def test_images_without_labels_are_described_and_read(tmp_path: Path) -> None:
    """In one folder, and in one that wraps them, with a stem that two of them share."""
    names = [f"{n}_{side}.jpg" for n in range(6) for side in ("left", "right")]
    for number, folder in enumerate(("", "one/")):
        root = tmp_path / str(number)
        put(root, *(folder + name for name in names))
        spec = load_spec(write_proposal(root, None, None, tmp_path))
        assert (spec.adapter, spec.folder.labelled, spec.classes) == ("folder", False, {})
        cases = load_cases(root, "auto", tmp_path)
        assert not cases.is_labelled
        assert (len(cases.table), cases.table["group_id"].nunique()) == (12, 6)
        assert cases.table["case_id"].iloc[0] == f"{folder}0_left"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such a name")
def test_a_name_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    put(tmp_path, "A/x.jpg", "B/y.jpg", os.fsdecode(b"A/\xe9.jpg"))
    with pytest.raises(DataProblems) as caught:
        load_folder(survey(tmp_path, tmp_path), None)
    (problem,) = caught.value.problems
    assert (problem.kind, problem.where) == ("bad file name", "A/�.jpg")
    assert str(caught.value).isprintable()
