"""Arms ranked over data sets: ranks and tau against SciPy, Friedman's test by enumeration, and the report."""

from __future__ import annotations

import json
from itertools import permutations, product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import Result
from scipy.stats import friedmanchisquare, kendalltau, rankdata
from typer.testing import CliRunner

from milkreport.cli.app import app
from milkreport.errors import ConfigError, EnvironmentProblem
from milkreport.evaluation import data_sets
from milkreport.evaluation.data_sets import (
    DataSet,
    friedman_p,
    friedman_statistic,
    kendall_tau,
    rank_data_sets,
    rank_rows,
)
from milkreport.reporting.ranking_page import _share

ORDERS = [np.array(order, float) for order in permutations([1, 2, 3])]


def block(name: str, values: list[float], spread: float = 0.01, seed: int = 0) -> DataSet:
    drawn = np.array(values) + spread * np.random.default_rng(seed).normal(size=(400, len(values)))
    return DataSet(name, 100, 3, (1,) * len(values), np.array(values), drawn)


def test_ranks_and_tau_are_those_of_scipy() -> None:
    rng = np.random.default_rng(3)
    values = rng.integers(0, 4, (50, 6)).astype(float)
    assert np.array_equal(rank_rows(values), [rankdata(row) for row in values])
    found = kendall_tau(rank_rows(values[:25]), rank_rows(values[25:]))
    expected = [kendalltau(a, b).statistic for a, b in zip(values[:25], values[25:], strict=True)]
    assert found == pytest.approx(expected)
    assert kendall_tau(np.array([2.0, 2, 2]), np.array([1.0, 2, 3])) == 0


def test_the_statistic_orders_as_friedmans_and_p_comes_near_it_for_many_data_sets() -> None:
    rng = np.random.default_rng(4)
    tables = [rank_rows(rng.normal([0, 0.2, 0.3, 0.5], size=(30, 4))) for _ in range(12)]
    ours = [float(friedman_statistic(table)) for table in tables]
    theirs = [friedmanchisquare(*table.T) for table in tables]
    assert np.array_equal(np.argsort(ours), np.argsort([t.statistic for t in theirs]))
    for table, t in zip(tables[:4], theirs, strict=False):
        assert friedman_p(table) == pytest.approx(t.pvalue, abs=0.02)


def test_p_of_few_data_sets_is_the_share_of_all_arrangements() -> None:
    """Four data sets and three arms: all 6^4 tables, each as likely where arms do not differ."""
    tables = [np.array(rows) for rows in product(ORDERS, repeat=4)]
    statistics = np.array([float(friedman_statistic(table)) for table in tables])
    found = np.array([friedman_p(table) for table in tables])
    assert found == pytest.approx([(statistics >= s - 1e-9).mean() for s in statistics])
    # At each level the test rejects in no more than that share, and it does reject.
    for level in (0.01, 0.05, 0.1):
        assert 0 < (found <= level).mean() <= level
    assert found.min() == pytest.approx(1 / 216)


def test_drawn_permutations_give_the_p_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    table = np.array([ORDERS[i] for i in (0, 0, 1, 0, 2)])
    exact = friedman_p(table)
    monkeypatch.setattr(data_sets, "MOST_PERMUTATIONS", 1000)
    drawn = friedman_p(table)
    assert drawn != exact
    assert drawn == pytest.approx(exact, abs=0.03)


def test_a_ranking_by_hand() -> None:
    blocks = [
        block("one", [0.8, 0.7, 0.6]),
        block("two", [0.5, 0.6, 0.4], seed=1),
        block("three", [0.9, 0.7, 0.7], seed=2),
    ]
    found = rank_data_sets(["a", "b", "c"], blocks, "macro_f1", "higher")
    assert found.arms == ["a", "b", "c"]
    assert found.mean_ranks == pytest.approx({"a": 4 / 3, "b": 5.5 / 3, "c": 8.5 / 3})
    assert found.data_sets[2].ranks == {"a": 1, "b": 2.5, "c": 2.5}
    assert [d.first_without for d in found.data_sets] == [["a"], ["a"], ["a", "b"]]
    assert found.least_p == pytest.approx(1 / 36)
    ranks = np.array([[1, 2, 3], [2, 1, 3], [1, 2.5, 2.5]])
    assert found.p == friedman_p(ranks)
    assert sum(found.first.values()) == pytest.approx(1)
    assert found.data_sets[0].tau > 0.99  # a hundredth moves nothing that is a tenth apart
    lower = rank_data_sets(["a", "b", "c"], blocks, "log_loss", "lower")
    assert lower.arms == ["c", "b", "a"]
    two = rank_data_sets(["a", "b", "c"], blocks[:2], "macro_f1", "higher")
    assert two.p is None


def test_noise_makes_the_order_less_firm() -> None:
    firm, loose = (
        rank_data_sets(
            ["a", "b"],
            [block(str(i), [0.6, 0.5], spread, seed=i) for i in range(3)],
            "macro_f1",
            "higher",
        )
        for spread in (0.01, 0.3)
    )
    assert firm.first["a"] == 1
    assert 0.5 < loose.first["a"] < 0.8
    assert loose.low["a"] < loose.high["a"]
    assert loose.data_sets[0].tau < 0.5


def test_too_little_and_undefined_values_are_refused() -> None:
    with pytest.raises(ConfigError, match="two arms and two data sets"):
        rank_data_sets(["a", "b"], [block("one", [1, 2])], "macro_f1", "higher")
    bad = [block("one", [1, 2]), block("two", [1, np.nan])]
    with pytest.raises(ConfigError, match="macro_auc of b is undefined in two"):
        rank_data_sets(["a", "b"], bad, "macro_auc", "higher")


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three data sets of other classes, and two methods on each: evaluations in folders."""
    folder = tmp_path_factory.mktemp("data sets")
    for place, (name, k) in enumerate({"one": 2, "two": 3, "three": 4}.items()):
        rng = np.random.default_rng(place)
        truth = np.r_[np.arange(k), rng.choice(k, 60 - k)]
        classes = [f"{name}{i}" for i in range(k)]
        ids = [f"{name} {i}" for i in range(60)]
        labels = pd.DataFrame({"case_id": ids, "label": [classes[t] for t in truth]})
        labels.to_csv(folder / f"{name}.csv", index=False)
        words = ["evaluate", "--truth", str(folder / f"{name}.csv"), "--no-pdf"]
        for arm, skill in (("weak", 0.2), ("strong", 2.0)):
            scores = np.exp(rng.normal(size=(60, k)) + skill * np.eye(k)[truth])
            table = pd.DataFrame(scores / scores.sum(1, keepdims=True), columns=classes)
            table.insert(0, "case_id", ids)
            table.to_csv(folder / f"{name}-{arm}.csv", index=False)
            words.append(f"{arm}={folder / f'{name}-{arm}.csv'}")
        done = CliRunner().invoke(app, [*words, "--out", str(folder / name)])
        assert done.exit_code == 0, done.output
    return folder


def run(*words: object) -> Result:
    return CliRunner().invoke(app, ["report", *map(str, words)])


def test_runs_of_other_data_are_ranked_and_not_pooled(evaluated: Path, tmp_path: Path) -> None:
    runs = [evaluated / name for name in ("one", "two", "three")]
    done = run(*runs, "--out", tmp_path / "out", "--no-pdf")
    assert done.exit_code == 0, done.output
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["ranking.html", "ranking.json"]
    found = json.loads((tmp_path / "out" / "ranking.json").read_text())
    assert found["arms"] == ["strong", "weak"]
    for place, path in enumerate(runs):
        results = json.loads((path / "results.json").read_text())
        for arm in results["arms"]:
            (part,) = (part for part in arm["parts"] if part["part"] == "test")
            kept = found["data_sets"][place]["values"][arm["name"]]
            assert kept == pytest.approx(part["metrics"]["macro_f1"]["value"])
    said = " ".join(done.output.split())
    assert (
        "strong has the best mean rank by macro F1 over three data sets: 1.00 (1 is best, two worst)."
        in said
    )
    # Two arms and three data sets: p is never below a quarter, so nothing is concluded.
    assert found["least_p"] == 0.25
    assert "Friedman's test gives at least p = 0.250 with so few" in said
    page = (tmp_path / "out" / "ranking.html").read_text()
    assert "Nothing is pooled" in page


def test_arms_that_not_every_data_set_has_are_named(evaluated: Path, tmp_path: Path) -> None:
    words = ["evaluate", "--truth", str(evaluated / "one.csv"), "--no-pdf"]
    words += [f"{arm}={evaluated / f'one-{arm}.csv'}" for arm in ("weak", "strong")]
    words += [f"third={evaluated / 'one-weak.csv'}", "--out", str(tmp_path / "one")]
    assert CliRunner().invoke(app, words).exit_code == 0
    done = run(tmp_path / "one", evaluated / "two", "--out", tmp_path / "out", "--no-pdf")
    assert done.exit_code == 0, done.output
    found = json.loads((tmp_path / "out" / "ranking.json").read_text())
    assert found["left_out"] == ["third"]
    assert "not every data set has them: third." in " ".join(done.output.split())


def test_shares_near_the_ends_are_not_rounded_to_them() -> None:
    assert [_share(x) for x in (0, 0.0004, 0.25, 0.9995, 1)] == [
        "0%",
        "less than 1%",
        "25%",
        "more than 99%",
        "100%",
    ]


def test_what_cannot_be_ranked_is_said(evaluated: Path, tmp_path: Path) -> None:
    one, two = evaluated / "one", evaluated / "two"
    for words, said in (
        (["--arm", "weak"], "share 1 arm name with a result"),
        (["--arm", "best"], "best is not an arm of every run; in all: weak, strong"),
        (["--primary", "recall:one0"], "two: primary metric 'recall:one0': unknown class 'one0'"),
        (["--evidence", "full"], "without --evidence, --mute and --fail-on"),
    ):
        done = run(one, two, *words, "--out", tmp_path / "out")
        assert isinstance(done.exception, ConfigError)
        assert said in str(done.exception)
    assert not (tmp_path / "out").exists()
    (tmp_path / "file").write_text("kept")
    done = run(one, two, "--out", tmp_path / "file", "--no-pdf")
    assert isinstance(done.exception, EnvironmentProblem)
    assert (tmp_path / "file").read_text() == "kept"
