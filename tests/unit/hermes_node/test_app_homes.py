"""The shell of the directory: what the machine wants sent and told goes where it belongs, until the node ends."""

from __future__ import annotations

import io
import json
from typing import Any

from hermes_core.ids import AppId, NodeId, node_party
from hermes_core.mesh.homes.machine import Homes, Overtaken
from hermes_core.mesh.homes.messages import EntriesHeld, EntryFound, FindEntry, FindRefused, HoldEntries
from hermes_core.mesh.homes.params import HomesParams
from hermes_core.mesh.homes.searches import Found
from hermes_node.logs.event_log import EventLog
from hermes_node.mesh.homes import AppHomes
from hermes_node.metrics.registry import NodeMetrics
from tests.support.claims import make_claim
from tests.support.homes_world import app_of, id_of, identity_of

APP = app_of(1)
THERE = NodeId("node-1")


class Scene:
    """A node with one member besides it."""

    def __init__(self) -> None:
        self.identity = identity_of(1)
        self.now = 100.0
        self.sent: list[Any] = []
        self.told: list[Found | Overtaken] = []
        self.woken = 0
        self.lines = io.StringIO()
        self.log = EventLog(node_id="node-0", stream=self.lines)
        self.metrics = NodeMetrics(version="", revision="")
        homes = Homes(self.identity, NodeId("node-0"), 1, HomesParams(asked_burst=2), lambda _stamp, _now: True)
        self.homes = AppHomes(
            homes,
            self,
            lambda _, message: self.sent.append(message),
            self.wake,
            lambda: self.now,
            log=self.log,
            metrics=self.metrics.directory,
        )
        self.homes.set_members({THERE: 1})

    def wake(self) -> None:
        self.woken += 1

    def app_found(self, found: Found) -> None:
        self.told.append(found)

    def app_overtaken(self, news: Overtaken) -> None:
        self.told.append(news)

    def connect(self) -> None:
        party = node_party(NodeId("node-0"), self.identity.public_key)
        self.homes.set_local_apps({id_of(APP): make_claim(APP, party, 5)})


def test_entries_and_questions_are_sent_and_answers_told() -> None:
    scene = Scene()
    scene.connect()
    assert isinstance(scene.sent.pop(), HoldEntries)
    scene.homes.look_up(AppId("a" * 32))
    assert scene.sent.pop() == FindEntry(1, AppId("a" * 32))
    woken = scene.woken
    scene.now = scene.homes.next_due()
    scene.homes.tick()
    assert scene.told == [Found(AppId("a" * 32), None, online=False, complete=False)]
    assert scene.woken == woken, "who ticks is awake, and would never sleep again"


def test_what_was_lost_with_a_link_is_sent_over_the_next_one() -> None:
    scene = Scene()
    scene.connect()
    first = scene.sent.pop()
    scene.homes.linked(THERE)
    again = scene.sent.pop()
    assert again.entries == first.entries
    scene.homes.receive(THERE, EntriesHeld(again.number))
    scene.homes.linked(THERE)
    assert scene.sent == []


def test_a_node_whose_identity_was_wiped_says_nothing() -> None:
    scene = Scene()
    scene.homes.close()
    scene.identity.wipe()
    scene.connect()
    scene.homes.linked(THERE)
    scene.homes.look_up(id_of(APP))
    scene.homes.tick()
    assert scene.homes.next_due() == float("inf")
    assert (scene.sent, scene.told) == ([], [])


def test_who_asks_too_much_is_refused_counted_and_named_once() -> None:
    scene = Scene()
    for number in range(5):
        scene.homes.receive(THERE, FindEntry(number, id_of(APP)))
    assert [type(message) for message in scene.sent] == [EntryFound] * 2 + [FindRefused] * 3
    assert b"hermes_mesh_look_ups_refused_total 3.0" in scene.metrics.exposition()[0]
    (line,) = scene.lines.getvalue().splitlines()
    assert json.loads(line).items() >= {"event": "peer_asks_too_much", "peer": THERE, "retry_after_ms": 1}.items()


def test_what_the_machine_counts_and_tells_of_is_in_metrics_and_log() -> None:
    scene = Scene()
    scene.connect()
    scene.homes.set_members({THERE: 1, NodeId("node-2"): 1})
    scene.homes.look_up(id_of(APP))
    text = scene.metrics.exposition()[0].decode()
    assert 'hermes_mesh_look_ups_total{result="found"} 1.0' in text
    assert "hermes_mesh_look_up_duration_seconds_count 1.0" in text
    assert 'hermes_mesh_directory_entries_total{fate="handed"} 2.0' in text
    (line,) = scene.lines.getvalue().splitlines()
    assert json.loads(line).items() >= {"event": "app_holders_changed", "apps": 1}.items()
    assert (scene.homes.count_own(), scene.homes.count_held()) == (1, 0)
