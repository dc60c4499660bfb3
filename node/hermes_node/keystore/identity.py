"""What a node keeps of itself in its keystore: its identity key, its name, and an incarnation that rises at every start."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from hermes_core.crypto.random import RandomSource
from hermes_core.crypto.secret import SecretBytes, wipe_buffer
from hermes_core.crypto.signing import SEED_BYTES, Identity
from hermes_core.errors import ConfigError, KeystoreTamperedError
from hermes_core.ids import NodeId
from hermes_node.keystore import Keystore, Table

IDENTITY_KEY: Final = b"node"
NODE_ID_KEY: Final = b"node_id"
INCARNATION_KEY: Final = b"incarnation"
_INCARNATION: Final = struct.Struct(">Q")


@dataclass(frozen=True, slots=True)
class StoredIdentity:
    """`created` True: this start made it."""

    identity: Identity
    incarnation: int
    created: bool


def load_identity(keystore: Keystore, node_id: NodeId, random: RandomSource) -> StoredIdentity:
    """Load or make the identity and raise the incarnation, durable when this returns.

    ConfigError when the keystore belongs to a node of another name: transcripts name the node, its chats could not go on.
    """
    stored_id = keystore.get(Table.META, NODE_ID_KEY)
    if stored_id is not None and stored_id.decode() != node_id:
        raise ConfigError("node.id", f"{node_id!r}, but this keystore belongs to node {stored_id.decode()!r}")
    seed = keystore.get(Table.IDENTITY, IDENTITY_KEY)
    created = seed is None
    identity = Identity.generate(random) if seed is None else _restore(seed)
    incarnation = read_incarnation(keystore) + 1
    puts: dict[tuple[Table, bytes], bytes | bytearray] = {
        (Table.META, NODE_ID_KEY): node_id.encode(),
        (Table.META, INCARNATION_KEY): encode_incarnation(incarnation),
    }
    secret = identity.seed()
    try:
        if created:
            puts[Table.IDENTITY, IDENTITY_KEY] = secret.buffer
        keystore.commit(puts)
    finally:
        secret.wipe()
    return StoredIdentity(identity, incarnation, created)


def read_incarnation(keystore: Keystore) -> int:
    stored = keystore.get(Table.META, INCARNATION_KEY)
    if stored is None:
        return 0
    if len(stored) != _INCARNATION.size:
        raise KeystoreTamperedError("the incarnation is not well formed")
    return int(_INCARNATION.unpack(stored)[0])


def encode_incarnation(incarnation: int) -> bytes:
    return _INCARNATION.pack(incarnation)


def _restore(seed: bytearray) -> Identity:
    if len(seed) != SEED_BYTES:
        wipe_buffer(seed)
        raise KeystoreTamperedError("the node's identity is not well formed")
    secret = SecretBytes.take(seed)
    try:
        return Identity.from_seed(secret)
    finally:
        secret.wipe()
