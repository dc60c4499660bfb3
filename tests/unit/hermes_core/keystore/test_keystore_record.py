"""The chat record's codec: round trips, every bound at the bound and one past it, and no input that raises anything else."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hermes_core.errors import KeystoreError, KeystoreTamperedError, KeystoreUnsupportedVersionError
from hermes_core.ids import AppId, ChatId, NodeId, Party
from hermes_core.keystore.channel_codec import MAX_SEEN_EPHEMERALS
from hermes_core.keystore.chat_record import ChatRecord
from hermes_core.keystore.chat_record_codec import encode_chat_record, parse_chat_record
from hermes_core.keystore.tables import MAX_VALUE_BYTES
from tests.reference import keystore_reference as reference
from tests.unit.hermes_core.keystore.record_samples import build_epoch, build_record, reveal

CHAT_AT = 1
STATE_AT = CHAT_AT + 16
APPS_AT = STATE_AT + 1
KEY_LENGTH_AT = APPS_AT + 64


def full_record(seed: int = 1) -> ChatRecord:
    """A record with every optional part there but moves, and the largest numbers its fields may hold where it says so."""
    rng = random.Random(seed)
    record = build_record(rng)
    for side in record.sides:
        side.current, side.pending = build_epoch(rng), build_epoch(rng)
        side.seen_ephemerals = (rng.randbytes(16),)
    nodes = (NodeId("mesh-0"), NodeId("n" * 63))
    return replace(record, side_nodes=nodes, app_keys=(bytes(32), bytes(32)), moves=(None, None))


@settings(max_examples=200)
@given(st.integers(0, 2**64))
def test_parse_gives_back_what_was_encoded(seed: int) -> None:
    record = build_record(random.Random(seed))
    assert reveal(parse_chat_record(encode_chat_record(record))) == reveal(record)


def test_every_truncation_and_any_extra_byte_is_refused() -> None:
    data = encode_chat_record(full_record())
    parse_chat_record(data)
    for length in range(len(data)):
        with pytest.raises(KeystoreTamperedError):
            parse_chat_record(data[:length])
    with pytest.raises(KeystoreTamperedError, match="after its end"):
        parse_chat_record(data + b"\0")


@settings(max_examples=400)
@given(st.binary(max_size=600))
def test_arbitrary_bytes_raise_nothing_but_keystore_errors(data: bytes) -> None:
    for prefix in (b"", b"\1", b"\2"):
        try:
            parse_chat_record(prefix + data)
        except KeystoreError:
            continue


@settings(max_examples=400)
@given(st.integers(0, 2**32), st.integers(0, 10**6), st.integers(1, 255))
def test_a_damaged_record_is_refused_or_parses_to_what_encodes_to_the_same_bytes(seed: int, at: int, flip: int) -> None:
    data = encode_chat_record(build_record(random.Random(seed)))
    data[at % len(data)] ^= flip
    try:
        record = parse_chat_record(data)
    except KeystoreError:
        return
    if data[0] == 2:
        assert encode_chat_record(record) == data  # the layout is canonical: one record, one encoding


@pytest.mark.parametrize("version", [4, 5, 127, 255])
def test_a_newer_version_is_told_apart(version: int) -> None:
    data = encode_chat_record(full_record())
    data[0] = version
    with pytest.raises(KeystoreUnsupportedVersionError, match=f"version {version}"):
        parse_chat_record(data)


@pytest.mark.parametrize(
    ("at", "value", "what"),
    [(0, 0, "version"), (STATE_AT, 0, "state"), (STATE_AT, 4, "state"), (APPS_AT, ord("1"), "id"), (APPS_AT, 0xFF, "id")],
)
def test_a_byte_out_of_range_is_refused(at: int, value: int, what: str) -> None:
    data = encode_chat_record(full_record())
    data[at] = value
    with pytest.raises(KeystoreTamperedError, match=what):
        parse_chat_record(data)


@pytest.mark.parametrize("length", [1, 31, 33, 255])
def test_a_key_has_32_bytes_or_none(length: int) -> None:
    data = encode_chat_record(full_record())
    data[KEY_LENGTH_AT] = length
    with pytest.raises(KeystoreTamperedError, match="app key"):
        parse_chat_record(data)


def test_seen_ephemerals_at_the_bound_and_one_past_it() -> None:
    record = full_record()
    record.sides[1].seen_ephemerals = (bytes(16),) * MAX_SEEN_EPHEMERALS
    data = encode_chat_record(record)
    assert len(parse_chat_record(data).sides[1].seen_ephemerals) == MAX_SEEN_EPHEMERALS
    record.sides[1].seen_ephemerals += (bytes(16),)
    with pytest.raises(ValueError, match="seen ephemerals"):
        encode_chat_record(record)
    orders = bytes(16)
    count_at = len(data) - len(orders) - 16 * MAX_SEEN_EPHEMERALS - 2
    data[count_at : count_at + 2] = struct.pack(">H", MAX_SEEN_EPHEMERALS + 1)
    with pytest.raises(KeystoreTamperedError, match="seen ephemerals"):
        parse_chat_record(data + bytes(16))


def test_the_largest_record_fits_a_keystore_value() -> None:
    record = full_record()
    for side in record.sides:
        side.seen_ephemerals = (bytes(16),) * MAX_SEEN_EPHEMERALS
        side.local = side.peer = Party("p" * 255)
    assert len(encode_chat_record(record)) < MAX_VALUE_BYTES


def _set(path: str, value: object) -> Callable[[ChatRecord], None]:
    def change(record: ChatRecord) -> None:
        *parents, name = path.split(".")
        target: object = record
        for parent in parents:
            target = target[int(parent)] if parent.isdigit() else getattr(target, parent)  # type: ignore[index]
        setattr(target, name, value)

    return change


NUMBERS = [
    ("sides.0.current.epoch", 2**32 - 1, 2**32),
    ("sides.0.current.epoch", 1, 0),
    ("sides.1.pending.send.reserved", 2**63 - 1, 2**63),
    ("sides.0.current.recv.reserved", 2**63 - 1, 2**64),
    ("sides.0.pending.recv_proven", 2**63 - 1, 2**63),
    ("sides.0.current.created_at_s", 2**63 - 1, 2**63),
    ("end_to_end_epoch", 2**32 - 1, 2**32),
    ("messages_in_epoch", 2**63 - 1, 2**63),
    ("acked", (2**63 - 1, 2**63 - 1), (0, 2**63)),
    ("created_at_s", 2**63 - 1, 2**63),
    ("last_active_at_s", 2**63 - 1, -1),
]


@pytest.mark.parametrize(("path", "good", "bad"), NUMBERS, ids=[f"{path}={bad}" for path, _, bad in NUMBERS])
def test_numbers_at_the_bound_and_one_past_it(path: str, good: object, bad: object) -> None:
    record = full_record()
    _set(path, good)(record)
    assert reveal(parse_chat_record(encode_chat_record(record))) == reveal(record)
    _set(path, bad)(record)
    with pytest.raises((ValueError, KeystoreTamperedError)):
        parse_chat_record(encode_chat_record(record))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("chat_id", ChatId(bytes(15))),
        ("app_ids", (AppId("a" * 31), AppId("a" * 32))),
        ("app_keys", (bytes(256), b"")),
        ("side_nodes", (NodeId("n" * 256), None)),
        ("sides.0.local", Party("p" * 256)),
    ],
)
def test_what_does_not_fit_its_field_is_not_encoded(path: str, value: object) -> None:
    record = full_record()
    _set(path, value)(record)
    with pytest.raises(ValueError, match=r"fixed length|255 bytes"):
        encode_chat_record(record)


def test_a_secret_of_another_size_is_not_encoded() -> None:
    record = full_record()
    assert record.sides[0].current is not None
    record.sides[0].current.mac.buffer.append(0)
    with pytest.raises(ValueError, match="32 bytes"):
        encode_chat_record(record)


def test_a_side_node_of_64_characters_is_refused() -> None:
    record = full_record()
    record.side_nodes = (NodeId("n" * 64), None)
    with pytest.raises(KeystoreTamperedError):
        parse_chat_record(encode_chat_record(record))


def test_moves_end_a_record_as_the_reference_has_them() -> None:
    """A record whose apps never moved ends where it did before there were moves."""
    seen = set()
    for seed in range(40):
        record = build_record(random.Random(seed))
        parts = [
            reference.encode_move(move.mover_key, move.home, move.number, move.leg_hash, move.signature)
            for move in record.moves
            if move is not None
        ]
        sides = sum(1 << index for index, move in enumerate(record.moves) if move is not None)
        plain = encode_chat_record(replace(record, moves=(None, None)))
        assert encode_chat_record(record) == plain + (bytes([sides]) if sides else b"") + b"".join(parts)
        seen.add(sides)
    assert seen == {0, 1, 2, 3}


def test_a_move_of_another_app_is_refused() -> None:
    record = next(record for record in (build_record(random.Random(seed)) for seed in range(40)) if record.moves[0])
    assert record.moves[0] is not None
    other = replace(record.moves[0], mover_key=bytes(32))
    with pytest.raises(KeystoreTamperedError, match="who moved"):
        parse_chat_record(encode_chat_record(replace(record, moves=(other, None))))


def test_an_older_version_has_no_moves() -> None:
    record = next(record for record in (build_record(random.Random(seed)) for seed in range(40)) if any(record.moves))
    data = encode_chat_record(record)
    data[0] = 2
    with pytest.raises(KeystoreTamperedError):
        parse_chat_record(data)
