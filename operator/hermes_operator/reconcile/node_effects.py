"""Carrying out the effects of a rollout step on a node, and feeding the answer back into the state machine."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from hermes_operator.kube import kinds
from hermes_operator.kube.api import Kube
from hermes_operator.metrics import OperatorMetrics
from hermes_operator.nodes.client import NodeClient, NodeError
from hermes_operator.nodes.members import Member, record_report, render_check
from hermes_operator.nodes.resume_judgement import judge_report
from hermes_operator.observe.observed import Observed, PodView
from hermes_operator.rollout.machine import record_check, record_drain, record_witness
from hermes_operator.rollout.state import CheckResume, Decision, DeletePod, DrainPod, Effect, Rollout, TakeWitness
from hermes_operator.spec import MeshSpec


class EffectRunner:
    """Runs one effect; `members` gets what a resume check learnt, `last_check` its result for the status."""

    def __init__(
        self,
        api: Kube,
        nodes: NodeClient,
        metrics: OperatorMetrics,
        mesh: MeshSpec,
        seen: Observed,
        members: dict[str, Member],
    ) -> None:
        self._api = api
        self._nodes = nodes
        self._metrics = metrics
        self._mesh = mesh
        self._seen = seen
        self._members = members
        self._token = seen.secrets.bearer
        self.last_check: dict[str, Any] | None = None

    async def run(self, effect: Effect, rollout: Rollout) -> Decision | None:
        """The next decision; None when the effect changes nothing in the state."""
        if isinstance(effect, DeletePod):
            await self._api.delete(kinds.PODS, self._mesh.namespace, effect.pod, uid=effect.uid)
            return None
        pod = self._seen.pod(effect.pod)
        if pod is None:
            return None
        match effect:
            case TakeWitness():
                return await self._take_witness(pod, rollout)
            case DrainPod():
                return await self._drain(pod, rollout)
            case CheckResume():
                return await self._check_resume(pod, effect, rollout)

    async def _take_witness(self, pod: PodView, rollout: Rollout) -> Decision:
        try:
            witness = await self._nodes.take_witness(pod.name, pod.ip, self._token)
        except NodeError as error:
            return record_witness(rollout, None, str(error), ready=pod.ready, now=datetime.now(UTC))
        return record_witness(rollout, witness, "", ready=pod.ready, now=datetime.now(UTC))

    async def _drain(self, pod: PodView, rollout: Rollout) -> Decision:
        problem = ""
        try:
            await self._nodes.drain(pod.ip, self._token)
        except NodeError as error:
            problem = str(error)
        return record_drain(rollout, problem, datetime.now(UTC))

    async def _check_resume(self, pod: PodView, effect: CheckResume, rollout: Rollout) -> Decision:
        now = datetime.now(UTC)
        try:
            report = await self._nodes.check_resume(pod.name, pod.ip, self._token, effect.witness)
            version = await self._nodes.version(pod.ip, self._token)
        except NodeError as error:
            return record_check(rollout, None, str(error), now)
        member = self._members.get(pod.name, Member(pod.name))
        judgement = judge_report(report, effect.witness, member.standing)
        self._members[pod.name] = record_report(member, pod, report, judgement, version)
        self.last_check = render_check(pod.name, rollout.reason, judgement, now)
        labels = (self._mesh.namespace, self._mesh.name)
        self._metrics.checks.labels(*labels, "rollout", "pass" if judgement.good else "fail").inc()
        if judgement.good and rollout.step_started_at is not None:
            elapsed_s = (now - rollout.step_started_at).total_seconds()
            self._metrics.resume_seconds.labels(*labels).observe(elapsed_s)
        return record_check(rollout, judgement, "", now)
