"""Fuzz target of SWIM: whatever a member sends, nothing is raised, nobody dies or leaves of it, memory stays bounded."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from google.protobuf.message import DecodeError

from hermes_core.crypto.secret import SecretBytes
from hermes_core.crypto.signing import Identity
from hermes_core.errors import ProtocolError
from hermes_core.ids import NodeId
from hermes_core.mesh.descriptor import sign_descriptor
from hermes_core.mesh.messages import MemberState, NodeDescriptor
from hermes_core.mesh.swim.machine import Swim
from hermes_core.mesh.swim.messages import SwimMessage
from hermes_core.mesh.swim.params import SwimParams
from hermes_core.mesh.swim.statements import IdentitySignatures
from hermes_proto.v2 import swim_pb2
from hermes_wire.swim import build_swim, parse_swim
from tests.support.swim_samples import MESSAGES

_PARAMS = SwimParams(max_members=64)


def _identify(index: int) -> tuple[Identity, NodeDescriptor]:
    identity = Identity.from_seed(SecretBytes.take(bytearray([index]) * 32))
    name = NodeId(f"mesh-{index}")
    return identity, sign_descriptor(identity, node_id=name, address=f"{name}:7443", incarnation=1, version="0")


_NODES = [_identify(index) for index in range(1, 5)]


def fuzz_swim(data: bytes) -> None:
    pb = swim_pb2.SwimMessage()
    try:
        pb.ParseFromString(data)
    except DecodeError:  # gRPC refuses it before Hermes sees it
        return
    try:
        message = parse_swim(pb)
    except ProtocolError:
        return
    assert parse_swim(swim_pb2.SwimMessage.FromString(build_swim(message).SerializeToString())) == message
    _receive(message)


def _receive(message: SwimMessage) -> None:
    """From a member that is linked, to one that is linked with two more."""
    identity, own = _NODES[0]
    swim = Swim(own, IdentitySignatures(identity), Random(0).randrange, _PARAMS, 0.0, boot=0.0)
    for _, descriptor in _NODES[1:]:
        swim.link_up(descriptor, 0.0)
    for _ in range(3):
        swim.receive(_NODES[1][1].node_id, message, 0.0)
        swim.handle_timer(swim.next_timer())
        swim.take_output()
    up = (MemberState.ALIVE, MemberState.SUSPECT)
    assert all(member.state in up for member in swim.roster)
    assert len(swim.roster) <= _PARAMS.max_members
    assert swim.descriptor.incarnation == own.incarnation


def make_seeds() -> dict[str, list[bytes]]:
    return {"swim": [build_swim(message).SerializeToString() for message in MESSAGES]}


TARGETS: dict[str, Callable[[bytes], None]] = {"swim": fuzz_swim}
