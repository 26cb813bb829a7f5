"""Labels to look at again: the cases whose given label is least believable by held-out probabilities.

Confident learning (Northcutt, Jiang and Chuang, 2021, doi:10.1613/jair.1.12125). A class's threshold is the
mean probability that its own cases get. A case whose probability of another class reaches that class's
threshold is counted off the diagonal of the confident joint; if the predicted class is another one, too, its
label is to be looked at. The order is that of the normalized margin. Cases that are merely hard are among
them: docs/findings.md says how many.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from milkreport.evaluation.pooled_predictions import Cells, pool_folds

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

#: Fewer cases than this, and thresholds of classes say little.
FEWEST_CASES = 50

COLUMNS = (
    *("rank", "case_id", "label", "likely_label"),
    *("probability_of_label", "probability_of_likely", "margin", "arms_against", "n_arms"),
)


def class_thresholds(truth: Ints, probabilities: Floats) -> Floats:
    """Mean probability of each class among the cases that have its label, float64 (k,); infinite without any.

    Args:
        truth: int64 (n,), given labels. probabilities: float64 (n, k), of models that did not see the case.
    """
    k = probabilities.shape[1]
    own = probabilities[np.arange(len(truth)), truth]
    counts = np.bincount(truth, minlength=k)
    sums = np.bincount(truth, own, minlength=k)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.inf)


def confident_classes(truth: Ints, probabilities: Floats) -> Ints:
    """The likeliest class among those whose threshold the case reaches; -1 if it reaches none: int64 (n,)."""
    reached = probabilities >= class_thresholds(truth, probabilities) - 1e-12
    likely = np.where(reached, probabilities, -1.0).argmax(axis=1)
    return np.where(reached.any(axis=1), likely, -1).astype(np.int64)


def confident_joint(truth: Ints, probabilities: Floats) -> Ints:
    """Cases by given label (rows) and confident class (columns), int64 (k, k)."""
    k = probabilities.shape[1]
    likely = confident_classes(truth, probabilities)
    known = likely >= 0
    return np.bincount(truth[known] * k + likely[known], minlength=k * k).reshape(k, k)


def normalized_margin(truth: Ints, probabilities: Floats) -> Floats:
    """(p of the label - largest other p + 1) / 2, float64 (n,): 0 least believable, 1 most."""
    each = np.arange(len(truth))
    own = probabilities[each, truth]
    others = probabilities.copy()
    others[each, truth] = -np.inf
    return np.asarray((own - others.max(axis=1) + 1) / 2)


def find_label_errors(truth: Ints, probabilities: Floats) -> Ints:
    """Positions of the labels to look at again, the least believable first, int64.

    Off the diagonal of the confident joint, and predicted as another class (in cleanlab 2.9
    ``filter_by="confident_learning"`` and ``normalized_margin``). The more believable class is that of
    :func:`confident_classes`.
    """
    likely = confident_classes(truth, probabilities)
    chosen = (likely >= 0) & (likely != truth) & (probabilities.argmax(axis=1) != truth)
    found = np.flatnonzero(chosen)
    return found[np.argsort(normalized_margin(truth, probabilities)[found], kind="stable")]


def list_label_errors(arms: Mapping[str, Cells]) -> pd.DataFrame:
    """The test cases whose label is to be looked at again, by the mean probabilities of all arms and seeds.

    Arms without probabilities take no part. No row for fewer than 50 cases, and if arms have different cases.

    Args:
        arms: name to test predictions by (seed, fold).

    Returns:
        a row per case with :data:`COLUMNS`; ``arms_against``: arms whose mean answer is not the label.
    """
    pooled = {name: [*pool_folds(cells).values()] for name, cells in arms.items()}
    kept = [ps for ps in pooled.values() if ps and all(p.kind == "probabilities" for p in ps)]
    nothing = pd.DataFrame(columns=list(COLUMNS))
    if not kept:
        return nothing
    first = kept[0][0]
    same = all(np.array_equal(p.case_ids, first.case_ids) for ps in kept for p in ps)
    if not same or len(first.truth) < FEWEST_CASES:
        return nothing
    means = np.stack([np.mean([p.probabilities for p in ps], axis=0) for ps in kept])
    truth, mean = first.truth, means.mean(axis=0)
    found = find_label_errors(truth, mean)
    likely, margin = confident_classes(truth, mean)[found], normalized_margin(truth, mean)[found]
    names = np.array(first.classes, dtype=object)
    against = (means.argmax(axis=2)[:, found] != truth[found]).sum(axis=0)
    return pd.DataFrame(
        {
            "rank": np.arange(1, len(found) + 1),
            "case_id": first.case_ids[found],
            "label": names[truth[found]],
            "likely_label": names[likely],
            "probability_of_label": mean[found, truth[found]],
            "probability_of_likely": mean[found, likely],
            "margin": margin,
            "arms_against": against,
            "n_arms": len(kept),
        },
        columns=list(COLUMNS),
    )
