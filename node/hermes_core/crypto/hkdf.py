"""HKDF (RFC 5869) that keeps its results in buffers of ours."""

from __future__ import annotations

import hmac
from typing import Final

from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from hermes_core.crypto.hashing import ALGORITHM, DIGEST_BYTES, NAME, HashId
from hermes_core.crypto.secret import SecretBytes, wipe_bytes
from hermes_core.crypto.sodium import ffi

MAX_BLOCKS: Final = 255


def extract(hash_id: HashId, salt: bytes | bytearray, ikm: SecretBytes) -> SecretBytes:
    """HKDF-Extract: HMAC(salt, ikm), as long as the hash."""
    prk = SecretBytes(DIGEST_BYTES[hash_id])
    digest = hmac.digest(salt, ikm.buffer, NAME[hash_id])
    ffi.memmove(prk.buffer, digest, len(digest))  # a slice assignment would make one more copy
    wipe_bytes(digest)
    return prk


def expand(hash_id: HashId, prk: SecretBytes, info: bytes, length: int) -> SecretBytes:
    """HKDF-Expand to `length` bytes, at most 255 times the hash."""
    if not 0 < length <= MAX_BLOCKS * DIGEST_BYTES[hash_id]:
        raise ValueError("HKDF gives 1 byte to 255 blocks")
    okm = SecretBytes(length)
    HKDFExpand(ALGORITHM[hash_id], length, info).derive_into(prk.buffer, okm.buffer)
    return okm
