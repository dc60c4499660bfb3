"""The node's one clock: seconds since the Unix epoch that never step back while the process lives."""

from __future__ import annotations

from collections.abc import Callable


class SteadyClock:
    """Wall time at the start, moved on by the monotonic clock: a step of the system's time moves no timer."""

    def __init__(self, wall: Callable[[], float], monotonic: Callable[[], float]) -> None:
        self.wall = wall
        self._monotonic = monotonic
        self._offset_s = wall() - monotonic()

    def set(self, time_s: float) -> None:
        """It is `time_s` now; before anything was timed by this clock."""
        self._offset_s = time_s - self._monotonic()

    def now(self) -> float:
        return self._offset_s + self._monotonic()
