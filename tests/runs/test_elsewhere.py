"""Forecasts of report RUN and of run-all: what evaluate says of the same predictions."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import milkreport
from milkreport.errors import ConfigError
from milkreport.runs.elsewhere import name_unlabelled, read_elsewhere

torch = pytest.importorskip("torch")

from milkreport.execution.executors import InProcess  # noqa: E402
from tests.fanout_tools import Memory, carry_out, small_suite  # noqa: E402

SHARES = "BCC=0.05,NV=0.6"


@pytest.fixture(scope="module")
def finished(small: Path, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("elsewhere") / "run"
    suite = small_suite()
    suite = suite.model_copy(update={"arms": suite.arms[:2]})
    executor = InProcess("cpu")
    carry_out(suite, small, out, cache, executor, Memory(), prevalence=SHARES, cases=False)
    return out


def forecasts(run: Path) -> dict[str, Any]:
    results = json.loads((run / "results.json").read_text())
    return {
        arm["name"]: next(p for p in arm["parts"] if p["part"] == "test")["beyond"]["forecast"]
        for arm in results["arms"]
    }


def test_a_run_forecasts_what_evaluate_does(finished: Path) -> None:
    found = forecasts(finished)
    positive = json.loads((finished / "results.json").read_text())["data"]["positive"]
    for arm in ("baseline", "weighted_loss"):
        (path,) = finished.glob(f"cells/{arm}/*/*/predictions.csv")
        table = pd.read_csv(path).query("split == 'test'").drop(columns="split")
        results = milkreport.evaluate(
            table.drop(columns="label"),
            table[["case_id", "label"]],
            positive=positive,
            prevalence={"BCC": 0.05, "NV": 0.6},
            classes=list(found[arm]["shares"]),
        )
        part = results.arms[0].part("test")
        assert part is not None
        assert part.beyond is not None
        forecast = part.beyond.forecast
        assert forecast is not None
        assert found[arm]["shares"] == pytest.approx(forecast.shares)
        assert found[arm]["shares"]["NV"] == pytest.approx(0.6)
        for name in ("accuracy", "sensitivity", "ppv"):
            assert found[arm]["metrics"][name]["value"] == pytest.approx(
                forecast.metrics[name].value, abs=1e-9
            )


def test_a_report_asks_for_other_shares_and_is_verified(
    finished: Path, in_process: Any, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    shutil.copytree(finished, out)
    done = in_process("report", out, "--no-pdf", "--prevalence", "BCC=0.5")
    assert done.code == 0, done.stderr
    after = forecasts(out)
    assert after["baseline"]["shares"]["BCC"] == pytest.approx(0.5)
    assert after != forecasts(finished)
    assert "At the given class shares" in (out / "report.html").read_text()
    assert in_process("verify", out).code == 0
    # Nothing else of the results moves.
    one, other = (json.loads((p / "results.json").read_text()) for p in (finished, out))
    for results in (one, other):
        results.pop("findings")
        for arm in results["arms"]:
            for part in arm["parts"]:
                if part["beyond"]:
                    part["beyond"].pop("forecast")
    assert one == other


def test_bad_shares_are_refused_before_anything_is_trained(
    small: Path, cache: Path, in_process: Any, finished: Path, tmp_path: Path
) -> None:
    watcher = Memory()
    with pytest.raises(ConfigError, match="BCCC"):
        carry_out(
            small_suite(),
            small,
            tmp_path / "new",
            cache,
            InProcess("cpu"),
            watcher,
            prevalence="BCCC=0.1",
        )
    assert watcher.begun == []
    bad = in_process("report", finished, "--no-pdf", "--prevalence", "BCCC=0.1")
    assert bad.code == 2
    assert "BCCC" in bad.stderr


def test_whose_unlabelled_predictions_they_are(tmp_path: Path) -> None:
    file = tmp_path / "u.csv"
    file.write_text("x")
    assert name_unlabelled([f"b={file}"], ["a", "b"]) == {"b": file}
    assert name_unlabelled([str(file)], ["a"]) == {"a": file}
    with pytest.raises(ConfigError, match="whose predictions"):
        name_unlabelled([str(file)], ["a", "b"])
    with pytest.raises(ConfigError, match="twice"):
        name_unlabelled([f"b={file}", f"b={file}"], ["a", "b"])
    assert not read_elsewhere("").is_asked


def test_unlabelled_predictions_of_an_arm(finished: Path, in_process: Any, tmp_path: Path) -> None:
    out = tmp_path / "run"
    shutil.copytree(finished, out)
    (path,) = out.glob("cells/baseline/*/*/predictions.csv")
    table = pd.read_csv(path).drop(columns=["split", "label"])
    many = pd.concat([table] * 3, ignore_index=True)
    many["case_id"] = [f"u{i}" for i in range(len(many))]
    many.to_csv(tmp_path / "u.csv", index=False)
    done = in_process("report", out, "--no-pdf", "--unlabelled", "baseline=u.csv")
    assert done.code == 0, done.stderr
    (said,) = json.loads((out / "results.json").read_text())["unlabelled"]
    assert (said["arm"], said["source"], said["n"]) == ("baseline", "u.csv", len(many))
    missing = in_process("report", out, "--no-pdf", "--unlabelled", "baseline=none.csv")
    assert missing.code == 3
    assert "none.csv" in missing.stderr
