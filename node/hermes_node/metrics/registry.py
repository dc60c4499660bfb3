"""The metrics of a node: one registry, a group for each concern, typed methods for each fact.

docs/reference/metrics.md is generated from these classes. Series of enum labels exist from the start with 0; no label grows
with chats, apps, keys or messages.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Info, ProcessCollector
from prometheus_client.exposition import choose_encoder

from hermes_core.handshake.transcript import PROTOCOL_VERSION
from hermes_node.metrics.chats_series import ChatMetrics, SessionMetrics
from hermes_node.metrics.directory_series import DirectoryMetrics
from hermes_node.metrics.fronts_series import FrontMetrics
from hermes_node.metrics.grpc_calls import GrpcServerMetrics
from hermes_node.metrics.keystore_series import KeystoreMetrics
from hermes_node.metrics.listeners_series import ListenerMetrics
from hermes_node.metrics.loop_lag import LoopLag
from hermes_node.metrics.mesh_series import MeshMetrics
from hermes_node.metrics.swim_series import SwimMetrics

GRPC_STREAMS = {
    "hermes.v2.AppRouter": ("Open",),
    "hermes.v2.NodeMesh": ("Join", "Gossip", "RouteChat"),
}


class NodeMetrics:
    """`grpc` is an interceptor for the node's servers, `loop.sample()` a task; the rest is called where the facts arise.

    `metrics.events` translates the machines' events.
    """

    def __init__(self, *, version: str, revision: str = "") -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        Info("hermes_build", "What runs here.", registry=self.registry).info(
            {"version": version, "revision": revision, "protocol": str(PROTOCOL_VERSION)}
        )
        self.loop = LoopLag(self.registry)
        self.grpc = GrpcServerMetrics(self.registry)
        for service, methods in GRPC_STREAMS.items():
            self.grpc.add_streams(service, methods)
        self.sessions = SessionMetrics(self.registry)
        self.chats = ChatMetrics(self.registry)
        self.keystore = KeystoreMetrics(self.registry)
        self.mesh = MeshMetrics(self.registry)
        self.swim = SwimMetrics(self.registry)
        self.directory = DirectoryMetrics(self.registry)
        self.listeners = ListenerMetrics(self.registry)
        self.fronts = FrontMetrics(self.registry)

    def exposition(self, accept: str = "") -> tuple[bytes, str]:
        """The body of /metrics and its content type, in the format that the `Accept` header asks for."""
        try:
            encode, content_type = choose_encoder(accept if accept.isascii() else "")
        except TypeError:  # a version that is none
            encode, content_type = choose_encoder("")
        return encode(self.registry), content_type
