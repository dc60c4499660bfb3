"""How often something may be done because of each of many: a token bucket each, forgotten when it is full again."""

from __future__ import annotations

from hermes_core.ids import NodeId


class Budgets:
    """`burst` at once for each name, one more every `refill_s` seconds."""

    __slots__ = ("_burst", "_levels", "_refill_s")

    def __init__(self, burst: int, refill_s: float) -> None:
        self._burst = burst
        self._refill_s = refill_s
        self._levels: dict[NodeId, tuple[float, float]] = {}

    def __len__(self) -> int:
        return len(self._levels)

    def allows(self, name: NodeId, now: float) -> bool:
        return self._used(name, now) + 1 <= self._burst

    def charge(self, name: NodeId, now: float) -> None:
        self._levels[name] = (self._used(name, now) + 1, now)

    def take(self, name: NodeId, now: float) -> bool:
        """Charge it if it is allowed."""
        allowed = self.allows(name, now)
        if allowed:
            self.charge(name, now)
        return allowed

    def tidy(self, now: float) -> None:
        for name in [name for name in self._levels if not self._used(name, now)]:
            del self._levels[name]

    def _used(self, name: NodeId, now: float) -> float:
        used, at = self._levels.get(name, (0.0, now))
        return max(0.0, used - (now - at) / self._refill_s)
