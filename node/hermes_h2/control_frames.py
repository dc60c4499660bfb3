"""Frames that carry nothing: each costs its sender a little of what it can earn only by carrying something."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from hermes_h2.budget import Budget
from hermes_h2.events import Refusal
from hermes_h2.faults import StreamFault, calm_fault, flow_fault, protocol_fault, size_fault
from hermes_h2.frames import ACK, MAX_STREAM, Code, FrameKind, build_frame
from hermes_h2.framing import Frame, check_priority
from hermes_h2.sending import Sender
from hermes_h2.settings import read_settings
from hermes_h2.stream_table import StreamTable

PING_BYTES = 8
_NUMBER_BYTES = 4


class ControlFrames:
    """What a peer says of windows, settings, and the connection itself."""

    def __init__(self, budget: Budget, sender: Sender, table: StreamTable) -> None:
        self._budget = budget
        self._sender = sender
        self._table = table
        self.answered: bytes | None = None
        """What it acknowledged a PING with, for the connection to take."""

    def charge(self, now: float) -> None:
        if not self._budget.take(1, now):
            raise calm_fault(Refusal.CONTROL_FRAMES, "too many frames that carry nothing")

    def receive(self, frame: Frame, now: float) -> None:
        """A frame of a kind that is not known is ignored, as HTTP/2 wants."""
        self.charge(now)
        handle = self._HANDLERS.get(frame.kind)
        if handle is not None:
            handle(self, frame)

    def _on_priority(self, frame: Frame) -> None:
        fault = check_priority(frame.stream, frame.payload)
        if fault is not None:
            raise StreamFault(fault, frame.stream)

    def _on_settings(self, frame: Frame) -> None:
        if frame.stream:
            raise protocol_fault("SETTINGS of a stream")
        if frame.flags & ACK:
            if frame.payload:
                raise size_fault("SETTINGS that acknowledge")
            return
        window = read_settings(frame.payload)
        if window is not None:
            step = window - self._sender.initial_window
            self._sender.initial_window = window
            for stream in self._table.open.values():
                if not self._sender.widen(stream, step):
                    raise flow_fault("a window beyond HTTP/2's")
            self._sender.pump()
        self._sender.put(build_frame(FrameKind.SETTINGS, ACK, 0))

    def _on_push(self, _frame: Frame) -> None:
        raise protocol_fault("PUSH_PROMISE of a client")

    def _on_ping(self, frame: Frame) -> None:
        if len(frame.payload) != PING_BYTES:
            raise size_fault("PING")
        if frame.stream:
            raise protocol_fault("PING of a stream")
        if frame.flags & ACK:
            self.answered = frame.payload
        else:
            self._sender.put(build_frame(FrameKind.PING, ACK, 0, frame.payload))

    def _on_go_away(self, frame: Frame) -> None:
        """The peer opens nothing any more; what stands goes on."""
        if frame.stream:
            raise protocol_fault("GOAWAY of a stream")

    def _on_window(self, frame: Frame) -> None:
        if len(frame.payload) != _NUMBER_BYTES:
            raise size_fault("WINDOW_UPDATE")
        step = int.from_bytes(frame.payload, "big") & MAX_STREAM
        number = frame.stream
        stream = self._table.open.get(number)
        if number and stream is None:
            if number > self._table.last:
                raise protocol_fault("WINDOW_UPDATE of a stream that was never opened")
            return
        if not step:
            raise StreamFault(Code.PROTOCOL_ERROR, number) if number else protocol_fault("a step of nothing")
        if not self._sender.widen(stream, step):
            raise StreamFault(Code.FLOW_CONTROL_ERROR, number) if number else flow_fault("a window beyond HTTP/2's")
        self._sender.pump()

    # Functions, not methods of one connection: it would hold itself, and be freed when the garbage collector comes by only.
    _HANDLERS: Final[dict[int, Callable[[ControlFrames, Frame], None]]] = {
        FrameKind.PRIORITY: _on_priority,
        FrameKind.SETTINGS: _on_settings,
        FrameKind.PUSH_PROMISE: _on_push,
        FrameKind.PING: _on_ping,
        FrameKind.GOAWAY: _on_go_away,
        FrameKind.WINDOW_UPDATE: _on_window,
    }
