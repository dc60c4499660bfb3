"""NodeMesh: the serving end of Join, Gossip, RouteChat and Carry."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import Any, Protocol

from hermes_core.errors import ErrorCode, ErrorScope, ProtocolError
from hermes_core.ids import NodeId
from hermes_core.mesh.carry.messages import CarryFrom, CarryTo
from hermes_core.mesh.messages import MembershipUpdate
from hermes_core.protocol.messages import ErrorNotice
from hermes_core.session.join import StreamKind
from hermes_node.logs.event_log import EventLog
from hermes_node.mesh.carried import CarriedStream
from hermes_node.mesh.guests import GuestStream, MeshGuests
from hermes_node.mesh.handshake import GivesWay, NodeCredentials, ProvedPeer, accept_handshake
from hermes_node.mesh.links import GossipLink, MeshEvents
from hermes_node.mesh.streams import MeshStream, RouteStream, carry_stream, gossip_stream, join_stream
from hermes_node.metrics.labels import DialResult, LinkPurpose
from hermes_node.streams.outbox import LAST_WORDS_S, StreamStuckError
from hermes_node.streams.transport import ServedStream, StreamHandler, reset_stream
from hermes_wire.byte_stream import StreamEndedError


class MeshView(MeshEvents, Protocol):
    """What the server needs of the mesh driver."""

    @property
    def local(self) -> NodeCredentials: ...
    def admit(self, peer: ProvedPeer) -> None: ...
    def dialled(self, purpose: LinkPurpose, node_id: NodeId, result: DialResult) -> None: ...
    def build_welcome(self) -> MembershipUpdate: ...
    async def meet_self(self, stream: MeshStream[Any]) -> None: ...
    async def until_serving(self) -> None: ...
    async def gives_way(self, node_id: NodeId) -> bool: ...
    async def serve_route(self, peer: ProvedPeer, stream: RouteStream, *, dialled: bool) -> None: ...
    async def serve_carried(self, peer: ProvedPeer, stream: RouteStream, *, dialled: bool, third: NodeId) -> None: ...
    async def carry(self, origin: NodeId, target: NodeId, stream: MeshStream[Any]) -> None: ...


class MeshServer:
    """Serves `hermes.v2.NodeMesh` to nodes whose certificate the mesh's CA signed (gRPC refuses all others)."""

    def __init__(
        self,
        *,
        mesh: MeshView,
        handshake_timeout_s: float,
        log: EventLog,
        count_refused: Callable[[ErrorCode], None] = lambda _: None,
    ) -> None:
        self._mesh = mesh
        self._guests = MeshGuests()
        self._count_refused = count_refused
        self._handshake_timeout_s = handshake_timeout_s
        self._log = log

    def handlers(self) -> dict[str, StreamHandler]:
        return {"Join": self.join, "Gossip": self.gossip, "RouteChat": self.route_chat, "Carry": self.carry}

    async def join(self, served: ServedStream) -> None:
        """A node asks to be taken in; it gets what this node knows of the mesh."""
        guest = GuestStream(served)
        stream = join_stream(guest)

        async def serve() -> None:
            peer = await self._prove(StreamKind.JOIN, stream, guest, served)
            if peer is None:
                return
            stream.secure(peer.keys)
            with self._guests.proven(peer.descriptor.node_id, served.peer_address()):
                if peer.descriptor.node_id != self._mesh.local.descriptor.node_id:
                    self._mesh.admit(peer)
                    await stream.send(self._mesh.build_welcome())
                elif not peer.is_self:
                    async with asyncio.timeout(self._handshake_timeout_s):
                        await self._mesh.meet_self(stream)

        await self._guard(stream, served, serve)

    async def gossip(self, served: ServedStream) -> None:
        guest = GuestStream(served)
        stream = gossip_stream(guest)

        async def serve() -> None:
            peer = await self._prove(StreamKind.GOSSIP, stream, guest, served)
            if peer is not None:
                stream.secure(peer.keys)
                with self._guests.proven(peer.descriptor.node_id, served.peer_address()):
                    await GossipLink(peer.descriptor).run(stream, self._mesh)

        await self._guard(stream, served, serve)

    async def route_chat(self, served: ServedStream) -> None:
        guest = GuestStream(served)
        stream = RouteStream(guest)

        async def serve() -> None:
            peer = await self._prove(StreamKind.ROUTE_CHAT, stream, guest, served, self._mesh.gives_way)
            if peer is None:
                return
            with ExitStack() as held:
                try:
                    held.enter_context(self._guests.proven(peer.descriptor.node_id, served.peer_address()))
                    self._mesh.admit(peer)
                except BaseException:
                    stream.secure(peer.keys)  # nobody else has them: for last words with a tag, and to be wiped
                    raise
                await self._mesh.serve_route(peer, stream, dialled=False)

        await self._guard(stream, served, serve)

    async def carry(self, served: ServedStream) -> None:
        """A node wants to reach a third one through this one, or this one through another."""
        guest = GuestStream(served)
        stream = carry_stream(guest)

        async def serve() -> None:
            peer = await self._prove(StreamKind.CARRY, stream, guest, served)
            if peer is None:
                return
            stream.secure(peer.keys)
            node_id = peer.descriptor.node_id
            with self._guests.proven(node_id, served.peer_address()):
                self._mesh.admit(peer)
                async with asyncio.timeout(self._handshake_timeout_s):
                    wish = await stream.receive()
                if isinstance(wish, CarryTo):
                    await self._mesh.carry(node_id, wish.target, stream)
                elif isinstance(wish, CarryFrom):
                    await self._meet_carried(node_id, wish.origin, stream)
                elif wish is not None:
                    raise ProtocolError(ErrorCode.INVALID_FRAME, "neither to nor from anybody", scope=ErrorScope.STREAM)

        await self._guard(stream, served, serve)

    async def _meet_carried(self, third: NodeId, origin: NodeId, stream: MeshStream[Any]) -> None:
        """The other home proves itself within; that the node in between has a certificate with its name says nothing."""
        within = CarriedStream(stream)
        route = RouteStream(within)
        async with asyncio.timeout(self._handshake_timeout_s):
            local, names = self._mesh.local, frozenset((origin,))
            peer = await accept_handshake(local, StreamKind.CARRIED, names, route.send_first, route.receive_first)
        if peer is not None:
            within.prove()
            await self._mesh.serve_carried(peer, route, dialled=False, third=third)

    async def _prove(
        self,
        kind: StreamKind,
        stream: MeshStream[Any],
        guest: GuestStream,
        served: ServedStream,
        gives_way: GivesWay | None = None,
    ) -> ProvedPeer | None:
        names, local, send, receive = served.peer_names(), self._mesh.local, stream.send_first, stream.receive_first
        with self._guests.unproven(names):
            try:
                async with asyncio.timeout(self._handshake_timeout_s):
                    if kind is not StreamKind.JOIN:  # it says which incarnation this is, which none may hear of before
                        await self._mesh.until_serving()
                    proved = await accept_handshake(local, kind, names, send, receive, gives_way)
            except TimeoutError:  # late is not false: the link may be slow
                raise ProtocolError(ErrorCode.ROUTE_UNAVAILABLE, "no proof in time", scope=ErrorScope.STREAM) from None
        guest.prove()
        return proved

    async def _guard(self, stream: MeshStream[Any], served: ServedStream, serve: Callable[[], Any]) -> None:
        """Whatever ends a stream ends that stream only; the peer is told a protocol error, under a tag once it is proved."""
        try:
            await serve()
        except ProtocolError as error:
            await self._refuse(stream, served, error)
        except StreamStuckError:
            reset_stream()
        except (StreamEndedError, TimeoutError):
            pass
        finally:
            stream.wipe()

    async def _refuse(self, stream: MeshStream[Any], served: ServedStream, error: ProtocolError) -> None:
        names = ",".join(sorted(served.peer_names()))
        self._count_refused(error.code)
        self._log.warning("peer_refused", code=error.code.name, reason=error.detail, certificate=names)
        notice = ErrorNotice(error.code, ErrorScope.STREAM, None, error.detail, error.retry_after_ms)
        with suppress(StreamEndedError, TimeoutError):
            async with asyncio.timeout(LAST_WORDS_S):
                await stream.send_first(notice)
