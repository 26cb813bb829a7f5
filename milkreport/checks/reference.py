"""Reported figures as a file: each value as printed, with all that says what it may be compared with.

A reference states published figures, or was frozen from an own run by ``milkreport reference new``; then
the run's predictions lie beside it.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated, Any, Literal

import tomli_w
from pydantic import Field, model_validator

from milkreport.checks.names import (
    nearest,
    refuse_misspelt,
    refuse_unknown,
    usual_rules,
    with_known_metrics,
)
from milkreport.checks.statements import (
    Claim,
    Comparable,
    Figure,
    Margin,
    Matrix,
    Rounding,
    Share,
    Sum,
)
from milkreport.errors import ConfigError, did_you_mean
from milkreport.evaluation.records.data import Part
from milkreport.evaluation.records.parts import Definition
from milkreport.inside import refuse_links, within
from milkreport.limits import MOST_CLASSES, MOST_PUBLISHED, MOST_SEEDS, Published
from milkreport.resources import resource_folder
from milkreport.suite.toml import Name, Section, load_toml, validate

SCHEMA_VERSION = 1
#: Where ``milkreport reference new`` puts what it freezes, below the working folder.
LOCAL = Path("references")
FILE = "reference.toml"
#: From this many cases on, a class's 95% intervals cover 93 to 97% (docs/statistics.md).
MIN_SUPPORT = 50


class Rule(Section):
    """How the source computes a metric; a run's value is compared where it says the same.

    The words are those of a run's ``results.json`` (listed in ``docs/metrics.md``).
    """

    metric: str
    decision: str
    averaging: str
    zero_division: str
    better: Literal["higher", "lower"] = "higher"

    def unlike(self, definition: Definition) -> str:
        """Where a run's definition differs from this one, in words; empty where it does not."""
        return "; ".join(
            f"{key.replace('_', ' ')} is {getattr(definition, key)!r} here, "
            f"{getattr(self, key)!r} in the reference"
            for key in ("decision", "averaging", "zero_division", "better")
            if getattr(definition, key) != getattr(self, key)
        )


class Arm(Section):
    """An arm as the source describes it; ``correction``: what it does about imbalance, if anything."""

    name: str
    title: str
    correction: str = "none"


class Change(Section):
    """One freezing of a reference: when, and why."""

    created: str
    reason: str


class Frozen(Section):
    """What a frozen reference was made from; its predictions lie in the folder beside it.

    ``settings``, ``data`` and ``milkreport`` with ``environment`` say what must agree for a repetition to be
    the same to the bit; hashes, no paths.
    """

    suite: str
    settings: str
    data: str
    milkreport: str
    environment: dict[str, str]
    synthetic: bool
    history: Annotated[list[Change], Field(min_length=1)]


class Reference(Section):
    """All figures of one source, with what a run must share to be compared with them.

    ``support``: cases per class. ``mean_over``: folds or runs that the figures of a part are means over, 1
    for a single test; absent where the source does not say. ``primary``: the metric that the verdict
    follows, or ``metric:class``; without one the first that can be compared. ``protocol``: suite settings,
    dotted, that must agree. ``min_seeds``: trainings per arm that a verdict asks for. ``min_support``: cases
    of a class below which there is no verdict.
    """

    schema_version: Literal[1] = 1
    name: Name
    title: str
    source: str
    data: str
    classes: Annotated[list[str], Field(min_length=2, max_length=MOST_CLASSES)]
    split: str
    comparable: Comparable = "same split rule"
    rounding: Rounding
    n: dict[Part, Annotated[Published, Field(gt=0)]] = {}
    support: dict[Part, dict[str, Published]] = {}
    mean_over: dict[Part, Annotated[int, Field(ge=1, le=MOST_SEEDS)]] = {}
    margin: Margin
    margin_reason: Annotated[str, Field(min_length=1)]
    primary: str = ""
    min_seeds: Annotated[int, Field(ge=1, le=MOST_SEEDS)] = 1
    min_support: Annotated[int, Field(ge=1, le=MOST_PUBLISHED)] = MIN_SUPPORT
    protocol: dict[str, Any] = {}
    rules: list[Rule] = []
    arms: list[Arm] = []
    figures: Annotated[list[Figure], Field(min_length=1)]
    repeats: list[Figure] = []  # printed once more, perhaps with other digits: audited alone
    matrices: list[Matrix] = []
    sums: list[Sum] = []
    shares: list[Share] = []
    claims: list[Claim] = []
    frozen: Frozen | None = None

    @model_validator(mode="before")
    @classmethod
    def _by_known_names(cls, values: Any) -> Any:
        return usual_rules(with_known_metrics(values)) if isinstance(values, dict) else values

    @model_validator(mode="after")
    def _complete(self) -> Reference:
        if again := [c for c, n in Counter(self.classes).items() if n > 1]:
            raise ValueError(f"classes: {again[0]} stands twice; give each class a name of its own")
        known = {rule.metric for rule in self.rules}
        for figure in self.figures:
            refuse_misspelt(figure.metric, figure.class_name)
            if figure.metric not in known:
                what = f"metric {figure.metric} has no entry in rules: add one, or name one of them"
                raise ValueError(f"{what}; {nearest(figure.metric, known)}")
            if figure.class_name:
                refuse_unknown(figure.class_name, self.classes, "class_name")
        self._refuse_unknown_arms()
        names = {f"{f.metric}:{f.class_name}" if f.class_name else f.metric for f in self.figures}
        if self.primary and self.primary not in names:
            what = f"primary {self.primary} has no figure"
            raise ValueError(f"{what}; {nearest(self.primary, names)}")
        twice = [key for key, n in Counter(f.key for f in self.figures).items() if n > 1]
        if twice:
            raise ValueError(f"two figures of {', '.join(filter(None, twice[0]))}")
        for matrix in self.matrices:
            if (n := sum(map(sum, matrix.rows))) > MOST_PUBLISHED:
                what = f"the matrix of {matrix.arm} ({matrix.part}) holds {n:,} cases"
                raise ValueError(f"matrices: {what}: from 0 to {MOST_PUBLISHED:,}")
        for part, counts in self.support.items():
            if unknown := set(counts) - set(self.classes):
                name = sorted(unknown)[0]
                what = f"support.{part}: {name} is not one of the classes"
                raise ValueError(f"{what}; {nearest(name, self.classes)}")
        return self

    def _refuse_unknown_arms(self) -> None:
        """Arms are those declared; where none is, those that have a figure."""
        declared = [arm.name for arm in self.arms]
        for what, entries in (("figures", self.figures), ("repeats", self.repeats)):
            for entry in entries:
                refuse_unknown(entry.arm, declared, f"{what}: arm")
        declared = declared or list(dict.fromkeys(figure.arm for figure in self.figures))
        for matrix in self.matrices:
            refuse_unknown(matrix.arm, declared, "matrices: arm")
        for claim in self.claims:
            refuse_misspelt(claim.metric, claim.class_name)
            if claim.class_name:
                refuse_unknown(claim.class_name, self.classes, "claims: class_name")
            for arm in (claim.arm, *claim.than):
                refuse_unknown(arm, declared, "claims: arm")

    def rule(self, metric: str) -> Rule:
        """How *metric* is computed; every figure has a rule."""
        return next(rule for rule in self.rules if rule.metric == metric)

    def margin_of(self, figure: Figure) -> tuple[float, str]:
        """The loss that counts as tolerable, and why."""
        if figure.margin is None:
            return self.margin, self.margin_reason
        return figure.margin, figure.margin_reason or self.margin_reason

    def title_of(self, arm: str) -> str:
        """An arm as the source calls it."""
        return next((a.title for a in self.arms if a.name == arm), arm)


def list_references() -> list[str]:
    """Names of the references that ship with milkreport, and of those frozen below the working folder."""
    return sorted(shipped_references() | {p.parent.name for p in LOCAL.glob(f"*/{FILE}")})


def shipped_references() -> set[str]:
    """Names of the references that ship with milkreport; no own one may have them."""
    return {p.stem for p in (resource_folder("experiments") / "references").glob("*.toml")}


def find_reference(name_or_path: str) -> Path:
    """The file of a reference: by name (shipped, or frozen below the working folder), by file or folder.

    Raises:
        ConfigError: there is none. DataError: a link lies in its folder.
    """
    path = Path(name_or_path)
    if (path / FILE).is_file():
        refuse_links(path)
        return path / FILE
    if name_or_path.endswith(".toml"):
        if not path.is_file():
            raise ConfigError("no such reference file", where=name_or_path)
        return path
    if name_or_path in shipped_references():
        return resource_folder("experiments") / "references" / f"{name_or_path}.toml"
    known = list_references()
    if name_or_path in known:
        folder = within(LOCAL, name_or_path)
        refuse_links(folder)
        return folder / FILE
    if path.is_dir():
        do = "give a reference's name, its .toml file, or a finished run"
        raise ConfigError("holds neither a run nor a reference", do, name_or_path)
    hint = did_you_mean(name_or_path, known, f"known: {', '.join(known)}")
    raise ConfigError(f"unknown reference {name_or_path!r}", hint)


def load_reference(name_or_path: str) -> Reference:
    """Read a reference; see :func:`find_reference`.

    Raises:
        ConfigError: not found, not TOML, or not a reference: all that is wrong with it.
    """
    path = find_reference(name_or_path)
    return validate(Reference, load_toml(path), str(path))


def as_toml(reference: Reference) -> str:
    """The reference as a TOML file that reads back the same."""
    values = reference.model_dump(mode="json", exclude_defaults=True, exclude_none=True)
    return tomli_w.dumps({"schema_version": SCHEMA_VERSION} | values)
