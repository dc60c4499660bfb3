"""X25519 (RFC 7748): ephemeral keys and the shared secret, in buffers of ours."""

from __future__ import annotations

from typing import Final

from hermes_core.crypto.random import RandomSource, generate_secret
from hermes_core.crypto.secret import SecretBytes
from hermes_core.crypto.sodium import lib, pointer
from hermes_core.errors import ErrorCode, ProtocolError

KEY_BYTES: Final = 32


class EphemeralKey:
    """A one-time X25519 key pair: `public` 32 bytes; the private half is wiped after its one exchange."""

    __slots__ = ("_private", "public")

    def __init__(self, private: SecretBytes) -> None:
        if len(private) != KEY_BYTES:
            raise ValueError("an X25519 private key has 32 bytes")
        public = bytearray(KEY_BYTES)
        lib.crypto_scalarmult_base(pointer(public), pointer(private.buffer))
        self._private = private
        self.public = bytes(public)

    def exchange(self, peer_public: bytes) -> SecretBytes:
        """The shared secret, 32 bytes. INVALID_KEY for a point of small order (the result would be all zero)."""
        if len(peer_public) != KEY_BYTES:
            raise ProtocolError(ErrorCode.INVALID_FRAME, "an X25519 public key has 32 bytes")
        shared = SecretBytes(KEY_BYTES)
        # libsodium refuses points of small order beforehand and an all-zero result afterwards (RFC 7748, 6.1)
        if lib.crypto_scalarmult(pointer(shared.buffer), pointer(self._private.buffer), peer_public):
            raise ProtocolError(ErrorCode.INVALID_KEY, "ephemeral is a point of small order")
        return shared

    def wipe(self) -> None:
        self._private.wipe()


_ANY_SCALAR: Final = bytes(KEY_BYTES)
"""Clamped it is a multiple of 8, which takes every point of small order to the neutral one, and no other."""


def refuse_small_order(public: bytes) -> None:
    """INVALID_KEY for a point of small order, with which no exchange can be made; no secret takes part in it."""
    if lib.crypto_scalarmult(pointer(bytearray(KEY_BYTES)), _ANY_SCALAR, public):
        raise ProtocolError(ErrorCode.INVALID_KEY, "ephemeral is a point of small order")


def generate_ephemeral(random: RandomSource) -> EphemeralKey:
    return EphemeralKey(generate_secret(KEY_BYTES, random))
