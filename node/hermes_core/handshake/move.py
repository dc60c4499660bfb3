"""The signed move: an app says that its side of a chat is at home on another node (docs/reference/protocol.md, Moves).

It names both apps and the new home by their parties, which commit to their keys; who relays it cannot change any of that, and a
lower number says nothing any more.
"""

from __future__ import annotations

from dataclasses import replace

from hermes_core.crypto import labels
from hermes_core.crypto.encoding import lp, u64
from hermes_core.crypto.hashing import HashId, hash_bytes
from hermes_core.crypto.signing import Identity, verify_signature
from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.handshake.statement import KeyStatement
from hermes_core.handshake.transcript import HandshakeContext, encode_offer
from hermes_core.ids import AppId, ChannelKind, ChatId, Party, app_party, derive_app_id
from hermes_core.values import dataclass


@dataclass(frozen=True, slots=True)
class SignedMove:
    """`mover_key`: Ed25519, 32 bytes. `home`: the party of the new home node. `number` counts the mover's moves of this chat.

    `leg_hash`: SHA-256 of the offer of its leg there (32 bytes), which only that node gets to see. `signature`: 64 bytes.
    """

    mover_key: bytes
    peer: AppId
    home: Party
    number: int
    leg_hash: bytes
    signature: bytes

    @property
    def mover(self) -> AppId:
        return derive_app_id(self.mover_key)


def hash_leg_offer(chat_id: ChatId, mover: AppId, home: Party, offer: KeyStatement) -> bytes:
    """SHA-256 of what the offer of a moved leg signs: a leg begins anew on its new home, so it is always that of epoch 1."""
    context = HandshakeContext(ChannelKind.LEG, chat_id, 1, app_party(mover), home, b"")
    return hash_bytes(HashId.SHA256, encode_offer(context, offer.order, offer.suites, offer.ephemeral, offer.kem))


def _encode_move(chat_id: ChatId, move: SignedMove) -> bytes:
    return b"".join((
        lp(labels.MOVE),
        chat_id,
        lp(app_party(move.mover).encode()),
        lp(app_party(move.peer).encode()),
        lp(move.home.encode()),
        u64(move.number),
        move.leg_hash,
    ))  # fmt: skip


def sign_move(identity: Identity, chat_id: ChatId, peer: AppId, home: Party, number: int, offer: KeyStatement) -> SignedMove:
    """As the app that owns `identity`; `offer`: of its leg on the new home, as it goes there."""
    leg_hash = hash_leg_offer(chat_id, derive_app_id(identity.public_key), home, offer)
    unsigned = SignedMove(identity.public_key, peer, home, number, leg_hash, b"")
    return replace(unsigned, signature=identity.sign(_encode_move(chat_id, unsigned)))


def verify_move(chat_id: ChatId, move: SignedMove, mover: AppId, peer: AppId) -> None:
    """Raise unless `mover` signed it for its chat with `peer`: AUTH_FAILED, INVALID_KEY. The cheap checks come first."""
    if move.mover != mover or move.peer != peer:
        raise ProtocolError(ErrorCode.AUTH_FAILED, "the move names other apps than the chat's")
    verify_signature(move.mover_key, _encode_move(chat_id, move), move.signature)
