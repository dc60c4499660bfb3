"""From configuration to everything that the keystore holds: open or create it, take the identity, read every chat."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from dataclasses import dataclass, field
from typing import TypedDict

from hermes_core.clock_peers import SeenTime
from hermes_core.crypto.random import RandomSource
from hermes_core.crypto.secret import SecretBytes, wipe_buffer
from hermes_core.errors import KeystoreIOError, KeystoreMissingError, KeystoreTamperedError
from hermes_core.ids import NodeId
from hermes_core.keystore.chat_record import ChatRecord, Tombstone
from hermes_core.keystore.chat_record_codec import parse_chat_record
from hermes_core.keystore.mark import Mark
from hermes_core.keystore.tombstone_codec import parse_tombstone
from hermes_core.keystore.witness import ClosedValues
from hermes_core.mesh.messages import NodeDescriptor
from hermes_core.mesh.swim.incarnation import RESERVED
from hermes_core.mesh.swim.statements import IdentitySignatures
from hermes_keystore import Keystore, Table
from hermes_keystore.database import Connector
from hermes_node.config.core_params import build_argon2_params
from hermes_node.config.sections import Config
from hermes_node.host import Host
from hermes_node.keystore.identity import StoredIdentity, load_identity, new_identity
from hermes_node.keystore.last_seen import read_last_seen
from hermes_node.keystore.passphrase import read_passphrase
from hermes_node.keystore.pins import read_pins
from hermes_node.keystore.witness import read_closed_values
from hermes_node.keystore.witnesses import read_held_marks, read_witnesses


class _FromHost(TypedDict):
    connect: Connector
    random: RandomSource
    now: Callable[[], float]


@dataclass(slots=True)
class UnsealedNode:
    """What a start found. `corrupt` counts authentic records that are not well formed: a defect, not an attack."""

    keystore: Keystore
    stored: StoredIdentity
    created: bool
    records: list[ChatRecord] = field(default_factory=list)
    tombstones: list[Tombstone] = field(default_factory=list)
    corrupt: int = 0
    closed_values: ClosedValues | None = None
    held_marks: list[Mark] = field(default_factory=list)
    witnesses: tuple[NodeId, ...] = ()
    pins: list[NodeDescriptor] = field(default_factory=list)
    last_seen: SeenTime | None = None


def unseal_node(config: Config, environment: MutableMapping[str, str], host: Host) -> UnsealedNode:
    """Blocking; for the keystore's worker thread. Raises KeystoreError, or ConfigError for passphrase and node id."""
    passphrase = read_passphrase(config.keystore.passphrase_file, environment)
    try:
        keystore, created = _open(config, passphrase, host)
    finally:
        passphrase.wipe()
    try:
        node = UnsealedNode(keystore, load_identity(keystore, NodeId(config.node.id), _count_reserved(config)), created)
        _read_chats(node)
        node.closed_values = read_closed_values(keystore)
        node.held_marks = read_held_marks(keystore)
        node.witnesses = read_witnesses(keystore)
        node.pins = read_pins(keystore, IdentitySignatures(node.stored.identity), NodeId(config.node.id))
        node.last_seen = read_last_seen(keystore) or _find_last_use(node)
    except BaseException:
        keystore.close()
        raise
    return node


def _count_reserved(config: Config) -> int:
    return RESERVED if config.mesh_enabled and config.mesh.membership == "swim" else 0


def _open(config: Config, passphrase: SecretBytes, host: Host) -> tuple[Keystore, bool]:
    taken: _FromHost = {"connect": host.connect, "random": host.random, "now": host.monotonic}
    path, costs = config.keystore_path, build_argon2_params(config.keystore)
    backend = host.build_backend(passphrase, costs, config.keystore.argon2_any_cost)
    try:
        return Keystore.open(path, passphrase, backend=backend, **taken), False
    except KeystoreMissingError:
        if not config.keystore.create:
            raise
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise KeystoreIOError(f"cannot make {path.parent}: {error.strerror}") from None
    with new_identity(host.random) as records:
        return Keystore.create(path, passphrase, records=records, backend=backend, **taken), True


def _read_chats(node: UnsealedNode) -> None:
    for _, value in node.keystore.load(Table.CHAT):
        try:
            node.records.append(parse_chat_record(value))
        except KeystoreTamperedError:
            node.corrupt += 1
        finally:
            wipe_buffer(value)
    for _, value in node.keystore.load(Table.TOMBSTONE):
        try:
            node.tombstones.append(parse_tombstone(value))
        except KeystoreTamperedError:
            node.corrupt += 1


def _find_last_use(node: UnsealedNode) -> SeenTime | None:
    """The latest time in a keystore whose node kept none yet: a clock is believed no further after it than after any other."""
    times = [record.last_active_at_s for record in node.records] + [notice.created_at_s for notice in node.tombstones]
    return SeenTime(float(max(times))) if times else None
