"""How much more work more input makes, measured within one run: a busy machine slows both sides alike."""

from __future__ import annotations

import time
from collections.abc import Callable

#: CPU seconds that the smaller side is repeated for: well above the clock's steps.
_LEAST = 0.02


def growth(work: Callable[[], object], more: Callable[[], object]) -> float:
    """CPU time of *more* over that of *work*: the least of three measurements of each, taken in turn."""
    times, seconds = 1, 0.0
    while (seconds := _spent(work, times)) < _LEAST:
        times *= 2
    small, large = [seconds], [_spent(more, times)]
    for _ in range(2):
        small.append(_spent(work, times))
        large.append(_spent(more, times))
    return min(large) / min(small)


def _spent(work: Callable[[], object], times: int) -> float:
    start = time.process_time()
    for _ in range(times):
        work()
    return time.process_time() - start
