"""The experiment file: typed, validated, unknown keys refused with the nearest name.

A suite is data: the question and its primary metric are declared here, before anything is trained.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import tomli_w
from pydantic import Field, field_validator, model_validator

from milkreport.errors import ConfigError
from milkreport.resources import resource_folder
from milkreport.settings import Name, Section, read_toml, validate

MAX_SEED = 2**63 - 1

Fraction = Annotated[float, Field(ge=0, lt=1)]
Seed = Annotated[int, Field(ge=0, le=MAX_SEED)]

#: What an arm does about class imbalance. One correction an arm; doing two things at once has a name
#: of its own, so that a confounded arm can never pass for a pure one.
Correction = Literal["none", "weighted_loss", "sampler", "weighted_loss_and_sampler"]

#: How a network's products are made: exactly as float32, rounded to TF32, or in bfloat16.
Precision = Literal["float32", "tf32", "bf16"]


class Synthetic(Section):
    """The built-in data, made when no data is named."""

    cases: Annotated[int, Field(ge=66, le=1_000_000)] = 600
    seed: Seed = 0
    size: Annotated[int, Field(ge=16, le=1024)] = 64


class Data(Section):
    """Which cases take part, and how their images become pixels.

    ``adapter``: ``auto`` tells by content what lies in the folder. ``cleaning``: ``paper`` drops every
    case with a missing value or view and lists it; ``strict`` makes it an error; ``impute`` fills
    missing features from the training part and drops only cases without all views. ``unlabelled``:
    what a case without a label is. ``on_bad_image``: whether an image that cannot be decoded stops the
    run or removes its case. ``near_duplicates``: ``group`` keeps look-alikes in one part of every split,
    ``warn`` only counts them (identical images are always kept together). ``decoder``: ``exact`` equals
    a plain decode and resize, ``fast`` decodes JPEGs at a reduced scale.
    """

    adapter: Literal["auto", "milk10k", "table", "folder"] = "auto"
    cleaning: Literal["paper", "strict", "impute"] = "paper"
    unlabelled: Literal["error", "drop"] = "error"
    on_bad_image: Literal["error", "skip"] = "error"
    near_duplicates: Literal["group", "warn"] = "group"
    decoder: Literal["exact", "fast"] = "exact"
    image_size: Annotated[int, Field(ge=16, le=1024)] = 256
    synthetic: Synthetic = Synthetic()


class Split(Section):
    """How cases are parted. ``seed`` is the split's own: all arms and training seeds share the folds.

    ``support`` draws a test part with exactly ``test_support`` cases a class, ``holdout`` a stratified
    ``test_fraction``, ``kfold`` a stratified partition into ``folds`` test parts. ``validation`` is the
    fraction of the remaining cases cut off for selection (0: none).
    """

    kind: Literal["support", "holdout", "kfold"] = "holdout"
    seed: Seed = 0
    test_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.2
    test_support: dict[str, Annotated[int, Field(ge=0)]] = {}
    folds: Annotated[int, Field(ge=2, le=100)] = 5
    validation: Fraction = 0.0

    @model_validator(mode="after")
    def _parts_fit(self) -> Split:
        if self.kind == "support" and not self.test_support:
            raise ValueError("kind 'support' needs test_support, a table of class = cases")
        if self.kind != "support" and self.test_support:
            raise ValueError(f"test_support belongs to kind 'support', not {self.kind!r}")
        if self.kind == "holdout" and self.test_fraction + self.validation >= 1:
            raise ValueError("test_fraction and validation leave nothing to train on")
        return self

    @property
    def n_folds(self) -> int:
        """Number of folds; a hold-out is one."""
        return self.folds if self.kind == "kfold" else 1


class Model(Section):
    """The network. What the paper leaves open is a setting; ``models/lesion_net.py`` argues defaults."""

    name: Literal["MultiModalLesionNet"] = "MultiModalLesionNet"
    hidden_units: Annotated[int, Field(ge=1, le=1024)] = 10
    blocks: Annotated[int, Field(ge=1, le=6)] = 2
    convolutions_per_block: Annotated[int, Field(ge=1, le=6)] = 2
    kernel_size: Annotated[int, Field(ge=1, le=11)] = 3
    metadata_hidden_layers: Annotated[int, Field(ge=1, le=100)] = 10
    metadata_width: Annotated[int, Field(ge=1, le=4096)] = 64
    metadata_scale: float = 1.0
    fusion_hidden_layers: Annotated[int, Field(ge=0, le=8)] = 0
    fusion_width: Annotated[int, Field(ge=1, le=4096)] = 64
    classifier_hidden_layers: Annotated[int, Field(ge=1, le=8)] = 1
    classifier_width: Annotated[int, Field(ge=1, le=4096)] = 64
    output: Literal["logits", "softmax"] = "logits"

    @field_validator("kernel_size")
    @classmethod
    def _odd(cls, value: int) -> int:
        if value % 2 == 0:
            raise ValueError("must be odd, so that padding keeps the image size")
        return value


class Training(Section):
    """How a cell is trained. ``threads`` is part of the result: other counts give other weights.

    ``precision``: ``float32``, or rounded products, ``tf32`` (GPUs only) or ``bf16``; sums and weights
    stay float32. ``determinism``: whether an operation without a deterministic implementation is refused
    (``strict``), told of (``warn``) or allowed (``off``, which also lets a GPU's libraries choose the
    fastest algorithm anew in each run).

    ``chunk``: cases a forward and backward pass on the CPU, gradients accumulated to the same step;
    0 chooses by image size. ``select``: which epoch's weights are kept; ``best_validation`` needs a
    validation part and reads nothing else.
    """

    epochs: Annotated[int, Field(ge=1, le=10_000)] = 50
    batch_size: Annotated[int, Field(ge=1, le=65_536)] = 32
    optimizer: Literal["adam"] = "adam"
    learning_rate: Annotated[float, Field(gt=0, le=10)] = 0.001
    threads: Annotated[int, Field(ge=1, le=1024)] = 2
    precision: Precision = "float32"
    determinism: Literal["strict", "warn", "off"] = "strict"
    chunk: Annotated[int, Field(ge=0, le=65_536)] = 0
    select: Literal["last", "best_validation"] = "last"


class Arm(Section):
    """One arm: a name and one correction."""

    name: Name
    correction: Correction
    title: str = ""
    description: str = ""


class Suite(Section):
    """A comparison, declared before it is run. ``reference``: published figures to hold it against."""

    name: Name
    title: str
    question: str
    primary_metric: Literal["accuracy", "balanced_accuracy", "macro_f1", "weighted_f1"]
    seeds: Annotated[list[Seed], Field(min_length=1, max_length=1000)] = [0]
    reference: str = ""
    data: Data = Data()
    split: Split = Split()
    model: Model = Model()
    training: Training = Training()
    arms: Annotated[list[Arm], Field(min_length=1, max_length=100)]

    @model_validator(mode="after")
    def _consistent(self) -> Suite:
        if len(set(self.seeds)) != len(self.seeds):
            raise ValueError(f"seeds: {self.seeds} names one seed twice")
        for what in ("name", "correction"):
            values = [getattr(arm, what) for arm in self.arms]
            for position, value in enumerate(values):
                if value in values[:position]:
                    raise ValueError(
                        f"arms: arm {values.index(value) + 1} and arm {position + 1} have one "
                        f"{what}, {value!r}: arms must exclude one another"
                    )
        if self.training.select == "best_validation" and self.split.validation == 0:
            raise ValueError(
                "training.select: best_validation needs split.validation above 0; "
                "the test part selects nothing"
            )
        smallest = 2**self.model.blocks
        if self.data.image_size < smallest:
            raise ValueError(
                f"data.image_size: {self.data.image_size} px is less than {smallest} px, the least "
                f"that model.blocks = {self.model.blocks} poolings leave a pixel of"
            )
        return self

    def arm(self, name: str) -> Arm:
        """The arm of that name."""
        return next(arm for arm in self.arms if arm.name == name)

    def with_seeds(self, n: int) -> Suite:
        """The suite with *n* seeds: its own first, then the integers that follow its last."""
        if n < 1:
            raise ConfigError(f"--seeds {n}", "give 1 or more")
        seeds = self.seeds[:n]
        while len(seeds) < n:
            seeds.append(max(seeds) + 1)
        return self.model_copy(update={"seeds": seeds})

    def flat(self) -> dict[str, Any]:
        """All settings as ``dotted.key -> value``."""
        return dict(_flatten("", self.model_dump(mode="json")))

    def fingerprint(self) -> str:
        """SHA-256 of the resolved settings."""
        return hashlib.sha256(json.dumps(self.flat(), sort_keys=True).encode()).hexdigest()

    def to_toml(self) -> str:
        """The resolved suite as TOML; loading it gives this suite again."""
        return tomli_w.dumps(self.model_dump(mode="json"))


def list_suites() -> list[str]:
    """Names of the suites that ship with milkreport."""
    return sorted(path.stem for path in resource_folder("experiments").glob("*.toml"))


def load_suite(name_or_path: str, overrides: Sequence[str] = ()) -> Suite:
    """Read a suite by shipped name or by path to a TOML file, with ``key=value`` overrides applied.

    Raises:
        ConfigError: not found, not TOML, unknown or bad keys (all of them at once).
    """
    path = _find_suite(name_or_path)
    values = read_toml(path)
    for override in overrides:
        _apply_override(values, override)
    return build_suite(values, str(path))


def build_suite(values: dict[str, Any], where: str = "") -> Suite:
    """Validate *values* as a suite; *where* names their source in errors."""
    return validate(Suite, values, where)


def _find_suite(name_or_path: str) -> Path:
    if name_or_path.endswith(".toml") or "/" in name_or_path:
        path = Path(name_or_path)
        if path.is_file():
            return path
        raise ConfigError("no such suite file", f"looked from {Path.cwd().name}/", name_or_path)
    names = list_suites()
    if name_or_path in names:
        return resource_folder("experiments") / f"{name_or_path}.toml"
    near = difflib.get_close_matches(name_or_path, names, n=1)
    hint = f"did you mean {near[0]}?" if near else f"known suites: {', '.join(names)}"
    raise ConfigError(f"unknown suite {name_or_path!r}", hint)


def _apply_override(values: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    parts = key.strip().split(".")
    if not equals or not all(parts):
        raise ConfigError(f"--set {override}", "write --set section.key=value")
    try:
        value = tomllib.loads(f"value = {text.strip()}")["value"]
    except tomllib.TOMLDecodeError:
        value = text.strip()  # a bare word is a string
    target = values
    for part in parts[:-1]:
        target = target.setdefault(part, {})
        if not isinstance(target, dict):
            raise ConfigError(f"--set {override}: {part} is not a section", "name a section's key")
    target[parts[-1]] = value


def _flatten(prefix: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _flatten(f"{prefix}.{key}" if prefix else key, inner)
    elif isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        for item in value:
            yield from _flatten(f"{prefix}.{item.get('name', '')}", item)
    else:
        yield prefix, value
