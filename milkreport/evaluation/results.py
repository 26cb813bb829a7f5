"""The record of one run's results: what ``results.json`` holds, and all that checks and reports read.

Values are unrounded. ``None`` means undefined (a precision without predictions, say): never 0, never 1.
Speaks of *cases*; the data's own noun travels in :class:`DataSummary`.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

SCHEMA_VERSION = 1

#: With fewer training seeds an arm, results speak of these trained models and rank no method.
SEEDS_TO_RANK = 5

Part = Literal["train", "validation", "test"]


class Record(BaseModel):
    """Base of all records: frozen, no unknown fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Definition(Record):
    """How a metric is computed; two values are comparable only where this agrees."""

    metric: str
    title: str
    decision: str  # "argmax" or "probabilities"
    averaging: str  # "none", "macro over classes with support", ...
    zero_division: str  # what an empty denominator gives


class Estimate(Record):
    """One metric of one arm on one part.

    ``value`` is the mean over seeds; ``low`` and ``high`` bound its 95% interval over cases (and over
    seeds as well from five seeds on); ``seed_sd`` is the standard deviation over seeds, ``None`` for
    one seed.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    seed_sd: float | None = None


class ClassRow(Record):
    """One row of the classification report, means over seeds. Intervals: Wilson, one seed only."""

    name: str
    support: int
    predicted: float
    precision: float | None
    recall: float | None
    f1: float | None
    recall_low: float | None = None
    recall_high: float | None = None


class PartResult(Record):
    """What one arm reached on one part, over its seeds (folds pooled)."""

    part: Part
    n_cases: int
    n_seeds: int
    n_folds: int
    metrics: dict[str, Estimate]
    classes: list[ClassRow]
    confusion: list[list[int]]  # summed over seeds; rows true, columns predicted


class Curve(Record):
    """History of one cell: column name to one value an epoch, epochs counted from 1."""

    seed: int
    fold: int
    columns: dict[str, list[float | None]]


class CellRecord(Record):
    """One training: what it cost and learned, or why it failed."""

    seed: int
    fold: int
    status: Literal["complete", "failed"]
    message: str = ""
    seconds: float | None = None
    epoch_used: int | None = None
    weights_sha256: str = ""
    predictions_sha256: str = ""
    parameters: int | None = None
    scalars: dict[str, float] = {}
    exposure: dict[str, int] = {}


class ArmResult(Record):
    """One arm of the comparison."""

    name: str
    title: str
    description: str
    correction: str
    cells: list[CellRecord] = []
    parts: list[PartResult] = []
    curves: list[Curve] = []

    def part(self, name: str) -> PartResult | None:
        """The result on part *name*, if there is one."""
        return next((p for p in self.parts if p.part == name), None)


class Difference(Record):
    """Paired difference ``arm - against`` of one metric on the test cases.

    ``p`` is a two-sided paired permutation p over cases, ``p_holm`` the same after Holm's correction
    over the pairs; both for the primary metric alone, ``None`` for the described others. ``detectable``
    is the difference found with 80% power: (1.96 + 0.84) bootstrap standard errors.
    """

    arm: str
    against: str
    metric: str
    value: float
    low: float
    high: float
    standard_error: float
    p: float | None
    p_holm: float | None
    detectable: float


class Comparison(Record):
    """All pairs of arms on the primary metric, and against the first arm on the others."""

    part: Part
    n_cases: int
    n_seeds: int
    n_folds: int
    resamples: int
    differences: list[Difference]


class Exclusion(Record):
    """How many cases were removed for one reason."""

    reason: str
    n: int


class NumericSummary(Record):
    """One numeric column over the used cases: a histogram, and quartiles by class.

    ``counts[i]`` cases lie from ``edges[i]`` to ``edges[i + 1]`` (the last bin holds its upper edge).
    ``levels``: cases by value, for a column of at most twelve whole numbers; then without histogram.
    ``quartiles``: class to (25%, 50%, 75%); a class without values is left out.
    """

    column: str
    title: str = ""
    view: str  # "case" for the case's own columns
    n: int
    missing: int
    minimum: float | None = None
    median: float | None = None
    maximum: float | None = None
    edges: list[float] = []
    counts: list[int] = []
    levels: dict[str, int] = {}
    quartiles: dict[str, tuple[float, float, float]] = {}


class CategoricalSummary(Record):
    """One categorical column over the used cases: cases by value (most frequent first), and by class."""

    column: str
    title: str = ""
    view: str
    n: int
    missing: int
    counts: dict[str, int]
    by_class: dict[str, dict[str, int]] = {}  # class to value to cases


class ImageSummary(Record):
    """The image files of one view, as they lie on disk: counts by size ("600 x 450"), mode and format."""

    view: str
    n: int
    sizes: dict[str, int]
    modes: dict[str, int]
    formats: dict[str, int]


class DuplicateSummary(Record):
    """Images that stand under several cases; no id, only numbers.

    ``identical``: cases' images with the very same pixels, ``near``: alike by perceptual hash, both
    counted as links that join two groups. ``groups``: groups that hold several of the original groups.
    ``largest``: cases in the largest of them. ``rule``: how alike is measured, one line.
    """

    identical: int
    near: int
    groups: int
    largest: int
    rule: str


class SplitProof(Record):
    """That the parts of every fold share nothing, counted again from the files that were written.

    ``comparisons``: pairs of parts within a fold. ``shared_*``: how many stand in two parts; all 0.
    """

    folds: int
    comparisons: int
    groups: int
    shared_cases: int
    shared_groups: int
    shared_images: int
    splits_sha256: str


class DataSummary(Record):
    """What the data was: counts and names only, no row of it.

    ``n_found`` cases stand in the tables, ``exclusions`` says why some take no part, ``n_used`` remain.
    """

    name: str
    synthetic: bool
    licence: str
    attribution: str
    unit: str
    units: str
    views: list[str]
    n_found: int
    n_used: int
    n_images: int
    image_size: int | None
    cleaning: str
    exclusions: list[Exclusion]
    class_counts: dict[str, int]
    class_titles: dict[str, str] = {}
    duplicate_groups: int = 0
    imputed: dict[str, int] = {}
    features: list[str] = []
    fingerprint: str = ""
    notes: list[str] = []
    layout: str = ""
    tables: dict[str, str] = {}  # file name to SHA-256
    on_bad_image: str = ""
    decoder: str = ""
    numeric: list[NumericSummary] = []
    categorical: list[CategoricalSummary] = []
    images: list[ImageSummary] = []
    duplicates: DuplicateSummary | None = None
    proof: SplitProof | None = None


class SplitSummary(Record):
    """Size of one part of one fold, by class."""

    fold: int
    part: Part
    n: int
    class_counts: dict[str, int]


class Results(Record):
    """Everything that checks and reports read."""

    schema_version: int = SCHEMA_VERSION
    suite: str
    title: str
    question: str
    primary_metric: str
    split_rule: str
    status: Literal["complete", "partial"]
    classes: list[str]
    definitions: dict[str, Definition]
    data: DataSummary
    splits: list[SplitSummary]
    arms: list[ArmResult]
    comparison: Comparison | None = None
    notices: list[str] = []

    def arm(self, name: str) -> ArmResult | None:
        """The arm called *name*, if there is one."""
        return next((a for a in self.arms if a.name == name), None)
