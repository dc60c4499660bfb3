"""Resume witnesses: which snapshots are kept, what is noted for chats that end, and how a snapshot compares afterwards.

The operator holds a witness's id, digest and keystore mark outside; the snapshot itself stays sealed in the keystore.
A store that was rolled back lacks the snapshot, or is behind the mark.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from hermes_core.ids import ChatId
from hermes_core.keystore.tables import Table
from hermes_core.keystore.witness_codec import (
    INDEX_KEY,
    ClosedNote,
    KeptWitness,
    SideMark,
    Snapshot,
    digest_snapshot,
    encode_closed,
    encode_index,
    encode_snapshot,
)

KEPT_WITNESSES: Final = 4


@dataclass(frozen=True, slots=True)
class WitnessPlan:
    """One commit's puts and deletes, and the digest that the witness's holder gets."""

    digest: bytes
    puts: dict[tuple[Table, bytes], bytes]
    deletes: set[tuple[Table, bytes]]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Chats of a witness that ended properly, are unaccounted for, are lower than they were, or of which a hop moved."""

    closed_since: int
    missing: int
    lowered: int
    moved_since: int = 0


def plan_witness(
    kept: list[KeptWitness], closed: Mapping[ChatId, ClosedNote], snapshot: Snapshot, witness_id: bytes
) -> WitnessPlan:
    """Add a snapshot, keep the newest KEPT_WITNESSES, forget closed chats that no kept witness can ask for.

    `closed`: what was noted for each chat that ended or moved.
    """
    chunks = encode_snapshot(snapshot)
    taken = KeptWitness(kept[-1].sequence + 1 if kept else 1, witness_id, len(chunks))
    every = [*kept, taken]
    dropped, remaining = every[:-KEPT_WITNESSES], every[-KEPT_WITNESSES:]
    puts = {(Table.WITNESS, key): chunk for key, chunk in zip(taken.chunk_keys(), chunks, strict=True)}
    puts[Table.META, INDEX_KEY] = encode_index(remaining)
    deletes: set[tuple[Table, bytes]] = {(Table.WITNESS, key) for witness in dropped for key in witness.chunk_keys()}
    deletes |= {(Table.CLOSED, chat_id) for chat_id, note in closed.items() if note.sequence < remaining[0].sequence}
    return WitnessPlan(digest_snapshot(chunks), puts, deletes)


@dataclass(frozen=True, slots=True)
class ClosedValues:
    """What to store from now on for a chat that ends, and for one that moves."""

    ended: bytes
    moved: bytes


def derive_closed_values(kept: list[KeptWitness]) -> ClosedValues | None:
    """With the sequence of the newest witness; None when nobody can ask for it."""
    if not kept:
        return None
    return ClosedValues(encode_closed(kept[-1].sequence), encode_closed(kept[-1].sequence, moved=True))


def may_be_pruned(kept: list[KeptWitness]) -> bool:
    """Whether a witness that is not in the list may only be too old to be kept."""
    return len(kept) >= KEPT_WITNESSES


def compare_snapshots(before: Snapshot, now: Snapshot, notes: Mapping[ChatId, ClosedNote]) -> Comparison:
    """Every chat of `before` has to be there and not lower, or to have ended or moved since, as `notes` say.

    `notes`: those of the time since the witness. A chat that moved has hops whose epochs began anew: nothing of it is lower.
    """
    moved = {chat_id for chat_id in before if chat_id in notes and notes[chat_id].moved}
    gone = before.keys() - now.keys() - moved
    ended = gone & notes.keys()
    lowered = sum(
        any(_is_lower(new, old) for new, old in zip(now[chat_id], sides, strict=True))
        for chat_id, sides in before.items()
        if chat_id in now and chat_id not in moved
    )
    return Comparison(len(ended), len(gone) - len(ended), lowered, len(moved))


def _is_lower(new: SideMark, old: SideMark) -> bool:
    """A new epoch starts its positions anew; within an epoch neither direction may fall back."""
    if new[0] != old[0]:
        return new[0] < old[0]
    return new[1] < old[1] or new[2] < old[2]
