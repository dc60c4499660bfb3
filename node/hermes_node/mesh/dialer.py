"""The dialling end of the streams between nodes: TLS must show a certificate with the name of the node that is meant."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.ids import NodeId
from hermes_core.mesh.addresses import may_lead
from hermes_core.mesh.carry.messages import CarryFrom, CarryTo
from hermes_core.mesh.messages import MembershipUpdate, NodeDescriptor
from hermes_core.session.join import StreamKind
from hermes_node.mesh.carried import CarriedStream
from hermes_node.mesh.handshake import ProvedPeer, ask_name, dial_handshake, expect
from hermes_node.mesh.interface import DIAL_FAILURES, Welcome
from hermes_node.mesh.links import GossipLink, until_first_ends
from hermes_node.mesh.server import MeshView
from hermes_node.mesh.streams import SERVICE, MeshStream, RouteStream, carry_stream, gossip_stream, join_stream
from hermes_node.metrics.labels import DialResult, LinkPurpose
from hermes_wire.byte_stream import Connection, DialledStream

Opens = Callable[[str, str | None], Connection]
"""From an address and the name that the certificate there must carry; None: the address's host."""


class MeshDialer:
    """Opens streams to other nodes."""

    def __init__(self, *, mesh: MeshView, connect: Opens, timeout_s: float) -> None:
        self._mesh = mesh
        self._connect = connect
        self._timeout_s = timeout_s

    async def join(self, address: str, server_name: str | None) -> Welcome:
        """Ask the node at `address` to take us in.

        `server_name` is what the seed's certificate must carry; None: the address's host. The name it claims is then what
        the certificate must carry on a second connection, over which the proofs travel.
        """
        async with asyncio.timeout(self._timeout_s):
            async with self._channel(address, server_name) as channel:
                stream = join_stream(_open(channel, "Join"))
                hello = await ask_name(self._mesh.local, stream.send, stream.receive)
            local, node_id = self._mesh.local, hello.descriptor.node_id
            if node_id == local.descriptor.node_id and (local.hellos is None or local.made(hello)):
                return Welcome(node_id)
            async with self._channel(address, node_id) as channel:
                stream = join_stream(_open(channel, "Join"))
                peer = await dial_handshake(self._mesh.local, StreamKind.JOIN, node_id, stream.send, stream.receive)
                stream.secure(peer.keys)
                try:
                    if node_id == local.descriptor.node_id:
                        await self._meet_self(peer, stream)
                        return Welcome(node_id)
                    update = expect(await stream.receive(), MembershipUpdate)
                finally:
                    stream.wipe()
        self._mesh.admit(peer)
        return Welcome(node_id, peer.descriptor, update)

    async def _meet_self(self, peer: ProvedPeer, stream: MeshStream[Any]) -> None:
        """Somebody with our own key; an address may also lead to another process the second time than the first."""
        if not peer.is_self:
            await self._mesh.meet_self(stream)

    async def link(self, descriptor: NodeDescriptor) -> None:
        """Hold both streams with a node until either ends."""
        async with self._reach(descriptor, LinkPurpose.MEMBERSHIP) as channel:
            gossip = gossip_stream(_open(channel, "Gossip"))
            try:
                async with self._attempt(LinkPurpose.MEMBERSHIP, descriptor.node_id):
                    local, node_id = self._mesh.local, descriptor.node_id
                    peer = await dial_handshake(local, StreamKind.GOSSIP, node_id, gossip.send, gossip.receive)
                    gossip.secure(peer.keys)
                    route = RouteStream(_open(channel, "RouteChat"))
                    proved = await dial_handshake(local, StreamKind.ROUTE_CHAT, node_id, route.send_first, route.receive_first)
                if proved.descriptor.node_key != peer.descriptor.node_key:
                    proved.keys.wipe()
                    raise ProtocolError(ErrorCode.AUTH_FAILED, "two identities behind one address")
                await until_first_ends(
                    [
                        asyncio.create_task(GossipLink(peer.descriptor, dialled=True).run(gossip, self._mesh)),
                        asyncio.create_task(self._mesh.serve_route(proved, route, dialled=True)),
                    ]
                )
            finally:
                gossip.wipe()

    async def gossip(self, descriptor: NodeDescriptor) -> None:
        """Hold a Gossip stream with a node until either side ends it."""
        async with self._reach(descriptor, LinkPurpose.MEMBERSHIP) as channel:
            stream = gossip_stream(_open(channel, "Gossip"))
            try:
                peer = await self._prove(stream, StreamKind.GOSSIP, LinkPurpose.MEMBERSHIP, descriptor.node_id)
                await GossipLink(peer.descriptor, dialled=True).run(stream, self._mesh)
            finally:
                stream.wipe()

    async def route(self, descriptor: NodeDescriptor) -> None:
        """Hold a RouteChat stream with a node until either side ends it."""
        async with self._reach(descriptor, LinkPurpose.CHATS) as channel:
            stream = RouteStream(_open(channel, "RouteChat"))
            async with self._attempt(LinkPurpose.CHATS, descriptor.node_id):
                local, node_id = self._mesh.local, descriptor.node_id
                peer = await dial_handshake(local, StreamKind.ROUTE_CHAT, node_id, stream.send_first, stream.receive_first)
            try:
                self._mesh.admit(peer)
            except ProtocolError:
                peer.keys.wipe()
                raise
            await self._mesh.serve_route(peer, stream, dialled=True)

    async def carry(self, third: NodeDescriptor, target: NodeDescriptor) -> None:
        """Hold a RouteChat stream with a node through a third one until any of the three ends it."""
        async with self._open_carry(third) as outer:
            async with asyncio.timeout(self._timeout_s):
                await outer.send(CarryTo(target.node_id))
                within = CarriedStream(outer)
                stream = RouteStream(within)
                local, node_id = self._mesh.local, target.node_id
                peer = await dial_handshake(local, StreamKind.CARRIED, node_id, stream.send_first, stream.receive_first)
            within.prove()
            await self._mesh.serve_carried(peer, stream, dialled=True, third=third.node_id)

    @asynccontextmanager
    async def carry_on(self, target: NodeDescriptor, origin: NodeId) -> AsyncIterator[MeshStream[Any]]:
        """A Carry stream to the node that another one wants to reach."""
        async with self._open_carry(target) as stream:
            await stream.send(CarryFrom(origin))
            yield stream

    @asynccontextmanager
    async def _open_carry(self, descriptor: NodeDescriptor) -> AsyncIterator[MeshStream[Any]]:
        async with self._reach(descriptor, LinkPurpose.CHATS) as channel:
            stream = carry_stream(_open(channel, "Carry"))
            try:
                self._mesh.admit(await self._prove(stream, StreamKind.CARRY, LinkPurpose.CHATS, descriptor.node_id))
                yield stream
            finally:
                stream.wipe()

    async def _prove(self, stream: MeshStream[Any], kind: StreamKind, purpose: LinkPurpose, node_id: NodeId) -> ProvedPeer:
        async with self._attempt(purpose, node_id):
            peer = await dial_handshake(self._mesh.local, kind, node_id, stream.send, stream.receive)
            stream.secure(peer.keys)
        return peer

    @asynccontextmanager
    async def _attempt(self, purpose: LinkPurpose, node_id: NodeId) -> AsyncIterator[None]:
        """The time until both ends have proved who they are; what comes of it is told."""
        try:
            async with asyncio.timeout(self._timeout_s):
                yield
        except DIAL_FAILURES as error:
            self._mesh.dialled(purpose, node_id, _judge_failure(error))
            raise
        self._mesh.dialled(purpose, node_id, DialResult.CONNECTED)

    @asynccontextmanager
    async def _reach(self, descriptor: NodeDescriptor, purpose: LinkPurpose) -> AsyncIterator[Connection]:
        """To where the node says that it is; INVALID_FRAME when it may not say so to this one."""
        if not may_lead(descriptor.address, self._mesh.local.descriptor.address):
            self._mesh.dialled(purpose, descriptor.node_id, DialResult.REFUSED)
            raise ProtocolError(ErrorCode.INVALID_FRAME, "it is told of by an address of this machine, or of none")
        await self._mesh.until_serving()  # whom a stream leads to hears which incarnation this is
        async with self._channel(descriptor.address, descriptor.node_id) as channel:
            yield channel

    @asynccontextmanager
    async def _channel(self, address: str, server_name: str | None) -> AsyncIterator[Connection]:
        connection = self._connect(address, server_name)
        try:
            yield connection
        finally:
            await connection.close()


def _judge_failure(error: Exception) -> DialResult:
    if isinstance(error, TimeoutError):
        return DialResult.TIMEOUT
    refused = isinstance(error, ProtocolError) and error.code is not ErrorCode.ROUTE_UNAVAILABLE
    return DialResult.REFUSED if refused else DialResult.UNREACHABLE


def _open(connection: Connection, method: str) -> DialledStream:
    return connection.open(f"/{SERVICE}/{method}")
