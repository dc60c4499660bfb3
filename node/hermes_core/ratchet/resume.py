"""Resume: what two ends of a hop channel claim about their epochs, and what follows from it (pure functions)."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from hermes_core.crypto import labels
from hermes_core.crypto.encoding import lp, u8, u32, u64
from hermes_core.crypto.hashing import compute_tag, equal_tags
from hermes_core.crypto.secret import SecretBytes
from hermes_core.crypto.suites import Suite
from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.handshake.transcript import PROTOCOL_VERSION
from hermes_core.ids import MAX_EPOCH, MAX_ORDER, MAX_POSITION, ChannelKind, ChatId, Role
from hermes_core.ratchet.claim import EpochClaim
from hermes_core.ratchet.context import ChannelContext
from hermes_core.ratchet.epoch import Epoch
from hermes_core.values import dataclass

MAX_CLAIMS: Final = 2
STORES_DIFFER: Final = frozenset({ErrorCode.ROLLBACK_DETECTED, ErrorCode.RATCHET_DESYNC})
"""Claims that do not fit because one of the two stores is not what it was: only new keys help, and they do."""


@dataclass(frozen=True, slots=True)
class ResumeContext:
    """What the tag of a claim binds besides the claim: the channel and the stream (`binding`, 32 bytes)."""

    kind: ChannelKind
    chat_id: ChatId
    binding: bytes

    @classmethod
    def of(cls, channel: ChannelContext, binding: bytes) -> ResumeContext:
        return cls(channel.kind, channel.chat_id, binding)


def compute_claim_tag(context: ResumeContext, mac: SecretBytes, role: Role, claim: EpochClaim) -> bytes:
    """The tag of the claimant, whose role in the claimed epoch, of a suite that we know, is `role`."""
    data = b"".join((
        lp(labels.RESUME),
        u8(PROTOCOL_VERSION),
        u8(context.kind),
        context.chat_id,
        u8(role),
        u32(claim.epoch),
        u8(claim.suite),
        lp(claim.transcript_hash),
        u64(claim.send_next),
        u64(claim.recv_next),
        u64(claim.recv_proven),
        u64(claim.order),
        lp(context.binding),
    ))  # fmt: skip
    return compute_tag(Suite(claim.suite).hash_id, mac, data)


def build_claim(context: ResumeContext, epoch: Epoch, order: int) -> EpochClaim:
    """`order`: the highest of the peer's offers that was answered."""
    claim = epoch.claim(order, b"")
    return replace(claim, tag=compute_claim_tag(context, epoch.mac, epoch.role, claim))


def find_claim(context: ResumeContext, held: tuple[Epoch, ...], claims: tuple[EpochClaim, ...]) -> tuple[Epoch, EpochClaim]:
    """The highest epoch both sides hold, and the peer's own claim in it. INVALID_FRAME, RATCHET_DESYNC, AUTH_FAILED."""
    if len(claims) > MAX_CLAIMS or not all(_is_well_formed(claim) for claim in claims):
        raise ProtocolError(ErrorCode.INVALID_FRAME, "a resume carries at most two well-formed claims")
    epoch, claim = _find_common(held, claims)
    expected = compute_claim_tag(context, epoch.mac, epoch.role.peer, claim)
    if not equal_tags(expected, claim.tag):
        raise ProtocolError(ErrorCode.AUTH_FAILED, "resume claim is not authentic")
    return epoch, claim


def check_positions(epoch: Epoch, claim: EpochClaim, max_skip: int) -> None:
    """ROLLBACK_DETECTED, RATCHET_DESYNC as docs/reference/protocol.md says under Resume."""
    if claim.recv_proven > epoch.send.next:
        raise ProtocolError(ErrorCode.ROLLBACK_DETECTED, "peer has seen positions beyond ours: this store was rolled back")
    if claim.send_next < epoch.recv_proven:
        raise ProtocolError(ErrorCode.ROLLBACK_DETECTED, "peer claims positions it has already used: its store was rolled back")
    if claim.recv_next - epoch.send.next > max_skip or claim.send_next - epoch.recv.next > max_skip:
        raise ProtocolError(ErrorCode.RATCHET_DESYNC, "peers are further apart than max_skip")


def _find_common(held: tuple[Epoch, ...], claims: tuple[EpochClaim, ...]) -> tuple[Epoch, EpochClaim]:
    for epoch in sorted(held, key=lambda epoch: epoch.number, reverse=True):
        for claim in claims:
            if (claim.epoch, claim.suite, claim.transcript_hash) == (epoch.number, epoch.suite, epoch.transcript_hash):
                return epoch, claim
    raise ProtocolError(ErrorCode.RATCHET_DESYNC, "no epoch in common")


def _is_well_formed(claim: EpochClaim) -> bool:
    positions = (claim.send_next, claim.recv_next, claim.recv_proven)
    in_bounds = 0 < claim.epoch <= MAX_EPOCH and 0 <= claim.order <= MAX_ORDER
    return in_bounds and all(0 <= position <= MAX_POSITION for position in positions)
