"""One number with its interval."""

from __future__ import annotations

from milkreport.evaluation.records.data import Record


class Estimate(Record):
    """One metric of one arm on one part.

    ``value`` is the mean over seeds; ``low`` and ``high`` bound its 95% interval over new cases and, from two
    seeds on, new training seeds; ``None`` where no interval was shown to cover. Two kinds of spread:
    ``sampling_error`` is the standard error over cases with the seeds as they are, ``seed_sd`` the standard
    deviation over seeds (``None`` for one seed).
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    seed_sd: float | None = None
    sampling_error: float | None = None
