"""The records of an app's store: against the reference's vectors and random records, strict at every field, wiped after use."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hermes_core.errors import KeystoreTamperedError, KeystoreUnsupportedVersionError
from hermes_core.handshake.move import SignedMove
from hermes_core.ids import AppId, ChatId, NodeId, Party
from hermes_core.keystore.app_notice_codec import (
    encode_app_ended,
    encode_node_mark,
    mark_key,
    parse_app_ended,
    parse_node_mark,
)
from hermes_core.keystore.app_record import (
    AppChatRecord,
    AppChatState,
    AppIdentity,
    EndedChatRecord,
    KeptMoves,
    NodeMarkRecord,
    OutgoingRecord,
)
from hermes_core.keystore.app_record_codec import (
    IDENTITY_KEY,
    encode_app_chat,
    encode_app_identity,
    encode_outgoing,
    outgoing_key,
    parse_app_chat,
    parse_app_identity,
    parse_outgoing,
)
from hermes_core.ratchet.end_proof import MAX_PROOFS, EndProof
from hermes_core.ratchet.padding import MAX_PADDED_BYTES
from tests.reference import app_store_reference as reference
from tests.unit.hermes_core.keystore.record_samples import reveal
from tests.unit.hermes_core.keystore.test_keystore_vectors import channel_of, secret

VECTORS: dict[str, Any] = json.loads(reference.VECTORS.read_text())


def identity_of(fields: dict[str, Any]) -> AppIdentity:
    return AppIdentity(secret(bytes.fromhex(fields["seed"])), fields["stamp"])


def chat_of(fields: dict[str, Any]) -> AppChatRecord:
    return AppChatRecord(
        ChatId(bytes.fromhex(fields["chat_id"])),
        AppChatState(fields["state"]),
        fields["wish"],
        AppId(fields["peer"]),
        NodeId(fields["home"]),
        fields["last_seq"],
        fields["acked"],
        fields["taken"],
        channel_of(fields["end_to_end"], 3),
        channel_of(fields["leg"], 3),
        moves_of(fields["moves"], AppId(fields["peer"])),
    )


def moves_of(fields: dict[str, Any] | None, peer: AppId) -> KeptMoves:
    if fields is None:
        return KeptMoves()
    newest = fields["newest"] and SignedMove(
        bytes.fromhex(fields["newest"]["mover_key"]),
        peer,
        Party(fields["newest"]["home"]),
        fields["newest"]["number"],
        bytes.fromhex(fields["newest"]["leg_hash"]),
        bytes.fromhex(fields["newest"]["signature"]),
    )
    return KeptMoves(fields["number"], fields["unproven"], newest)


def outgoing_of(fields: dict[str, Any]) -> OutgoingRecord:
    plaintext, frame = bytes.fromhex(fields["plaintext"]), bytes.fromhex(fields["frame"])
    return OutgoingRecord(ChatId(bytes.fromhex(fields["chat_id"])), fields["seq"], plaintext, fields["epoch"], frame)


def ended_of(fields: dict[str, Any]) -> EndedChatRecord:
    chat_id, home = ChatId(bytes.fromhex(fields["chat_id"])), Party(fields["home"])
    proofs = tuple(EndProof(proof["epoch"], bytes.fromhex(proof["tag"])) for proof in fields["proofs"])
    return EndedChatRecord(chat_id, home, fields["failed"], fields["ended_s"], proofs)


def mark_of(fields: dict[str, Any]) -> NodeMarkRecord:
    return NodeMarkRecord(NodeId(fields["node_id"]), bytes.fromhex(fields["mark"]))


KINDS: list[tuple[str, Any, Any, Any]] = [
    ("identities", identity_of, encode_app_identity, parse_app_identity),
    ("chats", chat_of, encode_app_chat, parse_app_chat),
    ("outgoing", outgoing_of, encode_outgoing, parse_outgoing),
    ("ended", ended_of, encode_app_ended, parse_app_ended),
    ("marks", mark_of, encode_node_mark, parse_node_mark),
]
PLACES: dict[str, Callable[[Any], bytes]] = {
    "identities": lambda _: IDENTITY_KEY,
    "chats": lambda record: bytes(record.chat_id),
    "outgoing": lambda record: outgoing_key(record.chat_id, record.seq),
    "ended": lambda record: bytes(record.chat_id),
    "marks": mark_key,
}
EACH = pytest.mark.parametrize(("name", "build", "encode", "parse"), KINDS, ids=[kind[0] for kind in KINDS])


def test_committed_vectors_are_what_the_reference_makes() -> None:
    assert reference.build_vectors() == VECTORS


@EACH
def test_vectors(name: str, build: Any, encode: Any, parse: Any) -> None:
    for case in VECTORS[name]:
        value = bytes.fromhex(case["value"])
        assert encode(build(case["record"])) == value
        assert reveal(parse(value)) == reveal(build(case["record"]))
        assert PLACES[name](parse(value)).hex() == case["key"]


def test_vectors_show_every_form_of_an_end() -> None:
    ends = [case["record"] for case in VECTORS["ended"]]
    assert {end["failed"] for end in ends} == {False, True}
    assert {len(end["proofs"]) for end in ends} == {0, 1, MAX_PROOFS}


@EACH
def test_no_byte_of_a_record_is_without_a_meaning(name: str, build: Any, encode: Any, parse: Any) -> None:
    for case in VECTORS[name]:
        value, record = bytes.fromhex(case["value"]), reveal(build(case["record"]))
        for at, bit in itertools.product(range(len(value)), (1, 0x80)):
            with suppress(KeystoreTamperedError, KeystoreUnsupportedVersionError):
                assert reveal(parse(value[:at] + bytes([value[at] ^ bit]) + value[at + 1 :])) != record, at


@settings(max_examples=100)
@given(st.integers(0, 2**64))
def test_random_records_agree(seed: int) -> None:
    rng = random.Random(seed)
    chat, message, ended = reference.random_chat(rng), reference.random_outgoing(rng), reference.random_ended(rng)
    assert encode_app_chat(chat_of(chat)) == reference.encode_chat(chat)
    assert reveal(parse_app_chat(reference.encode_chat(chat))) == reveal(chat_of(chat))
    assert parse_outgoing(reference.encode_outgoing(message)) == outgoing_of(message)
    assert encode_app_ended(ended_of(ended)) == reference.encode_ended(ended)
    assert parse_app_ended(reference.encode_ended(ended)) == ended_of(ended)


@EACH
def test_what_is_cut_longer_newer_or_older_is_refused(name: str, build: Any, encode: Any, parse: Any) -> None:
    for case in VECTORS[name]:
        value = bytes.fromhex(case["value"])
        for end in range(len(value)):
            with pytest.raises(KeystoreTamperedError):
                parse(value[:end])
        with pytest.raises(KeystoreTamperedError):
            parse(value + b"\0")
        with pytest.raises(KeystoreUnsupportedVersionError):
            parse(b"\x02" + value[1:])
        with pytest.raises(KeystoreTamperedError):
            parse(b"\0" + value[1:])


@pytest.mark.parametrize(
    ("field", "bad"),
    [
        ("state", 0),
        ("state", 3),
        ("wish", 3),
        ("peer", "1" * 32),
        ("home", ""),
        ("home", "UPPER"),
        ("last_seq", 2**63),
        ("taken", 2**63),
    ],
)
def test_a_chat_with_a_field_out_of_bounds_is_refused(field: str, bad: object) -> None:
    chat = reference.random_chat(random.Random(1)) | {field: bad}
    with pytest.raises(KeystoreTamperedError):
        parse_app_chat(reference.encode_chat(chat))


def test_what_the_peer_acknowledged_was_sent() -> None:
    chat = reference.random_chat(random.Random(1)) | {"last_seq": 5}
    assert parse_app_chat(reference.encode_chat(chat | {"acked": 5})).acked == 5
    with pytest.raises(KeystoreTamperedError):
        parse_app_chat(reference.encode_chat(chat | {"acked": 6}))


@pytest.mark.parametrize(("side", "kind"), [("end_to_end", 2), ("leg", 1), ("leg", 3)])
def test_each_channel_is_of_its_kind(side: str, kind: int) -> None:
    chat = reference.random_chat(random.Random(1))
    chat[side] |= {"kind": kind}
    with pytest.raises(KeystoreTamperedError):
        parse_app_chat(reference.encode_chat(chat))


def test_bounds_of_a_message() -> None:
    message = reference.random_outgoing(random.Random(1)) | {
        "epoch": 0,
        "frame": "",
        "plaintext": bytes(MAX_PADDED_BYTES).hex(),
    }
    assert len(parse_outgoing(reference.encode_outgoing(message)).plaintext) == MAX_PADDED_BYTES
    for change in (
        {"plaintext": bytes(MAX_PADDED_BYTES + 1).hex()},
        {"plaintext": "000000"},
        {"seq": 0},
        {"seq": 2**63},
        {"frame": bytes(39 + 16 + MAX_PADDED_BYTES).hex()},
        {"epoch": 1},
    ):
        with pytest.raises(KeystoreTamperedError):
            parse_outgoing(reference.encode_outgoing(message | change))


def test_a_record_shows_no_content() -> None:
    record = outgoing_of(VECTORS["outgoing"][0]["record"])
    assert repr(record.plaintext)[2:10] not in repr(record)


def test_wiping_a_chat_wipes_both_channels() -> None:
    chat = chat_of(next(case["record"] for case in VECTORS["chats"] if case["record"]["leg"]["current"] is not None))
    chat.wipe()
    epochs = [epoch for side in (chat.end_to_end, chat.leg) for epoch in (side.current, side.pending) if epoch is not None]
    assert epochs
    assert all(epoch.mac.wiped and epoch.ratchet.wiped and epoch.recv.chain_key.wiped for epoch in epochs)


def test_keys_of_messages_sort_by_seq() -> None:
    chat_id = ChatId(bytes(16))
    assert sorted([outgoing_key(chat_id, 256), outgoing_key(chat_id, 3)]) == [
        chat_id + bytes(7) + b"\3",
        chat_id + bytes(6) + b"\1\0",
    ]
