"""What time it is for what is stored: how far the clock by which this run counts is from what is believed of the date."""

from __future__ import annotations


class Calendar:
    """Timers follow the run's clock, which never steps. How long something was idle *before* this run follows the date.

    What others' clocks say of that comes later, and may be more or less than what was counted at the start.
    """

    __slots__ = ("_doubted", "ahead_s")

    def __init__(self) -> None:
        self._doubted = False
        self.ahead_s = 0.0
        """The date is the run's clock and this many seconds; negative: not all that the run's clock counted is confirmed."""

    def set_ahead(self, ahead_s: float) -> None:
        self.ahead_s = ahead_s

    def doubt(self, *, doubted: bool) -> None:
        """Whether others, or the last time seen, contradict this node's clock."""
        self._doubted = doubted

    @property
    def settled(self) -> bool:
        """Whether the date is believed so far that others can be told they are off it."""
        return not self._doubted and self.ahead_s >= 0

    def date(self, now: float) -> float:
        """Seconds since 1970, of the moment that the run's clock calls `now`."""
        return now + self.ahead_s

    def moment(self, date_s: float) -> float:
        """The other way round: what the run's clock says then."""
        return date_s - self.ahead_s
