"""The operator's own metrics; series of a mesh are removed with the mesh."""

from __future__ import annotations

import collections
from collections.abc import Iterable

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info

from hermes_operator.nodes.resume_check import CheckKind, ResumeCheck
from hermes_operator.observe.failures import KEYSTORE_REASONS
from hermes_operator.rollout.state import Rollout
from hermes_operator.status.conditions import Condition

CONDITION_STATUSES = ("True", "False", "Unknown")
PASS_RESULTS = ("ok", "error")
ROLLOUT_RESULTS = ("completed", "halted", "superseded")
CHECK_RESULTS = ("pass", "fail")
WIPE_REASONS = ("requested",)
_MESH = ("namespace", "mesh")


class OperatorMetrics:
    """All series. Counters of a mesh start at 0 when it is first seen, so that the first event is an increase."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = registry or CollectorRegistry()
        prometheus_client.ProcessCollector(registry=self.registry)
        prometheus_client.GCCollector(registry=self.registry)
        self._build = Info("hermes_operator_build", "Version of the operator.", registry=self.registry)
        self._leader = Gauge("hermes_operator_leader", "1 while this process is the active one.", registry=self.registry)
        self._reconciles = Counter("hermes_operator_reconcile", "Passes over a mesh.", ("result",), registry=self.registry)
        self._reconcile_seconds = Histogram(
            "hermes_operator_reconcile_duration_seconds",
            "Duration of a pass over a mesh.",
            buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
            registry=self.registry,
        )
        self._desired = Gauge("hermes_operator_mesh_desired_replicas", "Wanted nodes.", _MESH, registry=self.registry)
        self._ready = Gauge("hermes_operator_mesh_ready_replicas", "Ready nodes.", _MESH, registry=self.registry)
        self._condition = Gauge(
            "hermes_operator_mesh_condition",
            "1 for the status that a condition has.",
            (*_MESH, "condition", "status"),
            registry=self.registry,
        )
        self._failed_nodes = Gauge(
            "hermes_operator_mesh_failed_nodes",
            "Nodes whose keystore does not open, by reason; such a node has ended and cannot be scraped.",
            (*_MESH, "reason"),
            registry=self.registry,
        )
        self._rollouts = Counter("hermes_operator_rollouts", "Rollouts that ended.", (*_MESH, "result"), registry=self.registry)
        self._rollout_since = Gauge(
            "hermes_operator_rollout_in_progress_since_timestamp_seconds",
            "When the running rollout started; absent while none runs.",
            _MESH,
            registry=self.registry,
        )
        self._chats_to_move = Gauge(
            "hermes_operator_chats_to_move",
            "Chats that nodes which leave, or restart with spec.rollout.chats Move, still hold; 0 while none does.",
            _MESH,
            registry=self.registry,
        )
        self._checks = Counter(
            "hermes_operator_resume_checks",
            "Restarted nodes that were checked.",
            (*_MESH, "check", "result"),
            registry=self.registry,
        )
        self._resume_seconds = Histogram(
            "hermes_operator_resume_duration_seconds",
            "From the end of a node to its proven resume, in rollouts.",
            _MESH,
            buckets=(1, 2.5, 5, 10, 20, 40, 60, 120, 300, 600),
            registry=self.registry,
        )
        self._wipes = Counter(
            "hermes_operator_keystore_wipes", "Keystores erased on request.", (*_MESH, "reason"), registry=self.registry
        )
        self._leader.set(0)
        for result in PASS_RESULTS:
            self._reconciles.labels(result)

    def show_version(self, version: str) -> None:
        self._build.info({"version": version})

    def show_leader(self, leader: bool) -> None:
        self._leader.set(leader)

    def count_pass(self, result: str) -> None:
        """`result`: one of PASS_RESULTS."""
        self._reconciles.labels(result).inc()

    def observe_pass(self, seconds: float) -> None:
        self._reconcile_seconds.observe(seconds)

    def track_mesh(self, namespace: str, mesh: str) -> None:
        """Make the counters of a mesh exist."""
        for result in ROLLOUT_RESULTS:
            self._rollouts.labels(namespace, mesh, result)
        for check in CheckKind:
            for result in CHECK_RESULTS:
                self._checks.labels(namespace, mesh, check, result)
        for reason in WIPE_REASONS:
            self._wipes.labels(namespace, mesh, reason)
        self._resume_seconds.labels(namespace, mesh)

    def show_mesh(self, namespace: str, mesh: str, desired: int, ready: int, conditions: tuple[Condition, ...]) -> None:
        self._desired.labels(namespace, mesh).set(desired)
        self._ready.labels(namespace, mesh).set(ready)
        for condition in conditions:
            for status in CONDITION_STATUSES:
                self._condition.labels(namespace, mesh, condition.type, status).set(condition.status == status)

    def show_failures(self, namespace: str, mesh: str, reasons: Iterable[str]) -> None:
        """`reasons`: one for each node whose keystore does not open."""
        counted = collections.Counter(reasons)
        for reason in KEYSTORE_REASONS:
            self._failed_nodes.labels(namespace, mesh, reason).set(counted[reason])

    def show_rollout(self, namespace: str, mesh: str, rollout: Rollout) -> None:
        down = rollout.scale_down
        leaving = 0 if down is None or down.released else down.chats_left or 0
        self._chats_to_move.labels(namespace, mesh).set(leaving + (rollout.chats_left or 0))
        if rollout.active and rollout.started_at is not None:
            self._rollout_since.labels(namespace, mesh).set(rollout.started_at.timestamp())
        else:
            self._rollout_since.remove_by_labels({"namespace": namespace, "mesh": mesh})

    def count_rollout(self, namespace: str, mesh: str, result: str) -> None:
        """`result`: one of ROLLOUT_RESULTS."""
        self._rollouts.labels(namespace, mesh, result).inc()

    def count_check(self, namespace: str, mesh: str, check: ResumeCheck) -> None:
        self._checks.labels(namespace, mesh, check.kind, check.result).inc()

    def observe_resume(self, namespace: str, mesh: str, seconds: float) -> None:
        self._resume_seconds.labels(namespace, mesh).observe(seconds)

    def count_wipes(self, namespace: str, mesh: str, count: int) -> None:
        self._wipes.labels(namespace, mesh, "requested").inc(count)

    def forget_mesh(self, namespace: str, mesh: str) -> None:
        for metric in (
            self._desired,
            self._ready,
            self._condition,
            self._failed_nodes,
            self._rollouts,
            self._rollout_since,
            self._chats_to_move,
            self._checks,
            self._resume_seconds,
            self._wipes,
        ):
            metric.remove_by_labels({"namespace": namespace, "mesh": mesh})
