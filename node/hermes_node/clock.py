"""The node's one clock: seconds since the Unix epoch that never step back while the process lives."""

from __future__ import annotations

from collections.abc import Callable


class SteadyClock:
    """Wall time at the start, moved on by the monotonic clock: a step of the system's time moves no timer."""

    def __init__(self, wall: Callable[[], float], monotonic: Callable[[], float]) -> None:
        self.wall = wall
        self._monotonic = monotonic
        self._ahead_s = 0.0
        self._offset_s = wall() - monotonic()

    def set(self, time_s: float) -> None:
        """It is `time_s` now; before anything was timed by this clock."""
        self._offset_s = time_s - self._monotonic()

    def set_ahead(self, ahead_s: float) -> None:
        """The date is so much ahead of this clock (negative: behind), which goes on without a step."""
        self._ahead_s = ahead_s

    def date(self) -> float:
        """Seconds since 1970, as far as others agree: what is stored for the next run."""
        return self.now() + self._ahead_s

    def now(self) -> float:
        return self._offset_s + self._monotonic()
