"""Writes ``milkreport/evaluation/intervals/coverage.json`` from what ``simulate_intervals.py`` found.

Situations of one kind (number of classes, groups or not, number of cases) become one row a metric with the
lowest and the highest coverage among them. Rows of kinds that the input does not hold stay as they are.
Prints the lowest coverages, and the largest share of intervals on one side of the truth, as
docs/statistics.md has them.

    python scripts/simulate_intervals.py --out found.json
    python scripts/tabulate_coverage.py found.json [more.json ...]
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from populations import make

from milkreport.evaluation.intervals.coverage import CASES, CLASSES, FILE, name_band

#: A coverage of fewer intervals than this says little.
FEWEST = 50
#: Metric to its heading in the printed table.
COLUMNS = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro F1",
    "weighted_f1": "weighted F1",
    "mcc": "MCC",
    "kappa": "kappa",
    "macro_auc": "macro AUC",
    "log_loss": "log loss",
    "brier": "Brier",
}


def main() -> None:
    """Merge the files that are named into the table."""
    found: dict[tuple[str, str, bool, str], list[float]] = {}
    sides: dict[tuple[str, str, bool, str], float] = {}
    for path in sys.argv[1:]:
        for situation, metrics in json.loads(Path(path).read_text(encoding="utf-8")).items():
            name, _, cases = situation.rpartition("; ")
            population = make(name)
            kind = (
                name_band(CLASSES, len(population.classes)),
                population.most_in_group > 1,
                name_band(CASES, int(cases.split()[0])),
            )
            for label, row in metrics.items():
                if row["n"] >= FEWEST:
                    metric = label.replace(" of a class", "")
                    found.setdefault((metric, *kind), []).append(row["covered"])
                    side = max(row["too high"], row["too low"])
                    sides[(metric, *kind)] = max(side, sides.get((metric, *kind), 0))
    rows = {
        (r["metric"], r["classes"], r["grouped"], r["cases"]): r["covered"]
        for r in (json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else [])
    }
    rows |= {key: [min(values), max(values)] for key, values in found.items()}
    keys = ("metric", "classes", "grouped", "cases")
    lines = [
        json.dumps(dict(zip(keys, key, strict=True)) | {"covered": covered})
        for key, covered in sorted(rows.items())
    ]
    FILE.write_text("[\n" + ",\n".join(lines) + "\n]\n", encoding="utf-8")
    print(f"{len(lines)} rows in {FILE}")
    print("| classes | cases |", " | ".join(COLUMNS.values()), "|")
    print("|---|---|" + "---|" * len(COLUMNS))
    order = {
        name_band(bands, low): i for bands in (CLASSES, CASES) for i, (low, _) in enumerate(bands)
    }
    kinds = sorted({key[1:] for key in found}, key=lambda k: (k[1], order[k[0]], order[k[2]]))
    for kind in kinds:
        cells = [
            f"{min(found[metric, *kind]):.3f} ({sides[metric, *kind]:.3f})"
            if (metric, *kind) in found
            else "none"
            for metric in COLUMNS
        ]
        classes = f"{kind[0]}, groups" if kind[1] else kind[0]
        print(f"| {classes} | {kind[2]} |", " | ".join(cells), "|")


if __name__ == "__main__":
    main()
