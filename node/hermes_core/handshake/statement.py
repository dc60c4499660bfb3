"""Signed ephemerals: making them, and the checks that need nothing but the statement and its context."""

from __future__ import annotations

from dataclasses import dataclass

from hermes_core.crypto import x25519
from hermes_core.crypto.signing import SIGNATURE_BYTES, Identity, verify_signature
from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.ids import PUBLIC_KEY_BYTES, Party, derive_fingerprint


@dataclass(frozen=True, slots=True)
class KeyStatement:
    """A signed ephemeral: `ephemeral` 32 bytes, `signature` 64 bytes.

    `order` is the offer's place among its sender's offers in this channel; an answer repeats that of the offer it is for.
    """

    epoch: int
    order: int
    ephemeral: bytes
    signature: bytes


def sign_statement(identity: Identity, epoch: int, order: int, ephemeral: bytes, encoded: bytes) -> KeyStatement:
    """`encoded` is the offer or answer that carries `ephemeral`."""
    return KeyStatement(epoch, order, ephemeral, identity.sign(encoded))


def check_statement(statement: KeyStatement, expected_epoch: int) -> None:
    """The checks that need no cryptography: INVALID_FRAME, KEY_VERSION_MISMATCH."""
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
