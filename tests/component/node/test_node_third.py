"""Two nodes that do not reach each other, and a third one that reaches both: their apps chat through it, and it is no party."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from functools import partial
from pathlib import Path

import pytest

from hermes_client.scenario.local_mesh import SettingValue
from hermes_core.endpoint.events import ChatEnded, ChatReady
from hermes_core.errors import ErrorCode
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
ACTS = ("flip", "drop", "repeat", "swap", "replay", "splice")


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
    """The one that carries; metrics may be a second old."""
    others = [at for at in (2, 3) if mesh.nodes[at].process is not None]

    async def carrying() -> list[int]:
        return [at for at in others if await read_metric(mesh, at, "hermes_mesh_carried_streams")]

    found = await wait_until(carrying)
    assert len(found) == 1
    return int(found[0])


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


@pytest.mark.timeout(300)  # streams are found silent, and third nodes looked for, three times over
async def test_the_next_third_node_is_taken_when_one_dies_and_who_opens_a_chat_meanwhile_waits(mesh: SoakMesh) -> None:
    async with RawApp(mesh.nodes[0].app, mesh.ca_file) as one, RawApp(mesh.nodes[1].app, mesh.ca_file) as two:
        await one.wait_found(two)
        mesh.proxy.cut(CUT)
        chat = await one.start_chat(two)
        await one.wait_event(ChatReady)
        await say_both_ways(chat, one, two, "opened through another")
        first = await find_third(mesh)
        await mesh.kill(first)
        await say_both_ways(chat, one, two, "through the other one")
        second = await find_third(mesh)
        assert {first, second} == {2, 3}
        await mesh.kill(second)
        await wait_metric(mesh, 0, "hermes_mesh_routes_by_third", 0)
        refused = await one.start_chat(two)
        error = await one.wait_error()
        assert (error.chat_id, error.code) == (refused, ErrorCode.ROUTE_UNAVAILABLE), "nobody reaches both"
        mesh.proxy.heal(CUT)
        await say_both_ways(chat, one, two, "directly")
        ended = [event for app in (one, two) for event in app.events if isinstance(event, ChatEnded)]
        assert [event.chat_id for event in ended] in ([], [refused])


@pytest.fixture
async def hostile(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[tuple[SoakMesh, Path]]:
    """Node 2 alone will reach all. What it does is in the file, what it did beside it."""
    acts = tmp_path / "acts"
    acts.write_text("")
    monkeypatch.setenv("THIRD_ACTS", str(acts))
    mesh = SoakMesh(4, None, more=SETTINGS)
    async with mesh:
        await wait_ready(mesh)
        await mesh.kill(2)
        mesh.nodes[2].module = "tests.support.hostile_third"
        await mesh.start(2)
        await wait_ready(mesh)
        yield mesh, acts


async def has_heard(app: RawApp, everything: list[bytes]) -> bool:
    return app.contents() == everything


@pytest.mark.timeout(300)  # it waits out how long a third node is left alone, several times
async def test_whatever_the_one_in_between_does_to_two_pairs_only_delays_their_chats(hostile: tuple[SoakMesh, Path]) -> None:
    mesh, acts = hostile
    pairs = [(RawApp(mesh.nodes[0].app, mesh.ca_file), RawApp(mesh.nodes[at].app, mesh.ca_file)) for at in (1, 3)]
    apps = [app for pair in pairs for app in pair]
    for app in apps:
        await app.connect()
    chats = []
    for one, two in pairs:
        await one.wait_found(two)
        chats.append(await one.start_chat(two))
        await one.wait_event(ChatReady)
    for name in ("local-1", "local-3"):
        mesh.proxy.cut(frozenset(("local-0", name)))
    for chat, (one, two) in zip(chats, pairs, strict=True):
        await say_both_ways(chat, one, two, "through one that is honest")
    done = acts.with_suffix(".done")
    acts.write_text(" ".join(ACTS))
    said = 0

    async def has_done_all() -> bool:
        nonlocal said
        for chat, pair in zip(chats, pairs, strict=True):
            for app in pair:
                await app.say(chat, b"%d" % said)
        said += 1
        await asyncio.sleep(0.1)
        return set(done.read_text().split() if done.exists() else []) == set(ACTS)

    await wait_until(has_done_all, 120.0)
    acts.write_text("")
    for name in ("local-1", "local-3"):
        mesh.proxy.heal(frozenset(("local-0", name)))
    everything = [b"through one that is honest", *(b"%d" % number for number in range(said))]
    for app in apps:
        await wait_until(partial(has_heard, app, everything), 60.0)
        assert not [event for event in app.events if isinstance(event, ChatEnded)]
        await app.close()
    refused = {line["code"] for at in (0, 1, 3) for line in read_log(mesh.nodes[at]) if line["event"] == "peer_refused"}
    assert "AUTH_FAILED" in refused
    assert refused <= {
        "AUTH_FAILED",
        "INVALID_FRAME",
        "INVALID_KEY",
        "ROUTE_UNAVAILABLE",
    }  # a flipped byte is one of a key, too
