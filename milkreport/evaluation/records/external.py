"""What an external test set says of every arm, beside the test part."""

from __future__ import annotations

from milkreport.evaluation.records.data import Record
from milkreport.evaluation.records.estimate import Estimate
from milkreport.inside import FileName


class ExternalValue(Record):
    """One metric on the test part (``internal``) and on the external set; ``difference``: the first minus
    the second.

    The interval of the difference is that of two independent samples; none if no simulation has shown that
    it holds.
    """

    metric: str
    internal: Estimate
    external: Estimate
    difference: Estimate


class ExternalArm(Record):
    """One arm on an external set. ``n_models``: its trained models, each of which answered every case.

    ``predictions_sha256``: of the predictions in a run folder, by ``SEED/FOLD``.
    """

    arm: str
    source: str
    n_models: int
    predictions_sha256: dict[str, str] = {}
    values: list[ExternalValue]


class ExternalSet(Record):
    """One external test set. Nothing was chosen on it.

    ``source``: name of its truth or folder; ``sha256``: of that table, or of the data. ``n``, ``n_groups``,
    ``class_counts``: its cases (groups: ``None`` if there are none). ``compared``: classes with cases in both
    the test part and the external set. ``restricted``: a class has cases in one of both alone; then every
    value of ``arms`` is of the cases of the classes ``compared``: ``n_internal`` of the test part and
    ``n_external``. ``missing``: arms without predictions of it. ``remarks``: what a reader should know of it.
    """

    name: FileName
    source: str
    sha256: str = ""
    n: int
    n_groups: int | None = None
    class_counts: dict[str, int]
    compared: list[str]
    restricted: bool = False
    n_internal: int
    n_external: int
    arms: list[ExternalArm]
    missing: list[str] = []
    remarks: list[str] = []

    @property
    def left_out(self) -> list[str]:
        """Classes that have no case here, or none in the test part."""
        return [name for name in self.class_counts if name not in self.compared]
