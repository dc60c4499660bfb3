"""Alerts on the operator and on what it does: rollouts and the proof that restarted nodes resumed."""

from __future__ import annotations

from alerts.model import COUNT, DURATION, MESH, PERCENT, THRESHOLD_MARK, VALUE, Alert, DashboardLink, Severity, Threshold, risen

_SINCE = "max by (namespace, mesh) (hermes_operator_rollout_in_progress_since_timestamp_seconds)"

ALERTS = (
    Alert(
        name="HermesResumeCheckFailed",
        severity=Severity.CRITICAL,
        summary="A restarted node does not hold what it held before.",
        description=(
            f"{COUNT} resume checks ({{{{ $labels.check }}}}) failed in {MESH}: chats are missing, positions are "
            "lower, or the identity changed."
        ),
        expr=risen('hermes_operator_resume_checks_total{result="fail"}', "namespace, mesh, check"),
        keep="30m",
    ),
    Alert(
        name="HermesRolloutHalted",
        severity=Severity.WARNING,
        summary="A rolling restart halted.",
        description=(
            f"The rollout of mesh {MESH} halted ({COUNT} in 15 minutes); no further node is restarted until the spec changes."
        ),
        expr=risen('hermes_operator_rollouts_total{result="halted"}', "namespace, mesh"),
        keep="1h",
    ),
    Alert(
        name="HermesRolloutStuck",
        severity=Severity.WARNING,
        summary="A rolling restart does not come to an end.",
        description=f"The rollout of mesh {MESH} has been running for {DURATION}.",
        expr=(
            f"time() - {_SINCE}\n"
            ">\n"
            f"{THRESHOLD_MARK} * max by (namespace, mesh) (hermes_operator_mesh_desired_replicas)\n"
            "unless\n"
            "max by (namespace, mesh) "
            '(hermes_operator_mesh_condition{condition="RolloutPaused",status="True"}) == 1'
        ),
        threshold=Threshold(600, "seconds a rollout may take for each wanted node"),
        lasting="5m",
    ),
    Alert(
        name="HermesOperatorDown",
        severity=Severity.WARNING,
        summary="The Hermes operator does not run.",
        description=(
            f"Prometheus finds no running operator (absent: {VALUE}). Meshes go on serving, and nothing repairs or renews them."
        ),
        expr='absent(up{job="hermes-operator"} == 1)',
        lasting="10m",
        link=DashboardLink.NONE,
    ),
    Alert(
        name="HermesOperatorNoLeader",
        severity=Severity.WARNING,
        summary="No Hermes operator is the active one.",
        description=f"{VALUE} of the operators that run holds the lease; meshes are not repaired.",
        expr='max(hermes_operator_leader{job="hermes-operator"}) == 0',
        lasting="10m",
        link=DashboardLink.NONE,
    ),
    Alert(
        name="HermesOperatorReconcileErrors",
        severity=Severity.WARNING,
        summary="The Hermes operator fails to reconcile.",
        description=f"{PERCENT} of the operator's passes fail.",
        expr=(
            'sum(rate(hermes_operator_reconcile_total{result="error"}[10m]))\n'
            "/\n"
            "sum(rate(hermes_operator_reconcile_total[10m]))\n"
            f"> {THRESHOLD_MARK}"
        ),
        threshold=Threshold(0.2, "failed share of passes over 10 minutes"),
        lasting="15m",
        link=DashboardLink.NONE,
    ),
)
