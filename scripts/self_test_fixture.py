"""Writes the predictions that ``milkreport check --self-test`` uses: made up, of no data and no model.

python scripts/self_test_fixture.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

FILE = Path(__file__).resolve().parents[1] / "experiments" / "self_test" / "predictions.csv"
CLASSES = {"common": 1000, "frequent": 500, "usual": 300, "scarce": 140, "rare": 60}
SHARPNESS = 1.6  # of the true class's log odds: about two of three answers are right


def main() -> None:
    """2,000 cases of five classes, 17:1, in five folds; probabilities to four digits."""
    rng = np.random.default_rng(20)
    truth = np.repeat(np.arange(len(CLASSES)), [*CLASSES.values()])
    prior = np.log(np.bincount(truth) / len(truth))
    scores = rng.normal(0, 1, (len(truth), len(CLASSES))) + 0.5 * prior
    scores[np.arange(len(truth)), truth] += SHARPNESS
    p = np.exp(scores)
    p = (p / p.sum(axis=1, keepdims=True)).round(4)
    names = [*CLASSES]
    lines = ["case_id,fold,label," + ",".join(names)]
    for i, (t, row) in enumerate(zip(truth, p, strict=True)):
        values = ",".join(f"{v:.4f}" for v in row)
        lines.append(f"made-up-{i:04d},{i % 5},{names[t]},{values}")
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
