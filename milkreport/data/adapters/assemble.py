"""Tables to cases: what the adapters share. All that is wrong is found before any of it is raised."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

from milkreport.columns import (
    one_hot_labels,
    plain_ages,
    read_numbers,
    refuse_blanks,
    refuse_duplicates,
)
from milkreport.data.adapters.mapped import Mapped, TextTable
from milkreport.data.adapters.multilabel import as_yes_no, combinations_remark, read_one_hot
from milkreport.data.adapters.spec import FeatureSpec, TableSpec, ViewSpec
from milkreport.data.cases import IMAGE_PREFIX, Feature
from milkreport.data.files.image_index import ImageIndex
from milkreport.data.grouping import pattern_groups
from milkreport.data.leaks import groups_alike
from milkreport.errors import DataError, DataProblems, Problem
from milkreport.tables import first_few, plural, refuse_many_classes

T = TypeVar("T")

MAX_ID = 200
_IDS = f"ids are text on one line, at most {MAX_ID} characters"
_STRICT_IDS = "ids are letters, digits, _ and -, at most 64"


@dataclass
class Assembler:
    """Maps text tables to cases as a table's settings say.

    ``id_pattern``: what an id may look like; ids of MILK10k are stricter than those of an unknown table.
    """

    spec: TableSpec
    views: Mapping[str, ViewSpec]
    features: Sequence[FeatureSpec]
    classes: Sequence[str]
    index: ImageIndex
    id_pattern: re.Pattern[str] | None = None
    problems: list[Problem] = field(default_factory=list)
    named: list[Path] = field(default_factory=list)

    def assemble(self, rows: TextTable, truth: TextTable | None) -> Mapped:
        """Map *rows*, with labels from *truth* or, where that is None, from *rows* itself.

        Raises:
            DataProblems: everything that is wrong with both tables.
        """
        spec = self.spec
        ids = [spec.case, *([spec.group] if spec.group else [])]
        self._check_ids(rows, ids)
        key = [spec.case] if spec.rows == "case" else [v.column for v in self.views.values()][:1]
        # An empty cell names nothing twice: it is no id, or a missing image.
        self._gather(refuse_duplicates, rows.frame.dropna(subset=key), key, rows.name)
        typed = self._typed(rows)
        remarks: tuple[str, ...] = ()
        if spec.rows == "image":
            self._check_views(rows)
            table, remarks = self._one_row_a_case(rows, typed)
        else:
            table = self._rows_are_cases(rows, typed)
        wanted = dict.fromkeys(spec.slices)
        slices = tuple(c for c in wanted if c in rows.frame.columns and c not in table.columns)
        for column in slices:
            table[column] = self._joined(rows, column)
        labels, classes = self._labels(rows, truth)
        if self.problems:
            raise DataProblems(self.problems)
        if spec.label and not spec.contains and labels is not None:
            remarks += combinations_remark(labels, spec.label)
        table["group_id"] = pattern_groups(table, spec, self.index.root)
        if spec.group:
            remarks += groups_alike(table["group_id"], spec.group)
        if alone := int(table["group_id"].isna().sum()):
            remarks += (
                f"{plural(alone, 'case has', 'cases have')} no {spec.group}: each is a group of its own",
            )
            table["group_id"] = table["group_id"].fillna(table.index.to_series())
        orphans = () if labels is None else tuple(sorted(set(labels.index) - set(table.index)))
        table["label"] = None if labels is None else labels.reindex(table.index)
        table = table.rename_axis("case_id").reset_index().sort_values("case_id", ignore_index=True)
        features, named = self._features(), tuple(self.named)
        return Mapped(table, features, classes, named, orphans, remarks, slices)

    def _gather(self, call: Callable[..., T], *arguments: Any) -> T | None:
        """Call, and keep what it finds wrong for later."""
        try:
            return call(*arguments)
        except DataProblems as error:
            self.problems += error.problems
        except DataError as error:
            self.problems.append(Problem("bad table", error.where, error.what, error.do))
        return None

    def _check_ids(self, rows: TextTable, columns: Sequence[str]) -> None:
        for column in columns:
            self._gather(refuse_blanks, rows.frame[column], rows.name)
            for line, cell in rows.frame[column].items():
                if cell is None and column != self.spec.case:
                    continue  # a case whose group is not known is a group of its own
                if not self._is_id(cell):
                    what = f"{str(cell or '')[:80]!r} is no id"
                    do = _STRICT_IDS if self.id_pattern else _IDS
                    where = f"{rows.name}:{line}:{column}"
                    self.problems.append(Problem("bad id", where, what, do))

    def _is_id(self, cell: object) -> bool:
        if not isinstance(cell, str) or len(cell) > MAX_ID or not cell.isprintable():
            return False
        return self.id_pattern is None or bool(self.id_pattern.fullmatch(cell))

    def _check_views(self, rows: TextTable) -> None:
        if not self.spec.view:
            return
        known = [view.value for view in self.views.values()]
        for line, cell in rows.frame[self.spec.view].items():
            if cell not in known:
                what = f"unknown view {str(cell or '')[:80]!r}"
                do = f"known: {', '.join(map(repr, known))}"
                where = f"{rows.name}:{line}:{self.spec.view}"
                self.problems.append(Problem("unknown view", where, what, do))

    def _typed(self, rows: TextTable) -> pd.DataFrame:
        """Feature columns by their own name: float64 or text, missing where the cell is empty."""
        typed = pd.DataFrame(index=rows.frame.index)
        for f in self.features:
            if f.column in typed:
                continue
            if f.kind == "categorical":
                typed[f.column] = rows.frame[f.column]
                continue
            cells = plain_ages(rows.frame[f.column]).to_frame()
            numbers = self._gather(read_numbers, cells, f.column, rows.name, *f.limits)
            typed[f.column] = float("nan") if numbers is None else numbers
        return typed

    def _one_row_a_case(
        self, rows: TextTable, typed: pd.DataFrame
    ) -> tuple[pd.DataFrame, tuple[str, ...]]:
        spec, frame = self.spec, rows.frame
        case = frame[spec.case]
        table = pd.DataFrame(index=pd.Index(sorted(set(case.dropna())), name=spec.case))
        group = frame.groupby(case)[spec.group].first() if spec.group else table.index.to_series()
        table["group_id"] = group
        remarks = []
        for f in self.features:
            if f.view != "case":
                continue
            # A case's rows repeat its values; where they differ, the value is unknown.
            grouped = typed.groupby(case)[f.column]
            agree = grouped.nunique(dropna=True) <= 1
            table[f.column] = grouped.first().where(agree)
            if not agree.all():
                named = first_few(agree.index[~agree])
                remarks.append(f"{f.column} differs between the rows of {named}: taken as missing")
        if spec.group:
            several = frame.groupby(case)[spec.group].nunique() > 1
            for name in several.index[several]:
                line = int(frame.index[case == name][0])
                what = f"case {name!r} stands in several groups"
                where = f"{rows.name}:{line}:{spec.group}"
                self.problems.append(Problem("bad group", where, what, "give it one group", name))
        for view, settings in self.views.items():
            mine = frame.index[frame[spec.view] == settings.value] if spec.view else frame.index
            paths = pd.Series(self._paths(rows, settings, mine, case[mine]), mine, dtype=object)
            # A view given twice is no view: which of the two would be meant cannot be told.
            once = mine[~case[mine].duplicated(keep=False)]
            owners = case[once]
            table[IMAGE_PREFIX + view] = pd.Series(
                paths[once].to_numpy(), index=owners.to_numpy(), dtype=object
            )
            for f in self.features:
                if f.view == view:
                    values = pd.Series(typed.loc[once, f.column].to_numpy(), owners.to_numpy())
                    table[column_name(f)] = values
        return table, tuple(remarks)

    def _joined(self, rows: TextTable, column: str) -> pd.Series[Any]:
        """What a case's rows say in *column*, different values joined by " / "; missing if none does."""
        known = rows.frame[[self.spec.case, column]].dropna()
        grouped = known.groupby(self.spec.case)[column]
        return grouped.agg(lambda cells: " / ".join(sorted(set(cells))))

    def _rows_are_cases(self, rows: TextTable, typed: pd.DataFrame) -> pd.DataFrame:
        spec, frame = self.spec, rows.frame
        columns: dict[str, Any] = {"group_id": frame[spec.group or spec.case].to_numpy()}
        for view, settings in self.views.items():
            owners = frame[spec.case]
            columns[IMAGE_PREFIX + view] = self._paths(rows, settings, frame.index, owners)
        for f in self.features:
            columns[column_name(f)] = typed[f.column].to_numpy()
        index = pd.Index(frame[spec.case].to_numpy(), name=spec.case)
        return pd.DataFrame(columns, index=index)

    def _paths(
        self, rows: TextTable, view: ViewSpec, lines: pd.Index, owners: pd.Series
    ) -> list[str | None]:
        """Absolute paths of one view's images, one a line."""
        paths: list[str | None] = []
        for line, owner in zip(lines, owners, strict=True):
            cell = rows.frame.loc[line, view.column]
            if not isinstance(cell, str):
                paths.append(None)
                continue
            try:
                if self.id_pattern and not self.id_pattern.fullmatch(cell):
                    raise DataError(f"{cell[:80]!r} is no id", _STRICT_IDS)
                name = view.path.replace("{}", cell)
                # A file that is not there keeps the path it should have, for the list of what is missing.
                path = self.index.find(name, str(owner)) or self.index.place(name)
                self.named.append(path)
                paths.append(str(path))
            except DataError as error:
                where = f"{rows.name}:{line}:{view.column}"
                problem = Problem("bad image name", where, error.what, error.do, str(owner))
                self.problems.append(problem)
                paths.append(None)
        return paths

    def _labels(
        self, rows: TextTable, truth: TextTable | None
    ) -> tuple[pd.Series[Any] | None, tuple[str, ...]]:
        """A label a case, and the classes; None where the tables hold no labels."""
        spec = self.spec
        source = truth or rows
        frame = source.frame
        is_labelled = bool(spec.one_hot or spec.label) and (truth is not None or not spec.truth)
        if is_labelled and truth is not None:
            self._check_ids(truth, [spec.case])
            self._gather(refuse_duplicates, frame, [spec.case], truth.name)
        labels = self._read_labels(source) if is_labelled else None
        if labels is None:
            return None, tuple(self.classes or spec.one_hot)
        labels.index = pd.Index(frame[spec.case])
        if truth is None and spec.rows == "image":
            grouped = labels.groupby(level=0)
            for name in grouped.nunique()[lambda n: n > 1].index:
                line = int(frame.index[frame[spec.case] == name][0])
                what = f"case {str(name)[:80]!r} has several labels"
                where = f"{source.name}:{line}"
                self.problems.append(Problem("bad label", where, what, "give it one", str(name)))
            labels = grouped.first()
        found = self.classes or spec.one_hot or sorted({str(x) for x in labels.dropna()})
        self._gather(refuse_many_classes, len(found), source.name)
        return labels[~labels.index.duplicated()], tuple(found)

    def _read_labels(self, source: TextTable) -> pd.Series[Any] | None:
        spec = self.spec
        if spec.one_hot:
            read = one_hot_labels if self.id_pattern else read_one_hot
            labels = self._gather(read, source.frame, spec.one_hot, source.name)
        elif spec.contains:
            cells, where = source.frame[spec.label], f"{source.name}:{spec.label}"
            labels = self._gather(as_yes_no, cells, spec.contains, where)
        else:
            labels = source.frame[spec.label].copy()
        for line, cell in () if labels is None else labels.dropna().items():
            if self.classes and cell not in self.classes:
                what = f"unknown class {str(cell)[:80]!r}"
                do = f"classes are: {', '.join(self.classes)}"[:400]
            elif len(cell) > MAX_ID or not cell.isprintable():
                what = f"{cell[:80]!r} is no class"
                do = f"classes are text on one line, at most {MAX_ID} characters"
            else:
                continue
            where = f"{source.name}:{line}:{spec.label or cell}"
            self.problems.append(Problem("unknown class", where, what, do))
        return labels

    def _features(self) -> tuple[Feature, ...]:
        return tuple(
            Feature(
                column=column_name(f),
                kind=f.kind,
                view=f.view,
                zscore=f.kind == "numeric" if f.zscore is None else f.zscore,
                title=f.title,
            )
            for f in self.features
        )


def column_name(feature: FeatureSpec) -> str:
    """The column of ``Cases.table``: a view's own columns carry its name."""
    return feature.column if feature.view == "case" else f"{feature.column}:{feature.view}"
