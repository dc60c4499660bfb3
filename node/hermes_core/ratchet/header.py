"""The fixed header of a frame: authenticated, and the only part of a frame that is parsed before its tag verified."""

from __future__ import annotations

import struct
from typing import Final

from hermes_core.crypto.aead import NONCE_BYTES, TAG_BYTES
from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.ids import MAX_POSITION, ChannelKind, ChatId, Role
from hermes_core.ratchet.padding import MAX_PADDED_BYTES
from hermes_core.values import dataclass

FRAME_VERSION: Final = 2
PREFIX_BYTES: Final = 23
"""What all frames of one epoch and direction share; the position follows."""
POSITION_END: Final = 31
START_BYTES: Final = 8
"""Names one start of an app: the part of an end-to-end nonce that is not zero."""
HEADER_BYTES: Final[dict[ChannelKind, int]] = {
    ChannelKind.END_TO_END: POSITION_END + START_BYTES,
    ChannelKind.LEG: POSITION_END,  # the nonce is the stream's, and known at both ends
    ChannelKind.TIELINE: POSITION_END,
}
OVERHEAD_BYTES: Final[dict[ChannelKind, int]] = {kind: length + TAG_BYTES for kind, length in HEADER_BYTES.items()}
"""By how much a frame is longer than its plaintext."""
_MAX_PAYLOAD_BYTES: Final = 1 + 8 + OVERHEAD_BYTES[ChannelKind.END_TO_END] + MAX_PADDED_BYTES  # DATA: type, seq, a frame
MAX_PLAINTEXT_BYTES: Final[dict[ChannelKind, int]] = {
    ChannelKind.END_TO_END: MAX_PADDED_BYTES,
    ChannelKind.LEG: _MAX_PAYLOAD_BYTES,
    ChannelKind.TIELINE: _MAX_PAYLOAD_BYTES,
}
MAX_FRAME_BYTES: Final = {kind: length + OVERHEAD_BYTES[kind] for kind, length in MAX_PLAINTEXT_BYTES.items()}


@dataclass(frozen=True, slots=True)
class FrameShape:
    """The sizes of the frames of one kind of channel, which holds them: looking them up by kind costs a hash for each frame."""

    header_bytes: int
    max_plaintext_bytes: int
    min_frame_bytes: int
    max_frame_bytes: int


SHAPES: Final = {
    kind: FrameShape(HEADER_BYTES[kind], MAX_PLAINTEXT_BYTES[kind], OVERHEAD_BYTES[kind], MAX_FRAME_BYTES[kind])
    for kind in ChannelKind
}

_NONCE_ZEROS: Final = bytes(NONCE_BYTES - START_BYTES)
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
    if len(frame) < POSITION_END:
        raise _too_short()
    version, kind, chat_id, epoch, direction, position = _HEADER.unpack_from(frame)
    if version != FRAME_VERSION or kind not in _KINDS or direction not in _DIRECTIONS:
        raise ProtocolError(ErrorCode.INVALID_FRAME, "unknown frame version, channel kind or direction")
    if epoch == 0 or position > MAX_POSITION:
        raise ProtocolError(ErrorCode.INVALID_FRAME, "epoch or position out of bounds")
    if len(frame) < OVERHEAD_BYTES[kind]:
        raise _too_short()
    if len(frame) > MAX_FRAME_BYTES[kind]:
        raise ProtocolError(ErrorCode.INVALID_FRAME, "frame is too long")
    return FrameHeader(ChannelKind(kind), ChatId(chat_id), epoch, Role(direction), position)


def build_nonce(start: bytes) -> bytes:
    """The 12 bytes that one start of an app (8 bytes) seals end to end with."""
    return _NONCE_ZEROS + start


def _too_short() -> ProtocolError:
    return ProtocolError(ErrorCode.INVALID_FRAME, "frame is shorter than its header and tag")


_KINDS: Final = frozenset(int(kind) for kind in ChannelKind)
_DIRECTIONS: Final = frozenset(int(role) for role in Role)
