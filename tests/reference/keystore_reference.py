"""An independent keystore writer and reader, straight from docs/reference/keystore.md: hashlib, PyNaCl and sqlite3 only.

Shares no code with the product. Everything is a plain function of plain bytes; secrets are test data. Chat records are dicts,
as they stand in tests/vectors/record.json. `python -m tests.reference.keystore_reference` writes the vectors anew.
"""

from __future__ import annotations

import copy
import hashlib
import json
import random
import sqlite3
import struct
from pathlib import Path
from typing import Any

from nacl.bindings import (
    crypto_aead_xchacha20poly1305_ietf_decrypt as xchacha_open,
)
from nacl.bindings import (
    crypto_aead_xchacha20poly1305_ietf_encrypt as xchacha_seal,
)
from nacl.bindings import (
    crypto_pwhash_alg,
    crypto_pwhash_ALG_ARGON2ID13,
)

VECTORS = Path(__file__).parent.parent / "vectors" / "record.json"
GOLDEN_PASSPHRASE = b"golden"
Row = tuple[bytes, int, int, bytes]
SEALED_GENERATIONS = {1: b"hermes/keystore/v1 header seal", 2: b"hermes/keystore/v2 generations"}
SEALED_STATE = {1: b"hermes/keystore/v1 state", 2: b"hermes/keystore/v2 state"}


def subkey(parent: bytes, purpose: str) -> bytes:
    return hashlib.blake2b(b"hermes/keystore/v1 " + purpose.encode(), key=parent, digest_size=32).digest()


def row_key(generation_key: bytes, table: int, key: bytes) -> bytes:
    message = bytes([table]) + key
    return hashlib.blake2b(message, key=subkey(generation_key, "row key"), digest_size=16).digest()


def record_aad(file_id: bytes, generation: int, table: int, version: int, hidden_key: bytes) -> bytes:
    return b"hermes/keystore/v1 record" + file_id + struct.pack(">QBB", generation, table, version) + hidden_key


def seal_record(
    file_id: bytes, generation: int, generation_key: bytes, table: int, version: int, key: bytes, value: bytes, nonce: bytes
) -> Row:
    hidden_key = row_key(generation_key, table, key)
    aad = record_aad(file_id, generation, table, version, hidden_key)
    plaintext = bytes([len(key)]) + key + value
    return hidden_key, table, version, nonce + xchacha_seal(plaintext, aad, nonce, subkey(generation_key, "record"))


def open_record(file_id: bytes, generation: int, generation_key: bytes, row: Row) -> tuple[bytes, bytes]:
    hidden_key, table, version, sealed = row
    aad = record_aad(file_id, generation, table, version, hidden_key)
    plaintext = xchacha_open(sealed[24:], aad, sealed[:24], subkey(generation_key, "record"))
    return plaintext[1 : 1 + plaintext[0]], plaintext[1 + plaintext[0] :]


def set_digest(generation_key: bytes, rows: list[Row]) -> bytes:
    total = 0
    for hidden_key, table, version, sealed in rows:
        message = bytes([table, version]) + hidden_key + sealed
        summand = hashlib.blake2b(message, key=subkey(generation_key, "set digest"), digest_size=32).digest()
        total += int.from_bytes(summand, "big")
    return (total % 2**256).to_bytes(32, "big")


def seal_state(
    file_id: bytes,
    generation: int,
    generation_key: bytes,
    counter: int,
    rows: list[Row],
    header: bytes,
    nonce: bytes,
    former: tuple[bytes, list[Row]] | None = None,
) -> bytes:
    """`former`: key and rows of the generation before, while a rotation runs."""
    plaintext = struct.pack(">QQ", counter, len(rows)) + set_digest(generation_key, rows) + hashlib.sha256(header).digest()
    if former is not None:
        plaintext += struct.pack(">Q", len(former[1])) + set_digest(*former)
    aad = SEALED_STATE[1 if former is None else 2] + file_id + struct.pack(">Q", generation)
    return nonce + xchacha_seal(plaintext, aad, nonce, subkey(generation_key, "state"))


def seal_floor(file_id: bytes, floor_key: bytes, counter: int, nonce: bytes) -> bytes:
    aad = b"hermes/keystore/v2 floor" + file_id
    return file_id + nonce + xchacha_seal(struct.pack(">Q", counter), aad, nonce, floor_key)


def floor_file(first: bytes, second: bytes) -> bytes:
    """The file beside a keystore, of two sealed floors; the higher one counts."""
    return first + bytes(512 - len(first)) + second


def open_floor_file(file_id: bytes, floor_key: bytes, raw: bytes) -> int:
    """The floor; AssertionError or nacl's CryptoError when it is not this keystore's."""
    assert len(raw) == 576
    assert raw[64:512] == bytes(448)
    found = []
    for sealed in (raw[:64], raw[512:]):
        assert sealed[:16] == file_id
        found.append(xchacha_open(sealed[40:], b"hermes/keystore/v2 floor" + file_id, sealed[16:40], floor_key))
    return max(int.from_bytes(plaintext, "big") for plaintext in found)


def wrap_master(
    file_id: bytes, passphrase: bytes, memory_kib: int, passes: int, salt: bytes, master: bytes, nonce: bytes
) -> bytes:
    head = struct.pack(">IIB", memory_kib, passes, 1) + salt
    kek = crypto_pwhash_alg(32, passphrase, salt, passes, memory_kib * 1024, crypto_pwhash_ALG_ARGON2ID13)
    aad = b"hermes/keystore/v1 wrap" + struct.pack(">H", 1) + file_id + bytes([1]) + head
    return head + nonce + xchacha_seal(master, aad, nonce, kek)


def header(file_id: bytes, wrapped: bytes, master: bytes, generations: list[tuple[int, bytes]], nonce: bytes) -> bytes:
    """`generations`: number and key of the current one, and while a rotation runs of the one before."""
    count = len(generations)
    body = b"HERMESKS" + struct.pack(">H", count) + file_id + bytes([1]) + struct.pack(">H", len(wrapped)) + wrapped
    plaintext = b"".join(struct.pack(">Q", number) + key for number, key in generations)
    aad = SEALED_GENERATIONS[count] + file_id
    body += nonce + xchacha_seal(plaintext, aad, nonce, subkey(master, "header seal"))
    body += hashlib.blake2b(body, key=subkey(master, "header mac"), digest_size=32).digest()
    return body + hashlib.sha256(body).digest()[:8]


def unwrap_keys(raw: bytes, passphrase: bytes) -> tuple[bytes, bytes, bytes]:
    """Key-encryption key, master key and current generation key of a header of the passphrase backend."""
    kek, master = unwrap_master(raw, passphrase)
    return kek, master, unwrap_generations(raw, passphrase)[0][1]


def unwrap_master(raw: bytes, passphrase: bytes) -> tuple[bytes, bytes]:
    length = struct.unpack(">H", raw[27:29])[0]
    wrapped = raw[29 : 29 + length]
    memory_kib, passes = struct.unpack(">II", wrapped[:8])
    kek = crypto_pwhash_alg(32, passphrase, wrapped[9:25], passes, memory_kib * 1024, crypto_pwhash_ALG_ARGON2ID13)
    aad = b"hermes/keystore/v1 wrap" + struct.pack(">H", 1) + raw[10:27] + wrapped[:25]
    master = xchacha_open(wrapped[49:], aad, wrapped[25:49], kek)
    assert hashlib.blake2b(raw[:-40], key=subkey(master, "header mac"), digest_size=32).digest() == raw[-40:-8]
    return kek, master


def unwrap_generations(raw: bytes, passphrase: bytes) -> list[tuple[int, bytes]]:
    """Number and key of each generation of a header, the current one first; version 2 has two."""
    file_id, count, length = raw[10:26], struct.unpack(">H", raw[8:10])[0], struct.unpack(">H", raw[27:29])[0]
    _, master = unwrap_master(raw, passphrase)
    box = raw[29 + length : -40]
    plaintext = xchacha_open(box[24:], SEALED_GENERATIONS[count] + file_id, box[:24], subkey(master, "header seal"))
    return [
        (struct.unpack(">Q", plaintext[at : at + 8])[0], plaintext[at + 8 : at + 40]) for at in range(0, len(plaintext), 40)
    ]


def unwrap_header(raw: bytes, passphrase: bytes) -> tuple[bytes, int, bytes]:
    """File id, and number and key of the current generation."""
    return raw[10:26], *unwrap_generations(raw, passphrase)[0]


def short(data: bytes) -> bytes:
    return bytes([len(data)]) + data


def encode_epoch(epoch: dict[str, Any], version: int) -> bytes:
    out = struct.pack(">IBB", epoch["epoch"], epoch["role"], epoch["confirmed"])
    if version >= 3:
        out += bytes([epoch["suite"]])
    out += short(bytes.fromhex(epoch["transcript_hash"]))
    out += bytes.fromhex(epoch["mac"]) + bytes.fromhex(epoch["ratchet"])
    out += struct.pack(">Q", epoch["send_reserved"]) + bytes.fromhex(epoch["send_chain_key"])
    out += struct.pack(">Q", epoch["recv_reserved"]) + bytes.fromhex(epoch["recv_chain_key"])
    if version >= 2:
        out += struct.pack(">Q", epoch["recv_proven"])
    return out + struct.pack(">Q", epoch["created_at_s"])


def encode_channel(channel: dict[str, Any], version: int) -> bytes:
    out = bytes([channel["kind"]]) + short(channel["local"].encode()) + short(channel["peer"].encode())
    out += short(bytes.fromhex(channel["peer_public_key"]))
    epochs = [channel["current"], channel["pending"] if version >= 2 else None]
    out += bytes([(1 if epochs[0] else 0) | (2 if epochs[1] else 0)])
    out += b"".join(encode_epoch(epoch, version) for epoch in epochs if epoch)
    seen = [bytes.fromhex(key_id) for key_id in channel["seen_ephemerals"]]
    out += struct.pack(">H", len(seen)) + b"".join(seen)
    return out + struct.pack(">QQB", *channel["orders"], channel["floor"]) if version >= 3 else out


def encode_chat_record(record: dict[str, Any], version: int) -> bytes:
    out = bytes([version]) + bytes.fromhex(record["chat_id"]) + bytes([record["state"]])
    out += "".join(record["app_ids"]).encode()
    out += b"".join(short(bytes.fromhex(key)) for key in record["app_keys"])
    out += struct.pack(">IQQ", record["end_to_end_epoch"], record["created_at_s"], record["last_active_at_s"])
    if version >= 2:
        out += struct.pack(">QQQ", *record["acked"], record["messages_in_epoch"])
    for node, side in zip(record["side_nodes"], record["sides"], strict=True):
        out += short((node or "").encode()) + encode_channel(side, version)
    return out


def encode_move(mover_key: bytes, home: str, number: int, leg_hash: bytes, signature: bytes) -> bytes:
    return mover_key + short(home.encode()) + struct.pack(">Q", number) + leg_hash + signature


def fill(chat: dict[str, Any], version: int) -> dict[str, Any]:
    """What an older version does not hold, as docs/reference/keystore.md fills it."""
    filled = copy.deepcopy(chat)
    for side in filled["sides"] if version < 3 else ():
        side |= {"orders": [0, 0], "floor": 0}
        for epoch in filter(None, (side["current"], side["pending"])):
            epoch["suite"] = classical_suite(epoch)
    if version > 1:
        return filled
    filled |= {"acked": [0, 0], "messages_in_epoch": 0}
    for side in filled["sides"]:
        side["pending"] = None
        if side["current"]:
            side["current"]["recv_proven"] = 0
    return filled


def write_keystore(
    path: Path,
    passphrase: bytes,
    records: list[tuple[int, int, bytes, bytes]],
    rng: random.Random,
    *,
    page_bytes: int = 1024,
    rotating: int = 0,
) -> None:
    """A whole keystore file; `records` are (table, version, key, value). Cheapest Argon2 costs a product takes.

    `rotating`: so many of the records are left to a generation before this one, as in the middle of a rotation.
    """
    file_id, master, generation_key = rng.randbytes(16), rng.randbytes(32), rng.randbytes(32)
    wrapped = wrap_master(file_id, passphrase, 8192, 1, rng.randbytes(16), master, rng.randbytes(24))
    former_key = rng.randbytes(32) if rotating else b""
    number = 2 if rotating else 1
    generations = [(2, generation_key), (1, former_key)] if rotating else [(1, generation_key)]
    raw = header(file_id, wrapped, master, generations, rng.randbytes(24))
    theirs = [seal_record(file_id, 1, former_key, *record, rng.randbytes(24)) for record in records[:rotating]]
    rows = [seal_record(file_id, number, generation_key, *record, rng.randbytes(24)) for record in records[rotating:]]
    former = (former_key, theirs) if rotating else None
    state = seal_state(file_id, number, generation_key, 1 + len(records), rows, raw, rng.randbytes(24), former)
    rows = theirs + rows
    database = sqlite3.connect(path, isolation_level=None)
    for pragma in (f"page_size = {page_bytes}", "application_id = 1212896049", "user_version = 1", "journal_mode = WAL"):
        database.execute(f"PRAGMA {pragma}")
    database.execute("CREATE TABLE header (id INTEGER PRIMARY KEY CHECK (id = 1), body BLOB NOT NULL)")
    database.execute("CREATE TABLE state (id INTEGER PRIMARY KEY CHECK (id = 1), sealed BLOB NOT NULL)")
    database.execute(
        "CREATE TABLE records (row_key BLOB PRIMARY KEY, tbl INTEGER NOT NULL, version INTEGER NOT NULL,"
        " sealed BLOB NOT NULL) WITHOUT ROWID"
    )
    database.execute("INSERT INTO header VALUES (1, ?)", (raw,))
    database.execute("INSERT INTO state VALUES (1, ?)", (state,))
    database.executemany("INSERT INTO records VALUES (?, ?, ?, ?)", rows)
    database.close()


def read_keystore(path: Path, passphrase: bytes) -> dict[tuple[int, int, bytes], bytes]:
    """(table, version, key) → value of every record of a keystore file."""
    database = sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)
    (raw,) = database.execute("SELECT body FROM header").fetchone()
    file_id, generation, generation_key = unwrap_header(raw, passphrase)
    rows = database.execute("SELECT row_key, tbl, version, sealed FROM records").fetchall()
    database.close()
    records = {}
    for row in rows:
        key, value = open_record(file_id, generation, generation_key, row)
        records[row[1], row[2], key] = value
    return records


def classical_suite(epoch: dict[str, Any]) -> int:
    """X25519 with the hash whose length the transcript hash has."""
    return {64: 1, 128: 2}[len(epoch["transcript_hash"])]


def random_epoch(rng: random.Random) -> dict[str, Any]:
    secrets = {name: rng.randbytes(32).hex() for name in ("mac", "ratchet", "send_chain_key", "recv_chain_key")}
    numbers = {name: rng.randrange(2**63) for name in ("send_reserved", "recv_reserved", "recv_proven", "created_at_s")}
    return {
        "epoch": rng.randrange(1, 2**32),
        "role": rng.randrange(2),
        "confirmed": rng.random() < 0.5,
        "transcript_hash": rng.randbytes(rng.choice((32, 64))).hex(),
        **secrets,
        **numbers,
    }


def random_channel(rng: random.Random) -> dict[str, Any]:
    later = random.Random(repr(rng.getstate()))  # what came with a later version must not move what came before
    channel: dict[str, Any] = {
        "kind": rng.choice((2, 3)),
        "local": f"node:mesh-{rng.randrange(10)}:{random_app_id(rng)}",
        "peer": f"app:{random_app_id(rng)}",
        "peer_public_key": rng.choice(("", rng.randbytes(32).hex())),
        "current": rng.choice((None, random_epoch(rng), random_epoch(rng))),
        "pending": rng.choice((None, random_epoch(rng))),
        "seen_ephemerals": [rng.randbytes(16).hex() for _ in range(rng.randrange(4))],
        "orders": [later.randrange(2**63), later.randrange(2**62)],
    }
    for epoch in filter(None, (channel["current"], channel["pending"])):
        epoch["suite"] = classical_suite(epoch) + later.choice((0, 2))
    channel["floor"] = later.randrange(5)
    return channel


def random_app_id(rng: random.Random) -> str:
    return "".join(rng.choices("abcdefghijklmnopqrstuvwxyz234567", k=32))


def random_chat_record(rng: random.Random) -> dict[str, Any]:
    return {
        "chat_id": rng.randbytes(16).hex(),
        "state": rng.randrange(1, 4),
        "app_ids": [random_app_id(rng), random_app_id(rng)],
        "app_keys": [rng.randbytes(32).hex(), rng.choice(("", rng.randbytes(32).hex()))],
        "end_to_end_epoch": rng.randrange(2**32),
        "created_at_s": rng.randrange(2**63),
        "last_active_at_s": rng.randrange(2**63),
        "acked": [rng.randrange(2**63), rng.randrange(2**63)],
        "messages_in_epoch": rng.randrange(2**63),
        "side_nodes": rng.choice(([None, None], [None, "mesh-1"], ["mesh-2", None])),
        "sides": [random_channel(rng), random_channel(rng)],
    }


def build_vectors(seed: int = 4) -> dict[str, Any]:
    """Every construction of the keystore as named inputs and outputs, bytes in hex."""
    rng = random.Random(seed)
    file_id, master, generation_key = rng.randbytes(16), rng.randbytes(32), rng.randbytes(32)
    generation, passphrase, salt = 7, b"correct horse battery staple", rng.randbytes(16)
    wrap_nonce, header_nonce, state_nonce = rng.randbytes(24), rng.randbytes(24), rng.randbytes(24)
    wrapped = wrap_master(file_id, passphrase, 8192, 1, salt, master, wrap_nonce)
    raw = header(file_id, wrapped, master, [(generation, generation_key)], header_nonce)
    chats = [random_chat_record(rng) for _ in range(8)]
    sealings, rows = [], []
    for table, version, key, value in (
        (1, 1, b"identity", rng.randbytes(32)),
        (2, 3, bytes.fromhex(chats[0]["chat_id"]), encode_chat_record(chats[0], 3)),
        (3, 1, b"", b""),
        (4, 1, bytes(255), rng.randbytes(1000)),
    ):
        nonce = rng.randbytes(24)
        row = seal_record(file_id, generation, generation_key, table, version, key, value, nonce)
        rows.append(row)
        sealings.append(
            {"table": table, "version": version, "key": key.hex(), "value": value.hex(), "nonce": nonce.hex()}
            | {"row_key": row[0].hex(), "sealed": row[3].hex()}
        )
    former_key, later = random.Random("former").randbytes(32), random.Random("rotating")
    two_nonces = later.randbytes(24), later.randbytes(24)
    two = header(file_id, wrapped, master, [(generation, generation_key), (generation - 1, former_key)], two_nonces[0])
    theirs = [seal_record(file_id, generation - 1, former_key, 5, 1, b"left", b"to do", later.randbytes(24))]
    two_states = seal_state(file_id, generation, generation_key, 6, rows, two, two_nonces[1], (former_key, theirs))
    beneath = random.Random("floor")
    floor_key, floors = beneath.randbytes(32), []
    for counters in ((5, 5), (5, 9), (2**63 - 1, 2)):
        nonces = beneath.randbytes(24), beneath.randbytes(24)
        sealed = [seal_floor(file_id, floor_key, *floor) for floor in zip(counters, nonces, strict=True)]
        floors.append(
            {"counters": list(counters), "nonces": [nonce.hex() for nonce in nonces]}
            | {"file": floor_file(*sealed).hex(), "floor": max(counters)}
        )
    purposes = ("header seal", "header mac", "record", "state", "row key", "set digest")
    return {
        "comment": "docs/reference/keystore.md; made by tests/reference/keystore_reference.py; all bytes in hex",
        "file_id": file_id.hex(),
        "master_key": master.hex(),
        "generation": generation,
        "generation_key": generation_key.hex(),
        "subkeys": [
            {"parent": parent.hex(), "purpose": purpose, "key": subkey(parent, purpose).hex()}
            for purpose, parent in zip(purposes, (master, master, *[generation_key] * 4), strict=True)
        ],
        "header": {
            "passphrase": passphrase.hex(),
            "memory_kib": 8192,
            "passes": 1,
            "salt": salt.hex(),
            "wrap_nonce": wrap_nonce.hex(),
            "header_nonce": header_nonce.hex(),
            "wrapped": wrapped.hex(),
            "raw": raw.hex(),
        },
        "records": sealings,
        "set_digest": set_digest(generation_key, rows).hex(),
        "state": {
            "counter": 5,
            "nonce": state_nonce.hex(),
            "sealed": seal_state(file_id, generation, generation_key, 5, rows, raw, state_nonce).hex(),
        },
        "rotating": {
            "former_generation": generation - 1,
            "former_generation_key": former_key.hex(),
            "former_rows": [{"row_key": row[0].hex(), "table": 5, "version": 1, "sealed": row[3].hex()} for row in theirs],
            "header_nonce": two_nonces[0].hex(),
            "header": two.hex(),
            "counter": 6,
            "state_nonce": two_nonces[1].hex(),
            "state": two_states.hex(),
        },
        "floor": {
            "key": floor_key.hex(),
            "armed": 1,
            "stored": (b"\x01" + floor_key).hex(),
            "files": floors,
        },
        "chat_records": [
            {"record": chat} | {f"version_{version}": encode_chat_record(chat, version).hex() for version in (1, 2, 3)}
            for chat in chats
        ],
    }


def golden_chats() -> list[dict[str, Any]]:
    """The chats of the golden files; both files hold the same ones, each in its record version."""
    rng = random.Random("golden")
    return [random_chat_record(rng) for _ in range(5)]


def write_golden(folder: Path, version: int) -> None:
    """`record-v<version>.db`: a keystore as the first Hermes with that chat record version left it."""
    chats = [(2, version, bytes.fromhex(chat["chat_id"]), encode_chat_record(chat, version)) for chat in golden_chats()]
    others = [(1, 1, b"seed", bytes(range(32))), (3, 1, b"tombstone", b"\x01")]
    write_keystore(folder / f"record-v{version}.db", GOLDEN_PASSPHRASE, others + chats, random.Random(f"golden {version}"))


def write_rotating(folder: Path, version: int) -> None:
    """`rotating-v<version>.db`: the same in the middle of the first rotation, four of its seven records left to do."""
    chats = [(2, version, bytes.fromhex(chat["chat_id"]), encode_chat_record(chat, version)) for chat in golden_chats()]
    records = [(1, 1, b"seed", bytes(range(32))), *chats, (3, 1, b"tombstone", b"\x01")]
    rng = random.Random(f"rotating {version}")
    write_keystore(folder / f"rotating-v{version}.db", GOLDEN_PASSPHRASE, records, rng, rotating=4)


def write_floored(folder: Path, version: int) -> None:
    """`floored-v<version>.db`: the same with a floor beside it, by the keystore's last commit and by one before that."""
    rng = random.Random(f"floored {version}")
    floor_key = rng.randbytes(32)
    chats = [(2, version, bytes.fromhex(chat["chat_id"]), encode_chat_record(chat, version)) for chat in golden_chats()]
    records = [(1, 1, b"seed", bytes(range(32))), (3, 1, b"tombstone", b"\x01"), (7, 1, b"floor", b"\x01" + floor_key), *chats]
    path = folder / f"floored-v{version}.db"
    write_keystore(path, GOLDEN_PASSPHRASE, records, rng)
    with sqlite3.connect(path) as database:
        (raw,) = database.execute("SELECT body FROM header").fetchone()
    database.close()
    last = 1 + len(records)
    sealed = [seal_floor(raw[10:26], floor_key, counter, rng.randbytes(24)) for counter in (last - 3, last)]
    path.with_name(path.name + ".floor").write_bytes(floor_file(*sealed))


if __name__ == "__main__":
    VECTORS.parent.mkdir(exist_ok=True)
    VECTORS.write_text(json.dumps(build_vectors(), indent=1) + "\n")
