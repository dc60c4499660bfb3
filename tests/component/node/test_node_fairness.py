"""What one app sends that can only be refused does not hold up another app's messages, on a real node."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import grpc.aio
import pytest

from hermes_client.scenario.local_mesh import LocalMesh
from hermes_core.endpoint.events import ChatReady, MessageReceived
from hermes_core.ids import ChatId
from hermes_core.protocol.messages import Sealed
from hermes_wire.app import build_client_batch
from tests.support.nodes import QUICK, ask_admin, wait_ready
from tests.support.raw_app import RawApp

MEASURED_S = 2.0
TIMES, AT_LEAST_S = 10, 0.25
"""How much longer a message in a hundred may take beside a flood. What waited for the flooder's queue took seconds."""
FRAMES_A_BATCH = 200
CHAT_AT = 2
"""Where a frame names its chat."""


@pytest.fixture
async def solo() -> AsyncIterator[LocalMesh]:
    async with LocalMesh(1, settings=QUICK) as one:
        await wait_ready(one)
        yield one


async def measure_p99(one: RawApp, two: RawApp, chat: ChatId) -> float:
    """Of messages that are sent one after the other, until each has come."""
    took: list[float] = []
    until = time.perf_counter() + MEASURED_S
    while time.perf_counter() < until:
        began, before = time.perf_counter(), len(two.events)
        await one.say(chat, b"hello")
        await two.wait_event(MessageReceived, after=before)
        took.append(time.perf_counter() - began)
    print(f"{len(took)} messages, p99 {sorted(took)[len(took) * 99 // 100] * 1000:.1f} ms")
    return sorted(took)[len(took) * 99 // 100]


def forge(app: RawApp, chat: ChatId, ahead: int) -> bytearray:
    """A frame of its leg that nobody sealed, so many positions ahead of the next."""
    epoch = app.chats.chats[chat].leg.epochs.require_current()
    return bytearray(epoch.send_prefix + (epoch.send.next + ahead).to_bytes(8, "big") + bytes(60))


@asynccontextmanager
async def flooding(app: RawApp, frame: bytes) -> AsyncIterator[None]:
    """Batches of this frame, as fast as they are taken; a stream that ends for it is followed by the next one."""
    batch = build_client_batch([Sealed(frame)] * FRAMES_A_BATCH).SerializeToString()

    async def drain() -> None:
        while await app._call.read() is not grpc.aio.EOF:
            pass

    async def flood() -> None:
        while True:
            with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
                if app._reader is not None:
                    app._reader.cancel()  # what is said of it is read, and not parsed
                reading = asyncio.create_task(drain())
                while not reading.done():
                    await app.write_raw(batch)
                    await asyncio.sleep(0)
            await asyncio.gather(reading, return_exceptions=True)
            await app.reconnect()

    task = asyncio.create_task(flood())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.mark.parametrize("kind", ["forged", "a used position", "of no chat"])
async def test_frames_that_are_refused_hold_up_nobody_elses(solo: LocalMesh, kind: str) -> None:
    """Also while they cost their sender nothing, as they do for half a minute after a chat has begun."""
    node = solo.nodes[0]
    apps = [RawApp(node.app, solo.ca_file) for _ in range(4)]
    for app in apps:
        await app.connect()
    one, two, hostile, other = apps
    chat, hostiles = await one.start_chat(two), await hostile.start_chat(other)
    for app in apps:
        await app.wait_event(ChatReady)
    await hostile.say(hostiles, b"hello")
    await other.wait_event(MessageReceived)
    frame = forge(hostile, hostiles, 0 if kind == "forged" else -1)
    if kind == "of no chat":
        frame[CHAT_AT] ^= 1
    quiet_s = await measure_p99(one, two, chat)
    async with flooding(hostile, bytes(frame)):
        flooded_s = await measure_p99(one, two, chat)
    assert flooded_s < max(TIMES * quiet_s, AT_LEAST_S)
    _, metrics = await ask_admin(solo, 0, "GET", "/metrics", token=None)
    refused = [line for line in metrics["text"].splitlines() if line.startswith("hermes_router_errors_total")]
    assert sum(float(line.rsplit(" ", 1)[1]) for line in refused) > FRAMES_A_BATCH / 4, "there was no flood"
    for app in apps:
        await app.close()
