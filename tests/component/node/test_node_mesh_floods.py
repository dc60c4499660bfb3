"""A member with a certificate that floods a node's mesh port: memory is bounded, it is counted and named, chats go on."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest

from hermes_client import ClientTls, HermesClient
from hermes_client.chat import Chat
from hermes_client.scenario.local_mesh import LocalMesh
from hermes_node.admin.scrapes import FRESH_S
from hermes_node.mesh.guests import MAX_CONNECTIONS_A_NODE
from tests.component.transport.test_floods import SLOW_TO_SHOW, resident_kib, watch
from tests.support.nodes import ask_admin, restart, wait_logged, wait_ready, wait_until

NAME: Final = "hostile"
SECONDS: Final = 1.5
LONG_S: Final = 60.0
MORE_KIB: Final = 32 * 1024
ANSWER_S: Final = 5.0
CONNECTIONS: Final = 3 * MAX_CONNECTIONS_A_NODE
FEW, MANY = 8, 100
"""Connections at once: fewer than a certificate has places, and more."""
PLACES: Final = "connections"
"""As which those are refused that come while all of them are taken. One that was refused keeps its place for the quarter of
a second in which it hears why, so that a few that come again at once, on a machine that is quick, run out of places too."""

# How many, and what the connection is refused as.
FLOODS: Final = {
    "continuation": (FEW, "header_block"),
    "tiny_headers": (FEW, "header_budget"),
    "reset": (FEW, "streams_before_proof"),
    "ping": (FEW, "control_frames"),
    "settings": (FEW, "control_frames"),
    "streams": (MANY, PLACES),
}

OF_SLOW_MACHINES: Final = {"setup_time", "tls_left"}


@pytest.fixture(autouse=True)
def _own_transport(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--app-transport") == "grpc":
        pytest.skip("gRPC's library bounds none of it")


@pytest.fixture
def certificate(mesh: LocalMesh) -> str:
    """Without the files' endings."""
    assert mesh._authority is not None
    mesh._authority.issue_node(NAME)
    return str(mesh.folder / NAME)


async def start(module: str, *arguments: str) -> asyncio.subprocess.Process:
    command = [sys.executable, "-m", f"tests.component.transport.{module}", *arguments]
    return await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)


async def run(module: str, *arguments: str) -> dict[str, Any]:
    output, _ = await (await start(module, *arguments)).communicate()
    found: dict[str, Any] = json.loads(output)
    return found


async def count_refused(mesh: LocalMesh) -> dict[str, int]:
    await asyncio.sleep(FRESH_S)  # an answer that is given again may be that old
    _, metrics = await ask_admin(mesh, 0, "GET", "/metrics", token=None)
    return {k: int(v) for k, v in re.findall(r'hermes_mesh_connections_refused_total\{kind="(\w+)"\} (\d+)', metrics["text"])}


@asynccontextmanager
async def talking(mesh: LocalMesh) -> AsyncIterator[tuple[Chat, Chat]]:
    """A chat between apps of both nodes."""
    tls = ClientTls(ca_file=mesh.ca_file)
    async with HermesClient(mesh.nodes[0].app, tls=tls) as one, HermesClient(mesh.nodes[1].app, tls=tls) as two:
        await one.wait_for_app(two.app_id)
        starting = asyncio.create_task(one.start_chat(two.app_id))
        offer = await anext(aiter(two.offers()))
        other = await offer.accept()
        yield await starting, other


async def say_on(chat: Chat, other: Chat, ending: asyncio.Event) -> int:
    """How many messages arrived meanwhile, each within its time."""
    incoming, arrived = aiter(other), 0
    while not ending.is_set():
        async with asyncio.timeout(ANSWER_S):
            await chat.send(b"%d" % arrived)
            assert (await anext(incoming)).content == b"%d" % arrived
        arrived += 1
        await asyncio.sleep(0.05)
    return arrived


async def go_on_under(mesh: LocalMesh, module: str, *arguments: str) -> tuple[dict[str, Any], int]:
    """What the hostile one got, and how much more memory the node had."""
    pid = mesh.nodes[0].pid
    before = resident_kib(pid)
    peak = [before]
    async with talking(mesh) as (chat, other):
        ending = asyncio.Event()
        saying, watching = asyncio.create_task(say_on(chat, other, ending)), asyncio.create_task(watch(pid, peak))
        got = await run(module, *arguments)
        ending.set()
        assert await saying > 0
        watching.cancel()
    _, seen = await ask_admin(mesh, 0, "GET", "/mesh/members")
    assert {member["state"] for member in seen["members"] if member["node_id"] != NAME} == {"alive"}
    return got, peak[0] - before


@pytest.mark.parametrize("kind", FLOODS)
async def test_what_a_member_sends_is_bounded_and_named(kind: str, mesh: LocalMesh, certificate: str) -> None:
    peers, expected = FLOODS[kind]
    before = await count_refused(mesh)
    node, ca = mesh.nodes[0].mesh, str(mesh.ca_file)
    got, more_kib = await go_on_under(mesh, "flood", kind, node, str(SECONDS), str(peers), "1", ca, certificate)
    assert more_kib <= MORE_KIB
    after = await count_refused(mesh)
    refused = {name for name in after if after[name] > before[name]} - OF_SLOW_MACHINES
    assert refused | {PLACES} == {expected, PLACES} or (not refused and kind in {*SLOW_TO_SHOW, "streams"}), got
    if not refused:
        return
    line = await wait_logged(mesh.nodes[0], "mesh_connection_refused", kind=expected)
    assert NAME in line["certificate"].split(",")


@pytest.mark.parametrize(("kind", "expected"), [("idle", "connections"), ("handshakes", "no_certificate")])
async def test_who_has_no_certificate_costs_as_little(kind: str, expected: str, mesh: LocalMesh) -> None:
    """More connections than there are places for, and handshakes that come to nothing."""
    before = await count_refused(mesh)
    node, ca = mesh.nodes[0].mesh, str(mesh.ca_file)
    _, more_kib = await go_on_under(mesh, "flood", kind, node, str(SECONDS), str(MANY), "50", ca)
    assert more_kib <= MORE_KIB
    after = await count_refused(mesh)
    assert after[expected] > before[expected]


@pytest.mark.parametrize("kind", ["long_messages", "reads_nothing"])
async def test_what_a_proven_member_holds_is_bounded(kind: str, mesh: LocalMesh, certificate: str) -> None:
    node = mesh.nodes[0]
    arguments = (kind, node.mesh, node.node_id, str(SECONDS), str(CONNECTIONS), str(mesh.ca_file), certificate)
    _, more_kib = await go_on_under(mesh, "member_hold", *arguments)
    assert more_kib <= MORE_KIB


async def test_other_members_link_meanwhile(mesh: LocalMesh, certificate: str) -> None:
    """One that comes back finds a place, while all places of a certificate are taken."""
    before = await count_refused(mesh)
    node, ca = mesh.nodes[0].mesh, str(mesh.ca_file)
    flooding = await start("flood", "streams", node, str(LONG_S), str(MANY), "1", ca, certificate)
    try:
        await wait_until(lambda: more_refused(mesh, before["connections"]))
        await restart(mesh, 1)
        await wait_ready(mesh)
        assert flooding.returncode is None
    finally:
        flooding.kill()
        await flooding.wait()


async def more_refused(mesh: LocalMesh, before: int) -> bool:
    return (await count_refused(mesh))["connections"] > before
