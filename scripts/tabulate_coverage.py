"""Writes ``milkreport/evaluation/coverage.json`` from what ``simulate_intervals.py`` found.

Situations of one kind (number of classes, groups or not, number of cases) become one row a metric with the
lowest and the highest coverage among them. Rows of kinds that the input does not hold stay as they are.

    python scripts/simulate_intervals.py --out found.json
    python scripts/tabulate_coverage.py found.json [more.json ...]
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from populations import make

from milkreport.evaluation.coverage import CASES, CLASSES, FILE, name_band

#: A coverage of fewer intervals than this says little.
FEWEST = 50


def main() -> None:
    """Merge the files that are named into the table."""
    found: dict[tuple[str, str, bool, str], list[float]] = {}
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


if __name__ == "__main__":
    main()
