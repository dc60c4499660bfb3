"""The records of an app's store a second time, straight from docs/reference/keystore.md; shares no code with the product.

`python -m tests.reference.app_store_reference` writes tests/vectors/app_record.json anew.
"""

from __future__ import annotations

import json
import random
import struct
from pathlib import Path
from typing import Any

from tests.reference import protocol_reference
from tests.reference.keystore_reference import encode_channel, encode_move, random_app_id, random_channel, short

VECTORS = Path(__file__).parent.parent / "vectors" / "app_record.json"


def encode_identity(identity: dict[str, Any]) -> bytes:
    seed: str = identity["seed"]
    return b"\x01" + bytes.fromhex(seed) + struct.pack(">Q", identity["stamp"])


def encode_chat(chat: dict[str, Any]) -> bytes:
    out: bytes = b"\x01" + bytes.fromhex(chat["chat_id"]) + bytes([chat["state"], chat["wish"]]) + chat["peer"].encode()
    out += short(chat["home"].encode()) + struct.pack(">QQQ", chat["last_seq"], chat["acked"], chat["taken"])
    channels: bytes = encode_channel(chat["end_to_end"], 3) + encode_channel(chat["leg"], 3)
    return out + channels + encode_moves(chat["moves"])


def encode_moves(moves: dict[str, Any] | None) -> bytes:
    if moves is None:
        return bytes(9)
    newest = moves["newest"]
    head = struct.pack(">QB", moves["number"], moves["unproven"] + 2 * (newest is not None))
    if newest is None:
        return head
    key, leg_hash, signature = (bytes.fromhex(newest[name]) for name in ("mover_key", "leg_hash", "signature"))
    kept: bytes = encode_move(key, newest["home"], newest["number"], leg_hash, signature)
    return head + kept


def encode_outgoing(message: dict[str, Any]) -> bytes:
    plaintext, frame = bytes.fromhex(message["plaintext"]), bytes.fromhex(message["frame"])
    head = struct.pack(">QII", message["seq"], message["epoch"], len(plaintext))
    return b"\x01" + bytes.fromhex(message["chat_id"]) + head + plaintext + frame


def encode_ended(ended: dict[str, Any]) -> bytes:
    head = b"\x01" + bytes.fromhex(ended["chat_id"]) + struct.pack(">BQ", ended["failed"], ended["ended_s"])
    proofs = b"".join(struct.pack(">I", proof["epoch"]) + bytes.fromhex(proof["tag"]) for proof in ended["proofs"])
    return head + short(ended["home"].encode()) + bytes([len(ended["proofs"])]) + proofs


def encode_mark(mark: dict[str, Any]) -> bytes:
    return b"\x01" + short(mark["node_id"].encode()) + bytes.fromhex(mark["mark"])


def key_of(name: str, record: dict[str, Any]) -> bytes:
    """Where a record of this kind is in its table."""
    if name == "identities":
        return b"app"
    if name == "marks":
        node_id: str = record["node_id"]
        return node_id.encode() + b":" + bytes.fromhex(record["mark"])[:32]
    chat_id = bytes.fromhex(record["chat_id"])
    return chat_id + struct.pack(">Q", record["seq"]) if name == "outgoing" else chat_id


def random_identity(rng: random.Random) -> dict[str, Any]:
    return {"seed": rng.randbytes(32).hex(), "stamp": rng.randrange(2**63)}


def random_chat(rng: random.Random) -> dict[str, Any]:
    last_seq = rng.randrange(2**63)
    return {
        "chat_id": rng.randbytes(16).hex(),
        "state": rng.randrange(1, 3),
        "wish": rng.randrange(3),
        "peer": random_app_id(rng),
        "home": f"mesh-{rng.randrange(10)}",
        "last_seq": last_seq,
        "acked": rng.randrange(last_seq + 1),
        "taken": rng.randrange(2**63),
        "end_to_end": random_channel(rng) | {"kind": 1},
        "leg": random_channel(rng) | {"kind": 2},
        "moves": random_moves(random.Random(last_seq)),
    }


def random_moves(rng: random.Random) -> dict[str, Any] | None:
    """Half of all have moved, and half of those know what they signed."""
    if rng.random() < 0.5:
        return None
    number = rng.randrange(1, 2**62)
    newest = {
        "mover_key": rng.randbytes(32).hex(),
        "home": f"node:mesh-1:{random_app_id(rng)}",
        "number": number,
        "leg_hash": rng.randbytes(32).hex(),
        "signature": rng.randbytes(64).hex(),
    }
    return {"number": number, "unproven": rng.random() < 0.5, "newest": newest if rng.random() < 0.5 else None}


def random_outgoing(rng: random.Random) -> dict[str, Any]:
    length, epoch = rng.choice((4, 128, 200)), rng.choice((0, 1, 2**32 - 1))
    return {
        "chat_id": rng.randbytes(16).hex(),
        "seq": rng.randrange(1, 2**63),
        "epoch": epoch,
        "plaintext": rng.randbytes(length).hex(),
        "frame": rng.randbytes(39 + length + 16).hex() if epoch else "",
    }


def random_ended(rng: random.Random) -> dict[str, Any]:
    return {
        "chat_id": rng.randbytes(16).hex(),
        "failed": rng.random() < 0.5,
        "ended_s": rng.randrange(2**63),
        "home": f"node:mesh-{rng.randrange(10)}:{random_app_id(rng)}",
        "proofs": [{"epoch": rng.randrange(2**32), "tag": rng.randbytes(16).hex()} for _ in range(rng.randrange(3))],
    }


def random_mark(rng: random.Random) -> dict[str, Any]:
    """As a node signs it: the signature is checked when the record is read."""
    numbers = rng.randrange(2**63), rng.randrange(2**63)
    mark: bytes = protocol_reference.mark(rng.randbytes(32), rng.randbytes(16), *numbers)
    return {"node_id": f"mesh-{rng.randrange(10)}", "mark": mark.hex()}


def build_vectors(seed: int = 6) -> dict[str, Any]:
    rng = random.Random(seed)
    kinds = (
        ("identities", random_identity, encode_identity, 2),
        ("chats", random_chat, encode_chat, 6),
        ("outgoing", random_outgoing, encode_outgoing, 4),
        ("ended", random_ended, encode_ended, 4),
        ("marks", random_mark, encode_mark, 2),
    )
    made = {name: [build(rng) for _ in range(count)] for name, build, _, count in kinds}
    return {
        "comment": "docs/reference/keystore.md; made by tests/reference/app_store_reference.py; all bytes in hex",
        **{
            name: [{"record": each, "key": key_of(name, each).hex(), "value": encode(each).hex()} for each in made[name]]
            for name, _, encode, _ in kinds
        },
    }


if __name__ == "__main__":
    VECTORS.write_text(json.dumps(build_vectors(), indent=1) + "\n")
