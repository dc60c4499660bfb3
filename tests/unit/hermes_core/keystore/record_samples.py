"""Chat records for tests: one builder driven by a seeded generator, and an equality that sees through SecretBytes."""

from __future__ import annotations

import random
from dataclasses import fields, is_dataclass
from typing import Any

from hermes_core.crypto.hashing import DIGEST_BYTES
from hermes_core.crypto.secret import SecretBytes
from hermes_core.crypto.suites import Suite
from hermes_core.handshake.move import SignedMove
from hermes_core.ids import (
    ChannelKind,
    ChatId,
    NodeId,
    Party,
    Role,
    derive_app_id,
    derive_fingerprint,
    node_party,
    parse_node_id,
)
from hermes_core.keystore.chat_record import ChatRecord, ChatState
from hermes_core.ratchet.state import NO_ORDERS, ChannelSnapshot, DirectionSnapshot, EpochSnapshot, Orders


def build_record(rng: random.Random, *, first_version: bool = False) -> ChatRecord:
    """A random well-formed record; `first_version` leaves out what version 1 cannot hold."""
    keys = (rng.randbytes(32), rng.randbytes(32))
    nodes = (None, None) if rng.random() < 0.5 else (None, parse_node_id(f"mesh-{rng.randrange(100)}"))
    sides = (build_channel(rng, ChannelKind.LEG, first_version), build_channel(rng, ChannelKind.TIELINE, first_version))
    return ChatRecord(
        chat_id=ChatId(rng.randbytes(16)),
        state=rng.choice(list(ChatState)),
        app_ids=(derive_app_id(keys[0]), derive_app_id(keys[1])),
        app_keys=(keys[0], rng.choice((keys[1], b""))),
        side_nodes=nodes,
        sides=sides,
        end_to_end_epoch=rng.randrange(2**32),
        acked=(0, 0) if first_version else (rng.randrange(2**63), rng.randrange(2**63)),
        messages_in_epoch=0 if first_version else rng.randrange(2**63),
        created_at_s=rng.randrange(2**40),
        last_active_at_s=rng.randrange(2**40),
        moves=(None, None) if first_version else build_moves(random.Random(keys[0]), keys),
    )


def build_moves(rng: random.Random, keys: tuple[bytes, bytes]) -> tuple[SignedMove | None, SignedMove | None]:
    """Of the apps with these keys; each of them, or none, has moved."""
    apps = [derive_app_id(key) for key in keys]

    def build(index: int) -> SignedMove | None:
        home = node_party(NodeId(f"mesh-{rng.randrange(100)}"), rng.randbytes(32))
        number, rest = rng.randrange(1, 2**62), (rng.randbytes(32), rng.randbytes(64))
        return rng.choice((None, SignedMove(keys[index], apps[1 - index], home, number, *rest)))

    return build(0), build(1)


def build_channel(rng: random.Random, kind: ChannelKind, first_version: bool = False) -> ChannelSnapshot:
    peer_key = rng.randbytes(32)
    return ChannelSnapshot(
        kind=kind,
        local=Party(f"node:mesh-0:{derive_fingerprint(rng.randbytes(32))}"),
        peer=Party(f"app:{derive_app_id(peer_key)}"),
        peer_public_key=rng.choice((peer_key, b"")),
        current=rng.choice((None, build_epoch(rng, first_version))),
        pending=None if first_version else rng.choice((None, build_epoch(rng))),
        seen_ephemerals=tuple(rng.randbytes(16) for _ in range(rng.randrange(4))),
        orders=NO_ORDERS if first_version else Orders(rng.randrange(2**63), rng.randrange(2**62)),
        floor=None if first_version else rng.choice((None, *Suite)),
    )


def build_epoch(rng: random.Random, first_version: bool = False) -> EpochSnapshot:
    suite = rng.choice((Suite.X25519_SHA256, Suite.X25519_SHA512) if first_version else tuple(Suite))
    return EpochSnapshot(
        epoch=rng.randrange(1, 2**32),
        role=rng.choice(list(Role)),
        suite=suite,
        transcript_hash=rng.randbytes(DIGEST_BYTES[suite.hash_id]),
        confirmed=rng.random() < 0.5,
        mac=build_secret(rng),
        ratchet=build_secret(rng),
        send=DirectionSnapshot(rng.randrange(2**63), build_secret(rng)),
        recv=DirectionSnapshot(rng.randrange(2**63), build_secret(rng)),
        recv_proven=0 if first_version else rng.randrange(2**63),
        created_at_s=rng.randrange(2**40),
    )


def build_secret(rng: random.Random) -> SecretBytes:
    return SecretBytes.take(bytearray(rng.randbytes(32)))


def reveal(value: Any) -> Any:
    """A record as plain comparable data, secrets included: for tests only."""
    if isinstance(value, SecretBytes):
        return ("secret", bytes(value.buffer))
    if is_dataclass(value):
        return {field.name: reveal(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, tuple):
        return tuple(reveal(item) for item in value)
    return value
