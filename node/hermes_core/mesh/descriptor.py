"""Signed node descriptors (docs/reference/protocol.md, Mesh)."""

from __future__ import annotations

from hermes_core.crypto import labels
from hermes_core.crypto.encoding import lp, u64
from hermes_core.crypto.signing import Identity, verify_signature
from hermes_core.ids import NodeId, Party, node_party
from hermes_core.mesh.messages import NodeDescriptor


def _encode_descriptor(node_id: NodeId, node_key: bytes, address: str, incarnation: int, version: str) -> bytes:
    return b"".join(
        (
            lp(labels.DESCRIPTOR),
            lp(node_id.encode()),
            node_key,
            lp(address.encode()),
            u64(incarnation),
            lp(version.encode()),
        )
    )


def sign_descriptor(identity: Identity, *, node_id: NodeId, address: str, incarnation: int, version: str) -> NodeDescriptor:
    """A descriptor of this node, signed by its identity."""
    body = _encode_descriptor(node_id, identity.public_key, address, incarnation, version)
    return NodeDescriptor(node_id, identity.public_key, address, incarnation, version, identity.sign(body))


def verify_descriptor(descriptor: NodeDescriptor) -> None:
    """Raise AUTH_FAILED or INVALID_KEY unless the descriptor carries its own key's signature."""
    body = _encode_descriptor(
        descriptor.node_id, descriptor.node_key, descriptor.address, descriptor.incarnation, descriptor.version
    )
    verify_signature(descriptor.node_key, body, descriptor.signature)


def descriptor_party(descriptor: NodeDescriptor) -> Party:
    return node_party(descriptor.node_id, descriptor.node_key)
