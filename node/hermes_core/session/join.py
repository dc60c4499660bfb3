"""The handshake of a stream between nodes: both sign everything that either said, the kind of stream, and their role.

docs/reference/protocol.md, Mesh. The dialling node's role in the keys is an app's.
"""

from __future__ import annotations

from enum import IntEnum

from hermes_core.crypto import labels
from hermes_core.crypto.encoding import lp, u8
from hermes_core.crypto.hashing import hash_bytes
from hermes_core.crypto.signing import Identity, verify_signature
from hermes_core.crypto.x25519 import EphemeralKey
from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.mesh.descriptor import descriptor_party, verify_descriptor
from hermes_core.mesh.messages import Hello, Proof
from hermes_core.session.keys import SessionKeys, derive_session_keys
from hermes_core.session.suites import HASH, SessionSuite, choose_suite


class StreamKind(IntEnum):
    """Which of the streams between nodes; all pods have one TLS key, so a proof for one must not serve another."""

    JOIN = 1
    GOSSIP = 2
    ROUTE_CHAT = 3
    CARRY = 4
    """With the node in between."""
    CARRIED = 5
    """Within it, between the homes: a RouteChat stream that both know to go through a third node."""


class JoinRole(IntEnum):
    DIALLER = 0
    ACCEPTOR = 1


class PeerHandshake:
    """One end's half, once both said Hello. The suite: the first of the dialler's that the acceptor knows.

    KEY_VERSION_MISMATCH when there is none, AUTH_FAILED when the peer claims our own name. `complete` once the peer's proof is
    there; the ephemeral is wiped then, and by `wipe`.
    """

    def __init__(
        self,
        identity: Identity,
        ephemeral: EphemeralKey,
        kind: StreamKind,
        role: JoinRole,
        own: Hello,
        peer: Hello,
        *,
        meets_self: bool = False,
    ) -> None:
        """`meets_self`: whoever claims our own name is to prove our own key."""
        same_name = peer.descriptor.node_id == own.descriptor.node_id
        if same_name and not (meets_self and peer.descriptor.node_key == own.descriptor.node_key):
            raise ProtocolError(ErrorCode.AUTH_FAILED, "peer claims our own node id")
        dialler, acceptor = (own, peer) if role is JoinRole.DIALLER else (peer, own)
        self._identity = identity
        self._ephemeral = ephemeral
        self._kind = kind
        self._role = role
        self._peer = peer
        self._suite = _agree_on_suite(dialler.suites, acceptor.suites)
        self._hellos = _encode_hello(dialler) + _encode_hello(acceptor) + u8(self._suite)
        self._own_proof = self._peer_proof = b""

    def _encode_proof(self, role: JoinRole) -> bytes:
        return lp(labels.JOIN) + u8(self._kind) + u8(role) + self._hellos

    def prove(self) -> Proof:
        self._own_proof = self._identity.sign(self._encode_proof(self._role))
        return Proof(self._own_proof)

    def check(self, proof: Proof) -> None:
        """The peer's descriptor and proof; AUTH_FAILED or INVALID_KEY."""
        verify_descriptor(self._peer.descriptor)
        other = JoinRole.ACCEPTOR if self._role is JoinRole.DIALLER else JoinRole.DIALLER
        verify_signature(self._peer.descriptor.node_key, self._encode_proof(other), proof.signature)
        self._peer_proof = proof.signature

    def complete(self) -> SessionKeys:
        """Our keys, once both proofs are there."""
        if not (self._own_proof and self._peer_proof):
            raise ValueError("a session's keys need both proofs")
        dialled = self._role is JoinRole.DIALLER
        proofs = (self._own_proof, self._peer_proof) if dialled else (self._peer_proof, self._own_proof)
        try:
            shared = self._ephemeral.exchange(self._peer.ephemeral)
        finally:
            self._ephemeral.wipe()
        transcript = hash_bytes(HASH[self._suite], lp(labels.JOIN) + u8(self._kind) + self._hellos + b"".join(proofs))
        return derive_session_keys(self._suite, shared, transcript, dialled=dialled)


def _agree_on_suite(dialler: bytes, acceptor: bytes) -> SessionSuite:
    return choose_suite(bytes(number for number in dialler if number in acceptor))


def _encode_hello(hello: Hello) -> bytes:
    party = descriptor_party(hello.descriptor)
    return lp(party.encode()) + hello.descriptor.node_key + hello.challenge + hello.ephemeral + lp(hello.suites)
