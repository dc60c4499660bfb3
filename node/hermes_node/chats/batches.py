"""A batch of messages of one stream as it waits in the inbox: it is served in slices, and each message's defect is its own."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import islice
from typing import Any

from hermes_core.errors import ErrorCode, ErrorScope
from hermes_core.protocol.messages import ErrorNotice, Sealed
from hermes_core.relay.sessions import Sessions
from hermes_node.chats.defects import log_defect
from hermes_node.chats.inbox import Input
from hermes_node.logs.event_log import EventLog
from hermes_node.streams.sink import Sink


class Receiver:
    """What all batches go to. `read_at`: when each was read that had sealed frames in it and is handled (perf_counter)."""

    __slots__ = ("clock", "log", "read_at", "sessions")

    def __init__(self, sessions: Sessions, cost_clock: Callable[[], float], log: EventLog) -> None:
        self.sessions = sessions
        self.clock = cost_clock
        self.log = log
        self.read_at: list[float] = []

    def take_read_at(self) -> list[float]:
        """Those since the last call."""
        taken, self.read_at = self.read_at, []
        return taken


class Batch(Input):
    """An empty one counts as a frame, or nothing would hold its sender."""

    __slots__ = ("_messages", "_position", "_read_at", "_receiver", "_sink")

    def __init__(self, receiver: Receiver, sink: Sink, messages: list[Any]) -> None:
        self.left = True
        self._receiver = receiver
        self._sink = sink
        self._messages = messages
        self._position = 0
        self._read_at = time.perf_counter()
        sink.pending.posted(len(messages) or 1)

    def serve(self, now: float, ends_at: float) -> int:
        receiver, sink, messages = self._receiver, self._sink, self._messages
        if not messages:
            self.left = False
            sink.pending.processed(1)
            receiver.sessions.heard_nothing(sink.stream, now)
            return 1
        receive, stream, clock = receiver.sessions.receive, sink.stream, receiver.clock
        began = position = self._position
        for message in islice(messages, began, None) if began else messages:
            position += 1
            try:
                receive(stream, message, now)
            except Exception as error:  # noqa: BLE001 - a defect must not stop the node for everybody else
                log_defect(receiver.log, error)
                sink.outbox.put(ErrorNotice(ErrorCode.INTERNAL, ErrorScope.FRAME, None, "", 0))
            if clock() >= ends_at:
                break
        self._position = position
        sink.pending.processed(position - began)
        if position == len(messages):
            self.left = False
            if any(type(message) is Sealed for message in messages):
                receiver.read_at.append(self._read_at)
        return position - began
