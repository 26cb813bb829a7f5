"""Nested choice among a run's arms: in each outer fold the arm that was best in inner folds of its training
part.

    python scripts/choose_nested.py RUN --out FOLDER

Reads the inner scores that classifiers with candidates leave in ``cell.json``; no test score is looked at.
Writes the chosen arms' test predictions, each case once, and the truth, for ``milkreport evaluate``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

from milkreport.runs.cells import Cell
from milkreport.runs.csv_files import write_csv
from milkreport.runs.folder import RunFolder
from milkreport.suite.models import Classifier
from milkreport.suite.suite import Suite

SCORE = "inner macro F1"


def choose(folder: RunFolder, suite: Suite, seed: int, fold: int) -> tuple[str, float]:
    """The arm with the best inner score in that outer fold, and the score."""
    scores = {}
    for arm in suite.arms:
        record = folder.cell(Cell(arm.name, seed, fold)).load_record()
        if record is None or SCORE not in record.scalars:
            raise SystemExit(f"{arm.name}, fold {fold}: no inner score; give the arm choose_c")
        scores[arm.name] = record.scalars[SCORE]
    best = max(scores, key=lambda name: scores[name])
    return best, scores[best]


def count_recipes(suite: Suite) -> int:
    """How many settings were candidates, over all arms."""
    n = 0
    for arm in suite.arms:
        model = suite.model_of(arm)
        if isinstance(model, Classifier):
            n += max(len(model.choose_c), 1) * max(len(model.choose_components), 1)
    return n


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    folder = RunFolder(arguments.run)
    suite = folder.load_suite()
    classes = list(folder.load_data().data.class_counts)
    chosen, truth = [], []
    seed = suite.seeds[0]
    for fold in range(suite.split.n_folds):
        arm, score = choose(folder, suite, seed, fold)
        print(f"fold {fold}: {arm} ({SCORE} {score:.4f})")
        test = folder.cell(Cell(arm, seed, fold)).load_predictions(classes)["test"]
        rows = pd.DataFrame(test.probabilities, columns=classes)
        rows.insert(0, "case_id", test.case_ids)
        chosen.append(rows)
        labels = [classes[position] for position in test.truth]
        truth.append(pd.DataFrame({"case_id": test.case_ids, "label": labels}))
    write_csv(arguments.out / "chosen.csv", pd.concat(chosen, ignore_index=True))
    write_csv(arguments.out / "truth.csv", pd.concat(truth, ignore_index=True))
    print(f"{count_recipes(suite)} recipes were tried in the inner folds of each outer fold")


if __name__ == "__main__":
    main()
