"""NodeMesh: the serving end of Join, Gossip and RouteChat."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

import grpc

from hermes_core.errors import ErrorScope, ProtocolError
from hermes_core.mesh.messages import MembershipUpdate
from hermes_core.protocol.messages import ErrorNotice
from hermes_node.logs.event_log import EventLog
from hermes_node.mesh.handshake import NodeCredentials, ProvedPeer, accept_handshake
from hermes_node.mesh.links import GossipLink, MeshEvents, PeerInbox, run_route
from hermes_node.mesh.streams import SERVICE, MeshStream, RouteStream, gossip_stream, join_stream
from hermes_node.streams.byte_stream import ByteStream, StreamEndedError, reset_stream, stream_handler
from hermes_node.streams.outbox import LAST_WORDS_S, StreamStuckError


class MeshView(MeshEvents, Protocol):
    """What the server needs of the mesh driver."""

    @property
    def local(self) -> NodeCredentials: ...
    def admit(self, peer: ProvedPeer) -> None: ...
    def build_welcome(self) -> MembershipUpdate: ...


class MeshServer:
    """Serves `hermes.v1.NodeMesh` to nodes whose certificate the mesh's CA signed (gRPC refuses all others)."""

    def __init__(self, *, mesh: MeshView, chats: PeerInbox, handshake_timeout_s: float, log: EventLog) -> None:
        self._mesh = mesh
        self._chats = chats
        self._handshake_timeout_s = handshake_timeout_s
        self._log = log

    def handler(self) -> grpc.GenericRpcHandler:
        return stream_handler(SERVICE, {"Join": self.join, "Gossip": self.gossip, "RouteChat": self.route_chat})

    async def join(self, _requests: Any, context: Any) -> None:
        """A node asks to be taken in; it gets what this node knows of the mesh."""
        stream = join_stream(ByteStream(context))

        async def serve() -> None:
            peer = await self._prove(stream, context)
            if peer is not None:
                self._mesh.admit(peer)
                await stream.send(self._mesh.build_welcome())

        await self._guard(stream, context, serve)

    async def gossip(self, _requests: Any, context: Any) -> None:
        stream = gossip_stream(ByteStream(context))

        async def serve() -> None:
            peer = await self._prove(stream, context)
            if peer is not None:
                await GossipLink(peer.descriptor).run(stream, self._mesh)

        await self._guard(stream, context, serve)

    async def route_chat(self, _requests: Any, context: Any) -> None:
        stream = RouteStream(ByteStream(context))

        async def serve() -> None:
            peer = await self._prove(stream, context)
            if peer is not None:
                self._mesh.admit(peer)
                await run_route(peer, stream, self._mesh, self._chats)

        await self._guard(stream, context, serve)

    async def _prove(self, stream: MeshStream[Any], context: Any) -> ProvedPeer | None:
        async with asyncio.timeout(self._handshake_timeout_s):
            return await accept_handshake(self._mesh.local, certificate_names(context), stream.send_first, stream.receive_first)

    async def _guard(self, stream: MeshStream[Any], context: Any, serve: Callable[[], Any]) -> None:
        """Whatever ends a stream ends that stream only; the peer is told a protocol error."""
        try:
            await serve()
        except ProtocolError as error:
            names = ",".join(sorted(certificate_names(context)))
            self._log.warning("peer_refused", code=error.code.name, reason=error.detail, certificate=names)
            notice = ErrorNotice(error.code, ErrorScope.STREAM, None, error.detail, error.retry_after_ms)
            try:
                async with asyncio.timeout(LAST_WORDS_S):
                    await stream.send_first(notice)
            except (StreamEndedError, TimeoutError):
                pass
        except StreamStuckError:
            reset_stream()
        except (StreamEndedError, TimeoutError):
            pass


def certificate_names(context: Any) -> frozenset[str]:
    """The names in the certificate that the peer showed and the CA signed."""
    names = context.auth_context().get("x509_subject_alternative_name", ())
    return frozenset(name.decode("ascii", "replace") for name in names)
