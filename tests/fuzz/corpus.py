"""The corpus: authentic inputs of every target (written by `--seed-corpus`) and what fuzzing found worth keeping."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

CORPUS = Path(__file__).with_name("corpus")


def load_targets() -> dict[str, Callable[[bytes], None]]:
    from tests.fuzz import parsers, targets

    return {**targets.TARGETS, **parsers.TARGETS}


def list_targets() -> list[str]:
    return [
        "header", "open", "content", "offer", "answer", "resume", "payload", "client-batch", "server-batch", "peer-batch",
        "gossip", "join", "record", "keystore-header",
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
    from hermes_core.ids import NodeId, derive_app_id
    from hermes_core.mesh.messages import DirectoryEntry, Hello, MemberClaim, MembershipUpdate, MemberState, NodeDescriptor
    from hermes_core.protocol import payload
    from hermes_core.protocol.messages import PathState, Sealed
    from hermes_core.protocol.session import Challenge, Connect, Heartbeat
    from hermes_core.ratchet.padding import pad
    from hermes_wire.app import build_client_batch, build_server_batch
    from hermes_wire.peer import build_gossip, build_join, build_peer_batch
    from tests.fuzz import targets
    from tests.unit.hermes_core.ratchet.pairs import ALICE, CHAT

    frames = list(targets.AUTHENTIC)
    offer = targets.encode_statement(targets.OFFER, ALICE.public_key, b"")
    node = NodeDescriptor(NodeId("hermes-0"), ALICE.public_key, "127.0.0.1:7443", 3, "0.1.0", bytes(64))
    entry = DirectoryEntry(node.node_id, 3, 1, frozenset({derive_app_id(ALICE.public_key)}))
    update = MembershipUpdate((MemberClaim(node, MemberState.ALIVE, 3),), (entry,))
    hello = Hello(node, bytes(32), bytes(32), b"\x01")
    records = json.loads((CORPUS.parents[1] / "vectors" / "record.json").read_text())
    return {
        "header": frames[:2],
        "open": frames[:3] + frames[-1:],
        "content": [pad(b"hello", padding=True), pad(bytes(200), padding=False)],
        "offer": [offer, offer.replace(ALICE.public_key, b"")],
        "answer": [targets.encode_statement(targets.OFFER, ALICE.public_key, bytes(32))],
        "resume": [targets.encode_claims(targets.LEG_CLAIMS), targets.encode_claims(targets.LEG_CLAIMS * 2)],
        "payload": [payload.encode_data(1, frames[0]), payload.encode_ack(7, 1, bytes(16))],
        "client-batch": [
            build_client_batch(
                [Connect(ALICE.public_key, bytes(32), bytes(32), 1, 1, bytes(64)), Sealed(frames[0])]
            ).SerializeToString(),
            build_client_batch([Heartbeat(1, reply=False)]).SerializeToString(),
        ],
        "server-batch": [
            build_server_batch(
                [Challenge(NodeId("hermes-0"), ALICE.public_key, bytes(32), bytes(32), b"\x01")]
            ).SerializeToString(),
            build_server_batch([PathState(CHAT, up=True)]).SerializeToString(),
        ],
        "peer-batch": [build_peer_batch([Sealed(frames[0]), PathState(CHAT, up=False)]).SerializeToString()],
        "gossip": [build_gossip(update).SerializeToString()],
        "join": [build_join(hello).SerializeToString(), build_join(update).SerializeToString()],
        "record": [
            bytes.fromhex(case[version])
            for case in records["chat_records"]
            for version in ("version_1", "version_2", "version_3")
        ],
        "keystore-header": [bytes.fromhex(records["header"]["raw"])],
    }
