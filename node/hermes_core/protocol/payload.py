"""What a leg or tieline frame carries: a message, its acknowledgement, claims (docs/reference/protocol.md, Hop payloads)."""

from __future__ import annotations

import struct
from typing import Final

from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.ids import MAX_POSITION, ChannelKind, ChatId
from hermes_core.ratchet.channel import ACK_TAG_BYTES
from hermes_core.ratchet.chat_claim import (
    CLAIM_BYTES,
    CLAIM_NONCE_BYTES,
    ChatClaim,
    encode_chat_claim,
    parse_chat_claim,
)
from hermes_core.ratchet.header import OVERHEAD_BYTES
from hermes_core.ratchet.padding import LENGTH_BYTES

DATA: Final = 1
ACK: Final = 2
CLAIM_ASK: Final = 3
CLAIM: Final = 4

_DATA_HEAD: Final = struct.Struct(">BQ")
_ACK: Final = struct.Struct(f">BQI{ACK_TAG_BYTES}s")
ACK_PAYLOAD_BYTES: Final = _ACK.size
_MIN_DATA_BYTES: Final = _DATA_HEAD.size + OVERHEAD_BYTES[ChannelKind.END_TO_END] + LENGTH_BYTES  # no content, no padding
_CLAIMS: Final = frozenset({(CLAIM_ASK, 1 + CLAIM_NONCE_BYTES), (CLAIM, 1 + CLAIM_BYTES)})
_FRAME_CHAT_ID: Final = slice(2, 18)


def parse_frame_chat(frame: bytes) -> ChatId:
    """The chat a sealed frame says it belongs to; the frame's length was checked before."""
    return ChatId(frame[_FRAME_CHAT_ID])


def encode_data(seq: int, end_to_end_frame: bytes) -> bytes:
    return _DATA_HEAD.pack(DATA, seq) + end_to_end_frame


def encode_ack(seq: int, epoch: int, tag: bytes) -> bytes:
    return _ACK.pack(ACK, seq, epoch, tag)


def parse_kind_and_seq(payload: bytes) -> tuple[int, int]:
    """(its kind, seq) of a hop payload, seq 0 for what has none; raise INVALID_FRAME for anything else."""
    kind = payload[0] if payload else 0
    if kind == DATA and len(payload) >= _MIN_DATA_BYTES:
        seq = _DATA_HEAD.unpack_from(payload)[1]
        lowest = 1
    elif kind == ACK and len(payload) == _ACK.size:
        seq = _ACK.unpack(payload)[1]
        lowest = 0
    elif (kind, len(payload)) in _CLAIMS:
        return kind, 0
    else:
        raise ProtocolError(ErrorCode.INVALID_FRAME, "unknown hop payload")
    if not lowest <= seq <= MAX_POSITION:
        raise ProtocolError(ErrorCode.INVALID_FRAME, "seq out of range")
    return kind, seq


def parse_data_frame(payload: bytes) -> bytes:
    """The end-to-end frame of a DATA payload."""
    return payload[_DATA_HEAD.size :]


def parse_ack(payload: bytes) -> tuple[int, int, bytes]:
    """(seq, end-to-end epoch, tag of 16 bytes) of an ACK payload."""
    _, seq, epoch, tag = _ACK.unpack(payload)
    return seq, epoch, tag


def encode_ask(nonce: bytes) -> bytes:
    return bytes((CLAIM_ASK,)) + nonce


def parse_ask(payload: bytes) -> bytes:
    """The nonce (32 bytes) of a CLAIM_ASK payload."""
    return payload[1:]


def encode_claim(claim: ChatClaim) -> bytes:
    return bytes((CLAIM,)) + encode_chat_claim(claim)


def parse_claim(payload: bytes) -> ChatClaim:
    """INVALID_FRAME for a CLAIM payload with a number out of bounds."""
    return parse_chat_claim(payload[1:])
