"""Makes ``tests/evaluation/isic``: stored predictions, and what the ISIC Archive's own scorer says of them.

Runs in an environment of its own (Python 3.11)::

    pip install "isic-challenge-scoring==5.6.0" "pandas<2.1" "numpy<2" "scikit-learn<1.5"
    python scripts/isic_figures.py

The predictions are random numbers; no case is real. The scorer's id column is ``image``.
"""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
from isic_challenge_scoring.classification import ClassificationMetric, ClassificationScore

FOLDER = Path(__file__).resolve().parents[1] / "tests" / "data" / "isic"
CLASSES = [f"C{i:02d}" for i in range(11)]
SUPPORT = [9, 60, 1, 14, 2, 3, 1, 12, 17, 12, 4]


def make_predictions() -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """True classes, int (n,), and sets of values from 0 to 1, (n, 11): plain ones and nasty ones."""
    rng = np.random.default_rng(5240)
    truth = rng.permutation(np.repeat(np.arange(11), SUPPORT))
    n = len(truth)
    hot = np.eye(11)[truth]
    soft = np.exp(rng.normal(size=(n, 11)) + 2 * hot)
    soft /= soft.sum(axis=1, keepdims=True)
    coarse = soft.round(1)
    halves = rng.choice([0.0, 0.25, 0.5, 0.5000001, 0.75], (n, 11))
    several = rng.random((n, 11))
    shifted = np.roll(hot, 1, axis=1)
    thresholded = np.where(soft > 0.3, 0.9, 0.1)
    frequent = np.zeros((n, 11))
    frequent[:, 1] = 1.0
    return truth, {
        "soft": soft,
        "coarse": coarse,
        "halves": halves,
        "several": several,
        "perfect": hot,
        "shifted": shifted,
        "thresholded": thresholded,
        "nothing": np.zeros((n, 11)),
        "everything": np.ones((n, 11)),
        "all half": np.full((n, 11), 0.5),
        "most frequent": frequent,
    }


def main() -> None:
    """Write truth, predictions and the scorer's figures."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    truth, sets = make_predictions()
    ids = [f"case_{i:03d}" for i in range(len(truth))]

    def table(values: np.ndarray) -> str:
        frame = pd.DataFrame(values.astype(float).round(7), columns=CLASSES)
        frame.insert(0, "image", ids)
        return frame.to_csv(index=False, lineterminator="\n")

    (FOLDER / "truth.csv").write_text(table(np.eye(11)[truth]), encoding="utf-8")
    scores = {}
    for name, values in sets.items():
        text = table(values)
        (FOLDER / f"{name.replace(' ', '_')}.csv").write_text(text, encoding="utf-8")
        score = ClassificationScore.from_stream(
            io.StringIO(table(np.eye(11)[truth])),
            io.StringIO(text),
            ClassificationMetric.BALANCED_ACCURACY,
        )
        scores[name.replace(" ", "_")] = score.to_dict(rocs=False)
    made = {"made_by": "isic-challenge-scoring 5.6.0", "scores": scores}
    (FOLDER / "scores.json").write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
