"""Where an arm fails: its most confident mistakes, and which classes it takes for which."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from milkreport.evaluation.pooled_predictions import Cells, pool_folds
from milkreport.evaluation.records.data import Part

#: Mistakes that are listed an arm.
MOST = 50

COLUMNS = (
    *("arm", "rank", "case_id", "label", "predicted"),
    *("probability", "probability_of_label", "n_seeds"),
)


def list_mistakes(arms: Mapping[str, Mapping[Part, Cells]]) -> pd.DataFrame:
    """The most confident wrong answers on the test part, 50 an arm: probabilities are means over seeds.

    Hard labels have no confidence, and no row here.
    """
    rows = []
    for arm, parts in arms.items():
        pooled = [*pool_folds(parts.get("test", {})).values()]
        if not pooled or any(p.kind == "labels" for p in pooled):
            continue
        first = pooled[0]
        mean = np.mean([p.probabilities for p in pooled], axis=0)
        answer, each = mean.argmax(axis=1), np.arange(len(mean))
        sure, own = mean[each, answer], mean[each, first.truth]
        wrong = np.flatnonzero(answer != first.truth)
        order = wrong[np.lexsort((first.case_ids[wrong], -sure[wrong]))][:MOST]
        for rank, case in enumerate(order, 1):
            rows.append(
                {
                    "arm": arm,
                    "rank": rank,
                    "case_id": str(first.case_ids[case]),
                    "label": first.classes[first.truth[case]],
                    "predicted": first.classes[answer[case]],
                    "probability": float(sure[case]),
                    "probability_of_label": float(own[case]),
                    "n_seeds": len(pooled),
                }
            )
    return pd.DataFrame(rows, columns=list(COLUMNS))
