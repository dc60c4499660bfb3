"""Sealed rows, state and set digest: bound to their place, their generation and their file; sizes at the bound and past it."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hermes_core.crypto.random import SYSTEM_RANDOM
from hermes_core.crypto.secret import SecretBytes
from hermes_core.errors import KeystoreError, KeystoreTamperedError
from hermes_core.keystore.keys import GenerationKeys, generate_key
from hermes_core.keystore.sealing import MAX_SEALED_BYTES, RecordSealer, SealedRow
from hermes_core.keystore.set_digest import SetDigest
from hermes_core.keystore.state import (
    SEALED_STATE_BYTES,
    SEALED_TWO_STATES_BYTES,
    KeystoreState,
    RowSet,
    open_state,
    seal_state,
)
from hermes_core.keystore.tables import MAX_KEY_BYTES, MAX_VALUE_BYTES, Table

FILE_ID = bytes(16)
KEY = SecretBytes.take(bytearray(range(32)))
STATE = KeystoreState(9, RowSet(4, 2**256 - 1), header_hash=bytes(32))


def keys(file_id: bytes = FILE_ID, generation: int = 1, key: SecretBytes = KEY) -> GenerationKeys:
    return GenerationKeys.derive(file_id, generation, key)


def open_row(sealer: RecordSealer, row: SealedRow) -> tuple[bytes, bytearray]:
    return sealer.open(row.row_key, row.table, row.version, row.sealed)


def test_neither_key_nor_value_is_readable_in_a_row() -> None:
    row = RecordSealer(keys()).seal(Table.CHAT, b"the chat id here", 2, b"the value" * 9, SYSTEM_RANDOM)
    assert b"the chat" not in row.row_key + row.sealed
    assert b"the value" not in row.sealed


def test_the_same_record_never_seals_to_the_same_bytes() -> None:
    sealer = RecordSealer(keys())
    rows = {sealer.seal(Table.CHAT, b"k", 2, b"v", SYSTEM_RANDOM).sealed for _ in range(100)}
    assert len(rows) == 100


@pytest.mark.parametrize(
    "change",
    [{"row_key": bytes(16)}, {"table": 3}, {"version": 1}, {"sealed": b""}, {"sealed": bytes(40)}, {"sealed": bytes(41)}],
    ids=str,
)
def test_a_row_opens_only_in_its_place(change: dict[str, object]) -> None:
    sealer = RecordSealer(keys())
    row = sealer.seal(Table.CHAT, b"k", 2, b"v", SYSTEM_RANDOM)
    with pytest.raises(KeystoreTamperedError):
        open_row(sealer, replace(row, **change))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "other",
    [keys(file_id=bytes(15) + b"\1"), keys(generation=2), keys(key=generate_key(SYSTEM_RANDOM))],
    ids=["file", "generation", "key"],
)
def test_a_row_opens_only_in_its_file_and_generation(other: GenerationKeys) -> None:
    row = RecordSealer(keys()).seal(Table.CHAT, b"k", 2, b"v", SYSTEM_RANDOM)
    with pytest.raises(KeystoreTamperedError):
        open_row(RecordSealer(other), row)


def test_every_flipped_byte_of_a_row_is_refused() -> None:
    sealer = RecordSealer(keys())
    row = sealer.seal(Table.CHAT, b"k", 2, b"value", SYSTEM_RANDOM)
    for at in range(len(row.sealed)):
        sealed = bytearray(row.sealed)
        sealed[at] ^= 0x10
        with pytest.raises(KeystoreTamperedError):
            open_row(sealer, replace(row, sealed=bytes(sealed)))


def test_sizes_at_the_bound_and_one_past_it() -> None:
    sealer = RecordSealer(keys())
    key, value = bytes(MAX_KEY_BYTES), bytes(MAX_VALUE_BYTES)
    row = sealer.seal(Table.META, key, 1, value, SYSTEM_RANDOM)
    assert len(row.sealed) == MAX_SEALED_BYTES
    assert open_row(sealer, row) == (key, bytearray(value))
    with pytest.raises(KeystoreError, match="larger"):
        sealer.seal(Table.META, key + b"\0", 1, b"", SYSTEM_RANDOM)
    with pytest.raises(KeystoreError, match="larger"):
        sealer.seal(Table.META, b"", 1, value + b"\0", SYSTEM_RANDOM)


def test_row_keys_differ_by_table_and_generation_key() -> None:
    sealer, other = RecordSealer(keys()), RecordSealer(keys(key=generate_key(SYSTEM_RANDOM)))
    hidden = {sealer.derive_row_key(table, b"k") for table in Table} | {other.derive_row_key(Table.CHAT, b"k")}
    assert len(hidden) == len(Table) + 1


def test_a_state_opens_only_in_its_file_and_generation() -> None:
    sealed = seal_state(keys(), STATE, SYSTEM_RANDOM)
    assert len(sealed) == SEALED_STATE_BYTES
    assert open_state(keys(), sealed) == STATE
    for other in (keys(generation=2), keys(file_id=b"x" * 16), keys(key=generate_key(SYSTEM_RANDOM))):
        with pytest.raises(KeystoreTamperedError):
            open_state(other, sealed)
    for wrong_size in (b"", sealed[:-1], sealed + b"\0"):
        with pytest.raises(KeystoreTamperedError):
            open_state(keys(), wrong_size)


def test_a_state_of_two_generations_is_no_state_of_one() -> None:
    """The former rows cannot be cut off, nor can a state without any be taken for one that has some."""
    state = replace(STATE, former=RowSet(3, 5))
    sealed = seal_state(keys(), state, SYSTEM_RANDOM)
    assert len(sealed) == SEALED_TWO_STATES_BYTES
    assert open_state(keys(), sealed) == state
    with pytest.raises(KeystoreTamperedError):
        open_state(keys(generation=2), sealed)
    for wrong_size in (sealed[:SEALED_STATE_BYTES], sealed[:-1], sealed + b"\0"):
        with pytest.raises(KeystoreTamperedError):
            open_state(keys(), wrong_size)


@settings(max_examples=100)
@given(st.integers(0, 2**32))
def test_a_digest_depends_on_the_set_of_rows_and_on_nothing_else(seed: int) -> None:
    rng = random.Random(seed)
    secret = keys().set_digest
    rows = [(rng.randbytes(16), rng.randrange(1, 7), rng.randrange(1, 3), rng.randbytes(50)) for _ in range(12)]
    digest = SetDigest(secret)
    for row in rows:
        digest.add(*row)
    shuffled = SetDigest(secret)
    extra = (rng.randbytes(16), 1, 1, b"gone again")
    shuffled.add(*extra)
    for row in rng.sample(rows, len(rows)):
        shuffled.add(*row)
    shuffled.remove(*extra)
    assert digest.value == shuffled.value
    shuffled.remove(*rows[0])
    assert digest.value != shuffled.value
    moved = SetDigest(secret)
    for row in rows[1:]:
        moved.add(*row)
    moved.add(rng.randbytes(16), *rows[0][1:])
    assert moved.value != digest.value


def test_a_digest_needs_the_key() -> None:
    first, second = SetDigest(keys().set_digest), SetDigest(keys(key=generate_key(SYSTEM_RANDOM)).set_digest)
    for digest in (first, second):
        digest.add(bytes(16), 1, 1, b"row")
    assert first.value != second.value


def test_wiped_keys_seal_nothing() -> None:
    wiped = GenerationKeys.derive(FILE_ID, 1, KEY)
    sealer = RecordSealer(wiped)
    wiped.wipe()
    with pytest.raises(ValueError, match="wiped"):
        sealer.seal(Table.CHAT, b"k", 2, b"v", SYSTEM_RANDOM)
