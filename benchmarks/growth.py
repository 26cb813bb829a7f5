"""How time and memory of an epoch grow with the number of cases: they should be a line, and memory flat.

Synthetic cases of 1,000 to 100,000 with random pixels in a store on disk. An epoch trains on four fifths and
scores all, by :func:`milkreport.training.cell.train_cell` as in a run. Each size has a process of its own.
Time is that of a second epoch (the first pays for set-up), memory the most that was resident in the process;
``file_mb`` of it may be pages of the store, which the system takes back when it needs them. ``stored_mb``
beside it: a store several times the memory works, as pages are let go while it is read.

Prints a table and, as its last line, one JSON object: ``ratio_time``, the time a case at the most cases by
that at the fewest; ``mb_a_thousand``, by which memory grows.

    python benchmarks/growth.py [--size 32] [--cases 1000 2500 5000 10000 100000] [--device auto]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from milkreport.data.cases import Card, Cases, Feature
from milkreport.data.cleaning import Cleaned
from milkreport.data.pixels.store import PixelStore
from milkreport.data.prepare import Prepared
from milkreport.data.splits import Fold
from milkreport.suite.suite import Arm, load_suite
from milkreport.training.cell import train_cell
from milkreport.training.device import pin, resolve_device
from milkreport.training.pixels import choose_pixel_source

CLASSES = tuple("ABCDEFGHIJK")
VIEWS = ("clinical", "dermoscopic")


def make_cases(n: int, size: int, folder: Path) -> Prepared:
    """*n* random cases with 12 feature columns a view, and their store on disk."""
    rng = np.random.default_rng(0)
    shape = (n, 2, size, size, 3)
    with (folder / "pixels").open("wb") as file:
        for _ in range(n):
            file.write(rng.bytes(2 * size * size * 3))
    ids = [f"case{i:07d}" for i in range(n)]
    columns = {f"{view}_{k}": rng.normal(size=n) for view in VIEWS for k in range(12)}
    labels = rng.choice(CLASSES, n)
    table = pd.DataFrame({"case_id": ids, "group_id": ids, "label": labels} | columns)
    features = tuple(
        Feature(name, "numeric", name.rsplit("_", 1)[0], zscore=True) for name in columns
    )
    cases = Cases(table, VIEWS, features, CLASSES, Card("random", "none", "nobody"), folder)
    mapped = np.memmap(folder / "pixels", np.uint8, "r", shape=shape)
    store = PixelStore(mapped, pd.DataFrame(), np.arange(n), "", "")
    nothing = pd.DataFrame()
    return Prepared(
        cases, store, Cleaned(cases, n, nothing, {}, table.index), nothing, nothing, 0, ""
    )


def measure(n: int, size: int, device_name: str) -> dict[str, float]:
    """Seconds of a second epoch and the most memory, in this process."""
    suite = load_suite("quick", [f"data.image_size={size}", "training.epochs=2"])
    device = resolve_device(device_name)
    pin(suite.training, device)
    with tempfile.TemporaryDirectory() as folder:
        prepared = make_cases(n, size, Path(folder))
        positions = np.random.default_rng(1).permutation(n)
        test, train = np.sort(positions[: n // 5]), np.sort(positions[n // 5 :])
        ends: list[float] = []
        train_cell(
            prepared,
            suite,
            Arm(name="baseline", correction="none"),
            0,
            Fold(0, train, train[:0], test),
            choose_pixel_source(prepared.store, device),
            lambda epoch, row: ends.append(time.perf_counter()),
        )
        stored = prepared.store.pixels.nbytes
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return {
        "cases": n,
        "epoch_s": round(ends[1] - ends[0], 3),
        "ms_a_case": round(1000 * (ends[1] - ends[0]) / n, 4),
        # Of this process alone: getrusage counts what its parent had.
        "peak_mb": round(int(status["VmHWM"].split()[0]) / 1024),
        "file_mb": round(int(status["RssFile"].split()[0]) / 1024),
        "stored_mb": round(stored / 1e6),
    }


def main() -> None:
    """Measure each size in a process of its own, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--cases", type=int, nargs="+", default=[1000, 2500, 5000, 10_000, 100_000])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        print(json.dumps(measure(asked.one, asked.size, asked.device)))
        return
    rows = []
    for n in asked.cases:
        command = [sys.executable, __file__, "--one", str(n), "--size", str(asked.size)]
        command += ["--device", asked.device]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        rows.append(json.loads(done.stdout.splitlines()[-1]))
    print(pd.DataFrame(rows).to_string(index=False))
    first, last = rows[0], rows[-1]
    thousands = (last["cases"] - first["cases"]) / 1000
    figures = {
        "benchmark": "growth",
        "size": asked.size,
        "ratio_time": round(last["ms_a_case"] / first["ms_a_case"], 3),
        "mb_a_thousand": round((last["peak_mb"] - first["peak_mb"]) / max(thousands, 1), 2),
        "rows": rows,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
