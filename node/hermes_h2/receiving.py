"""The windows that a peer is given: how much may arrive and wait, of each stream and of all of them."""

from __future__ import annotations

from collections import deque

from hermes_h2.bounds import INITIAL_WINDOW, Bounds
from hermes_h2.events import Refusal
from hermes_h2.faults import ConnectionFault, StreamFault
from hermes_h2.frames import Code, FrameKind, build_number
from hermes_h2.messages import Unreadable
from hermes_h2.sending import Sender
from hermes_h2.stream_state import StreamState


class ReceiveWindows:
    """What a peer may send, what waits, and what was taken and not told: together a stream's window, and what it was lent.

    Before proof the connection's window is of the same kind, and bounds all its streams together. After it what arrives is
    credited at once: a connection that held some streams back for the sake of others would stand still for ever when those
    held back are the ones that its peer must finish first.
    """

    __slots__ = ("_bounds", "_credit", "_left", "_lent", "_sender", "_streams", "_waiting", "wide")

    def __init__(self, bounds: Bounds, sender: Sender, streams: dict[int, StreamState]) -> None:
        self._bounds = bounds
        self._sender = sender
        self._streams = streams
        self._left = INITIAL_WINDOW
        self._credit = 0
        self._lent = 0
        self._waiting: deque[int] = deque()
        """Streams that have a message longer than their window, and wait to be lent more."""
        self.wide = False

    def max_message(self, stream: StreamState) -> int:
        return self._bounds.message_bytes if stream.proven else self._bounds.first_message_bytes

    def count(self, size: int) -> None:
        """A DATA frame, of whatever stream."""
        self._left -= size
        if self._left < 0:
            raise ConnectionFault(Code.FLOW_CONTROL_ERROR, Refusal.FLOW_CONTROL, "more than the connection's window")
        if self.wide:
            self._credit_connection(size)

    def drop(self, size: int) -> None:
        """Nobody will take it."""
        if not self.wide:
            self._credit_connection(size)

    def feed(self, stream: StreamState, payload: bytes, size: int) -> bool:
        """`size`: with padding. True when something can be taken now."""
        stream.receive_left -= size
        if stream.receive_left < 0:
            raise StreamFault(Code.FLOW_CONTROL_ERROR, stream.id)
        if size > len(payload):
            self._taken(stream, size - len(payload))
        stream.incoming.feed(payload)
        return self._make_room(stream)

    def take(self, stream: StreamState) -> bytes | Unreadable | None:
        message = stream.incoming.take(self.max_message(stream))
        if isinstance(message, bytes):
            size = len(message) + 5
            lent, stream.lent = stream.lent, 0
            self._taken(stream, size, size - lent)
            self._make_room(stream)
            if lent:
                self._lent -= lent
                self._lend_on()
        return message

    def prove(self, stream: StreamState) -> None:
        if stream.proven:
            return
        stream.proven = True
        stream.credit += self._bounds.window - INITIAL_WINDOW
        self._tell(stream)
        if not self.wide:
            self.wide = True
            unread = sum(len(other.incoming) for other in self._streams.values())
            self._credit += unread + self._bounds.connection_window - INITIAL_WINDOW
            self._tell_connection()

    def forget(self, stream: StreamState) -> None:
        """The stream is gone, with what nobody took of it."""
        self.drop(len(stream.incoming))
        if stream.lent:
            self._lent -= stream.lent
            stream.lent = 0
            self._lend_on()

    def _taken(self, stream: StreamState, size: int, credit: int | None = None) -> None:
        stream.credit += size if credit is None else credit
        if stream.credit >= (self._bounds.window if stream.proven else INITIAL_WINDOW) // 2:
            self._tell(stream)
        self.drop(size)

    def _make_room(self, stream: StreamState) -> bool:
        """A message that has begun must be able to arrive; whether one is whole."""
        missing = stream.incoming.missing(self.max_message(stream))
        if not missing:
            return True
        if missing > stream.receive_left:
            self._tell(stream)
            if missing > stream.receive_left and stream.proven:
                self._lend(stream, missing - stream.receive_left)
        if missing > self._left:
            self._tell_connection()
        return False

    def _lend(self, stream: StreamState, size: int) -> None:
        if self._lent + size > self._bounds.lent_bytes:
            if stream.id not in self._waiting:
                self._waiting.append(stream.id)
            return
        self._lent += size
        stream.lent += size
        stream.credit += size
        self._tell(stream)

    def _lend_on(self) -> None:
        for _ in range(len(self._waiting)):
            stream = self._streams.get(self._waiting.popleft())
            if stream is not None:
                self._make_room(stream)

    def _tell(self, stream: StreamState) -> None:
        if stream.credit > 0 and not stream.ended:
            self._sender.put(build_number(FrameKind.WINDOW_UPDATE, stream.id, stream.credit))
            stream.receive_left += stream.credit
            stream.credit = 0

    def _credit_connection(self, size: int) -> None:
        self._credit += size
        if self._credit >= (self._bounds.connection_window if self.wide else INITIAL_WINDOW) // 2:
            self._tell_connection()

    def _tell_connection(self) -> None:
        if self._credit > 0:
            self._sender.put(build_number(FrameKind.WINDOW_UPDATE, 0, self._credit))
            self._left += self._credit
            self._credit = 0
