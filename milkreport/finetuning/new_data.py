"""New labelled data, fitted to what a saved model reads and to the classes that it knows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from milkreport.columns import refuse_duplicates
from milkreport.data.cases import Cases
from milkreport.data.splits import Fold, make_folds
from milkreport.errors import ConfigError, DataError, did_you_mean
from milkreport.inference.inputs import refuse_unfit
from milkreport.suite.suite import Split
from milkreport.tables import first_few, load_table
from milkreport.training.card import ModelCard


def load_map(path: Path) -> dict[str, str]:
    """A table ``new,old``: a label of the new data to a class of the model, or to nothing.

    Raises:
        DataError, DataProblems: not such a table, or a label stands there twice.
    """
    table = load_table(path, ["new", "old"])
    refuse_duplicates(table, ["new"], str(path))
    missing = table["new"].isna()
    if missing.any():
        line = table.index[missing][0]
        raise DataError("no label", "name one, or drop the row", f"{path}:{line}:new")
    old = table["old"].where(table["old"].notna(), "")
    return dict(zip(table["new"].astype(str), old.astype(str), strict=True))


@dataclass
class Conformer:
    """Makes cases of any adapter into cases of the model *card*; see :meth:`__call__`.

    ``mapping``: new labels to classes of the model, empty: dropped. What was done is kept: ``renamed`` (label
    to its class and the cases, among them labels that are classes already) and ``dropped`` (label to cases).
    """

    card: ModelCard
    mapping: Mapping[str, str]
    where: str = ""
    renamed: dict[str, tuple[str, int]] = field(default_factory=dict)
    dropped: dict[str, int] = field(default_factory=dict)

    def __call__(self, cases: Cases) -> Cases:
        """The same cases under the model's classes, in their order; views and columns that it reads alone.

        Raises:
            DataError: a label that is no class of the model, a view or column that is missing, a map of other
                labels.
        """
        return self._relabel(self._narrow(cases))

    def _narrow(self, cases: Cases) -> Cases:
        """Without the views and columns that the model does not read: a gap in them costs no case."""
        reads = self.card.reads
        numeric = {feature.column: feature.kind == "numeric" for feature in cases.features}
        refuse_unfit(cases, self.card, numeric)
        wanted = {column.column for column in reads.encoder.columns}
        unread = [f.column for f in cases.features if f.column not in wanted and f.view == "case"]
        return replace(
            cases,
            views=tuple(reads.views) if reads.images else cases.views,
            features=tuple(feature for feature in cases.features if feature.column in wanted),
            slices=(*cases.slices, *(name for name in unread if name not in cases.slices)),
        )

    def _relabel(self, cases: Cases) -> Cases:
        counts = {str(k): int(n) for k, n in cases.table["label"].value_counts().items()}
        known = [*dict.fromkeys((*counts, *cases.classes))]
        classes = self.card.classes
        do = f"classes of the model are: {first_few(classes, 30)}"
        for new, old in self.mapping.items():
            if new not in known:
                what = f"the new data have no label {new!r}"
                hint = f"{did_you_mean(new, known)} labels are: {first_few(known, 30)}"
                raise DataError(what, hint.strip(), self.where)
            if old and old not in classes:
                do = f"{did_you_mean(old, classes)} {do}".strip()
                raise DataError(f"{old!r} is no class of the model", do, self.where)
        becomes = {label: self.mapping.get(label, label) for label in counts}
        unknown = [label for label, old in becomes.items() if old and old not in classes]
        if unknown:
            listed = first_few((f"{label} ({counts[label]:,})" for label in unknown), 30)
            what = f"labels that are no class of the model, with their {cases.card.units}: {listed}"
            do += "; map them by --map FILE, a table new,old (an empty old leaves them out)"
            raise DataError(what, do, str(cases.root))
        self.dropped = {label: counts[label] for label, old in becomes.items() if not old}
        self.renamed = {label: (old, counts[label]) for label, old in becomes.items() if old}
        table = cases.table[~cases.table["label"].isin(self.dropped)].reset_index(drop=True)
        labels = table["label"].map(becomes, na_action="ignore").astype(object)
        card = replace(
            cases.card,
            positive=tuple(name for name in cases.card.positive if name in classes),
            class_titles={k: v for k, v in cases.card.class_titles.items() if k in classes},
        )
        table = table.assign(label=labels)
        return replace(cases, table=table, classes=tuple(classes), card=card)


def refuse_missing(cases: Cases, allowed: bool) -> list[str]:
    """Classes of the model that no new case has.

    Raises:
        DataError: there are some, and that is not *allowed*.
    """
    missing = [name for name, n in cases.class_counts().items() if not n]
    if missing and not allowed:
        what = (
            f"no new {cases.card.unit} is of these classes of the model: {first_few(missing, 30)}"
        )
        do = "get some, map labels to them by --map, or go on without: --allow-missing-classes"
        raise DataError(what, do, str(cases.root))
    if len(missing) > len(cases.classes) - 2:
        do = "a model cannot learn to tell one class from nothing: get cases of others"
        raise DataError("the new data have fewer than two classes", do, str(cases.root))
    return missing


def split_new(cases: Cases, split: Split, known: set[str]) -> Fold:
    """Part new cases by groups; classes without any case are passed over.

    Args:
        known: ids of cases that the model was trained or chosen on. They and their groups can only be
            trained on: a test or validation part with them would flatter the model.

    Raises:
        DataError: a class has too few cases or groups for three parts.
    """
    table = cases.table
    seen_groups = set(table.loc[table["case_id"].isin(known), "group_id"])
    is_seen = table["group_id"].isin(seen_groups).to_numpy()
    free = np.flatnonzero(~is_seen).astype(np.int64)
    counts = cases.class_counts()
    present = tuple(name for name in cases.classes if counts[name])
    rest = replace(cases, table=table.iloc[free].reset_index(drop=True), classes=present)
    for name, n in rest.class_counts().items():
        if n < 3 and counts[name] > n:
            what = f"class {name} has {counts[name]} {cases.card.units}, of which the model knows "
            what += (
                f"{counts[name] - n} from its own training: {n} are left to be parted, 3 are needed"
            )
            raise DataError(what, "get others of this class, or leave it out by --map")
    try:
        fold = make_folds(rest, split)[0]
    except DataError as error:
        do = "get more, or merge it with another class or leave it out by --map"
        raise DataError(error.what, do, "new data") from error
    seen = np.flatnonzero(is_seen).astype(np.int64)
    return Fold(
        index=0,
        train=np.sort(np.concatenate([free[fold.train], seen])),
        validation=free[fold.validation],
        test=free[fold.test],
    )


def refuse_fraction(fraction: float, validation: float) -> None:
    """Raise a ConfigError for a test part that leaves nothing to train on."""
    if not 0 < fraction < 1 - validation:
        what = f"--test-fraction {fraction:g}"
        raise ConfigError(what, f"give more than 0 and less than {1 - validation:g}")
