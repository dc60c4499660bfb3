"""Streams on which nobody has proved anything: places for them, shared by address, and what each address has used up.

Behind an ingress all apps have one address: so an address is only ever slowed down, a proof gives back what it took, and a
stream that proved itself is no stranger any more.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.relay.neighbour import StreamId
from hermes_core.relay.token_bucket import TokenBucket

Origin = str
"""An IPv4 address, or the /64 of an IPv6 address; empty when it is not known, which is an origin like another."""

MAX_ORIGINS: Final = 10_000
"""Whose budgets are remembered; the one that was not seen for longest is forgotten first."""
TIMES_PLACES: Final = 4
"""An address may begin so many times as many streams as there are places, one after the other, without a proof."""
REFILL_S: Final = 0.05
"""One more stream that proves nothing: a signature to verify in each is half a percent of a core for one address."""
RETRY_LATER_MS: Final = 1000


class Strangers:
    """The owner of who waits. `places`: how many streams may at once."""

    def __init__(self, places: int) -> None:
        self._places = places
        self._waiting: dict[Origin, dict[StreamId, None]] = {}
        self._origins: dict[StreamId, Origin] = {}
        self._budgets: OrderedDict[Origin, TokenBucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._origins)

    def admit(self, stream: StreamId, origin: Origin, now: float) -> StreamId | None:
        """A new stream gets a place; LIMIT_EXCEEDED, with the wait, when there is none for its address.

        When all are taken, the address that has most of them gives up its oldest, which is returned, to one that has fewer.
        """
        budget = self._budget_of(origin, now)
        wait_ms = budget.peek(now)
        if wait_ms:
            detail = "too many streams of this address proved nothing"
            raise ProtocolError(ErrorCode.LIMIT_EXCEEDED, detail, retry_after_ms=wait_ms)
        evicted = self._make_room(origin) if len(self._origins) >= self._places else None
        budget.take()
        self._waiting.setdefault(origin, {})[stream] = None
        self._origins[stream] = origin
        return evicted

    def _make_room(self, origin: Origin) -> StreamId:
        largest = max(self._waiting, key=lambda each: len(self._waiting[each]))
        if len(self._waiting[largest]) <= len(self._waiting.get(origin, ())) + 1:
            detail = "too many streams have not answered their challenge"
            raise ProtocolError(ErrorCode.LIMIT_EXCEEDED, detail, retry_after_ms=RETRY_LATER_MS)
        evicted = next(iter(self._waiting[largest]))
        self.leave(evicted)
        return evicted

    def prove(self, stream: StreamId, now: float) -> None:
        """Somebody proved who they are on it: it cost nothing."""
        origin = self._origins.get(stream)
        if origin is not None:
            self.leave(stream)
            self._budget_of(origin, now).take(-1)

    def leave(self, stream: StreamId) -> None:
        """It ended, or is about to. Idempotent."""
        origin = self._origins.pop(stream, None)
        if origin is not None:
            waiting = self._waiting[origin]
            del waiting[stream]
            if not waiting:
                del self._waiting[origin]

    def _budget_of(self, origin: Origin, now: float) -> TokenBucket:
        budget = self._budgets.get(origin)
        if budget is None:
            budget = self._budgets[origin] = TokenBucket(TIMES_PLACES * self._places, REFILL_S, now)
            if len(self._budgets) > MAX_ORIGINS:
                self._budgets.popitem(last=False)
        self._budgets.move_to_end(origin)
        return budget
