"""Keep what a run found, without anything of a case: for docs/study.

    python scripts/study_results.py RUN... --out docs/study

Of each run: suite, manifest, all differences, and the metrics over all cases and by class (no subgroups).
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import pandas as pd

from milkreport.runs.csv_files import write_csv
from milkreport.runs.folder import RunFolder

#: Of the long form: without seeds' own rows, which the means and intervals stand for.
METRICS = ["accuracy", "balanced_accuracy", "macro_f1", "weighted_f1", "mcc", "macro_auc"]
BY_CLASS = ["precision", "recall", "f1"]


def keep(run: Path, out: Path) -> list[Path]:
    """Write the four files of one run; their paths."""
    RunFolder(run).load_manifest()  # no run: says so before anything is written
    name = run.resolve().name
    table = pd.read_csv(run / "metrics.csv", dtype=str, keep_default_na=False)
    plain = (table["slice"] == "") & (table["seed"] == "all") & (table["split"] == "test")
    overall = (table["class"] == "") & table["metric"].isin(METRICS)
    classes = (table["class"] != "") & table["metric"].isin(BY_CLASS)
    columns = ["arm", "metric", "class", "value", "low", "high", "n", "decision"]
    kept = table.loc[plain & (overall | classes), columns]
    if kept.empty:
        raise SystemExit(f"{run}: no metrics over all seeds")
    out.mkdir(parents=True, exist_ok=True)
    paths = [out / f"{name}.metrics.csv", out / f"{name}.differences.csv"]
    write_csv(paths[0], kept)
    shutil.copyfile(run / "differences.csv", paths[1])
    for file in ("suite.toml", "manifest.json"):
        if (run / file).is_file():
            paths.append(out / f"{name}.{file}")
            shutil.copyfile(run / file, paths[-1])
    return paths


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    for run in arguments.runs:
        for path in keep(run, arguments.out):
            print(f"wrote {path}")


if __name__ == "__main__":
    main()
