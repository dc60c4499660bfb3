"""Ed25519 (RFC 8032) with libsodium's strict verification.

OpenSSL accepts the identity point as a public key, under which one signature fits every message; libsodium refuses
small-order keys and points, and non-canonical encodings, and `check_public_key` also refuses mixed-order points.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from hermes_core.crypto.random import SYSTEM_RANDOM, RandomSource, generate_secret
from hermes_core.crypto.secret import SecretBytes
from hermes_core.crypto.sodium import ffi, lib, pointer
from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.ids import PUBLIC_KEY_BYTES

SEED_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64
_SECRET_KEY_BYTES: Final = 64  # libsodium's form: seed ‖ public key


class Identity:
    """A long-term Ed25519 key pair of an app or a node; `public_key` 32 bytes."""

    __slots__ = ("_secret_key", "public_key")

    def __init__(self, secret_key: SecretBytes, public_key: bytes) -> None:
        self._secret_key = secret_key
        self.public_key = public_key

    @classmethod
    def generate(cls, random: RandomSource = SYSTEM_RANDOM) -> Identity:
        seed = generate_secret(SEED_BYTES, random)
        identity = cls.from_seed(seed)
        seed.wipe()
        return identity

    @classmethod
    def from_seed(cls, seed: SecretBytes) -> Identity:
        """The key pair of a 32-byte seed; the caller keeps (and wipes) the seed."""
        if len(seed) != SEED_BYTES:
            raise ValueError("an Ed25519 seed has 32 bytes")
        secret_key = SecretBytes(_SECRET_KEY_BYTES)
        public_key = bytearray(PUBLIC_KEY_BYTES)
        lib.crypto_sign_seed_keypair(pointer(public_key), pointer(secret_key.buffer), pointer(seed.buffer))
        return cls(secret_key, bytes(public_key))

    def seed(self) -> SecretBytes:
        """A copy of the 32-byte seed, for the keystore."""
        seed = SecretBytes(SEED_BYTES)
        ffi.memmove(seed.buffer, pointer(self._secret_key.buffer), SEED_BYTES)
        return seed

    def copy(self) -> Identity:
        """The same key pair in memory of its own; ValueError when this one was wiped."""
        seed = self.seed()
        try:
            return Identity.from_seed(seed)
        finally:
            seed.wipe()

    def sign(self, data: bytes) -> bytes:
        """A signature of 64 bytes over `data`."""
        signed = bytearray(SIGNATURE_BYTES + len(data))
        lib.crypto_sign(pointer(signed), ffi.NULL, data, len(data), pointer(self._secret_key.buffer))
        return bytes(signed[:SIGNATURE_BYTES])

    def wipe(self) -> None:
        self._secret_key.wipe()


def verify_signature(public_key: bytes, data: bytes, signature: bytes) -> None:
    """INVALID_KEY for a bad public key, AUTH_FAILED for a signature that does not fit."""
    check_public_key(public_key)
    if len(signature) != SIGNATURE_BYTES:
        raise ProtocolError(ErrorCode.AUTH_FAILED, "signature has a wrong length")
    signed = signature + data
    opened = bytearray(len(signed))
    if lib.crypto_sign_open(pointer(opened), ffi.new("unsigned long long *"), signed, len(signed), public_key):
        raise ProtocolError(ErrorCode.AUTH_FAILED, "signature does not verify")


def check_public_key(public_key: bytes) -> None:
    """INVALID_KEY unless `public_key` is the canonical encoding of a point of the prime-order group."""
    if not _is_valid_point(public_key):
        raise ProtocolError(ErrorCode.INVALID_KEY, "identity key is not a valid Ed25519 public key")


@lru_cache(maxsize=4096)  # the same keys come again with every chat and rekey; bounded, and public data only
def _is_valid_point(public_key: bytes) -> bool:
    return len(public_key) == PUBLIC_KEY_BYTES and bool(lib.crypto_core_ed25519_is_valid_point(public_key))
