"""The digest over all rows: a keyed multiset hash (Clarke et al., 2003, MSet-Add) that a commit updates in O(rows changed).

Sum modulo 2^256 of BLAKE2b-256(set digest subkey, u8(table) ‖ u8(version) ‖ row key ‖ sealed). Who lacks the key can neither
compute a summand nor see the sum (it is kept sealed), so no set of old, moved, copied or missing rows gives the same sum.
"""

from __future__ import annotations

import hashlib
import struct
from typing import Final

from hermes_core.crypto.secret import SecretBytes
from hermes_core.keystore.tables import ROW_KEY_BYTES

DIGEST_BYTES: Final = 32
_MODULUS_MASK: Final = (1 << (8 * DIGEST_BYTES)) - 1
_PLACE: Final = struct.Struct(f">BB{ROW_KEY_BYTES}s")


class SetDigest:
    """A running digest; `value` is an integer below 2^256."""

    __slots__ = ("_key", "value")

    def __init__(self, key: SecretBytes, value: int = 0) -> None:
        self._key = key
        self.value = value

    def add(self, row_key: bytes, table: int, version: int, sealed: bytes) -> None:
        self.value = (self.value + self._derive_summand(row_key, table, version, sealed)) & _MODULUS_MASK

    def remove(self, row_key: bytes, table: int, version: int, sealed: bytes) -> None:
        self.value = (self.value - self._derive_summand(row_key, table, version, sealed)) & _MODULUS_MASK

    def _derive_summand(self, row_key: bytes, table: int, version: int, sealed: bytes) -> int:
        digest = hashlib.blake2b(_PLACE.pack(table, version, row_key), key=self._key.buffer, digest_size=DIGEST_BYTES)
        digest.update(sealed)
        return int.from_bytes(digest.digest(), "big")
