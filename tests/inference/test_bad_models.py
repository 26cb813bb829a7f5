"""Bad weights and checkpoints: each gets one clear line and exit code 3, and nothing is executed or lost.

One test a row of the table of bad inputs, by its number.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import shutil
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import safetensors.torch
import torch

from milkreport.data.adapters.milk10k import GROUND_TRUTH, METADATA
from milkreport.errors import DataError
from milkreport.inference.find_model import ModelRef, find_model
from milkreport.inference.model_exchange import export_copy
from milkreport.training.saved import load_card, load_model, read_weights
from tests.conftest import Outcome
from tests.data.test_bad_data import only_line, rewrite

WEIGHTS, CARD = "model.safetensors", "model.json"
Predict = Callable[..., Outcome]


@pytest.fixture
def run(model_run: Path, tmp_path: Path) -> Path:
    """A copy of a run to break, whose cells do not know their cards' hashes: what is wrong within is looked
    at.

    tests/runs/test_run.py has a card that was edited.
    """
    folder = tmp_path / "run"
    shutil.copytree(model_run, folder)
    for path in folder.glob("cells/*/*/*/cell.json"):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"card_sha256": ""}))
    return folder


@pytest.fixture
def cell(run: Path) -> Path:
    return run / "cells/net/seed-0/fold-0"


@pytest.fixture
def predict(in_process, run: Path, model_data: Path, tmp_path: Path) -> Predict:
    def call(*options: object, data: Path = model_data, path: Path = run) -> Outcome:
        arm = ("--arm", "net") if path == run else ()
        done = in_process("predict", path, *arm, "--data", data, "--out", "s.csv", *options)
        assert (tmp_path / "s.csv").exists() == (done.code == 0)
        return done

    return call


def put_weights(cell: Path, data: bytes, hashed: bool = True) -> None:
    """Exchange the weights; with the card's hash, as somebody would who means it."""
    (cell / WEIGHTS).write_bytes(data)
    if hashed:
        change_card(cell, weights_sha256=hashlib.sha256(data).hexdigest())


def change_card(cell: Path, **values: object) -> None:
    card = json.loads((cell / CARD).read_text(encoding="utf-8"))
    (cell / CARD).write_text(json.dumps(card | values), encoding="utf-8")


def weights_of(cell: Path) -> dict[str, torch.Tensor]:
    return safetensors.torch.load((cell / WEIGHTS).read_bytes())


@pytest.mark.slow
def test_a_sound_model_is_sound(predict: Predict, cell: Path) -> None:
    """Negative control: exchanging the weights for themselves changes nothing."""
    put_weights(cell, (cell / WEIGHTS).read_bytes())
    assert predict().code == 0


BROKEN = {
    "missing": lambda data: None,
    "empty": lambda data: b"",
    "truncated in the header": lambda data: data[:100],
    "truncated in the tensors": lambda data: data[:-9],
    "text": lambda data: b"These are no weights.\n" * 40,
    "longer": lambda data: data + b"\0" * 8,
}


@pytest.mark.parametrize("how", BROKEN)
def test_row_37_no_weights(predict: Predict, cell: Path, how: str) -> None:
    data = BROKEN[how]((cell / WEIGHTS).read_bytes())
    (cell / WEIGHTS).unlink()
    if data is not None:
        (cell / WEIGHTS).write_bytes(data)
    done = predict()
    assert done.code == 3
    line = only_line(done)
    assert f"{cell / WEIGHTS}: " in line
    wanted = "cannot be read" if data is None else "not a milkreport checkpoint (truncated"
    assert wanted in line
    assert "use another training that is whole: seed-0/fold-1" in line  # the good one is named


@pytest.mark.parametrize(
    "text", [None, "", '{"schema_version": 2, "mil', "[" * 100_000, "[]", "{}"]
)
def test_row_37_no_card(predict: Predict, cell: Path, text: str | None) -> None:
    (cell / CARD).unlink()
    if text is not None:
        (cell / CARD).write_text(text, encoding="utf-8")
    done = predict()
    assert done.code == 3
    assert str(cell / CARD) in only_line(done)


def test_row_38_a_flipped_bit(predict: Predict, cell: Path, run: Path) -> None:
    """For models; that checkpoints fall back to the one before is shown in test_resume.py."""
    whole = (cell / WEIGHTS).read_bytes()
    for place in (len(whole) - 5, len(whole) // 2):
        data = bytearray(whole)
        data[place] ^= 0x40
        (cell / WEIGHTS).write_bytes(bytes(data))
        done = predict()
        assert done.code == 3
        line = only_line(done)
        assert "its card says" in line
        assert "use another training that is whole: seed-0/fold-1" in line
    assert predict("--fold", 1).code == 0


def test_row_38_a_flipped_bit_of_a_classifier(in_process, run: Path, model_data: Path) -> None:
    path = run / "cells/logistic/seed-0/fold-0/model.skops"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    done = in_process("predict", run, "--arm", "logistic", "--data", model_data, "--out", "s.csv")
    assert done.code == 3
    assert "its card says" in only_line(done)


class Trap:
    """Leaves a folder when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.marker),)


@pytest.mark.parametrize("length", [640, 896, 1152, 1408, 66_176])
def test_weights_whose_length_begins_like_a_pickle_are_read(length: int, tmp_path: Path) -> None:
    """A safetensors file starts with its header's length: 640 is 80 02, as a pickle of protocol 2."""
    header = json.dumps({"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}).encode()
    values = np.array([1.5, -2], np.float32)
    data = struct.pack("<Q", length) + header.ljust(length) + values.tobytes()
    assert data[:1] == b"\x80"
    assert read_weights(data, "w")["w"].tolist() == values.tolist()
    (tmp_path / "model.safetensors").write_bytes(data)
    with pytest.raises(DataError, match="a file, no model"):
        find_model(tmp_path / "model.safetensors")


@pytest.mark.parametrize("how", ["pickle", "torch", "old torch"])
def test_row_39_a_pickle_in_the_place_of_weights(
    predict: Predict, in_process, cell: Path, tmp_path: Path, model_data: Path, how: str
) -> None:
    trap, buffer = Trap(tmp_path / "marker"), io.BytesIO()
    if how == "pickle":
        pickle.dump({"a": trap}, buffer)
    else:
        torch.save({"a": trap}, buffer, _use_new_zipfile_serialization=how == "torch")
    put_weights(cell, buffer.getvalue())
    done = predict()
    assert done.code == 3
    assert "a pickle, which can execute anything" in only_line(done)
    assert "milkreport import-pickle FILE --i-trust-this-file" in only_line(done)
    (tmp_path / "m.pkl").write_bytes(buffer.getvalue())
    named = in_process("predict", "m.pkl", "--data", model_data, "--out", "s.csv")
    assert named.code == 3
    assert "import-pickle m.pkl --i-trust-this-file" in only_line(named)
    assert not (tmp_path / "marker").exists()
    pickle.loads(pickle.dumps(trap))
    assert (tmp_path / "marker").exists()  # negative control: the trap works


@pytest.mark.parametrize("how", ["other shape", "one lacks", "one too many", "other classes"])
def test_row_40_another_architecture(predict: Predict, cell: Path, how: str) -> None:
    weights = weights_of(cell)
    name = "classifier.0.weight"
    n = weights[name].shape
    if how == "other shape":
        weights[name] = torch.zeros(n[0] + 1, n[1])
        expected = f"{name} is ({n[0] + 1}, {n[1]}) in the file and ({n[0]}, {n[1]}) in the network"
    elif how == "one lacks":
        del weights[name]
        expected = f"{name} is missing in the file and ({n[0]}, {n[1]}) in the network"
    elif how == "one too many":
        weights["more"] = torch.zeros(3)
        expected = "more is (3,) in the file and missing in the network"
    else:
        change_card(cell, classes=["A", "B"])
        expected = "in the file and (2, "
    put_weights(cell, safetensors.torch.save(weights))
    done = predict()
    assert done.code == 3
    assert expected in only_line(done)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_row_41_weights_that_are_no_numbers(
    predict: Predict, in_process, cell: Path, tmp_path: Path, value: float
) -> None:
    weights = weights_of(cell)
    name = "classifier.0.weight"
    weights[name].view(-1)[:3] = value
    put_weights(cell, safetensors.torch.save(weights))
    done = predict()
    assert done.code == 3
    assert f"{name} holds 3 values of {weights[name].numel():,} that are no" in only_line(done)
    torch.save(weights, tmp_path / "m.pt")
    like = ("--like", cell.parents[1].parents[1], "--arm", "net", "--seed", 1)
    came = in_process("import-pickle", "m.pt", "--i-trust-this-file", *like, "--out", "m")
    assert came.code == 3
    assert f"{name} holds 3 values" in only_line(came)
    assert not Path("m").exists()


def test_row_42_a_newer_milkreport(predict: Predict, in_process, cell: Path, run: Path) -> None:
    change_card(cell, schema_version=99, milkreport="9.1.0", something="new")
    done = predict()
    assert done.code == 3
    assert "written by milkreport 9.1.0 (schema 99)" in only_line(done)
    assert "upgrade milkreport" in only_line(done)
    exported = in_process("export", run, "--arm", "net", "--format", "onnx")
    assert exported.code == 3
    assert "upgrade milkreport" in only_line(exported)


def test_row_43_a_changed_configuration_is_refused_with_its_keys(
    in_process, run: Path, model_data: Path
) -> None:
    """Here with a finished run; tests/runs/test_run.py has the rest."""
    before = {p: p.read_bytes() for p in run.rglob("*") if p.is_file() and p.name != ".lock"}
    options = ("--set", "training.learning_rate=0.5")
    done = in_process("run-all", run / "suite.toml", "--data", model_data, "--out", run, *options)
    assert done.code == 2
    assert "training.learning_rate: 0.01, now 0.5" in only_line(done)
    assert "--restart" in only_line(done)
    after = {p: p.read_bytes() for p in run.rglob("*") if p.is_file() and p.name != ".lock"}
    assert after == before


def test_row_44_trained_on_a_gpu_used_on_a_cpu(predict: Predict, cell: Path) -> None:
    assert "to the bit" not in predict().stderr  # negative control
    plain = pd.read_csv("s.csv")
    card = load_card(cell / CARD)
    change_card(
        cell, device="NVIDIA H100 80GB HBM3", training=card.training | {"precision": "tf32"}
    )
    Path("s.csv").unlink()
    done = predict("--device", "cpu")
    assert done.code == 0, done.stderr
    notes = [line for line in done.stderr.splitlines() if "to the bit" in line]
    assert len(notes) == 1
    assert "trained on NVIDIA H100 80GB HBM3, used on CPU" in notes[0]
    pd.testing.assert_frame_equal(pd.read_csv("s.csv"), plain)


def test_row_33_a_gpu_that_is_not_there(predict: Predict) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is one")
    done = predict("--device", "cuda")
    assert done.code == 4
    assert "0 GPUs are available" in only_line(done)


def header(tensors: dict[str, Any], payload: int) -> bytes:
    text = json.dumps(tensors).encode()
    return struct.pack("<Q", len(text)) + text + b"\0" * payload


def entry(begin: int, end: int, shape: list[int] | None = None) -> dict[str, object]:
    return {"dtype": "F32", "shape": shape or [(end - begin) // 4], "data_offsets": [begin, end]}


HEADERS = {
    "claims 2^60 bytes": struct.pack("<Q", 2**60) + b"{" + b" " * 64,
    "overlap": header({"a": entry(0, 64), "b": entry(32, 96)}, 96),
    "hole": header({"a": entry(0, 64), "b": entry(96, 128)}, 128),
    "backwards": header({"a": entry(0, 64), "b": entry(64, 0)}, 64),
    "beyond the end": header({"a": entry(0, 2**40)}, 64),
    "shape beyond its bytes": header({"a": entry(0, 64, [2**40])}, 64),
    "no offsets": header({"a": {"dtype": "F32", "shape": [1]}}, 4),
    "a list": header([1, 2], 4),  # type: ignore[arg-type]
    "nested": struct.pack("<Q", 200_001) + b'{"a":' + b"[" * 199_996,
    "unknown type": header({"a": entry(0, 64) | {"dtype": "F99"}}, 64),
}


@pytest.mark.parametrize("how", HEADERS)
def test_row_45_bad_headers_are_refused_without_allocating(cell: Path, how: str) -> None:
    put_weights(cell, HEADERS[how])
    load_card(cell / CARD)  # what is imported once is no allocation of the file's
    tracemalloc.start()
    try:
        with pytest.raises(DataError) as error:
            load_model(cell)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert str(cell / WEIGHTS) in str(error.value)
    assert peak < 20_000_000


def test_row_45_a_sparse_file_of_a_terabyte_is_not_read(predict: Predict, cell: Path) -> None:
    text = json.dumps({"a": entry(0, 64), "b": entry(32, 2**40)}).encode()
    with (cell / WEIGHTS).open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        try:
            file.truncate(2**40)
        except OSError:
            pytest.skip("no sparse files here")
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="1,099,511,627,776 bytes: 4,000,000,000 at most"):
            load_model(cell)
        os.truncate(cell / WEIGHTS, 3_000_000_000)
        with pytest.raises(DataError, match="invalid offset for tensor `b`"):
            load_model(cell)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 20_000_000
    with (cell / WEIGHTS).open("r+b") as file:  # a header that is as large as the file allows
        file.write(struct.pack("<Q", 2**31) + b"{")
    done = predict()
    assert done.code == 3
    assert "header too large" in only_line(done)
    (cell / WEIGHTS).unlink()


def test_a_card_leads_to_no_file_outside_its_folder(cell: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside.safetensors"
    shutil.copy(cell / WEIGHTS, outside)
    for name in (str(outside), "../" * 9 + "outside.safetensors"):
        change_card(cell, weights_file=name)
        with pytest.raises(DataError, match="names no file of this folder"):
            load_model(cell)


def test_a_damaged_model_is_not_exported(cell: Path, tmp_path: Path) -> None:
    (cell / WEIGHTS).write_bytes((cell / WEIGHTS).read_bytes()[:-1])
    with pytest.raises(DataError):
        export_copy(ModelRef(cell), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_frozen_backbone_of_other_weights_is_refused(run: Path) -> None:
    cell = run / "cells/frozen/seed-0/fold-0"
    card = load_card(cell / CARD)
    assert len(card.sources["backbone"]) == 64
    assert load_model(cell).card == card
    change_card(cell, sources=card.sources | {"backbone": "0" * 64})
    with pytest.raises(DataError, match="features of another resnet18"):
        load_model(cell)


def test_row_12_labels_of_other_classes(predict: Predict, cell: Path, model_data: Path) -> None:
    shown = json.loads((cell / CARD).read_text())["classes"]
    renamed = ["VASCULAR" if name == "VASC" else name for name in shown]
    change_card(cell, classes=renamed)
    done = predict()
    assert done.code == 3
    line = only_line(done)
    assert "the data have the class VASC, which the model does not know" in line
    assert f"the data's classes: {', '.join(shown)}" in line
    assert f"the model's: {', '.join(renamed)}" in line


def test_row_12_classes_in_another_order_are_matched_by_name(
    predict: Predict, model_data: Path, tmp_path: Path
) -> None:
    assert predict().code == 0
    plain = pd.read_csv("s.csv")
    Path("s.csv").unlink()
    data = tmp_path / "mixed"
    shutil.copytree(model_data, data)
    rewrite(data / GROUND_TRUTH, lambda t: t[["lesion_id", *reversed(t.columns[1:])]])
    assert predict(data=data).code == 0
    pd.testing.assert_frame_equal(pd.read_csv("s.csv"), plain)


def test_views_and_columns_that_lack_are_named(
    predict: Predict, in_process, tmp_path: Path
) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    from PIL import Image

    for i in range(4):
        Image.new("RGB", (20, 20), (i, 0, 0)).save(folder / f"{i}.png")
    table = pd.DataFrame({"id": list("abcd"), "photo": [f"{i}.png" for i in range(4)], "sex": 1.0})
    table.to_csv(folder / "t.csv", index=False)
    (folder / "milkreport.toml").write_text(
        'adapter = "table"\nname = "photos"\n[table]\nfile = "t.csv"\ncase = "id"\n'
        '[views.clinical]\ncolumn = "photo"\n[[features]]\ncolumn = "sex"\nkind = "numeric"\n',
        encoding="utf-8",
    )
    done = predict(data=folder)
    assert done.code == 3
    line = only_line(done)
    assert "the model reads the view dermoscopic, the column site, the column age_approx" in line
    assert "the column sex," not in line
    assert "the data's views: clinical" in line


def test_a_column_of_another_kind_is_named(predict: Predict, cell: Path, model_data: Path) -> None:
    card = json.loads((cell / CARD).read_text())
    for column in card["reads"]["encoder"]["columns"]:
        if column["column"] == "age_approx":
            column["categories"] = ["old", "young"]
    change_card(cell, reads=card["reads"])
    weights = weights_of(cell)
    for name, tensor in weights.items():  # a column more than before
        if name.startswith("metadata_branches") and name.endswith(".0.weight"):
            weights[name] = torch.cat([tensor, tensor[:, :1]], dim=1)
    put_weights(cell, safetensors.torch.save(weights))
    done = predict()
    assert done.code == 3
    assert "the column age_approx holds numbers, the model reads text" in only_line(done)


def test_an_ensemble_of_unlike_models_is_refused(predict: Predict, run: Path) -> None:
    change_card(run / "cells/net/seed-1/fold-0", classes=["A", "B"])
    done = predict("--ensemble")
    assert done.code == 3
    assert "net, seed 1, fold 0: its classes are A, B" in only_line(done)


def test_thresholds_that_do_not_fit_are_refused(
    predict: Predict, run: Path, tmp_path: Path
) -> None:
    assert "cannot be read" in only_line(predict("--thresholds", "nowhere.json"))
    (tmp_path / "t.json").write_text("{}", encoding="utf-8")
    assert "no thresholds" in only_line(predict("--thresholds", "t.json"))
    from milkreport.inference.find_model import find_models
    from milkreport.inference.validation import fit_on_validation

    names = load_card(run / "cells/net/seed-0/fold-0" / CARD).classes
    record = fit_on_validation(find_models(run, "net", 0, 0), names).model_dump()
    record["classes"] = record["classes"][:-1]
    (tmp_path / "t.json").write_text(json.dumps(record), encoding="utf-8")
    done = predict("--thresholds", "t.json")
    assert done.code == 3
    assert "the model's classes are" in only_line(done)
    path = run / "cells/net/seed-0/fold-0/predictions.csv"
    rewrite(path, lambda t: t[t["split"] != "validation"])
    done = predict("--thresholds", "validation")
    assert done.code == 3
    assert "trained without a validation part" in only_line(done)


def test_data_without_its_tables_is_an_error(predict: Predict, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = predict(data=tmp_path / "empty")
    assert done.code == 3
    assert METADATA not in done.stderr
