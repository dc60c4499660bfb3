"""Whether this process stood still: what it then finds overdue is its own fault, not that of those who seem silent."""

from __future__ import annotations


class Pauses:
    """Compares when a tick was due with when it came, and the clock that counts sleep with the one that does not."""

    __slots__ = ("_gap",)

    def __init__(self, now: float, boot: float) -> None:
        self._gap = boot - now

    def measure(self, now: float, boot: float, due: float, period_s: float) -> float:
        """Seconds that this process was away; 0 below a probe period."""
        slept, self._gap = (boot - now) - self._gap, boot - now
        away = max(now - due, slept)
        return away if away >= period_s else 0.0
