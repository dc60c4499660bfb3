"""Metrics of what listeners other than the apps' refused."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from hermes_core.errors import ErrorCode
from hermes_h2.events import Refusal
from hermes_node.metrics.family_types import CounterSeries
from hermes_wire.http_server import RefusedHttp


class ListenerMetrics:
    """By the bound that was broken."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._admin = CounterSeries(
            registry,
            "hermes_admin_connections_refused_total",
            "Connections to the admin port that were ended, by the bound that was broken.",
            {"kind": RefusedHttp},
        )

        self._mesh = CounterSeries(
            registry,
            "hermes_mesh_streams_refused_total",
            "Streams of other nodes that were refused: no proof, a false one, or more than one member may hold.",
            {"code": ErrorCode},
        )

        self._mesh_connections = CounterSeries(
            registry,
            "hermes_mesh_connections_refused_total",
            "Connections to the mesh's port that were ended: TLS failed, or a bound or rule was broken.",
            {"kind": Refusal},
        )

    def count_mesh(self, code: ErrorCode) -> None:
        self._mesh.count(code)

    def count_mesh_connection(self, kind: Refusal) -> None:
        self._mesh_connections.count(kind)

    def count_admin(self, kind: RefusedHttp) -> None:
        self._admin.count(kind)
