"""What is said of one arm on one part: every number with its interval. ``None`` means undefined."""

from __future__ import annotations

from typing import Literal

from milkreport.evaluation.records.beyond import Beyond
from milkreport.evaluation.records.binary import BinaryResult
from milkreport.evaluation.records.data import Part, Record
from milkreport.evaluation.records.estimate import Estimate as Estimate

#: Metrics of the positive grouping that can be named.
POSITIVE = ("positive_auc", "positive_sensitivity", "positive_specificity")
#: What predictions hold, and what a metric needs: each kind holds all before it.
Needs = Literal["labels", "scores", "probabilities"]


class Definition(Record):
    """How a metric is computed; two values are comparable only where this agrees.

    ``needs``: hard ``labels``, ``scores`` that rank, or ``probabilities`` that sum to 1. ``question``: what
    the metric answers.
    """

    metric: str
    title: str
    decision: str  # "argmax", "ranks", "probabilities" or "p > 0.5, each class by itself"
    averaging: str  # "none", "macro over classes with support", ...
    zero_division: str  # what an empty denominator gives
    question: str = ""
    needs: Needs = "labels"
    per_class: bool = False
    better: Literal["higher", "lower"] = "higher"


class RankCurve(Record):
    """ROC and precision-recall curve of one class against the others, means over seeds.

    ``sensitivity`` at the false positive rates 0, 0.02, ..., 1; ``precision`` at the same recalls.
    ``roc``: pairs of false positive rate and sensitivity from (0, 0) to (1, 1), all points of the curve but
    those that lie within 0.001 of the line through the others; empty in results of older versions.
    """

    sensitivity: list[float]
    precision: list[float]
    roc: list[tuple[float, float]] = []


class TopShare(Record):
    """What a review of the ``share`` of cases with the highest score for a class finds, means over seeds.

    ``threshold``: the lowest score that is reviewed; all cases that have it are. ``hits``: cases of the
    class among them; ``false_alarms``: the others.
    """

    share: float
    threshold: float
    hits: float
    false_alarms: float


class ClassRow(Record):
    """One row of the classification report, means over seeds.

    ``intervals``: metric to its 95% interval (see ``label_bounds`` and ``bounds``). ``auc``,
    ``average_precision`` and ``curve`` (test part alone) are ``None`` where labels hold no ranks. ``top``: of
    a class with at most a tenth of the cases, on the test part.
    """

    name: str
    support: int
    predicted: float
    precision: float | None
    recall: float | None
    f1: float | None
    specificity: float | None = None
    auc: float | None = None
    average_precision: float | None = None
    intervals: dict[str, tuple[float, float]] = {}
    curve: RankCurve | None = None
    top: list[TopShare] = []

    def estimate(self, metric: str) -> Estimate:
        """One of the row's metrics with its interval."""
        low, high = self.intervals.get(metric, (None, None))
        return Estimate(value=getattr(self, metric), low=low, high=high)


class ReliabilityBin(Record):
    """Cases whose largest probability lies in (``low``, ``high``]: their mean, and how many are right."""

    low: float
    high: float
    n: float  # mean over seeds
    confidence: float | None
    accuracy: float | None


class Calibration(Record):
    """Reliability of the largest probability, and what one temperature would mend.

    ``temperature`` divides the log probabilities (Guo et al., 2017); mean over fits. ``fitted_on`` says
    on which cases it was fitted: never on those that it is scored on.
    """

    bins: list[ReliabilityBin]
    temperature: float | None = None
    fitted_on: str = ""
    ece_after: float | None = None
    log_loss_after: float | None = None


class NetBenefit(Record):
    """A decision curve's values at one threshold probability (Vickers and Elkin, 2006)."""

    threshold: float
    value: float
    low: float | None = None
    high: float | None = None
    treat_all: float


class Operating(Record):
    """Sensitivity at a specificity of at least ``specificity``, off the ROC curve of the scored cases."""

    specificity: float
    sensitivity: Estimate


class PositiveResult(Record):
    """Some classes against the others: is it one of ``classes``? The score is the sum of their probabilities.

    ``sensitivity`` and ``specificity`` follow from the predicted class.
    """

    classes: list[str]
    n_positive: int
    sensitivity: Estimate
    specificity: Estimate
    auc: Estimate | None = None
    average_precision: Estimate | None = None
    operating: list[Operating] = []
    net_benefit: list[NetBenefit] = []
    curve: RankCurve | None = None


class RuleResult(Record):
    """The same predictions under another decision rule, with the conventions that rule brings.

    ``rule``: ``isic`` (the archive's), or thresholds a class. ``in_sample``: fitted on the scored cases.
    ``values``: by metric; ``classes``: class to values by metric.
    """

    rule: str
    title: str
    decision: str
    zero_division: str
    in_sample: bool = False
    values: dict[str, Estimate]
    classes: dict[str, dict[str, float | None]]
    thresholds: dict[str, float] = {}
    against_argmax: Estimate | None = None  # macro F1 of this rule minus that of argmax, paired
    n_without_class: float | None = None  # cases with no class above its threshold; mean over seeds
    n_several: float | None = None  # cases with more than one


class SliceResult(Record):
    """One arm on the cases of one subgroup: ``column`` is ``value``.

    ``metrics``: by name; ``against_rest``: this slice minus all other cases.
    """

    column: str
    value: str
    n: int
    n_classes: int
    metrics: dict[str, Estimate]
    against_rest: dict[str, Estimate] = {}


class SliceGap(Record):
    """Largest minus smallest value of a metric over the slices of a column.

    ``chance``: what the gap stays below in 95% of the draws where all slices are alike: it is not 0. ``p``:
    share of these draws that reach the gap (``None`` in results of older versions).
    """

    column: str
    metric: str
    gap: Estimate
    chance: float | None
    p: float | None = None


class Withheld(Record):
    """A slice too small to be shown."""

    column: str
    value: str
    n: int


class PartResult(Record):
    """What one arm reached on one part, over its seeds (folds pooled)."""

    part: Part
    n_cases: int
    n_seeds: int
    n_folds: int
    n_groups: int | None = None  # where groups of cases were resampled
    kind: Needs = "probabilities"
    metrics: dict[str, Estimate]
    not_computed: dict[str, str] = {}  # metric to the reason
    classes: list[ClassRow]
    confusion: list[list[int]]  # summed over seeds; rows true, columns predicted
    calibration: Calibration | None = None
    positive: PositiveResult | None = None
    binary: BinaryResult | None = None  # of the test part
    beyond: Beyond | None = None  # of the test part
    rules: list[RuleResult] = []
    slices: list[SliceResult] = []
    gaps: list[SliceGap] = []
    withheld: list[Withheld] = []

    def estimate(self, metric: str) -> Estimate | None:
        """A metric by its name (``evaluation.named``); ``None`` where it was not measured."""
        name, _, class_name = metric.partition(":")
        if class_name:
            row = next((row for row in self.classes if row.name == class_name), None)
            return None if row is None else row.estimate(name)
        if metric in POSITIVE:
            found: Estimate | None = getattr(self.positive, metric.removeprefix("positive_"), None)
            return found
        return self.metrics.get(metric)
