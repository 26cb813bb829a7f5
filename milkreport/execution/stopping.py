"""A wish to stop: SIGINT and SIGTERM wait for the training's next step, a second one does not."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from milkreport.errors import Stopped

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopSign:
    """Up after the first signal.

    Args:
        notice: called with a line when it goes up.
    """

    def __init__(self, notice: Callable[[str], None]) -> None:
        self._notice, self._signum = notice, 0

    def __call__(self) -> int:
        """The signal's number, or 0."""
        return self._signum

    def obey(self) -> None:
        """Raise Stopped if it is up."""
        if self._signum:
            raise Stopped(self._signum)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Take the signals here; a second one goes where they went before. Main thread only."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {signum: signal.getsignal(signum) for signum in _SIGNALS}

        def give_back() -> None:
            for signum, handler in before.items():
                signal.signal(signum, handler)

        def handle(signum: int, frame: FrameType | None) -> None:
            give_back()
            self._signum = signum
            self._notice("stopping after this step; the same signal again stops at once")

        for signum in _SIGNALS:
            signal.signal(signum, handle)
        try:
            yield
        finally:
            give_back()
