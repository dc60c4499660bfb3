"""What members sign besides their descriptor: a departure, an accusation, an answer that somebody else carries."""

from __future__ import annotations

from typing import Protocol

from hermes_core.crypto import labels
from hermes_core.crypto.encoding import lp, u64
from hermes_core.crypto.signing import Identity, verify_signature
from hermes_core.errors import ProtocolError
from hermes_core.handshake.renewal import verify_renewals
from hermes_core.ids import NodeId
from hermes_core.mesh.descriptor import encode_descriptor
from hermes_core.mesh.messages import NodeDescriptor
from hermes_core.mesh.swim.messages import Accusation, SignedDeparture


class Signatures(Protocol):
    """The node's own key, and the check of everybody's."""

    def sign(self, body: bytes) -> bytes:
        """64 bytes under the node's own key."""

    def verify(self, key: bytes, body: bytes, signature: bytes) -> bool: ...


class IdentitySignatures:
    """Ed25519 with the node's identity."""

    __slots__ = ("_identity",)

    def __init__(self, identity: Identity) -> None:
        self._identity = identity

    def sign(self, body: bytes) -> bytes:
        return self._identity.sign(body)

    def verify(self, key: bytes, body: bytes, signature: bytes) -> bool:
        try:
            verify_signature(key, body, signature)
        except ProtocolError:
            return False
        return True


def encode_own(descriptor: NodeDescriptor) -> bytes:
    d = descriptor
    return encode_descriptor(d.node_id, d.node_key, d.address, d.incarnation, d.version, d.app_address)


def is_own_word(descriptor: NodeDescriptor, signatures: Signatures) -> bool:
    """Whether the key that it names signed it, and renewals lead to that key."""
    if not signatures.verify(descriptor.node_key, encode_own(descriptor), descriptor.signature):
        return False
    try:
        verify_renewals(descriptor.renewals, descriptor.node_id, descriptor.node_key)
    except ProtocolError:
        return False
    return True


def encode_departure(subject: NodeId, subject_key: bytes, incarnation: int) -> bytes:
    return lp(labels.DEPARTURE) + lp(subject.encode()) + subject_key + u64(incarnation)


def is_departure(said: SignedDeparture, signatures: Signatures) -> bool:
    body = encode_departure(said.subject, said.subject_key, said.incarnation)
    return signatures.verify(said.subject_key, body, said.signature)


def encode_accusation(
    subject: NodeId, subject_key: bytes, incarnation: int, accuser: NodeId, accuser_key: bytes, accuser_incarnation: int
) -> bytes:
    return b"".join(
        (
            lp(labels.ACCUSATION),
            lp(subject.encode()),
            subject_key,
            u64(incarnation),
            lp(accuser.encode()),
            accuser_key,
            u64(accuser_incarnation),
        )
    )


def is_accusation(said: Accusation, signatures: Signatures) -> bool:
    subject = (said.subject, said.subject_key, said.incarnation)
    body = encode_accusation(*subject, said.accuser, said.accuser_key, said.accuser_incarnation)
    return signatures.verify(said.accuser_key, body, said.signature)


def encode_answer(target: NodeId, target_key: bytes, asker: str, nonce: bytes) -> bytes:
    return lp(labels.ANSWERED) + lp(target.encode()) + target_key + lp(asker.encode()) + nonce
