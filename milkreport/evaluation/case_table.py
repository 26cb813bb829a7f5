"""Every test case with each arm's answers: what a count of the confusion matrix is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from milkreport.evaluation.metrics.slices import Slice
from milkreport.evaluation.pooled_predictions import CaseFacts, Cells, pool_folds, shown_slices
from milkreport.evaluation.reading.predictions import Predictions

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

COLUMNS = (
    *("arm", "case_id", "label", "predicted", "n_seeds"),
    *("probability", "probability_of_label"),
)


@dataclass(frozen=True, eq=False)
class ArmAnswers:
    """One arm's answers: a row per case and distinct answer, in the order of the cases.

    ``case``: int64 (m,), positions of cases. ``answer``: int64 (m,), class positions. ``n_seeds``: int64
    (m,), how many of the arm's ``seeds`` trainings gave that answer; their sum over a truth and an answer is
    the cell of the confusion matrix. ``probability`` and ``probability_of_label``: float64 (m,), of the
    answer and of the true class, means over these trainings; ``None`` of hard labels.
    """

    case: Ints
    answer: Ints
    n_seeds: Ints
    probability: Floats | None
    probability_of_label: Floats | None
    seeds: int


@dataclass(frozen=True, eq=False)
class CaseTable:
    """The test cases and what every arm answered.

    ``case_ids``: str (n,), sorted. ``truth``: int64 (n,), class positions. ``arms``: by name, in their order.
    ``slices``: subgroups large enough to be shown, bool (n,) each.
    """

    case_ids: npt.NDArray[np.str_]
    truth: Ints
    classes: tuple[str, ...]
    arms: Mapping[str, ArmAnswers]
    slices: Sequence[Slice] = ()

    def to_frame(self) -> pd.DataFrame:
        """A row per arm, case and distinct answer, as ``confusions.csv`` holds them."""
        names = np.array(self.classes, dtype=object)
        frames = [
            pd.DataFrame(
                {
                    "arm": arm,
                    "case_id": self.case_ids[found.case],
                    "label": names[self.truth[found.case]],
                    "predicted": names[found.answer],
                    "n_seeds": found.n_seeds,
                    "probability": found.probability,
                    "probability_of_label": found.probability_of_label,
                }
            )
            for arm, found in self.arms.items()
        ]
        return pd.concat(frames, ignore_index=True)


def make_case_table(arms: Mapping[str, Cells], facts: CaseFacts) -> CaseTable | None:
    """The case table of the arms' test predictions; ``None`` if no arm has any.

    Arms may have been tested on different cases: the table has all of them.
    """
    pools = {name: [*pool_folds(cells).values()] for name, cells in arms.items() if cells}
    if not pools:
        return None
    every = [p for pool in pools.values() for p in pool]
    ids = np.unique(np.concatenate([p.case_ids for p in every]))
    truth = np.zeros(len(ids), np.int64)
    for p in every:
        truth[np.searchsorted(ids, p.case_ids)] = p.truth
    answers = {name: _answers(pool, ids) for name, pool in pools.items()}
    return CaseTable(ids, truth, every[0].classes, answers, tuple(shown_slices(facts, ids)))


def _answers(pool: Sequence[Predictions], ids: npt.NDArray[np.str_]) -> ArmAnswers:
    n_classes = len(pool[0].classes)
    case = np.concatenate([np.searchsorted(ids, p.case_ids) for p in pool])
    answer = np.concatenate([p.predicted for p in pool])
    keys, row, n_seeds = np.unique(
        case * n_classes + answer, return_inverse=True, return_counts=True
    )
    probability, of_label = None, None
    if not any(p.kind == "labels" for p in pool):
        top = np.concatenate([p.probabilities.max(axis=1) for p in pool])
        own = np.concatenate([p.probabilities[np.arange(len(p.truth)), p.truth] for p in pool])
        probability = np.bincount(row, top) / n_seeds
        of_label = np.bincount(row, own) / n_seeds
    return ArmAnswers(
        keys // n_classes, keys % n_classes, n_seeds, probability, of_label, len(pool)
    )
