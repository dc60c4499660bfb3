"""What members tell each other, as frozen dataclasses; hermes_wire translates them to and from protobuf.

Facts prove themselves: two are signed by their subject, the third by its accuser. Everything else counts only as the word of
the member that the link leads to.
"""

from __future__ import annotations

from typing import Final

from hermes_core.ids import NodeId
from hermes_core.mesh.messages import NodeDescriptor
from hermes_core.values import dataclass

NONCE_BYTES: Final = 16
BUCKETS: Final = 64
MARK_BYTES: Final = 8
MAX_FACTS: Final = 256
MAX_ENTRIES: Final = 1_024
MAX_WANTED: Final = 256


@dataclass(frozen=True, slots=True)
class Alive:
    """A member's own word that it lives at this incarnation."""

    descriptor: NodeDescriptor


@dataclass(frozen=True, slots=True)
class SignedDeparture:
    """A member's own word that it goes on purpose; what it signed before does not bring it back."""

    subject: NodeId
    subject_key: bytes
    incarnation: int
    signature: bytes


@dataclass(frozen=True, slots=True)
class Accusation:
    """A member's word that another one answered neither it nor its helpers."""

    subject: NodeId
    subject_key: bytes
    incarnation: int
    accuser: NodeId
    accuser_key: bytes
    accuser_incarnation: int
    signature: bytes


Fact = Alive | SignedDeparture | Accusation


@dataclass(frozen=True, slots=True)
class Ping:
    """With a nonce (16 bytes) it is asked on behalf of `asker`, who wants the answer signed; else both are empty."""

    seq: int
    nonce: bytes = b""
    asker: str = ""
    facts: tuple[Fact, ...] = ()


@dataclass(frozen=True, slots=True)
class Pong:
    """The answer to a Ping; signed (64 bytes) when that had a nonce."""

    seq: int
    signature: bytes = b""
    facts: tuple[Fact, ...] = ()


@dataclass(frozen=True, slots=True)
class PingRequest:
    """Asks the receiver to probe `target` and to bring back its signed answer over the nonce (16 bytes)."""

    seq: int
    target: NodeId
    nonce: bytes
    facts: tuple[Fact, ...] = ()


@dataclass(frozen=True, slots=True)
class PingReport:
    """What came of a PingRequest: the target's signature (64 bytes), or nothing yet."""

    seq: int
    signature: bytes = b""


@dataclass(frozen=True, slots=True)
class SyncDigests:
    """A sum for each of 64 buckets of names: of what the sender holds for up, itself included."""

    sums: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ListedMember:
    """A member that the sender holds for up; `mark`: the first 8 bytes of its descriptor's signature."""

    node_id: NodeId
    incarnation: int
    mark: bytes


@dataclass(frozen=True, slots=True)
class SyncListing:
    """Everything that the sender holds for up in the buckets of `mask`."""

    mask: int
    entries: tuple[ListedMember, ...]


@dataclass(frozen=True, slots=True)
class SyncWanted:
    """Names whose descriptors the sender lacks."""

    names: tuple[NodeId, ...]


@dataclass(frozen=True, slots=True)
class SyncFacts:
    """What the receiver lacked."""

    facts: tuple[Fact, ...]


SwimMessage = Ping | Pong | PingRequest | PingReport | SyncDigests | SyncListing | SyncWanted | SyncFacts
