"""Hello and proof, both ways, that open every stream between nodes; the certificate must name the node that is claimed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from hermes_core.crypto.random import RandomSource, generate_bytes
from hermes_core.crypto.session_binding import derive_session_binding
from hermes_core.crypto.signing import Identity
from hermes_core.errors import ErrorCode, ErrorScope, ProtocolError
from hermes_core.ids import NodeId
from hermes_core.mesh.descriptor import build_proof, verify_descriptor, verify_proof
from hermes_core.mesh.messages import CHALLENGE_BYTES, Hello, NodeDescriptor, Proof
from hermes_core.protocol.messages import ErrorNotice

M = TypeVar("M")

SendMessage = Callable[[Any], Awaitable[None]]
ReceiveMessage = Callable[[], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class ProvedPeer:
    """A node that proved its descriptor; `binding` ties resume claims to this stream (32 bytes)."""

    descriptor: NodeDescriptor
    binding: bytes


@dataclass(frozen=True, slots=True)
class NodeCredentials:
    """What this node proves itself with; `random` is for challenges."""

    identity: Identity
    descriptor: NodeDescriptor
    random: RandomSource

    def build_hello(self) -> Hello:
        return Hello(self.descriptor, generate_bytes(CHALLENGE_BYTES, self.random))


async def ask_name(local: NodeCredentials, send: SendMessage, receive: ReceiveMessage) -> NodeId:
    """Which node answers here; nothing is proved by it, the caller dials again with this name."""
    await send(local.build_hello())
    hello = expect(await receive(), Hello)
    verify_descriptor(hello.descriptor)
    return hello.descriptor.node_id


async def dial_handshake(local: NodeCredentials, expected: NodeId, send: SendMessage, receive: ReceiveMessage) -> ProvedPeer:
    """The dialler's half; TLS has checked that the certificate names `expected`. Raise ProtocolError."""
    own = local.build_hello()
    await send(own)
    peer = expect(await receive(), Hello)
    if peer.descriptor.node_id != expected:
        raise ProtocolError(ErrorCode.AUTH_FAILED, f"dialled {expected}, met {peer.descriptor.node_id}")
    await send(build_proof(local.identity, own, peer))
    verify_proof(expect(await receive(), Proof), own, peer)
    return ProvedPeer(peer.descriptor, derive_session_binding(own.challenge, peer.challenge))


async def accept_handshake(
    local: NodeCredentials, certificate_names: frozenset[str], send: SendMessage, receive: ReceiveMessage
) -> ProvedPeer | None:
    """The acceptor's half; None when the dialler only asked for our name. Raise ProtocolError."""
    peer = expect(await receive(), Hello)
    if peer.descriptor.node_id not in certificate_names:
        raise ProtocolError(
            ErrorCode.AUTH_FAILED, "the certificate does not name the node that is claimed", scope=ErrorScope.STREAM
        )
    own = local.build_hello()
    await send(own)
    answer = await receive()
    if answer is None:
        return None
    verify_proof(expect(answer, Proof), own, peer)
    await send(build_proof(local.identity, own, peer))
    return ProvedPeer(peer.descriptor, derive_session_binding(peer.challenge, own.challenge))


def expect(message: object, kind: type[M]) -> M:
    """`message` when it is of this kind; the error a peer sent instead, or INVALID_FRAME."""
    if isinstance(message, kind):
        return message
    if isinstance(message, ErrorNotice):
        raise ProtocolError(message.code, f"the peer said: {message.detail}", scope=ErrorScope.STREAM)
    if message is None:
        raise ProtocolError(ErrorCode.ROUTE_UNAVAILABLE, "the peer ended the stream", scope=ErrorScope.STREAM)
    raise ProtocolError(ErrorCode.INVALID_FRAME, f"expected {kind.__name__}", scope=ErrorScope.STREAM)
