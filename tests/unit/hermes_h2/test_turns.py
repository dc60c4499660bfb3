"""Turns of strangers: each address has its share, who comes anew stands in no flood's queue, and others are waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

from hermes_h2.serving.turns import CREDIT_S, RECOVERY, REST_S, SLICE_S, StrangersTurns

PIECE_S = 0.0015


class FakeLoop:
    """An event loop whose time is what work costs."""

    def __init__(self) -> None:
        self.now = 0.0
        self.soon: list[tuple[float, Callable[[], None]]] = []

    def time(self) -> float:
        return self.now

    def call_soon(self, run: Callable[[], None]) -> None:
        self.soon.append((0.0, run))

    def call_later(self, delay_s: float, run: Callable[[], None]) -> None:
        self.soon.append((delay_s, run))

    def pass_once(self) -> float:
        """One pass; how long it was waited for."""
        ((delay_s, run),) = self.soon
        self.soon.clear()
        self.now += delay_s
        run()
        return delay_s


class Someone:
    def __init__(self, payer: str = "") -> None:
        self.payer = payer
        self.spent_s = 0.0


class World:
    def __init__(self) -> None:
        self.loop = FakeLoop()
        self.turns = StrangersTurns(cast("asyncio.AbstractEventLoop", self.loop))
        self.done: list[str] = []

    def want(self, who: str, cost_s: float = PIECE_S) -> Someone:
        def work() -> None:
            self.loop.now += cost_s
            self.done.append(who)

        someone = Someone(who)
        self.turns.add(someone, work)
        return someone

    def run(self, pieces: int) -> None:
        while len(self.done) < pieces:
            self.loop.pass_once()


async def test_work_that_fails_keeps_no_other_work_waiting() -> None:
    loop, done = asyncio.get_running_loop(), asyncio.Event()
    told: list[Any] = []
    loop.set_exception_handler(lambda _, context: told.append(context["exception"]))
    turns = StrangersTurns(loop)
    defect = RuntimeError("a defect")

    def fail() -> None:
        raise defect

    turns.add(Someone(), fail)
    turns.add(Someone(), done.set)
    await asyncio.wait_for(done.wait(), 5)
    done.clear()
    turns.add(Someone(), done.set)
    await asyncio.wait_for(done.wait(), 5)
    assert told == [defect]
    assert len(turns) == 0


def test_an_address_with_many_connections_has_no_more_than_one_with_few() -> None:
    world = World()
    for _ in range(1000):
        world.want("many")
    world.run(100)
    for _ in range(100):
        world.want("few")
    world.run(200 + 2 * round(CREDIT_S / PIECE_S))
    later = world.done[100:]
    assert abs(later.count("few") - later.count("many")) <= 2 * CREDIT_S / PIECE_S


def test_who_comes_anew_goes_before_those_who_flood() -> None:
    world = World()
    flooding = [f"192.0.2.{number}" for number in range(50)]
    for _ in range(200):
        for who in flooding:
            world.want(who)
    world.run(2000)
    steps = 6
    for _ in range(steps):  # each wants the next thing when it has had one
        before = len(world.done)
        world.want("new")
        while "new" not in world.done[before:]:
            world.loop.pass_once()
        assert len(world.done) - before <= 2 * SLICE_S / PIECE_S


def test_credit_is_not_for_those_who_have_used_it() -> None:
    world = World()
    for _ in range(500):
        world.want("one")
        world.want("two")
    world.run(400)
    for _ in range(200):
        world.want("new")
    world.run(700)
    assert 100 <= world.done[400:].count("new") <= 100 + 2 * CREDIT_S / PIECE_S


def test_a_slice_is_waited_for_only_while_others_have_work() -> None:
    world = World()
    for _ in range(20):
        world.want("stranger")
    assert world.loop.pass_once() == 0
    assert world.loop.pass_once() == 0
    world.turns.yielded = True
    assert world.loop.pass_once() == 0
    assert world.loop.pass_once() == REST_S
    assert world.loop.pass_once() == 0


def test_what_a_piece_of_work_sets_off_counts_as_its_own() -> None:
    world = World()
    world.turns.add(Someone("cheap"), lambda: world.turns.charge(1.0))
    world.turns.add(Someone("cheap"), lambda: world.done.append("cheap"))
    world.want("other")
    world.run(2)
    assert world.done == ["other", "cheap"]


def test_what_led_to_a_proof_is_given_back() -> None:
    world = World()
    for _ in range(2000):
        world.want("flood")
    world.run(100)
    for _ in range(100):  # one after the other, more than its share
        before = len(world.done)
        coming = world.want("honest")
        while "honest" not in world.done[before:]:
            world.loop.pass_once()
        assert len(world.done) - before <= 2
        world.turns.refund(coming)


def test_addresses_are_forgotten_when_they_have_come_into_their_credit() -> None:
    world = World()
    for number in range(100_000):
        world.want(str(number))
        world.loop.pass_once()
    assert len(world.turns._done) <= 3 * CREDIT_S / RECOVERY / PIECE_S
