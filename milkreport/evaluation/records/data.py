"""What a run says of its data: counts and names only, no row of it."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

Part = Literal["train", "validation", "test"]


class Record(BaseModel):
    """Base of all records: frozen, no unknown fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)


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
    positive: list[str] = []  # classes that count as disease
    rules: list[str] = []  # decision rules of the benchmark, beside argmax
    guidelines: list[str] = []  # reporting guidelines of the field, beside TRIPOD+AI
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
