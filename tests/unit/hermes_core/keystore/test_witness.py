"""Resume witnesses: their bytes on disk, which are kept, what is noted for chats that end, every outcome of a comparison."""

from __future__ import annotations

import random

import pytest

from hermes_core.errors import KeystoreTamperedError
from hermes_core.ids import ChatId
from hermes_core.keystore.tables import MAX_VALUE_BYTES, Table
from hermes_core.keystore.witness import (
    KEPT_WITNESSES,
    Comparison,
    compare_snapshots,
    derive_closed_values,
    may_be_pruned,
    plan_witness,
)
from hermes_core.keystore.witness_codec import (
    CHATS_A_CHUNK,
    ClosedNote,
    KeptWitness,
    SideMark,
    Snapshot,
    digest_snapshot,
    encode_closed,
    encode_index,
    encode_snapshot,
    parse_closed,
    parse_index,
    parse_snapshot,
)

SNAPSHOT: Snapshot = {
    ChatId(bytes([number]) * 16): ((number, 2**40 + number, 7), (2**32 - 1, 2**64 - 1, number)) for number in (9, 1, 5)
}
SNAPSHOT_BYTES = (
    "010101010101010101010101010101010000000100000100000000010000000000000007ffffffffffffffffffffffff0000000000000001"
    "050505050505050505050505050505050000000500000100000000050000000000000007ffffffffffffffffffffffff0000000000000005"
    "090909090909090909090909090909090000000900000100000000090000000000000007ffffffffffffffffffffffff0000000000000009"
)
SNAPSHOT_DIGEST = "0be2cccdbf19944edfde59a798feaa2f1a13d428f963d89b71cc9355d95a8908"
INDEX = [KeptWitness(1, b"\1" * 16, 1), KeptWitness(2, b"\2" * 16, 1)]
INDEX_BYTES = "0000000000000001" + "01" * 16 + "0001" + "0000000000000002" + "02" * 16 + "0001"
LARGE_DIGEST = "3b422315b6e5dbeb0c99424d6a524a1c3c39b03ae784923a11906a8464bdd7b1"


def chat(number: int) -> ChatId:
    return ChatId(number.to_bytes(16, "big"))


def test_the_bytes_on_disk_are_what_they_were() -> None:
    assert [chunk.hex() for chunk in encode_snapshot(SNAPSHOT)] == [SNAPSHOT_BYTES]
    assert digest_snapshot([bytes.fromhex(SNAPSHOT_BYTES)]).hex() == SNAPSHOT_DIGEST
    assert encode_index(INDEX).hex() == INDEX_BYTES
    assert encode_closed(2).hex() == "0000000000000002"
    assert encode_closed(2, moved=True).hex() == "000000000000000201"
    assert encode_snapshot({}) == [b""]
    assert INDEX[1].chunk_keys() == [b"\2" * 16 + b"\0\0"]


def test_what_was_encoded_comes_back() -> None:
    assert parse_snapshot([bytes.fromhex(SNAPSHOT_BYTES)]) == SNAPSHOT
    assert parse_index(bytes.fromhex(INDEX_BYTES)) == INDEX
    assert parse_closed(encode_closed(2**64 - 1)) == ClosedNote(2**64 - 1)
    assert parse_closed(encode_closed(5, moved=True)) == ClosedNote(5, moved=True)


def test_a_large_snapshot_lies_in_chunks_that_fit_a_record() -> None:
    rng = random.Random(1)
    sides = [
        (ChatId(rng.randbytes(16)), (rng.randrange(2**32), rng.randrange(2**64), rng.randrange(2**64))) for _ in range(40000)
    ]
    large: Snapshot = {chat_id: (side, side) for chat_id, side in sides}
    chunks = encode_snapshot(large)
    assert [len(chunk) for chunk in chunks] == [56 * CHATS_A_CHUNK, 56 * CHATS_A_CHUNK, 56 * (40000 - 2 * CHATS_A_CHUNK)]
    assert len(chunks[0]) <= MAX_VALUE_BYTES
    assert digest_snapshot(chunks).hex() == LARGE_DIGEST
    assert parse_snapshot(chunks) == large
    assert KeptWitness(1, bytes(16), 3).chunk_keys()[2] == bytes(16) + b"\0\2"


def test_what_is_not_well_formed_is_refused() -> None:
    for cut in (1, 55, 57):
        with pytest.raises(KeystoreTamperedError):
            parse_snapshot([bytes.fromhex(SNAPSHOT_BYTES)[:cut]])
    for index in (b"\0", bytes(25), bytes(27)):
        with pytest.raises(KeystoreTamperedError):
            parse_index(index)
    for note in (b"", bytes(7), bytes(9), bytes(8) + b"\2", bytes(8) + b"\1\1"):
        with pytest.raises(KeystoreTamperedError):
            parse_closed(note)


def test_the_newest_witnesses_are_kept_and_notes_nobody_can_ask_for_are_forgotten() -> None:
    kept: list[KeptWitness] = []
    for number in range(1, KEPT_WITNESSES + 1):
        plan = plan_witness(kept, {}, SNAPSHOT, bytes([number]) * 16)
        assert plan.deletes == set()
        kept = parse_index(plan.puts[Table.META, b"witnesses"])
    assert [witness.sequence for witness in kept] == [1, 2, 3, 4]
    plan = plan_witness(
        kept, {chat(1): ClosedNote(1), chat(2): ClosedNote(2), chat(3): ClosedNote(4, moved=True)}, SNAPSHOT, bytes([5]) * 16
    )
    assert [witness.sequence for witness in parse_index(plan.puts[Table.META, b"witnesses"])] == [2, 3, 4, 5]
    # The note of a chat that ended before the oldest kept witness was taken: no snapshot that is left can name that chat.
    assert plan.deletes == {(Table.WITNESS, b"\1" * 16 + b"\0\0"), (Table.CLOSED, chat(1))}
    assert plan.puts[Table.WITNESS, b"\5" * 16 + b"\0\0"].hex() == SNAPSHOT_BYTES
    assert plan.digest.hex() == SNAPSHOT_DIGEST


def test_nothing_is_noted_for_ended_chats_before_the_first_witness() -> None:
    assert derive_closed_values([]) is None
    values = derive_closed_values(INDEX)
    assert values is not None
    assert (values.ended, values.moved) == (encode_closed(2), encode_closed(2, moved=True))


@pytest.mark.parametrize(("count", "pruned"), [(0, False), (KEPT_WITNESSES - 1, False), (KEPT_WITNESSES, True)])
def test_an_unknown_witness_may_be_pruned_only_when_the_list_is_full(count: int, pruned: bool) -> None:
    assert may_be_pruned([KeptWitness(number, bytes(16), 1) for number in range(count)]) is pruned


OLD: SideMark = (3, 100, 200)
COMPARISONS: list[tuple[SideMark, int]] = [
    ((3, 100, 200), 0),
    ((3, 101, 250), 0),
    ((4, 0, 0), 0),  # a new epoch starts its positions anew
    ((3, 99, 200), 1),
    ((3, 100, 199), 1),
    ((3, 500, 199), 1),
    ((2, 900, 900), 1),
]


@pytest.mark.parametrize(("new", "lowered"), COMPARISONS)
def test_a_chat_is_lower_when_either_side_is(new: SideMark, lowered: int) -> None:
    before: Snapshot = {chat(1): (OLD, OLD)}
    assert compare_snapshots(before, {chat(1): (OLD, new)}, {}) == Comparison(0, 0, lowered)
    assert compare_snapshots(before, {chat(1): (new, OLD)}, {}) == Comparison(0, 0, lowered)


def test_chats_that_are_gone_are_closed_or_missing() -> None:
    before: Snapshot = {chat(number): (OLD, OLD) for number in range(5)}
    now: Snapshot = {chat(0): (OLD, OLD), chat(9): (OLD, OLD)}
    closed = {chat(number): ClosedNote(1) for number in (0, 1, 2, 7)}
    assert compare_snapshots(before, now, closed) == Comparison(closed_since=2, missing=2, lowered=0)


def test_chats_that_moved_are_neither_missing_nor_lower() -> None:
    """One is at home elsewhere, of another a hop began anew; a third is lower without having moved."""
    before: Snapshot = {chat(number): (OLD, OLD) for number in range(4)}
    fresh: SideMark = (1, 16, 16)
    now: Snapshot = {chat(1): (fresh, OLD), chat(2): (OLD, fresh), chat(3): (OLD, OLD)}
    moved = {chat(number): ClosedNote(1, moved=True) for number in (0, 1, 8)}
    assert compare_snapshots(before, now, moved) == Comparison(closed_since=0, missing=0, lowered=1, moved_since=2)
