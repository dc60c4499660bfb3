"""The frames of a link: length of what follows the head, number of the stream, kind; 0 is the link itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import IntEnum
from struct import Struct
from typing import Final

from hermes_front.link.bounds import (
    HOST_BYTES,
    MATERIAL_BYTES,
    NAME_BYTES,
    NAMES,
    PATH_BYTES,
    SETTINGS_BYTES,
    TEXT_BYTES,
)
from hermes_front.link.faults import Fault, LinkFaultError

HEAD: Final = Struct(">IIB")
HEAD_BYTES: Final = HEAD.size
MAX_STREAM: Final = (1 << 32) - 1


class LinkKind(IntEnum):
    """DATA and CREDIT are said by both; HELLO to DEFECT by a front, the rest by its owner."""

    DATA = 0
    CREDIT = 1
    HELLO = 2
    OPEN = 3
    HALF = 4
    """The peer of a stream has said everything."""
    GONE = 5
    """It left, or its connection broke."""
    PONG = 6
    STATS = 7
    REFUSED = 8
    DEFECT = 9
    MATERIAL = 10
    SETTINGS = 11
    PROVE = 12
    END = 13
    RESET = 14
    PING = 15
    DRAIN = 16
    PARDON = 17


_SMALL: Final = 8
_OPEN_BYTES: Final = 8 + PATH_BYTES + HOST_BYTES + NAMES * (2 + NAME_BYTES)
_STATS_BYTES: Final = 512

MOST_OF_FRONT: Final[Mapping[int, int]] = {
    LinkKind.CREDIT: _SMALL,
    LinkKind.HELLO: 16,
    LinkKind.OPEN: _OPEN_BYTES,
    LinkKind.HALF: 0,
    LinkKind.GONE: 0,
    LinkKind.PONG: _SMALL,
    LinkKind.STATS: _STATS_BYTES,
    LinkKind.REFUSED: 4 + HOST_BYTES + TEXT_BYTES,
    LinkKind.DEFECT: 1 + TEXT_BYTES,
}
"""The longest payload of each kind that a front says; DATA's is a bound of the link."""

MOST_OF_OWNER: Final[Mapping[int, int]] = {
    LinkKind.CREDIT: _SMALL,
    LinkKind.MATERIAL: MATERIAL_BYTES + 16,
    LinkKind.SETTINGS: SETTINGS_BYTES,
    LinkKind.PROVE: 0,
    LinkKind.END: 1 + TEXT_BYTES,
    LinkKind.RESET: 0,
    LinkKind.PING: _SMALL,
    LinkKind.DRAIN: _SMALL,
    LinkKind.PARDON: 0,
}


def build_frame(kind: int, stream: int, payload: bytes = b"") -> bytes:
    return HEAD.pack(len(payload), stream, kind) + payload


class LinkReader:
    """Holds at most one frame, and the beginning of the next."""

    __slots__ = ("_most", "_needed", "_parts", "_size")

    def __init__(self, most: Mapping[int, int], message_bytes: int) -> None:
        self._most = {**most, int(LinkKind.DATA): message_bytes}
        self._parts: list[bytes] = []
        self._size = 0
        self._needed = HEAD_BYTES

    def bound(self, message_bytes: int) -> None:
        """How long DATA may be from now on."""
        self._most[LinkKind.DATA] = message_bytes

    def read(self, data: bytes) -> Iterator[tuple[int, int, bytes]]:
        """Kind, stream and payload; LinkFaultError for a kind that the other end never says, or one that is too long."""
        if self._size:  # joined once it is whole, not with each piece
            self._parts.append(data)
            self._size += len(data)
            if self._size < self._needed:
                return
            data = b"".join(self._parts)
            self._parts.clear()
            self._size = 0
        at, size = 0, len(data)
        most = self._most
        self._needed = HEAD_BYTES
        while size - at >= HEAD_BYTES:
            length, stream, kind = HEAD.unpack_from(data, at)
            bound = most.get(kind)
            if bound is None:
                raise LinkFaultError(Fault.UNKNOWN_KIND)
            if length > bound:
                raise LinkFaultError(Fault.TOO_LONG)
            end = at + HEAD_BYTES + length
            if end > size:
                self._needed = end - at
                break
            yield kind, stream, data[at + HEAD_BYTES : end]
            at = end
        if at < size:
            self._parts.append(data[at:])
            self._size = size - at
