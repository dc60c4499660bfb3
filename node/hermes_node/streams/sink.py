"""One stream as the chat driver knows it: its number, what waits to be written, what waits to be handled."""

from __future__ import annotations

from typing import Any

from hermes_core.relay.neighbour import StreamId
from hermes_node.streams.outbox import Outbox
from hermes_node.streams.pending import PendingFrames


class Sink:
    """The outbox's bounds are the stream's credits: what does not fit is not remembered."""

    __slots__ = ("outbox", "pending", "stream")

    def __init__(self, stream: StreamId, outbox: Outbox[Any]) -> None:
        self.stream = stream
        self.outbox = outbox
        self.pending = PendingFrames()
