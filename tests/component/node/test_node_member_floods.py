"""A member with a valid certificate that opens hundreds of streams at a node: what it holds is bounded, others go on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from hermes_client.scenario.local_mesh import LocalMesh, LocalNode
from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.ids import NodeId
from hermes_core.protocol.messages import ErrorNotice
from hermes_core.session.join import StreamKind
from hermes_h2.bounds import Bounds
from hermes_node.mesh.guests import MAX_CONNECTIONS_A_NODE, MAX_FIRST_BYTES, MAX_HANDSHAKES_A_CERTIFICATE, MAX_STREAMS_A_NODE
from hermes_node.mesh.handshake import dial_handshake
from hermes_node.mesh.setup import HANDSHAKE_TIMEOUT_S
from hermes_node.mesh.streams import SERVICE, gossip_stream, join_stream
from hermes_wire.byte_stream import GrpcConnection, StreamEndedError
from tests.support.member import Member
from tests.support.nodes import QUICK, ask_admin, restart, wait_ready

DEADLINE_S = 30.0
STREAMS_A_CONNECTION, CONNECTIONS = 30, 10
HELD_S = 3.0


@pytest.fixture
async def two() -> AsyncIterator[LocalMesh]:
    async with LocalMesh(2, settings=QUICK) as mesh:
        await wait_ready(mesh)
        yield mesh


async def read_refusals(mesh: LocalMesh, code: str) -> float:
    _, metrics = await ask_admin(mesh, 0, "GET", "/metrics", token=None)
    (line,) = [
        line for line in metrics["text"].splitlines() if line.startswith(f'hermes_mesh_streams_refused_total{{code="{code}"}}')
    ]
    return float(line.rsplit(" ", 1)[1])


async def until_it_ends(stream: Any) -> float:
    began = asyncio.get_running_loop().time()
    try:
        while await stream.read() is not None:
            pass
    except StreamEndedError:
        pass
    return asyncio.get_running_loop().time() - began


async def test_streams_that_prove_nothing_are_few_and_end(two: LocalMesh) -> None:
    """Hundreds, on many connections; the other node comes back and is linked meanwhile."""
    async with AsyncExitStack() as held, asyncio.timeout(2 * DEADLINE_S):
        member = Member(two, two.nodes[0], held)
        streams = []
        for _ in range(CONNECTIONS):
            connection = member.connect()
            streams += [connection.open(f"/{SERVICE}/Join") for _ in range(STREAMS_A_CONNECTION)]
        ends = [asyncio.create_task(until_it_ends(stream)) for stream in streams]
        await restart(two, 1)
        await wait_ready(two)
        lasted = sorted(await asyncio.gather(*ends))
        refused = await read_refusals(two, "LIMIT_EXCEEDED")
        served = CONNECTIONS * min(STREAMS_A_CONNECTION, Bounds().first_streams)
        assert refused >= served - 2 * MAX_HANDSHAKES_A_CERTIFICATE, "what the transport leaves of them"
        assert lasted[-1] < HANDSHAKE_TIMEOUT_S + DEADLINE_S / 2
        assert await read_refusals(two, "ROUTE_UNAVAILABLE") >= MAX_HANDSHAKES_A_CERTIFICATE, "they ran out of time"


async def hold_proven(member: Member, connection: GrpcConnection, node: LocalNode) -> bool:
    """A Gossip stream on which the member proved itself; whether it still stands after a time."""
    stream = gossip_stream(connection.open(f"/{SERVICE}/Gossip"))
    try:
        await dial_handshake(member.local, StreamKind.GOSSIP, NodeId(node.node_id), stream.send, stream.receive)
        async with asyncio.timeout(HELD_S):
            while await stream.receive() is not None:
                pass
    except TimeoutError:
        return True
    except (ProtocolError, StreamEndedError):
        pass
    return False


async def test_a_proven_member_holds_few_streams(two: LocalMesh) -> None:
    """However many it proves itself on, over one connection and over many."""
    node = two.nodes[0]
    async with AsyncExitStack() as held, asyncio.timeout(2 * DEADLINE_S):
        member = Member(two, node, held)
        connections = [member.connect() for _ in range(3 * MAX_CONNECTIONS_A_NODE)]
        holding = [hold_proven(member, connection, node) for connection in [*connections, *([connections[0]] * 20)]]
        assert sum(await asyncio.gather(*holding)) <= MAX_CONNECTIONS_A_NODE + MAX_STREAMS_A_NODE
        assert (await ask_admin(two, 0, "GET", "/healthz", token=None))[0] == 200


async def test_what_comes_before_a_proof_is_short(two: LocalMesh) -> None:
    async with AsyncExitStack() as held, asyncio.timeout(DEADLINE_S):
        stream = Member(two, two.nodes[0], held).connect().open(f"/{SERVICE}/Join")
        await stream.write(b"\x0a" + bytes(MAX_FIRST_BYTES))
        told = await join_stream(stream).receive()
        assert isinstance(told, ErrorNotice)
        assert (told.code, "before a proof" in told.detail) == (ErrorCode.INVALID_FRAME, True)
