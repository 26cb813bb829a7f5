"""External test sets of runs: they change nothing that is trained, and a finished run takes another."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from milkreport.data.synthetic.write import write_synthetic
from milkreport.evaluation.records.results import Results
from milkreport.runs.cells import hash_file
from tests.conftest import call_main

pytestmark = pytest.mark.slow

QUICK = ["run-all", "quick", "--data", "data", "--no-pdf", "--set", "training.epochs=1"]
QUICK += ["--set", "data.image_size=16"]


@pytest.fixture(scope="module")
def place(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data of a study, and those of a clinic."""
    folder = tmp_path_factory.mktemp("external")
    shutil.copytree(small, folder / "data")
    write_synthetic(folder / "clinic", cases=66, seed=11, size=24)
    return folder


@pytest.fixture(scope="module")
def made(place: Path, cache: Path) -> Path:
    """Two runs: one with the external set, one without, to which it is added."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MILKREPORT_CACHE", str(cache))
        patch.setenv("MILKREPORT_WORKERS", "1")
        done = call_main([*QUICK, "--external", "clinic=clinic", "--out", "with"], place)
        assert done.returncode == 0, done.stderr
        assert call_main([*QUICK, "--out", "without"], place).returncode == 0
    return place


def load(run: Path) -> Results:
    return Results.model_validate_json((run / "results.json").read_text())


def weights(run: Path) -> dict[str, str]:
    return {
        str(path.relative_to(run)): hash_file(path)
        for pattern in ("*/*/*/*.safetensors", "*/*/*/predictions.csv", "*/*/*/history.csv")
        for path in (run / "cells").glob(pattern)
    }


def test_weights_and_internal_numbers_are_those_without_it(made: Path) -> None:
    one, other = load(made / "with"), load(made / "without")
    assert weights(made / "with") == weights(made / "without")
    assert len(weights(made / "with")) == 9
    internal = [[arm.parts for arm in results.arms] for results in (one, other)]
    assert internal[0] == internal[1]
    assert one.comparison == other.comparison
    assert (len(one.external), len(other.external)) == (1, 0)


def test_the_answers_are_those_of_predict(made: Path) -> None:
    words = ["predict", "with", "--arm", "sampler", "--data", "clinic", "--out", "p.csv"]
    done = call_main(words, made)
    assert done.returncode == 0, done.stderr
    theirs = pd.read_csv(made / "p.csv", index_col=0)
    ours = pd.read_csv(made / "with/external/clinic/sampler/seed-0/fold-0.csv", index_col=0)
    assert set(ours["split"]) == {"test"}
    columns = [c for c in ours.columns if c not in ("split", "label")]
    assert np.allclose(ours[columns], theirs.loc[ours.index, columns], atol=1e-6)
    (found,) = load(made / "with").external
    assert found.n == len(ours) == sum(found.class_counts.values())
    arm = next(arm for arm in found.arms if arm.arm == "sampler")
    accuracy = next(v for v in arm.values if v.metric == "accuracy")
    if not found.restricted:
        right = ours[columns].idxmax(axis=1) == ours["label"]
        assert accuracy.external.value == pytest.approx(right.mean())


def test_a_finished_run_takes_a_set_without_training(made: Path) -> None:
    shutil.copytree(made / "without", made / "later")
    before = weights(made / "later")
    done = call_main([*QUICK, "--external", "clinic=clinic", "--out", "later"], made)
    assert done.returncode == 0, done.stderr
    assert (done.stdout + done.stderr).count("done before") == 3
    assert "answered by 3 trainings" in done.stdout + done.stderr
    assert weights(made / "later") == before
    assert load(made / "later").external == load(made / "with").external
    command = json.loads((made / "later/manifest.json").read_text())["command"]
    assert "--external 'clinic=$EXTERNAL'" in command
    # Again: nothing is answered twice, and report finds it.
    done = call_main([*QUICK, "--external", "clinic=clinic", "--out", "later"], made)
    assert "answered by" not in done.stdout + done.stderr
    assert call_main(["report", "later", "--no-pdf"], made).returncode == 0
    assert "External test set clinic" in (made / "later/report.html").read_text()
    done = call_main(["verify", "later"], made)
    assert done.returncode == 0, done.stdout + done.stderr


def test_changed_answers_are_made_again(made: Path) -> None:
    shutil.copytree(made / "with", made / "changed")
    path = made / "changed/external/clinic/baseline/seed-0/fold-0.csv"
    before = path.read_bytes()
    path.write_bytes(before[:-20])
    done = call_main([*QUICK, "--external", "clinic=clinic", "--out", "changed"], made)
    assert "answered by 1 trainings" in done.stdout + done.stderr
    assert path.read_bytes() == before


def test_other_data_under_the_same_name_are_refused(made: Path) -> None:
    write_synthetic(made / "other", cases=66, seed=12, size=24)
    done = call_main([*QUICK, "--external", "clinic=other", "--out", "with"], made)
    assert done.returncode == 3
    assert "the run has an external set clinic of other data" in done.stderr


def test_an_unlabelled_set_is_foretold(made: Path) -> None:
    shutil.copytree(made / "clinic", made / "ward")
    (made / "ward/MILK10k_Training_GroundTruth.csv").unlink()
    shutil.copytree(made / "without", made / "foretold")
    done = call_main([*QUICK, "--external", "ward=ward", "--out", "foretold"], made)
    # As evaluate has it: too few cases tell no shares, and the run stands.
    assert done.returncode == 0, done.stderr
    results = load(made / "foretold")
    assert not results.external
    assert not results.unlabelled
    assert any("clinic" not in n and "unlabelled cases" in n for n in results.notices)


def drop_column(folder: Path) -> None:
    path = folder / "MILK10k_Training_Metadata.csv"
    rows = list(csv.reader(path.read_text().splitlines()))
    place = rows[0].index("site")
    path.write_text("\n".join(",".join(r[:place] + r[place + 1 :]) for r in rows) + "\n")


def take_an_image(folder: Path) -> None:
    """Images of the study in place of some of the clinic; some cases take no part."""
    theirs, ours = (
        sorted((root / "MILK10k_Training_Input").rglob("*.jpg"))[:20]
        for root in (folder, folder.parent / "data")
    )
    for old, new in zip(theirs, ours, strict=True):
        shutil.copy(new, old)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [(drop_column, "no column 'site'"), (take_an_image, "shares images with the data of this run")],
)
def test_what_is_no_external_set_is_refused_before_training(
    made: Path, spoil: Callable[[Path], None], said: str
) -> None:
    folder = made / spoil.__name__
    shutil.copytree(made / "clinic", folder)
    spoil(folder)
    done = call_main([*QUICK, "--external", f"x={folder.name}", "--out", "none"], made)
    assert done.returncode == 3
    assert said in done.stderr
    assert not (made / "none" / "cells").exists()


def test_the_plan_tells_what_it_costs(made: Path) -> None:
    done = call_main([*QUICK, "--external", "clinic=clinic", "--out", "plan", "--dry-run"], made)
    assert done.returncode == 0, done.stderr
    assert "external sets" in done.stdout + done.stderr
    assert "(66 cases, answered by every training)" in done.stdout + done.stderr
