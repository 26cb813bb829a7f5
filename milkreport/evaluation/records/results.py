"""The record of one run's results: what ``results.json`` holds, and all that checks and reports read.

Values are unrounded. ``None`` means undefined (a precision without predictions, say): never 0, never 1.
Speaks of *cases*; the data's own noun travels in :class:`DataSummary`.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import PrivateAttr

from milkreport.errors import ConfigError
from milkreport.evaluation.records.adherence import Adherence
from milkreport.evaluation.records.beyond import UnlabelledForecast
from milkreport.evaluation.records.binary import AtSpecificity, ReadingStudy, Reclassified
from milkreport.evaluation.records.data import DataSummary, Part, Record, SplitSummary
from milkreport.evaluation.records.external import ExternalSet
from milkreport.evaluation.records.findings import Finding
from milkreport.evaluation.records.parts import Definition, PartResult
from milkreport.evaluation.records.robustness import Robustness
from milkreport.inside import FileName

if TYPE_CHECKING:
    from types import ModuleType

    from pandas import DataFrame

    from milkreport.evaluation.case_table import CaseTable
    from milkreport.reporting.notebook import Plots

SCHEMA_VERSION = 2

#: With fewer training seeds per arm, results speak of these trained models and rank no method.
SEEDS_TO_RANK = 2


class Curve(Record):
    """History of one cell: column name to one value an epoch, epochs counted from 1."""

    seed: int
    fold: int
    columns: dict[str, list[float | None]]


class CellRecord(Record):
    """One training: what it cost and learned, or why it failed.

    ``key``: SHA-256 of all that its weights depend on but the machine. ``device``: what trained it.
    ``epochs``: that were trained, ``epoch_used`` among them. ``card_sha256``: of ``model.json``.
    ``robustness_sha256``: of ``robustness.csv``; empty where its test part was not scored under corruptions.
    """

    seed: int
    fold: int
    status: Literal["complete", "failed"]
    message: str = ""
    key: str = ""
    device: str = ""
    seconds: float | None = None
    epoch_used: int | None = None
    weights_file: FileName = "model.safetensors"
    weights_sha256: str = ""
    card_sha256: str = ""
    epochs: int | None = None
    predictions_sha256: str = ""
    robustness_sha256: str = ""
    parameters: int | None = None
    scalars: dict[str, float] = {}
    exposure: dict[str, int] = {}
    peak_memory_bytes: int | None = None


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


#: What may be said of a difference on the primary metric; see :func:`milkreport.evaluation.compare.find`.
PairFinding = Literal["better", "worse", "equivalent", "not worse", "undecided"]


class Superiority(Record):
    """Chance that a new training of one arm scores better than one of the other, on these cases, with 95%."""

    value: float
    low: float
    high: float


class Difference(Record):
    """Paired difference ``arm - against`` of one metric on the test cases.

    ``low`` and ``high``: 95% interval; ``low90`` and ``high90``: 90%, whose place within the ``margin`` is
    the test of equivalence (two one-sided tests). With one seed per arm all of it is about two trained
    models, and ``p`` is a two-sided paired permutation p over cases (of metrics of hard answers; else of the
    standard error). With two and more it is about methods: seeds are readers of the same cases (see
    ``readers``), ``p`` is Student's with ``df`` degrees of freedom. ``p_holm``: after Holm's correction over
    the pairs; the primary metric alone. ``detectable``: the difference found with 80% power.

    ``standard_error`` is of all spread that the interval holds; ``sampling_error`` that of the cases
    alone, ``seed_sd`` the standard deviation of the difference over seeds, ``by_seed`` the differences
    themselves (empty with one seed, and in results of older versions). ``mcnemar`` and
    ``mcnemar_holm``: exact McNemar p of the accuracy, one seed and cases without groups only.
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
    low90: float | None = None
    high90: float | None = None
    sampling_error: float | None = None
    seed_sd: float | None = None
    by_seed: list[float] = []
    df: float | None = None
    margin: float | None = None
    superiority: Superiority | None = None
    mcnemar: float | None = None
    mcnemar_holm: float | None = None


class Agreement(Record):
    """How two arms' answers to the same cases go together; counts are means over seeds."""

    arm: str
    against: str
    same: float  # cases that both answer alike
    both_right: float
    only_arm: float
    only_against: float
    both_wrong: float
    kappa: float | None


class Comparison(Record):
    """All pairs of arms on the primary metric, and against the first arm on the others.

    ``ranks``: arm to 1 + the number of arms shown to be better; equal ranks are not told apart. Empty
    with one seed per arm. ``at_specificity`` and ``reclassified``: of the positive classes, each arm against
    the first.
    """

    part: Part
    n_cases: int
    n_seeds: int
    n_folds: int
    resamples: int
    n_groups: int | None = None
    differences: list[Difference]
    agreement: list[Agreement] = []
    ranks: dict[str, int] = {}
    at_specificity: list[AtSpecificity] = []
    reclassified: list[Reclassified] = []


class Results(Record):
    """Everything that checks and reports read.

    ``primary_metric``: by a name of :mod:`milkreport.evaluation.metrics.named`. ``margin``: the difference in
    it that was declared not to matter. ``epoch_rule``: how the epoch of the models was chosen, where that is
    known and no suite tells. ``unlabelled``: what unlabelled predictions speak of. ``robustness``: the
    primary metric under graded corruptions of the test images (``None``: not scored so). ``external``: arms
    on external test sets. ``copies``: test cases
    with the label and the probabilities of another one (``None``: not counted, by an older version).
    ``findings``: what a reviewer would point out, one per rule. ``adherence``: the run's registration and
    the ledger's count (``None``: an evaluation, or an older version).
    """

    schema_version: int = SCHEMA_VERSION
    suite: str
    title: str
    question: str
    primary_metric: str
    margin: float | None = None
    split_rule: str
    epoch_rule: str = ""
    status: Literal["complete", "partial"]
    classes: list[str]
    definitions: dict[str, Definition]
    data: DataSummary
    splits: list[SplitSummary]
    arms: list[ArmResult]
    comparison: Comparison | None = None
    readers: ReadingStudy | None = None
    unlabelled: list[UnlabelledForecast] = []
    robustness: Robustness | None = None
    external: list[ExternalSet] = []
    copies: int | None = None
    notices: list[str] = []
    findings: list[Finding] = []
    adherence: Adherence | None = None
    # Cases are no part of the record: results.json holds aggregates.
    _cases: CaseTable | None = PrivateAttr(default=None)

    @property
    def cases(self) -> CaseTable | None:
        """The test cases with each arm's answers, if these results were computed here and not read."""
        return self._cases

    def with_cases(self, cases: CaseTable | None) -> Results:
        """The same results with their test cases."""
        found = self.model_copy()
        found._cases = cases
        return found

    def __eq__(self, other: object) -> bool:
        """Whether the records are equal; cases are no part of them."""
        if not isinstance(other, Results):
            return NotImplemented
        return self.__dict__ == other.__dict__

    def arm(self, name: str) -> ArmResult | None:
        """The arm called *name*, if there is one."""
        return next((a for a in self.arms if a.name == name), None)

    def to_frame(self, what: Literal["metrics", "classes", "differences"] = "metrics") -> DataFrame:
        """These results as a data frame, unrounded; missing values are undefined.

        Args:
            what: ``metrics``: a row per arm, part and metric with value and 95% interval (``low``, ``high``).
                ``classes``: the same of each class. ``differences``: the paired differences of arms.

        Raises:
            ConfigError: another word.
        """
        from milkreport.evaluation.records.long_form import tabulate, tabulate_differences

        if what == "differences":
            return tabulate_differences(self.comparison)
        if what not in ("metrics", "classes"):
            raise ConfigError(f"no table {what!r}", "metrics, classes or differences", "to_frame")
        rows = tabulate(self, {})
        of_class = rows["class"].fillna("") != ""
        plain = rows[(rows["slice"].fillna("") == "") & (of_class == (what == "classes"))]
        named = ["class"] if what == "classes" else []
        columns = ["arm", "split", *named, "metric", "value", "low", "high", "n"]
        return plain[columns].reset_index(drop=True)

    def report(self, folder: str | Path, *, pdf: bool = True, cases: bool = True) -> list[Path]:
        """Write ``report.html``, ``report.pdf`` and figures; see :func:`milkreport.report`."""
        import milkreport

        written: list[Path] = milkreport.report(self, folder, pdf=pdf, cases=cases)
        return written

    @property
    def plot(self) -> Plots:
        """The report's drawings as matplotlib figures: ``plot.roc()``, ``plot.confusion("arm")``."""
        return _notebook().Plots(self)  # type: ignore[no-any-return]

    def _repr_html_(self) -> str:
        """Page one of the report, as notebooks show it."""
        return _notebook().page_one(self)  # type: ignore[no-any-return]

    def __repr__(self) -> str:
        """A line per arm: its primary metric with the interval."""
        lines = [f"<Results: {self.title}; {len(self.classes)} classes, {self.status}>"]
        for arm in self.arms:
            part = arm.part("test")
            found = part.metrics.get(self.primary_metric) if part is not None else None
            said = ""
            if part is not None and found is not None and found.value is not None:
                said = f"{self.primary_metric} {found.value:.3f}"
                if found.low is not None and found.high is not None:
                    said += f" ({found.low:.3f} to {found.high:.3f})"
                said += f", {part.n_cases:,} cases"
            lines.append(f"  {arm.name}: {said or 'nothing scored'}")
        return "\n".join(lines)

    __str__ = __repr__


def _notebook() -> ModuleType:
    """Records know nothing of reporting until a user asks to see them."""
    return import_module("milkreport.reporting.notebook")
