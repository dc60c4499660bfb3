"""A frame's header as bytes; the product writes only what all frames of an epoch share, and a position after it."""

from __future__ import annotations

from hermes_core.ratchet.header import FrameHeader, encode_prefix


def encode_header(header: FrameHeader) -> bytes:
    return encode_prefix(header.kind, header.chat_id, header.epoch, header.direction) + header.position.to_bytes(8, "big")
