"""What a member is charged: dials, messages, bytes and signatures, since the machine alone is what runs here.

Messages are charged what ten and twenty real nodes at rest were (`python -m tests.mesh.real`): each comes alone there, so that
it wakes its process, and gRPC measures the way with each. A dial is a TLS handshake with certificates on both sides, measured
between two nodes; signatures are libsodium's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hermes_core.mesh.messages import NodeDescriptor
from hermes_core.mesh.swim.messages import (
    MARK_BYTES,
    Accusation,
    Alive,
    Fact,
    Ping,
    PingReport,
    PingRequest,
    Pong,
    SwimMessage,
    SyncDigests,
    SyncFacts,
    SyncListing,
)

DIAL_S: Final = 2.2e-3 / 2
"""For each of both ends."""
MESSAGE_S: Final = 750e-6
"""To write or to read one, in a process that is woken for it: through asyncio, gRPC's poller and TLS."""
BYTE_S: Final = 10e-9
SIGN_S: Final = 25e-6
VERIFY_S: Final = 65e-6
FRAME_BYTES: Final = 38 + 5 + 9 + 22 + 125
"""Of the tag and the stream's own message, of gRPC, of HTTP/2 and of TLS around each message; and what gRPC says because of it:
a PING that measures the way, its acknowledgement, a window's update."""


@dataclass(slots=True)
class Bill:
    """What one member did since the bill was opened."""

    sent: int = 0
    received: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0
    dials: int = 0
    dialled: int = 0
    signed: int = 0
    verified: int = 0

    @property
    def cpu_s(self) -> float:
        return (
            (self.dials + self.dialled) * DIAL_S
            + (self.sent + self.received) * MESSAGE_S
            + (self.bytes_sent + self.bytes_received) * BYTE_S
            + self.signed * SIGN_S
            + self.verified * VERIFY_S
        )


def _number(value: int) -> int:
    """A field of a varint, none when it is 0."""
    return 0 if value == 0 else 1 + max(1, (value.bit_length() + 6) // 7)


def _field(length: int) -> int:
    """A field of bytes, none when it is empty."""
    return 0 if length == 0 else 1 + max(1, (length.bit_length() + 6) // 7) + length


def _descriptor_bytes(d: NodeDescriptor) -> int:
    texts = (
        len(d.node_id),
        len(d.node_key),
        len(d.address),
        len(d.version),
        len(d.signature),
        len(d.app_address),
        len(d.renewals),
    )
    return sum(map(_field, texts)) + _number(d.incarnation)


_sizes: dict[bytes, int] = {}
"""Of descriptors, by their signatures: each is measured once and sent by the thousand."""


def _fact_bytes(fact: Fact) -> int:
    if isinstance(fact, Alive):
        key = fact.descriptor.signature
        if key not in _sizes:
            _sizes[key] = _field(_field(_descriptor_bytes(fact.descriptor)))
        return _sizes[key]
    size = _field(len(fact.subject)) + _field(32) + _number(fact.incarnation) + _field(64)
    if isinstance(fact, Accusation):
        size += _field(len(fact.accuser)) + _field(32) + _number(fact.accuser_incarnation)
    return _field(_field(size))


def measure_bytes(message: SwimMessage) -> int:
    """Of the message as protobuf has it; a test compares."""
    if isinstance(message, SyncDigests):
        size = _field(8 * len(message.sums))
    elif isinstance(message, SyncListing):
        around = 2 + 2 + 2 + MARK_BYTES
        size = 9 * bool(message.mask) + sum(around + len(e.node_id) + _number(e.incarnation) for e in message.entries)
    elif isinstance(message, SyncFacts):
        size = sum(map(_fact_bytes, message.facts))
    elif isinstance(message, Ping | Pong | PingRequest | PingReport):
        size = _number(message.seq)
        if isinstance(message, Ping):
            size += _field(len(message.nonce)) + _field(len(message.asker))
        elif isinstance(message, PingRequest):
            size += _field(len(message.target)) + _field(len(message.nonce))
        else:
            size += _field(len(message.signature))
        if not isinstance(message, PingReport):
            size += sum(map(_fact_bytes, message.facts))
    else:
        size = sum(_field(len(name)) for name in message.names)
    return 1 + max(1, (size.bit_length() + 6) // 7) + size
