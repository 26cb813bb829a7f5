"""Human readers beside the arms: their values, their mean, and what is refused."""

from __future__ import annotations

import importlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import precision_score, recall_score

import milkreport as package
from milkreport.errors import ConfigError, DataError
from milkreport.evaluation.binary.reading_study import resample_readers
from milkreport.evaluation.intervals.closed_form import Z, share_bounds, t_quantile
from milkreport.evaluation.intervals.readers import arm_spread
from milkreport.evaluation.records.long_form import tabulate
from milkreport.reporting.sections.readers import reader_points, readers_chapter
from tests.conftest import Command

ROOT = Path(__file__).resolve().parents[2]
N = 240
RNG = np.random.default_rng(0)
Y = (RNG.random(N) < 0.35).astype(int)
P = 1 / (1 + np.exp(-(RNG.normal(size=N) + 2 * Y - 1)))
READERS = {
    name: (RNG.normal(size=N) + 1.6 * Y > cut).astype(int)
    for name, cut in (("ann", 0.5), ("bob", 0.8), ("cy", 1.3))
}


def test_readers_have_scikit_learns_values_and_the_shares_intervals() -> None:
    results = package.evaluate(np.stack([1 - P, P], 1), Y, readers=READERS)
    study = results.readers
    assert study is not None
    assert (study.n_positive, study.n_negative) == (Y.sum(), N - Y.sum())
    for reader in study.readers:
        answers = READERS[reader.name]
        values = reader.values
        assert values["sensitivity"].value == pytest.approx(recall_score(Y, answers))
        assert values["specificity"].value == pytest.approx(recall_score(1 - Y, 1 - answers))
        assert values["ppv"].value == pytest.approx(precision_score(Y, answers))
        assert values["npv"].value == pytest.approx(precision_score(1 - Y, 1 - answers))
        low, high = map(float, share_bounds((answers * Y).sum(), Y.sum()))
        assert (values["sensitivity"].low, values["sensitivity"].high) == pytest.approx((low, high))
    rows = tabulate(results, {})
    row = rows[(rows.arm == "reader bob") & (rows.metric == "operating_sensitivity")]
    assert row.value.item() == pytest.approx(recall_score(Y, READERS["bob"]))
    assert set(rows.arm) >= {"readers", "reader ann", "predictions"}
    assert [p.name for p in reader_points(results)] == list(READERS)
    assert not readers_chapter(results).is_empty
    assert readers_chapter(package.evaluate(np.stack([1 - P, P], 1), Y)).is_empty


def test_the_mean_over_readers_is_about_new_readers_too() -> None:
    results = package.evaluate(np.stack([1 - P, P], 1), Y, readers=READERS)
    study = results.readers
    assert study is not None
    shares = np.array([recall_score(Y, answers) for answers in READERS.values()])
    mean = study.mean["sensitivity"]
    assert mean.value == pytest.approx(shares.mean())
    assert mean.seed_sd == pytest.approx(shares.std(ddof=1))
    # Not narrower than the readers' spread alone makes it, with Student's t for as few of them.
    called = [answers.astype(bool) for answers in READERS.values()]
    drawn = resample_readers(Y.astype(bool), called, None, 2000)
    spread = arm_spread(shares, np.stack([d["sensitivity"] for d in drawn], axis=1))
    half = float(t_quantile(spread.df)) * np.sqrt(spread.seeds)
    assert mean.low is not None
    assert mean.value - mean.low >= half - 1e-9
    pair = {name: READERS[name] for name in ("ann", "bob")}
    two = package.evaluate(np.stack([1 - P, P], 1), Y, readers=pair)
    assert two.readers is not None
    assert two.readers.mean["sensitivity"].value == pytest.approx(shares[:2].mean())
    assert two.readers.mean["sensitivity"].low is None  # two readers may agree by luck
    notes = [note.text for note in readers_chapter(two).tables[0].footnotes]
    assert any("fewer than three readers" in text for text in notes)
    alone = package.evaluate(np.stack([1 - P, P], 1), Y, readers={"ann": READERS["ann"]}).readers
    assert alone is not None
    assert alone.mean == {}
    low, high = (
        alone.readers[0].values["sensitivity"].low,
        alone.readers[0].values["sensitivity"].high,
    )
    assert low is not None
    assert high is not None
    assert high - low < 2 * Z * 0.5 / np.sqrt(Y.sum()) + 0.01


def test_reader_files_on_the_command_line(tmp_path: Path, milkreport: Command) -> None:
    ids = [f"c{i:03d}" for i in range(N)]
    names = np.array(["benign", "malignant"])
    pd.DataFrame({"id": ids, "label": names[Y]}).to_csv(tmp_path / "truth.csv", index=False)
    model = pd.DataFrame({"id": ids, "benign": 1 - P, "malignant": P})
    model.to_csv(tmp_path / "model.csv", index=False)
    for name, answers in READERS.items():
        mixed = pd.DataFrame({"id": ids, "prediction": names[answers]}).sample(
            frac=1, random_state=0
        )
        mixed.to_csv(tmp_path / f"{name}.csv", index=False)
    given = ("evaluate", "model.csv", "--truth", "truth.csv", "--operating", "specificity=0.9")
    asked = ("--reader", "ann=ann.csv", "--reader", "bob=bob.csv")
    done = milkreport(*given, *asked, "--out", "out", "--no-pdf")
    assert done.returncode == 0, done.stderr
    assert f"{recall_score(Y, READERS['ann']):.4f}" in done.stderr
    assert "mean over readers" in done.stderr
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "Human readers" in page
    assert "reader ann" in page
    assert "--reader ann=ann.csv" in (tmp_path / "out" / "manifest.json").read_text(
        encoding="utf-8"
    )
    done = milkreport("report", "out", "--no-pdf")
    assert done.returncode == 0, done.stderr
    done = milkreport(*given, "--reader", "ann=ann.csv", "--reader", "ann=bob.csv")
    assert done.returncode == 2
    assert "names a reader twice" in done.stderr


def test_readers_who_are_none_are_refused() -> None:
    two = np.stack([1 - P, P], 1)
    with pytest.raises(ConfigError, match="probabilities instead of answers"):
        package.evaluate(two, Y, readers={"ann": two})
    with pytest.raises(DataError, match="239"):
        package.evaluate(two, Y, readers={"ann": READERS["ann"][1:]})
    three = np.random.default_rng(0).dirichlet(np.ones(3), N)
    labels = np.arange(N) % 3
    with pytest.raises(ConfigError, match="positive classes"):
        package.evaluate(three, labels, readers={"ann": labels})


def test_intervals_of_readers_hold_what_new_readers_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    """A part of scripts/simulate_readers.py; one reader's interval does not hold the mean of all."""
    monkeypatch.syspath_prepend(str(ROOT / "scripts"))
    script = importlib.import_module("simulate_readers")
    base = importlib.import_module("populations").make("middling, 2 classes, 20%")
    population = replace(base, training_noise=0.6, truths={})
    found = script.simulate(population, 300, 3, 40)
    assert found["mean sensitivity"]["covered"] >= 0.88
    assert found["mean specificity"]["covered"] >= 0.88
    assert found["one sensitivity"]["covered"] >= 0.88
    assert found["mean sensitivity"]["width"] > 1.3 * found["one sensitivity"]["width"]
