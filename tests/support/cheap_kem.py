"""A key encapsulation that repeats, costs a hash and keeps no secret: ML-KEM-768 in worlds and models would draw its own bytes.

Lengths are the real ones, both ends agree, and a wrong ciphertext gives another secret without an error.
"""

from __future__ import annotations

import hashlib

from hermes_core.crypto.mlkem import CIPHERTEXT_BYTES, ENCAPSULATION_KEY_BYTES, SHARED_SECRET_BYTES, Encapsulation
from hermes_core.crypto.random import RandomSource, generate_bytes
from hermes_core.crypto.secret import SecretBytes
from hermes_core.errors import ErrorCode, ProtocolError

_DRAWN_BYTES = 32


class _Key:
    def __init__(self, random: RandomSource) -> None:
        self.public = generate_bytes(_DRAWN_BYTES, random).ljust(ENCAPSULATION_KEY_BYTES, b"\0")

    def decapsulate(self, ciphertext: bytes) -> SecretBytes:
        return _derive(self.public, ciphertext)

    def wipe(self) -> None:
        """It holds nothing that its public half does not say."""


class CheapKem:
    """For `hermes_core.crypto.mlkem.Kem`."""

    def generate(self, random: RandomSource) -> _Key:
        return _Key(random)

    def check(self, public: bytes) -> None:
        if any(public[_DRAWN_BYTES:]):
            raise ProtocolError(ErrorCode.INVALID_KEY, "no key of this kind")

    def encapsulate(self, public: bytes, random: RandomSource) -> Encapsulation:
        self.check(public)
        ciphertext = generate_bytes(_DRAWN_BYTES, random).ljust(CIPHERTEXT_BYTES, b"\0")
        return Encapsulation(_derive(public, ciphertext), ciphertext)


def _derive(public: bytes, ciphertext: bytes) -> SecretBytes:
    digest = hashlib.blake2b(public + ciphertext, digest_size=SHARED_SECRET_BYTES).digest()
    return SecretBytes.take(bytearray(digest))
