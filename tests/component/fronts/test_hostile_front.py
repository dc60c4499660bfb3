"""A front that somebody has taken over breaks every rule of its link: it is ended, and nobody at another front notices."""

from __future__ import annotations

import asyncio
import json
import struct
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import grpc
import grpc.aio
import pytest

from hermes_front.link.bounds import NEWS, LinkBounds
from hermes_front.link.faults import Fault
from hermes_front.link.frames import LinkKind, build_frame
from hermes_front.link.payloads import (
    FrontHello,
    Stats,
    StreamOpening,
    Told,
    build_credit,
    build_defect,
    build_hello,
    build_number,
    build_opening,
    build_stats,
    build_told,
)
from hermes_front.owner.reports import EndReason, FrontEnded
from hermes_front.owner.server import FrontServer
from hermes_h2.events import Refusal
from hermes_h2.serving.call import ServedCall
from hermes_h2.serving.limits import Limits
from hermes_h2.serving.sockets import listen_on
from tests.component.transport.dialling import DEADLINE_S, OPTIONS, echo, open_call, until
from tests.component.transport.serving import SERVICE
from tests.support.hostile_front import ORDER

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="tried where fronts are confined")

MIB = 1 << 20
MEMORY_BYTES = 128 * MIB
SLOW_S = 0.1
"""Of the owner's work until an honest message is back: some milliseconds. The clock would tell of a busy machine."""
ENDED_WITHIN_S = 60.0
"""What a flood may say before it is ended takes a busy machine twenty seconds."""


class Observer:
    def __init__(self) -> None:
        self.ended_fronts: list[FrontEnded] = []
        self.words = 0

    def started(self, front: int, pid: int, hello: FrontHello) -> None:
        pass

    def ended(self, report: FrontEnded) -> None:
        self.ended_fronts.append(report)

    def told(self, _told: object) -> None:
        self.words += 1

    def count_refused(self, refusal: object, count: int) -> None:
        pass

    def failed(self, _what: str, *, of_system: bool) -> None:  # noqa: ARG002 - as an observer has it
        self.words += 1

    def defect(self, error: Exception) -> None:
        raise AssertionError from error


class World:
    """Two fronts: an honest app at one of them, and who gives orders at the other."""

    def __init__(self, server: FrontServer, observer: Observer, honest: Any, commander: Any, pid: int) -> None:
        self.server, self.observer = server, observer
        self._honest, self._commander = honest, commander
        self.pid = pid
        """Of the front that was taken over."""
        self.slowest_s = 0.0
        self.over = False

    async def chat(self) -> None:
        """What the honest app says comes back, and soon: owner and app have this one thread."""
        number = 0
        while not self.over:
            began = time.thread_time()
            await echo(self._honest, b"%d" % number)
            self.slowest_s = max(self.slowest_s, time.thread_time() - began)
            number += 1
            await asyncio.sleep(0.005)

    async def order(self, name: str, *arguments: Any) -> None:
        """Without asking what came of it."""
        await self._commander.write(json.dumps([name, *arguments]).encode())

    async def end_of_front(self) -> FrontEnded:
        async with asyncio.timeout(ENDED_WITHIN_S):
            while not self.observer.ended_fronts:  # noqa: ASYNC110 - as `until`
                await asyncio.sleep(0.01)
        return self.observer.ended_fronts[0]


async def talk(call: ServedCall) -> None:
    call.prove()
    await listen(call)


async def listen(call: ServedCall) -> None:
    while (message := await call.read()) is not None:
        await call.write(message)


async def _ask(call: Any, *order: Any) -> Any:
    async with asyncio.timeout(DEADLINE_S):
        await call.write(json.dumps(order).encode())
        return json.loads(await call.read())


@asynccontextmanager
async def two_fronts() -> AsyncIterator[World]:
    observer = Observer()
    server = FrontServer(
        listen_on("127.0.0.1", 0), Limits(), 2, observer, memory_bytes=MEMORY_BYTES, module="tests.support.hostile_front"
    )
    await server.start({f"/{SERVICE}/Talk": talk, f"/{SERVICE}/Listen": listen})
    async with AsyncExitStack() as stack:
        stack.push_async_callback(server.stop, 0)
        found: dict[int, grpc.aio.Channel] = {}
        while len(found) < 2:  # which of them takes a connection is chance
            channel = await stack.enter_async_context(grpc.aio.insecure_channel(f"127.0.0.1:{server.port}", options=OPTIONS))
            found.setdefault(await _ask(channel.stream_stream(ORDER)(), "who"), channel)
        (_, good), (pid, bad) = found.items()
        honest = open_call(good)
        await echo(honest, b"hello")
        world = World(server, observer, honest, bad.stream_stream(ORDER)(), pid)
        chatting = asyncio.create_task(world.chat())
        yield world
        world.over = True
        await chatting
        assert world.slowest_s < SLOW_S


OPENING = build_opening(StreamOpening(f"/{SERVICE}/Listen", "192.0.2.1", 1, frozenset()))
ROOM = LinkBounds().stranger_room
BREACHES: dict[str, tuple[list[bytes], Fault]] = {
    "no frame": ([b"\xff" * 64], Fault.UNKNOWN_KIND),
    "a word of the owner: PROVE": ([build_frame(LinkKind.PROVE, 1)], Fault.UNKNOWN_KIND),
    "a word of the owner: SETTINGS": ([build_frame(LinkKind.SETTINGS, 0, b"{}")], Fault.UNKNOWN_KIND),
    "longer than any": ([struct.pack(">IIB", (1 << 32) - 1, 1, LinkKind.DATA)], Fault.TOO_LONG),
    "a second greeting": ([build_frame(LinkKind.HELLO, 0, build_hello(FrontHello(1)))], Fault.NOT_GREETED),
    "of another's stream": ([build_frame(LinkKind.DATA, 4_000_000, b"x")], Fault.STREAM_NUMBER),
    "a stream twice": ([build_frame(LinkKind.OPEN, 9_999, OPENING)] * 2, Fault.STREAM_NUMBER),
    "a stream that was before": (
        [build_frame(LinkKind.OPEN, 9_999, OPENING), build_frame(LinkKind.OPEN, 9_998, OPENING)],
        Fault.STREAM_NUMBER,
    ),
    "credit of nothing": (
        [build_frame(LinkKind.OPEN, 9_999, OPENING), build_frame(LinkKind.CREDIT, 9_999, build_credit(0, 1))],
        Fault.MALFORMED,
    ),
    "a path that nobody serves": (
        [build_frame(LinkKind.OPEN, 9_999, build_opening(StreamOpening("/x/y", "192.0.2.1", 1, frozenset())))],
        Fault.UNKNOWN_PATH,
    ),
    "malformed": ([build_frame(LinkKind.OPEN, 9_999, b"\xff\xff")], Fault.MALFORMED),
    "messages without credit": (
        [build_frame(LinkKind.OPEN, 9_999, OPENING), *[build_frame(LinkKind.DATA, 9_999, b"x")] * (ROOM.frames + 1)],
        Fault.NO_CREDIT,
    ),
    "a stranger's long message": (
        [
            build_frame(LinkKind.OPEN, 9_999, OPENING),
            build_frame(LinkKind.DATA, 9_999, b"x" * (Limits().bounds.first_message_bytes + 1)),
        ],
        Fault.STRANGER_TOO_LONG,
    ),
    "credit without end": (
        [build_frame(LinkKind.OPEN, 9_999, OPENING), build_frame(LinkKind.CREDIT, 9_999, build_credit(1 << 30, 1 << 30))],
        Fault.TOO_MUCH_CREDIT,
    ),
    "a message after the last": (
        [
            build_frame(LinkKind.OPEN, 9_999, OPENING),
            build_frame(LinkKind.HALF, 9_999),
            build_frame(LinkKind.DATA, 9_999, b"x"),
        ],
        Fault.AFTER_END,
    ),
    "an answer that nobody asked for": ([build_frame(LinkKind.PONG, 0, build_number(1 << 20))], Fault.UNASKED),
    "counting back": (
        [
            build_frame(LinkKind.STATS, 0, build_stats(Stats(refusals=(9,) * len(Stats().refusals)))),
            build_frame(LinkKind.STATS, 0, build_stats(Stats())),
        ],
        Fault.COUNTED_BACK,
    ),
}


@pytest.mark.parametrize("breach", BREACHES)
async def test_what_breaks_a_rule_ends_the_front(breach: str) -> None:
    frames, fault = BREACHES[breach]
    async with two_fronts() as world:
        await world.order("say", *(frame.hex() for frame in frames))
        ended = await world.end_of_front()
        assert (ended.reason, ended.detail) == (EndReason.RULE, fault.value)
        await until(lambda: world.server.figures().running == 2)


GONE = [build_frame(LinkKind.OPEN, 9_999, OPENING), build_frame(LinkKind.GONE, 9_999)]
FLOODS: dict[str, tuple[list[bytes], bytes]] = {
    "counters": ([], build_frame(LinkKind.STATS, 0, build_stats(Stats()))),
    "refusals": ([], build_frame(LinkKind.REFUSED, 0, build_told(Told(Refusal.TLS, "192.0.2.1", "x" * 900)))),
    "defects": ([], build_frame(LinkKind.DEFECT, 0, build_defect("x" * 900, of_system=True))),
    "that a stream is gone": (GONE, build_frame(LinkKind.GONE, 9_999)),
    "messages of a stream that is gone": (GONE, build_frame(LinkKind.DATA, 9_999, b"x" * 60_000)),
    "credit for a stream that is gone": (GONE, build_frame(LinkKind.CREDIT, 9_999, build_credit(1, 1))),
}


@pytest.mark.parametrize("flood", FLOODS)
async def test_what_it_may_say_but_not_without_end(flood: str) -> None:
    before, frame = FLOODS[flood]
    async with two_fronts() as world:
        await world.order("flood", "".join(one.hex() for one in before), frame.hex())
        ended = await world.end_of_front()
        assert (ended.reason, ended.detail) == (EndReason.RULE, Fault.TOO_OFTEN.value)
        assert world.observer.words <= NEWS


async def test_streams_without_end_cost_others_little() -> None:
    """In the name of as many addresses as it likes, so that turns of addresses hold it to nothing."""
    async with two_fronts() as world:
        await world.order("open without end", f"/{SERVICE}/Listen")
        await asyncio.sleep(4)
        assert world.server.figures().frames_in > 1_000


async def test_one_that_says_nothing_more_is_ended() -> None:
    async with two_fronts() as world:
        await world.order("go deaf")
        assert (await world.end_of_front()).reason is EndReason.UNANSWERED


async def test_one_that_does_nothing_else_is_ended() -> None:
    async with two_fronts() as world:
        await world.order("spin")
        assert (await world.end_of_front()).reason is EndReason.UNANSWERED


async def test_one_that_takes_memory_is_ended_alone() -> None:
    async with two_fronts() as world:
        await world.order("take memory without end")
        assert (await world.end_of_front()).reason is EndReason.MEMORY
