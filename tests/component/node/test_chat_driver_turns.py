"""The chat driver serves its streams in turns by what they cost, in units of cost: no machine is too slow for it."""

from __future__ import annotations

import asyncio
import time
from itertools import pairwise
from typing import Any, Final

import pytest

from hermes_core.errors import ErrorCode
from hermes_core.ids import ChatId
from hermes_core.protocol.messages import CloseReason, Delete
from hermes_core.protocol.session import Heartbeat
from hermes_core.relay.neighbour import StreamId
from hermes_core.relay.output import NodeOutput
from hermes_node.chats.inbox import PASS_S, QUANTUM_S
from tests.component.node.test_chat_driver import Bench, bench, keystore, sealed_in

__all__ = ["bench", "keystore"]

DEAR_S: Final = QUANTUM_S / 4
CHEAP_S: Final = QUANTUM_S / 100
BATCHES: Final = 4


class Priced:
    """Each message has its price: those of `dear` streams that of a signature, others that of a relayed frame."""

    def __init__(self, bench: Bench, patch: pytest.MonkeyPatch) -> None:
        self.bench = bench
        self.dear: set[StreamId] = set()
        self.handled = 0
        real = bench.relay.sessions.receive

        def receive(stream: StreamId, message: Any, now: float) -> None:
            self.handled += 1
            bench.cost_s += DEAR_S if stream in self.dear else CHEAP_S
            real(stream, message, now)

        patch.setattr(bench.relay.sessions, "receive", receive)

    async def flood(self, streams: int) -> None:
        """As much of so many streams as waits of those that are read on and on."""
        sinks = [(await self.bench.add_app())[1] for _ in range(streams)]
        for sink in sinks:
            self.dear.add(sink.stream)
            for _ in range(BATCHES):
                self.bench.receive(sink, *[Heartbeat(1, reply=True)] * 256)

    async def trip(self, chat: ChatId) -> float:
        """What is spent from the moment that a message of the first app is read until it waits to be written to the second."""
        bench = self.bench
        (one, first), (_, second) = bench.apps[:2]
        before, began = sealed_in(second), bench.cost_s
        one.send(chat, b"x", time.time())
        bench.post(one, first)
        while sealed_in(second) == before:  # noqa: ASYNC110 - the driver's own steps, counted
            await asyncio.sleep(0)
        return bench.cost_s - began


async def test_a_stream_that_costs_much_delays_another_one_by_a_few_quanta(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Taken in the order in which they came, a message would wait for all that waits: hundreds of quanta."""
    chat = await bench.open_chat()
    priced = Priced(bench, monkeypatch)
    await priced.flood(streams=3)
    began = bench.cost_s
    running = asyncio.create_task(bench.driver.run())
    trips = [await priced.trip(chat) for _ in range(20)]
    assert max(trips) <= 2 * PASS_S + QUANTUM_S
    assert bench.cost_s - began < 3 * BATCHES * 256 * DEAR_S, "all the while the others had more waiting"
    running.cancel()


async def test_a_pass_that_followed_a_slow_commit_may_cost_as_much(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise a slow disk would leave the node idle for most of the time: what a commit takes is shared by more."""
    chat = await bench.open_chat()
    priced = Priced(bench, monkeypatch)
    await priced.flood(streams=1)
    spent: list[float] = []
    real = bench.relay.begin_pass

    def begin_pass(now: float) -> None:
        spent.append(bench.cost_s)
        real(now)

    monkeypatch.setattr(bench.relay, "begin_pass", begin_pass)
    commit = bench.store.commit

    async def slow(output: NodeOutput) -> None:
        await commit(output)
        bench.cost_s += 3 * PASS_S

    monkeypatch.setattr(bench.store, "commit", slow)
    bench.receive(bench.apps[0][1], Delete(chat))
    await bench.driver.flush()
    passes = [later - earlier for earlier, later in pairwise(spent)]
    assert passes[0] == pytest.approx(4 * PASS_S, abs=QUANTUM_S), "with its commit"
    assert passes[1] == pytest.approx(3 * PASS_S, abs=QUANTUM_S)


@pytest.mark.parametrize("what", ["timer", "end_apps", "close_all"])
async def test_some_things_come_after_all_that_waits(bench: Bench, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    """A session whose heartbeats wait is not silent, and what apps said before they are sent away is heard."""
    priced = Priced(bench, monkeypatch)
    await priced.flood(streams=2)
    before, seen = priced.handled, list[int]()

    def note(*_: Any) -> None:
        seen.append(priced.handled - before)

    if what == "timer":
        monkeypatch.setattr(bench.relay, "next_timer", lambda: 0.0)
        monkeypatch.setattr(bench.relay, "handle_timer", note)
        bench.driver._timer_came()
    elif what == "end_apps":
        monkeypatch.setattr(bench.relay.sessions, "end_all", note)
        bench.driver.end_apps(ErrorCode.DRAINING, "")
    else:
        monkeypatch.setattr(bench.relay.chats, "close_all", note)
        bench.driver.close_all(CloseReason.NODE_SHUTDOWN)
    await bench.driver.flush()
    assert seen[:1] == [2 * BATCHES * 256]


async def test_an_app_that_proved_itself_is_none_of_the_strangers_any_more(bench: Bench) -> None:
    stranger = bench.driver.streams.open_app(("",))
    (_, one), (_, two) = await bench.add_app(), await bench.add_app()
    assert one.queue.group is two.queue.group is not stranger.queue.group
    assert one.queue.group is not None
    assert one.queue.group.group is None
