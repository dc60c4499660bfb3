"""Where apps are: connected here, or at home on another node as the mesh's directory says."""

from __future__ import annotations

from collections.abc import Mapping

from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.ids import AppId, NodeId
from hermes_core.relay.neighbour import Link, Neighbour, app_neighbour, node_neighbour
from hermes_core.relay.rows import ChatIndex


class Directory:
    """`links` and `index` are the router's."""

    def __init__(self, node_id: NodeId, links: Mapping[Neighbour, Link], index: ChatIndex) -> None:
        self._node_id = node_id
        self._links = links
        self._index = index
        self._locations: Mapping[AppId, NodeId] = {}

    def update(self, locations: Mapping[AppId, NodeId]) -> None:
        """Where apps of other nodes are at home; the mapping is kept, not copied."""
        self._locations = locations

    def locate(self, app_id: AppId) -> NodeId | None:
        """The node where an app is connected, as far as this one knows."""
        return self._node_id if app_neighbour(app_id) in self._links else self._locations.get(app_id)

    def find_route(self, source: Neighbour, target: AppId) -> Link:
        """Over which stream an offer of `source` goes on. TARGET_NOT_FOUND, TARGET_OFFLINE, ROUTE_UNAVAILABLE.

        What another node sends ends here: a chat has two hops on a node, and no third node.
        """
        link = self._links.get(app_neighbour(target))
        if link is not None:
            return link
        node_id = self._locations.get(target)
        if node_id is None or node_id == self._node_id or source.node_id is not None:
            known = node_id is not None or self._index.knows(app_neighbour(target))
            raise ProtocolError(ErrorCode.TARGET_OFFLINE if known else ErrorCode.TARGET_NOT_FOUND)
        link = self._links.get(node_neighbour(node_id))
        if link is None:
            raise ProtocolError(ErrorCode.ROUTE_UNAVAILABLE, "no stream to the target's node")
        return link
