"""What the directory is made of, on nodes' streams and on apps': descriptors and claims, protobuf to core and back."""

from __future__ import annotations

from hermes_core.crypto.signing import SIGNATURE_BYTES
from hermes_core.handshake.renewal import check_length
from hermes_core.ids import MAX_POSITION, PUBLIC_KEY_BYTES, Party, parse_node_id
from hermes_core.mesh import messages as mesh
from hermes_core.mesh.addresses import check_address
from hermes_core.protocol import session as core
from hermes_core.protocol.validate import require, validate_app_claim
from hermes_proto.v2 import app_router_pb2, node_descriptor_pb2, node_mesh_pb2


def parse_descriptor(pb: node_descriptor_pb2.NodeDescriptor) -> mesh.NodeDescriptor:
    """Raise INVALID_FRAME unless every field is within its bound; the signature is not checked here."""
    require(len(pb.node_key) == PUBLIC_KEY_BYTES, "node_key must be 32 bytes")
    require(0 < len(pb.address) <= mesh.MAX_ADDRESS_CHARS, "address must have 1 to 300 characters")
    check_address(pb.address)
    require(pb.incarnation <= MAX_POSITION, "incarnation is too large")
    require(len(pb.version) <= mesh.MAX_VERSION_CHARS, "version must have at most 64 characters")
    require(len(pb.app_address) <= mesh.MAX_ADDRESS_CHARS, "app_address must have at most 300 characters")
    if pb.app_address:
        check_address(pb.app_address)
    require(len(pb.signature) == SIGNATURE_BYTES, "signature must be 64 bytes")
    check_length(pb.renewals)
    node_id, parts = parse_node_id(pb.node_id), (pb.signature, pb.app_address, pb.renewals)
    return mesh.NodeDescriptor(node_id, pb.node_key, pb.address, pb.incarnation, pb.version, *parts)


def build_descriptor(m: mesh.NodeDescriptor) -> node_descriptor_pb2.NodeDescriptor:
    return node_descriptor_pb2.NodeDescriptor(
        node_id=m.node_id,
        node_key=m.node_key,
        address=m.address,
        incarnation=m.incarnation,
        version=m.version,
        signature=m.signature,
        app_address=m.app_address,
        renewals=m.renewals,
    )


def parse_app_claim(pb: node_mesh_pb2.AppClaim) -> core.AppClaim:
    """Raise INVALID_FRAME unless every field is within its bound; the signature is not checked here."""
    claim = core.AppClaim(pb.app_key, pb.stamp, pb.hello_hash, pb.signature)
    validate_app_claim(claim)
    return claim


def build_app_claim(m: core.AppClaim) -> node_mesh_pb2.AppClaim:
    return node_mesh_pb2.AppClaim(app_key=m.app_key, stamp=m.stamp, hello_hash=m.hello_hash, signature=m.signature)


def parse_newer_home(pb: app_router_pb2.NewerHome) -> core.NewerHome:
    return core.NewerHome(Party(pb.home), parse_app_claim(pb.claim))


def build_newer_home(m: core.NewerHome) -> app_router_pb2.NewerHome:
    return app_router_pb2.NewerHome(home=m.home, claim=build_app_claim(m.claim))


def parse_seek_home(pb: app_router_pb2.SeekHome) -> core.SeekHome:
    return core.SeekHome(Party(pb.home))


def build_seek_home(m: core.SeekHome) -> app_router_pb2.SeekHome:
    return app_router_pb2.SeekHome(home=m.home)


def parse_home_found(pb: app_router_pb2.HomeFound) -> mesh.HomeFound:
    return mesh.HomeFound(parse_descriptor(pb.home) if pb.HasField("home") else None, pb.linked)


def build_home_found(m: mesh.HomeFound) -> app_router_pb2.HomeFound:
    return app_router_pb2.HomeFound(home=None if m.home is None else build_descriptor(m.home), linked=m.linked)
