"""The fixed header of a frame: 31 bytes, authenticated, and the only part of a frame that is parsed before its tag verified."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from hermes_core.crypto.aead import TAG_BYTES
from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.ids import MAX_POSITION, ChannelKind, ChatId, Role

FRAME_VERSION: Final = 2
PREFIX_BYTES: Final = 23
"""What all frames of one epoch and direction share; the position follows."""
HEADER_BYTES: Final = 31
FRAME_OVERHEAD_BYTES: Final = HEADER_BYTES + TAG_BYTES
MAX_CONTENT_BYTES: Final = 64 * 1024
MAX_PLAINTEXT_BYTES: Final[dict[ChannelKind, int]] = {
    ChannelKind.END_TO_END: MAX_CONTENT_BYTES,
    ChannelKind.LEG: 1 + 8 + MAX_CONTENT_BYTES + FRAME_OVERHEAD_BYTES,  # DATA: type, seq, an end-to-end frame
    ChannelKind.TIELINE: 1 + 8 + MAX_CONTENT_BYTES + FRAME_OVERHEAD_BYTES,
}
MAX_FRAME_BYTES: Final = {kind: length + FRAME_OVERHEAD_BYTES for kind, length in MAX_PLAINTEXT_BYTES.items()}

_PREFIX: Final = struct.Struct(">BB16sIB")
_HEADER: Final = struct.Struct(">BB16sIBQ")


@dataclass(frozen=True, slots=True)
class FrameHeader:
    kind: ChannelKind
    chat_id: ChatId
    epoch: int
    direction: Role
    position: int


def encode_prefix(kind: ChannelKind, chat_id: ChatId, epoch: int, direction: Role) -> bytes:
    return _PREFIX.pack(FRAME_VERSION, kind, chat_id, epoch, direction)


def parse_header(frame: bytes) -> FrameHeader:
    """INVALID_FRAME unless `frame` starts with a well-formed header and is long enough and short enough for its kind."""
    if len(frame) < FRAME_OVERHEAD_BYTES:
        raise ProtocolError(ErrorCode.INVALID_FRAME, "frame is shorter than its header and tag")
    version, kind, chat_id, epoch, direction, position = _HEADER.unpack_from(frame)
    if version != FRAME_VERSION or kind not in _KINDS or direction not in _DIRECTIONS:
        raise ProtocolError(ErrorCode.INVALID_FRAME, "unknown frame version, channel kind or direction")
    if epoch == 0 or position > MAX_POSITION:
        raise ProtocolError(ErrorCode.INVALID_FRAME, "epoch or position out of bounds")
    if len(frame) > MAX_FRAME_BYTES[kind]:
        raise ProtocolError(ErrorCode.INVALID_FRAME, "frame is too long")
    return FrameHeader(ChannelKind(kind), ChatId(chat_id), epoch, Role(direction), position)


_KINDS: Final = frozenset(int(kind) for kind in ChannelKind)
_DIRECTIONS: Final = frozenset(int(role) for role in Role)
