"""One connection without IO: `receive` turns bytes into events, calls make bytes that `take_output` gives; nothing raises."""

from __future__ import annotations

from typing import Final

from hermes_h2.bounds import Bounds
from hermes_h2.budget import Budget
from hermes_h2.control_frames import PING_BYTES, ControlFrames
from hermes_h2.events import Answered, Arrived, ConnectionEvent, Gone, Refusal, Refused, RequestOpened, Writable
from hermes_h2.faults import ConnectionFault, StreamFault, calm_fault, protocol_fault, size_fault
from hermes_h2.frames import (
    DATA,
    END_HEADERS,
    END_STREAM,
    MAX_STREAM,
    Code,
    FrameKind,
    SettingKey,
    build_frame,
    build_go_away,
    build_number,
    build_settings,
)
from hermes_h2.framing import Frame, FrameReader
from hermes_h2.header_block import HeaderFields, HeaderReader, build_trailers, judge_request, judge_trailers, read_length
from hermes_h2.messages import Unreadable
from hermes_h2.sending import Sender
from hermes_h2.stream_state import StreamState
from hermes_h2.stream_table import StreamTable

_CRUMB_BYTES: Final = 256
"""DATA that brings less, and completes no message, costs as much as a frame that carries nothing."""
_CODE_BYTES: Final = 4
_HEADER_BLOCK_COST: Final = 64
"""Of a block in bytes, besides its own."""
_PROOF_EARNS: Final = 512
"""Of such bytes: what an ordinary request costs is given back."""
_FAREWELL: Final = b"farewell"
"""A PING of this has its answer behind every stream that was opened before its peer heard of the end."""


class H2Connection:
    """The server's end. Streams are numbers; what is asked of one that is gone has no effect."""

    def __init__(self, bounds: Bounds, now: float) -> None:
        self._bounds = bounds
        self._now = now
        self._reader = FrameReader(bounds)
        self._headers: HeaderReader | None = None
        budget = Budget(bounds.control_frames, bounds.control_frames_per_s, now)
        self._openings = Budget(bounds.openings, bounds.openings_per_s, now)
        self._header_bytes = Budget(bounds.header_budget_bytes, bounds.header_budget_per_s, now)
        self._sender = Sender(bounds.output_bytes, budget, bounds.control_earned_a_message, bounds.control_earned_bytes)
        self._table = StreamTable(bounds, self._sender)
        self._streams = self._table.open
        self._receiver = self._table.receiver
        self._events: list[ConnectionEvent] = []
        self._control = ControlFrames(budget, self._sender, self._table)
        self._settled = False
        self._announced = False
        self._leaving = False
        self._over = False
        at_once = min(bounds.first_streams, bounds.streams)
        said = {SettingKey.MAX_CONCURRENT_STREAMS: at_once, SettingKey.MAX_HEADER_LIST_SIZE: bounds.header_list_bytes}
        self._sender.put(build_settings(said))

    @property
    def streams(self) -> int:
        return len(self._streams)

    @property
    def has_output(self) -> bool:
        return self._sender.has_output

    @property
    def proven(self) -> bool:
        """Whether a stream of it ever was."""
        return self._receiver.wide

    @property
    def leaving(self) -> bool:
        """It opens nothing any more."""
        return self._leaving

    @property
    def settled(self) -> bool:
        """Whether the peer has said its first word."""
        return self._settled

    @property
    def opened(self) -> int:
        return self._table.opened

    @property
    def held_bytes(self) -> int:
        """Of the peer's: what came, and was neither understood nor taken yet."""
        return self._reader.held_bytes + sum(len(stream.incoming) for stream in self._streams.values())

    def receive(self, data: bytes, now: float) -> list[ConnectionEvent]:
        """`now`: seconds of any clock that does not go back."""
        if self._over:
            return []
        self._now = now
        try:
            for frame in self._reader.read(data):
                try:
                    self._dispatch(frame)
                except StreamFault as fault:
                    self._refuse_stream(fault)
        except ConnectionFault as fault:
            self._refuse(fault.code, fault.refusal, fault.detail)
        return self._take_events()

    def take(self, stream: int) -> bytes | Unreadable | None:
        """The next message of a stream; None when none is whole."""
        state = self._streams.get(stream)
        if state is None:
            return None
        message = self._receiver.take(state)
        if isinstance(message, bytes):
            self._sender.earn(len(message))
        return message

    def is_over(self, stream: int) -> bool:
        """Whether nothing more can be taken from it, ever; an unfinished message at the end is nothing."""
        state = self._streams.get(stream)
        return state is None or (state.ended and state.incoming.missing(self._receiver.max_message(state)) > 0)

    def send(self, stream: int, message: bytes) -> bool:
        """True when all of it is in the output, or the stream is gone; else `Writable` says when."""
        state = self._streams.get(stream)
        return state is None or state.trailers is not None or self._sender.send(state, message)

    def finish(self, stream: int, status: int, text: str = "") -> None:
        """End a stream with gRPC's status, behind what was sent. What still comes on it is dropped."""
        state = self._streams.get(stream)
        if state is not None and state.trailers is None and self._sender.finish(state, build_trailers(status, text)):
            self._table.close(state)

    def answer(self, stream: int, block: bytes) -> None:
        """End a stream with a header block and nothing else, as plain HTTP."""
        state = self._streams.get(stream)
        if state is not None:
            self._sender.put(build_frame(FrameKind.HEADERS, END_HEADERS | END_STREAM, stream, block))
            if not state.ended:
                self._sender.put(build_number(FrameKind.RST_STREAM, stream, Code.NO_ERROR))
            self._table.close(state)

    def reset(self, stream: int, code: Code = Code.CANCEL) -> None:
        """End a stream at once, with whatever waits in it."""
        state = self._streams.get(stream)
        if state is not None:
            self._sender.put(build_number(FrameKind.RST_STREAM, stream, code))
            self._table.close(state)

    def prove(self, stream: int) -> None:
        """Its peer showed who it is: windows and messages grow to their full size."""
        state = self._streams.get(stream)
        if state is not None and not state.proven:
            if not self._receiver.wide:
                self._sender.put(build_settings({SettingKey.MAX_CONCURRENT_STREAMS: self._bounds.streams}))
            self._receiver.prove(state)
            self._openings.earn(1)
            self._header_bytes.earn(_PROOF_EARNS)

    def pardon(self, stream: int) -> None:
        """It was answered and is no proof: it is none of the few that come before one. What it cost in headers stays paid."""
        if stream in self._streams:
            self._table.pardoned += 1

    def ping(self) -> None:
        self._sender.put(build_frame(FrameKind.PING, 0, 0, bytes(PING_BYTES)))

    def announce_end(self) -> None:
        """The first of two steps (RFC 9113, 6.8): the peer should open nothing any more, and what it had by then is served.

        `go_away` follows by itself when the peer says that it has heard, or is the caller's when that takes too long.
        """
        if not self._announced and not self._leaving:
            self._announced = True
            self._sender.put(build_go_away(MAX_STREAM, Code.NO_ERROR, ""))
            self._sender.put(build_frame(FrameKind.PING, 0, 0, _FAREWELL))

    def go_away(self, code: Code = Code.NO_ERROR, text: str = "") -> None:
        """No new streams; those that stand go on. Harmless when repeated."""
        if not self._leaving:
            self._leaving = True
            self._sender.put(build_go_away(self._table.last, code, text))

    def set_paused(self, paused: bool) -> None:
        """Whether the transport takes nothing: messages wait then in their streams, and its peer should not be read."""
        self._sender.paused = paused

    def pump(self) -> list[ConnectionEvent]:
        """Put what waits into the output, as far as windows and the transport allow."""
        self._sender.pump()
        return self._take_events()

    def take_output(self) -> bytes:
        return self._sender.take()

    def _take_events(self) -> list[ConnectionEvent]:
        if self._sender.drained:
            drained, self._sender.drained = self._sender.drained, []
            for state in drained:
                self._events.append(Writable(state.id))
                if state.trailers is not None:
                    self._table.close(state)
        events, self._events = self._events, []
        return events

    def _dispatch(self, frame: Frame) -> None:
        if not self._settled:
            if frame.kind != FrameKind.SETTINGS:
                raise protocol_fault("SETTINGS come first")
            self._settled = True
        if frame.kind == DATA:
            self._on_data(frame)
        elif frame.kind == FrameKind.HEADERS:
            self._on_headers(frame)
        elif frame.kind == FrameKind.RST_STREAM:
            self._on_reset(frame)
        else:
            self._control.receive(frame, self._now)
            if self._control.answered is not None:
                said, self._control.answered = self._control.answered, None
                self._on_answer(said)

    def _on_data(self, frame: Frame) -> None:
        number, payload, size = frame.stream, frame.payload, frame.size
        self._receiver.count(size)
        last = frame.flags & END_STREAM
        stream = self._streams.get(number)
        if stream is None or stream.ended or stream.trailers is not None:
            self._drop_data(number, stream, size)
            return
        stream.received += len(payload)
        whole = self._receiver.feed(stream, payload, size)
        if last:
            self._end(stream)
        elif whole:
            self._events.append(Arrived(number))
        elif len(payload) < _CRUMB_BYTES:
            self._control.charge(self._now)

    def _drop_data(self, number: int, stream: StreamState | None, size: int) -> None:
        """Of a stream that nobody reads; what was on its way when this end ended it is no fault."""
        self._receiver.drop(size)
        if not size:
            self._control.charge(self._now)
        if number == 0 or number > self._table.last:
            raise protocol_fault("DATA on a stream that was never opened")
        if stream is not None and not stream.ended:
            stream.receive_left -= size
            if stream.receive_left >= 0:
                return
        elif self._table.came_late(number, size):
            return
        raise ConnectionFault(Code.STREAM_CLOSED, Refusal.PROTOCOL, "DATA on a closed stream")

    def _on_headers(self, frame: Frame) -> None:
        number = frame.stream
        if not self._header_bytes.take(frame.size + _HEADER_BLOCK_COST, self._now):
            raise calm_fault(Refusal.HEADER_BUDGET, "too many header blocks")
        if self._headers is None:  # not of a connection that only stands there
            self._headers = HeaderReader(self._bounds.header_list_bytes)
        fields = self._headers.read(frame.payload)
        stream = self._streams.get(number)
        if stream is not None:
            if stream.ended:
                raise ConnectionFault(Code.STREAM_CLOSED, Refusal.PROTOCOL, "HEADERS on a closed stream")
            if not frame.flags & END_STREAM:
                raise StreamFault(Code.PROTOCOL_ERROR, number)
            judge_trailers(fields, number)
            self._end(stream)
        elif number > self._table.last:
            self._open(number, fields, ended=bool(frame.flags & END_STREAM))
        elif not self._table.was_ended(number):
            raise ConnectionFault(Code.STREAM_CLOSED, Refusal.PROTOCOL, "HEADERS on a closed stream")

    def _open(self, number: int, fields: HeaderFields, *, ended: bool) -> None:
        table = self._table
        table.last = number
        table.opened += 1
        beyond = 0 if self._receiver.wide else table.opened - table.pardoned - self._bounds.first_streams
        if beyond > self._bounds.first_refusals:
            raise calm_fault(Refusal.STREAMS_BEFORE_PROOF, "too many streams before one was proven")
        if beyond > 0:
            raise StreamFault(Code.REFUSED_STREAM, number)
        if not self._openings.take(1, self._now):
            raise calm_fault(Refusal.OPENINGS, "too many streams that were not proven")
        if self._leaving or len(self._streams) >= self._bounds.streams:
            raise StreamFault(Code.REFUSED_STREAM, number)
        found = judge_request(fields, number)
        stream = table.add(number, read_length(found))
        self._events.append(RequestOpened(number, found))
        if ended:
            self._end(stream)

    def _end(self, stream: StreamState) -> None:
        """The peer has said everything on it."""
        if stream.declared is not None and stream.declared != stream.received:
            raise StreamFault(Code.PROTOCOL_ERROR, stream.id)
        stream.ended = True
        self._events.append(Arrived(stream.id))

    def _on_answer(self, said: bytes) -> None:
        if self._announced and said == _FAREWELL:
            self.go_away()
        self._events.append(Answered())

    def _on_reset(self, frame: Frame) -> None:
        if len(frame.payload) != _CODE_BYTES:
            raise size_fault("RST_STREAM")
        if not frame.stream or frame.stream > self._table.last:
            raise protocol_fault("RST_STREAM of a stream that was never opened")
        self._control.charge(self._now)
        stream = self._streams.get(frame.stream)
        if stream is not None:
            self._table.close(stream, by_peer=True)
            self._events.append(Gone(frame.stream))

    def _refuse_stream(self, fault: StreamFault) -> None:
        if fault.code is not Code.REFUSED_STREAM:  # openings have budgets of their own
            self._control.charge(self._now)
        self._sender.put(build_number(FrameKind.RST_STREAM, fault.stream, fault.code))
        stream = self._streams.get(fault.stream)
        if stream is None:
            self._table.remember(fault.stream)
            return
        self._table.close(stream)
        self._events.append(Gone(fault.stream))

    def _refuse(self, code: Code, refusal: Refusal, detail: str) -> None:
        self._over = self._leaving = True
        self._sender.put(build_go_away(self._table.last, code, detail))
        self._events.append(Refused(refusal, detail))
