"""One pass over one mesh: observe, plan, store the state, apply, act on nodes, store what they answered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hermes_operator import names
from hermes_operator.crd_spec import MeshSpec, parse_mesh
from hermes_operator.kube import kinds
from hermes_operator.kube.event import Event
from hermes_operator.nodes.held_mark import find_on_claim, read_authentic
from hermes_operator.nodes.members import MemberRecord, parse_members
from hermes_operator.nodes.resume_check import ResumeCheck
from hermes_operator.observe.observed import Observed
from hermes_operator.observe.read_mesh import observe_mesh
from hermes_operator.plan.actions import Action, Plan, Problem
from hermes_operator.plan.mesh_plan import plan_mesh
from hermes_operator.reconcile.apply import apply_action
from hermes_operator.reconcile.context import PassContext
from hermes_operator.reconcile.node_effects import run_effect
from hermes_operator.reconcile.node_reports import check_event, find_due, read_reports
from hermes_operator.reconcile.prepare import prepare
from hermes_operator.rollout.state import Decision, Rollout
from hermes_operator.status.document import MeshStatus, build_status
from hermes_operator.status.mesh_state import MeshState
from hermes_operator.status.transitions import transition_events


@dataclass(frozen=True, slots=True)
class PassResult:
    """`gone`: the mesh does not exist any more. `recheck_s`: when to look again, None: at the next event."""

    gone: bool = False
    recheck_s: float | None = None


async def reconcile_mesh(
    context: PassContext, namespace: str, name: str, *, refresh: bool, trouble: Problem | None = None
) -> PassResult:
    """One pass; `refresh` asks nodes for their live numbers although they did not restart.

    `trouble`: why the passes before failed; it stays in the conditions until this one got through.
    """
    body = await context.api.get(kinds.MESHES, namespace, name)
    if body is None:
        context.metrics.forget_mesh(namespace, name)
        return PassResult(gone=True)
    mesh, now = parse_mesh(body), context.clock()
    context.metrics.track_mesh(namespace, name)
    monitored = await context.served.has(kinds.POD_MONITORS, now)
    seen = await observe_mesh(context.api, mesh, body, now, pod_monitor_api=monitored)
    plan = plan_mesh(mesh, seen, context.cluster_domain)
    return await MeshPass(context, mesh, body, seen).run(plan, refresh=refresh, trouble=trouble)


class MeshPass:
    """The steps of one pass. What it learns on the way is its own and ends with it: the next one reads it from the API."""

    def __init__(self, context: PassContext, mesh: MeshSpec, body: dict[str, Any], seen: Observed) -> None:
        self._context = context
        self._mesh = mesh
        self._body = body
        self._seen = seen
        self._members = parse_members(seen.status)
        self._problems: tuple[Problem, ...] = ()
        self._last_check: ResumeCheck | None = None
        self._rechecks: list[float] = []

    async def run(self, plan: Plan, *, refresh: bool, trouble: Problem | None) -> PassResult:
        if self._mesh.deleted_at is None:
            await self._read_reports(plan.decision.rollout, refresh=refresh)
        prepared = await prepare(self._context.api, self._mesh, self._seen, plan)
        await self._tell(prepared.events)
        found = (*plan.problems, *prepared.problems)
        # What keeps passes from getting through is graver than what they find.
        self._problems = found if trouble is None else (trouble, *found)
        # The state first: whoever comes after a crash must know what was about to happen.
        await self._take(plan.decision)
        for action in prepared.actions:
            await self._apply(action)
        if plan.released:
            return PassResult()
        answered = await self._act(plan.decision)
        self._problems = found
        if answered is not None:
            await self._take(answered)
        elif trouble is not None:
            await self._store(plan.decision.rollout)
        if found:
            self._rechecks.append(self._context.durations.problem_recheck_s)
        return PassResult(recheck_s=min(self._rechecks, default=None))

    async def _read_reports(self, rollout: Rollout, *, refresh: bool) -> None:
        busy = rollout.pod if rollout.active else ""
        due = find_due(self._seen, self._members, busy, refresh=refresh)
        reports = await read_reports(self._context.nodes, self._seen, self._members, due)
        self._members |= {member.pod: member for member in reports.members}
        for check in reports.checks:
            self._note(check)
        for member in reports.members:
            await self._keep_mark(member)
        await self._tell(tuple(check_event(check) for check in reports.checks))
        for pod, why in reports.unanswered.items():
            extra = {"mesh": self._mesh.name, "namespace": self._mesh.namespace}
            self._context.log.info("no report of %s: %s", pod, why, extra=extra)
        if reports.unanswered:
            self._rechecks.append(self._context.durations.report_retry_s)

    async def _keep_mark(self, member: MemberRecord) -> None:
        """On its claim as well, once for each verified start: a claim may outlive the mesh, and be adopted by another."""
        now, kept = read_authentic(member.mark), read_authentic(find_on_claim(self._seen.claims, member.pod))
        if now is None or member.bad or (kept is not None and kept.open_id == now.open_id):
            return
        patch = {"metadata": {"annotations": {names.ANNOTATION_MARK: member.mark}}}
        claim = names.volume_claim(member.pod)
        if any(seen["metadata"]["name"] == claim for seen in self._seen.claims):
            await self._context.api.merge(kinds.CLAIMS, self._mesh.namespace, claim, patch)

    async def _apply(self, action: Action) -> None:
        applied = await apply_action(self._context, self._mesh, self._seen, action)
        self._context.metrics.count_wipes(self._mesh.namespace, self._mesh.name, applied.wiped)
        await self._tell(applied.events)

    async def _act(self, decision: Decision) -> Decision | None:
        """Carry out the effects of a decision; at most one of them is answered by a next one."""
        answered = None
        for effect in decision.effects:
            result = await run_effect(self._context, self._mesh, self._seen, self._members, effect, decision.rollout)
            if result.member is not None:
                self._members[result.member.pod] = result.member
                await self._keep_mark(result.member)
            if result.check is not None:
                self._note(result.check)
                self._measure_resume(result.check, decision.rollout)
            answered = result.decision or answered
        return answered

    async def _take(self, decision: Decision) -> None:
        """Store a decision, then tell of it."""
        await self._store(decision.rollout)
        if decision.outcome:
            self._context.metrics.count_rollout(self._mesh.namespace, self._mesh.name, decision.outcome)
        await self._tell(decision.events)
        if decision.recheck_s is not None:
            self._rechecks.append(decision.recheck_s)

    async def _store(self, rollout: Rollout) -> None:
        """Write the status where it differs, show it in the metrics, and tell of what changed."""
        state = MeshState(self._mesh, self._seen, rollout, self._members, self._problems, self._last_check)
        before = self._body.get("status") or {}
        status = build_status(state, before)
        self._show(state, status)
        if status.body == before:
            return
        self._body = await self._context.api.replace(self._body | {"status": status.body}, subresource="status")
        await self._tell(transition_events(before, status.body))

    def _show(self, state: MeshState, status: MeshStatus) -> None:
        metrics, namespace, name = self._context.metrics, self._mesh.namespace, self._mesh.name
        metrics.show_mesh(namespace, name, self._mesh.replicas, state.ready, status.conditions)
        metrics.show_failures(namespace, name, status.diagnosis.keystore_failures)
        metrics.show_rollout(namespace, name, state.rollout)

    async def _tell(self, events: tuple[Event, ...]) -> None:
        await self._context.recorder.record(self._mesh, events, self._context.clock())

    def _note(self, check: ResumeCheck) -> None:
        self._last_check = check
        self._context.metrics.count_check(self._mesh.namespace, self._mesh.name, check)

    def _measure_resume(self, check: ResumeCheck, rollout: Rollout) -> None:
        if check.judgement.good and rollout.step_started_at is not None:
            away_s = (check.time - rollout.step_started_at).total_seconds()
            self._context.metrics.observe_resume(self._mesh.namespace, self._mesh.name, away_s)
