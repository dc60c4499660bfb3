"""Bounds of what strangers can open, on a node with small ones; everybody else goes on being served."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from hermes_client.scenario.local_mesh import LocalMesh
from hermes_core.endpoint.events import ChatReady
from hermes_core.errors import ErrorCode, ErrorScope
from hermes_core.protocol.messages import ErrorNotice
from hermes_core.protocol.session import FindApp, Heartbeat
from tests.support.nodes import QUICK, ask_admin, wait_logged, wait_ready, wait_until
from tests.support.raw_app import RawApp

SMALL = {
    **QUICK,
    "app": {"heartbeat_interval_s": 0.5},
    "limits": {
        "max_unauthenticated_streams": 2,
        "connect_timeout_s": 2.0,
        "max_sessions": 3,
        "session_queue_frames": 4096,
        "session_queue_bytes": 4194304,
    },
}


@pytest.fixture(scope="module")
def small() -> Iterator[LocalMesh]:
    one = LocalMesh(1, settings=SMALL)

    async def start() -> None:
        await one.__aenter__()
        await wait_ready(one)

    asyncio.run(start())
    try:
        yield one
    finally:
        asyncio.run(one.close())


async def expect_end(app: RawApp, code: ErrorCode) -> ErrorNotice:
    (notice,) = await app.read()
    assert isinstance(notice, ErrorNotice)
    assert (notice.code, notice.scope) == (code, ErrorScope.STREAM)
    assert await app.read() == []
    return notice


async def test_streams_that_do_not_answer_are_bounded_in_number_and_time(small: LocalMesh) -> None:
    address, ca_file = small.nodes[0].app, small.ca_file
    idle = [RawApp(address, ca_file) for _ in range(2)]
    for app in idle:
        await app.open_stream()
    third = RawApp(address, ca_file)
    with pytest.raises(AssertionError, match="LIMIT_EXCEEDED"):
        await third.open_stream()
    for app in idle:
        await expect_end(app, ErrorCode.ROUTE_UNAVAILABLE)
    async with RawApp(address, ca_file) as app:
        assert (await app.find(app)).online
    await wait_until(lambda: sessions_are(small, 0))
    _, metrics = await ask_admin(small, 0, "GET", "/metrics", token=None)
    assert 'hermes_sessions_total{result="refused"} 3.0' in metrics["text"]
    assert 'hermes_throttled_total{scope="stream"} 1.0' in metrics["text"]
    for app in (*idle, third):
        await app.close()


async def test_the_node_takes_as_many_apps_as_it_is_told(small: LocalMesh) -> None:
    address, ca_file = small.nodes[0].app, small.ca_file
    apps = [RawApp(address, ca_file) for _ in range(3)]
    for app in apps:
        await app.connect()
    late = RawApp(address, ca_file)
    await late.write([late.answer(await late.open_stream())])
    assert (await expect_end(late, ErrorCode.LIMIT_EXCEEDED)).retry_after_ms > 0
    await apps[0].close()
    await wait_until(lambda: sessions_are(small, 2))
    await late.reconnect()
    for app in (*apps[1:], late):
        await app.close()


async def sessions_are(mesh: LocalMesh, count: int) -> bool:
    _, metrics = await ask_admin(mesh, 0, "GET", "/metrics", token=None)
    return f"hermes_sessions_active {count}.0" in metrics["text"].splitlines()


async def test_an_app_that_does_not_read_is_cut_off_and_others_are_served(small: LocalMesh) -> None:
    node = small.nodes[0]
    async with RawApp(node.app, small.ca_file) as one, RawApp(node.app, small.ca_file) as two:
        slow = RawApp(node.app, small.ca_file)
        await slow.write([slow.answer(await slow.open_stream())])
        await slow.read()

        async def flood() -> None:
            # Each look-up is answered; the answers are never read.
            while True:
                await slow.write([FindApp(one.app_id)] * 256)

        flooding = asyncio.create_task(flood())
        await wait_logged(node, "app_too_slow")
        chat = await one.start_chat(two)
        await one.wait_event(ChatReady)
        await one.say(chat, b"served")
        await two.wait(lambda: two.contents() == [b"served"])
        await wait_until(lambda: sessions_are(small, 2))
        flooding.cancel()
        await asyncio.gather(flooding, return_exceptions=True)
        await slow.close()


async def test_a_silent_app_is_asked_and_then_let_go(small: LocalMesh) -> None:
    app = RawApp(small.nodes[0].app, small.ca_file)
    await app.write([app.answer(await app.open_stream())])
    seen = []
    while batch := await app.read():
        seen += batch
    assert Heartbeat(1, reply=False) in seen
    assert isinstance(seen[-1], ErrorNotice)
    assert seen[-1].scope is ErrorScope.STREAM
    await app.close()


async def test_an_app_that_answers_heartbeats_is_kept(small: LocalMesh) -> None:
    app = RawApp(small.nodes[0].app, small.ca_file)
    await app.write([app.answer(await app.open_stream())])
    heard = 0
    while heard < 5:  # longer than the three silent intervals
        for message in await app.read():
            assert not isinstance(message, ErrorNotice)
            if isinstance(message, Heartbeat):
                heard += 1
                await app.write([Heartbeat(message.sequence, reply=True)])
    await app.close()
