"""How often something may be done because of each of many: a token bucket each, forgotten when it is full again."""

from __future__ import annotations

from hermes_core.ids import NodeId
from hermes_core.token_bucket import TokenBucket


class Budgets:
    """`burst` at once for each name, one more every `refill_s` seconds. `refused`: how often one had none left."""

    __slots__ = ("_buckets", "_burst", "_refill_s", "refused")

    def __init__(self, burst: int, refill_s: float) -> None:
        self._burst = burst
        self._refill_s = refill_s
        self._buckets: dict[NodeId, TokenBucket] = {}
        self.refused = 0

    def __len__(self) -> int:
        return len(self._buckets)

    def allows(self, name: NodeId, now: float) -> bool:
        bucket = self._buckets.get(name)
        allowed = bucket is None or not bucket.peek(now)
        self.refused += not allowed
        return allowed

    def charge(self, name: NodeId, now: float) -> None:
        bucket = self._buckets.get(name)
        if bucket is None:
            bucket = self._buckets[name] = TokenBucket(self._burst, self._refill_s, now)
        bucket.peek(now)
        bucket.take()

    def take(self, name: NodeId, now: float) -> bool:
        """Charge it if it is allowed."""
        allowed = self.allows(name, now)
        if allowed:
            self.charge(name, now)
        return allowed

    def tidy(self, now: float) -> None:
        for name in [name for name, bucket in self._buckets.items() if bucket.is_full(now)]:
            del self._buckets[name]
