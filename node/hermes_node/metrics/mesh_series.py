"""Metrics of membership and of the certificates that hold the mesh together."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge

from hermes_node.metrics.family_types import CounterSeries, ReadGauge, ReadGaugeFamily
from hermes_node.metrics.labels import (
    CarryRefusalLabel,
    CertificateKind,
    DialResult,
    KeyChange,
    LieLabel,
    LinkPurpose,
    MemberStateLabel,
    OperationResult,
)


class MeshMetrics:
    """This node's view of the mesh; other nodes may see it otherwise."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.members = ReadGaugeFamily(
            registry, "hermes_mesh_members", "Members as this node sees them, itself included.", "state", MemberStateLabel
        )
        self.links = ReadGaugeFamily(
            registry,
            "hermes_mesh_links",
            "Links that stand between this node and others, by what they are for.",
            "purpose",
            LinkPurpose,
        )
        self._dials = CounterSeries(
            registry,
            "hermes_mesh_dials_total",
            "Dials of other nodes, by what for and what came of them; those of seeds are in hermes_mesh_joins_total.",
            {"purpose": LinkPurpose, "result": DialResult},
        )
        self.routes_by_third = ReadGauge(
            registry, "hermes_mesh_routes_by_third", "Of hermes_mesh_links those for chats that go through a third node."
        )
        self.carried = ReadGauge(
            registry, "hermes_mesh_carried_streams", "Streams for chats that this node passes on between two others."
        )
        self._carries_refused = CounterSeries(
            registry,
            "hermes_mesh_carries_refused_total",
            "Streams between two other nodes that this one was asked to pass on and did not.",
            {"reason": CarryRefusalLabel},
        )
        self._transitions = CounterSeries(
            registry, "hermes_mesh_state_transitions_total", "Members that changed state.", {"to": MemberStateLabel}
        )
        self._joins = CounterSeries(
            registry, "hermes_mesh_joins_total", "Attempts to join through a seed.", {"result": OperationResult}
        )
        self._evicted = Counter("hermes_mesh_evicted_peers_total", "Dead members that were forgotten.", registry=registry)
        self._conflicts = Counter(
            "hermes_mesh_identity_conflicts_total",
            "Claims to a live member's name with another identity key.",
            registry=registry,
        )
        self._lies = CounterSeries(
            registry,
            "hermes_mesh_lies_total",
            "What only a lying, broken or copied node says, by what it was; in the log `peer_lied`, or `second_self_met`.",
            {"lie": LieLabel},
        )
        self._keys = CounterSeries(
            registry,
            "hermes_mesh_keys_replaced_total",
            "Members that bear another identity key than before; renewed: signed by the former one as well.",
            {"how": KeyChange},
        )
        self._not_after = Gauge(
            "hermes_tls_certificate_not_after_timestamp_seconds",
            "When the certificate in use expires; no series while there is no such certificate.",
            ("kind",),
            registry=registry,
        )

    def count_transition(self, to: MemberStateLabel) -> None:
        self._transitions.count(to)

    def count_join(self, result: OperationResult) -> None:
        self._joins.count(result)

    def count_dial(self, purpose: LinkPurpose, result: DialResult) -> None:
        self._dials.count(purpose, result)

    def count_carry_refused(self, reason: CarryRefusalLabel) -> None:
        self._carries_refused.count(reason)

    def count_evicted(self) -> None:
        self._evicted.inc()

    def count_identity_conflict(self) -> None:
        self._conflicts.inc()

    def count_key_replaced(self, how: KeyChange) -> None:
        self._keys.count(how)

    def count_lie(self, lie: LieLabel) -> None:
        self._lies.count(lie)

    def set_certificate_expiry(self, kind: CertificateKind, not_after_s: float) -> None:
        """`not_after_s`: Unix seconds; call it again when a certificate was reloaded."""
        self._not_after.labels(kind.value).set(not_after_s)
