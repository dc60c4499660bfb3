"""The hash of a channel: SHA-256 or SHA-512, plain and as HMAC (RFC 2104)."""

from __future__ import annotations

import hashlib
import hmac
from enum import IntEnum
from typing import Final

from cryptography.hazmat.primitives import hashes

from hermes_core.crypto.secret import SecretBytes


class HashId(IntEnum):
    """That of a suite."""

    SHA256 = 1
    SHA512 = 2


ALGORITHM: Final[dict[HashId, hashes.HashAlgorithm]] = {HashId.SHA256: hashes.SHA256(), HashId.SHA512: hashes.SHA512()}
NAME: Final[dict[HashId, str]] = {HashId.SHA256: "sha256", HashId.SHA512: "sha512"}
DIGEST_BYTES: Final[dict[HashId, int]] = {HashId.SHA256: 32, HashId.SHA512: 64}


def hash_bytes(hash_id: HashId, data: bytes) -> bytes:
    return hashlib.new(NAME[hash_id], data).digest()


def compute_tag(hash_id: HashId, key: SecretBytes, data: bytes) -> bytes:
    """HMAC over `data`: 32 or 64 bytes, public."""
    return hmac.digest(key.buffer, data, NAME[hash_id])


def equal_tags(ours: bytes, theirs: bytes) -> bool:
    """Constant-time comparison; different lengths are unequal."""
    return hmac.compare_digest(ours, theirs)
