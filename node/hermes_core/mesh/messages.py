"""What nodes tell each other of membership, as frozen dataclasses; hermes_wire translates them to and from protobuf."""

from __future__ import annotations

from enum import IntEnum

from hermes_core.ids import NodeId
from hermes_core.values import dataclass

MAX_ADDRESS_CHARS = 300
MAX_VERSION_CHARS = 64
MAX_MEMBERS_PER_UPDATE = 1024
CHALLENGE_BYTES = 32


class MemberState(IntEnum):
    """Numbers equal `hermes.v2.MemberState`; at equal incarnation the higher one stands."""

    ALIVE = 1
    SUSPECT = 2
    DEAD = 3
    LEFT = 4


@dataclass(frozen=True, slots=True)
class NodeDescriptor:
    """What a node says of itself, signed (64 bytes) by its identity key (32 bytes).

    `address`: where nodes reach it; `app_address`: where apps do, empty when it does not know.
    `renewals` of that key prove themselves (hermes_core.handshake.renewal); empty when it is the node's first.
    """

    node_id: NodeId
    node_key: bytes
    address: str
    incarnation: int
    version: str
    signature: bytes
    app_address: str = ""
    renewals: bytes = b""


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
class HomeFound:
    """To an app that seeks its home: what that node signed of itself, None when it was never heard of.

    `linked`: a stream to it stands, so that it is there.
    """

    home: NodeDescriptor | None
    linked: bool


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
