"""What one app claims of a chat to the other: where it stands in an epoch, and in the messages of both, under the epoch's key.

A claim answers a nonce, so an old one tells nobody anything. It moves no position.
"""

from __future__ import annotations

import struct
from dataclasses import replace
from typing import Final

from hermes_core.crypto import labels
from hermes_core.crypto.encoding import lp, u8
from hermes_core.crypto.hashing import compute_tag, equal_tags
from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.ids import MAX_ORDER, MAX_POSITION, Role
from hermes_core.ratchet.context import ChannelContext
from hermes_core.ratchet.epoch import Epoch
from hermes_core.values import dataclass

CLAIM_NONCE_BYTES: Final = 32
CLAIM_TAG_BYTES: Final = 32
TRANSCRIPT_BYTES: Final = 32
"""Of the transcript hash as many as SHA-256 has: enough to tell two epochs apart."""

_BODY: Final = struct.Struct(f">{CLAIM_NONCE_BYTES}sI{TRANSCRIPT_BYTES}s" + "Q" * 6)
CLAIM_BYTES: Final = _BODY.size + CLAIM_TAG_BYTES


@dataclass(frozen=True, slots=True)
class MessageCursor:
    """`last_seq` of the claimant's own messages, `lowest` that it can still send, `delivered` of the other's."""

    last_seq: int
    delivered: int
    lowest: int


@dataclass(frozen=True, slots=True)
class ChatClaim:
    """`order`: the highest of the other end's offers that was answered. `transcript`: of its hash the first 32 bytes."""

    nonce: bytes
    epoch: int
    transcript: bytes
    send_next: int
    recv_proven: int
    order: int
    cursor: MessageCursor
    tag: bytes = bytes(CLAIM_TAG_BYTES)


def build_chat_claim(context: ChannelContext, epoch: Epoch, order: int, nonce: bytes, cursor: MessageCursor) -> ChatClaim:
    """What this end claims in `epoch` to whoever asked with `nonce`."""
    transcript = epoch.transcript_hash[:TRANSCRIPT_BYTES]
    claim = ChatClaim(nonce, epoch.number, transcript, epoch.send.next, epoch.recv_proven, order, cursor)
    return replace(claim, tag=_compute_tag(context, epoch, epoch.role, claim))


def is_of_epoch(claim: ChatClaim, epoch: Epoch) -> bool:
    """It names this epoch; whether it is authentic is another matter."""
    return (claim.epoch, claim.transcript) == (epoch.number, epoch.transcript_hash[:TRANSCRIPT_BYTES])


def check_chat_claim(context: ChannelContext, epoch: Epoch, claim: ChatClaim) -> None:
    """AUTH_FAILED unless this is the peer's tag."""
    if not equal_tags(_compute_tag(context, epoch, epoch.role.peer, claim), claim.tag):
        raise ProtocolError(ErrorCode.AUTH_FAILED, "the claim of the other app is not authentic")


def encode_chat_claim(claim: ChatClaim) -> bytes:
    return _encode_body(claim) + claim.tag


def parse_chat_claim(data: bytes) -> ChatClaim:
    """INVALID_FRAME for what is not well formed."""
    if len(data) != CLAIM_BYTES:
        raise ProtocolError(ErrorCode.INVALID_FRAME, "a claim has a wrong size")
    nonce, epoch, transcript, send_next, recv_proven, order, last_seq, delivered, lowest = _BODY.unpack_from(data)
    numbers = (send_next, recv_proven, last_seq, delivered, lowest)
    if not epoch or order > MAX_ORDER or max(numbers) > MAX_POSITION or not 0 < lowest <= last_seq + 1:
        raise ProtocolError(ErrorCode.INVALID_FRAME, "a number of a claim is out of bounds")
    cursor = MessageCursor(last_seq, delivered, lowest)
    return ChatClaim(nonce, epoch, transcript, send_next, recv_proven, order, cursor, data[_BODY.size :])


def _encode_body(claim: ChatClaim) -> bytes:
    cursor = claim.cursor
    seqs = cursor.last_seq, cursor.delivered, cursor.lowest
    return _BODY.pack(claim.nonce, claim.epoch, claim.transcript, claim.send_next, claim.recv_proven, claim.order, *seqs)


def _compute_tag(context: ChannelContext, epoch: Epoch, role: Role, claim: ChatClaim) -> bytes:
    data = lp(labels.CHAT_CLAIM) + context.chat_id + u8(role) + _encode_body(claim)
    return compute_tag(epoch.suite.hash_id, epoch.mac, data)[:CLAIM_TAG_BYTES]
