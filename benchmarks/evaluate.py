"""``milkreport evaluate`` as a whole process: a million rows, how it grows, and beside the archive's scorer.

Random predictions of 11 classes as CSV files. Time and peak memory of ``evaluate --json --no-intervals`` at
each size, each in a process of its own; and on 5,240 rows the same call in turn with the archive's scorer
(``isic-challenge-scoring classification``) on the same files, whole process against whole process. Then three
arms to a page with all intervals, tests and figures, at 5,240 and 100,000 rows: CPU seconds, one thread, and
their ratio to points alone of the same files.

The scorer needs an environment of its own: ``--isic PYTHON`` names the interpreter of one made by
``pip install "isic-challenge-scoring==5.6.0" "pandas<2.1" "numpy<2" "scikit-learn<1.5"``. Without it
``ratio_isic`` is null.

Prints a table and, as its last line, one JSON object: ``seconds`` and ``peak_mb`` at ``rows``, the most rows;
``ratio_growth``, the time a row there by that at a tenth; ``ratio_isic``, our time by the scorer's;
``page_cpu_seconds``, ``ratio_page`` and ``page_peak_mb`` by number of rows.

    python benchmarks/evaluate.py [--rows 1000000] [--isic PYTHON] [--rounds 5]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from peak import measure

CLASSES = [f"C{i:02d}" for i in range(11)]
BENCHMARK_ROWS = 5_240
PAGE_ROWS = (5_240, 100_000)


def write_files(folder: Path, n: int, arm: int = 0) -> tuple[Path, Path]:
    """Predictions of an arm and one-hot truth of *n* cases, in the archive's form."""
    rng = np.random.default_rng(n)
    truth = rng.choice(11, n, p=np.array([30, 252, 4, 54, 5, 5, 1, 44, 71, 47, 5]) / 518)
    rng = np.random.default_rng([n, arm])
    values = rng.dirichlet(np.ones(11), n) * 0.6 + 0.4 * np.eye(11)[truth]
    ids = [f"case_{i:07d}" for i in range(n)]
    paths = folder / f"predictions-{n}-{arm}.csv", folder / f"truth-{n}.csv"
    for path, numbers in zip(paths, (values, np.eye(11)[truth]), strict=True):
        frame = pd.DataFrame(numbers, columns=CLASSES)
        frame.insert(0, "image", ids)
        frame.to_csv(path, index=False, float_format="%.9f")
    return paths


def measure_page(folder: Path, n: int) -> tuple[float, float, float]:
    """CPU seconds of three arms to a page with intervals, and of their points alone; the page's peak MB."""
    files = [write_files(folder, n, arm) for arm in range(3)]
    arms, truth = [f"arm{i}={predictions}" for i, (predictions, _) in enumerate(files)], files[0][1]
    command = [sys.executable, "-m", "milkreport", "evaluate", *arms, "--truth", str(truth)]
    page = [*command, "--no-pdf", "--out", str(folder / f"page-{n}")]
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    with_page = measure(page, one_thread)
    points = measure([*command, "--json", "--no-intervals"], one_thread)
    return with_page.cpu, points.cpu, with_page.peak_mb


def ours(files: tuple[Path, Path]) -> list[str]:
    """Our command."""
    predictions, truth = map(str, files)
    command = [sys.executable, "-m", "milkreport", "evaluate", predictions, "--truth", truth]
    return [*command, "--rules", "isic", "--json", "--no-intervals"]


def theirs(python: str, files: tuple[Path, Path]) -> list[str]:
    """The scorer's command."""
    predictions, truth = map(str, files)
    module = [python, "-W", "ignore", "-m", "isic_challenge_scoring", "-o", "json"]
    return [*module, "classification", truth, predictions]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--isic", default="")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = {}
        for n in (arguments.rows // 10, arguments.rows):
            rows[n] = measure(ours(write_files(folder, n)))
            print(f"{n:>9,} rows: {rows[n].seconds:6.2f} s, {rows[n].peak_mb:7.0f} MB")
        ratio = None
        files = write_files(folder, BENCHMARK_ROWS)
        mine, scorers = [], []
        for _ in range(arguments.rounds):
            mine.append(measure(ours(files)).seconds)
            if arguments.isic:
                scorers.append(measure(theirs(arguments.isic, files)).seconds)
        print(f"{BENCHMARK_ROWS:>9,} rows: {statistics.median(mine):6.2f} s")
        if scorers:
            ratio = statistics.median(a / b for a, b in zip(mine, scorers, strict=True))
            print(f"  the archive's scorer: {statistics.median(scorers):.2f} s; ratio {ratio:.2f}")
        pages = {n: measure_page(folder, n) for n in PAGE_ROWS if n <= arguments.rows}
        for n, (cpu, points, most) in pages.items():
            print(
                f"{n:>9,} rows, page with intervals: {cpu:6.2f} s of CPU, points {points:.2f} s, "
                f"{most:.0f} MB"
            )
    seconds, _, peak = rows[arguments.rows]
    growth = (seconds / arguments.rows) / (
        rows[arguments.rows // 10].seconds / (arguments.rows // 10)
    )
    said = {
        "seconds": round(seconds, 2),
        "peak_mb": round(peak),
        "rows": arguments.rows,
        "ratio_growth": round(growth, 3),
        "ratio_isic": None if ratio is None else round(ratio, 3),
        "page_cpu_seconds": {n: round(cpu, 2) for n, (cpu, _, _) in pages.items()},
        "ratio_page": {n: round(cpu / points, 2) for n, (cpu, points, _) in pages.items()},
        "page_peak_mb": {n: round(most) for n, (_, _, most) in pages.items()},
    }
    print(json.dumps(said))


if __name__ == "__main__":
    main()
