"""The corpus: authentic inputs of every target (written by `--seed-corpus`) and what fuzzing found worth keeping."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

CORPUS = Path(__file__).with_name("corpus")


def load_targets() -> dict[str, Callable[[bytes], None]]:
    from tests.fuzz import app_disk, disk, fronts, homes, membership, parsers, sessions, targets, transport

    every = (targets, parsers, sessions, disk, app_disk, transport, membership, homes, fronts)
    return {name: target for module in every for name, target in module.TARGETS.items()}


def list_targets() -> list[str]:
    return [
        "header", "open", "content", "offer", "answer", "resume", "payload", "client-batch", "server-batch", "peer-batch",
        "gossip", "join", "carry", "admin", "record", "keystore-header", "connect", "connected", "peer-handshake", "control",
        "mark", "floor", "floor-key", "rollback", "passphrase", "annotation", "history", "tombstone", "witness", "app-record",
        "h2", "swim", "homes", "front-link", "owner-link",
    ]  # fmt: skip  # named here, so that atheris can instrument what the targets import


def read_corpus(target: str) -> list[bytes]:
    return [path.read_bytes() for path in sorted((CORPUS / target).iterdir())]


def write_seeds() -> None:
    for target, seeds in make_seeds().items():
        folder = CORPUS / target
        folder.mkdir(parents=True, exist_ok=True)
        for seed in seeds:
            (folder / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed)


def make_seeds() -> dict[str, list[bytes]]:
    """One authentic input or more for every target."""
    from tests.fuzz import app_disk, disk, fronts, homes, membership, sessions, transport

    wire = {**_make_channel_seeds(), **_make_wire_seeds(), **_make_record_seeds()}
    stores = {**disk.make_seeds(), **app_disk.make_seeds()}
    return {
        **wire,
        **sessions.make_seeds(),
        **stores,
        **membership.make_seeds(),
        **homes.make_seeds(),
        **fronts.make_seeds(),
        **transport.make_seeds(),
    }


def _make_channel_seeds() -> dict[str, list[bytes]]:
    from hermes_core.protocol import payload
    from hermes_core.ratchet.chat_claim import ChatClaim, MessageCursor
    from hermes_core.ratchet.padding import pad
    from tests.fuzz import targets
    from tests.unit.hermes_core.ratchet.pairs import ALICE

    frames = list(targets.AUTHENTIC)
    offer = targets.encode_statement(targets.OFFER, ALICE.public_key, b"")
    return {
        "header": frames[:2],
        "open": frames[:3] + frames[-1:],
        "content": [pad(b"hello", padding=True), pad(bytes(200), padding=False)],
        "offer": [offer, offer.replace(ALICE.public_key, b"")],
        "answer": [targets.encode_statement(targets.OFFER, ALICE.public_key, bytes(32))],
        "resume": [targets.encode_claims(targets.LEG_CLAIMS), targets.encode_claims(targets.LEG_CLAIMS * 2)],
        "payload": [
            payload.encode_data(1, frames[0]),
            payload.encode_ack(7, 1, bytes(16)),
            payload.encode_ask(bytes(32)),
            payload.encode_claim(ChatClaim(bytes(32), 1, bytes(32), 2, 1, 0, MessageCursor(2, 1, 2))),
        ],
    }


def _make_wire_seeds() -> dict[str, list[bytes]]:
    """Every message in every batch that may carry it, control messages with tags (of a session that nobody has)."""
    from google.protobuf.json_format import MessageToJson
    from google.protobuf.message import Message

    from hermes_core.keystore.mark import encode_mark
    from hermes_core.protocol.messages import Sealed
    from hermes_core.protocol.session import Heartbeat
    from hermes_core.protocol.validate import MIN_SEALED_BYTES
    from hermes_proto.v2 import admin_pb2
    from hermes_wire.app import build_client_batch, build_server_batch
    from hermes_wire.carry import build_carry
    from hermes_wire.peer import build_gossip, build_join, build_peer_batch
    from hermes_wire.swim import SWIM_TYPES
    from tests.fuzz import sessions
    from tests.support.control_samples import CONTROL_SAMPLES
    from tests.support.sessions import make_control_pair

    tagged = dict(zip(CONTROL_SAMPLES, make_control_pair(b"corpus")[0].tag(CONTROL_SAMPLES.values()), strict=True))
    frame, heartbeat = Sealed(bytes(MIN_SEALED_BYTES)), Heartbeat(1, reply=False)
    hello, proof = sessions.PEER_HANDSHAKE
    of_both = ["Offer", "Answer", "Confirm", "Reject", "Resume"]
    of_apps = [tagged[name] for name in (*of_both, "ClosedAck", "Delete", "FindApp", "MoveOffer", "Moved")]
    of_moves = ["MoveAnswer", "Moved"]
    told = ["PathState", "Closed", "ErrorNotice", "AppFound", "NodeChange", "MoveWanted"]
    of_homes = [tagged[name] for name in (*of_both, *told, *of_moves)]
    of_peers = [tagged[name] for name in (*of_both, "PathState", "Closed", "ClosedAck", "ErrorNotice", "MoveOffer", *of_moves)]
    of_gossip = [
        hello,
        proof,
        heartbeat,
        *(tagged[name] for name in ("MembershipUpdate", "HeldMark", "OwnMark", "Clock", "ErrorNotice")),
        *(tagged[kind.__name__] for kind in SWIM_TYPES),
        *(tagged[name] for name in ("HoldEntries", "EntriesHeld", "FindEntry", "EntryFound", "EntryOvertaken", "FindRefused")),
    ]
    of_joins = [hello, proof, tagged["MembershipUpdate"], tagged["ErrorNotice"]]
    of_carries = [hello, proof, *(tagged[name] for name in ("CarryTo", "CarryFrom", "Carried", "ErrorNotice"))]
    mark = encode_mark(sessions.MARK)
    witness = admin_pb2.ResumeWitness(node_id="hermes-0", live_chats=2, witness_id="00" * 16, digest="11" * 32, mark=mark)
    bodies = (witness, admin_pb2.HandedBack(node_id="hermes-0", mark=mark))
    batches: dict[str, list[Message]] = {
        "client-batch": [build_client_batch(items) for items in ([sessions.CONNECT, frame, heartbeat], *_alone(of_apps))],
        "server-batch": [
            build_server_batch(items)
            for items in ([sessions.CHALLENGE, sessions.CONNECTED], [frame, heartbeat], *_alone(of_homes))
        ],
        "peer-batch": [build_peer_batch(items) for items in ([hello, proof], [frame, heartbeat], *_alone(of_peers))],
        "gossip": [build_gossip(item) for item in of_gossip],
        "join": [build_join(item) for item in of_joins],
        "carry": [build_carry(item) for item in of_carries],
    }
    seeds = {target: [batch.SerializeToString() for batch in built] for target, built in batches.items()}
    return {**seeds, "admin": [MessageToJson(body, indent=None).encode() for body in bodies]}


def _alone(items: list[Any]) -> list[list[Any]]:
    """Each in a batch of its own: what reads the next one is reached whatever happens to it."""
    return [[item] for item in items]


def _make_record_seeds() -> dict[str, list[bytes]]:
    records = json.loads((CORPUS.parents[1] / "vectors" / "record.json").read_text())
    versions = ("version_1", "version_2", "version_3")
    return {
        "record": [bytes.fromhex(case[version]) for case in records["chat_records"] for version in versions],
        "keystore-header": [bytes.fromhex(records["header"]["raw"])],
    }
