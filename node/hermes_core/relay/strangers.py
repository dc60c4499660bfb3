"""Streams on which nobody has proved anything: places for them, shared by address, and what each address has used up.

Behind an ingress all apps have one address: so an address is only ever slowed down, a proof gives back what it took, and a
stream that proved itself is no stranger any more.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.relay.neighbour import StreamId
from hermes_core.relay.shares import Shares
from hermes_core.token_bucket import TokenBucket

Origin = tuple[str, ...]
"""Networks, the widest first, and last an IPv4 address or the /64 of an IPv6 address; ("",) when it is not known, which is an
origin like another."""

MAX_ORIGINS: Final = 10_000
"""Whose budgets are remembered; the one that was not seen for longest is forgotten first."""
TIMES_PLACES: Final = 4
"""An address may begin so many times as many streams as there are places, one after the other, without a proof."""
REFILL_S: Final = 0.05
"""One more stream that proves nothing: a signature to verify in each is half a percent of a core for one address."""
WIDER: Final = 4
"""A /56 may begin so many times as many as one of its 256 /64s, a /48 so many times as many as a /56."""
RETRY_LATER_MS: Final = 1000


class Strangers:
    """The owner of who waits. `places`: how many streams may at once."""

    def __init__(self, places: int) -> None:
        self._places = places
        self._waiting: Shares[StreamId] = Shares()
        self._budgets: OrderedDict[Origin, TokenBucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._waiting)

    def admit(self, stream: StreamId, origin: Origin, now: float) -> StreamId | None:
        """A new stream gets a place; LIMIT_EXCEEDED, with the wait, when there is none for its address.

        When all are taken, the address that has most of them gives up its oldest, which is returned, to one that has fewer; of
        networks the same. Where all have one, the oldest of all goes: who means to prove something has done so within a round
        trip, and who does not cannot hold the door.
        """
        budgets = [self._budget_of(origin[:end], len(origin) - end, now) for end in range(1, len(origin) + 1)]
        wait_ms = max(budget.peek(now) for budget in budgets)
        if wait_ms:
            detail = "too many streams of this address proved nothing"
            raise ProtocolError(ErrorCode.LIMIT_EXCEEDED, detail, retry_after_ms=wait_ms)
        evicted = self._make_room(origin) if len(self._waiting) >= self._places else None
        for budget in budgets:
            budget.take()
        self._waiting.add(stream, origin)
        return evicted

    def _make_room(self, origin: Origin) -> StreamId:
        evicted = self._waiting.find_to_give_way(origin)
        if evicted is None and not self._waiting.count_of(origin[:1]):
            evicted = self._waiting.oldest()
        if evicted is None:
            detail = "too many streams have not answered their challenge"
            raise ProtocolError(ErrorCode.LIMIT_EXCEEDED, detail, retry_after_ms=RETRY_LATER_MS)
        self.leave(evicted)
        return evicted

    def prove(self, stream: StreamId, now: float) -> None:
        """Somebody proved who they are on it: it cost nothing."""
        origin = self._waiting.remove(stream)
        if origin is not None:
            for end in range(1, len(origin) + 1):
                self._budget_of(origin[:end], len(origin) - end, now).take(-1)

    def leave(self, stream: StreamId) -> None:
        """It ended, or is about to. Idempotent."""
        self._waiting.remove(stream)

    def _budget_of(self, network: Origin, wider: int, now: float) -> TokenBucket:
        """`wider`: how many steps from an address; each has WIDER times as much as the one below."""
        budget = self._budgets.get(network)
        if budget is None:
            times = WIDER**wider
            budget = TokenBucket(times * TIMES_PLACES * self._places, REFILL_S / times, now)
            self._budgets[network] = budget
            if len(self._budgets) > MAX_ORIGINS:
                self._budgets.popitem(last=False)
        self._budgets.move_to_end(network)
        return budget
