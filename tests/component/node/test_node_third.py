"""Two nodes that do not reach each other, and a third one that reaches both: their apps chat through it, and it is no party."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping

import pytest

from hermes_client.scenario.local_mesh import SettingValue
from hermes_core.endpoint.events import ChatReady
from hermes_core.ids import ChatId
from tests.soak.mesh import SoakMesh
from tests.support.nodes import ask_admin, read_log, wait_logged, wait_ready, wait_until
from tests.support.raw_app import RawApp

AGAIN_S = 3.0
SETTINGS: Mapping[str, Mapping[str, SettingValue]] = {
    "mesh": {"membership": "swim", "heartbeat_interval_s": 0.3, "direct_again_s": AGAIN_S},
    "app": {"heartbeat_interval_s": 1.0},
    "cleanup": {"drain_timeout_s": 1.0},
}
CUT = frozenset(("local-0", "local-1"))


@pytest.fixture
async def mesh() -> AsyncIterator[SoakMesh]:
    """0 and 1 are the homes of the chats."""
    async with SoakMesh(4, None, more=SETTINGS) as four:
        await wait_ready(four)
        yield four


async def read_metric(mesh: SoakMesh, at: int, name: str) -> float:
    _, metrics = await ask_admin(mesh, at, "GET", "/metrics", token=None)
    return sum(float(value) for value in re.findall(rf"^{name}(?:{{.*}})? (\S+)", metrics["text"], re.MULTILINE))


async def wait_metric(mesh: SoakMesh, at: int, name: str, value: float) -> None:
    async def is_it() -> bool:
        return await read_metric(mesh, at, name) == value

    await wait_until(is_it)


async def hear(app: RawApp, text: str) -> None:
    await app.wait(lambda: app.contents()[-1:] == [text.encode()])


async def say_both_ways(chat: ChatId, one: RawApp, two: RawApp, text: str) -> None:
    for speaker, hearer in ((one, two), (two, one)):
        await speaker.say(chat, text.encode())
        await hear(hearer, text)


async def find_third(mesh: SoakMesh) -> int:
    found = [
        at for at in (2, 3) if mesh.nodes[at].process is not None and await read_metric(mesh, at, "hermes_mesh_carried_streams")
    ]
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize("hole", [False, True])
async def test_a_chat_goes_through_a_third_node_and_comes_back_once_the_pair_is_healed(mesh: SoakMesh, hole: bool) -> None:
    async with RawApp(mesh.nodes[0].app, mesh.ca_file) as one, RawApp(mesh.nodes[1].app, mesh.ca_file) as two:
        await one.wait_found(two)
        chat = await one.start_chat(two)
        await one.wait_event(ChatReady)
        await say_both_ways(chat, one, two, "directly")
        (mesh.proxy.swallow if hole else mesh.proxy.cut)(CUT)
        await say_both_ways(chat, one, two, "through another")
        for index in (0, 1):
            await wait_metric(mesh, index, "hermes_mesh_routes_by_third", 1)
        third = await find_third(mesh)
        for index in (0, 1):
            told = [line["third"] for line in read_log(mesh.nodes[index]) if line["event"] == "route_by_third"]
            assert told[-1] == mesh.nodes[third].node_id
        mesh.proxy.heal(CUT)
        for number in range(20):
            await say_both_ways(chat, one, two, f"on the way back {number}")
        for index in (0, 1):
            await wait_logged(mesh.nodes[index], "route_direct_again")
        await wait_metric(mesh, third, "hermes_mesh_carried_streams", 0)
        await say_both_ways(chat, one, two, "directly again")
        assert len(one.contents()) == len(two.contents()) == 23
    assert not [line for node in mesh.nodes for line in read_log(node) if line["event"] == "unexpected_error"]
