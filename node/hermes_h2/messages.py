"""gRPC's messages in the bytes of a stream: cut when they are asked for, so that what waits is never more than what came."""

from __future__ import annotations

from enum import Enum, auto

from hermes_h2.frames import PREFIX_BYTES


class Unreadable(Enum):
    """What a stream cannot go on after."""

    COMPRESSED = auto()
    TOO_LARGE = auto()


class MessageBuffer:
    """Bytes in, messages out. Holds exactly the bytes that were fed and not taken."""

    __slots__ = ("_bytes", "_only")

    def __init__(self) -> None:
        self._only = b""
        """The usual case, of which nothing has to be copied: one message, whole, and nothing else."""
        self._bytes: bytearray | None = None

    def __len__(self) -> int:
        return len(self._only) + (len(self._bytes) if self._bytes is not None else 0)

    def feed(self, chunk: bytes) -> None:
        if self._bytes is None:
            if not self._only:
                self._only = chunk
                return
            self._bytes, self._only = bytearray(self._only), b""
        self._bytes += chunk

    def missing(self, max_bytes: int) -> int:
        """How many bytes the first message still lacks: 0 when it is whole, or can never be read."""
        held = self._only if self._bytes is None else self._bytes
        if len(held) < PREFIX_BYTES:
            return PREFIX_BYTES - len(held)
        size = int.from_bytes(held[1:PREFIX_BYTES], "big")
        if held[0] or size > max_bytes:
            return 0
        return max(0, PREFIX_BYTES + size - len(held))

    def take(self, max_bytes: int) -> bytes | Unreadable | None:
        """The next message; None when it is not whole."""
        held = self._only if self._bytes is None else self._bytes
        if len(held) < PREFIX_BYTES:
            return None
        size = int.from_bytes(held[1:PREFIX_BYTES], "big")
        if held[0]:
            return Unreadable.COMPRESSED
        if size > max_bytes:
            return Unreadable.TOO_LARGE
        end = PREFIX_BYTES + size
        if len(held) < end:
            return None
        if self._bytes is None:
            message = self._only[PREFIX_BYTES:end]
            rest, self._only = self._only[end:], b""
            if rest:
                self._bytes = bytearray(rest)
            return message
        message = bytes(self._bytes[PREFIX_BYTES:end])
        del self._bytes[:end]
        if not self._bytes:
            self._bytes = None
        return message
