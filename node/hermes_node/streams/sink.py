"""One stream as the chat driver knows it: its number, what waits to be written, what waits to be handled."""

from __future__ import annotations

from typing import Any

from hermes_core.relay.neighbour import StreamId
from hermes_node.streams.outbox import Outbox
from hermes_node.streams.pending import PendingFrames


class Sink:
    """The outbox's bounds are the stream's credits. Once something did not fit nothing more is taken: only its tail is lost."""

    __slots__ = ("_starved", "outbox", "pending", "stream")

    def __init__(self, stream: StreamId, outbox: Outbox[Any], *, stranger: bool) -> None:
        self.stream = stream
        self.outbox = outbox
        self.pending = PendingFrames(stranger=stranger)
        self._starved = False

    def offer(self, message: object) -> bool:
        """Queue a message; False for the first that does not fit."""
        if self._starved:
            return True
        self._starved = not self.outbox.put(message)
        return not self._starved
