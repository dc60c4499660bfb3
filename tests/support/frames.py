"""A frame's header as bytes; the product writes only what all frames of an epoch share, and a position after it."""

from __future__ import annotations

from hermes_core.ids import ChannelKind
from hermes_core.ratchet.header import START_BYTES, FrameHeader, encode_prefix


def encode_header(header: FrameHeader, start: bytes = bytes(START_BYTES)) -> bytes:
    """`start` is part of it end to end."""
    encoded = encode_prefix(header.kind, header.chat_id, header.epoch, header.direction) + header.position.to_bytes(8, "big")
    return encoded + start if header.kind is ChannelKind.END_TO_END else encoded
