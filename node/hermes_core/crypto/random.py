"""Randomness from libsodium, written straight into a secret's own buffer."""

from __future__ import annotations

from hermes_core.crypto.secret import SecretBytes
from hermes_core.crypto.sodium import lib, pointer


def generate_secret(length: int) -> SecretBytes:
    """`length` fresh random bytes; no other copy exists."""
    secret = SecretBytes(length)
    lib.randombytes(pointer(secret.buffer), length)
    return secret
