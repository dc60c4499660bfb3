"""Metrics of the processes in front of this node; all are 0 where it takes apps' connections itself."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

from prometheus_client import CollectorRegistry

from hermes_front.owner.reports import EndReason, Figures
from hermes_node.metrics.family_types import CounterSeries, ReadCounter, ReadCounterFamily, ReadGauge, ReadGaugeFamily
from hermes_node.metrics.labels import FrontConnection, LinkDirection


class FrontMetrics:
    """`bind` once there are fronts. What is counted goes on over their ends."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._running = ReadGauge(registry, "hermes_fronts", "Fronts that are up.")
        self._resident = ReadGauge(registry, "hermes_front_resident_bytes", "Memory of all fronts together, as it is resident.")
        self._connections = ReadGaugeFamily(
            registry,
            "hermes_front_connections",
            "Connections that fronts hold, by whether something was proven on them.",
            "kind",
            FrontConnection,
        )
        self._ends = CounterSeries(
            registry, "hermes_front_ends_total", "Fronts that ended, by why; each is started again.", {"reason": EndReason}
        )
        self._bytes = ReadCounterFamily(
            registry, "hermes_front_link_bytes", "Bytes between fronts and this node.", "direction", LinkDirection
        )
        self._frames = ReadCounterFamily(
            registry, "hermes_front_link_frames", "Frames between fronts and this node.", "direction", LinkDirection
        )
        self._waits = ReadCounter(
            registry, "hermes_front_credit_waits", "Times that a stream to an app waited, since its front took no more."
        )

    def count_ended(self, reason: EndReason) -> None:
        self._ends.count(reason)

    def bind(self, read: Callable[[], Figures]) -> None:
        def connections() -> dict[StrEnum, float]:
            figures = read()
            proven = figures.connections - figures.strangers
            return {FrontConnection.PROVEN: proven, FrontConnection.STRANGER: figures.strangers}

        def amount(incoming: int, outgoing: int) -> dict[StrEnum, float]:
            return {LinkDirection.IN: incoming, LinkDirection.OUT: outgoing}

        self._running.bind(lambda: read().running)
        self._resident.bind(lambda: read().resident_bytes)
        self._connections.bind(lambda kind: connections()[kind])
        self._bytes.bind(lambda way: amount(read().bytes_in, read().bytes_out)[way])
        self._frames.bind(lambda way: amount(read().frames_in, read().frames_out)[way])
        self._waits.bind(lambda: read().waits)
