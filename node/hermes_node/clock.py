"""The node's one clock: seconds since the Unix epoch that never step back while the process lives."""

from __future__ import annotations

import time


class SteadyClock:
    """Wall time at the start, moved on by the monotonic clock: a step of the system's time moves no timer."""

    def __init__(self) -> None:
        self._offset_s = time.time() - time.monotonic()

    def now(self) -> float:
        return self._offset_s + time.monotonic()
