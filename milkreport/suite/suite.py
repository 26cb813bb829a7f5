"""The experiment file: typed, validated, unknown keys refused with the nearest name.

A suite is data: the question and its primary metric are declared here, before anything is trained.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import tomli_w
from pydantic import Field, field_validator, model_validator

from milkreport.errors import ConfigError, did_you_mean
from milkreport.evaluation.metrics.named import check_margin, check_metric
from milkreport.limits import MOST_ACTIVATIONS, MOST_SEEDS, MOST_TRAININGS
from milkreport.parse import parse_toml
from milkreport.resources import resource_folder
from milkreport.suite.arms import ON_CASES, ON_LOGITS, SHARED, Arm, ArmInputs, Correction
from milkreport.suite.models import AnyModel, Classifier, Model
from milkreport.suite.sections import Data, Findings, Precision, Seed, Split, Synthetic, Training
from milkreport.suite.toml import Name, S, Section, load_toml, validate

__all__ = ["Arm", "ArmInputs", "Correction", "Data", "Model", "Split", "Suite", "Training"]
__all__ += ["Precision", "Synthetic", "build_suite", "list_suites", "load_suite"]


class Suite(Section):
    """A comparison, declared before it is run.

    ``primary_metric``: the one that is tested, by a name of :mod:`milkreport.evaluation.metrics.named`.
    ``margin``: the difference in it that does not matter; arms within it are equivalent. ``reference``:
    published figures to hold it against.
    """

    name: Name
    title: str
    question: str
    primary_metric: str
    margin: float | None = None
    seeds: Annotated[list[Seed], Field(min_length=1, max_length=MOST_SEEDS)] = [0]
    reference: str = ""
    data: Data = Data()
    split: Split = Split()
    model: AnyModel = Model()
    training: Training = Training()
    findings: Findings = Findings()
    arms: Annotated[list[Arm], Field(min_length=1, max_length=100)]

    @field_validator("primary_metric")
    @classmethod
    def _known(cls, metric: str) -> str:
        try:
            return check_metric(metric)
        except ConfigError as error:
            raise ValueError(str(error)) from error

    @model_validator(mode="after")
    def _consistent(self) -> Suite:
        if self.margin is not None:
            try:
                check_margin(self.margin, self.primary_metric)
            except ConfigError as error:
                raise ValueError(str(error)) from error
        if len(set(self.seeds)) != len(self.seeds):
            raise ValueError(f"seeds: {self.seeds} names one seed twice")
        if (n := len(self.seeds) * self.split.n_folds * len(self.arms)) > MOST_TRAININGS:
            raise ValueError(
                f"{len(self.seeds):,} seeds, {self.split.n_folds} folds and {len(self.arms)} arms are "
                f"{n:,} trainings: at most {MOST_TRAININGS:,}"
            )
        _refuse_twins([arm.name for arm in self.arms], "name", [arm.name for arm in self.arms])
        done = [json.dumps(self.recipe(arm), sort_keys=True) for arm in self.arms]
        _refuse_twins(done, "correction", [arm.correction for arm in self.arms])
        for arm in self.arms:
            self._refuse_arm(arm)
        keys = Counter(key for key, _ in flatten("", self.model_dump(mode="json")))
        if doubled := [key for key, n in keys.items() if n > 1]:  # arm a and an arm a.model
            raise ValueError(
                f"{doubled[0]} means two settings: name one of these arms without a dot"
            )
        return self

    def _refuse_arm(self, arm: Arm) -> None:
        model, training = self.model_of(arm), self.training_of(arm)
        if training.select == "best_validation" and self.split.validation == 0:
            raise ValueError(
                "training.select: best_validation needs split.validation above 0; "
                "the test part selects nothing"
            )
        if isinstance(model, Model):
            smallest = 2**model.blocks
            if self.data.image_size < smallest:
                raise ValueError(
                    f"data.image_size: {self.data.image_size} px is less than {smallest} px, the least "
                    f"that model.blocks = {model.blocks} poolings leave a pixel of"
                )
            if self.data.image_size**2 * model.hidden_units > MOST_ACTIVATIONS:
                raise ValueError(
                    f"model.hidden_units = {model.hidden_units} and data.image_size = "
                    f"{self.data.image_size}: image_size² · hidden_units is {MOST_ACTIVATIONS:,} at most"
                )
            if model.output == "softmax" and arm.correction in ON_LOGITS:
                what = f"arms.{arm.name}: {arm.correction} is defined on logits"
                raise ValueError(f"{what}, and model.output is softmax")
        if isinstance(model, Classifier):
            self._refuse_classifier(arm, model)

    def _refuse_classifier(self, arm: Arm, model: Classifier) -> None:
        where = f"arms.{arm.name}: {model.name}"
        if arm.correction not in ON_CASES:
            allowed = ", ".join(sorted(ON_CASES))
            raise ValueError(f"{where} takes the corrections {allowed}, not {arm.correction}")
        if arm.training:
            raise ValueError(
                f"{where} is not trained in epochs: leave out {next(iter(arm.training))}"
            )
        if model.backbone and not arm.inputs.images:
            raise ValueError(f"{where} has a backbone and no images to see")
        if not model.backbone and not arm.inputs.metadata:
            raise ValueError(f"{where} reads metadata alone, unless it has a backbone")

    def model_of(self, arm: Arm) -> AnyModel:
        """The arm's model: the suite's with the arm's changes, or one of the arm's own.

        Raises:
            ValueError: the arm's settings are not those of its model.
        """
        own = arm.model
        base = (
            {} if own.get("name", self.model.name) != self.model.name else self.model.model_dump()
        )
        return _resolve(_ModelHolder, {"model": base | own}, f"arms.{arm.name}").model

    def training_of(self, arm: Arm) -> Training:
        """The suite's training with the arm's changes.

        Raises:
            ValueError: not settings of a training, or such that all arms share.
        """
        for key in SHARED:
            if key in arm.training:
                raise ValueError(
                    f"arms.{arm.name}.training.{key}: the same for all arms of a suite"
                )
        if not arm.training:
            return self.training
        values = self.training.model_dump() | arm.training
        return _resolve(Training, values, f"arms.{arm.name}.training")

    def epochs(self, arm: Arm) -> int:
        """Epochs of an arm's training, at most; a classifier is fitted in one go."""
        return 1 if isinstance(self.model_of(arm), Classifier) else self.training_of(arm).epochs

    def recipe(self, arm: Arm) -> dict[str, Any]:
        """All settings that tell arms apart: equal recipes are one and the same arm."""
        return {
            "correction": arm.correction,
            "strength": arm.amount,
            "inputs": arm.inputs.model_dump(),
            "model": self.model_of(arm).model_dump(),
            "training": self.training_of(arm).model_dump(),
        }

    def arm(self, name: str) -> Arm:
        """The arm of that name."""
        return next(arm for arm in self.arms if arm.name == name)

    def with_seeds(self, n: int) -> Suite:
        """The suite with *n* seeds: its own first, then the integers that follow its largest.

        Raises:
            ConfigError: too many, or none.
        """
        if not 1 <= n <= MOST_SEEDS:
            raise ConfigError(f"--seeds {n}", f"give a number from 1 to {MOST_SEEDS:,}")
        seeds = self.seeds[:n]
        first = max(seeds) + 1
        seeds += range(first, first + n - len(seeds))
        return build_suite(self.model_dump() | {"seeds": seeds}, f"--seeds {n}")

    def with_mutes(self, mutes: Mapping[str, str]) -> Suite:
        """The suite with these findings muted as well: code to reason."""
        findings = Findings(mute=self.findings.mute | dict(mutes))
        return self.model_copy(update={"findings": findings})

    def flat(self) -> dict[str, Any]:
        """All settings as ``dotted.key -> value``; without ``findings``, which change no number."""
        return dict(flatten("", self.model_dump(mode="json", exclude={"findings"})))

    def fingerprint(self) -> str:
        """SHA-256 of the resolved settings."""
        return hashlib.sha256(json.dumps(self.flat(), sort_keys=True).encode()).hexdigest()

    def to_toml(self) -> str:
        """The resolved suite as TOML; loading it gives this suite again."""
        return tomli_w.dumps(self.model_dump(mode="json", exclude_none=True))


class _ModelHolder(Section):
    model: AnyModel


def _resolve(kind: type[S], values: dict[str, Any], where: str) -> S:
    """Validate within a validation: errors come as one ValueError."""
    try:
        return validate(kind, values, where)
    except ConfigError as error:
        raise ValueError(str(error)) from error


def _refuse_twins(keys: Sequence[str], what: str, names: Sequence[str]) -> None:
    for position, key in enumerate(keys):
        if key in keys[:position]:
            raise ValueError(
                f"arms: arm {keys.index(key) + 1} and arm {position + 1} have one "
                f"{what}, {names[position]!r}: arms must exclude one another"
            )


def list_suites() -> list[str]:
    """Names of the suites that ship with milkreport."""
    return sorted(path.stem for path in resource_folder("experiments").glob("*.toml"))


def load_suite(name_or_path: str, overrides: Sequence[str] = ()) -> Suite:
    """Read a suite by shipped name or by path to a TOML file, with ``key=value`` overrides applied.

    Raises:
        ConfigError: not found, not TOML, unknown or bad keys (all of them at once).
    """
    path = _find_suite(name_or_path)
    values = load_toml(path)
    for override in overrides:
        _apply_override(values, override)
    return build_suite(values, f"{path} with --set" if overrides else str(path))


def build_suite(values: dict[str, Any], where: str = "") -> Suite:
    """Validate *values* as a suite; *where* names their source in errors."""
    return validate(Suite, values, where)


def _find_suite(name_or_path: str) -> Path:
    if name_or_path.endswith(".toml") or "/" in name_or_path:
        path, shipped = Path(name_or_path), resource_folder("experiments") / f"{name_or_path}.toml"
        if path.is_file():
            return path
        if shipped.is_file():
            return shipped  # study/trap
        raise ConfigError("no such suite file", f"looked from {Path.cwd().name}/", name_or_path)
    names = list_suites()
    if name_or_path in names:
        return resource_folder("experiments") / f"{name_or_path}.toml"
    hint = did_you_mean(name_or_path, names, f"known suites: {', '.join(names)}")
    raise ConfigError(f"unknown suite {name_or_path!r}", hint)


def _apply_override(values: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    parts = key.strip().split(".")
    if not equals or not all(parts):
        raise ConfigError(f"--set {override}", "write --set section.key=value")
    try:
        value = parse_toml(f"value = {text.strip()}")["value"]
    except tomllib.TOMLDecodeError:
        value = text.strip()  # a bare word is a string
    except ValueError as error:
        shown = override if len(override) <= 80 else f"{override[:79]}…"
        raise ConfigError(f"--set {shown}: {error}", "give another value") from error
    target = values
    for part in parts[:-1]:
        target = target.setdefault(part, {})
        if not isinstance(target, dict):
            raise ConfigError(f"--set {override}: {part} is not a section", "name a section's key")
    target[parts[-1]] = value


def flatten(prefix: str, value: Any) -> Iterator[tuple[str, Any]]:
    """*value* as ``dotted.key, value`` pairs below *prefix*; items of a list of tables go by their name."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from flatten(f"{prefix}.{key}" if prefix else key, inner)
    elif isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        for item in value:
            yield from flatten(f"{prefix}.{item.get('name', '')}", item)
    else:
        yield prefix, value
