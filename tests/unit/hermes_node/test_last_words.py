"""What a node says last on a proved stream has a tag; before the proof nothing can have one; keys go with the stream."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable
from dataclasses import replace
from typing import Any, cast

import pytest

from hermes_core.crypto.random import SYSTEM_RANDOM
from hermes_core.crypto.signing import Identity
from hermes_core.errors import ErrorCode, ErrorScope, ProtocolError
from hermes_core.ids import NodeId
from hermes_core.mesh.descriptor import sign_descriptor
from hermes_core.mesh.messages import Hello, MembershipUpdate
from hermes_core.protocol.messages import ErrorNotice
from hermes_core.session.control import Tagged
from hermes_core.session.join import PeerHandshake, StreamKind
from hermes_core.session.keys import SessionKeys
from hermes_node.logs.event_log import EventLog
from hermes_node.mesh import handshake
from hermes_node.mesh.dialer import MeshDialer
from hermes_node.mesh.handshake import NodeCredentials, ProvedPeer, dial_handshake
from hermes_node.mesh.server import MeshServer
from hermes_node.mesh.streams import MeshStream, RouteStream, carry_stream, gossip_stream, join_stream
from hermes_node.metrics.labels import DialResult, LinkPurpose

MAKE: dict[StreamKind, Any] = {
    StreamKind.JOIN: join_stream,
    StreamKind.GOSSIP: gossip_stream,
    StreamKind.ROUTE_CHAT: RouteStream,
    StreamKind.CARRY: carry_stream,
}
SERVED = list(MAKE)
"""A stream within a Carry is refused on that one."""
TOLD = ErrorNotice(ErrorCode.LIMIT_EXCEEDED, ErrorScope.STREAM, None, "no more nodes", 7)


class End:
    """One end of a stream in memory."""

    def __init__(self, reads: asyncio.Queue[bytes | None], writes: asyncio.Queue[bytes | None]) -> None:
        self._reads, self._writes = reads, writes

    async def read(self) -> bytes | None:
        return await self._reads.get()

    async def write(self, data: bytes) -> None:
        self._writes.put_nowait(data)

    def end(self) -> None:
        self._writes.put_nowait(None)

    def peer_names(self) -> frozenset[str]:
        return frozenset({"node-0"})

    def peer_address(self) -> str:
        return "ipv4:192.0.2.1:1"

    def trust(self) -> None:
        """Nothing is held to less."""


class Full:
    """A mesh that takes nobody in, and chats that nobody reaches."""

    def __init__(self, name: str, identity: Identity | None = None) -> None:
        identity = identity or Identity.generate()
        told = sign_descriptor(identity, node_id=NodeId(name), address="127.0.0.1:1", incarnation=1, version="1")
        self.local = NodeCredentials(identity, told, SYSTEM_RANDOM)
        self.dials: list[DialResult] = []

    def dialled(self, _purpose: LinkPurpose, _node_id: NodeId, result: DialResult) -> None:
        self.dials.append(result)

    def admit(self, _peer: ProvedPeer) -> None:
        raise ProtocolError(TOLD.code, TOLD.detail, retry_after_ms=TOLD.retry_after_ms)

    gave_way = False

    async def gives_way(self, _node_id: NodeId) -> bool:
        return self.gave_way

    def gossip_up(self, link: object) -> None:
        self.admit(cast("ProvedPeer", link))

    async def until_serving(self) -> None:
        """It does."""

    def gossip_down(self, link: object) -> None:
        """Nothing was up."""


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[SessionKeys]:
    """Every session's keys, of both ends."""
    keys: list[SessionKeys] = []

    class Noting(PeerHandshake):
        def complete(self) -> SessionKeys:
            keys.append(super().complete())
            return keys[-1]

    monkeypatch.setattr(handshake, "PeerHandshake", Noting)
    return keys


def is_wiped(keys: SessionKeys) -> bool:
    return all(key._key._buffer is None for key in (keys.writer, keys.reader))


def serve(kind: StreamKind, handshake_timeout_s: float = 5.0) -> tuple[End, Awaitable[None]]:
    there: asyncio.Queue[bytes | None] = asyncio.Queue()
    back: asyncio.Queue[bytes | None] = asyncio.Queue()
    log = EventLog(node_id="node-1", stream=io.StringIO())
    server = MeshServer(mesh=cast("Any", Full("node-1")), handshake_timeout_s=handshake_timeout_s, log=log)
    handlers = {
        StreamKind.JOIN: server.join,
        StreamKind.GOSSIP: server.gossip,
        StreamKind.ROUTE_CHAT: server.route_chat,
        StreamKind.CARRY: server.carry,
    }
    return End(back, there), handlers[kind](cast("Any", End(there, back)))


@pytest.mark.parametrize("kind", SERVED)
async def test_last_words_on_a_proved_stream_have_its_tag(kind: StreamKind, made: list[SessionKeys]) -> None:
    own, serving = serve(kind)
    served = asyncio.ensure_future(serving)
    stream: MeshStream[Any] = MAKE[kind](own)
    peer = await dial_handshake(Full("node-0").local, kind, NodeId("node-1"), stream.send_first, stream.receive_first)
    last = await stream.receive_first()
    assert isinstance(last, Tagged), "said by whoever is in the middle"
    assert peer.keys.reader.open(last) == TOLD
    await served
    assert [is_wiped(keys) for keys in made if keys is not peer.keys] == [True]


@pytest.mark.parametrize("kind", SERVED)
async def test_before_the_proof_there_is_no_key_for_one(kind: StreamKind) -> None:
    own, serving = serve(kind)
    stream: MeshStream[Any] = MAKE[kind](own)
    await stream.send_first(MembershipUpdate(()) if kind in (StreamKind.JOIN, StreamKind.GOSSIP) else TOLD)
    await serving
    assert isinstance(await stream.receive_first(), ErrorNotice)


async def test_a_stream_that_gives_way_to_another_one_ends_without_a_proof(
    made: list[SessionKeys], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Full, "gave_way", True)
    own, serving = serve(StreamKind.ROUTE_CHAT)
    served = asyncio.ensure_future(serving)
    stream: MeshStream[Any] = MAKE[StreamKind.ROUTE_CHAT](own)
    dialling = asyncio.ensure_future(
        dial_handshake(Full("node-0").local, StreamKind.ROUTE_CHAT, NodeId("node-1"), stream.send_first, stream.receive_first)
    )
    await served
    await asyncio.sleep(0)
    assert not dialling.done(), "it was told nothing that proves anybody"
    dialling.cancel()
    assert made == []


@pytest.mark.parametrize("kind", SERVED)
async def test_a_proof_that_is_late_is_not_called_a_false_one(kind: StreamKind) -> None:
    own, serving = serve(kind, handshake_timeout_s=0.05)
    served = asyncio.ensure_future(serving)
    stream: MeshStream[Any] = MAKE[kind](own)
    await stream.send_first(Full("node-0").local.build_hello()[0])
    assert isinstance(await stream.receive_first(), Hello)
    last = await stream.receive_first()
    assert isinstance(last, ErrorNotice)
    assert last.code is ErrorCode.ROUTE_UNAVAILABLE
    await served


class Line:
    """A connection whose streams are served by nodes with these identities, in the order of opening."""

    def __init__(self, *identities: Identity) -> None:
        self._identities = list(identities)
        self.serving: list[asyncio.Future[None]] = []

    def open(self, method: str) -> End:
        there: asyncio.Queue[bytes | None] = asyncio.Queue()
        back: asyncio.Queue[bytes | None] = asyncio.Queue()
        kind = StreamKind.GOSSIP if method.endswith("Gossip") else StreamKind.ROUTE_CHAT
        end = MAKE[kind](End(there, back))

        async def accept() -> None:
            local = Full("node-1", self._identities.pop(0)).local
            names = frozenset({"node-0"})
            await handshake.accept_handshake(local, kind, names, end.send_first, end.receive_first)

        if self._identities:
            self.serving.append(asyncio.ensure_future(accept()))
        else:
            back.put_nowait(None)
        return End(back, there)

    async def close(self) -> None:
        await asyncio.gather(*self.serving)


@pytest.mark.parametrize("second", ["another identity", "nobody"])
async def test_a_link_that_comes_to_nothing_leaves_no_key_of_either_stream(second: str, made: list[SessionKeys]) -> None:
    line = Line(*(Identity.generate() for _ in range(2 if second == "another identity" else 1)))
    mesh = Full("node-0")
    dialer = MeshDialer(mesh=cast("Any", mesh), connect=cast("Any", lambda *_: line), timeout_s=5.0)
    theirs = Full("node-1").local.descriptor
    with pytest.raises(ProtocolError) as caught:
        await dialer.link(theirs)
    wanted = ErrorCode.AUTH_FAILED if second == "another identity" else ErrorCode.ROUTE_UNAVAILABLE
    assert caught.value.code is wanted
    assert mesh.dials == [DialResult.CONNECTED if second == "another identity" else DialResult.UNREACHABLE]
    own = [keys for keys in made if is_wiped(keys)]
    assert len(own) == len(made) / 2, "the other half are the other ends', which nobody wipes here"


@pytest.mark.parametrize("way", ["link", "gossip", "route"])
@pytest.mark.parametrize("address", ["127.0.0.1:1", "169.254.169.254:80", "unix:/run/a"])
async def test_a_node_of_a_network_is_not_sent_to_its_own_machine(way: str, address: str) -> None:
    mesh = Full("node-0")
    dialled: list[Any] = []
    own = replace(mesh.local.descriptor, address="hermes-0.mesh:7443")
    mesh.local = replace(mesh.local, descriptor=own)
    dialer = MeshDialer(mesh=cast("Any", mesh), connect=cast("Any", lambda *told: dialled.append(told)), timeout_s=5.0)
    with pytest.raises(ProtocolError) as caught:
        await getattr(dialer, way)(replace(Full("node-1").local.descriptor, address=address))
    assert caught.value.code is ErrorCode.INVALID_FRAME
    assert dialled == []
    assert mesh.dials == [DialResult.REFUSED]


@pytest.mark.parametrize("kind", SERVED)
async def test_a_newcomer_says_who_it_is_in_a_join_alone(kind: StreamKind, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its incarnation is in the first word, which is meant for another process with its key and nobody else yet."""
    may = asyncio.Event()

    async def until_serving(_: Full) -> None:
        await may.wait()

    monkeypatch.setattr(Full, "until_serving", until_serving)
    own, serving = serve(kind)
    served = asyncio.ensure_future(serving)
    stream: MeshStream[Any] = MAKE[kind](own)
    hello, ephemeral = Full("node-0").local.build_hello()
    ephemeral.wipe()
    await stream.send_first(hello)
    answer = asyncio.ensure_future(stream.receive_first())
    await asyncio.wait([answer], timeout=0.05)
    assert answer.done() is (kind is StreamKind.JOIN)
    may.set()
    assert isinstance(await answer, Hello)
    served.cancel()
    await asyncio.gather(served, return_exceptions=True)


@pytest.mark.parametrize("way", ["link", "gossip", "route"])
async def test_a_newcomer_dials_nobody(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    may = asyncio.Event()

    async def until_serving(_: Full) -> None:
        await may.wait()

    monkeypatch.setattr(Full, "until_serving", until_serving)
    line = Line(Identity.generate(), Identity.generate())
    dialled: list[Any] = []

    def connect(*told: object) -> Line:
        dialled.append(told)
        return line

    dialer = MeshDialer(mesh=cast("Any", Full("node-0")), connect=cast("Any", connect), timeout_s=5.0)
    dials = asyncio.ensure_future(getattr(dialer, way)(Full("node-1").local.descriptor))
    await asyncio.wait([dials], timeout=0.05)
    assert not dialled
    may.set()
    await asyncio.wait([dials], timeout=5.0)
    assert dialled
    dials.cancel()
    await asyncio.gather(dials, return_exceptions=True)
