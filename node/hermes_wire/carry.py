"""Streams between nodes that carry another one: `Carry`, protobuf to core and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.ids import parse_node_id
from hermes_core.mesh import messages as mesh
from hermes_core.mesh.carry.messages import MAX_CARRIED_BYTES, Carried, CarryFrom, CarryTo
from hermes_core.mesh.carry.messages import CarryMessage as PlainCarryMessage
from hermes_core.protocol.messages import ErrorNotice
from hermes_core.protocol.validate import require, validate_message
from hermes_core.session.control import Tagged
from hermes_proto.v2 import node_mesh_pb2
from hermes_wire import chat as wire_chat
from hermes_wire.peer import build_hello, build_proof, parse_hello, parse_proof
from hermes_wire.tags import split_tag, with_tag

CarryItem = PlainCarryMessage | mesh.Hello | mesh.Proof | ErrorNotice | Tagged


def _parse_carried(pb: node_mesh_pb2.Carried) -> Carried:
    require(1 <= len(pb.data) <= MAX_CARRIED_BYTES, f"a piece has 1 to {MAX_CARRIED_BYTES} bytes")
    return Carried(pb.data, pb.more)


_PARSERS: Final[dict[str, Callable[[Any], Any]]] = {
    "hello": parse_hello,
    "proof": parse_proof,
    "carry_to": lambda pb: CarryTo(parse_node_id(pb.target)),
    "carry_from": lambda pb: CarryFrom(parse_node_id(pb.origin)),
    "carried": _parse_carried,
    "error": wire_chat.parse_error,
}
CARRY_BUILDERS: Final[dict[type, tuple[str, Callable[[Any], Any]]]] = {
    mesh.Hello: ("hello", build_hello),
    mesh.Proof: ("proof", build_proof),
    CarryTo: ("carry_to", lambda m: node_mesh_pb2.CarryTo(target=m.target)),
    CarryFrom: ("carry_from", lambda m: node_mesh_pb2.CarryFrom(origin=m.origin)),
    Carried: ("carried", lambda m: node_mesh_pb2.Carried(data=m.data, more=m.more)),
    ErrorNotice: ("error", wire_chat.build_error),
}


def parse_carry(pb: node_mesh_pb2.CarryMessage) -> CarryItem:
    """One message of Carry; raise INVALID_FRAME."""
    field = pb.WhichOneof("body")
    if field is None:
        raise ProtocolError(ErrorCode.INVALID_FRAME, "empty or unknown message")
    message = _PARSERS[field](getattr(pb, field))
    if isinstance(message, ErrorNotice):
        validate_message(message)
    tagged: CarryItem = with_tag(message, pb.tag)
    return tagged


def build_carry(item: CarryItem) -> node_mesh_pb2.CarryMessage:
    message, tag = split_tag(item)
    field, build = CARRY_BUILDERS[type(message)]
    return node_mesh_pb2.CarryMessage(**{field: build(message)}, tag=tag)
