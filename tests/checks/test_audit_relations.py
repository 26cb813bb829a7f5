"""Relations of overall metrics hold for every matrix, are reached, and contradict what breaks them."""

from __future__ import annotations

import numpy as np
import pytest

from milkreport.checks.audit.enclosure import Setting, Statement
from milkreport.checks.audit.possible import decide
from milkreport.checks.audit.program import Status
from milkreport.checks.audit.relations import accuracy_limits, room_beside_mcc
from milkreport.evaluation.metrics.confusion import score_confusion

METRICS = ("weighted_f1", "weighted_precision", "kappa")


def _matrices() -> list[np.ndarray]:
    """Sparse and full, good, poor and worse than chance; some classes never true or never predicted."""
    rng = np.random.default_rng(3)
    found = []
    for _ in range(3000):
        k = int(rng.integers(2, 7))
        shares = rng.dirichlet(np.full(k * k, rng.choice([0.05, 0.3, 1.0]))).reshape(k, k)
        shares = shares + np.eye(k) * rng.choice([0.0, 0.2, 1.0])
        found.append(rng.multinomial(int(rng.integers(5, 400)), shares.ravel() / shares.sum()))
    return [m.reshape(int(len(m) ** 0.5), -1) for m in found]


def test_no_matrix_breaks_a_relation() -> None:
    looked_at = 0
    for counts in _matrices():
        values = score_confusion(counts)
        k, accuracy = len(counts), values["accuracy"]
        for metric in METRICS:
            value = float(np.nan_to_num(values[metric]))
            low, high = accuracy_limits(metric, value, value, k)
            assert low - 1e-9 <= accuracy <= high + 1e-9, (metric, counts)
            looked_at += 1
        kappa, mcc = (float(np.nan_to_num(values[m])) for m in ("kappa", "mcc"))
        assert room_beside_mcc((kappa, kappa), (mcc, mcc)) >= -1e-9, counts
    assert looked_at == 9000


@pytest.mark.parametrize(
    ("metric", "counts", "end"),
    [
        ("weighted_f1", [[80, 20], [0, 0]], 0),  # the metric is greatest for its accuracy
        ("weighted_f1", [[80, 0], [20, 0]], 1),  # least
        ("weighted_precision", [[80, 0], [20, 0]], 1),
        ("kappa", [[50, 0], [0, 50]], 0),
        ("kappa", [[80, 10], [10, 0]], 1),
    ],
)
def test_relations_are_reached(metric: str, counts: list[list[int]], end: int) -> None:
    values = score_confusion(np.array(counts))
    limits = accuracy_limits(metric, values[metric], values[metric], len(counts))
    assert values["accuracy"] == pytest.approx(limits[end])


@pytest.mark.parametrize(
    ("one", "other", "status"),
    [
        (("accuracy", 0.70), ("weighted_f1", 0.90), Status.INFEASIBLE),  # at most 0.8235
        (("accuracy", 0.70), ("weighted_f1", 0.50), Status.INFEASIBLE),  # at least 0.5765
        (("accuracy", 0.70), ("weighted_f1", 0.75), Status.FEASIBLE),
        (("accuracy", 0.70), ("weighted_precision", 0.40), Status.INFEASIBLE),  # at least 0.49
        (("accuracy", 0.70), ("kappa", 0.66), Status.INFEASIBLE),  # three classes: at most 0.6414
        (("weighted_f1", 0.50), ("kappa", 0.70), Status.INFEASIBLE),
        (("mcc", 0.40), ("kappa", 0.45), Status.INFEASIBLE),
        (("mcc", -0.10), ("kappa", 0.10), Status.INFEASIBLE),
    ],
)
def test_what_breaks_a_relation_is_impossible_without_class_sizes(
    one: tuple[str, float], other: tuple[str, float], status: Status
) -> None:
    statements = [Statement(m, v - 0.005, v + 0.005) for m, v in (one, other)]
    assert decide(Setting(3, 500), statements, 2).status is status
    assert decide(Setting(3), statements, 2).status is status
