"""One exchange of ephemerals: the initiator's offer, the responder's answer, and the epoch keys both derive."""

from __future__ import annotations

from dataclasses import dataclass

from hermes_core.crypto.secret import SecretBytes
from hermes_core.crypto.signing import Identity
from hermes_core.crypto.x25519 import EphemeralKey, refuse_small_order
from hermes_core.handshake.key_schedule import EpochKeys, derive_epoch_keys
from hermes_core.handshake.statement import KeyStatement, sign_statement, verify_statement
from hermes_core.handshake.transcript import HandshakeContext, encode_answer, encode_offer, hash_transcript


@dataclass(slots=True)
class OutstandingOffer:
    """An initiator's side of an exchange that waits for its answer."""

    context: HandshakeContext
    order: int
    ephemeral: EphemeralKey
    encoded: bytes

    def wipe(self) -> None:
        self.ephemeral.wipe()


def build_offer(
    context: HandshakeContext, identity: Identity, order: int, ephemeral: EphemeralKey
) -> tuple[KeyStatement, OutstandingOffer]:
    encoded = encode_offer(context, order, ephemeral.public)
    statement = sign_statement(identity, context.epoch, order, ephemeral.public, encoded)
    return statement, OutstandingOffer(context, order, ephemeral, encoded)


def verify_offer(context: HandshakeContext, offer: KeyStatement, peer_public_key: bytes) -> bytes:
    """As responder, and before anything secret is made: what the offer signed. INVALID_KEY, AUTH_FAILED."""
    encoded = encode_offer(context, offer.order, offer.ephemeral)
    verify_statement(offer, context.initiator, peer_public_key, encoded)
    refuse_small_order(offer.ephemeral)
    return encoded


def build_answer(
    context: HandshakeContext,
    identity: Identity,
    ephemeral: EphemeralKey,
    offer: KeyStatement,
    encoded_offer: bytes,
    previous_ratchet: SecretBytes | None,
) -> tuple[KeyStatement, EpochKeys]:
    """As responder: sign the answer to a verified offer, derive the keys. The ephemeral is wiped, also on failure."""
    try:
        shared = ephemeral.exchange(offer.ephemeral)
    finally:
        public = ephemeral.public
        ephemeral.wipe()
    encoded = encode_answer(context, public, encoded_offer)
    transcript_hash = hash_transcript(context, encoded_offer, encoded)
    keys = derive_epoch_keys(context.hash_id, shared, transcript_hash, previous_ratchet)
    return sign_statement(identity, context.epoch, offer.order, public, encoded), keys


def complete_offer(
    offer: OutstandingOffer, answer: KeyStatement, peer_public_key: bytes, previous_ratchet: SecretBytes | None
) -> EpochKeys:
    """As initiator: verify the answer, derive the keys. The offer stays outstanding until the caller accepts them."""
    encoded = encode_answer(offer.context, answer.ephemeral, offer.encoded)
    verify_statement(answer, offer.context.responder, peer_public_key, encoded)
    shared = offer.ephemeral.exchange(answer.ephemeral)
    transcript_hash = hash_transcript(offer.context, offer.encoded, encoded)
    return derive_epoch_keys(offer.context.hash_id, shared, transcript_hash, previous_ratchet)
