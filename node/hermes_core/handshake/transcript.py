"""What a handshake signs and hashes (docs/reference/protocol.md, Handshake)."""

from __future__ import annotations

from typing import Final

from hermes_core.crypto import labels
from hermes_core.crypto.encoding import lp, u8, u32, u64
from hermes_core.crypto.hashing import hash_bytes
from hermes_core.crypto.suites import Suite
from hermes_core.ids import ChannelKind, ChatId, Party
from hermes_core.values import dataclass

PROTOCOL_VERSION: Final = 2


@dataclass(frozen=True, slots=True)
class HandshakeContext:
    """What both sides know of an epoch before it begins; `previous_transcript_hash` is empty in epoch 1."""

    kind: ChannelKind
    chat_id: ChatId
    epoch: int
    initiator: Party
    responder: Party
    previous_transcript_hash: bytes


def encode_head(context: HandshakeContext, suites: bytes) -> bytes:
    """`suites`: what the offer lists, or what the answer picked, encoded."""
    return b"".join((
        u8(PROTOCOL_VERSION),
        u8(context.kind),
        suites,
        context.chat_id,
        u32(context.epoch),
        lp(context.initiator.encode()),
        lp(context.responder.encode()),
    ))  # fmt: skip


def encode_offer(context: HandshakeContext, order: int, suites: bytes, ephemeral: bytes, encapsulation_key: bytes) -> bytes:
    """What the initiator signs. `suites`: one byte each; `ephemeral`: X25519, 32 bytes; the ML-KEM-768 key may be empty.

    No hash takes part: which one counts is the responder's pick.
    """
    said = u64(order) + ephemeral + lp(encapsulation_key) + lp(context.previous_transcript_hash)
    return lp(labels.OFFER) + encode_head(context, lp(suites)) + said


def encode_answer(context: HandshakeContext, suite: Suite, ephemeral: bytes, ciphertext: bytes, offer: bytes) -> bytes:
    """What the responder signs: its pick, and under the pick's hash the whole offer: nobody on the way can shorten the list."""
    said = ephemeral + lp(ciphertext) + lp(hash_bytes(suite.hash_id, offer))
    return lp(labels.ANSWER) + encode_head(context, u8(suite)) + said


def hash_transcript(suite: Suite, offer: bytes, answer: bytes) -> bytes:
    """32 or 64 bytes that name this epoch of this channel."""
    return hash_bytes(suite.hash_id, lp(labels.TRANSCRIPT) + lp(offer) + lp(answer))
