"""Hello and proof, both ways, that open every stream between nodes; the certificate must name the node that is claimed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from hermes_core.crypto.random import RandomSource, generate_bytes
from hermes_core.crypto.signing import Identity
from hermes_core.crypto.x25519 import EphemeralKey, generate_ephemeral
from hermes_core.errors import ErrorCode, ErrorScope, ProtocolError
from hermes_core.ids import NodeId
from hermes_core.mesh.descriptor import verify_descriptor
from hermes_core.mesh.messages import CHALLENGE_BYTES, Hello, NodeDescriptor, Proof
from hermes_core.protocol.messages import ErrorNotice
from hermes_core.session.join import JoinRole, PeerHandshake, StreamKind
from hermes_core.session.keys import SessionKeys
from hermes_core.session.suites import OFFERED

M = TypeVar("M")

SendMessage = Callable[[Any], Awaitable[None]]
ReceiveMessage = Callable[[], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class ProvedPeer:
    """A node that proved its descriptor, and the keys that it and we have for this stream."""

    descriptor: NodeDescriptor
    keys: SessionKeys


@dataclass(frozen=True, slots=True)
class NodeCredentials:
    """What this node proves itself with; `random` is for challenges and ephemerals."""

    identity: Identity
    descriptor: NodeDescriptor
    random: RandomSource

    def build_hello(self) -> tuple[Hello, EphemeralKey]:
        ephemeral = generate_ephemeral(self.random)
        challenge = generate_bytes(CHALLENGE_BYTES, self.random)
        return Hello(self.descriptor, challenge, ephemeral.public, OFFERED), ephemeral


async def ask_name(local: NodeCredentials, send: SendMessage, receive: ReceiveMessage) -> NodeId:
    """Which node answers here; nothing is proved by it, the caller dials again with this name."""
    own, ephemeral = local.build_hello()
    ephemeral.wipe()
    await send(own)
    hello = expect(await receive(), Hello)
    verify_descriptor(hello.descriptor)
    return hello.descriptor.node_id


async def dial_handshake(
    local: NodeCredentials, kind: StreamKind, expected: NodeId, send: SendMessage, receive: ReceiveMessage
) -> ProvedPeer:
    """The dialler's half; TLS has checked that the certificate names `expected`. Raise ProtocolError."""
    own, ephemeral = local.build_hello()
    try:
        await send(own)
        peer = expect(await receive(), Hello)
        if peer.descriptor.node_id != expected:
            raise ProtocolError(ErrorCode.AUTH_FAILED, f"dialled {expected}, met {peer.descriptor.node_id}")
        handshake = PeerHandshake(local.identity, ephemeral, kind, JoinRole.DIALLER, own, peer)
        await send(handshake.prove())
        handshake.check(expect(await receive(), Proof))
        return ProvedPeer(peer.descriptor, handshake.complete())
    finally:
        ephemeral.wipe()


async def accept_handshake(
    local: NodeCredentials,
    kind: StreamKind,
    certificate_names: frozenset[str],
    send: SendMessage,
    receive: ReceiveMessage,
) -> ProvedPeer | None:
    """The acceptor's half; None when the dialler only asked for our name. Raise ProtocolError."""
    peer = expect(await receive(), Hello)
    if peer.descriptor.node_id not in certificate_names:
        raise ProtocolError(
            ErrorCode.AUTH_FAILED, "the certificate does not name the node that is claimed", scope=ErrorScope.STREAM
        )
    own, ephemeral = local.build_hello()
    try:
        await send(own)
        answer = await receive()
        if answer is None:
            return None
        handshake = PeerHandshake(local.identity, ephemeral, kind, JoinRole.ACCEPTOR, own, peer)
        handshake.check(expect(answer, Proof))
        await send(handshake.prove())
        return ProvedPeer(peer.descriptor, handshake.complete())
    finally:
        ephemeral.wipe()


def expect(message: object, kind: type[M]) -> M:
    """`message` when it is of this kind; the error a peer sent instead, or INVALID_FRAME."""
    if isinstance(message, kind):
        return message
    if isinstance(message, ErrorNotice):
        raise ProtocolError(message.code, f"the peer said: {message.detail}", scope=ErrorScope.STREAM)
    if message is None:
        raise ProtocolError(ErrorCode.ROUTE_UNAVAILABLE, "the peer ended the stream", scope=ErrorScope.STREAM)
    raise ProtocolError(ErrorCode.INVALID_FRAME, f"expected {kind.__name__}", scope=ErrorScope.STREAM)
