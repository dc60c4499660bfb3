"""One stream as the chat driver knows it: its number, what waits to be handled, what waits to be written."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hermes_core.relay.neighbour import StreamId
from hermes_core.session.control import ControlWriter
from hermes_node.streams.outbox import Outbox
from hermes_node.streams.pending import PendingFrames
from hermes_node.streams.turns import Queue


class Sink:
    """The outbox's bounds are the stream's credits. Once something did not fit nothing more is taken: only its tail is lost."""

    __slots__ = ("_starved", "_writer", "outbox", "pending", "queue", "stream")

    def __init__(
        self,
        stream: StreamId,
        queue: Queue[Any],
        pending: PendingFrames,
        outbox: Outbox[Any],
        writer: ControlWriter | None = None,
    ) -> None:
        self.stream = stream
        self.queue = queue
        self.pending = pending
        self.outbox = outbox
        self._starved = False
        self._writer = writer

    def secure(self, writer: ControlWriter) -> None:
        """Control messages leave with this writer's tags from now on."""
        self._writer = writer

    def tag(self, batch: Iterable[Any]) -> list[Any]:
        """A batch as it leaves, in its final order."""
        return list(batch) if self._writer is None else self._writer.tag(batch)

    def wipe(self) -> None:
        """Nothing more leaves."""
        if self._writer is not None:
            self._writer.wipe()

    def offer(self, message: object) -> bool:
        """Queue a message; False for the first that does not fit."""
        if self._starved:
            return True
        self._starved = not self.outbox.put(message)
        return not self._starved
