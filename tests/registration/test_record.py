"""The registration's hash against hashlib, and files from anybody."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from milkreport.errors import ConfigError, DataError, MilkreportError
from milkreport.registration.record import (
    MOST_BYTES,
    Before,
    Declared,
    Registration,
    canonical,
    hash_of,
    load_registration,
    seal,
    verify_hash,
    write_registration,
)


def declared(**changes: Any) -> Declared:
    values: dict[str, Any] = {
        "question": "Is one better?",
        "primary_metric": "macro_f1",
        "margin": None,
        "multiplicity": "Holm over all pairs of arms",
        "arms": ["baseline", "sampler"],
        "seeds": [0, 1],
        "folds": 1,
        "settings": {"training.epochs": 2, "data.cleaning": "paper"},
        "arm_settings": {"baseline": {"correction": "none"}, "sampler": {"correction": "sampler"}},
        "reuse": False,
        "data_sha256": "d" * 64,
        "splits_sha256": "e" * 64,
        "exclusions": {"missing value": 3},
        "class_counts": {"NV": 20, "MEL": 10},
    }
    return Declared.model_validate(values | changes)


def registration(**changes: Any) -> Registration:
    return seal(
        Registration(
            milkreport="0.1.1",
            created="2026-11-28T01:02:03Z",
            title="Été",
            data_name="data",
            declared=declared(**changes),
        )
    )


def test_canonical_json_is_these_bytes() -> None:
    value = {"b": [1, 2.5, None, True], "a": {"é": "x\ny", "c": ""}}
    expected = '{"a":{"c":"","é":"x\\ny"},"b":[1,2.5,null,true]}'.encode()
    assert canonical(value) == expected
    assert hash_of(value | {"hash": "anything"}) == hashlib.sha256(expected).hexdigest()


def test_the_hash_is_that_of_the_files_own_bytes_without_its_key(tmp_path: Path) -> None:
    one = registration()
    write_registration(tmp_path / "r.json", one)
    text = (tmp_path / "r.json").read_text(encoding="utf-8")
    without = text.rstrip("\n").replace(f'"hash":"{one.hash}",', "")
    assert len(without) < len(text) - 64
    assert hashlib.sha256(without.encode()).hexdigest() == one.hash
    assert load_registration(tmp_path / "r.json") == one


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text() | st.floats(0, 1),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(min_size=1), values, max_size=5))
def test_neither_order_nor_a_round_trip_changes_the_hash(value: dict[str, Any]) -> None:
    try:
        digest = hash_of(value)
    except ValueError:  # a lone surrogate is no text
        return
    assert hash_of(dict(reversed(list(value.items())))) == digest
    assert hash_of(json.loads(canonical(value))) == digest
    assert verify_hash(value | {"hash": digest})
    assert not verify_hash(value | {"hash": digest, "one more": 1})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("created", "2025-01-01T00:00:00Z"),
        ("title", "Another"),
        ("milkreport", "9"),
        ("hash", "0" * 64),
    ],
)
def test_a_changed_file_is_refused(key: str, value: str, tmp_path: Path) -> None:
    changed = registration().model_dump(mode="json") | {key: value}
    (tmp_path / "r.json").write_bytes(canonical(changed))
    with pytest.raises(DataError, match="changed since it was registered"):
        load_registration(tmp_path / "r.json")


def test_who_computes_the_hash_again_has_another_registration(tmp_path: Path) -> None:
    """What the page on registering says of this attack: the published hash shows it."""
    one = registration()
    forged = seal(one.model_copy(update={"created": "2025-01-01T00:00:00Z"}))
    write_registration(tmp_path / "r.json", forged)
    assert load_registration(tmp_path / "r.json").hash == forged.hash != one.hash


def test_every_part_moves_the_hash() -> None:
    one = registration()
    seen = {one.hash}
    for update in (
        {"title": "x"},
        {"data_name": "x"},
        {"before": Before(entries=1)},
        {"declared": declared(seeds=[0])},
        {"declared": declared(exclusions={})},
    ):
        seen.add(seal(one.model_copy(update=update)).hash)
    assert len(seen) == 6


def _deep() -> bytes:
    return b'{"a":' * 100_000 + b"1" + b"}" * 100_000


HOSTILE = {
    "empty": b"",
    "not JSON": b"registration",
    "not UTF-8": b'{"title": "\xff\xfe"}',
    "a list": b"[1, 2]",
    "a number": b"7",
    "deep": _deep(),
    "moderately deep": b'{"a":' * 200 + b"1" + b"}" * 200,
    "a key twice": b'{"title": "a", "title": "b"}',
    "NaN": b'{"title": NaN}',
    "a huge integer": b'{"title": ' + b"9" * 5000 + b"}",
    "too large": b" " * (MOST_BYTES + 1),
    "nothing in it": b"{}",
    "wrong types": canonical({**registration().model_dump(mode="json"), "declared": "all of it"}),
    "wrong inner types": canonical(
        {**registration().model_dump(mode="json"), "before": {"entries": "many"}}
    ),
    "an unknown key": canonical({**registration().model_dump(mode="json"), "run": "rm -rf"}),
    "no hash of data": canonical(
        {
            **(d := registration().model_dump(mode="json")),
            "declared": d["declared"] | {"data_sha256": "../../etc"},
        }
    ),
    "a lone surrogate": b'{"title": "\\ud800"}',
}


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_files_end_in_one_line(what: str, tmp_path: Path) -> None:
    (tmp_path / "r.json").write_bytes(HOSTILE[what])
    with pytest.raises(DataError) as error:
        load_registration(tmp_path / "r.json")
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 500 + len(str(tmp_path))


def test_pipes_folders_and_nothing_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path):
        with pytest.raises(DataError, match="not a regular file"):
            load_registration(path)
    with pytest.raises(ConfigError, match="no such file"):
        load_registration(tmp_path / "nothing.json")
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(MilkreportError):
        load_registration(tmp_path / "loop")


def test_reading_loads_no_torch() -> None:
    import subprocess
    import sys

    code = "import sys, milkreport.registration.record as r; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
