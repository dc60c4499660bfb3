"""Which apps are connected to which node, where members find each other by SWIM: for now each tells every other one its list.

To be replaced by entries that are kept by a few holders: a link to every member does not go with many of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from hermes_core.ids import AppId, NodeId
from hermes_core.mesh.directory import ListedApps, LocalApps
from hermes_core.mesh.messages import DirectoryEntry
from hermes_core.protocol.session import AppClaim


class AppLists:
    """The owner of this node's list, of who was told it, and of what others told."""

    def __init__(self, own: NodeId, incarnation: int) -> None:
        """`incarnation`: of this start; refuting an accusation makes no other list."""
        self._own = LocalApps(own)
        self._incarnation = incarnation
        self._told: dict[NodeId, int] = {}
        self._listed: dict[NodeId, ListedApps] = {}

    def set_local(self, claims: Mapping[AppId, AppClaim]) -> bool:
        """Whether there is something to tell."""
        return self._own.set(claims)

    def tell(self, node_id: NodeId) -> Iterator[DirectoryEntry]:
        """What this member is to hear over the link that stands to it."""
        known = self._told.get(node_id, -1)
        self._told[node_id] = self._own.version
        yield from self._own.tell(known, self._incarnation)

    def forget_told(self, node_id: NodeId) -> None:
        """The link is gone, and nobody knows what still arrived."""
        self._told.pop(node_id, None)

    def list_untold(self, members: Iterable[NodeId]) -> Iterator[NodeId]:
        return (node_id for node_id in members if self._told.get(node_id) != self._own.version)

    def take(self, entry: DirectoryEntry) -> bool:
        """What a member says of itself; whether it counts. LIMIT_EXCEEDED for more apps than a node may name."""
        return self._listed.setdefault(entry.node_id, ListedApps()).take(entry)

    def lose(self, node_id: NodeId) -> bool:
        """A member that is dead or gone takes its list with it; whether there was one."""
        return self._listed.pop(node_id, None) is not None

    def find(self, node_id: NodeId) -> ListedApps | None:
        return self._listed.get(node_id)

    def count(self) -> int:
        return sum(len(listed.app_ids) for listed in self._listed.values())
