"""Draw a data set that has nothing to do with milkreport's own: photos of leaves, three findings.

It serves the tutorial docs/your_own_data.md. The table has a style of its own: ids that are no file names,
several photos a plant, a few empty cells, a column that gives the finding away, and a photo that stands
there twice. Same seed, same bytes.

    python examples/make_three_class_set.py FOLDER --plants 150 --seed 0
"""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

#: Plants by state. Sick plants have healthy leaves too: about 12:3:1 photos.
STATES = {"healthy": 9, "rust": 3, "blight": 1}
SITES = ("glasshouse", "north field", "south field", "terrace")
COLUMNS = (
    "photo", "plant", "finding", "age_weeks", "site", "leaf_length_mm", "camera", "taken_on", "lab_confirmed",
)  # fmt: skip
README = """Drawn by examples/make_three_class_set.py: no leaf, no plant, no result.
Describe it as synthetic: synthetic = true in milkreport.toml.
"""

Pixels = npt.NDArray[np.float64]


def main() -> None:
    """Read the command line, draw the set."""
    parser = argparse.ArgumentParser(description="Draw photos of leaves with three findings.")
    parser.add_argument("folder", type=Path, help="must be absent or empty")
    parser.add_argument("--plants", type=int, default=150, help="each has 2 to 6 photos")
    parser.add_argument("--seed", type=int, default=0, help="same seed, same bytes")
    chosen = parser.parse_args()
    if chosen.plants < 30 or chosen.seed < 0:
        parser.error("--plants must be 30 or more, --seed 0 or more")
    if chosen.folder.is_file() or (chosen.folder.is_dir() and any(chosen.folder.iterdir())):
        parser.error(f"{chosen.folder} is there already and not empty")
    rows = draw_set(chosen.folder, chosen.plants, chosen.seed)
    print(f"{rows} photos of {chosen.plants} plants in {chosen.folder}", file=sys.stderr)


def draw_set(folder: Path, plants: int, seed: int) -> int:
    """Write photos.csv, photos/ and README.txt; returns the number of photos."""
    rng = np.random.default_rng(seed)
    (folder / "photos").mkdir(parents=True, exist_ok=True)
    states = rng.permutation(_states(plants))
    rows, files = [], []
    for plant, state in enumerate(states, 1):
        traits = _traits(rng, str(state))
        for _ in range(int(rng.integers(2, 7))):
            # Not every leaf of a sick plant shows it.
            finding = str(state) if state == "healthy" or rng.random() < 0.8 else "healthy"
            photo = f"{len(rows) + 1:04d}"
            files.append(folder / "photos" / f"IMG_{photo}_leaf.png")
            pixels = _photo(rng, traits, finding)
            Image.fromarray((pixels * 255).round().astype(np.uint8)).save(files[-1])
            rows.append(_row(rng, photo, f"plant-{plant:03d}", finding, traits))
    # One photo was handed in twice: the last plant's last one is another plant's.
    twin = next(i for i, row in enumerate(rows) if row[2] == rows[-1][2])
    files[-1].write_bytes(files[twin].read_bytes())
    with (folder / "photos.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(rows)
    (folder / "README.txt").write_text(README, encoding="utf-8")
    return len(rows)


def _states(plants: int) -> list[str]:
    """A state a plant, in the proportions of STATES, at least four plants each."""
    total = sum(STATES.values())
    counts = {name: max(4, round(plants * n / total)) for name, n in STATES.items()}
    counts["healthy"] += plants - sum(counts.values())
    return [name for name, n in counts.items() for _ in range(n)]


def _traits(rng: np.random.Generator, state: str) -> dict[str, float]:
    """What a plant's leaves share; older plants are sick more often."""
    older = {"healthy": 0.0, "rust": 3.0, "blight": 5.0}[state]
    return {
        "green": rng.uniform(0.38, 0.62),
        "yellow": rng.uniform(0.15, 0.40),
        "slender": rng.uniform(0.45, 0.70),
        "ground": rng.uniform(0.35, 0.65),
        "age": float(np.clip(rng.normal(14 + older, 5), 2, 40)),
        "site": float(rng.integers(len(SITES))),
    }


def _row(
    rng: np.random.Generator, photo: str, plant: str, finding: str, traits: dict[str, float]
) -> list[str]:
    age = "" if rng.random() < 0.02 else f"{traits['age']:.0f}"
    site = "" if rng.random() < 0.02 else SITES[int(traits["site"])]
    length = f"{rng.normal(60 + traits['age'], 9):.1f}"
    camera = ("phone", "reflex")[int(rng.random() < 0.3)]
    day = f"2024-{rng.integers(5, 10):02d}-{rng.integers(1, 29):02d}"
    confirmed = "yes" if finding != "healthy" and rng.random() < 0.9 else "no"
    return [photo, plant, finding, age, site, length, camera, day, confirmed]


def _photo(rng: np.random.Generator, traits: dict[str, float], finding: str) -> Pixels:
    """One leaf on the ground: RGB of shape (height, width, 3), 0 to 1."""
    height, width = int(rng.integers(72, 121)), int(rng.integers(72, 121))
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    angle = rng.uniform(0, np.pi)
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    inside = (along / 0.95) ** 2 + (across / traits["slender"]) ** 2 < 1
    grain = _smooth(rng.normal(size=(height, width)))
    ground = np.array([0.50, 0.40, 0.28]) * (0.6 + traits["ground"]) * (1 + 0.08 * grain[..., None])
    leaf = np.array([traits["yellow"], traits["green"], 0.15]) * (1 + 0.06 * grain[..., None])
    veins = np.exp(-((across / 0.02) ** 2)) + 0.5 * np.exp(-((np.sin(14 * along) / 0.12) ** 2))
    leaf = leaf + 0.10 * veins[..., None]
    # Specks of soil and insect bites, on every leaf: colour alone does not tell.
    leaf = _spots(rng, leaf, (x, y), int(rng.integers(2, 9)), (0.02, 0.06), (0.35, 0.26, 0.15))
    if rng.random() < 0.15:  # sunburn
        leaf = _spots(rng, leaf, (x, y), int(rng.integers(1, 3)), (0.25, 0.50), (0.66, 0.60, 0.22))
    if finding == "rust":
        leaf = _spots(rng, leaf, (x, y), int(rng.integers(8, 40)), (0.05, 0.10), (0.85, 0.35, 0.05))
    if finding == "blight":
        leaf = _spots(rng, leaf, (x, y), int(rng.integers(1, 3)), (0.20, 0.45), (0.66, 0.60, 0.22))
        leaf = _spots(rng, leaf, (x, y), int(rng.integers(2, 6)), (0.15, 0.30), (0.15, 0.08, 0.10))
    picture = np.where(inside[..., None], leaf, ground)
    light = rng.uniform(0.85, 1.15) * (1 + 0.1 * (x * rng.normal() + y * rng.normal()))
    noise = rng.normal(scale=0.03, size=picture.shape)
    shade: Pixels = np.clip(picture * light[..., None] + noise, 0, 1)
    return shade


def _spots(
    rng: np.random.Generator,
    leaf: Pixels,
    at: tuple[Pixels, Pixels],
    n: int,
    radii: tuple[float, float],
    colour: tuple[float, float, float],
) -> Pixels:
    """*leaf* with *n* soft round spots of one colour, each of its own strength."""
    for _ in range(n):
        cx, cy, radius = rng.uniform(-0.7, 0.7), rng.uniform(-0.7, 0.7), rng.uniform(*radii)
        distance = np.hypot(at[0] - cx, at[1] - cy) / radius
        weight = rng.uniform(0.25, 0.5) * (1 - np.tanh(6 * (distance - 1)))
        leaf = leaf * (1 - weight[..., None]) + np.array(colour) * weight[..., None]
    return leaf


def _smooth(noise: Pixels, times: int = 4) -> Pixels:
    """Noise without its finest grain, standard deviation 1."""
    for _ in range(times):
        noise = (noise + np.roll(noise, 1, 0) + np.roll(noise, 1, 1) + np.roll(noise, -1, 0)) / 4
    return np.asarray(noise / noise.std(), np.float64)


if __name__ == "__main__":
    main()
