"""The shell of what others' clocks say: each says its time once on a stream, and what follows reaches the chats."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from hermes_core.clock_check import ClockDoubt, ClockJudgement
from hermes_core.clock_peers import ClockPeers, SeenTime
from hermes_core.crypto.signing import Identity
from hermes_core.errors import ErrorCode, ProtocolError
from hermes_core.ids import NodeId
from hermes_core.mesh.descriptor import sign_descriptor
from hermes_core.mesh.messages import Clock
from hermes_node.clock import SteadyClock
from hermes_node.logs.event_log import EventLog
from hermes_node.mesh.clocks import Clocks
from hermes_node.mesh.links import GossipLink

SEEN = 1_800_000_000.0
DAY_S = 86_400.0
KEYS = Identity.generate()


class Link(GossipLink):
    """Keeps what is sent on it."""

    def __init__(self, number: int) -> None:
        node_id = NodeId(f"node-{number}")
        super().__init__(sign_descriptor(KEYS, node_id=node_id, address="a:1", incarnation=1, version="2.0.0"))
        self.sent: list[object] = []

    def send(self, message: object) -> None:
        self.sent.append(message)


@dataclass
class Scene:
    """A node that was away for `away` seconds, by its own clock, and waits for others' clocks."""

    away: float
    moved: list[float] = field(default_factory=list)
    renewed: int = 0
    trusted: int = 0
    counted: list[ClockJudgement] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.wall = SEEN + self.away
        self.uptime = 0.0
        self.clock = SteadyClock(lambda: self.wall + self.uptime, lambda: self.uptime)
        peers = self.peers = ClockPeers(self.wall, SeenTime(SEEN), wait_s=15.0)
        self.clock.set(peers.start_s)
        self._stream = io.StringIO()
        log = EventLog(node_id="node", stream=self._stream)
        self.clocks = Clocks(peers=peers, clock=self.clock, chats=self, count_doubt=self.counted.append, log=log)

    @property
    def date(self) -> float:
        return self.peers.read(self.clock.now()).date_s

    def set_calendar(self, ahead_s: float) -> None:
        self.moved.append(ahead_s)

    def doubt_keys(self) -> None:
        self.renewed += 1

    def trust_clock(self) -> None:
        self.trusted += 1

    @property
    def told(self) -> list[Any]:
        return [json.loads(line)["event"] for line in self._stream.getvalue().splitlines()]

    def hear(self, *clocks_s: float) -> list[Link]:
        links = [Link(number) for number in range(len(clocks_s))]
        for link, clock_s in zip(links, clocks_s, strict=True):
            self.clocks.linked(link)
            self.clocks.receive(link, Clock(round(clock_s * 1000)))
        return links


def test_three_that_agree_let_all_of_it_count() -> None:
    scene = Scene(60 * DAY_S)
    assert scene.date == SEEN
    links = scene.hear(scene.wall, scene.wall + 1, scene.wall + 2)
    assert [link.sent for link in links] == [[Clock(round(scene.wall * 1000))]] * 3
    assert scene.moved == [53 * DAY_S]
    assert scene.date == scene.wall
    assert scene.clock.now() == SEEN + 7 * DAY_S, "timers do not move"
    assert scene.told == ["date_settled", "clock_confirmed"]
    assert (scene.renewed, scene.counted) == (0, [])


def test_three_that_contradict_it_have_every_old_key_renewed() -> None:
    scene = Scene(3 * DAY_S)
    scene.hear(SEEN + 60, SEEN + 60, SEEN + 60)
    assert scene.counted == [ClockJudgement(SEEN + 60, ClockDoubt.OFF, 3 * DAY_S - 60)]
    assert scene.renewed == 1
    assert scene.date == pytest.approx(SEEN, abs=60)


def test_nobody_comes() -> None:
    scene = Scene(60 * DAY_S)
    assert scene.clocks.next_due() == scene.clock.now() + 15.0
    scene.uptime += 14.0
    scene.clocks.tick()
    assert scene.moved == []
    scene.uptime += 1.0
    scene.clocks.tick()
    assert scene.moved == [0.0]
    assert scene.clocks.next_due() == float("inf")
    assert scene.date == SEEN + 7 * DAY_S + 15.0


def test_a_node_says_its_time_once_on_a_stream() -> None:
    scene = Scene(0.0)
    (link,) = scene.hear(scene.wall)
    with pytest.raises(ProtocolError) as caught:
        scene.clocks.receive(link, Clock(1))
    assert caught.value.code is ErrorCode.INVALID_FRAME


def test_a_stream_that_ended_takes_its_clock_with_it_unless_another_took_its_place() -> None:
    scene = Scene(60 * DAY_S)
    first, second = scene.hear(scene.wall, scene.wall)
    again = Link(1)
    scene.clocks.linked(again)
    scene.clocks.receive(again, Clock(round(scene.wall * 1000)))
    scene.clocks.unlinked(second)
    scene.clocks.unlinked(first)
    scene.clocks.receive(first, Clock(1))  # nothing that is under way counts any more
    third = Link(2)
    scene.clocks.linked(third)
    scene.clocks.receive(third, Clock(round(scene.wall * 1000)))
    assert scene.moved == []
    scene.hear(scene.wall)
    assert scene.moved == [53 * DAY_S]


def test_the_operator_and_one_node_are_enough_and_one_that_says_nothing_is_none() -> None:
    scene = Scene(60 * DAY_S)
    scene.hear(scene.wall)
    scene.clocks.take_operator(0)
    assert scene.moved == []
    scene.clocks.take_operator(round(scene.wall * 1000))
    assert scene.moved == [53 * DAY_S]
