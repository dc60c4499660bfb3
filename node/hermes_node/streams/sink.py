"""One stream as the chat driver knows it: its number, what waits to be handled, what waits to be written."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from hermes_core.relay.neighbour import StreamId
from hermes_core.session.control import ControlWriter
from hermes_node.streams.outbox import Outbox
from hermes_node.streams.pending import PendingFrames
from hermes_node.streams.turns import Queue


class Sink:
    """The outbox's bounds are the stream's credits. Once something did not fit nothing more is taken: only its tail is lost."""

    __slots__ = ("_on_proof", "_starved", "_writer", "outbox", "pending", "queue", "stream")

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
        self._on_proof: Callable[[], None] | None = None

    def watch_proof(self, on_proof: Callable[[], None]) -> None:
        """Call it once somebody has proved on this stream who they are."""
        self._on_proof = on_proof

    def secure(self, writer: ControlWriter) -> None:
        """Control messages leave with this writer's tags from now on."""
        self._writer = writer
        if self._on_proof is not None:
            self._on_proof()

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
