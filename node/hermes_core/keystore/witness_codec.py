"""Resume witnesses on disk: the snapshot in chunks, the list of those that are kept, and the note of a chat that ended.

snapshot   chat id(16) ‖ per side u32(epoch) ‖ u64(send reserved) ‖ u64(receive reserved); chats in ascending order
list       per witness u64(sequence) ‖ witness id(16) ‖ u16(chunks); oldest first
note       u64(sequence of the newest witness when the chat ended), with u8(1) behind it when it moved instead
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from hermes_core.errors import KeystoreTamperedError
from hermes_core.ids import CHAT_ID_BYTES, ChatId

WITNESS_ID_BYTES: Final = 16
CHATS_A_CHUNK: Final = 16384  # 56 bytes each: below the keystore's 1 MiB a value
INDEX_KEY: Final = b"witnesses"
"""Where the list of kept witnesses is, in table META."""

_ENTRY: Final = struct.Struct(f">{CHAT_ID_BYTES}s" + "IQQ" * 2)
_INDEX_ENTRY: Final = struct.Struct(f">Q{WITNESS_ID_BYTES}sH")
_SEQUENCE: Final = struct.Struct(">Q")
_MOVED: Final = b"\x01"

SideMark = tuple[int, int, int]
"""Epoch, send reserved, receive reserved; compared in this order."""
Snapshot = dict[ChatId, tuple[SideMark, SideMark]]


@dataclass(frozen=True, slots=True)
class ClosedNote:
    """What became of a chat while the witness of this `sequence` was the newest: it ended, or `moved`.

    A chat that moved may still be here, with a hop that began anew.
    """

    sequence: int
    moved: bool = False


@dataclass(frozen=True, slots=True)
class KeptWitness:
    """An entry of the list: the snapshot lies in `chunks` rows of table WITNESS."""

    sequence: int
    witness_id: bytes
    chunks: int

    def chunk_keys(self) -> list[bytes]:
        return [self.witness_id + number.to_bytes(2, "big") for number in range(self.chunks)]


def encode_snapshot(snapshot: Snapshot) -> list[bytes]:
    """In chunks, each of which fits a record; an empty snapshot is one empty chunk."""
    entries = [_ENTRY.pack(chat_id, *first, *second) for chat_id, (first, second) in sorted(snapshot.items())]
    return [b"".join(entries[start : start + CHATS_A_CHUNK]) for start in range(0, max(1, len(entries)), CHATS_A_CHUNK)]


def parse_snapshot(chunks: Iterable[bytes]) -> Snapshot:
    """KeystoreTamperedError when it is not well formed."""
    snapshot: Snapshot = {}
    for chunk in chunks:
        if len(chunk) % _ENTRY.size:
            raise KeystoreTamperedError("a resume witness is not well formed")
        for chat_id, *numbers in _ENTRY.iter_unpack(chunk):
            first, second = tuple(numbers[:3]), tuple(numbers[3:])
            snapshot[ChatId(chat_id)] = (first, second)
    return snapshot


def digest_snapshot(chunks: Iterable[bytes]) -> bytes:
    """SHA-256 of the encoded snapshot: what the holder of a witness compares."""
    return hashlib.sha256(b"".join(chunks)).digest()


def encode_index(kept: Iterable[KeptWitness]) -> bytes:
    return b"".join(_INDEX_ENTRY.pack(witness.sequence, witness.witness_id, witness.chunks) for witness in kept)


def parse_index(data: bytes | bytearray) -> list[KeptWitness]:
    """KeystoreTamperedError when it is not well formed."""
    if len(data) % _INDEX_ENTRY.size:
        raise KeystoreTamperedError("the list of resume witnesses is not well formed")
    return [KeptWitness(*entry) for entry in _INDEX_ENTRY.iter_unpack(data)]


def encode_closed(sequence: int, *, moved: bool = False) -> bytes:
    return _SEQUENCE.pack(sequence) + (_MOVED if moved else b"")


def parse_closed(value: bytes | bytearray) -> ClosedNote:
    """KeystoreTamperedError when it is not well formed."""
    if len(value) < _SEQUENCE.size or value[_SEQUENCE.size :] not in (b"", _MOVED):
        raise KeystoreTamperedError("a closed chat's row is not well formed")
    return ClosedNote(int(_SEQUENCE.unpack_from(value)[0]), moved=len(value) > _SEQUENCE.size)
