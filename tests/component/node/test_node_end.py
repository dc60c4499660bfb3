"""How a node ends: drained in good order, at once when its volume fails, and what its peers make of it."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
from collections.abc import AsyncIterator

import grpc.aio
import pytest

from hermes_client.scenario.local_mesh import LocalMesh
from hermes_core.endpoint.events import ChatEnded, ChatReady, ChatResumed, PathChanged
from hermes_core.errors import ProtocolError
from hermes_core.protocol.session import NodeChange
from tests.support.nodes import DEADLINE_S, QUICK, ask_admin, read_log, wait_logged, wait_ready, wait_until
from tests.support.raw_app import RawApp


@pytest.fixture
async def pair() -> AsyncIterator[LocalMesh]:
    async with LocalMesh(2, settings=QUICK) as two:
        await wait_ready(two)
        yield two


async def wait_ended(mesh: LocalMesh, index: int) -> int:
    process = mesh.nodes[index].process
    assert process is not None
    code = await asyncio.to_thread(process.wait, DEADLINE_S)
    mesh.nodes[index].process = None
    return code


async def test_sigterm_drains_within_its_bound_and_the_chat_goes_on_afterwards(pair: LocalMesh) -> None:
    async with RawApp(pair.nodes[0].app, pair.ca_file) as one, RawApp(pair.nodes[1].app, pair.ca_file) as two:
        await one.wait_found(two)
        chat = await one.start_chat(two)
        await one.wait_event(ChatReady)
        os.kill(pair.nodes[0].pid, signal.SIGTERM)
        hint = await one.wait(lambda: next((m for m in one.received if isinstance(m, NodeChange)), None))
        assert hint.drain_after_ms == 1000
        await one.say(chat, b"while draining")
        await two.wait(lambda: two.contents() == [b"while draining"])
        assert await wait_ended(pair, 0) == 0
        await wait_logged(pair.nodes[1], "peer_state", peer="local-0", after="left")
        assert [record["event"] for record in read_log(pair.nodes[0])][-1] == "node_stopped"
        await pair.start(0)
        await one.reconnect()
        await one.wait_event(ChatResumed)
        await one.say(chat, b"afterwards")
        await two.wait(lambda: two.contents() == [b"while draining", b"afterwards"])


async def test_a_node_without_apps_stops_at_once(pair: LocalMesh) -> None:
    async with asyncio.timeout(DEADLINE_S):
        assert await pair.stop(1) == 0
    drained = [record["event"] for record in read_log(pair.nodes[1])]
    assert drained[drained.index("node_draining") + 1] == "node_stopping"


async def test_a_failing_volume_stops_the_node_before_anything_leaves(pair: LocalMesh) -> None:
    node = pair.nodes[0]
    async with RawApp(node.app, pair.ca_file) as one, RawApp(node.app, pair.ca_file) as two:
        chat = await one.start_chat(two)
        await one.wait_event(ChatReady)
        assert node.process is not None
        # Every further write beyond one byte fails, as on a full disk.
        resource.prlimit(node.pid, resource.RLIMIT_FSIZE, (1, 1))
        for number in range(300):  # more than one window: a reservation has to be written
            try:
                await one.say(chat, str(number).encode())
            except (ProtocolError, grpc.aio.AioRpcError, asyncio.InvalidStateError):
                break  # nothing is acknowledged any more, or the stream is gone
        await asyncio.wait_for(one.ended.wait(), DEADLINE_S)
        assert await wait_ended(pair, 0) == 74
    # The log shares the limit, so the one line may be lost; the exit code is what counts. Nothing was damaged:
    await pair.start(0)
    _, ratchets = await ask_admin(pair, 0, "GET", "/crypto/ratchets")
    assert ratchets["total"] == 1


async def test_a_stopped_peer_is_dead_and_comes_back(pair: LocalMesh) -> None:
    async with RawApp(pair.nodes[0].app, pair.ca_file) as one, RawApp(pair.nodes[1].app, pair.ca_file) as two:
        await one.wait_found(two)
        chat = await one.start_chat(two)
        await one.wait_event(ChatReady)
        pid = pair.nodes[1].pid
        os.kill(pid, signal.SIGSTOP)
        try:
            await wait_logged(pair.nodes[0], "peer_state", peer="local-1", after="suspect")
            await wait_logged(pair.nodes[0], "peer_state", peer="local-1", after="dead")
            await one.wait(lambda: any(isinstance(event, PathChanged) and not event.up for event in one.events))
            await one.say(chat, b"said to the void")
        finally:
            os.kill(pid, signal.SIGCONT)
        await two.wait(lambda: two.contents() == [b"said to the void"])
        _, answer = await ask_admin(pair, 0, "GET", "/mesh/members")
        assert {member["state"] for member in answer["members"]} == {"alive"}


async def test_no_chat_ends_because_a_node_stays_away() -> None:
    """Dead to the others, then forgotten by one that starts anew: the chat waits, and goes on when the node is back."""
    quick = {**QUICK, "mesh": {**QUICK["mesh"], "dead_after_s": 1.5}}
    async with LocalMesh(2, settings=quick) as mesh:
        await wait_ready(mesh)
        async with RawApp(mesh.nodes[0].app, mesh.ca_file) as one, RawApp(mesh.nodes[1].app, mesh.ca_file) as two:
            await one.wait_found(two)
            chat = await one.start_chat(two)
            await one.wait_event(ChatReady)
            await mesh.kill(1)
            await wait_logged(mesh.nodes[0], "peer_state", peer="local-1", after="dead")
            await mesh.kill(0)
            await mesh.start(0)
            await one.reconnect()
            await one.say(chat, b"said to the void")
            await asyncio.sleep(1.0)
            await mesh.start(1)
            await two.reconnect()
            await two.wait(lambda: two.contents() == [b"said to the void"])
            assert not any(isinstance(event, ChatEnded) for app in (one, two) for event in app.events)


async def test_wipe_on_shutdown_tells_every_app_and_leaves_no_file() -> None:
    settings = {**QUICK, "cleanup": {"wipe_on_shutdown": True, "drain_timeout_s": 0.2}}
    async with LocalMesh(1, settings=settings) as mesh:
        async with RawApp(mesh.nodes[0].app, mesh.ca_file) as one, RawApp(mesh.nodes[0].app, mesh.ca_file) as two:
            await one.start_chat(two)
            await two.wait_event(ChatReady)
            assert await mesh.stop(0) == 0
            for app in (one, two):
                await app.wait_path_lost()
                assert not any(isinstance(event, ChatEnded) for event in app.events), "it goes on where another node takes it"
        assert list(mesh.nodes[0].folder.glob("keystore.db*")) == []


async def test_liveness_holds_while_the_mesh_is_not_joined_and_readiness_says_why() -> None:
    async with LocalMesh(2, settings=QUICK) as mesh:
        await wait_ready(mesh)
        await mesh.kill(0)
        await mesh.kill(1)
        await mesh.start(1)  # its seed is down

        async def why() -> list[str]:
            status, answer = await ask_admin(mesh, 1, "GET", "/readyz", token=None)
            assert (status == 200) is answer["ready"]
            return list(answer["reasons"])

        assert await wait_until(why) == ["the mesh is not joined yet: no seed has welcomed this node"]
        assert (await ask_admin(mesh, 1, "GET", "/healthz", token=None))[0] == 200
        await mesh.start(0)
        await wait_ready(mesh)


async def test_a_teardown_burst_rotates_the_generation() -> None:
    settings = {**QUICK, "keystore": {"rotate_after_deletes": 2}}
    async with LocalMesh(1, settings=settings) as mesh:
        node = mesh.nodes[0]
        async with RawApp(node.app, mesh.ca_file) as one, RawApp(node.app, mesh.ca_file) as two:
            chats = [await one.start_chat(two) for _ in range(3)]
            await two.wait(lambda: sum(isinstance(event, ChatReady) for event in two.events) == 3)
            await one.do(lambda now: one.chats.delete(chats[0], now))
            await two.wait_event(ChatEnded)
            _, report = await ask_admin(mesh, 0, "GET", "/resume")
            assert report["keystore"]["generation"] == "1"
            await one.do(lambda now: one.chats.delete(chats[1], now))
            assert (await wait_logged(node, "keystore_rotated"))["generation"] == 2
            await one.say(chats[2], b"goes on")
            await two.wait(lambda: two.contents() == [b"goes on"])
