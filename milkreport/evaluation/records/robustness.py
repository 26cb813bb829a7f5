"""How one metric of the test part falls when its images are corrupted in graded steps."""

from __future__ import annotations

from milkreport.evaluation.records.data import Record
from milkreport.evaluation.records.estimate import Estimate


class UnderCorruption(Record):
    """One corruption, by its name in :mod:`milkreport.suite.corruptions`.

    ``values``: arm to the metric at severity 0 (the ordinary predictions), 1, ..., 5; means over seeds.
    ``loss``: arm to how much worse the metric is at ``Robustness.severity`` than without corruption, above 0
    is worse. ``against_first``: arm to its metric less that of the first arm, both at that severity. Both are
    paired over cases and seeds, with 95% intervals.
    """

    name: str
    values: dict[str, list[float | None]]
    loss: dict[str, Estimate] = {}
    against_first: dict[str, Estimate] = {}


class Robustness(Record):
    """The primary metric of the test part under graded corruptions of its images.

    ``severity``: at which losses and differences are told. ``arms``: those that were scored so, the first of
    which the others are compared with. ``n_seeds``: that all of them have.
    """

    metric: str
    severity: int
    arms: list[str]
    n_cases: int
    n_seeds: int
    corruptions: list[UnderCorruption]
