"""Metrics of how members find out who is there: probes, suspicions, what this node is accused of, how well it feels."""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram

from hermes_core.mesh.swim.output import ProbeResult
from hermes_node.metrics.family_types import CounterSeries, ReadCounterFamily, ReadGauge
from hermes_node.metrics.labels import MeshBudget, ProbeDirection, SuspicionLabel

PROBE_BUCKETS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class SwimMetrics:
    """This node's own probes and its own view; other nodes may see it otherwise."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.local_health = ReadGauge(
            registry,
            "hermes_mesh_local_health",
            "How slow this node finds itself, 0 (well) to 8: its probes and timeouts are longer by so many periods.",
        )
        self.rumours = ReadGauge(
            registry, "hermes_mesh_rumours", "Names that one member brought and nobody else vouched for yet: no members."
        )
        self.unreached = ReadGauge(
            registry,
            "hermes_mesh_members_unreached",
            "Members that answer others and not this node; chats with them need a third node. The log's `peer_unreached`.",
        )
        self.budget_refusals = ReadCounterFamily(
            registry,
            "hermes_mesh_budget_refusals",
            "What members asked of this node beyond what one may, and got no answer to, by what it was.",
            "budget",
            MeshBudget,
        )
        self._probes = CounterSeries(
            registry,
            "hermes_mesh_probes_total",
            "Probes that this node began, by how they ended; indirect: the member answered others, and not this node.",
            {"result": ProbeResult},
        )
        self._round_trip = Histogram(
            "hermes_mesh_probe_duration_seconds",
            "Time from a probe until the member's own answer to this node, with the dial where there was no link.",
            buckets=PROBE_BUCKETS,
            registry=registry,
        )
        self._messages = CounterSeries(
            registry,
            "hermes_mesh_probe_messages_total",
            "Messages of membership by SWIM, whatever they carry along; none where mesh.membership is gossip.",
            {"direction": ProbeDirection},
        )
        self._suspicions = CounterSeries(
            registry,
            "hermes_mesh_suspicions_total",
            "Suspicions that began here (made: by this node, heard: by another one's word) and ended (all the others).",
            {"event": SuspicionLabel},
        )
        self._refutations = Counter(
            "hermes_mesh_refutations_total",
            "Times that this node raised its incarnation, to contradict that it is gone or to be above what it signed before.",
            registry=registry,
        )

    def observe_probe(self, result: ProbeResult, seconds: float) -> None:
        self._probes.count(result)
        if result is ProbeResult.DIRECT:
            self._round_trip.observe(seconds)

    def count_messages(self, direction: ProbeDirection, messages: int) -> None:
        self._messages.count(direction, amount=messages)

    def count_suspicion(self, event: SuspicionLabel) -> None:
        self._suspicions.count(event)

    def count_refutation(self) -> None:
        self._refutations.inc()
