"""The two streams that join this node with another: gossip and chat routing, the same on both ends once they are proved."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from hermes_core.errors import ErrorCode, ErrorScope, ProtocolError
from hermes_core.ids import NodeId
from hermes_core.mesh.homes.messages import HomesMessage
from hermes_core.mesh.messages import Clock, HeldMark, Hello, MembershipUpdate, NodeDescriptor, OwnMark, Proof
from hermes_core.mesh.swim.messages import SwimMessage
from hermes_core.protocol.messages import ErrorNotice
from hermes_core.protocol.session import Heartbeat
from hermes_core.session.keys import SessionKeys
from hermes_node.mesh.handshake import ProvedPeer
from hermes_node.mesh.streams import MeshStream, RouteStream, estimate_update_bytes
from hermes_node.streams.outbox import Outbox
from hermes_node.streams.sink import Sink
from hermes_wire.app import MAX_BATCH_BYTES
from hermes_wire.byte_stream import StreamEndedError

Gossip = MembershipUpdate | HeldMark | OwnMark | Clock | SwimMessage | HomesMessage | ErrorNotice

GOSSIP_QUEUE_MESSAGES = 64
GOSSIP_QUEUE_BYTES = 16 * MAX_BATCH_BYTES
MARKS_WAITING = 8
"""Of one link, for the disk; who sends more is read again once one of them is done."""


class MeshEvents(Protocol):
    """What links report to the mesh driver."""

    def gossip_up(self, link: GossipLink) -> None: ...
    def gossip_down(self, link: GossipLink) -> None: ...
    def receive_update(self, node_id: NodeId, update: MembershipUpdate) -> None: ...
    def heard(self, node_id: NodeId) -> None: ...
    async def receive_mark(self, link: GossipLink, message: HeldMark | OwnMark) -> None: ...
    def receive_clock(self, link: GossipLink, message: Clock) -> None: ...
    def receive_swim(self, link: GossipLink, message: SwimMessage) -> None: ...
    def receive_homes(self, link: GossipLink, message: HomesMessage) -> None: ...


class PeerInbox(Protocol):
    """What links need of the chat driver."""

    def open_node(self, node_id: NodeId, public_key: bytes, keys: SessionKeys) -> Sink: ...
    def receive(self, sink: Sink, messages: list[Any]) -> None: ...
    def malformed(self, sink: Sink, error: ProtocolError) -> None: ...
    def close(self, sink: Sink) -> None: ...


class GossipLink:
    """A proved Gossip stream. `dialled`: by this node."""

    def __init__(self, descriptor: NodeDescriptor, *, dialled: bool = False) -> None:
        self.descriptor = descriptor
        self.dialled = dialled
        self.node_id = descriptor.node_id
        self.outbox: Outbox[Gossip] = Outbox(
            max_frames=GOSSIP_QUEUE_MESSAGES, max_bytes=GOSSIP_QUEUE_BYTES, measure=estimate_update_bytes
        )

    def send(self, message: MembershipUpdate | HeldMark | OwnMark | Clock | SwimMessage | HomesMessage) -> None:
        """Queue a message; a peer that does not read for that long is unlinked and starts anew."""
        if not self.outbox.put(message):
            self.outbox.close(discard=True)

    async def run(self, stream: MeshStream[Any], mesh: MeshEvents) -> None:
        """Serve the stream until either side ends it."""
        mesh.gossip_up(self)
        try:
            await run_both(self._write(stream), self._serve(stream, mesh), self.outbox)
        finally:
            self.outbox.close(discard=True)
            mesh.gossip_down(self)

    async def _serve(self, stream: MeshStream[Any], mesh: MeshEvents) -> None:
        """Marks wait for the disk, and nothing else for them: a probe behind one is answered in time, however slow it is."""
        marks: asyncio.Queue[HeldMark | OwnMark] = asyncio.Queue(MARKS_WAITING)
        await until_first_ends(
            [asyncio.create_task(self._read(stream, mesh, marks)), asyncio.create_task(self._take_marks(marks, mesh))]
        )

    async def _write(self, stream: MeshStream[Any]) -> None:
        async def write(batch: list[Gossip]) -> None:
            for message in batch:
                await stream.send(message)

        await self.outbox.drain(write)

    async def _take_marks(self, marks: asyncio.Queue[HeldMark | OwnMark], mesh: MeshEvents) -> None:
        while True:
            await mesh.receive_mark(self, await marks.get())
            marks.task_done()

    async def _read(self, stream: MeshStream[Any], mesh: MeshEvents, marks: asyncio.Queue[HeldMark | OwnMark]) -> None:
        """To the end, and until the marks that came before it are taken."""
        while (message := await stream.receive()) is not None:
            if isinstance(message, SwimMessage):
                mesh.receive_swim(self, message)
            elif isinstance(message, MembershipUpdate):
                mesh.receive_update(self.node_id, message)
            elif isinstance(message, HeldMark | OwnMark):
                await marks.put(message)
            elif isinstance(message, Clock):
                mesh.receive_clock(self, message)
            elif isinstance(message, HomesMessage):
                mesh.receive_homes(self, message)
                mesh.heard(self.node_id)
            elif isinstance(message, Heartbeat):
                mesh.heard(self.node_id)
            elif isinstance(message, ErrorNotice):
                break
            else:
                raise ProtocolError(ErrorCode.INVALID_FRAME, "not a gossip message", scope=ErrorScope.STREAM)
        await marks.join()


class RouteLink:
    """A proved RouteChat stream, all chats of the two nodes on it."""

    def __init__(self, peer: ProvedPeer, stream: RouteStream, chats: PeerInbox, heard: Callable[[list[Any]], None]) -> None:
        """`heard` is told each batch of the other node, whatever it is worth."""
        self.node_id = peer.descriptor.node_id
        self._peer = peer
        self._stream = stream
        self._chats = chats
        self._heard = heard
        self._sink: Sink | None = None

    def close(self) -> None:
        """It ends, and what waits to be written goes nowhere."""
        if self._sink is not None:
            self._sink.outbox.close(discard=True)

    async def run(self) -> None:
        """Serve the stream until either side ends it."""
        peer, stream = self._peer, self._stream
        sink = self._sink = self._chats.open_node(peer.descriptor.node_id, peer.descriptor.node_key, peer.keys)
        try:
            await run_both(sink.outbox.drain(lambda batch: stream.send(sink.tag(batch))), self._read(sink), sink.outbox)
        finally:
            sink.outbox.close(discard=True)
            self._chats.close(sink)

    async def _read(self, sink: Sink) -> None:
        while True:
            try:
                batch = await self._stream.receive()
                if batch is None:
                    return
                if any(isinstance(message, Hello | Proof) for message in batch):
                    raise ProtocolError(ErrorCode.INVALID_FRAME, "this stream is proved already")  # noqa: TRY301
            except ProtocolError as error:
                self._chats.malformed(sink, error)
            else:
                self._heard(batch)
                self._chats.receive(sink, batch)
            await sink.pending.wait_for_room()


async def until_first_ends(tasks: list[asyncio.Task[None]]) -> None:
    """Wait for one, end the others, raise what the first one raised."""
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)  # every error is taken, or asyncio reports it as forgotten
    for task in tasks:  # in their order: `done` is a set
        if task in done:
            task.result()


async def run_both(writing: Any, reading: Any, outbox: Outbox[Any]) -> None:
    """Run the two halves of a stream until one ends; what waits is still written when the reader ended cleanly.

    Raises ProtocolError when the peer sent what it must not, StreamStuckError when it does not read. A broken stream just ends.
    """
    reader = asyncio.create_task(reading)
    reader.add_done_callback(lambda _: outbox.close())
    try:
        await writing
    except StreamEndedError:
        pass
    finally:
        if not reader.done():
            reader.cancel()
        # gather takes the error in any case, also when this task is cancelled meanwhile, or asyncio reports it as forgotten
        await asyncio.gather(reader, return_exceptions=True)
    if not reader.cancelled() and (error := reader.exception()) is not None and not isinstance(error, StreamEndedError):
        raise error
