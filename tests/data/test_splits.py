"""Splits: the paper's support, whole groups, every case once, the same each time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from milkreport.data.cases import Card, Cases
from milkreport.data.cleaning import clean
from milkreport.data.splits import (
    Fold,
    draw_support,
    make_folds,
    proportional_support,
    refuse_straddling,
)
from milkreport.errors import DataError
from milkreport.suite.suite import Split, load_suite
from tests.data.test_milk10k import load

COUNTS = {"common": 120, "some": 40, "rare": 10}


@pytest.fixture
def cases() -> Cases:
    labels = [name for name, n in COUNTS.items() for _ in range(n)]
    ids = [f"c{i:03d}" for i in range(len(labels))]
    table = pd.DataFrame({"case_id": ids, "group_id": ids, "label": labels})
    table["group_id"] = [f"g{i // 2}" for i in range(len(labels))]  # pairs
    return Cases(table, (), (), tuple(COUNTS), Card("made", "none", "nobody"), Path())


@pytest.mark.parametrize(
    "split",
    [
        Split(kind="holdout", test_fraction=0.2, validation=0.1),
        Split(kind="kfold", folds=4, validation=0.2),
        Split(kind="support", test_support={"common": 20, "some": 6, "rare": 2}),
    ],
    ids=lambda split: split.kind,
)
def test_parts_are_whole_disjoint_complete_and_repeatable(cases: Cases, split: Split) -> None:
    folds = make_folds(cases, split)
    assert len(folds) == split.n_folds
    groups = cases.table["group_id"].to_numpy()
    for fold, again in zip(folds, make_folds(cases, split), strict=True):
        parts = fold.parts()
        assert ("validation" in parts) == (split.validation > 0)
        joined = np.concatenate(list(parts.values()))
        assert sorted(joined) == list(range(len(groups)))
        for name, positions in parts.items():
            assert (positions == again.parts()[name]).all()
            assert (np.diff(positions) > 0).all()
        of_part = [set(groups[positions]) for positions in parts.values()]
        assert sum(map(len, of_part)) == len(set(groups))
        for positions in parts.values():
            assert set(cases.table["label"].iloc[positions]) == set(COUNTS)
    if split.kind == "kfold":
        tested = np.concatenate([fold.test for fold in folds])
        assert sorted(tested) == list(range(len(groups)))
    other = make_folds(cases, split.model_copy(update={"seed": 1}))
    assert not np.array_equal(folds[0].test, other[0].test)


def test_the_papers_support_to_the_case(real_data: Path) -> None:
    suite = load_suite("paper")
    cases = clean(load(real_data), suite.data.cleaning).cases
    (fold,) = make_folds(cases, suite.split)
    assert (len(fold.train), len(fold.validation), len(fold.test)) == (4151, 0, 1038)
    counts = cases.table["label"].iloc[fold.test].value_counts().to_dict()
    assert counts == dict(suite.split.test_support)


def test_a_straddling_group_is_refused(cases: Cases) -> None:
    everyone = np.arange(len(cases.table))
    fold = Fold(0, everyone[1:], np.empty(0, np.int64), everyone[:1])  # cases 0 and 1 are a pair
    with pytest.raises(DataError, match="group g0 stands in train and test"):
        refuse_straddling(fold, cases)


def test_exact_support_is_met_around_large_groups() -> None:
    labels = np.array([0] * 9 + [1] * 6)
    groups = np.array([0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 6, 7, 8, 9, 10])
    for seed in range(20):
        wanted = np.array([4, 3])
        drawn = draw_support(labels, groups, wanted, np.random.default_rng(seed))
        assert np.bincount(labels[drawn]).tolist() == [4, 3]
        for group in np.unique(groups[drawn]):
            assert (groups == group).sum() == (groups[drawn] == group).sum()


def test_support_that_cannot_be_met_is_an_error() -> None:
    labels = groups = np.array([0, 0, 0])
    with pytest.raises(DataError, match="class melanoma of a part stays 1 cases short"):
        draw_support(labels, groups, np.array([1]), np.random.default_rng(0), classes=["melanoma"])


def test_a_class_whose_groups_all_fall_into_one_test_part_is_refused(cases: Cases) -> None:
    """Both groups that hold class a are drawn for the test part of fold 2."""
    groups = np.repeat(np.arange(7), [1, 1, 2, 4, 6, 5, 4])
    labels = np.array([*"bcbbaaabcccbbbbcbbacccb"])
    ids = [f"c{i}" for i in range(len(labels))]
    table = pd.DataFrame({"case_id": ids, "group_id": groups.astype(str), "label": labels})
    few = replace(cases, table=table, classes=("a", "b", "c"))
    with pytest.raises(DataError, match="class a has no training case in fold 2"):
        make_folds(few, Split(kind="kfold", folds=3))
    for fold in make_folds(few, Split(kind="kfold", folds=3, seed=1)):
        assert set(labels[fold.train]) == {"a", "b", "c"}


def test_groups_larger_than_a_share_leave_no_class_empty() -> None:
    labels = np.array([0] * 40 + [1] * 6)
    groups = np.array([*range(40), 40, 40, 40, 41, 41, 41])
    drawn = draw_support(labels, groups, np.array([4, 1]), np.random.default_rng(0), exact=False)
    assert np.bincount(labels[drawn]).tolist() == [4, 3]
    one_group = np.where(labels == 1, 40, groups)
    with pytest.raises(DataError, match="class 1 of a part stays 1 cases short"):
        draw_support(labels, one_group, np.array([4, 1]), np.random.default_rng(0), exact=False)


def test_proportional_support_leaves_and_takes_one() -> None:
    assert proportional_support(np.array([100, 10, 2, 1]), 0.2).tolist() == [20, 2, 1, 0]
    assert proportional_support(np.array([5189]), 0.2).tolist() == [1038]


def test_too_rare_a_class_is_named(cases: Cases) -> None:
    rare = cases.table[cases.table["label"] == "rare"].index[1:]
    thin = replace(cases, table=cases.table.drop(rare).reset_index(drop=True))
    with pytest.raises(DataError, match="class rare has 1 case, this split needs 2"):
        make_folds(thin, Split())
    with pytest.raises(DataError, match="this split needs 5"):
        make_folds(thin, Split(kind="kfold"))


def test_every_class_that_is_too_rare_is_named_at_once(cases: Cases) -> None:
    labels = cases.table["label"].copy()
    labels.iloc[:4] = "few"
    labels.iloc[4:10] = "related"
    groups = cases.table["group_id"].copy()
    groups.iloc[4:10] = "one family"
    table = cases.table.assign(label=labels, group_id=groups)
    more = replace(cases, table=table, classes=("none", "few", "related", *COUNTS))
    with pytest.raises(DataError) as caught:
        make_folds(more, Split(kind="kfold"))
    assert caught.value.what == (
        "class none has 0 cases, class few has 4 cases, class related has 6 cases in 1 group, "
        "this split needs 5 in 2 groups"
    )
    assert "drop, merge and rare in milkreport.toml" in caught.value.do


def test_fewer_groups_than_folds_are_named(cases: Cases) -> None:
    halves = cases.table.assign(group_id=["left", "right"] * (len(cases.table) // 2))
    with pytest.raises(DataError, match="2 groups of cases for 5 folds"):
        make_folds(replace(cases, table=halves), Split(kind="kfold"))


def test_a_fold_that_tests_all_cases_of_a_class_is_refused() -> None:
    """The groups of class c, of which scikit-learn puts all into the second fold's test part."""
    labels = list("caabbbbbbbcabbbcbbbbcbbababb")
    groups = "4530340455033300034404013435"
    table = pd.DataFrame({"case_id": range(28), "group_id": list(groups), "label": labels})
    cases = Cases(table, (), (), ("a", "b", "c"), Card("made", "none", "nobody"), Path())
    with pytest.raises(DataError, match=r"class c has no training case in fold 1"):
        make_folds(cases, Split(kind="kfold", folds=2))
    (fold,) = make_folds(cases, Split(kind="holdout", test_fraction=0.4))
    assert set(table["label"].iloc[fold.train]) == set(table["label"].iloc[fold.test]) == set("abc")
