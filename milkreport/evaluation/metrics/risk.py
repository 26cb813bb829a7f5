"""Is a predicted risk what happens? Calibration intercept and slope, scaled Brier score, groups of equal
size.

Intercept and slope after Cox (1958), as Van Calster et al. (BMC Medicine, 2019) have them: logit P(y = 1) is
a + logit(p)
for the intercept, and a' + b logit(p) for the slope b. Scaled Brier (Steyerberg et al., 2010): 1 - B / (q (1
- q)), with the share q of positive cases; 0 for a model that gives everyone q.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
#: A value, and how far each case moves it: float64 (n,).
Moved = tuple[float, Floats]

#: Groups of the calibration curve at most, and cases of each at least.
MOST_GROUPS, FEWEST_IN_GROUP = 10, 20
#: A slope beyond it is that of sides which the risk separates: there is none.
_STEEPEST = 50.0


def log_odds(risk: Floats, rest: Floats) -> Floats:
    """log(risk / rest): float64 (n,), infinite where one of both is 0.

    *rest* is what the other classes have: of a risk that is stored as 1 it may still be known.
    """
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(risk) - np.log(rest))


def calibration_intercept(true: Bools, logit: Floats) -> Moved:
    """The intercept with the slope held at 1: above 0 risks are too low.

    nan where a side is empty or log odds are infinite.

    Args:
        true: bool (n,). logit: float64 (n,), log odds of the predicted risk.
    """
    if not np.isfinite(logit).all():
        return np.nan, np.zeros(len(true))
    fitted, moves = _fit(np.ones((len(true), 1)), true, logit)
    return float(fitted[0]), moves[:, 0]


def calibration_slope(true: Bools, logit: Floats) -> Moved:
    """The slope: below 1 risks are too extreme; also nan where the risk separates both sides."""
    if not np.isfinite(logit).all() or np.ptp(logit) < 1e-9:
        return np.nan, np.zeros(len(true))
    fitted, moves = _fit(np.stack([np.ones_like(logit), logit], axis=1), true, np.zeros_like(logit))
    return float(fitted[1]), moves[:, 1]


def binary_brier(true: Bools, risk: Floats) -> Moved:
    """Mean squared distance of the risk from the outcome, 0 to 1."""
    losses = (risk - true) ** 2
    return float(losses.mean()), (losses - losses.mean()) / len(true)


def scaled_brier(true: Bools, risk: Floats) -> Moved:
    """The scaled Brier score, at most 1, below 0 if worse than the share; nan where a side is empty."""
    share = float(true.mean())
    spread = share * (1 - share)
    if spread == 0:
        return np.nan, np.zeros(len(true))
    brier, moves = binary_brier(true, risk)
    of_share = (1 - 2 * share) * (true - share) / len(true)
    return 1 - brier / spread, -(moves - brier * of_share / spread) / spread


def risk_groups(risk: Floats) -> Ints:
    """Groups of about equal size by risk, ties kept together: int64 (n,), from 0; all 0 with few cases."""
    n_groups = min(MOST_GROUPS, len(risk) // FEWEST_IN_GROUP)
    if n_groups < 2:
        return np.zeros(len(risk), np.int64)
    edges = np.unique(np.quantile(risk, np.arange(1, n_groups) / n_groups))
    return np.unique(np.searchsorted(edges, risk, side="left"), return_inverse=True)[1].astype(
        np.int64
    )


def _fit(design: Floats, true: Bools, offset: Floats) -> tuple[Floats, Floats]:
    """Logistic regression by Newton's steps: coefficients (k,), and how far each case moves them (n, k).

    The influence is that of the sandwich estimator (Huber, 1967): right where the logistic curve is not.
    """
    n, k = design.shape
    none = np.full(k, np.nan), np.zeros((n, k))
    if true.all() or not true.any():
        return none
    found = np.zeros(k)
    if k > 1:
        found[1] = 1.0
    for _ in range(100):
        p = 1 / (1 + np.exp(-np.clip(offset + design @ found, -500, 500)))
        information = (design * (p * (1 - p))[:, None]).T @ design
        gradient = design.T @ (true - p)
        try:
            step = np.linalg.solve(information, gradient)
        except np.linalg.LinAlgError:
            return none
        # Far from the optimum a whole step may overshoot.
        found = found + step / max(1.0, float(np.abs(step).max()) / 5)
        if not np.isfinite(found).all() or np.abs(found).max() > 20 * _STEEPEST:
            return none
        if np.abs(step).max() < 1e-10:
            break
    else:
        return none
    if k > 1 and abs(found[1]) > _STEEPEST:
        return none
    moves = np.linalg.solve(information, (design * (true - p)[:, None]).T).T
    return found, np.asarray(moves, np.float64)
