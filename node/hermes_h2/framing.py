"""From bytes to whole frames, header blocks in one piece: everything that holds before a frame's meaning is looked at."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from hermes_h2.bounds import FRAME_BYTES, Bounds
from hermes_h2.events import Refusal
from hermes_h2.faults import ConnectionFault, calm_fault, protocol_fault, size_fault
from hermes_h2.frames import END_HEADERS, HAS_PRIORITY, HEAD, HEAD_BYTES, MAX_STREAM, PADDED, PREFACE, Code, FrameKind

_PRIORITY_BYTES: Final = 5
_KIND: Final = 0xFF
_HEADERS: Final = int(FrameKind.HEADERS)
_CONTINUATION: Final = int(FrameKind.CONTINUATION)


class Frame(NamedTuple):
    """`payload`: of HEADERS the whole block, CONTINUATIONs put together; of DATA without padding. `size`: as it was sent."""

    kind: int
    flags: int
    stream: int
    payload: bytes
    size: int


class _Block:
    """A header block that is not whole yet; nothing else may come in between."""

    __slots__ = ("flags", "parts", "pieces", "stream")

    def __init__(self, stream: int, flags: int, part: bytes) -> None:
        self.stream = stream
        self.flags = flags
        self.parts = bytearray(part)
        self.pieces = 0


class FrameReader:
    """Holds at most one frame and one header block."""

    __slots__ = ("_block", "_bounds", "_greeted", "_needed", "_rest")

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._rest = bytearray()
        self._needed = len(PREFACE)
        self._greeted = False
        self._block: _Block | None = None

    @property
    def held_bytes(self) -> int:
        return len(self._rest) + (0 if self._block is None else len(self._block.parts))

    def read(self, data: bytes) -> Iterator[Frame]:
        """ConnectionFault for what no frame may be like."""
        if self._rest:
            self._rest += data
            if len(self._rest) < self._needed:
                return
            data = bytes(self._rest)
            self._rest.clear()
        at, size = 0, len(data)
        if not self._greeted:
            if not PREFACE.startswith(data[: len(PREFACE)]):
                raise ConnectionFault(Code.PROTOCOL_ERROR, Refusal.PREFACE, "this is not HTTP/2")
            if size < len(PREFACE):
                self._rest += data
                return
            self._greeted = True
            at = len(PREFACE)
        self._needed = HEAD_BYTES
        while size - at >= HEAD_BYTES:
            head, flags, stream = HEAD.unpack_from(data, at)
            length = head >> 8
            if length > FRAME_BYTES:
                raise size_fault("frame too long")
            end = at + HEAD_BYTES + length
            if end > size:
                self._needed = HEAD_BYTES + length
                break
            frame = self._judge(head & _KIND, flags, stream & MAX_STREAM, data[at + HEAD_BYTES : end])
            at = end
            if frame is not None:
                yield frame
        self._rest += data[at:]

    def _judge(self, kind: int, flags: int, stream: int, payload: bytes) -> Frame | None:
        if self._block is not None:
            return self._continue(self._block, kind, flags, stream, payload)
        if kind == _HEADERS:
            return self._begin(flags, stream, payload)
        if kind == _CONTINUATION:
            raise protocol_fault("CONTINUATION of nothing")
        size = len(payload)
        if kind == 0 and flags & PADDED:
            payload = _strip_padding(payload)
        return Frame(kind, flags, stream, payload, size)

    def _begin(self, flags: int, stream: int, payload: bytes) -> Frame | None:
        if not stream & 1:
            raise protocol_fault("HEADERS on a stream that no client opens")
        if flags & PADDED:
            payload = _strip_padding(payload)
        if flags & HAS_PRIORITY:
            if len(payload) < _PRIORITY_BYTES:
                raise size_fault("priority")
            if _depends_on(payload) == stream:
                raise protocol_fault("a stream that depends on itself")
            payload = payload[_PRIORITY_BYTES:]
        return self._check(_Block(stream, flags, payload), whole=bool(flags & END_HEADERS))

    def _continue(self, block: _Block, kind: int, flags: int, stream: int, payload: bytes) -> Frame | None:
        if kind != _CONTINUATION or stream != block.stream:
            raise protocol_fault("a header block was interrupted")
        block.parts += payload
        block.pieces += 1
        if block.pieces > self._bounds.continuations:
            raise calm_fault(Refusal.HEADER_BLOCK, "header block in too many pieces")
        return self._check(block, whole=bool(flags & END_HEADERS))

    def _check(self, block: _Block, *, whole: bool) -> Frame | None:
        size = len(block.parts)
        if size > self._bounds.header_block_bytes:
            raise calm_fault(Refusal.HEADER_BLOCK, "header block too long")
        self._block = None if whole else block
        return Frame(_HEADERS, block.flags, block.stream, bytes(block.parts), size) if whole else None


def _strip_padding(payload: bytes) -> bytes:
    padding = payload[0] + 1 if payload else 1
    if padding > len(payload):
        raise protocol_fault("padding")
    return payload[1 : len(payload) - padding + 1]


def _depends_on(payload: bytes) -> int:
    return int.from_bytes(payload[:4], "big") & MAX_STREAM


def check_priority(stream: int, payload: bytes) -> Code | None:
    """Of a PRIORITY frame, which says nothing to us: why its stream must end for it."""
    if not stream:
        raise protocol_fault("PRIORITY of a connection")
    if len(payload) != _PRIORITY_BYTES:
        return Code.FRAME_SIZE_ERROR
    return Code.PROTOCOL_ERROR if _depends_on(payload) == stream else None
