"""Who holds what: the hash ring of the members that are up, this node included."""

from __future__ import annotations

from collections.abc import Mapping

from hermes_core.ids import AppId, NodeId
from hermes_core.mesh.homes.params import HOLDERS
from hermes_core.mesh.ring import HashRing


class Holders:
    """The owner of who is up, and in which incarnation."""

    __slots__ = ("_incarnations", "_own", "_ring")

    def __init__(self, own: NodeId) -> None:
        self._own = own
        self._ring = HashRing([own])
        self._incarnations: dict[NodeId, int] = {}

    def set_members(self, incarnations: Mapping[NodeId, int]) -> frozenset[NodeId] | None:
        """The others that are up. Those among them that came, or began anew; None when nothing changed for anybody."""
        former, self._incarnations = self._incarnations, dict(incarnations)
        changed = self._ring.set_members({*incarnations, self._own})
        anew = frozenset(name for name, incarnation in incarnations.items() if former.get(name) != incarnation)
        return anew if changed or anew else None

    def is_up(self, node_id: NodeId) -> bool:
        return node_id in self._ring.members

    def incarnation_of(self, node_id: NodeId) -> int:
        """0 for one that is not up."""
        return self._incarnations.get(node_id, 0)

    def of(self, app_id: AppId) -> tuple[NodeId, ...]:
        """Those of an app, nearest first; this node may be one."""
        return self._ring.find(app_id.encode(), HOLDERS)

    def others_of(self, app_id: AppId) -> tuple[NodeId, ...]:
        """The same, without this node."""
        return tuple(holder for holder in self.of(app_id) if holder != self._own)
