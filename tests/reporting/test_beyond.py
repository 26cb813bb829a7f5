"""The section "Beyond this test part", from the command line to the page, and what verify makes of it."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import milkreport
from milkreport.evaluation.records.results import Results
from milkreport.reporting.beyond import build_beyond
from tests.conftest import call_main

CLASSES = ["MEL", "NV", "BCC"]


def write_tables(folder: Path, n: int = 240) -> None:
    """Labelled predictions of two models, and predictions of two clinics."""
    rng = np.random.default_rng(0)
    for name, size, shares in (("truth", n, [0.2, 0.5, 0.3]), ("clinic", 200, [0.5, 0.2, 0.3])):
        truth = rng.choice(3, size, p=shares)
        ids = [f"{name[0]}{i}" for i in range(size)]
        if name == "truth":
            labels = {"case_id": ids, "label": np.array(CLASSES)[truth]}
            pd.DataFrame(labels).to_csv(folder / "truth.csv", index=False)
        for model in ("one", "two"):
            logits = 1.5 * np.eye(3)[truth] + rng.normal(size=(size, 3))
            values = np.exp(logits if name == "truth" or model == "one" else logits / 3)
            frame = pd.DataFrame(values / values.sum(axis=1, keepdims=True), columns=CLASSES)
            frame.insert(0, "case_id", ids)
            frame.to_csv(folder / (f"{model}.csv" if name == "truth" else f"{name}_{model}.csv"))
    pd.DataFrame({"class": CLASSES, "count": [10, 170, 20]}).to_csv(folder / "shares.csv")


ASKED = [
    *("evaluate", "one.csv", "two.csv", "--truth", "truth.csv", "--positive", "MEL"),
    *("--prevalence", "shares.csv", "--unlabelled", "one=clinic_one.csv"),
    *("--unlabelled", "two=clinic_two.csv"),
]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("beyond")
    write_tables(folder)
    done = call_main([*ASKED, "--out", "out", "--no-pdf"], folder)
    assert done.returncode == 0, done.stderr
    return folder


def section(page: str) -> str:
    """The section's text."""
    found = re.search(r'<section id="beyond".*?</section>', page, re.DOTALL)
    assert found is not None
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", found.group()))


def test_the_page_prints_what_the_records_hold(made: Path) -> None:
    results = Results.model_validate_json((made / "out/results.json").read_text())
    text = section((made / "out/report.html").read_text())
    beyond = results.arms[0].parts[0].beyond
    assert f"{beyond.abstention.aurc.value:.3f}" in text
    assert f"{beyond.forecast.missed.value:.1f}" in text
    assert f"{beyond.forecast.metrics['ppv'].low:.3f}" in text
    assert "counted in 200 cases" in text
    assert "This section assumes" in text
    one, two = results.unlabelled
    assert one.forecast is not None
    assert "estimated by expectation maximisation" in text
    assert two.refused
    assert f"no forecast, because {two.refused[:40]}" in text


def test_verify_computes_all_of_it_again_but_for_the_unlabelled(made: Path) -> None:
    done = call_main(["verify", "out"], made)
    assert done.returncode == 0, done.stdout + done.stderr
    file = made / "out/results.json"
    kept = file.read_bytes()
    record = json.loads(kept)
    forecast = record["arms"][0]["parts"][0]["beyond"]["forecast"]
    forecast["missed"]["value"] += 1
    file.write_text(json.dumps(record))
    changed = call_main(["verify", "out"], made)
    file.write_bytes(kept)
    assert changed.returncode == 1
    assert "forecast.missed.value" in changed.stderr


def test_the_same_command_is_recorded_without_paths(made: Path) -> None:
    command = json.loads((made / "out/manifest.json").read_text())["command"]
    assert "--prevalence shares.csv" in command
    assert "--unlabelled one=clinic_one.csv --unlabelled two=clinic_two.csv" in command


def test_the_terminal_shows_forecasts_and_why_there_is_none(made: Path) -> None:
    done = call_main(ASKED, made)
    assert done.returncode == 0, done.stderr
    results = Results.model_validate_json((made / "out/results.json").read_text())
    found = results.arms[1].parts[0].beyond.forecast
    assert "at the given class shares" in done.stderr
    line = next(row for row in done.stderr.split("two at the")[1].splitlines() if "Missed" in row)
    assert f"{found.missed.value:.1f}" in line
    assert f"{found.missed.low:.1f} to {found.missed.high:.1f}" in line
    assert f"no forecast, {results.unlabelled[1].refused[:30]}" in done.stderr


@pytest.mark.parametrize(
    ("words", "said", "code"),
    [
        (["--prevalence", "WART=0.1"], "WART is not a class", 2),
        (["--prevalence", "MEL=0.9,NV=0.9"], "the shares sum to 1.8", 2),
        (["--prevalence", "nowhere.csv"], "no such file", 3),
        (["--unlabelled", "three=clinic_one.csv"], "three is not a name of predictions", 2),
        (["--unlabelled", "one=truth.csv"], "truth.csv", 3),
    ],
)
def test_bad_input_is_one_line(made: Path, words: list[str], said: str, code: int) -> None:
    done = call_main([*ASKED[:5], *words], made)
    assert done.returncode == code
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_hard_labels_and_older_results_have_no_section() -> None:
    truth = pd.DataFrame({"case_id": ["a", "b", "c", "d"], "label": ["x", "y", "x", "y"]})
    hard = pd.DataFrame({"case_id": ["a", "b", "c", "d"], "prediction": ["x", "y", "y", "y"]})
    results = milkreport.evaluate(hard, truth)
    assert build_beyond(results) is None


@pytest.mark.slow
def test_three_arms_of_5240_cases_take_less_than_ten_seconds() -> None:
    from milkreport.evaluation.beyond.conformal import find_sets
    from milkreport.evaluation.beyond.describe import describe_beyond
    from milkreport.evaluation.beyond.shares import ClassShares
    from milkreport.evaluation.metrics.measures import Plan
    from milkreport.evaluation.pooled_predictions import PooledPredictions
    from milkreport.evaluation.reading.predictions import Predictions

    rng = np.random.default_rng(0)
    truth = rng.choice(11, 5240)
    names = tuple("abcdefghijk")
    shares = ClassShares((("a", 0.3),), 500)
    begun = time.process_time()
    for seed in range(3):
        logits = 2 * np.eye(11)[truth] + np.random.default_rng(seed).normal(size=(5240, 11))
        values = np.exp(logits)
        ids = np.arange(5240).astype(str)
        p = Predictions(ids, truth, values / values.sum(axis=1, keepdims=True), names)
        sets = find_sets({(0, 0): p}, {0: p}, {}, None)
        pool = PooledPredictions("test", {0: p}, 1, draws={0: None}, sets=sets)  # type: ignore[dict-item]
        assert describe_beyond(pool, Plan(shares=shares), None) is not None
    assert time.process_time() - begun < 10
