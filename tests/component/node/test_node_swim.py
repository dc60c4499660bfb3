"""Real nodes that find each other by SWIM: joining, a death, a return, a departure, a pause, and chats between their apps."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import AsyncIterator, Mapping
from functools import partial

import pytest

from hermes_client.scenario.local_mesh import LocalMesh, SettingValue
from hermes_core.endpoint.events import ChatEnded, ChatReady
from tests.support.nodes import ask_admin, read_log, wait_ready, wait_until
from tests.support.raw_app import RawApp

PERIOD_S = 0.3
SETTINGS: Mapping[str, Mapping[str, SettingValue]] = {
    "mesh": {"membership": "swim", "heartbeat_interval_s": PERIOD_S, "route_idle_s": 1.0},
    "cleanup": {"drain_timeout_s": 1.0},
}


@pytest.fixture
async def mesh() -> AsyncIterator[LocalMesh]:
    async with LocalMesh(4, settings=SETTINGS) as four:
        await wait_ready(four)
        yield four


async def find_states(mesh: LocalMesh, at: int) -> dict[str, str]:
    _, seen = await ask_admin(mesh, at, "GET", "/mesh/members")
    return {member["node_id"]: member["state"] for member in seen["members"]}


async def wait_state(mesh: LocalMesh, of: int, state: str) -> None:
    """Until every other node that runs says so."""
    others = [index for index, node in enumerate(mesh.nodes) if index != of and node.process is not None]

    async def agreed() -> bool:
        name = mesh.nodes[of].node_id
        return all([(await find_states(mesh, at)).get(name) == state for at in others])

    await wait_until(agreed)


async def test_a_member_that_is_killed_is_found_dead_comes_back_and_leaves(mesh: LocalMesh) -> None:
    await mesh.kill(3)
    await wait_state(mesh, 3, "dead")
    await mesh.start(3)
    await wait_ready(mesh)
    await mesh.stop(3)
    await wait_state(mesh, 3, "left")
    await mesh.kill(0)  # the only seed that the others started with: they know each other without it
    await wait_state(mesh, 0, "dead")
    await mesh.start(3)
    await wait_ready(mesh)
    for node in mesh.nodes:
        assert not [line for line in read_log(node) if line["event"] == "unexpected_error"]


async def test_who_stood_still_buries_nobody_and_is_taken_back(mesh: LocalMesh) -> None:
    os.kill(mesh.nodes[1].pid, signal.SIGSTOP)
    await asyncio.sleep(5.0)
    os.kill(mesh.nodes[1].pid, signal.SIGCONT)
    await wait_ready(mesh)
    told = [line for line in read_log(mesh.nodes[1]) if line["event"] == "peer_state" and line["after"] == "dead"]
    assert told == []


async def test_incarnations_are_reserved_ahead_so_that_a_start_is_above_all_that_were_signed(mesh: LocalMesh) -> None:
    _, before = await ask_admin(mesh, 2, "GET", "/mesh/members")
    await mesh.kill(2)
    await mesh.start(2)
    await wait_ready(mesh)
    _, after = await ask_admin(mesh, 2, "GET", "/mesh/members")
    first, second = (next(int(m["incarnation"]) for m in seen["members"] if m.get("self")) for seen in (before, after))
    assert second >= first + 64 - 4, "whatever it refuted meanwhile"


async def find_routes(mesh: LocalMesh, at: int) -> float:
    _, metrics = await ask_admin(mesh, at, "GET", "/metrics", token=None)
    return float(re.findall(r"^hermes_mesh_routes (\S+)", metrics["text"], re.MULTILINE)[0])


async def test_a_stream_for_chats_stands_while_a_chat_needs_it_and_closes_when_idle(mesh: LocalMesh) -> None:
    async with RawApp(mesh.nodes[1].app, mesh.ca_file) as one, RawApp(mesh.nodes[2].app, mesh.ca_file) as two:
        await one.wait_found(two)
        assert await find_routes(mesh, 1) == 0
        for _ in range(2):  # the second time it is dialled anew
            chat = await one.start_chat(two)
            await two.wait_event(ChatReady)
            await one.say(chat, b"over")
            await two.wait(lambda: two.contents()[-1:] == [b"over"])
            assert await find_routes(mesh, 1) == await find_routes(mesh, 2) == 1
            await one.do(partial(one.chats.delete, chat))
            await two.wait_event(ChatEnded)

            async def closed() -> bool:
                return await find_routes(mesh, 1) == await find_routes(mesh, 2) == 0

            await wait_until(closed)
            one.events.clear()
            two.events.clear()
