"""What one arm's test predictions say beyond the test part; means over seeds."""

from __future__ import annotations

from milkreport.evaluation.records.data import Record
from milkreport.evaluation.records.estimate import Estimate


class AtCoverage(Record):
    """The most confident ``coverage`` of the cases are answered, the others are left to a person.

    ``accuracy`` and ``macro_f1``: of the answered cases, the latter over the classes that still have one and
    without an interval.
    ``threshold``: the largest probability from which on cases are answered. ``kept``: answered cases per
    class.
    """

    coverage: float
    threshold: float
    accuracy: Estimate
    macro_f1: float
    kept: dict[str, float]


class Abstention(Record):
    """Answers by confidence, the largest probability (Geifman and El-Yaniv, 2017).

    ``aurc``: area under the risk-coverage curve, the mean error share over all coverages. ``excess``: the
    same less that of a confidence that puts all errors last. ``curve``: error share of the most confident 5,
    10, ..., 100% of the cases.
    """

    aurc: Estimate
    excess: float
    curve: list[float]
    at: list[AtCoverage]


class ClassSets(Record):
    """Prediction sets of the cases of one class.

    ``n``: cases scored. ``calibration``: calibration cases (one per group) of the class, the fewest over
    folds; ``needed``: the fewest for which the level can be promised. ``promised``: whether there are so
    many. ``covered``: share of the cases whose set holds the class; ``size``: mean number of classes in the
    set. ``threshold``: the probability from which on the class is in the set of a new case (``None``: in
    every set).
    """

    name: str
    n: int
    calibration: int
    needed: int
    promised: bool
    covered: Estimate
    size: float | None
    threshold: float | None


class PredictionSets(Record):
    """Class-conditional split conformal sets at one ``level``.

    ``calibrated_on``: the validation part, or the other inner folds of the test part. ``covered``: of all
    cases; ``size``: mean number of classes in a set, ``single``: share of sets with one class, ``empty``:
    with none.
    """

    level: float
    calibrated_on: str
    covered: float
    size: float
    single: float
    empty: float
    classes: list[ClassSets]


class Forecast(Record):
    """What is expected of one arm at other class shares, if each class looks as in the test part.

    ``shares``: class to share. ``counted``: cases that they were counted in (``None``: taken as exact).
    ``metrics``: accuracy, macro_f1, and with positive classes sensitivity, specificity, ppv, npv.
    ``per_thousand``: of 1,000 patients, cases predicted as each class. ``missed``: positive cases that are
    not called, ``needless``: negative ones that are, per 1,000 patients at the operating point ``rule``.
    ``adjusted``: accuracy, macro_f1, log_loss, missed and needless of probabilities that were brought to
    these shares; ``log_loss``: as they are.
    ``heat`` and ``offsets`` do that: softmax(heat * log p + offset).
    ``refused``: why there is no forecast; then all else is empty.
    """

    shares: dict[str, float]
    counted: int | None = None
    metrics: dict[str, Estimate] = {}
    per_thousand: dict[str, Estimate] = {}
    rule: str = ""
    missed: Estimate | None = None
    needless: Estimate | None = None
    log_loss: float | None = None
    adjusted: dict[str, Estimate] = {}
    heat: float | None = None
    offsets: dict[str, float] = {}
    refused: str = ""


class UnlabelledForecast(Record):
    """One arm's predictions of unlabelled cases: the class shares that they speak of, and a forecast.

    ``p``: of the test whether other class shares alone explain the predictions. ``shares``: by expectation
    maximisation; ``by_means``: by black-box shift estimation. ``refused``: why nothing is forecast.
    """

    arm: str
    source: str
    n: int
    p: float
    shares: dict[str, Estimate] = {}
    by_means: dict[str, float] = {}
    forecast: Forecast | None = None
    refused: str = ""


class Beyond(Record):
    """One arm's test predictions beyond the test part."""

    abstention: Abstention | None = None
    sets: PredictionSets | None = None
    forecast: Forecast | None = None
