"""Other keys under a node's name: the metric counts all, and a line a minute is for each name."""

from __future__ import annotations

import io
import json
from typing import Any, cast

from hermes_core.ids import NodeId
from hermes_core.mesh.machine import IdentityConflict
from hermes_node.logs.event_log import EventLog
from hermes_node.logs.spaced import AGAIN_S, MAX_TOLD
from hermes_node.mesh.name_conflicts import NameConflicts
from hermes_node.mesh.tell import tell_mesh_event
from hermes_node.metrics.registry import NodeMetrics


class Told:
    def __init__(self) -> None:
        self.now = 0.0
        self.metrics = NodeMetrics(version="", revision="")
        self._text = io.StringIO()
        self._log = EventLog(node_id="n", stream=self._text, clock=lambda: self.now)
        self._conflicts = NameConflicts(self._log, lambda: self.now)

    def claim(self, name: str) -> None:
        event, nobody = IdentityConflict(NodeId(name)), cast("Any", None)
        tell_mesh_event(event, nobody, self._log, self.metrics, self._conflicts)

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._text.getvalue().splitlines()]


def test_each_name_has_a_warning_a_minute_and_the_metric_counts_all() -> None:
    told = Told()
    for _ in range(5):
        told.claim("a")
    told.claim("b")
    told.now = AGAIN_S
    told.claim("a")
    shown = [(line["level"], line["event"], line["peer"], line["untold"]) for line in told.lines()]
    wanted = [("a", 0), ("b", 0), ("a", 4)]
    assert shown == [("warning", "peer_identity_conflict", *each) for each in wanted]
    assert told.metrics.registry.get_sample_value("hermes_mesh_identity_conflicts_total") == 7


def test_names_that_are_remembered_are_bounded() -> None:
    told = Told()
    for number in range(MAX_TOLD + 1):
        told.claim(f"n-{number}")
        told.now += 0.01
    assert len(told._conflicts._told) == MAX_TOLD
