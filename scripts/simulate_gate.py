"""How often the gate fails a run that is no worse, and how often it lets a worse one through.

Two models of known quality answer cases by chance, with the shares of a confusion matrix: the reference (the
paper's third model, made right more often, as in ``simulate_statistics.py``), and one whose true macro F1
lies D higher or lower. Two gates, both with the margin of 0.03:

- *published*: one hold-out of 1,038 cases against printed figures of another such hold-out, by
  ``check_published`` itself;
- *paired*: all 5,189 cases, out of fold, against the stored predictions of the reference, four of ten
  answers drawn anew. The paired bootstrap is computed here on counts of answer pairs, which is the same
  resampling much faster; a test holds it beside ``describe_pair``.

Prints one JSON object and draws ``docs/images/gate.png``; ``docs/gating.md`` shows both.

    python scripts/simulate_gate.py [--simulations 1000]
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from simulate_statistics import WHOLE, answer, one_hot, shares

from milkreport.checks.published import check_published
from milkreport.checks.reference import Reference, load_reference
from milkreport.checks.verdict import Status, decide
from milkreport.evaluation.data_record import DataSummary
from milkreport.evaluation.definitions import CLASS_DEFINITIONS, DEFINITIONS
from milkreport.evaluation.metrics import confusion_counts, score_confusion
from milkreport.evaluation.resampling import percentile_interval
from milkreport.evaluation.results import ArmResult, Results
from milkreport.evaluation.summarise import summarise_part

PICTURE = Path(__file__).resolve().parents[1] / "docs" / "images" / "gate.png"
MARGIN = 0.03
#: Share of the answers that a new training gives anew.
REDRAWN = 0.4
N_RESAMPLES = 1000
STEPS = (-0.15, -0.12, -0.10, -0.08, -0.06, -0.05, -0.04, -0.03, -0.02, -0.01, 0.0, 0.02, 0.05)
#: Levels with all simulations; the others, which only draw the curve, get a third.
STATED = (-0.10, -0.06, -0.03, 0.0)
STATUSES = (Status.PASS, Status.INCONCLUSIVE, Status.FAIL)


def macro_f1(p: np.ndarray, support: np.ndarray) -> float:
    """The true macro F1 of a model that answers by the shares *p*."""
    return float(score_confusion(p * support[:, None])["macro_f1"])


def moved(p: np.ndarray, support: np.ndarray, d: float) -> np.ndarray:
    """Shares of which the true macro F1 is *d* higher; found by bisection."""
    guess = np.tile(support / support.sum(), (len(p), 1))
    end = guess if d < 0 else np.eye(len(p))
    low, high, wanted = 0.0, 1.0, macro_f1(p, support) + d
    for _ in range(50):
        middle = (low + high) / 2
        value = macro_f1((1 - middle) * p + middle * end, support)
        low, high = (low, middle) if (value < wanted) == (d < 0) else (middle, high)
    return (1 - low) * p + low * end


def paired_interval(
    truth: np.ndarray, one: np.ndarray, other: np.ndarray, k: int, rng: np.random.Generator
) -> tuple[float, float]:
    """95% interval of the difference of macro F1, first - second, by the stratified paired bootstrap."""
    first = np.zeros((N_RESAMPLES, k, k))
    second = np.zeros((N_RESAMPLES, k, k))
    for c in range(k):
        mine = truth == c
        codes, counts = np.unique(one[mine] * k + other[mine], return_counts=True)
        drawn = rng.multinomial(counts.sum(), counts / counts.sum(), N_RESAMPLES)
        for code, column in zip(codes, drawn.T, strict=True):
            first[:, c, code // k] += column
            second[:, c, code % k] += column
    gaps = score_confusion(first)["macro_f1"] - score_confusion(second)["macro_f1"]
    return percentile_interval(gaps) or (np.nan, np.nan)


def gate_paired(d: float, n: int, rng: np.random.Generator) -> dict[Status, int]:
    """Outcomes of the paired gate at a true difference of *d*."""
    p, _ = shares(strong=True)
    truth = np.repeat(np.arange(len(p)), WHOLE)
    target = moved(p, WHOLE, d)
    # Of the answers drawn anew; the others are the reference's, and the whole has the target's shares.
    anew = np.clip(p + (target - p) / REDRAWN, 0, None)
    anew /= anew.sum(axis=1, keepdims=True)
    found = dict.fromkeys(Status, 0)
    for _ in range(n):
        before = answer(truth, p, rng)
        fresh = rng.random(len(truth)) < REDRAWN
        after = np.where(fresh, answer(truth, anew, rng), before)
        low, high = paired_interval(truth, after, before, len(p), rng)
        found[decide(low, high, MARGIN)[0]] += 1
    return found


def gate_published(d: float, n: int, rng: np.random.Generator) -> dict[Status, int]:
    """Outcomes of the gate against printed figures at a true difference of *d*."""
    p, support = shares(strong=True)
    truth, target = np.repeat(np.arange(len(p)), support), moved(p, support, d)
    found = dict.fromkeys(Status, 0)
    for _ in range(n):
        counts = confusion_counts(truth, answer(truth, p, rng), len(p))
        reference = _print(counts)
        part = summarise_part("test", {(0, 0): one_hot(truth, answer(truth, target, rng))})
        verdict = check_published(_results(part, reference.classes), {}, reference)
        found[verdict.rows[0].status] += 1
    return found


def _print(counts: np.ndarray) -> Reference:
    """A publication of these counts: one figure and its matrix."""
    paper = load_reference("paper")
    values = paper.model_dump(exclude_none=True)
    figure = {
        "arm": "baseline",
        "part": "test",
        "metric": "macro_f1",
        "printed": f"{float(score_confusion(counts)['macro_f1']):.4f}",
    }
    matrix = {"arm": "baseline", "part": "test", "rows": counts.tolist()}
    changed = {
        "figures": [figure],
        "matrices": [matrix],
        "repeats": [],
        "claims": [],
        "protocol": {},
    }
    return Reference.model_validate(values | changed | {"rounding": "rounded"})


def _results(part: object, classes: list[str]) -> Results:
    data = DataSummary(
        name="MILK10k", synthetic=False, licence="", attribution="", unit="case", units="cases",
        views=[], n_found=0, n_used=0, n_images=0, image_size=None, cleaning="", exclusions=[],
        class_counts=dict.fromkeys(classes, 0),
    )  # fmt: skip
    arm = ArmResult(name="baseline", title="", description="", correction="", parts=[part])
    return Results(
        suite="", title="", question="", primary_metric="macro_f1", split_rule="", status="complete",
        classes=classes, definitions=DEFINITIONS | CLASS_DEFINITIONS, data=data, splits=[], arms=[arm],
    )  # fmt: skip


def draw(rates: dict[str, dict[float, dict[str, float]]], path: Path) -> None:
    """Each gate's outcomes over the true difference."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(
        1, len(rates), figsize=(9, 3.2), sharey=True, layout="constrained"
    )
    colours = {"PASS": "#1b7f4d", "INCONCLUSIVE": "#b36b00", "FAIL": "#c0392b"}
    titles = {
        "paired": "Against stored predictions, 5,189 cases",
        "published": "Against printed figures, 1,038 cases",
    }
    for ax, (gate, by_step) in zip(axes, rates.items(), strict=True):
        steps = sorted(by_step)
        for status, colour in colours.items():
            ax.plot(
                steps, [by_step[s][status] for s in steps], "o-", ms=3, color=colour, label=status
            )
        ax.axvline(-MARGIN, color="#888", lw=0.8, ls="--")
        ax.text(-MARGIN, 1.02, "margin", ha="center", fontsize=8, color="#666")
        ax.set(title=titles[gate], xlabel="true difference of macro F1", ylim=(-0.02, 1.08))
        ax.set_xticks((-0.15, -0.10, -0.05, 0, 0.05))
        ax.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("share of checks")
    axes[0].legend(frameon=False, loc="center left")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--simulations", type=int, default=1000)
    parser.add_argument("--only", choices=["paired", "published"])
    n = (arguments := parser.parse_args()).simulations
    rng = np.random.default_rng(0)
    gates = {"paired": gate_paired, "published": gate_published}
    rates: dict[str, dict[float, dict[str, float]]] = {}
    for name, gate in gates.items():
        if arguments.only not in (None, name):
            continue
        rates[name] = {}
        for d in STEPS:
            m = n if d in STATED else max(1, n // 3)
            counts = gate(d, m, rng)
            rates[name][d] = {str(s): round(counts[s] / m, 4) for s in STATUSES}
    print(json.dumps({"simulations": n, "margin": MARGIN, "rates": rates}, indent=1))
    if len(rates) == len(gates):
        draw(rates, PICTURE)


if __name__ == "__main__":
    main()
