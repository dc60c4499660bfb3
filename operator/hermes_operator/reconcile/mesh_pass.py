"""One pass over one mesh: observe, plan, store the state, apply, act on nodes, store what they answered."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from hermes_operator.diagnose import diagnose
from hermes_operator.kube import kinds
from hermes_operator.kube.api import Kube
from hermes_operator.kube.event import Event
from hermes_operator.kube.event_recorder import EventRecorder
from hermes_operator.metrics import OperatorMetrics
from hermes_operator.nodes.client import NodeClient
from hermes_operator.nodes.members import Member, parse_members
from hermes_operator.observe.observed import Observed
from hermes_operator.observe.read_mesh import observe_mesh
from hermes_operator.plan.actions import Action, Plan, Problem
from hermes_operator.plan.mesh_plan import plan_mesh
from hermes_operator.reconcile.apply import Applier
from hermes_operator.reconcile.node_effects import EffectRunner
from hermes_operator.reconcile.node_reports import Reports, read_reports
from hermes_operator.rollout.state import Decision, Rollout, parse_rollout
from hermes_operator.spec import MeshSpec, parse_mesh
from hermes_operator.status.conditions import degraded, render_condition
from hermes_operator.status.document import build_status
from hermes_operator.status.mesh_state import MeshState
from hermes_operator.status.transitions import transition_events

logger = logging.getLogger(__name__)

# A problem that only a person can cure is looked at again this often; no watch tells of a foreign Secret.
PROBLEM_RECHECK_S = 10.0
# How long an answer about which APIs the cluster has is believed.
API_CACHE_S = 300.0


@dataclass(frozen=True, slots=True)
class Pass:
    """`gone`: the mesh does not exist any more. `recheck_s`: when to look again, None: at the next event."""

    gone: bool = False
    recheck_s: float | None = None


class Reconciler:
    """Carries out passes; keeps nothing between them but what can be asked again."""

    def __init__(
        self, api: Kube, nodes: NodeClient, recorder: EventRecorder, metrics: OperatorMetrics, cluster_domain: str
    ) -> None:
        self._api = api
        self._nodes = nodes
        self._recorder = recorder
        self._metrics = metrics
        self._cluster_domain = cluster_domain
        self._pod_monitor_api = False
        self._api_asked_at: datetime | None = None

    async def reconcile(self, namespace: str, name: str, *, refresh: bool, trouble: Problem | None = None) -> Pass:
        """One pass; `refresh` asks nodes for their live numbers although they did not restart.

        `trouble`: why the passes before failed; it stays in the conditions until this one got through.
        """
        body = await self._api.get(kinds.MESHES, namespace, name)
        if body is None:
            self._metrics.forget_mesh(namespace, name)
            return Pass(gone=True)
        mesh, now = parse_mesh(body), datetime.now(UTC)
        self._metrics.track_mesh(namespace, name)
        seen = await observe_mesh(self._api, mesh, body, now, pod_monitor_api=await self._has_pod_monitors(now))
        plan = plan_mesh(mesh, seen, self._cluster_domain)
        return await _MeshPass(self, mesh, body, seen).run(plan, refresh=refresh, trouble=trouble)

    async def report_error(self, namespace: str, name: str, problem: Problem) -> None:
        """Say in the conditions that passes fail; the next good pass takes it back."""
        body = await self._api.get(kinds.MESHES, namespace, name)
        if body is None:
            return
        mesh, status = parse_mesh(body), body.get("status") or {}
        told = degraded(diagnose(parse_rollout(status, mesh.replicas), (problem,)))
        old: list[dict[str, Any]] = status.get("conditions") or []
        before = next((condition for condition in old if condition["type"] == told.type), None)
        new = render_condition(told, before, mesh.generation, datetime.now(UTC))
        if new != before:
            conditions = [new if condition is before else condition for condition in old] if before else [*old, new]
            await self._api.replace(body | {"status": status | {"conditions": conditions}}, subresource="status")

    async def _has_pod_monitors(self, now: datetime) -> bool:
        if self._api_asked_at is None or (now - self._api_asked_at).total_seconds() > API_CACHE_S:
            self._pod_monitor_api = await self._api.serves(kinds.POD_MONITORS)
            self._api_asked_at = now
        return self._pod_monitor_api

    def applier(self, mesh: MeshSpec, seen: Observed) -> Applier:
        return Applier(self._api, self._nodes, mesh, seen, self._cluster_domain)

    def effects(self, mesh: MeshSpec, seen: Observed, members: dict[str, Member]) -> EffectRunner:
        return EffectRunner(self._api, self._nodes, self._metrics, mesh, seen, members)

    async def reports(
        self, mesh: MeshSpec, seen: Observed, members: Mapping[str, Member], rollout: Rollout, *, refresh: bool
    ) -> Reports:
        return await read_reports(self._nodes, mesh, seen, members, rollout, seen.secrets.bearer, refresh=refresh)

    async def store_status(self, body: dict[str, Any], status: dict[str, Any]) -> dict[str, Any]:
        return await self._api.replace(body | {"status": status}, subresource="status")

    async def record(self, mesh: MeshSpec, events: tuple[Event, ...]) -> None:
        await self._recorder.record(mesh, events, datetime.now(UTC))

    @property
    def metrics(self) -> OperatorMetrics:
        return self._metrics


class _MeshPass:
    """The steps of one pass, with what they learn on the way."""

    def __init__(self, owner: Reconciler, mesh: MeshSpec, body: dict[str, Any], seen: Observed) -> None:
        self._owner = owner
        self._mesh = mesh
        self._body = body
        self._seen = seen
        self._members = parse_members(seen.status)
        self._problems: tuple[Problem, ...] = ()
        self._last_check: dict[str, Any] | None = None
        self._rechecks: list[float] = []

    async def run(self, plan: Plan, *, refresh: bool, trouble: Problem | None) -> Pass:
        self._problems = plan.problems
        if self._mesh.deleted_at is None:
            await self._read_reports(plan.decision.rollout, refresh=refresh)
        applier = self._owner.applier(self._mesh, self._seen)
        actions = await applier.prepare(plan.actions)
        found = self._problems + tuple(applier.problems)
        # What keeps passes from getting through is graver than what they find.
        self._problems = found if trouble is None else (trouble, *found)
        # The state first: whoever comes after a crash must know what was about to happen.
        await self._take(plan.decision)
        await self._apply(applier, actions, plan.decision.rollout)
        if trouble is not None and not plan.released:
            self._problems = tuple(problem for problem in self._problems if problem != trouble)
            await self._store(plan.decision.rollout)
        if plan.released:
            return Pass()
        for effect in plan.decision.effects:
            runner = self._owner.effects(self._mesh, self._seen, self._members)
            decision = await runner.run(effect, plan.decision.rollout)
            self._last_check = runner.last_check or self._last_check
            if decision is not None:
                await self._take(decision)
        if self._problems:
            self._rechecks.append(PROBLEM_RECHECK_S)
        return Pass(recheck_s=min(self._rechecks, default=None))

    async def _read_reports(self, rollout: Rollout, *, refresh: bool) -> None:
        reports = await self._owner.reports(self._mesh, self._seen, self._members, rollout, refresh=refresh)
        self._members = reports.members
        self._last_check = reports.last_check
        if reports.recheck_s is not None:
            self._rechecks.append(reports.recheck_s)
        for good in reports.checks:
            self._owner.metrics.checks.labels(
                self._mesh.namespace, self._mesh.name, "restart", "pass" if good else "fail"
            ).inc()
        await self._owner.record(self._mesh, reports.events)

    async def _apply(self, applier: Applier, actions: tuple[Action, ...], rollout: Rollout) -> None:
        known = len(applier.problems)
        await applier.apply_all(actions)
        if applier.wiped:
            self._owner.metrics.wipes.labels(self._mesh.namespace, self._mesh.name, "requested").inc(applier.wiped)
        await self._owner.record(self._mesh, tuple(applier.events))
        if len(applier.problems) > known:
            self._problems += tuple(applier.problems[known:])
            await self._store(rollout)

    async def _take(self, decision: Decision) -> None:
        """Store a decision, then tell of it."""
        await self._store(decision.rollout)
        if decision.outcome:
            self._owner.metrics.rollouts.labels(self._mesh.namespace, self._mesh.name, decision.outcome).inc()
        await self._owner.record(self._mesh, decision.events)
        if decision.recheck_s is not None:
            self._rechecks.append(decision.recheck_s)

    async def _store(self, rollout: Rollout) -> None:
        old = self._body.get("status") or {}
        state = MeshState(self._mesh, self._seen, rollout, self._members, self._problems, self._last_check)
        status = build_status(state, old)
        namespace, name = self._mesh.namespace, self._mesh.name
        self._owner.metrics.show_mesh(namespace, name, self._mesh.replicas, state.ready, status.conditions)
        self._owner.metrics.show_failures(namespace, name, status.diagnosis.keystore_failures)
        self._owner.metrics.show_rollout(namespace, name, rollout)
        if status.body == old:
            return
        self._body = await self._owner.store_status(self._body, status.body)
        await self._owner.record(self._mesh, transition_events(old, status.body))
