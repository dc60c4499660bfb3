"""A broken pair: who answers others and not this node is told once, counted while it lasts, and told again when it ends."""

from __future__ import annotations

import io
import json

import pytest

from hermes_core.ids import NodeId
from hermes_core.mesh.swim.output import ProbeEnded, ProbeResult
from hermes_node.logs.event_log import EventLog
from hermes_node.mesh.reach import MISSES, STALE_S, Reach

ONE, TWO = NodeId("n-1"), NodeId("n-2")


class Watch:
    """A Reach, its clock and what it logged."""

    def __init__(self) -> None:
        self.now = 0.0
        self.stream = io.StringIO()
        self.reach = Reach(lambda: self.now, EventLog(node_id="n-0", stream=self.stream))

    def probe(self, result: ProbeResult, node_id: NodeId = ONE) -> None:
        self.reach.take_probe(ProbeEnded(node_id, result, 0.4))

    @property
    def told(self) -> list[tuple[str, str]]:
        return [(line["event"], line["peer"]) for line in map(json.loads, self.stream.getvalue().splitlines())]


@pytest.fixture
def watch() -> Watch:
    return Watch()


def test_an_answer_through_others_twice_in_a_row_is_a_broken_pair_until_it_answers_itself(watch: Watch) -> None:
    watch.probe(ProbeResult.INDIRECT)
    assert watch.reach.list_unreached() == frozenset()
    for _ in range(5):
        watch.probe(ProbeResult.INDIRECT)
    assert watch.reach.list_unreached() == {ONE}
    assert watch.told == [("peer_unreached", ONE)]
    watch.probe(ProbeResult.DIRECT)
    assert watch.reach.list_unreached() == frozenset()
    assert watch.told[1:] == [("peer_reached", ONE)]


def test_one_late_answer_now_and_then_is_none(watch: Watch) -> None:
    for _ in range(5):
        watch.probe(ProbeResult.INDIRECT)
        watch.probe(ProbeResult.DIRECT)
    assert watch.told == []


def test_who_answers_nobody_is_no_pair(watch: Watch) -> None:
    for _ in range(5):
        watch.probe(ProbeResult.FAILED)
    assert watch.reach.list_unreached() == frozenset()


def test_dials_for_chats_that_lead_nowhere_tell_of_who_is_probed_by_others_alone(watch: Watch) -> None:
    for _ in range(MISSES):
        watch.reach.miss(TWO, "timeout")
    assert watch.reach.list_unreached() == {TWO}
    watch.now = STALE_S + 1
    assert watch.reach.list_unreached() == frozenset(), "nobody tried it for long"


def test_who_is_dead_for_all_is_forgotten(watch: Watch) -> None:
    for _ in range(MISSES):
        watch.probe(ProbeResult.INDIRECT)
    watch.reach.forget(ONE)
    assert watch.reach.list_unreached() == frozenset()
