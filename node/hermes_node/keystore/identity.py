"""What a node keeps of itself in its keystore: its identity key, its name, and an incarnation that rises at every start."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from hermes_core.crypto.random import RandomSource
from hermes_core.crypto.secret import SecretBytes, wipe_buffer
from hermes_core.crypto.signing import SEED_BYTES, Identity
from hermes_core.errors import ConfigError, KeystoreTamperedError
from hermes_core.ids import NodeId
from hermes_keystore import Keystore, Table

IDENTITY_KEY: Final = b"node"
NODE_ID_KEY: Final = b"node_id"
INCARNATION_KEY: Final = b"incarnation"
_NO_IDENTITY: Final = (
    "put the newest volume back; or move every file of this keystore away, to begin as a new node (`hermesctl keystore init`)"
)
_INCARNATION: Final = struct.Struct(">Q")


@dataclass(frozen=True, slots=True)
class StoredIdentity:
    """What this start goes by."""

    identity: Identity
    incarnation: int


@contextmanager
def new_identity(random: RandomSource) -> Iterator[dict[tuple[Table, bytes], bytearray]]:
    """The records that a keystore of a new node is created with; wiped afterwards."""
    identity = Identity.generate(random)
    secret = identity.seed()
    try:
        yield {(Table.IDENTITY, IDENTITY_KEY): secret.buffer}
    finally:
        secret.wipe()
        identity.wipe()


def load_identity(keystore: Keystore, node_id: NodeId) -> StoredIdentity:
    """Load the identity and raise the incarnation, durable when this returns.

    A keystore is created with its identity. KeystoreTamperedError when it has none: a new one would hide that the old one,
    and whatever it was pinned by, is lost. ConfigError when the keystore belongs to a node of another name: transcripts name
    the node, its chats could not go on.
    """
    stored_id = keystore.get(Table.META, NODE_ID_KEY)
    if stored_id is not None and stored_id.decode() != node_id:
        raise ConfigError("node.id", f"{node_id!r}, but this keystore belongs to node {stored_id.decode()!r}")
    seed = keystore.get(Table.IDENTITY, IDENTITY_KEY)
    if seed is None:
        raise KeystoreTamperedError("the keystore holds no identity of a node", cure=_NO_IDENTITY)
    identity = _restore(seed)
    incarnation = read_incarnation(keystore) + 1
    puts = {(Table.META, NODE_ID_KEY): node_id.encode(), (Table.META, INCARNATION_KEY): encode_incarnation(incarnation)}
    try:
        keystore.commit(puts)
    except BaseException:
        identity.wipe()
        raise
    return StoredIdentity(identity, incarnation)


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
