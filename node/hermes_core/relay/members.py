"""The nodes of the mesh as they describe themselves, for apps that seek their home."""

from __future__ import annotations

from collections.abc import Mapping

from hermes_core.ids import NodeId, Party
from hermes_core.mesh.descriptor import descriptor_party
from hermes_core.mesh.messages import HomeFound, NodeDescriptor
from hermes_core.relay.neighbour import Link, Neighbour, node_neighbour


class Members:
    """Each with its newest descriptor, which the mesh verified, and whether it answers. `links` is the router's."""

    def __init__(self, links: Mapping[Neighbour, Link]) -> None:
        self._links = links
        self._descriptors: dict[NodeId, NodeDescriptor] = {}
        self._answering: set[NodeId] = set()

    def describe(self, descriptor: NodeDescriptor) -> None:
        self._descriptors[descriptor.node_id] = descriptor

    def forget(self, node_id: NodeId) -> None:
        self._descriptors.pop(node_id, None)
        self._answering.discard(node_id)

    def note_standing(self, node_id: NodeId, *, answers: bool) -> None:
        """In a mesh where not every node has a stream to every other one."""
        (self._answering.add if answers else self._answering.discard)(node_id)

    def find(self, party: Party) -> HomeFound:
        """What the node of this party signed of itself: of one that bears its name with another key nothing is told."""
        descriptor = self._descriptors.get(NodeId(party.split(":")[1]))
        if descriptor is None or descriptor_party(descriptor) != party:
            return HomeFound(None, linked=False)
        link = self._links.get(node_neighbour(descriptor.node_id))
        linked = descriptor.node_id in self._answering if link is None else link.party == party
        return HomeFound(descriptor, linked=linked)
