"""The product against tests/vectors/record.json and, over random inputs, against the independent reference that made it."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hermes_core.crypto.kdf_argon2 import Argon2Params
from hermes_core.crypto.random import SYSTEM_RANDOM
from hermes_core.crypto.secret import SecretBytes
from hermes_core.crypto.suites import Suite
from hermes_core.ids import AppId, ChannelKind, ChatId, NodeId, Party, Role
from hermes_core.keystore.chat_record import ChatRecord, ChatState
from hermes_core.keystore.chat_record_codec import encode_chat_record, parse_chat_record
from hermes_core.keystore.floor import (
    SECOND_AT,
    encode_floor_file,
    encode_floor_key,
    open_floor_file,
    parse_floor_key,
    seal_floor,
)
from hermes_core.keystore.header import build_header, open_generations, parse_header, unwrap_master, wrap_context
from hermes_core.keystore.key_backend import PassphraseBackend
from hermes_core.keystore.keys import GenerationKeys, derive_subkey
from hermes_core.keystore.sealing import RecordSealer
from hermes_core.keystore.set_digest import SetDigest
from hermes_core.keystore.state import KeystoreState, RowSet, open_state, seal_state
from hermes_core.keystore.tables import Table
from hermes_core.ratchet.state import NO_ORDERS, ChannelSnapshot, DirectionSnapshot, EpochSnapshot, Orders
from tests.reference import keystore_reference as reference
from tests.support.random_sources import ListedRandom
from tests.unit.hermes_core.keystore.record_samples import reveal

VECTORS: dict[str, Any] = json.loads(reference.VECTORS.read_text())
OLD_SUITES = {64: Suite.X25519_SHA256, 128: Suite.X25519_SHA512}
"""What records before version 3 mean: the length of a transcript hash, in hex, shows the hash."""
FILE_ID = bytes.fromhex(VECTORS["file_id"])
GENERATION: int = VECTORS["generation"]
CHEAP = Argon2Params(8192, 1, 1)


def secret(data: bytes) -> SecretBytes:
    return SecretBytes.take(bytearray(data))


def generation_keys() -> GenerationKeys:
    return GenerationKeys.derive(FILE_ID, GENERATION, secret(bytes.fromhex(VECTORS["generation_key"])))


def listed(*values: str) -> ListedRandom:
    """The vector's nonces and salts, in the order in which they are asked for."""
    return ListedRandom(bytes.fromhex(value) for value in values)


def test_committed_vectors_are_what_the_reference_makes() -> None:
    assert reference.build_vectors() == VECTORS


@pytest.mark.parametrize("case", VECTORS["subkeys"], ids=lambda case: case["purpose"])
def test_subkeys(case: dict[str, str]) -> None:
    label = b"hermes/keystore/v1 " + case["purpose"].encode()
    assert derive_subkey(secret(bytes.fromhex(case["parent"])), label).buffer.hex() == case["key"]


@pytest.mark.parametrize("case", VECTORS["records"], ids=lambda case: f"table-{case['table']}")
def test_record_sealing(case: dict[str, Any]) -> None:
    sealer = RecordSealer(generation_keys())
    key, value = bytes.fromhex(case["key"]), bytes.fromhex(case["value"])
    row = sealer.seal(Table(case["table"]), key, case["version"], value, listed(case["nonce"]))
    assert (row.row_key.hex(), row.sealed.hex()) == (case["row_key"], case["sealed"])
    assert sealer.open(row.row_key, row.table, row.version, row.sealed) == (key, bytearray(value))


def test_set_digest_and_state() -> None:
    keys = generation_keys()
    digest = SetDigest(keys.set_digest)
    for case in VECTORS["records"]:
        digest.add(bytes.fromhex(case["row_key"]), case["table"], case["version"], bytes.fromhex(case["sealed"]))
    assert digest.value == int(VECTORS["set_digest"], 16)
    header = parse_header(bytes.fromhex(VECTORS["header"]["raw"]))
    state = KeystoreState(VECTORS["state"]["counter"], RowSet(len(VECTORS["records"]), digest.value), header.fingerprint)
    assert seal_state(keys, state, listed(VECTORS["state"]["nonce"])).hex() == VECTORS["state"]["sealed"]
    assert open_state(keys, bytes.fromhex(VECTORS["state"]["sealed"])) == state


def test_header() -> None:
    case = VECTORS["header"]
    passphrase, master = secret(bytes.fromhex(case["passphrase"])), secret(bytes.fromhex(VECTORS["master_key"]))
    backend = PassphraseBackend(passphrase, Argon2Params(case["memory_kib"], case["passes"], 1))
    random = listed(case["salt"], case["wrap_nonce"], case["header_nonce"])
    wrapped = backend.wrap(master, wrap_context(FILE_ID, backend.backend_id), random)
    assert wrapped.hex() == case["wrapped"]
    key = secret(bytes.fromhex(VECTORS["generation_key"]))
    built = build_header(FILE_ID, backend.backend_id, wrapped, master, [(GENERATION, key)], random)
    assert built.raw.hex() == case["raw"]
    header = parse_header(bytes.fromhex(case["raw"]))
    opened = unwrap_master(header, backend)
    assert opened.equals(master)
    [(generation, opened_key)] = open_generations(header, opened)
    assert generation == GENERATION
    assert opened_key.equals(key)


def test_header_and_state_while_a_rotation_runs() -> None:
    case, keys = VECTORS["rotating"], generation_keys()
    master, key = secret(bytes.fromhex(VECTORS["master_key"])), secret(bytes.fromhex(VECTORS["generation_key"]))
    former_key = secret(bytes.fromhex(case["former_generation_key"]))
    wrapped = bytes.fromhex(VECTORS["header"]["wrapped"])
    generations = [(GENERATION, key), (case["former_generation"], former_key)]
    built = build_header(FILE_ID, 1, wrapped, master, generations, listed(case["header_nonce"]))
    assert built.raw.hex() == case["header"]
    opened = open_generations(parse_header(bytes.fromhex(case["header"])), master)
    assert [(number, bytes(found.buffer)) for number, found in opened] == [(n, bytes(k.buffer)) for n, k in generations]
    former = GenerationKeys.derive(FILE_ID, case["former_generation"], former_key)
    digest = SetDigest(former.set_digest)
    for row in case["former_rows"]:
        digest.add(bytes.fromhex(row["row_key"]), row["table"], row["version"], bytes.fromhex(row["sealed"]))
    rows = RowSet(len(VECTORS["records"]), int(VECTORS["set_digest"], 16))
    state = KeystoreState(case["counter"], rows, built.fingerprint, RowSet(len(case["former_rows"]), digest.value))
    assert seal_state(keys, state, listed(case["state_nonce"])).hex() == case["state"]
    assert open_state(keys, bytes.fromhex(case["state"])) == state


@pytest.mark.parametrize("case", VECTORS["floor"]["files"], ids=lambda case: str(case["counters"]))
def test_floors(case: dict[str, Any]) -> None:
    key = secret(bytes.fromhex(VECTORS["floor"]["key"]))
    nonces = listed(*case["nonces"])
    first, second = (seal_floor(key, FILE_ID, counter, nonces) for counter in case["counters"])
    assert (encode_floor_file(first)[:SECOND_AT] + second).hex() == case["file"]
    raw = bytes.fromhex(case["file"])
    assert open_floor_file(key, FILE_ID, raw) == reference.open_floor_file(FILE_ID, bytes(key.buffer), raw) == case["floor"]
    for at in range(len(raw)):
        assert open_floor_file(key, FILE_ID, raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]) is None


def test_the_floors_key_as_it_is_stored() -> None:
    case = VECTORS["floor"]
    stored = bytes.fromhex(case["stored"])
    parsed = parse_floor_key(bytearray(stored))
    assert (parsed.armed, bytes(parsed.key.buffer).hex()) == (bool(case["armed"]), case["key"])
    assert encode_floor_key(parsed) == stored


@pytest.mark.parametrize("case", VECTORS["chat_records"], ids=lambda case: case["record"]["chat_id"][:8])
def test_chat_records(case: dict[str, Any]) -> None:
    record = record_of(case["record"])
    assert encode_chat_record(record).hex() == case["version_3"]
    for version in (1, 2, 3):
        parsed = parse_chat_record(bytes.fromhex(case[f"version_{version}"]))
        assert reveal(parsed) == reveal(record_of(case["record"], version=version))


@settings(max_examples=150)
@given(st.integers(0, 2**64))
def test_random_chat_records_agree(seed: int) -> None:
    fields = reference.random_chat_record(random.Random(seed))
    assert encode_chat_record(record_of(fields)) == reference.encode_chat_record(fields, 3)
    for version in (1, 2):
        parsed = parse_chat_record(reference.encode_chat_record(fields, version))
        assert reveal(parsed) == reveal(record_of(fields, version=version))


@settings(max_examples=150)
@given(
    st.binary(min_size=16, max_size=16),
    st.integers(0, 2**64 - 1),
    st.binary(min_size=32, max_size=32),
    st.sampled_from(list(Table)),
    st.integers(1, 255),
    st.binary(max_size=255),
    st.binary(max_size=300),
)
def test_random_sealings_open_on_either_side(
    file_id: bytes, generation: int, key: bytes, table: Table, version: int, record_key: bytes, value: bytes
) -> None:
    sealer = RecordSealer(GenerationKeys.derive(file_id, generation, secret(key)))
    row = sealer.seal(table, record_key, version, value, SYSTEM_RANDOM)
    ours = (row.row_key, row.table, row.version, row.sealed)
    assert reference.open_record(file_id, generation, key, ours) == (record_key, value)
    theirs = reference.seal_record(file_id, generation, key, table, version, record_key, value, row.sealed[:24])
    assert theirs == ours


def record_of(fields: dict[str, Any], *, version: int = 3) -> ChatRecord:
    """The product's record for the reference's fields; for an older version with what it lacks filled as the page says."""
    first = version == 1
    return ChatRecord(
        ChatId(bytes.fromhex(fields["chat_id"])),
        ChatState(fields["state"]),
        (AppId(fields["app_ids"][0]), AppId(fields["app_ids"][1])),
        (bytes.fromhex(fields["app_keys"][0]), bytes.fromhex(fields["app_keys"][1])),
        (node_of(fields["side_nodes"][0]), node_of(fields["side_nodes"][1])),
        (channel_of(fields["sides"][0], version), channel_of(fields["sides"][1], version)),
        fields["end_to_end_epoch"],
        (0, 0) if first else (fields["acked"][0], fields["acked"][1]),
        0 if first else fields["messages_in_epoch"],
        fields["created_at_s"],
        fields["last_active_at_s"],
    )


def node_of(text: str | None) -> NodeId | None:
    return None if text is None else NodeId(text)


def channel_of(fields: dict[str, Any], version: int) -> ChannelSnapshot:
    first = version == 1
    return ChannelSnapshot(
        ChannelKind(fields["kind"]),
        Party(fields["local"]),
        Party(fields["peer"]),
        bytes.fromhex(fields["peer_public_key"]),
        epoch_of(fields["current"], version),
        None if first else epoch_of(fields["pending"], version),
        tuple(bytes.fromhex(key_id) for key_id in fields["seen_ephemerals"]),
        Orders(*fields["orders"]) if version >= 3 else NO_ORDERS,
        Suite(fields["floor"]) if version >= 3 and fields["floor"] else None,
    )


def epoch_of(fields: dict[str, Any] | None, version: int) -> EpochSnapshot | None:
    if fields is None:
        return None
    secrets = {name: secret(bytes.fromhex(fields[name])) for name in ("mac", "ratchet", "send_chain_key", "recv_chain_key")}
    return EpochSnapshot(
        fields["epoch"],
        Role(fields["role"]),
        Suite(fields["suite"]) if version >= 3 else OLD_SUITES[len(fields["transcript_hash"])],
        bytes.fromhex(fields["transcript_hash"]),
        fields["confirmed"],
        secrets["mac"],
        secrets["ratchet"],
        DirectionSnapshot(fields["send_reserved"], secrets["send_chain_key"]),
        DirectionSnapshot(fields["recv_reserved"], secrets["recv_chain_key"]),
        0 if version == 1 else fields["recv_proven"],
        fields["created_at_s"],
    )
