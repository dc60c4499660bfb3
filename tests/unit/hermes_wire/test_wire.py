"""The codec: every message survives the round trip, every bound holds, and no bytes raise anything but ProtocolError."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from hermes_core.errors import ErrorCode, ErrorScope, ProtocolError
from hermes_core.handshake.move import SignedMove
from hermes_core.handshake.statement import KeyStatement
from hermes_core.ids import AppId, ChatId, NodeId, node_party
from hermes_core.mesh import messages as mesh
from hermes_core.mesh.carry import messages as carried
from hermes_core.mesh.homes import messages as homes
from hermes_core.mesh.homes.entry import HomeEntry, NodeName
from hermes_core.protocol import messages as m
from hermes_core.protocol import session as s
from hermes_core.protocol.validate import MAX_SEALED_BYTES, MIN_SEALED_BYTES
from hermes_core.ratchet.claim import EpochClaim
from hermes_core.ratchet.end_proof import EndProof
from hermes_core.session.canonical import CONTROL
from hermes_core.session.control import Tagged
from hermes_proto.v2 import app_router_pb2, chat_pb2, errors_pb2, node_mesh_pb2
from hermes_wire import app, carry, peer

CHAT = ChatId(b"c" * 16)
APP = AppId("a" * 32)
KEY = b"k" * 32
FIRST = KeyStatement(1, 9, b"\x01", b"e" * 32, b"", b"s" * 64)
SECOND = dataclasses.replace(FIRST, epoch=2, suites=b"\x03\x01", kem=b"k" * 1184)
PICKED = dataclasses.replace(FIRST, suites=b"\x03", kem=b"c" * 1088)
START = m.Offer(CHAT, KEY, APP, FIRST, FIRST)
REKEY = m.Offer(CHAT, KEY, APP, SECOND, SECOND)
ANSWER = m.Answer(CHAT, KEY, PICKED, b"t" * 32, FIRST, b"t" * 64)
CONFIRM = m.Confirm(CHAT, 1, b"t" * 32, 2, b"t" * 32)
REJECT = m.Reject(CHAT, ErrorCode.LIMIT_EXCEEDED, 1500)
RESUME = m.Resume(CHAT, (EpochClaim(1, 4, b"h" * 32, 5, 6, 7, 8, b"t" * 32),))
SEALED = m.Sealed(b"f" * MIN_SEALED_BYTES)
ENDS = (EndProof(2**32 - 1, b"t" * 16), EndProof(1, bytes(16)))
CLOSED = m.Closed(CHAT, m.CloseReason.EXPIRED)
DELETED = m.Closed(CHAT, m.CloseReason.DELETED_BY_PEER, ENDS)
CLOSED_ACK = m.ClosedAck(CHAT, m.CloseReason.DELETED)
ERROR = m.ErrorNotice(ErrorCode.BACKPRESSURE, ErrorScope.FRAME, CHAT, "window", 100)
NO_CHAT_ERROR = m.ErrorNotice(ErrorCode.INVALID_FRAME, ErrorScope.FRAME, None, "", 0)
MOVE = SignedMove(KEY, APP, node_party(NodeId("n-1"), KEY), 2**62, b"h" * 32, b"s" * 64)
MOVE_OFFER = m.MoveOffer(CHAT, MOVE, FIRST)
MOVE_ANSWER = m.MoveAnswer(CHAT, 1, FIRST, b"t" * 32)
MOVED = m.Moved(CHAT, MOVE)
HEARTBEAT = s.Heartbeat(2**63, reply=True)
CLAIM = s.AppClaim(KEY, 7, b"h" * 32, b"s" * 64)
DESCRIPTOR = mesh.NodeDescriptor(NodeId("n-1"), KEY, "host:1", 3, "0.1", b"s" * 64, "host:2")
HOME = node_party(NodeId("n-1"), KEY)
ENTRY = KEY + (7).to_bytes(8, "big") + b"h" * 32 + b"s" * 64 + bytes(16) + b"\x01" + b"s" * 64
HELLO = mesh.Hello(DESCRIPTOR, b"c" * 32, b"e" * 32, b"\x01")

CLIENT: list[Any] = [
    SEALED,
    s.Connect(KEY, b"n" * 32, b"e" * 32, 1, 2**64 - 1, b"s" * 64),
    START,
    REKEY,
    ANSWER,
    REJECT,
    CONFIRM,
    RESUME,
    m.Delete(CHAT, failed=True),
    m.Delete(CHAT, proofs=ENDS),
]
CLIENT += [s.FindApp(APP), HEARTBEAT, CLOSED_ACK, MOVE_OFFER, MOVED, s.SeekHome(HOME)]
SERVER: list[Any] = [
    SEALED,
    s.Challenge(NodeId("n"), KEY, b"c" * 32, b"e" * 32, b"\x02\x01"),
    s.Connected(APP, 1000, 70_000, 256, b"s" * 64),
    START,
    REKEY,
    ANSWER,
]
SERVER += [REJECT, CONFIRM, RESUME, CLOSED, m.PathState(CHAT, up=True), s.AppFound(APP, online=True, node_id=NodeId("n"))]
SERVER += [s.AppFound(APP, online=False, node_id=None), s.NodeChange(5), HEARTBEAT, ERROR, NO_CHAT_ERROR]
SERVER += [MOVE_ANSWER, MOVED, m.MoveWanted(CHAT), s.NewerHome(HOME, CLAIM)]
SERVER += [mesh.HomeFound(DESCRIPTOR, linked=True), mesh.HomeFound(None, linked=False)]
PEER: list[Any] = [SEALED, HELLO, mesh.Proof(b"s" * 64), START, REKEY, ANSWER, REJECT, CONFIRM, RESUME, CLOSED, CLOSED_ACK]
PEER += [m.PathState(CHAT, up=False), HEARTBEAT, ERROR, MOVE_OFFER, MOVE_ANSWER, MOVED]
GOSSIP: list[Any] = [
    HELLO,
    mesh.Proof(b"s" * 64),
    mesh.MembershipUpdate(
        (mesh.MemberClaim(DESCRIPTOR, mesh.MemberState.SUSPECT, 4),),
    ),
    HEARTBEAT,
    ERROR,
    homes.HoldEntries(2**63 - 1, KEY, (ENTRY,) * 256),
    homes.HoldEntries(0, KEY, ()),
    homes.HoldEntries(
        1, KEY, (ENTRY,) * 128, (homes.HandedOn(NodeName(NodeId("n"), KEY), (homes.AgedEntry(ENTRY, 2**32 - 1),) * 128),)
    ),
    homes.EntriesHeld(7),
    homes.FindEntry(8, APP),
    homes.EntryFound(8, HomeEntry(NodeName(NodeId("n"), KEY), ENTRY)),
    homes.EntryFound(9, None),
    homes.EntryOvertaken(HomeEntry(NodeName(NodeId("n"), KEY), ENTRY)),
    homes.FindRefused(2**63 - 1, ErrorCode.HANDSHAKE_THROTTLED, 2**32 - 1),
]
CARRY: list[Any] = [
    HELLO,
    mesh.Proof(b"s" * 64),
    carried.CarryTo(NodeId("n-2")),
    carried.CarryFrom(NodeId("n-1")),
    carried.Carried(b"d", more=False),
    carried.Carried(b"d" * carried.MAX_CARRIED_BYTES, more=True),
    ERROR,
]


def test_every_message_survives_the_round_trip() -> None:
    client = app_router_pb2.ClientBatch.FromString(app.build_client_batch(CLIENT).SerializeToString())
    assert app.parse_client_batch(client) == CLIENT
    server = app_router_pb2.ServerBatch.FromString(app.build_server_batch(SERVER).SerializeToString())
    assert app.parse_server_batch(server) == SERVER
    between = node_mesh_pb2.PeerBatch.FromString(peer.build_peer_batch(PEER).SerializeToString())
    assert peer.parse_peer_batch(between) == PEER
    for item in GOSSIP:
        assert peer.parse_gossip(node_mesh_pb2.GossipMessage.FromString(peer.build_gossip(item).SerializeToString())) == item
    for item in CARRY:
        assert carry.parse_carry(node_mesh_pb2.CarryMessage.FromString(carry.build_carry(item).SerializeToString())) == item


def test_every_control_message_travels_with_its_tag_and_nothing_else_can() -> None:
    """`CONTROL` says which; a tag where none belongs is refused, and so is one of another length."""
    batches: tuple[tuple[list[Any], Any, Any], ...] = (
        (CLIENT, app.build_client_batch, app.parse_client_batch),
        (SERVER, app.build_server_batch, app.parse_server_batch),
        (PEER, peer.build_peer_batch, peer.parse_peer_batch),
    )
    for items, build, parse in batches:
        for item in items:
            if type(item) in CONTROL:
                tagged = Tagged(item, b"t" * 32)
                assert parse(build([tagged])) == [tagged]
                for size in (1, 31, 33):
                    with pytest.raises(ProtocolError, match="tag must be 32 bytes"):
                        parse(build([Tagged(item, b"t" * size)]))
                continue
            batch = build([item])
            batch.frames[0].tag = b"t" * 32
            with pytest.raises(ProtocolError, match="a tag where none belongs"):
                parse(batch)
    for item in GOSSIP:
        if type(item) in CONTROL:
            tagged = Tagged(item, b"t" * 32)
            assert peer.parse_gossip(peer.build_gossip(tagged)) == tagged
    for item in CARRY:
        if type(item) in CONTROL:
            tagged = Tagged(item, b"t" * 32)
            assert carry.parse_carry(carry.build_carry(tagged)) == tagged
    welcome = Tagged(GOSSIP[2], b"t" * 32)
    assert peer.parse_gossip(peer.build_join(welcome)) == welcome


@pytest.mark.parametrize("batch", [app_router_pb2.ClientFrame, app_router_pb2.ServerFrame, node_mesh_pb2.PeerFrame])
def test_every_field_of_the_protos_is_covered(batch: Any) -> None:
    """A frame kind added to a proto must be added to the tables and to the lists above."""
    fields = set(batch.DESCRIPTOR.fields_by_name) - {"tag"}
    built: set[str] = set()
    sets: dict[str, Any] = {"ClientFrame": (app.build_client_batch, CLIENT), "ServerFrame": (app.build_server_batch, SERVER)}
    build, items = sets.get(batch.__name__, (peer.build_peer_batch, PEER))
    for item in items:
        built.add(build([item]).frames[0].WhichOneof("body"))
    assert built == fields


def refused(frame: app_router_pb2.ClientFrame) -> ErrorCode:
    with pytest.raises(ProtocolError) as caught:
        app.parse_client_batch(app_router_pb2.ClientBatch(frames=[frame]))
    return caught.value.code


@pytest.mark.parametrize(
    "frame",
    [
        app_router_pb2.ClientFrame(),
        app_router_pb2.ClientFrame(sealed=b"x" * (MIN_SEALED_BYTES - 1)),
        app_router_pb2.ClientFrame(sealed=b"x" * (MAX_SEALED_BYTES + 1)),
        app_router_pb2.ClientFrame(connect=app_router_pb2.Connect()),
        app_router_pb2.ClientFrame(start_chat=chat_pb2.Offer()),
        app_router_pb2.ClientFrame(delete_chat=chat_pb2.DeleteChat(chat_id=b"short")),
        app_router_pb2.ClientFrame(find_app=app_router_pb2.FindApp(app_id="A" * 32)),
        app_router_pb2.ClientFrame(reject_chat=chat_pb2.ChatReject(chat_id=CHAT, code=errors_pb2.ERROR_CODE_UNSPECIFIED)),
    ],
)
def test_what_breaks_a_bound_is_an_invalid_frame(frame: app_router_pb2.ClientFrame) -> None:
    assert refused(frame) is ErrorCode.INVALID_FRAME


_PB = node_mesh_pb2


def _handed(entry: bytes, count: int) -> node_mesh_pb2.HandedOn:
    return _PB.HandedOn(node_id="n", node_key=KEY, entries=[_PB.AgedEntry(entry=entry)] * count)


_LATE = ENTRY[:32] + b"\xff" * 8 + ENTRY[40:]


@pytest.mark.parametrize(
    "body",
    [
        {"hold_entries": _PB.HoldEntries(number=2**63, node_key=KEY)},
        {"hold_entries": _PB.HoldEntries(number=1, node_key=KEY[1:])},
        {"hold_entries": _PB.HoldEntries(number=1, node_key=KEY, entries=[ENTRY] * 257)},
        {"hold_entries": _PB.HoldEntries(number=1, node_key=KEY, entries=[ENTRY, ENTRY[1:]])},
        {"hold_entries": _PB.HoldEntries(number=1, node_key=KEY, entries=[ENTRY + b"x"])},
        {"hold_entries": _PB.HoldEntries(number=1, node_key=KEY, entries=[_LATE])},
        {"hold_entries": _PB.HoldEntries(number=1, node_key=KEY, entries=[ENTRY[:152] + b"\x02" + ENTRY[153:]])},
        {"hold_entries": _PB.HoldEntries(node_key=KEY, entries=[ENTRY] * 128, handed_on=[_handed(ENTRY, 129)])},
        {"hold_entries": _PB.HoldEntries(node_key=KEY, handed_on=[_handed(ENTRY, 0)] * 257)},
        {"hold_entries": _PB.HoldEntries(node_key=KEY, handed_on=[_handed(ENTRY[1:], 1)])},
        {"hold_entries": _PB.HoldEntries(node_key=KEY, handed_on=[_PB.HandedOn(node_id="N", node_key=KEY)])},
        {"hold_entries": _PB.HoldEntries(node_key=KEY, handed_on=[_PB.HandedOn(node_id="n", node_key=KEY[1:])])},
        {"entries_held": _PB.EntriesHeld(number=2**63)},
        {"find_entry": _PB.FindEntry(number=1, app_id="A" * 32)},
        {"find_entry": _PB.FindEntry(number=2**63, app_id=APP)},
        {"entry_found": _PB.EntryFound(number=1, entry=_PB.HomeEntry())},
        {"entry_found": _PB.EntryFound(number=2**63)},
        {"entry_overtaken": _PB.HomeEntry(node_id="N", node_key=KEY, entry=ENTRY)},
        {"entry_overtaken": _PB.HomeEntry(node_id="n", node_key=KEY + b"x", entry=ENTRY)},
        {"entry_overtaken": _PB.HomeEntry(node_id="n", node_key=KEY, entry=b"")},
        {"find_refused": _PB.FindRefused(number=2**63, code=errors_pb2.ErrorCode.HANDSHAKE_THROTTLED)},
        {"find_refused": _PB.FindRefused(number=1, code=errors_pb2.ErrorCode.ValueType(99))},
    ],
)
def test_what_breaks_a_bound_of_the_directory_is_an_invalid_frame(body: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError) as caught:
        peer.parse_gossip(node_mesh_pb2.GossipMessage(**body))
    assert caught.value.code is ErrorCode.INVALID_FRAME


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"carry_to": _PB.CarryTo(target="N")},
        {"carry_to": _PB.CarryTo()},
        {"carry_from": _PB.CarryFrom(origin="n" * 64)},
        {"carried": _PB.Carried(more=True)},
        {"carried": _PB.Carried(data=bytes(carried.MAX_CARRIED_BYTES + 1))},
    ],
)
def test_what_breaks_a_bound_of_what_is_carried_is_an_invalid_frame(body: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError) as caught:
        carry.parse_carry(node_mesh_pb2.CarryMessage(**body))
    assert caught.value.code is ErrorCode.INVALID_FRAME


def test_sealed_at_the_bounds_is_accepted() -> None:
    for size in (MIN_SEALED_BYTES, MAX_SEALED_BYTES):
        assert app.parse_client_batch(app.build_client_batch([m.Sealed(b"x" * size)])) == [m.Sealed(b"x" * size)]


def test_start_and_rekey_are_not_interchangeable() -> None:
    start, rekey = app.build_client_batch([START]).frames[0], app.build_client_batch([REKEY]).frames[0]
    assert refused(app_router_pb2.ClientFrame(start_chat=rekey.rekey)) is ErrorCode.INVALID_FRAME
    assert refused(app_router_pb2.ClientFrame(rekey=start.start_chat)) is ErrorCode.INVALID_FRAME


def test_batch_is_bounded_at_256_frames() -> None:
    assert len(app.parse_client_batch(app.build_client_batch([HEARTBEAT] * 256))) == 256
    with pytest.raises(ProtocolError):
        app.parse_client_batch(app.build_client_batch([HEARTBEAT] * 257))


def test_enum_numbers_equal_the_protos() -> None:
    assert {c.name: c.value for c in ErrorCode} == {k: v for k, v in errors_pb2.ErrorCode.items() if v}
    assert {c.value for c in ErrorScope} == {v for v in errors_pb2.ErrorScope.values() if v}
    assert {c.value for c in m.CloseReason} == {v for v in chat_pb2.CloseReason.values() if v}
    assert {c.name: c.value for c in mesh.MemberState} == {k: v for k, v in node_mesh_pb2.MemberState.items() if v}


@given(st.binary(max_size=200))
def test_arbitrary_bytes_raise_nothing_but_protocol_errors(data: bytes) -> None:
    codecs: list[tuple[Any, Any]] = [
        (app_router_pb2.ClientBatch, app.parse_client_batch),
        (app_router_pb2.ServerBatch, app.parse_server_batch),
        (node_mesh_pb2.PeerBatch, peer.parse_peer_batch),
        (node_mesh_pb2.GossipMessage, peer.parse_gossip),
        (node_mesh_pb2.CarryMessage, carry.parse_carry),
    ]
    for kind, parse in codecs:
        try:
            parse(kind.FromString(data))
        except (ProtocolError, DecodeError):
            continue
