"""External data brought to what a study's models read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from milkreport.data.cases import Card, Cases, Feature
from milkreport.data.external import Wanted, fit
from milkreport.errors import DataError

AGE, SITE = Feature("age", "numeric"), Feature("site", "categorical")
CASES = Cases(
    table=pd.DataFrame(
        {"case_id": ["a", "b"], "group_id": ["a", "b"], "label": ["wart", "mole"]}
        | {"image:near": ["a.jpg", "b.jpg"], "image:far": ["c.jpg", "d.jpg"], "age": [1.0, 2.0]}
    ),
    views=("far", "near"),
    features=(AGE,),
    classes=("wart", "mole"),
    card=Card("clinic", "", ""),
    root=Path("clinic"),
)
WANTED = Wanted(("mole", "scar", "wart"), ("near", "far"), ["near"], True, (AGE,))


def test_classes_and_views_are_those_of_the_study_in_their_order() -> None:
    found = fit(CASES, "clinic", WANTED)
    assert found.classes == ("mole", "scar", "wart")
    assert found.views == ("near",)
    assert found.labels().tolist() == [2, 0]
    both = fit(CASES, "clinic", replace(WANTED, views=["far", "near"]))
    assert both.views == ("near", "far")


def test_a_class_that_no_training_saw_is_refused() -> None:
    with pytest.raises(DataError, match=r"classes that no training saw: wart \(1 cases\)"):
        fit(CASES, "clinic", replace(WANTED, classes=("mole", "scar")))


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (replace(WANTED, all_views=("near", "dermal"), views=["dermal"]), "the view dermal"),
        (replace(WANTED, features=(AGE, SITE)), "the column site, which it does not have"),
        (replace(WANTED, features=(Feature("age", "categorical"),)), "the column age is numeric"),
    ],
)
def test_what_the_models_read_must_be_there(wanted: Wanted, said: str) -> None:
    with pytest.raises(DataError, match=said):
        fit(CASES, "clinic", wanted)


def test_a_view_that_nobody_looks_at_may_be_missing() -> None:
    wanted = Wanted(WANTED.classes, ("near", "dermal"), ["near", "dermal"], False, (AGE,))
    assert fit(CASES, "clinic", wanted).views == ("near",)


def test_unlabelled_cases_get_a_label_that_nobody_reads() -> None:
    bare = replace(CASES, table=CASES.table.assign(label=None))
    assert fit(bare, "clinic", WANTED).table["label"].tolist() == ["mole", "mole"]
