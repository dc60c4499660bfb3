"""What nodes tell each other of membership, as frozen dataclasses; hermes_wire translates them to and from protobuf."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from hermes_core.ids import AppId, NodeId

MAX_ADDRESS_CHARS = 300
MAX_VERSION_CHARS = 64
MAX_MEMBERS_PER_UPDATE = 1024
MAX_APPS_PER_ENTRY = 100_000
CHALLENGE_BYTES = 32


class MemberState(IntEnum):
    """Numbers equal `hermes.v2.MemberState`; at equal incarnation the higher one stands."""

    ALIVE = 1
    SUSPECT = 2
    DEAD = 3
    LEFT = 4


@dataclass(frozen=True, slots=True)
class NodeDescriptor:
    """What a node says of itself, signed (64 bytes) by its identity key (32 bytes)."""

    node_id: NodeId
    node_key: bytes
    address: str
    incarnation: int
    version: str
    signature: bytes


@dataclass(frozen=True, slots=True)
class Hello:
    """Opens every node-to-node stream; `challenge`: 32 random bytes, `ephemeral`: X25519, 32 bytes, `suites`: one byte each."""

    descriptor: NodeDescriptor
    challenge: bytes
    ephemeral: bytes
    suites: bytes


@dataclass(frozen=True, slots=True)
class Proof:
    signature: bytes


@dataclass(frozen=True, slots=True)
class MemberClaim:
    """What the sender holds of a member."""

    descriptor: NodeDescriptor
    state: MemberState
    incarnation: int


@dataclass(frozen=True, slots=True)
class DirectoryEntry:
    """The apps at home on one node; `version` rises with every change within an incarnation."""

    node_id: NodeId
    incarnation: int
    version: int
    app_ids: frozenset[AppId]


@dataclass(frozen=True, slots=True)
class HeldMark:
    """The first message on a Gossip stream: the highest mark held of the receiver (hermes_core.keystore.mark); none: empty."""

    mark: bytes


@dataclass(frozen=True, slots=True)
class OwnMark:
    """Where the sender's keystore stands, for the receiver to keep."""

    mark: bytes


@dataclass(frozen=True, slots=True)
class Clock:
    """What the sender's machine says of the time when the link comes up: milliseconds since 1970."""

    unix_ms: int


@dataclass(frozen=True, slots=True)
class MembershipUpdate:
    members: tuple[MemberClaim, ...]
    directory: tuple[DirectoryEntry, ...]
