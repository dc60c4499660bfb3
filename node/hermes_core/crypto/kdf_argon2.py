"""Argon2id (RFC 9106): the keystore's master key from a passphrase, with every cost bounded before it is paid."""

from __future__ import annotations

from typing import Final

from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from hermes_core import limits
from hermes_core.bounds import Limited, default
from hermes_core.crypto.secret import SecretBytes
from hermes_core.crypto.sodium import lib, pointer
from hermes_core.values import dataclass

SALT_BYTES: Final = 16
KEY_BYTES: Final = 32

_SMALLEST_MEMORY_BYTES: Final = 8192


@dataclass(frozen=True, slots=True)
class Argon2Params(Limited):
    """Costs of one derivation; LimitError, which is a ValueError, names the field that is out of bounds."""

    memory_kib: limits.Argon2MemoryKib = default(limits.Argon2MemoryKib)
    time_cost: limits.Argon2TimeCost = default(limits.Argon2TimeCost)
    lanes: limits.Argon2Lanes = default(limits.Argon2Lanes)


def derive_master_key(passphrase: SecretBytes, salt: bytes, params: Argon2Params) -> SecretBytes:
    """32 bytes from a passphrase and 16 random bytes of salt.

    One lane (the default) is libsodium's, which wipes its working memory. It knows no other number of lanes; those are
    OpenSSL's, which was seen to leave a copy of the passphrase in memory it freed.
    """
    if len(salt) != SALT_BYTES:
        raise ValueError("salt must be 16 bytes")
    if params.lanes == 1:
        return _derive_one_lane(passphrase, salt, params)
    return derive_argon2id(
        passphrase, salt, memory_kib=params.memory_kib, time_cost=params.time_cost, lanes=params.lanes, length=KEY_BYTES
    )


def derive_argon2id(
    passphrase: SecretBytes,
    salt: bytes,
    *,
    memory_kib: int,
    time_cost: int,
    lanes: int,
    length: int,
    secret: bytes | None = None,
    ad: bytes | None = None,
) -> SecretBytes:
    """Argon2id as RFC 9106 defines it, any parameters; what stores keys uses `derive_master_key` and its bounds."""
    key = SecretBytes(length)
    Argon2id(
        salt=salt, length=length, iterations=time_cost, lanes=lanes, memory_cost=memory_kib, ad=ad, secret=secret
    ).derive_into(passphrase.buffer, key.buffer)  # type: ignore[arg-type]  # takes any buffer; the stub says bytes
    return key


def _derive_one_lane(passphrase: SecretBytes, salt: bytes, params: Argon2Params) -> SecretBytes:
    key = SecretBytes(KEY_BYTES)
    _run_argon2id(key.buffer, passphrase.buffer, salt, params.time_cost, params.memory_kib * 1024)
    # libsodium leaves the result on the C stack (seen in a memory scan); the same call on nothing secret overwrites it there.
    _run_argon2id(bytearray(KEY_BYTES), bytearray(1), bytes(SALT_BYTES), 1, _SMALLEST_MEMORY_BYTES)
    return key


def _run_argon2id(out: bytearray, passphrase: bytearray, salt: bytes, passes: int, memory_bytes: int) -> None:
    algorithm = lib.crypto_pwhash_alg_argon2id13()
    if lib.crypto_pwhash(pointer(out), len(out), pointer(passphrase), len(passphrase), salt, passes, memory_bytes, algorithm):
        raise MemoryError("Argon2id could not get its working memory")
