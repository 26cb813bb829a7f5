"""How often an audit without a matrix accuses an honest paper, and which planted mistakes it finds.

Papers are drawn: 2 to 9 classes, 60 to 3,000 cases, imbalanced, models from poor to good. Some print
overall metrics, some a table by class, some means over folds; rounded up, down, to even, or cut. No mistake
is in the honest ones. In each other kind one mistake is planted. Run with ``nice -n 19``; about ten minutes
of one core:

    python scripts/simulate_audit.py --papers 1000 --planted 30
"""

from __future__ import annotations

import argparse
import contextlib
import math
import signal
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal

import numpy as np

from milkreport.checks.audit.findings import Outcome, Verdict
from milkreport.checks.audit.metrics import audit_metrics
from milkreport.checks.audit.numbers import read_print, weigh
from milkreport.checks.audit.program import without_output
from milkreport.checks.reference import Reference
from milkreport.evaluation.metrics.confusion import score_classes, score_confusion

HABITS = {
    "to the nearest, half to even": ROUND_HALF_EVEN,
    "to the nearest, half up": ROUND_HALF_UP,
    "up": ROUND_CEILING,
    "cut": ROUND_DOWN,
}
OVERALL = (
    "accuracy", "macro_f1", "weighted_f1", "balanced_accuracy", "macro_precision", "mcc", "kappa",
)  # fmt: skip
BY_CLASS = ("precision", "recall", "f1")
KINDS = ("overall, cases stated", "overall, cases per class stated", "table by class", "fold means")
#: Rounds for the numbers of a paper; `milkreport audit` takes four.
ROUNDS = 2
MISTAKES = ("one count", "one digit", "rows swapped", "wrong averaging")

Key = tuple[str, int | None]


@dataclass(frozen=True)
class Paper:
    """What a paper prints: values by metric and class, exact, and how they are printed."""

    kind: str
    counts: np.ndarray
    values: dict[Key, float]
    digits: int
    habit: str
    folds: int = 1
    stated: bool = True  # whether the number of folds is stated
    changed: dict[Key, str] = field(default_factory=dict)

    def printed(self) -> dict[Key, str]:
        """Every value as printed, the planted ones in their place."""
        unit = Decimal(1).scaleb(-self.digits)
        text = {
            key: str(Decimal(repr(round(value, 12))).quantize(unit, HABITS[self.habit]))
            for key, value in self.values.items()
        }
        return text | self.changed

    def reference(self) -> Reference:
        """The paper as a reference file."""
        k = len(self.counts)
        names = [f"c{i}" for i in range(k)]
        support = self.counts.sum(axis=1).tolist()
        figures = [
            {"arm": "a", "part": "test", "metric": metric, "printed": text}
            | ({"class_name": names[c]} if c is not None else {})
            for (metric, c), text in self.printed().items()
        ]
        stated = {} if self.kind == KINDS[0] else {"test": dict(zip(names, support, strict=True))}
        values = {
            "name": "made-up", "title": "Made up", "source": "a simulation", "data": "none",
            "classes": names, "split": "one", "rounding": "rounded", "margin": 0.03,
            "margin_reason": "none", "n": {"test": sum(support)}, "support": stated,
            "figures": figures, "mean_over": {"test": self.folds} if self.stated else {},
        }  # fmt: skip
        return Reference.model_validate(values)


def draw_counts(rng: np.random.Generator) -> np.ndarray:
    """A confusion matrix of a model between poor and good; every class has cases."""
    k, n = int(rng.integers(2, 10)), round(math.exp(rng.uniform(math.log(60), math.log(3000))))
    support = 1 + rng.multinomial(n - k, rng.dirichlet(np.full(k, rng.uniform(0.3, 3))))
    skill = rng.uniform(0.1, 0.95, k)
    leak = rng.dirichlet(np.full(k, 0.7))
    share = skill[:, None] * np.eye(k) + (1 - skill[:, None]) * leak
    return np.stack([rng.multinomial(s, p) for s, p in zip(support, share, strict=True)])


def measure(counts: np.ndarray, kind: str) -> dict[Key, float]:
    """The exact values that a paper of this kind prints; undefined ones are printed as 0."""
    found: dict[Key, float] = {(m, None): float(score_confusion(counts)[m]) for m in OVERALL}
    if kind in ("table by class", "fold means"):
        found |= {
            (m, c): float(np.nan_to_num(v))
            for m in BY_CLASS
            for c, v in enumerate(score_classes(counts)[m])
        }
    return {key: 0.0 if math.isnan(v) else v for key, v in found.items()}


def draw_paper(rng: np.random.Generator, kind: str) -> Paper:
    """An honest paper."""
    counts = draw_counts(rng)
    digits, habit = int(rng.integers(2, 5)), str(rng.choice(list(HABITS)))
    if kind != "fold means":
        values = measure(counts, kind)
        shown = set(rng.choice(OVERALL, size=int(rng.integers(2, 5)), replace=False))
        values = {k: v for k, v in values.items() if k[1] is not None or k[0] in shown}
        return Paper(kind, counts, values, digits, habit, stated=bool(rng.integers(2)))
    folds = int(rng.integers(2, 11))
    parts = _folds(rng, counts, folds)
    each = [measure(part, kind) for part in parts]
    values = {key: float(np.mean([e[key] for e in each])) for key in each[0]}
    return Paper(kind, counts, values, digits, habit, folds, bool(rng.integers(2)))


def _folds(rng: np.random.Generator, counts: np.ndarray, folds: int) -> list[np.ndarray]:
    """The cases dealt to folds at random, not stratified; a fold may lack a class."""
    cells = np.repeat(np.arange(counts.size), counts.ravel())
    dealt = np.array_split(rng.permutation(cells), folds)
    return [np.bincount(d, minlength=counts.size).reshape(counts.shape) for d in dealt]


def plant(rng: np.random.Generator, paper: Paper, mistake: str) -> Paper | None:
    """The paper with one mistake; ``None`` where it has no place for it, or prints the same."""
    before, k = paper.printed(), len(paper.counts)
    keys = list(before)
    if mistake == "one count":
        # One number is of a matrix with one case moved.
        moved = paper.counts.copy()
        i, j = rng.choice(k, 2, replace=False)
        if not moved[i, i]:
            return None
        moved[i, i] -= 1
        moved[i, j] += 1
        key = keys[int(rng.integers(len(keys)))]
        other = replace(paper, values={key: measure(moved, paper.kind)[key]}).printed()
        changed = {key: other[key]}
    elif mistake == "one digit":
        key = keys[int(rng.integers(len(keys)))]
        place = -1 - int(rng.integers(paper.digits))
        digit = str(rng.choice([d for d in "0123456789" if d != before[key][place]]))
        text = before[key][:place] + digit + (before[key][place + 1 :] if place != -1 else "")
        changed = {key: text}
    elif mistake == "rows swapped":
        if paper.kind != "table by class":
            return None
        i, j = (int(x) for x in rng.choice(k, 2, replace=False))
        changed = {(m, i): before[m, j] for m in BY_CLASS} | {
            (m, j): before[m, i] for m in BY_CLASS
        }
    else:
        averaged = [key for key in keys if key[0].startswith(("macro_", "weighted_"))]
        if not averaged:
            return None
        key = averaged[int(rng.integers(len(averaged)))]
        one, _, metric = key[0].partition("_")
        other_name = f"{'weighted' if one == 'macro' else 'macro'}_{metric}"
        value = float(score_confusion(paper.counts)[other_name])
        changed = {key: replace(paper, values={key: value}).printed()[key]}
    found = replace(paper, changed=changed)
    within = all(-1 <= float(t) <= 1 for t in changed.values())
    return found if within and found.printed() != before else None


def verdict(paper: Paper) -> str:
    """The gravest verdict on a paper: of each number by itself, and of all that remain together."""
    reference = paper.reference()
    alone = list(audit_metrics(reference, {}))
    said = {f.verdict for f in alone}
    wrong = {
        (f.metric, f.class_name)
        for f in alone
        if f.outcome in (Outcome.DIFFERS, Outcome.QUESTIONABLE)
    }
    rest = [f for f in reference.figures if (f.metric, f.class_name) not in wrong]
    if rest:
        with without_output():
            said.add(weigh(read_print(reference, "test", rest), ROUNDS)[0])
    for grave in (Verdict.IMPOSSIBLE, Verdict.ONLY_IF, Verdict.UNDECIDED):
        if grave in said:
            return str(grave)
    return "nothing found"


def _table(title: str, rows: dict[str, Counter[str]]) -> None:
    columns = ("impossible", "possible only if", "not decided", "nothing found")
    print(f"\n| {title} | papers | " + " | ".join(columns) + " |")
    print("|---|---|" + "---|" * len(columns))
    for name, counts in rows.items():
        n = counts.total()
        cells = " | ".join(f"{counts[c]} ({counts[c] / n:.0%})" if n else "" for c in columns)
        print(f"| {name} | {n} | {cells} |")


def main() -> None:
    """Simulate, and print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--papers", type=int, default=1000)
    parser.add_argument("--planted", type=int, default=30, help="of each mistake and kind")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    # Stopped early, it reports the papers that it has come to.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    honest: dict[str, Counter[str]] = {}
    planted: dict[str, Counter[str]] = {}
    with contextlib.suppress(KeyboardInterrupt):
        _simulate_honest(options.papers, options.seed, honest)
        _simulate_planted(options.planted, options.seed, planted)
    _table("honest papers", dict(sorted(honest.items())))
    _table("all", {"honest": sum(honest.values(), Counter())})
    _table("planted", {name: counts for name, counts in planted.items() if counts})
    print(f"\n{time.process_time():.0f} s of one core")


def _simulate_honest(papers: int, seed: int, found: dict[str, Counter[str]]) -> None:
    rng = np.random.default_rng([seed, 1])
    for i in range(papers):
        paper = draw_paper(rng, KINDS[i % len(KINDS)])
        said = verdict(paper)
        found.setdefault(f"{paper.kind}; {paper.habit}", Counter())[said] += 1
        if said == "impossible":
            print("ACCUSED", i, paper, flush=True)


def _simulate_planted(papers: int, seed: int, found: dict[str, Counter[str]]) -> None:
    """So many papers with each mistake, of each kind that has a place for it."""
    rng = np.random.default_rng([seed, 2])
    for _ in range(papers):
        for mistake in MISTAKES:
            for kind in KINDS[:3]:
                drawn = replace(
                    draw_paper(rng, kind), habit="to the nearest, half to even", stated=True
                )
                paper = plant(rng, drawn, mistake)
                if paper is not None:
                    found.setdefault(f"{mistake}; {kind}", Counter())[verdict(paper)] += 1


if __name__ == "__main__":
    main()
