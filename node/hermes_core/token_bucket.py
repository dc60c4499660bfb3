"""Token buckets: how often somebody may do what costs this node something."""

from __future__ import annotations

import math


class TokenBucket:
    """`burst` at once, one more every `refill_s` seconds."""

    __slots__ = ("_burst", "_refill_s", "_stamp", "_tokens")

    def __init__(self, burst: int, refill_s: float, now: float) -> None:
        self._burst = burst
        self._refill_s = refill_s
        self._tokens = float(burst)
        self._stamp = now

    def peek(self, now: float) -> int:
        """Milliseconds until a token is there; 0 when one is."""
        if now > self._stamp:
            self._tokens = min(float(self._burst), self._tokens + (now - self._stamp) / self._refill_s)
        self._stamp = now
        return 0 if self._tokens >= 1 else math.ceil((1 - self._tokens) * self._refill_s * 1000)

    def is_full(self, now: float) -> bool:
        """Whether it is as if nothing had ever been taken."""
        self.peek(now)
        return self._tokens >= self._burst

    def take(self, count: int = 1) -> None:
        """Use the token that `peek` found; or more, where what it costs shows only afterwards: that is owed from then on."""
        self._tokens -= count
