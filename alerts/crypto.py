"""Alerts on keystores, ratchets, replays and resumes."""

from __future__ import annotations

from alerts.model import (
    COUNT,
    MESH,
    PERCENT,
    POD,
    RATE,
    SOME_NODE,
    THRESHOLD_MARK,
    VALUE,
    Alert,
    DashboardLink,
    Severity,
    Threshold,
    risen,
)

_REPLAYS = "sum by (namespace, mesh, kind) (rate(hermes_replay_rejections_total[5m]))"
_FAILURES = "sum by (namespace, mesh) (rate(hermes_ratchet_failures_total[5m]))"
_ADVANCES = "sum by (namespace, mesh) (rate(hermes_ratchet_advances_total[5m]))"


def _failed_nodes(reason: str) -> str:
    """A node that found it at its start has ended; only the operator can tell."""
    return f'sum by (namespace, mesh) (hermes_operator_mesh_failed_nodes{{reason="{reason}"}}) > 0'


ALERTS = (
    Alert(
        name="HermesKeystoreSealed",
        severity=Severity.CRITICAL,
        summary="A keystore of a HermesMesh does not open.",
        description=f"{SOME_NODE} cannot open the keystore (sealed: {VALUE}) and does not serve.",
        expr=(
            "max by (namespace, mesh, pod) (hermes_keystore_sealed) == 1\n"
            "or\n"
            "max by (namespace, mesh) "
            '(hermes_operator_mesh_condition{condition="KeystoresSealed",status="True"}) == 1'
        ),
        lasting="5m",
    ),
    Alert(
        name="HermesKeystoreRollbackDetected",
        severity=Severity.CRITICAL,
        summary="A node of a HermesMesh has an older copy of its keystore.",
        description=f"{SOME_NODE} was put back to an earlier state ({COUNT} proofs). Its chats are quarantined.",
        expr=risen("hermes_keystore_rollback_total", "namespace, mesh, pod"),
        keep="1h",
    ),
    Alert(
        name="HermesKeystoreTampered",
        severity=Severity.CRITICAL,
        summary="A keystore of a HermesMesh holds what its node did not write.",
        description=f"{SOME_NODE} found {COUNT} changes in its keystore that it did not make.",
        expr=f"{risen('hermes_keystore_tamper_total', 'namespace, mesh, pod')}\nor\n{_failed_nodes('KeystoreTampered')}",
        keep="1h",
    ),
    Alert(
        name="HermesClockInDoubt",
        severity=Severity.WARNING,
        summary="A node of a HermesMesh started with a clock that cannot be right.",
        description=(
            f"{SOME_NODE} does not believe its clock ({{{{ $labels.doubt }}}}, {COUNT} starts). "
            "Nothing ends by it, and its chats are rekeyed."
        ),
        expr=risen("hermes_clock_doubts_total", "namespace, mesh, pod, doubt"),
        keep="1h",
    ),
    Alert(
        name="HermesRatchetFailuresHigh",
        severity=Severity.WARNING,
        summary="A HermesMesh refuses frames that do not authenticate.",
        description=f"{PERCENT} of ratchet steps in {MESH} fail: keys differ, or somebody forges.",
        expr=(
            f"{_FAILURES}\n/\n{_ADVANCES}\n> {THRESHOLD_MARK}\n"
            "and\n"
            "sum by (namespace, mesh) (increase(hermes_ratchet_failures_total[5m])) > 10"
        ),
        threshold=Threshold(0.005, "failed share of ratchet steps over 5 minutes"),
        lasting="5m",
        keep="10m",
    ),
    Alert(
        name="HermesReplayRejectionsHigh",
        severity=Severity.WARNING,
        summary="Somebody replays what was sent in a HermesMesh.",
        description=f"{RATE} replays a second ({{{{ $labels.kind }}}}) are refused in {MESH}. None was accepted.",
        expr=f"{_REPLAYS} > {THRESHOLD_MARK}",
        threshold=Threshold(0.1, "refused replays a second over 5 minutes"),
        lasting="5m",
        keep="15m",
    ),
    Alert(
        name="HermesResumeDesyncHigh",
        severity=Severity.WARNING,
        summary="Chats of a HermesMesh cannot be resumed.",
        description=f"{PERCENT} of resumes on {POD} found the two ends too far apart.",
        expr=(
            'sum by (namespace, mesh, pod) (increase(hermes_resumes_total{result="desync"}[15m]))\n'
            "/\n"
            'sum by (namespace, mesh, pod) (increase(hermes_resumes_total{result=~"resumed|desync"}[15m]))\n'
            f"> {THRESHOLD_MARK}\n"
            "and\n"
            'sum by (namespace, mesh, pod) (increase(hermes_resumes_total{result="desync"}[15m])) > 5'
        ),
        threshold=Threshold(0.05, "desynchronised share of resumes over 15 minutes"),
        lasting="2m",
        keep="15m",
        link=DashboardLink.POD,
    ),
)
