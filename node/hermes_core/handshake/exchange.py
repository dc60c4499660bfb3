"""One exchange of ephemerals: the initiator's offer, the responder's answer, and the epoch keys both derive."""

from __future__ import annotations

from hermes_core.crypto.mlkem import DecapsulationKey, Encapsulation, Kem
from hermes_core.crypto.secret import SecretBytes
from hermes_core.crypto.signing import Identity
from hermes_core.crypto.suites import Suite, check_pick, pick_suite
from hermes_core.crypto.x25519 import EphemeralKey, refuse_small_order
from hermes_core.handshake.key_schedule import EpochKeys, derive_epoch_keys
from hermes_core.handshake.statement import KeyStatement, verify_statement
from hermes_core.handshake.transcript import HandshakeContext, encode_answer, encode_offer, hash_transcript
from hermes_core.values import dataclass


@dataclass(slots=True)
class OutstandingOffer:
    """An initiator's side of an exchange that waits for its answer. `decapsulation` is None when no listed suite is hybrid."""

    context: HandshakeContext
    order: int
    suites: bytes
    ephemeral: EphemeralKey
    decapsulation: DecapsulationKey | None
    encoded: bytes

    def wipe(self) -> None:
        self.ephemeral.wipe()
        if self.decapsulation is not None:
            self.decapsulation.wipe()


@dataclass(frozen=True, slots=True)
class CheckedOffer:
    """What the initiator signed, and the suite that we pick of it."""

    encoded: bytes
    suite: Suite


def build_offer(
    context: HandshakeContext,
    identity: Identity,
    order: int,
    suites: tuple[Suite, ...],
    ephemeral: EphemeralKey,
    decapsulation: DecapsulationKey | None,
) -> tuple[KeyStatement, OutstandingOffer]:
    """`decapsulation` is there when one of `suites`, the preferred first, is hybrid."""
    listed, kem = bytes(suites), b"" if decapsulation is None else decapsulation.public
    encoded = encode_offer(context, order, listed, ephemeral.public, kem)
    statement = KeyStatement(context.epoch, order, listed, ephemeral.public, kem, identity.sign(encoded))
    return statement, OutstandingOffer(context, order, listed, ephemeral, decapsulation, encoded)


def verify_offer(
    context: HandshakeContext, offer: KeyStatement, peer_public_key: bytes, allowed: tuple[Suite, ...], kem: Kem
) -> CheckedOffer:
    """As responder, and before anything secret is made: what the offer signed. INVALID_KEY, AUTH_FAILED, UNSUPPORTED."""
    encoded = encode_offer(context, offer.order, offer.suites, offer.ephemeral, offer.kem)
    verify_statement(offer, context.initiator, peer_public_key, encoded)
    suite = pick_suite(offer.suites, allowed)
    refuse_small_order(offer.ephemeral)
    if suite.hybrid:
        kem.check(offer.kem)
    return CheckedOffer(encoded, suite)


def build_answer(
    context: HandshakeContext,
    identity: Identity,
    ephemeral: EphemeralKey,
    encapsulation: Encapsulation | None,
    offer: KeyStatement,
    checked: CheckedOffer,
    previous_ratchet: SecretBytes | None,
) -> tuple[KeyStatement, EpochKeys]:
    """As responder: sign the answer to a checked offer, derive the keys. What is secret of ours is wiped, also on failure.

    `encapsulation` is there when the picked suite is hybrid: made under the offer's key.
    """
    secret, ciphertext = (None, b"") if encapsulation is None else encapsulation
    try:
        shared = ephemeral.exchange(offer.ephemeral)
        encoded = encode_answer(context, checked.suite, ephemeral.public, ciphertext, checked.encoded)
        transcript_hash = hash_transcript(checked.suite, checked.encoded, encoded)
        keys = derive_epoch_keys(checked.suite, shared, secret, transcript_hash, previous_ratchet)
    finally:
        ephemeral.wipe()
        if secret is not None:
            secret.wipe()
    pick = bytes((checked.suite,))
    return KeyStatement(context.epoch, offer.order, pick, ephemeral.public, ciphertext, identity.sign(encoded)), keys


def complete_offer(
    offer: OutstandingOffer, answer: KeyStatement, peer_public_key: bytes, previous_ratchet: SecretBytes | None
) -> EpochKeys:
    """As initiator: verify the answer, derive the keys. The offer stays outstanding until the caller accepts them.

    UNSUPPORTED for a suite that the offer did not list, INVALID_KEY, AUTH_FAILED. A wrong ciphertext gives other keys, and no
    error: the peer's confirmation tells.
    """
    suite = check_pick(offer.suites, answer.suites)
    encoded = encode_answer(offer.context, suite, answer.ephemeral, answer.kem, offer.encoded)
    verify_statement(answer, offer.context.responder, peer_public_key, encoded)
    shared = offer.ephemeral.exchange(answer.ephemeral)
    secret = offer.decapsulation.decapsulate(answer.kem) if suite.hybrid and offer.decapsulation is not None else None
    transcript_hash = hash_transcript(suite, offer.encoded, encoded)
    return derive_epoch_keys(suite, shared, secret, transcript_hash, previous_ratchet)
