"""Resume witnesses: which snapshots are kept, what is noted for chats that end, and how a snapshot compares afterwards.

The operator holds a witness's id, digest and keystore mark outside; the snapshot itself stays sealed in the keystore.
A store that was rolled back lacks the snapshot, or is behind the mark.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from hermes_core.ids import ChatId
from hermes_core.keystore.tables import Table
from hermes_core.keystore.witness_codec import (
    INDEX_KEY,
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
    """Chats of a witness that are gone properly, unaccounted for, or lower than they were."""

    closed_since: int
    missing: int
    lowered: int


def plan_witness(kept: list[KeptWitness], closed: Mapping[ChatId, int], snapshot: Snapshot, witness_id: bytes) -> WitnessPlan:
    """Add a snapshot, keep the newest KEPT_WITNESSES, forget closed chats that no kept witness can ask for.

    `closed`: the sequence noted for each chat that ended.
    """
    chunks = encode_snapshot(snapshot)
    taken = KeptWitness(kept[-1].sequence + 1 if kept else 1, witness_id, len(chunks))
    every = [*kept, taken]
    dropped, remaining = every[:-KEPT_WITNESSES], every[-KEPT_WITNESSES:]
    puts = {(Table.WITNESS, key): chunk for key, chunk in zip(taken.chunk_keys(), chunks, strict=True)}
    puts[Table.META, INDEX_KEY] = encode_index(remaining)
    deletes: set[tuple[Table, bytes]] = {(Table.WITNESS, key) for witness in dropped for key in witness.chunk_keys()}
    deletes |= {(Table.CLOSED, chat_id) for chat_id, sequence in closed.items() if sequence < remaining[0].sequence}
    return WitnessPlan(digest_snapshot(chunks), puts, deletes)


def derive_closed_note(kept: list[KeptWitness]) -> bytes | None:
    """What to store for a chat that ends from now on: the sequence of the newest witness; None when nobody can ask for it."""
    return encode_closed(kept[-1].sequence) if kept else None


def may_be_pruned(kept: list[KeptWitness]) -> bool:
    """Whether a witness that is not in the list may only be too old to be kept."""
    return len(kept) >= KEPT_WITNESSES


def compare_snapshots(before: Snapshot, now: Snapshot, closed: Collection[ChatId]) -> Comparison:
    """Every chat of `before` has to be there and not lower, or to be among the `closed` ones."""
    gone = before.keys() - now.keys()
    accounted_for = gone & set(closed)
    lowered = sum(
        any(_is_lower(new, old) for new, old in zip(now[chat_id], sides, strict=True))
        for chat_id, sides in before.items()
        if chat_id in now
    )
    return Comparison(len(accounted_for), len(gone) - len(accounted_for), lowered)


def _is_lower(new: SideMark, old: SideMark) -> bool:
    """A new epoch starts its positions anew; within an epoch neither direction may fall back."""
    if new[0] != old[0]:
        return new[0] < old[0]
    return new[1] < old[1] or new[2] < old[2]
