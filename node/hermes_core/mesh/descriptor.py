"""Signed node descriptors and the proof of identity that opens a node-to-node stream (docs/reference/protocol.md, Mesh)."""

from __future__ import annotations

from hermes_core.crypto import labels
from hermes_core.crypto.encoding import lp, u64
from hermes_core.crypto.signing import Identity, verify_signature
from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.ids import NodeId, Party, node_party
from hermes_core.mesh.messages import Hello, NodeDescriptor, Proof


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


def _encode_proof(signer: Hello, verifier: Hello) -> bytes:
    return b"".join(
        (
            lp(labels.JOIN),
            lp(descriptor_party(signer.descriptor).encode()),
            lp(descriptor_party(verifier.descriptor).encode()),
            signer.challenge,
            verifier.challenge,
        )
    )


def build_proof(identity: Identity, own: Hello, peer: Hello) -> Proof:
    """Prove to `peer` that this node holds the key of its descriptor; both challenges are covered."""
    return Proof(identity.sign(_encode_proof(own, peer)))


def verify_proof(proof: Proof, own: Hello, peer: Hello) -> None:
    """Check the peer's descriptor and its proof against our challenge; raise AUTH_FAILED or INVALID_KEY."""
    if peer.descriptor.node_id == own.descriptor.node_id:
        raise ProtocolError(ErrorCode.AUTH_FAILED, "peer claims our own node id")
    verify_descriptor(peer.descriptor)
    verify_signature(peer.descriptor.node_key, _encode_proof(peer, own), proof.signature)
