"""What is said of the positive classes against the others at one operating point."""

from __future__ import annotations

from typing import Literal

from milkreport.evaluation.records.data import Record
from milkreport.evaluation.records.estimate import Estimate

#: Where a threshold comes from: it was declared (or is that of argmax), found on validation cases, or found
#: on the other inner folds of the scored cases. ``none``: hard labels, or too few cases to find one on.
ThresholdSource = Literal["declared", "validation", "nested", "none"]


class InSample(Record):
    """The threshold found on the scored cases, scored on the same cases: too good, no interval."""

    sensitivity: float
    specificity: float


class AtPrevalence(Record):
    """Predictive values at a stated share of positive cases, by Bayes from sensitivity and specificity."""

    prevalence: float
    ppv: Estimate
    npv: Estimate


class OperatingPoint(Record):
    """Answers at one threshold on the probability of the positive classes, means over seeds.

    ``rule``: as typed; ``argmax`` where none was. ``threshold``: what new cases are to be called at:
    positive from
    it on; ``None`` where the answer is the argmax of several classes. ``lowest`` and ``highest``: the
    thresholds at which these cases were answered, one per inner fold or training. ``tp`` to ``tn``: counts.
    ``values``: sensitivity, specificity, ppv, npv, lr_positive, lr_negative, and net_benefit at the threshold
    probability ``net_benefit_at``. ``in_sample``: of nested thresholds.
    """

    rule: str
    source: ThresholdSource
    threshold: float | None = None
    lowest: float | None = None
    highest: float | None = None
    tp: float
    fp: float
    fn: float
    tn: float
    values: dict[str, Estimate]
    net_benefit_at: float | None = None
    prevalences: list[AtPrevalence] = []
    in_sample: InSample | None = None


class RiskGroup(Record):
    """A point of the calibration curve: cases of alike risk, their mean risk, the share that is positive."""

    n: float
    risk: float
    share: Estimate


class RisksOf(Record):
    """Predicted risks of the cases of one outcome: counts in twenty equal bins from 0 to 1, and quantiles
    (5, 25, 50, 75 and 95%). Means over seeds.
    """

    counts: list[float]
    quantiles: list[float]


class RiskCalibration(Record):
    """Whether P(positive) is what happens. Above 0 the ``intercept`` says that risks are too low; below 1 the
    ``slope`` that they are too extreme. ``scaled_brier``: 1 is perfect, 0 as good as the share of positive
    cases. ``reason``: why intercept and slope are undefined.
    """

    intercept: Estimate
    slope: Estimate
    scaled_brier: Estimate
    brier: float
    reason: str = ""
    curve: list[RiskGroup] = []
    positive: RisksOf
    negative: RisksOf


class BinarySlice(Record):
    """Sensitivity and specificity of a subgroup, at the operating point of all cases."""

    column: str
    value: str
    n_positive: int
    n_negative: int
    sensitivity: Estimate
    specificity: Estimate


class BandPoint(Record):
    """The ROC curve at one false positive rate: the largest sensitivity there, with a pointwise interval."""

    false_positive_rate: float
    sensitivity: Estimate


class AtSpecificity(Record):
    """Paired difference of two arms' sensitivities, each at its own threshold of the same specificity."""

    arm: str
    against: str
    specificity: float
    difference: Estimate


class Reclassified(Record):
    """The cases of one outcome as two arms call them at their operating points; means over seeds.

    ``became_right``: right by ``arm`` and wrong by ``against``; ``became_wrong``: the other way round.
    ``difference``: of the shares that are right, ``arm`` minus ``against``: sensitivity or specificity.
    """

    arm: str
    against: str
    outcome: Literal["positive", "negative"]
    n: int
    both_right: float
    became_right: float
    became_wrong: float
    both_wrong: float
    difference: Estimate


class BinaryResult(Record):
    """The positive classes against the others: is it one of ``classes``?

    ``by_default``: nobody named them; the second of two classes counts.
    """

    classes: list[str]
    by_default: bool = False
    n_positive: int
    n_negative: int
    auc: Estimate | None = None
    average_precision: Estimate | None = None
    operating: OperatingPoint
    risk: RiskCalibration | None = None
    slices: list[BinarySlice] = []
    band: list[BandPoint] = []


class ReaderResult(Record):
    """A human reader's hard answers: sensitivity, specificity, ppv and npv, with intervals over cases."""

    name: str
    values: dict[str, Estimate]


class ReadingStudy(Record):
    """Human readers of the scored cases. ``mean``: sensitivity and specificity over two readers and more
    (empty with one); with three and more with intervals over new cases and new readers.
    """

    n_positive: int
    n_negative: int
    readers: list[ReaderResult]
    mean: dict[str, Estimate] = {}
