"""Recomputes ``milkreport/data/synthetic/synthetic_profile.json`` from the real MILK10k tables.

    python scripts/synthetic_profile.py DIR

Writes summary statistics only, by class, shrunk towards those of all lesions; the section ``looks``, which
was set by hand, stays as it is. A test holds the shipped file against this computation.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from milkreport.data.adapters.milk10k import CLASSES, GROUND_TRUTH, METADATA, MONET, VIEWS
from milkreport.data.synthetic import write

PROFILE = Path(write.__file__).with_name("synthetic_profile.json")
SUPPLEMENT = "MILK10k_Training_Supplement.csv"
SHRINK = 25  # lesions of the overall distribution that are added to each class
LEAST = 5  # a frequency behind which stand fewer lesions is not that of the class


def profile(root: Path) -> dict[str, Any]:
    """All statistics of the profile but ``about`` and ``looks``."""
    rows, truth = pd.read_csv(root / METADATA), pd.read_csv(root / GROUND_TRUTH)
    truth["label"] = truth[list(CLASSES)].idxmax(axis=1)
    rows = rows.merge(truth[["lesion_id", "label"]], on="lesion_id")
    by_view = {t: rows[rows["image_type"] == t].set_index("lesion_id") for t in VIEWS.values()}
    lesions = by_view[VIEWS["clinical"]]
    clean = lesions.dropna(subset=["age_approx", "site"])
    n = clean["label"].value_counts()
    sites = sorted(clean["site"].unique())
    altered = {t: (v["image_manipulation"] == "altered").mean() for t, v in by_view.items()}
    males = clean.assign(male=clean["sex"] == "male")
    monet: dict[str, Any] = {}
    overall: dict[str, Any] = {}
    within = []
    for view, table in by_view.items():
        shares = table.loc[clean.index, list(MONET)].clip(1e-4, 1 - 1e-4)
        logits = np.log(shares / (1 - shares)).assign(label=clean["label"])
        means, sds = logits.groupby("label")[list(MONET)], logits[list(MONET)]
        monet[view] = {
            "mean": _shrunk(logits, MONET, "mean", n),
            "sd": _shrunk(logits, MONET, "std", n),
        }
        overall[view] = {k: getattr(sds, k)().round(3).tolist() for k in ("mean", "std")}
        overall[view]["sd"] = overall[view].pop("std")
        within.append(sds - means.transform("mean"))
    ages = _shrunk(clean, ["age_approx"], "mean", n), _shrunk(clean, ["age_approx"], "std", n)
    return {
        "counts": {c: int(n[c]) for c in CLASSES},
        "missing_per_lesion": {
            column: round(float(lesions[column].isna().mean()), 5)
            for column in ("age_approx", "site")
        },
        "altered": {view: round(float(share), 4) for view, share in altered.items()},
        "age_mean_sd": {c: [ages[0][c][0], ages[1][c][0]] for c in CLASSES},
        "male": {c: v[0] for c, v in _shrunk(males, ["male"], "mean", n).items()},
        "skin_tone": _frequencies(clean, "skin_tone_class", range(6), n),
        "site_names": sites,
        "site": _frequencies(clean, "site", sites, n),
        "monet": monet,
        "monet_all": overall,
        "monet_correlation": np.corrcoef(np.hstack(within).T).round(2).tolist(),
        **_diagnoses(root, by_view[VIEWS["clinical"]]),
    }


def _shrunk(
    table: pd.DataFrame, columns: Sequence[str], statistic: str, n: pd.Series
) -> dict[str, list[float]]:
    """(n x class + SHRINK x all) / (n + SHRINK) of a statistic of each column, by class."""
    chosen = table[list(columns)].astype(float)
    everyone = getattr(chosen, statistic)().to_numpy()
    mixed = {}
    for c in CLASSES:
        own = getattr(chosen[table["label"] == c], statistic)().to_numpy()
        mixed[c] = [round(float(v), 3) for v in (n[c] * own + SHRINK * everyone) / (n[c] + SHRINK)]
    return mixed


def _frequencies(
    table: pd.DataFrame, column: str, values: Sequence[Any], n: pd.Series
) -> dict[str, list[float]]:
    """Shrunk frequencies; where fewer than LEAST lesions stand behind one, that of all lesions."""
    everyone = np.array([(table[column] == v).mean() for v in values])
    result = {}
    for c in CLASSES:
        own = table.loc[table["label"] == c, column]
        counts = np.array([(own == v).sum() for v in values])
        shares = (counts + SHRINK * everyone) / (n[c] + SHRINK)
        shares = np.where(counts < LEAST, np.minimum(everyone, shares.max()), shares)
        result[c] = [round(float(v), 3) for v in shares / shares.sum()]
    return result


def _diagnoses(root: Path, lesions: pd.DataFrame) -> dict[str, Any]:
    found = pd.read_csv(root / SUPPLEMENT).merge(lesions[["isic_id", "label"]], on="isic_id")
    confirmed = (found["diagnosis_confirm_type"] == "histopathology").mean()
    names, shares = {}, {}
    for c in CLASSES:
        own = found[found["label"] == c]
        counts = own["diagnosis_full"].value_counts()
        counts = counts[counts >= LEAST]
        names[c] = {k: round(float(v), 3) for k, v in (counts / counts.sum()).items()}
        hits = (own["diagnosis_confirm_type"] == "histopathology").sum()
        shares[c] = round(float((hits + SHRINK * confirmed) / (len(own) + SHRINK)), 3)
    thickness = found.loc[found["label"] == "MEL", "invasion_thickness_interval"]
    return {
        "diagnosis_full": names,
        "histopathology": shares,
        "thickness_of_MEL": {
            k: round(float(v), 3) for k, v in thickness.value_counts(normalize=True).items()
        },
    }


def main() -> None:
    """Recompute and write."""
    shipped = json.loads(PROFILE.read_text(encoding="utf-8"))
    text = json.dumps(shipped | profile(Path(sys.argv[1])), indent=1, ensure_ascii=False)
    PROFILE.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
