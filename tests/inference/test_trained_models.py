"""Trained models after training: predict, export, import; numbers against the run's own."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import re
import socket
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from milkreport.data.adapters.milk10k import CLASSES, GROUND_TRUTH, METADATA
from milkreport.errors import DataError
from milkreport.evaluation.metrics.rules import score_archive
from milkreport.evaluation.metrics.thresholds import AWAY, find_thresholds, keep_away
from milkreport.evaluation.reading.predictions import Predictions
from milkreport.inference.find_model import find_models
from milkreport.inference.submission import check_submission, write_submission
from milkreport.inference.validation import fit_on_validation
from milkreport.training import onnx_model
from milkreport.training.saved import load_model
from tests.data.test_bad_data import only_line, rewrite

NAMES = list(CLASSES)


def saved(run: Path, arm: str = "net", seed: int = 0, fold: int = 0) -> pd.DataFrame:
    path = run / f"cells/{arm}/seed-{seed}/fold-{fold}/predictions.csv"
    return pd.read_csv(path, dtype={"case_id": str}).set_index("case_id")


def submission(path: Path) -> pd.DataFrame:
    frame = pd.read_csv(path)
    assert list(frame.columns) == ["lesion_id", *NAMES]
    return frame.set_index("lesion_id")


@pytest.fixture
def unlabelled(model_data: Path, tmp_path: Path) -> Path:
    """The run's data without their labels, as a benchmark's test part."""
    import shutil

    folder = tmp_path / "unlabelled"
    shutil.copytree(model_data, folder)
    (folder / GROUND_TRUTH).unlink()
    return folder


@pytest.mark.parametrize("arm", ["net", "logistic", "frozen"])
def test_predicting_the_runs_own_data_gives_its_saved_predictions(
    in_process, model_run: Path, unlabelled: Path, arm: str
) -> None:
    done = in_process(
        *("predict", model_run, "--arm", arm, "--seed", 1, "--fold", 1),
        *("--data", unlabelled, "--out", "s.csv"),
    )
    assert done.code == 0, done.stderr
    assert f"model: {arm}, seed 1, fold 1" in done.stderr
    found, own = submission(done.folder / "s.csv"), saved(model_run, arm, 1, 1)
    metadata = pd.read_csv(unlabelled / METADATA)
    assert found.index.tolist() == sorted(set(metadata["lesion_id"]))
    assert len(own) > 100
    near = np.abs(own[NAMES] - 0.5) < 1e-5
    assert np.abs(found.loc[own.index, NAMES] - own[NAMES])[~near].max().max() < 1e-6
    other = saved(model_run, arm, 0, 1)  # negative control: another seed or fold answers otherwise
    other = other if arm != "logistic" else saved(model_run, arm, 1, 0)
    assert np.abs(found.loc[other.index, NAMES] - other[NAMES]).max().max() > 1e-3


def test_an_ensemble_is_the_mean_of_all_finished_trainings(
    in_process, model_run: Path, unlabelled: Path
) -> None:
    done = in_process(
        *(
            "predict",
            model_run,
            "--arm",
            "net",
            "--ensemble",
            "--data",
            unlabelled,
            "--out",
            "s.csv",
        )
    )
    assert done.code == 0, done.stderr
    assert "the mean of 4" in done.stderr
    runs = [saved(model_run, "net", seed, fold)[NAMES] for seed in (0, 1) for fold in (0, 1)]
    mean = sum(runs) / 4
    found = submission(done.folder / "s.csv").loc[mean.index, NAMES]
    assert np.abs(found - mean).max().max() < 1e-6
    assert np.abs(found - runs[0]).max().max() > 1e-3


@pytest.mark.slow
def test_thresholds_of_the_validation_part_are_folded_in(
    in_process, model_run: Path, unlabelled: Path
) -> None:
    place = ("predict", model_run, "--arm", "net", "--data", unlabelled)
    done = in_process(*place, "--thresholds", "validation", "--out", "s.csv")
    assert done.code == 0, done.stderr
    assert in_process(*place, "--out", "plain.csv").code == 0
    validation = saved(model_run).query("split == 'validation'")
    truth = validation["label"].map(NAMES.index).to_numpy()
    expected = find_thresholds(truth, validation[NAMES].to_numpy())
    plain, folded = submission(done.folder / "plain.csv"), submission(done.folder / "s.csv")
    decided = folded.to_numpy() > 0.5
    assert (decided == (plain.to_numpy() > expected)).all()
    assert (decided != (plain.to_numpy() > 0.5)).any()
    assert np.abs(folded - 0.5).min().min() >= AWAY * (1 - 1e-6)
    # As the file of `thresholds --json` has them, in another order of classes.
    record = fit_on_validation(find_models(model_run, "net", 0, 0), NAMES).model_dump()
    assert record["fitted_on"] == "validation"
    record["classes"].reverse()
    (done.folder / "t.json").write_text(json.dumps(record), encoding="utf-8")
    again = in_process(*place, "--thresholds", "t.json", "--out", "again.csv")
    assert again.code == 0, again.stderr
    pd.testing.assert_frame_equal(submission(done.folder / "again.csv"), folded)


def test_an_ensembles_thresholds_are_found_on_means_of_trainings_that_held_the_case_back(
    model_run: Path,
) -> None:
    found = fit_on_validation(find_models(model_run, "net"), NAMES)
    rows = [
        saved(model_run, "net", seed, fold).query("split == 'validation'")
        for seed in (0, 1)
        for fold in (0, 1)
    ]
    pooled = pd.concat(rows)
    mean = pooled.groupby(level=0)[NAMES].mean()
    truth = pooled.groupby(level=0)["label"].first()[mean.index].map(NAMES.index).to_numpy()
    assert found.values == pytest.approx(find_thresholds(truth, mean.to_numpy()))
    assert found.n_cases == len(mean)


def test_the_submission_scores_by_the_archives_rule_as_the_saved_predictions(
    in_process, model_run: Path, unlabelled: Path
) -> None:
    done = in_process(
        *("predict", model_run, "--arm", "net", "--data", unlabelled, "--out", "s.csv")
    )
    assert done.code == 0
    test = saved(model_run).query("split == 'test'")
    found = submission(done.folder / "s.csv").loc[test.index, NAMES].to_numpy()
    truth = test["label"].map(NAMES.index).to_numpy()
    ids = test.index.to_numpy(dtype=np.str_)
    scores = [
        score_archive(Predictions(ids, truth, values, tuple(NAMES)))[0]
        for values in (found, test[NAMES].to_numpy(), np.roll(found, 1, axis=1))
    ]
    assert scores[0] == pytest.approx(scores[1], nan_ok=True)
    assert scores[0] != pytest.approx(scores[2], nan_ok=True)  # negative control
    labels = test[["label"]].rename_axis("lesion_id").reset_index()
    labels.to_csv(done.folder / "truth.csv", index=False)
    table = pd.read_csv(done.folder / "s.csv")
    table[table["lesion_id"].isin(test.index)].to_csv(done.folder / "part.csv", index=False)
    scored = in_process(
        "evaluate",
        "part.csv",
        "--truth",
        "truth.csv",
        "--rules",
        "isic",
        "--no-intervals",
        "--json",
    )
    assert scored.code == 0, scored.stderr


@given(st.lists(st.floats(0.5 - 4e-6, 0.5 + 4e-6), min_size=2, max_size=6))
def test_values_near_a_half_move_away_and_keep_their_order(values: list[float]) -> None:
    before = np.array([values, [0.0, 1.0, *([0.3] * (len(values) - 2))]])
    after = keep_away(before)
    assert (np.abs(after - 0.5) >= AWAY * (1 - 1e-9)).all()
    assert ((after > 0.5) == (before > 0.5)).all()
    assert np.abs(after - before).max() <= AWAY * (1 + 1e-6)
    order = np.argsort(before[0], kind="stable")
    assert (np.diff(after[0][order]) >= 0).all()
    assert (after[1] == before[1]).all()


def test_a_submission_is_checked_as_it_is_written(tmp_path: Path) -> None:
    path, values = tmp_path / "s.csv", np.array([[0.7, 0.3], [0.2, 0.8]])
    write_submission(path, "lesion_id", ["a", "b"], ["X", "=Y"], values)
    data = path.read_bytes()
    check_submission(data, "s.csv", "lesion_id", ["a", "b"], ["X", "=Y"])
    for spoilt in (
        data.replace(b"b,", b"c,"),
        data.replace(b"b,", b"a,"),
        data.replace(b"X,", b"Z,"),
        data + b"c,0.1,0.9\n",
        data.replace(b"0.7", b"1.7"),
        data.replace(b"0.6999", b"1.6999"),
        data.replace(data.splitlines()[2].split(b",")[1], b"0.5000001"),
    ):
        if spoilt != data:
            with pytest.raises(DataError):
                check_submission(spoilt, "s.csv", "lesion_id", ["a", "b"], ["X", "=Y"])
    with pytest.raises(DataError, match="within 1e-6"):
        write_submission(path, "lesion_id", ["a", "b"], ["X", "=Y"], values * 0 + 0.5)
    assert path.read_bytes() == data  # what was there is still there


def test_missing_values_new_categories_and_cases_without_an_image(
    in_process, model_run: Path, unlabelled: Path
) -> None:
    table = pd.read_csv(unlabelled / METADATA, dtype=str)
    first, second, third = table["lesion_id"].unique()[:3]

    def change(t: pd.DataFrame) -> pd.DataFrame:
        t.loc[t["lesion_id"] == first, "site"] = None
        t.loc[t["lesion_id"] == second, "site"] = "elbow"
        gone = (t["lesion_id"] == third) & (t["image_type"] == "dermoscopic")
        return t[~gone]

    rewrite(unlabelled / METADATA, change)
    place = ("predict", model_run, "--arm", "net", "--data", unlabelled)
    done = in_process(*place, "--out", "s.csv")
    assert done.code == 0, done.stderr
    assert re.search(r"filled as in training: .*site \d", done.stderr)
    assert re.search(
        r"site: \d values that training did not have, read as none: .*elbow \(1\)", done.stderr
    )
    told = (
        "1 lesions without one of their images: not predicted, their rows hold the classes' shares"
    )
    assert f"{told} in training: {third}" in done.stderr
    counts = load_model(model_run / "cells/net/seed-0/fold-0").card.class_counts
    prior = np.array([counts[c] for c in NAMES]) / sum(counts.values())
    found = submission(done.folder / "s.csv")
    assert found.loc[third].to_numpy() == pytest.approx(prior)
    own = saved(model_run)
    same = [i for i in own.index if i not in (first, second, third)]
    assert np.abs(found.loc[same] - own.loc[same, NAMES]).max().max() < 2e-6
    strict = in_process(*place, "--strict", "--out", "strict.csv")
    assert strict.code == 3
    assert third in only_line(strict)
    assert not (done.folder / "strict.csv").exists()


def test_images_that_cannot_be_read_are_an_error_and_leave_the_old_file(
    in_process, model_run: Path, unlabelled: Path, tmp_path: Path
) -> None:
    for path in sorted(unlabelled.rglob("*.jpg"))[:3]:
        path.unlink()
    (tmp_path / "s.csv").write_text("old", encoding="utf-8")
    done = in_process(
        *("predict", model_run, "--arm", "net", "--data", unlabelled, "--out", "s.csv")
    )
    assert done.code == 3
    assert "all 3 are listed" in only_line(done)
    assert (tmp_path / "s.csv").read_text(encoding="utf-8") == "old"


def test_a_never_predicted_class_is_told(in_process, model_run: Path, unlabelled: Path) -> None:
    done = in_process(
        *("predict", model_run, "--arm", "net", "--data", unlabelled, "--out", "s.csv")
    )
    answered = set(submission(done.folder / "s.csv").idxmax(axis=1))
    (line,) = [x for x in done.stderr.splitlines() if "never predicted" in x]
    assert line.rpartition(": ")[2].split(", ") == [c for c in NAMES if c not in answered]
    assert "a second" in done.stderr


CHOICES = {
    "no arm named": ([], 2, "several arms — choose by --arm: net, logistic, frozen"),
    "unknown arm": (["--arm", "nett"], 2, "did you mean net? arms are: net, logistic, frozen"),
    "no such seed": (["--arm", "net", "--seed", 7], 3, "with seed 7 — finished: seed 0, fold 0;"),
    "no such fold": (["--arm", "net", "--fold", 3], 3, "with fold 3"),
}


@pytest.mark.parametrize("name", CHOICES)
def test_a_wrong_choice_is_named(in_process, model_run: Path, model_data: Path, name: str) -> None:
    options, code, message = CHOICES[name]
    done = in_process("predict", model_run, *options, "--data", model_data, "--out", "s.csv")
    assert done.code == code
    assert message in only_line(done)


def test_what_is_no_trained_run_is_named(in_process, model_run: Path, tmp_path: Path) -> None:
    data = ("--data", tmp_path, "--out", "s.csv")
    assert "no such run folder" in only_line(in_process("predict", "nowhere", *data))
    folder = model_run / "cells/net/seed-0/fold-0"
    one = in_process("predict", folder, "--arm", "net", *data)
    assert one.code == 2
    assert "holds one model" in only_line(one)
    (tmp_path / "a.txt").write_text("text", encoding="utf-8")
    assert "a file, no model" in only_line(in_process("predict", "a.txt", *data))
    unfinished = tmp_path / "unfinished"
    unfinished.mkdir()
    for name in ("suite.toml", "manifest.json"):
        (unfinished / name).write_bytes((model_run / name).read_bytes())
    done = in_process("predict", unfinished, "--arm", "net", *data)
    assert done.code == 3
    assert "no training of arm net is finished" in only_line(done)
    place = in_process("predict", folder, "--data", tmp_path, "--out", tmp_path)
    assert place.code == 4
    wrong = in_process("export", model_run, "--arm", "net")
    assert wrong.code == 2
    assert "give --format" in only_line(wrong)


@pytest.mark.slow
@pytest.mark.parametrize("arm", ["net", "frozen"])
def test_onnx_answers_as_pytorch_and_takes_images(
    in_process, model_run: Path, model_data: Path, monkeypatch: pytest.MonkeyPatch, arm: str
) -> None:
    import onnx
    import onnxruntime

    def refuse(*_: object) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    done = in_process(
        *("export", model_run, "--arm", arm, "--format", "onnx", "--out", "o", "--data", model_data)
    )
    assert done.code == 0, done.stderr
    assert done.stdout == ""
    assert "torch.onnx" not in done.stderr
    data = (done.folder / "o/model.onnx").read_bytes()
    record = json.loads((done.folder / "o/model.onnx.json").read_text(encoding="utf-8"))
    assert record["onnx_sha256"] == hashlib.sha256(data).hexdigest()
    assert record["parity"]["largest_difference"] <= record["parity"]["tolerance"] == 1e-5
    assert (record["parity"]["random_cases"], record["parity"]["real_cases"]) == (16, 16)
    assert b"site-packages" not in data
    assert str(Path.cwd()).encode() not in data
    proto = onnx.load_from_string(data)
    onnx.checker.check_model(proto, full_check=True)
    (entry,) = proto.metadata_props
    model = load_model(model_run / f"cells/{arm}/seed-0/fold-0")
    assert json.loads(entry.value) == json.loads(model.card.model_dump_json())
    # By the JSON alone, as somebody without milkreport would: a case of the test part.
    from milkreport.data.prepare import prepare
    from milkreport.suite.suite import Data

    settings = Data(image_size=32, cleaning="impute", unlabelled="drop")
    prepared = prepare(model_data, settings, done.folder / "cache")
    views = list(prepared.cases.views)
    feed = {}
    for name, wanted in record["inputs"].items():
        if wanted["kind"] == "image":
            pixels = prepared.store.batch(range(9))[:, views.index(wanted["view"])]
            feed[name] = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)).astype(np.float32) / 255
        else:
            encoder = model.card.reads.encoder
            feed[name] = encoder.encode(prepared.cases.table.iloc[:9], wanted["view"])
            assert wanted["columns"] == encoder.names(wanted["view"])
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    (found,) = session.run(["probabilities"], feed)
    ids = prepared.cases.table["case_id"].iloc[:9]
    own = saved(model_run, arm)
    known = ids.isin(own.index).to_numpy()
    assert known.sum() > 5
    assert np.abs(found[known] - own.loc[ids[known], record["classes"]].to_numpy()).max() < 1e-5


@pytest.mark.slow
def test_a_translation_that_answers_otherwise_is_not_kept(
    in_process, model_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = ("export", model_run, "--arm", "net", "--format", "onnx", "--out", "o")
    assert in_process(*place).code == 0
    monkeypatch.setattr(onnx_model, "TOLERANCE", -1.0)
    done = in_process(*place)
    assert done.code == 3
    assert "differ from PyTorch's by" in only_line(done)
    assert list((done.folder / "o").iterdir()) == []


@pytest.mark.slow
def test_parity_sees_other_weights(model_run: Path) -> None:
    """Negative control of the comparison with ONNX Runtime."""
    model = load_model(model_run / "cells/net/seed-0/fold-0")
    made = onnx_model.to_onnx(model)
    whole = onnx_model.WholeNetwork(model).eval()
    inputs = onnx_model._random_inputs(whole.inputs)
    assert onnx_model._largest_difference(whole, made.data, inputs) == pytest.approx(
        made.parity.largest_difference, abs=1e-6
    )
    with torch.no_grad():
        model.network.classifier[-1].bias[0] += 0.1
    assert onnx_model._largest_difference(whole, made.data, inputs) > 10 * onnx_model.TOLERANCE


@pytest.mark.slow
@pytest.mark.parametrize("settings", [{"output": "softmax"}, {}])
def test_networks_without_columns_and_with_a_softmax_translate(
    model_run: Path, settings: dict[str, str]
) -> None:
    from milkreport.data.features import FeatureEncoder
    from milkreport.models.build import build_network
    from milkreport.suite.models import Model
    from milkreport.training.saved import SavedModel

    card = load_model(model_run / "cells/net/seed-0/fold-0").card
    reads = card.reads.model_copy(update={"image_size": 21})
    if not settings:
        reads = reads.model_copy(update={"encoder": FeatureEncoder(columns=[])})
    kind = Model(**settings, blocks=1, metadata_hidden_layers=1)
    card = card.model_copy(update={"reads": reads, "model": kind})
    network = build_network(kind, reads.shape(len(NAMES))).eval()
    made = onnx_model.to_onnx(SavedModel(card, network, None))
    kinds = [wanted.kind for wanted in made.inputs]
    assert kinds == ["image"] * 2 + (["columns"] * 2 if settings else [])


def test_a_frozen_backbone_without_weights_is_the_same_in_every_process() -> None:
    from milkreport.models.backbone import load_embedder, weights_sha256
    from milkreport.suite.models import Pretrained

    hashes = set()
    for seed in (1, 2):
        torch.manual_seed(seed)
        hashes.add(weights_sha256(load_embedder(Pretrained(backbone="resnet18", weights="none"))))
    assert len(hashes) == 1


def test_classifiers_are_copied_and_are_no_onnx(in_process, model_run: Path) -> None:
    place = ("export", model_run, "--arm", "logistic", "--out", "o", "--format")
    for kind in ("onnx", "pickle"):
        done = in_process(*place, kind)
        assert done.code == 2
        assert "classifier of scikit-learn" in only_line(done)
    assert in_process(*place, "safetensors").code == 0
    cell = model_run / "cells/logistic/seed-0/fold-0"
    for name in ("model.skops", "model.json"):
        assert (Path("o") / name).read_bytes() == (cell / name).read_bytes()
    assert in_process(*place, "tflite").code == 2


def test_a_copied_model_predicts_as_in_its_run(
    in_process, model_run: Path, unlabelled: Path
) -> None:
    assert in_process("export", model_run, "--arm", "net", "--format", "safetensors").code == 0
    copy = model_run / "export/net-seed-0-fold-0"
    done = in_process("predict", copy, "--data", unlabelled, "--out", "copy.csv")
    assert done.code == 0, done.stderr
    assert (
        in_process(
            *("predict", model_run, "--arm", "net", "--data", unlabelled, "--out", "run.csv")
        ).code
        == 0
    )
    assert Path("copy.csv").read_bytes() == Path("run.csv").read_bytes()
    lonely = in_process(
        *("predict", copy, "--thresholds", "validation", "--data", unlabelled, "--out", "t.csv")
    )
    assert lonely.code == 2
    assert "a model without its run" in only_line(lonely)


class Marked:
    """Leaves a folder when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.marker),)


@pytest.mark.slow
def test_a_pickle_goes_out_and_comes_back_as_the_same_weights(
    in_process, model_run: Path, unlabelled: Path
) -> None:
    done = in_process("export", model_run, "--arm", "net", "--format", "pickle", "--out", "o")
    assert done.code == 0, done.stderr
    assert "weights_only=True" in done.stderr
    content = torch.load(done.folder / "o/model.pt", weights_only=True)
    assert content.keys() == {"format", "card", "weights"}
    back = in_process("import-pickle", "o/model.pt", "--i-trust-this-file", "--out", "back")
    assert back.code == 0, back.stderr
    cell = model_run / "cells/net/seed-0/fold-0"
    assert Path("back/model.safetensors").read_bytes() == (cell / "model.safetensors").read_bytes()
    assert "imported from a pickle" in load_model(Path("back")).card.note
    assert in_process("predict", "back", "--data", unlabelled, "--out", "s.csv").code == 0
    found, own = submission(Path("s.csv")), saved(model_run)
    assert np.abs(found.loc[own.index] - own[NAMES]).max().max() < 2e-6
    assert in_process("export", "back", "--format", "onnx").code == 0
    full = in_process("import-pickle", "o/model.pt", "--i-trust-this-file", "--out", "back")
    assert full.code == 2
    assert "not empty" in only_line(full)


def dump(kind: str, network: torch.nn.Module) -> bytes:
    state, buffer = network.state_dict(), io.BytesIO()
    if kind == "torch.save":
        torch.save({"epoch": 3, "model_state_dict": state}, buffer)
    elif kind == "old torch.save":
        torch.save(state, buffer, _use_new_zipfile_serialization=False)
    elif kind == "pickle of tensors":
        pickle.dump(state, buffer)
    elif kind == "pickle of arrays":
        pickle.dump({name: t.numpy().astype(np.float64) for name, t in state.items()}, buffer, 2)
    elif kind == "network":
        torch.save(network, buffer)
    else:
        pickle.dump(network, buffer)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "kind",
    [
        "torch.save",
        "old torch.save",
        "pickle of tensors",
        "pickle of arrays",
        "network",
        "pickled network",
    ],
)
def test_foreign_pickles_take_the_card_of_a_model_alike(
    in_process, model_run: Path, tmp_path: Path, kind: str
) -> None:
    cell = model_run / "cells/net/seed-0/fold-0"
    (tmp_path / "m.pkl").write_bytes(dump(kind, load_model(cell).network))
    place = ("import-pickle", "m.pkl", "--i-trust-this-file")
    alone = in_process(*place, "--out", "alone")
    assert alone.code == 3
    like = (*place, "--like", model_run, "--arm", "net", "--seed", 1, "--out", "m")
    done = in_process(*like)
    if "network" in kind:
        assert done.code == 3
        line = only_line(done)
        assert "asks for milkreport.models.lesion_net.MultiModalLesionNet" in line
        assert "--execute-its-code" in line
        done = in_process(*like, "--execute-its-code")
    else:
        assert "no card" in only_line(alone)
    assert done.code == 0, done.stderr
    assert Path("m/model.safetensors").read_bytes() == (cell / "model.safetensors").read_bytes()
    card = load_model(Path("m")).card
    assert (card.arm, card.metrics, card.classes) == ("", {}, NAMES)


@pytest.mark.parametrize("by_torch", [True, False])
def test_nothing_is_executed_unless_it_is_asked_for(
    in_process, model_run: Path, tmp_path: Path, by_torch: bool
) -> None:
    marker, file = tmp_path / "marker", tmp_path / "m.pkl"
    content = {"weights": {"a": torch.zeros(1)}, "trap": Marked(marker)}
    if by_torch:
        torch.save(content, file)
    else:
        file.write_bytes(pickle.dumps(content))
    like = ("--like", model_run, "--arm", "net", "--out", "m")
    refused = in_process("import-pickle", file, *like)
    assert refused.code == 2
    assert "--i-trust-this-file" in only_line(refused)
    also = in_process("import-pickle", file, "--execute-its-code", *like)
    assert also.code == 2
    stopped = in_process("import-pickle", file, "--i-trust-this-file", *like)
    assert stopped.code == 3
    assert "asks for posix.mkdir" in only_line(stopped)
    assert not marker.exists()
    done = in_process("import-pickle", file, "--i-trust-this-file", "--execute-its-code", *like)
    assert marker.exists()  # negative control: the trap works
    assert done.code == 3
    assert "another architecture" in only_line(done)
    assert not Path("m").exists()


def test_a_card_from_a_pickle_runs_no_module_of_this_machine(
    in_process, model_run: Path, tmp_path: Path
) -> None:
    marker = tmp_path / "marker"
    (tmp_path / "trap.py").write_text(f"open({str(marker)!r}, 'w')\n", encoding="utf-8")
    card = json.loads((model_run / "cells/net/seed-0/fold-0/model.json").read_text())
    for name in ("trap:build", "timeit:timeit"):
        card["model"] = {"name": name}
        torch.save({"card": json.dumps(card), "weights": {"a": torch.zeros(1)}}, tmp_path / "m.pt")
        for more in ([], ["--execute-its-code"]):  # the pickle's code, not that of this machine
            done = in_process("import-pickle", "m.pt", "--i-trust-this-file", *more, "--out", "m")
            assert done.code == 3
            assert f"--trust-module {name}" in only_line(done)
    assert not marker.exists()


def test_help_of_the_commands_loads_no_torch() -> None:
    import subprocess
    import sys

    for command in ("predict", "export", "import-pickle"):
        code = (
            "import sys, milkreport.cli.app as c\n"
            f"try: c.app([{command!r}, '--help'], standalone_mode=False)\n"
            "finally: print([m for m in ('torch', 'onnx', 'sklearn') if m in sys.modules])"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert done.stdout.strip().splitlines()[-1] == "[]", command
