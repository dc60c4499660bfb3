"""ML-KEM-768 (FIPS 203): a key pair for one handshake, a secret under the peer's key, and that secret back.

The library keeps the private key in memory of its own and clears it with the object; it hands shared secrets out as `bytes`,
which are moved into a SecretBytes at once.
"""

from __future__ import annotations

from typing import Final, NamedTuple, Protocol

from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey

from hermes_core.crypto.random import RandomSource, generate_secret
from hermes_core.crypto.secret import SecretBytes, wipe_bytes
from hermes_core.crypto.sodium import ffi
from hermes_core.errors import ErrorCode, ProtocolError

ENCAPSULATION_KEY_BYTES: Final = 1_184
CIPHERTEXT_BYTES: Final = 1_088
SHARED_SECRET_BYTES: Final = 32
SEED_BYTES: Final = 64
"""d ‖ z of FIPS 203, algorithm 16."""


class DecapsulationKey(Protocol):
    """The private half, for one ciphertext; `public` is the encapsulation key, 1,184 bytes."""

    @property
    def public(self) -> bytes: ...

    def decapsulate(self, ciphertext: bytes) -> SecretBytes:
        """32 bytes. INVALID_FRAME for a wrong length; a wrong ciphertext gives another secret, and no error."""

    def wipe(self) -> None: ...


class Encapsulation(NamedTuple):
    """A shared secret of 32 bytes, and the ciphertext, 1,088 bytes, that brings it to the other side."""

    secret: SecretBytes
    ciphertext: bytes


class Kem(Protocol):
    """What a handshake needs of ML-KEM-768. A simulation hands in one that repeats: encapsulation draws bytes of its own."""

    def generate(self, random: RandomSource) -> DecapsulationKey: ...

    def check(self, public: bytes) -> None:
        """Whether `encapsulate` takes this key. INVALID_FRAME for a wrong length, INVALID_KEY for a key that is none."""

    def encapsulate(self, public: bytes, random: RandomSource) -> Encapsulation:
        """A fresh secret under the peer's key; raises what `check` does."""


class _Key:
    """The library's private key until it is wiped; afterwards every use raises ValueError."""

    __slots__ = ("_private", "public")

    def __init__(self, seed: SecretBytes) -> None:
        """`seed`: 64 bytes, wiped here."""
        self._private: MLKEM768PrivateKey | None = MLKEM768PrivateKey.from_seed_bytes(seed.buffer)
        seed.wipe()
        self.public = self._private.public_key().public_bytes_raw()

    def decapsulate(self, ciphertext: bytes) -> SecretBytes:
        if len(ciphertext) != CIPHERTEXT_BYTES:
            raise ProtocolError(ErrorCode.INVALID_FRAME, f"a ciphertext has {CIPHERTEXT_BYTES} bytes")
        if self._private is None:
            raise ValueError("key was wiped")
        return _own(self._private.decapsulate(ciphertext))

    def wipe(self) -> None:
        self._private = None  # the library clears it with its last reference


class MlKem768:
    """The real one. It takes the seed of a key from `random`; encapsulation asks the operating system itself."""

    def generate(self, random: RandomSource) -> _Key:
        return _Key(generate_secret(SEED_BYTES, random))

    def check(self, public: bytes) -> None:
        self._load(public)

    def encapsulate(self, public: bytes, random: RandomSource) -> Encapsulation:
        del random
        shared, ciphertext = self._load(public).encapsulate()
        return Encapsulation(_own(shared), ciphertext)

    def _load(self, public: bytes) -> MLKEM768PublicKey:
        if len(public) != ENCAPSULATION_KEY_BYTES:
            raise ProtocolError(ErrorCode.INVALID_FRAME, f"an encapsulation key has {ENCAPSULATION_KEY_BYTES} bytes")
        try:
            return MLKEM768PublicKey.from_public_bytes(public)
        except ValueError:  # FIPS 203, 7.2: a coefficient is not below q, so that two encodings would name one key
            raise ProtocolError(ErrorCode.INVALID_KEY, "encapsulation key is not canonical") from None


def _own(shared: bytes) -> SecretBytes:
    """A secret that the library just made, in a buffer of ours."""
    secret = SecretBytes(SHARED_SECRET_BYTES)
    ffi.memmove(secret.buffer, shared, SHARED_SECRET_BYTES)  # a slice assignment would make one more copy
    wipe_bytes(shared)
    return secret


ML_KEM_768: Final = MlKem768()
