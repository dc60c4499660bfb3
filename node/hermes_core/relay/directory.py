"""Where apps are: connected here, at home on another node as the mesh's directory says, or away after having been there."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Final

from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.ids import AppId, NodeId
from hermes_core.relay.neighbour import Link, Neighbour, app_neighbour, node_neighbour
from hermes_core.relay.rows import ChatIndex

MAX_REMEMBERED: Final = 65_536
"""Apps that were there and are away, in memory, two hundred bytes each; the one that went first is forgotten first."""


class Directory:
    """`links` and `index` are the router's."""

    def __init__(self, node_id: NodeId, links: Mapping[Neighbour, Link], index: ChatIndex) -> None:
        self._node_id = node_id
        self._links = links
        self._index = index
        self._locations: Mapping[AppId, NodeId] = {}
        self._away: OrderedDict[AppId, NodeId] = OrderedDict()

    def update(self, locations: Mapping[AppId, NodeId]) -> None:
        """Where apps of other nodes are at home; the mapping is kept, not copied. Those that it lacks now have gone away."""
        former, self._locations = self._locations, locations
        for app_id in former.keys() - locations.keys():
            self._remember(app_id, former[app_id])

    def note_away(self, app_id: AppId) -> None:
        """An app that was connected here is gone."""
        self._remember(app_id, self._node_id)

    def _remember(self, app_id: AppId, node_id: NodeId) -> None:
        self._away[app_id] = node_id
        self._away.move_to_end(app_id)
        if len(self._away) > MAX_REMEMBERED:
            self._away.popitem(last=False)

    def locate(self, app_id: AppId) -> NodeId | None:
        """The node where an app is connected, as far as this one knows."""
        return self._node_id if app_neighbour(app_id) in self._links else self._locations.get(app_id)

    def last_home(self, app_id: AppId) -> NodeId | None:
        """Where an app that is not connected was last, as far as this node knows: None for one it never heard of."""
        if app_id in self._away:
            return self._away[app_id]
        return self._node_id if self._index.knows(app_neighbour(app_id)) else None

    def find_route(self, source: Neighbour, target: AppId) -> Link:
        """Over which stream an offer of `source` goes on.

        TARGET_NOT_FOUND: nobody ever heard of the app. TARGET_OFFLINE: it is away. ROUTE_UNAVAILABLE: it is there, and the mesh
        has no way to it. What another node sends ends here: a chat has two hops on a node, and no third node; and that node has
        heard of the app.
        """
        link = self._links.get(app_neighbour(target))
        if link is not None:
            return link
        node_id = self._locations.get(target)
        if node_id is None or node_id == self._node_id or source.node_id is not None:
            known = node_id is not None or source.node_id is not None or self.last_home(target) is not None
            raise ProtocolError(ErrorCode.TARGET_OFFLINE if known else ErrorCode.TARGET_NOT_FOUND)
        link = self._links.get(node_neighbour(node_id))
        if link is None:
            raise ProtocolError(ErrorCode.ROUTE_UNAVAILABLE, "no stream to the target's node")
        return link
