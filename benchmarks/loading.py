"""Images to tensors: the pixel store against the loader of a notebook, in one run.

Notebook: ``Image.open``, ``Resize``, ``ToTensor`` in a PyTorch ``DataLoader`` (batches of 32, workers kept
alive, their start not timed). Ours, packing: :func:`milkreport.data.pixels.store.open_store` into an empty
cache, everything that it does included (hashes of files and rows, perceptual hashes, writing, verifying);
in both modes, with as many threads as the notebook has workers. Ours, warm: ``PixelStore.batch`` into a
reused array, as uint8 and as float32, against the notebook's loader without workers on the same random
batches; the floats are compared with the notebook's once, untimed. The images are copied until there
are enough of them; rounds alternate, so that a busy machine slows all alike, and medians are compared.
Prints a table and, as its last line, one JSON object.

    python benchmarks/loading.py [--data DIR] [--copies 6] [--rounds 7] [--workers 2]
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from milkreport.data.cases import Card, Cases
from milkreport.data.pixels.decode import decode
from milkreport.data.pixels.store import PixelStore, open_store

BATCH, SIZE, WARM_BATCHES = 32, 256, 12
SAMPLE = Path(__file__).resolve().parents[2] / "shared" / "milk10k_sample"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=SAMPLE, help="a folder of original JPEGs")
    parser.add_argument("--copies", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--peak", choices=["exact", "fast"], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.peak:
        print(pack_and_measure_memory(arguments.data, arguments.peak, arguments.workers))
        return
    import torch

    # One thread is faster for the notebook than torch's default: its threads spin between images.
    torch.set_num_threads(1)
    originals = sorted(arguments.data.rglob("*.jpg"))
    if len(originals) < BATCH:
        print("error: no folder of original images — name one with --data DIR", file=sys.stderr)
        raise SystemExit(3)
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        cases = copy_images(originals, scratch / "images", arguments.copies)
        seconds = time_packing(cases, scratch, arguments.rounds, arguments.workers)
        seconds |= time_batches(cases, scratch, arguments.rounds)
        peak = max(measure_peak(cases.root, mode, arguments.workers) for mode in ("exact", "fast"))
    median = {way: statistics.median(times) for way, times in seconds.items()}
    report(median, len(cases.table), arguments, peak, compare_modes(originals))


def copy_images(originals: list[Path], folder: Path, copies: int) -> Cases:
    """*copies* of each image, each a case of its own."""
    folder.mkdir()
    for copy in range(copies):
        for path in originals:
            shutil.copyfile(path, folder / f"{copy}-{path.name}")
    return list_cases(folder)


def list_cases(folder: Path) -> Cases:
    """The images of *folder*, a case each."""
    paths = sorted(folder.iterdir())
    ids = [path.name for path in paths]
    table = pd.DataFrame({"case_id": ids, "group_id": ids, "label": "x"})
    table["image:photo"] = [str(path) for path in paths]
    return Cases(table, ("photo",), (), ("x",), Card("benchmark", "", ""), folder)


def time_packing(cases: Cases, scratch: Path, rounds: int, workers: int) -> dict[str, list[float]]:
    """Seconds of each round for the notebook's epoch and for packing; half the images too."""
    table = cases.table
    half = Cases(table.iloc[::2], *(getattr(cases, n) for n in list(vars(cases))[1:]))
    epoch = notebook_epoch(list(cases.image_paths("photo")), workers)
    ways: dict[str, Callable[[], object]] = {
        "notebook": epoch,
        "exact": lambda: open_store(cases, SIZE, scratch / "cache", workers=workers),
        "fast": lambda: open_store(cases, SIZE, scratch / "cache", decoder="fast", workers=workers),
        "half": lambda: open_store(half, SIZE, scratch / "cache", workers=workers),
    }
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    rng = np.random.default_rng(0)
    for turn in range(rounds + 1):
        # In random order: what follows a packing finds its memory at hand, which tells on virtual machines.
        for way in rng.permutation(list(ways)):
            started = time.perf_counter()
            ways[way]()
            if turn:  # the first round starts the workers and fills the system's caches
                seconds[way].append(time.perf_counter() - started)
            shutil.rmtree(scratch / "cache", ignore_errors=True)
    return seconds


def notebook_loader(paths: list[str], workers: int, batches: list[list[int]] | None = None) -> Any:
    """The notebook's loader: in order, or the given batches."""
    import torch
    from PIL import Image
    from torchvision import transforms

    transform = transforms.Compose([transforms.Resize((SIZE, SIZE)), transforms.ToTensor()])

    class Images(torch.utils.data.Dataset):  # type: ignore[type-arg]
        def __len__(self) -> int:
            return len(paths)

        def __getitem__(self, index: int) -> torch.Tensor:
            return transform(Image.open(paths[index]))  # type: ignore[no-any-return]

    if batches is not None:
        return torch.utils.data.DataLoader(Images(), batch_sampler=batches)
    return torch.utils.data.DataLoader(
        Images(), batch_size=BATCH, num_workers=workers, persistent_workers=workers > 0
    )


def notebook_epoch(paths: list[str], workers: int) -> Callable[[], int]:
    """One pass over all images."""
    loader = notebook_loader(paths, workers)
    return lambda: sum(len(batch) for batch in loader)


def time_batches(cases: Cases, scratch: Path, rounds: int) -> dict[str, list[float]]:
    """Seconds a random batch of each way."""
    store = open_store(cases, SIZE, scratch / "warm")
    rng = np.random.default_rng(0)
    batches = [rng.permutation(len(cases.table))[:BATCH].tolist() for _ in range(WARM_BATCHES)]
    loader = notebook_loader(list(cases.image_paths("photo")), 0, batches)
    check_equal(store, loader, batches)
    buffers = {dtype: store.batch(batches[0], dtype=dtype) for dtype in ("uint8", "float32")}

    def gather(dtype: str) -> None:
        for batch in batches:
            store.batch(batch, buffers[dtype], dtype)

    ways: dict[str, Callable[[], object]] = {
        "warm notebook": lambda: sum(len(batch) for batch in loader),
        "warm uint8": lambda: gather("uint8"),
        "warm float32": lambda: gather("float32"),
    }
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way, run in ways.items():
            started = time.perf_counter()
            run()
            seconds[way].append((time.perf_counter() - started) / WARM_BATCHES)
    return seconds


def check_equal(store: PixelStore, loader: Any, batches: list[list[int]]) -> None:
    """Refuse to time what is not the same: every float is the notebook's, every byte too."""
    for positions, theirs in zip(batches, loader, strict=True):
        expected = theirs.permute(0, 2, 3, 1).numpy()
        ours = store.batch(positions, dtype=np.float32)[:, 0]
        assert np.array_equal(ours, expected)
        assert np.array_equal(store.batch(positions)[:, 0], np.rint(expected * 255))


def measure_peak(folder: Path, mode: str, workers: int) -> float:
    """MB of memory that a process of its own needs at most for packing."""
    options = ["--data", str(folder), "--peak", mode, "--workers", str(workers)]
    command = [sys.executable, __file__, *options]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def pack_and_measure_memory(folder: Path, mode: Any, workers: int) -> float:
    """Pack *folder*; the most memory this process ever had, in MB."""
    with tempfile.TemporaryDirectory() as cache:
        open_store(list_cases(folder), SIZE, Path(cache), decoder=mode, workers=workers)
    status = Path("/proc/self/status")
    if status.is_file():  # getrusage counts what the parent had before it started this process
        line = next(s for s in status.read_text().splitlines() if s.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    unit = 1e6 if sys.platform == "darwin" else 1e3
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def compare_modes(originals: list[Path]) -> dict[str, float]:
    """How far the fast mode's pixels are from the exact ones, of 255."""
    counts = np.zeros(256, np.int64)
    for path in originals:
        exact, fast = (decode(path, SIZE, mode).pixels.astype("i2") for mode in ("exact", "fast"))
        counts += np.bincount(np.abs(exact - fast).ravel(), minlength=256)
    shares = counts.cumsum() / counts.sum()
    return {
        "mean": float(counts @ np.arange(256) / counts.sum()),
        "p99": float(np.searchsorted(shares, 0.99)),
        "max": float(counts.nonzero()[0].max()),
    }


def report(
    median: dict[str, float],
    n_images: int,
    arguments: argparse.Namespace,
    peak: float,
    difference: dict[str, float],
) -> None:
    """Print the table and the JSON line."""
    print(f"{'way':<16}{'images':>8}{'ms an image':>14}{'images a second':>18}")
    for way, seconds in median.items():
        n = BATCH if way.startswith("warm") else n_images // 2 if way == "half" else n_images
        print(f"{way:<16}{n:>8,}{1000 * seconds / n:>14.4f}{n / seconds:>18,.0f}")
    print(f"\n{SIZE} px, {arguments.workers} workers, median of {arguments.rounds} rounds")
    print(f"packing takes {peak:.0f} MB of memory at most")
    print(
        "fast is off by {mean:.2f} of 255 (mean), {p99:.0f} (99 %), {max:.0f} (max)".format(
            **difference
        )
    )
    figures = {
        "benchmark": "loading",
        "size": SIZE,
        "images": n_images,
        "workers": arguments.workers,
        "ratio_pack": round(median["notebook"] / median["exact"], 3),
        "ratio_pack_fast": round(median["notebook"] / median["fast"], 3),
        "ratio_warm": round(median["warm notebook"] / median["warm uint8"], 1),
        "ratio_warm_float": round(median["warm notebook"] / median["warm float32"], 1),
        "peak_mb": round(peak, 1),
        "ratio_double": round(median["exact"] / median["half"], 3),
        **{f"fast_difference_{name}": round(value, 3) for name, value in difference.items()},
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
