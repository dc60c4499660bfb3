"""Signed node descriptors (docs/reference/protocol.md, Mesh)."""

from __future__ import annotations

from hermes_core.crypto import labels
from hermes_core.crypto.encoding import lp, u64
from hermes_core.crypto.signing import Identity, verify_signature
from hermes_core.handshake.renewal import verify_renewals
from hermes_core.ids import NodeId, Party, node_party
from hermes_core.mesh.messages import NodeDescriptor


def encode_descriptor(
    node_id: NodeId, node_key: bytes, address: str, incarnation: int, version: str, app_address: str
) -> bytes:
    """The bytes that its node signs."""
    return b"".join(
        (
            lp(labels.DESCRIPTOR),
            lp(node_id.encode()),
            node_key,
            lp(address.encode()),
            u64(incarnation),
            lp(version.encode()),
            lp(app_address.encode()),
        )
    )


def sign_descriptor(
    identity: Identity,
    *,
    node_id: NodeId,
    address: str,
    incarnation: int,
    version: str,
    app_address: str = "",
    renewals: bytes = b"",
) -> NodeDescriptor:
    """A descriptor of this node, signed by its identity."""
    key = identity.public_key
    signature = identity.sign(encode_descriptor(node_id, key, address, incarnation, version, app_address))
    return NodeDescriptor(node_id, key, address, incarnation, version, signature, app_address, renewals)


def verify_descriptor(descriptor: NodeDescriptor) -> frozenset[bytes]:
    """The node's former keys (32 bytes each).

    AUTH_FAILED or INVALID_KEY unless the descriptor carries its own key's signature, and renewals that lead to that key.
    """
    of = descriptor
    body = encode_descriptor(of.node_id, of.node_key, of.address, of.incarnation, of.version, of.app_address)
    verify_signature(of.node_key, body, of.signature)
    return verify_renewals(of.renewals, of.node_id, of.node_key)


def descriptor_party(descriptor: NodeDescriptor) -> Party:
    return node_party(descriptor.node_id, descriptor.node_key)
