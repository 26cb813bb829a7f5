"""The sections of a suite that say what data, split and training are; see :mod:`milkreport.suite.suite`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from milkreport.errors import ConfigError
from milkreport.evaluation.review.review import check_mute
from milkreport.limits import ImageSize
from milkreport.suite.toml import Section

MAX_SEED = 2**63 - 1

Fraction = Annotated[float, Field(ge=0, lt=1)]
Seed = Annotated[int, Field(ge=0, le=MAX_SEED)]

#: How a network's products are made: exactly as float32, rounded to TF32, or in bfloat16.
Precision = Literal["float32", "tf32", "bf16"]


class Synthetic(Section):
    """The built-in data, made when no data is named."""

    cases: Annotated[int, Field(ge=66, le=100_000)] = 600
    seed: Seed = 0
    size: ImageSize = 64


class Findings(Section):
    """``mute``: code of a finding to the reason why it does not count (docs/findings.md)."""

    mute: dict[str, str] = {}

    @field_validator("mute")
    @classmethod
    def _known(cls, mute: dict[str, str]) -> dict[str, str]:
        try:
            return dict(check_mute(code, reason) for code, reason in mute.items())
        except ConfigError as error:
            raise ValueError(str(error)) from error


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
    image_size: ImageSize = 256
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
    test_support: dict[str, Annotated[int, Field(ge=0, le=MAX_SEED)]] = {}
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


class Training(Section):
    """How a cell is trained. ``threads`` is part of the result: other counts give other weights.

    ``precision``: ``float32``, or rounded products, ``tf32`` (GPUs only) or ``bf16``; sums and weights
    stay float32. ``determinism``: whether an operation without a deterministic implementation is refused
    (``strict``), reported (``warn``) or allowed (``off``, which also lets a GPU's libraries choose the
    fastest algorithm anew in each run).

    ``chunk``: cases a forward and backward pass on the CPU, gradients accumulated to the same step;
    0 chooses by image size. ``select``: which epoch's weights are kept; ``best_validation`` needs a
    validation part and reads nothing else. ``patience``: stop after so many epochs without a better one
    on the validation part; 0: never.

    ``schedule``: the learning rate is ``constant``, falls to 0 along half a ``cosine``, or is divided by 10
    after 60% and 80% of the epochs (``step``); before, it rises linearly over ``warmup_epochs``.
    ``augmentation``: ``flips`` turns and mirrors training images by one of the eight ways that keep every
    pixel, all views of a case by ways of their own; ``flips_and_light`` also changes brightness and contrast
    by up to 20%. Off by default, as in the paper: scores among the metadata belong to the untouched image.
    """

    epochs: Annotated[int, Field(ge=1, le=10_000)] = 50
    batch_size: Annotated[int, Field(ge=1, le=65_536)] = 32
    optimizer: Literal["adam", "adamw"] = "adam"
    learning_rate: Annotated[float, Field(gt=0, le=10)] = 0.001
    weight_decay: Annotated[float, Field(ge=0, le=10)] = 0.0
    schedule: Literal["constant", "cosine", "step"] = "constant"
    warmup_epochs: Annotated[int, Field(ge=0, le=10_000)] = 0
    augmentation: Literal["none", "flips", "flips_and_light"] = "none"
    threads: Annotated[int, Field(ge=1, le=1024)] = 2
    precision: Precision = "float32"
    determinism: Literal["strict", "warn", "off"] = "strict"
    chunk: Annotated[int, Field(ge=0, le=65_536)] = 0
    select: Literal["last", "best_validation"] = "last"
    patience: Annotated[int, Field(ge=0, le=10_000)] = 0

    @model_validator(mode="after")
    def _consistent(self) -> Training:
        if self.patience and self.select != "best_validation":
            raise ValueError("patience: needs select = 'best_validation', whose epochs it watches")
        if self.warmup_epochs and self.warmup_epochs >= self.epochs:
            raise ValueError(
                f"warmup_epochs = {self.warmup_epochs} leaves nothing of {self.epochs} epochs"
            )
        return self
