"""Exactly once, in order: what an app keeps until it is acknowledged, and what it holds until a gap is filled."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Final

from hermes_core.crypto.encoding import u64
from hermes_core.errors import ErrorCode, KeystoreTamperedError, ProtocolError
from hermes_core.ids import ChannelKind, ChatId
from hermes_core.keystore.app_record import OutgoingRecord
from hermes_core.ratchet.channel import Channel
from hermes_core.ratchet.header import OVERHEAD_BYTES
from hermes_core.ratchet.padding import pad

_OVERHEAD_BYTES: Final = OVERHEAD_BYTES[ChannelKind.END_TO_END]


class OutgoingMessage:
    """One message on its way, with its end-to-end frame in the latest epoch in which it was sent."""

    __slots__ = ("_frame", "_plaintext", "epoch", "seq")

    def __init__(self, seq: int, plaintext: bytes, epoch: int = 0, frame: bytes = b"") -> None:
        """`epoch` is 0 before it was sealed."""
        self.seq = seq
        self._plaintext = plaintext
        self.epoch = epoch
        self._frame = frame

    @property
    def frame_bytes(self) -> int:
        """Of its end-to-end frame, whatever the epoch: what the window counts at both ends."""
        return _OVERHEAD_BYTES + len(self._plaintext)

    def build_frame(self, end_to_end: Channel, nonce: bytes, now: float) -> bytes:
        """Sealed once an epoch, however often it is sent; anew in the next one, with the same seq."""
        if self.epoch != end_to_end.epoch:
            self._frame = end_to_end.seal(self._plaintext, now, nonce=nonce, aad_suffix=u64(self.seq))
            self.epoch = end_to_end.epoch
        return self._frame

    def describe(self, chat_id: ChatId) -> OutgoingRecord:
        """What a restart sends again."""
        return OutgoingRecord(chat_id, self.seq, self._plaintext, self.epoch, self._frame)


class Outgoing:
    """Messages sent and not acknowledged, oldest first; the window bounds their number and the bytes of their frames."""

    __slots__ = ("_bytes", "_messages", "acked", "last_seq")

    def __init__(self) -> None:
        self._messages: deque[OutgoingMessage] = deque()
        self._bytes = 0
        self.acked = 0
        self.last_seq = 0

    def __len__(self) -> int:
        return len(self._messages)

    def __iter__(self) -> Iterator[OutgoingMessage]:
        return iter(self._messages)

    def add(self, content: bytes, window_messages: int, window_bytes: int, *, padding: bool) -> OutgoingMessage:
        """The message with the next seq; BACKPRESSURE when the window is full."""
        message = OutgoingMessage(self.last_seq + 1, pad(content, padding=padding))
        if len(self._messages) >= window_messages or self._bytes + message.frame_bytes > window_bytes:
            raise ProtocolError(ErrorCode.BACKPRESSURE, "the window of unacknowledged messages is full")
        self.last_seq = message.seq
        self._messages.append(message)
        self._bytes += message.frame_bytes
        return message

    def restore(self, acked: int, last_seq: int, kept: Iterable[OutgoingRecord]) -> None:
        """What was kept, in the order of seq; KeystoreTamperedError when a message is missing. Nothing was held before."""
        self.acked, self.last_seq = acked, last_seq
        for record in kept:
            message = OutgoingMessage(record.seq, record.plaintext, record.epoch, record.frame)
            self._messages.append(message)
            self._bytes += message.frame_bytes
        if [message.seq for message in self._messages] != list(range(acked + 1, last_seq + 1)):
            raise KeystoreTamperedError("messages of a chat are missing")

    def skip_to(self, seq: int) -> None:
        """The other app has had messages up to `seq`, above our last one: go on after it. Nothing waits any more."""
        self.clear()
        self.acked = self.last_seq = seq

    def acknowledge(self, seq: int) -> bool:
        """Drop everything up to `seq`; False when that is nothing new. INVALID_FRAME for a seq that was never sent."""
        if seq > self.last_seq:
            raise ProtocolError(ErrorCode.INVALID_FRAME, "acknowledgement of a message that was never sent")
        if seq <= self.acked:
            return False
        self.acked = seq
        while self._messages and self._messages[0].seq <= seq:
            self._bytes -= self._messages.popleft().frame_bytes
        return True

    def clear(self) -> None:
        self._messages.clear()
        self._bytes = 0


class Incoming:
    """Messages of the other app. Frames beyond a gap are held sealed, and opened in the order of their seq.

    So the positions of an epoch are opened in order as well, and no message key of a skipped position has to be kept. A frame
    that does not open is dropped; a newer one with the same seq takes its place.
    """

    __slots__ = ("_held", "_held_bytes", "acked", "delivered")

    def __init__(self) -> None:
        self._held: dict[int, bytes] = {}
        self._held_bytes = 0
        self.delivered = 0
        self.acked = 0

    def hold(self, seq: int, frame: bytes, window_messages: int, window_bytes: int) -> bool:
        """Keep a frame until its turn; False for one that was delivered before. BACKPRESSURE beyond the window."""
        if seq <= self.delivered:
            return False
        if seq > self.delivered + window_messages:
            raise ProtocolError(ErrorCode.BACKPRESSURE, "beyond the window of undelivered messages")
        self._drop(seq)
        if seq > self.delivered + 1 and self._held_bytes + len(frame) > window_bytes:
            raise ProtocolError(ErrorCode.BACKPRESSURE, "too much is held for a gap")
        self._held[seq] = frame
        self._held_bytes += len(frame)
        return True

    def next_frame(self) -> bytes | None:
        """The frame whose turn it is, taken out; `deliver` follows when it opened."""
        frame = self._held.get(self.delivered + 1)
        self._drop(self.delivered + 1)
        return frame

    def deliver(self) -> int:
        """The seq of the frame `next_frame` gave, which is delivered now."""
        self.delivered += 1
        return self.delivered

    def acknowledge(self, seq: int) -> bool:
        """The app has taken everything up to `seq`; False when that is nothing new."""
        if not self.acked < seq <= self.delivered:
            return False
        self.acked = seq
        return True

    def restore(self, taken: int) -> None:
        """Everything up to `taken` was taken by the app; what it had beyond comes again."""
        self.delivered = self.acked = taken

    def skip_to(self, seq: int) -> None:
        """What comes next is the message after `seq`."""
        self.delivered = self.acked = seq
        self.clear()

    def clear(self) -> None:
        self._held.clear()
        self._held_bytes = 0

    def _drop(self, seq: int) -> None:
        frame = self._held.pop(seq, None)
        if frame is not None:
            self._held_bytes -= len(frame)
