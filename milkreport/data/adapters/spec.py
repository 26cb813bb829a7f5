"""What a data set says of itself: a small TOML file, ``milkreport.toml``, beside its tables.

The file maps the columns of any table to the words of :class:`milkreport.data.cases.Cases`;
``milkreport data init DIR`` writes a first one. The MILK10k adapter fills the same form in code.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from milkreport.data.cases import IMAGE_PREFIX
from milkreport.data.patterns import compile_pattern
from milkreport.limits import MOST_CLASSES, MOST_COLUMNS, MOST_VIEWS
from milkreport.suite.toml import Name, Section, load_toml, validate

SPEC_NAME = "milkreport.toml"

#: Columns that as a rule were written down when the diagnosis was known. A feature of such a name is
#: refused unless ``allow_leaky`` names it.
LEAKY = re.compile(
    r"diagnos|\bdx|(^|_)dx($|_)|histo(?!r)|patholog|biops|malignan|benign|confirm|invasi|thickness|"
    r"ground_?truth|(^|_)(label|target|gt)s?($|_)|^class(es)?$|melanocytic|prognos|outcome",
    re.IGNORECASE,
)

#: Columns of :class:`milkreport.data.cases.Cases` that no feature may replace.
RESERVED = frozenset({"case_id", "group_id", "label"})

Text = Annotated[str, Field(min_length=1, max_length=200)]


def _has_one_bracket(pattern: str) -> str:
    if pattern and compile_pattern(pattern).groups != 1:
        raise ValueError("needs exactly one bracketed part, which is the group")
    return pattern


Pattern = Annotated[str, Field(max_length=1000), AfterValidator(_has_one_bracket)]


class ViewSpec(Section):
    """Where one view's images are named.

    ``column``: its cells are a path below the data's folder, a file name, or a file name without its
    suffix. ``path``: a pattern around the cell, ``"images/{}.jpg"``. ``value``: for tables of one row an
    image, what the view column holds for this view.
    """

    column: Text
    path: str = "{}"
    value: str = ""

    @field_validator("path")
    @classmethod
    def _has_a_place(cls, value: str) -> str:
        if value.count("{}") != 1:
            raise ValueError("must hold {} once, where the cell goes")
        return value


class FeatureSpec(Section):
    """One column that the network may read; see :class:`milkreport.data.cases.Feature`."""

    column: Text
    kind: Literal["numeric", "categorical"]
    view: str = "case"
    zscore: bool | None = None  # None: numeric columns are standardised
    low: float | None = None
    high: float | None = None
    title: str = ""

    @property
    def limits(self) -> tuple[float, float]:
        """Lowest and highest number that a cell may hold."""
        low, high = self.low, self.high
        return -math.inf if low is None else low, math.inf if high is None else high


class TableSpec(Section):
    """The table: ``rows`` says whether a row is a case or an image of one.

    Labels stand in a ``label`` column or in ``one_hot`` columns, of this table or of a second one,
    ``truth``, joined by the ``case`` column. ``group``: cases that must stay together (a patient's);
    without it each case is a group of its own. ``group_pattern``: a regular expression (of RE2) whose one
    bracket is the group, searched in the cells of ``group``, or, without it, in the ids. ``group_path``: one
    that is searched in the path of a case's first image, from the data's folder.
    ``contains``: where cells of ``label`` name several labels, the one of which they become yes or no.
    ``slices``: columns that are no input and tell subgroups
    apart in the report.
    """

    file: Text
    rows: Literal["case", "image"] = "case"
    case: Text
    group: str = ""
    group_pattern: Pattern = ""
    group_path: Pattern = ""
    view: str = ""
    label: str = ""
    contains: str = ""
    one_hot: Annotated[list[Text], Field(max_length=MOST_CLASSES)] = []
    truth: str = ""
    slices: Annotated[list[Text], Field(max_length=MOST_COLUMNS)] = []

    @model_validator(mode="after")
    def _consistent(self) -> TableSpec:
        if self.label and self.one_hot:
            raise ValueError("give label, or one_hot, not both")
        if self.group_path and (self.group or self.group_pattern):
            raise ValueError("group_path stands alone: give it, or group and group_pattern")
        if self.contains and not self.label:
            raise ValueError("contains needs label, whose cells name several labels")
        if len(set(self.one_hot)) != len(self.one_hot):
            raise ValueError("one_hot names a column twice")
        if self.view and self.rows == "case":
            raise ValueError('a view column belongs to rows = "image"')
        return self


class FolderSpec(Section):
    """One sub-folder a class. ``group``: a regular expression (of RE2) over the path of an image below its
    class folder, whose first bracketed part is the group (``"(PAT_[0-9]+)_"``). ``labelled``: false, if the
    folders are no classes and nothing tells the label; then it is a path below the data's folder."""

    group: Pattern = ""
    labelled: bool = True


class RareSpec(Section):
    """Classes of fewer than ``below`` cases become one, ``into``."""

    below: Annotated[int, Field(ge=2, le=1_000_000)]
    into: Text


#: What a description of MILK10k may say; the rest is known.
_OF_KNOWN_DATA = {"adapter", "root", "name", "truth", "notes", "drop", "merge", "rare"}


class DataSpec(Section):
    """A data set's own description.

    ``root``: where its files lie, relative to the TOML. ``classes``: the table's labels in the report's
    order, with titles; empty: those found, sorted. ``drop``: labels whose cases are left out. ``merge``: a
    class's name to the labels that become it. ``rare``: what classes of few cases become, after ``drop`` and
    ``merge``. ``positive``: the classes that count as disease. ``banned``: columns that are no features.
    ``truth``: of adapter ``milk10k``, which table holds the labels.
    """

    adapter: Literal["table", "folder", "milk10k"]
    root: str = "."
    name: Text
    licence: str = "not stated"
    attribution: str = "not stated"
    unit: Text = "case"
    units: Text = "cases"
    synthetic: bool = False
    notes: list[str] = []
    classes: Annotated[dict[Text, str], Field(max_length=MOST_CLASSES)] = {}
    drop: Annotated[list[Text], Field(max_length=MOST_CLASSES)] = []
    merge: Annotated[dict[Text, list[Text]], Field(max_length=MOST_CLASSES)] = {}
    rare: RareSpec | None = None
    positive: list[str] = []
    banned: list[str] = []
    allow_leaky: list[str] = []
    truth: str = ""
    table: TableSpec | None = None
    folder: FolderSpec = FolderSpec()
    views: Annotated[dict[Name, ViewSpec], Field(max_length=MOST_VIEWS)] = {}
    features: Annotated[list[FeatureSpec], Field(max_length=MOST_COLUMNS)] = []

    @property
    def known_labels(self) -> list[str]:
        """Labels that the data may hold, in the order of the classes; empty: any."""
        return list(dict.fromkeys([*self.classes, *self.drop])) if self.classes else []

    def fingerprint(self) -> str:
        """SHA-256 of what decides on cases, labels and inputs; names, titles and notes do not."""
        said = {"root", "name", "licence", "attribution", "unit", "units", "synthetic", "notes"}
        unused = {"positive", "banned", "allow_leaky"}
        settings = self.model_dump(
            exclude={
                **dict.fromkeys(said | unused, True),
                "table": {"slices"},
                "features": {"__all__": {"title"}},
            }
        )
        settings["classes"] = list(self.classes)
        # Keys that 0.1 did not have count only where they are set: its runs go on.
        for name in ("drop", "rare", "truth"):
            if not settings[name]:
                del settings[name]
        if settings["folder"]["labelled"]:
            del settings["folder"]["labelled"]
        for name in ("group_pattern", "group_path", "contains"):
            if settings["table"] and not settings["table"][name]:
                del settings["table"][name]
        return hashlib.sha256(json.dumps(settings).encode()).hexdigest()

    @model_validator(mode="after")
    def _consistent(self) -> DataSpec:
        if problems := [
            *self._class_problems(),
            *self._layout_problems(),
            *self._feature_problems(),
        ]:
            raise ValueError("; ".join(problems))
        return self

    def _class_problems(self) -> Iterator[str]:
        merged = [label for labels in self.merge.values() for label in labels]
        if len(set(merged)) != len(merged):
            yield "merge: a label can become one class only"
        if self.classes and (others := sorted(set(merged) - set(self.classes))):
            yield f"merge: {', '.join(others)} is none of the classes"
        if both := sorted(set(self.drop) & set(merged)):
            yield f"{', '.join(both)} stands in drop and in merge"
        into = {self.rare.into} if self.rare else set()
        known = {*self.classes, *self.merge, *into} if self.classes else set(self.positive)
        if unknown := set(self.positive) - known:
            yield f"positive: {', '.join(sorted(unknown))} is no class"

    def _layout_problems(self) -> Iterator[str]:
        if self.adapter == "milk10k":
            if others := sorted(self.model_fields_set - _OF_KNOWN_DATA):
                yield f"adapter milk10k has no {', '.join(others)}: its tables say it"
            return
        if self.truth:
            yield "truth belongs to adapter milk10k; a table has table.truth"
        if self.adapter == "folder":
            if self.table or self.views or self.features:
                yield "adapter folder has no table, views or features"
            return
        if self.table is None or not self.views:
            yield "adapter table needs [table] and at least one [views.NAME]"
        if "case" in self.views:
            yield "views: a view can't be called case"
        if any("." in name for name in self.views):
            yield "views: a view's name can't hold a dot"
        if self.table and self.table.rows == "image" and len(self.views) > 1:
            if not self.table.view:
                yield "table.view: which column tells the views apart?"
            values = [view.value for view in self.views.values()]
            if "" in values or len(set(values)) != len(values):
                yield "views: each needs a value of its own in the view column"

    def _feature_problems(self) -> Iterator[str]:
        not_inputs = {view.column for view in self.views.values()}
        if table := self.table:
            not_inputs |= {table.case, table.group, table.label, table.view, *table.one_hot}
        for column in table.slices if table else []:
            if table and column == table.case:
                yield f"table.slices: {column} is the id of a case: it tells no subgroups apart"
            elif column in RESERVED or column.startswith(IMAGE_PREFIX):
                yield f"table.slices: {column} is a name of milkreport's own: rename the column"
        seen = set()
        kinds: dict[str, str] = {}
        for feature in self.features:
            where = f"features: {feature.column}"
            if (kind := kinds.setdefault(feature.column, feature.kind)) != feature.kind:
                yield f"{where} is both {kind} and {feature.kind}"
            if (feature.column, feature.view) in seen:
                yield f"{where} stands there twice"
            seen.add((feature.column, feature.view))
            if feature.view not in ("case", *self.views):
                yield f"{where}: no view {feature.view!r}"
            if feature.column in not_inputs:
                yield f"{where} is an id, an image or the label: it can't be an input"
            elif feature.column in self.banned:
                yield f"{where} is banned: it gives the label away"
            elif LEAKY.search(feature.column) and feature.column not in self.allow_leaky:
                yield (
                    f"{where} looks as if it gave the label away: drop it, or, if it was known before "
                    f"the diagnosis, name it in allow_leaky"
                )
            elif feature.column in RESERVED or feature.column.startswith(IMAGE_PREFIX):
                yield f"{where} is a name of milkreport's own: rename the column"


def load_spec(path: Path) -> DataSpec:
    """Read a data set's description.

    Raises:
        ConfigError: not TOML, unknown or bad keys, or a feature that gives the label away.
    """
    return validate(DataSpec, load_toml(path), str(path))
