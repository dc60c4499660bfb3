"""Who is at the other end of a stream, and the stream that stands to them."""

from __future__ import annotations

from typing import NamedTuple

from hermes_core.ids import AppId, ChannelKind, NodeId, Party, app_party, node_party
from hermes_core.session.keys import StreamKeys

StreamId = int
"""Names one stream for as long as the process lives; the shell gives a new number to each and never one twice."""


class Neighbour(NamedTuple):
    """An app (`node_id` None) or another node (`app_id` None)."""

    app_id: AppId | None
    node_id: NodeId | None

    @property
    def kind(self) -> ChannelKind:
        return ChannelKind.LEG if self.node_id is None else ChannelKind.TIELINE


def app_neighbour(app_id: AppId) -> Neighbour:
    return Neighbour(app_id, None)


def node_neighbour(node_id: NodeId) -> Neighbour:
    return Neighbour(None, node_id)


class Link:
    """The stream that stands to a neighbour: its proven key (32 bytes), its session binding, when something was last sent.

    `send_nonce` and `receive_nonce` (12 bytes each) are those of every frame that a hop sends or gets over it.
    """

    __slots__ = ("binding", "neighbour", "party", "public_key", "receive_nonce", "send_nonce", "sent_at", "stream")

    def __init__(self, neighbour: Neighbour, stream: StreamId, public_key: bytes, keys: StreamKeys, now: float) -> None:
        self.neighbour = neighbour
        self.stream = stream
        self.public_key = public_key
        self.binding, self.send_nonce, self.receive_nonce = keys
        self.party: Party = _name_party(neighbour, public_key)
        self.sent_at = now

    def note_sent(self, now: float) -> None:
        self.sent_at = now


def _name_party(neighbour: Neighbour, public_key: bytes) -> Party:
    if neighbour.node_id is not None:
        return node_party(neighbour.node_id, public_key)
    if neighbour.app_id is None:
        raise ValueError("a neighbour is an app or a node")
    return app_party(neighbour.app_id)
