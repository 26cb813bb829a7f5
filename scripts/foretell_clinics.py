"""Forecasts for another clinic beside what is found there: clinics that are cut out of a run's own cases.

Takes the test predictions of a cross-validated run, so that each case was predicted by a model that never saw
it. Clinics are of two kinds. *Other class shares*: half of the cases are the labelled test part, and from the
other half cases are drawn so that classes have the shares of a declared mix; the cases of a class are then
alike in both. *Other patients*: the cases of one site, skin tone, age or sex are the clinic, all others the
labelled test part; the cases of a class may differ between them.

Both forecasts are tried: with the clinic's class counts (``--prevalence``) and without any label of it
(``--unlabelled``). A forecast *held* where the 95% interval of foretold minus found includes 0. It is made
of both intervals (MOVER), since what is found in a clinic of few cases is itself uncertain. The
figures are in ``docs/beyond.md``.

    milkreport run-all classical --data DIR --out runs/classical
    python scripts/foretell_clinics.py runs/classical --positive MEL,BCC [--halves 40] [--only KIND]
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from math import hypot
from pathlib import Path

import numpy as np
import pandas as pd

from milkreport.evaluation.beyond.forecast import describe_forecast
from milkreport.evaluation.beyond.shares import ClassShares
from milkreport.evaluation.beyond.unlabelled import describe_unlabelled
from milkreport.evaluation.intervals.closed_form import share_bounds
from milkreport.evaluation.metrics.measures import Plan
from milkreport.evaluation.pooled_predictions import CaseFacts
from milkreport.evaluation.reading.predictions import Predictions, load_predictions
from milkreport.runs.folder import RunFolder

#: Class shares of the clinics of the first kind; classes that are not named share the rest as in the run.
MIXES = {
    "screening": {"NV": 0.70, "BKL": 0.15, "MEL": 0.02, "BCC": 0.05},
    "referral": {"MEL": 0.25, "NV": 0.25, "BCC": 0.20, "SCCKA": 0.10},
    "older": {"AKIEC": 0.25, "SCCKA": 0.20, "BCC": 0.35, "NV": 0.02},
}
#: Cases of a clinic of the first kind.
N_CLINIC = 400
#: Fewer cases of a natural clinic say too little of what is found there.
FEWEST = 150
METRICS = ("accuracy", "sensitivity", "specificity", "ppv", "npv")
NATURAL = ("site", "skin_tone_class", "age", "sex")


@dataclass(frozen=True)
class Clinic:
    """A clinic beside the labelled cases, positions into all cases, int64."""

    kind: str
    name: str
    labelled: np.ndarray
    cases: np.ndarray


def read_arm(run: RunFolder, arm: str, classes: list[str]) -> Predictions:
    """All test predictions of the arm's first seed, folds joined."""
    folders = sorted((run.path / "cells" / arm / "seed-0").glob("fold-*"))
    parts = [load_predictions(folder / "predictions.csv", classes)["test"] for folder in folders]
    return Predictions(
        np.concatenate([p.case_ids for p in parts]),
        np.concatenate([p.truth for p in parts]),
        np.concatenate([p.probabilities for p in parts]),
        tuple(classes),
    )


def take(p: Predictions, rows: np.ndarray) -> Predictions:
    """Some of the cases, in the order of their ids."""
    rows = rows[np.argsort(p.case_ids[rows], kind="stable")]
    return Predictions(p.case_ids[rows], p.truth[rows], p.probabilities[rows], p.classes)


def draw_mixes(p: Predictions, halves: int, rng: np.random.Generator) -> Iterator[Clinic]:
    """Clinics of other class shares beside a random half; of a class no more than the other half has."""
    counts = np.bincount(p.truth, minlength=len(p.classes))
    for name, shares in MIXES.items():
        wanted = ClassShares(tuple(shares.items())).complete(p.classes, counts.tolist())
        for _ in range(halves):
            order = rng.permutation(len(p.truth))
            half, other = np.array_split(order, 2)
            held = np.bincount(p.truth[other], minlength=len(p.classes))
            sizes = np.minimum(rng.multinomial(N_CLINIC, wanted), held)
            drawn = [rng.permutation(other[p.truth[other] == c])[:s] for c, s in enumerate(sizes)]
            yield Clinic("other class shares", name, half, np.concatenate(drawn))


def find_natural(p: Predictions, run: RunFolder) -> Iterator[Clinic]:
    """Clinics of one site, skin tone, age or sex, each beside all other cases."""
    table = pd.read_csv(run.path / "subgroups.csv", dtype={"case_id": str}).set_index("case_id")
    table = table.reindex(p.case_ids)
    years = pd.to_numeric(table["age_approx"], errors="coerce")
    table["age"] = pd.cut(
        years, [0, 40, 60, 75, 200], right=False, labels=["<40", "40-59", "60-74", "75+"]
    )
    for column in NATURAL:
        for value, rows in table.reset_index().groupby(column, observed=True).groups.items():
            inside = np.asarray(rows, np.int64)
            if FEWEST <= len(inside) <= len(p.truth) - 500:
                rest = np.setdiff1d(np.arange(len(p.truth)), inside)
                yield Clinic(column, f"{column} {value}", rest, inside)


def find_there(p: Predictions, positive: np.ndarray) -> dict[str, tuple[float, float, float]]:
    """What is found in the clinic, with 95% intervals of shares."""
    sick, called = positive[p.truth], positive[p.predicted]
    hits = {
        "accuracy": (p.predicted == p.truth, np.ones(len(sick), bool)),
        "sensitivity": (called & sick, sick),
        "specificity": (~called & ~sick, ~sick),
        "ppv": (called & sick, called),
        "npv": (~called & ~sick, ~called),
    }
    found = {}
    for name, (right, among) in hits.items():
        low, high = share_bounds(np.array([right.sum()], float), np.array([among.sum()], float))
        found[name] = (right.sum() / max(among.sum(), 1), float(low[0]), float(high[0]))
    return found


def holds(foretold: object, found: tuple[float, float, float]) -> bool | None:
    """Whether the interval of foretold minus found holds 0; ``None`` without an interval."""
    value, low, high = (getattr(foretold, key, None) for key in ("value", "low", "high"))
    if value is None or low is None or high is None:
        return None
    gap = value - found[0]
    below, above = hypot(value - low, found[2] - found[0]), hypot(high - value, found[0] - found[1])
    return gap - below <= 0 <= gap + above


def judge(p: Predictions, clinic: Clinic, plan: Plan) -> Iterator[dict[str, object]]:
    """A row for each forecast and metric of the clinic."""
    here, there = take(p, clinic.labelled), take(p, clinic.cases)
    positive = np.isin(p.classes, plan.positive)
    inside, found = find_there(here, positive), find_there(there, positive)
    counts = np.bincount(there.truth, minlength=len(p.classes))
    share, total = counts / counts.sum(), int(counts.sum())
    base = {"kind": clinic.kind, "clinic": clinic.name, "n": len(there.truth)}
    called = {0: positive[here.predicted]}
    shares = ClassShares(tuple(zip(p.classes, share.tolist(), strict=True)), total)
    drawn = shares.draw(share)
    counted = describe_forecast({0: here}, called, share, None, plan, drawn, total, bounded=True)
    record = describe_unlabelled(
        "arm", "clinic", there.probabilities, {(0, 0): here}, plan, CaseFacts()
    )
    reason = (
        "" if not record.refused else ("few" if record.refused.startswith("by the") else "shift")
    )
    for way, forecast in (("counted", counted), ("unlabelled", record.forecast)):
        for metric in METRICS:
            row = base | {
                "way": way,
                "metric": metric,
                "refused": reason if way == "unlabelled" else "",
            }
            row |= {"inside": inside[metric][0], "found": found[metric][0], "p": record.p}
            estimate = forecast.metrics.get(metric) if forecast is not None else None
            if estimate is not None and estimate.value is not None:
                row |= {"foretold": estimate.value, "held": holds(estimate, found[metric])}
            yield row


def report(rows: pd.DataFrame) -> None:
    """Tables of how often forecasts held and how far off they were."""
    rows["error"] = (rows["foretold"] - rows["found"]).abs()
    rows["unaware"] = (rows["inside"] - rows["found"]).abs()
    known = rows[rows["foretold"].notna()]
    keys = ["kind", "clinic", "way"]
    for by in (["kind", "way", "metric"], keys):
        print("\n| " + " | ".join(by) + " | n | held | mean error | error of the value inside |")
        print("|" + "---|" * (len(by) + 4))
        for key, part in known.groupby(by, sort=False):
            held = part["held"].dropna().astype(bool)
            told = f"{held.mean():.2f} of {len(held)}" if len(held) else "no interval"
            print(
                f"| {' | '.join(map(str, key))} | {len(part)} | {told} "
                f"| {part['error'].mean():.3f} | {part['unaware'].mean():.3f} |"
            )
    asked = rows[(rows["way"] == "unlabelled") & (rows["metric"] == "accuracy")]
    print(
        "\n| kind | clinics | refused: few cases | refused: shares do not explain |\n|---|---|---|---|"
    )
    for kind, part in asked.groupby("kind", sort=False):
        print(
            f"| {kind} | {len(part)} | {(part['refused'] == 'few').sum()} "
            f"| {(part['refused'] == 'shift').sum()} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path)
    parser.add_argument("--positive", default="MEL,BCC,SCCKA,AKIEC,MAL_OTH")
    parser.add_argument("--arms", default="")
    parser.add_argument("--halves", type=int, default=20, help="repetitions of each mix")
    parser.add_argument("--only", choices=["mixes", "natural"])
    parser.add_argument("--out", type=Path, help="a CSV of all rows")
    asked = parser.parse_args()
    run = RunFolder(asked.run)
    names = (
        asked.arms.split(",")
        if asked.arms
        else sorted(f.name for f in (run.path / "cells").iterdir())
    )
    first = next((run.path / "cells" / names[0]).rglob("predictions.csv"))
    classes = pd.read_csv(first, nrows=0).columns[3:].tolist()
    plan = Plan(positive=tuple(asked.positive.split(",")), n_resamples=1000)
    rows: list[dict[str, object]] = []
    for arm in names:
        p = read_arm(run, arm, classes)
        rng = np.random.default_rng(0)
        clinics = [] if asked.only == "natural" else [*draw_mixes(p, asked.halves, rng)]
        clinics += [] if asked.only == "mixes" else [*find_natural(p, run)]
        for clinic in clinics:
            rows += [{"arm": arm} | row for row in judge(p, clinic, plan)]
            if asked.out:
                pd.DataFrame(rows).to_csv(asked.out, index=False)
    report(pd.DataFrame(rows))


if __name__ == "__main__":
    main()
