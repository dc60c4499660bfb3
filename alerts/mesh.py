"""Alerts on whether a mesh is there: nodes, membership, scraping, certificates."""

from __future__ import annotations

from alerts.model import COUNT, DURATION, MESH, POD, THRESHOLD_MARK, VALUE, Alert, DashboardLink, Recording, Severity, Threshold

DAY_S = 86400
MISSING = "namespace_mesh:hermes_mesh_missing_replicas:max"

RECORDINGS = (
    Recording(
        MISSING,
        "max by (namespace, mesh) (hermes_operator_mesh_desired_replicas)\n"
        "-\n"
        "max by (namespace, mesh) (hermes_operator_mesh_ready_replicas)",
    ),
)


def _expiring(severity: Severity, days: int, variant: str) -> Alert:
    return Alert(
        name="HermesCertificateExpiring",
        variant=variant,
        severity=severity,
        summary="A certificate of a Hermes node expires soon and was not renewed.",
        description=f"The {{{{ $labels.kind }}}} certificate of {POD} expires in {DURATION}.",
        expr=(
            "min by (namespace, mesh, pod, kind) (hermes_tls_certificate_not_after_timestamp_seconds) - time()"
            f" < {THRESHOLD_MARK}"
        ),
        threshold=Threshold(days * DAY_S, "seconds until the certificate in use expires"),
        lasting="15m",
        link=DashboardLink.POD,
    )


ALERTS = (
    Alert(
        name="HermesMeshDown",
        severity=Severity.CRITICAL,
        summary="No node of a HermesMesh serves.",
        description=f"Mesh {MESH} wants {VALUE} nodes and none is ready.",
        # The second half sees a mesh that no operator speaks of: by itself, or while the operator is away.
        expr=(
            "(\n"
            "  max by (namespace, mesh) (hermes_operator_mesh_desired_replicas) > 0\n"
            "and\n"
            "  max by (namespace, mesh) (hermes_operator_mesh_ready_replicas) == 0\n"
            ")\n"
            "or\n"
            "(\n"
            '  count by (namespace, mesh) (up{job="hermes-node"} == 0)\n'
            "unless\n"
            '  max by (namespace, mesh) (up{job="hermes-node"}) == 1\n'
            "unless\n"
            "  max by (namespace, mesh) (hermes_operator_mesh_desired_replicas)\n"
            ")"
        ),
        lasting="5m",
    ),
    Alert(
        name="HermesMeshDegraded",
        severity=Severity.WARNING,
        summary="A HermesMesh has fewer ready nodes than it wants.",
        description=f"{VALUE} nodes of mesh {MESH} are not ready.",
        # One node away during a rollout is the rollout's normal state, however long a large mesh takes.
        expr=(
            f"{MISSING} > {THRESHOLD_MARK}\n"
            "and\n"
            "max by (namespace, mesh) (hermes_operator_mesh_ready_replicas) > 0\n"
            "unless\n"
            "(\n"
            f"  {MISSING} == 1\n"
            "and\n"
            "  max by (namespace, mesh) (hermes_operator_rollout_in_progress_since_timestamp_seconds)\n"
            ")"
        ),
        threshold=Threshold(0, "nodes that may be missing"),
        lasting="15m",
    ),
    Alert(
        name="HermesMetricsAbsent",
        severity=Severity.CRITICAL,
        summary="The nodes of a HermesMesh are not scraped, so its other alerts are blind.",
        description=f"{VALUE} nodes of mesh {MESH} are ready and Prometheus scrapes none of them.",
        expr=(
            "max by (namespace, mesh) (hermes_operator_mesh_ready_replicas) > 0\n"
            "unless\n"
            'sum by (namespace, mesh) (up{job="hermes-node"}) > 0'
        ),
        lasting="10m",
    ),
    Alert(
        name="HermesMeshPartitioned",
        severity=Severity.CRITICAL,
        summary="The nodes of a HermesMesh disagree about who is alive.",
        description=f"In mesh {MESH} one node sees {VALUE} more live members than another: chats between them fail.",
        expr=(
            'max by (namespace, mesh) (hermes_mesh_members{state="alive"})\n'
            "-\n"
            'min by (namespace, mesh) (hermes_mesh_members{state="alive"})\n'
            f"> {THRESHOLD_MARK}"
        ),
        threshold=Threshold(0, "difference in live members that may last"),
        lasting="10m",
    ),
    Alert(
        name="HermesNodeRestarting",
        severity=Severity.WARNING,
        summary="A Hermes node restarts again and again.",
        description=f"{POD} restarted {VALUE} times in 30 minutes.",
        # A new pod has a new address and so a new series: each series in the window is one start, each change another.
        expr=(
            'sum by (namespace, mesh, pod) (changes(process_start_time_seconds{job="hermes-node"}[30m]) + 1) - 1'
            f" >= {THRESHOLD_MARK}"
        ),
        threshold=Threshold(3, "restarts of one node in 30 minutes"),
        link=DashboardLink.POD,
    ),
    Alert(
        name="HermesEventLoopLagHigh",
        severity=Severity.WARNING,
        summary="A Hermes node is saturated.",
        description=(
            f"The event loop of {POD} runs {DURATION} late at the 99th percentile: everything it serves waits that long."
        ),
        expr=(
            "histogram_quantile(0.99, sum by (namespace, mesh, pod, le) (rate(hermes_event_loop_lag_seconds_bucket[5m])))"
            f" > {THRESHOLD_MARK}"
        ),
        threshold=Threshold(0.5, "seconds of lag at the 99th percentile over 5 minutes"),
        lasting="10m",
        link=DashboardLink.POD,
    ),
    Alert(
        name="HermesFrontsEnding",
        severity=Severity.WARNING,
        summary="The processes that take apps' connections for a Hermes node end again and again.",
        description=f"Fronts of {POD} ended {COUNT} times in 15 minutes ({{{{ $labels.reason }}}}), each with its connections.",
        expr=(
            'sum by (namespace, mesh, pod, reason) (increase(hermes_front_ends_total{reason!="stopped"}[15m]))'
            f" >= {THRESHOLD_MARK}"
        ),
        threshold=Threshold(3, "fronts of one node that ended for one reason within 15 minutes"),
        keep="15m",
        link=DashboardLink.POD,
    ),
    _expiring(Severity.WARNING, 21, "Warning"),
    _expiring(Severity.CRITICAL, 7, "Critical"),
)
