"""One message of SWIM of each kind, within its bounds; its signatures are nobody's."""

from __future__ import annotations

from typing import Final

from hermes_core.ids import MAX_POSITION, NodeId
from hermes_core.mesh.messages import NodeDescriptor
from hermes_core.mesh.swim import messages as swim

A, B = NodeId("mesh-1"), NodeId("b")
DESCRIPTOR = NodeDescriptor(A, b"k" * 32, "mesh-1.mesh-nodes:7443", 300, "0.1.0", b"s" * 64)
DEPARTURE = swim.SignedDeparture(A, b"k" * 32, 1, b"s" * 64)
ACCUSATION = swim.Accusation(A, b"k" * 32, MAX_POSITION, B, b"j" * 32, 70_000, b"s" * 64)
FACTS: Final[tuple[swim.Fact, ...]] = (swim.Alive(DESCRIPTOR), DEPARTURE, ACCUSATION)
MESSAGES: Final[tuple[swim.SwimMessage, ...]] = (
    swim.Ping(1),
    swim.Ping(2**32 + 5, b"n" * 16, B, FACTS),
    swim.Pong(127),
    swim.Pong(128, b"s" * 64, FACTS[:1]),
    swim.PingRequest(9, A, b"n" * 16, FACTS[2:]),
    swim.PingReport(9),
    swim.PingReport(9, b"s" * 64),
    swim.SyncDigests(tuple(range(2**64 - 64, 2**64))),
    swim.SyncListing(2**64 - 1, (swim.ListedMember(A, 1, b"m" * 8), swim.ListedMember(B, 2**40, b"m" * 8))),
    swim.SyncWanted((A, B)),
    swim.SyncFacts(FACTS * 40),
)
