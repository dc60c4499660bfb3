"""Sealing one record: hidden row key, XChaCha20-Poly1305 box, associated data that pins it to its place, and generation."""

from __future__ import annotations

import hashlib
import struct
from typing import Final

from hermes_core.crypto.random import RandomSource, generate_bytes
from hermes_core.crypto.secret import wipe_buffer
from hermes_core.crypto.xaead import NONCE_BYTES, TAG_BYTES, InvalidTagError, open_xchacha, seal_xchacha_in_place
from hermes_core.errors import KeystoreError, KeystoreTamperedError
from hermes_core.keystore import labels
from hermes_core.keystore.keys import GenerationKeys
from hermes_core.keystore.tables import MAX_KEY_BYTES, MAX_VALUE_BYTES, ROW_KEY_BYTES, Table
from hermes_core.values import dataclass

_KEY_LENGTH_BYTES: Final = 1
MIN_SEALED_BYTES: Final = NONCE_BYTES + _KEY_LENGTH_BYTES + TAG_BYTES
MAX_SEALED_BYTES: Final = MIN_SEALED_BYTES + MAX_KEY_BYTES + MAX_VALUE_BYTES

_AAD_HEAD: Final = struct.Struct(f">{len(labels.RECORD)}s16sQ")
_AAD_PLACE: Final = struct.Struct(f">BB{ROW_KEY_BYTES}s")


@dataclass(frozen=True, slots=True)
class SealedRow:
    """One row as it stands on disk. `sealed` is nonce(24) ‖ ciphertext ‖ tag(16)."""

    row_key: bytes
    table: int
    version: int
    sealed: bytes


class RecordSealer:
    """Seals and opens the records of one generation.

    AAD = label ‖ file id ‖ generation ‖ table ‖ record version ‖ row key: a box opens only in the place it was written for.
    Plaintext = u8(key length) ‖ record key ‖ value, so that neither the record key nor its length is readable on disk.
    """

    __slots__ = ("_aad_head", "_key", "_row_key")

    def __init__(self, keys: GenerationKeys) -> None:
        self._key = keys.record
        self._row_key = keys.row_key
        self._aad_head = _AAD_HEAD.pack(labels.RECORD, keys.file_id, keys.generation)

    def derive_row_key(self, table: int, key: bytes) -> bytes:
        """What stands on disk instead of the record key: BLAKE2b-128(row key subkey, u8(table) ‖ key)."""
        digest = hashlib.blake2b(bytes((table,)), key=self._row_key.buffer, digest_size=ROW_KEY_BYTES)
        digest.update(key)
        return digest.digest()

    def seal(self, table: Table, key: bytes, version: int, value: bytes | bytearray, random: RandomSource) -> SealedRow:
        """Seal one record; `value` stays the caller's to wipe."""
        if len(key) > MAX_KEY_BYTES or len(value) > MAX_VALUE_BYTES:
            raise KeystoreError(f"a record of table {table.name} is larger than the keystore takes")
        row_key = self.derive_row_key(table, key)
        box = bytearray(_KEY_LENGTH_BYTES + len(key) + len(value) + TAG_BYTES)
        box[0] = len(key)
        box[1 : 1 + len(key)] = key
        box[1 + len(key) : -TAG_BYTES] = value
        nonce = generate_bytes(NONCE_BYTES, random)  # 192 random bits: cannot repeat in practice (xaead.py)
        seal_xchacha_in_place(self._key, nonce, box, self._aad_head + _AAD_PLACE.pack(table, version, row_key))
        return SealedRow(row_key, int(table), version, nonce + box)

    def open(self, row_key: bytes, table: int, version: int, sealed: bytes) -> tuple[bytes, bytearray]:
        """Record key and value (the caller wipes it); KeystoreTamperedError unless this row was sealed here, for this place."""
        aad = self._aad_head + _AAD_PLACE.pack(table, version, row_key)
        try:
            plaintext = open_xchacha(self._key, sealed[:NONCE_BYTES], memoryview(sealed)[NONCE_BYTES:], aad)
        except (InvalidTagError, ValueError):
            raise KeystoreTamperedError(f"a record of table {table} is not authentic") from None
        start = _KEY_LENGTH_BYTES + plaintext[0] if plaintext else 1
        if start > len(plaintext):
            wipe_buffer(plaintext)
            raise KeystoreTamperedError(f"a record of table {table} is not well formed")
        key = bytes(plaintext[_KEY_LENGTH_BYTES:start])
        del plaintext[:start]  # moves the start of the buffer, not the value: no copy is left behind
        return key, plaintext


class Sealers:
    """The generations that live: the current one, which seals, and while a rotation runs the former one."""

    __slots__ = ("current", "each", "former")

    def __init__(self, keys: GenerationKeys, former: GenerationKeys | None) -> None:
        self.current = RecordSealer(keys)
        self.former = None if former is None else RecordSealer(former)
        self.each = (self.current,) if self.former is None else (self.current, self.former)

    def open(self, row_key: bytes, table: int, version: int, sealed: bytes) -> tuple[bytes, bytearray]:
        """`RecordSealer.open` of whichever generation sealed the row; KeystoreTamperedError when none of these did."""
        if self.former is None:
            return self.current.open(row_key, table, version, sealed)
        try:
            return self.current.open(row_key, table, version, sealed)
        except KeystoreTamperedError:
            return self.former.open(row_key, table, version, sealed)

    def is_current(self, row_key: bytes, table: int, version: int, sealed: bytes) -> bool:
        """Whether this row is the current generation's, not the former one's; KeystoreTamperedError when it is neither's."""
        current = True
        try:
            _, value = self.current.open(row_key, table, version, sealed)
        except KeystoreTamperedError:
            if self.former is None:
                raise
            current = False
            _, value = self.former.open(row_key, table, version, sealed)
        wipe_buffer(value)
        return current
