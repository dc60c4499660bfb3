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
from hermes_core.errors import ConfigError, KeystoreTamperedError, ProtocolError
from hermes_core.handshake.renewal import append_renewal, build_renewal, verify_renewals
from hermes_core.ids import NodeId, derive_fingerprint
from hermes_keystore import Keystore, Table

IDENTITY_KEY: Final = b"node"
NODE_ID_KEY: Final = b"node_id"
INCARNATION_KEY: Final = b"incarnation"
RENEWALS_KEY: Final = b"renewals"
_NO_IDENTITY: Final = (
    "put the newest volume back; or move every file of this keystore away, to begin as a new node (`hermesctl keystore init`)"
)
_INCARNATION: Final = struct.Struct(">Q")


@dataclass(frozen=True, slots=True)
class StoredIdentity:
    """What this start goes by."""

    identity: Identity
    incarnation: int
    renewals: bytes = b""
    """Of the identity key (hermes_core.handshake.renewal)."""


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


def load_identity(keystore: Keystore, node_id: NodeId, reserved: int = 0) -> StoredIdentity:
    """Load the identity and raise the incarnation, durable when this returns, with so many after it that may come into use.

    A keystore is created with its identity. KeystoreTamperedError when it has none: a new one would hide that the old one,
    and whatever it was pinned by, is lost. ConfigError when the keystore belongs to a node of another name: transcripts name
    the node, its chats could not go on.
    """
    stored_id = keystore.get(Table.META, NODE_ID_KEY)
    if stored_id is not None and stored_id.decode() != node_id:
        raise ConfigError("node.id", f"{node_id!r}, but this keystore belongs to node {stored_id.decode()!r}")
    identity = _read_identity(keystore)
    incarnation, renewals = read_incarnation(keystore) + 1, _read_renewals(keystore, node_id, identity)
    puts = {
        (Table.META, NODE_ID_KEY): node_id.encode(),
        (Table.META, INCARNATION_KEY): encode_incarnation(incarnation + reserved),
    }
    try:
        keystore.commit(puts)
    except BaseException:
        identity.wipe()
        raise
    return StoredIdentity(identity, incarnation, renewals)


@dataclass(frozen=True, slots=True)
class RenewedIdentity:
    """Fingerprints of both keys."""

    node_id: NodeId
    former: str
    now: str


def renew_identity(keystore: Keystore, random: RandomSource) -> RenewedIdentity:
    """Give the node a new identity key, durable when this returns, and nothing opens to the former one any more.

    Records of chats stay. ConfigError for a keystore whose node was never started: nobody knows its key.
    """
    stored_id = keystore.get(Table.META, NODE_ID_KEY)
    if stored_id is None:
        raise ConfigError(
            "node.id", "this keystore's node was never started, so nobody knows its key: there is nothing to renew"
        )
    node_id = NodeId(stored_id.decode())
    former, new = _read_identity(keystore), Identity.generate(random)
    secret = new.seed()
    try:
        renewals = append_renewal(_read_renewals(keystore, node_id, former), build_renewal(former, new, node_id))
        puts: dict[tuple[Table, bytes], bytes | bytearray] = {(Table.META, RENEWALS_KEY): renewals}
        puts[Table.IDENTITY, IDENTITY_KEY] = secret.buffer
        keystore.renew_key(puts, former.public_key)
        keystore.rotate_generation()  # the former seed is in no row that anything opens
        return RenewedIdentity(node_id, derive_fingerprint(former.public_key), derive_fingerprint(new.public_key))
    finally:
        secret.wipe()
        new.wipe()
        former.wipe()


def _read_identity(keystore: Keystore) -> Identity:
    seed = keystore.get(Table.IDENTITY, IDENTITY_KEY)
    if seed is None:
        raise KeystoreTamperedError("the keystore holds no identity of a node", cure=_NO_IDENTITY)
    return _restore(seed)


def _read_renewals(keystore: Keystore, node_id: NodeId, identity: Identity) -> bytes:
    renewals = bytes(keystore.get(Table.META, RENEWALS_KEY) or b"")
    try:
        verify_renewals(renewals, node_id, identity.public_key)
    except ProtocolError:
        identity.wipe()
        raise KeystoreTamperedError("the renewals of this node's identity are not well formed") from None
    return renewals


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
