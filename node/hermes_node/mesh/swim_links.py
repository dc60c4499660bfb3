"""The Gossip streams that are links of SWIM: one for each member, whoever dialled it, and the dials that are under way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from hermes_core.ids import NodeId
from hermes_node.mesh.links import GossipLink

CROSSED_S: Final = 5.0
"""A link that is younger may have been dialled at the same moment as the one that comes now; an older one was lost."""


class SwimLinks:
    """The owner of both. Of two links that were dialled at once the one stays that the lower id dialled, at both ends."""

    def __init__(self, own: NodeId, now: Callable[[], float]) -> None:
        self._own = own
        self._now = now
        self._links: dict[NodeId, GossipLink] = {}
        self._since: dict[NodeId, float] = {}
        self._dialling: set[NodeId] = set()
        self._unlisted: dict[NodeId, None] = {}
        self.dials = 0

    def __len__(self) -> int:
        return len(self._links)

    def __contains__(self, node_id: NodeId) -> bool:
        return node_id in self._links

    def __iter__(self) -> Iterator[GossipLink]:
        return iter(list(self._links.values()))

    def find(self, node_id: NodeId) -> GossipLink | None:
        return self._links.get(node_id)

    def holds(self, link: GossipLink) -> bool:
        return self._links.get(link.node_id) is link

    def prevails(self, link: GossipLink) -> bool:
        """Whether a new link takes its place, in that of another one as well."""
        former = self._links.get(link.node_id)
        if former is None or former.dialled == link.dialled or self._now() - self._since[link.node_id] >= CROSSED_S:
            return True
        return link.dialled == (self._own < link.node_id)

    def put(self, link: GossipLink) -> GossipLink | None:
        """It stands; the one that stood before."""
        former = self._links.get(link.node_id)
        self._links[link.node_id] = link
        self._since[link.node_id] = self._now()
        self._unlisted[link.node_id] = None
        self._dialling.discard(link.node_id)
        return former

    def drop(self, link: GossipLink) -> bool:
        """It is gone; False when another one stands in its place."""
        if not self.holds(link):
            return False
        del self._links[link.node_id]
        del self._since[link.node_id]
        self._unlisted.pop(link.node_id, None)
        return True

    def take_unlisted(self) -> list[GossipLink]:
        """Links of which nobody said yet that what their members know was taken in."""
        taken, self._unlisted = self._unlisted, {}
        return [self._links[node_id] for node_id in taken]

    def begin_dial(self, node_id: NodeId) -> bool:
        """False when one is under way."""
        if node_id in self._dialling:
            return False
        self._dialling.add(node_id)
        self.dials += 1
        return True

    def end_dial(self, node_id: NodeId) -> bool:
        """The task is over; True when no link came of it."""
        failed = node_id in self._dialling
        self._dialling.discard(node_id)
        return failed
