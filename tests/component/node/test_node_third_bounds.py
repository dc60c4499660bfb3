"""What a node that two others go through refuses, what the other home does, and what it holds for one that does not read."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from hermes_client.scenario.local_mesh import LocalMesh, SettingValue
from hermes_core.crypto.signing import Identity
from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.ids import NodeId
from hermes_core.mesh.carry.messages import MAX_CARRIED_BYTES, Carried, CarryFrom, CarryTo
from hermes_core.mesh.carry.places import OPENINGS
from hermes_core.protocol.messages import ErrorNotice
from hermes_core.session.join import StreamKind
from hermes_node.mesh.carried import CarriedStream
from hermes_node.mesh.handshake import dial_handshake
from hermes_node.mesh.streams import SERVICE, MeshStream, RouteStream, carry_stream, gossip_stream
from hermes_wire.byte_stream import StreamEndedError
from tests.support.member import NAME, Member
from tests.support.nodes import ask_admin, two_nodes, wait_logged, wait_until

SETTINGS: Mapping[str, Mapping[str, SettingValue]] = {
    "mesh": {"membership": "swim", "heartbeat_interval_s": 0.3},
    "limits": {"max_carried_kib": 1_048_576},
    "cleanup": {"drain_timeout_s": 1.0},
}
THIRD, TARGET = 0, 1
OFFERED_BYTES = 256 * 1024 * 1024
HELD_BYTES = 24 * 1024 * 1024
"""What gRPC and a process may have grown by, whatever is offered."""


@pytest.fixture(scope="module")
def mesh() -> Iterator[LocalMesh]:
    """Two ready nodes for every test here."""
    with two_nodes(SETTINGS) as mesh:
        yield mesh


@pytest.fixture(scope="module")
def identity() -> Identity:
    return Identity.generate()


@pytest.fixture
async def member(mesh: LocalMesh, identity: Identity) -> AsyncIterator[Member]:
    async with AsyncExitStack() as held:
        yield Member(mesh, mesh.nodes[THIRD], held, identity)


async def open_carry(member: Member, node_id: str) -> MeshStream[Any]:
    """On which it is proved."""
    stream = carry_stream(member.connect().open(f"/{SERVICE}/Carry"))
    peer = await dial_handshake(member.local, StreamKind.CARRY, NodeId(node_id), stream.send, stream.receive)
    stream.secure(peer.keys)
    return stream


async def hear_refusal(stream: MeshStream[Any]) -> ErrorCode | None:
    """None: it ends without a word."""
    try:
        while (message := await stream.receive()) is not None:
            if isinstance(message, ErrorNotice):
                return message.code
    except StreamEndedError:
        pass
    return None


async def count_refused(mesh: LocalMesh, reason: str) -> float:
    _, metrics = await ask_admin(mesh, THIRD, "GET", "/metrics", token=None)
    (value,) = re.findall(rf'^hermes_mesh_carries_refused_total{{reason="{reason}"}} (\S+)', metrics["text"], re.MULTILINE)
    return float(value)


async def wait_refused(mesh: LocalMesh, reason: str, at_least: float) -> None:
    """Metrics may be a second old."""

    async def so_many() -> bool:
        return await count_refused(mesh, reason) >= at_least

    await wait_until(so_many)


async def test_nobody_is_carried_to_whom_this_node_has_no_link_or_to_itself(mesh: LocalMesh, member: Member) -> None:
    before = await count_refused(mesh, "no_link")
    for target in ("nobody", mesh.nodes[THIRD].node_id):
        stream = await open_carry(member, mesh.nodes[THIRD].node_id)
        await stream.send(CarryTo(NodeId(target)))
        assert await hear_refusal(stream) is ErrorCode.ROUTE_UNAVAILABLE
    await wait_refused(mesh, "no_link", before + 2)


async def test_nobody_is_carried_without_a_proof_or_a_wish(mesh: LocalMesh, member: Member) -> None:
    unproven = carry_stream(member.connect().open(f"/{SERVICE}/Carry"))
    await unproven.send(CarryTo(NodeId(mesh.nodes[TARGET].node_id)))
    assert await hear_refusal(unproven) is ErrorCode.INVALID_FRAME
    silent = await open_carry(member, mesh.nodes[THIRD].node_id)
    await silent.send(Carried(b"to whom?", more=False))
    assert await hear_refusal(silent) is ErrorCode.INVALID_FRAME


async def test_one_whose_name_the_other_home_never_met_does_not_get_through(mesh: LocalMesh, member: Member) -> None:
    target = mesh.nodes[TARGET].node_id
    stream = await open_carry(member, mesh.nodes[THIRD].node_id)
    await stream.send(CarryTo(NodeId(target)))
    within = RouteStream(CarriedStream(stream))
    await dial_handshake(member.local, StreamKind.CARRIED, NodeId(target), within.send_first, within.receive_first)
    assert await hear_refusal(stream) is None
    told = await wait_logged(mesh.nodes[TARGET], "peer_refused", code="AUTH_FAILED")
    assert "pinned" in told["reason"]


async def test_who_says_that_it_carries_another_proves_nothing_in_that_ones_name(mesh: LocalMesh, member: Member) -> None:
    stream = await open_carry(member, mesh.nodes[THIRD].node_id)
    await stream.send(CarryFrom(NodeId(mesh.nodes[TARGET].node_id)))
    within = RouteStream(CarriedStream(stream))
    with pytest.raises((ProtocolError, StreamEndedError)):
        await dial_handshake(
            member.local, StreamKind.CARRIED, NodeId(mesh.nodes[THIRD].node_id), within.send_first, within.receive_first
        )


@pytest.mark.parametrize("kind", [StreamKind.CARRY, StreamKind.ROUTE_CHAT])
async def test_what_comes_through_one_node_goes_through_no_second_one(
    mesh: LocalMesh, member: Member, kind: StreamKind
) -> None:
    """Within, the other home takes neither a Carry of its own nor a proof that was made for a stream of another kind."""
    target = mesh.nodes[TARGET].node_id
    outer = await open_carry(member, mesh.nodes[THIRD].node_id)
    await outer.send(CarryTo(NodeId(target)))
    bytes_within = CarriedStream(outer)
    within = carry_stream(bytes_within) if kind is StreamKind.CARRY else RouteStream(bytes_within)
    with pytest.raises((ProtocolError, StreamEndedError)):
        await dial_handshake(member.local, kind, NodeId(target), within.send_first, within.receive_first)


def read_resident(pid: int) -> int:
    (found,) = re.findall(r"^VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return int(found) * 1024


async def pin(member: Member, mesh: LocalMesh, at: int) -> None:
    """The node at the other end of a link keeps its key."""
    node = mesh.nodes[at]
    link = gossip_stream(member.connect(node).open(f"/{SERVICE}/Gossip"))
    peer = await dial_handshake(member.local, StreamKind.GOSSIP, NodeId(node.node_id), link.send, link.receive)
    link.secure(peer.keys)
    await wait_logged(node, "peer_linked", peer=NAME)


async def test_a_home_that_does_not_read_costs_the_one_in_between_no_memory(mesh: LocalMesh, member: Member) -> None:
    """The other home stands still; hundreds of MiB are offered, and none of it is taken beyond what is on its way."""
    third, target = mesh.nodes[THIRD], mesh.nodes[TARGET]
    await pin(member, mesh, TARGET)
    stream = await open_carry(member, third.node_id)
    await stream.send(CarryTo(NodeId(target.node_id)))
    within = RouteStream(CarriedStream(stream))
    await dial_handshake(member.local, StreamKind.CARRIED, NodeId(target.node_id), within.send_first, within.receive_first)
    os.kill(target.pid, signal.SIGSTOP)
    try:
        before, offered = read_resident(third.pid), 0
        piece = Carried(bytes(MAX_CARRIED_BYTES), more=True)
        try:
            async with asyncio.timeout(10.0):
                while offered < OFFERED_BYTES:
                    await stream.send(piece)
                    offered += MAX_CARRIED_BYTES
        except TimeoutError:
            pass
        assert offered < OFFERED_BYTES / 4, "whoever offers is made to wait"
        assert read_resident(third.pid) - before < HELD_BYTES
    finally:
        os.kill(target.pid, signal.SIGCONT)


async def is_linked(mesh: LocalMesh) -> bool:
    """The one in between with the other home."""
    _, seen = await ask_admin(mesh, THIRD, "GET", "/mesh/members")
    target = next((known for known in seen["members"] if known["node_id"] == mesh.nodes[TARGET].node_id), None)
    return target is not None and target["state"] == "alive" and target["linked"]


async def test_one_node_asks_so_often_and_no_more(mesh: LocalMesh, member: Member) -> None:
    await wait_until(lambda: is_linked(mesh))  # it may have stood still in the test before
    codes = []
    for _ in range(OPENINGS + 4):
        stream = await open_carry(member, mesh.nodes[THIRD].node_id)
        await stream.send(CarryTo(NodeId(mesh.nodes[TARGET].node_id)))
        codes.append(asyncio.ensure_future(hear_refusal(stream)))
    assert ErrorCode.LIMIT_EXCEEDED in await asyncio.gather(*codes)
    await wait_refused(mesh, "too_often", 1)
