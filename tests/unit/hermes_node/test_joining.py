"""Joining through seeds: how many are asked in a round, which, and when a node counts as one that has met them all."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterable
from typing import Any, cast

from hermes_core.crypto.random import SYSTEM_RANDOM
from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.ids import NodeId
from hermes_core.mesh.messages import MembershipUpdate
from hermes_node.config.sections import MeshSection
from hermes_node.logs.event_log import EventLog
from hermes_node.mesh.dial_tasks import DialTasks
from hermes_node.mesh.interface import Welcome
from hermes_node.mesh.joining import JOINS_AT_ONCE, NEWCOMER_S, NEXT_ROUND_S, REJOIN_INTERVAL_S, Joining
from hermes_node.mesh.seeds import JoinState, SeedTarget
from hermes_node.metrics.registry import NodeMetrics

OWN = NodeId("own")


class Scene:
    """Seven seeds, of which those in `nodes` answer with these names."""

    def __init__(self, nodes: dict[str, str], at_once: int = JOINS_AT_ONCE) -> None:
        self.now = 0.0
        self.nodes = nodes
        self.asked: list[str] = []
        self.linked: set[NodeId] = set()
        log = EventLog(node_id="own", stream=io.StringIO())
        self.tasks = DialTasks(log, lambda: None)
        settings = MeshSection(seeds=tuple(f"127.0.0.{index}:1" for index in range(1, 8)))
        metrics = NodeMetrics(version="", revision="")
        self.joining = Joining(
            OWN,
            settings,
            self,
            self.tasks,
            now=lambda: self.now,
            log=log,
            metrics=metrics,
            entropy=SYSTEM_RANDOM,
            at_once=at_once,
        )

    def is_linked(self, node_id: NodeId) -> bool:
        return node_id in self.linked

    def list_lost(self) -> Iterable[SeedTarget]:
        return ()

    def take_welcome(self, welcome: Welcome) -> None:
        self.linked.add(welcome.node_id)

    async def join(self, address: str, _server_name: str | None) -> Welcome:
        self.asked.append(address)
        if address not in self.nodes:
            raise ProtocolError(ErrorCode.ROUTE_UNAVAILABLE, "nobody is there")
        node_id = NodeId(self.nodes[address])
        return Welcome(node_id) if node_id == OWN else Welcome(node_id, None, MembershipUpdate(()))

    async def round(self) -> list[str]:
        """Who is asked in the next one."""
        self.asked = []
        self.now += REJOIN_INTERVAL_S
        await self.ask_some()
        return self.asked

    async def ask_some(self) -> None:
        """In one round, if it is time for it."""
        self.joining.start(self.now, cast("Any", self))
        while self.tasks._tasks:  # noqa: ASYNC110 - what a round starts
            await asyncio.sleep(0)


async def test_others_are_asked_in_each_round_where_they_are_many() -> None:
    scene = Scene({}, at_once=3)
    rounds = [await scene.round() for _ in range(7)]
    assert {len(asked) for asked in rounds} == {3}
    assert len({address for asked in rounds[:3] for address in asked}) == 7, "the dead do not hide the living"


async def test_a_node_has_met_all_once_each_was_asked_and_whoever_is_linked_is_asked_no_more() -> None:
    scene = Scene({"127.0.0.1:1": "own", "127.0.0.2:1": "a", "127.0.0.3:1": "b"}, at_once=3)
    for _ in range(3):
        assert not scene.joining.asked_all
        await scene.round()
    assert scene.joining.state is JoinState.JOINED
    rounds = [await scene.round() for _ in range(4)]
    assert scene.joining.asked_all
    assert not {address for asked in rounds for address in asked} & set(scene.nodes)
    scene.linked.clear()
    assert {"127.0.0.2:1", "127.0.0.3:1"} <= {address for _ in range(4) for address in await scene.round()}


async def test_few_are_asked_at_once() -> None:
    scene = Scene({})
    assert len(await scene.round()) == 7
    await scene.round()
    assert scene.joining.asked_all


async def test_a_newcomer_serves_once_it_has_asked_every_seed_and_asks_the_next_at_once() -> None:
    scene = Scene({"127.0.0.3:1": "b"}, at_once=3)
    scene.now = began = 1.0
    waits = asyncio.create_task(scene.joining.until_serving())
    for left in (4, 1):
        await scene.ask_some()
        assert len(set(scene.asked)) == 7 - left
        assert scene.joining.state is JoinState.JOINING, "though it was welcomed"
        assert not waits.done()
        assert scene.joining.next_due() <= scene.now + NEXT_ROUND_S
        scene.now += NEXT_ROUND_S
    await scene.ask_some()
    assert scene.joining.state is JoinState.JOINED
    await waits
    assert scene.now < began + REJOIN_INTERVAL_S


async def test_who_does_not_answer_keeps_a_newcomer_from_serving_for_some_seconds_at_most() -> None:
    scene = Scene({"127.0.0.3:1": "b"}, at_once=3)
    await scene.ask_some()
    assert scene.joining.next_due() <= NEWCOMER_S
    scene.now = NEWCOMER_S - 0.01
    early = scene.joining.serves
    scene.now = NEWCOMER_S
    assert (early, scene.joining.serves) == (False, True)
    assert not scene.joining.asked_all


async def test_who_gives_way_never_serves_and_who_serves_goes_on() -> None:
    scene = Scene({})
    scene.joining.give_way()
    await scene.round()
    await scene.round()
    assert scene.joining.asked_all
    assert not scene.joining.serves
    scene.now = 10 * NEWCOMER_S
    assert scene.joining.state is JoinState.JOINING
