"""Records of imagined runs for the report's tests: consistent numbers, no training."""

from __future__ import annotations

import io
import math
from typing import Any

import numpy as np
from PIL import Image

from milkreport.checks.audit.audit import audit
from milkreport.checks.audit.findings import Audit
from milkreport.checks.reference import load_reference
from milkreport.checks.verdict import CheckRow, Status, Verdict, overall_status
from milkreport.evaluation.case_table import ArmAnswers, CaseTable
from milkreport.evaluation.metrics.slices import Slice
from milkreport.evaluation.records.data import (
    CategoricalSummary,
    DataSummary,
    DuplicateSummary,
    Exclusion,
    ImageSummary,
    NumericSummary,
    SplitProof,
    SplitSummary,
)
from milkreport.evaluation.records.parts import ClassRow, Definition, Estimate, PartResult
from milkreport.evaluation.records.results import (
    ArmResult,
    CellRecord,
    Comparison,
    Curve,
    Difference,
    Results,
)
from milkreport.runs.gallery_record import Gallery, Mistake, Shown
from milkreport.runs.manifest import Manifest
from milkreport.suite.suite import Suite, build_suite

COUNTS = {
    "AKIEC": 303,
    "BCC": 2518,
    "BEN_OTH": 43,
    "BKL": 541,
    "DF": 52,
    "INF": 49,
    "MAL_OTH": 9,
    "MEL": 444,
    "NV": 712,
    "SCCKA": 473,
    "VASC": 45,
}
SUPPORT = dict(zip(COUNTS, (64, 527, 7, 112, 4, 10, 2, 83, 122, 98, 9), strict=True))
TITLES = {"BCC": "Basal cell carcinoma", "NV": "Melanocytic nevus", "MEL": "Melanoma"}

_MATRICES = {
    "baseline": """
0 63 0 0 0 0 0 0 1 0 0
0 511 0 0 0 0 0 0 16 0 0
0 6 0 0 0 0 0 0 1 0 0
0 83 0 0 0 0 0 0 29 0 0
0 4 0 0 0 0 0 0 0 0 0
0 10 0 0 0 0 0 0 0 0 0
0 2 0 0 0 0 0 0 0 0 0
0 37 0 0 0 0 0 0 46 0 0
0 22 0 0 0 0 0 0 100 0 0
0 97 0 0 0 0 0 0 1 0 0
0 7 0 0 0 0 0 0 2 0 0""",
    "weighted_loss": """
0 7 0 6 0 0 0 8 0 43 0
0 102 0 61 0 0 0 26 0 337 1
0 2 0 2 0 0 0 2 0 1 0
0 18 0 22 0 0 0 24 0 46 2
0 1 0 3 0 0 0 0 0 0 0
0 0 0 8 0 0 0 0 0 2 0
0 1 0 1 0 0 0 0 0 0 0
0 3 0 11 0 0 0 55 0 10 4
0 9 0 14 0 0 0 73 0 9 17
0 4 0 11 0 0 0 6 0 77 0
0 2 0 2 0 0 0 4 0 1 0""",
    "sampler": """
0 59 0 3 0 0 0 2 0 0 0
0 498 0 9 0 0 0 15 1 4 0
0 2 0 2 0 0 0 3 0 0 0
0 86 0 6 0 0 0 14 5 1 0
0 1 0 0 0 0 0 2 1 0 0
0 9 0 1 0 0 0 0 0 0 0
0 2 0 0 0 0 0 0 0 0 0
0 26 0 6 0 0 0 26 24 1 0
0 13 0 2 0 0 0 31 74 2 0
0 95 0 2 0 0 0 0 0 1 0
0 3 0 2 0 0 0 3 1 0 0""",
}
ARMS = {
    "baseline": ("Baseline", "none", "Plain cross-entropy on the cases as they come."),
    "weighted_loss": (
        "Class-weighted loss",
        "weighted_loss",
        "Each class weighs in the loss by the inverse of its frequency in the training part.",
    ),
    "sampler": (
        "Weighted sampler",
        "sampler",
        "Cases are drawn with replacement so that all classes are seen about equally often.",
    ),
}
METRICS = {
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "macro_f1": "Macro F1",
    "weighted_f1": "Weighted F1",
    "macro_precision": "Macro precision",
}


def matrix(name: str) -> np.ndarray:
    """The published confusion matrix of an arm."""
    rows = _MATRICES[name].strip().splitlines()
    return np.array([[int(v) for v in row.split()] for row in rows])


def part_result(
    part: str, confusion: np.ndarray, classes: list[str], seeds: int = 1, folds: int = 1
) -> PartResult:
    """Everything a part has, from its confusion matrix."""
    n, hit = confusion.sum(), np.diag(confusion)
    support, predicted = confusion.sum(axis=1), confusion.sum(axis=0)
    rows, f1s, recalls, precisions = [], [], [], []
    for i, name in enumerate(classes):
        precision = hit[i] / predicted[i] if predicted[i] else None
        recall = hit[i] / support[i] if support[i] else None
        f1 = 2 * hit[i] / (support[i] + predicted[i]) if support[i] + predicted[i] else None
        low, high = wilson(int(hit[i]), int(support[i]))
        rows.append(
            ClassRow(
                name=name,
                support=int(support[i]) // seeds,
                predicted=float(predicted[i]) / seeds,
                precision=precision,
                recall=recall,
                f1=f1,
                intervals={"recall": (low, high)} if seeds == 1 and low is not None else {},
            )
        )
        if support[i]:
            f1s.append(f1 or 0.0)
            recalls.append(recall or 0.0)
            precisions.append(precision or 0.0)
    weights = support[support > 0] / n
    values = {
        "accuracy": hit.sum() / n,
        "balanced_accuracy": np.mean(recalls),
        "macro_f1": np.mean(f1s),
        "weighted_f1": float(np.dot(weights, f1s)),
        "macro_precision": np.mean(precisions),
    }
    half = 1.96 * math.sqrt(0.2 / (n / seeds))
    metrics = {
        name: Estimate(
            value=float(v),
            low=max(0.0, float(v) - half),
            high=min(1.0, float(v) + half),
            seed_sd=0.0123 if seeds > 1 else None,
        )
        for name, v in values.items()
    }
    return PartResult(
        part=part,
        n_cases=int(n) // seeds,
        n_seeds=seeds,
        n_folds=folds,
        metrics=metrics,
        classes=rows,
        confusion=confusion.tolist(),
    )


def wilson(hits: int, n: int) -> tuple[float | None, float | None]:
    """Wilson's interval."""
    if not n:
        return None, None
    p, z = hits / n, 1.96
    centre, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return max(0.0, (centre - half) / (1 + z * z / n)), min(1.0, (centre + half) / (1 + z * z / n))


def curve(seed: int, fold: int, epochs: int, level: float, parts: tuple[str, ...]) -> Curve:
    """A plausible learning curve."""
    rng = np.random.default_rng([seed, fold, int(level * 1000)])
    t = np.arange(1, epochs + 1)
    columns: dict[str, list[float | None]] = {}
    for part in parts:
        gap = {"train": 0.06, "validation": -0.02, "test": -0.03}[part]
        noise = rng.normal(0, 0.008, epochs)
        rise = 1 - np.exp(-t / 9)
        columns[f"{part}_loss"] = list(2.3 - (1.0 + 3 * gap) * rise + 2 * noise)
        for metric, top in (("accuracy", 0.6), ("macro_f1", level), ("weighted_f1", level + 0.3)):
            columns[f"{part}_{metric}"] = list(np.clip((top + gap) * rise + noise, 0, 1))
    return Curve(seed=seed, fold=fold, columns=columns)


def difference(arm: str, against: str, metric: str, value: float, se: float) -> Difference:
    """A difference with the p that a normal statistic gives."""
    p = math.erfc(abs(value) / se / math.sqrt(2))
    return Difference(
        arm=arm,
        against=against,
        metric=metric,
        value=value,
        low=value - 1.96 * se,
        high=value + 1.96 * se,
        standard_error=se,
        p=max(p, 1e-4),
        p_holm=min(1.0, max(3 * p, 1e-4)),
        detectable=2.8 * se,
    )


# Medians of seven scores by class, in the order of COUNTS: a row a score, one block a view.
SCORES = ("ulceration_crust", "hair", "vasculature_vessels", "erythema", "pigmented")
SCORES += ("gel_water_drop_fluid_dermoscopy_liquid", "skin_markings_pen_ink_purple_pen")
_MEDIANS = {
    "clinical": """
.359 .298 .199 .321 .324 .260 .433 .290 .265 .594 .367
.120 .148 .133 .135 .204 .159 .173 .144 .212 .102 .159
.010 .011 .003 .005 .003 .003 .004 .001 .001 .011 .005
.413 .443 .362 .312 .358 .492 .324 .108 .151 .391 .398
.085 .118 .422 .163 .241 .138 .237 .707 .675 .056 .357
.150 .158 .198 .132 .153 .178 .127 .072 .094 .168 .300
.050 .085 .115 .071 .165 .127 .220 .208 .259 .042 .265""",
    "dermoscopic": """
.389 .316 .376 .315 .346 .423 .508 .275 .166 .611 .459
.375 .374 .347 .351 .410 .392 .421 .339 .387 .305 .318
.159 .244 .136 .107 .136 .189 .058 .032 .041 .154 .400
.378 .418 .428 .224 .403 .649 .187 .127 .116 .255 .455
.220 .212 .383 .296 .328 .218 .512 .766 .722 .155 .277
.341 .322 .474 .276 .392 .493 .345 .185 .230 .361 .499
.168 .217 .397 .178 .450 .453 .318 .388 .444 .116 .459""",
}
_AGES = (24, 26, 27, 37, 47, 106, 130, 225, 274, 429, 483, 591, 731, 749, 604, 368, 338)
_AGE_MEDIANS = (65, 65, 60, 65, 50, 60, 75, 65, 40, 70, 55)


def scores(view: str, classes: list[str]) -> list[NumericSummary]:
    """A view's scores, from 0 to 1."""
    found = []
    for name, row in zip(SCORES, _MEDIANS[view].strip().splitlines(), strict=True):
        medians = dict(zip(classes, map(float, row.split()), strict=True))
        overall = medians[classes[1]]
        heights = np.exp(-((np.arange(20) / 20 - overall) ** 2) / 0.05)
        counts = np.floor(5189 * heights / heights.sum()).astype(int)
        counts[0] += 5189 - counts.sum()
        found.append(
            NumericSummary(
                column=f"MONET_{name}:{view}",
                title=f"MONET {name.replace('_', ' ')}",
                view=view,
                n=5189,
                missing=0,
                minimum=0.0007,
                median=overall,
                maximum=0.99,
                edges=[i / 20 for i in range(21)],
                counts=counts.tolist(),
                quartiles={k: (0.6 * m, m, 0.5 + m / 2) for k, m in medians.items()},
            )
        )
    return found


def sample_data(
    *,
    synthetic: bool = False,
    rename: dict[str, str] | None = None,
    folds: int = 1,
    parts: int = 2,
) -> DataSummary:
    """A full record of the data, as the adapter, cleaning and the split proof leave it."""
    rename = rename or {}
    classes = [rename.get(name, name) for name in COUNTS]
    age = NumericSummary(
        column="age_approx",
        title="age, years",
        view="case",
        n=5189,
        missing=0,
        minimum=5,
        median=65,
        maximum=85,
        edges=[2.5 + 5 * i for i in range(18)],
        counts=list(_AGES),
        quartiles={k: (m - 10, m, m + 10) for k, m in zip(classes, _AGE_MEDIANS, strict=True)},
    )
    tone = NumericSummary(
        column="skin_tone_class",
        title="skin tone, 0 very dark to 5 very light",
        view="case",
        n=5189,
        missing=0,
        minimum=0,
        median=3,
        maximum=5,
        levels={"0": 5, "1": 103, "2": 498, "3": 3157, "4": 1049, "5": 377},
        quartiles=dict.fromkeys(classes, (3, 3, 4)),
    )
    sites = (1921, 1487, 1013, 665, 72, 23, 8)
    names = [
        "trunk",
        "head_neck_face",
        "lower_extremity",
        "upper_extremity",
        "hand",
        "foot",
        "genital",
    ]
    numeric = [age, tone, *scores("clinical", classes), *scores("dermoscopic", classes)]
    categorical = [
        CategoricalSummary(
            column="sex",
            title="sex",
            view="case",
            n=5189,
            missing=0,
            counts={"male": 3118, "female": 2071},
        ),
        CategoricalSummary(
            column="site",
            view="case",
            n=5189,
            missing=0,
            counts=dict(zip(names, sites, strict=True)),
        ),
    ]
    return old_data(synthetic=synthetic, rename=rename).model_copy(
        update={
            "duplicate_groups": 0,
            "features": [c.column for c in (*categorical, *numeric)],
            "layout": (
                "MILK10k_Training_Metadata.csv, MILK10k_Training_GroundTruth.csv; 10,480 images in "
                "MILK10k_Training_Input, a folder a lesion"
            ),
            "tables": {
                "MILK10k_Training_Metadata.csv": "1d" * 32,
                "MILK10k_Training_GroundTruth.csv": "2e" * 32,
            },
            "on_bad_image": "error",
            "decoder": "exact",
            "numeric": numeric,
            "categorical": categorical,
            "images": [
                ImageSummary(
                    view="clinical",
                    n=5240,
                    sizes={"600 x 450": 5240},
                    modes={"RGB": 5240},
                    formats={"JPEG": 5240},
                ),
                ImageSummary(
                    view="dermoscopic",
                    n=5240,
                    sizes={"600 x 450": 5112, "1024 x 768": 120, "450 x 600": 8},
                    modes={"RGB": 5239, "L": 1},
                    formats={"JPEG": 5240},
                ),
            ],
            "duplicates": DuplicateSummary(
                identical=5,
                near=0,
                groups=5,
                largest=2,
                rule=(
                    "identical: the same pixels as decoded at their own size; near: 256-bit "
                    "perceptual hashes that differ in at most 12 bits"
                ),
            ),
            "proof": SplitProof(
                folds=folds,
                comparisons=folds * parts * (parts - 1) // 2,
                groups=5184,
                shared_cases=0,
                shared_groups=0,
                shared_images=0,
                splits_sha256="c5" * 32,
            ),
        }
    )


def old_data(*, synthetic: bool = False, rename: dict[str, str] | None = None) -> DataSummary:
    """The record as it was before columns, images, duplicates and the split proof were part of it."""
    rename = rename or {}
    return DataSummary(
        name="Synthetic MILK10k (5240 lesions, seed 0)" if synthetic else "MILK10k",
        synthetic=synthetic,
        licence="CC0" if synthetic else "CC-BY-NC 4.0",
        attribution="MILK study team, MILK10k Benchmark, 2025, doi 10.34970/262082",
        unit="lesion",
        units="lesions",
        views=["clinical", "dermoscopic"],
        n_found=5240,
        n_used=5189,
        n_images=10378,
        image_size=256,
        cleaning="paper",
        exclusions=[
            Exclusion(reason="missing site", n=31),
            Exclusion(reason="missing age_approx", n=20),
        ],
        class_counts={rename.get(k, k): v for k, v in COUNTS.items()},
        class_titles={rename.get(k, k): v for k, v in TITLES.items()},
        duplicate_groups=5,
        features=["sex", "age_approx", "skin_tone_class", "site", "MONET_erythema"],
        fingerprint="ab" * 32,
        notes=["No patient identifier is published: a patient may stand in several parts."],
    )


def sample_results(
    *,
    seeds: int = 1,
    folds: int = 1,
    epochs: int = 50,
    synthetic: bool = False,
    validation: bool = False,
    failed: bool = False,
    se: float = 0.012,
    rename: dict[str, str] | None = None,
    sign: int = 1,
) -> Results:
    """Three arms on eleven classes; *sign* -1 turns every difference round."""
    rename = rename or {}
    classes = [rename.get(name, name) for name in COUNTS]
    counts = {rename.get(k, k): v for k, v in COUNTS.items()}
    support = {rename.get(k, k): v for k, v in SUPPORT.items()}
    parts = ("train", "validation", "test") if validation else ("train", "test")
    arms = []
    names = list(ARMS)
    for index, name in enumerate(names):
        source = names[::sign][index]
        confusion = matrix(source) * seeds
        title, correction, description = ARMS[name]
        lost = failed and name == "sampler"
        results = [part_result("test", confusion, classes, seeds, folds)]
        results.append(part_result("train", confusion * 4, classes, seeds, folds))
        if validation:
            results.append(part_result("validation", confusion, classes, seeds, folds))
        level = float(results[0].metrics["macro_f1"].value or 0)
        cells = [(s, f) for s in range(seeds) for f in range(folds)]
        exposure = dict.fromkeys(classes, 207 * epochs // 11 * 20) if "sampler" in name else counts
        arms.append(
            ArmResult(
                name=name,
                title=title,
                description=description,
                correction=correction,
                parts=[] if lost else results,
                curves=[] if lost else [curve(s, f, epochs, level, parts) for s, f in cells],
                cells=[
                    CellRecord(
                        seed=s,
                        fold=f,
                        status="failed" if lost else "complete",
                        message="failed at epoch 3: the loss is nan" if lost else "",
                        seconds=None if lost else 754.2 + 3 * s + f,
                        epoch_used=None if lost else epochs,
                        weights_sha256="" if lost else f"{s}{f}c0ffee{index}d15ea5e" * 4,
                        parameters=None if lost else 48_213,
                        scalars={} if lost else {"clinical": 0.873, "dermoscopic": 1.214 + s / 50},
                        exposure={} if lost else exposure,
                    )
                    for s, f in cells
                ],
            )
        )
    alive = [arm for arm in arms if arm.parts]
    differences = []
    for metric in ("macro_f1", "accuracy", "balanced_accuracy", "weighted_f1"):
        for i, first in enumerate(alive):
            for second in alive[i + 1 :]:
                if metric != "macro_f1" and first is not alive[0]:
                    continue
                a, b = (arm.parts[0].metrics[metric].value or 0 for arm in (second, first))
                differences.append(difference(second.name, first.name, metric, a - b, se))
    return Results(
        suite="quick" if synthetic else "paper",
        title="Class imbalance on MILK10k: three arms",
        question=(
            "Does a class-weighted loss or a weighted sampler raise macro F1 over the plain "
            "baseline on a test part with the paper's class counts?"
        ),
        primary_metric="macro_f1",
        split_rule=(
            "A test part with exactly the published number of cases a class, drawn by seed 0; "
            "groups of duplicates stay together; no validation part."
        ),
        status="partial" if failed else "complete",
        classes=classes,
        definitions={
            name: Definition(
                metric=name,
                title=title,
                decision="argmax",
                averaging="macro over classes with support" if "a" in name else "none",
                zero_division="F1 of a class with support and no prediction is 0",
            )
            for name, title in METRICS.items()
        },
        data=sample_data(synthetic=synthetic, rename=rename, folds=folds, parts=len(parts)),
        splits=[
            SplitSummary(fold=f, part=p, n=sum(c.values()), class_counts=c)
            for f in range(folds)
            for p, c in (
                ("train", {k: counts[k] - support[k] for k in counts}),
                ("test", support),
            )
        ],
        arms=arms,
        comparison=Comparison(
            part="test",
            n_cases=1038,
            n_seeds=seeds,
            n_folds=folds,
            resamples=10_000,
            differences=differences,
        ),
        notices=["One training of the weighted sampler failed."] if failed else [],
    )


def retitled(results: Results, titles: list[str]) -> Results:
    """The same results, each arm under another title."""
    arms = [
        arm.model_copy(update={"title": title})
        for arm, title in zip(results.arms, titles, strict=True)
    ]
    return results.model_copy(update={"arms": arms})


def many_arms(n: int) -> Results:
    """*n* arms, each like one of the three, and a difference for each pair."""
    base = sample_results(epochs=2)
    arms = []
    for i in range(n):
        arm = base.arms[i % 3]
        arms.append(arm.model_copy(update={"name": f"arm_{i}", "title": f"{arm.title} {i}"}))
    differences = [
        difference(second.name, first.name, "macro_f1", 0.01 * (i + 1), 0.012)
        for i, first in enumerate(arms)
        for second in arms[i + 1 :]
    ]
    assert base.comparison is not None
    comparison = base.comparison.model_copy(update={"differences": differences})
    return base.model_copy(update={"arms": arms, "comparison": comparison})


def two_classes() -> Results:
    """One arm, two classes, one epoch."""
    base = sample_results(epochs=1)
    classes = ["benign", "malignant"]
    confusion = np.array([[80, 20], [15, 35]])
    arm = base.arms[0].model_copy(
        update={
            "parts": [part_result("test", confusion, classes)],
            "curves": [curve(0, 0, 1, 0.5, ("train", "test"))],
        }
    )
    data = base.data.model_copy(
        update={"class_counts": {"benign": 500, "malignant": 250}, "n_used": 750, "n_found": 750}
    )
    return base.model_copy(
        update={
            "classes": classes,
            "arms": [arm],
            "data": data,
            "comparison": None,
            "splits": [
                SplitSummary(
                    fold=0, part="test", n=150, class_counts={"benign": 100, "malignant": 50}
                )
            ],
        }
    )


def many_classes(n: int = 30) -> Results:
    """Three arms on *n* classes."""
    base = sample_results()
    rng = np.random.default_rng(0)
    classes = [f"class {i:02d}" for i in range(n)]
    arms = []
    for arm in base.arms:
        confusion = rng.poisson(0.4, (n, n)) + np.diag(rng.poisson(12, n))
        part = part_result("test", confusion, classes)
        arms.append(arm.model_copy(update={"parts": [part]}))
    counts = {name: int(rng.integers(5, 900)) for name in classes}
    data = base.data.model_copy(update={"class_counts": counts, "class_titles": {}})
    return base.model_copy(update={"classes": classes, "arms": arms, "data": data, "splits": []})


def sample_manifest(**changes: Any) -> Manifest:
    """A manifest without anything of this machine."""
    values: dict[str, Any] = {
        "milkreport": "0.1.0",
        "suite": "paper",
        "suite_sha256": "5e" * 32,
        "data_sha256": "ab" * 32,
        "command": 'milkreport run-all paper --data "$MILKREPORT_DATA" --out "$OUT"',
        "started": "2026-11-22T14:05:00Z",
        "commit": "0123456789abcdef0123456789abcdef01234567",
        "dirty": False,
        "python": "3.12.1",
        "platform": "Linux x86_64",
        "packages": {"numpy": "2.4.6", "torch": "2.13.0", "scikit-learn": "1.8.0"},
        "device": "cpu",
        "device_name": "cpu",
        "cpu_capability": "AVX512",
        "threads": 2,
    }
    return Manifest(**{**values, **changes})


def sample_suite(**changes: Any) -> Suite:
    """The suite that the records belong to."""
    values: dict[str, Any] = {
        "name": "paper",
        "title": "Class imbalance on MILK10k: three arms",
        "question": "Which arm?",
        "primary_metric": "macro_f1",
        "arms": [
            {"name": name, "correction": correction, "title": title, "description": text}
            for name, (title, correction, text) in ARMS.items()
        ],
    }
    return build_suite({**values, **changes})


def sample_verdict(results: Results) -> Verdict:
    """The run beside the published figures."""
    printed = {
        "baseline": ("0.58", "0.125", "0.4529"),
        "weighted_loss": ("0.2485", "0.1013", "0.2266"),
        "sampler": ("0.5969", "0.1632", "0.4930"),
    }
    reasons = {
        Status.PASS: "the whole interval lies above minus the margin",
        Status.FAIL: "the whole interval lies below minus the margin",
        Status.INCONCLUSIVE: "the interval holds minus the margin",
        Status.NOT_CHECKED: "the paper's training figures come from another number of epochs",
    }
    rows = []
    for arm, figures in printed.items():
        found = results.arm(arm)
        test = found.part("test") if found else None
        for metric, text in zip(("accuracy", "macro_f1", "weighted_f1"), figures, strict=True):
            ours = test.metrics[metric].value if test else None
            reference = float(text)
            d = None if ours is None else ours - reference + 0.04 * (arm == "sampler")
            half = 0.09 if metric == "macro_f1" else 0.05
            half = 0.006 if arm == "sampler" else half
            status = Status.INCONCLUSIVE
            if d is None:
                status = Status.NOT_CHECKED
            elif d - half >= -0.03:
                status = Status.PASS
            elif d + half < -0.03:
                status = Status.FAIL
            rows.append(
                CheckRow(
                    arm=arm,
                    part="test",
                    metric=metric,
                    printed=text,
                    reference=reference,
                    ours=None if d is None else reference + d,
                    difference=d,
                    low=None if d is None else d - half,
                    high=None if d is None else d + half,
                    margin=0.03,
                    status=status,
                    reason=reasons[status],
                )
            )
            rows.append(
                CheckRow(
                    arm=arm,
                    part="train",
                    metric=metric,
                    printed=text,
                    reference=reference,
                    ours=None,
                    status=Status.NOT_CHECKED,
                    reason=reasons[Status.NOT_CHECKED],
                )
            )
    return Verdict(
        reference="paper",
        title="the paper's reported figures",
        source="Sections VI and VII of the paper; one training each, 1,038 test cases.",
        kind="published figures",
        status=overall_status(rows),
        rows=rows,
    )


def sample_audit() -> Audit:
    """What is found of the paper's own figures."""
    return audit(load_reference("paper"))


def sample_gallery() -> tuple[Gallery, dict[str, bytes]]:
    """Two mistakes with grey thumbnails."""
    stream = io.BytesIO()
    Image.new("RGB", (16, 16), (120, 120, 120)).save(stream, "JPEG")
    mistakes = [
        Mistake(
            arm=arm, rank=1, case_id="IL_0000001", label="MEL", predicted="NV", probability=0.93, seed=0,
            fold=0, probabilities={"NV": 0.93, "MEL": 0.04}, metadata={"sex": "female"},
            attributions={"age_approx": 0.52, "sex_female": -0.11},
            images=[Shown(view="clinical", file=f"{arm}.jpg", heat=f"{arm}-heat.jpg")],
        )
        for arm in ("baseline", "sampler")
    ]  # fmt: skip
    files = {
        name: stream.getvalue() for m in mistakes for i in m.images for name in (i.file, i.heat)
    }
    return Gallery(key="k", explained=True, mistakes=mistakes), files


def sample_cases(results: Results) -> CaseTable:
    """Cases that the confusion matrices of :func:`sample_results` (one seed) are made of.

    ``IL_0000001`` is a MEL, as in :func:`sample_gallery`; half of the cases are from the site "arm".
    """
    rng = np.random.default_rng(1)
    first = results.arms[0].part("test")
    assert first is not None
    support = np.array(first.confusion).sum(axis=1)
    order = sorted(range(len(support)), key=lambda c: (results.classes[c] != "MEL", c))
    truth = np.concatenate([np.full(support[c], c) for c in order])
    arms = {}
    for arm in results.arms:
        part = arm.part("test")
        assert part is not None
        answer = np.concatenate(
            [np.repeat(np.arange(len(support)), part.confusion[c]) for c in order]
        )
        top = np.round(rng.uniform(0.4, 0.99, len(truth)), 3)
        own = np.where(answer == truth, top, np.round((1 - top) / 2, 3))
        ones = np.ones(len(truth), np.int64)
        arms[arm.name] = ArmAnswers(np.arange(len(truth)), answer, ones, top, own, 1)
    ids = np.array([f"IL_{i + 1:07d}" for i in range(len(truth))])
    even = np.arange(len(truth)) % 2 == 0
    slices = (Slice("site", "arm", even), Slice("site", "leg", ~even))
    return CaseTable(ids, truth, tuple(results.classes), arms, slices)
