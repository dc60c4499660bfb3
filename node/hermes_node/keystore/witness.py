"""Resume witnesses: what every chat's record was before a restart, sealed, and how it compares afterwards.

The operator holds a witness's id, digest and keystore mark outside; the snapshot itself stays sealed in the keystore.
A store that was rolled back lacks the snapshot, or is behind the mark.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from hermes_core.crypto.random import RandomSource, generate_bytes
from hermes_core.errors import KeystoreTamperedError
from hermes_core.ids import CHAT_ID_BYTES, ChatId
from hermes_core.keystore.chat_record import ChatState
from hermes_core.relay.chat import ChatDescription
from hermes_node.keystore import Keystore, KeystoreMark, Table

WITNESS_ID_BYTES: Final = 16
KEPT_WITNESSES: Final = 4
CHATS_A_CHUNK: Final = 16384  # 56 bytes each: below the keystore's 1 MiB a value
INDEX_KEY: Final = b"witnesses"

_ENTRY: Final = struct.Struct(f">{CHAT_ID_BYTES}s" + "IQQ" * 2)  # chat; per side: epoch, send reserved, receive reserved
_INDEX_ENTRY: Final = struct.Struct(f">Q{WITNESS_ID_BYTES}sH")  # sequence, id, chunks
_SEQUENCE: Final = struct.Struct(">Q")

SideMark = tuple[int, int, int]
"""Epoch, send reserved, receive reserved; compared in this order."""
Snapshot = dict[ChatId, tuple[SideMark, SideMark]]


@dataclass(frozen=True, slots=True)
class TakenWitness:
    witness_id: bytes
    digest: bytes
    chats: int
    mark: KeystoreMark


@dataclass(frozen=True, slots=True)
class Comparison:
    """Chats of a witness that are gone properly, unaccounted for, or lower than they were."""

    closed_since: int
    missing: int
    lowered: int


class UnknownWitnessError(Exception):
    """The snapshot is not in this keystore. `pruned`: it may only be too old to be kept."""

    def __init__(self, *, pruned: bool) -> None:
        super().__init__("unknown witness")
        self.pruned = pruned


def build_snapshot(descriptions: Iterable[ChatDescription]) -> Snapshot:
    """What has to be there after a restart: chats that are confirmed; one that is still pending is not stored yet."""
    snapshot: Snapshot = {}
    for chat in descriptions:
        if chat.state is not ChatState.PENDING:
            first, second = ((side.epoch, side.send_reserved, side.recv_reserved) for side in chat.sides)
            snapshot[chat.chat_id] = (first, second)
    return snapshot


def take_witness(keystore: Keystore, snapshot: Snapshot, random: RandomSource) -> TakenWitness:
    """Seal a snapshot, keep the newest KEPT_WITNESSES, forget closed chats that no kept witness can ask for. Blocking."""
    index = _read_index(keystore)
    sequence = index[-1][0] + 1 if index else 1
    witness_id = generate_bytes(WITNESS_ID_BYTES, random)
    chunks = list(_encode_chunks(snapshot))
    index.append((sequence, witness_id, len(chunks)))
    dropped, kept = index[:-KEPT_WITNESSES], index[-KEPT_WITNESSES:]
    puts: dict[tuple[Table, bytes], bytes | bytearray] = {
        (Table.WITNESS, _chunk_key(witness_id, number)): chunk for number, chunk in enumerate(chunks)
    }
    puts[Table.META, INDEX_KEY] = b"".join(_INDEX_ENTRY.pack(*entry) for entry in kept)
    deletes = {(Table.WITNESS, _chunk_key(old_id, number)) for _, old_id, count in dropped for number in range(count)}
    oldest = kept[0][0]
    deletes |= {(Table.CLOSED, chat_id) for chat_id, value in keystore.load(Table.CLOSED) if _parse_sequence(value) < oldest}
    mark = keystore.commit(puts, deletes)
    return TakenWitness(witness_id, _digest(chunks), len(snapshot), mark)


def read_closed_value(keystore: Keystore) -> bytes | None:
    """What to store for a chat that ends from now on: the sequence of the newest witness; None when there is none."""
    index = _read_index(keystore)
    return _SEQUENCE.pack(index[-1][0]) if index else None


def read_snapshot(keystore: Keystore, witness_id: bytes) -> tuple[Snapshot, bytes]:
    """A kept snapshot and its digest; UnknownWitnessError when it is not there."""
    index = _read_index(keystore)
    for _, known_id, count in index:
        if known_id == witness_id:
            chunks = [keystore.get(Table.WITNESS, _chunk_key(witness_id, number)) for number in range(count)]
            found = [bytes(chunk) for chunk in chunks if chunk is not None]
            if len(found) != count:
                raise KeystoreTamperedError("a part of a resume witness is missing")
            return _parse_chunks(found), _digest(found)
    raise UnknownWitnessError(pruned=len(index) >= KEPT_WITNESSES)


def compare_snapshot(keystore: Keystore, before: Snapshot, now: Snapshot) -> Comparison:
    """Every chat of `before` has to be there and not lower, or to have ended since."""
    closed = missing = lowered = 0
    for chat_id, sides in before.items():
        current = now.get(chat_id)
        if current is None:
            if keystore.get(Table.CLOSED, chat_id) is not None:
                closed += 1
            else:
                missing += 1
        elif any(_is_lower(new, old) for new, old in zip(current, sides, strict=True)):
            lowered += 1
    return Comparison(closed, missing, lowered)


def _is_lower(new: SideMark, old: SideMark) -> bool:
    """A new epoch starts its positions anew; within an epoch neither direction may fall back."""
    if new[0] != old[0]:
        return new[0] < old[0]
    return new[1] < old[1] or new[2] < old[2]


def _encode_chunks(snapshot: Snapshot) -> Iterator[bytes]:
    entries = [_ENTRY.pack(chat_id, *first, *second) for chat_id, (first, second) in sorted(snapshot.items())]
    for start in range(0, max(1, len(entries)), CHATS_A_CHUNK):
        yield b"".join(entries[start : start + CHATS_A_CHUNK])


def _parse_chunks(chunks: list[bytes]) -> Snapshot:
    snapshot: Snapshot = {}
    for chunk in chunks:
        if len(chunk) % _ENTRY.size:
            raise KeystoreTamperedError("a resume witness is not well formed")
        for chat_id, *numbers in _ENTRY.iter_unpack(chunk):
            first, second = tuple(numbers[:3]), tuple(numbers[3:])
            snapshot[ChatId(chat_id)] = (first, second)
    return snapshot


def _read_index(keystore: Keystore) -> list[tuple[int, bytes, int]]:
    data = keystore.get(Table.META, INDEX_KEY)
    if data is None:
        return []
    if len(data) % _INDEX_ENTRY.size:
        raise KeystoreTamperedError("the list of resume witnesses is not well formed")
    return [(sequence, witness_id, chunks) for sequence, witness_id, chunks in _INDEX_ENTRY.iter_unpack(data)]


def _chunk_key(witness_id: bytes, number: int) -> bytes:
    return witness_id + number.to_bytes(2, "big")


def _parse_sequence(value: bytearray) -> int:
    if len(value) != _SEQUENCE.size:
        raise KeystoreTamperedError("a closed chat's row is not well formed")
    return int(_SEQUENCE.unpack(value)[0])


def _digest(chunks: list[bytes]) -> bytes:
    return hashlib.sha256(b"".join(chunks)).digest()
