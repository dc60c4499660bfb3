"""Streams for chats: who dials when, which of two stays, when one that is idle ends, and who is told that none can be had."""

from __future__ import annotations

import asyncio
import io
from typing import Any, cast

import pytest

from hermes_core.crypto.random import SYSTEM_RANDOM
from hermes_core.crypto.signing import Identity
from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.ids import NodeId
from hermes_core.mesh.carry.detours import FRESH_S, PATIENCE_S, DetourParams, Detours
from hermes_core.mesh.descriptor import sign_descriptor
from hermes_core.mesh.messages import NodeDescriptor
from hermes_core.mesh.swim.output import ProbeEnded, ProbeResult
from hermes_core.protocol.session import Heartbeat
from hermes_node.logs.event_log import EventLog
from hermes_node.mesh import routes
from hermes_node.mesh.dial_tasks import DialTasks
from hermes_node.mesh.handshake import ProvedPeer
from hermes_node.mesh.routes import HEAD_START_S, LOOK_EVERY_S, Routes
from hermes_node.mesh.swim_links import CROSSED_S

KEYS = Identity.generate()
IDLE_S = 30.0
AGAIN_S = 60.0


class Stream:
    """A RouteChat stream that stands until it is closed."""

    def __init__(self, peer: ProvedPeer, _stream: object, _chats: object, heard: Any) -> None:
        self.node_id = peer.descriptor.node_id
        self.heard = heard
        self.over = asyncio.Event()
        self.opened = False

    def close(self) -> None:
        self.over.set()

    async def run(self) -> None:
        self.opened = True
        await self.over.wait()


class Keys:
    wiped = False

    def wipe(self) -> None:
        self.wiped = True


class Scene:
    """Node `m`, that dials others of which some answer."""

    streams = None

    def __init__(self) -> None:
        self.now = 0.0
        self.needed: list[NodeId] = []
        self.missed: list[NodeId] = []
        self.dialled: list[NodeId] = []
        self.answers = True
        self.slow = asyncio.Event()
        self.slow.set()
        self.asked: list[NodeId] = []
        self.carried: list[tuple[NodeId, NodeId]] = []
        self.third_answers = True
        self.log = io.StringIO()
        log = EventLog(node_id="m", stream=self.log)
        self.tasks = DialTasks(log, lambda: None)
        self.made: list[Stream] = []
        self.routes = Routes(
            NodeId("m"),
            cast("Any", self),
            self.find,
            self.tasks,
            Detours(DetourParams(AGAIN_S)),
            self.asked.append,
            idle_s=IDLE_S,
            now=lambda: self.now,
            log=log,
            entropy=SYSTEM_RANDOM,
        )

    def find(self, node_id: NodeId) -> NodeDescriptor | None:
        if node_id == "unknown":
            return None
        return sign_descriptor(KEYS, node_id=node_id, address="a:1", incarnation=1, version="2.0.0")

    def list_needed_nodes(self) -> list[NodeId]:
        return self.needed

    def unreachable(self, node_id: NodeId) -> None:
        self.missed.append(node_id)

    async def route(self, descriptor: NodeDescriptor) -> None:
        self.dialled.append(descriptor.node_id)
        await self.slow.wait()
        if not self.answers:
            raise ProtocolError(ErrorCode.ROUTE_UNAVAILABLE, "nobody is there")
        await self.meet(descriptor.node_id, dialled=True)

    async def carry(self, third: NodeDescriptor, target: NodeDescriptor) -> None:
        self.carried.append((target.node_id, third.node_id))
        if not self.third_answers:
            raise ProtocolError(ErrorCode.LIMIT_EXCEEDED, "too many")
        await self.meet(target.node_id, dialled=True, third=third.node_id)

    async def meet(self, name: str, *, dialled: bool, third: str | None = None) -> Keys:
        keys, descriptor = Keys(), self.find(NodeId(name))
        peer = ProvedPeer(cast("Any", descriptor), cast("Any", keys))
        await self.routes.serve(peer, cast("Any", None), dialled=dialled, third=None if third is None else NodeId(third))
        return keys

    def probe(self, name: str, *, answered: bool = True, helper: str | None = None) -> bool:
        result = ProbeResult.FAILED if not answered else ProbeResult.DIRECT if helper is None else ProbeResult.INDIRECT
        return self.routes.note_probe(ProbeEnded(NodeId(name), result, 0.1, None if helper is None else NodeId(helper)))

    async def answer_through(self, name: str, helper: str, seconds: int) -> None:
        for _ in range(seconds):
            self.probe(name, helper=helper)
            await self.tick(1.0)
            await self.tick(0.0)  # the end of a dial wakes its owner

    async def tick(self, seconds: float = LOOK_EVERY_S) -> None:
        self.now += seconds
        self.routes.tick(self.now, cast("Any", self))
        for _ in range(3):
            await asyncio.sleep(0)


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    made = Scene()

    def make(*parts: Any) -> Stream:
        made.made.append(Stream(*parts))
        return made.made[-1]

    monkeypatch.setattr(routes, "RouteLink", make)
    return made


async def test_the_lower_id_dials_for_a_chat_at_once_and_the_other_one_later(scene: Scene) -> None:
    scene.needed = [NodeId("a"), NodeId("z")]
    await scene.tick(0.0)
    assert scene.dialled == ["z"]
    await scene.tick(HEAD_START_S)
    assert scene.dialled == ["z", "a"]
    await scene.tick()
    assert len(scene.dialled) == 2, "both stand"
    scene.made[0].close()
    await scene.tick()
    await scene.tick(10.0)
    assert scene.dialled == ["z", "a", "z"]
    await scene.tasks.close()


async def test_who_has_something_to_say_dials_at_once_and_hears_when_that_leads_nowhere(scene: Scene) -> None:
    scene.routes.want(NodeId("unknown"), cast("Any", scene))
    assert scene.missed == ["unknown"]
    scene.answers = False
    scene.routes.want(NodeId("a"), cast("Any", scene))
    scene.routes.want(NodeId("a"), cast("Any", scene))
    await scene.tick(0.0)
    assert (scene.dialled, scene.asked, scene.missed) == (["a"], ["a"], ["unknown"]), "another node may lead there"
    assert scene.probe("a", answered=False)
    await scene.tick(0.0)
    assert scene.missed == ["unknown", "a"]
    await scene.tasks.close()


async def test_who_waits_for_a_probe_that_never_ends_hears_of_it_all_the_same(scene: Scene) -> None:
    scene.answers = False
    scene.routes.want(NodeId("z"), cast("Any", scene))
    for _ in range(8):
        await scene.tick()
    assert scene.missed == ["z"]
    await scene.tasks.close()


async def test_where_a_node_is_not_reached_its_stream_goes_through_one_that_reached_it_and_comes_back(scene: Scene) -> None:
    scene.answers = False
    scene.routes.want(NodeId("z"), cast("Any", scene))
    await scene.tick(0.0)
    scene.needed = [NodeId("z")]
    await scene.answer_through("z", "c", int(PATIENCE_S) + 1)
    assert (scene.carried, scene.missed, scene.routes.count_by_third()) == ([("z", "c")], [], 1)
    dials = len(scene.dialled)
    for second in range(int(AGAIN_S) + 2):
        if second == 20:
            scene.answers = True
        if second < 20:
            scene.probe("z", helper="c")
        else:
            scene.probe("z")
        await scene.tick(1.0)
    assert len(scene.dialled) == dials, "not before it has answered directly for long enough"
    assert scene.asked.count(NodeId("z")) >= AGAIN_S / FRESH_S, "whether it answers directly is looked at again and again"
    for _ in range(20):
        scene.probe("z")
        await scene.tick(1.0)
    assert len(scene.dialled) == dials + 1
    assert scene.routes.count_by_third() == 0
    assert [stream.over.is_set() for stream in scene.made] == [True, False], "the direct one came first, then the other ended"
    assert "route_by_third" in scene.log.getvalue()
    assert "route_direct_again" in scene.log.getvalue()
    scene.made[-1].close()
    await scene.tasks.close()


async def test_where_no_third_one_takes_it_who_waits_is_told(scene: Scene) -> None:
    scene.answers = scene.third_answers = False
    scene.routes.want(NodeId("z"), cast("Any", scene))
    await scene.tick(0.0)
    await scene.answer_through("z", "c", int(PATIENCE_S))
    assert scene.carried == [("z", "c")]
    assert scene.missed == ["z"]
    await scene.tasks.close()


@pytest.mark.parametrize("direct_first", [True, False])
async def test_of_two_that_come_about_at_once_the_direct_one_stays(scene: Scene, direct_first: bool) -> None:
    """Whoever dialled: `a` dials directly, `m` through a third one, or the other way round."""
    thirds = [None, "c"] if direct_first else ["c", None]
    both = [asyncio.create_task(scene.meet("a", dialled=third is None, third=third)) for third in thirds]
    await scene.tick(0.0)
    if direct_first:
        assert len(scene.made) == 1
        assert (await both[1]).wiped
    else:
        assert [stream.over.is_set() for stream in scene.made] == [True, False]
    assert scene.routes.count_by_third() == 0
    scene.made[-1].close()
    await asyncio.gather(*both)


async def test_one_that_no_chat_needs_ends_after_a_while_whatever_heartbeats_say(scene: Scene) -> None:
    meeting = asyncio.create_task(scene.meet("a", dialled=False))
    scene.needed = [NodeId("a")]
    await scene.tick(2 * IDLE_S)
    scene.needed = []
    await scene.tick(IDLE_S - 1)
    scene.made[0].heard([Heartbeat(1, reply=False)])
    assert not scene.made[0].over.is_set()
    scene.made[0].heard(["something"])
    await scene.tick(IDLE_S - 1)
    assert not scene.made[0].over.is_set()
    await scene.tick(1)
    await meeting
    assert scene.made[0].over.is_set()


@pytest.mark.parametrize("ours_first", [True, False])
async def test_of_two_that_were_dialled_at_once_the_one_stays_that_the_lower_id_dialled(scene: Scene, ours_first: bool) -> None:
    """`a` is below `m`."""
    both = [asyncio.create_task(scene.meet("a", dialled=dialled)) for dialled in (ours_first, not ours_first)]
    await scene.tick(0.0)
    if ours_first:
        assert [stream.over.is_set() for stream in scene.made] == [True, False]
    else:
        assert len(scene.made) == 1, "the second one was not even opened"
        assert (await both[1]).wiped
    scene.made[-1].close()
    await asyncio.gather(*both)


@pytest.mark.parametrize("answers", [True, False])
async def test_the_lower_id_proves_nothing_on_the_others_stream_before_it_knows_what_comes_of_its_own(
    scene: Scene, answers: bool
) -> None:
    scene.answers = answers
    scene.slow.clear()
    scene.routes.want(NodeId("z"), cast("Any", scene))
    await scene.tick(0.0)
    theirs = asyncio.create_task(scene.routes.gives_way(NodeId("z")))
    await scene.tick(0.0)
    assert not theirs.done()
    scene.slow.set()
    assert await theirs is answers
    assert not await scene.routes.gives_way(NodeId("z")), "that stream is no news; who dials has lost it"
    await scene.tasks.close()


async def test_one_through_a_third_node_holds_up_no_direct_one_of_the_other_end(scene: Scene) -> None:
    """Both want to come back, and only the other one can dial."""
    scene.answers = False
    scene.slow.clear()
    scene.routes.want(NodeId("z"), cast("Any", scene))
    await scene.tick(0.0)
    carried = asyncio.create_task(scene.meet("z", dialled=True, third="c"))
    theirs = asyncio.create_task(scene.routes.gives_way(NodeId("z")))
    await scene.tick(0.0)
    assert not theirs.done(), "its own that is dialled may come about yet"
    scene.slow.set()
    assert not await theirs
    direct = asyncio.create_task(scene.meet("z", dialled=False))
    await carried
    assert scene.routes.count_by_third() == 0
    scene.made[-1].close()
    await direct
    await scene.tasks.close()


async def test_a_stream_of_this_nodes_own_that_is_slow_to_come_holds_up_nobody_for_long(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes, "HEAD_START_S", 0.01)
    scene.slow.clear()
    scene.routes.want(NodeId("z"), cast("Any", scene))
    await scene.tick(0.0)
    assert not await scene.routes.gives_way(NodeId("z"))
    await scene.tasks.close()


async def test_the_higher_id_gives_way_in_nothing(scene: Scene) -> None:
    scene.slow.clear()
    scene.routes.want(NodeId("a"), cast("Any", scene))
    await scene.tick(0.0)
    assert not await scene.routes.gives_way(NodeId("a"))
    await scene.tasks.close()


async def test_one_that_was_lost_at_its_other_end_gives_way(scene: Scene) -> None:
    first = asyncio.create_task(scene.meet("a", dialled=False))
    await scene.tick(0.0)
    await scene.tick(CROSSED_S)
    second = asyncio.create_task(scene.meet("a", dialled=True))
    await scene.tick(0.0)
    await first
    assert [stream.over.is_set() for stream in scene.made] == [True, False]
    scene.routes.close(NodeId("a"))
    await second
