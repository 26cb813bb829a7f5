"""Seeded splits by group. All arms and training seeds of a suite share them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from milkreport.data.cases import Cases
from milkreport.errors import DataError
from milkreport.streams import stream, stream_seed
from milkreport.suite.suite import Split
from milkreport.tables import plural

Positions = npt.NDArray[np.int64]

#: What to do about classes that are too rare.
RARE = "drop, merge or fold such classes (drop, merge and rare in milkreport.toml), or get more"


@dataclass(frozen=True)
class Fold:
    """Positions of the cases of each part, ascending; ``validation`` may be empty."""

    index: int
    train: Positions
    validation: Positions
    test: Positions

    def parts(self) -> dict[str, Positions]:
        """The non-empty parts by name."""
        named = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: positions for name, positions in named.items() if len(positions)}


def make_folds(cases: Cases, split: Split) -> list[Fold]:
    """Part the cases as *split* says; the same cases and split always give the same folds.

    Raises:
        DataError: a class has too few cases or groups, the wanted test support cannot be drawn, or a fold
            has no case of a class to train on.
    """
    labels = np.asarray(cases.labels(), np.int64)
    groups = pd.factorize(cases.table["group_id"])[0].astype(np.int64)
    counts = np.bincount(labels, minlength=len(cases.classes))
    _refuse_shortages(cases, split)
    if split.kind == "kfold":
        if (n_groups := int(groups.max()) + 1) < split.folds:
            what = f"{n_groups:,} groups of {cases.card.units} for {split.folds} folds"
            do = "a group is tested in one fold: use fewer folds, or split.kind = holdout"
            raise DataError(what, do, "split.folds")
        # Here: it brings SciPy's statistics along, 90 MB and 2 seconds of whatever else reads data.
        from sklearn.model_selection import StratifiedGroupKFold

        # It takes seeds below 2**32 only.
        seed = stream_seed(split.seed, "folds") % 2**32
        splitter = StratifiedGroupKFold(split.folds, shuffle=True, random_state=seed)
        tests = [test for _, test in splitter.split(np.zeros(len(labels)), labels, groups)]
    else:
        if split.kind == "support":
            wanted = _wanted_support(cases, split.test_support)
        else:
            wanted = proportional_support(counts, split.test_fraction)
        exact = split.kind == "support"
        rng = stream(split.seed, "test")
        tests = [draw_support(labels, groups, wanted, rng, exact, cases.classes)]
    everyone = np.arange(len(labels), dtype=np.int64)
    folds = []
    for index, test in enumerate(tests):
        rest = np.setdiff1d(everyone, test)
        validation = np.empty(0, np.int64)
        if split.validation:
            support = proportional_support(
                np.bincount(labels[rest], minlength=len(counts)), split.validation
            )
            rng = stream(split.seed, "validation", index)
            drawn = draw_support(labels[rest], groups[rest], support, rng, False, cases.classes)
            validation = rest[drawn]
        fold = Fold(index, np.setdiff1d(rest, validation), validation, np.sort(test))
        refuse_straddling(fold, cases)
        _refuse_untrained(fold, cases, labels)
        folds.append(fold)
    return folds


def refuse_straddling(fold: Fold, cases: Cases) -> None:
    """Raise a DataError if a case or group stands in two parts of *fold*."""
    seen: dict[str, str] = {}
    groups = cases.table["group_id"].to_numpy()
    for part, positions in fold.parts().items():
        for group in set(groups[positions]):
            if group in seen:
                what = f"group {group} stands in {seen[group]} and {part} of fold {fold.index}"
                raise DataError(f"leakage: {what}", "report this as a defect")
            seen[group] = part


def _refuse_untrained(fold: Fold, cases: Cases, labels: Positions) -> None:
    """Raise a DataError for a class all of whose cases were drawn for testing or validation.

    A small class of few groups can fall so by chance: its recall would be 0 whatever is trained.
    """
    untrained = np.setdiff1d(labels, labels[fold.train])
    if len(untrained):
        names = ", ".join(f"class {cases.classes[int(c)]}" for c in untrained)
        verb, owner = ("has", "its") if len(untrained) == 1 else ("have", "their")
        what = f"{names} {verb} no training case in fold {fold.index}: "
        what += f"{owner} groups are too few or too large"
        do = f"choose another split.seed or fewer folds, or {RARE}"
        raise DataError(what, do, "split")


def draw_support(
    labels: Positions,
    groups: Positions,
    wanted: Positions,
    rng: np.random.Generator,
    exact: bool = True,
    classes: Sequence[str] = (),
) -> Positions:
    """Draw whole groups at random until class c has ``wanted[c]`` cases.

    Args:
        labels, groups: int64 of shape (n_cases,).
        wanted: int64 of shape (n_classes,).
        exact: meet the numbers to the case. Otherwise large groups may leave a class short of its
            number, but never empty.
        classes: names for the error's text; without them classes are numbered from 0.

    Returns:
        Ascending positions of the drawn cases.

    Raises:
        DataError: whole groups cannot meet the numbers.
    """
    content = np.zeros((int(groups.max()) + 1, len(wanted)), np.int64)
    np.add.at(content, (groups, labels), 1)
    order = [group for group in rng.permutation(len(content)) if content[group].any()]
    left = wanted.copy()
    drawn = np.zeros(len(content), bool)
    for group in order:
        if (content[group] <= left).all():
            left -= content[group]
            drawn[group] = True
    if not exact:
        for c in np.flatnonzero(left == wanted):
            keeps_some = (content[drawn].sum(axis=0) + content < content.sum(axis=0)).all(
                axis=1, where=content > 0
            )
            holders = [g for g in order if content[g, c] and not drawn[g] and keeps_some[g]]
            if wanted[c] and holders:
                group = min(holders, key=lambda g: int(content[g].sum()))
                left -= content[group]
                drawn[group] = True
        left = np.where(left == wanted, left, 0)
    if left.any():
        short = ", ".join(
            f"class {classes[c] if classes else c} of a part stays {left[c]} cases short"
            for c in np.flatnonzero(left > 0).tolist()
        )
        what = f"{short}: the groups are too large"
        raise DataError(what, "choose another split.seed or other numbers", "split")
    return np.flatnonzero(drawn[groups]).astype(np.int64)


def proportional_support(counts: Positions, fraction: float) -> Positions:
    """Cases a class in a part of *fraction*: largest remainder, at least 1 and leaving at least 1."""
    exact = counts * fraction
    support = np.floor(exact).astype(np.int64)
    missing = int(np.rint(exact.sum())) - int(support.sum())
    for position in np.argsort(support - exact, kind="stable")[: max(missing, 0)]:
        support[position] += 1
    support = np.clip(support, np.minimum(1, counts), np.maximum(counts - 1, 0))
    return np.asarray(support, np.int64)


def _wanted_support(cases: Cases, named: Mapping[str, int]) -> Positions:
    counts = cases.class_counts()
    unknown = sorted(set(named) - set(counts))
    if unknown:
        what = f"test_support names {', '.join(unknown)}, which the data does not have"
        raise DataError(what, f"classes are: {', '.join(counts)}", "split.test_support")
    for name, n in named.items():
        if n >= counts[name]:
            what = f"wants {n} of {counts[name]} {cases.card.units} for the test part"
            do = "leave some to train on, or use split.kind = holdout"
            raise DataError(what, do, f"split.test_support.{name}")
    return np.array([named.get(name, 0) for name in counts], np.int64)


@dataclass(frozen=True)
class Shortage:
    """A class that a split cannot hold, with its cases and the groups that they are of."""

    name: str
    n: int
    n_groups: int
    needed: int
    needed_groups: int

    def describe(self, unit: str, units: str) -> str:
        """What the class has: ``class rust has 3 leaves``, with its groups where these are too few."""
        of_groups = f" in {count_groups(self.n_groups)}" if self.n >= self.needed else ""
        return f"class {self.name} has {plural(self.n, unit, units)}{of_groups}"


def count_groups(n: int) -> str:
    """A number of groups in words: ``1 group``, ``2 groups``."""
    return plural(n, "group", "groups")


def list_shortages(cases: Cases, split: Split) -> list[Shortage]:
    """Every class that has too few cases, or is of too few groups, for *split*."""
    needed = split.folds if split.kind == "kfold" else 2
    # What is tested must be trained on too, and a group is in one part only.
    needed_groups = 2
    if split.validation:
        needed, needed_groups = needed + 1, needed_groups + 1
    counts = cases.class_counts()
    groups = cases.table.groupby("label")["group_id"].nunique()
    found = [
        Shortage(name, n, int(groups.get(name, 0)), needed, needed_groups)
        for name, n in counts.items()
    ]
    return [s for s in found if s.n < s.needed or s.n_groups < s.needed_groups]


def _refuse_shortages(cases: Cases, split: Split) -> None:
    if short := list_shortages(cases, split):
        first = short[0]
        what = ", ".join(s.describe(cases.card.unit, cases.card.units) for s in short)
        what += f", this split needs {first.needed}"
        if any(s.n >= s.needed for s in short):
            what += f" in {count_groups(first.needed_groups)}"
        raise DataError(what, RARE, "split")
