"""The chat driver's streams: what comes on them is put into the inbox, what the machine does to them reaches their sinks."""

from __future__ import annotations

import itertools
from typing import Any

from hermes_core.errors import ProtocolError
from hermes_core.ids import NodeId
from hermes_core.relay.neighbour import StreamId
from hermes_core.relay.output import Secure, Send, StreamAction
from hermes_core.relay.relay import Relay
from hermes_core.relay.strangers import Origin
from hermes_core.session.control import ControlWriter
from hermes_core.session.keys import SessionKeys
from hermes_node.chats.batches import Batch, Receiver
from hermes_node.chats.inbox import Act, Inbox, Input, Task
from hermes_node.streams.outbox import QueueBounds
from hermes_node.streams.pending import Backlog, PendingFrames
from hermes_node.streams.sink import Sink
from hermes_node.streams.turns import Queue


class ChatStreams:
    """The owner of the sinks. Everything of one stream is handled in the order of its arrival."""

    def __init__(
        self,
        relay: Relay,
        inbox: Inbox,
        receiver: Receiver,
        *,
        app_queue: QueueBounds,
        node_queue: QueueBounds,
    ) -> None:
        self._relay = relay
        self._inbox = inbox
        self._receiver = receiver
        self._app_queue = app_queue
        self._node_queue = node_queue
        self._backlog = Backlog()
        self._sinks: dict[StreamId, Sink] = {}
        self._numbers = itertools.count(1)

    def open_app(self, origin: Origin) -> Sink:
        """A stream of somebody who has not proved yet who they are, from this address."""
        queue = self._inbox.open_stranger(origin)
        sink = self._add_sink(next(self._numbers), queue, self._app_queue, stranger=True)
        self._put(sink, lambda now: self._relay.sessions.opened(sink.stream, origin, now))
        return sink

    def open_node(self, node_id: NodeId, public_key: bytes, keys: SessionKeys) -> Sink:
        """A stream on which a node has proved who it is. It opens in the order of what the mesh tells of that node."""
        number = next(self._numbers)
        self._inbox.put_own(lambda now: self._relay.sessions.node_linked(number, node_id, public_key, keys, now))
        return self._add_sink(number, self._inbox.open_node(), self._node_queue, writer=keys.writer)

    def receive(self, sink: Sink, messages: list[Any]) -> None:
        """One batch."""
        self._inbox.put(sink.queue, Batch(self._receiver, sink, messages))

    def malformed(self, sink: Sink, error: ProtocolError) -> None:
        """Something came that is no batch. Only what is said of it waits: a traceback would hold all that was read."""
        told = ProtocolError(error.code, error.detail, scope=error.scope, retry_after_ms=error.retry_after_ms)
        sink.pending.posted(1)
        self._put(sink, lambda now: self._refuse(sink, told, now), frames=1)

    def close(self, sink: Sink) -> None:
        """The stream is gone."""
        self._put(sink, lambda now: self._close(sink, now))

    def act(self, action: StreamAction) -> None:
        """What the machine decided, once it may be seen."""
        sink = self._sinks.get(action.stream)
        if sink is None:
            return
        if isinstance(action, Send):
            if not sink.offer(action.message):
                self._inbox.put_own(lambda _: self._relay.sessions.stuck(sink.stream))
        elif isinstance(action, Secure):
            sink.secure(action.writer)
            self._inbox.prove(sink.queue)
        else:
            sink.outbox.close(action.notice, discard=action.discard)

    def _refuse(self, sink: Sink, error: ProtocolError, now: float) -> None:
        sink.pending.processed(1)
        self._relay.sessions.malformed(sink.stream, error, now)

    def _close(self, sink: Sink, now: float) -> None:
        self._sinks.pop(sink.stream, None)
        sink.wipe()
        self._relay.sessions.closed(sink.stream, now)

    def _add_sink(
        self,
        number: StreamId,
        queue: Queue[Input],
        bounds: QueueBounds,
        *,
        stranger: bool = False,
        writer: ControlWriter | None = None,
    ) -> Sink:
        pending = PendingFrames(self._backlog, stranger=stranger)
        sink = self._sinks[number] = Sink(number, queue, pending, bounds.build_outbox(), writer)
        return sink

    def _put(self, sink: Sink, act: Act, frames: int = 0) -> None:
        self._inbox.put(sink.queue, Task(act, frames))
