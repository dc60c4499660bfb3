"""A budget that time refills, and that is asked for the time only when it is empty."""

from __future__ import annotations


class Budget:
    """`most` at once, and as many again when they were used up slowly: time is counted only when nothing is left."""

    __slots__ = ("_left", "_most", "_per_s", "_since")

    def __init__(self, most: int, per_s: float, now: float) -> None:
        self._most = most
        self._per_s = per_s
        self._left: float = most
        self._since = now

    def take(self, amount: int, now: float) -> bool:
        """False when it is not there; then it is all used up."""
        self._left -= amount
        if self._left >= 0:
            return True
        self._left = min(float(self._most), self._left + amount + (now - self._since) * self._per_s) - amount
        self._since = now
        if self._left >= 0:
            return True
        self._left = 0.0
        return False

    def earn(self, amount: int) -> None:
        """Beside what time gives."""
        self._left = min(float(self._most), self._left + amount)
