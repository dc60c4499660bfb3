"""What strangers want done, in slices and by address: handshakes and headers cost a thousand times what they cost to send."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from heapq import heappop, heappush
from typing import Final, Protocol

SLICE_S: Final = 0.001
"""Of one pass of the event loop; the piece of work in which it ends is not cut short."""
REST_S: Final = 0.001
"""Between two slices, while there is work for those who have proved something: of theirs one message takes several passes."""
CREDIT_S: Final = 0.02
"""Of work, for an address that had none done for a while: as much as it takes to become known, with TLS."""
RECOVERY: Final = 0.002
"""Of the credit with time: all of it in ten seconds, for those who want nothing meanwhile."""
_FORGET_FROM: Final = 1_024

Work = Callable[[], None]


class Customer(Protocol):
    """Who wants something done: the address that has it counted, and what it has cost so far."""

    payer: str
    spent_s: float


class StrangersTurns:
    """Each address has the same share (start-time fair queueing), however many connections it has, and its pieces their order.

    Who comes anew goes before those who have had more than `CREDIT_S` of work each, so a flood is no queue to stand in.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: dict[str, deque[tuple[Customer, Work]]] = {}
        self._order: list[tuple[float, int, str]] = []
        """A heap: when an address began its turn, in seconds of work for each of those that want some."""
        self._count = 0
        self._now = 0.0
        """On that clock."""
        self._at = loop.time()
        self._done: dict[str, float] = {}
        """How far each address has come on it; none for those that are behind the credit."""
        self._forget_at = _FORGET_FROM
        self._running = False
        self._extra_s = 0.0
        self.yielded = False
        """Work for others came up since the last slice; who does it says so."""

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    def add(self, customer: Customer, work: Work) -> None:
        who = customer.payer
        mates = self._waiting.get(who)
        if mates is not None:
            mates.append((customer, work))
            return
        now = self._loop.time()
        self._now += (now - self._at) * RECOVERY
        self._at = now
        self._waiting[who] = deque(((customer, work),))
        self._queue(who, max(self._done.get(who, 0.0), self._now - CREDIT_S))
        if not self._running:
            self._running = True
            self._loop.call_soon(self._run)

    def charge(self, cost_s: float) -> None:
        """The piece of work that is being done causes more of it, later and outside of turns."""
        self._extra_s += cost_s

    def refund(self, customer: Customer) -> None:
        """It has proved something: an address of which all do is never in debt."""
        if customer.payer in self._done:
            self._done[customer.payer] -= customer.spent_s
        customer.spent_s = 0.0

    def _queue(self, who: str, at: float) -> None:
        self._count += 1
        heappush(self._order, (at, self._count, who))

    def _run(self) -> None:
        used = 0.0
        try:
            while self._order and used < SLICE_S:
                used += self._do_next()
        finally:  # a defect in one piece is the loop's to tell, and keeps nobody else waiting
            self._running = bool(self._order)
            if self._running and self.yielded:
                self._loop.call_later(REST_S, self._run)
            elif self._running:
                self._loop.call_soon(self._run)
            self.yielded = False

    def _do_next(self) -> float:
        """What it cost."""
        begin, _, who = heappop(self._order)
        self._now = max(self._now, begin)
        mates = self._waiting[who]
        customer, work = mates.popleft()
        self._extra_s = 0.0
        since = self._loop.time()
        try:
            work()
        finally:
            cost = self._loop.time() - since + self._extra_s
            customer.spent_s += cost
            self._done[who] = begin + cost
            if mates:
                self._queue(who, begin + cost)
            else:
                del self._waiting[who]
                if len(self._done) >= self._forget_at:
                    self._forget()
        return cost

    def _forget(self) -> None:
        """Those whom it makes no difference for."""
        self._done = {who: at for who, at in self._done.items() if at > self._now - CREDIT_S}
        self._forget_at = max(_FORGET_FROM, 2 * len(self._done))
