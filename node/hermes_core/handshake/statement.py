"""Signed ephemerals: making them, and the checks that need nothing but the statement and its context."""

from __future__ import annotations

from hermes_core.crypto import x25519
from hermes_core.crypto.mlkem import CIPHERTEXT_BYTES, ENCAPSULATION_KEY_BYTES
from hermes_core.crypto.signing import SIGNATURE_BYTES, verify_signature
from hermes_core.crypto.suites import MAX_SUITES, lists_hybrid
from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.ids import PUBLIC_KEY_BYTES, Party, derive_fingerprint
from hermes_core.values import dataclass


@dataclass(frozen=True, slots=True)
class KeyStatement:
    """A signed ephemeral: `ephemeral` 32 bytes, `signature` 64 bytes.

    `order` is the offer's place among its sender's offers in this channel; an answer repeats that of the offer it is for.
    `suites`: one byte each, those of an offer in its sender's order of preference, the one that an answer picked.
    `kem`: of an offer the ML-KEM-768 encapsulation key, of an answer the ciphertext; empty when no suite of it takes one.
    """

    epoch: int
    order: int
    suites: bytes
    ephemeral: bytes
    kem: bytes
    signature: bytes


def check_offer(offer: KeyStatement, expected_epoch: int) -> None:
    """The checks that need no cryptography: INVALID_FRAME, KEY_VERSION_MISMATCH.

    A suite that we do not know may take an encapsulation key too, so one that none of ours takes is no fault.
    """
    if not 1 <= len(offer.suites) <= MAX_SUITES:
        raise ProtocolError(ErrorCode.INVALID_FRAME, f"an offer lists 1 to {MAX_SUITES} suites")
    if len(offer.kem) not in ((ENCAPSULATION_KEY_BYTES,) if lists_hybrid(offer.suites) else (0, ENCAPSULATION_KEY_BYTES)):
        raise ProtocolError(ErrorCode.INVALID_FRAME, f"an encapsulation key has {ENCAPSULATION_KEY_BYTES} bytes")
    _check_statement(offer, expected_epoch)


def check_answer(answer: KeyStatement, expected_epoch: int) -> None:
    """The checks that need no cryptography: INVALID_FRAME, KEY_VERSION_MISMATCH."""
    if len(answer.suites) != 1:
        raise ProtocolError(ErrorCode.INVALID_FRAME, "an answer picks one suite")
    if len(answer.kem) != (CIPHERTEXT_BYTES if lists_hybrid(answer.suites) else 0):
        raise ProtocolError(
            ErrorCode.INVALID_FRAME, f"an answer has a ciphertext of {CIPHERTEXT_BYTES} bytes if its suite takes one"
        )
    _check_statement(answer, expected_epoch)


def _check_statement(statement: KeyStatement, expected_epoch: int) -> None:
    if len(statement.ephemeral) != x25519.KEY_BYTES or len(statement.signature) != SIGNATURE_BYTES:
        raise ProtocolError(ErrorCode.INVALID_FRAME, "ephemeral must be 32 bytes, signature 64")
    if statement.epoch != expected_epoch:
        raise ProtocolError(ErrorCode.KEY_VERSION_MISMATCH, f"epoch {statement.epoch}, expected {expected_epoch}")


def check_party_key(party: Party, public_key: bytes) -> None:
    """INVALID_KEY unless `public_key` is the one `party` commits to."""
    if len(public_key) != PUBLIC_KEY_BYTES:
        raise ProtocolError(ErrorCode.INVALID_KEY, "public key must be 32 bytes")
    if party.rpartition(":")[2] != derive_fingerprint(public_key):
        raise ProtocolError(ErrorCode.INVALID_KEY, "identity key does not belong to the named party")


def verify_statement(statement: KeyStatement, party: Party, public_key: bytes, encoded: bytes) -> None:
    """INVALID_KEY (also for points of small order), then AUTH_FAILED; the verifier rebuilt `encoded` from what it knows."""
    check_party_key(party, public_key)
    verify_signature(public_key, encoded, statement.signature)
