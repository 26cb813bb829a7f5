"""Rules about training: the gap to the test part, and whether it came to its end."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from milkreport.evaluation.intervals.closed_form import wilson_bounds
from milkreport.evaluation.records.parts import PartResult
from milkreport.evaluation.records.results import ArmResult, Curve, Results
from milkreport.evaluation.review.rule import Outcome, absent, arm_words, named, passed

#: Gap in accuracy that a reviewer asks about, once the data show that it is larger.
GAP = 0.05
#: Epochs below which no end of a training can be told from its middle.
FEWEST_EPOCHS = 10
#: Share of a loss's whole fall that the last fifth of the epochs may still carry.
STILL_FALLING = 0.1


def train_test_gap(results: Results) -> Outcome:
    """MR003: arms whose accuracy on the training part surely exceeds that on the test part by 0.05."""
    gaps: dict[str, tuple[float, float, float, float]] = {}
    for arm in results.arms:
        train, test = arm.part("train"), arm.part("test")
        if train is not None and test is not None and (gap := accuracy_gap(train, test)):
            gaps[arm_words(results, arm.name)] = gap
    if not gaps:
        return absent("No arm has accuracy with an interval on a training and a test part.")
    wide = sorted((a for a in gaps if gaps[a][2] > GAP), key=lambda a: -gaps[a][2])
    if not wide:
        most = max(gaps, key=lambda a: gaps[a][2])
        return passed(
            f"No accuracy on the training part is shown to exceed that on the test part by {GAP:g}; the "
            f"largest gap is that of {most} ({gaps[most][0]:.3f} and {gaps[most][1]:.3f})."
        )
    said = [
        f"{arm} {gaps[arm][0]:.3f} and {gaps[arm][1]:.3f} (gap {gaps[arm][0] - gaps[arm][1]:.3f}, 95% "
        f"interval {gaps[arm][2]:.3f} to {gaps[arm][3]:.3f})"
        for arm in wide
    ]
    return Outcome(
        "warning",
        f"Accuracy on training and test part: {named(said, '; ')}.",
        "The arm has learned its training cases by heart: regularise, augment or stop earlier, and choose "
        "that on the validation part. Quote no training figure as performance.",
    )


def accuracy_gap(train: PartResult, test: PartResult) -> tuple[float, float, float, float] | None:
    """Accuracy on both parts, and the 95% interval of their difference; ``None`` without an interval.

    Newcombe's hybrid score interval of two independent shares (1998, method 10). Where cases come in
    groups or seeds, the training part's share is as uncertain as the test part's: it counts as
    many cases fewer.
    """
    a, b = train.metrics.get("accuracy"), test.metrics.get("accuracy")
    if a is None or b is None or a.value is None or b.value is None:
        return None
    if b.low is None or b.high is None:
        return None
    plain = [float(end) for end in wilson_bounds(b.value * test.n_cases, test.n_cases)]
    effect = max(1.0, ((b.high - b.low) / (plain[1] - plain[0])) ** 2)
    n = train.n_cases / effect
    low, high = (float(end) for end in wilson_bounds(a.value * n, n))
    gap = a.value - b.value
    return (
        a.value,
        b.value,
        gap - math.hypot(a.value - low, b.high - b.value),
        gap + math.hypot(high - a.value, b.value - b.low),
    )


def training_end(results: Results) -> Outcome:
    """MR012: trainings that diverged, and such whose held-out loss was still falling at the end."""
    broken: list[str] = []
    falling: list[tuple[float, str]] = []
    seen = 0
    for arm in results.arms:
        title = arm_words(results, arm.name)
        lost = _diverged(arm)
        if lost:
            broken.append(f"{title} ({lost})")
        told = [found for curve in arm.curves if (found := still_falling(curve)) is not None]
        seen += len(told)
        late = [share for share in told if share > STILL_FALLING]
        if len(late) * 2 > len(told):
            share = float(np.mean(late))
            falling.append((share, f"{title} ({share:.0%} of its total decrease)"))
    if broken:
        return Outcome(
            "error",
            f"Training diverged: {named(broken, '; ')}.",
            "Lower the learning rate or clip gradients, and train again; the arm's figures say nothing "
            "about its method.",
        )
    if falling:
        said = [text for _, text in sorted(falling, key=lambda one: -one[0])]
        return Outcome(
            "warning",
            "Training may have ended too early: the held-out loss was still falling in the last fifth of the "
            f"epochs: {named(said, '; ')}.",
            "Train longer, with the same epochs for every arm, before arms are compared: one that learns "
            "more slowly is stopped too early.",
        )
    if not seen:
        return absent(f"There are no learning curves of {FEWEST_EPOCHS} epochs and more.")
    return passed(
        "Every training ended with finite losses, and no held-out loss was still falling."
    )


def _diverged(arm: ArmResult) -> str:
    """Why an arm counts as diverged; empty if it does not."""
    failed = [c for c in arm.cells if c.status == "failed" and c.message.startswith("the loss is")]
    if failed:
        return f"{failed[0].message.partition(':')[0]}, seed {failed[0].seed}"
    for curve in arm.curves:
        losses = np.array(
            [math.nan if v is None else v for v in curve.columns.get("train_loss", [])]
        )
        if len(losses) and not np.isfinite(losses).all():
            return f"a loss that is not finite, seed {curve.seed}"
        if len(losses) > 1 and losses[-1] > 1.5 * losses[0]:
            return f"training loss {losses[0]:.2f} at first and {losses[-1]:.2f} at last, seed {curve.seed}"
    return ""


def still_falling(curve: Curve) -> float | None:
    """The part of a held-out loss's fall that the last fifth of the epochs carries; 0 if none is shown.

    Mean of the last fifth against that of the fifth before, where the difference exceeds two
    standard errors of the noise around them. ``None``: fewer than ten epochs, or no held-out loss.
    """
    column = next((c for c in ("validation_loss", "test_loss") if c in curve.columns), "")
    values = [v for v in curve.columns.get(column, []) if v is not None and math.isfinite(v)]
    if len(values) < FEWEST_EPOCHS:
        return None
    losses: npt.NDArray[np.float64] = np.array(values)
    n = len(losses) // 5
    last, before = losses[-n:], losses[-2 * n : -n]
    step = float(before.mean() - last.mean())
    # Neighbours' differences hold the noise and little of the trend (von Neumann, 1941).
    noise = float(np.sqrt((np.diff(losses[-2 * n :]) ** 2).mean() / 2))
    whole = float(losses[0] - losses.min())
    if whole <= 0 or step <= 2 * noise * math.sqrt(2 / n):
        return 0.0
    return step / whole
