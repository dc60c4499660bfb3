"""Resume witnesses in the keystore: take one, read one back, compare it with what is there now. Blocking."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from hermes_core.crypto.random import RandomSource, generate_bytes
from hermes_core.errors import KeystoreTamperedError
from hermes_core.ids import ChatId
from hermes_core.keystore.chat_record import ChatState
from hermes_core.keystore.witness import (
    ClosedValues,
    Comparison,
    compare_snapshots,
    derive_closed_values,
    may_be_pruned,
    plan_witness,
)
from hermes_core.keystore.witness_codec import (
    INDEX_KEY,
    WITNESS_ID_BYTES,
    ClosedNote,
    KeptWitness,
    Snapshot,
    digest_snapshot,
    parse_closed,
    parse_index,
    parse_snapshot,
)
from hermes_core.relay.describe import ChatDescription
from hermes_keystore import Keystore, KeystoreMark, Table


@dataclass(frozen=True, slots=True)
class TakenWitness:
    witness_id: bytes
    digest: bytes
    chats: int
    mark: KeystoreMark


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
    """Seal a snapshot in one commit, whose mark it returns."""
    witness_id = generate_bytes(WITNESS_ID_BYTES, random)
    closed = {ChatId(chat_id): parse_closed(value) for chat_id, value in keystore.load(Table.CLOSED)}
    plan = plan_witness(_read_index(keystore), closed, snapshot, witness_id)
    mark = keystore.commit(plan.puts, plan.deletes)
    return TakenWitness(witness_id, plan.digest, len(snapshot), mark)


def read_closed_values(keystore: Keystore) -> ClosedValues | None:
    """What to store for chats that end or move from now on; None: nothing."""
    return derive_closed_values(_read_index(keystore))


@dataclass(frozen=True, slots=True)
class StoredWitness:
    """What was sealed, the digest of it, and the number of the witness among all."""

    snapshot: Snapshot
    digest: bytes
    sequence: int


def read_snapshot(keystore: Keystore, witness_id: bytes) -> StoredWitness:
    """A kept snapshot; UnknownWitnessError when it is not there."""
    kept = _read_index(keystore)
    for witness in kept:
        if witness.witness_id == witness_id:
            chunks = [keystore.get(Table.WITNESS, key) for key in witness.chunk_keys()]
            found = [bytes(chunk) for chunk in chunks if chunk is not None]
            if len(found) != witness.chunks:
                raise KeystoreTamperedError("a part of a resume witness is missing")
            return StoredWitness(parse_snapshot(found), digest_snapshot(found), witness.sequence)
    raise UnknownWitnessError(pruned=may_be_pruned(kept))


def compare_snapshot(keystore: Keystore, before: StoredWitness, now: Snapshot) -> Comparison:
    """Every chat of `before` has to be there and not lower, or to have ended or moved since."""
    notes: dict[ChatId, ClosedNote] = {}
    for chat_id in before.snapshot:
        value = keystore.get(Table.CLOSED, chat_id)
        note = None if value is None else parse_closed(value)
        if note is not None and note.sequence >= before.sequence:
            notes[chat_id] = note
    return compare_snapshots(before.snapshot, now, notes)


def _read_index(keystore: Keystore) -> list[KeptWitness]:
    data = keystore.get(Table.META, INDEX_KEY)
    return [] if data is None else parse_index(data)
