"""The floor: a commit counter that a keystore has surely reached, sealed in a small file beside it.

SQLite drops a log that is missing, emptied or cut between two commits without a word. The floor is written once the commits it
names are durable, so an honest keystore is never found below it.

The file holds it twice, each in a sector of its own: both are replaced, durably, with each new log; between that, the second
alone is overwritten and not synced, which costs nothing and is lost with the power only.
"""

from __future__ import annotations

import struct
from typing import Final

from hermes_core.crypto.random import RandomSource, generate_bytes
from hermes_core.crypto.secret import SecretBytes, wipe_buffer
from hermes_core.crypto.xaead import NONCE_BYTES, TAG_BYTES, InvalidTagError, open_xchacha, seal_xchacha
from hermes_core.errors import KeystoreTamperedError
from hermes_core.keystore import labels
from hermes_core.keystore.keys import KEY_BYTES
from hermes_core.keystore.rollback import Rollback, RollbackSign
from hermes_core.keystore.tables import FILE_ID_BYTES
from hermes_core.values import dataclass

FLOOR_KEY: Final = b"floor"
"""Where the floor's key is, in table HISTORY."""
FLOOR_INTERVAL_S: Final = 1.0
"""While a log grows the floor follows at most this often; what is younger is left to the marks."""

_COUNTER: Final = struct.Struct(">Q")
SEALED_FLOOR_BYTES: Final = FILE_ID_BYTES + NONCE_BYTES + _COUNTER.size + TAG_BYTES
SECOND_AT: Final = 512
"""A disk writes a sector as a whole or not at all: a power cut leaves the second floor as it was, or as it was to be."""
FLOOR_FILE_BYTES: Final = SECOND_AT + SEALED_FLOOR_BYTES


@dataclass(frozen=True, slots=True)
class FloorKey:
    """`armed`: the file has been written since the key was made, so that its absence means something."""

    key: SecretBytes
    armed: bool


def encode_floor_key(floor: FloorKey) -> bytearray:
    """u8(armed) ‖ key(32); the caller wipes it."""
    encoded = bytearray(1 + KEY_BYTES)
    encoded[0] = floor.armed
    encoded[1:] = floor.key.buffer
    return encoded


def parse_floor_key(value: bytearray) -> FloorKey:
    """Wipes `value`. KeystoreTamperedError when it is not well formed."""
    try:
        if len(value) != 1 + KEY_BYTES or value[0] > 1:
            raise KeystoreTamperedError("the floor's key is not well formed")
        return FloorKey(SecretBytes.copy_of(memoryview(value)[1:]), armed=bool(value[0]))
    finally:
        wipe_buffer(value)


def seal_floor(key: SecretBytes, file_id: bytes, counter: int, random: RandomSource) -> bytes:
    """File id(16) ‖ nonce(24) ‖ box of u64(counter), with the file id in its associated data: 64 bytes."""
    nonce = generate_bytes(NONCE_BYTES, random)  # 192 random bits: cannot repeat in practice (xaead.py)
    return file_id + nonce + seal_xchacha(key, nonce, _COUNTER.pack(counter), labels.FLOOR + file_id)


def encode_floor_file(sealed: bytes) -> bytes:
    """A whole file: the sealed floor, zeros up to 512, the same floor again."""
    return sealed.ljust(SECOND_AT, b"\0") + sealed


def open_floor_file(key: SecretBytes, file_id: bytes, data: bytes) -> int | None:
    """The higher of the two floors; None unless both are this keystore's, and nothing else is there."""
    if len(data) != FLOOR_FILE_BYTES or any(data[SEALED_FLOOR_BYTES:SECOND_AT]):
        return None
    first, second = (open_floor(key, file_id, data[at : at + SEALED_FLOOR_BYTES]) for at in (0, SECOND_AT))
    return None if first is None or second is None else max(first, second)


def open_floor(key: SecretBytes, file_id: bytes, data: bytes) -> int | None:
    """The counter; None unless this keystore wrote it."""
    if len(data) != SEALED_FLOOR_BYTES or not data.startswith(file_id):
        return None
    nonce, box = data[FILE_ID_BYTES : FILE_ID_BYTES + NONCE_BYTES], data[FILE_ID_BYTES + NONCE_BYTES :]
    try:
        plaintext = open_xchacha(key, nonce, box, labels.FLOOR + file_id)
    except InvalidTagError:
        return None
    return int(_COUNTER.unpack(plaintext)[0])


def judge_floor(floor: FloorKey | None, file_id: bytes, data: bytes | None, found: int) -> Rollback | None:
    """What the file beside a keystore says of it; `data` None: there is no such file, `found`: the keystore's commit counter.

    A keystore of an older Hermes has no key yet. One whose key is not armed was killed before it wrote its first floor.
    """
    if floor is None:
        return None if data is None else Rollback(RollbackSign.FLOOR_UNKNOWN, 0, found)
    if data is None:
        return Rollback(RollbackSign.FLOOR_MISSING, 0, found) if floor.armed else None
    counter = open_floor_file(floor.key, file_id, data)
    if counter is None:
        return Rollback(RollbackSign.FLOOR_DAMAGED, 0, found)
    return Rollback(RollbackSign.BELOW_FLOOR, counter, found) if found < counter else None
