"""What leaves a connection: frames for the transport, and messages that wait for window or for room in it."""

from __future__ import annotations

from hermes_h2.bounds import FRAME_BYTES, INITIAL_WINDOW
from hermes_h2.budget import Budget
from hermes_h2.frames import (
    DATA,
    DATA_AND_PREFIX,
    END_HEADERS,
    END_STREAM,
    HEAD,
    MAX_WINDOW,
    PREFIX,
    PREFIX_BYTES,
    Code,
    FrameKind,
    build_frame,
    build_number,
)
from hermes_h2.header_block import RESPONSE
from hermes_h2.stream_state import StreamState


class Sender:
    """Owner of the output and of the peer's windows."""

    __slots__ = ("_control", "_earned_bytes", "_earned_message", "_moved", "_out", "_output_bytes", "_size", "_waiting",
                 "drained", "initial_window", "left", "paused")  # fmt: skip

    def __init__(self, output_bytes: int, control: Budget, earned_message: int, earned_bytes: int) -> None:
        self._output_bytes = output_bytes
        self._out: list[bytes] = []
        self._size = 0
        self._waiting: dict[int, StreamState] = {}
        self._control = control
        self._earned_message = earned_message
        self._earned_bytes = earned_bytes
        self._moved = 0
        self.left = INITIAL_WINDOW
        self.initial_window = INITIAL_WINDOW
        self.drained: list[StreamState] = []
        """Streams whose queue has become empty, for the connection to take."""
        self.paused = False
        """The transport takes nothing at the moment."""

    @property
    def has_output(self) -> bool:
        return bool(self._out)

    def put(self, frame: bytes) -> None:
        self._out.append(frame)
        self._size += len(frame)

    def take(self) -> bytes:
        out = self._out
        data = out[0] if len(out) == 1 else b"".join(out)
        out.clear()
        self._size = 0
        return data

    def earn(self, size: int, *, whole: bool = True) -> None:
        """A message moved, either way, or a part of one: what a client says about it is paid for."""
        self._moved += size
        extra, self._moved = divmod(self._moved, self._earned_bytes)
        self._control.earn(self._earned_message + extra if whole else extra)

    def send(self, stream: StreamState, message: bytes) -> bool:
        """True when the output has all of it."""
        size = len(message) + PREFIX_BYTES
        if not stream.answered:
            stream.answered = True
            self.put(build_frame(FrameKind.HEADERS, END_HEADERS, stream.id, RESPONSE))
        if (
            not stream.queue
            and size <= FRAME_BYTES
            and size <= stream.send_left
            and size <= self.left
            and not self.paused
            and self._size < self._output_bytes
        ):
            stream.send_left -= size
            self.left -= size
            self.put(DATA_AND_PREFIX.pack(size << 8 | DATA, 0, stream.id, 0, size - PREFIX_BYTES) + message)
            self.earn(size)
            return True
        stream.queue.append(PREFIX.pack(0, len(message)) + message)
        self._waiting[stream.id] = stream
        self.pump()
        return not stream.queue

    def finish(self, stream: StreamState, trailers: bytes) -> bool:
        """End the stream with `trailers` once its queue is empty; True when that is now."""
        stream.trailers = trailers
        return not stream.queue and self._end(stream)

    def forget(self, stream: StreamState) -> None:
        """It was reset: nothing of it leaves any more."""
        self._waiting.pop(stream.id, None)
        stream.queue.clear()

    def widen(self, stream: StreamState | None, step: int) -> bool:
        """The peer takes more of a stream, or of all of them; False when that is more than HTTP/2 knows."""
        if stream is None:
            self.left += step
            return self.left <= MAX_WINDOW
        stream.send_left += step
        if stream.queue:
            self._waiting[stream.id] = stream
        return stream.send_left <= MAX_WINDOW

    def pump(self) -> None:
        """Frames of what waits, a frame of each in turn, as far as windows and the transport allow."""
        while self._waiting and self.left > 0 and not self.paused and self._size < self._output_bytes:
            for stream in list(self._waiting.values()):
                room = min(stream.send_left, self.left, FRAME_BYTES)
                if room <= 0:
                    if stream.send_left <= 0:  # until the peer takes more of it
                        del self._waiting[stream.id]
                    continue
                self._put_data(stream, room)
                if not stream.queue:
                    del self._waiting[stream.id]
                    if stream.trailers is not None:
                        self._end(stream)
                    self.drained.append(stream)

    def _put_data(self, stream: StreamState, room: int) -> None:
        message, begin = stream.queue[0], stream.offset
        chunk = message[begin : begin + room]
        stream.send_left -= len(chunk)
        self.left -= len(chunk)
        stream.offset += len(chunk)
        if stream.offset == len(message):
            stream.queue.popleft()
            stream.offset = 0
        self.earn(len(chunk), whole=not stream.offset)
        self.put(HEAD.pack(len(chunk) << 8 | DATA, 0, stream.id) + chunk)

    def _end(self, stream: StreamState) -> bool:
        if stream.trailers is None:
            return False
        block = stream.trailers if stream.answered else RESPONSE + stream.trailers
        stream.answered = True
        self.put(build_frame(FrameKind.HEADERS, END_HEADERS | END_STREAM, stream.id, block))
        if not stream.ended:  # it need not go on: nobody reads that
            self.put(build_number(FrameKind.RST_STREAM, stream.id, Code.NO_ERROR))
        return True
