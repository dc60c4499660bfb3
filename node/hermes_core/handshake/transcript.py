"""What a handshake signs and hashes (docs/reference/protocol.md, Handshake)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hermes_core.crypto import labels
from hermes_core.crypto.encoding import lp, u8, u32, u64
from hermes_core.crypto.hashing import HashId, hash_bytes
from hermes_core.ids import ChannelKind, ChatId, Party

PROTOCOL_VERSION: Final = 2


@dataclass(frozen=True, slots=True)
class HandshakeContext:
    """What both sides know of an epoch before it begins; `previous_transcript_hash` is empty in epoch 1."""

    kind: ChannelKind
    hash_id: HashId
    chat_id: ChatId
    epoch: int
    initiator: Party
    responder: Party
    previous_transcript_hash: bytes


def encode_head(context: HandshakeContext) -> bytes:
    return b"".join((
        u8(PROTOCOL_VERSION),
        u8(context.kind),
        u8(context.hash_id),
        context.chat_id,
        u32(context.epoch),
        lp(context.initiator.encode()),
        lp(context.responder.encode()),
    ))  # fmt: skip


def encode_offer(context: HandshakeContext, order: int, ephemeral: bytes) -> bytes:
    """What the initiator signs; `ephemeral` is its X25519 public key, 32 bytes."""
    return lp(labels.OFFER) + encode_head(context) + u64(order) + ephemeral + lp(context.previous_transcript_hash)


def encode_answer(context: HandshakeContext, ephemeral: bytes, offer: bytes) -> bytes:
    """What the responder signs; it commits to the whole offer."""
    return lp(labels.ANSWER) + encode_head(context) + ephemeral + lp(hash_bytes(context.hash_id, offer))


def hash_transcript(context: HandshakeContext, offer: bytes, answer: bytes) -> bytes:
    """32 or 64 bytes that name this epoch of this channel."""
    return hash_bytes(context.hash_id, lp(labels.TRANSCRIPT) + lp(offer) + lp(answer))
