"""Streams between nodes: `Join`, `Gossip` and `RouteChat`, protobuf to core and back."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from hermes_core.crypto.signing import SIGNATURE_BYTES
from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.ids import MAX_POSITION
from hermes_core.keystore.mark import MARK_BYTES
from hermes_core.mesh import messages as mesh
from hermes_core.mesh.homes.messages import HomesMessage
from hermes_core.mesh.swim.messages import SwimMessage
from hermes_core.protocol import messages, session
from hermes_core.protocol.messages import ChatMessage, Sealed
from hermes_core.protocol.validate import require, validate_hello, validate_message, validate_session_message
from hermes_core.session.control import Tagged
from hermes_proto.v2 import node_mesh_pb2
from hermes_wire import chat as wire_chat
from hermes_wire import home_entries
from hermes_wire import session as wire_session
from hermes_wire.app import MAX_BATCH_FRAMES
from hermes_wire.homes import build_descriptor, parse_descriptor
from hermes_wire.swim import SWIM_TYPES, build_swim, parse_swim
from hermes_wire.tags import split_tag, with_tag

PlainPeerMessage = ChatMessage | session.Heartbeat | mesh.Hello | mesh.Proof
PeerMessage = PlainPeerMessage | Tagged
PlainGossipMessage = (
    mesh.Hello
    | mesh.Proof
    | mesh.MembershipUpdate
    | mesh.HeldMark
    | mesh.OwnMark
    | mesh.Clock
    | SwimMessage
    | HomesMessage
    | session.Heartbeat
    | messages.ErrorNotice
)
GossipMessage = PlainGossipMessage | Tagged


def parse_hello(pb: node_mesh_pb2.Hello) -> mesh.Hello:
    validate_hello(pb.challenge, pb.ephemeral, pb.suites)
    return mesh.Hello(parse_descriptor(pb.descriptor), pb.challenge, pb.ephemeral, pb.suites)


def build_hello(m: mesh.Hello) -> node_mesh_pb2.Hello:
    return node_mesh_pb2.Hello(
        descriptor=build_descriptor(m.descriptor), challenge=m.challenge, ephemeral=m.ephemeral, suites=m.suites
    )


def parse_proof(pb: node_mesh_pb2.Proof) -> mesh.Proof:
    require(len(pb.signature) == SIGNATURE_BYTES, "signature must be 64 bytes")
    return mesh.Proof(pb.signature)


def build_proof(m: mesh.Proof) -> node_mesh_pb2.Proof:
    return node_mesh_pb2.Proof(signature=m.signature)


def parse_update(pb: node_mesh_pb2.MembershipUpdate) -> mesh.MembershipUpdate:
    require(len(pb.members) <= mesh.MAX_MEMBERS_PER_UPDATE, "too many members")
    return mesh.MembershipUpdate(tuple(map(_parse_claim, pb.members)))


def build_update(m: mesh.MembershipUpdate) -> node_mesh_pb2.MembershipUpdate:
    members = (
        node_mesh_pb2.Member(
            descriptor=build_descriptor(c.descriptor),
            state=node_mesh_pb2.MemberState.ValueType(c.state),
            incarnation=c.incarnation,
        )
        for c in m.members
    )
    return node_mesh_pb2.MembershipUpdate(members=members)


def _parse_claim(pb: node_mesh_pb2.Member) -> mesh.MemberClaim:
    try:
        state = mesh.MemberState(pb.state)
    except ValueError:
        raise ProtocolError(ErrorCode.INVALID_FRAME, "unknown member state") from None
    require(pb.incarnation <= MAX_POSITION, "incarnation is too large")
    return mesh.MemberClaim(parse_descriptor(pb.descriptor), state, pb.incarnation)


def _parse_held_mark(pb: node_mesh_pb2.Mark) -> mesh.HeldMark:
    require(len(pb.mark) in (0, MARK_BYTES), f"a mark has {MARK_BYTES} bytes")
    return mesh.HeldMark(pb.mark)


def _parse_own_mark(pb: node_mesh_pb2.Mark) -> mesh.OwnMark:
    require(len(pb.mark) == MARK_BYTES, f"a mark has {MARK_BYTES} bytes")
    return mesh.OwnMark(pb.mark)


def _build_mark(m: mesh.HeldMark | mesh.OwnMark) -> node_mesh_pb2.Mark:
    return node_mesh_pb2.Mark(mark=m.mark)


def _parse_clock(pb: node_mesh_pb2.Clock) -> mesh.Clock:
    return mesh.Clock(pb.unix_ms)


def _build_clock(m: mesh.Clock) -> node_mesh_pb2.Clock:
    return node_mesh_pb2.Clock(unix_ms=m.unix_ms)


_GOSSIP_PARSERS: Final[dict[str, Callable[[Any], PlainGossipMessage]]] = {
    "hello": parse_hello,
    "proof": parse_proof,
    "update": parse_update,
    "welcome": parse_update,
    "held_mark": _parse_held_mark,
    "own_mark": _parse_own_mark,
    "clock": _parse_clock,
    "swim": parse_swim,
    **home_entries.PARSERS,
    "heartbeat": wire_session.parse_heartbeat,
    "error": wire_chat.parse_error,
}
_PEER_PARSERS: Final[dict[str, Callable[[Any], PlainPeerMessage]]] = {
    "hello": parse_hello,
    "proof": parse_proof,
    "setup_tieline": wire_chat.parse_offer,
    "tieline_accept": wire_chat.parse_answer,
    "chat_reject": wire_chat.parse_reject,
    "chat_confirm": wire_chat.parse_confirm,
    "resume_tieline": wire_chat.parse_resume,
    "chat_closed": wire_chat.parse_closed,
    "chat_closed_ack": wire_chat.parse_closed_ack,
    "path_state": wire_chat.parse_path,
    "heartbeat": wire_session.parse_heartbeat,
    "error": wire_chat.parse_error,
    "move_tieline": wire_chat.parse_move_offer,
    "move_accepted": wire_chat.parse_move_answer,
    "chat_moved": wire_chat.parse_moved,
}
_PEER_BUILDERS: Final[dict[type, tuple[str, Callable[[Any], Any]]]] = {
    mesh.Hello: ("hello", build_hello),
    mesh.Proof: ("proof", build_proof),
    messages.Offer: ("setup_tieline", wire_chat.build_offer),
    messages.Answer: ("tieline_accept", wire_chat.build_answer),
    messages.Reject: ("chat_reject", wire_chat.build_reject),
    messages.Confirm: ("chat_confirm", wire_chat.build_confirm),
    messages.Resume: ("resume_tieline", wire_chat.build_resume),
    messages.Closed: ("chat_closed", wire_chat.build_closed),
    messages.ClosedAck: ("chat_closed_ack", wire_chat.build_closed),
    messages.PathState: ("path_state", wire_chat.build_path),
    session.Heartbeat: ("heartbeat", wire_session.build_heartbeat),
    messages.ErrorNotice: ("error", wire_chat.build_error),
    messages.MoveOffer: ("move_tieline", wire_chat.build_move_offer),
    messages.MoveAnswer: ("move_accepted", wire_chat.build_move_answer),
    messages.Moved: ("chat_moved", wire_chat.build_moved),
}


_GOSSIP_BUILDERS: Final[dict[type, tuple[str, Callable[[Any], Any]]]] = {
    mesh.Hello: ("hello", build_hello),
    mesh.Proof: ("proof", build_proof),
    mesh.MembershipUpdate: ("update", build_update),
    mesh.HeldMark: ("held_mark", _build_mark),
    mesh.OwnMark: ("own_mark", _build_mark),
    mesh.Clock: ("clock", _build_clock),
    **home_entries.BUILDERS,
    session.Heartbeat: ("heartbeat", wire_session.build_heartbeat),
    messages.ErrorNotice: ("error", wire_chat.build_error),
    **dict.fromkeys(SWIM_TYPES, ("swim", build_swim)),
}


def parse_gossip(pb: node_mesh_pb2.GossipMessage | node_mesh_pb2.JoinMessage) -> GossipMessage:
    """One message of Gossip or Join; raise INVALID_FRAME."""
    field = pb.WhichOneof("body")
    if field is None:
        raise ProtocolError(ErrorCode.INVALID_FRAME, "empty or unknown message")
    message = _GOSSIP_PARSERS[field](getattr(pb, field))
    if isinstance(message, messages.ErrorNotice):
        validate_message(message)
    tagged: GossipMessage = with_tag(message, pb.tag)
    return tagged


def build_gossip(item: GossipMessage) -> node_mesh_pb2.GossipMessage:
    message, tag = split_tag(item)
    field, build = _GOSSIP_BUILDERS[type(message)]
    return node_mesh_pb2.GossipMessage(**{field: build(message)}, tag=tag)


def build_join(item: GossipMessage) -> node_mesh_pb2.JoinMessage:
    """Of a Hello, a Proof, a welcome or an error."""
    message, tag = split_tag(item)
    field, build = _GOSSIP_BUILDERS[type(message)]
    return node_mesh_pb2.JoinMessage(**{"welcome" if field == "update" else field: build(message)}, tag=tag)


def parse_peer_batch(batch: node_mesh_pb2.PeerBatch) -> list[PeerMessage]:
    """What a peer node sent on RouteChat; raise INVALID_FRAME."""
    require(len(batch.frames) <= MAX_BATCH_FRAMES, f"a batch holds at most {MAX_BATCH_FRAMES} frames")
    found: list[PeerMessage] = []
    for frame in batch.frames:
        field = frame.WhichOneof("body")
        if field is None:
            raise ProtocolError(ErrorCode.INVALID_FRAME, "empty or unknown frame")
        message: PlainPeerMessage = Sealed(frame.sealed) if field == "sealed" else _PEER_PARSERS[field](getattr(frame, field))
        if isinstance(message, session.Heartbeat):
            validate_session_message(message)
        elif not isinstance(message, (mesh.Hello, mesh.Proof)):
            validate_message(message)
        found.append(with_tag(message, frame.tag))
    return found


def build_peer_batch(items: Iterable[PeerMessage]) -> node_mesh_pb2.PeerBatch:
    batch = node_mesh_pb2.PeerBatch()
    add = batch.frames.add
    for item in items:
        if isinstance(item, Sealed):
            add(sealed=item.frame)
        else:
            message, tag = split_tag(item)
            field, build = _PEER_BUILDERS[type(message)]
            add(**{field: build(message)}, tag=tag)
    return batch
