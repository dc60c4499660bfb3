"""What other members may ask of this node: of each so many look-ups, whichever apps they name.

A budget for each name besides would hold nobody: names are free, and who looks for one app is many apps of a node.
"""

from __future__ import annotations

from collections.abc import Collection

from hermes_core.ids import NodeId
from hermes_core.mesh.homes.params import HomesParams
from hermes_core.token_bucket import TokenBucket


class _Asker:
    __slots__ = ("bucket", "named_at")

    def __init__(self, bucket: TokenBucket) -> None:
        self.bucket = bucket
        self.named_at = float("-inf")


class Askers:
    """The owner of their budgets."""

    def __init__(self, params: HomesParams) -> None:
        self._params = params
        self._askers: dict[NodeId, _Asker] = {}

    def __len__(self) -> int:
        return len(self._askers)

    def charge(self, asker: NodeId, now: float) -> int:
        """Milliseconds that it has to wait; 0: it is answered, and that was charged."""
        known = self._askers.get(asker)
        if known is None:
            params = self._params
            known = self._askers[asker] = _Asker(TokenBucket(params.asked_burst, params.asked_refill_s, now))
        wait_ms = known.bucket.peek(now)
        if not wait_ms:
            known.bucket.take()
        return wait_ms

    def is_news(self, asker: NodeId, now: float) -> bool:
        """Whether it is to be named for what it was refused: once in a while, so that it fills no log."""
        known = self._askers[asker]
        if now - known.named_at < self._params.named_s:
            return False
        known.named_at = now
        return True

    def tidy(self, is_up: Collection[NodeId], now: float) -> None:
        """Forget those that are gone and owe nothing: who comes and goes has no new budget by that."""
        gone = [name for name, known in self._askers.items() if name not in is_up and known.bucket.is_full(now)]
        for name in gone:
            del self._askers[name]
