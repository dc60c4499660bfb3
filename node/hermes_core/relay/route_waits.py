"""First offers that wait for a stream to the node of the app that they are for: it is dialled when one needs it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.ids import NodeId
from hermes_core.protocol.messages import Offer
from hermes_core.relay.neighbour import Link

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

    __slots__ = ("_count", "_waiting")

    def __init__(self) -> None:
        self._waiting: dict[NodeId, list[WaitingOffer]] = {}
        self._count = 0

    def hold(self, node_id: NodeId, link: Link, offer: Offer, now: float) -> bool:
        """False when too much waits already."""
        waiting = self._waiting.get(node_id, [])
        own = sum(other.link is link for other in waiting)
        if own >= MAX_WAITING_OF_ONE or self._count >= MAX_WAITING:
            return False
        self._waiting.setdefault(node_id, []).append(WaitingOffer(link, offer, now + PATIENCE_S))
        self._count += 1
        return True

    def take(self, node_id: NodeId) -> list[WaitingOffer]:
        """What waits for this node, whatever was found out about the way there."""
        taken = self._waiting.pop(node_id, [])
        self._count -= len(taken)
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
