"""A connection's streams: which are open, which ended a moment ago, and which there never were."""

from __future__ import annotations

from collections import OrderedDict

from hermes_h2.bounds import INITIAL_WINDOW, Bounds
from hermes_h2.receiving import ReceiveWindows
from hermes_h2.sending import Sender
from hermes_h2.stream_state import StreamState


class StreamTable:
    """The only place where a stream begins and ends."""

    __slots__ = ("_bounds", "_ended", "_sender", "last", "open", "opened", "pardoned", "receiver")

    def __init__(self, bounds: Bounds, sender: Sender) -> None:
        self._bounds = bounds
        self._sender = sender
        self.open: dict[int, StreamState] = {}
        self.receiver = ReceiveWindows(bounds, sender, self.open)
        self.last = 0
        """The highest number that a peer has used."""
        self.opened = 0
        """How many, ever."""
        self.pardoned = 0
        """Of them, those that do not count before a proof."""
        self._ended: OrderedDict[int, int] = OrderedDict()
        """Streams that this end ended, with the window that their peer has left: it may not know yet."""

    def add(self, number: int, declared: int | None) -> StreamState:
        stream = StreamState(number, receive_left=INITIAL_WINDOW, send_left=self._sender.initial_window, declared=declared)
        self.open[number] = stream
        return stream

    def close(self, stream: StreamState, *, by_peer: bool = False) -> None:
        if self.open.pop(stream.id, None) is None:
            return
        self._sender.forget(stream)
        self.receiver.forget(stream)
        if not by_peer and not stream.ended:
            self.remember(stream.id, max(stream.receive_left, INITIAL_WINDOW))

    def remember(self, number: int, window: int = INITIAL_WINDOW) -> None:
        """What comes on it from now on was on its way."""
        self._ended[number] = window
        if len(self._ended) > self._bounds.ended_streams:
            self._ended.popitem(last=False)

    def was_ended(self, number: int) -> bool:
        """By this end, a moment ago."""
        return number in self._ended

    def came_late(self, number: int, size: int) -> bool:
        """Whether DATA on a stream that is not open can have been on its way when this end ended it."""
        left = self._ended.get(number, -1) - size
        if left < 0:
            return False
        self._ended[number] = left
        return True
