"""Metrics of the directory of apps: what is held, what is handed on, how look-ups end."""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram

from hermes_core.mesh.homes.machine import EntryFate
from hermes_core.mesh.homes.searches import LookUpResult
from hermes_node.metrics.family_types import CounterSeries, ReadGaugeFamily
from hermes_node.metrics.labels import EntryRole

LOOK_UP_BUCKETS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 4.0, 6.0)


class DirectoryMetrics:
    """Of this node; no label names an app."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.entries = ReadGaugeFamily(
            registry,
            "hermes_mesh_directory_entries",
            "Apps whose home this node knows: its own, those it holds for others, those that its look-ups found.",
            "role",
            EntryRole,
        )
        self._handed = CounterSeries(
            registry,
            "hermes_mesh_directory_entries_total",
            "Entries that this node handed to holders, and what it did with those that were handed to it.",
            {"fate": EntryFate},
        )
        self._look_ups = CounterSeries(
            registry,
            "hermes_mesh_look_ups_total",
            "Look-ups of apps by how they ended; unanswered: who was asked did not answer, and nobody else knew.",
            {"result": LookUpResult},
        )
        self._look_up_seconds = Histogram(
            "hermes_mesh_look_up_duration_seconds",
            "Time of look-ups of apps, however they ended.",
            buckets=LOOK_UP_BUCKETS,
            registry=registry,
        )
        self._look_ups_refused = Counter(
            "hermes_mesh_look_ups_refused_total",
            "Look-ups of other nodes beyond what one may ask of this one; the log's `peer_asks_too_much` names it.",
            registry=registry,
        )

    def observe_look_up(self, result: LookUpResult, seconds: float) -> None:
        self._look_ups.count(result)
        self._look_up_seconds.observe(seconds)

    def count_entries(self, fate: EntryFate, amount: int) -> None:
        self._handed.count(fate, amount=amount)

    def count_look_up_refused(self) -> None:
        self._look_ups_refused.inc()
