"""One control message of each type, with the values of tests/vectors/control.json."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from hermes_core.errors import ErrorCode, ErrorScope
from hermes_core.handshake.move import SignedMove
from hermes_core.handshake.statement import KeyStatement
from hermes_core.ids import ChatId, NodeId, Party, parse_app_id
from hermes_core.mesh.carry.messages import Carried, CarryFrom, CarryTo
from hermes_core.mesh.homes.entry import HomeEntry, NodeName
from hermes_core.mesh.homes.messages import (
    AgedEntry,
    EntriesHeld,
    EntryFound,
    EntryOvertaken,
    FindEntry,
    FindRefused,
    HandedOn,
    HoldEntries,
)
from hermes_core.mesh.messages import (
    Clock,
    HeldMark,
    MemberClaim,
    MembershipUpdate,
    MemberState,
    NodeDescriptor,
    OwnMark,
)
from hermes_core.mesh.swim import messages as swim
from hermes_core.protocol import messages as m
from hermes_core.protocol import session as s
from hermes_core.ratchet.claim import EpochClaim
from hermes_core.ratchet.end_proof import EndProof
from tests.reference import protocol_reference as ref
from tests.reference.make_vectors import fill, fill_entry

CHAT: Final = ChatId(fill("control chat", 16))
APP: Final = parse_app_id(ref.fingerprint(fill("control app")))
OFFERED: Final = KeyStatement(
    2, 7, b"\x03\x01", fill("control ephemeral"), fill("control encapsulation key", 1184), fill("control signature", 64)
)
ANSWERED: Final = KeyStatement(
    2, 7, b"\x03", fill("control ephemeral"), fill("control ciphertext", 1088), fill("control signature", 64)
)
CLAIM: Final = EpochClaim(3, 1, fill("control transcript"), 5, 6, 4, 9, fill("control claim tag"))
NODE: Final = NodeId("hermes-1")
DESCRIPTOR: Final = NodeDescriptor(
    NODE,
    fill("control node"),
    "hermes-1.mesh:7443",
    7,
    "2.0.0",
    fill("control descriptor", 64),
    "hermes-1.mesh:8443",
    fill("renewals", 192),
)
MOVE: Final = SignedMove(
    fill("control mover"),
    APP,
    Party("node:hermes-1:" + ref.fingerprint(fill("control node"))),
    5,
    fill("control leg hash"),
    fill("control move", 64),
)
NODE_3: Final = NodeId("hermes-3")
DEPARTED: Final = swim.SignedDeparture(NodeId("hermes-2"), fill("control departed"), 4, fill("control departure", 64))
ACCUSED: Final = swim.Accusation(
    NODE_3, fill("control accused"), 6, NODE, fill("control node"), 7, fill("control accusation", 64)
)
FACTS: Final = (swim.Alive(DESCRIPTOR), DEPARTED, ACCUSED)
NONCE: Final = fill("control nonce", 16)
ENTRY_BYTES: Final = fill_entry()
END: Final = EndProof(2, fill("control end", 16))
MOVED_LEG: Final = replace(OFFERED, epoch=1)
ANSWERED_LEG: Final = replace(ANSWERED, epoch=1)
_SAMPLES: Final = (
    m.Offer(CHAT, fill("control initiator"), APP, OFFERED, OFFERED),
    m.Answer(CHAT, fill("control responder"), ANSWERED, fill("confirm a"), ANSWERED, fill("confirm b")),
    m.Confirm(CHAT, 2, fill("confirm c"), 0, b""),
    m.Reject(CHAT, ErrorCode.LIMIT_EXCEEDED, 1000),
    m.Resume(CHAT, (CLAIM, CLAIM)),
    m.PathState(CHAT, up=True),
    m.Closed(CHAT, m.CloseReason.DELETED_BY_PEER, (END,)),
    m.ClosedAck(CHAT, m.CloseReason.EXPIRED),
    m.Delete(CHAT, failed=False, proofs=(END, END)),
    m.ErrorNotice(ErrorCode.LIMIT_EXCEEDED, ErrorScope.STREAM, None, "too many", 1000),
    s.FindApp(APP),
    s.AppFound(APP, online=False, node_id=None),
    s.NodeChange(8000, 60_000, for_good=True),
    HeldMark(b""),
    OwnMark(fill("control mark", 128)),
    MembershipUpdate((MemberClaim(DESCRIPTOR, MemberState.ALIVE, 7),)),
    Clock(1_800_000_000_123),
    m.MoveOffer(CHAT, MOVE, MOVED_LEG),
    m.MoveAnswer(CHAT, 5, ANSWERED_LEG, fill("confirm d")),
    m.Moved(CHAT, MOVE),
    m.MoveWanted(CHAT),
    swim.Ping(9, NONCE, "hermes-1", FACTS[2:]),
    swim.Pong(9, fill("control answer", 64), FACTS[1:2]),
    swim.PingRequest(8, NODE_3, NONCE, FACTS[1:2]),
    swim.PingReport(8),
    swim.SyncDigests(tuple(range(2**64 - 64, 2**64))),
    swim.SyncListing(2**63 + 1, (swim.ListedMember(NODE, 7, fill("control mark of a descriptor", 8)),)),
    swim.SyncWanted((DEPARTED.subject, NODE_3)),
    swim.SyncFacts(FACTS),
    HoldEntries(
        7,
        fill("control node"),
        (ENTRY_BYTES,) * 2,
        (HandedOn(NodeName(NodeId("hermes-2"), fill("control home")), (AgedEntry(ENTRY_BYTES, 90),)),),
    ),
    EntriesHeld(7),
    FindEntry(8, APP),
    EntryFound(8, HomeEntry(NodeName(NodeId("hermes-1"), fill("control node")), ENTRY_BYTES)),
    EntryOvertaken(HomeEntry(NodeName(NodeId("hermes-1"), fill("control node")), ENTRY_BYTES)),
    FindRefused(8, ErrorCode.HANDSHAKE_THROTTLED, 250),
    CarryTo(NodeId("hermes-2")),
    CarryFrom(NodeId("hermes-1")),
    Carried(fill("control carried", 300), more=True),
)
CONTROL_SAMPLES: Final[dict[str, Any]] = {type(message).__name__: message for message in _SAMPLES}
