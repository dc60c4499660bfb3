"""Hello and proof, both ways, that open every stream between nodes; the certificate must name the node that is claimed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

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
GivesWay = Callable[[NodeId], Awaitable[bool]]
"""Whether a stream to this node, which has proved itself, comes to nothing because of another one that stands by now."""


MAX_OWN_HELLOS: Final = 4_096


class OwnHellos:
    """The challenges that this process made: who answers with one of them is this process itself, whatever lies between."""

    def __init__(self) -> None:
        self._made: dict[bytes, None] = {}

    def __contains__(self, hello: Hello) -> bool:
        return hello.challenge in self._made

    def note(self, challenge: bytes) -> None:
        self._made[challenge] = None
        if len(self._made) > MAX_OWN_HELLOS:
            del self._made[next(iter(self._made))]


@dataclass(frozen=True, slots=True)
class ProvedPeer:
    """A node that proved its descriptor, and the keys that it and we have for this stream. `is_self`: this very process."""

    descriptor: NodeDescriptor
    keys: SessionKeys
    is_self: bool = False


@dataclass(frozen=True, slots=True)
class NodeCredentials:
    """What this node proves itself with; `random` is for challenges and ephemerals.

    `hellos`: where it looks for another process with its own key, when a Join leads there.
    """

    identity: Identity
    descriptor: NodeDescriptor
    random: RandomSource
    hellos: OwnHellos | None = None

    def build_hello(self) -> tuple[Hello, EphemeralKey]:
        ephemeral = generate_ephemeral(self.random)
        challenge = generate_bytes(CHALLENGE_BYTES, self.random)
        if self.hellos is not None:
            self.hellos.note(challenge)
        return Hello(self.descriptor, challenge, ephemeral.public, OFFERED), ephemeral

    def made(self, hello: Hello) -> bool:
        """Whether this process did, as far as it looks."""
        return self.hellos is not None and hello in self.hellos

    def meets_self(self, kind: StreamKind) -> bool:
        return self.hellos is not None and kind is StreamKind.JOIN


async def ask_name(local: NodeCredentials, send: SendMessage, receive: ReceiveMessage) -> Hello:
    """Which node answers here; nothing is proved by it, the caller dials again with this name."""
    own, ephemeral = local.build_hello()
    ephemeral.wipe()
    await send(own)
    hello = expect(await receive(), Hello)
    verify_descriptor(hello.descriptor)
    return hello


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
        meets_self = local.meets_self(kind)
        handshake = PeerHandshake(local.identity, ephemeral, kind, JoinRole.DIALLER, own, peer, meets_self=meets_self)
        await send(handshake.prove())
        handshake.check(expect(await receive(), Proof))
        return ProvedPeer(peer.descriptor, handshake.complete(), local.made(peer))
    finally:
        ephemeral.wipe()


async def accept_handshake(
    local: NodeCredentials,
    kind: StreamKind,
    certificate_names: frozenset[str],
    send: SendMessage,
    receive: ReceiveMessage,
    gives_way: GivesWay | None = None,
) -> ProvedPeer | None:
    """The acceptor's half; None when the dialler only asked for our name, or the stream `gives_way`. Raise ProtocolError."""
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
        meets_self = local.meets_self(kind)
        handshake = PeerHandshake(local.identity, ephemeral, kind, JoinRole.ACCEPTOR, own, peer, meets_self=meets_self)
        handshake.check(expect(answer, Proof))
        if gives_way is not None and await gives_way(peer.descriptor.node_id):
            return None
        await send(handshake.prove())
        return ProvedPeer(peer.descriptor, handshake.complete(), local.made(peer))
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
