"""First offers that wait for a stream to the node of the app that they are for: it is dialled when one needs it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Final

from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.ids import ChatId, NodeId
from hermes_core.protocol.messages import Offer
from hermes_core.relay.neighbour import Link, Neighbour

PATIENCE_S: Final = 6.0
"""Longer than a dial may take, so that its end mostly decides."""
MAX_WAITING_OF_ONE: Final = 64
MAX_WAITING: Final = 4_096
"""Offers hold a few KiB each."""


class NoStreamError(ProtocolError):
    """The app is there, and no stream to its node stands."""

    def __init__(self, node_id: NodeId) -> None:
        super().__init__(ErrorCode.ROUTE_UNAVAILABLE, "no stream to the target's node")
        self.node_id = node_id


@dataclass(frozen=True, slots=True)
class WaitingOffer:
    """`link`: the stream it came on; once that is gone nobody waits for what becomes of the offer."""

    link: Link
    offer: Offer
    until: float


class RouteWaits:
    """The owner of what waits, by node; where each node links with every other one nothing does."""

    __slots__ = ("_count", "_held", "_waiting")

    def __init__(self) -> None:
        self._held: Counter[tuple[Neighbour, ChatId]] = Counter()
        self._waiting: dict[NodeId, list[WaitingOffer]] = {}
        self._count = 0

    def hold(self, node_id: NodeId, link: Link, offer: Offer, now: float) -> bool:
        """False when too much waits already."""
        waiting = self._waiting.get(node_id, [])
        own = sum(other.link is link for other in waiting)
        if own >= MAX_WAITING_OF_ONE or self._count >= MAX_WAITING:
            return False
        self._put(node_id, WaitingOffer(link, offer, now + PATIENCE_S))
        return True

    def withdraw(self, neighbour: Neighbour, chat_id: ChatId) -> bool:
        """The app does not want this chat any more; whether an offer of it waited."""
        waited = (neighbour, chat_id) in self._held
        for node_id in list(self._waiting) if waited else ():
            for waiting in self.take(node_id):
                if waiting.link.neighbour != neighbour or waiting.offer.chat_id != chat_id:
                    self._put(node_id, waiting)
        return waited

    def _put(self, node_id: NodeId, waiting: WaitingOffer) -> None:
        self._waiting.setdefault(node_id, []).append(waiting)
        self._held[waiting.link.neighbour, waiting.offer.chat_id] += 1
        self._count += 1

    def take(self, node_id: NodeId) -> list[WaitingOffer]:
        """What waits for this node, whatever was found out about the way there."""
        taken = self._waiting.pop(node_id, [])
        self._count -= len(taken)
        for waiting in taken:
            forget_one(self._held, (waiting.link.neighbour, waiting.offer.chat_id))
        return taken

    def next_due(self) -> float | None:
        return min((waiting[0].until for waiting in self._waiting.values()), default=None)

    def take_due(self, now: float) -> list[WaitingOffer]:
        """Of each node the first ones, which have waited long enough."""
        overdue: list[WaitingOffer] = []
        for node_id, waiting in list(self._waiting.items()):
            if waiting[0].until <= now:
                overdue += self.take(node_id)
        return overdue


def forget_one(held: Counter[tuple[Neighbour, ChatId]], key: tuple[Neighbour, ChatId]) -> None:
    """One offer of this chat waits no more; who repeats itself may have others."""
    held[key] -= 1
    if not held[key]:
        del held[key]
